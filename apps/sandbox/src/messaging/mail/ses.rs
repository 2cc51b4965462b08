//! SES's mails: taken under a recomputed signature, told of through a topic of SNS.

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::address::{bare, domain, is_line, listed};
use super::tell::{Happening, Request, Signing, Webhook, Wording};
use super::{Arrival, BODY, Carrier, Mail, Room, sns, take};
use crate::clock::iso;
use crate::control::{Body, Unwilling, bad};
use crate::held::Held;
use crate::messaging::Parameters;
use crate::messaging::accounts::Account as _;
use crate::messaging::ses::{Account, Refusal, caller, error_body};
use crate::messaging::sigv4;
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider = Provider { control, ..MAILS };
const MAILS: Provider = super::provider::<Account>(crate::messaging::ses::routes, error_body);

/// The most recipients.
const RECIPIENTS: usize = 50;
/// The largest mail.
const LARGEST: usize = 40 * 1024 * 1024;

impl Carrier for Account {
    const NAME: &'static str = "ses";
    /// At once three times, then more slowly.
    const SCHEDULE: &'static [u64] = &[0, 0, 0, 1, 1, 5, 20, 20, 20, 20];

    fn room(world: &World) -> &Held<Room> {
        &world.messaging.mail.ses
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhook.as_ref()
    }

    fn want(&mut self, webhook: Webhook) {
        self.webhook = Some(webhook);
    }

    fn course(mail: &Mail) -> Vec<&'static str> {
        // Without a configuration set nobody is told of anything.
        if mail.sent["ConfigurationSetName"].is_null() {
            return Vec::new();
        }
        match super::tester(mail, "simulator.amazonses.com") {
            Some("bounce" | "suppressionlist") => vec!["Send", "Bounce"],
            Some("complaint") => vec!["Send", "Delivery", "Complaint"],
            _ => vec!["Send", "Delivery"],
        }
    }

    fn word(&self, world: &World, happenings: &[Happening]) -> Vec<Wording> {
        let one = |happening: &Happening| Wording {
            id: world.ids.uuid().to_string(),
            subject: happening.message.clone(),
            kind: happening.event.clone(),
            body: worded(world, happening),
        };
        happenings.iter().map(one).collect()
    }

    fn sign(&self, world: &World, wording: &Wording, signing: Signing) -> Request {
        let topic =
            self.webhook.as_ref().and_then(|webhook| webhook.topic_arn.as_deref()).unwrap_or_default();
        let message = match &wording.body {
            // The first message of a topic, in plain words.
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        sns::notification(world, topic, &wording.id, &message, signing)
    }

    fn stops(status: u16) -> bool {
        (400..500).contains(&status) && status != 429
    }
}

fn worded(world: &World, happening: &Happening) -> Value {
    let (event, more) = happening.parts();
    let at = iso(happening.at);
    let references = happening.references();
    let tags: serde_json::Map<_, _> = references
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), json!([value])))
        .collect();
    let mut fields = json!({
        "eventType": event,
        "mail": {
            "timestamp": happening.mail.as_ref().map_or_else(|| at.clone(), |mail| iso(mail.at)),
            "messageId": happening.message,
            "source": happening.from(),
            "destination": [happening.recipient()],
            "headersTruncated": false,
            "commonHeaders": { "subject": happening.subject() },
            "tags": tags,
        },
    });
    let feedback = format!("0102{}-{}-000000", world.ids.hex(12), world.ids.uuid());
    match event {
        "Bounce" => {
            fields["bounce"] = json!({
                "bounceType": more.unwrap_or("Permanent"), "bounceSubType": "General", "timestamp": at,
                "feedbackId": feedback,
                "bouncedRecipients": [{ "emailAddress": happening.recipient(), "status": "5.1.1", "diagnosticCode": "smtp; 550 5.1.1 user unknown" }],
            });
        }
        "Complaint" => {
            fields["complaint"] = json!({
                "complainedRecipients": [{ "emailAddress": happening.recipient() }], "timestamp": at,
                "feedbackId": feedback, "complaintFeedbackType": "abuse",
            });
        }
        "Delivery" => {
            fields["delivery"] =
                json!({ "timestamp": at, "recipients": [happening.recipient()], "smtpResponse": "250 ok" });
        }
        "Reject" => fields["reject"] = json!({ "reason": "Bad content" }),
        "Subscription" => {
            fields["subscription"] = json!({
                "contactList": "everybody", "timestamp": at, "source": "UnsubscribeHeader",
                "newTopicPreferences": { "unsubscribeAll": more != Some("back") },
            });
        }
        _ => {}
    }
    happening.over(fields)
}

