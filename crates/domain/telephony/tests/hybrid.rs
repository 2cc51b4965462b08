//! The organization's own phone through its life, with time standing still unless it is moved.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use jiff::SignedDuration;
use voxanne_kernel::{Clock, E164, OrgScope, ids::CallerIdId};
use voxanne_telephony::hybrid::{
    CalledBack, CallerIdName, Carrier, CarrierCountry, ConfirmCodeError, ConfirmError, ForwardingConfig,
    ForwardingType, Ineligible, InitiateError, Initiated, LookError, Outcome, RemoveError, RingTime,
    SetUpError, Setup, State, Status, TestError, TestOutcome, VERIFICATION_TIME,
    ports::Standing,
    testing::{FROM, HybridWorld, PLATFORM, Rung, Trouble},
};

const SIM: &str = "+15005550100";
const OWN: &str = "+15550109999";

fn number(text: &str) -> E164 {
    E164::new(text).unwrap()
}

async fn begin(world: &HybridWorld, scope: &OrgScope) -> (Initiated, Rung) {
    let begun = world.verify().initiate(scope, number(SIM), None).await.unwrap();
    (begun, world.rung().pop().unwrap())
}

async fn refusal(world: &HybridWorld, scope: &OrgScope) -> InitiateError {
    world.verify().initiate(scope, number(SIM), None).await.unwrap_err()
}

async fn confirm(
    world: &HybridWorld,
    scope: &OrgScope,
    id: CallerIdId,
    code: &str,
) -> Result<String, ConfirmCodeError> {
    world.verify().confirm(scope, id, &code.into()).await
}

async fn status(world: &HybridWorld, scope: &OrgScope, id: CallerIdId) -> Status {
    world.verify().progress(scope, id).await.unwrap().status
}

fn word(rung: &Rung, outcome: Outcome) -> CalledBack {
    CalledBack {
        token: rung.token().to_owned(),
        number: rung.number.to_string(),
        call: rung.call.clone(),
        outcome,
    }
}

/// The person answers and types the code, and the carrier says so.
async fn answer(world: &HybridWorld, scope: &OrgScope, id: CallerIdId, rung: &Rung) -> String {
    let sid = world.type_on_phone(rung);
    let word = word(rung, Outcome::Verified { sid: sid.clone() });
    assert!(world.verify().called_back(scope, id, &word).await.unwrap());
    sid
}

async fn verified(world: &HybridWorld, scope: &OrgScope) -> CallerIdId {
    let (begun, rung) = begin(world, scope).await;
    answer(world, scope, begun.id, &rung).await;
    begun.id
}

fn later(world: &HybridWorld, by: SignedDuration) {
    world.clock.advance(by);
}

#[tokio::test]
async fn a_number_is_verified_by_the_carriers_word_and_by_nothing_else() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    assert_eq!(rung.account, PLATFORM);
    assert_eq!(begun.expires_at, world.clock.now() + VERIFICATION_TIME);
    assert_eq!(status(&world, &scope, begun.id).await, Status::Pending);
    // What our page shows, typed into our page, any number of times.
    for _ in 0..5 {
        let pending = confirm(&world, &scope, begun.id, &rung.code).await;
        assert!(matches!(pending, Err(ConfirmCodeError::CallPending)), "{pending:?}");
    }
    let progress = world.verify().progress(&scope, begun.id).await.unwrap();
    assert_eq!((progress.status, progress.attempts_remaining), (Status::Pending, 3));

    let sid = answer(&world, &scope, begun.id, &rung).await;
    assert_eq!(status(&world, &scope, begun.id).await, Status::Verified);
    assert_eq!(confirm(&world, &scope, begun.id, &rung.code).await.unwrap(), sid);
    assert!(matches!(refusal(&world, &scope).await, InitiateError::AlreadyVerified));
    assert_eq!(world.rung().len(), 1);
    assert_eq!(world.audit(&scope), ["caller_id.verified"]);
}

