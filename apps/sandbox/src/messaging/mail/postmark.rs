//! Postmark's mails: taken, told of one by one under a secret of the account's choice, and found by recipient or
//! metadata. Every refusal has a code; in a batch the request is a success whatever becomes of its mails.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::address::{bare, domain, is_line};
use super::tell::{Happening, Request, Signature, Signing, Webhook, Wording};
use super::{Arrival, BODY, Carrier, Mail, Room, take};
use crate::clock::iso;
use crate::held::Held;
use crate::messaging::postmark::{Account, Refusal, caller, error_body};
use crate::messaging::{Parameters, header};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider =
    super::provider::<Account>(crate::messaging::postmark::routes, error_body);

/// The largest mail, and the largest of its two bodies.
const LARGEST: usize = 10 * 1024 * 1024;
const BODY_TEXT: usize = 5 * 1024 * 1024;
/// The most mails in one request, and their size together.
const BATCH: usize = 500;
const BATCH_SIZE: usize = 50 * 1024 * 1024;
/// The most recipients.
const RECIPIENTS: usize = 50;
/// Extensions of files that are not carried.
const FORBIDDEN: &[&str] = &["exe", "bat", "cmd", "com", "js", "vbs", "scr", "msi"];

impl Carrier for Account {
    const NAME: &'static str = "postmark";
    const SCHEDULE: &'static [u64] = &[60, 300, 600, 600, 600, 900, 1_800, 3_600, 7_200, 21_600];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.postmark
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn want(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    fn course(mail: &Mail) -> Vec<&'static str> {
        match super::tester(mail, "bounce-testing.postmarkapp.com") {
            Some("hardbounce") => vec!["Bounce:HardBounce"],
            Some("softbounce") => vec!["Bounce:SoftBounce"],
            Some("blocked") => vec!["Bounce:Blocked"],
            Some("spamnotification") => vec!["Delivery", "SpamComplaint"],
            _ => vec!["Delivery"],
        }
    }

    fn word(&self, world: &World, happenings: &[Happening]) -> Vec<Wording> {
        let one = |happening: &Happening| Wording {
            id: world.ids.below(u32::MAX).to_string(),
            subject: happening.message.clone(),
            kind: happening.event.clone(),
            body: worded(world, happening),
        };
        happenings.iter().map(one).collect()
    }

    /// Nothing is signed: a secret is presented.
    fn sign(&self, _: &World, wording: &Wording, signing: Signing) -> Request {
        let request = Request::json(&wording.body);
        let Some(webhook) = &self.webhook else { return request };
        let secret = match signing.signature {
            Signature::Missing => return request,
            Signature::Forged => "somebody else's",
            Signature::Valid => webhook.secret(),
        };
        match &webhook.header {
            Some(name) => request.with(name, secret),
            None => request
                .with("authorization", format!("Basic {}", STANDARD.encode(format!("voxanne:{secret}")))),
        }
    }

    fn stops(status: u16) -> bool {
        status == 403
    }
}

fn worded(world: &World, happening: &Happening) -> Value {
    let (event, more) = happening.parts();
    let at = iso(happening.at);
    let mut fields = json!({
        "RecordType": event,
        "MessageID": happening.message,
        "ServerID": 1,
        "MessageStream": "outbound",
        "Tag": "",
        "Metadata": happening.references(),
    });
    let id = world.ids.below(u32::MAX);
    let more = match event {
        "Delivery" => {
            json!({ "Recipient": happening.recipient(), "DeliveredAt": at, "Details": "Test delivery" })
        }
        "Bounce" | "SpamComplaint" => {
            let kind = if event == "SpamComplaint" { "SpamComplaint" } else { more.unwrap_or("HardBounce") };
            json!({
                "ID": id, "Type": kind, "TypeCode": code_of(kind), "Name": kind, "Email": happening.recipient(),
                "From": happening.from(), "Subject": happening.subject(), "BouncedAt": at, "DumpAvailable": false,
                "Inactive": matches!(kind, "HardBounce" | "SpamComplaint" | "BadEmailAddress"),
                "CanActivate": true, "Description": "", "Details": "smtp;550 5.1.1",
            })
        }
        "SubscriptionChange" => json!({
            "Recipient": happening.recipient(), "ChangedAt": at, "Origin": "Recipient",
            "SuppressSending": more != Some("reactivated"),
            "SuppressionReason": if more == Some("reactivated") { Value::Null } else { json!("ManualSuppression") },
        }),
        "Open" | "Click" => json!({ "Recipient": happening.recipient(), "ReceivedAt": at }),
        _ => json!({}),
    };
    fields
        .as_object_mut()
        .into_iter()
        .for_each(|fields| fields.extend(more.as_object().cloned().unwrap_or_default()));
    happening.over(fields)
}

