//! The ports of voxanne-calls on PostgreSQL.

mod actions;
mod call_backs;
mod contacts;
mod events;
mod feed;
mod lines;
mod log;
mod overdue;
#[cfg(test)]
mod plan_tests;
mod post;
mod recordings;
mod records;
mod shares;

pub use feed::FeedEntry;

crate::tx::begins!(
    voxanne_calls::ApplyTx,
    voxanne_calls::ContactBookTx,
    voxanne_calls::ExportTx,
    voxanne_calls::FollowUpTx,
    voxanne_calls::call_back::CallBackTx,
    voxanne_calls::recordings::EraseTx,
    voxanne_calls::recordings::RecordingsTx,
    voxanne_calls::sharing::RevealTx,
    voxanne_calls::sharing::ShareTx,
    voxanne_calls::sharing::SharesTx,
);
