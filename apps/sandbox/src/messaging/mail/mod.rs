//! What the providers that carry e-mail have in common: mails are taken, kept, and told of. None leaves the sandbox.
//!
//! - each provider's own module takes mails, refuses what the provider refuses, and words its events;
//! - `tell` delivers events to the product, by itself after a mail was taken and on demand;
//! - `multipart` and `address` read what clients send; `smtp` is a mail server.

mod address;
pub(super) mod mailgun;
mod multipart;
pub(super) mod postmark;
pub(super) mod resend;
pub(super) mod sendgrid;
pub(super) mod ses;
mod smtp;
mod sns;
mod tell;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::accounts::{self, Account};
use crate::held::Held;
use crate::provider::Provider;
use crate::world::{Shared, World};

pub(crate) use mailgun::PROVIDER as MAILGUN;
pub(crate) use postmark::PROVIDER as POSTMARK;
pub(crate) use resend::PROVIDER as RESEND;
pub(crate) use sendgrid::PROVIDER as SENDGRID;
pub(crate) use ses::PROVIDER as SES;
pub(crate) use smtp::{Doors, PROVIDER as SMTP, Server, User};
pub(super) use tell::Webhook;

/// The largest body that a handler reads, above what any of the providers takes.
pub(super) const BODY: usize = 64 * 1024 * 1024;

/// A mail that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mail {
    /// The provider's name for it, as its events have it.
    pub(super) id: String,
    /// The account's key.
    account: String,
    at: Timestamp,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    /// The sender's own name for it, in the tag, argument, variable or field that is called `message_id`.
    pub(super) reference: Option<String>,
    /// The last thing that was told of it, in the provider's words.
    pub(super) last_event: String,
    /// As it came.
    pub(super) sent: Value,
}

/// Every mail that one provider has taken, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Room {
    pub(super) taken: Vec<Mail>,
}

/// The rooms of all of them.
#[derive(Debug)]
pub(crate) struct Rooms {
    resend: Held<Room>,
    resend_keys: Held<resend::Keys>,
    sendgrid: Held<Room>,
    mailgun: Held<Room>,
    postmark: Held<Room>,
    ses: Held<Room>,
    smtp: Held<Room>,
    /// What SES's topics sign with; made when it is first needed.
    sns: std::sync::OnceLock<sns::Signer>,
}

impl Rooms {
    /// Empty ones, which tell `changes` of every change.
    pub(crate) fn new(changes: &Arc<Notify>) -> Self {
        let room = || Held::new(Room::default(), changes.clone());
        Self {
            resend: room(),
            resend_keys: Held::new(resend::Keys::default(), changes.clone()),
            sendgrid: room(),
            mailgun: room(),
            postmark: room(),
            ses: room(),
            smtp: room(),
            sns: std::sync::OnceLock::new(),
        }
    }
}

/// An account at a provider that carries e-mail.
pub(super) trait Carrier: Account {
    /// The provider's prefix.
    const NAME: &'static str;

    /// Where a world has the provider's mails.
    fn room(world: &World) -> &Held<Room>;

    /// Where the account wants to be told; nobody is told without it.
    fn webhook(&self) -> Option<&Webhook>;

    /// Wants to be told there from now on. Nothing comes of it where nobody is ever told.
    fn want(&mut self, webhook: Webhook);

    /// What becomes of a mail to this address, told one after the other, in the provider's words.
    fn course(mail: &Mail) -> Vec<&'static str>;

    /// What is told, as the provider words it: an event for each item, in one request or in several.
    fn word(&self, world: &World, happenings: &[tell::Happening]) -> Vec<tell::Wording>;

    /// The headers and the bytes of a request, signed as the provider signs.
    fn sign(&self, world: &World, wording: &tell::Wording, signing: tell::Signing) -> tell::Request;

    /// How long after each failed attempt the next one comes, in seconds.
    const SCHEDULE: &'static [u64];

    /// Whether an answer ends the attempts though it is no success.
    fn stops(status: u16) -> bool;

    /// A mail as a rehearsal sees it.
    fn inspected(mail: &Mail) -> Value {
        let mut shown = json!(mail);
        if let Some(fields) = shown.as_object_mut() {
            fields.remove("account");
        }
        shown
    }
}

/// A mail on its way in.
pub(super) struct Arrival {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) subject: String,
    pub(super) reference: Option<String>,
    pub(super) sent: Value,
}

/// Keeps a mail, and tells of it as far as the account wants to be told.
pub(super) fn take<C: Carrier>(world: &Shared, account: &C, arrival: Arrival) -> Mail {
    let mut mail = Mail {
        id: arrival.id,
        account: account.key().to_owned(),
        at: world.clock.stamp(),
        from: arrival.from,
        to: arrival.to,
        subject: arrival.subject,
        reference: arrival.reference,
        last_event: String::new(),
        sent: arrival.sent,
    };
    let course = C::course(&mail);
    course.last().copied().unwrap_or_default().clone_into(&mut mail.last_event);
    C::room(world).lock().taken.push(mail.clone());
    if account.webhook().is_some_and(Webhook::tells_by_itself) {
        world.tasks.spawn(tell::follow(world.clone(), account.clone(), mail.clone(), course));
    }
    mail
}

/// A provider with accounts and mails.
pub(super) const fn provider<C: Carrier>(
    routes: fn(&Shared) -> Router<Shared>,
    error_body: fn(StatusCode, &str) -> Value,
) -> Provider {
    Provider {
        name: C::NAME,
        routes,
        control: control::<C>,
        state: state::<C>,
        keep: keep::<C>,
        restore: restore::<C>,
        reset: reset::<C>,
        error_body,
    }
}

fn control<C: Carrier>() -> Router<Shared> {
    accounts::control::<C>().merge(tell::control::<C>())
}

fn state<C: Carrier>(world: &World) -> Value {
    let mut state = accounts::state::<C>(world);
    state["messages"] = C::room(world).lock().taken.iter().map(C::inspected).collect();
    state
}

/// What is kept for the next sandbox.
#[derive(Serialize, Deserialize)]
struct Kept {
    accounts: Value,
    #[serde(default)]
    messages: Vec<Mail>,
}

fn keep<C: Carrier>(world: &World) -> Value {
    let messages = C::room(world).lock().taken.clone();
    json!(Kept { accounts: accounts::keep::<C>(world), messages })
}

fn restore<C: Carrier>(world: &World, kept: Value) -> serde_json::Result<()> {
    // Accounts alone are what older sandboxes kept.
    if kept.is_array() {
        return accounts::restore::<C>(world, kept);
    }
    let Kept { accounts, messages } = serde_json::from_value(kept)?;
    accounts::restore::<C>(world, accounts)?;
    C::room(world).lock().taken = messages;
    Ok(())
}

fn reset<C: Carrier>(world: &World) {
    accounts::reset::<C>(world);
    C::room(world).lock().taken.clear();
}

/// The part of an address in front of a `+` or the `@`, if it is in this domain: providers have addresses that say
/// themselves what becomes of mails to them.
pub(super) fn tester<'a>(mail: &'a Mail, domain: &str) -> Option<&'a str> {
    let (local, at) = address::bare(mail.to.first()?)?.rsplit_once('@')?;
    at.eq_ignore_ascii_case(domain).then(|| local.split('+').next().unwrap_or(local))
}
