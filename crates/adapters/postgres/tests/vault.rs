//! The vault on a real PostgreSQL: what only a database can show, above all that replicas hear of each other's changes
//! and that re-encryption disturbs nobody.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Executor, PgConnection, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
    task::{JoinHandle, yield_now},
};
use uuid::Uuid;
use voxanne_credentials::{
    AssistantOwners, CountByKey, Credential, CredentialProvider, CredentialReader, CredentialSource,
    CredentialStatus, CredentialWriter, ExposeSecret, KeyRing, ProviderSecret, Resend, ResolveError,
    Resolver, RotateKeys, RotationReport, Sender, Twilio, Unreadable, Vault,
};
use voxanne_kernel::{Actor, Begin, Commit, EmailAddress, OrgScope, StoreError, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_testkit::{LOGIN, TestDb};

const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

fn ring(text: &str) -> Arc<KeyRing> {
    Arc::new(KeyRing::parse(text).unwrap())
}

fn both() -> Arc<KeyRing> {
    ring(&format!("{NEW},{OLD}"))
}

fn twilio(token: &str) -> Twilio {
    Twilio { account_sid: "AC1".to_owned(), auth_token: token.into(), phone_number: None }
}

fn resend() -> Resend {
    let email = EmailAddress::new("desk@glow.example").unwrap();
    Resend { api_key: "re_1".into(), from: Sender { email, name: None }, webhook_secret: None }
}

struct World {
    db: TestDb,
    store: Arc<PgStore>,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = replica(&db);
        Self { db, store }
    }

    async fn organizations(&self, count: usize) -> Vec<OrgScope> {
        let orgs: Vec<Uuid> = (0..count).map(|_| OrgId::generate().0).collect();
        sqlx::query(
            "insert into organizations (id, name, status, timezone)
             select unnest($1::uuid[]), 'Glow', 'verified', 'Europe/Paris'",
        )
        .bind(&orgs)
        .execute(&mut self.db.owner().await)
        .await
        .unwrap();
        orgs.into_iter().map(|org| OrgScope::vouch(OrgId(org), Actor::System)).collect()
    }

    async fn organization(&self) -> OrgScope {
        self.organizations(1).await.remove(0)
    }

    async fn tenant(&self, scope: &OrgScope) -> Box<TenantTx> {
        Begin::<TenantTx>::begin(&*self.store, scope).await.unwrap()
    }

    async fn put<C: ProviderSecret>(&self, scope: &OrgScope, secret: &C, keys: &KeyRing) -> Credential {
        let credential = Credential::seal(keys, scope.org(), secret, CredentialSource::Byoc);
        let mut tx = self.tenant(scope).await;
        tx.put_credential(&credential).await.unwrap();
        tx.commit().await.unwrap();
        credential
    }

    /// Organizations that each have a token equal to their id.
    async fn with_tokens(&self, count: usize, keys: &KeyRing) -> Vec<OrgScope> {
        let scopes = self.organizations(count).await;
        for scope in &scopes {
            self.put(scope, &twilio(&scope.org().to_string()), keys).await;
        }
        scopes
    }

    fn rotation(&self) -> RotateKeys {
        RotateKeys::new(self.store.clone(), both())
    }

    async fn execute(&self, statement: &'static str) -> u64 {
        self.db.owner().await.execute(statement).await.unwrap().rows_affected()
    }
}

/// A store of its own on the same database, as another process has it.
fn replica(db: &TestDb) -> Arc<PgStore> {
    Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap())
}

async fn token(vault: &Vault, scope: &OrgScope) -> String {
    vault.twilio(scope).await.unwrap().auth_token.expose_secret().to_owned()
}

async fn store_token(vault: &Vault, scope: &OrgScope, token: &str) {
    let (source, status) = (CredentialSource::Byoc, CredentialStatus::Unverified);
    vault.store(scope, &twilio(token), source, status, None).await.unwrap();
}

