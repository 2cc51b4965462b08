//! The organization's own WhatsApp account: `/api/whatsapp/config`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_credentials::{Brought, CredentialProvider, ExposeSecret, ResolveError, Whatsapp};
use voxanne_kernel::Timestamp;
use voxanne_messaging::{
    accounts_book::{Change, NewEntry},
    channel::{Channel, Provider},
};

use super::{
    accounts::{amended, book_problem, offered, webhook_url},
    test,
};
use crate::{
    app::App,
    http::{
        extract::Admin,
        idempotency::RequestOrigin,
        integration_bodies::WhatsappAccountBody,
        json::Body,
        problem::{Problem, ProblemBody},
    },
    wiring::sender_accounts::Offered,
};

const PROVIDER: Provider = Provider::Whatsapp;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, put, change, remove))
}

/// The organization's WhatsApp account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct WhatsappConfigBody {
    /// Whether there is one.
    configured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    business_account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// `verified`, `restricted`, `failed`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_verified: Option<Timestamp>,
    /// What Meta is to be given as the address for events.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    /// What Meta is to be given beside it, if we made it; one that was typed in is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify_token: Option<String>,
}

/// What is to be different of the account, or what is to be done with it.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the body; it is read field by field")]
#[schema(as = ChangeWhatsappBody, rename_all = "camelCase")]
struct ActionBody {
    /// `test`: sends a message, with `phoneNumber` and `message` and nothing else. Without it the body is a part of an
    /// account.
    #[schema(example = "test")]
    action: Option<String>,
    /// With `action`: what is sent.
    message: Option<String>,
    business_account_id: Option<String>,
    phone_number_id: Option<String>,
    #[schema(value_type = Option<String>, format = Password, write_only)]
    access_token: Option<String>,
    /// What delivery events are signed with.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    app_secret: Option<String>,
    /// What Meta presents when it checks our address for events.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    verify_token: Option<String>,
    /// E.164. With `action`: to whom; without it: the account's own number.
    #[schema(example = "+15005550006")]
    phone_number: Option<String>,
    display_name: Option<String>,
}

async fn shown(app: &App, caller: &Admin) -> Result<WhatsappConfigBody, Problem> {
    let wanted = super::accounts::credential_provider(PROVIDER);
    let all = app.integrations.list.run(&caller.scope).await?;
    let found = all.into_iter().find(|one| one.provider == wanted).and_then(|one| one.configured);
    let Some(found) = found else {
        return Ok(WhatsappConfigBody {
            configured: false,
            business_account_id: None,
            phone_number_id: None,
            phone_number: None,
            display_name: None,
            status: None,
            last_verified: None,
            webhook_url: None,
            verify_token: None,
        });
    };
    let text = |name: &str| found.metadata.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    Ok(WhatsappConfigBody {
        configured: true,
        business_account_id: text("businessAccountId"),
        phone_number_id: text("phoneNumberId"),
        phone_number: text("phoneNumber"),
        display_name: text("displayName"),
        status: Some(found.status.as_str()),
        last_verified: found.last_verified,
        webhook_url: Some(webhook_url(app, &caller.scope, PROVIDER).await?),
        verify_token: shown_verify_token(app, caller).await?,
    })
}

async fn shown_verify_token(app: &App, caller: &Admin) -> Result<Option<String>, Problem> {
    Ok(match stored(app, caller).await {
        Ok(Some(account)) => account.shown_verify_token().map(ToOwned::to_owned),
        // Whoever looks shall see how the account stands all the same.
        Ok(None) | Err(ResolveError::Unreadable(_)) => None,
        Err(error) => return Err(error.into()),
    })
}

async fn stored(app: &App, caller: &Admin) -> Result<Option<Whatsapp>, ResolveError> {
    let found = app.integrations.connect.stored(&caller.scope, CredentialProvider::Whatsapp).await?;
    Ok(match found.map(|found| found.brought) {
        Some(Brought::Whatsapp(account)) => Some(account),
        _ => None,
    })
}

/// The fields of a body. Those that are null count as left out.
fn fields(body: Value) -> Result<Map<String, Value>, Problem> {
    let Value::Object(mut fields) = body else {
        return Err(Problem::bad_request("validation_failed", "The body must be a JSON object."));
    };
    fields.retain(|_, value| !value.is_null());
    Ok(fields)
}

