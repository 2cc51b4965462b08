//! Who is asked, in which order, and who hears of it.

use std::{iter, time::Duration};

use jiff::SignedDuration;
use voxanne_kernel::{ActivityKind, Clock};
use voxanne_messaging::{
    channel::{Channel, Provider},
    mail::Notice,
    message::{MessageStatus, State},
    model::Mode,
    send::{
        Outcome,
        testing::{Memory, Mishap},
    },
};

use crate::world::{Has, TO, World, mail, ours, own, sms};

const TERMII: Has = own(Provider::Termii, Memory::Searched);
const TWILIO: Has = own(Provider::Twilio, Memory::Searched);
const OUR_TWILIO: Has = ours(Provider::Twilio, Memory::Searched);

fn settled(status: MessageStatus, code: Option<&str>) -> Outcome {
    Outcome::Settled { status, code: code.map(|code| code.to_owned().into()) }
}

const SENT: MessageStatus = MessageStatus::Sent;

#[test]
fn a_busy_provider_is_passed_over_at_once_and_the_organization_told_once() {
    let world = World::with(&[TERMII, TWILIO]);
    world.carriage(TERMII).mishaps([Mishap::Later(None), Mishap::Later(None)]);
    for _ in 0..2 {
        let id = world.queue(sms("Hello")).unwrap().id;
        assert_eq!(world.send(id), settled(SENT, None));
        assert_eq!(world.message(id).carrier().provider, Provider::Twilio);
    }
    let told = |count: usize| {
        let book = world.store.book();
        assert_eq!((book.activity.len(), book.notices.len()), (count, count));
        book
    };
    let book = told(1);
    assert_eq!(book.activity[0].kind, ActivityKind::MessagesFailedOver);
    let notice = Notice::MessagesFailedOver {
        channel: Channel::Sms,
        failed: Provider::Termii,
        by: Provider::Twilio,
        by_platform: false,
    };
    assert_eq!(book.notices[0], notice);
    // It works, and fails again.
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.send(id), settled(SENT, None));
    assert_eq!(world.message(id).carrier().provider, Provider::Termii);
    world.carriage(TERMII).mishaps([Mishap::Later(None)]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.send(id), settled(SENT, None));
    told(2);
}

#[test]
fn three_failures_in_a_row_leave_an_account_alone_for_a_while() {
    let world = World::with(&[TERMII, TWILIO]);
    world.carriage(TERMII).mishaps([Mishap::Later(None); 3]);
    for _ in 0..5 {
        let id = world.queue(sms("Hello")).unwrap().id;
        world.send(id);
    }
    assert_eq!(world.carriage(TWILIO).taken().len(), 5);
    assert_eq!(world.store.book().attempts.len(), 8, "three of five were asked of it");
    world.pass(31);
    let id = world.queue(sms("Hello")).unwrap().id;
    world.send(id);
    assert_eq!(world.carriage(TERMII).taken(), [id]);
}

#[test]
fn a_single_busy_provider_is_asked_again_later_and_as_late_as_it_wants() {
    let world = World::with(&[TERMII]);
    let hour = Duration::from_hours(1);
    world.carriage(TERMII).mishaps([Mishap::Later(None), Mishap::Later(Some(hour)), Mishap::Later(None)]);
    let id = world.queue(sms("Hello")).unwrap().id;
    let start = world.clock.now();
    let after = |seconds| start.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let expect = |seconds: i64| {
        assert_eq!(world.send(id), Outcome::Later(after(seconds)));
        world.clock.set(after(seconds));
    };
    expect(5);
    expect(3_605);
    // The third failure in a row also leaves the account alone: 30 seconds.
    expect(3_625);
    expect(3_635);
    assert_eq!(world.send(id), settled(SENT, None));
    let jobs = world.store.book().outbox;
    assert_eq!(jobs.len(), 1, "one waiting job for a message is enough");
}

#[test]
fn a_message_that_nobody_takes_for_a_day_is_given_up_and_paid_back() {
    let world = World::with(&[OUR_TWILIO]);
    world.carriage(OUR_TWILIO).mishaps([Mishap::Later(None); 200]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.store.book().balance(), 997);
    let start = world.clock.now();
    world.work(&mut iter::empty());
    assert!(world.clock.now().duration_since(start) > SignedDuration::from_hours(20));
    assert_eq!(world.status(id), MessageStatus::Failed);
    assert_eq!((world.store.book().balance(), world.taken(id)), (1_000, 0));
}

#[test]
fn a_refused_credential_is_marked_and_not_used_again() {
    let world = World::with(&[TERMII, OUR_TWILIO]);
    world.carriage(TERMII).mishaps([Mishap::Account { credential: true }]);
    for _ in 0..2 {
        let id = world.queue(sms("Hello")).unwrap().id;
        assert_eq!(world.send(id), settled(SENT, None));
        assert_eq!(world.message(id).carrier().mode(), Mode::PlatformManaged);
    }
    let book = world.store.book();
    assert!(book.failed_credentials.contains(&Provider::Termii));
    assert_eq!(book.attempts.len(), 3);
    // Both were charged: the second when it was queued, the first when it came to that.
    assert_eq!(book.balance(), 994);
    assert!(book.notices.len() == 1);
}

