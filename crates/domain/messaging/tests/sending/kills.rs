//! Somebody is killed, or the store goes away, at every call of a port, before and after every commit, and before and
//! after the provider has acted; then at every point of the run that follows.

use std::{
    iter,
    task::{Context, Poll, Waker},
};

use voxanne_kernel::ids::MessageId;
use voxanne_messaging::{
    channel::Provider,
    message::{MessageStatus, NewMessage, State},
    providers::Payer,
    send::{
        Outcome,
        testing::{Fault, Fuse, Memory, MemoryBook, Mishap},
    },
};

use crate::world::{Has, World, mail, once, ours, own, sms};

struct Scenario {
    name: &'static str,
    accounts: &'static [Has],
    /// What happens at which of the accounts.
    mishaps: &'static [(usize, &'static [Mishap])],
    message: fn() -> NewMessage,
    /// What it comes to when nobody is killed.
    expected: MessageStatus,
    /// Whether a message may stay unknown when somebody is killed.
    may_stay_unknown: bool,
}

fn text() -> NewMessage {
    sms("See you tomorrow")
}

const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "a provider that can be searched",
        accounts: &[own(Provider::Twilio, Memory::Searched)],
        mishaps: &[],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a provider that knows messages again",
        accounts: &[own(Provider::Resend, Memory::Keys)],
        mishaps: &[],
        message: mail,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a provider that cannot tell",
        accounts: &[own(Provider::Smtp, Memory::Nothing)],
        mishaps: &[],
        message: mail,
        expected: MessageStatus::Sent,
        may_stay_unknown: true,
    },
    Scenario {
        name: "our account, against credit",
        accounts: &[ours(Provider::Twilio, Memory::Searched)],
        mishaps: &[],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "an account that we opened for the organization",
        accounts: &[Has {
            provider: Provider::Twilio,
            is_platform: false,
            memory: Memory::Searched,
            is_managed: true,
        }],
        mishaps: &[],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a busy provider, then ours",
        accounts: &[own(Provider::Termii, Memory::Searched), ours(Provider::Twilio, Memory::Searched)],
        mishaps: &[(0, &[Mishap::Later(None)])],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "two accounts that are refused, then ours",
        accounts: &[
            own(Provider::Resend, Memory::Keys),
            own(Provider::Sendgrid, Memory::Searched),
            ours(Provider::Mailgun, Memory::Searched),
        ],
        mishaps: &[
            (0, &[Mishap::Account { credential: true }]),
            (1, &[Mishap::Account { credential: false }]),
        ],
        message: mail,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a lost answer",
        accounts: &[ours(Provider::Twilio, Memory::Searched)],
        mishaps: &[(0, &[Mishap::AnswerLost])],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "two lost requests",
        accounts: &[ours(Provider::Twilio, Memory::Searched)],
        mishaps: &[(0, &[Mishap::RequestLost, Mishap::RequestLost])],
        message: text,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a lost answer of a provider that knows messages again, which is busy then",
        accounts: &[ours(Provider::Resend, Memory::Keys)],
        mishaps: &[(0, &[Mishap::AnswerLost, Mishap::Later(None)])],
        message: mail,
        expected: MessageStatus::Sent,
        may_stay_unknown: false,
    },
    Scenario {
        name: "a recipient who wants nothing",
        accounts: &[ours(Provider::Twilio, Memory::Searched), own(Provider::Termii, Memory::Searched)],
        mishaps: &[(0, &[Mishap::OptedOut]), (1, &[Mishap::OptedOut])],
        message: text,
        expected: MessageStatus::Failed,
        // The second time somebody asks it, the provider takes the message; it was asked once too often only if nobody
        // could know that it was asked before.
        may_stay_unknown: false,
    },
];

impl Scenario {
    fn world(&self) -> (World, MessageId) {
        let world = World::with(self.accounts);
        for (account, mishaps) in self.mishaps {
            world.carriage(self.accounts[*account]).mishaps(mishaps.iter().copied());
        }
        let id = world.queue((self.message)()).unwrap().id;
        world.store.fuse.reset();
        (world, id)
    }

