//! The accounts that an organization sends through, channel by channel: `/api/sms/providers` and
//! `/api/email/providers`. Their secrets go where those of all integrations are and never come out again.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_credentials::{Brought, CredentialProvider};
use voxanne_kernel::{OrgScope, Timestamp, ids::MessagingProviderId};
use voxanne_messaging::{
    accounts_book::{BookError, Change, Entry, KeepError, NewEntry},
    channel::{Channel, Provider},
    send::WebhookAddresses,
};

use super::{
    account_bodies::{AddEmailBody, AddSmsBody, ChangeEmailBody, ChangeSmsBody},
    test::{self, Tested},
};
use crate::{
    app::App,
    http::{
        extract::{Admin, Id},
        idempotency::RequestOrigin,
        integration_bodies::{ConnectBody, Shape},
        integration_fields::{fields_of, merged},
        integrations::{changed, rejected, sentence},
        json::Body,
        problem::{Problem, ProblemBody},
    },
    wiring::sender_accounts::Offered,
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sms_list, sms_add))
        .routes(routes!(sms_change, sms_remove))
        .routes(routes!(sms_test_active))
        .routes(routes!(sms_test))
        .routes(routes!(email_list, email_add))
        .routes(routes!(email_change, email_remove))
        .routes(routes!(email_test_active))
        .routes(routes!(email_test))
}

/// An account that messages go out through.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProviderAccountBody {
    id: Uuid,
    /// As it was given: `TWILIO`, …, or `resend`, ….
    #[schema(example = "TWILIO")]
    provider_type: String,
    /// From which number or sender texts come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "+15005550006")]
    from_number: Option<String>,
    /// From which address e-mails come.
    #[serde(skip_serializing_if = "Option::is_none")]
    from_email: Option<String>,
    /// Who is asked first: the lowest.
    priority: i32,
    /// Whether it is asked at all.
    is_active: bool,
    /// `verified`, `restricted`, `unverified`, `failed`, `syncing` or `missing`.
    status: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_verified: Option<Timestamp>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Where the provider is to report what becomes of messages.
    webhook_url: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// The accounts of a channel, in the order in which they are asked.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ProviderAccountsBody {
    data: Vec<ProviderAccountBody>,
}

/// What every body may hold beside the fields of providers.
const COMMON: &[&str] = &["providerType", "priority", "isActive", "active"];

/// Whether some provider of the channel has this field.
fn is_known(channel: Channel, name: &str) -> bool {
    let of = |provider: &Provider| fields_of(credential_provider(*provider)).contains(&name);
    COMMON.contains(&name) || channel.brought().iter().any(of)
}

/// A body whose fields depend on the provider.
struct Parts {
    rest: Map<String, Value>,
    priority: Option<i32>,
    active: Option<bool>,
}

impl Parts {
    /// Takes out what concerns every provider. Fields that are null count as left out: forms send all they have.
    fn take(channel: Channel, body: Value) -> Result<Self, Problem> {
        let Value::Object(mut rest) = body else {
            return Err(Problem::bad_request("validation_failed", "The body must be a JSON object."));
        };
        if let Some(stray) = rest.keys().find(|name| !is_known(channel, name)) {
            return Err(Problem::invalid(stray.clone(), "is not a known field"));
        }
        rest.retain(|_, value| !value.is_null());
        // Also of the fields that another provider would read: what can be no field's value is a mistake in any case.
        for (name, value) in &rest {
            match value {
                Value::Array(_) | Value::Object(_) => {
                    return Err(Problem::invalid(name.clone(), "must be a single value"));
                }
                Value::String(text) if text.contains('\0') => {
                    return Err(Problem::invalid(name.clone(), "must not contain NUL"));
                }
                _ => {}
            }
        }
        let priority = match rest.remove("priority") {
            None => None,
            Some(value) => {
                let given = value.as_i64().and_then(|number| i32::try_from(number).ok());
                Some(given.ok_or_else(|| Problem::invalid("priority", "must be a whole number, 0 to 1000"))?)
            }
        };
        let mut switch = |name: &str| match rest.remove(name) {
            None => Ok(None),
            Some(Value::Bool(switch)) => Ok(Some(switch)),
            Some(_) => Err(Problem::invalid(name, "must be true or false")),
        };
        let active = switch("isActive")?.or(switch("active")?);
        Ok(Self { rest, priority, active })
    }

