//! Giving a message to Africa's Talking. The status of a success says nothing: what became of the recipient does.

use std::sync::Arc;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::Value;
use voxanne_credentials::{ExposeSecret, secrets::AfricasTalking};
use voxanne_http::{Answer, Method};
use voxanne_kernel::{E164, ProviderError};
use voxanne_messaging::providers::{Accepted, Blame, Cost, Found, LookUp, SendFailure, Sms, SmsProvider};

use super::Client;
use crate::SmsProviders;

/// Text messages through one application.
pub struct AfricasTalkingSms {
    client: Client,
    account: Arc<AfricasTalking>,
}

impl AfricasTalkingSms {
    /// Through `account`, from the sender that it names; nothing is sent.
    pub fn new(providers: &SmsProviders, account: Arc<AfricasTalking>) -> Self {
        Self { client: providers.africastalking.clone(), account }
    }
}

#[derive(Deserialize)]
struct Sent {
    #[serde(rename = "SMSMessageData")]
    data: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    #[serde(default)]
    message: String,
    #[serde(default)]
    recipients: Vec<Recipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recipient {
    status_code: u16,
    number: String,
    #[serde(default)]
    cost: Value,
    #[serde(default)]
    message_id: Value,
}

#[async_trait]
impl SmsProvider for AfricasTalkingSms {
    async fn send(&self, sms: &Sms) -> Result<Accepted, SendFailure> {
        let account = &*self.account;
        let mut form = vec![
            ("username", account.username.as_str()),
            ("to", sms.to.as_str()),
            ("message", &sms.body),
            ("bulkSMSMode", "1"),
        ];
        form.extend(account.from.as_deref().map(|from| ("from", from)));
        let request = self
            .client
            .http
            .request(Method::POST, self.client.url(account, "/version1/messaging"))
            // XML is what comes without it.
            .header("accept", "application/json")
            .header("apikey", account.api_key.expose_secret())
            .form(&form);
        let answer = self.client.http.write("send_message", request).await?;
        understood(&answer, &sms.to)
    }

    /// It shows nobody what it was sent.
    async fn look_up(&self, _: &LookUp) -> Result<Found, ProviderError> {
        Ok(Found::CannotTell)
    }
}

fn understood(answer: &Answer, to: &E164) -> Result<Accepted, SendFailure> {
    let status = answer.status().as_u16();
    let source = || format!("status {status}").into();
    match status {
        200..=299 => answer.secret_object::<Sent>()?.data.outcome(to),
        // A key that was just made or changed is refused for some minutes like a wrong one.
        401 | 403 => Err(SendFailure::Account {
            code: "credentials_rejected",
            credential_failed: true,
            source: source(),
        }),
        400 | 422 => {
            Err(SendFailure::GiveUp { code: "message_rejected", blame: Blame::Message, source: source() })
        }
        _ => Err(answer.refusal("").into_error().into()),
    }
}

impl Data {
    fn outcome(self, to: &E164) -> Result<Accepted, SendFailure> {
        if self.recipients.is_empty() && !self.message.is_empty() {
            // Nobody was written to. What it says then is the name of what is wrong.
            return Err(nobody(&self.message));
        }
        let digits = |number: &str| number.chars().filter(char::is_ascii_digit).collect::<String>();
        let theirs = digits(to.as_str());
        let recipient = self.recipients.into_iter().find(|recipient| digits(&recipient.number) == theirs);
        match recipient {
            Some(recipient) => recipient.outcome(&self.message),
            None => Err(SendFailure::Unknown("the answer is not about this recipient".into())),
        }
    }
}

fn nobody(message: &str) -> SendFailure {
    let message = message.to_lowercase();
    let code = if message.contains("senderid") {
        "sender_not_verified"
    } else if message.contains("insufficient") {
        "insufficient_balance"
    } else {
        "request_refused"
    };
    SendFailure::Account { code, credential_failed: false, source: format!("no recipient, {code}").into() }
}

impl Recipient {
    fn outcome(self, message: &str) -> Result<Accepted, SendFailure> {
        let source = format!("recipient status {}", self.status_code).into();
        let account = |code, source| SendFailure::Account { code, credential_failed: false, source };
        let give_up = |code, blame, source| SendFailure::GiveUp { code, blame, source };
        Err(match self.status_code {
            100..=102 => return Ok(self.accepted(message)),
            401 => account("risk_hold", source),
            402 => account("sender_not_verified", source),
            403 | 404 => give_up("invalid_recipient", Blame::Recipient, source),
            405 => account("insufficient_balance", source),
            406 => give_up("recipient_opted_out", Blame::OptedOut, source),
            407 => account("not_routable", source),
            // What is sent counts as advertising, at this hour or to this number.
            409 => give_up("do_not_disturb", Blame::Message, source),
            502 => account("gateway_rejected", source),
            // 500 and 501 failed somewhere on the way; what is new may mean anything.
            _ => SendFailure::Unknown(source),
        })
    }

    fn accepted(self, message: &str) -> Accepted {
        // Whatever these are: the message was taken.
        let priced = self.cost.as_str().and_then(|cost| cost.split_once(' '));
        let parts = message.rsplit_once("Message parts: ").map(|(_, parts)| parts.trim());
        Accepted {
            // It says so in words when there is none.
            external_id: self
                .message_id
                .as_str()
                .filter(|id| !id.is_empty() && !id.eq_ignore_ascii_case("none"))
                .map(str::to_owned),
            segments: parts.and_then(|parts| parts.parse().ok()),
            cost: priced.and_then(|(currency, amount)| Cost::read(amount, currency)),
        }
    }
}
