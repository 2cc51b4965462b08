//! Which accounts an organization sends through: those that were entered, and those that a credential makes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]

use std::sync::Arc;

use uuid::Uuid;
use voxanne_kernel::{Actor, Begin, Clock, ManualClock, OrgScope, SystemClock, ids::OrgId};
use voxanne_messaging::{
    accounts_book::{BookTx, Entry},
    channel::{Channel, Provider},
    providers::Whose,
    send::{SendTx, testing::Carriages},
    stats::ShowMessages,
};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_testkit::TestDb;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    scope: OrgScope,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        let world = Self { db, store, scope };
        world
            .sql(&format!(
                "insert into organizations (id, name, timezone, status)
                 values ('{}', 'Clinique', 'Europe/Paris', 'verified')",
                scope.org()
            ))
            .await;
        world
    }

    async fn sql(&self, sql: &str) {
        let mut db = self.db.owner().await;
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut db).await.unwrap();
    }

    /// What connecting an integration stores.
    async fn connected(&self, provider: Provider, source: &str, metadata: &str) {
        self.sql(&format!(
            "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status, metadata)
             values ('{}', '{}', '{provider}', '{source}', '\\x00', 'k', 'verified', '{metadata}')
             on conflict (org_id, provider) do update set id = excluded.id, status = 'verified', error_code = null",
            Uuid::now_v7(),
            self.scope.org()
        ))
        .await;
    }

    async fn status(&self, provider: Provider, status: &str, code: &str) {
        self.sql(&format!(
            "update org_credentials set status = '{status}', error_code = nullif('{code}', '')
              where provider = '{provider}'"
        ))
        .await;
    }

    async fn book(&self) -> Box<dyn BookTx> {
        self.store.begin(&self.scope).await.unwrap()
    }

    async fn entries(&self, channel: Channel) -> Vec<Entry> {
        self.book().await.entries(channel).await.unwrap()
    }

    /// Who is asked for messages.
    async fn asked(&self, channel: Channel) -> Vec<Provider> {
        let mut tx: Box<dyn SendTx> = self.store.begin(&self.scope).await.unwrap();
        let own = tx.switchboard(channel).await.unwrap().own;
        own.into_iter().filter(|one| one.is_asked).map(|one| one.provider).collect()
    }

    async fn remove(&self, entry: &Entry) {
        let mut tx = self.book().await;
        tx.remove_entry(entry).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn add(&self, entry: &Entry) -> bool {
        let mut tx = self.book().await;
        let is_new = tx.add_entry(entry).await.unwrap();
        tx.commit().await.unwrap();
        is_new
    }
}

const NUMBER: &str = r#"{"phoneNumber": "+15005550006"}"#;

#[tokio::test]
async fn a_removed_account_is_none_although_its_credential_stays() {
    let world = World::new().await;
    world.connected(Provider::Twilio, "byoc", NUMBER).await;
    let entry = &world.entries(Channel::Sms).await[0];
    assert_eq!(world.asked(Channel::Sms).await, [Provider::Twilio]);
    for is_entered in [false, true] {
        if is_entered {
            assert!(world.add(entry).await);
        }
        world.remove(entry).await;
        assert_eq!((world.entries(Channel::Sms).await, world.asked(Channel::Sms).await), (vec![], vec![]));
        assert!(world.book().await.entry_for_update(entry.id).await.unwrap().is_none());
        // Another token for the same account does not bring it back.
        world.connected(Provider::Twilio, "byoc", NUMBER).await;
        assert!(world.asked(Channel::Sms).await.is_empty());
    }
    assert!(world.add(entry).await);
    assert!(!world.add(entry).await, "there is one");
    assert_eq!(world.asked(Channel::Sms).await, [Provider::Twilio]);
    // Whoever disconnects and connects again has an account again.
    world.remove(entry).await;
    world.sql("delete from org_credentials").await;
    world.connected(Provider::Twilio, "byoc", NUMBER).await;
    assert_eq!(world.asked(Channel::Sms).await, [Provider::Twilio]);
}

