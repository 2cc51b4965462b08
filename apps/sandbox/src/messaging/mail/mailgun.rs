//! Mailgun's mails: taken from forms, told of one by one, and listed as events.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::address::{bare, is_line};
use super::multipart::{self, Field};
use super::tell::{Happening, Request, Signature, Signing, Webhook, Wording, hmac};
use super::{Arrival, BODY, Carrier, Mail, Room, take};
use crate::held::Held;
use crate::messaging::mailgun::{Account, Refusal, caller, error_body};
use crate::messaging::{Parameters, header};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider =
    super::provider::<Account>(crate::messaging::mailgun::routes, error_body);

/// The largest mail.
const LARGEST: usize = 25 * 1024 * 1024;
/// The most that options, headers and variables may come to.
const EXTRAS: usize = 16 * 1024;
/// The most recipients.
const RECIPIENTS: usize = 1_000;

impl Carrier for Account {
    const NAME: &'static str = "mailgun";
    const SCHEDULE: &'static [u64] = &[300, 600, 900, 3_600, 7_200, 14_400];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.mailgun
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn want(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    fn course(mail: &Mail) -> Vec<&'static str> {
        if mail.sent["o:testmode"] == "yes" {
            return vec!["accepted"];
        }
        match super::tester(mail, "fate.example") {
            Some("bounced") => vec!["accepted", "failed"],
            Some("delayed") => vec!["accepted", "failed:temporary"],
            Some("complained") => vec!["accepted", "delivered", "complained"],
            Some("suppressed") => vec!["failed:suppress-bounce"],
            _ => vec!["accepted", "delivered"],
        }
    }

    fn word(&self, world: &World, happenings: &[Happening]) -> Vec<Wording> {
        let one = |happening: &Happening| Wording {
            id: world.ids.hex(50),
            subject: happening.message.clone(),
            kind: happening.event.clone(),
            body: worded(&world.ids.word(22), happening),
        };
        happenings.iter().map(one).collect()
    }

    /// The token and the time are signed, and nothing else.
    fn sign(&self, _: &World, wording: &Wording, signing: Signing) -> Request {
        let key = match signing.signature {
            Signature::Missing => return Request::json(&json!({ "event-data": wording.body })),
            Signature::Forged => "somebody else's",
            Signature::Valid => self.webhook.as_ref().map_or("", Webhook::secret),
        };
        let at = signing.at.as_second().to_string();
        let signature = hmac(key.as_bytes(), &[at.as_bytes(), wording.id.as_bytes()]);
        let signature = json!({ "timestamp": at, "token": wording.id, "signature": hex::encode(signature) });
        Request::json(&json!({ "signature": signature, "event-data": wording.body }))
    }

    fn stops(status: u16) -> bool {
        status == 406
    }
}

fn worded(id: &str, happening: &Happening) -> Value {
    let (event, more) = happening.parts();
    let mut fields = json!({
        "event": event,
        "id": id,
        "timestamp": happening.at.as_duration().as_secs_f64(),
        "recipient": happening.recipient(),
        "message": { "headers": {
            "message-id": happening.message,
            "to": happening.recipient(),
            "from": happening.from(),
            "subject": happening.subject(),
        } },
        "tags": [],
        "user-variables": happening.references(),
        "flags": { "is-test-mode": false },
    });
    match (event, more) {
        ("failed", Some("temporary")) => {
            fields["severity"] = json!("temporary");
            fields["reason"] = json!("generic");
            fields["delivery-status"] =
                json!({ "code": 450, "message": "greylisted", "attempt-no": 1, "retry-seconds": 600 });
        }
        ("failed", reason) => {
            fields["severity"] = json!("permanent");
            fields["reason"] = json!(reason.unwrap_or("bounce"));
            fields["delivery-status"] = json!({ "code": 550, "message": "no such user", "attempt-no": 1 });
        }
        ("rejected", _) => {
            fields["reject"] = json!({ "reason": "Sandbox subdomains are for test purposes only." });
        }
        _ => {}
    }
    happening.over(fields)
}

pub(in crate::messaging) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v3/{domain}/messages", post(send))
        .route("/v3/{domain}/events", get(events))
        .layer(DefaultBodyLimit::max(BODY))
}

