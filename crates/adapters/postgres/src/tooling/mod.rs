//! The ports of voxanne-tooling on PostgreSQL.

mod assistants;
mod directory;
mod registrations;

crate::tx::begins!(voxanne_tooling::AssistantsTx);
