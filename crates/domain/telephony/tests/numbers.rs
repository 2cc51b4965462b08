//! Managed numbers: whatever goes wrong, wherever it goes wrong, nothing is bought twice, nothing is orphaned, and what
//! is given up goes everywhere.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use jiff::SignedDuration;
use voxanne_kernel::{E164, NewJob, OrgScope, ids::OrgId};
use voxanne_telephony::numbers::{
    Bought, BringTextsError, Brought, Limits, ManagedAccount, ManagedNumber, NumberState, ProvisionError,
    ProvisionNumberJob, Provisioned, Release, ReleaseError, ReleaseNumberJob, Report, Side, Slot, Standing,
    Stray, Wish,
    testing::{Fault, OWN_ACCOUNT, World, number},
};

fn wish(area_code: Option<&str>) -> Wish {
    let area_code = area_code.map(|code| code.parse().unwrap());
    Wish { country: "US".parse().unwrap(), area_code, number: None, allow_fallback: false }
}

fn exactly(number: &E164) -> Wish {
    Wish { number: Some(number.clone()), ..wish(None) }
}

/// Runs `work` until it ends or its process dies.
async fn alive<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        Poll::Ready(match work.as_mut().poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

fn active(outcome: Result<Provisioned, ProvisionError>) -> ManagedNumber {
    match outcome.unwrap() {
        Provisioned::Active(number) => number,
        other => panic!("{other:?}"),
    }
}

/// Runs every job that was recorded, as the worker does, until none is left.
async fn work_off(world: &World, scope: &OrgScope) {
    for _ in 0..10 {
        let jobs: Vec<(OrgId, NewJob)> = world.take_jobs();
        if jobs.is_empty() {
            return;
        }
        for (org, job) in jobs {
            assert_eq!(org, scope.org());
            match job.task {
                "provision_number" => {
                    let job: ProvisionNumberJob = serde_json::from_value(job.payload).unwrap();
                    world.provision().resume(scope, job.number_id).await.unwrap();
                }
                "release_number" => {
                    let job: ReleaseNumberJob = serde_json::from_value(job.payload).unwrap();
                    world.release().go_on(scope, job.number_id).await.unwrap();
                }
                other => panic!("{other}"),
            }
        }
    }
    panic!("there is no end of jobs");
}

/// Whether providers and records say the same, with these numbers ringing.
#[track_caller]
fn check(world: &World, scope: &OrgScope, ringing: usize, context: &str) {
    let records = world.records(scope);
    let of = |name: &str| records.iter().filter(|record| record.state.as_str() == name).count();
    assert_eq!(of("active"), ringing, "{context}: {records:?}");
    assert_eq!(of("buying") + of("releasing"), 0, "{context}: {records:?}");
    assert_eq!(world.bought().len(), ringing, "{context}: {:?}", world.bought());
    assert_eq!(world.voice_numbers().len(), ringing, "{context}: {:?}", world.voice_numbers());
    for record in records.iter().filter(|record| record.state.as_str() == "active") {
        assert_eq!(world.route(&record.number), Some(scope.org()), "{context}");
        assert!(world.bought().iter().any(|bought| bought.number == record.number), "{context}");
        let there = world.voice_numbers().into_iter().find(|there| there.number == record.number).unwrap();
        assert_eq!(there.assistant.as_deref(), Some("assistant-1"), "{context}");
        assert_eq!(there.account, record.account, "{context}");
        let texts = format!("https://here.example/texts/token-of-{}", scope.org());
        assert_eq!(record.texts.as_ref(), Some(&texts), "{context}");
        let bought = world.bought().into_iter().find(|bought| bought.number == record.number).unwrap();
        assert_eq!(bought.texts, Some(texts), "{context}");
    }
    assert!(world.accounts().len() <= 1, "{context}: {:?}", world.accounts());
    assert!(world.voice_accounts() <= 1, "{context}");
    if ringing > 0 {
        assert_eq!(world.slot(scope), Slot::Managed { is_active: true }, "{context}");
    }
}

#[tokio::test]
async fn a_number_is_bought_imported_and_rings() {
    let world = World::new();
    let scope = world.organization();
    let bought = active(world.provision().run(&scope, wish(Some("510"))).await);
    assert_eq!(bought.number, number("510", 0));
    check(&world, &scope, 1, "fresh");
    assert_eq!(world.slot_number(&scope), Some(bought.number.clone()));
    assert_eq!(world.accounts()[0].name, ManagedAccount::name(scope.org()));
    assert_eq!(world.bought()[0].tag, ManagedNumber::tag_of(bought.id));
    let second = active(world.provision().run(&scope, wish(Some("510"))).await);
    assert_eq!(second.number, number("510", 1));
    assert_eq!(world.slot_number(&scope), Some(bought.number), "the oldest stays the slot's");
    check(&world, &scope, 2, "second");
    work_off(&world, &scope).await;
    check(&world, &scope, 2, "the jobs find nothing to do");
    assert_eq!(world.audits(), ["number.provisioned"; 2]);
}

#[tokio::test]
async fn nothing_is_bought_twice_or_orphaned_wherever_it_breaks() {
    for fault in Fault::ALL {
        for at in 0.. {
            let world = World::new();
            let scope = world.organization();
            let context = format!("{fault:?} at effect {at}");
            world.fail(at, fault);
            let outcome = alive(world.provision().run(&scope, wish(Some("510")))).await;
            let was_last = world.fault_is_pending();
            world.heal();
            work_off(&world, &scope).await;
            let ringing = world.bought().len();
            check(&world, &scope, ringing, &context);
            assert!(ringing <= 1, "{context}");
            if let Some(Ok(Provisioned::Active(_))) = outcome {
                assert_eq!(ringing, 1, "{context}");
            }
            // Whoever asks again gets one, and only one if the first is theirs already.
            active(world.provision().run(&scope, wish(Some("510"))).await);
            work_off(&world, &scope).await;
            check(&world, &scope, ringing + 1, &context);
            if was_last {
                assert!(at > 8, "{context}: hardly anything was tried");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_request_after_an_interruption_goes_on_with_the_same_purchase() {
    for at in 0.. {
        let world = World::new();
        let scope = world.organization();
        world.fail(at, Fault::KilledAfter);
        let outcome = alive(world.provision().run(&scope, wish(Some("510")))).await;
        if world.fault_is_pending() {
            break;
        }
        world.heal();
        let done_before = world.records(&scope).iter().any(|record| record.state.as_str() == "active");
        if done_before || outcome.is_some() {
            continue;
        }
        active(world.provision().run(&scope, wish(Some("510"))).await);
        work_off(&world, &scope).await;
        check(&world, &scope, 1, &format!("killed after effect {at}"));
    }
}

#[tokio::test]
async fn a_number_that_is_sold_meanwhile_makes_way_for_the_next() {
    let world = World::new();
    let scope = world.organization();
    world.sell_out(&number("510", 0));
    world.sell_out(&number("510", 1));
    assert_eq!(active(world.provision().run(&scope, wish(Some("510"))).await).number, number("510", 2));
    check(&world, &scope, 1, "the third");
    let exact = world.provision().run(&scope, exactly(&number("510", 1))).await;
    assert!(matches!(exact, Err(ProvisionError::NumberGone)), "{exact:?}");
    check(&world, &scope, 1, "nothing else instead of exactly that");
    let exact = active(world.provision().run(&scope, exactly(&number("510", 3))).await);
    assert_eq!(exact.number, number("510", 3));
}

#[tokio::test]
async fn an_empty_area_leaves_nothing_behind_and_names_its_neighbours() {
    let world = World::new();
    let scope = world.organization();
    let refused = world.provision().run(&scope, wish(Some("650"))).await;
    let Err(ProvisionError::NoneForSale { area_code, nearby, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!((area_code.unwrap().as_str(), nearby), ("650", vec!["415".to_owned()]));
    assert!(world.accounts().is_empty() && world.records(&scope).is_empty() && world.take_jobs().is_empty());
    assert_eq!(world.slot(&scope), Slot::Empty);
    let fallback = Wish { allow_fallback: true, ..wish(Some("650")) };
    assert_eq!(active(world.provision().run(&scope, fallback.clone()).await).number, number("415", 0));
    world.sell([]);
    let refused = world.provision().run(&scope, fallback).await;
    assert!(matches!(refused, Err(ProvisionError::NoneForSale { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_purchase_that_the_carrier_refuses_is_over_and_the_slot_is_free_again() {
    let world = World::new();
    let scope = world.organization();
    world.refuse("buy");
    assert!(matches!(world.provision().run(&scope, wish(None)).await, Err(ProvisionError::Provider(_))));
    check(&world, &scope, 0, "refused");
    assert_eq!(world.slot(&scope), Slot::Managed { is_active: false });
    assert_eq!(world.voice_accounts(), 0);
    world.heal();
    active(world.provision().run(&scope, wish(None)).await);
    check(&world, &scope, 1, "the account is the same");
}

#[tokio::test]
async fn a_number_that_cannot_be_imported_is_given_back() {
    let world = World::new();
    let scope = world.organization();
    world.refuse("import");
    assert!(matches!(world.provision().run(&scope, wish(None)).await, Err(ProvisionError::Provider(_))));
    work_off(&world, &scope).await;
    check(&world, &scope, 0, "given back");
    assert!(matches!(world.records(&scope)[0].state, NumberState::Released { .. }));
    assert_eq!(world.slot(&scope), Slot::Managed { is_active: false });
}

#[tokio::test]
async fn a_voice_service_that_is_away_delays_the_number_and_the_job_finishes_it() {
    let world = World::new();
    let scope = world.organization();
    world.go_down("voice");
    let outcome = world.provision().run(&scope, wish(None)).await.unwrap();
    let Provisioned::UnderWay(under_way) = outcome else { panic!("{outcome:?}") };
    assert_eq!(world.bought().len(), 1);
    world.heal();
    work_off(&world, &scope).await;
    check(&world, &scope, 1, "finished");
    assert_eq!(world.records(&scope)[0].id, under_way.id);
    // One that can never be finished is given back in the end.
    world.go_down("voice");
    let Provisioned::UnderWay(stuck) = world.provision().run(&scope, wish(None)).await.unwrap() else {
        panic!()
    };
    world.provision().give_up(&scope, stuck.id).await.unwrap();
    world.heal();
    work_off(&world, &scope).await;
    check(&world, &scope, 1, "given up");
}

#[tokio::test]
async fn spending_is_bounded_and_only_for_those_who_may() {
    let world = World::new();
    let scope = world.organization();
    let provision = world.provision_within(Limits { numbers: 2, purchases_per_day: 3 });
    for standing in [Standing::NotVerified, Standing::Suspended] {
        world.stands(&scope, standing);
        let refused = provision.run(&scope, wish(None)).await;
        match standing {
            Standing::Suspended => assert!(matches!(refused, Err(ProvisionError::Suspended)), "{refused:?}"),
            _ => assert!(matches!(refused, Err(ProvisionError::NotVerified)), "{refused:?}"),
        }
    }
    assert!(world.accounts().is_empty());
    world.stands(&scope, Standing::Verified);
    let first = active(provision.run(&scope, wish(None)).await);
    active(provision.run(&scope, wish(None)).await);
    let refused = provision.run(&scope, wish(None)).await;
    assert!(matches!(refused, Err(ProvisionError::TooManyNumbers { limit: 2 })), "{refused:?}");
    assert!(world.release().run(&scope, &first.number, false).await.unwrap().is_done());
    world.clock.advance(SignedDuration::from_hours(1));
    let third = active(provision.run(&scope, wish(None)).await);
    assert!(world.release().run(&scope, &third.number, false).await.unwrap().is_done());
    let refused = provision.run(&scope, wish(None)).await;
    let Err(ProvisionError::TooManyPurchases { after }) = refused else { panic!("{refused:?}") };
    assert_eq!(after, SignedDuration::from_hours(23));
    world.clock.advance(after);
    active(provision.run(&scope, wish(None)).await);
    check(&world, &scope, 2, "a day later");
    let other = world.organization();
    world.bring_account(&other);
    assert!(matches!(provision.run(&other, wish(None)).await, Err(ProvisionError::SlotTaken)));
    assert_eq!(world.slot(&other), Slot::Brought);
}

#[tokio::test]
async fn a_number_is_released_everywhere_wherever_it_breaks() {
    for fault in Fault::ALL {
        for at in 0.. {
            let world = World::new();
            let scope = world.organization();
            let context = format!("{fault:?} at effect {at}");
            let bought = active(world.provision().run(&scope, wish(None)).await);
            let kept = active(world.provision().run(&scope, wish(None)).await);
            world.take_jobs();
            world.fail(at, fault);
            let results = alive(world.release().run(&scope, &bought.number, false)).await;
            let was_last = world.fault_is_pending();
            if let Some(Ok(results)) = results {
                assert!(results.status_updated && results.routing_removed, "{context}");
                assert_eq!(world.route(&bought.number), None, "{context}");
            }
            world.heal();
            work_off(&world, &scope).await;
            if world
                .records(&scope)
                .iter()
                .any(|record| record.id == bought.id && record.state.as_str() == "active")
            {
                // It broke before anything was noted: whoever asked has to ask again.
                assert!(!matches!(results, Some(Ok(_))), "{context}");
                assert!(
                    world.release().run(&scope, &bought.number, false).await.unwrap().is_done(),
                    "{context}"
                );
            }
            check(&world, &scope, 1, &context);
            assert_eq!(world.slot_number(&scope), Some(kept.number.clone()), "{context}");
            let again = world.release().run(&scope, &bought.number, false).await;
            assert!(matches!(again, Err(ReleaseError::NotFound)), "{context}: {again:?}");

            // The last one takes the account with it.
            assert!(world.release().run(&scope, &kept.number, false).await.unwrap().is_done(), "{context}");
            work_off(&world, &scope).await;
            check(&world, &scope, 0, &context);
            assert_eq!(world.slot(&scope), Slot::Managed { is_active: false }, "{context}");
            assert_eq!(world.voice_accounts(), 0, "{context}");
            assert_eq!(world.accounts().len(), 1, "{context}: it is made once");
            if was_last {
                break;
            }
        }
    }
}

#[tokio::test]
async fn one_provider_that_fails_does_not_stop_the_other() {
    for (down, voice, carrier) in [("voice", false, true), ("carrier", true, false)] {
        let world = World::new();
        let scope = world.organization();
        let bought = active(world.provision().run(&scope, wish(None)).await);
        world.go_down(down);
        let results = world.release().run(&scope, &bought.number, false).await.unwrap();
        assert_eq!((results.voice_released, results.carrier_released), (voice, carrier), "{down}");
        assert!(results.status_updated && results.routing_removed && !results.is_done());
        assert_eq!(world.records(&scope)[0].state.as_str(), "releasing", "never recorded as done");
        let again = world.release().run(&scope, &bought.number, false).await.unwrap();
        assert!(!again.is_done(), "asking again says the same");
        world.heal();
        work_off(&world, &scope).await;
        check(&world, &scope, 0, down);
    }
}

#[tokio::test]
async fn what_is_gone_already_counts_as_released() {
    let world = World::new();
    let scope = world.organization();
    let bought = active(world.provision().run(&scope, wish(None)).await);
    world.wipe_the_voice();
    let account = world.accounts()[0].id.clone();
    let carrier: &dyn voxanne_telephony::numbers::Carrier = &world;
    carrier.release(&account, &world.bought()[0].id).await.unwrap();
    assert!(world.release().run(&scope, &bought.number, false).await.unwrap().is_done());
    check(&world, &scope, 0, "gone");
}

#[tokio::test]
async fn anothers_number_is_not_there() {
    let world = World::new();
    let (ours, theirs) = (world.organization(), world.organization());
    let bought = active(world.provision().run(&theirs, wish(None)).await);
    let refused = world.release().run(&ours, &bought.number, true).await;
    assert!(matches!(refused, Err(ReleaseError::NotFound)));
    check(&world, &theirs, 1, "theirs");
    assert_ne!(active(world.provision().run(&ours, wish(None)).await).number, bought.number);
}

#[tokio::test]
async fn an_account_follows_its_organization() {
    use voxanne_telephony::numbers::AccountUse;
    let world = World::new();
    let scope = world.organization();
    world.account().follow(&scope).await.unwrap();
    assert!(world.accounts().is_empty(), "none is opened for that");
    active(world.provision().run(&scope, wish(None)).await);
    for (standing, usage) in [
        (Standing::Suspended, AccountUse::Suspended),
        (Standing::Verified, AccountUse::Active),
        (Standing::NotVerified, AccountUse::Suspended),
    ] {
        world.stands(&scope, standing);
        world.account().follow(&scope).await.unwrap();
        assert_eq!(world.accounts()[0].usage, usage);
    }
    world.account().close(&scope).await.unwrap();
    assert!(world.accounts().is_empty() && world.bought().is_empty());
}

#[tokio::test]
async fn a_setup_gets_one_number_however_often_it_asks() {
    let world = World::new();
    let scope = world.organization();
    let tag = || Some("voxanne-setup:1".to_owned());
    let first = active(world.provision().run_tagged(&scope, wish(None), tag()).await);
    let again = active(world.provision().run_tagged(&scope, wish(Some("415")), tag()).await);
    assert_eq!(first, again);
    assert_eq!(world.bought()[0].tag, "voxanne-setup:1");
}

#[tokio::test]
async fn both_sides_are_compared_and_only_strays_go_and_only_when_told() {
    let world = World::new();
    let scope = world.organization();
    let kept = active(world.provision().run(&scope, wish(None)).await);
    world.take_jobs();
    assert_eq!(world.reconcile().run(false).await.unwrap().findings, []);

    let name = ManagedAccount::name(scope.org());
    let bought = |id: &str, line| Bought {
        id: id.to_owned(),
        number: number("212", line),
        tag: "by hand".to_owned(),
        texts: None,
    };
    world.plant_at_carrier(&name, bought("PN-stray", 1));
    world.plant_at_carrier("voxanne-org:00000000-0000-7000-8000-000000000000", bought("PN-nobody", 2));
    world.plant_at_carrier("somebody's own", bought("PN-theirs", 3));
    world.plant_at_voice("number-stray", &format!("org-{}", scope.org()), &number("212", 4));
    world.plant_at_voice("number-theirs", "reception", &number("212", 5));
    world.plant_assistant("assistant-stray", scope.org());
    let report = world.reconcile().run(false).await.unwrap();
    let on = |side| report.on(side);
    assert_eq!((on(Side::Carrier), on(Side::Voice), on(Side::Records)), (3, 2, 0), "{report:?}");
    assert!(report.findings.iter().all(|finding| finding.release.is_none()));
    assert_eq!((world.bought().len(), world.voice_numbers().len()), (4, 3), "nothing is touched");

    let report = world.reconcile().run(true).await.unwrap();
    let became = |id: &str| {
        let found = report.findings.iter().find(|finding| finding.stray.id() == Some(id));
        found.unwrap_or_else(|| panic!("{id}: {report:?}")).release
    };
    assert_eq!(became("PN-stray"), Some(Release::Queued));
    assert_eq!(became("PN-nobody"), Some(Release::Done));
    assert_eq!(became("number-stray"), Some(Release::Queued));
    assert_eq!(became("assistant-stray"), Some(Release::Done));
    work_off(&world, &scope).await;
    let left: Vec<String> = world.bought().into_iter().map(|bought| bought.number.to_string()).collect();
    assert_eq!(left, [kept.number.to_string(), number("212", 3).to_string()]);
    assert_eq!((world.voice_numbers().len(), world.assistants()), (2, 0));
    assert_eq!(world.route(&kept.number), Some(scope.org()));
    assert_eq!(became("AC-planted-voxanne-org:00000000-0000-7000-8000-000000000000"), Some(Release::Done));
    assert_eq!(world.reconcile().run(false).await.unwrap().findings, []);

    world.wipe_the_voice();
    let report = world.reconcile().run(true).await.unwrap();
    let [finding] = report.findings.as_slice() else { panic!("{report:?}") };
    assert_eq!(finding.stray, Stray::MissingAtVoice { number: kept.number.clone() });
    assert_eq!((finding.org, finding.release), (Some(scope.org()), Some(Release::NotOurs)));
    assert_eq!(world.records(&scope).iter().filter(|record| record.state.as_str() == "active").count(), 1);
}

#[tokio::test]
async fn what_is_ours_by_another_mark_than_its_name_is_a_stray_too() {
    let world = World::new();
    let scope = world.organization();
    let kept = active(world.provision().run(&scope, wish(None)).await);
    world.take_jobs();
    let bought = |id: &str, line, tag: &str| Bought {
        id: id.to_owned(),
        number: number("212", line),
        tag: tag.to_owned(),
        texts: None,
    };
    let account = world.accounts()[0].id.clone();
    let setup = "voxanne-setup:018f0000-0000-7000-8000-000000000007";
    world.plant_import("import-of-ours", "front desk", &number("212", 1), &account);
    world.plant_import("import-of-theirs", "front desk", &number("212", 2), "AC-theirs");
    world.plant_import("import-of-tagged", "x", &number("212", 3), OWN_ACCOUNT);
    world.plant_import("import-of-sender", "x", &number("212", 4), OWN_ACCOUNT);
    world.plant_in_own_account(bought("PN-tagged", 3, setup));
    world.plant_in_own_account(bought("PN-sender", 4, "voxanne"));
    world.plant_in_own_account(bought("PN-nearly", 5, "voxanne-setup:the first"));
    let report = world.reconcile().run(true).await.unwrap();
    let mut became: Vec<_> =
        report.findings.iter().map(|finding| (finding.stray.id().unwrap(), finding.release)).collect();
    became.sort_unstable_by_key(|(id, _)| *id);
    let expected = [
        ("PN-tagged", Some(Release::Done)),
        ("import-of-ours", Some(Release::Queued)),
        ("import-of-tagged", Some(Release::Done)),
    ];
    assert_eq!(became, expected);
    work_off(&world, &scope).await;
    assert_eq!(world.reconcile().run(false).await.unwrap().findings, []);
    let left: Vec<String> = world.own_numbers().into_iter().map(|bought| bought.id).collect();
    assert_eq!(left, ["PN-sender", "PN-nearly"]);
    assert_eq!(world.voice_numbers().len(), 3);
    assert_eq!(world.route(&kept.number), Some(scope.org()));
}

#[tokio::test]
async fn a_stray_account_goes_with_its_numbers_or_says_that_they_are_going() {
    let world = World::new();
    let scope = world.organization();
    active(world.provision().run(&scope, wish(None)).await);
    world.take_jobs();
    let bought = |id: &str, line| Bought {
        id: id.to_owned(),
        number: number("212", line),
        tag: "by hand".to_owned(),
        texts: None,
    };
    // A second account by the name of a live organization, and one of nobody.
    let nobody = "voxanne-org:00000000-0000-7000-8000-000000000000";
    world.plant_account("AC-second", &ManagedAccount::name(scope.org()), vec![bought("PN-stray-1", 1)]);
    world.plant_account("AC-nobody", nobody, vec![bought("PN-stray-2", 2), bought("PN-stray-3", 3)]);
    let became = |report: &Report, id: &str| {
        report.findings.iter().find(|finding| finding.stray.id() == Some(id)).unwrap().release
    };
    let report = world.reconcile().run(true).await.unwrap();
    assert_eq!(became(&report, "PN-stray-1"), Some(Release::Queued));
    assert_eq!(became(&report, "AC-second"), Some(Release::Queued));
    assert_eq!(became(&report, "PN-stray-3"), Some(Release::Done));
    assert_eq!(became(&report, "AC-nobody"), Some(Release::Done));
    work_off(&world, &scope).await;
    let report = world.reconcile().run(true).await.unwrap();
    assert_eq!(became(&report, "AC-second"), Some(Release::Done));
    assert_eq!(world.reconcile().run(false).await.unwrap().findings, []);
}

#[tokio::test]
async fn a_purchase_under_way_is_no_stray() {
    for at in 0.. {
        let world = World::new();
        let scope = world.organization();
        world.fail(at, Fault::KilledAfter);
        alive(world.provision().run(&scope, wish(None))).await;
        if world.fault_is_pending() {
            break;
        }
        world.heal();
        let report = world.reconcile().run(false).await.unwrap();
        assert_eq!(report.findings, [], "killed after effect {at}");
    }
}

#[tokio::test]
async fn texts_are_brought_to_where_we_are() {
    let world = World::new();
    let (scope, other) = (world.organization(), world.organization());
    for scope in [&scope, &other] {
        active(world.provision().run(scope, wish(None)).await);
    }
    // Nothing is asked for what is as it should be.
    world.refuse("texts");
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought::default());
    world.heal();

    let texts = |host: &str, scope: &OrgScope| format!("https://{host}/texts/token-of-{}", scope.org());
    let brought = |world: &World| {
        let mut all: Vec<_> = world.bought().into_iter().map(|bought| bought.texts.unwrap()).collect();
        all.sort();
        all
    };
    let at = |host: &str| {
        let mut all = vec![texts(host, &scope), texts(host, &other)];
        all.sort();
        all
    };
    assert_eq!(brought(&world), at("here.example"));
    world.move_to("there.example");
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought { redirected: 2, refused: 0 });
    assert_eq!(brought(&world), at("there.example"));
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought::default());

    world.forget_texts();
    world.refuse("texts");
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought { redirected: 0, refused: 2 });
    world.heal();
    world.go_down("carrier");
    assert!(matches!(world.bring_texts().run().await, Err(BringTextsError::Carrier(_))));
    world.heal();
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought { redirected: 2, refused: 0 });
    assert_eq!(brought(&world), at("there.example"));

    // One that is given up is left alone.
    let gone = world.records(&scope)[0].number.clone();
    world.forget_texts();
    world.release().run(&scope, &gone, false).await.unwrap();
    assert_eq!(world.bring_texts().run().await.unwrap(), Brought { redirected: 1, refused: 0 });
}

#[tokio::test]
async fn texts_come_to_us_wherever_a_change_of_address_breaks() {
    for fault in Fault::ALL {
        for at in 0.. {
            let world = World::new();
            let scope = world.organization();
            active(world.provision().run(&scope, wish(None)).await);
            world.take_jobs();
            world.move_to("there.example");
            world.fail(at, fault);
            drop(alive(world.bring_texts().run()).await);
            if world.fault_is_pending() {
                break;
            }
            world.heal();
            world.bring_texts().run().await.unwrap();
            let texts = format!("https://there.example/texts/token-of-{}", scope.org());
            let context = format!("{fault:?} at effect {at}");
            assert_eq!(world.bought()[0].texts.as_ref(), Some(&texts), "{context}");
            assert_eq!(world.records(&scope)[0].texts.as_ref(), Some(&texts), "{context}");
        }
    }
}

#[tokio::test]
async fn a_purchase_that_is_gone_on_with_elsewhere_gets_the_present_address() {
    for at in 0.. {
        let world = World::new();
        let scope = world.organization();
        world.fail(at, Fault::KilledAfter);
        alive(world.provision().run(&scope, wish(Some("510")))).await;
        if world.fault_is_pending() {
            break;
        }
        world.heal();
        world.move_to("there.example");
        work_off(&world, &scope).await;
        world.bring_texts().run().await.unwrap();
        let texts = format!("https://there.example/texts/token-of-{}", scope.org());
        for bought in world.bought() {
            assert_eq!(bought.texts.as_ref(), Some(&texts), "killed after effect {at}");
        }
        for record in world.records(&scope).into_iter().filter(|record| record.state.as_str() == "active") {
            assert_eq!(record.texts.as_ref(), Some(&texts), "killed after effect {at}");
        }
    }
}

#[tokio::test]
async fn whoever_gives_its_line_s_number_up_is_reached_by_the_next_or_not_at_all() {
    for at in 0..8 {
        let world = World::new();
        let scope = world.organization();
        let first = active(world.provision().run(&scope, wish(Some("510"))).await);
        let second = active(world.provision().run(&scope, wish(Some("510"))).await);
        world.is_reached_by(&scope, &first.number);
        world.fail(at, Fault::KilledAfter);
        alive(world.release().run(&scope, &first.number, false)).await;
        world.heal();
        let is_marked = world.route(&first.number).is_none();
        let by = if is_marked { &second } else { &first };
        assert_eq!(world.reached_by(&scope), Some(by.number.clone()), "killed after effect {at}");
        work_off(&world, &scope).await;
        if !is_marked {
            world.release().run(&scope, &first.number, false).await.unwrap();
        }
        assert_eq!(world.reached_by(&scope), Some(second.number.clone()));
        world.release().run(&scope, &second.number, false).await.unwrap();
        assert_eq!(world.reached_by(&scope), None);
    }
}

#[tokio::test]
async fn everything_that_was_bought_is_given_up_at_once_or_what_goes_by_a_tag() {
    let world = World::new();
    let scope = world.organization();
    let tagged = world.provision().run_tagged(&scope, wish(None), Some("setup-1".to_owned())).await;
    let (tagged, other) = (active(tagged), active(world.provision().run(&scope, wish(None)).await));
    assert_ne!(tagged.number, other.number);
    assert_eq!(world.release().run_all(&scope, Some("setup-1")).await.unwrap(), (true, true));
    check(&world, &scope, 1, "the tagged one");
    assert_eq!(world.route(&other.number), Some(scope.org()));
    assert_eq!(world.release().run_all(&scope, None).await.unwrap(), (true, true));
    check(&world, &scope, 0, "all");
}
