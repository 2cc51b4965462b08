//! Accounts that an organization has with providers: seeing them, connecting one, having it checked, removing it
//! (`spec/03-credentials.md`). For owners and admins. What goes in never comes out: answers hold names, addresses and
//! at most the last characters of a secret.

use axum::{
    Json,
    extract::{Path, Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_credentials::{
    CredentialProvider, CredentialStatus, Rejection, ResolveError, UnknownCredentialProvider,
    integrations::{Checked, ConnectError, GrantError, Integration, RemoveError, VerifyError},
};
use voxanne_kernel::{ProviderError, Timestamp};
use voxanne_tenancy::Role;

use super::{integration_bodies::ConnectBody, members::member_problem};
use crate::{
    app::App,
    http::{
        extract::Caller,
        json::Query,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(connect, remove)).routes(routes!(verify))
}

/// A provider, and the organization's account with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct IntegrationBody {
    #[schema(example = "twilio")]
    provider: &'static str,
    /// Whether there is an account.
    configured: bool,
    /// `byoc`: the organization's own; `managed`: opened by us; null: none.
    #[schema(example = "byoc")]
    source: Option<&'static str>,
    /// `verified`, `restricted` (valid, may only send), `unverified`, `failed`, `syncing` or `reconnect_required`.
    #[schema(example = "verified")]
    status: &'static str,
    /// When the provider last accepted the account.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_verified: Option<Timestamp>,
    /// What is wrong, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What may be shown of the account.
    #[schema(value_type = Object, example = json!({"phoneNumber": "+15005550006"}))]
    metadata: Map<String, Value>,
}

impl From<Integration> for IntegrationBody {
    fn from(Integration { provider, configured }: Integration) -> Self {
        let Some(found) = configured else {
            return Self {
                provider: provider.as_str(),
                configured: false,
                source: None,
                status: CredentialStatus::Unverified.as_str(),
                last_verified: None,
                error: None,
                metadata: Map::new(),
            };
        };
        let code = match (found.error_code, found.status) {
            (None, CredentialStatus::ReconnectRequired) => Some("reconnect_required".to_owned()),
            (code, _) => code,
        };
        Self {
            provider: provider.as_str(),
            configured: true,
            source: Some(found.source.as_str()),
            status: found.status.as_str(),
            last_verified: found.last_verified,
            error: code.map(|code| sentence(provider, &code)),
            metadata: found.metadata,
        }
    }
}

/// Every provider, in a fixed order.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct IntegrationsBody {
    data: Vec<IntegrationBody>,
}

/// How to connect.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConnectQuery {
    /// Whether the provider is asked first; true unless given. What nobody asked about is stored as `unverified` and
    /// has no consequences until it is verified.
    verify: Option<bool>,
}

/// What the provider says of a stored account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct IntegrationCheckBody {
    /// Whether it accepts the account.
    success: bool,
    /// When it accepted it, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_verified: Option<Timestamp>,
    /// What is wrong, if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Lists every provider that an account can be brought for.
