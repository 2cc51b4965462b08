//! WhatsApp's cloud API, which is Meta's Graph, behind the ports of the domains.
//!
//! It says what it thinks of a credential ([`VerifyCredential`]), without sending anything; it sends
//! ([`WhatsappSender`]), and reads what Meta tells afterwards ([`WhatsappEvents`]). What it answers is judged by codes
//! and a few fields, never passed on: Meta repeats a malformed token in its complaint about it.

mod codes;
mod events;
mod graph;
mod send;
mod verify;

use async_trait::async_trait;
use url::Url;
use voxanne_credentials::{Verdict, VerifyCredential, secrets::Whatsapp};
use voxanne_kernel::ProviderError;

pub use events::WhatsappEvents;
use graph::Graph;
pub use send::WhatsappSender;
pub use voxanne_http::{ClientError, Limits};

/// The cloud API.
#[derive(Debug)]
pub struct WhatsappCloud {
    graph: Graph,
}

impl WhatsappCloud {
    /// Prepares the client, for another place than Meta's where `base` names one; nothing is sent. A path in front of
    /// the API's version is kept.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(base: Option<Url>) -> Result<Self, ClientError> {
        Self::with(base, Limits::interactive())
    }

    /// Like [`new`](Self::new), waiting no longer than `limits` say.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn with(base: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        Ok(Self { graph: Graph::new(base, limits)? })
    }
}

#[async_trait]
impl VerifyCredential<Whatsapp> for WhatsappCloud {
    async fn verify(&self, credential: &Whatsapp) -> Result<Verdict, ProviderError> {
        verify::verify(&self.graph, credential).await
    }
}
