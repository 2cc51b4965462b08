//! What is recorded, refused and charged when a message is queued.

use jiff::SignedDuration;
use voxanne_kernel::{
    Clock, Money, SendingLimit,
    ids::{AppointmentId, ContactId},
};
use voxanne_messaging::{
    channel::{Channel, Provider},
    consent::SuppressionReason,
    message::{Content, MessageStatus, NewMessage, Purpose, Recipient},
    model::Mode,
    providers::WhatsAppBody,
    send::{QueueError, testing::Memory},
};

use crate::world::{Has, TO, World, mail, ours, own, sms};

const OUR_TWILIO: Has = ours(Provider::Twilio, Memory::Searched);

#[test]
fn a_message_is_recorded_with_its_credit_and_its_job() {
    let world = World::with(&[OUR_TWILIO]);
    let queued = world.queue(sms(&"a".repeat(161))).unwrap();
    assert_eq!((queued.status, queued.channel), (MessageStatus::Queued, Channel::Sms));
    assert_eq!((queued.provider, queued.mode), (Provider::Twilio, Mode::PlatformManaged));
    assert_eq!((queued.segments, queued.cost.map(|cost| cost.amount)), (Some(2), Some(Money::from_minor(6))));
    let book = world.store.book();
    assert_eq!((book.messages.len(), book.outbox.len(), book.balance()), (1, 1, 994));
}

#[test]
fn who_pays_the_provider_is_not_charged() {
    let world = World::with(&[own(Provider::Twilio, Memory::Searched), OUR_TWILIO]);
    let queued = world.queue(sms("Hello")).unwrap();
    assert_eq!((queued.mode, queued.cost), (Mode::CustomerManaged, None));
    assert_eq!(world.store.book().balance(), 1_000);
}

#[test]
fn two_sends_for_the_last_credit_one_goes() {
    let world = World::with(&[OUR_TWILIO]);
    world.store.tamper(|book| book.granted = 5);
    world.queue(sms("Hello")).unwrap();
    assert!(matches!(world.queue(sms("Hello")), Err(QueueError::InsufficientCredits)));
    let book = world.store.book();
    assert_eq!((book.messages.len(), book.outbox.len(), book.balance()), (1, 1, 2));
}

#[test]
fn without_credit_an_own_account_still_sends() {
    let world = World::with(&[own(Provider::Termii, Memory::Searched), OUR_TWILIO]);
    world.store.tamper(|book| book.granted = 0);
    assert_eq!(world.queue(sms("Hello")).unwrap().provider, Provider::Termii);
}

#[test]
fn what_cannot_be_sent_is_refused_by_the_name_of_the_field() {
    let to = || Recipient::Phone(TO.parse().unwrap());
    let whatsapp = |text: &str| {
        let body = WhatsAppBody::Text(text.to_owned());
        NewMessage::new(to(), Content::WhatsApp(body), Purpose::Direct)
    };
    let with_subject = |subject: &str| {
        let mut new = mail();
        if let Content::Email(mail) = &mut new.content {
            mail.subject = subject.to_owned();
        }
        new
    };
    let world = World::with(&[OUR_TWILIO, ours(Provider::Resend, Memory::Keys)]);
    let check = |new: NewMessage, expected: &str| match world.queue(new) {
        Err(QueueError::Invalid { field, .. }) => assert_eq!(field, expected),
        other => panic!("{expected}: {other:?}"),
    };
    check(sms(""), "content");
    check(sms(" \n"), "content");
    check(sms(&"x".repeat(1_601)), "content");
    check(sms("a\0b"), "content");
    check(whatsapp(&"x".repeat(4_097)), "content");
    check(NewMessage { to: to(), ..mail() }, "to");
    check(NewMessage { to: mail().to, ..sms("Hello") }, "to");
    check(with_subject("a\r\nBcc: b@example.com"), "subject");
    check(with_subject(""), "subject");
    check(NewMessage { through: Some(Provider::Resend), ..sms("Hello") }, "provider");
    assert!(world.store.book().messages.is_empty());
}

#[test]
fn who_opted_out_and_who_cannot_be_reached_are_refused() {
    let world = World::with(&[OUR_TWILIO]);
    assert!(matches!(world.queue(mail()), Err(QueueError::NoProvider)));
    world.store.tamper(|book| {
        book.suppressed.insert((Channel::Sms, TO.to_owned()), SuppressionReason::Stop);
    });
    assert!(matches!(world.queue(sms("Hello")), Err(QueueError::OptedOut)));
    world.store.tamper(|book| book.is_suspended = true);
    assert!(matches!(world.queue(sms("Hello")), Err(QueueError::Suspended)));
}

#[test]
fn a_contact_gets_one_follow_up_an_hour_and_another_one_if_the_first_came_to_nothing() {
    let world = World::with(&[OUR_TWILIO]);
    let contact = Some(ContactId::generate());
    let follow_up = || NewMessage { contact, purpose: Purpose::FollowUp, ..sms("Hello") };
    let first = world.queue(follow_up()).unwrap().id;
    match world.queue(follow_up()) {
        Err(QueueError::Limited { limit: SendingLimit::Contact, after }) => {
            assert_eq!(after.as_secs(), 3_600);
        }
        other => panic!("{other:?}"),
    }
    // Messages that somebody writes themselves are not counted.
    world.queue(NewMessage { contact, ..sms("Hello") }).unwrap();
    world.store.tamper(|book| book.is_suspended = true);
    world.send(first);
    world.store.tamper(|book| book.is_suspended = false);
    assert_eq!(world.status(first), MessageStatus::Failed);
    world.queue(follow_up()).unwrap();
}

#[test]
fn the_caps_of_the_day_and_of_the_month_say_which_is_reached_and_until_when() {
    let check = |caps, expected, resets: &str| {
        let world = World::with(&[OUR_TWILIO]);
        world.store.tamper(|book| book.caps = caps);
        world.queue(sms("Hello")).unwrap();
        match world.queue(sms("Hello")) {
            Err(QueueError::Limited { limit, after }) => {
                let after = SignedDuration::try_from(after).unwrap();
                assert_eq!((limit, world.clock.now() + after), (expected, resets.parse().unwrap()));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(world.store.book().messages.len(), 1);
    };
    check((Some(1), None), SendingLimit::Day, "2026-03-03T00:00:00Z");
    check((None, Some(1)), SendingLimit::Month, "2026-04-01T00:00:00Z");
    // There is no room before the later of the two.
    check((Some(1), Some(1)), SendingLimit::Month, "2026-04-01T00:00:00Z");
}

#[test]
fn a_reminder_waits_for_the_morning_and_is_refused_where_that_is_too_late() {
    let world = World::with(&[OUR_TWILIO]);
    // Eleven in the evening where the number is at home.
    world.clock.set("2026-03-03T04:00:00Z".parse().unwrap());
    let reminder = || {
        let purpose = Purpose::Reminder { appointment: AppointmentId::generate() };
        NewMessage { purpose, ..sms("See you tomorrow") }
    };
    let queued = world.queue(reminder()).unwrap();
    let morning = "2026-03-03T13:00:00Z".parse().unwrap();
    assert_eq!(queued.held_until, Some(morning));
    assert_eq!(world.store.book().outbox[0].1.run_at, Some(morning));
    let before = world.clock.now().checked_add(SignedDuration::from_hours(2)).unwrap();
    let late = NewMessage { not_after: Some(before), ..reminder() };
    assert!(matches!(world.queue(late), Err(QueueError::TooLate)));
    // Somebody who writes themselves knows what time it is.
    assert_eq!(world.queue(sms("Hello")).unwrap().held_until, None);
}
