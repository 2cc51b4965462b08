//! What SES's topics sign with: a key and a certificate of the running sandbox, at an address below `/ses/sns`.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::tell::{Request, Signature, Signing};
use crate::clock::iso;
use crate::world::World;

/// A key, and a certificate of it. It is made when it is first needed: that takes a moment.
#[derive(Debug)]
pub(super) struct Signer {
    key: RsaKeyPair,
    pem: String,
    name: String,
}

impl Signer {
    fn make() -> Option<Self> {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).ok()?;
        let params = CertificateParams::new(vec!["sns.amazonaws.com".to_owned()]).ok()?;
        let certificate = params.self_signed(&key).ok()?;
        let name = format!(
            "SimpleNotificationService-{}.pem",
            hex::encode(&certificate.der()[certificate.der().len() - 16..])
        );
        Some(Self { key: RsaKeyPair::from_pkcs8(&key.serialize_der()).ok()?, pem: certificate.pem(), name })
    }

    fn sign(&self, text: &str) -> String {
        let mut signature = vec![0; self.key.public_modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.map_or_else(|_| String::new(), |()| STANDARD.encode(&signature))
    }
}

fn signer(world: &World) -> Option<&Signer> {
    let kept = &world.messaging.mail.sns;
    if kept.get().is_none() {
        // Two at once make two, of which one is kept.
        kept.set(Signer::make()?).ok();
    }
    kept.get()
}

/// The certificate under this name.
pub(super) fn certificate(world: &World, name: &str) -> Option<String> {
    signer(world).filter(|signer| signer.name == name).map(|signer| signer.pem.clone())
}

/// A message of a topic.
pub(super) fn notification(world: &World, topic: &str, id: &str, message: &str, signing: Signing) -> Request {
    let fields = [
        ("Message", message.to_owned()),
        ("MessageId", id.to_owned()),
        ("Timestamp", iso(signing.at)),
        ("TopicArn", topic.to_owned()),
        ("Type", "Notification".to_owned()),
    ];
    posted(world, &fields, id, signing.signature)
}

/// The question whether the product wants to hear of a topic.
pub(super) fn confirmation(world: &World, topic: &str) -> Request {
    let token = world.ids.hex(64);
    let id = world.ids.uuid().to_string();
    let mut url: url::Url = match format!("{}/ses/sns/", world.base).parse() {
        Ok(url) => url,
        Err(_) => return Request::default(),
    };
    url.query_pairs_mut()
        .append_pair("Action", "ConfirmSubscription")
        .append_pair("TopicArn", topic)
        .append_pair("Token", &token);
    let fields = [
        ("Message", format!("You have chosen to subscribe to the topic {topic}.")),
        ("MessageId", id.clone()),
        ("SubscribeURL", url.into()),
        ("Timestamp", iso(world.clock.now())),
        ("Token", token),
        ("TopicArn", topic.to_owned()),
        ("Type", "SubscriptionConfirmation".to_owned()),
    ];
    posted(world, &fields, &id, Signature::Valid)
}

/// As SNS posts it: JSON that says it is text. The fields come in the order in which they are signed.
fn posted(world: &World, fields: &[(&str, String)], id: &str, signature: Signature) -> Request {
    let text: String = fields.iter().flat_map(|(name, value)| [*name, "\n", value.as_str(), "\n"]).collect();
    let mut body: serde_json::Map<String, Value> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let kind = body["Type"].clone();
    let signed = match signature {
        Signature::Missing => None,
        Signature::Forged => Some(format!("{text}something else")),
        Signature::Valid => Some(text),
    };
    if let (Some(text), Some(signer)) = (signed, signer(world)) {
        body.insert("SignatureVersion".to_owned(), json!("2"));
        body.insert("Signature".to_owned(), json!(signer.sign(&text)));
        body.insert("SigningCertURL".to_owned(), json!(format!("{}/ses/sns/{}", world.base, signer.name)));
    }
    Request {
        headers: vec![("content-type".into(), "text/plain; charset=UTF-8".into())],
        body: Value::Object(body).to_string().into(),
    }
    .with("x-amz-sns-message-type", kind.as_str().unwrap_or_default())
    .with("x-amz-sns-message-id", id)
}