    fn provider(&mut self, channel: Channel) -> Result<Provider, Problem> {
        let rule = || {
            let names: Vec<_> = channel.brought().iter().map(|provider| shown(channel, *provider)).collect();
            Problem::invalid("providerType", format!("must be one of: {}", names.join(", ")))
        };
        let given = self.rest.remove("providerType");
        let text = given.as_ref().and_then(Value::as_str).ok_or_else(rule)?;
        let provider: Provider = text.parse().map_err(|_| rule())?;
        channel.brought().contains(&provider).then_some(provider).ok_or_else(rule)
    }

    /// What is left of the body that concerns `provider`. Providers of a channel share one body, and forms send all of
    /// it: what is another's is no mistake.
    fn fields(self, provider: Provider) -> Map<String, Value> {
        let own = fields_of(credential_provider(provider));
        self.rest.into_iter().filter(|(name, _)| own.contains(&name.as_str())).collect()
    }
}

/// How the bodies of this provider's accounts name their fields.
fn shape(provider: Provider) -> Shape {
    if provider == Provider::Twilio { Shape::Sms } else { Shape::Integration }
}

fn brought(provider: Provider, fields: Map<String, Value>) -> Result<Brought, Problem> {
    let shape = shape(provider);
    ConnectBody::of(credential_provider(provider), fields, shape)?.into_brought_as(shape)
}

/// What opens an account, all of it given.
pub(super) fn offered(provider: Provider, fields: Map<String, Value>) -> Result<Offered, Problem> {
    brought(provider, fields).map(Offered::from)
}

/// What opens an account, where what is not given is as it is stored.
pub(super) async fn amended(
    app: &App,
    scope: &OrgScope,
    provider: Provider,
    fields: Map<String, Value>,
) -> Result<Offered, Problem> {
    let Some(stored) = app.integrations.connect.stored(scope, credential_provider(provider)).await? else {
        return offered(provider, fields);
    };
    let brought = brought(provider, merged(fields, &stored.brought))?;
    Ok(Offered { brought, over: Some(stored) })
}

/// The provider's name among credentials.
pub(super) fn credential_provider(provider: Provider) -> CredentialProvider {
    match provider {
        Provider::Twilio => CredentialProvider::Twilio,
        Provider::AfricasTalking => CredentialProvider::AfricasTalking,
        Provider::Termii => CredentialProvider::Termii,
        Provider::Resend => CredentialProvider::Resend,
        Provider::Sendgrid => CredentialProvider::Sendgrid,
        Provider::Mailgun => CredentialProvider::Mailgun,
        Provider::Smtp => CredentialProvider::Smtp,
        Provider::Postmark => CredentialProvider::Postmark,
        Provider::Ses => CredentialProvider::Ses,
        Provider::Whatsapp => CredentialProvider::Whatsapp,
    }
}

/// Providers of texts are written in capitals, as they always were.
fn shown(channel: Channel, provider: Provider) -> String {
    match channel {
        Channel::Sms => provider.as_str().to_ascii_uppercase(),
        Channel::Email | Channel::Whatsapp => provider.as_str().to_owned(),
    }
}

pub(super) fn book_problem(error: BookError, provider: Option<Provider>) -> Problem {
    match error {
        BookError::NotOfChannel => {
            Problem::invalid("providerType", "does not carry messages of this kind for organizations")
        }
        BookError::Invalid { field, rule } => Problem::invalid(field, rule),
        BookError::Exists => Problem::conflict(
            "provider_exists",
            "There is an account with this provider already. Change it instead.",
        ),
        BookError::NotFound => Problem::not_found(),
        BookError::Credential(KeepError::Rejected { code }) => {
            let provider = provider.unwrap_or(Provider::Twilio);
            shape(provider).named(rejected(credential_provider(provider), code))
        }
        BookError::Credential(KeepError::Changed) => changed(),
        BookError::Credential(KeepError::Taken) => Problem::conflict(
            "twilio_slot_taken",
            "We manage a Twilio account for this organization. Release its numbers before bringing another.",
        ),
        BookError::Credential(KeepError::Unavailable(cause)) => {
            tracing::warn!(error = &*cause as &dyn std::error::Error, "a provider could not be asked");
            let message = "The provider cannot be reached right now. Nothing has changed; try again.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message).retry_after(10)
        }
        BookError::Credential(KeepError::Store(error)) | BookError::Store(error) => error.into(),
    }
}

