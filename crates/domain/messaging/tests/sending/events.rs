//! What providers tell afterwards: twice, in any order, too early, and of messages of nobody.

use std::iter;

use proptest::prelude::*;
use voxanne_kernel::{Clock, ids::MessageId};
use voxanne_messaging::{
    channel::{Channel, Provider},
    message::{MessageStatus, State},
    providers::{DeliveryEvent, EventBatch, Fate, InboundMessage, ProviderEvent, SENDER_NOT_REGISTERED},
    send::{
        Applied, EventSource,
        testing::{Fault, Memory, Mishap},
    },
};

use crate::world::{Has, TO, World, mail, once, ours, own, sms};

const TERMII: Has = own(Provider::Termii, Memory::Searched);
const OUR_TWILIO: Has = ours(Provider::Twilio, Memory::Searched);

fn event(id: &str, message: Option<MessageId>, external: Option<String>, fate: Fate) -> ProviderEvent {
    let event =
        DeliveryEvent { id: id.to_owned(), message, external_id: external, fate, at: None, cost: None };
    ProviderEvent::Delivery(event)
}

impl World {
    fn told(&self, provider: Provider, is_platform: bool, events: Vec<ProviderEvent>) -> Applied {
        let source = if is_platform { EventSource::Platform } else { EventSource::Organization(self.scope) };
        let batch = EventBatch { events, unreadable: 0 };
        once(self.apply.run(source, provider, batch)).unwrap().unwrap()
    }

    fn tell(&self, has: Has, id: MessageId, event_id: &str, fate: Fate) -> Applied {
        let event = event(event_id, None, Some(format!("ext-{id}")), fate);
        self.told(has.provider, has.is_platform, vec![event])
    }

    fn sent(&self) -> MessageId {
        let id = self.queue(sms("Hello")).unwrap().id;
        self.send(id);
        id
    }
}

const FATES: [Fate; 6] = [
    Fate::Sent,
    Fate::Delivered,
    Fate::Undelivered { code: "recipient_unreachable" },
    Fate::Failed { code: "message_rejected" },
    Fate::Bounced { code: "hard_bounce" },
    Fate::Complained,
];

#[test]
fn a_status_never_goes_back() {
    let check = |fates: &[usize], expected: MessageStatus| {
        let world = World::with(&[TERMII]);
        let id = world.sent();
        for (number, fate) in fates.iter().enumerate() {
            world.tell(TERMII, id, &number.to_string(), FATES[*fate]);
        }
        assert_eq!(world.status(id), expected, "{fates:?}");
    };
    check(&[1, 0], MessageStatus::Delivered);
    check(&[1, 3], MessageStatus::Delivered);
    check(&[1, 2], MessageStatus::Delivered);
    check(&[0, 3], MessageStatus::Failed);
    check(&[2, 0], MessageStatus::Undelivered);
    check(&[1, 4], MessageStatus::Bounced);
    check(&[4, 1], MessageStatus::Bounced);
    check(&[3, 1], MessageStatus::Failed);
    check(&[2, 1], MessageStatus::Undelivered);
    check(&[3, 4], MessageStatus::Failed);
    check(&[2, 5], MessageStatus::Undelivered);
    check(&[4, 5], MessageStatus::Bounced);
    check(&[1, 5, 4], MessageStatus::Complained);
    check(&[5, 1, 0], MessageStatus::Complained);
}

