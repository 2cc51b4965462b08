//! SendGrid's mails: taken, told of in batches, and found in its logs.

mod checks;
mod logs;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::address::{bare, domain};
use super::tell::{Happening, Request, Signature, Signing, Webhook, Wording};
use super::{Arrival, BODY, Carrier, Mail, Room, take};
use crate::held::Held;
use crate::messaging::header;
use crate::messaging::sendgrid::{Account, Refusal, caller, error_body};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider =
    super::provider::<Account>(crate::messaging::sendgrid::routes, error_body);

/// The largest request.
const LARGEST: usize = 30 * 1024 * 1024;
/// What stands in front of a P-256 point to make it a public key of the usual form.
const SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl Carrier for Account {
    const NAME: &'static str = "sendgrid";
    /// For a day.
    const SCHEDULE: &'static [u64] = &[60, 300, 900, 3_600, 7_200, 14_400, 28_800, 28_800];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.sendgrid
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn want(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    fn course(mail: &Mail) -> Vec<&'static str> {
        match super::tester(mail, "fate.example") {
            Some("bounced") => vec!["processed", "bounce"],
            Some("blocked") => vec!["processed", "bounce:blocked"],
            Some("complained") => vec!["processed", "delivered", "spamreport"],
            Some("suppressed") => vec!["dropped"],
            _ => vec!["processed", "delivered"],
        }
    }

    /// All in one request.
    fn word(&self, world: &World, happenings: &[Happening]) -> Vec<Wording> {
        let told: Vec<_> = happenings.iter().map(|happening| worded(world, happening)).collect();
        let subjects: Vec<_> = happenings.iter().map(|happening| happening.message.as_str()).collect();
        let kinds: Vec<_> = happenings.iter().map(|happening| happening.event.as_str()).collect();
        vec![Wording {
            id: world.ids.word(22),
            subject: subjects.join(","),
            kind: kinds.join(","),
            body: Value::Array(told),
        }]
    }

    fn sign(&self, _: &World, wording: &Wording, signing: Signing) -> Request {
        let mut request = Request::json(&wording.body);
        // The line break at the end is signed.
        request.body.extend_from_slice(b"\r\n");
        let secret = match signing.signature {
            Signature::Missing => return request,
            Signature::Forged => private_key(),
            Signature::Valid => {
                self.webhook.as_ref().map_or_else(String::new, |webhook| webhook.secret.clone())
            }
        };
        let at = signing.at.as_second().to_string();
        let signed = [at.as_bytes(), &request.body].concat();
        let signature = pair(&secret).and_then(|pair| pair.sign(&SystemRandom::new(), &signed).ok());
        let signature = signature.map_or_else(String::new, |signature| STANDARD.encode(signature));
        request
            .with("x-twilio-email-event-webhook-signature", signature)
            .with("x-twilio-email-event-webhook-timestamp", at)
    }

    fn stops(_: u16) -> bool {
        false
    }
}

fn worded(world: &World, happening: &Happening) -> Value {
    let (event, more) = happening.parts();
    let mut fields = json!({
        "email": bare(happening.recipient()),
        "timestamp": happening.at.as_second(),
        "event": event,
        "smtp-id": format!("<{}@geopod-ismtpd-1>", happening.message),
        "sg_event_id": world.ids.word(48),
        "sg_message_id": if happening.message.is_empty() { String::new() } else { logged_id(&happening.message) },
    });
    let more = match event {
        "bounce" => {
            json!({ "type": more.unwrap_or("bounce"), "reason": "550 5.1.1 The email account does not exist", "status": "5.1.1" })
        }
        "dropped" => json!({ "reason": more.unwrap_or("Bounced Address"), "status": "5.0.0" }),
        "deferred" => json!({ "response": "400 try again later", "attempt": "5" }),
        "delivered" => json!({ "response": "250 OK", "category": ["transactional"] }),
        "open" | "click" => {
            json!({ "useragent": "Mozilla/5.0", "ip": "192.0.2.1", "url": "https://example.com" })
        }
        _ => json!({}),
    };
    for extra in [happening.references(), more] {
        fields
            .as_object_mut()
            .into_iter()
            .for_each(|fields| fields.extend(extra.as_object().cloned().unwrap_or_default()));
    }
    happening.over(fields)
}

