//! Setups on a real PostgreSQL: what only a database can show. Many who start at once share one, two organizations never
//! meet, whoever lost the claim writes nothing, and what is read is what was written.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection};
use voxanne_kernel::{
    Actor, Begin, Claims, E164, ManualClock, OrgScope, Timestamp,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_provisioning::{
    CleanUpSetup, Failure, LineKind, NumberSource, Ran, ReadyAssistant, RetrySetup, RoutedNumber, RunSetup,
    Setup, SetupParts, SetupStatus, SetupTx, SetupWish, ShowSetup, StartError, StartSetup, Started, StepName,
    StepStatus,
    testing::{MemoryLineProvider, ReadyAssistants, ReadyNumbers},
};
use voxanne_telephony::numbers::NumbersTx;
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    clock: Arc<ManualClock>,
    numbers: ReadyNumbers,
    assistants: ReadyAssistants,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse().unwrap()));
        Self { db, store, clock, numbers: ReadyNumbers::default(), assistants: ReadyAssistants::default() }
    }

    async fn owner(&self) -> PgConnection {
        self.db.owner().await
    }

    /// An organization of this status, with somebody who owns it.
    async fn organization(&self, status: &str) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        let user = UserId::generate();
        let mut owner = self.owner().await;
        sqlx::query(
            "with organization as (
                 insert into organizations (id, name, status, timezone) values ($1, 'Glow', $2, 'America/New_York')),
             person as (insert into users (id, email) values ($3, $4))
             insert into profiles (org_id, user_id, role) values ($1, $3, 'owner')",
        )
        .bind(scope.org().0)
        .bind(status)
        .bind(user.0)
        .bind(format!("{user}@glow.example"))
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        scope
    }

    fn start(&self) -> StartSetup {
        StartSetup::new(self.store.clone(), self.clock.clone())
    }

    fn run(&self) -> RunSetup {
        RunSetup::new(SetupParts {
            store: self.store.clone(),
            claims: self.store.clone(),
            provider: Arc::new(MemoryLineProvider::default()),
            assistants: Arc::new(self.assistants.clone()),
            numbers: Some(Arc::new(self.numbers.clone())),
            sends_mails: true,
            clock: self.clock.clone(),
        })
    }

    async fn tx(&self, scope: &OrgScope) -> Box<dyn SetupTx> {
        Begin::<dyn SetupTx>::begin(&*self.store, scope).await.unwrap()
    }

    async fn setup(&self, scope: &OrgScope) -> Option<Setup> {
        ShowSetup::new(self.store.clone()).run(scope).await.unwrap()
    }

    async fn count(&self, query: &'static str, scope: &OrgScope) -> i64 {
        let mut owner = self.owner().await;
        sqlx::query_scalar(query).bind(scope.org().0).fetch_one(&mut owner).await.unwrap()
    }
}

const JOBS: &str = "select count(*) from outbox where org_id = $1 and task = 'set_up_organization'";
const MAILS: &str = "select count(*) from outbox where org_id = $1 and task = 'send_mail'";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn what_is_read_is_what_was_written() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    assert_eq!(world.setup(&scope).await, None);
    let wish =
        SetupWish { country: "CA".parse().unwrap(), area_code: "416".parse().ok(), allow_fallback: true };
    let mut setup = Setup::new(wish, at("2026-03-01T09:00:00Z"));
    setup.status = SetupStatus::Cleaning;
    setup.source = Some(NumberSource::Bought);
    setup.phone_number = E164::new("+14165550123").ok();
    setup.vapi_phone_id = Some("n1".to_owned());
    setup.inbound = Some(ReadyAssistant { id: "a1".to_owned(), name: "Glow inbound".to_owned() });
    setup.outbound = Some(ReadyAssistant { id: "a2".to_owned(), name: "Glow outbound".to_owned() });
    setup.kept = vec![LineKind::Inbound, LineKind::Outbound];
    setup.completed_at = Some(at("2026-03-01T09:01:00Z"));
    setup.failure = Some(Failure {
        step: StepName::PhoneNumber,
        code: "no_numbers_available".to_owned(),
        nearby: vec!["647".to_owned(), "905".to_owned()],
    });
    (setup.email_queued, setup.undo_attempts) = (true, 3);
    for (n, step) in setup.steps.iter_mut().enumerate() {
        step.status = StepStatus::ALL[n % StepStatus::ALL.len()];
        step.attempts = u32::try_from(n).unwrap();
        step.at = (n % 2 == 0).then(|| at("2026-03-01T09:00:30Z"));
        step.error = (n % 3 == 0).then(|| "provider_unavailable".to_owned());
        step.is_cleared = n % 2 == 1;
    }
    let mut tx = world.tx(&scope).await;
    tx.put_setup(&setup).await.unwrap();
    assert_eq!(tx.setup_to_change().await.unwrap().as_ref(), Some(&setup));
    tx.commit().await.unwrap();
    assert_eq!(world.setup(&scope).await.as_ref(), Some(&setup));

    // A new attempt takes its place wholly.
    let again = Setup::new(SetupWish::default(), at("2026-03-02T09:00:00Z"));
    let mut tx = world.tx(&scope).await;
    tx.put_setup(&again).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.setup(&scope).await, Some(again));
    let other = world.organization("verified").await;
    assert_eq!(world.setup(&other).await, None, "another organization's is nobody's business");
}