#[tokio::test]
async fn a_lost_word_is_made_up_for_by_looking() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    assert_eq!(status(&world, &scope, begun.id).await, Status::Pending);
    world.type_on_phone(&rung);
    // Polled in between, the carrier is not asked every time.
    assert_eq!(status(&world, &scope, begun.id).await, Status::Pending);
    assert_eq!(world.looked_up(), 1);
    later(&world, SignedDuration::from_secs(3));
    assert_eq!(status(&world, &scope, begun.id).await, Status::Verified);
    assert_eq!(world.looked_up(), 2);

    let other = world.organization(&[]);
    world.bring_account(&other, "AC-other");
    let (begun, rung) = begin(&world, &other).await;
    assert_eq!(status(&world, &other, begun.id).await, Status::Pending);
    let sid = world.type_on_phone(&rung);
    // Whoever confirms has the carrier asked in any case.
    assert_eq!(confirm(&world, &other, begun.id, &rung.code).await.unwrap(), sid);
}

#[tokio::test]
async fn three_wrong_codes_lock_the_number_for_an_hour() {
    let world = HybridWorld::new();
    let (scope, other) = (world.organization(&[]), world.organization(&[]));
    let (begun, rung) = begin(&world, &scope).await;
    for expected in [2, 1] {
        let wrong = confirm(&world, &scope, begun.id, "000000").await;
        assert!(matches!(wrong, Err(ConfirmCodeError::Wrong { remaining }) if remaining == expected));
    }
    let until = world.clock.now() + SignedDuration::from_hours(1);
    let locked = confirm(&world, &scope, begun.id, "000000").await;
    assert!(matches!(locked, Err(ConfirmCodeError::Locked { until: at }) if at == until), "{locked:?}");
    let right = confirm(&world, &scope, begun.id, &rung.code).await;
    assert!(matches!(right, Err(ConfirmCodeError::Locked { .. })), "{right:?}");
    assert!(matches!(refusal(&world, &scope).await, InitiateError::Locked { until: at } if at == until));
    let removed = world.remove().run(&scope, begun.id).await;
    assert!(matches!(removed, Err(RemoveError::Locked { .. })), "removing would lift the lock");
    // The carrier's late word does not lift it either, and the lock is this organization's alone.
    let sid = "PN9".to_owned();
    assert!(
        !world.verify().called_back(&scope, begun.id, &word(&rung, Outcome::Verified { sid })).await.unwrap()
    );
    assert_eq!(status(&world, &scope, begun.id).await, Status::Failed);
    begin(&world, &other).await;

    later(&world, SignedDuration::from_mins(61));
    let (again, rung) = begin(&world, &scope).await;
    assert_eq!(again.id, begun.id);
    assert_eq!(world.verify().progress(&scope, again.id).await.unwrap().attempts_remaining, 3);
    answer(&world, &scope, again.id, &rung).await;
}

#[tokio::test]
async fn many_codes_at_once_are_still_only_three() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    let tries: Vec<_> = (0..20)
        .map(|n| {
            let (world, id) = (world.clone(), begun.id);
            tokio::spawn(async move { confirm(&world, &scope, id, &format!("{n:06}")).await })
        })
        .collect();
    let (mut wrong, mut locked) = (0, 0);
    for outcome in tries {
        match outcome.await.unwrap() {
            Err(ConfirmCodeError::Wrong { .. }) => wrong += 1,
            Err(ConfirmCodeError::Locked { .. }) => locked += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wrong, locked), (2, 18));
    assert!(matches!(
        confirm(&world, &scope, begun.id, &rung.code).await,
        Err(ConfirmCodeError::Locked { .. })
    ));
}

#[tokio::test]
async fn a_code_is_good_for_ten_minutes() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    later(&world, VERIFICATION_TIME - SignedDuration::from_secs(1));
    assert!(matches!(
        confirm(&world, &scope, begun.id, &rung.code).await,
        Err(ConfirmCodeError::CallPending)
    ));
    later(&world, SignedDuration::from_secs(1));
    assert!(matches!(confirm(&world, &scope, begun.id, &rung.code).await, Err(ConfirmCodeError::Expired)));
    assert_eq!(status(&world, &scope, begun.id).await, Status::Expired);
    // An old word changes nothing.
    let sid = "PN9".to_owned();
    assert!(
        !world.verify().called_back(&scope, begun.id, &word(&rung, Outcome::Verified { sid })).await.unwrap()
    );
    assert_eq!(status(&world, &scope, begun.id).await, Status::Expired);
    verified(&world, &scope).await;
}

