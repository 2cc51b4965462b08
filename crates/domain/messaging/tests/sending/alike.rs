//! The same words to the same person, twice: a provider that shows only words cannot tell the two apart, and we do.

use std::iter;

use voxanne_kernel::{
    Actor, OrgScope,
    ids::{MessageId, OrgId},
};
use voxanne_messaging::{
    channel::Provider,
    message::{MessageStatus, State},
    providers::{DeliveryEvent, EventBatch, Fate, ProviderEvent},
    send::{
        EventSource, Outcome,
        testing::{Fault, Memory, Mishap},
    },
};

use crate::world::{Has, World, once, ours, own, sms};

const TWILIO: Has = own(Provider::Twilio, Memory::Words);
const OUR_TWILIO: Has = ours(Provider::Twilio, Memory::Words);
const WORDS: &str = "See you tomorrow";

impl World {
    fn queued(&self) -> MessageId {
        self.queue(sms(WORDS)).unwrap().id
    }

    /// Both went out, each once, and each is known by an id of its own.
    fn both_arrive(&self, has: Has, both: [MessageId; 2]) {
        self.work(&mut iter::empty());
        let names = both.map(|id| match self.message(id).state {
            State::Given(given) => given.external_id.unwrap(),
            other => panic!("{other:?}"),
        });
        assert_ne!(names[0], names[1]);
        assert_eq!(self.carriage(has).taken().len(), 2);
    }
}

#[test]
fn what_was_taken_for_another_message_is_not_taken_for_one_that_was_lost() {
    for has in [TWILIO, OUR_TWILIO] {
        let world = World::with(&[has]);
        let first = world.queued();
        world.send(first);
        let second = world.queued();
        world.carriage(has).mishaps([Mishap::RequestLost]);
        world.send(second);
        assert_eq!(world.status(second), MessageStatus::Unknown);
        world.both_arrive(has, [first, second]);
    }
}

#[test]
fn of_two_lost_ones_each_is_found_or_sent() {
    for mishaps in [
        [Mishap::AnswerLost, Mishap::RequestLost],
        [Mishap::RequestLost, Mishap::AnswerLost],
        [Mishap::AnswerLost, Mishap::AnswerLost],
        [Mishap::RequestLost, Mishap::RequestLost],
    ] {
        let world = World::with(&[OUR_TWILIO]);
        let both = [world.queued(), world.queued()];
        world.carriage(OUR_TWILIO).mishaps(mishaps);
        for id in both {
            world.send(id);
            assert_eq!(world.status(id), MessageStatus::Unknown);
        }
        world.both_arrive(OUR_TWILIO, both);
    }
}

#[test]
fn our_account_carries_the_words_of_others_as_well() {
    let mut world = World::with(&[OUR_TWILIO]);
    let first = world.queued();
    world.send(first);
    let theirs = world.scope;
    world.scope = OrgScope::vouch(OrgId::generate(), Actor::System);
    let second = world.queued();
    world.carriage(OUR_TWILIO).mishaps([Mishap::RequestLost]);
    world.send(second);
    world.both_arrive(OUR_TWILIO, [first, second]);
    assert_ne!(theirs.org(), world.scope.org());
}

#[test]
fn an_event_of_one_that_was_taken_for_another_makes_neither_of_them_lost() {
    let world = World::with(&[TWILIO]);
    let both = [world.queued(), world.queued()];
    world.carriage(TWILIO).mishaps([Mishap::AnswerLost, Mishap::RequestLost]);
    for id in both {
        world.send(id);
    }
    // The second one looks first.
    world.pass(120);
    world.send(both[1]);
    assert_eq!(world.status(both[1]), MessageStatus::Sent);
    let event = DeliveryEvent {
        id: "e1".to_owned(),
        message: Some(both[0]),
        external_id: Some(format!("ext-{}", both[0])),
        fate: Fate::Delivered,
        at: None,
        cost: None,
    };
    let batch = EventBatch { events: vec![ProviderEvent::Delivery(event)], unreadable: 0 };
    let source = EventSource::Organization(world.scope);
    once(world.apply.run(source, Provider::Twilio, batch)).unwrap().unwrap();
    assert_eq!(world.status(both[1]), MessageStatus::Delivered);
    world.both_arrive(TWILIO, both);
}

#[test]
fn whoever_is_on_its_way_is_waited_for() {
    let mut has_waited = false;
    for point in 0..40 {
        let world = World::with(&[TWILIO]);
        let first = world.queued();
        world.carriage(TWILIO).mishaps([Mishap::RequestLost]);
        world.send(first);
        world.pass(120);
        // The second one is taken, and its sender is gone before it hears so.
        let second = world.queued();
        world.store.fuse.blow_at(point, Fault::Kill);
        let was_killed = once(world.send.run(&world.scope, second)).is_none();
        world.store.fuse.reset();
        let is_on_its_way = matches!(world.message(second).state, State::Sending { .. });
        if !was_killed || !is_on_its_way || world.carriage(TWILIO).taken() != [second] {
            continue;
        }
        has_waited = true;
        assert!(matches!(world.send(first), Outcome::Later(_)));
        assert_eq!(world.status(first), MessageStatus::Unknown);
        world.both_arrive(TWILIO, [first, second]);
    }
    assert!(has_waited);
}
