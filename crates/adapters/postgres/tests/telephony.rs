//! Lines that organizations bring, on a real PostgreSQL: what is held and routed is each organization's own, and what
//! happens at the same time ends in one of the two ways.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organizations")]

use std::sync::Arc;

use voxanne_credentials::{
    Credential, CredentialSource, CredentialStatus, CredentialWriter, SecretString, Twilio,
    integrations::IntegrationsTx, testing::key_ring,
};
use voxanne_kernel::{
    Actor, Begin, Commit, E164, OrgScope, StoreError,
    ids::{CredentialId, OrgId},
};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_telephony::{Answering, HeldLine, LineTx, RouteError, Settled, Step};
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
}

fn number(last: u8) -> E164 {
    E164::new(&format!("+155512345{last:02}")).unwrap()
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        Self { db, store }
    }

    async fn organization(&self) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        sqlx::query(
            "insert into organizations (id, name, status, timezone, alert_phone)
             values ($1, 'Glow', 'verified', 'UTC', '+15005550001')",
        )
        .bind(scope.org().0)
        .execute(&mut self.db.owner().await)
        .await
        .unwrap();
        scope
    }

    async fn line(&self, scope: &OrgScope) -> Box<dyn LineTx> {
        Begin::<dyn LineTx>::begin(&*self.store, scope).await.unwrap()
    }

    /// Stores a Twilio account of `status`.
    async fn account(&self, scope: &OrgScope, status: CredentialStatus) -> CredentialId {
        let twilio = Twilio {
            account_sid: "AC1".to_owned(),
            auth_token: SecretString::from("token"),
            phone_number: Some(number(1)),
        };
        let sealed = Credential::seal(&key_ring(), scope.org(), &twilio, CredentialSource::Byoc);
        let sealed = sealed.standing(status, None);
        let mut tx: Box<TenantTx> = self.store.begin(scope).await.unwrap();
        tx.put_credential(&sealed).await.unwrap();
        tx.commit().await.unwrap();
        sealed.id
    }

    async fn standing(&self, scope: &OrgScope) -> (String, Option<String>) {
        sqlx::query_as("select status, error_code from org_credentials where org_id = $1")
            .bind(scope.org().0)
            .fetch_one(&mut self.db.owner().await)
            .await
            .unwrap()
    }

    async fn settle(&self, scope: &OrgScope, record: CredentialId, outcome: Settled) {
        let mut tx = self.line(scope).await;
        tx.settle(record, outcome).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn is_in_step(&self, scope: &OrgScope, record: CredentialId) -> bool {
        let mut tx = Begin::<dyn IntegrationsTx>::begin(&*self.store, scope).await.unwrap();
        tx.is_in_step_with(record).await.unwrap()
    }
}

