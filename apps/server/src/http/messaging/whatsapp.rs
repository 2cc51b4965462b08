//! The organization's own WhatsApp account: `/api/whatsapp/config`.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::Timestamp;
use voxanne_messaging::{
    accounts_book::{Change, NewEntry},
    channel::{Channel, Provider},
};

use super::{
    accounts::{admit, book_problem, webhook_url},
    test,
};
use crate::{
    app::App,
    http::{
        extract::Caller,
        integration_bodies::{ConnectBody, Shape, WhatsappAccountBody},
        json::Body,
        problem::{Problem, ProblemBody},
    },
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
}

/// What may be done with the account beside replacing it.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "describes the body; it is read field by field")]
#[schema(as = WhatsappActionBody)]
struct ActionBody {
    /// `test`: sends a message. Without it the body is an account as in `POST`.
    #[schema(example = "test")]
    action: Option<String>,
    /// To whom, E.164.
    #[schema(rename = "phoneNumber", example = "+15005550006")]
    phone_number: Option<String>,
    message: Option<String>,
}

async fn shown(app: &App, caller: &Caller) -> Result<WhatsappConfigBody, Problem> {
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
    })
}

/// Stores the account, in the place of what is there.
async fn store(app: &App, caller: &Caller, body: Value) -> Result<(), Problem> {
    let Value::Object(mut fields) = body else {
        return Err(Problem::bad_request("validation_failed", "The body must be a JSON object."));
    };
    fields.retain(|_, value| !value.is_null());
    let shape = Shape::Integration;
    let wanted = super::accounts::credential_provider(PROVIDER);
    let brought = ConnectBody::of(wanted, fields, shape)?.into_brought_as(shape)?;
    let (book, scope) = (&app.messaging.book, &caller.scope);
    let known = book.list(scope, Channel::Whatsapp).await?.into_iter().find(|one| one.provider == PROVIDER);
    let stored = if let Some(known) = known {
        let change = Change { active: Some(true), ..Change::default() };
        book.change(scope, Channel::Whatsapp, known.id, change, Some(brought)).await
    } else {
        let new = NewEntry {
            channel: Channel::Whatsapp,
            provider: PROVIDER,
            from: None,
            priority: NewEntry::PRIORITY,
            active: true,
        };
        book.add(scope, new, brought).await
    };
    stored.map(drop).map_err(|error| book_problem(error, Some(PROVIDER)))
}

/// Shows the organization's WhatsApp account, without its secrets.
#[utoipa::path(get, path = "/api/whatsapp/config", tag = "messaging",
    responses((status = 200, body = WhatsappConfigBody)))]
async fn show(State(app): State<App>, caller: Caller) -> Result<Json<WhatsappConfigBody>, Problem> {
    admit(&app, &caller).await?;
    Ok(Json(shown(&app, &caller).await?))
}

/// Connects a WhatsApp account, after Meta has accepted it. For owners and admins.
#[utoipa::path(post, path = "/api/whatsapp/config", tag = "messaging", request_body = WhatsappAccountBody,
    responses((status = 201, body = WhatsappConfigBody), (status = 400, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn put(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Value>,
) -> Result<(StatusCode, Json<WhatsappConfigBody>), Problem> {
    admit(&app, &caller).await?;
    store(&app, &caller, body).await?;
    Ok((StatusCode::CREATED, Json(shown(&app, &caller).await?)))
}

/// Sends a test message (`action: "test"`), or replaces the account.
#[utoipa::path(put, path = "/api/whatsapp/config", tag = "messaging", request_body = ActionBody,
    responses((status = 200, description = "What came of the test, or the account.", body = test::Tested),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<Value>,
) -> Result<Json<Value>, Problem> {
    admit(&app, &caller).await?;
    let Some(action) = body.get("action") else {
        store(&app, &caller, body).await?;
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
    let Json(tested) = test::run(&app, &caller, PROVIDER, content).await?;
    value(&tested)
}

/// Removes the account.
#[utoipa::path(delete, path = "/api/whatsapp/config", tag = "messaging",
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    admit(&app, &caller).await?;
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
