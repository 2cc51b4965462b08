//! Amazon's Simple Email Service, version 2.

use axum::body::Bytes;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::accounts::{self, Account as _, Accounts};
use super::mail::{self, Webhook};
use super::sigv4::{Request, Signed};
use super::{DOMAIN, MASK, header};
use crate::world::{Shared, World};

/// The body of an error of this status.
pub(super) fn error_body(_: StatusCode, message: &str) -> Value {
    json!({ "message": message })
}

/// How far a request's time may be from ours, in seconds.
const SKEW: i64 = 5 * 60;

/// A key and the account it belongs to.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Account {
    access_key_id: String,
    secret_access_key: String,
    /// Where the account is; every region without it.
    #[serde(default)]
    pub(super) region: Option<String>,
    /// Whether the key may only send.
    #[serde(default)]
    restricted: bool,
    #[serde(default = "yes")]
    pub(super) sending_enabled: bool,
    /// Whether it is out of Amazon's own sandbox.
    #[serde(default = "yes")]
    pub(super) production_access: bool,
    /// The domains that mails may come from.
    #[serde(default = "usual_domains")]
    domains: Vec<String>,
    #[serde(default = "usual_sets")]
    pub(super) configuration_sets: Vec<String>,
    /// It has a topic, and no secret.
    #[serde(default)]
    pub(super) webhook: Option<Webhook>,
}

fn usual_domains() -> Vec<String> {
    vec![DOMAIN.to_owned()]
}

fn usual_sets() -> Vec<String> {
    vec!["voxanne".to_owned()]
}

const fn yes() -> bool {
    true
}

impl accounts::Account for Account {
    fn well_known() -> Self {
        Self {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            region: None,
            restricted: false,
            sending_enabled: true,
            production_access: true,
            domains: usual_domains(),
            configuration_sets: usual_sets(),
            webhook: None,
        }
    }

    fn key(&self) -> &str {
        &self.access_key_id
    }

    fn admit(&mut self, _: &World) -> Result<(), &'static str> {
        if self.secret_access_key.is_empty() {
            return Err("secretAccessKey: must not be empty");
        }
        match &self.webhook {
            Some(webhook) if webhook.topic_arn.is_none() => Err("webhook.topicArn: is missing"),
            _ => Ok(()),
        }
    }

    fn shown(&self) -> Value {
        let mut shown = json!(self);
        shown["secretAccessKey"] = json!(MASK);
        shown["webhook"] = Webhook::shown(self.webhook.as_ref());
        shown
    }

    fn of(world: &World) -> &Accounts<Self> {
        &world.messaging.ses
    }
}

impl Account {
    /// Whether mails may come from this domain.
    pub(super) fn may_send_from(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known.eq_ignore_ascii_case(domain))
    }
}

pub(super) fn routes(_: &Shared) -> Router<Shared> {
    let unknown = || async { Refusal::new(StatusCode::NOT_FOUND, "UnknownOperationException", "") };
    Router::new()
        .route("/v2/email/account", get(account))
        .merge(mail::ses::routes())
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
}

async fn account(
    State(world): State<Shared>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, Refusal> {
    let request = Request {
        method: method.as_str(),
        path: uri.path(),
        query: uri.query().unwrap_or_default(),
        headers: &headers,
        body: &body,
    };
    let account = caller(&world, &request)?;
    if account.restricted {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "AccessDeniedException",
            "User is not authorized to perform: ses:GetAccount",
        ));
    }
    let (day, second) = if account.production_access { (50_000.0, 14.0) } else { (200.0, 1.0) };
    Ok(Json(json!({
        "DedicatedIpAutoWarmupEnabled": false,
        "EnforcementStatus": if account.sending_enabled { "HEALTHY" } else { "SHUTDOWN" },
        "ProductionAccessEnabled": account.production_access,
        "SendQuota": { "Max24HourSend": day, "MaxSendRate": second, "SentLast24Hours": 0.0 },
        "SendingEnabled": account.sending_enabled,
    })))
}

/// The account whose key signed the request.
pub(super) fn caller(world: &World, request: &Request<'_>) -> Result<Account, Refusal> {
    let forbidden = |kind, message| Refusal::new(StatusCode::FORBIDDEN, kind, message);
    let Some(authorization) = header(request.headers, "authorization") else {
        return Err(forbidden("MissingAuthenticationTokenException", "Missing Authentication Token"));
    };
    let signed = Signed::read(authorization, request.headers).ok_or_else(|| {
        Refusal::new(
            StatusCode::BAD_REQUEST,
            "IncompleteSignatureException",
            "Authorization header is not a complete signature.",
        )
    })?;
    let account = Account::of(world).find(|account| account.access_key_id == signed.access_key_id);
    let account = account.ok_or_else(|| {
        forbidden("UnrecognizedClientException", "The security token included in the request is invalid.")
    })?;
    let bad = |message| forbidden("InvalidSignatureException", message);
    if signed.service != "ses" {
        return Err(bad("Credential should be scoped to correct service: 'ses'."));
    }
    if account.region.as_ref().is_some_and(|region| region != signed.region) {
        return Err(bad("Credential should be scoped to a valid region."));
    }
    let ahead = signed.at.as_second() - world.clock.now().as_second();
    if ahead < -SKEW {
        return Err(bad("Signature expired: it is too long ago"));
    }
    if ahead > SKEW {
        return Err(bad("Signature not yet current: it is in the future"));
    }
    if signed.signature != signed.expected(&account.secret_access_key, request) {
        return Err(bad(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
        ));
    }
    Ok(account)
}

/// A request that SES would not do: its name and what it says.
pub(super) struct Refusal(StatusCode, &'static str, String);

impl Refusal {
    pub(super) fn new(status: StatusCode, kind: &'static str, message: &str) -> Self {
        Self(status, kind, message.to_owned())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, [("x-amzn-errortype", self.1)], Json(json!({ "message": self.2 }))).into_response()
    }
}
