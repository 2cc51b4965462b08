//! What is done with a call or a contact: sharing a recording, exporting a transcript, following up, calling back.

use axum::{
    Json,
    extract::{Extension, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_calls::{
    FollowUpError, FollowUpText, NotSent,
    call_back::{CallBackError, LineRefusal},
    sharing::{Share, ShareError},
};
use voxanne_kernel::{
    EmailAddress, Timestamp,
    ids::{CallId, ContactId, RecordingShareId},
};

use super::{messaging::limit_reached, recordings::not_ready};
use crate::{
    app::App,
    http::{
        extract::{Caller, Id, Ids, Member},
        json::Body,
        layers::{RequestId, within_request},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(share))
        .routes(routes!(shares))
        .routes(routes!(revoke))
        .routes(routes!(export))
        .routes(routes!(follow_up))
        .routes(routes!(call_back))
}

/// With whom to share.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ShareBody {
    #[schema(example = "colleague@clinic.example")]
    email: String,
}

/// A link is on its way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SharedBody {
    success: bool,
    email: String,
    /// By which it can be taken back.
    #[serde(rename = "shareId")]
    share_id: Uuid,
    /// Until when it opens.
    #[serde(rename = "expiresAt")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// E-mails a link to the call's recording, which opens it for 24 hours.
#[utoipa::path(post, path = "/api/calls-dashboard/{callId}/share", tag = "calls",
    params(("callId" = Uuid, Path)), request_body = ShareBody,
    responses((status = 200, body = SharedBody), (status = 402, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, description = "The recording is not completed, or the recipient has opted out.", body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
async fn share(
    State(app): State<App>,
    caller: Member,
    Id(id): Id<CallId>,
    Body(body): Body<ShareBody>,
) -> Result<Json<SharedBody>, Problem> {
    let email = EmailAddress::new(&body.email).map_err(|rule| Problem::invalid("email", rule.to_string()))?;
    let shared = app.call_actions.share.run(&caller.scope, id, email).await.map_err(share_problem)?;
    Ok(Json(SharedBody {
        success: true,
        email: shared.email.into(),
        share_id: shared.id.0,
        expires_at: shared.expires_at,
    }))
}

/// A link that was given to somebody.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShareRowBody {
    id: Uuid,
    /// The e-mail it was sent in.
    message_id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<Share> for ShareRowBody {
    fn from(share: Share) -> Self {
        let Share { id, message, created_at, expires_at, revoked_at, .. } = share;
        Self { id: id.0, message_id: message.0, created_at, expires_at, revoked_at }
    }
}

/// Links to a recording.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ShareRowsBody {
    /// Newest first, at most a hundred.
    data: Vec<ShareRowBody>,
}

/// Lists the links to a call's recording.
#[utoipa::path(get, path = "/api/calls-dashboard/{callId}/shares", tag = "calls",
    params(("callId" = Uuid, Path)),
    responses((status = 200, body = ShareRowsBody), (status = 404, body = ProblemBody)))]
async fn shares(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CallId>,
) -> Result<Json<ShareRowsBody>, Problem> {
    let shares = app.call_actions.share.list(&caller.scope, id).await.map_err(share_problem)?;
    Ok(Json(ShareRowsBody { data: shares.into_iter().map(Into::into).collect() }))
}

/// Takes a link back, at once and for good.
#[utoipa::path(delete, path = "/api/calls-dashboard/{callId}/shares/{shareId}", tag = "calls",
    params(("callId" = Uuid, Path), ("shareId" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn revoke(
    State(app): State<App>,
    caller: Member,
    Ids(call, share): Ids<CallId, RecordingShareId>,
) -> Result<StatusCode, Problem> {
    app.call_actions.share.revoke(&caller.scope, call, share).await.map_err(share_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

fn share_problem(error: ShareError) -> Problem {
    match error {
        ShareError::NotFound => Problem::not_found(),
        ShareError::NotReady => not_ready(),
        ShareError::NotSent(NotSent::NotConfigured) => {
            Problem::unprocessable("no_provider", "Nobody is set up who could send the e-mail.")
        }
        ShareError::NotSent(why) => not_sent(why),
        ShareError::Store(error) => error.into(),
    }
}

/// In which form.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ExportBody {
    /// `txt`.
    #[schema(example = "txt")]
    format: String,
}

/// Gives the call's transcript as a file, with speaker and time on each line.
#[utoipa::path(post, path = "/api/calls-dashboard/{callId}/transcript/export", tag = "calls",
    params(("callId" = Uuid, Path)), request_body = ExportBody,
    responses((status = 200, description = "An attachment.", body = String, content_type = "text/plain"),
        (status = 404, description = "There is no such call, or nothing was said in it.", body = ProblemBody)))]
async fn export(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CallId>,
    Body(body): Body<ExportBody>,
) -> Result<Response, Problem> {
    if body.format != "txt" {
        return Err(Problem::invalid("format", "must be txt"));
    }
    let file = app.call_actions.export.run(&caller.scope, id).await?.ok_or_else(Problem::not_found)?;
    let disposition = format!("attachment; filename=\"{}\"", file.name);
    let disposition = HeaderValue::from_str(&disposition).map_err(Problem::internal)?;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], file.text)
        .into_response())
}

/// What to write.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct FollowUpBody {
    /// 1 to 160 characters.
    #[schema(example = "Thanks for calling. Reply to this text to book.", min_length = 1, max_length = 160)]
    message: String,
}

/// A text message is on its way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct FollowedUpBody {
    success: bool,
    message_id: Uuid,
    phone: String,
}

