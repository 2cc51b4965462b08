//! What was to be said is not true any more, while it waits or a provider is being asked.

use std::iter;

use voxanne_kernel::{Begin, ids::AppointmentId};
use voxanne_messaging::{
    channel::Provider,
    message::{MessageStatus, NewMessage, Purpose},
    send::{
        SendTx,
        testing::{Memory, Mishap},
        withdraw,
    },
};

use crate::world::{Has, World, mail, once, ours, own, sms};

/// Takes back what is said of `appointment`; how many messages have ended by that.
fn take_back(world: &World, appointment: AppointmentId) -> usize {
    let now = voxanne_kernel::Clock::now(&*world.clock);
    let done = once(async {
        let mut tx = Begin::<dyn SendTx>::begin(&world.store, &world.scope).await.unwrap();
        let ended = withdraw(&mut *tx, appointment, now).await.unwrap();
        tx.commit().await.unwrap();
        ended.len()
    });
    done.unwrap()
}

fn check(accounts: &[Has], what: &NewMessage, mishap: Option<Mishap>, expected: MessageStatus, times: usize) {
    let world = World::with(accounts);
    let appointment = AppointmentId::generate();
    let reminder = NewMessage { purpose: Purpose::Reminder { appointment }, ..what.clone() };
    let (id, other) = (world.queue(reminder).unwrap().id, world.queue(what.clone()).unwrap().id);
    if let Some(mishap) = mishap {
        world.carriage(accounts[0]).mishaps([mishap]);
        world.send(id);
    }
    take_back(&world, appointment);
    world.work(&mut iter::empty());
    assert_eq!((world.status(id), world.taken(id)), (expected, times), "{mishap:?} {accounts:?}");
    assert_eq!(world.status(other), MessageStatus::Sent);
    let message = world.message(id);
    if expected == MessageStatus::Failed {
        assert_eq!((message.code(), message.is_reserved), (Some("superseded"), false));
        assert_eq!(world.store.book().credits.get(&id).and_then(|credit| credit.settled).unwrap_or(0), 0);
    }
    assert_eq!(take_back(&world, appointment), 0);
    assert_eq!(world.status(id), expected);
}

#[test]
fn what_was_taken_back_goes_to_nobody_who_does_not_have_it_already() {
    let twilio = ours(Provider::Twilio, Memory::Searched);
    let resend = ours(Provider::Resend, Memory::Keys);
    let smtp = own(Provider::Smtp, Memory::Nothing);
    let (failed, sent, unknown) = (MessageStatus::Failed, MessageStatus::Sent, MessageStatus::Unknown);
    check(&[twilio], &sms("Hello"), None, failed, 0);
    check(&[twilio], &sms("Hello"), Some(Mishap::RequestLost), failed, 0);
    check(&[twilio], &sms("Hello"), Some(Mishap::AnswerLost), sent, 1);
    check(&[twilio], &sms("Hello"), Some(Mishap::Later(None)), failed, 0);
    // One that could be given again under its key is not: that might be the first time.
    check(&[resend], &mail(), Some(Mishap::RequestLost), failed, 0);
    check(&[resend], &mail(), Some(Mishap::AnswerLost), sent, 1);
    check(&[smtp], &mail(), Some(Mishap::AnswerLost), unknown, 1);
}
