//! Signing up, signing in, staying signed in, signing out (`spec/02-tenancy.md`, `spec/13-names-and-shapes.md`).

use std::{
    convert::Infallible,
    fmt::Display,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, StatusCode, request::Parts},
};
use axum_extra::extract::{
    CookieJar,
    cookie::{Cookie, SameSite},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{EmailAddress, Zone};
use voxanne_tenancy::{
    HashingFailed, IssueError, NewPassword, OrganizationName, RefreshError, RefreshToken, SignInError,
    SignInRequest, SignUpError, SignUpRequest, SignedIn, session::IDLE_LIFETIME, user::Standing,
};

use crate::{
    app::App,
    http::{
        json::{Body, MaybeBody},
        organizations::OrganizationSummary,
        problem::{Problem, ProblemBody},
    },
};

/// The refresh token's cookie, sent to these routes only.
const COOKIE: &str = "voxanne_refresh";
const COOKIE_PATH: &str = "/api/auth";

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up))
        .routes(routes!(sign_in))
        .routes(routes!(refresh))
        .routes(routes!(sign_out))
}

/// Where the client keeps its refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum TokenTransport {
    /// In a cookie that scripts cannot read.
    #[default]
    Cookie,
    /// Wherever it likes; it gets the token in the body.
    Body,
}

/// Somebody who signs up.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignUpBody {
    #[schema(example = "ann@clinic.example")]
    email: String,
    /// 12 to 128 characters, and not a common one.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    #[schema(example = "Clinique Étoile")]
    organization_name: String,
    /// An IANA time zone; UTC unless given.
    #[schema(example = "Europe/Paris")]
    timezone: Option<String>,
    #[serde(default)]
    token_transport: TokenTransport,
}

/// Somebody who signs in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignInBody {
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    #[serde(default)]
    token_transport: TokenTransport,
}

/// A refresh token, unless it comes in the cookie.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RefreshBody {
    #[schema(value_type = Option<String>)]
    refresh_token: Option<SecretString>,
}

/// Somebody who is signed in.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SignedInBody {
    /// To be sent with every request.
    access_token: String,
    /// Seconds until the access token expires.
    expires_in: i64,
    /// To be exchanged for the next access token; only for clients that do not use the cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    user: UserBody,
    /// The organization they belong to, if any.
    organization: Option<OrganizationSummary>,
}

/// A person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct UserBody {
    pub(super) id: Uuid,
    /// Null for somebody whom only an external issuer knows.
    pub(super) email: Option<String>,
}

type Answer = (StatusCode, CookieJar, Json<SignedInBody>);

/// Founds an organization and signs its owner in. Every refusal of well-formed details is the same.
#[utoipa::path(post, path = "/api/auth/signup", tag = "auth", security(()), request_body = SignUpBody,
    responses((status = 201, body = SignedInBody), (status = 400, body = ProblemBody)))]
async fn sign_up(
    State(app): State<App>,
    jar: CookieJar,
    Body(body): Body<SignUpBody>,
) -> Result<Answer, Problem> {
    let transport = body.token_transport;
    let signed_in = app.tenancy.sign_up.run(body.try_into()?).await.map_err(sign_up_problem)?;
    Ok(answer(&app, StatusCode::CREATED, jar, signed_in, transport))
}

/// Signs somebody in with e-mail and password. The answer does not tell whether there is such an account.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", security(()), request_body = SignInBody,
    responses((status = 200, body = SignedInBody), (status = 401, body = ProblemBody), (status = 429, body = ProblemBody)))]
async fn sign_in(
    State(app): State<App>,
    Peer(address): Peer,
    jar: CookieJar,
    Body(body): Body<SignInBody>,
) -> Result<Answer, Problem> {
    let email =
        EmailAddress::new(&body.email).map_err(|error| Problem::invalid("email", error.to_string()))?;
    let request = SignInRequest { email, password: body.password, address };
    let signed_in = app.tenancy.sign_in.run(request).await.map_err(sign_in_problem)?;
    Ok(answer(&app, StatusCode::OK, jar, signed_in, body.token_transport))
}

/// Exchanges a refresh token, from the cookie or the body, for an access token and the next refresh token.
#[utoipa::path(post, path = "/api/auth/refresh", tag = "auth", security(()), request_body = Option<RefreshBody>,
    responses((status = 200, body = SignedInBody), (status = 401, body = ProblemBody)))]
async fn refresh(
    State(app): State<App>,
    jar: CookieJar,
    headers: HeaderMap,
    MaybeBody(body): MaybeBody<RefreshBody>,
) -> Result<Answer, Problem> {
    let (token, transport) = presented(&jar, &headers, body)?;
    let token = token.ok_or_else(not_signed_in)?;
    let signed_in = app.tenancy.refresh.run(&token).await.map_err(refresh_problem)?;
    Ok(answer(&app, StatusCode::OK, jar, signed_in, transport))
}

/// Ends the session of a refresh token, from the cookie or the body. There is nothing it could refuse.
#[utoipa::path(post, path = "/api/auth/logout", tag = "auth", security(()), request_body = Option<RefreshBody>,
    responses((status = 204)))]
async fn sign_out(
    State(app): State<App>,
    jar: CookieJar,
    headers: HeaderMap,
    MaybeBody(body): MaybeBody<RefreshBody>,
) -> Result<(StatusCode, CookieJar), Problem> {
    if let (Some(token), _) = presented(&jar, &headers, body)? {
        app.tenancy.sign_out.run(&token).await?;
    }
    Ok((StatusCode::NO_CONTENT, jar.remove(Cookie::build(COOKIE).path(COOKIE_PATH))))
}

