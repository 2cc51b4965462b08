//! Vapi's messages: `POST /api/vapi/webhook` and `POST /api/vapi/tools`, handled alike (spec/04, webhooks).
//!
//! In this order: whom is it for, did that organization's line send it, what does it say. Until the second question is
//! answered nothing but the routing ids is read; whatever is refused is counted and changes nothing.

use axum::{
    body::Bytes,
    extract::{Extension, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Json, Response},
};
use serde_json::{Value, json};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_calls::{Happened, Received, Stage};
use voxanne_kernel::OrgScope;
use voxanne_vapi::webhook::{self, Authenticity, Message, Parsed, Rejected, answer};

use crate::{
    app::App,
    http::{
        json::Raw,
        layers::RequestOwner,
        problem::{Problem, ProblemBody},
    },
    wiring::voice::Attribution,
};

/// Bodies larger than this are read on another thread: finding identifiers in a long transcript takes a while.
const LONG_BODY: usize = 64 * 1024;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(receive)).routes(routes!(receive_tools))
}

/// Takes any server message of Vapi.
///
/// Signed with the secret of the organization that the call's assistant or number belongs to: HMAC-SHA256 in
/// hexadecimal over `{timestamp}.{body}`, in `x-vapi-signature` beside `x-vapi-timestamp`.
#[utoipa::path(
    post, path = "/api/vapi/webhook", tag = "webhooks", security(()),
    request_body(content = Object, description = "A server message: `{\"message\": {…}}`."),
    responses(
        (status = 200, description = "Taken; messages that want an answer get it here.", body = Object),
        (status = 400, description = "Not JSON, or `Cannot resolve organization`.", body = ProblemBody),
        (status = 401, description = "`Invalid signature`.", body = ProblemBody),
    )
)]
async fn receive(
    State(app): State<App>,
    Extension(owner): Extension<RequestOwner>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    handle(&app, &owner, &headers, body).await
}

/// Takes tool calls; the same as the other address.
#[utoipa::path(
    post, path = "/api/vapi/tools", tag = "webhooks", security(()),
    request_body(content = Object, description = "A server message: `{\"message\": {…}}`."),
    responses(
        (status = 200, description = "`{\"results\": [{\"name\", \"toolCallId\", \"result\"}]}`", body = Object),
        (status = 400, description = "Not JSON, or `Cannot resolve organization`.", body = ProblemBody),
        (status = 401, description = "`Invalid signature`.", body = ProblemBody),
    )
)]
async fn receive_tools(
    State(app): State<App>,
    Extension(owner): Extension<RequestOwner>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Response, Problem> {
    handle(&app, &owner, &headers, body).await
}

async fn handle(
    app: &App,
    owner: &RequestOwner,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let malformed = |_| {
        rejected("malformed");
        Problem::bad_request("malformed_json", "The body must be a JSON object.")
    };
    let routing = webhook::routing(&body).map_err(malformed)?;
    let Some(attribution) = app.voice.attribute(&routing).await? else {
        rejected("unresolved");
        return Err(Problem::bad_request("organization_unresolved", "Cannot resolve organization"));
    };
    let scope = verified(app, &attribution, headers, &body).await?;
    owner.is(scope.org());

    let parsed = read(app, body).await.map_err(malformed)?;
    respond(app, scope, &attribution, parsed).await
}

/// The scope of the organization whose secret fits.
async fn verified(
    app: &App,
    attribution: &Attribution,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<OrgScope, Problem> {
    let mut verdict = verdict(app, attribution, headers, body).await?;
    if verdict == Err(Rejected::Wrong) && app.voice.forget_secrets(attribution).await {
        verdict = self::verdict(app, attribution, headers, body).await?;
    }
    match verdict {
        Ok(authenticity) => {
            if authenticity == Authenticity::SharedSecret {
                metrics::counter!("voxanne_webhook_shared_secret_total", "provider" => "vapi").increment(1);
            }
            Ok(attribution.vouched())
        }
        Err(why) => {
            rejected(why.as_str());
            Err(Problem::unauthenticated("invalid_signature", "Invalid signature"))
        }
    }
}

async fn verdict(
    app: &App,
    attribution: &Attribution,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Result<Authenticity, Rejected>, Problem> {
    let now = app.base.clock.now();
    let secrets = app.voice.secrets(attribution).await?;
    let accepted = secrets.iter().flat_map(|secrets| secrets.accepted_at(now));
    Ok(webhook::verify(headers, body, accepted, attribution.allows_shared_secret, now))
}

async fn read(app: &App, body: Bytes) -> Result<Parsed, webhook::NotJson> {
    let now = app.base.clock.now();
    if body.len() < LONG_BODY {
        return webhook::parse(&body, now);
    }
    tokio::task::spawn_blocking(move || webhook::parse(&body, now)).await.unwrap_or(Err(webhook::NotJson))
}

async fn respond(
    app: &App,
    scope: OrgScope,
    attribution: &Attribution,
    parsed: Parsed,
) -> Result<Response, Problem> {
    let voice = &app.voice;
    let context = parsed.context(scope, attribution.suspended);
    let caller = parsed.caller.as_ref();
    Ok(match parsed.message {
        Message::ToolCalls(calls) => said(answer::tool_results(&voice.tools.run(&context, calls).await)),
        Message::FunctionCall(call) => {
            let answers = voice.tools.run(&context, call.into_iter().collect()).await;
            said(answer::function_result(answers.first()))
        }
        Message::AssistantRequest if attribution.suspended => said(answer::refusal(UNAVAILABLE)),
        Message::AssistantRequest => match voice.assistant_for(&scope, caller).await? {
            Some((assistant, variables)) => said(answer::assistant(&assistant, &variables)),
            None => said(answer::refusal(UNAVAILABLE)),
        },
        Message::TransferRequest => match voice.transfer_to(&scope).await? {
            Some(number) => said(answer::transfer(&number)),
            None => said(answer::refusal("Nobody can take this call right now.")),
        },
        Message::Call(event) => {
            let began = matches!(event.what, Happened::StageReached { stage: Stage::InProgress });
            if voice.receive.run(&scope, *event).await? == Received::Duplicate {
                rejected("duplicate");
            } else if let (true, Some(control)) = (began, parsed.control_url) {
                voice.greet_later(scope, control, parsed.caller);
            }
            taken()
        }
        Message::Other => taken(),
    })
}

/// What a caller hears when the organization's line is not served.
const UNAVAILABLE: &str = "This line is not available right now. Please try again later.";

fn said(body: Value) -> Response {
    Json(body).into_response()
}

fn taken() -> Response {
    (StatusCode::OK, Json(json!({}))).into_response()
}

/// Counts a message that changed nothing, with the reason.
fn rejected(reason: &'static str) {
    metrics::counter!("voxanne_webhook_rejected_total", "provider" => "vapi", "reason" => reason)
        .increment(1);
}
