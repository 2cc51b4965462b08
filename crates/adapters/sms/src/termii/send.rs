//! Giving a message to Termii. Its key is in the body, and a success without an id is none.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use voxanne_credentials::{ExposeSecret, secrets::Termii};
use voxanne_http::{Answer, Method, NotPublic};
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Blame, Found, LookUp, SendFailure, Sms, SmsProvider};

use super::{
    Client,
    id::{Id, id},
};
use crate::SmsProviders;

/// Text messages through one account.
pub struct TermiiSms {
    pub(super) client: Client,
    pub(super) account: Arc<Termii>,
}

impl TermiiSms {
    /// Through `account`, from the sender that it names; nothing is sent.
    pub fn new(providers: &SmsProviders, account: Arc<Termii>) -> Self {
        Self { client: providers.termii.clone(), account }
    }
}

#[derive(Serialize)]
struct Message<'a> {
    api_key: &'a str,
    /// Without the plus.
    to: &'a str,
    from: &'a str,
    sms: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    channel: &'a str,
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default, deserialize_with = "id")]
    message_id: Option<Id>,
    #[serde(default, deserialize_with = "id")]
    message_id_str: Option<Id>,
    #[serde(default)]
    message: Option<String>,
}

/// What a refusal says; also a success that is one.
#[derive(Default, Deserialize)]
struct Said {
    #[serde(default)]
    message: Option<String>,
}

#[async_trait]
impl SmsProvider for TermiiSms {
    async fn send(&self, sms: &Sms) -> Result<Accepted, SendFailure> {
        let account = &*self.account;
        // A host that we chose ourselves may be anywhere.
        if self.client.base.is_none() && self.client.reach.admits(&account.base_url).is_err() {
            return Err(host_not_allowed(NotPublic.into()));
        }
        let message = Message {
            api_key: account.api_key.expose_secret(),
            to: sms.to.as_str().trim_start_matches('+'),
            from: &account.from,
            sms: &sms.body,
            kind: "plain",
            channel: account.channel.as_str(),
        };
        let url = self.client.url(account, "/api/sms/send");
        let request = self.client.http.request(Method::POST, url).json(&message);
        match self.client.http.write("send_message", request).await {
            Ok(answer) => understood(&answer),
            Err(error) if NotPublic::is_why(&error) => Err(host_not_allowed(error.into())),
            Err(error) => Err(error.into()),
        }
    }

    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError> {
        self.search(message).await
    }
}

fn host_not_allowed(source: Box<dyn std::error::Error + Send + Sync>) -> SendFailure {
    SendFailure::Account { code: "host_not_allowed", credential_failed: true, source }
}

fn understood(answer: &Answer) -> Result<Accepted, SendFailure> {
    let status = answer.status().as_u16();
    let source = format!("status {status}");
    match status {
        200..=299 => {
            let sent: Sent = answer.secret_object()?;
            let message = sent.message.unwrap_or_default();
            match sent.message_id_str.or(sent.message_id) {
                Some(Id(id)) => Ok(Accepted { external_id: Some(id), segments: None, cost: None }),
                None => Err(without_id(&message, source)),
            }
        }
        429 | 408 | 500.. => Err(answer.refusal("").into_error().into()),
        400..=499 => {
            let Said { message } = answer.secret_object().unwrap_or_default();
            Err(refused(&message.unwrap_or_default(), source, status))
        }
        _ => Err(answer.refusal("").into_error().into()),
    }
}

/// A success that names no message: a refusal when it says one, and nothing that can be relied on otherwise.
fn without_id(message: &str, source: String) -> SendFailure {
    let said_success = message.to_lowercase().starts_with("success");
    if message.trim().is_empty() || said_success {
        SendFailure::Unknown(source.into())
    } else {
        refused(message, source, 200)
    }
}

/// What a refusal means: by its words, because its status is documented nowhere. None of them go into the failure.
fn refused(message: &str, source: String, status: u16) -> SendFailure {
    let message = message.to_lowercase();
    let says = |words: &str| message.contains(words);
    let source = source.into();
    let account = |code, credential_failed, source| SendFailure::Account { code, credential_failed, source };
    if says("insufficient") || status == 402 {
        account("insufficient_balance", false, source)
    } else if says("api key") || says("api_key") || says("unauthorized") || says("unauthenticated") {
        account("credentials_rejected", true, source)
    } else if says("not active") || says("inactive") || says("suspended") {
        account("account_suspended", true, source)
    } else if says("sender") {
        account("sender_not_verified", false, source)
    } else if says("route") {
        account("route_not_active", false, source)
    } else if says("dnd") {
        SendFailure::GiveUp { code: "do_not_disturb", blame: Blame::Message, source }
    } else if says("phone") || says("number") || says("destination") || says("recipient") {
        SendFailure::GiveUp { code: "invalid_recipient", blame: Blame::Recipient, source }
    } else if matches!(status, 401 | 403) {
        account("credentials_rejected", true, source)
    } else if matches!(status, 400 | 422) {
        SendFailure::GiveUp { code: "message_rejected", blame: Blame::Message, source }
    } else {
        account("request_refused", false, source)
    }
}
