//! The operators' desk. A token of an operator reaches these routes and no organization's.

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::ids::OrgId;
use voxanne_tenancy::{Decision, Organization, OrganizationStatus, ReviewError, review::Reviewer};

use crate::{
    app::App,
    http::{
        ai_setup::PreferHeader,
        ai_setup_bodies::{SetupWishBody, VerifiedBody},
        approval::{self, Manner},
        extract::{Id, Operator},
        json::{MaybeBody, Query},
        organizations::OrganizationBody,
        page::{PageBody, page_request},
        principal::Platform,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(approve))
        .routes(routes!(approve_alias))
        .routes(routes!(reject))
        .routes(routes!(suspend))
}

/// Which organizations, and what part of the list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `pending`, `verified`, `rejected` or `suspended`; all unless given.
    status: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// What became of a decision.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DecisionBody {
    success: bool,
    /// A sentence for a person.
    message: &'static str,
    data: DecisionData,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct DecisionData {
    organization: DecidedOrganization,
}

/// The organization as it is now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct DecidedOrganization {
    id: Uuid,
    name: String,
    /// `pending`, `verified`, `rejected` or `suspended`.
    status: &'static str,
    is_verified: bool,
}

/// Organizations, newest first.
#[utoipa::path(get, path = "/api/admin/organizations", tag = "operators", params(ListQuery),
    responses((status = 200, body = PageBody<OrganizationBody>)))]
async fn list(
    State(app): State<App>,
    operator: Operator,
    Query(query): Query<ListQuery>,
) -> Result<Json<PageBody<OrganizationBody>>, Problem> {
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let status = query.status.map(|status| status.parse::<OrganizationStatus>()).transpose();
    let status = status.map_err(|error| Problem::invalid("status", error.to_string()))?;
    let reviewer = Reviewer::Operator(operator.user);
    let organizations = app.tenancy.review.list(reviewer, status, &page).await.map_err(review_problem)?;
    Ok(Json(PageBody::of(organizations, OrganizationBody::from)))
}

/// Lets an organization in, has its line set up and waits for it, like `POST /api/organizations/{id}/verify`.
#[utoipa::path(post, path = "/api/admin/organizations/{id}/approve", tag = "operators",
    security(("access_token" = []), ("api_key" = [])),
    params(("id" = Uuid, Path), PreferHeader), request_body = Option<SetupWishBody>,
    responses((status = 200, body = VerifiedBody), (status = 202, body = VerifiedBody),
        (status = 422, body = ProblemBody), (status = 502, body = ProblemBody)))]
async fn approve(
    State(app): State<App>,
    Platform(reviewer): Platform,
    Id(org): Id<OrgId>,
    headers: HeaderMap,
    MaybeBody(body): MaybeBody<SetupWishBody>,
) -> Result<Response, Problem> {
    let wish = body.unwrap_or_default().read()?;
    approval::approve(&app, reviewer, org, wish, Manner::preferred(&headers)).await
}

/// The same at its older address.
#[utoipa::path(post, path = "/admin/organizations/{id}/approve", tag = "operators",
    security(("access_token" = []), ("api_key" = [])),
    params(("id" = Uuid, Path), PreferHeader), request_body = Option<SetupWishBody>,
    responses((status = 200, body = VerifiedBody), (status = 202, body = VerifiedBody),
        (status = 422, body = ProblemBody), (status = 502, body = ProblemBody)))]
async fn approve_alias(
    app: State<App>,
    platform: Platform,
    id: Id<OrgId>,
    headers: HeaderMap,
    body: MaybeBody<SetupWishBody>,
) -> Result<Response, Problem> {
    approve(app, platform, id, headers, body).await
}

/// Turns a new organization down.
#[utoipa::path(post, path = "/api/admin/organizations/{id}/reject", tag = "operators", params(("id" = Uuid, Path)),
    responses((status = 200, body = DecisionBody), (status = 409, body = ProblemBody)))]
async fn reject(
    State(app): State<App>,
    operator: Operator,
    id: Id<OrgId>,
) -> Result<Json<DecisionBody>, Problem> {
    decide(&app, operator, id, Decision::Reject).await
}

/// Stops an organization; its data is kept.
#[utoipa::path(post, path = "/api/admin/organizations/{id}/suspend", tag = "operators", params(("id" = Uuid, Path)),
    responses((status = 200, body = DecisionBody), (status = 409, body = ProblemBody)))]
async fn suspend(
    State(app): State<App>,
    operator: Operator,
    id: Id<OrgId>,
) -> Result<Json<DecisionBody>, Problem> {
    decide(&app, operator, id, Decision::Suspend).await
}

async fn decide(
    app: &App,
    operator: Operator,
    Id(org): Id<OrgId>,
    decision: Decision,
) -> Result<Json<DecisionBody>, Problem> {
    let reviewer = Reviewer::Operator(operator.user);
    let decided = app.tenancy.review.decide(reviewer, org, decision).await.map_err(review_problem)?;
    Ok(Json(DecisionBody::of(decided, decision)))
}

impl DecisionBody {
    fn of(organization: Organization, decision: Decision) -> Self {
        let message = match decision {
            Decision::Approve | Decision::Admit => "The organization is verified. Its line is being set up.",
            Decision::Reject => "The organization is rejected.",
            Decision::Suspend => "The organization is suspended.",
        };
        let organization = DecidedOrganization {
            id: organization.id.0,
            name: organization.name.into(),
            status: organization.status.as_str(),
            is_verified: organization.status == OrganizationStatus::Verified,
        };
        Self { success: true, message, data: DecisionData { organization } }
    }
}

pub(crate) fn review_problem(error: ReviewError) -> Problem {
    match error {
        ReviewError::NotAllowed => {
            Problem::forbidden("operator_required", "This is for the platform's operators.")
        }
        ReviewError::NotFound => Problem::not_found(),
        ReviewError::NotNow(status) => Problem::conflict(
            "wrong_status",
            format!("The organization is {status}; that cannot be decided now."),
        ),
        ReviewError::Store(error) => error.into(),
    }
}