#[utoipa::path(get, path = "/api/integrations", tag = "integrations",
    responses((status = 200, body = IntegrationsBody)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<IntegrationsBody>, Problem> {
    admit(&app, &caller).await?;
    let found = app.integrations.list.run(&caller.scope).await?;
    Ok(Json(IntegrationsBody { data: found.into_iter().map(IntegrationBody::from).collect() }))
}

/// Connects an account, after its provider has accepted it. One that it refuses is not stored: 422
/// `credentials_rejected`, or `number_not_in_account`. A provider that cannot be asked: 503 `provider_unavailable`, and
/// nothing changes. A Twilio account is `syncing` until its number has been set up, and then `verified` or `failed`.
#[utoipa::path(put, path = "/api/integrations/{provider}", tag = "integrations",
    params(("provider" = String, Path, example = "twilio", description = "As listed; calendars are connected by signing in instead."),
        ConnectQuery),
    request_body = ConnectBody,
    responses((status = 200, body = IntegrationBody), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
async fn connect(
    State(app): State<App>,
    caller: Caller,
    Path(provider): Path<String>,
    Query(query): Query<ConnectQuery>,
    request: Request,
) -> Result<Json<IntegrationBody>, Problem> {
    admit(&app, &caller).await?;
    let provider = named(&provider)?;
    let brought = ConnectBody::read(provider, request, &app).await?.into_brought()?;
    let ask = query.verify.unwrap_or(true);
    let connected = app.integrations.connect.run(&caller.scope, &brought, ask).await;
    Ok(Json(connected.map_err(|error| connect_problem(provider, error))?.into()))
}

/// Asks the provider what it thinks of the stored account, and keeps the answer.
#[utoipa::path(post, path = "/api/integrations/{provider}/verify", tag = "integrations",
    params(("provider" = String, Path, example = "twilio", description = "As listed.")),
    responses((status = 200, body = IntegrationCheckBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 500, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn verify(
    State(app): State<App>,
    caller: Caller,
    Path(provider): Path<String>,
) -> Result<Json<IntegrationCheckBody>, Problem> {
    admit(&app, &caller).await?;
    let provider = named(&provider)?;
    let checked = app.integrations.verify.run(&caller.scope, provider).await;
    Ok(Json(match checked.map_err(|error| verify_problem(&caller, provider, error))? {
        Checked::Accepted { at } => {
            IntegrationCheckBody { success: true, last_verified: Some(at), error: None }
        }
        Checked::Refused { code } => {
            let error = Some(sentence(provider, code));
            IntegrationCheckBody { success: false, last_verified: None, error }
        }
    }))
}

/// Removes an account. A Twilio number stops ringing at the organization at once, and is taken out of Vapi.
#[utoipa::path(delete, path = "/api/integrations/{provider}", tag = "integrations",
    params(("provider" = String, Path, example = "twilio", description = "As listed.")),
    responses((status = 204), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Caller,
    Path(provider): Path<String>,
) -> Result<StatusCode, Problem> {
    admit(&app, &caller).await?;
    let provider = named(&provider)?;
    app.integrations.remove.run(&caller.scope, provider).await.map_err(|error| match error {
        RemoveError::NotConfigured => not_configured(&caller, provider),
        RemoveError::Managed => Problem::conflict(
            "managed_account",
            "We manage this account for the organization; it goes when its last number is released.",
        ),
        RemoveError::Grant(GrantError::NotRegistered) => not_registered(provider),
        RemoveError::Grant(GrantError::Provider(error)) => unavailable(provider, error),
        RemoveError::Grant(GrantError::Resolve(error)) => error.into(),
        RemoveError::Grant(GrantError::Store(error)) | RemoveError::Store(error) => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses everybody but owners and admins, as the database knows them.
async fn admit(app: &App, caller: &Caller) -> Result<(), Problem> {
    caller.require(Role::Admin)?;
    app.tenancy.members.require(&caller.scope, Role::Admin).await.map_err(member_problem)
}

/// The provider of this name, in whatever case, if an organization can bring an account with it.
fn named(name: &str) -> Result<CredentialProvider, Problem> {
    match name.to_ascii_lowercase().parse() {
        Ok(provider) if CredentialProvider::is_brought(provider) => Ok(provider),
        Err(UnknownCredentialProvider::NotAllowed) => Err(Problem::bad_request(
            "provider_not_allowed",
            "Vapi is part of the platform: an organization needs no account of its own with it.",
        )),
        Ok(_) | Err(UnknownCredentialProvider::Unknown) => Err(Problem::not_found()),
    }
}

fn connect_problem(provider: CredentialProvider, error: ConnectError) -> Problem {
    match error {
        ConnectError::SlotTaken => Problem::conflict(
            "twilio_slot_taken",
            "We manage a Twilio account for this organization. Release its numbers before bringing another.",
        ),
        ConnectError::Rejected(why) => {
            let problem = Problem::unprocessable(why.code(), sentence(provider, why.code()));
            match why {
                Rejection::Credentials => problem,
                Rejection::NumberNotInAccount => problem.detail("phoneNumber", "is not in the account"),
                Rejection::SenderNotVerified => {
                    problem.detail("fromEmail", "is not an address the account may send from")
                }
                Rejection::HostNotAllowed => {
                    let field = if provider == CredentialProvider::Smtp { "smtpHost" } else { "baseUrl" };
                    problem.detail(field, "must lead to a public address")
                }
            }
        }
        ConnectError::Unavailable(error) => unavailable(provider, error),
        ConnectError::Store(error) => error.into(),
    }
}

fn verify_problem(caller: &Caller, provider: CredentialProvider, error: VerifyError) -> Problem {
    match error {
        VerifyError::NotConfigured => not_configured(caller, provider),
        VerifyError::Changed => Problem::conflict(
            "credentials_changed",
            "The account was changed while it was being checked. Check it again.",
        ),
        VerifyError::Unreadable(error) => ResolveError::from(error).into(),
        VerifyError::Unavailable(error) => unavailable(provider, error),
        VerifyError::NotRegistered => not_registered(provider),
        VerifyError::Resolve(error) => error.into(),
        VerifyError::Store(error) => error.into(),
    }
}

fn not_configured(caller: &Caller, provider: CredentialProvider) -> Problem {
    let missing = ResolveError::NotFound { org: caller.scope.org(), provider };
    let message = format!("{missing}. Connect a {} account under Integrations first.", provider.title());
    Problem::new(StatusCode::NOT_FOUND, missing.code(), message)
}

fn not_registered(provider: CredentialProvider) -> Problem {
    let message = format!("{} is not configured on this platform.", provider.title());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message)
}

fn unavailable(provider: CredentialProvider, error: ProviderError) -> Problem {
    let wait = match &error {
        ProviderError::RetryLater { after: Some(after), .. } => after.as_secs().clamp(1, 3_600),
        _ => 10,
    };
    let message =
        format!("{} cannot be reached right now. Nothing has changed; try again.", provider.title());
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message)
        .retry_after(wait)
        .because(error)
}

/// What a stable code means for a person, and what they can do.
pub(super) fn sentence(provider: CredentialProvider, code: &str) -> String {
    let title = provider.title();
    match code {
        "credentials_rejected" => format!("{title} does not accept these credentials. Enter valid ones."),
        "number_not_in_account" => {
            format!("The phone number does not belong to this {title} account. Enter one that does.")
        }
        "sender_not_verified" => {
            format!(
                "{title} does not let this account send from the sender's address. Verify it there first."
            )
        }
        "host_not_allowed" => {
            "The host leads to where we may not connect to. Use one with a public address.".to_owned()
        }
        "reconnect_required" => format!("{title} token expired. Connect the account again."),
        "vapi_credential" | "vapi_phone_number" => format!(
            "The phone line could not be set up: the step {code} was refused. Check the number at {title}, then verify \
             the account again."
        ),
        "routing" => format!(
            "The phone line could not be set up: the step {code} was refused, because the number already rings at \
             another organization."
        ),
        _ => format!("Something is wrong with the {title} account. Verify it again."),
    }
}
