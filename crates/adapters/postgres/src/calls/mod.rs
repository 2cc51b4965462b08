//! The ports of voxanne-calls on PostgreSQL.

mod contacts;
mod events;
mod feed;
mod log;
mod overdue;
#[cfg(test)]
mod plan_tests;
mod records;

pub use feed::FeedEntry;

crate::tx::begins!(voxanne_calls::ApplyTx, voxanne_calls::ContactBookTx);
