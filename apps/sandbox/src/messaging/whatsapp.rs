//! WhatsApp's cloud API: the part of Meta's Graph that knows numbers and the business accounts they belong to.

mod send;
mod tell;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::texts;
use super::{MASK, Parameters, bearer};
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) const PROVIDER: Provider = texts::beside::<Account>(&ACCOUNTS, tell::control);
const ACCOUNTS: Provider = accounts::provider::<Account>("whatsapp", routes, |status, message| {
    let code = match status.as_u16() {
        401 => 190,
        403 => 200,
        404 => 803,
        429 => 4,
        500.. => 2,
        _ => 100,
    };
    Refusal::new(status, code, message).envelope()
});

/// A token and the business account it was made for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    access_token: String,
    business_account_id: String,
    /// Whether the token lacks the permission to look at anything.
    #[serde(default)]
    restricted: bool,
    #[serde(default)]
    expired: bool,
    #[serde(default)]
    phone_numbers: Vec<Number>,
    #[serde(default = "send::usual_templates")]
    templates: Vec<send::Template>,
    /// The only recipients that a test number may write to; anybody without them.
    #[serde(default)]
    allowed_recipients: Option<Vec<String>>,
}

/// A number of the business.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Number {
    id: String,
    #[serde(rename = "displayPhoneNumber")]
    displayed: String,
    #[serde(default = "usual_name")]
    verified_name: String,
    #[serde(default = "usual_rating")]
    quality_rating: String,
    #[serde(default = "usual_verification")]
    code_verification_status: String,
}

fn usual_name() -> String {
    "Clinic".to_owned()
}

fn usual_rating() -> String {
    "GREEN".to_owned()
}

fn usual_verification() -> String {
    "VERIFIED".to_owned()
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            access_token: "EAAsandbox".to_owned(),
            business_account_id: "102290129340398".to_owned(),
            restricted: false,
            expired: false,
            phone_numbers: vec![Number {
                id: "106540352242922".to_owned(),
                displayed: "+1 500-555-0006".to_owned(),
                verified_name: usual_name(),
                quality_rating: usual_rating(),
                code_verification_status: usual_verification(),
            }],
            templates: send::usual_templates(),
            allowed_recipients: None,
        }
    }

    fn key(&self) -> &str {
        &self.access_token
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        let is_id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id(&self.business_account_id) {
            return Err("businessAccountId: digits");
        }
        if !self.phone_numbers.iter().all(|number| is_id(&number.id)) {
            return Err("phoneNumbers: each id is digits");
        }
        if !self.phone_numbers.iter().all(Number::fits_the_document) {
            return Err(
                "phoneNumbers: qualityRating is GREEN, YELLOW, RED or NA, and codeVerificationStatus \
                        VERIFIED or UNVERIFIED",
            );
        }
        Ok(())
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["accessToken"] = json!(MASK);
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.whatsapp
    }
}

impl Number {
    fn fits_the_document(&self) -> bool {
        ["GREEN", "YELLOW", "RED", "NA"].contains(&self.quality_rating.as_str())
            && ["VERIFIED", "UNVERIFIED"].contains(&self.code_verification_status.as_str())
    }