/// A whole account, for the place of what is there. The secrets of its webhook that are left out stay as they are as
/// long as the business account does: nobody can look them up here to repeat them.
async fn whole(app: &App, caller: &Admin, body: Value) -> Result<Offered, Problem> {
    let mut fields = fields(body)?;
    if let Some(stored) = stored(app, caller).await?
        && fields.get("businessAccountId").and_then(Value::as_str) == Some(&stored.business_account_id)
    {
        let secrets = [("appSecret", &stored.app_secret), ("verifyToken", &stored.verify_token)];
        for (name, secret) in secrets {
            if let Some(secret) = secret {
                fields.entry(name).or_insert_with(|| secret.expose_secret().into());
            }
        }
    }
    offered(PROVIDER, fields)
}

/// Stores the account.
async fn store(app: &App, caller: &Admin, offered: Offered) -> Result<(), Problem> {
    let (book, scope) = (&app.messaging.book, &caller.scope);
    let known = book.list(scope, Channel::Whatsapp).await?.into_iter().find(|one| one.provider == PROVIDER);
    let stored = if let Some(known) = known {
        let change = Change { active: Some(true), ..Change::default() };
        book.change(scope, Channel::Whatsapp, known.id, change, Some(offered)).await
    } else {
        let new = NewEntry {
            channel: Channel::Whatsapp,
            provider: PROVIDER,
            from: None,
            priority: NewEntry::PRIORITY,
            active: true,
        };
        book.add(scope, new, offered).await
    };
    stored.map(drop).map_err(|error| book_problem(error, Some(PROVIDER)))
}

/// Shows the organization's WhatsApp account, without its secrets.
#[utoipa::path(get, path = "/api/whatsapp/config", tag = "messaging",
    responses((status = 200, body = WhatsappConfigBody)))]
async fn show(State(app): State<App>, caller: Admin) -> Result<Json<WhatsappConfigBody>, Problem> {
    Ok(Json(shown(&app, &caller).await?))
}

/// Connects a WhatsApp account, after Meta has accepted it, in the place of one that is there. Without `verifyToken` we
/// make one and show it. `appSecret` and `verifyToken` of the same business account stay as they are where they are left
/// out. For owners and admins.
#[utoipa::path(post, path = "/api/whatsapp/config", tag = "messaging", request_body = WhatsappAccountBody,
    responses((status = 201, body = WhatsappConfigBody), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn put(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<Value>,
) -> Result<(StatusCode, Json<WhatsappConfigBody>), Problem> {
    let offered = whole(&app, &caller, body).await?;
    store(&app, &caller, offered).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, &caller).await?)))
}

/// Sends a test message (`action: "test"`), or changes the account: what is left out or null stays.
#[utoipa::path(put, path = "/api/whatsapp/config", tag = "messaging", request_body = ActionBody,
    responses((status = 200, description = "What came of the test, or the account.", body = test::Tested),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Admin,
    origin: RequestOrigin,
    Body(body): Body<Value>,
) -> Result<Json<Value>, Problem> {
    let Some(action) = body.get("action").filter(|action| !action.is_null()) else {
        let offered = amended(&app, &caller.scope, PROVIDER, fields(body)?).await?;
        store(&app, &caller, offered).await?;
        return value(&shown(&app, &caller).await?);
    };
    if action != "test" {
        return Err(Problem::invalid("action", "must be test"));
    }
    let known = ["action", "phoneNumber", "message"];
    let stray =
        body.as_object().and_then(|fields| fields.keys().find(|name| !known.contains(&name.as_str())));
    if let Some(stray) = stray {
        return Err(Problem::invalid(stray.clone(), "is not a known field"));
    }
    let text = |name: &'static str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Problem::invalid(name, "must be a text")),
    };
    let to = text("phoneNumber")?.ok_or_else(|| Problem::invalid("phoneNumber", "must be given"))?;
    let content = test::whatsapp(&to, text("message")?)?;
    let Json(tested) = test::run(&app, &caller, origin, PROVIDER, content).await?;
    value(&tested)
}

/// Removes the account.
#[utoipa::path(delete, path = "/api/whatsapp/config", tag = "messaging",
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(State(app): State<App>, caller: Admin) -> Result<StatusCode, Problem> {
    let (book, scope) = (&app.messaging.book, &caller.scope);
    let known = book.list(scope, Channel::Whatsapp).await?.into_iter().find(|one| one.provider == PROVIDER);
    let known = known.ok_or_else(Problem::not_found)?;
    let removed = book.remove(scope, Channel::Whatsapp, known.id).await;
    removed.map_err(|error| book_problem(error, Some(PROVIDER)))?;
    Ok(StatusCode::NO_CONTENT)
}

fn value(body: &impl Serialize) -> Result<Json<Value>, Problem> {
    serde_json::to_value(body).map(Json).map_err(Problem::internal)
}
