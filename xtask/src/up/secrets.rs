//! The secrets of a development installation: made once, kept in the data directory, worth nothing elsewhere.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};

use super::keep::Home;

const FILE: &str = "secrets.json";

/// Everything that a production installation would be given.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secrets {
    pub(crate) jwt_secret: String,
    pub(crate) encryption_key: String,
    pub(crate) backend_api_key: String,
    pub(crate) vapi_private_key: String,
    /// Older data directories have none yet.
    #[serde(default = "webhook_secret")]
    pub(crate) approval_webhook_secret: String,
    /// The demo clinic's owner and the operator who approves it.
    pub(crate) owner_password: String,
    pub(crate) operator_password: String,
}

impl Secrets {
    /// The ones of this data directory, made now when it is new.
    pub(crate) fn of(home: &Home) -> anyhow::Result<Self> {
        if let Some(secrets) = home.read(FILE)? {
            return Ok(secrets);
        }
        let secrets = Self {
            jwt_secret: random(),
            encryption_key: BASE64_STANDARD.encode(rand::random::<[u8; 32]>()),
            backend_api_key: random(),
            vapi_private_key: random(),
            approval_webhook_secret: webhook_secret(),
            owner_password: random(),
            operator_password: random(),
        };
        home.write(FILE, &secrets)?;
        Ok(secrets)
    }
}

/// As Standard Webhooks writes them.
fn webhook_secret() -> String {
    format!("whsec_{}", BASE64_STANDARD.encode(rand::random::<[u8; 24]>()))
}

fn random() -> String {
    hex::encode(rand::random::<[u8; 32]>())
}
