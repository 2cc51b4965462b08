//! Whether a message is Amazon's: SNS signs with RSA, and says in the message where the certificate is.
//!
//! So the address is judged before it is asked. And because every account at Amazon can have messages signed that way,
//! a signature alone proves nothing: the topic has to be the expected one, which [`events`](super::events) checks.

use std::{path::Path, sync::Arc, time::Duration};

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use moka::future::Cache;
use rustls::{
    pki_types::{CertificateDer, pem::PemObject},
    server::ParsedCertificate,
};
use serde::Deserialize;
use url::{Host, Url};
use voxanne_http::{ClientError, Http, Limits, Method};
use voxanne_messaging::providers::EventRefusal;

/// How long a certificate is believed without being asked for again.
const LIFETIME: Duration = Duration::from_hours(24);
/// There is one per region, and a new one now and then.
const KEPT: u64 = 64;

/// A message as SNS posts it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Envelope {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    pub(super) message_id: String,
    pub(super) topic_arn: String,
    pub(super) message: String,
    timestamp: String,
    #[serde(default)]
    subject: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(rename = "SubscribeURL", default)]
    pub(super) subscribe_url: Option<String>,
    #[serde(default)]
    signature_version: String,
    #[serde(default)]
    signature: String,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl", default)]
    signing_cert_url: String,
}

impl Envelope {
    /// The text that is signed: what is there of these, in this order.
    fn text(&self) -> String {
        let always = |text: &str| Some(text.to_owned());
        let lines = if self.kind == "Notification" {
            vec![
                ("Message", always(&self.message)),
                ("MessageId", always(&self.message_id)),
                ("Subject", self.subject.clone()),
                ("Timestamp", always(&self.timestamp)),
                ("TopicArn", always(&self.topic_arn)),
                ("Type", always(&self.kind)),
            ]
        } else {
            vec![
                ("Message", always(&self.message)),
                ("MessageId", always(&self.message_id)),
                ("SubscribeURL", self.subscribe_url.clone()),
                ("Timestamp", always(&self.timestamp)),
                ("Token", self.token.clone()),
                ("TopicArn", always(&self.topic_arn)),
                ("Type", always(&self.kind)),
            ]
        };
        let present = lines.into_iter().filter_map(|(name, value)| Some(format!("{name}\n{}\n", value?)));
        present.collect()
    }
}

/// Certificates that messages are signed with, kept for a while.
#[derive(Clone)]
pub(crate) struct Certificates {
    http: Http,
    /// Where something else stands in for Amazon: its certificates and confirmations are there as well.
    stand_in: Option<Url>,
    /// Public keys by address.
    keys: Cache<Url, Arc<Vec<u8>>>,
}

impl Certificates {
    pub(crate) fn new(stand_in: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        let keys = Cache::builder().max_capacity(KEPT).time_to_live(LIFETIME).build();
        Ok(Self { http: Http::new("sns", limits)?, stand_in, keys })
    }

    /// The address, if it is SNS's own: anything else would be a request that a stranger makes us do.
    pub(super) fn of_sns(&self, text: &str) -> Option<Url> {
        let url: Url = text.parse().ok()?;
        if self.stand_in.as_ref().is_some_and(|base| base.origin() == url.origin()) {
            return Some(url);
        }
        let plain = url.scheme() == "https"
            && url.port().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        let Some(Host::Domain(host)) = url.host() else { return None };
        let region = host.strip_prefix("sns.")?;
        let region =
            region.strip_suffix(".amazonaws.com").or_else(|| region.strip_suffix(".amazonaws.com.cn"))?;
        (plain && super::is_region(region)).then_some(url)
    }

    /// Refuses what is not signed by SNS.
    pub(super) async fn verify(&self, envelope: &Envelope) -> Result<(), EventRefusal> {
        let parameters: &RsaParameters = match envelope.signature_version.as_str() {
            "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            "2" => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(EventRefusal::Signature),
        };
        let signature = STANDARD.decode(&envelope.signature).map_err(|_| EventRefusal::Signature)?;
        let url = self.of_sns(&envelope.signing_cert_url).ok_or(EventRefusal::Signature)?;
        // Amazon's own look like this; a page of its API that an attacker fills does not.
        if !is_certificate(&url) || url.query().is_some() {
            return Err(EventRefusal::Signature);
        }
        let key = self.key(url).await?;
        let key = UnparsedPublicKey::new(parameters, key.as_slice());
        key.verify(envelope.text().as_bytes(), &signature).map_err(|_| EventRefusal::Signature)
    }

    async fn key(&self, url: Url) -> Result<Arc<Vec<u8>>, EventRefusal> {
        let fetched = self.keys.try_get_with(url.clone(), self.fetch(url)).await;
        // Why it failed is the first asker's to know; all of them are told the same.
        fetched.map_err(|refusal| match *refusal {
            EventRefusal::Signature => EventRefusal::Signature,
            _ => EventRefusal::Unavailable,
        })
    }

    async fn fetch(&self, url: Url) -> Result<Arc<Vec<u8>>, EventRefusal> {
        let request = self.http.request(Method::GET, url);
        let answer = self.http.read("get_certificate", request).await;
        let answer = answer.map_err(|_| EventRefusal::Unavailable)?;
        match answer.status().as_u16() {
            200 => {}
            // There is no such certificate.
            403 | 404 => return Err(EventRefusal::Signature),
            _ => return Err(EventRefusal::Unavailable),
        }
        public_key(answer.body()).map(Arc::new).ok_or(EventRefusal::Signature)
    }
}

fn is_certificate(url: &Url) -> bool {
    Path::new(url.path()).extension().is_some_and(|extension| extension == "pem")
}

/// The key of the first certificate in a PEM file.
fn public_key(pem: &[u8]) -> Option<Vec<u8>> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    let parsed = ParsedCertificate::try_from(&certificate).ok()?;
    Some(parsed.subject_public_key_info().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(stand_in: Option<&str>) -> Certificates {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        Certificates::new(stand_in.map(|url| url.parse().unwrap()), Limits::interactive()).unwrap()
    }

    #[test]
    fn only_snss_own_hosts_are_asked() {
        let certificates = certificates(None);
        for url in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/x.pem",
            "https://SNS.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        ] {
            assert!(certificates.of_sns(url).is_some(), "{url}");
        }
        for url in [
            "http://sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com:8443/x.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/x.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/x.pem",
            "https://sns.evil.example/.amazonaws.com/x.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/x.pem",
            "https://user@sns.us-east-1.amazonaws.com/x.pem",
            "https://sns..amazonaws.com/x.pem",
            "https://sns.a.b.amazonaws.com/x.pem",
            "https://bucket.s3.amazonaws.com/x.pem",
            "https://sns.amazonaws.com/x.pem",
            "https://169.254.169.254/x.pem",
            "https://localhost/x.pem",
            "file:///etc/passwd",
            "",
        ] {
            assert!(certificates.of_sns(url).is_none(), "{url}");
        }
    }

    #[test]
    fn what_stands_in_for_amazon_is_asked_and_nothing_beside_it() {
        let certificates = certificates(Some("http://127.0.0.1:9090/ses"));
        assert!(certificates.of_sns("http://127.0.0.1:9090/ses/sns/x.pem").is_some());
        assert!(certificates.of_sns("http://127.0.0.1:9091/ses/sns/x.pem").is_none());
        assert!(certificates.of_sns("https://127.0.0.1:9090/ses/sns/x.pem").is_none());
        assert!(certificates.of_sns("http://127.0.0.1:9090.evil.example/x.pem").is_none());
    }
}
