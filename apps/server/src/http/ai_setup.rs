//! An organization's line from the verification to the end: setting it up, looking at it, trying again, taking it down
//! (`spec/07-provisioning.md`). Operators and machines verify; an organization's owners look after their own line.

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::{OrgScope, ids::OrgId};
use voxanne_provisioning::setup::{CleanUpError, ForwardingPhone, RetryError};
use voxanne_tenancy::{Decision, Organization, Role};

use crate::{
    app::App,
    http::{
        admin::review_problem,
        ai_setup_bodies::{AiStatusBody, CleanedUpBody, SetupWishBody, VerifiedBody, VerifyOrganizationBody},
        approval::{self, Manner},
        extract::Id,
        json::{Body, MaybeBody, Query},
        layers::{RequestId, within_request},
        organizations::settings_problem,
        principal::{Platform, Principal},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(verify))
        .routes(routes!(ai_status))
        .routes(routes!(retry_ai_setup))
        .routes(routes!(clean_up_ai_setup))
}

/// Whether the client waits.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "described here, read from the headers")]
pub(super) struct PreferHeader {
    /// `respond-async`: answers 202 at once; the setup goes on. Other preferences may stand beside it.
    #[param(rename = "Prefer")]
    prefer: Option<String>,
}

/// Whether phones that forward their calls to the number stand in the way.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CleanUpQuery {
    /// Takes the line down even if they do; false unless given.
    force: Option<bool>,
}

/// Takes a verification's outcome: lets an organization in, has its line set up and waits for it, or turns it down.
///
/// After 30 seconds, or with `Prefer: respond-async`, the answer is 202 and the setup goes on. Verifying again joins a
/// setup under way, begins one that failed anew, and shows one that is done. For operators and machines.
#[utoipa::path(post, path = "/api/organizations/{id}/verify", tag = "onboarding",
    params(("id" = Uuid, Path), PreferHeader), request_body = VerifyOrganizationBody,
    security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, body = VerifiedBody),
        (status = 202, body = VerifiedBody, description = "The setup goes on; `Location` tells how far it is."),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "A verified organization cannot be rejected."),
        (status = 422, body = ProblemBody, description = "`no_numbers_available`, with `nearbyAreaCodes`."),
        (status = 502, body = ProblemBody, description = "`ai_setup_failed`, with `failedStep`; the organization is verified.")))]
async fn verify(
    State(app): State<App>,
    Platform(reviewer): Platform,
    Id(org): Id<OrgId>,
    headers: HeaderMap,
    Body(body): Body<VerifyOrganizationBody>,
) -> Result<Response, Problem> {
    match body.status.as_str() {
        "verified" => approval::approve(&app, reviewer, org, body.wish()?, Manner::preferred(&headers)).await,
        "rejected" => {
            body.wish()?;
            let rejected = app.tenancy.review.decide(reviewer, org, Decision::Reject).await;
            let rejected = rejected.map_err(review_problem)?;
            Ok(Json(VerifiedBody::rejected(&rejected)).into_response())
        }
        _ => Err(Problem::invalid("status", "must be verified or rejected")),
    }
}

/// How far an organization's setup is, step by step.
#[utoipa::path(get, path = "/api/organizations/{id}/ai-status", tag = "onboarding",
    params(("id" = Uuid, Path)), security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, body = AiStatusBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
async fn ai_status(
    State(app): State<App>,
    principal: Principal,
    Id(org): Id<OrgId>,
) -> Result<Json<AiStatusBody>, Problem> {
    let scope = principal.entering(&app, org, Role::Owner).await?;
    let organization = organization(&app, &principal, &scope).await?;
    let setup = app.setup.show.run(&scope).await?;
    Ok(Json(AiStatusBody::of(organization, setup.as_ref())))
}

/// Tries a setup again that failed, and waits for it like the verification. What is left out of the body stays as it was
/// wanted before. One that is under way goes on at once.
#[utoipa::path(post, path = "/api/organizations/{id}/retry-ai-setup", tag = "onboarding",
    params(("id" = Uuid, Path), PreferHeader), request_body = Option<SetupWishBody>,
    security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, body = VerifiedBody), (status = 202, body = VerifiedBody),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "`ai_setup_complete`"),
        (status = 422, body = ProblemBody), (status = 502, body = ProblemBody)))]