#[test]
fn each_event_counts_once() {
    let world = World::with(&[TERMII]);
    let id = world.sent();
    let first = world.tell(TERMII, id, "e1", Fate::Delivered);
    let again = world.tell(TERMII, id, "e1", Fate::Delivered);
    assert_eq!((first.applied, first.repeated), (1, 0));
    assert_eq!((again.applied, again.repeated), (0, 1));
    // Opened mails and the like are nothing.
    assert_eq!(world.tell(TERMII, id, "e2", Fate::Nothing).ignored, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_comes_only_arrivals_change_once_an_end_is_known_and_all_who_object_are_left_alone(
        fates in proptest::collection::vec(0_usize..FATES.len(), 1..8),
        charged in any::<bool>(),
    ) {
        use MessageStatus::{Bounced, Complained, Delivered, Sent};
        let has = if charged { OUR_TWILIO } else { TERMII };
        let world = World::with(&[has]);
        let id = world.sent();
        for (number, fate) in fates.iter().enumerate() {
            let before = world.status(id);
            world.tell(has, id, &format!("e{number}"), FATES[*fate]);
            let after = world.status(id);
            let is_allowed = match before {
                Sent => true,
                Delivered => matches!(after, Delivered | Bounced | Complained),
                end => after == end,
            };
            prop_assert!(is_allowed, "{before:?} became {after:?}");
        }
        let objects = fates.iter().any(|fate| matches!(FATES[*fate], Fate::Bounced { .. } | Fate::Complained));
        prop_assert_eq!(world.store.book().suppressed.len(), usize::from(objects));
    }
}

#[test]
fn whoever_bounces_or_complains_is_not_written_to_again() {
    for (fate, expected) in [(FATES[4], true), (FATES[5], true), (FATES[2], false), (FATES[3], false)] {
        let resend = ours(Provider::Resend, Memory::Keys);
        let world = World::with(&[resend]);
        let id = world.queue(mail()).unwrap().id;
        world.send(id);
        world.tell(resend, id, "e1", fate);
        let is_suppressed =
            world.store.book().suppressed.contains_key(&(Channel::Email, "ann@example.com".to_owned()));
        assert_eq!(is_suppressed, expected, "{fate:?}");
    }
}

#[test]
fn an_event_before_our_own_note_is_not_lost() {
    // Under our id: the provider's word is as good as its answer.
    let world = World::with(&[TERMII]);
    let id = world.queue(sms("Hello")).unwrap().id;
    world.store.fuse.blow_at(13, Fault::Kill);
    assert!(once(world.send.run(&world.scope, id)).is_none());
    world.store.fuse.reset();
    assert!(matches!(world.message(id).state, State::Sending { .. }));
    let told = event("e1", Some(id), Some(format!("ext-{id}")), Fate::Delivered);
    world.told(Provider::Termii, false, vec![told]);
    assert_eq!(world.status(id), MessageStatus::Delivered);
    world.work(&mut iter::empty());
    assert_eq!((world.status(id), world.taken(id)), (MessageStatus::Delivered, 1));
}

#[test]
fn an_event_under_an_id_that_we_do_not_know_yet_waits_for_it() {
    let world = World::with(&[TERMII]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.tell(TERMII, id, "e1", Fate::Delivered).waiting, 1);
    assert_eq!(world.tell(TERMII, id, "e1", Fate::Delivered).repeated, 1);
    assert_eq!(world.status(id), MessageStatus::Queued);
    world.send(id);
    assert_eq!(world.status(id), MessageStatus::Delivered);
    assert_eq!(world.tell(TERMII, id, "e1", Fate::Delivered).repeated, 1);
}

#[test]
fn events_of_our_own_accounts_find_their_organization_and_wait_until_they_do() {
    let world = World::with(&[OUR_TWILIO]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.tell(OUR_TWILIO, id, "e1", Fate::Delivered).waiting, 1);
    world.send(id);
    assert_eq!(world.status(id), MessageStatus::Sent);
    let swept = once(world.sweep.run(world.clock.now())).unwrap().unwrap();
    assert_eq!((swept.matched, world.status(id)), (1, MessageStatus::Delivered));
    assert!(world.store.book().orphans.is_empty());
    assert_eq!(once(world.sweep.run(world.clock.now())).unwrap().unwrap().matched, 0);
    world.tell(OUR_TWILIO, id, "e2", Fate::Sent);
    assert_eq!(world.status(id), MessageStatus::Delivered);
}

#[test]
fn an_event_resolves_what_nobody_could_tell() {
    let smtp = own(Provider::Smtp, Memory::Nothing);
    let world = World::with(&[smtp]);
    world.carriage(smtp).mishaps([Mishap::AnswerLost]);
    let id = world.queue(mail()).unwrap().id;
    world.work(&mut iter::empty());
    assert_eq!(world.status(id), MessageStatus::Unknown);
    world.told(
        Provider::Smtp,
        false,
        vec![event("e1", Some(id), None, Fate::Bounced { code: "hard_bounce" })],
    );
    assert_eq!(world.status(id), MessageStatus::Bounced);
}

#[test]
fn a_message_that_failed_after_all_is_paid_back() {
    let world = World::with(&[OUR_TWILIO]);
    let id = world.sent();
    assert_eq!(world.store.book().balance(), 997);
    world.tell(OUR_TWILIO, id, "e1", Fate::Failed { code: "message_rejected" });
    world.tell(OUR_TWILIO, id, "e2", Fate::Failed { code: "message_rejected" });
    assert_eq!(world.store.book().balance(), 1_000);
    assert_eq!(world.message(id).code(), Some("message_rejected"));
}

#[test]
fn who_is_not_reached_is_paid_for_and_a_sender_that_is_turned_away_is_not() {
    for (code, left) in [("recipient_unreachable", 997), (SENDER_NOT_REGISTERED, 1_000)] {
        let world = World::with(&[OUR_TWILIO]);
        let id = world.sent();
        for event in ["e1", "e2"] {
            world.tell(OUR_TWILIO, id, event, Fate::Undelivered { code });
        }
        assert_eq!((world.status(id), world.message(id).code()), (MessageStatus::Undelivered, Some(code)));
        assert_eq!(world.store.book().balance(), left, "{code}");
    }
}

#[test]
fn another_accounts_event_changes_nothing() {
    let world = World::with(&[TERMII, OUR_TWILIO]);
    let id = world.sent();
    let foreign = event("e1", Some(id), Some("other".to_owned()), Fate::Failed { code: "message_rejected" });
    world.told(Provider::Twilio, false, vec![foreign]);
    assert_eq!(world.status(id), MessageStatus::Sent);
    assert_eq!(world.told(Provider::Termii, false, vec![event("e2", None, None, Fate::Sent)]).ignored, 1);
}

#[test]
fn stop_and_start_are_heard_once_and_kept() {
    let world = World::with(&[OUR_TWILIO]);
    world.sent();
    let said = |id: &str, text: &str| {
        let from = Some(TO.parse().unwrap());
        let (id, text) = (id.to_owned(), text.to_owned());
        let message = InboundMessage { id, channel: Channel::Sms, from, to: None, text, opt_out: None };
        world.told(Provider::Twilio, true, vec![ProviderEvent::Inbound(message)])
    };
    assert_eq!(said("i1", "Stop").applied, 1);
    assert_eq!(said("i1", "Stop").repeated, 1);
    let is_suppressed = || world.store.book().suppressed.contains_key(&(Channel::Sms, TO.to_owned()));
    assert!(is_suppressed());
    said("i2", "START");
    assert!(!is_suppressed());
    said("i3", "STOP please, who is this?");
    assert!(!is_suppressed());
    assert_eq!(world.store.book().received.len(), 3);
}

#[test]
fn a_message_that_lost_its_job_gets_another() {
    let world = World::with(&[TERMII]);
    let id = world.queue(sms("Hello")).unwrap().id;
    world.store.tamper(|book| book.outbox.clear());
    assert_eq!(once(world.sweep.run(world.clock.now())).unwrap().unwrap().restarted, 0);
    world.pass(200);
    assert_eq!(once(world.sweep.run(world.clock.now())).unwrap().unwrap().restarted, 1);
    assert_eq!(once(world.sweep.run(world.clock.now())).unwrap().unwrap().restarted, 0);
    world.work(&mut iter::empty());
    assert_eq!(world.taken(id), 1);
}
