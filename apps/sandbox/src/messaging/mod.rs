//! The providers that carry e-mail, SMS and WhatsApp messages: their accounts, the look-ups by which a client finds out
//! whether a key is good, the messages they take, and what they tell of them.
//!
//! Each knows the accounts that were made for it through `/_sandbox/{provider}/accounts`, and one that is there from
//! the beginning; a key of none of them is refused as the provider refuses it.

mod accounts;
mod africastalking;
mod mail;
mod mailgun;
mod postmark;
mod resend;
mod sendgrid;
mod ses;
mod sigv4;
mod termii;
mod texts;
mod whatsapp;

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, AsHeaderName};
use tokio::sync::Notify;

use accounts::Accounts;

use crate::held::Held;

/// The domain that the accounts send from that are there from the beginning.
const DOMAIN: &str = "clinic.example";
/// Stands where a secret is not shown.
const MASK: &str = "[hidden]";

pub(crate) use africastalking::PROVIDER as AFRICASTALKING;
pub(crate) use mail::{Doors, MAILGUN, POSTMARK, RESEND, SENDGRID, SES, SMTP, Server};
pub(crate) use termii::PROVIDER as TERMII;
pub(crate) use whatsapp::PROVIDER as WHATSAPP;

/// What all of them hold.
#[derive(Debug)]
pub(crate) struct Messaging {
    resend: Accounts<resend::Account>,
    sendgrid: Accounts<sendgrid::Account>,
    mailgun: Accounts<mailgun::Account>,
    postmark: Accounts<postmark::Account>,
    ses: Accounts<ses::Account>,
    africastalking: Accounts<africastalking::Account>,
    termii: Accounts<termii::Account>,
    whatsapp: Accounts<whatsapp::Account>,
    smtp: Accounts<mail::User>,
    mail: mail::Rooms,
    africastalking_texts: Held<texts::Texts>,
    termii_texts: Held<texts::Texts>,
    whatsapp_texts: Held<texts::Texts>,
}

impl Messaging {
    /// With the accounts that are there from the beginning; tells `changes` of every change.
    pub(crate) fn new(changes: &Arc<Notify>) -> Self {
        Self {
            resend: Accounts::new(changes.clone()),
            sendgrid: Accounts::new(changes.clone()),
            mailgun: Accounts::new(changes.clone()),
            postmark: Accounts::new(changes.clone()),
            ses: Accounts::new(changes.clone()),
            africastalking: Accounts::new(changes.clone()),
            termii: Accounts::new(changes.clone()),
            whatsapp: Accounts::new(changes.clone()),
            smtp: Accounts::new(changes.clone()),
            mail: mail::Rooms::new(changes),
            africastalking_texts: Held::new(texts::Texts::default(), changes.clone()),
            termii_texts: Held::new(texts::Texts::default(), changes.clone()),
            whatsapp_texts: Held::new(texts::Texts::default(), changes.clone()),
        }
    }
}

/// A query's parameters.
type Parameters = HashMap<String, String>;

/// A header's text.
fn header(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The bearer token of a request; empty where the header holds none.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = header(headers, AUTHORIZATION)?;
    let token = value.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("bearer ")).map(|_| &value[7..]);
    Some(token.unwrap_or_default().trim())
}
