//! Everything that outlives processes: a database, the providers, organizations.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use sqlx::PgConnection;
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard, oneshot},
    task::JoinHandle,
};
use url::Url;
use voxanne_boot::{Reader, WorkerSettings};
use voxanne_credentials::{Credential, CredentialSource, CredentialWriter as _, WebhookSecrets};
use voxanne_kernel::{
    Actor, Begin as _, Commit as _, OrgScope,
    ids::{OrgId, UserId},
};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_sandbox::{Options, TwilioLogin};
use voxanne_testkit::TestDb;

use crate::{database::Server, providers};

const VAPI_KEY: &str = "crash-key";
const TWILIO_SID: &str = "AC00000000000000000000000000000001";
const TWILIO_TOKEN: &str = "crash-token";

/// A database and the providers.
pub(crate) struct World {
    db: TestDb,
    owner: Mutex<PgConnection>,
    store: Arc<PgStore>,
    sandbox: SocketAddr,
    providers: JoinHandle<io::Result<()>>,
    /// Dropped, the providers end.
    _stop: oneshot::Sender<()>,
}

impl World {
    /// With nothing in it. The same seed gives the providers the same ids.
    pub(crate) async fn new(seed: u64) -> Self {
        let db = TestDb::new().await;
        let mut pool = PoolSettings::new(db.app_url(), "crash-test-itself");
        pool.connections = 6;
        let store = Arc::new(PgStore::new(&pool).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = listener.local_addr().unwrap();
        let account = TwilioLogin { sid: TWILIO_SID.to_owned(), token: TWILIO_TOKEN.to_owned() };
        let options = Options {
            seed: Some(seed),
            vapi_keys: vec![VAPI_KEY.to_owned()],
            twilio_account: Some(account),
            ..Options::default()
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let providers = tokio::spawn(voxanne_sandbox::serve(listener, options, async move {
            stopped.await.ok();
        }));
        let owner = Mutex::new(db.owner().await);
        Self { db, owner, store, sandbox, providers, _stop: stop }
    }

    /// An approved organization with an owner and a secret to sign with.
    pub(crate) async fn organization(&self) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        let (org, user) = (scope.org().0, UserId::generate().0);
        sqlx::query(
            "with org as (insert into organizations (id, name, status, timezone)
                          values ($1, 'Clinique Lumière', 'verified', 'Europe/Paris')),
                  person as (insert into users (id, email) values ($2, $2::text || '@example.com'))
             insert into profiles (org_id, user_id, role) values ($1, $2, 'owner')",
        )
        .bind(org)
        .bind(user)
        .execute(&mut *self.owner().await)
        .await
        .unwrap();
        let secret = WebhookSecrets::generate().unwrap();
        let keys = settings(self.sandbox).encryption.keys;
        let sealed = Credential::seal(&keys, scope.org(), &secret, CredentialSource::System);
        let mut tx: Box<TenantTx> = self.store.begin(&scope).await.unwrap();
        tx.put_credential(&sealed).await.unwrap();
        tx.commit().await.unwrap();
        scope
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> Server {
        Server::of(&self.db.app_url().parse::<Url>().unwrap())
    }

    /// What a program connects to it with that finds it at `address`.
    pub(crate) fn url_by(&self, address: SocketAddr) -> String {
        format!("postgres://{}@{address}/{}?sslmode=disable", voxanne_testkit::LOGIN, self.db.name())
    }

    /// The providers themselves.
    pub(crate) fn sandbox(&self) -> SocketAddr {
        self.sandbox
    }

    /// The database past every process and every policy.
    pub(crate) async fn owner(&self) -> MutexGuard<'_, PgConnection> {
        self.owner.lock().await
    }

    /// Everything the providers hold.
    pub(crate) async fn held(&self) -> Value {
        let path = format!("/_sandbox/state?since={}", u64::MAX);
        let mut state = providers::get(self.sandbox, &path).await.unwrap();
        state["providers"].take()
    }

    /// Claims are as old as if `passed` had passed.
    pub(crate) async fn let_claims_age(&self, scope: &OrgScope, passed: Duration) {
        const AGE: [&str; 2] = [
            "update work_claims set held_until = held_until - $1 * interval '1 second' where org_id = $2",
            "update vapi_tools set claimed_until = claimed_until - $1 * interval '1 second'
              where claimed_until is not null and $2 is not null",
        ];
        for age in AGE {
            let mut aged = Err(sqlx::Error::RowNotFound);
            // The database may still be busy with taking back what somebody dead had begun.
            for _ in 0..10 {
                let age = sqlx::query(age).bind(passed.as_secs_f64()).bind(scope.org().0);
                aged = age.execute(&mut *self.owner().await).await;
                if aged.is_ok() {
                    break;
                }
            }
            aged.unwrap();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.providers.abort();
    }
}

/// What a worker that finds the providers at `providers` is started with.
pub(crate) fn settings(providers: SocketAddr) -> WorkerSettings {
    let (vapi, twilio) = (format!("http://{providers}/vapi"), format!("http://{providers}/twilio"));
    let variables = [
        ("DATABASE_URL", "postgres://unused@localhost/unused"),
        ("BACKEND_URL", "https://api.voxanne.test"),
        ("ENCRYPTION_KEY", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="),
        ("VAPI_PRIVATE_KEY", VAPI_KEY),
        ("VAPI_BASE_URL", &vapi),
        ("TWILIO_ACCOUNT_SID", TWILIO_SID),
        ("TWILIO_AUTH_TOKEN", TWILIO_TOKEN),
        ("TWILIO_BASE_URL", &twilio),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    WorkerSettings::read(Reader::new(variables)).unwrap()
}