#[test]
fn ours_are_not_asked_where_the_organization_does_not_want_it() {
    let world = World::with(&[TERMII, OUR_TWILIO]);
    world.store.tamper(|book| book.model.fallback_to_platform = false);
    world.carriage(TERMII).mishaps([Mishap::Account { credential: false }]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.send(id), settled(MessageStatus::Failed, Some("insufficient_balance")));
    assert!(world.carriage(OUR_TWILIO).taken().is_empty());
}

#[test]
fn ours_are_not_asked_where_there_is_no_credit() {
    let world = World::with(&[TERMII, OUR_TWILIO]);
    world.store.tamper(|book| book.granted = 2);
    world.carriage(TERMII).mishaps([Mishap::Account { credential: false }]);
    let id = world.queue(sms("Hello")).unwrap().id;
    assert_eq!(world.send(id), settled(MessageStatus::Failed, Some("insufficient_credits")));
    assert!(world.carriage(OUR_TWILIO).taken().is_empty());
    assert_eq!(world.store.book().balance(), 2);
}

#[test]
fn a_wrong_message_or_an_opt_out_is_asked_of_nobody_else() {
    for (mishap, code) in [(Mishap::Wrong, "message_rejected"), (Mishap::OptedOut, "recipient_opted_out")] {
        let world = World::with(&[TERMII, OUR_TWILIO]);
        world.carriage(TERMII).mishaps([mishap]);
        let id = world.queue(sms("Hello")).unwrap().id;
        assert_eq!(world.send(id), settled(MessageStatus::Failed, Some(code)));
        assert_eq!(world.taken(id), 0);
        let is_suppressed = world.store.book().suppressed.contains_key(&(Channel::Sms, TO.to_owned()));
        assert_eq!(is_suppressed, mishap == Mishap::OptedOut);
    }
}

#[test]
fn an_unknown_outcome_is_never_failed_over() {
    let world = World::with(&[own(Provider::Smtp, Memory::Nothing), ours(Provider::Resend, Memory::Keys)]);
    let smtp = world.carriage(own(Provider::Smtp, Memory::Nothing));
    smtp.mishaps([Mishap::AnswerLost]);
    let id = world.queue(mail()).unwrap().id;
    world.work(&mut iter::empty());
    assert!(matches!(world.message(id).state, State::Unknown(doubt) if doubt.is_for_a_person));
    assert_eq!((world.status(id), world.taken(id)), (MessageStatus::Unknown, 1));
    // Nothing happens with it by itself.
    assert_eq!(world.send(id), settled(MessageStatus::Unknown, None));
}

#[test]
fn what_comes_too_late_is_not_sent() {
    let world = World::with(&[OUR_TWILIO]);
    let soon = world.clock.now().checked_add(SignedDuration::from_secs(60)).unwrap();
    let id = world
        .queue(voxanne_messaging::message::NewMessage { not_after: Some(soon), ..sms("Now!") })
        .unwrap()
        .id;
    world.pass(61);
    assert_eq!(world.send(id), settled(MessageStatus::Failed, Some("expired")));
    assert_eq!((world.taken(id), world.store.book().balance()), (0, 1_000));
}

#[test]
fn who_opts_out_after_queueing_gets_nothing() {
    let world = World::with(&[OUR_TWILIO]);
    let id = world.queue(sms("Hello")).unwrap().id;
    world.store.tamper(|book| {
        let reason = voxanne_messaging::consent::SuppressionReason::Stop;
        book.suppressed.insert((Channel::Sms, TO.to_owned()), reason);
    });
    assert_eq!(world.send(id), settled(MessageStatus::Failed, Some("recipient_opted_out")));
    assert_eq!((world.taken(id), world.store.book().balance()), (0, 1_000));
}

#[test]
fn a_job_that_runs_twice_sends_once() {
    let world = World::with(&[TERMII]);
    let id = world.queue(sms("Hello")).unwrap().id;
    for _ in 0..3 {
        assert_eq!(world.send(id), settled(SENT, None));
    }
    assert_eq!(world.taken(id), 1);
}

#[test]
fn more_than_the_rate_waits_and_leaves_in_time() {
    let world = World::with(&[TERMII]);
    let start = world.clock.now();
    // So many were sent a moment ago that four seconds pass before the next one may go.
    let due = start.checked_add(SignedDuration::from_secs(10)).unwrap();
    world.store.tamper(|book| book.buckets.insert("organization".to_owned(), due).map_or((), |_| ()));
    let ids: Vec<_> = (0..30).map(|_| world.queue(sms("Hello")).unwrap().id).collect();
    world.work(&mut iter::empty());
    assert!(ids.iter().all(|id| (world.status(*id), world.taken(*id)) == (SENT, 1)));
    let took = world.clock.now().duration_since(start);
    assert!((4..12).contains(&took.as_secs()), "{took}");
}