impl TryFrom<SignUpBody> for SignUpRequest {
    type Error = Problem;

    /// Names every field that is wrong at once.
    fn try_from(body: SignUpBody) -> Result<Self, Problem> {
        let mut checks = Checks::default();
        let email = checks.field("email", EmailAddress::new(&body.email));
        let password = checks.field("password", NewPassword::new(body.password));
        let organization = checks.field("organizationName", OrganizationName::new(&body.organization_name));
        let zone =
            checks.field("timezone", body.timezone.as_deref().map_or_else(|| Ok(Zone::utc()), Zone::new));
        checks.finish((|| {
            Some(Self { email: email?, password: password?, organization: organization?, zone: zone? })
        })())
    }
}

/// Collects what is wrong with the fields of a body, so that one answer names all of it.
#[derive(Debug, Default)]
pub(super) struct Checks(Option<Problem>);

impl Checks {
    /// The value of `field`, or a note of what is wrong with it.
    pub(super) fn field<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                let rule = error.to_string();
                self.0 = Some(match self.0.take() {
                    None => Problem::invalid(field, rule),
                    Some(problem) => problem.detail(field, rule),
                });
                None
            }
        }
    }

    /// `whole`, unless something was noted.
    pub(super) fn finish<T>(self, whole: Option<T>) -> Result<T, Problem> {
        match (self.0, whole) {
            (None, Some(whole)) => Ok(whole),
            (problem, _) => Err(problem.unwrap_or_else(|| Problem::of_status(StatusCode::BAD_REQUEST))),
        }
    }
}

/// The refresh token of a request and where its successor goes: a token in the body is answered in the body.
fn presented(
    jar: &CookieJar,
    headers: &HeaderMap,
    body: Option<RefreshBody>,
) -> Result<(Option<RefreshToken>, TokenTransport), Problem> {
    if let Some(token) = body.and_then(|body| body.refresh_token) {
        return Ok((RefreshToken::decode(token.expose_secret()), TokenTransport::Body));
    }
    // Browsers do not send the cookie along from another site; this is for the ones that would.
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(Problem::forbidden("cross_site", "This cannot be used from another site."));
    }
    let token = jar.get(COOKIE).and_then(|cookie| RefreshToken::decode(cookie.value()));
    Ok((token, TokenTransport::Cookie))
}

fn answer(
    app: &App,
    status: StatusCode,
    jar: CookieJar,
    signed_in: SignedIn,
    transport: TokenTransport,
) -> Answer {
    let SignedIn { access, refresh, account } = signed_in;
    let organization = match &account.standing {
        Standing::Member { organization, .. } => Some(OrganizationSummary::of(organization)),
        Standing::Operator | Standing::Nobody => None,
    };
    let (jar, refresh_token) = match transport {
        TokenTransport::Cookie => (jar.add(refresh_cookie(&refresh, app.tenancy.secure_cookies)), None),
        TokenTransport::Body => (jar, Some(refresh.encode())),
    };
    let body = SignedInBody {
        access_token: access.token.expose_secret().to_owned(),
        expires_in: access.lifetime.as_secs(),
        refresh_token,
        user: UserBody { id: account.user.id.0, email: Some(account.user.email.as_str().to_owned()) },
        organization,
    };
    (status, jar, Json(body))
}

fn refresh_cookie(token: &RefreshToken, secure: bool) -> Cookie<'static> {
    Cookie::build((COOKIE, token.encode()))
        .path(COOKIE_PATH)
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(secure)
        .max_age(time::Duration::seconds(IDLE_LIFETIME.as_secs()))
        .build()
}

/// Where the request came from, as the connection says; headers that anybody can write are not believed.
struct Peer(IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let connection = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        Ok(Self(connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())))
    }
}

fn not_signed_in() -> Problem {
    let message = "The session has ended. Sign in again.";
    Problem::unauthenticated("refresh_token_invalid", message)
}

fn sign_up_problem(error: SignUpError) -> Problem {
    match error {
        SignUpError::Rejected => {
            Problem::bad_request("signup_rejected", "We can't create an account with these details.")
        }
        SignUpError::Issue(error) => issue_problem(error),
        SignUpError::Hashing(error) => hashing_problem(error),
        SignUpError::Store(error) => error.into(),
    }
}

fn sign_in_problem(error: SignInError) -> Problem {
    match error {
        SignInError::TooManyTries(wait) => {
            let message = "Too many tries to sign in. Please wait before trying again.";
            Problem::too_many_requests("too_many_attempts", message, wait.seconds())
        }
        SignInError::Refused => {
            Problem::unauthenticated("invalid_credentials", "The e-mail address or the password is wrong.")
        }
        SignInError::Issue(error) => issue_problem(error),
        SignInError::Hashing(error) => hashing_problem(error),
        SignInError::Store(error) => error.into(),
    }
}

fn refresh_problem(error: RefreshError) -> Problem {
    match error {
        RefreshError::Refused => not_signed_in(),
        RefreshError::Issue(error) => issue_problem(error),
        RefreshError::Store(error) => error.into(),
    }
}

fn issue_problem(error: IssueError) -> Problem {
    match error {
        IssueError::NotConfigured => Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "not_configured",
            "Signing in here is not configured: this installation uses an external identity provider.",
        ),
        IssueError::Signing(_) => Problem::internal(error),
    }
}

fn hashing_problem(error: HashingFailed) -> Problem {
    Problem::overloaded().because(error)
}
