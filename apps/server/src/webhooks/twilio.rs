//! Twilio's callbacks: `POST /webhooks/twilio/caller-id/{token}`, what came of a verification call.
//!
//! The token leads to an organization and to the account that has to have signed; the form's `AccountSid` must name the
//! same one (decision D18). The signed address is our configured one, whatever a proxy says. Until the signature fits
//! nothing else is read, and whatever is refused is counted and changes nothing.

use axum::{
    extract::{Extension, Path, State},
    http::{HeaderMap, StatusCode},
};
use url::form_urlencoded;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_telephony::{
    AccountError,
    hybrid::{CalledBack, Outcome},
};
use voxanne_twilio::signature::{self, Payload};

use crate::{
    app::App,
    http::{
        json::Raw,
        layers::RequestOwner,
        problem::{Problem, ProblemBody},
    },
    wiring::hybrid::Hybrid,
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(caller_id))
}

/// Takes Twilio's word about a verification call.
///
/// Signed with the auth token of the account that the call was made from, in `X-Twilio-Signature`.
#[utoipa::path(
    post, path = "/webhooks/twilio/caller-id/{token}", tag = "webhooks", security(()),
    params(("token" = String, Path, description = "Names the verification.")),
    request_body(content = Object, content_type = "application/x-www-form-urlencoded",
        description = "`VerificationStatus`, `OutgoingCallerIdSid`, `CallSid`, `To`, `AccountSid`, …"),
    responses(
        (status = 204, description = "Taken, or it was about nothing that is still open."),
        (status = 403, description = "Not Twilio's, or not about this verification.", body = ProblemBody),
    )
)]
async fn caller_id(
    State(app): State<App>,
    Extension(owner): Extension<RequestOwner>,
    Path(token): Path<String>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<StatusCode, Problem> {
    let form: Vec<(String, String)> = form_urlencoded::parse(&body).into_owned().collect();
    let Some(named) = named(&app, &token).await? else { return Err(rejected("unresolved")) };
    if value(&form, "AccountSid") != named.account {
        return Err(rejected("account"));
    }
    let scope = Hybrid::scope_of(&named);
    let signer = app.hybrid.verify.signer(&scope, &named).await.map_err(|error| match error {
        AccountError::Store(error) => error.into(),
        error @ AccountError::Unreadable(_) => Problem::internal(error),
    })?;
    let Some(account) = signer else { return Err(rejected("account")) };
    let given = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let url = format!("{}/{token}", app.hybrid.callbacks);
    if !signature::is_valid(&account.token, given, &url, Payload::Form(&form)) {
        return Err(rejected("signature"));
    }
    owner.is(scope.org());
    let Some(outcome) = outcome(&form) else { return Ok(StatusCode::NO_CONTENT) };
    let word = CalledBack {
        token,
        number: value(&form, "To").to_owned(),
        call: value(&form, "CallSid").to_owned(),
        outcome,
    };
    if !app.hybrid.verify.called_back(&scope, named.id, &word).await? {
        count("duplicate");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The verification of this token; what cannot be one is not looked for.
async fn named(app: &App, token: &str) -> Result<Option<voxanne_telephony::hybrid::ports::Named>, Problem> {
    if token.len() != 64 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(None);
    }
    Ok(app.hybrid.verify.named_by(token).await?)
}

fn value<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    form.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
}

/// What the form says came of the call; nothing when it says something else.
fn outcome(form: &[(String, String)]) -> Option<Outcome> {
    match value(form, "VerificationStatus") {
        "success" => {
            let sid = value(form, "OutgoingCallerIdSid");
            let digits = sid.strip_prefix("PN")?;
            let is_sid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_sid.then(|| Outcome::Verified { sid: sid.to_owned() })
        }
        "failed" => Some(Outcome::Failed),
        _ => None,
    }
}

fn rejected(reason: &'static str) -> Problem {
    count(reason);
    Problem::forbidden("invalid_signature", "Invalid signature")
}

/// Counts a message that changed nothing, with the reason.
fn count(reason: &'static str) {
    metrics::counter!("voxanne_webhook_rejected_total", "provider" => "twilio", "reason" => reason)
        .increment(1);
}