#[tokio::test]
async fn a_number_is_called_three_times_an_hour_whoever_asks() {
    let world = HybridWorld::new();
    let scopes: Vec<_> = (0..4).map(|_| world.organization(&[])).collect();
    let first = world.clock.now();
    for scope in &scopes[..3] {
        begin(&world, scope).await;
        later(&world, SignedDuration::from_mins(5));
    }
    let until = first + SignedDuration::from_hours(1);
    for scope in [&scopes[0], &scopes[3]] {
        let refused = refusal(&world, scope).await;
        assert!(matches!(refused, InitiateError::TooManyCalls { until: at } if at == until), "{refused:?}");
    }
    // Another number is another matter, and a call that was not made does not count.
    world.verify().initiate(&scopes[3], number("+15005550101"), None).await.unwrap();
    later(&world, SignedDuration::from_mins(46));
    world.trouble(Trouble::Away);
    assert!(matches!(refusal(&world, &scopes[3]).await, InitiateError::Provider(_)));
    begin(&world, &scopes[3]).await;
    assert!(matches!(refusal(&world, &scopes[3]).await, InitiateError::TooManyCalls { .. }));
    assert_eq!(world.all(&scopes[3]).len(), 2);
}

#[tokio::test]
async fn what_a_shared_account_knows_proves_nothing_for_somebody_else() {
    let world = HybridWorld::new();
    let (one, other) = (world.organization(&[]), world.organization(&[]));
    // Both phones ring, and the person types the code of the first call.
    let (first, rung) = begin(&world, &one).await;
    let (second, other_rung) = begin(&world, &other).await;
    world.type_on_phone(&rung);
    assert_eq!(status(&world, &one, first.id).await, Status::Verified);
    assert_eq!(status(&world, &other, second.id).await, Status::Pending);
    let pending = confirm(&world, &other, second.id, &other_rung.code).await;
    assert!(matches!(pending, Err(ConfirmCodeError::CallPending)), "{pending:?}");
    assert!(matches!(refusal(&world, &other).await, InitiateError::InUse));
    assert_eq!(status(&world, &other, second.id).await, Status::Failed);
    // With an account of its own the second organization proves the same number for itself.
    world.bring_account(&other, "AC-other");
    assert_eq!(verified(&world, &other).await, second.id);
    assert_eq!(status(&world, &one, first.id).await, Status::Verified);
}

#[tokio::test]
async fn a_number_that_the_account_knows_as_ours_needs_no_call() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    let sid = world.type_on_phone(&rung);
    later(&world, SignedDuration::from_mins(11));
    assert!(matches!(refusal(&world, &scope).await, InitiateError::AlreadyVerified));
    assert!(
        matches!(world.stored(begun.id).unwrap().state, State::Verified { sid: known, .. } if known == sid)
    );
    // What an operator verified by hand is nobody's proof; in one's own account it is one's own.
    let (stranger, owner) = (world.organization(&[]), world.organization(&[]));
    let other = number("+15005550102");
    world.plant(PLATFORM, &other, "Support");
    let refused = world.verify().initiate(&stranger, other.clone(), None).await;
    assert!(matches!(refused, Err(InitiateError::InUse)));
    world.bring_account(&owner, "AC-own");
    world.plant("AC-own", &other, "Support");
    let known = world.verify().initiate(&owner, other, None).await;
    assert!(matches!(known, Err(InitiateError::AlreadyVerified)));
}

