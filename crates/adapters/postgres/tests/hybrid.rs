//! The organization's own phones on a real PostgreSQL: what is stored reads back and only at home, and what happens at
//! the same time ends in one state. The carrier is the one in memory.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organizations")]

use std::sync::Arc;

use jiff::SignedDuration;
use voxanne_kernel::{Actor, Clock, E164, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_telephony::hybrid::{
    CalledBack, CallerIdName, Carrier, CarrierCountry, CleanUpTelephony, ConfirmCodeError, ConfirmError,
    Forward, ForwardedTo, ForwardingConfig, ForwardingType, InitiateError, Initiated, LookError, Outcome,
    RemoveCallerId, RingTime, SetUpError, Setup, State, Status, TestError, TestForwarding, TestOutcome,
    VerifyCallerId,
    ports::Standing,
    testing::{FROM, HybridWorld, Rung},
};
use voxanne_testkit::TestDb;

const SIM: &str = "+15005550100";
const OWN: &str = "+15550109999";

#[derive(Clone)]
struct World {
    db: Arc<TestDb>,
    store: Arc<PgStore>,
    carrier: HybridWorld,
}

fn number(text: &str) -> E164 {
    E164::new(text).unwrap()
}

impl World {
    async fn new() -> Self {
        let db = Arc::new(TestDb::new().await);
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        Self { db, store, carrier: HybridWorld::new() }
    }

    async fn run(&self, statement: &'static str, scope: &OrgScope) {
        sqlx::query(statement).bind(scope.org().0).execute(&mut self.db.owner().await).await.unwrap();
    }

    /// An organization with one number.
    async fn organization(&self) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        self.run(
            "insert into organizations (id, name, status, timezone) values ($1, 'Glow', 'verified', 'UTC')",
            &scope,
        )
        .await;
        scope
    }

    async fn bring_number(&self, scope: &OrgScope) {
        self.run(
            "insert into phone_number_mapping (org_id, phone_number, vapi_phone_id) values ($1, '+15550109999', 'v1')",
            scope,
        )
        .await;
    }

    fn verify(&self) -> VerifyCallerId {
        let carrier = Arc::new(self.carrier.clone());
        VerifyCallerId::new(
            self.store.clone(),
            self.store.clone(),
            carrier.clone(),
            carrier.clone(),
            carrier,
            self.carrier.clock.clone(),
            "https://api.example.test/cb",
        )
    }

    fn forward(&self) -> Forward {
        Forward::new(self.store.clone(), self.carrier.clock.clone())
    }

    fn test(&self) -> TestForwarding {
        let carrier = Arc::new(self.carrier.clone());
        TestForwarding::new(self.store.clone(), carrier.clone(), carrier, self.carrier.clock.clone())
    }

    fn remove(&self) -> RemoveCallerId {
        let carrier = Arc::new(self.carrier.clone());
        RemoveCallerId::new(self.store.clone(), carrier.clone(), carrier, self.carrier.clock.clone())
    }

    async fn begin(&self, scope: &OrgScope) -> (Initiated, Rung) {
        let name = CallerIdName::new("Front desk").unwrap();
        let begun = self.verify().initiate(scope, number(SIM), Some(name)).await.unwrap();
        (begun, self.carrier.rung().pop().unwrap())
    }

    async fn verified(&self, scope: &OrgScope) -> Initiated {
        let (begun, rung) = self.begin(scope).await;
        let outcome = Outcome::Verified { sid: self.carrier.type_on_phone(&rung) };
        assert!(self.verify().called_back(scope, begun.id, &word(&rung, outcome)).await.unwrap());
        begun
    }

    async fn set_up(&self, scope: &OrgScope) -> ForwardingConfig {
        let begun = self.verified(scope).await;
        self.bring_number(scope).await;
        self.forward().set_up(scope, setup(&begun)).await.unwrap().0
    }

    async fn status(&self, scope: &OrgScope, begun: &Initiated) -> Status {
        self.verify().progress(scope, begun.id).await.unwrap().status
    }

    fn later(&self, by: SignedDuration) {
        self.carrier.clock.advance(by);
    }
}

fn setup(begun: &Initiated) -> Setup {
    Setup {
        caller_id: begun.id,
        kind: ForwardingType::SafetyNet,
        carrier: Carrier::Att,
        country: CarrierCountry::US,
        ring: RingTime::new(31).unwrap(),
    }
}

