//! What Africa's Talking tells afterwards. Nothing of it is signed: whoever knows the address is believed, so that what
//! is told of a message counts only if the message is one that went through this account, which its id has to show.

use async_trait::async_trait;
use url::form_urlencoded;
use voxanne_kernel::E164;
use voxanne_messaging::{
    channel::Channel,
    providers::{
        DeliveryEvent, EventBatch, EventRefusal, EventRequest, Fate, InboundMessage, OptOut, ProviderEvent,
        ReadEvents,
    },
};

use crate::digest;

/// Reads the callbacks of any application.
#[derive(Debug, Clone, Copy, Default)]
pub struct AfricasTalkingEvents;

#[async_trait]
impl ReadEvents for AfricasTalkingEvents {
    async fn read(&self, request: &EventRequest) -> Result<EventBatch, EventRefusal> {
        let form = Form(form_urlencoded::parse(&request.body).into_owned().collect());
        let events = match (form.filled("id"), form.filled("status")) {
            (Some(id), Some(status)) => told(id, status, &form),
            (Some(id), None) if form.has("text") => vec![ProviderEvent::Inbound(inbound(id, &form))],
            (None, None) => vec![opted_out(&form, request)?],
            _ => return Err(EventRefusal::Malformed),
        };
        Ok(EventBatch { events, unreadable: 0 })
    }
}

/// What became of a message. One that was blocked because its recipient opted out is only that: whoever forges this
/// must not be able to silence a person, and the next message is refused for the same reason by an answer.
fn told(id: &str, status: &str, form: &Form) -> Vec<ProviderEvent> {
    let reason = form.filled("failureReason").unwrap_or_default();
    let event = DeliveryEvent {
        id: digest::of(&[id, status, reason]),
        message: None,
        external_id: Some(id.to_owned()),
        fate: fate(status, reason),
        at: None,
        cost: None,
    };
    vec![ProviderEvent::Delivery(event)]
}

fn fate(status: &str, reason: &str) -> Fate {
    match status {
        "Sent" | "Submitted" | "Buffered" => Fate::Sent,
        "Success" => Fate::Delivered,
        "Failed" | "Rejected" => Fate::Failed { code: failure(reason) },
        "AbsentSubscriber" => Fate::Undelivered { code: "recipient_unreachable" },
        "Expired" => Fate::Undelivered { code: "expired" },
        _ => Fate::Nothing,
    }
}

fn failure(reason: &str) -> &'static str {
    match reason {
        "InsufficientCredit" => "insufficient_balance",
        "UserInBlackList" => "recipient_opted_out",
        "DoNotDisturbRejection" => "do_not_disturb",
        // The first is how they spell it.
        "NotNetworkSubcriber" | "NotNetworkSubscriber" | "UserDoesNotExist" => "invalid_recipient",
        "UserIsInactive" | "UserAccountSuspended" | "DeliveryFailure" => "recipient_unreachable",
        _ => "message_rejected",
    }
}

fn inbound(id: &str, form: &Form) -> InboundMessage {
    let number = |name| form.filled(name).and_then(|number| E164::new(number).ok());
    InboundMessage {
        id: id.to_owned(),
        channel: Channel::Sms,
        from: number("from"),
        // A short code is no number.
        to: number("to"),
        text: form.filled("text").unwrap_or_default().to_owned(),
        opt_out: None,
    }
}

/// A notice that somebody wants no more from a sender.
fn opted_out(form: &Form, request: &EventRequest) -> Result<ProviderEvent, EventRefusal> {
    let (Some(sender), Some(phone)) = (form.filled("senderId"), form.filled("phoneNumber")) else {
        return Err(EventRefusal::Malformed);
    };
    let recipient = E164::new(phone).map_err(|_| EventRefusal::Malformed)?;
    // The same person may opt out again another time: the notice has nothing but its time to tell the two apart.
    let id = digest::of(&[sender, phone, &request.received_at.to_string()]);
    Ok(ProviderEvent::Preference { id, recipient: recipient.to_string(), opt_out: OptOut::Stop })
}

/// The decoded parameters.
struct Form(Vec<(String, String)>);

impl Form {
    fn filled(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().rev().find(|(given, _)| given == name)?;
        (!value.is_empty()).then_some(value)
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(given, _)| given == name)
    }
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::Timestamp;

    use super::*;

    async fn read(body: &str, at: i64) -> Result<EventBatch, EventRefusal> {
        let received_at = Timestamp::from_second(at).unwrap();
        let (url, body) = (String::new(), body.as_bytes().to_vec());
        let request = EventRequest { url, headers: Vec::new(), body, received_at };
        AfricasTalkingEvents.read(&request).await
    }

    #[tokio::test]
    async fn every_status_and_reason_has_a_meaning() {
        let failed = |code| Fate::Failed { code };
        for (told, expected) in [
            ("Sent", Fate::Sent),
            ("Submitted", Fate::Sent),
            ("Buffered", Fate::Sent),
            ("Success", Fate::Delivered),
            ("Failed", failed("message_rejected")),
            ("Failed&failureReason=InsufficientCredit", failed("insufficient_balance")),
            ("Failed&failureReason=UserInBlackList", failed("recipient_opted_out")),
            ("Rejected&failureReason=DoNotDisturbRejection", failed("do_not_disturb")),
            ("Failed&failureReason=NotNetworkSubcriber", failed("invalid_recipient")),
            ("AbsentSubscriber", Fate::Undelivered { code: "recipient_unreachable" }),
            ("Expired", Fate::Undelivered { code: "expired" }),
            ("Else", Fate::Nothing),
        ] {
            let body = format!("id=ATXid_1&phoneNumber=%2B254711000001&networkCode=63902&status={told}");
            let batch = read(&body, 0).await.unwrap();
            let [ProviderEvent::Delivery(event)] = batch.events.as_slice() else { panic!("{batch:?}") };
            assert_eq!((event.fate, event.external_id.as_deref()), (expected, Some("ATXid_1")), "{told}");
        }
    }

    #[tokio::test]
    async fn messages_and_opt_outs_are_read() {
        let body = "from=%2B254711000001&to=22384&text=STOP&date=x&id=in-1&linkId=l&networkCode=63902";
        let batch = read(body, 0).await.unwrap();
        let [ProviderEvent::Inbound(message)] = batch.events.as_slice() else { panic!("{batch:?}") };
        assert_eq!(message.from.as_ref().map(E164::as_str), Some("+254711000001"));
        assert_eq!((message.id.as_str(), message.text.as_str(), message.to.as_ref()), ("in-1", "STOP", None));

        let notice = "senderId=CLINIC&phoneNumber=%2B254711000001";
        let first = read(notice, 0).await.unwrap();
        let [ProviderEvent::Preference { recipient, opt_out, .. }] = first.events.as_slice() else {
            panic!("{first:?}")
        };
        assert_eq!((recipient.as_str(), *opt_out), ("+254711000001", OptOut::Stop));
        assert_ne!(first, read(notice, 86_400).await.unwrap(), "again, a day later");
    }

    #[tokio::test]
    async fn half_a_notice_is_none() {
        for body in ["", "id=1", "status=Sent", "senderId=X", "phoneNumber=%2B1", "senderId=X&phoneNumber=9"]
        {
            let refused = read(body, 0).await;
            assert!(matches!(refused, Err(EventRefusal::Malformed)), "{body}: {refused:?}");
        }
    }
}