#[tokio::test]
async fn what_a_removed_row_left_in_a_shared_account_is_forgotten() {
    let world = HybridWorld::new();
    let (one, other) = (world.organization(&[]), world.organization(&[]));
    let (begun, rung) = begin(&world, &one).await;
    world.remove().run(&one, begun.id).await.unwrap();
    // The phone was still ringing.
    world.type_on_phone(&rung);
    let (again, rung) = begin(&world, &other).await;
    answer(&world, &other, again.id, &rung).await;
}

#[tokio::test]
async fn interrupted_requests_can_be_begun_again() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    world.trouble(Trouble::LostAnswer);
    assert!(matches!(refusal(&world, &scope).await, InitiateError::Provider(_)));
    assert_eq!(world.all(&scope)[0].state, State::Failed);
    world.trouble(Trouble::Refuses);
    assert!(matches!(refusal(&world, &scope).await, InitiateError::NotCallable(_)));
    let (begun, rung) = begin(&world, &scope).await;
    answer(&world, &scope, begun.id, &rung).await;
    assert_eq!(world.all(&scope).len(), 1);
}

#[tokio::test]
async fn of_two_requests_at_once_one_rings() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let both: Vec<_> = (0..2)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.verify().initiate(&scope, number(SIM), None).await })
        })
        .collect();
    let mut begun = Vec::new();
    for outcome in both {
        match outcome.await.unwrap() {
            Ok(initiated) => begun.push(initiated),
            Err(error) => assert!(matches!(error, InitiateError::InTheMaking), "{error:?}"),
        }
    }
    let rows = world.all(&scope);
    assert_eq!(rows.len(), 1);
    let last = world.rung().pop().unwrap();
    assert_eq!(rows[0].attempt.token, last.token());
    answer(&world, &scope, rows[0].id, &last).await;
}

#[tokio::test]
async fn a_word_about_another_attempt_call_or_number_changes_nothing() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, old) = begin(&world, &scope).await;
    let (_, rung) = begin(&world, &scope).await;
    assert_ne!(old.token(), rung.token());
    let verify = world.verify();
    let yes = || Outcome::Verified { sid: "PN9".to_owned() };
    let wrong = [
        word(&old, yes()),
        CalledBack { call: "CA-other".to_owned(), ..word(&rung, yes()) },
        CalledBack { number: "+15005550199".to_owned(), ..word(&rung, yes()) },
        CalledBack { token: "f".repeat(64), ..word(&rung, yes()) },
    ];
    for wrong in &wrong {
        assert!(!verify.called_back(&scope, begun.id, wrong).await.unwrap(), "{wrong:?}");
    }
    assert!(!verify.called_back(&world.organization(&[]), begun.id, &word(&rung, yes())).await.unwrap());
    assert_eq!(verify.named_by(old.token()).await.unwrap(), None);
    let named = verify.named_by(rung.token()).await.unwrap().unwrap();
    assert_eq!((named.org, named.id, named.account.as_str()), (scope.org(), begun.id, PLATFORM));
    assert!(verify.signer(&scope, &named).await.unwrap().is_some());

    assert!(verify.called_back(&scope, begun.id, &word(&rung, Outcome::Failed)).await.unwrap());
    for repeated in [Outcome::Failed, yes()] {
        assert!(!verify.called_back(&scope, begun.id, &word(&rung, repeated)).await.unwrap());
    }
    assert_eq!(status(&world, &scope, begun.id).await, Status::Failed);
    assert!(matches!(confirm(&world, &scope, begun.id, &rung.code).await, Err(ConfirmCodeError::Expired)));
}