pub(super) async fn webhook_url(app: &App, scope: &OrgScope, provider: Provider) -> Result<String, Problem> {
    let token = app.messaging.book.webhook_token(scope, provider).await?;
    let base = app.base.settings.backend.url.parse().map_err(Problem::internal)?;
    Ok(WebhookAddresses::new(base).of(provider, &token).into())
}

async fn body(app: &App, scope: &OrgScope, entry: Entry) -> Result<ProviderAccountBody, Problem> {
    let what = credential_provider(entry.provider);
    let from = (!entry.from.is_empty()).then_some(entry.from);
    let (from_number, from_email) = match entry.channel {
        Channel::Email => (None, from),
        Channel::Sms | Channel::Whatsapp => (from, None),
    };
    Ok(ProviderAccountBody {
        id: entry.id.0,
        provider_type: shown(entry.channel, entry.provider),
        from_number,
        from_email,
        priority: entry.priority,
        is_active: entry.active,
        status: entry.status,
        last_verified: entry.last_verified_at,
        error: entry.error_code.map(|code| sentence(what, &code)),
        webhook_url: webhook_url(app, scope, entry.provider).await?,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    })
}

async fn list(app: &App, caller: &Admin, channel: Channel) -> Result<Json<ProviderAccountsBody>, Problem> {
    let entries = app.messaging.book.list(&caller.scope, channel).await?;
    let mut data = Vec::with_capacity(entries.len());
    for entry in entries {
        data.push(body(app, &caller.scope, entry).await?);
    }
    Ok(Json(ProviderAccountsBody { data }))
}

async fn add(app: &App, caller: &Admin, channel: Channel, given: Value) -> Result<Response, Problem> {
    let mut parts = Parts::take(channel, given)?;
    let provider = parts.provider(channel)?;
    let new = NewEntry {
        channel,
        provider,
        from: None,
        priority: parts.priority.unwrap_or(NewEntry::PRIORITY),
        active: parts.active.unwrap_or(true),
    };
    let offered = offered(provider, parts.fields(provider))?;
    let added = app.messaging.book.add(&caller.scope, new, offered).await;
    let entry = added.map_err(|error| book_problem(error, Some(provider)))?;
    let location = format!("/api/{channel}/providers/{}", entry.id);
    let body = Json(body(app, &caller.scope, entry).await?);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], body).into_response())
}

async fn change(
    app: &App,
    caller: &Admin,
    channel: Channel,
    id: MessagingProviderId,
    given: Value,
) -> Result<Json<ProviderAccountBody>, Problem> {
    let mut parts = Parts::take(channel, given)?;
    let known = app.messaging.book.get(&caller.scope, channel, id).await;
    let provider = known.map_err(|error| book_problem(error, None))?.provider;
    if parts.rest.contains_key("providerType") && parts.provider(channel)? != provider {
        return Err(Problem::invalid("providerType", "cannot be changed; add another account instead"));
    }
    let change = Change { from: None, priority: parts.priority, active: parts.active };
    let fields = parts.fields(provider);
    let credential =
        if fields.is_empty() { None } else { Some(amended(app, &caller.scope, provider, fields).await?) };
    let changed = app.messaging.book.change(&caller.scope, channel, id, change, credential).await;
    let entry = changed.map_err(|error| book_problem(error, Some(provider)))?;
    Ok(Json(body(app, &caller.scope, entry).await?))
}