fn control() -> Router<Shared> {
    (MAILS.control)().route("/subscribe", post(subscribe))
}

/// Asks the product to confirm that it wants to hear of the topic.
async fn subscribe(State(world): State<Shared>, body: Body<Value>) -> Result<Json<Value>, Unwilling> {
    let Json(asked) = body.map_err(|rejection| bad(rejection.body_text()))?;
    let wanted = asked["account"].as_str();
    let fits =
        |account: &Account| wanted.map_or_else(|| account.webhook.is_some(), |key| account.key() == key);
    let account =
        Account::of(&world).find(fits).ok_or_else(|| bad("account: there is none with a `webhook`"))?;
    let webhook = account.webhook.ok_or_else(|| bad("account: it has no `webhook`"))?;
    let request = sns::confirmation(&world, webhook.topic_arn.as_deref().unwrap_or_default());
    let post = request
        .headers
        .iter()
        .fold(world.http.post(&webhook.url), |post, (name, value)| post.header(name, value));
    let answer = post.body(request.body).send().await.map_err(|error| bad(error.to_string()))?;
    Ok(Json(json!({ "status": answer.status().as_u16() })))
}

pub(in crate::messaging) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v2/email/outbound-emails", post(send))
        .route("/sns/{certificate}", get(certificate))
        .route("/sns/", get(confirm))
        .layer(DefaultBodyLimit::max(BODY))
}