#[tokio::test]
async fn another_organizations_number_is_not_there() {
    let world = HybridWorld::new();
    let (scope, stranger) = (world.organization(&[OWN]), world.organization(&["+15550108888"]));
    let id = verified(&world, &scope).await;
    assert!(matches!(world.verify().progress(&stranger, id).await, Err(LookError::NotFound)));
    assert!(matches!(confirm(&world, &stranger, id, "1").await, Err(ConfirmCodeError::NotFound)));
    assert!(matches!(world.remove().run(&stranger, id).await, Err(RemoveError::NotFound)));
    let setup = setup(id, ForwardingType::TotalAi, Carrier::Tmobile);
    assert!(matches!(world.forward().set_up(&stranger, setup.clone()).await, Err(SetUpError::NotFound)));
    assert!(matches!(world.forward().preview(&stranger, &setup).await, Err(SetUpError::NotFound)));
    let (config, _) = world.forward().set_up(&scope, setup).await.unwrap();
    assert!(matches!(world.forward().confirm(&stranger, config.id).await, Err(ConfirmError::NotFound)));
    assert_eq!(world.forward().disable(&stranger, config.id).await.unwrap(), None);
    assert!(matches!(world.test_forwarding().run(&stranger, config.id).await, Err(TestError::NotFound)));
    assert!(world.verify().list(&stranger).await.unwrap().is_empty());
}

#[tokio::test]
async fn without_an_account_nothing_is_called() {
    let world = HybridWorld::new();
    world.without_platform();
    let scope = world.organization(&[]);
    assert!(matches!(refusal(&world, &scope).await, InitiateError::NotConfigured));
    assert!(world.all(&scope).is_empty());
    world.bring_account(&scope, "AC-own");
    let name = CallerIdName::new("Front desk").unwrap();
    world.verify().initiate(&scope, number(SIM), Some(name)).await.unwrap();
    let rung = world.rung().pop().unwrap();
    assert_eq!((rung.account.as_str(), rung.name.as_str()), ("AC-own", "Front desk"));
}

fn setup(caller_id: CallerIdId, kind: ForwardingType, carrier: Carrier) -> Setup {
    Setup { caller_id, kind, carrier, country: CarrierCountry::US, ring: RingTime::DEFAULT }
}

async fn set_up(world: &HybridWorld, scope: &OrgScope) -> ForwardingConfig {
    let id = verified(world, scope).await;
    let setup = setup(id, ForwardingType::SafetyNet, Carrier::Tmobile);
    world.forward().set_up(scope, setup).await.unwrap().0
}

#[tokio::test]
async fn a_forwarding_goes_from_its_codes_to_active_and_back() {
    let world = HybridWorld::new();
    let scope = world.organization(&[SIM, OWN]);
    let config = set_up(&world, &scope).await;
    assert_eq!(config.to.number().as_str(), OWN, "not the phone itself");
    assert!(world.verify().list(&scope).await.unwrap()[0].1);
    // The wizard goes back and forth before anything is dialled.
    let other = setup(config.setup.caller_id, ForwardingType::TotalAi, Carrier::Verizon);
    let (again, plan) = world.forward().set_up(&scope, other.clone()).await.unwrap();
    assert_eq!((again.id, plan.activation_code().unwrap().as_str()), (config.id, "*725550109999"));
    assert!(world.forwarded_to().run(&scope, &number(OWN)).await.unwrap().is_empty());

    let active = world.forward().confirm(&scope, config.id).await.unwrap();
    later(&world, SignedDuration::from_mins(1));
    assert_eq!(world.forward().confirm(&scope, config.id).await.unwrap(), active);
    assert!(matches!(
        world.forward().set_up(&scope, other.clone()).await,
        Err(SetUpError::AlreadyActive { id }) if id == config.id
    ));
    let forwarded = world.forwarded_to().run(&scope, &number(OWN)).await.unwrap();
    assert_eq!(forwarded.len(), 1);
    assert_eq!((forwarded[0].sim.as_str(), forwarded[0].erase[0].as_str()), (SIM, "*73"));

    let disabled = world.forward().disable(&scope, config.id).await.unwrap().unwrap();
    assert_eq!(world.forward().disable(&scope, config.id).await.unwrap().unwrap(), disabled);
    assert!(matches!(world.forward().confirm(&scope, config.id).await, Err(ConfirmError::Disabled)));
    assert!(world.forwarded_to().run(&scope, &number(OWN)).await.unwrap().is_empty());
    assert!(!world.verify().list(&scope).await.unwrap()[0].1);
    assert_eq!(world.forward().set_up(&scope, other).await.unwrap().0.id, config.id);
}

