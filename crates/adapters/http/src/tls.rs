//! Whom we believe: whom the system believes. Its certificates are read and understood once, for every client of the
//! process; a program has one client for each provider, and each would read all of them again.

use std::sync::{Arc, OnceLock};

use reqwest::ClientBuilder;
use rustls::{ALL_VERSIONS, ClientConfig, crypto::CryptoProvider};
use rustls_platform_verifier::Verifier;

static SHARED: OnceLock<ClientConfig> = OnceLock::new();

/// Has the client verify servers as the system does. Where that cannot be prepared the client is left to do so itself,
/// which tells what is wrong when it is built.
pub(crate) fn as_the_system_does(client: ClientBuilder) -> ClientBuilder {
    match shared() {
        Some(config) => client.tls_backend_preconfigured(config),
        None => client,
    }
}

fn shared() -> Option<ClientConfig> {
    if let Some(config) = SHARED.get() {
        return Some(config.clone());
    }
    let provider = CryptoProvider::get_default()?.clone();
    let verifier = Arc::new(Verifier::new(provider.clone()).ok()?);
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(ALL_VERSIONS).ok()?;
    let mut config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(SHARED.get_or_init(|| config).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_once_and_clients_can_be_built_from_them() {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        assert!(shared().is_some() && SHARED.get().is_some());
        as_the_system_does(reqwest::Client::builder()).build().unwrap();
    }
}
