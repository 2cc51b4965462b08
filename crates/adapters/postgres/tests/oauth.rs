//! Connections on a real PostgreSQL: what happens at the same time, and across organizations.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "a test vouches for its own organization")]

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sqlx::AssertSqlSafe;
use voxanne_credentials::{
    ExposeSecret, KeyRing, Vault,
    oauth::{
        AccessTokenOf, Calendar, Callback, ConnectionDirectory, Disconnect, DueConnection, FinishConnection,
        FinishError, OAuthProviders, RefreshDue, ReturnPath, StartConnection, StartError,
        testing::{Goes, MemoryProvider},
    },
    testing::key_ring,
};
use voxanne_kernel::{
    Actor, Clock, ManualClock, OrgScope,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings, retention::forget_expired};
use voxanne_testkit::TestDb;

const GOOGLE: Calendar = Calendar::Google;

struct World {
    db: TestDb,
    store: Arc<PgStore>,
    google: MemoryProvider,
    clock: Arc<ManualClock>,
    start: StartConnection,
    finish: FinishConnection,
    disconnect: Disconnect,
    access: AccessTokenOf,
}

/// A person of an organization.
#[derive(Clone, Copy)]
struct Person {
    org: OrgId,
    user: UserId,
    scope: OrgScope,
}

/// One process's part: its own connections and its own memory.
struct Replica {
    store: Arc<PgStore>,
    keys: Arc<KeyRing>,
    vault: Vault,
}

impl Replica {
    fn new(db: &TestDb) -> Self {
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        let keys = Arc::new(key_ring());
        let vault = Vault::new(store.clone(), keys.clone());
        Self { store, keys, vault }
    }

    fn access(&self, google: &MemoryProvider, clock: &Arc<ManualClock>) -> AccessTokenOf {
        let (store, keys, vault) = (self.store.clone(), self.keys.clone(), self.vault.clone());
        AccessTokenOf::new(store, keys, vault, providers(google), clock.clone())
    }
}

fn providers(google: &MemoryProvider) -> OAuthProviders {
    OAuthProviders { google: Some(Arc::new(google.clone())), outlook: None }
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let google = MemoryProvider::default();
        let clock = Arc::new(ManualClock::at("2026-11-20T10:00:00Z".parse::<Timestamp>().unwrap()));
        let replica = Replica::new(&db);
        let access = replica.access(&google, &clock);
        let Replica { store, keys, vault } = replica;
        let url = || "https://api.example".to_owned();
        Self {
            start: StartConnection::new(
                store.clone(),
                keys.clone(),
                providers(&google),
                url(),
                clock.clone(),
            ),
            finish: FinishConnection::new(
                store.clone(),
                keys.clone(),
                vault.clone(),
                providers(&google),
                url(),
                clock.clone(),
            ),
            disconnect: Disconnect::new(store.clone(), keys, vault, providers(&google)),
            access,
            db,
            store,
            google,
            clock,
        }
    }

    async fn sql(&self, statement: &str) {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.db.owner().await).await.unwrap();
    }

    async fn count(&self, what: &str) -> i64 {
        let query = format!("select count(*) from {what}");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut self.db.owner().await).await.unwrap()
    }

    async fn person(&self, role: &str) -> Person {
        let (org, user) = (OrgId::generate(), UserId::generate());
        self.sql(&format!(
            "insert into organizations (id, name, status, timezone) values ('{org}', 'Glow', 'verified', 'UTC');
             insert into users (id, email) values ('{user}', '{user}@clinic.example');
             insert into profiles (org_id, user_id, role) values ('{org}', '{user}', '{role}');"
        ))
        .await;
        Person { org, user, scope: OrgScope::vouch(org, Actor::User(user)) }
    }

    async fn leave(&self, person: &Person) -> String {
        self.start.run(&person.scope, GOOGLE, ReturnPath::default()).await.unwrap();
        self.google.page().unwrap().0
    }

    async fn connected(&self) -> Person {
        let person = self.person("owner").await;
        let state = self.leave(&person).await;
        let pending = self.finish.take(GOOGLE, Some(&state)).await.unwrap();
        let callback = Callback { code: Some("code".to_owned().into()), error: None };
        self.finish.run(&person.scope, pending, callback).await.unwrap();
        person
    }

    fn due(&self) -> RefreshDue {
        RefreshDue::new(self.store.clone(), self.access.clone())
    }
}