#[tokio::test]
async fn a_slot_is_filled_listed_noted_and_emptied() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let at = "2026-03-01T09:00:00Z".parse().unwrap();
    world.put(&ours, &twilio("one"), &both()).await;
    let mail = world.put(&ours, &resend(), &both()).await;
    world.put(&theirs, &twilio("theirs"), &both()).await;

    let mut tx = world.tenant(&ours).await;
    let mut listed = tx.credentials().await.unwrap();
    listed.sort_by_key(|credential| credential.provider);
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1], mail);

    let provider = CredentialProvider::Resend;
    assert!(tx.put_status(provider, CredentialStatus::Verified, Some(at), None).await.unwrap());
    assert!(
        tx.put_status(provider, CredentialStatus::Failed, None, Some("credentials_rejected")).await.unwrap()
    );
    let noted = tx.credential(provider).await.unwrap().unwrap();
    let expected = Credential {
        status: CredentialStatus::Failed,
        last_verified: Some(at),
        error_code: Some("credentials_rejected".to_owned()),
        ..mail
    };
    assert_eq!(noted, expected, "the sealed part is as it was, and so is the last time it was accepted");
    assert!(!tx.put_status(CredentialProvider::Smtp, CredentialStatus::Failed, None, None).await.unwrap());

    assert!(tx.remove_credential(CredentialProvider::Twilio).await.unwrap());
    assert!(!tx.remove_credential(CredentialProvider::Twilio).await.unwrap());
    tx.commit().await.unwrap();
    assert!(world.tenant(&theirs).await.credential(CredentialProvider::Twilio).await.unwrap().is_some());
}

#[tokio::test]
async fn a_ciphertext_opens_only_where_it_was_sealed() {
    let world = World::new().await;
    let resolver = Resolver::new(world.store.clone(), both());
    let moves = [
        ("another record", "update org_credentials set id = gen_random_uuid() where provider = 'twilio'"),
        ("another provider", "update org_credentials set provider = 'resend' where provider = 'twilio'"),
        (
            "another organization, id and all",
            "update org_credentials c set org_id = o.id from organizations o
              where c.provider = 'twilio' and o.id <> c.org_id",
        ),
    ];
    for (place, statement) in moves {
        world.execute("delete from org_credentials").await;
        world.execute("delete from organizations").await;
        let (home, elsewhere) = (world.organization().await, world.organization().await);
        world.put(&home, &twilio("secret"), &both()).await;
        assert!(resolver.open::<Twilio>(&home).await.unwrap().is_some());
        assert_eq!(world.execute(statement).await, 1);
        let opened = match place {
            "another provider" => resolver.open::<Resend>(&home).await.err(),
            "another record" => resolver.open::<Twilio>(&home).await.err(),
            _ => resolver.open::<Twilio>(&elsewhere).await.err(),
        };
        assert!(
            matches!(opened, Some(ResolveError::Unreadable(Unreadable::Refused(_)))),
            "{place}: {opened:?}"
        );
    }
    assert_eq!(resolver.unreadable(), 3);
}

#[tokio::test]
async fn an_assistants_organization_is_found() {
    let world = World::new().await;
    let scope = world.organization().await;
    sqlx::query(
        "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
         values (gen_random_uuid(), $1, 'inbound', 'a1', 'Glow', 'You answer.', 'Clara')",
    )
    .bind(scope.org().0)
    .execute(&mut world.db.owner().await)
    .await
    .unwrap();
    assert_eq!(world.store.org_of_assistant("a1").await.unwrap(), Some(scope.org()));
    assert_eq!(world.store.org_of_assistant("a2").await.unwrap(), None);
}

#[tokio::test]
async fn whoever_rotates_may_change_nothing_but_how_records_are_sealed() {
    let world = World::new().await;
    world.with_tokens(1, &both()).await;
    let mut service: PgConnection = world.db.app().await;
    service.execute("set role voxanne_service").await.unwrap();
    for (statement, allowed) in [
        ("select id, org_id, provider, sealed, key_id from org_credentials", true),
        ("update org_credentials set sealed = sealed, key_id = key_id", true),
        ("select error_code from org_credentials", false),
        ("update org_credentials set status = 'verified'", false),
        ("update org_credentials set org_id = org_id", false),
        ("delete from org_credentials", false),
        ("insert into org_credentials (sealed, key_id) values ('', '')", false),
    ] {
        let outcome = service.execute(statement).await;
        assert_eq!(outcome.is_ok_and(|done| done.rows_affected() == 1), allowed, "{statement}");
    }
}