/// The certificate that the topics' messages name.
async fn certificate(State(world): State<Shared>, Path(name): Path<String>) -> Response {
    match sns::certificate(&world, &name) {
        Some(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Where a subscription is confirmed; the journal shows that it was.
async fn confirm(Query(query): Query<Parameters>) -> (StatusCode, String) {
    let has = |name: &str| query.get(name).is_some_and(|value| !value.is_empty());
    if query.get("Action").is_some_and(|action| action == "ConfirmSubscription")
        && has("TopicArn")
        && has("Token")
    {
        let topic = &query["TopicArn"];
        let answer = format!(
            "<ConfirmSubscriptionResponse><ConfirmSubscriptionResult><SubscriptionArn>{topic}:1</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        );
        return (StatusCode::OK, answer);
    }
    (StatusCode::BAD_REQUEST, "<ErrorResponse/>".to_owned())
}

async fn send(
    State(world): State<Shared>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let request = sigv4::Request {
        method: "POST",
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let account = caller(&world, &request)?;
    let refused = |kind, message: &str| Refusal::new(StatusCode::BAD_REQUEST, kind, message);
    if body.len() > LARGEST {
        return Err(refused("BadRequestException", "The message is too large."));
    }
    let mail: Value = serde_json::from_slice(&body)
        .map_err(|_| refused("SerializationException", "The body cannot be read."))?;
    if !account.sending_enabled {
        return Err(refused("SendingPausedException", "Email sending is disabled for this account."));
    }
    check(&mail).map_err(|problem| refused("BadRequestException", problem))?;
    if let Some(set) = mail["ConfigurationSetName"].as_str()
        && !account.configuration_sets.iter().any(|known| known == set)
    {
        let message = format!("Configuration set <{set}> does not exist.");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NotFoundException", &message));
    }
    let from = mail["FromEmailAddress"].as_str().unwrap_or_default();
    let to: Vec<String> = listed(&mail["Destination"]["ToAddresses"])
        .iter()
        .filter_map(|one| Some(one.as_str()?.to_owned()))
        .collect();
    let is_verified = |address: &str| account.may_send_from(&domain(address));
    // In Amazon's own sandbox, recipients have to be verified as well.
    let in_sandbox =
        |address: &&String| !is_verified(address) && domain(address) != "simulator.amazonses.com";
    let unverified = if is_verified(from) {
        to.iter().find(|address| !account.production_access && in_sandbox(address)).map(String::as_str)
    } else {
        Some(from)
    };
    if let Some(address) = unverified {
        let message = format!(
            "Email address is not verified. The following identities failed the check in region {}: {address}",
            account.region.as_deref().unwrap_or("us-east-1").to_uppercase()
        );
        return Err(refused("MessageRejected", &message));
    }
    let tags = listed(&mail["EmailTags"]);
    let reference = tags.iter().find(|tag| tag["Name"] == "message_id");
    let id = format!("0102{}-{}-000000", world.ids.hex(12), world.ids.uuid());
    let arrival = Arrival {
        id,
        from: from.to_owned(),
        to,
        subject: mail["Content"]["Simple"]["Subject"]["Data"].as_str().unwrap_or_default().to_owned(),
        reference: reference.and_then(|tag| tag["Value"].as_str().map(str::to_owned)),
        sent: mail,
    };
    let taken = take(&world, &account, arrival);
    Ok(Json(json!({ "MessageId": taken.id })))
}

fn check(mail: &Value) -> Result<(), &'static str> {
    let from = mail["FromEmailAddress"].as_str().ok_or("FromEmailAddress is required.")?;
    if !from.is_ascii() || !is_line(from) {
        return Err("Local address contains control or whitespace");
    }
    if bare(from).is_none() {
        return Err("Missing final '@domain'");
    }
    let kinds = ["ToAddresses", "CcAddresses", "BccAddresses"];
    let recipients: Vec<_> = kinds.iter().flat_map(|kind| listed(&mail["Destination"][kind])).collect();
    if recipients.is_empty() || recipients.len() > RECIPIENTS {
        return Err("Recipient count must be between 1 and 50.");
    }
    if !recipients.iter().all(|one| one.as_str().and_then(bare).is_some()) {
        return Err("Missing final '@domain'");
    }
    let content = &mail["Content"];
    let given = ["Simple", "Raw", "Template"].into_iter().filter(|kind| content[kind].is_object()).count();
    if given != 1 {
        return Err("Exactly one of Simple, Raw and Template has to be specified.");
    }
    if content["Simple"].is_object() {
        check_simple(&content["Simple"])?;
    } else if content["Raw"].is_object() {
        content["Raw"]["Data"]
            .as_str()
            .and_then(|data| STANDARD.decode(data).ok())
            .ok_or("Raw.Data must be base64.")?;
    }
    let is_word = |text: &Value| {
        text.as_str().is_some_and(|text| {
            (1..=256).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
    };
    if !listed(&mail["EmailTags"]).iter().all(|tag| is_word(&tag["Name"]) && is_word(&tag["Value"])) {
        return Err("Tags may hold letters, digits, underscores and dashes, at most 256.");
    }
    Ok(())
}

fn check_simple(simple: &Value) -> Result<(), &'static str> {
    let subject = simple["Subject"]["Data"].as_str().ok_or("Subject is required.")?;
    if !is_line(subject) {
        return Err("Subject must not contain line breaks.");
    }
    let has = |part: &str| simple["Body"][part]["Data"].is_string();
    if !has("Text") && !has("Html") {
        return Err("Body is required.");
    }
    for one in listed(&simple["Attachments"]) {
        let is_content = one["RawContent"].as_str().is_some_and(|content| STANDARD.decode(content).is_ok());
        let disposition =
            one["ContentDisposition"].as_str().is_none_or(|d| matches!(d, "ATTACHMENT" | "INLINE"));
        if !is_content || !disposition || one["FileName"].as_str().is_none_or(str::is_empty) {
            return Err("Attachments need FileName and RawContent.");
        }
    }
    Ok(())
}