#[tokio::test]
async fn many_who_start_at_once_share_one_setup() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    let asks = (0..12).map(|_| {
        let start = world.start();
        async move { start.run(&scope, SetupWish::default()).await.unwrap() }
    });
    let started = futures_util::future::join_all(asks).await;
    let begun = started.iter().filter(|started| matches!(started, Started::Begun(_))).count();
    assert_eq!(begun, 1);
    let id = started[0].setup().id;
    assert!(started.iter().all(|started| started.setup().id == id));
    assert_eq!(world.count(JOBS, &scope).await, 1);
}

#[tokio::test]
async fn an_organization_that_may_not_gets_no_setup() {
    let world = World::new().await;
    for (status, is_suspended) in [("pending", false), ("suspended", true)] {
        let scope = world.organization(status).await;
        let refused = world.start().run(&scope, SetupWish::default()).await.unwrap_err();
        assert_eq!(matches!(refused, StartError::Suspended), is_suspended, "{status}");
        assert_eq!(world.run().run(&scope).await.unwrap(), Ran::Nothing);
        assert_eq!(world.setup(&scope).await, None);
        assert_eq!(world.count(JOBS, &scope).await, 0);
    }
}

#[tokio::test]
async fn a_setup_is_run_once_by_many_workers_tells_its_owner_and_is_taken_back() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    world.start().run(&scope, SetupWish::default()).await.unwrap();
    let runs = (0..4).map(|_| {
        let run = world.run();
        async move { run.run(&scope).await.unwrap() }
    });
    let ran = futures_util::future::join_all(runs).await;
    assert_eq!(ran.iter().filter(|ran| matches!(ran, Ran::Active(_))).count(), 1, "{ran:?}");
    let setup = world.setup(&scope).await.unwrap();
    assert_eq!(setup.status, SetupStatus::Active);
    assert!(setup.email_queued);
    assert_eq!(world.numbers.bought(), [setup.tag()]);
    // They are made beside each other.
    let prepared = world.assistants.prepared();
    assert!(prepared.len() == 2 && LineKind::ALL.iter().all(|kind| prepared.contains(kind)), "{prepared:?}");
    assert_eq!(world.count(MAILS, &scope).await, 1);
    assert_eq!(world.run().run(&scope).await.unwrap(), Ran::Nothing);
    let retried = RetrySetup::new(world.store.clone(), world.clock.clone()).run(&scope, None).await;
    assert!(retried.is_err());

    let clean = CleanUpSetup::new(world.run());
    assert!(clean.run(&scope).await.unwrap().is_done());
    assert!(clean.run(&scope).await.unwrap().is_done());
    assert_eq!(world.setup(&scope).await.unwrap().status, SetupStatus::Inactive);
    assert!(world.numbers.bought().is_empty());
    assert_eq!(world.assistants.removed(), [LineKind::Outbound, LineKind::Inbound]);
}