/// Reads one organization's token after the other until told to stop; returns how many reads there were.
fn read_all_the_time(world: &World, scopes: &[OrgScope], stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    let (resolver, scopes) = (Resolver::new(world.store.clone(), both()), scopes.to_vec());
    tokio::spawn(async move {
        let mut reads = 0;
        for scope in scopes.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let read: Twilio = resolver.open(scope).await.unwrap().unwrap();
            assert_eq!(read.auth_token.expose_secret(), scope.org().to_string());
            reads += 1;
        }
        reads
    })
}

/// Rotates in a task of its own; the number says how many records it has settled.
fn rotate_aside(world: &World) -> (JoinHandle<Result<RotationReport, StoreError>>, Arc<AtomicU64>) {
    let (rotation, settled) = (world.rotation(), Arc::new(AtomicU64::new(0)));
    let seen = settled.clone();
    let count = move |count| {
        seen.fetch_add(count, Ordering::SeqCst);
    };
    (tokio::spawn(async move { rotation.run(count).await }), settled)
}

#[tokio::test(flavor = "multi_thread")]
async fn rotating_while_everything_is_read_and_killed_half_way_loses_nothing() {
    let world = World::new().await;
    let scopes = world.with_tokens(500, &ring(OLD)).await;
    let updated = "select md5(string_agg(updated_at::text, ',' order by id)) from org_credentials";
    let before: String = sqlx::query_scalar(updated).fetch_one(&mut world.db.owner().await).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..3).map(|_| read_all_the_time(&world, &scopes, stop.clone())).collect();

    let (killed, settled) = rotate_aside(&world);
    while settled.load(Ordering::SeqCst) == 0 {
        yield_now().await;
    }
    killed.abort();
    assert!(killed.await.is_err(), "it was killed before its end");
    let done = 500 - world.rotation().outstanding().await.unwrap();
    assert!(done > 0 && done < 500 && done.is_multiple_of(100), "whole batches only: {done}");

    // A batch whose commit was on its way when its task was killed may have arrived since: it is left as it is.
    let report = world.rotation().run(|_| {}).await.unwrap();
    assert!(report.is_complete() && report.rotated <= 500 - done, "{} after {done}", report.rotated);
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    let after: String = sqlx::query_scalar(updated).fetch_one(&mut world.db.owner().await).await.unwrap();
    assert_eq!(after, before, "to people nothing has changed");
    let uses = CountByKey::new(world.store.clone(), both()).run().await.unwrap();
    assert_eq!(
        uses.iter().map(|key| (key.key_id.as_str(), key.records)).collect::<Vec<_>>(),
        [("new", 500), ("old", 0)]
    );
    let new_only = Resolver::new(world.store.clone(), ring(NEW));
    for scope in scopes.iter().step_by(50) {
        assert!(new_only.open::<Twilio>(scope).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_record_that_is_being_changed_is_waited_for_and_the_change_is_kept() {
    let world = World::new().await;
    let scopes = world.with_tokens(3, &ring(OLD)).await;
    let mut changing = world.tenant(&scopes[1]).await;
    changing.credential_to_change(CredentialProvider::Twilio).await.unwrap().unwrap();

    let (rotating, settled) = rotate_aside(&world);
    while settled.load(Ordering::SeqCst) < 2 {
        yield_now().await;
    }
    let changed = Credential::seal(&ring(OLD), scopes[1].org(), &twilio("changed"), CredentialSource::Byoc);
    changing.put_credential(&changed).await.unwrap();
    changing.commit().await.unwrap();
    let report = rotating.await.unwrap().unwrap();
    assert!(report.stuck.is_empty());
    assert!(world.rotation().run(|_| {}).await.unwrap().is_complete());
    let read: Twilio = Resolver::new(world.store.clone(), ring(NEW)).open(&scopes[1]).await.unwrap().unwrap();
    assert_eq!(read.auth_token.expose_secret(), "changed");
}

#[tokio::test]
async fn what_cannot_be_read_is_named_and_left_as_it_is() {
    let world = World::new().await;
    let scopes = world.with_tokens(2, &ring(OLD)).await;
    let gone = world.organization().await;
    let unreadable =
        world.put(&gone, &twilio("x"), &ring("gone:AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=")).await;
    let strange = world.organization().await;
    world.put(&strange, &twilio("x"), &ring(OLD)).await;
    sqlx::query("update org_credentials set provider = 'from_the_future' where org_id = $1")
        .bind(strange.org().0)
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();

    let report: RotationReport = world.rotation().run(|_| {}).await.unwrap();
    assert_eq!((report.rotated, report.remaining), (2, 0));
    let mut named: Vec<_> =
        report.stuck.iter().map(|s| (s.org, s.provider.as_str(), s.key_id.as_str())).collect();
    named.sort();
    let mut expected = [(gone.org(), "twilio", "gone"), (strange.org(), "from_the_future", "old")];
    expected.sort();
    assert_eq!(named, expected);
    let kept = world.tenant(&gone).await.credential(CredentialProvider::Twilio).await.unwrap();
    assert_eq!(kept, Some(unreadable));
    assert!(
        Resolver::new(world.store.clone(), ring(NEW)).open::<Twilio>(&scopes[0]).await.unwrap().is_some()
    );
}

/// A vault with a store of its own that hears of changes.
async fn listening(world: &World) -> (Vault, JoinHandle<()>) {
    let store = replica(&world.db);
    let vault = Vault::new(store.clone(), both());
    let heard = vault.clone();
    let task = tokio::spawn(async move { match store.follow_credentials(&heard).await {} });
    until(&vault, true).await;
    (vault, task)
}

async fn until(vault: &Vault, hears: bool) {
    while vault.hears_of_changes() != hears {
        yield_now().await;
    }
}

/// Reads until the token is `expected`, and tells how long that took.
async fn seen(vault: &Vault, scope: &OrgScope, expected: &str) -> Duration {
    let began = Instant::now();
    while token(vault, scope).await != expected {
        assert!(began.elapsed() < Duration::from_secs(10), "the change was not seen");
        yield_now().await;
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_seen_on_another_replica_within_a_second_whoever_made_it() {
    let world = World::new().await;
    let (scope, other) = (world.organization().await, world.organization().await);
    let writer = Vault::new(world.store.clone(), both());
    let (reader, _task) = listening(&world).await;
    store_token(&writer, &scope, "one").await;
    store_token(&writer, &other, "other").await;
    assert!(seen(&reader, &scope, "one").await < Duration::from_secs(1));
    token(&reader, &other).await;

    store_token(&writer, &scope, "two").await;
    assert!(seen(&reader, &scope, "two").await < Duration::from_secs(1));

    let by_hand = Credential::seal(&both(), scope.org(), &twilio("by hand"), CredentialSource::Byoc);
    sqlx::query("update org_credentials set id = $2, sealed = $3 where org_id = $1")
        .bind(scope.org().0)
        .bind(by_hand.id.0)
        .bind(&by_hand.sealed.bytes)
        .execute(&mut world.db.owner().await)
        .await
        .unwrap();
    assert!(seen(&reader, &scope, "by hand").await < Duration::from_secs(1));

    assert!(writer.remove(&scope, CredentialProvider::Twilio).await.unwrap());
    let began = Instant::now();
    while reader.get::<Twilio>(&scope).await.unwrap().is_some() {
        yield_now().await;
    }
    assert!(began.elapsed() < Duration::from_secs(1));

    let misses = reader.cache_stats().misses;
    assert_eq!(token(&reader, &other).await, "other");
    assert_eq!(reader.cache_stats().misses, misses, "nobody else's entry was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn re_encryption_makes_nobody_read_again() {
    let world = World::new().await;
    let scope = world.with_tokens(1, &ring(OLD)).await.remove(0);
    let (reader, _task) = listening(&world).await;
    token(&reader, &scope).await;
    assert_eq!(world.rotation().run(|_| {}).await.unwrap().rotated, 1);
    // Told after the rotation on the same channel, so it is heard after anything the rotation might have said.
    let marker = world.organization().await;
    assert!(reader.get::<Twilio>(&marker).await.unwrap().is_none());
    world.put(&marker, &twilio("marker"), &both()).await;
    while reader.get::<Twilio>(&marker).await.unwrap().is_none() {
        yield_now().await;
    }
    let misses = reader.cache_stats().misses;
    token(&reader, &scope).await;
    assert_eq!(reader.cache_stats().misses, misses);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_is_noticed_and_what_was_missed_is_read_again() {
    let world = World::new().await;
    let scope = world.with_tokens(1, &both()).await.remove(0);
    let writer = Vault::new(world.store.clone(), both());
    let (reader, _task) = listening(&world).await;
    for round in 0..3 {
        token(&reader, &scope).await;
        let cut = world
            .execute(
                "select pg_terminate_backend(pid) from pg_stat_activity
                  where datname = current_database() and query ilike 'listen%' and pid <> pg_backend_pid()",
            )
            .await;
        assert_eq!(cut, 1, "the session can be told by what it does");
        let next = format!("token {round}");
        store_token(&writer, &scope, &next).await;
        assert!(seen(&reader, &scope, &next).await < Duration::from_secs(2));
        until(&reader, true).await;
    }
}

/// A way to the database that can be made to swallow everything without closing anything, as a dropped route does.
struct Route {
    url: String,
    swallows: watch::Sender<bool>,
}

impl Route {
    async fn to(db: &TestDb) -> Self {
        let target: PgConnectOptions = db.app_url().parse().unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = door.local_addr().unwrap().port();
        let url = format!("postgres://{LOGIN}@127.0.0.1:{port}/{}?sslmode=disable", db.name());
        let (swallows, swallowing) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((near, _)) = door.accept().await {
                let (target, swallowing) = (target.clone(), swallowing.clone());
                tokio::spawn(async move {
                    let (host, port) = (target.get_host(), target.get_port());
                    match target.get_socket() {
                        Some(directory) => {
                            let socket = directory.join(format!(".s.PGSQL.{port}"));
                            carry(near, UnixStream::connect(socket).await.unwrap(), swallowing).await;
                        }
                        None => {
                            carry(near, TcpStream::connect((host, port)).await.unwrap(), swallowing).await;
                        }
                    }
                });
            }
        });
        Self { url, swallows }
    }
}

/// Carries what is said between the two until nothing is carried any more, which neither end is told.
async fn carry(
    mut near: impl AsyncRead + AsyncWrite + Unpin,
    mut far: impl AsyncRead + AsyncWrite + Unpin,
    mut swallowing: watch::Receiver<bool>,
) {
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        () = async { drop(swallowing.wait_for(|swallows| *swallows).await) } => {
            std::future::pending::<()>().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_without_a_word_is_found_out() {
    let world = World::new().await;
    let scope = world.with_tokens(1, &both()).await.remove(0);
    let (reader, writer) = (Vault::new(replica(&world.db), both()), Vault::new(world.store.clone(), both()));
    let route = Route::to(&world.db).await;
    let listening = PgStore::new(&PoolSettings::new(&route.url, "test")).unwrap();
    let heard = reader.clone();
    tokio::spawn(async move { match listening.follow_credentials(&heard).await {} });
    until(&reader, true).await;
    token(&reader, &scope).await;

    route.swallows.send(true).unwrap();
    store_token(&writer, &scope, "unheard of").await;
    assert!(seen(&reader, &scope, "unheard of").await < Duration::from_secs(5));
    until(&reader, false).await;
    route.swallows.send(false).unwrap();
    until(&reader, true).await;
    store_token(&writer, &scope, "heard of").await;
    assert!(seen(&reader, &scope, "heard of").await < Duration::from_secs(1));
}
