//! A person decides about a message of which nobody could find out, before and after others who know better.

use std::{
    iter,
    task::{Context, Poll, Waker},
};

use voxanne_kernel::{
    Actor, OrgScope,
    ids::{MessageId, OrgId},
};
use voxanne_messaging::{
    channel::Provider,
    message::{MessageStatus, State},
    providers::{DeliveryEvent, EventBatch, Fate, ProviderEvent},
    send::{
        EventSource, Outcome, Resolution, ResolveError,
        testing::{Fault, Fuse, Memory, MemoryBook, Mishap},
    },
};

use crate::world::{Has, World, once, ours, own, sms};

const OUR_TERMII: Has = ours(Provider::Termii, Memory::Nothing);
const OWN_TERMII: Has = own(Provider::Termii, Memory::Nothing);

impl World {
    /// A message that is unknown for good.
    fn doubtful(&self, has: Has) -> MessageId {
        self.carriage(has).mishaps([Mishap::AnswerLost]);
        let id = self.queue(sms("Hello")).unwrap().id;
        self.send(id);
        self.work(&mut iter::empty());
        assert!(matches!(self.message(id).state, State::Unknown(doubt) if doubt.is_for_a_person));
        id
    }

    fn decide(&self, id: MessageId, resolution: Resolution) -> Result<MessageStatus, ResolveError> {
        let message = once(self.resolve.run(&self.scope, id, resolution)).unwrap()?;
        assert_eq!(message, self.message(id));
        Ok(message.status())
    }

    fn hear(&self, has: Has, id: MessageId, fate: Fate) {
        let source =
            if has.is_platform { EventSource::Platform } else { EventSource::Organization(self.scope) };
        let event = DeliveryEvent {
            id: format!("{fate:?}"),
            message: Some(id),
            external_id: Some(format!("ext-{id}")),
            fate,
            at: None,
            cost: None,
        };
        let batch = EventBatch { events: vec![ProviderEvent::Delivery(event)], unreadable: 0 };
        once(self.apply.run(source, has.provider, batch)).unwrap().unwrap();
    }
}

#[test]
fn what_was_sent_is_paid_for_and_what_was_not_is_given_back_once() {
    let check = |resolution, status, balance: i64, code: Option<&str>| {
        let world = World::with(&[OUR_TERMII]);
        let id = world.doubtful(OUR_TERMII);
        let reserved = world.store.book().balance();
        assert!(reserved < 1_000);
        assert_eq!(world.decide(id, resolution).unwrap(), status);
        let message = world.message(id);
        assert_eq!((message.code(), message.is_reserved, message.due_at), (code, false, None));
        assert_eq!(message.cost.is_some(), resolution == Resolution::Sent);
        assert_eq!(world.store.book().balance(), reserved + balance, "{resolution:?}");
        // Once is enough, and nobody can change their mind.
        for again in [Resolution::Sent, Resolution::Failed] {
            assert!(matches!(world.decide(id, again), Err(ResolveError::NotUnknown(now)) if now == status));
        }
        assert!(matches!(world.send(id), Outcome::Settled { .. }));
        assert_eq!((world.store.book().balance(), world.taken(id)), (reserved + balance, 1));
        let audits = world.store.book().audits;
        assert_eq!(audits.iter().map(|audit| audit.action).collect::<Vec<_>>(), ["message.resolved"]);
    };
    check(Resolution::Sent, MessageStatus::Sent, 0, None);
    check(Resolution::Failed, MessageStatus::Failed, 3, Some("declared_failed"));
}

#[test]
fn what_is_known_or_anothers_is_not_decided_about() {
    let world = World::with(&[OUR_TERMII]);
    let id = world.queue(sms("Hello")).unwrap().id;
    let check = |status| {
        let decided = world.decide(id, Resolution::Failed);
        assert!(matches!(decided, Err(ResolveError::NotUnknown(now)) if now == status), "{status:?}");
    };
    check(MessageStatus::Queued);
    world.send(id);
    check(MessageStatus::Sent);
    world.hear(OUR_TERMII, id, Fate::Delivered);
    check(MessageStatus::Delivered);
    assert!(matches!(world.decide(MessageId::generate(), Resolution::Sent), Err(ResolveError::NotFound)));

    let doubtful = world.doubtful(OUR_TERMII);
    let other = OrgScope::vouch(OrgId::generate(), Actor::System);
    let decided = once(world.resolve.run(&other, doubtful, Resolution::Failed)).unwrap();
    assert!(matches!(decided, Err(ResolveError::NotFound)));
    assert_eq!(world.status(doubtful), MessageStatus::Unknown);
}