fn word(rung: &Rung, outcome: Outcome) -> CalledBack {
    CalledBack {
        token: rung.token().to_owned(),
        number: rung.number.to_string(),
        call: rung.call.clone(),
        outcome,
    }
}

#[tokio::test]
async fn a_number_and_its_forwarding_read_back_as_they_were_and_only_at_home() {
    let world = World::new().await;
    let (scope, stranger) = (world.organization().await, world.organization().await);
    let config = world.set_up(&scope).await;
    let id = config.setup.caller_id;
    let listed = world.verify().list(&scope).await.unwrap();
    assert_eq!((listed.len(), listed[0].1), (1, true));
    let stored = &listed[0].0;
    assert_eq!((stored.number.as_str(), stored.name.as_ref().unwrap().as_str()), (SIM, "Front desk"));
    assert!(
        matches!(&stored.state, State::Verified { sid, at } if sid.starts_with("PN") && *at == world.carrier.clock.now())
    );
    assert!(stored.attempt.code.is_some() && stored.attempt.call.is_some());

    let active = world.forward().confirm(&scope, config.id).await.unwrap();
    assert_eq!(world.forward().of(&scope, id).await.unwrap().unwrap(), active);
    let forwarded = ForwardedTo::new(world.store.clone());
    assert_eq!(forwarded.run(&scope, &number(OWN)).await.unwrap()[0].erase[0].as_str(), "##004#");
    let codes: (String, String, bool) = sqlx::query_as(
        "select generated_activation_code, generated_deactivation_code, confirmed from hybrid_forwarding_configs",
    )
    .fetch_one(&mut world.db.owner().await)
    .await
    .unwrap();
    assert_eq!(codes, (format!("*004*{OWN}*11*30#"), "##004#".to_owned(), true));

    assert!(matches!(world.verify().progress(&stranger, id).await, Err(LookError::NotFound)));
    assert!(world.verify().list(&stranger).await.unwrap().is_empty());
    assert_eq!(world.forward().of(&stranger, id).await.unwrap(), None);
    assert!(matches!(world.forward().confirm(&stranger, config.id).await, Err(ConfirmError::NotFound)));
    assert_eq!(world.forward().disable(&stranger, config.id).await.unwrap(), None);
    assert!(forwarded.run(&stranger, &number(OWN)).await.unwrap().is_empty());
    assert!(matches!(world.test().run(&stranger, config.id).await, Err(TestError::NotFound)));

    let disabled = world.forward().disable(&scope, config.id).await.unwrap().unwrap();
    assert_eq!(world.forward().of(&scope, id).await.unwrap().unwrap(), disabled);
    assert!(world.remove().run(&stranger, id).await.is_err());
    world.remove().run(&scope, id).await.unwrap();
    assert!(world.verify().list(&scope).await.unwrap().is_empty());
    assert_eq!(world.forward().of(&scope, id).await.unwrap(), None);
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where target_kind = 'caller_id'")
            .fetch_one(&mut world.db.owner().await)
            .await
            .unwrap();
    assert_eq!(audited, 2);
}