/// Refuses what is incomplete, in the order in which the service is believed to look.
async fn send(
    State(world): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers).ok_or(Refusal::Key)?;
    let domain = account.domain(&name)?.name().to_owned();
    let bad = |problem: &str| Refusal::Said(StatusCode::BAD_REQUEST, problem.to_owned());
    if body.len() > LARGEST {
        return Err(Refusal::Said(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large".to_owned()));
    }
    let kind = header(&headers, "content-type").unwrap_or_default();
    let fields = multipart::read(kind, &body).unwrap_or_default();
    let values = |name: &str| -> Vec<&str> {
        let named = fields.iter().filter(|field| field.name == name && field.file.is_none());
        named.map(|field| field.text.as_str()).filter(|text| !text.is_empty()).collect()
    };
    for name in ["from", "to"] {
        if values(name).is_empty() {
            return Err(bad(&format!("{name} parameter is missing")));
        }
    }
    if values("text").is_empty() && values("html").is_empty() && values("template").is_empty() {
        return Err(bad("Need at least one of 'text' or 'html' parameters specified"));
    }
    let to: Vec<&str> = values("to").into_iter().flat_map(|list| list.split(',')).map(str::trim).collect();
    for (name, addresses) in [("from", &values("from")), ("to", &to)] {
        if !addresses.iter().all(|address| bare(address).is_some()) {
            return Err(bad(&format!("{name} parameter is not a valid address. please check documentation")));
        }
    }
    if to.len() > RECIPIENTS {
        return Err(bad("to parameter has too many addresses"));
    }
    check_extras(&fields).map_err(|problem| bad(&problem))?;
    if let Some(state) = account.domain(&name)?.is_not_allowed() {
        return Err(bad(&format!("Domain {domain} is not allowed to send: {state}")));
    }
    let stamp = world.clock.now().strftime("%Y%m%d%H%M%S").to_string();
    let text = |name: &str| values(name).first().map(|text| (*text).to_owned());
    let arrival = Arrival {
        id: format!("{stamp}.{}.{}@{domain}", world.ids.below(10), world.ids.hex(16).to_uppercase()),
        from: text("from").unwrap_or_default(),
        to: to.into_iter().map(str::to_owned).collect(),
        subject: text("subject").unwrap_or_default(),
        reference: text("v:message_id"),
        sent: sent(&fields),
    };
    let taken = take(&world, &account, arrival);
    Ok(Json(json!({ "id": format!("<{}>", taken.id), "message": "Queued. Thank you." })))
}

fn check_extras(fields: &[Field]) -> Result<(), String> {
    let extra = |field: &&Field| ["o:", "h:", "v:"].iter().any(|prefix| field.name.starts_with(prefix));
    if fields.iter().filter(extra).map(|field| field.name.len() + field.text.len()).sum::<usize>() > EXTRAS {
        return Err("Options, headers and variables must not exceed 16 KB".to_owned());
    }
    if fields.iter().filter(|field| field.name == "o:tag").count() > 3 {
        return Err("o:tag parameter may be given three times".to_owned());
    }
    let one_line = |field: &&Field| field.name == "subject" || field.name.starts_with("h:");
    if fields.iter().filter(one_line).any(|field| !is_line(&field.text)) {
        return Err("headers must not contain line breaks".to_owned());
    }
    Ok(())
}

/// Fields by name, the last of a name; files by what they are.
fn sent(fields: &[Field]) -> Value {
    let mut sent: Map<String, Value> = Map::new();
    for field in fields.iter().filter(|field| field.file.is_none()) {
        sent.insert(field.name.clone(), json!(field.text));
    }
    let files: Vec<_> = fields.iter().filter(|field| field.file.is_some()).collect();
    if !files.is_empty() {
        sent.insert("files".to_owned(), multipart::shown(&files));
    }
    Value::Object(sent)
}

/// What was told, and before that what was accepted. A key that may only send does not look.
async fn events(
    State(world): State<Shared>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers).filter(Account::may_look).ok_or(Refusal::Key)?;
    let domain = account.domain(&name)?.name().to_owned();
    let bad = |name: &str| Refusal::Said(StatusCode::BAD_REQUEST, format!("{name} parameter is invalid"));
    let moment = |name: &str| match query.get(name) {
        None => Ok(None),
        Some(text) => text
            .parse::<f64>()
            .ok()
            .and_then(|seconds| jiff::SignedDuration::try_from_secs_f64(seconds).ok())
            .and_then(|since| Timestamp::from_duration(since).ok())
            .map(Some)
            .ok_or_else(|| bad(name)),
    };
    let (begin, end) = (moment("begin")?, moment("end")?);
    let limit = match query.get("limit") {
        None => 100,
        Some(limit) => limit.parse().ok().filter(|n| (1..=300).contains(n)).ok_or_else(|| bad("limit"))?,
    };
    let room = world.messaging.mail.mailgun.lock();
    let wanted = |mail: &&Mail| {
        mail.id.ends_with(&format!("@{domain}"))
            && query.get("recipient").is_none_or(|to| mail.to.iter().any(|one| bare(one) == Some(to)))
            && begin.is_none_or(|begin| mail.at >= begin)
            && end.is_none_or(|end| mail.at <= end)
    };
    let mut items: Vec<_> = room.taken.iter().filter(wanted).map(accepted).collect();
    if query.get("ascending").is_none_or(|ascending| ascending != "yes") {
        items.reverse();
    }
    items.truncate(limit);
    let here = format!("{}/mailgun/v3/{domain}/events", world.base);
    Ok(Json(
        json!({ "items": items, "paging": { "first": here, "last": here, "next": here, "previous": here } }),
    ))
}

fn accepted(mail: &Mail) -> Value {
    let happening = Happening {
        event: "accepted".to_owned(),
        message: mail.id.clone(),
        mail: Some(mail.clone()),
        at: mail.at,
        with: Map::new(),
    };
    worded("accepted", &happening)
}
