//! What Twilio tells afterwards: what became of messages, and messages to us. All of it is a signed form.

use std::sync::Arc;

use async_trait::async_trait;
use url::{Url, form_urlencoded};
use voxanne_credentials::Twilio;
use voxanne_kernel::{E164, ids::MessageId};
use voxanne_messaging::{
    channel::Channel,
    providers::{
        DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, InboundMessage, OptOut, ProviderEvent,
        ReadEvents,
    },
};

use super::{WHATSAPP, codes, send::REFERENCE};
use crate::signature::{self, Payload};

/// Reads the callbacks of one account: the one that owns the number or sent the message (decision D18).
pub struct TwilioEvents(Arc<Twilio>);

impl TwilioEvents {
    /// Those of `account`, whose token they are signed with.
    pub fn new(account: Arc<Twilio>) -> Self {
        Self(account)
    }

    /// The form, if it is this account's and Twilio signed it.
    fn believed(&self, request: &EventRequest) -> Result<Form, EventRefusal> {
        let name = signature::HEADER.to_ascii_lowercase();
        let signature = request.header(&name).ok_or(EventRefusal::Signature)?;
        let form = Form::read(&request.body);
        // Whoever signs for another account has that account's token, and no say here.
        if form.one("AccountSid")?.is_some_and(|sid| !sid.eq_ignore_ascii_case(&self.0.account_sid)) {
            return Err(EventRefusal::Foreign);
        }
        let fits = signature::is_valid(&self.0.auth_token, signature, &request.url, Payload::Form(&form.0));
        if !fits {
            return Err(EventRefusal::Signature);
        }
        // Without it nothing says whose it is.
        form.one("AccountSid")?.ok_or(EventRefusal::Malformed)?;
        Ok(form)
    }
}

#[async_trait]
impl ReadEvents for TwilioEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let form = self.believed(request)?;
        let sid = match form.one("MessageSid")? {
            Some(sid) => sid,
            None => form.one("SmsSid")?.ok_or(EventRefusal::Malformed)?,
        };
        let status = match form.one("MessageStatus")? {
            Some(status) => status,
            None => form.one("SmsStatus")?.unwrap_or_default(),
        };
        let events = if matches!(status, "received" | "receiving" | "") && form.one("Body")?.is_some() {
            vec![ProviderEvent::Inbound(inbound(sid, &form)?)]
        } else if status.is_empty() {
            return Ok(EventBatch { events: Vec::new(), unreadable: 1 });
        } else {
            told(sid, status, &form, &request.url)?
        };
        Ok(EventBatch { events, unreadable: 0 })
    }
}

/// What became of a message, and of the recipient's consent where that is why.
fn told(sid: &str, status: &str, form: &Form, url: &str) -> Result<Vec<ProviderEvent>, EventRefusal> {
    let code: Option<u32> = form.one("ErrorCode")?.and_then(|code| code.parse().ok());
    let fate = match status {
        "sent" => Fate::Sent,
        "delivered" | "read" => Fate::Delivered,
        "failed" => codes::fate(code, true),
        "undelivered" => codes::fate(code, false),
        "canceled" => Fate::Failed { code: "canceled" },
        // On its way: queued, sending, accepted, scheduled, partially_delivered, and whatever comes to be.
        _ => Fate::Nothing,
    };
    let id = format!("{sid}:{status}:{}", code.unwrap_or_default());
    let mut events = Vec::new();
    if code == Some(codes::OPTED_OUT)
        && let Some(recipient) = form.one("To")?
    {
        let recipient = recipient.strip_prefix(WHATSAPP).unwrap_or(recipient).to_owned();
        let id = format!("{id}:opted_out");
        events.push(ProviderEvent::Preference { id, recipient, opt_out: OptOut::Stop });
    }
    let event = DeliveryEvent {
        id,
        message: reference(url),
        external_id: Some(sid.to_owned()),
        fate,
        at: None,
        cost: None,
    };
    events.insert(0, ProviderEvent::Delivery(event));
    Ok(events)
}

/// Our id of the message, which we gave along in the address.
fn reference(url: &str) -> Option<MessageId> {
    let url: Url = url.parse().ok()?;
    let (_, id) = url.query_pairs().find(|(name, _)| name == REFERENCE)?;
    id.parse().ok()
}

fn inbound(sid: &str, form: &Form) -> Result<InboundMessage, EventRefusal> {
    let (from, to) = (form.one("From")?.unwrap_or_default(), form.one("To")?.unwrap_or_default());
    let number = |party: &str| E164::new(party.strip_prefix(WHATSAPP).unwrap_or(party)).ok();
    Ok(InboundMessage {
        id: sid.to_owned(),
        channel: if to.starts_with(WHATSAPP) { Channel::Whatsapp } else { Channel::Sms },
        from: number(from),
        to: number(to),
        text: form.one("Body")?.unwrap_or_default().to_owned(),
        opt_out: match form.one("OptOutType")? {
            Some("STOP") => Some(OptOut::Stop),
            Some("START") => Some(OptOut::Start),
            Some("HELP") => Some(OptOut::Help),
            _ => None,
        },
    })
}

/// The decoded parameters.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The value of this name. The signature says nothing of the order of two values of one name, so that two that
    /// differ say nothing either.
    fn one(&self, name: &str) -> Result<Option<&str>, EventRefusal> {
        let mut values = self.0.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let Some(first) = values.next() else { return Ok(None) };
        if values.all(|other| other == first) { Ok(Some(first)) } else { Err(EventRefusal::Malformed) }
    }
}

#[cfg(test)]
mod tests;
