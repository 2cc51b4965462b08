//! Who the caller is.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_tenancy::{WhoAmI, user::Standing};

use crate::{
    app::App,
    http::{auth::UserBody, extract::SignedIn, organizations::OrganizationSummary, problem::Problem},
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(me))
}

/// The caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MeBody {
    user: UserBody,
    /// `owner`, `admin` or `member` of the organization, or `platform_admin`; null for neither.
    role: Option<&'static str>,
    /// The organization they belong to, if any.
    organization: Option<OrganizationSummary>,
}

/// The caller and where they belong: as the database knows it by now, or else as their token says.
#[utoipa::path(get, path = "/api/me", tag = "auth", responses((status = 200, body = MeBody)))]
async fn me(State(app): State<App>, SignedIn(claims): SignedIn) -> Result<Json<MeBody>, Problem> {
    let WhoAmI { user, email, standing } = app.tenancy.me.run(claims).await?;
    let (role, organization) = match &standing {
        Standing::Operator => (Some("platform_admin"), None),
        Standing::Member { organization, role } => {
            (Some(role.as_str()), Some(OrganizationSummary::of(organization)))
        }
        Standing::Nobody => (None, None),
    };
    Ok(Json(MeBody { user: UserBody { id: user.0, email: email.map(Into::into) }, role, organization }))
}