#[tokio::test]
async fn of_many_who_bring_one_state_one_gets_it() {
    let world = Arc::new(World::new().await);
    let person = world.person("admin").await;
    let state = world.leave(&person).await;
    let wrong = world.finish.take(Calendar::Outlook, Some(&state)).await;
    assert!(matches!(wrong, Err(FinishError::StateInvalid)));
    let takers: Vec<_> = (0..12)
        .map(|_| {
            let (world, state) = (world.clone(), state.clone());
            tokio::spawn(async move { world.finish.take(GOOGLE, Some(&state)).await })
        })
        .collect();
    let mut taken = Vec::new();
    for taker in takers {
        match taker.await.unwrap() {
            Ok(pending) => taken.push((pending.org(), pending.user())),
            Err(error) => assert!(matches!(error, FinishError::StateInvalid), "{error:?}"),
        }
    }
    assert_eq!(taken, [(person.org, person.user)]);
    assert_eq!(world.count("oauth_states").await, 0);
}

#[tokio::test]
async fn only_owners_and_admins_leave_and_who_is_removed_cannot_come_back() {
    let world = World::new().await;
    let member = world.person("member").await;
    let refused = world.start.run(&member.scope, GOOGLE, ReturnPath::default()).await;
    assert!(matches!(refused, Err(StartError::NotAllowed)));
    let admin = world.person("admin").await;
    let state = world.leave(&admin).await;
    world.sql(&format!("delete from profiles where user_id = '{}'", admin.user)).await;
    assert!(matches!(world.finish.take(GOOGLE, Some(&state)).await, Err(FinishError::StateInvalid)));
}

#[tokio::test]
async fn neither_state_nor_proof_nor_token_is_readable_where_it_is_kept() {
    let world = World::new().await;
    let person = world.person("owner").await;
    let state = world.leave(&person).await;
    let mut owner = world.db.owner().await;
    let row: String = sqlx::query_scalar("select to_jsonb(s)::text from oauth_states s")
        .fetch_one(&mut owner)
        .await
        .unwrap();
    assert!(!row.contains(&state));
    let pending = world.finish.take(GOOGLE, Some(&state)).await.unwrap();
    let callback = Callback { code: Some("code".to_owned().into()), error: None };
    world.finish.run(&person.scope, pending, callback).await.unwrap();
    for table in ["org_credentials", "oauth_connections", "audit_events"] {
        let query = format!("select coalesce(string_agg(to_jsonb(t)::text, ''), '') from {table} t");
        let rows: String = sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&mut owner).await.unwrap();
        assert!(!rows.contains("access-1") && !rows.contains("refresh-1"), "{table}");
    }
}

#[tokio::test]
async fn however_many_ask_on_however_many_replicas_one_refreshes() {
    let world = World::new().await;
    let person = world.connected().await;
    world.google.rotate();
    world.clock.advance(SignedDuration::from_hours(1));
    let replicas: Vec<_> = (0..3).map(|_| Replica::new(&world.db)).collect();
    let mut asking = Vec::new();
    for replica in &replicas {
        let access = replica.access(&world.google, &world.clock);
        for _ in 0..10 {
            let access = access.clone();
            asking.push(tokio::spawn(async move { access.run(&person.scope, GOOGLE).await.unwrap().secret }));
        }
    }
    for token in asking {
        assert_eq!(token.await.unwrap().expose_secret(), "access-2");
    }
    assert_eq!(world.google.refreshed(), ["refresh-1"]);
    world.clock.advance(SignedDuration::from_hours(1));
    world.access.run(&person.scope, GOOGLE).await.unwrap();
    assert_eq!(
        world.google.refreshed(),
        ["refresh-1", "refresh-2"],
        "what was given instead is what was kept"
    );
}