#[tokio::test]
async fn what_is_held_reads_back_and_only_at_home() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let mut tx = world.line(&ours).await;
    assert_eq!(tx.held().await.unwrap(), None);
    tx.begin_holding().await.unwrap();
    tx.begin_holding().await.unwrap();
    assert_eq!(tx.held().await.unwrap(), Some(HeldLine::default()));
    tx.put_account("credential-1").await.unwrap();
    tx.put_number(&number(1), None).await.unwrap();
    tx.put_number(&number(2), Some("id-2")).await.unwrap();
    tx.put_number(&number(1), Some("id-1")).await.unwrap();
    tx.commit().await.unwrap();

    let held = world.line(&ours).await.held().await.unwrap().unwrap();
    assert_eq!(held.account.as_deref(), Some("credential-1"));
    assert_eq!((held.id_of(&number(1)), held.id_of(&number(2))), (Some("id-1"), Some("id-2")));
    assert_eq!(world.line(&theirs).await.held().await.unwrap(), None);

    let mut tx = world.line(&ours).await;
    tx.forget_number(&number(2)).await.unwrap();
    assert_eq!(tx.held().await.unwrap().unwrap().numbers.len(), 1);
    tx.forget().await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.line(&ours).await.held().await.unwrap(), None);
    let left: i64 = sqlx::query_scalar("select count(*) from twilio_line_numbers")
        .fetch_one(&mut world.db.owner().await)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_number_rings_at_one_organization_and_only_that_one_lets_it_go() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let mut tx = world.line(&ours).await;
    tx.route(&number(1), None).await.unwrap();
    tx.route(&number(1), Some("id-1")).await.unwrap();
    tx.route(&number(1), None).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = world.line(&theirs).await;
    assert!(matches!(tx.route(&number(1), Some("id-9")).await, Err(RouteError::Taken(_))));
    tx.unroute(&number(1)).await.unwrap();
    tx.route(&number(2), Some("id-2")).await.unwrap();
    tx.commit().await.unwrap();
    let routed: Vec<(uuid::Uuid, String, Option<String>)> = sqlx::query_as(
        "select org_id, phone_number, vapi_phone_id from phone_number_mapping order by phone_number",
    )
    .fetch_all(&mut world.db.owner().await)
    .await
    .unwrap();
    let expected = [
        (ours.org().0, number(1).to_string(), Some("id-1".to_owned())),
        (theirs.org().0, number(2).to_string(), Some("id-2".to_owned())),
    ];
    assert_eq!(routed, expected);
}

#[tokio::test]
async fn of_two_organizations_that_take_a_number_at_once_one_gets_it() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let take = async |scope: &OrgScope| {
        let mut tx = world.line(scope).await;
        let taken = tx.route(&number(1), None).await.is_ok();
        tx.commit().await.unwrap();
        taken
    };
    let (first, second) = futures_util::future::join(take(&ours), take(&theirs)).await;
    assert!(first ^ second);
}

#[tokio::test]
async fn removing_the_account_ends_the_routing_of_its_numbers_and_of_no_others() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    for (scope, own, bought) in [(&ours, 1, 2), (&theirs, 3, 4)] {
        let mut tx = world.line(scope).await;
        tx.begin_holding().await.unwrap();
        tx.put_number(&number(own), None).await.unwrap();
        tx.route(&number(own), Some(&format!("id-{own}"))).await.unwrap();
        tx.route(&number(bought), Some(&format!("id-{bought}"))).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = Begin::<dyn IntegrationsTx>::begin(&*world.store, &ours).await.unwrap();
    tx.stop_routing().await.unwrap();
    tx.commit().await.unwrap();
    let routed: Vec<String> =
        sqlx::query_scalar("select phone_number from phone_number_mapping order by phone_number")
            .fetch_all(&mut world.db.owner().await)
            .await
            .unwrap();
    assert_eq!(routed, [2, 3, 4].map(|last| number(last).to_string()));
}

#[tokio::test]
async fn a_line_settles_its_own_steps_and_never_what_the_carrier_said() {
    let world = World::new().await;
    let scope = world.organization().await;
    let failed = |code: &str| ("failed".to_owned(), Some(code.to_owned()));
    let mut tx = world.line(&scope).await;
    tx.begin_holding().await.unwrap();
    tx.commit().await.unwrap();

    let record = world.account(&scope, CredentialStatus::Syncing).await;
    world.settle(&scope, record, Settled::Failed(Step::Number)).await;
    assert_eq!(world.standing(&scope).await, failed("vapi_phone_number"));
    assert!(!world.is_in_step(&scope, record).await);
    world.settle(&scope, record, Settled::InStep).await;
    assert_eq!(world.standing(&scope).await, ("verified".to_owned(), None));
    assert!(world.is_in_step(&scope, record).await);
    world.settle(&scope, record, Settled::Failed(Step::Routing)).await;
    assert_eq!(world.standing(&scope).await, failed("routing"));

    let mut tx: Box<TenantTx> = world.store.begin(&scope).await.unwrap();
    let (provider, status) = (voxanne_credentials::CredentialProvider::Twilio, CredentialStatus::Failed);
    tx.put_status(provider, status, None, Some("credentials_rejected")).await.unwrap();
    tx.commit().await.unwrap();
    for outcome in [Settled::InStep, Settled::Failed(Step::Account)] {
        world.settle(&scope, record, outcome).await;
        assert_eq!(world.standing(&scope).await, failed("credentials_rejected"));
    }
    // Nor what is said of an account that replaced it.
    let newer = world.account(&scope, CredentialStatus::Syncing).await;
    world.settle(&scope, record, Settled::Failed(Step::Account)).await;
    assert_eq!(world.standing(&scope).await, ("syncing".to_owned(), None));
    assert!(!world.is_in_step(&scope, newer).await);
}