#[tokio::test]
async fn a_line_that_does_not_ring_says_nothing_of_texts() {
    let world = World::new().await;
    world.connected(Provider::Twilio, "byoc", NUMBER).await;
    for (status, code, is_asked) in [
        ("failed", "vapi_phone_number", true),
        ("failed", "routing", true),
        ("failed", "vapi_credential", true),
        ("syncing", "", true),
        ("failed", "credentials_rejected", false),
        ("failed", "number_not_in_account", false),
        ("failed", "", false),
    ] {
        world.status(Provider::Twilio, status, code).await;
        assert_eq!(!world.asked(Channel::Sms).await.is_empty(), is_asked, "{status} {code}");
    }
}

#[tokio::test]
async fn a_connected_credential_is_an_account_that_can_be_changed() {
    let world = World::new().await;
    world.connected(Provider::Resend, "byoc", r#"{"fromEmail": "hello@clinic.example"}"#).await;
    let [entry] = &world.entries(Channel::Email).await[..] else { panic!() };
    assert_eq!((entry.from.as_str(), entry.active, entry.priority), ("hello@clinic.example", true, 100));
    // Its id stays, also when its secret changes.
    world.connected(Provider::Resend, "byoc", "{}").await;
    assert_eq!(world.entries(Channel::Email).await[0].id, entry.id);
    assert!(world.book().await.entry_of(Channel::Email, Provider::Resend).await.unwrap().is_none());
    let mut tx = world.book().await;
    let known = tx.entry_for_update(entry.id).await.unwrap().unwrap();
    tx.save_entry(&Entry { priority: 3, active: false, ..known }).await.unwrap();
    tx.commit().await.unwrap();
    let [changed] = &world.entries(Channel::Email).await[..] else { panic!() };
    assert_eq!((changed.id, changed.priority, changed.active), (entry.id, 3, false));
    assert!(world.asked(Channel::Email).await.is_empty());
}

#[tokio::test]
async fn what_we_opened_for_an_organization_sends_and_is_not_its_own_to_change() {
    let world = World::new().await;
    world.connected(Provider::Twilio, "managed", "{}").await;
    assert!(world.asked(Channel::Sms).await.is_empty(), "it has no number");
    world
        .sql(&format!(
            "insert into managed_phone_numbers (org_id, id, phone_number, status, tag, wanted_country,
                    twilio_account_sid, twilio_number_sid, vapi_phone_id, asked_at)
             values ('{}', '{}', '+15005550006', 'active', 't', 'US', 'AC1', 'PN1', 'v1', now())",
            world.scope.org(),
            Uuid::now_v7()
        ))
        .await;
    assert_eq!(world.asked(Channel::Sms).await, [Provider::Twilio]);
    assert!(world.entries(Channel::Sms).await.is_empty());
}

#[tokio::test]
async fn health_tells_of_every_account_there_is() {
    let world = World::new().await;
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let show = ShowMessages::new(world.store.clone(), clock);
    let mut accounts = Carriages::default();
    accounts.accounts.insert((true, Provider::Twilio), voxanne_messaging::send::testing::Carriage::default());
    world.connected(Provider::Termii, "byoc", "{}").await;
    world.connected(Provider::Resend, "byoc", "{}").await;
    world.status(Provider::Resend, "failed", "credentials_rejected").await;
    let health = show.health(&world.scope, &accounts).await.unwrap();
    let mut told: Vec<_> = health
        .iter()
        .map(|one| (one.provider.as_str(), one.whose, one.is_shut, one.last_code.as_deref()))
        .collect();
    told.sort_by_key(|one| one.0);
    assert_eq!(
        told,
        [
            ("resend", Whose::Organization, true, Some("credentials_rejected")),
            ("termii", Whose::Organization, false, None),
            // For texts, and for WhatsApp.
            ("twilio", Whose::Platform, false, None),
            ("twilio", Whose::Platform, false, None),
        ]
    );
}
