//! Who belongs to an organization.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{
    EmailAddress, Timestamp,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{Member, MemberError, Role};

use crate::{
    app::App,
    http::{
        auth::Checks,
        extract::{Admin, Caller, Id, Ids},
        json::{Body, Query},
        page::{PageBody, PageQuery},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, invite)).routes(routes!(change_role, remove))
}

/// A member.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct MemberBody {
    user_id: Uuid,
    email: String,
    /// `owner`, `admin` or `member`.
    role: &'static str,
    /// When they joined.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Member> for MemberBody {
    fn from(member: Member) -> Self {
        Self {
            user_id: member.user.id.0,
            email: member.user.email.into(),
            role: member.role.as_str(),
            created_at: member.since,
        }
    }
}

/// Somebody to add.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    email: String,
    /// `owner`, `admin` or `member`.
    role: String,
}

/// A member's new role.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct RoleBody {
    /// `owner`, `admin` or `member`.
    role: String,
}

/// The members of the caller's organization.
#[utoipa::path(get, path = "/api/organizations/{id}/members", tag = "organizations",
    params(("id" = Uuid, Path), PageQuery), responses((status = 200, body = PageBody<MemberBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Id(org): Id<OrgId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<PageBody<MemberBody>>, Problem> {
    caller.names(org)?;
    let members = app.tenancy.members.list(&caller.scope, &query.request()?).await.map_err(member_problem)?;
    Ok(Json(PageBody::of(members, MemberBody::from)))
}

/// Adds the person with an e-mail address; for admins, and for owners where an owner is added.
#[utoipa::path(post, path = "/api/organizations/{id}/members", tag = "organizations", params(("id" = Uuid, Path)),
    request_body = InviteBody,
    responses((status = 201, body = MemberBody), (status = 400, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn invite(
    State(app): State<App>,
    caller: Admin,
    Id(org): Id<OrgId>,
    Body(body): Body<InviteBody>,
) -> Result<(StatusCode, Json<MemberBody>), Problem> {
    caller.names(org)?;
    let mut checks = Checks::default();
    let email = checks.field("email", EmailAddress::new(&body.email));
    let role = checks.field("role", body.role.parse());
    let (email, role) = checks.finish(email.zip(role))?;
    let member = app.tenancy.members.invite(&caller.scope, email, role).await.map_err(member_problem)?;
    Ok((StatusCode::CREATED, Json(member.into())))
}

/// Gives a member another role; for admins, and for owners where an owner is made or unmade.
#[utoipa::path(patch, path = "/api/organizations/{id}/members/{userId}", tag = "organizations",
    params(("id" = Uuid, Path), ("userId" = Uuid, Path)), request_body = RoleBody,
    responses((status = 200, body = MemberBody), (status = 409, body = ProblemBody)))]
async fn change_role(
    State(app): State<App>,
    caller: Admin,
    Ids(org, user): Ids<OrgId, UserId>,
    Body(body): Body<RoleBody>,
) -> Result<Json<MemberBody>, Problem> {
    caller.names(org)?;
    let mut checks = Checks::default();
    let role = checks.field("role", body.role.parse());
    let role = checks.finish(role)?;
    let member = app.tenancy.members.change_role(&caller.scope, user, role).await.map_err(member_problem)?;
    Ok(Json(member.into()))
}

/// Ends a membership and signs the person out; for admins, and for everybody about themselves.
#[utoipa::path(delete, path = "/api/organizations/{id}/members/{userId}", tag = "organizations",
    params(("id" = Uuid, Path), ("userId" = Uuid, Path)),
    responses((status = 204), (status = 409, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Ids(org, user): Ids<OrgId, UserId>,
) -> Result<StatusCode, Problem> {
    caller.names(org)?;
    let least = if user == caller.user { Role::Member } else { Role::Admin };
    caller.confirm(&app, least).await?;
    app.tenancy.members.remove(&caller.scope, user).await.map_err(member_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) fn member_problem(error: MemberError) -> Problem {
    match error {
        MemberError::NotAllowed => {
            Problem::forbidden("role_required", "Your role in the organization does not allow this.")
        }
        MemberError::NotFound => Problem::not_found(),
        MemberError::AlreadyMember => Problem::conflict("already_member", "This person is a member already."),
        MemberError::Rejected => {
            Problem::bad_request("invitation_rejected", "We can't add a person with these details.")
        }
        MemberError::LastOwner => Problem::conflict(
            "last_owner",
            "An organization needs at least one owner. Make somebody else one first.",
        ),
        MemberError::Store(error) => error.into(),
    }
}
