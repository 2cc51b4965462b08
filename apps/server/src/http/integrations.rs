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
use url::Url;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_credentials::{
    Brought, CredentialProvider, CredentialStatus, Rejection, ResolveError, UnknownCredentialProvider,
    integrations::{Checked, ConnectError, GrantError, Integration, RemoveError, VerifyError},
};
use voxanne_http::Reach;
use voxanne_kernel::{ProviderError, Timestamp};

use super::integration_bodies::ConnectBody;
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller},
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
async fn list(State(app): State<App>, caller: Admin) -> Result<Json<IntegrationsBody>, Problem> {
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
    caller: Admin,
    Path(provider): Path<String>,
    Query(query): Query<ConnectQuery>,
    request: Request,
) -> Result<Json<IntegrationBody>, Problem> {
    let provider = named(&provider)?;
    let brought = ConnectBody::read(provider, request, &app).await?.into_brought()?;
    refuse_private_host(&app, &brought)?;
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
    caller: Admin,
    Path(provider): Path<String>,
) -> Result<Json<IntegrationCheckBody>, Problem> {
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
    caller: Admin,
    Path(provider): Path<String>,
) -> Result<StatusCode, Problem> {
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
        ConnectError::Rejected(why) => rejected(provider, why.code()),
        ConnectError::Changed => changed(),
        ConnectError::Unavailable(error) => unavailable(provider, error),
        ConnectError::Store(error) => error.into(),
    }
}

/// An account that cannot be used, by the code of a [`Rejection`]; the fields are named as in the provider's body.
pub(super) fn rejected(provider: CredentialProvider, code: &'static str) -> Problem {
    let problem = Problem::unprocessable(code, sentence(provider, code));
    let host = if provider == CredentialProvider::Smtp { "smtpHost" } else { "baseUrl" };
    match code {
        "number_not_in_account" if provider == CredentialProvider::Whatsapp => {
            problem.detail("phoneNumberId", "is not the number of this account")
        }
        "number_not_in_account" => problem.detail("phoneNumber", "is not in the account"),
        "sender_not_verified" => problem.detail("fromEmail", "is not an address the account may send from"),
        "host_not_allowed" => problem.detail(host, "must lead to a public address"),
        "host_not_found" => problem.detail(host, "must be the name of a host that exists"),
        "tls_mode_rejected" => problem
            .detail("smtpPort", "must be one that encrypts as smtpTls says")
            .detail("smtpTls", "must be starttls or implicit, whichever the server does on smtpPort"),
        _ => problem,
    }
}

/// Two changed the same account at a time.
pub(super) fn changed() -> Problem {
    Problem::conflict(
        "credentials_changed",
        "The account was changed by somebody else at the same time. Look at it and try again.",
    )
}

/// Refuses an account that can be seen to lead to where we must not connect to, before anybody is asked about it.
fn refuse_private_host(app: &App, brought: &Brought) -> Result<(), Problem> {
    let url = match brought {
        Brought::Termii(account) => Some(account.base_url.clone()),
        Brought::Smtp(account) => {
            let host = account.host.trim_start_matches('[').trim_end_matches(']');
            let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
            // A host that is no part of an address leads nowhere.
            Url::parse(&format!("https://{host}")).ok()
        }
        _ => None,
    };
    let reach = Reach::allowing_private(app.base.settings.providers.allow_private_hosts);
    match url {
        Some(url) if reach.admits(&url).is_err() => {
            Err(rejected(brought.provider(), Rejection::HostNotAllowed.code()))
        }
        _ => Ok(()),
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
        "host_not_found" => "There is no such host. Check its name.".to_owned(),
        "tls_mode_rejected" => {
            "The mail server does not encrypt this way on this port, or its certificate is for another name: check \
             smtpPort and smtpTls (465 with implicit, 587 with starttls), and smtpHost."
                .to_owned()
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