#[test]
fn what_the_provider_tells_counts_before_and_after_a_person() {
    let fates = [
        (Fate::Sent, MessageStatus::Sent, 3),
        (Fate::Delivered, MessageStatus::Delivered, 3),
        (Fate::Undelivered { code: "recipient_unreachable" }, MessageStatus::Undelivered, 3),
        (Fate::Failed { code: "message_rejected" }, MessageStatus::Failed, 0),
        (Fate::Complained, MessageStatus::Complained, 3),
    ];
    for (fate, status, price) in fates {
        for resolution in [Resolution::Sent, Resolution::Failed] {
            let world = World::with(&[OUR_TERMII]);
            let id = world.doubtful(OUR_TERMII);
            world.hear(OUR_TERMII, id, fate);
            assert!(matches!(world.decide(id, resolution), Err(ResolveError::NotUnknown(_))));
            assert_eq!((world.status(id), world.store.book().balance()), (status, 1_000 - price), "{fate:?}");

            let world = World::with(&[OUR_TERMII]);
            let id = world.doubtful(OUR_TERMII);
            world.decide(id, resolution).unwrap();
            for _ in 0..2 {
                world.hear(OUR_TERMII, id, fate);
            }
            // What was given back stays given back.
            let price = if resolution == Resolution::Sent { price } else { 0 };
            let found = (world.status(id), world.store.book().balance());
            assert_eq!(found, (status, 1_000 - price), "{fate:?} after {resolution:?}");
        }
    }
}

#[test]
fn the_clinics_own_account_costs_no_credit() {
    for resolution in [Resolution::Sent, Resolution::Failed] {
        let world = World::with(&[OWN_TERMII]);
        let id = world.doubtful(OWN_TERMII);
        world.decide(id, resolution).unwrap();
        world.hear(OWN_TERMII, id, Fate::Delivered);
        assert_eq!((world.status(id), world.store.book().balance()), (MessageStatus::Delivered, 1_000));
        assert!(
            matches!(&world.message(id).state, State::Given(given) if given.carrier == *world.message(id).carrier())
        );
    }
}

#[test]
fn a_look_up_under_way_and_a_person_do_not_both_decide() {
    for mishap in [Mishap::AnswerLost, Mishap::RequestLost] {
        for resolution in [Resolution::Sent, Resolution::Failed] {
            let fuse = Fuse::default();
            let searched = ours(Provider::Twilio, Memory::Searched);
            let world = World::with_points(&[searched], MemoryBook::default(), fuse.clone());
            world.carriage(searched).mishaps([mishap]);
            let id = world.queue(sms("Hello")).unwrap().id;
            world.send(id);
            assert_eq!(world.status(id), MessageStatus::Unknown);
            world.pass(61);
            // Somebody is about to ask the provider when the person decides.
            fuse.blow_at(0, Fault::Sleep);
            let mut asking = Box::pin(world.send.run(&world.scope, id));
            let mut poll = || asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll().is_pending());
            let decided = world.decide(id, resolution).unwrap();
            let balance = world.store.book().balance();
            fuse.wake();
            assert!(matches!(poll(), Poll::Ready(Ok(Outcome::Settled { status, .. })) if status == decided));
            world.work(&mut iter::empty());
            assert_eq!((world.status(id), world.store.book().balance()), (decided, balance));
            assert!(world.taken(id) <= 1, "it is not sent again");
        }
    }
}

#[test]
fn a_decision_that_breaks_off_is_no_half_decision() {
    for fault in [Fault::Kill, Fault::Fail] {
        for resolution in [Resolution::Sent, Resolution::Failed] {
            for point in 0.. {
                let world = World::with(&[OUR_TERMII]);
                let id = world.doubtful(OUR_TERMII);
                world.store.fuse.blow_at(point, fault);
                let outcome = once(world.resolve.run(&world.scope, id, resolution));
                world.store.fuse.reset();
                let is_done = world.status(id) != MessageStatus::Unknown;
                let expected = if is_done && resolution == Resolution::Failed { 1_000 } else { 997 };
                assert_eq!(world.store.book().balance(), expected, "{fault:?} at {point}");
                assert_eq!(world.store.book().audits.len(), usize::from(is_done), "{fault:?} at {point}");
                if matches!(outcome, Some(Ok(_))) {
                    break;
                }
            }
        }
    }
}
