//! Forwarding the calls of the organization's own phones.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::ids::{CallerIdId, ForwardingConfigId};
use voxanne_telephony::hybrid::{ForwardingConfig, Plan, TestOutcome};

use super::{
    caller_ids::{DoneBody, to_dial},
    forwarding_bodies::{ConfigBody, PlanBody, SetUpBody},
    problems::{confirm_problem, set_up_problem, test_problem},
};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id},
        json::{Body, Query},
        problem::{Problem, ProblemBody},
    },
};

/// The route that waits for a test call, and how long it may take: as long as a call may take to arrive, and a moment
/// for the requests to the provider.
pub const TEST: (&str, Duration) =
    ("/api/telephony/forwarding-config/{id}/test", Duration::from_secs(PATIENCE.as_secs() + 20));
/// How long a request waits for a test call to arrive: until nothing more can be heard of it.
const PATIENCE: Duration = Duration::from_secs(64);
/// How often it is looked at meanwhile.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(of, set_up))
        .routes(routes!(preview))
        .routes(routes!(confirm))
        .routes(routes!(test))
        .routes(routes!(disable))
}

/// Whose forwarding.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct OfQuery {
    /// The number.
    verified_caller_id: Uuid,
}

/// A forwarding.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct OneConfigBody {
    success: bool,
    config: ConfigBody,
}

impl OneConfigBody {
    fn new(config: &ForwardingConfig, plan: Plan) -> Self {
        Self { success: true, config: ConfigBody::new(config, plan) }
    }
}

/// What would have to be dialled.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PreviewBody {
    success: bool,
    config: PlanBody,
}

/// A forwarding whose codes were dialled.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmForwardingBody {
    forwarding_config_id: Uuid,
}

/// It is active.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ForwardingConfirmedBody {
    success: bool,
    message: &'static str,
    #[schema(example = "active")]
    status: &'static str,
}

/// How a test call went.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct TestCallBody {
    /// Whether it reached the organization's number.
    success: bool,
    /// `reached`, `not_reached` or `pending`.
    #[schema(example = "reached")]
    status: &'static str,
    /// Whether it reached the organization's number; null as long as it may.
    reached: Option<bool>,
    /// Whether the forwarding is proved.
    verified_by_test_call: bool,
    message: &'static str,
}

fn planned(config: &ForwardingConfig) -> Result<Plan, Problem> {
    config.plan().map_err(|error| set_up_problem(error.into()))
}

/// The forwarding of a number.
#[utoipa::path(get, path = "/api/telephony/forwarding-config", tag = "telephony", params(OfQuery),
    responses((status = 200, body = OneConfigBody), (status = 404, body = ProblemBody)))]
async fn of(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<OfQuery>,
) -> Result<Json<OneConfigBody>, Problem> {
    let caller_id = CallerIdId(query.verified_caller_id);
    let config = app.hybrid.forward.of(&caller.scope, caller_id).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(OneConfigBody::new(&config, planned(&config)?)))
}

/// Keeps a forwarding and says what to dial for it. Calls go to the organization's own active number. One that is not
/// active is replaced.
#[utoipa::path(post, path = "/api/telephony/forwarding-config", tag = "telephony", request_body = SetUpBody,
    responses((status = 201, body = OneConfigBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn set_up(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<SetUpBody>,
) -> Result<(StatusCode, Json<OneConfigBody>), Problem> {
    let set_up = app.hybrid.forward.set_up(&caller.scope, body.into_setup()?).await;
    let (config, plan) = set_up.map_err(set_up_problem)?;
    Ok((StatusCode::CREATED, Json(OneConfigBody::new(&config, plan))))
}

/// Says what would have to be dialled, and keeps nothing.
#[utoipa::path(post, path = "/api/telephony/forwarding-config/preview", tag = "telephony", request_body = SetUpBody,
    responses((status = 200, body = PreviewBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn preview(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<SetUpBody>,
) -> Result<Json<PreviewBody>, Problem> {
    let planned = app.hybrid.forward.preview(&caller.scope, &body.into_setup()?).await;
    let (plan, to) = planned.map_err(set_up_problem)?;
    Ok(Json(PreviewBody { success: true, config: PlanBody::new(plan, &to) }))
}

/// Takes the caller's word that the codes were dialled. A test call is the proof.
#[utoipa::path(post, path = "/api/telephony/forwarding-config/confirm", tag = "telephony",
    request_body = ConfirmForwardingBody,
    responses((status = 200, body = ForwardingConfirmedBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody)))]
async fn confirm(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<ConfirmForwardingBody>,
) -> Result<Json<ForwardingConfirmedBody>, Problem> {
    let id = ForwardingConfigId(body.forwarding_config_id);
    let config = app.hybrid.forward.confirm(&caller.scope, id).await.map_err(confirm_problem)?;
    Ok(Json(ForwardingConfirmedBody {
        success: true,
        message: "The forwarding is active. Make the test call to be sure.",
        status: config.state.as_str(),
    }))
}

/// Calls the phone and waits for the call to reach the organization's number, which it has 60 seconds for: 200 with what
/// came of it. 202 with `pending` from a server that is being stopped; ask again to hear of the same call.
#[utoipa::path(post, path = "/api/telephony/forwarding-config/{id}/test", tag = "telephony",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = TestCallBody), (status = 202, body = TestCallBody),
        (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn test(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<ForwardingConfigId>,
) -> Result<Response, Problem> {
    let tests = &app.hybrid.test;
    let mut outcome = tests.run(&caller.scope, id).await.map_err(test_problem)?;
    let mut waited = Duration::ZERO;
    while matches!(outcome, TestOutcome::Pending { .. }) && waited < PATIENCE {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = app.base.stopping.cancelled() => break,
        }
        waited += LOOK;
        outcome = tests.look(&caller.scope, id).await.map_err(test_problem)?;
    }
    Ok(told(outcome))
}

fn told(outcome: TestOutcome) -> Response {
    let (status, reached, message) = match outcome {
        TestOutcome::Reached { .. } => {
            ("reached", Some(true), "The test call reached the assistant: calls are forwarded.")
        }
        TestOutcome::NotReached => (
            "not_reached",
            Some(false),
            "The test call did not reach the assistant within 60 seconds. Dial the codes again, or check the carrier.",
        ),
        TestOutcome::Pending { .. } => {
            ("pending", None, "The test call is still on its way. Ask again in a moment.")
        }
    };
    let proved = reached == Some(true);
    let body = TestCallBody { success: proved, status, reached, verified_by_test_call: proved, message };
    if reached.is_some() {
        return Json(body).into_response();
    }
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Takes a forwarding back, and says what to dial so that the network does too.
#[utoipa::path(delete, path = "/api/telephony/forwarding-config/{configId}", tag = "telephony",
    params(("configId" = Uuid, Path)), responses((status = 200, body = DoneBody)))]
async fn disable(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<ForwardingConfigId>,
) -> Result<Json<DoneBody>, Problem> {
    let config = app.hybrid.forward.disable(&caller.scope, id).await?.ok_or_else(Problem::not_found)?;
    let codes = planned(&config)?.erase_codes();
    let message = format!("The forwarding is disabled. Calls still go there until you {}", to_dial(&codes));
    Ok(Json(DoneBody { success: true, message }))
}