fn code_of(kind: &str) -> u32 {
    match kind {
        "HardBounce" => 1,
        "Transient" => 2,
        "Unsubscribe" => 16,
        "AutoResponder" => 64,
        "DnsError" => 256,
        "SpamNotification" => 512,
        "SoftBounce" => 4_096,
        "BadEmailAddress" => 100_000,
        "SpamComplaint" => 100_001,
        "ManuallyDeactivated" => 100_002,
        "Blocked" => 100_006,
        _ => 4_000,
    }
}

pub(in crate::messaging) fn routes() -> Router<Shared> {
    Router::new()
        .route("/email", post(send))
        .route("/email/batch", post(send_batch))
        .route("/messages/outbound", get(search))
        .layer(DefaultBodyLimit::max(BODY))
}

async fn send(State(world): State<Shared>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers)?;
    let mail = parsed(&headers, &bytes, LARGEST * 2)?;
    accept(&world, &account, &mail).map(Json)
}

async fn send_batch(
    State(world): State<Shared>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers)?;
    let batch = parsed(&headers, &bytes, BATCH_SIZE)?;
    let mails =
        batch.as_array().ok_or_else(|| Refusal::code(403, "The body must be an array of messages."))?;
    if mails.len() > BATCH {
        return Err(Refusal::code(410, "The batch is limited to 500 messages."));
    }
    let outcome = |mail| accept(&world, &account, mail).unwrap_or_else(|refusal| refusal.body());
    Ok(Json(mails.iter().map(outcome).collect()))
}

fn parsed(headers: &HeaderMap, bytes: &[u8], largest: usize) -> Result<Value, Refusal> {
    let is_json = |name: &str| header(headers, name).is_some_and(|kind| kind.contains("application/json"));
    if !is_json("content-type") || !is_json("accept") {
        return Err(Refusal::code(
            409,
            "Your HTTP request does not have the Accept and Content-Type headers set to application/json.",
        ));
    }
    if bytes.len() > largest {
        return Err(Refusal::Status(
            StatusCode::PAYLOAD_TOO_LARGE,
            300,
            "The payload is too large.".to_owned(),
        ));
    }
    serde_json::from_slice(bytes).map_err(|_| Refusal::code(402, "Invalid JSON."))
}

/// What is said of a mail that was taken; it may have lost recipients.
fn accept(world: &Shared, account: &Account, mail: &Value) -> Result<Value, Refusal> {
    let fields = mail.as_object().ok_or_else(|| Refusal::code(403, "Incompatible JSON."))?;
    let dropped = check(fields, account)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let to = text("To");
    let kept: Vec<String> = addresses(&to).filter(|one| !dropped.contains(one)).collect();
    let said = if dropped.is_empty() {
        "OK".to_owned()
    } else {
        format!("Message OK, but will not deliver to these inactive addresses: {}.", dropped.join(", "))
    };
    let id = world.ids.uuid().to_string();
    // The token for tests is told that it sent, and did not.
    if !account.is_for_tests() {
        take(
            world,
            account,
            Arrival {
                id: id.clone(),
                from: text("From"),
                to: kept,
                subject: text("Subject"),
                reference: mail["Metadata"]["message_id"].as_str().map(str::to_owned),
                sent: mail.clone(),
            },
        );
    }
    Ok(json!({
        "To": to,
        "SubmittedAt": iso(world.clock.now()),
        "MessageID": id,
        "ErrorCode": 0,
        "Message": said,
    }))
}

fn addresses(list: &str) -> impl Iterator<Item = String> {
    list.split(',').filter_map(|one| bare(one.trim()).map(str::to_lowercase))
}