#[tokio::test]
async fn ten_organizations_that_ask_at_once_get_three_calls_between_them() {
    let world = World::new().await;
    let mut asked = Vec::new();
    for _ in 0..10 {
        let (world, scope) = (world.clone(), world.organization().await);
        asked.push(tokio::spawn(async move { world.verify().initiate(&scope, number(SIM), None).await }));
    }
    let (mut begun, mut refused) = (0, 0);
    for outcome in asked {
        match outcome.await.unwrap() {
            Ok(_) => begun += 1,
            Err(InitiateError::TooManyCalls { until }) => {
                assert_eq!(until, world.carrier.clock.now() + SignedDuration::from_hours(1));
                refused += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((begun, refused, world.carrier.rung().len()), (3, 7, 3));
}

#[tokio::test]
async fn one_organization_that_asks_many_times_at_once_has_one_row_and_the_last_call_counts() {
    let world = World::new().await;
    let scope = world.organization().await;
    let asked: Vec<_> = (0..6)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.verify().initiate(&scope, number(SIM), None).await })
        })
        .collect();
    let mut begun = Vec::new();
    for outcome in asked {
        match outcome.await.unwrap() {
            Ok(initiated) => begun.push(initiated),
            Err(InitiateError::InTheMaking | InitiateError::TooManyCalls { .. }) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(!begun.is_empty());
    let listed = world.verify().list(&scope).await.unwrap();
    assert_eq!(listed.len(), 1);
    let latest =
        world.carrier.rung().into_iter().find(|rung| rung.token() == listed[0].0.attempt.token).unwrap();
    let outcome = Outcome::Verified { sid: world.carrier.type_on_phone(&latest) };
    assert!(world.verify().called_back(&scope, listed[0].0.id, &word(&latest, outcome)).await.unwrap());
    assert_eq!(world.status(&scope, &begun[0]).await, Status::Verified);
}

#[tokio::test]
async fn callback_twice_and_look_up_and_confirm_at_once_verify_once() {
    let world = World::new().await;
    let scope = world.organization().await;
    let (begun, rung) = world.begin(&scope).await;
    let sid = world.carrier.type_on_phone(&rung);
    let said = word(&rung, Outcome::Verified { sid: sid.clone() });
    let verify = world.verify();
    let code = rung.code.clone().into();
    let (one, other, looked, confirmed) = tokio::join!(
        verify.called_back(&scope, begun.id, &said),
        verify.called_back(&scope, begun.id, &said),
        verify.progress(&scope, begun.id),
        verify.confirm(&scope, begun.id, &code),
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert!(!(one && other));
    looked.unwrap();
    // Whoever came too early to see it asks again.
    if let Ok(confirmed) = confirmed {
        assert_eq!(confirmed, sid);
    }
    assert_eq!(world.verify().confirm(&scope, begun.id, &rung.code.clone().into()).await.unwrap(), sid);
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'caller_id.verified'")
            .fetch_one(&mut world.db.owner().await)
            .await
            .unwrap();
    assert_eq!(audited, 1);
}

#[tokio::test]
async fn many_wrong_codes_at_once_are_three() {
    let world = World::new().await;
    let scope = world.organization().await;
    let (begun, _) = world.begin(&scope).await;
    let id = begun.id;
    let tries: Vec<_> = (0..12)
        .map(|n| {
            let world = world.clone();
            tokio::spawn(async move { world.verify().confirm(&scope, id, &format!("{n:06}").into()).await })
        })
        .collect();
    let mut wrong = Vec::new();
    for outcome in tries {
        match outcome.await.unwrap() {
            Err(ConfirmCodeError::Wrong { remaining }) => wrong.push(remaining),
            Err(ConfirmCodeError::Locked { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    wrong.sort_unstable();
    assert_eq!(wrong, [1, 2]);
    assert!(matches!(
        world.verify().initiate(&scope, number(SIM), None).await,
        Err(InitiateError::Locked { .. })
    ));
}

#[tokio::test]
async fn the_token_leads_to_one_number_and_an_old_one_to_none() {
    let world = World::new().await;
    let scope = world.organization().await;
    let (_, old) = world.begin(&scope).await;
    let (begun, rung) = world.begin(&scope).await;
    assert_eq!(world.verify().named_by(old.token()).await.unwrap(), None);
    let named = world.verify().named_by(rung.token()).await.unwrap().unwrap();
    assert_eq!((named.org, named.id), (scope.org(), begun.id));
}

#[tokio::test]
async fn a_second_forwarding_of_the_phone_and_one_without_a_number_are_refused() {
    let world = World::new().await;
    let scope = world.organization().await;
    let begun = world.verified(&scope).await;
    let refused = world.forward().set_up(&scope, setup(&begun)).await;
    assert!(matches!(refused, Err(SetUpError::NoDestination)));
    world.bring_number(&scope).await;
    let (first, _) = world.forward().set_up(&scope, setup(&begun)).await.unwrap();
    let (second, _) = world.forward().set_up(&scope, setup(&begun)).await.unwrap();
    assert_eq!(first.id, second.id);
    world.run("delete from phone_number_mapping where org_id = $1", &scope).await;
    assert!(matches!(world.forward().confirm(&scope, first.id).await, Err(ConfirmError::NoDestination)));
    world.bring_number(&scope).await;
    world.forward().confirm(&scope, first.id).await.unwrap();
    let refused = world.forward().set_up(&scope, setup(&begun)).await;
    assert!(matches!(refused, Err(SetUpError::AlreadyActive { .. })));
}

#[tokio::test]
async fn a_test_call_is_recognised_among_the_organizations_calls() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let config = world.set_up(&scope).await;
    assert!(matches!(world.test().run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    world.later(SignedDuration::from_secs(20));
    let at = world.carrier.clock.now();
    let call = async |scope: &OrgScope, kind: &str, from: &str, seconds: i32| {
        sqlx::query(
            "insert into calls (id, org_id, vapi_call_id, call_type, status, phone_number, started_at)
             values (gen_random_uuid(), $1, gen_random_uuid()::text, $2, 'in_progress', $3,
                     $4::timestamptz + make_interval(secs => $5))",
        )
        .bind(scope.org().0)
        .bind(kind)
        .bind(from)
        .bind(at.to_string())
        .bind(f64::from(seconds))
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    };
    call(&other, "inbound", FROM, 0).await;
    call(&scope, "outbound", FROM, 0).await;
    call(&scope, "inbound", SIM, 0).await;
    call(&scope, "inbound", FROM, -60).await;
    call(&scope, "inbound", FROM, 41).await;
    assert!(matches!(world.test().look(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    call(&scope, "inbound", FROM, 0).await;
    let reached = world.test().look(&scope, config.id).await.unwrap();
    assert_eq!(reached, TestOutcome::Reached { at });
    world.later(SignedDuration::from_secs(3));
    assert!(matches!(world.test().run(&scope, config.id).await.unwrap(), TestOutcome::Pending { .. }));
    world.run("update organizations set status = 'suspended' where id = $1", &scope).await;
    world.later(SignedDuration::from_hours(1));
    let refused = world.test().run(&scope, config.id).await;
    assert!(matches!(refused, Err(TestError::NotAllowed(Standing::Suspended))), "{refused:?}");
}

#[tokio::test]
async fn two_phones_are_not_tested_at_once() {
    let world = World::new().await;
    let scope = world.organization().await;
    let first = world.set_up(&scope).await;
    let begun = world.verify().initiate(&scope, number("+15005550101"), None).await.unwrap();
    let rung = world.carrier.rung().pop().unwrap();
    let outcome = Outcome::Verified { sid: world.carrier.type_on_phone(&rung) };
    world.verify().called_back(&scope, begun.id, &word(&rung, outcome)).await.unwrap();
    let (second, _) = world.forward().set_up(&scope, setup(&begun)).await.unwrap();
    let test = world.test();
    let (one, other) = tokio::join!(test.run(&scope, first.id), test.run(&scope, second.id));
    let outcomes = [one, other];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(
        outcomes.iter().filter(|o| matches!(o, Err(TestError::AnotherRuns))).count(),
        1,
        "{outcomes:?}"
    );
    assert_eq!(world.carrier.test_calls().len(), 1);
}

#[tokio::test]
async fn the_night_expires_deletes_and_spares() {
    let world = World::new().await;
    let (scope, kept) = (world.organization().await, world.organization().await);
    let (begun, _) = world.begin(&scope).await;
    let config = world.set_up(&kept).await;
    world.forward().confirm(&kept, config.id).await.unwrap();
    // Whatever becomes of its verification.
    world
        .run(
            "update verified_caller_ids
                set status = 'failed', verified_at = null, twilio_caller_id_sid = null where org_id = $1",
            &kept,
        )
        .await;
    let night = CleanUpTelephony::new(world.store.clone());
    let sweep = async || {
        let swept = night.run(world.carrier.clock.now()).await.unwrap();
        (swept.expired, swept.deleted)
    };
    world.later(SignedDuration::from_mins(19));
    assert_eq!(sweep().await, (0, 0));
    world.later(SignedDuration::from_mins(2));
    assert_eq!(sweep().await, (1, 0));
    assert_eq!(world.status(&scope, &begun).await, Status::Expired);
    world.later(SignedDuration::from_hours(25));
    let now = world.carrier.clock.now();
    let (one, other) = tokio::join!(night.run(now), night.run(now));
    assert_eq!(one.unwrap().deleted + other.unwrap().deleted, 1);
    assert!(world.verify().list(&scope).await.unwrap().is_empty());
    assert_eq!(world.verify().list(&kept).await.unwrap().len(), 1);
    assert_eq!(sweep().await, (0, 0));
}