#[tokio::test]
async fn a_forwarding_needs_a_proved_number_and_somewhere_to_go() {
    let world = HybridWorld::new();
    let scope = world.organization(&[]);
    let (begun, rung) = begin(&world, &scope).await;
    let forward = world.forward();
    let total = setup(begun.id, ForwardingType::TotalAi, Carrier::Verizon);
    assert!(matches!(forward.preview(&scope, &total).await, Err(SetUpError::NoDestination)));
    assert!(matches!(forward.set_up(&scope, total.clone()).await, Err(SetUpError::NotVerified)));
    answer(&world, &scope, begun.id, &rung).await;
    assert!(matches!(forward.set_up(&scope, total.clone()).await, Err(SetUpError::NoDestination)));
    let check = async |numbers: &[&str], matches: fn(&SetUpError) -> bool| {
        let scope = world.organization(numbers);
        world.bring_account(&scope, "AC-own");
        let id = match world.verify().initiate(&scope, number(SIM), None).await {
            Err(InitiateError::AlreadyVerified) => world.all(&scope)[0].id,
            Ok(begun) => {
                let rung = world.rung().pop().unwrap();
                answer(&world, &scope, begun.id, &rung).await;
                begun.id
            }
            Err(error) => panic!("{error:?}"),
        };
        later(&world, SignedDuration::from_hours(1));
        let refused = forward.set_up(&scope, Setup { caller_id: id, ..total.clone() }).await.unwrap_err();
        assert!(matches(&refused), "{refused:?}");
    };
    check(&[SIM], |error| matches!(error, SetUpError::SimItself(_))).await;
    check(&["+442071838750"], |error| matches!(error, SetUpError::Ineligible(Ineligible::OnlyNorthAmerica)))
        .await;
}

#[tokio::test]
async fn a_number_that_is_gone_is_not_confirmed_as_a_destination() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let config = set_up(&world, &scope).await;
    world.without_numbers(&scope);
    assert!(matches!(world.forward().confirm(&scope, config.id).await, Err(ConfirmError::NoDestination)));
}

#[tokio::test]
async fn removing_a_number_takes_everything_along_and_says_what_to_dial() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let config = set_up(&world, &scope).await;
    world.forward().confirm(&scope, config.id).await.unwrap();
    world.trouble(Trouble::Away);
    let id = config.setup.caller_id;
    assert!(matches!(world.remove().run(&scope, id).await, Err(RemoveError::Provider(_))));
    assert_eq!(world.all(&scope).len(), 1);
    let removed = world.remove().run(&scope, id).await.unwrap();
    let erase: Vec<_> = removed.erase.iter().map(ToString::to_string).collect();
    assert_eq!(erase, ["##61#", "##67#", "##62#"]);
    assert_eq!(world.known(PLATFORM, &number(SIM)), None);
    assert_eq!(world.forward().of(&scope, id).await.unwrap(), None);
    assert!(matches!(world.remove().run(&scope, id).await, Err(RemoveError::NotFound)));
}

#[tokio::test]
async fn a_number_is_forgotten_in_the_account_that_we_opened_even_when_that_is_put_away() {
    let (opened, brought) = ("AC-opened", "AC-brought");
    // Which account, what becomes of it, and whether the number is still known there afterwards.
    for (sid, is_ours, then, is_left) in [
        (opened, true, None, false),
        (opened, true, Some(brought), false),
        (brought, false, None, true),
        (brought, false, Some("AC-other"), true),
    ] {
        let world = HybridWorld::new();
        let scope = world.organization(&[OWN]);
        if is_ours {
            world.open_account(&scope, sid);
        } else {
            world.bring_account(&scope, sid);
        }
        let id = verified(&world, &scope).await;
        assert!(world.known(sid, &number(SIM)).is_some());
        world.put_account_away(&scope);
        if let Some(then) = then {
            world.bring_account(&scope, then);
        }
        world.remove().run(&scope, id).await.unwrap();
        assert_eq!(world.known(sid, &number(SIM)).is_some(), is_left, "{sid} {then:?}");
    }
}