async fn remove(
    app: &App,
    caller: &Admin,
    channel: Channel,
    id: MessagingProviderId,
) -> Result<StatusCode, Problem> {
    let removed = app.messaging.book.remove(&caller.scope, channel, id).await;
    removed.map_err(|error| book_problem(error, None))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The account to test: the one of this id, or the active one that is asked first.
async fn tested(
    app: &App,
    caller: &Admin,
    channel: Channel,
    id: Option<MessagingProviderId>,
) -> Result<Provider, Problem> {
    if let Some(id) = id {
        let found = app.messaging.book.get(&caller.scope, channel, id).await;
        return Ok(found.map_err(|error| book_problem(error, None))?.provider);
    }
    let entries = app.messaging.book.list(&caller.scope, channel).await?;
    let first = entries.into_iter().find(|entry| entry.active);
    first.map(|entry| entry.provider).ok_or_else(|| {
        Problem::unprocessable("no_provider", "There is no active account of this kind. Add one first.")
    })
}

macro_rules! channel_routes {
    ($channel:expr, $base:literal, $what:literal, $new:ty, $changed:ty, $test:ty,
     $list:ident, $add:ident, $change:ident, $remove:ident, $try_active:ident, $try_one:ident) => {
        #[utoipa::path(get, path = $base, tag = "messaging",
            summary = concat!("Lists the accounts that ", $what, " go out through, in their order."),
            responses((status = 200, body = ProviderAccountsBody)))]
        async fn $list(State(app): State<App>, caller: Admin) -> Result<Json<ProviderAccountsBody>, Problem> {
            list(&app, &caller, $channel).await
        }

        #[utoipa::path(post, path = $base, tag = "messaging",
            summary = concat!("Adds an account for ", $what, ", after its provider has accepted it."),
            description = "For owners and admins.",
            request_body = $new,
            responses((status = 201, body = ProviderAccountBody), (status = 400, body = ProblemBody),
                (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
                (status = 503, body = ProblemBody)))]
        async fn $add(
            State(app): State<App>,
            caller: Admin,
            Body(given): Body<Value>,
        ) -> Result<Response, Problem> {
            add(&app, &caller, $channel, given).await
        }

        #[utoipa::path(patch, path = concat!($base, "/{id}"), tag = "messaging",
            summary = concat!("Changes an account for ", $what, ": its place, whether it is asked, or what opens it."),
            description = "What is left out stays; the provider is asked again where something changes that it judges.",
            params(("id" = Uuid, Path)),
            request_body = $changed,
            responses((status = 200, body = ProviderAccountBody), (status = 400, body = ProblemBody),
                (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
        async fn $change(
            State(app): State<App>,
            caller: Admin,
            Id(id): Id<MessagingProviderId>,
            Body(given): Body<Value>,
        ) -> Result<Json<ProviderAccountBody>, Problem> {
            change(&app, &caller, $channel, id, given).await
        }

        #[utoipa::path(delete, path = concat!($base, "/{id}"), tag = "messaging",
            summary = concat!("Removes an account for ", $what, " and what opens it."),
            params(("id" = Uuid, Path)),
            responses((status = 204), (status = 404, body = ProblemBody)))]
        async fn $remove(
            State(app): State<App>,
            caller: Admin,
            Id(id): Id<MessagingProviderId>,
        ) -> Result<StatusCode, Problem> {
            remove(&app, &caller, $channel, id).await
        }

        #[utoipa::path(post, path = concat!($base, "/test"), tag = "messaging",
            summary = concat!("Sends a test through the active account for ", $what, " that is asked first."),
            request_body = $test,
            responses((status = 200, body = Tested), (status = 400, body = ProblemBody),
                (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
                (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
        async fn $try_active(
            State(app): State<App>,
            caller: Admin,
            origin: RequestOrigin,
            Body(wanted): Body<$test>,
        ) -> Result<Json<Tested>, Problem> {
            let provider = tested(&app, &caller, $channel, None).await?;
            test::run(&app, &caller, origin, provider, wanted.content()?).await
        }

        #[utoipa::path(post, path = concat!($base, "/{id}/test"), tag = "messaging",
            summary = concat!("Sends a test through this account for ", $what, "."),
            params(("id" = Uuid, Path)),
            request_body = $test,
            responses((status = 200, body = Tested), (status = 400, body = ProblemBody),
                (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
                (status = 409, body = ProblemBody), (status = 422, body = ProblemBody),
                (status = 429, body = ProblemBody)))]
        async fn $try_one(
            State(app): State<App>,
            caller: Admin,
            Id(id): Id<MessagingProviderId>,
            origin: RequestOrigin,
            Body(wanted): Body<$test>,
        ) -> Result<Json<Tested>, Problem> {
            let provider = tested(&app, &caller, $channel, Some(id)).await?;
            test::run(&app, &caller, origin, provider, wanted.content()?).await
        }
    };
}

channel_routes!(
    Channel::Sms,
    "/api/sms/providers",
    "texts",
    AddSmsBody,
    ChangeSmsBody,
    test::TestSmsBody,
    sms_list,
    sms_add,
    sms_change,
    sms_remove,
    sms_test_active,
    sms_test
);
channel_routes!(
    Channel::Email,
    "/api/email/providers",
    "e-mails",
    AddEmailBody,
    ChangeEmailBody,
    test::TestEmailBody,
    email_list,
    email_add,
    email_change,
    email_remove,
    email_test_active,
    email_test
);
