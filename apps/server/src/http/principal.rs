//! Who calls where not only an organization's own people may: our operators, and machines that hold the backend's key.

use axum::{extract::FromRequestParts, http::request::Parts};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use voxanne_kernel::{OrgScope, ids::OrgId};
use voxanne_tenancy::{Access, Role, review::Reviewer};

use crate::{
    app::App,
    http::{
        extract::{Caller, verify},
        members::member_problem,
        problem::Problem,
    },
};

/// The header in which machines send the backend's key.
const API_KEY: &str = "x-api-key";

/// Somebody who acts for the platform: an operator, or a machine with the backend's key.
#[derive(Debug, Clone, Copy)]
pub struct Platform(pub Reviewer);

/// A member of an organization, or somebody who acts for the platform.
#[derive(Debug, Clone, Copy)]
pub enum Principal {
    /// A member, who reaches their own organization only.
    Member(Caller),
    /// The platform, which reaches every organization.
    Platform(Platform),
}

impl Principal {
    /// A scope inside `org`, which the path names: a member's own organization, in which they still are at least
    /// `least`. An operator must still be one.
    ///
    /// # Errors
    /// 403 for another organization, and for a role that does not suffice.
    pub async fn entering(&self, app: &App, org: OrgId, least: Role) -> Result<OrgScope, Problem> {
        match self {
            Self::Member(caller) => {
                caller.names(org)?;
                caller.confirm(app, least).await?;
                Ok(caller.scope)
            }
            Self::Platform(Platform(reviewer)) => {
                let scope = reviewer.entering(org);
                app.tenancy.members.require(&scope, least).await.map_err(member_problem)?;
                Ok(scope)
            }
        }
    }
}

impl FromRequestParts<App> for Platform {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(machine) = machine(parts, app)? {
            return Ok(machine);
        }
        let claims = verify(parts, app).await?;
        match claims.access {
            Access::Operator => Ok(Self(Reviewer::Operator(claims.user))),
            _ => Err(Problem::forbidden("operator_required", "This is for the platform's operators.")),
        }
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if let Some(machine) = machine(parts, app)? {
            return Ok(Self::Platform(machine));
        }
        let claims = verify(parts, app).await?;
        match claims.access {
            Access::Operator => Ok(Self::Platform(Platform(Reviewer::Operator(claims.user)))),
            _ => Caller::read(parts, app).await.map(Self::Member),
        }
    }
}

/// A machine, if the request carries a key at all; a wrong one is refused whatever else the request carries.
fn machine(parts: &Parts, app: &App) -> Result<Option<Platform>, Problem> {
    let Some(given) = parts.headers.get(API_KEY) else { return Ok(None) };
    let known = app.base.settings.http.api_key.as_ref();
    let fits = known.is_some_and(|key| given.as_bytes().ct_eq(key.expose_secret().as_bytes()).into());
    if fits {
        return Ok(Some(Platform(Reviewer::Machine)));
    }
    Err(Problem::unauthenticated("api_key_invalid", "The key in X-Api-Key is not valid."))
}