/// Refuses what the service refuses; gives the recipients that it drops.
fn check(mail: &Map<String, Value>, account: &Account) -> Result<Vec<String>, Refusal> {
    let text = |name: &str| mail.get(name).and_then(Value::as_str).unwrap_or_default();
    let wrong = |message: String| Err(Refusal::code(300, &message));
    if account.out_of_credits {
        return Err(Refusal::code(405, "Not allowed to send: your account has run out of credits."));
    }
    let from = text("From");
    if bare(from).is_none() {
        return wrong(format!("Invalid 'From' address: '{from}'."));
    }
    if !account.may_send_from(&domain(from)) {
        return Err(Refusal::code(
            400,
            "The 'From' address you supplied is not a Sender Signature on your account. Please add and confirm this address in order to be able to use it in the 'From' field of your messages.",
        ));
    }
    let to = text("To");
    let given: Vec<_> = to.split(',').map(str::trim).filter(|one| !one.is_empty()).collect();
    if given.is_empty() {
        return wrong("Zero recipients specified".to_owned());
    }
    if let Some(bad) = given.iter().find(|one| bare(one).is_none()) {
        return wrong(format!("Error parsing 'To': Illegal email address '{bad}'."));
    }
    if given.len() > RECIPIENTS {
        return wrong("Too many recipients: 50 is the most.".to_owned());
    }
    if text("TextBody").is_empty() && text("HtmlBody").is_empty() {
        return wrong("Provide either email TextBody or HtmlBody or both.".to_owned());
    }
    if text("TextBody").len() > BODY_TEXT || text("HtmlBody").len() > BODY_TEXT {
        return wrong("The body is too long.".to_owned());
    }
    if !is_line(text("Subject")) {
        return wrong("Invalid 'Subject': it must not contain line breaks.".to_owned());
    }
    if account.pending && given.iter().any(|one| domain(one) != domain(from)) {
        return Err(Refusal::code(
            412,
            "While your account is pending approval, all recipient addresses must share the same domain as the 'From' address.",
        ));
    }
    check_metadata(mail.get("Metadata"))?;
    check_attachments(mail.get("Attachments"))?;
    let inactive: Vec<String> = addresses(to).filter(|one| account.inactive.contains(one)).collect();
    if inactive.len() == given.len() {
        let message = format!(
            "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: {}. Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual suppression.",
            inactive.join(", ")
        );
        return Err(Refusal::code(406, &message));
    }
    Ok(inactive)
}

fn check_metadata(metadata: Option<&Value>) -> Result<(), Refusal> {
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_null()) else { return Ok(()) };
    let fits = |(name, value): (&String, &Value)| {
        name.len() <= 20 && value.as_str().is_some_and(|value| value.len() <= 80)
    };
    match metadata.as_object() {
        Some(fields) if fields.len() <= 10 && fields.iter().all(fits) => Ok(()),
        _ => Err(Refusal::code(300, "Invalid 'Metadata': at most 10 fields of 20 and 80 characters.")),
    }
}

fn check_attachments(attachments: Option<&Value>) -> Result<(), Refusal> {
    let mut size = 0;
    for one in attachments.and_then(Value::as_array).into_iter().flatten() {
        let name = one["Name"].as_str().unwrap_or_default();
        let content = one["Content"].as_str().and_then(|content| STANDARD.decode(content).ok());
        let Some(content) = content.filter(|_| !name.is_empty() && one["ContentType"].is_string()) else {
            return Err(Refusal::code(
                300,
                "Invalid attachment: 'Name', 'Content' and 'ContentType' are needed.",
            ));
        };
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        if extension.is_some_and(|extension| FORBIDDEN.contains(&extension.as_str())) {
            return Err(Refusal::code(411, "Forbidden file extension."));
        }
        size += content.len();
    }
    if size > LARGEST { Err(Refusal::code(300, "The message is too large.")) } else { Ok(()) }
}

/// By recipient and by metadata.
async fn search(
    State(world): State<Shared>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Result<Json<Value>, Refusal> {
    let account = caller(&world, &headers)?;
    let number = |name: &str| query.get(name).and_then(|text| text.parse::<usize>().ok());
    let (Some(count), Some(offset)) = (number("count").filter(|n| (1..=500).contains(n)), number("offset"))
    else {
        return Err(Refusal::code(300, "The 'count' and 'offset' parameters are required."));
    };
    let wanted = |mail: &&Mail| {
        let described =
            query.iter().filter_map(|(name, value)| Some((name.strip_prefix("metadata_")?, value)));
        let mut described = described.map(|(name, value)| mail.sent["Metadata"][name] == json!(value));
        mail.account == crate::messaging::accounts::Account::key(&account)
            && query.get("recipient").is_none_or(|to| mail.to.iter().any(|one| one.eq_ignore_ascii_case(to)))
            && described.all(|fits| fits)
    };
    let room = world.messaging.mail.postmark.lock();
    let found: Vec<_> = room.taken.iter().rev().filter(wanted).collect();
    let page: Vec<_> = found.iter().skip(offset).take(count).map(|mail| listed(mail)).collect();
    Ok(Json(json!({ "TotalCount": found.len(), "Messages": page })))
}

fn listed(mail: &Mail) -> Value {
    let to: Vec<_> = mail.to.iter().map(|to| json!({ "Email": to, "Name": null })).collect();
    json!({
        "Tag": "", "MessageID": mail.id, "MessageStream": "outbound", "To": to, "Cc": [], "Bcc": [],
        "Recipients": mail.to, "ReceivedAt": mail.at.to_string(), "From": mail.from, "Subject": mail.subject,
        "Attachments": [], "Status": "Sent", "TrackOpens": false, "TrackLinks": "None",
        "Metadata": mail.sent["Metadata"], "Sandboxed": false,
    })
}
