//! The ports of voxanne-provisioning on PostgreSQL.

mod line;

crate::tx::begins!(voxanne_provisioning::LineTx);
