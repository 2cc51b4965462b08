//! Who the caller is.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_tenancy::{Access, Account, user::Standing};

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
    let answer = app.tenancy.me.run(claims).await?;
    let body = match answer.account {
        Some(account) => known(&account),
        None => MeBody {
            user: UserBody { id: claims.user.0, email: None },
            role: match claims.access {
                Access::Organization { role, .. } => Some(role.as_str()),
                Access::Operator => Some("platform_admin"),
                Access::Nothing => None,
            },
            organization: None,
        },
    };
    Ok(Json(body))
}

fn known(account: &Account) -> MeBody {
    let (role, organization) = match &account.standing {
        Standing::Operator => (Some("platform_admin"), None),
        Standing::Member { organization, role } => {
            (Some(role.as_str()), Some(OrganizationSummary::of(organization)))
        }
        Standing::Nobody => (None, None),
    };
    let user = UserBody { id: account.user.id.0, email: Some(account.user.email.as_str().to_owned()) };
    MeBody { user, role, organization }
}