/// Sends a text message to the other side of a call.
#[utoipa::path(post, path = "/api/calls-dashboard/{callId}/followup", tag = "calls",
    params(("callId" = Uuid, Path)), request_body = FollowUpBody,
    responses((status = 200, body = FollowedUpBody),
        (status = 400, description = "The message is not valid, or `Twilio not configured`.", body = ProblemBody),
        (status = 402, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, description = "The recipient has opted out.", body = ProblemBody),
        (status = 422, description = "The call has no phone number.", body = ProblemBody),
        (status = 429, description = "One message an hour for each contact.", body = ProblemBody)))]
async fn follow_up(
    State(app): State<App>,
    caller: Member,
    Id(id): Id<CallId>,
    Body(body): Body<FollowUpBody>,
) -> Result<Json<FollowedUpBody>, Problem> {
    let text =
        FollowUpText::new(&body.message).map_err(|rule| Problem::invalid("message", rule.to_string()))?;
    let sent =
        app.call_actions.follow_up.run(&caller.scope, id, &text).await.map_err(|error| match error {
            FollowUpError::NotFound => Problem::not_found(),
            FollowUpError::NoPhone => Problem::unprocessable("no_phone", "The call has no phone number."),
            FollowUpError::NotSent(NotSent::NotConfigured) => {
                Problem::bad_request("twilio_not_configured", "Twilio not configured")
            }
            FollowUpError::NotSent(why) => not_sent(why),
            FollowUpError::Store(error) => error.into(),
        })?;
    Ok(Json(FollowedUpBody { success: true, message_id: sent.message.0, phone: sent.phone.into() }))
}

/// Why something was not sent, as everywhere.
pub(super) fn not_sent(why: NotSent) -> Problem {
    match why {
        NotSent::NotConfigured => {
            Problem::unprocessable("no_provider", "Nobody is set up who could send this.")
        }
        NotSent::OptedOut => {
            Problem::conflict("recipient_opted_out", "The recipient has opted out of messages.")
        }
        NotSent::TooMany { limit, after } => limit_reached(limit, after),
        NotSent::NoCredit => Problem::new(
            StatusCode::PAYMENT_REQUIRED,
            "insufficient_credits",
            "There is not enough credit to send this.",
        ),
        NotSent::NotVerified => not_verified(),
        NotSent::Suspended => suspended(),
        NotSent::Invalid { field, rule } => Problem::invalid(field, rule),
        NotSent::Store(error) => error.into(),
    }
}

fn not_verified() -> Problem {
    let message = "The organization has to be verified before it can send or call.";
    Problem::forbidden("organization_not_verified", message)
}

fn suspended() -> Problem {
    Problem::forbidden("organization_suspended", "The organization is suspended.")
}

/// A call is being placed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct CalledBackBody {
    call_id: Uuid,
    vapi_call_id: String,
    phone: String,
    /// `initiated`.
    status: &'static str,
}

/// Calls a contact with the organization's outbound assistant: once, however often it is asked for within a minute.
#[utoipa::path(post, path = "/api/contacts/{id}/call-back", tag = "contacts", params(("id" = Uuid, Path)),
    responses((status = 200, body = CalledBackBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody),
        (status = 409, description = "The contact has opted out, or nothing is set up to call with.", body = ProblemBody),
        (status = 429, description = "The organization has its share of the lines.", body = ProblemBody),
        (status = 502, description = "`call_failed`: the call was not placed.", body = ProblemBody),
        (status = 503, description = "`lines_busy`: all lines are in use.", body = ProblemBody)))]
async fn call_back(
    State(app): State<App>,
    caller: Member,
    Extension(RequestId(request)): Extension<RequestId>,
    Id(id): Id<ContactId>,
) -> Result<Json<CalledBackBody>, Problem> {
    let (scope, call_back) = (caller.scope, app.call_actions.call_back.clone());
    // It goes on even if this client hangs up.
    let work = async move { call_back.run(&scope, id).await };
    let outcome = tokio::spawn(within_request(request, work).in_current_span()).await;
    let called = outcome.map_err(Problem::internal)?.map_err(call_back_problem)?;
    Ok(Json(CalledBackBody {
        call_id: called.call.0,
        vapi_call_id: called.provider.as_str().to_owned(),
        phone: called.phone.into(),
        status: "initiated",
    }))
}

fn call_back_problem(error: CallBackError) -> Problem {
    let wait = LineRefusal::RETRY_AFTER.as_secs();
    match error {
        CallBackError::NotFound => Problem::not_found(),
        CallBackError::NotVerified => not_verified(),
        CallBackError::Suspended => suspended(),
        CallBackError::OptedOut => Problem::conflict("recipient_opted_out", "The contact has opted out."),
        CallBackError::NotSetUp(what) => {
            let message = format!("The organization has no {what} for outbound calls yet.");
            Problem::conflict("outbound_not_set_up", message).detail(what, "is not set up")
        }
        CallBackError::NoLine(LineRefusal::AllBusy) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "lines_busy",
            "All lines for outbound calls are in use. Please try again in a moment.",
        )
        .retry_after(wait),
        CallBackError::NoLine(LineRefusal::ShareUsed) => Problem::too_many_requests(
            "line_share_used",
            "The organization uses its share of the lines, and others are waiting.",
            wait,
        ),
        CallBackError::Failed(cause) => {
            failed("The call could not be placed. Nobody was called; please try again.", cause)
        }
        CallBackError::Unclear(cause) => failed(
            "Whether the call was placed is not known yet. Look at the list of calls before trying again.",
            cause,
        ),
        CallBackError::Store(error) => error.into(),
    }
}

/// 502; the provider's words go to the log only (decision D12).
fn failed(message: &'static str, cause: Option<voxanne_kernel::ProviderError>) -> Problem {
    let problem = Problem::new(StatusCode::BAD_GATEWAY, "call_failed", message);
    match cause {
        Some(cause) => problem.because(cause),
        None => problem,
    }
}
