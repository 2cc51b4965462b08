//! Forms as Twilio posts them.

use voxanne_kernel::Timestamp;

use super::*;

const SID: &str = "AC0123456789abcdef0123456789abcdef";
const SM: &str = "SM0123456789abcdef0123456789abcdef";
const REF: &str = "01900000-0000-7000-8000-000000000001";

fn account() -> Arc<Twilio> {
    Arc::new(Twilio { account_sid: SID.to_owned(), auth_token: "t0ken".into(), phone_number: None })
}

/// A form with the signature of the account's token.
fn signed(pairs: &[(&str, &str)]) -> EventRequest {
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let url = format!("https://api.clinic.example/webhooks/messaging/twilio/t?ref={REF}");
    let signature = signature::sign(&"t0ken".into(), &url, Payload::Form(&pairs));
    EventRequest {
        url,
        headers: vec![("x-twilio-signature".to_owned(), signature)],
        body: form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish().into_bytes(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

async fn read(pairs: &[(&str, &str)]) -> Result<EventBatch, EventRefusal> {
    TwilioEvents::new(account()).read(&signed(pairs)).await
}

async fn fate(status: &str, code: Option<&str>) -> Fate {
    let mut pairs = vec![("AccountSid", SID), ("MessageSid", SM), ("MessageStatus", status), ("To", "+1")];
    pairs.extend(code.map(|code| ("ErrorCode", code)));
    match read(&pairs).await.unwrap().events.into_iter().next() {
        Some(ProviderEvent::Delivery(event)) => {
            assert_eq!(event.message, REF.parse().ok());
            assert_eq!(event.external_id.as_deref(), Some(SM));
            event.fate
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_status_and_code_has_a_meaning() {
    let undelivered = |code| Fate::Undelivered { code };
    let failed = |code| Fate::Failed { code };
    for (status, code, expected) in [
        ("queued", None, Fate::Nothing),
        ("accepted", None, Fate::Nothing),
        ("sending", None, Fate::Nothing),
        ("scheduled", None, Fate::Nothing),
        ("something-new", None, Fate::Nothing),
        ("sent", None, Fate::Sent),
        ("delivered", None, Fate::Delivered),
        ("read", None, Fate::Delivered),
        ("canceled", None, failed("canceled")),
        ("undelivered", None, undelivered("not_delivered")),
        ("undelivered", Some("30003"), undelivered("recipient_unreachable")),
        ("undelivered", Some("30006"), undelivered("recipient_unreachable")),
        ("undelivered", Some("30007"), undelivered("message_filtered")),
        ("undelivered", Some("30034"), undelivered("sender_not_registered")),
        ("undelivered", Some("30032"), undelivered("sender_not_registered")),
        ("failed", Some("30034"), failed("sender_not_registered")),
        ("failed", Some("30001"), failed("queue_full")),
        ("failed", Some("21610"), failed("recipient_opted_out")),
        ("failed", Some("63016"), failed("template_required")),
        ("failed", Some("99999"), failed("message_rejected")),
        ("failed", Some("x"), failed("message_rejected")),
        ("failed", None, failed("message_rejected")),
    ] {
        assert_eq!(fate(status, code).await, expected, "{status} {code:?}");
    }
}

#[tokio::test]
async fn whoever_opted_out_is_told_of_as_well() {
    let pairs = [
        ("AccountSid", SID),
        ("MessageSid", SM),
        ("MessageStatus", "failed"),
        ("ErrorCode", "21610"),
        ("To", "whatsapp:+15005550009"),
    ];
    let events = read(&pairs).await.unwrap().events;
    assert!(
        matches!(&events[1], ProviderEvent::Preference { recipient, opt_out: OptOut::Stop, .. } if recipient == "+15005550009"),
        "{events:?}"
    );
}

#[tokio::test]
async fn messages_to_us_are_read_whatever_they_came_on() {
    let check = async |more: &[(&str, &str)], from: Option<&str>, channel, opt_out| {
        let mut pairs = vec![("AccountSid", SID), ("MessageSid", SM), ("NumMedia", "0")];
        pairs.extend_from_slice(more);
        let batch = read(&pairs).await.unwrap();
        let [ProviderEvent::Inbound(message)] = batch.events.as_slice() else { panic!("{batch:?}") };
        assert_eq!(message.from.as_ref().map(E164::as_str), from);
        assert_eq!((message.id.as_str(), message.channel, message.opt_out), (SM, channel, opt_out));
        message.text.clone()
    };
    let (from, to) = (("From", "+15005550009"), ("To", "+15005550006"));
    let sms = Channel::Sms;
    let number = Some("+15005550009");
    let received = ("SmsStatus", "received");
    assert_eq!(check(&[from, to, received, ("Body", " STOP\n")], number, sms, None).await, " STOP\n");
    assert_eq!(check(&[from, to, ("Body", "")], number, sms, None).await, "");
    let stop = [from, to, received, ("Body", "STOP"), ("OptOutType", "STOP")];
    check(&stop, number, sms, Some(OptOut::Stop)).await;
    check(&[("From", "anonymous"), to, ("Body", "x")], None, sms, None).await;
    let whatsapp = [("From", "whatsapp:+15005550009"), ("To", "whatsapp:+15005550006"), ("Body", "x")];
    check(&whatsapp, number, Channel::Whatsapp, None).await;
}

#[tokio::test]
async fn two_values_of_one_name_say_nothing_unless_they_are_the_same() {
    let once = [("AccountSid", SID), ("MessageSid", SM), ("MessageStatus", "sent")];
    let twice = [once[0], once[1], once[2], once[2], once[0]];
    assert_eq!(read(&once).await.unwrap(), read(&twice).await.unwrap());
    for (name, other) in [("MessageStatus", "delivered"), ("MessageSid", "SM0"), ("ErrorCode", "1")] {
        let differ = [once[0], once[1], once[2], ("ErrorCode", "2"), (name, other)];
        let refused = read(&differ).await;
        assert!(matches!(refused, Err(EventRefusal::Malformed)), "{name}: {refused:?}");
    }
    let two_accounts = [once[0], once[1], once[2], ("AccountSid", "AC0")];
    assert!(matches!(read(&two_accounts).await, Err(EventRefusal::Malformed)));
}

#[tokio::test]
async fn what_is_about_another_account_is_refused_though_it_is_signed() {
    let foreign = "ACffffffffffffffffffffffffffffffff";
    let refused = read(&[("AccountSid", foreign), ("MessageSid", SM), ("MessageStatus", "sent")]).await;
    assert!(matches!(refused, Err(EventRefusal::Foreign)), "{refused:?}");
    for incomplete in [
        &[("MessageSid", SM), ("MessageStatus", "sent")][..],
        &[("AccountSid", SID), ("MessageStatus", "sent")],
    ] {
        let refused = read(incomplete).await;
        assert!(matches!(refused, Err(EventRefusal::Malformed)), "{refused:?}");
    }
    let batch = read(&[("AccountSid", SID), ("MessageSid", SM)]).await.unwrap();
    assert_eq!(batch, EventBatch { events: Vec::new(), unreadable: 1 });
}