#[tokio::test]
async fn a_grant_that_is_gone_is_noted_once_for_the_organization_to_see() {
    let world = World::new().await;
    let person = world.connected().await;
    world.clock.advance(SignedDuration::from_hours(1));
    world.google.next_goes(Goes::Dead);
    assert_eq!(world.access.run(&person.scope, GOOGLE).await.unwrap_err().code(), "reconnect_required");
    assert_eq!(world.access.run(&person.scope, GOOGLE).await.unwrap_err().code(), "reconnect_required");
    assert_eq!(world.google.refreshed().len(), 1);
    let gone = "org_credentials where status = 'reconnect_required' and error_code = 'reconnect_required'";
    assert_eq!(world.count(gone).await, 1);
    assert_eq!(world.count("activity_events where kind = 'integration_needs_reconnect'").await, 1);
    assert_eq!(world.count("audit_events where action = 'credential.reconnect_required'").await, 1);
    let told = format!("platform_mails where kind = 'calendar_disconnected' and user_id = '{}'", person.user);
    assert_eq!(world.count(&told).await, 1);
    assert!(world.due().due(world.clock.now()).await.unwrap().is_empty());
    assert!(!world.store.is_connected(GOOGLE, "ann").await.unwrap());
}

#[tokio::test]
async fn what_is_due_is_found_across_organizations_the_most_urgent_first() {
    let world = World::new().await;
    let first = world.connected().await;
    world.clock.advance(SignedDuration::from_mins(1));
    let second = world.connected().await;
    let due = async || world.due().due(world.clock.now()).await.unwrap();
    assert!(due().await.is_empty());
    world.clock.advance(SignedDuration::from_mins(50));
    let of = |person: Person| DueConnection { org: person.org, calendar: GOOGLE };
    assert_eq!(due().await, [of(first), of(second)]);

    world.due().enqueue(&first.scope, GOOGLE, None).await.unwrap();
    assert_eq!(world.count("outbox where task = 'refresh_token' and key is not null").await, 1);
    world.due().refresh(&first.scope, GOOGLE, world.clock.now()).await.unwrap();
    assert_eq!(due().await, [of(second)]);
    // One whose token lasts, and that nobody has used for weeks.
    world
        .sql("update oauth_connections set access_expires_at = 'infinity', refreshed_at = '2026-10-01'")
        .await;
    assert_eq!(due().await.len(), 2);
}

#[tokio::test]
async fn a_connection_goes_with_its_credential_and_the_grant_with_the_last_connection() {
    let world = World::new().await;
    let (ours, theirs) = (world.connected().await, world.connected().await);
    assert!(world.disconnect.run(&ours.scope, GOOGLE).await.unwrap());
    assert!(!world.disconnect.run(&ours.scope, GOOGLE).await.unwrap());
    assert_eq!(world.count("oauth_connections").await, 1);
    assert!(world.google.revoked().is_empty());
    assert!(world.disconnect.run(&theirs.scope, GOOGLE).await.unwrap());
    assert_eq!(world.count("oauth_connections").await, 0);
    assert_eq!(world.google.revoked(), ["refresh-2"]);
}

#[tokio::test]
async fn states_that_never_came_back_are_forgotten() {
    let world = World::new().await;
    let person = world.person("owner").await;
    world.leave(&person).await;
    world.clock.advance(SignedDuration::from_mins(65));
    forget_expired(&world.store, world.clock.now()).await.unwrap();
    assert_eq!(world.count("oauth_states").await, 1, "an hour after it expired");
    world.clock.advance(SignedDuration::from_mins(10));
    forget_expired(&world.store, world.clock.now()).await.unwrap();
    assert_eq!(world.count("oauth_states").await, 0);
}