#[tokio::test]
async fn only_the_stored_own_account_is_current_and_it_stays_so_until_the_end() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let record = world.account(&ours, CredentialStatus::Verified).await;
    assert!(!world.line(&theirs).await.is_current(record).await.unwrap());
    let mut tx = world.line(&ours).await;
    assert!(!tx.is_current(CredentialId::generate()).await.unwrap());
    assert!(tx.is_current(record).await.unwrap());

    let store = world.store.clone();
    let removal = tokio::spawn(async move {
        let mut tx: Box<TenantTx> = store.begin(&ours).await?;
        tx.remove_credential(voxanne_credentials::CredentialProvider::Twilio).await?;
        tx.commit().await
    });
    tx.route(&number(1), None).await.unwrap();
    assert!(!removal.is_finished());
    tx.commit().await.unwrap();
    removal.await.unwrap().unwrap();
    assert!(!world.line(&ours).await.is_current(record).await.unwrap());
}

#[tokio::test]
async fn setup_expects_a_number_exactly_while_an_own_account_is_syncing() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let expects = async |scope: &OrgScope| {
        let mut tx = Begin::<dyn voxanne_provisioning::LineTx>::begin(&*world.store, scope).await.unwrap();
        tx.expects_a_number().await.unwrap()
    };
    assert!(!expects(&ours).await);
    for (status, expected) in [
        (CredentialStatus::Unverified, false),
        (CredentialStatus::Syncing, true),
        (CredentialStatus::Verified, false),
        (CredentialStatus::Failed, false),
    ] {
        world.account(&ours, status).await;
        assert_eq!(expects(&ours).await, expected, "{status}");
        assert!(!expects(&theirs).await);
    }
}

#[tokio::test]
async fn who_answers_follows_the_organizations_settings() {
    let world = World::new().await;
    let scope = world.organization().await;
    let custom = async || -> Result<_, StoreError> { world.line(&scope).await.custom().await };
    let found = custom().await.unwrap().unwrap();
    assert_eq!((found.answering, found.fallback), (Answering::Nobody, E164::new("+15005550001").ok()));

    let mut owner = world.db.owner().await;
    for (statement, expected) in [
        (
            "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
             values (gen_random_uuid(), $1, 'inbound', 'a-1', 'Glow', 'Be kind.', 'Clara')",
            Answering::Assistant("a-1".to_owned()),
        ),
        ("update organizations set answer_mode = 'dynamic' where id = $1", Answering::Nobody),
        (
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, metadata)
             values (gen_random_uuid(), $1, 'vapi_webhook', 'system', '', 'k',
                     '{\"provider_credential_id\": \"c-1\"}')",
            Answering::Us { credential: "c-1".to_owned() },
        ),
    ] {
        sqlx::query(statement).bind(scope.org().0).execute(&mut owner).await.unwrap();
        assert_eq!(custom().await.unwrap().unwrap().answering, expected, "{statement}");
    }
    let nobody = OrgScope::vouch(OrgId::generate(), Actor::System);
    assert!(world.line(&nobody).await.custom().await.unwrap().is_none());
}