    fn check(&self, world: &World, id: MessageId, was_killed: bool, place: &dyn Fn() -> String) {
        let (message, book) = (world.message(id), world.store.book());
        let (status, taken) = (message.status(), world.taken(id));
        let is_left = matches!(&message.state, State::Unknown(doubt) if doubt.is_for_a_person);
        if is_left {
            assert!(self.may_stay_unknown && was_killed, "{}: it stays unknown", place());
            assert!(taken <= 1, "{}: sent {taken} times", place());
        } else if self.expected == MessageStatus::Sent || !was_killed {
            assert_eq!(status, self.expected, "{}", place());
            assert_eq!(taken, usize::from(status == MessageStatus::Sent), "{}: sent {taken} times", place());
        } else {
            assert_eq!(
                taken,
                usize::from(status == MessageStatus::Sent),
                "{}: {status:?}, sent {taken} times",
                place()
            );
        }
        let expected = match (status, message.carrier().payer) {
            (MessageStatus::Sent | MessageStatus::Unknown, Payer::Platform) => 3,
            _ => 0,
        };
        assert_eq!(book.balance(), 1_000 - expected, "{}: {:?}", place(), book.credits);
        let open = book.credits.values().filter(|credit| credit.settled.is_none()).count();
        assert_eq!(open, usize::from(message.is_reserved), "{}: credit is left open", place());
        assert!(message.due_at.is_none(), "{}: nothing is due any more", place());
    }
}

#[test]
fn whoever_is_killed_anywhere_leaves_a_message_that_is_sent_once() {
    let (mut runs, mut faults) = (0, 0);
    for scenario in &SCENARIOS {
        let (world, id) = scenario.world();
        world.work(&mut iter::empty());
        let points = world.store.fuse.passed();
        scenario.check(&world, id, false, &|| format!("{}, undisturbed", scenario.name));
        for fault in [Fault::Kill, Fault::Fail] {
            for first in 0..points {
                // Then undisturbed, and then disturbed again at each point of a run.
                for second in iter::once(None).chain((0..30).map(Some)) {
                    let (world, id) = scenario.world();
                    world.store.fuse.blow_at(first, fault);
                    let happened = world.work(&mut second.map(|point| (point, fault)).into_iter());
                    let place = || format!("{}, {fault:?} at {first} and {second:?}", scenario.name);
                    scenario.check(&world, id, happened > 0, &place);
                    (runs, faults) = (runs + 1, faults + happened);
                }
            }
        }
    }
    println!("{runs} runs with {faults} faults in {} scenarios", SCENARIOS.len());
    assert!(faults > 10_000, "{faults}");
}

#[test]
fn whoever_is_killed_while_queueing_leaves_all_or_nothing() {
    let accounts = [ours(Provider::Twilio, Memory::Searched)];
    let mut point = 0;
    loop {
        let world = World::with(&accounts);
        world.store.fuse.blow_at(point, if point % 2 == 0 { Fault::Kill } else { Fault::Fail });
        let ended = once(world.queue.run(&world.scope, text()));
        let book = world.store.book();
        let counts = [book.messages.len(), book.outbox.len(), book.credits.len()];
        assert!(counts == [0; 3] || counts == [1; 3], "{counts:?} at {point}");
        if matches!(ended, Some(Ok(_))) {
            break;
        }
        world.store.fuse.reset();
        world.work(&mut iter::empty());
        assert_eq!(world.store.book().balance(), 1_000 - 3 * i64::try_from(counts[0]).unwrap());
        point += 1;
    }
    println!("killed or failed at {point} points while queueing");
    assert!(point > 10);
}

#[test]
fn a_worker_that_slept_does_not_send_what_was_given_up() {
    let store = MemoryBook::default();
    let fuse = Fuse::default();
    let world = World::with_points(&[own(Provider::Twilio, Memory::Searched)], store, fuse.clone());
    let id = world.queue(text()).unwrap().id;
    // It falls asleep after the attempt was committed, before the provider is asked.
    fuse.blow_at(0, Fault::Sleep);
    let mut sleeper = Box::pin(world.send.run(&world.scope, id));
    let mut poll = || sleeper.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    assert!(matches!(world.message(id).state, State::Sending { .. }));
    // Others take it for dead, find that the provider has nothing, and send it.
    assert!(matches!(world.send(id), Outcome::Later(_)));
    world.work(&mut iter::empty());
    assert_eq!((world.status(id), world.taken(id)), (MessageStatus::Sent, 1));
    fuse.wake();
    assert!(matches!(poll(), Poll::Ready(Ok(Outcome::Settled { status: MessageStatus::Sent, .. }))));
    assert_eq!(world.taken(id), 1);
}
