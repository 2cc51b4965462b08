//! Vapi: its API under `/vapi`, and the messages it sends during calls.

mod assistants;
mod auth;
mod body;
mod calls;
mod collection;
mod credentials;
mod deliver;
mod liquid;
mod listing;
mod live;
mod phone_numbers;
pub(crate) mod play;
mod recordings;
mod refusal;
mod resource;
mod schema;
mod signing;
mod store;
mod tools;
mod wav;

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::held::{Held, Locked};
use crate::ids::Ids;
use crate::options::{Options, Outbound};
use crate::provider::{Provider, no_control};
use crate::world::{Shared, World};
use collection::{Collection, Object};
pub(crate) use phone_numbers::is_e164;
use refusal::Refusal;
use store::Store;

/// Vapi's part of the sandbox.
pub(crate) const PROVIDER: Provider = Provider {
    name: "vapi",
    routes,
    control: no_control,
    state,
    keep: |world| json!(world.vapi.store().kept()),
    restore: |world, kept| {
        *world.vapi.store() = serde_json::from_value(kept)?;
        Ok(())
    },
    reset: |world| world.vapi.reset(&world.ids),
    error_body: |status, message| refusal::envelope(status, &Value::String(message.to_owned())),
};

/// One Vapi account and its settings.
#[derive(Debug)]
pub(crate) struct Vapi {
    keys: Vec<String>,
    pub(crate) concurrency: u32,
    outbound_at_start: Outbound,
    outbound: Mutex<Outbound>,
    store: Held<Store>,
}

impl Vapi {
    /// An empty account, which tells `changes` of every change to it.
    pub(crate) fn new(options: &Options, ids: &Ids, changes: Arc<Notify>) -> Self {
        Self {
            keys: options.vapi_keys.clone(),
            concurrency: options.vapi_concurrency,
            outbound_at_start: options.outbound,
            outbound: Mutex::new(options.outbound),
            store: Held::new(Store::new(ids.uuid().to_string()), changes),
        }
    }

    /// Whether this key opens the account.
    pub(crate) fn knows_key(&self, key: &str) -> bool {
        self.keys.is_empty() || self.keys.iter().any(|known| known == key)
    }

    /// The account, locked: never held across an await.
    pub(crate) fn store(&self) -> Locked<'_, Store> {
        self.store.lock()
    }

    /// Whether calls to this number come here.
    pub(crate) fn has_number(&self, number: &str) -> bool {
        self.store().number(number).is_some()
    }

    /// What becomes of outbound calls.
    pub(crate) fn outbound(&self) -> Outbound {
        *self.outbound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decides what becomes of the outbound calls from now on.
    pub(crate) fn set_outbound(&self, outbound: Outbound) {
        *self.outbound.lock().unwrap_or_else(PoisonError::into_inner) = outbound;
    }

    fn reset(&self, ids: &Ids) {
        self.set_outbound(self.outbound_at_start);
        *self.store() = Store::new(ids.uuid().to_string());
    }
}

fn routes(world: &Shared) -> Router<Shared> {
    let api = Router::new()
        .merge(resource::routes(&assistants::ASSISTANTS))
        .merge(resource::routes(&tools::TOOLS))
        .merge(resource::routes(&phone_numbers::PHONE_NUMBERS))
        .merge(resource::routes(&credentials::CREDENTIALS))
        .merge(phone_numbers::paged())
        .merge(calls::routes())
        .merge(recordings::routes())
        .route_layer(from_fn_with_state(world.clone(), auth::require_key));
    // What the provider serves to whoever knows the address.
    let open = Router::new().merge(live::routes()).merge(recordings::storage());
    api.merge(open).fallback(no_route).method_not_allowed_fallback(no_route)
}

async fn no_route(method: Method, uri: Uri) -> Response {
    Refusal::with(StatusCode::NOT_FOUND, format!("Cannot {method} {}", uri.path())).into_response()
}

fn state(world: &World) -> Value {
    let store = world.vapi.store();
    let all = |rows: &Collection| rows.newest_first().cloned().map(Value::Object).collect::<Value>();
    let credentials = store.credentials.newest_first().map(credentials::without_bearers);
    json!({
        "orgId": store.org_id,
        "concurrency": { "limit": world.vapi.concurrency, "inUse": store.lines_in_use() },
        "assistants": all(&store.assistants),
        "tools": all(&store.tools),
        "phoneNumbers": all(&store.phone_numbers),
        "credentials": credentials.collect::<Vec<Object>>(),
        "calls": all(&store.calls),
    })
}