#[tokio::test]
async fn a_test_call_that_arrives_in_time_proves_the_forwarding() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let config = set_up(&world, &scope).await;
    let tests = world.test_forwarding();
    // Somebody else's call, and one from before, prove nothing.
    world.arrive(&scope, &number(FROM));
    later(&world, SignedDuration::from_mins(1));
    world.arrive(&scope, &number("+15005550055"));
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    assert_eq!(world.test_calls(), [(number(FROM), number(SIM))]);
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    assert_eq!(world.test_calls().len(), 1, "asking again is not calling again");
    later(&world, SignedDuration::from_secs(30));
    world.arrive(&scope, &number(FROM));
    let at = world.clock.now();
    assert_eq!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Reached { at });
    assert_eq!(tests.look(&scope, config.id).await.unwrap(), TestOutcome::Reached { at });
    let stored = world.forward().of(&scope, config.setup.caller_id).await.unwrap().unwrap();
    assert_eq!(stored.proved_at, Some(at));
    // The same call does not prove it again.
    later(&world, SignedDuration::from_secs(2));
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    assert!(matches!(tests.look(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
}

#[tokio::test]
async fn a_test_call_that_does_not_arrive_in_time_proves_nothing() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let config = set_up(&world, &scope).await;
    let tests = world.test_forwarding();
    tests.run(&scope, config.id).await.unwrap();
    later(&world, SignedDuration::from_secs(61));
    world.arrive(&scope, &number(FROM));
    assert!(matches!(tests.look(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    later(&world, SignedDuration::from_secs(10));
    assert_eq!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::NotReached);
    // Told once; then a new call is made.
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    assert_eq!(world.test_calls().len(), 2);
    later(&world, SignedDuration::from_hours(1));
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    assert_eq!(world.test_calls().len(), 3, "nobody asked about the one before");
}

#[tokio::test]
async fn who_may_not_cause_calls_gets_no_test_call() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let config = set_up(&world, &scope).await;
    let tests = world.test_forwarding();
    for standing in [Standing::Pending, Standing::Suspended] {
        world.stand(&scope, standing);
        let refused = tests.run(&scope, config.id).await;
        assert!(matches!(refused, Err(TestError::NotAllowed(found)) if found == standing), "{refused:?}");
    }
    world.stand(&scope, Standing::Verified);
    world.trouble(Trouble::Refuses);
    assert!(matches!(tests.run(&scope, config.id).await, Err(TestError::Provider(_))));
    world.trouble(Trouble::LostAnswer);
    assert!(matches!(tests.run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    later(&world, SignedDuration::from_hours(1));
    world.without_platform();
    assert!(matches!(tests.run(&scope, config.id).await, Err(TestError::NotConfigured)));
    world.forward().disable(&scope, config.id).await.unwrap();
    assert!(matches!(tests.run(&scope, config.id).await, Err(TestError::Disabled)));
}

#[tokio::test]
async fn the_night_expires_what_nobody_finished_and_deletes_it_a_day_later() {
    let world = HybridWorld::new();
    let scope = world.organization(&[OWN]);
    let (begun, _) = begin(&world, &scope).await;
    let kept = world.organization(&[OWN]);
    world.bring_account(&kept, "AC-own");
    let config = set_up(&world, &kept).await;
    world.forward().confirm(&kept, config.id).await.unwrap();
    let sweep = async || {
        let swept = world.clean_up().run(world.clock.now()).await.unwrap();
        (swept.expired, swept.deleted)
    };
    later(&world, SignedDuration::from_mins(19));
    assert_eq!(sweep().await, (0, 0));
    later(&world, SignedDuration::from_mins(2));
    assert_eq!(sweep().await, (1, 0));
    assert_eq!(sweep().await, (0, 0));
    assert_eq!(world.stored(begun.id).unwrap().state, State::Expired);
    later(&world, SignedDuration::from_hours(23));
    assert_eq!(sweep().await, (0, 0));
    later(&world, SignedDuration::from_hours(2));
    assert_eq!(sweep().await, (0, 1));
    assert_eq!(world.all(&kept).len(), 1);
}
