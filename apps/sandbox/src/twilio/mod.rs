//! Twilio: its REST API of 2010-04-01 under `/twilio`.

mod access;
mod accounts;
mod areas;
mod available;
mod callbacks;
mod caller_ids;
mod calls;
mod carriers;
mod control;
mod incoming;
mod inventory;
mod messages;
mod number;
mod paging;
mod parameters;
mod refusal;
mod segments;
mod store;
mod texting;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::held::{Held, Locked};
use crate::options::{Options, TwilioLogin};
use crate::provider::Provider;
use crate::world::{Shared, World};
use refusal::Refusal;
use store::Store;

pub(crate) use number::is_sid;
pub(crate) use webhooks::{AnswerAt, Problem, answer_at};

/// Twilio's part of the sandbox.
pub(crate) const PROVIDER: Provider = Provider {
    name: "twilio",
    routes,
    control: control::routes,
    state,
    keep: |world| json!(*world.twilio.store()),
    restore: |world, kept| {
        let store = serde_json::from_value(kept)?;
        world.twilio.replace(store, world.clock.now());
        Ok(())
    },
    reset: |world| {
        world.twilio.requests.store(0, Ordering::Relaxed);
        world.twilio.replace(Store::default(), world.clock.now());
    },
    error_body: |status, message| refusal::envelope(status, refusal::code_of(status), message),
};

/// All of Twilio.
#[derive(Debug)]
pub(crate) struct Twilio {
    /// The account that is there from the start.
    login: Option<TwilioLogin>,
    store: Held<Store>,
    /// How many requests there were; each has an id.
    requests: AtomicU64,
}

impl Twilio {
    /// With no account but the one that the options name, which tells `changes` of every change.
    pub(crate) fn new(options: &Options, changes: Arc<Notify>, now: Timestamp) -> Self {
        let twilio = Self {
            login: options.twilio_account.clone(),
            store: Held::new(Store::default(), changes),
            requests: AtomicU64::new(0),
        };
        twilio.replace(Store::default(), now);
        twilio
    }

    /// Everything it holds, locked: never held across an await.
    pub(crate) fn store(&self) -> Locked<'_, Store> {
        self.store.lock()
    }

    /// Goes on with another state, in which the account from the start is there too, with its token.
    fn replace(&self, mut store: Store, now: Timestamp) {
        if let Some(login) = &self.login {
            match store.account_mut(&login.sid) {
                Some(account) => account.auth_token.clone_from(&login.token),
                None => store.accounts.push(control::account(login.sid.clone(), login.token.clone(), now)),
            }
        }
        *self.store() = store;
    }
}

fn routes(world: &Shared) -> Router<Shared> {
    // No nesting: it would cut the paths short, and answers name them.
    let below = |path: &str| format!("/2010-04-01/Accounts/{{account}}{path}");
    Router::new()
        .route("/2010-04-01/Accounts.json", get(accounts::list).post(accounts::create))
        .route(&below(""), get(accounts::read).post(accounts::update))
        .route(&below("/Balance.json"), get(accounts::balance))
        .route(&below("/AvailablePhoneNumbers.json"), get(available::countries))
        .route(&below("/AvailablePhoneNumbers/{name}"), get(available::country))
        .route(&below("/AvailablePhoneNumbers/{country}/{name}"), get(available::search))
        .route(&below("/IncomingPhoneNumbers.json"), get(incoming::list).post(incoming::buy))
        .route(
            &below("/IncomingPhoneNumbers/{name}"),
            get(incoming::read).post(incoming::update).delete(incoming::release),
        )
        .route(&below("/OutgoingCallerIds.json"), get(caller_ids::list).post(caller_ids::validate))
        .route(
            &below("/OutgoingCallerIds/{name}"),
            get(caller_ids::read).post(caller_ids::update).delete(caller_ids::remove),
        )
        .route(&below("/Messages.json"), get(messages::list).post(messages::create))
        .route(
            &below("/Messages/{name}"),
            get(messages::read).post(messages::update).delete(messages::remove),
        )
        .route(&below("/Calls.json"), get(calls::list).post(calls::create))
        .route(&below("/Calls/{name}"), get(calls::read))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(only_json))
        .layer(from_fn_with_state(world.clone(), label))
}

async fn no_route(uri: Uri) -> Refusal {
    Refusal::missing(uri.path())
}

async fn no_method(method: Method) -> Refusal {
    Refusal::with(StatusCode::METHOD_NOT_ALLOWED, 20004, format!("Method {method} is not allowed"))
}

/// A path that does not end in `.json` asks for XML, which is all that it gets.
async fn only_json(request: Request, next: Next) -> Response {
    if request.uri().path().strip_suffix(".json").is_some() {
        return next.run(request).await;
    }
    let xml = "<?xml version='1.0' encoding='UTF-8'?>\n<TwilioResponse><RestException><Code>20404</Code>\
        <Message>The requested resource was not found as XML; paths end in .json</Message>\
        <MoreInfo>https://www.twilio.com/docs/errors/20404</MoreInfo><Status>404</Status>\
        </RestException></TwilioResponse>";
    (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "application/xml")], xml).into_response()
}

/// Adds the headers that every answer of Twilio's has.
async fn label(State(world): State<Shared>, request: Request, next: Next) -> Response {
    let number = world.twilio.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(format!("RQ{number:032x}")) {
        headers.insert(HeaderName::from_static("twilio-request-id"), id);
    }
    for (name, value) in
        [("twilio-request-duration", "0.080"), ("twilio-concurrent-requests", "1"), ("x-home-region", "us1")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

/// Everything it holds, as the API shows it, with the tokens masked.
fn state(world: &World) -> Value {
    let store = world.twilio.store();
    let accounts: Vec<Value> = store
        .accounts
        .iter()
        .map(|account| {
            let numbers: Vec<Value> =
                account.numbers.iter().map(|number| number.shown(&account.sid)).collect();
            json!({
                "sid": account.sid,
                "authToken": "********",
                "friendlyName": account.friendly_name,
                "status": account.status,
                "type": account.plan,
                "ownerAccountSid": account.owner.as_ref().unwrap_or(&account.sid),
                "balanceCents": account.balance,
                "incomingPhoneNumbers": numbers,
            })
        })
        .collect();
    let caller_ids: Vec<Value> = store.caller_ids.iter().map(caller_ids::CallerId::shown).collect();
    json!({
        "accounts": accounts,
        "stock": store.stock,
        "outgoingCallerIds": caller_ids,
        "calls": store.calls,
        "messages": store.messages,
        "texting": store.texting,
        "phones": store.phones,
    })
}

/// A moment as Twilio writes it.
fn rfc2822(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_2822_in_gmt() {
        let at: Timestamp = "2023-08-24T05:01:45.9Z".parse().unwrap();
        assert_eq!(rfc2822(at), "Thu, 24 Aug 2023 05:01:45 +0000");
    }
}