#[tokio::test]
async fn what_an_organization_has_is_seen() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    let mut tx = world.tx(&scope).await;
    assert!(!tx.brings_account().await.unwrap());
    assert!(!tx.has_assistant(LineKind::Inbound).await.unwrap());
    assert!(tx.organization().await.unwrap().unwrap().has_owner);
    assert!(tx.numbers().await.unwrap().is_empty());
    tx.commit().await.unwrap();

    let mut owner = world.owner().await;
    let routed = "insert into phone_number_mapping (org_id, phone_number, vapi_phone_id) values ($1, '+15005550006', 'n1')";
    sqlx::query(routed).bind(scope.org().0).execute(&mut owner).await.unwrap();
    let mut tx = world.tx(&scope).await;
    let number = RoutedNumber { number: E164::new("+15005550006").unwrap(), provider_id: "n1".to_owned() };
    assert_eq!(tx.numbers().await.unwrap(), std::slice::from_ref(&number));
    tx.forget_number(&number.number).await.unwrap();
    assert!(tx.numbers().await.unwrap().is_empty());
    tx.commit().await.unwrap();
    for statement in [
        "insert into assistants (id, org_id, kind, name, system_prompt, voice_id)
         values (gen_random_uuid(), $1, 'inbound', 'Glow inbound', 'Be kind.', 'Elliot')",
        "insert into org_credentials (id, org_id, provider, source, sealed, key_id)
         values (gen_random_uuid(), $1, 'twilio', 'byoc', '\\x00', 'k')",
    ] {
        sqlx::query(statement).bind(scope.org().0).execute(&mut owner).await.unwrap();
    }
    let mut tx = world.tx(&scope).await;
    assert!(tx.brings_account().await.unwrap());
    assert!(tx.has_assistant(LineKind::Inbound).await.unwrap());
    assert!(!tx.has_assistant(LineKind::Outbound).await.unwrap());
    drop(tx);
    let other = world.organization("verified").await;
    let mut tx = world.tx(&other).await;
    assert!(!tx.brings_account().await.unwrap() && !tx.has_assistant(LineKind::Inbound).await.unwrap());
}

#[tokio::test]
async fn whoever_lost_the_claim_is_told_so() {
    let world = World::new().await;
    let scope = world.organization("verified").await;
    let held = Duration::from_mins(1);
    let claim = world.store.claim(&scope, "setup", held, Duration::ZERO).await.unwrap().unwrap();
    assert_eq!(
        world.run().run(&scope).await.unwrap(),
        Ran::Later(at("2026-03-01T09:00:02Z")),
        "another one is at it"
    );
    assert_eq!(world.count(JOBS, &scope).await, 2, "what asked for it, and what goes on with it");
    let mut tx = world.tx(&scope).await;
    assert!(tx.extend(&claim, held).await.unwrap());
    tx.commit().await.unwrap();
    world.store.release(&scope, claim.clone()).await.unwrap();
    let mut tx = world.tx(&scope).await;
    assert!(!tx.extend(&claim, held).await.unwrap());
}

#[tokio::test]
async fn a_number_that_is_given_up_makes_way_for_the_next_that_rings_or_ends_the_line() {
    let world = World::new().await;
    let (scope, other) = (world.organization("verified").await, world.organization("verified").await);
    for scope in [&scope, &other] {
        world.start().run(scope, SetupWish::default()).await.unwrap();
        assert!(matches!(world.run().run(scope).await.unwrap(), Ran::Active(_)));
    }
    let first = world.setup(&scope).await.unwrap().phone_number.unwrap();
    let mut owner = world.owner().await;
    // The one that is given up, the next, and one that does not ring yet.
    let routed = "insert into phone_number_mapping (org_id, phone_number, vapi_phone_id, created_at)
                  select $1, number, id, now() + place * interval '1 second'
                    from (values ($2, 'n1', 0), ('+15005550017', null, 1), ('+15005550018', 'n3', 2),
                                 ('+15005550019', 'n4', 3)) as rows (number, id, place)";
    sqlx::query(routed).bind(scope.org().0).bind(first.as_str()).execute(&mut owner).await.unwrap();
    let leave = async |number: &E164| {
        let mut tx = Begin::<dyn NumbersTx>::begin(&*world.store, &scope).await.unwrap();
        tx.leave(number, at("2026-03-02T09:00:00Z")).await.unwrap();
        tx.silence(number).await.unwrap();
        tx.commit().await.unwrap();
        world.setup(&scope).await.unwrap()
    };
    let third = E164::new("+15005550018").unwrap();
    let now = leave(&first).await;
    assert_eq!((now.status, now.phone_number.as_ref()), (SetupStatus::Active, Some(&third)));
    assert_eq!(now.vapi_phone_id.as_deref(), Some("n3"));
    let fourth = E164::new("+15005550019").unwrap();
    assert_eq!(leave(&fourth).await, now, "it is not the line's number");
    let ended = leave(&third).await;
    assert_eq!((ended.status, &ended.phone_number), (SetupStatus::Inactive, &None));
    assert_eq!(ended.step(StepName::PhoneNumber).status, StepStatus::Undone);
    assert_eq!(ended.inbound, now.inbound, "assistants are kept");
    assert_eq!(world.setup(&other).await.unwrap().status, SetupStatus::Active);
    let retried = RetrySetup::new(world.store.clone(), world.clock.clone()).run(&scope, None).await;
    assert!(matches!(retried, Ok(Started::Begun(_))));
}
