//! Many messages of one request, which may come again.

use std::collections::BTreeSet;

use voxanne_kernel::ids::MessageId;
use voxanne_messaging::{
    channel::{Channel, Provider},
    consent::SuppressionReason,
    message::{Content, MessageStatus, NewMessage, Purpose, Recipient},
    send::{
        Origin, QueueError,
        testing::{Fault, Memory},
    },
    templates::Variables,
};

use crate::world::{Has, World, once, ours, sms, start};

const OUR_TWILIO: Has = ours(Provider::Twilio, Memory::Searched);

fn to(number: usize) -> Recipient {
    Recipient::Phone(format!("+1202555{number:04}").parse().unwrap())
}

/// The messages of a request to so many, whenever it comes.
fn request(recipients: usize) -> Vec<(MessageId, NewMessage)> {
    let origin = Origin::new(start(), [1; 32]);
    let message = |number| {
        let content = Content::Sms { body: "Closed on Friday".to_owned() };
        let id = origin.message(&to(number), &Variables::new());
        (id, NewMessage::new(to(number), content, Purpose::Direct))
    };
    (0..recipients).map(message).collect()
}

#[test]
fn whoever_is_killed_after_any_recipient_queues_the_rest_when_the_request_comes_again() {
    const RECIPIENTS: usize = 120;
    let (mut point, mut parts) = (0, BTreeSet::new());
    loop {
        let world = World::with(&[OUR_TWILIO]);
        let wanted = request(RECIPIENTS);
        let fault = if point % 2 == 0 { Fault::Kill } else { Fault::Fail };
        world.store.fuse.blow_at(point, fault);
        let first = once(world.queue.run_all(&world.scope, &wanted));
        let is_blown = world.store.fuse.passed() > point;
        world.store.fuse.reset();
        let before = world.store.book();
        assert_eq!(
            (before.outbox.len(), before.credits.len()),
            (before.messages.len(), before.messages.len())
        );
        parts.insert(before.messages.len());
        if let Some(outcomes) = first {
            for ((id, _), outcome) in wanted.iter().zip(&outcomes) {
                assert_eq!(outcome.is_ok(), before.messages.contains_key(id), "{outcome:?} at {point}");
            }
        }
        let again = once(world.queue.run_all(&world.scope, &wanted)).unwrap();
        let told: Vec<_> = again.into_iter().map(|outcome| outcome.unwrap().id).collect();
        assert!(told.iter().eq(wanted.iter().map(|(id, _)| id)), "at {point}");
        let book = world.store.book();
        assert_eq!((book.messages.len(), book.outbox.len(), book.balance()), (RECIPIENTS, RECIPIENTS, 640));
        if !is_blown {
            break;
        }
        // Each message passes about ten.
        point += 7;
    }
    println!("killed or failed at each seventh of {point} points; {parts:?} were queued by then");
    assert!(parts.contains(&0) && parts.contains(&50) && parts.contains(&100) && parts.contains(&RECIPIENTS));
}

#[test]
fn one_that_is_refused_stops_no_other_and_leaves_nothing() {
    let world = World::with(&[OUR_TWILIO]);
    let wanted = request(60);
    world.store.tamper(|book| {
        book.granted = 100;
        book.suppressed.insert((Channel::Sms, to(1).as_str().to_owned()), SuppressionReason::Stop);
    });
    let outcomes = once(world.queue.run_all(&world.scope, &wanted)).unwrap();
    assert!(matches!(outcomes[1], Err(QueueError::OptedOut)));
    // Three cents each: there is credit for thirty-three.
    let queued: Vec<_> = (0..60).filter(|number| outcomes[*number].is_ok()).collect();
    assert_eq!(queued, [0].into_iter().chain(2..34).collect::<Vec<_>>());
    assert!(outcomes[34..].iter().all(|outcome| matches!(outcome, Err(QueueError::InsufficientCredits))));
    let book = world.store.book();
    assert_eq!((book.messages.len(), book.outbox.len(), book.balance()), (33, 33, 1));
}

#[test]
fn a_message_that_is_wanted_again_is_told_as_it_is() {
    let world = World::with(&[OUR_TWILIO]);
    let id = Origin::new(start(), [1; 32]).message(&to(7), &Variables::new());
    let queue = || once(world.queue.run_once(&world.scope, id, sms("Hello"))).unwrap().unwrap();
    let first = queue();
    assert_eq!((first.id, first.status), (id, MessageStatus::Queued));
    world.send(id);
    world.store.tamper(|book| book.granted = 0);
    let again = queue();
    assert_eq!((again.id, again.status, again.cost), (id, MessageStatus::Sent, first.cost));
    assert_eq!((world.store.book().messages.len(), world.taken(id)), (1, 1));
}

#[test]
fn a_commit_whose_answer_was_lost_is_asked_about() {
    let world = World::with(&[OUR_TWILIO]);
    let queue = |id| once(world.queue.run_once(&world.scope, id, sms("Hello"))).unwrap();
    let points = {
        world.store.fuse.reset();
        queue(MessageId::generate()).unwrap();
        world.store.fuse.passed()
    };
    world.store.fuse.blow_at(points - 1, Fault::Fail);
    let id = MessageId::generate();
    assert_eq!(queue(id).unwrap().id, id);
    world.store.fuse.blow_at(points - 2, Fault::Fail);
    assert!(matches!(queue(MessageId::generate()), Err(QueueError::Store(_))));
    assert_eq!(world.store.book().messages.len(), 2);
}
