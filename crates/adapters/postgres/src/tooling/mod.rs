//! The ports of voxanne-tooling on PostgreSQL.

mod assistants;
pub mod business;
mod directory;
pub mod fleet;
mod generations;
mod registrations;
mod signing;

crate::tx::begins!(
    voxanne_tooling::AssistantsTx,
    voxanne_tooling::SigningTx,
    voxanne_tooling::retire::RelinkTx,
);
