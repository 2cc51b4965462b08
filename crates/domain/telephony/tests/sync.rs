//! An own line through its life, with the voice service failing at every step.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use voxanne_kernel::{E164, OrgScope};
use voxanne_telephony::{
    Outcome, Settled, Step, SyncError, SyncTwilioLineJob,
    testing::{Fault, World},
};

fn number(last: u8) -> E164 {
    E164::new(&format!("+155512345{last:02}")).unwrap()
}

/// Everything follows from the stored account, and nothing else is left.
#[track_caller]
fn assert_in_step(world: &World, scope: &OrgScope, context: &str) {
    let stored = world.stored(scope).unwrap();
    let digits = stored.number.clone().unwrap();
    assert_eq!(stored.settled, Some(Settled::InStep), "{context}");
    assert_eq!(world.accounts(), [(stored.sid.clone(), stored.token.clone())], "{context}");
    let numbers = world.numbers();
    assert_eq!(numbers.len(), 1, "{context}: {numbers:?}");
    assert_eq!((&numbers[0].number, &numbers[0].account), (&digits, &stored.sid), "{context}");
    assert_eq!((&numbers[0].token, &numbers[0].name), (&stored.token, &World::name(scope)), "{context}");
    let (owner, id) = world.route(&digits).unwrap();
    assert!(owner == scope.org() && id.is_some(), "{context}");
}

#[track_caller]
fn assert_gone(world: &World, scope: &OrgScope, context: &str) {
    assert!(world.accounts().is_empty(), "{context}: {:?}", world.accounts());
    assert!(world.numbers().is_empty(), "{context}: {:?}", world.numbers());
    assert!(!world.holds_anything(scope), "{context}");
    assert!((0..9).all(|last| world.route(&number(last)).is_none()), "{context}");
}

#[tokio::test]
async fn a_number_is_imported_answered_and_routed_and_then_left_alone() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    for _ in 0..2 {
        assert_eq!(world.sync(&scope).await.unwrap(), Outcome::InStep);
        assert_in_step(&world, &scope, "whenever it runs");
        assert_eq!(world.numbers()[0].assistant.as_deref(), Some("assistant-1"));
    }
}

#[tokio::test]
async fn without_an_assistant_the_number_is_there_and_is_linked_when_there_is_one() {
    let world = World::new();
    let scope = world.organization();
    world.answered_by(None);
    world.bring(&scope, "AC1", "token", &number(1));
    world.sync(&scope).await.unwrap();
    assert_eq!(world.numbers()[0].assistant, None);
    world.answered_by(Some("assistant-2"));
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "linked");
    assert_eq!(world.numbers()[0].assistant.as_deref(), Some("assistant-2"));
}

#[tokio::test]
async fn an_assistant_that_is_replaced_while_the_number_is_imported_does_not_keep_it() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.answered_meanwhile_by("assistant-2");
    assert!(matches!(world.sync(&scope).await, Err(SyncError::Superseded)));
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "again");
    assert_eq!(world.numbers()[0].assistant.as_deref(), Some("assistant-2"));
}

#[tokio::test]
async fn a_replaced_account_updates_what_is_there() {
    let world = World::new();
    let scope = world.organization();
    for (sid, token, last) in [("AC1", "old", 1), ("AC1", "new", 1), ("AC2", "other", 1), ("AC2", "other", 2)]
    {
        world.bring(&scope, sid, token, &number(last));
        world.sync(&scope).await.unwrap();
        assert_in_step(&world, &scope, token);
    }
    assert_eq!(world.route(&number(1)), None);
    world.remove(&scope);
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
    assert_gone(&world, &scope, "removed");
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
}

/// What the owner does between two runs of the job.
#[derive(Debug, Clone, Copy)]
enum Then {
    Nothing,
    OtherNumber,
    Remove,
}

