//! The ports of voxanne-credentials on PostgreSQL.

mod vault;

crate::tx::begins!(voxanne_credentials::ReadCredentialsTx, voxanne_credentials::ChangeCredentialsTx);
