//! Secrets that an organization brings or is given: sealed at rest, typed in use (`spec/03-credentials.md`).
//!
//! - A [`KeyRing`] holds the master keys; [`envelope`] seals one record with it, bound to the organization, the
//!   provider and the record, so that a ciphertext moved anywhere else does not open.
//! - A [`Credential`] is a sealed record as it is stored; [`WebhookSecrets`] is what one of them says.
//! - [`WebhookSecretsOf`] reads the secrets of the organization in a scope, [`CachedWebhookSecrets`] remembers them,
//!   [`RotateWebhookSecret`] replaces them.
//!
//! Nothing here knows how a provider signs a message or what its credential object looks like, and no type that holds
//! a secret can be printed, serialized or compared in variable time.

pub mod cache;
pub mod credential;
pub mod envelope;
pub mod keyring;
pub mod ports;
pub mod provider;
pub mod resolve;
pub mod rotate;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod webhook;

pub use cache::{CacheStats, CachedWebhookSecrets};
pub use credential::{Credential, CredentialSource, CredentialStatus};
pub use envelope::{Place, Sealed, Unreadable};
pub use keyring::{KeyId, KeyRing, KeyRingError};
pub use ports::{ChangeCredentialsTx, CredentialReader, CredentialWriter, ReadCredentialsTx};
pub use provider::{CredentialProvider, UnknownCredentialProvider};
pub use resolve::{ResolveError, WebhookSecretsOf};
pub use rotate::{PublishWebhookSecret, RotateWebhookSecret, new_webhook_credential};
pub use secrecy::{ExposeSecret, SecretString};
pub use webhook::WebhookSecrets;