#[tokio::test]
async fn killed_at_any_effect_and_run_again_nothing_is_doubled_and_nothing_is_left() {
    for before in [false, true] {
        for then in [Then::Nothing, Then::OtherNumber, Then::Remove] {
            for fault in [Fault::Before, Fault::After] {
                for at in 0.. {
                    let context = format!("{fault:?} effect {at}, then {then:?}, in step before: {before}");
                    let world = World::new();
                    let scope = world.organization();
                    if before {
                        world.bring(&scope, "AC0", "token-0", &number(0));
                        world.sync(&scope).await.unwrap();
                    }
                    world.bring(&scope, "AC1", "token-1", &number(1));
                    world.fail(at, fault);
                    let first = world.sync(&scope).await;
                    if world.fault_is_pending() {
                        assert!(at > 3, "there were effects to fail at");
                        break;
                    }
                    assert!(first.is_err(), "{context}");
                    match then {
                        Then::Nothing => {}
                        Then::OtherNumber => world.bring(&scope, "AC2", "token-2", &number(2)),
                        Then::Remove => world.remove(&scope),
                    }
                    world.sync(&scope).await.unwrap();
                    match then {
                        Then::Remove => assert_gone(&world, &scope, &context),
                        _ => assert_in_step(&world, &scope, &context),
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn killed_while_it_is_taken_back_the_rest_is_taken_back_later() {
    for fault in [Fault::Before, Fault::After] {
        for at in 0.. {
            let world = World::new();
            let scope = world.organization();
            world.bring(&scope, "AC1", "token", &number(1));
            world.sync(&scope).await.unwrap();
            world.remove(&scope);
            world.fail(at, fault);
            let first = world.sync(&scope).await;
            if world.fault_is_pending() {
                assert!(at > 3, "there were effects to fail at");
                break;
            }
            assert!(first.is_err(), "{fault:?} {at}");
            assert_eq!(world.route(&number(1)), None, "calls stop at once");
            assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
            assert_gone(&world, &scope, &format!("{fault:?} {at}"));
        }
    }
}

#[tokio::test]
async fn an_account_removed_while_its_line_is_set_up_stays_removed() {
    for in_step in [false, true] {
        for at in 0.. {
            let world = World::new();
            let scope = world.organization();
            world.bring(&scope, "AC1", "token", &number(1));
            if in_step {
                world.sync(&scope).await.unwrap();
                world.bring(&scope, "AC2", "token", &number(2));
            }
            world.remove_during(&scope, at);
            let first = world.sync(&scope).await;
            if world.removal_is_pending() {
                assert!(at > 1, "the service was asked");
                break;
            }
            assert!(matches!(first, Err(SyncError::Superseded)), "request {at}: {first:?}");
            assert!((0..9).all(|last| world.route(&number(last)).is_none()), "nothing rings, request {at}");
            assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
            assert_gone(&world, &scope, &format!("request {at}"));
        }
    }
}

#[tokio::test]
async fn while_the_service_is_down_nothing_is_decided() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.go_down();
    assert!(matches!(world.sync(&scope).await, Err(SyncError::Provider { .. })));
    assert_eq!(world.stored(&scope).unwrap().settled, None);
    world.heal();
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "back again");
}

#[tokio::test]
async fn a_refused_account_does_not_keep_the_number_from_working() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.refuse("account");
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::InStep);
    assert!(world.accounts().is_empty());
    assert_eq!(world.numbers().len(), 1);
}

#[tokio::test]
async fn an_account_that_cannot_be_made_known_for_now_is_tried_again_while_the_number_works() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.hinder("account");
    assert!(matches!(world.sync(&scope).await, Err(SyncError::Provider { step: Step::Account, .. })));
    assert_eq!(world.stored(&scope).unwrap().settled, None, "it is still being set up");
    assert!(world.numbers().len() == 1 && world.route(&number(1)).unwrap().1.is_some(), "and rings");
    world.heal();
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "back again");
}

