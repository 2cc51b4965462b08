//! Secrets that an organization brings or is given: sealed at rest, typed in use (`spec/03-credentials.md`).
//!
//! - A [`KeyRing`] holds the master keys; [`envelope`] seals one record with it, bound to the organization, the
//!   provider and the record, so that a ciphertext moved anywhere else does not open.
//! - A [`Credential`] is a sealed record as it is stored; [`secrets`] has one type per provider for what it says.
//! - [`Vault`] is what most code holds: typed credentials by organization, remembered in memory, forgotten the moment
//!   somebody tells it of a change ([`Invalidations`]). [`Resolver`] reads without a memory.
//! - [`RotateWebhookSecret`] replaces the one secret that we make ourselves, [`RotateKeys`] moves every record to
//!   another master key.
//! - [`VerifyCredential`] is how a provider is asked what it thinks of a credential.
//!
//! Nothing here knows how a provider signs a message or what its credential object looks like, and no type that holds
//! a secret can be printed, serialized or compared in variable time.

pub mod cache;
pub mod credential;
pub mod envelope;
pub mod integrations;
pub mod keyring;
pub mod oauth;
pub mod ports;
pub mod provider;
pub mod resolve;
pub mod rotate;
pub mod rotate_keys;
pub mod secrets;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod trail;
pub mod vault;
pub mod verify;
pub mod webhook;

pub use cache::CacheStats;
pub use credential::{Credential, CredentialSource, CredentialStatus};
pub use envelope::{Place, Sealed, Unreadable};
pub use keyring::{KeyId, KeyRing, KeyRingError};
pub use ports::{
    AssistantOwners, ChangeCredentialsTx, CredentialReader, CredentialWriter, Invalidations,
    KeepCredentialTx, ReadCredentialsTx, RotateKeysTx, SealedRecords,
};
pub use provider::{CredentialProvider, UnknownCredentialProvider};
pub use resolve::{ResolveError, Resolver};
pub use rotate::{PublishWebhookSecret, RotateWebhookSecret, new_webhook_credential};
pub use rotate_keys::{CountByKey, RotateKeys, RotationReport};
pub use secrecy::{ExposeSecret, SecretString};
pub use secrets::{
    AfricasTalking, Brought, GoogleCalendar, Mailgun, MailgunRegion, OAuthGrant, OutlookCalendar, Postmark,
    ProviderSecret, Resend, Sender, Sendgrid, SendgridRegion, Ses, Smtp, SmtpTls, Termii, TermiiChannel,
    Twilio, Whatsapp,
};
pub use vault::Vault;
pub use verify::{Rejection, Verdict, VerifyCredential};
pub use webhook::{NoRandomness, WebhookSecrets};
