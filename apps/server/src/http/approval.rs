//! Letting an organization in, and waiting for its line: what every way to approve has in common.
//!
//! The approval and the job that sets the line up are recorded first, as one; everything after that only looks. So a
//! client that goes away changes nothing, and one that asks again joins what is under way.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use voxanne_kernel::{OrgScope, ids::OrgId};
use voxanne_provisioning::setup::{
    Failure, SetUpOrganization, Setup, SetupStatus, SetupWish, StartError, Started,
};
use voxanne_tenancy::{Organization, review::Reviewer};

use crate::{
    app::App,
    http::{admin::review_problem, ai_setup_bodies::VerifiedBody, prefer, problem::Problem},
};

/// How long a setup is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long until the first look, and the longest between two.
const LOOKS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// Whether somebody waits for the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Until it is there, for [`PATIENCE`] at most.
    Wait,
    /// They asked not to.
    Later,
}

impl Manner {
    /// What the request's headers ask for.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        if prefer::responds_async(headers) { Self::Later } else { Self::Wait }
    }
}

/// Lets an organization in, has its line set up, and waits for it.
pub(crate) async fn approve(
    app: &App,
    reviewer: Reviewer,
    org: OrgId,
    wish: SetupWish,
    manner: Manner,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    let job = SetUpOrganization::wishing(org, wish.clone());
    let organization = app.tenancy.review.approve(reviewer, org, job).await.map_err(review_problem)?;
    set_up(app, reviewer, &organization, wish, (manner, begun)).await
}

/// The same on another system's word: a suspended organization stays so.
pub(crate) async fn admit(
    app: &App,
    org: OrgId,
    wish: SetupWish,
    manner: Manner,
) -> Result<Response, Problem> {
    let begun = Instant::now();
    let (reviewer, job) = (Reviewer::Machine, SetUpOrganization::wishing(org, wish.clone()));
    let organization = app.tenancy.review.admit(reviewer, org, job).await.map_err(review_problem)?;
    set_up(app, reviewer, &organization, wish, (manner, begun)).await
}

async fn set_up(
    app: &App,
    reviewer: Reviewer,
    organization: &Organization,
    wish: SetupWish,
    waiting: (Manner, Instant),
) -> Result<Response, Problem> {
    let scope = reviewer.entering(organization.id);
    let started = app.setup.start.run(&scope, wish).await.map_err(start_problem)?;
    outcome(app, &scope, organization, started, waiting).await
}

/// What is answered about a setup that was asked for at `begun`.
pub(super) async fn outcome(
    app: &App,
    scope: &OrgScope,
    organization: &Organization,
    started: Started,
    (manner, begun): (Manner, Instant),
) -> Result<Response, Problem> {
    let setup = match (started, manner) {
        (Started::Ready(setup), _) => setup,
        (Started::Begun(_) | Started::Joined(_), Manner::Later) => {
            let mut response = running(organization);
            let applied = HeaderValue::from_static(prefer::RESPOND_ASYNC);
            response.headers_mut().insert(prefer::APPLIED, applied);
            return Ok(response);
        }
        (Started::Begun(setup) | Started::Joined(setup), Manner::Wait) => {
            settled(app, scope, setup, begun + PATIENCE).await?
        }
    };
    match (setup.status, &setup.failure) {
        (SetupStatus::Active, _) => Ok(Json(VerifiedBody::done(organization, &setup)).into_response()),
        // What it left is still being taken back, which the worker sees to.
        (SetupStatus::Failed | SetupStatus::Cleaning, Some(failure)) => Err(failed(&setup.wish, failure)),
        (SetupStatus::Provisioning | SetupStatus::Cleaning | SetupStatus::Failed, _) => {
            Ok(running(organization))
        }
        (SetupStatus::Inactive, _) => {
            Err(Problem::conflict("ai_setup_removed", "The line was taken down meanwhile."))
        }
        (SetupStatus::Suspended, _) => Err(suspended()),
    }
}

/// The setup when it has come to an end, or as it is at `deadline`.
async fn settled(app: &App, scope: &OrgScope, begun: Setup, deadline: Instant) -> Result<Setup, Problem> {
    let (mut setup, mut pause) = (begun, LOOKS.0);
    while setup.is_under_way() {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(LOOKS.1);
        match app.setup.show.run(scope).await? {
            Some(now) => setup = now,
            None => break,
        }
    }
    Ok(setup)
}

fn running(organization: &Organization) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(VerifiedBody::running(organization))).into_response();
    let status = format!("/api/organizations/{}/ai-status", organization.id);
    if let Ok(status) = HeaderValue::from_str(&status) {
        response.headers_mut().insert(header::LOCATION, status);
    }
    response
}

/// A setup that ended badly; the organization is let in all the same.
fn failed(wish: &SetupWish, failure: &Failure) -> Problem {
    let step = failure.step.as_str();
    if failure.code == "no_numbers_available" {
        let place = match &wish.area_code {
            Some(code) => format!("area code {code}"),
            None => wish.country.to_string(),
        };
        return Problem::unprocessable(
            "no_numbers_available",
            format!("No available phone numbers in {place}"),
        )
        .detail("nearbyAreaCodes", json!(failure.nearby))
        .failed_step(step);
    }
    let message = format!(
        "The organization is verified, but its line could not be set up: the step {step} failed. It can be tried again."
    );
    Problem::new(StatusCode::BAD_GATEWAY, "ai_setup_failed", message)
        .detail("reason", failure.code.clone())
        .failed_step(step)
}

pub(super) fn suspended() -> Problem {
    Problem::forbidden("organization_suspended", "The organization is suspended.")
}

pub(super) fn not_verified() -> Problem {
    Problem::forbidden("organization_not_verified", "The organization has to be verified first.")
}

fn start_problem(error: StartError) -> Problem {
    match error {
        StartError::NotVerified => not_verified(),
        StartError::Suspended => suspended(),
        StartError::Store(error) => error.into(),
    }
}