#[tokio::test]
async fn where_accounts_are_not_taken_a_number_can_still_go() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.refuse("account");
    world.sync(&scope).await.unwrap();
    world.remove(&scope);
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
    assert_gone(&world, &scope, "removed");
}

#[tokio::test]
async fn a_refused_number_fails_with_its_step_and_is_let_go() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.refuse("number");
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Failed(Step::Number));
    assert_eq!(world.stored(&scope).unwrap().settled, Some(Settled::Failed(Step::Number)));
    assert_eq!(world.route(&number(1)), None);
    world.heal();
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "accepted at last");
}

#[tokio::test]
async fn a_refused_change_leaves_a_working_number_routed() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.sync(&scope).await.unwrap();
    world.bring(&scope, "AC1", "token-2", &number(1));
    world.refuse("number");
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Failed(Step::Number));
    assert!(world.route(&number(1)).is_some());
}

#[tokio::test]
async fn what_is_to_go_is_never_given_up() {
    let world = World::new();
    let scope = world.organization();
    world.bring(&scope, "AC1", "token", &number(1));
    world.sync(&scope).await.unwrap();
    world.remove(&scope);
    world.refuse("delete");
    assert!(world.sync(&scope).await.is_err());
    assert!(world.holds_anything(&scope));
    world.heal();
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Gone);
    assert_gone(&world, &scope, "confirmed");
}

#[tokio::test]
async fn a_number_that_rings_elsewhere_stays_there() {
    let world = World::new();
    let (first, second) = (world.organization(), world.organization());
    world.bring(&first, "AC1", "token", &number(1));
    world.sync(&first).await.unwrap();
    world.bring(&second, "AC1", "token", &number(1));
    assert_eq!(world.sync(&second).await.unwrap(), Outcome::Failed(Step::Routing));
    assert_eq!(world.stored(&second).unwrap().settled, Some(Settled::Failed(Step::Routing)));
    assert_in_step(&world, &first, "the first keeps it");

    // Taking the second's account away does not touch what is the first's.
    world.remove(&second);
    assert_eq!(world.sync(&second).await.unwrap(), Outcome::Gone);
    assert_in_step(&world, &first, "still");
}

#[tokio::test]
async fn a_number_that_another_organization_gives_up_is_waited_for() {
    let world = World::new();
    let (first, second) = (world.organization(), world.organization());
    world.bring(&first, "AC1", "token", &number(1));
    world.sync(&first).await.unwrap();
    world.remove(&first);
    world.bring(&second, "AC2", "token", &number(1));
    assert!(matches!(world.sync(&second).await, Err(SyncError::Provider { step: Step::Number, .. })));
    world.sync(&first).await.unwrap();
    world.sync(&second).await.unwrap();
    assert_in_step(&world, &second, "handed over");
}

#[tokio::test]
async fn what_a_person_left_at_the_service_is_adopted_and_what_they_deleted_is_made_again() {
    let world = World::new();
    let scope = world.organization();
    world.plant_number("front desk", &number(1));
    world.bring(&scope, "AC1", "token", &number(1));
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "adopted");
    world.wipe_the_service();
    world.sync(&scope).await.unwrap();
    assert_in_step(&world, &scope, "made again");
}

#[tokio::test]
async fn nothing_follows_from_an_account_that_nobody_vouched_for() {
    let world = World::new();
    let scope = world.organization();
    world.bring_unasked(&scope, &number(1));
    assert_eq!(world.sync(&scope).await.unwrap(), Outcome::Waits);
    assert!(world.numbers().is_empty() && world.route(&number(1)).is_none());
}

#[test]
fn an_organization_has_one_job_at_a_time() {
    let world = World::new();
    let job = SyncTwilioLineJob::job(world.organization().org());
    assert!(job.queue.is_some() && job.queue == job.key);
    assert!(job.queue.unwrap().len() <= 90);
}
