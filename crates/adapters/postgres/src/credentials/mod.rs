//! The ports of voxanne-credentials on PostgreSQL.

mod integrations;
mod listener;
mod oauth;
mod owners;
mod rotation;
mod vault;

crate::tx::begins!(
    voxanne_credentials::ReadCredentialsTx,
    voxanne_credentials::ChangeCredentialsTx,
    voxanne_credentials::KeepCredentialTx,
    voxanne_credentials::integrations::IntegrationsTx,
);
crate::tx::begins_system!(voxanne_credentials::RotateKeysTx);
