//! `POST /webhooks/organization-approved`: another system of the platform has let an organization in.
//!
//! Signed the Standard Webhooks way with `APPROVAL_WEBHOOK_SECRET`; until the signature fits nothing is read. A message
//! that comes again under the same id gets its first answer again, and does nothing.

use axum::{
    extract::{Extension, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::ids::OrgId;
use voxanne_provisioning::setup::SetupWish;
use voxanne_tenancy::review::Reviewer;

use super::standard::Keys;
use crate::{
    app::App,
    http::{
        admin::review_problem,
        ai_setup_bodies::{SetupWishBody, VerifiedBody},
        approval::{Manner, admit},
        idempotency::{Once, Replayed, fingerprint, once},
        json::{Raw, parse},
        layers::{RequestId, RequestOwner},
        problem::{Problem, ProblemBody},
    },
};

const PATH: &str = "/webhooks/organization-approved";

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(organization_approved))
}

/// An approval. What its sender adds to it later does not stop it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ApprovalMessage {
    organization_id: Uuid,
    /// Whatever the sender keeps of the approval; `countryCode`, `areaCode` and `allowFallback` in it say which line is
    /// wanted.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    approval_data: Option<serde_json::Map<String, Value>>,
}

/// Lets an organization in and has its line set up. One that an operator suspended stays so.
///
/// Signed with HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`, in `webhook-signature` (Standard Webhooks).
/// Answers like `POST /api/organizations/{id}/verify`; the same message again gets the first answer again.
#[utoipa::path(
    post, path = "/webhooks/organization-approved", tag = "webhooks", security(()),
    request_body = ApprovalMessage,
    responses(
        (status = 200, body = VerifiedBody),
        (status = 202, body = VerifiedBody, description = "Taken; the setup goes on."),
        (status = 400, body = ProblemBody),
        (status = 401, description = "`Invalid signature`.", body = ProblemBody),
        (status = 404, description = "There is no such organization.", body = ProblemBody),
        (status = 409, description = "The organization is suspended, which only an operator ends (`wrong_status`); the id \
            was used for another message, or its first delivery is still worked on.", body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 502, body = ProblemBody),
        (status = 503, description = "No secret is configured (`not_configured`).", body = ProblemBody),
    )
)]
async fn organization_approved(
    State(app): State<App>,
    Extension(owner): Extension<RequestOwner>,
    Extension(RequestId(request)): Extension<RequestId>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    let id = authentic(&app, &headers, &body)?;
    let message: ApprovalMessage = parse(&body)?;
    let wish = wish(message.approval_data.as_ref())?;
    let org = OrgId(message.organization_id);
    app.tenancy.review.show(Reviewer::Machine, org).await.map_err(review_problem)?;
    owner.is(org);

    let manner = Manner::preferred(&headers);
    let delivery = Once {
        scope: Reviewer::Machine.entering(org),
        // No client can send this in a header, so nobody can take it for a request of theirs.
        key: format!("approval \u{2709} {id}"),
        fingerprint: fingerprint("POST", PATH, &body),
        request,
        is_final: carried_out,
    };
    let work = {
        let app = app.clone();
        |_| async move { admit(&app, org, wish, manner).await.into_response() }
    };
    let response = once(&app, delivery, work).await?;
    if response.extensions().get::<Replayed>().is_some() {
        rejected("duplicate");
    }
    Ok(response)
}

/// The message's id, once its signature was found to fit.
fn authentic(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<String, Problem> {
    let Some(secret) = &app.base.settings.http.approval_secret else {
        let message = "Approvals by message are not configured on this platform.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message));
    };
    match Keys::of(secret).verify(headers, body, app.base.clock.now()) {
        Ok(id) => Ok(id.to_owned()),
        Err(why) => {
            rejected(why.as_str());
            Err(Problem::unauthenticated("invalid_signature", "Invalid signature"))
        }
    }
}

/// What the approval says about the line. Everything else in it is its sender's own business.
fn wish(data: Option<&serde_json::Map<String, Value>>) -> Result<SetupWish, Problem> {
    let given = |name: &str| data.and_then(|data| data.get(name)).filter(|value| !value.is_null());
    let text = |name: &str| match given(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::invalid(format!("approvalData.{name}"), "must be a text")),
    };
    let allow_fallback = match given("allowFallback") {
        None => None,
        Some(Value::Bool(allowed)) => Some(*allowed),
        Some(_) => return Err(Problem::invalid("approvalData.allowFallback", "must be true or false")),
    };
    SetupWishBody { country_code: text("countryCode")?, area_code: text("areaCode")?, allow_fallback }.read()
}

/// Whether the approval was carried out, however its setup ended: the same message does not begin it again.
fn carried_out(response: &Response) -> bool {
    let refused = response.extensions().get::<Problem>().map(Problem::code);
    response.status().is_success() || matches!(refused, Some("ai_setup_failed" | "no_numbers_available"))
}

/// Counts a message that changed nothing, with the reason.
fn rejected(reason: &'static str) {
    metrics::counter!("voxanne_webhook_rejected_total", "provider" => "approval", "reason" => reason)
        .increment(1);
}