/// The id of a mail in logs and events: which server sent it comes behind the request's own.
fn logged_id(id: &str) -> String {
    format!("{id}.recvd-5f4c7b9d8-abcde-1-65F1A2B3-1.0")
}

/// A new private key.
pub(in crate::messaging) fn private_key() -> String {
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
    made.map_or_else(|_| String::new(), |key| STANDARD.encode(key))
}

fn pair(secret: &str) -> Option<EcdsaKeyPair> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &STANDARD.decode(secret).ok()?).ok()
}

/// What signatures with this private key are checked with, as the provider shows it.
pub(in crate::messaging) fn public_key(secret: &str) -> Option<String> {
    Some(STANDARD.encode([SPKI, pair(secret)?.public_key().as_ref()].concat()))
}

pub(in crate::messaging) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v3/mail/send", post(send))
        .route("/v3/logs", post(logs::search))
        .route("/v3/logs/{id}", get(logs::look))
        .route("/v3/user/webhooks/event/settings/signed", get(signed))
        .route("/v3/user/webhooks/event/settings/signed/{id}", get(signed_as))
        .layer(DefaultBodyLimit::max(BODY))
}

async fn signed(State(world): State<Shared>, headers: HeaderMap) -> Result<Json<Value>, Refusal> {
    shown_key(&world, &headers, "")
}

async fn signed_as(
    State(world): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    shown_key(&world, &headers, &id)
}

fn shown_key(world: &World, headers: &HeaderMap, id: &str) -> Result<Json<Value>, Refusal> {
    let account = caller(world, headers, "user.webhooks.event.settings.read")?;
    let key = account.webhook.as_ref().and_then(|webhook| public_key(&webhook.secret));
    let key = key.ok_or_else(|| Refusal::said(StatusCode::NOT_FOUND, "Invalid id provided."))?;
    Ok(Json(json!({ "id": id, "public_key": key })))
}

async fn send(State(world): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Result<Response, Refusal> {
    let account = caller(&world, &headers, "mail.send")?;
    if bytes.len() > LARGEST {
        return Err(Refusal::said(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The JSON payload you have included in your request is too large.",
        ));
    }
    let is_json = header(&headers, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json {
        return Err(Refusal::said(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Content-Type should be application/json.",
        ));
    }
    let mail: Value =
        serde_json::from_slice(&bytes).map_err(|_| Refusal::said(StatusCode::BAD_REQUEST, "Bad Request"))?;
    let fields = mail.as_object().ok_or_else(|| Refusal::said(StatusCode::BAD_REQUEST, "Bad Request"))?;
    checks::check(fields, &world)?;
    let from = mail["from"]["email"].as_str().unwrap_or_default();
    if !account.may_send_from(&domain(from)) {
        return Err(Refusal::about(
            StatusCode::FORBIDDEN,
            "from",
            "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ to see the Sender Identity requirements",
        ));
    }
    // It was only to be checked.
    if mail["mail_settings"]["sandbox_mode"]["enable"] == true {
        return Ok(StatusCode::OK.into_response());
    }
    let first = &mail["personalizations"][0];
    let reference = [&first["custom_args"], &mail["custom_args"]]
        .into_iter()
        .find_map(|arguments| arguments["message_id"].as_str().map(str::to_owned));
    let to =
        first["to"].as_array().into_iter().flatten().filter_map(|to| Some(to["email"].as_str()?.to_owned()));
    let subject = first["subject"].as_str().or_else(|| mail["subject"].as_str()).unwrap_or_default();
    let arrival = Arrival {
        id: world.ids.word(22),
        from: from.to_owned(),
        to: to.collect(),
        subject: subject.to_owned(),
        reference,
        sent: mail.clone(),
    };
    let taken = take(&world, &account, arrival);
    Ok((StatusCode::ACCEPTED, [(HeaderName::from_static("x-message-id"), taken.id)]).into_response())
}