    /// Everything that can be asked of it.
    fn fields(&self) -> Map<String, Value> {
        let all = [
            ("id", self.id.as_str()),
            ("display_phone_number", &self.displayed),
            ("verified_name", &self.verified_name),
            ("quality_rating", &self.quality_rating),
            ("code_verification_status", &self.code_verification_status),
            ("name_status", "APPROVED"),
            ("status", "LINKED"),
            ("host_platform", "CLOUD_API"),
            ("account_mode", "LIVE"),
            ("messaging_limit_tier", "TIER_250"),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
    }
}

/// What comes without being asked for.
const ALWAYS: &[&str] = &["id", "display_phone_number", "verified_name", "quality_rating"];
/// What a number's own page can show beyond that.
const ON_ITS_PAGE: &[&str] = &["name_status", "code_verification_status"];
/// What a business account's list can show beyond that.
const IN_THE_LIST: &[&str] =
    &["status", "code_verification_status", "host_platform", "account_mode", "messaging_limit_tier"];

fn routes(_: &Shared) -> Router<Shared> {
    let nowhere =
        || async { Refusal::new(StatusCode::BAD_REQUEST, 2500, "Unknown path components").into_response() };
    Router::new()
        .route("/{version}/{id}", get(number))
        .route("/{version}/{id}/messages", post(send::send))
        .route("/{version}/{id}/message_templates", get(send::templates))
        .route("/{version}/{id}/phone_numbers", get(numbers))
        .fallback(nowhere)
        .method_not_allowed_fallback(nowhere)
}

type Answer = Result<Json<Value>, Refusal>;

async fn number(
    State(world): State<Shared>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Answer {
    let account = caller(&world, &headers)?;
    check_path(&version, &id)?;
    let shown = asked_for(&query, ON_ITS_PAGE)?;
    let number = account.phone_numbers.iter().find(|number| number.id == id);
    let number = number.ok_or_else(|| Refusal::missing("Phone number not found"))?;
    account.allows()?;
    Ok(Json(only(number, &shown)))
}

async fn numbers(
    State(world): State<Shared>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    Query(query): Query<Parameters>,
) -> Answer {
    let account = caller(&world, &headers)?;
    check_path(&version, &id)?;
    let mut shown = asked_for(&query, IN_THE_LIST)?;
    // The document promises it in every entry.
    shown.push("status");
    if account.business_account_id != id {
        return Err(Refusal::missing("WhatsApp Business Account not found"));
    }
    account.allows()?;
    let bad = |problem| Refusal::new(StatusCode::BAD_REQUEST, 100, problem);
    let limit = match query.get("limit") {
        None => 25,
        Some(limit) => limit
            .parse()
            .ok()
            .filter(|limit| (1..=100).contains(limit))
            .ok_or_else(|| bad("Param limit must be between 1 and 100"))?,
    };
    let begin = match query.get("after") {
        None => 0,
        Some(after) => {
            1 + account
                .phone_numbers
                .iter()
                .position(|number| cursor(number) == *after)
                .ok_or_else(|| bad("Invalid cursors values"))?
        }
    };
    let rest = &account.phone_numbers[begin..];
    let page = &rest[..rest.len().min(limit)];
    let mut answer = json!({ "data": page.iter().map(|number| only(number, &shown)).collect::<Vec<_>>() });
    if let (Some(first), Some(last)) = (page.first(), page.last()) {
        answer["paging"] = json!({ "cursors": { "before": cursor(first), "after": cursor(last) } });
        if rest.len() > limit {
            let next = format!("{}/whatsapp/{version}/{id}/phone_numbers?after={}", world.base, cursor(last));
            answer["paging"]["next"] = json!(next);
        }
    }
    Ok(Json(answer))
}

fn cursor(number: &Number) -> String {
    STANDARD.encode(&number.id)
}

fn only(number: &Number, shown: &[&str]) -> Value {
    let fields = number.fields().into_iter().filter(|(name, _)| shown.contains(&name.as_str()));
    Value::Object(fields.collect())
}

/// The fields of an answer: those that always come, and those that `fields` names.
fn asked_for(query: &Parameters, more: &'static [&'static str]) -> Result<Vec<&'static str>, Refusal> {
    let mut shown = ALWAYS.to_vec();
    for asked in query.get("fields").iter().flat_map(|fields| fields.split(',')) {
        let known = ALWAYS.iter().chain(more).find(|known| **known == asked.trim());
        let known = known.ok_or_else(|| {
            let problem = format!("(#100) Tried accessing nonexisting field ({asked})");
            Refusal::new(StatusCode::BAD_REQUEST, 100, &problem)
        })?;
        shown.push(known);
    }
    Ok(shown)
}

fn check_path(version: &str, id: &str) -> Result<(), Refusal> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let bad = |problem| Err(Refusal::new(StatusCode::BAD_REQUEST, 100, problem));
    let numbered = version.strip_prefix('v').and_then(|version| version.split_once('.'));
    if !numbered.is_some_and(|(major, minor)| digits(major) && digits(minor)) {
        return bad("Invalid version format. Use format like 'v23.0'");
    }
    if !digits(id) {
        return bad("Invalid phone number ID format. Must be numeric.");
    }
    Ok(())
}

fn caller(world: &World, headers: &HeaderMap) -> Result<Account, Refusal> {
    let unauthorized = |code, message| Refusal::new(StatusCode::UNAUTHORIZED, code, message);
    let token = bearer(headers).filter(|token| !token.is_empty());
    let token =
        token.ok_or_else(|| unauthorized(104, "An access token is required to request this resource"))?;
    match Account::of(world).find(|account| account.access_token == token) {
        None => Err(unauthorized(190, "Invalid OAuth access token")),
        Some(account) if account.expired => Err(Refusal {
            subcode: Some(463),
            ..unauthorized(190, "Error validating access token: Session has expired")
        }),
        Some(account) => Ok(account),
    }
}

impl Account {
    fn allows(&self) -> Result<(), Refusal> {
        if !self.restricted {
            return Ok(());
        }
        let problem = "Requires whatsapp_business_messaging or whatsapp_business_management permission";
        Err(Refusal { subcode: Some(1_349_176), ..Refusal::new(StatusCode::FORBIDDEN, 200, problem) })
    }
}

/// A request that the Graph would not do.
struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: u32,
    subcode: Option<u32>,
    message: String,
    details: Option<String>,
}

impl Refusal {
    fn new(status: StatusCode, code: u32, message: &str) -> Self {
        let is_method = status.is_server_error() || status == StatusCode::NOT_FOUND;
        let kind = if is_method { "GraphMethodException" } else { "OAuthException" };
        Self { status, kind, code, subcode: None, message: message.to_owned(), details: None }
    }

    fn missing(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, 803, message)
    }

    /// With more about what is wrong, as errors of messages have it.
    fn detailed(status: StatusCode, code: u32, message: &str, details: &str) -> Self {
        let message = format!("(#{code}) {message}");
        Self { details: Some(details.to_owned()), ..Self::new(status, code, &message) }
    }

    fn envelope(&self) -> Value {
        let mut error = json!({
            "message": self.message,
            "type": self.kind,
            "code": self.code,
            "fbtrace_id": "AXsgnV2Cm3ZMGF3dF_cfYIn",
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some(details) = &self.details {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS || self.status.is_server_error() {
            error["is_transient"] = json!(true);
        }
        json!({ "error": error })
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.envelope())).into_response()
    }
}