async fn retry_ai_setup(
    State(app): State<App>,
    principal: Principal,
    Id(org): Id<OrgId>,
    headers: HeaderMap,
    MaybeBody(body): MaybeBody<SetupWishBody>,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    let scope = principal.entering(&app, org, Role::Owner).await?;
    let wish = body.filter(|body| !body.is_empty()).map(SetupWishBody::read).transpose()?;
    let organization = organization(&app, &principal, &scope).await?;
    let started = app.setup.retry.run(&scope, wish).await.map_err(retry_problem)?;
    let manner = Manner::preferred(&headers);
    approval::outcome(&app, &scope, &organization, started, (manner, begun)).await
}

/// Takes the line down: its number and every other that was bought for the organization, both assistants, and what we
/// keep of them. What is gone already counts as done; what a provider does not do now is gone on with, and `success` is
/// false until then. Asking again tells how far it is.
#[utoipa::path(delete, path = "/api/organizations/{id}/ai-setup", tag = "onboarding",
    params(("id" = Uuid, Path), CleanUpQuery), security(("access_token" = []), ("api_key" = [])),
    responses((status = 200, body = CleanedUpBody), (status = 403, body = ProblemBody),
        (status = 404, body = ProblemBody, description = "`no_ai_setup`: there never was one."),
        (status = 409, body = ProblemBody,
            description = "`number_in_use_by_forwarding`: phones still forward their calls to a number; `?force=true` overrides.")))]
async fn clean_up_ai_setup(
    State(app): State<App>,
    principal: Principal,
    Id(org): Id<OrgId>,
    Extension(RequestId(request)): Extension<RequestId>,
    Query(query): Query<CleanUpQuery>,
) -> Result<Json<CleanedUpBody>, Problem> {
    let scope = principal.entering(&app, org, Role::Owner).await?;
    organization(&app, &principal, &scope).await?;
    let (clean_up, force) = (app.setup.clean_up.clone(), query.force.unwrap_or(false));
    // It goes on even if this client hangs up.
    let work = async move { if force { clean_up.forced(&scope).await } else { clean_up.run(&scope).await } };
    let results = tokio::spawn(within_request(request, work).in_current_span()).await;
    let results = results.map_err(Problem::internal)?.map_err(clean_up_problem)?;
    Ok(Json(results.into()))
}

async fn organization(app: &App, principal: &Principal, scope: &OrgScope) -> Result<Organization, Problem> {
    match principal {
        Principal::Member(_) => app.tenancy.settings.show(scope).await.map_err(settings_problem),
        Principal::Platform(Platform(reviewer)) => {
            app.tenancy.review.show(*reviewer, scope.org()).await.map_err(review_problem)
        }
    }
}

fn retry_problem(error: RetryError) -> Problem {
    match error {
        RetryError::AlreadyComplete => Problem::conflict(
            "ai_setup_complete",
            "The line is set up already. There is nothing to try again.",
        ),
        RetryError::NotVerified => approval::not_verified(),
        RetryError::Suspended => approval::suspended(),
        RetryError::Store(error) => error.into(),
    }
}

fn clean_up_problem(error: CleanUpError) -> Problem {
    match error {
        CleanUpError::InUse(phones) => {
            let message = "Calls of your phone are still forwarded to this number and would reach a stranger. \
                           Dial the codes that end the forwarding, or take the line down with ?force=true.";
            let codes: Vec<&String> = phones.iter().flat_map(|phone| &phone.erase).collect();
            let codes = json!(codes);
            Problem::conflict("number_in_use_by_forwarding", message)
                .detail("eraseCodes", codes)
                .detail("forwardings", phones.iter().map(shown_phone).collect::<Vec<_>>())
        }
        CleanUpError::NoSetup => {
            let message = "This organization has no line that was set up.";
            Problem::new(StatusCode::NOT_FOUND, "no_ai_setup", message)
        }
        error @ CleanUpError::Unknown(_) => {
            let message =
                "We cannot find out right now whether phones forward their calls to the number. Try again.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message)
                .retry_after(10)
                .because(error)
        }
        CleanUpError::Store(error) => error.into(),
    }
}

fn shown_phone(phone: &ForwardingPhone) -> Value {
    json!({ "simPhoneNumber": phone.number.as_str(), "eraseCodes": phone.erase })
}
