//! The ports of voxanne-provisioning on PostgreSQL.

mod line;
mod notices;
mod operators;
mod setup;

crate::tx::begins!(voxanne_provisioning::LineTx, voxanne_provisioning::SetupTx);
