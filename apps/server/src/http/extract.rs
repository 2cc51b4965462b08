//! Who calls. A handler that names one of these extractors cannot run for anybody else.

use std::ops::Deref;

use axum::{
    extract::{FromRequestParts, Path},
    http::{header, request::Parts},
};
use uuid::Uuid;
use voxanne_kernel::{
    Actor, OrgScope,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{Access, Claims, Role, TokenError};

use crate::{
    app::App,
    http::{layers::RequestOwner, members::member_problem, problem::Problem},
};

/// A member of an organization, by the word of their token: enough to look, and for what people do all day with
/// contacts and appointments. What matters more takes a [`Member`] or an [`Admin`].
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Their organization, vouched for.
    pub scope: OrgScope,
    /// The person.
    pub user: UserId,
    /// What the token says they may do. Nothing is allowed because of it alone: see [`Caller::confirm`].
    role: Role,
}

/// A caller who is a member by the database as well, now: for what sends something, costs money or takes something away
/// (`spec/01-platform.md`, Authentication).
#[derive(Debug, Clone, Copy)]
pub struct Member(Caller);

/// A caller who is an owner or admin by the database as well, now: for how the organization is set up.
#[derive(Debug, Clone, Copy)]
pub struct Admin(Caller);

/// One of our operators.
#[derive(Debug, Clone, Copy)]
pub struct Operator {
    /// The person.
    pub user: UserId,
}

/// Anybody with a valid token, in an organization or not.
#[derive(Debug, Clone, Copy)]
pub struct SignedIn(pub Claims);

/// An id in the path: a UUID, or 400.
#[derive(Debug, Clone, Copy)]
pub struct Id<T>(pub T);

impl Caller {
    /// Reads the caller without consuming the request.
    pub async fn read(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let claims = verify(parts, app).await?;
        let Access::Organization { org, role } = claims.access else {
            let message = "This needs an access token that belongs to an organization.";
            return Err(Problem::forbidden("organization_required", message));
        };
        #[expect(clippy::disallowed_methods, reason = "the access token has just been verified")]
        let scope = OrgScope::vouch(org, Actor::User(claims.user));
        if let Some(owner) = parts.extensions.get::<RequestOwner>() {
            owner.is(org);
        }
        Ok(Self { scope, user: claims.user, role })
    }

    /// Refuses a caller whose role is below `least`, by the token or by the database: a token may say less than its
    /// owner may do, and may be older than what was taken from them.
    pub(super) async fn confirm(&self, app: &App, least: Role) -> Result<(), Problem> {
        if self.role < least {
            let message = format!("This needs the role {} in the organization.", least.as_str());
            return Err(Problem::forbidden("role_required", message));
        }
        app.tenancy.members.require(&self.scope, least).await.map_err(member_problem)
    }

    /// Refuses a path that names another organization (decision D4).
    pub fn names(&self, org: OrgId) -> Result<(), Problem> {
        if self.scope.org() == org {
            return Ok(());
        }
        Err(Problem::forbidden("other_organization", "This belongs to another organization."))
    }
}

impl Operator {
    /// A scope inside the organization the operator works on.
    pub fn scope(&self, org: OrgId) -> OrgScope {
        #[expect(clippy::disallowed_methods, reason = "the operator's token has just been verified")]
        OrgScope::vouch(org, Actor::Operator(self.user))
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Self::read(parts, app).await
    }
}

impl Deref for Member {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<App> for Member {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::read(parts, app).await?;
        caller.confirm(app, Role::Member).await?;
        Ok(Self(caller))
    }
}

impl Deref for Admin {
    type Target = Caller;
    fn deref(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let caller = Caller::read(parts, app).await?;
        caller.confirm(app, Role::Admin).await?;
        Ok(Self(caller))
    }
}

impl FromRequestParts<App> for Operator {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let claims = verify(parts, app).await?;
        match claims.access {
            Access::Operator => Ok(Self { user: claims.user }),
            _ => Err(Problem::forbidden("operator_required", "This is for the platform's operators.")),
        }
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        verify(parts, app).await.map(Self)
    }
}

impl<T: From<Uuid>> FromRequestParts<App> for Id<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let invalid = || {
            Problem::bad_request("invalid_id", "The id in the path is not a UUID.")
                .detail("id", "must be a UUID")
        };
        let Path(text) = Path::<String>::from_request_parts(parts, app).await.map_err(|_| invalid())?;
        parse_uuid(&text).map(|id| Self(T::from(id))).ok_or_else(invalid)
    }
}

/// Two ids in the path, in its order.
#[derive(Debug, Clone, Copy)]
pub struct Ids<T, U>(pub T, pub U);

impl<T: From<Uuid>, U: From<Uuid>> FromRequestParts<App> for Ids<T, U> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let invalid = || {
            Problem::bad_request("invalid_id", "An id in the path is not a UUID.")
                .detail("id", "must be a UUID")
        };
        let path = Path::<(String, String)>::from_request_parts(parts, app).await;
        let Path((first, second)) = path.map_err(|_| invalid())?;
        let (first, second) =
            (parse_uuid(&first).ok_or_else(invalid)?, parse_uuid(&second).ok_or_else(invalid)?);
        Ok(Self(T::from(first), U::from(second)))
    }
}

/// The hyphenated form only: one thing has one address.
pub(super) fn parse_uuid(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::parse_str(text).ok()).flatten()
}

pub(super) async fn verify(parts: &mut Parts, app: &App) -> Result<Claims, Problem> {
    let bearer = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    let Some(token) = bearer else {
        let message = "Send an access token: Authorization: Bearer <token>.";
        return Err(Problem::unauthenticated("token_required", message));
    };
    app.tenancy.tokens.verify(token).await.map_err(|error| match error {
        TokenError::Invalid => Problem::unauthenticated(
            "token_invalid",
            "The access token is not valid or has expired. Sign in again.",
        ),
        TokenError::KeysUnavailable => Problem::new(
            axum::http::StatusCode::SERVICE_UNAVAILABLE,
            "keys_unavailable",
            "We cannot check access tokens right now. Please try again.",
        )
        .retry_after(5)
        .because(error),
    })
}
