//! The door holds when requests are cut off: whatever await point a unit of work is abandoned at, no later one sees
//! its organization.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use sqlx::{Executor, Row, postgres::PgConnectOptions};
use uuid::Uuid;
use voxanne_kernel::{Actor, Begin, Commit, NewActivity, OrgScope, ids::OrgId};
use voxanne_testkit::TestDb;

use crate::{PgStore, PoolSettings, TenantTx};

/// Polls a future a limited number of times and then drops it, as a cancelled request does.
struct CutOff<F> {
    future: Pin<Box<F>>,
    polls_left: usize,
}

impl<F: Future> Future for CutOff<F> {
    type Output = Option<F::Output>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls_left == 0 {
            return Poll::Ready(None);
        }
        self.polls_left -= 1;
        self.future.as_mut().poll(context).map(Some)
    }
}

#[expect(clippy::disallowed_methods, reason = "the test is the authority here")]
fn scope() -> OrgScope {
    OrgScope::vouch(OrgId::generate(), Actor::System)
}

/// A way to the database that runs on the test's own thread: nothing comes back from it before the test has waited,
/// so every round trip is an await at which a request can be cut off, every time.
async fn slow_way(db: &TestDb) -> String {
    use tokio::{
        io::copy_bidirectional,
        net::{TcpListener, TcpStream, UnixStream},
    };
    let mut url = url::Url::parse(&db.app_url()).unwrap();
    let options: PgConnectOptions = db.app_url().parse().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    url.set_query(None);
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (host, port) = (options.get_host().to_owned(), options.get_port());
            let socket = options.get_socket().map(|folder| folder.join(format!(".s.PGSQL.{port}")));
            tokio::spawn(async move {
                if let Some(socket) = socket {
                    let mut server = UnixStream::connect(socket).await.unwrap();
                    copy_bidirectional(&mut client, &mut server).await
                } else {
                    let mut server = TcpStream::connect((host, port)).await.unwrap();
                    copy_bidirectional(&mut client, &mut server).await
                }
            });
        }
    });
    url.into()
}

/// One connection for units of work, so that whatever is left on it meets the next one.
fn store(url: String) -> PgStore {
    let mut settings = PoolSettings::new(url, "test");
    settings.connections = 2;
    PgStore::new(&settings).unwrap()
}

async fn add_organization(db: &TestDb, scope: &OrgScope) {
    use sqlx::{Connection, PgConnection};
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    sqlx::query("insert into organizations (id, name, timezone) values ($1, 'Clinic', 'UTC')")
        .bind(scope.org().0)
        .execute(&mut owner)
        .await
        .unwrap();
}

async fn open(store: &PgStore, scope: &OrgScope) -> Box<TenantTx> {
    store.begin(scope).await.unwrap()
}

/// Which organizations a unit of work can see.
async fn visible(tx: &mut TenantTx) -> Vec<Uuid> {
    sqlx::query_scalar("select id from organizations").fetch_all(tx.conn()).await.unwrap()
}

/// A unit of work as a request would do it: read, write, commit.
async fn unit_of_work(store: &PgStore, scope: &OrgScope) {
    use voxanne_kernel::{Activity, ActivityKind};
    let mut tx = open(store, scope).await;
    visible(&mut tx).await;
    let kind = ActivityKind::CallStarted;
    let entry =
        NewActivity { kind, summary: "A call".to_owned(), call: None, appointment: None, contact: None };
    tx.note(entry).await.unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_request_cut_off_at_any_await_leaves_nothing_to_the_next() {
    let db = TestDb::new().await;
    let (cut, next) = (scope(), scope());
    add_organization(&db, &cut).await;
    add_organization(&db, &next).await;
    let store = store(slow_way(&db).await);
    let mut polls = 0;
    loop {
        polls += 1;
        let finished = CutOff { future: Box::pin(unit_of_work(&store, &cut)), polls_left: polls }.await;

        // The connection came back outside any transaction, with no organization set.
        let left = store
            .units()
            .fetch_one(
                "select nullif(current_setting('app.org_id', true), ''), now() = statement_timestamp()",
            )
            .await
            .unwrap();
        assert_eq!((left.get(0), left.get(1)), (None::<String>, true), "after {polls} polls");

        // The next request works in its own organization and sees no other.
        let mut tx = open(&store, &next).await;
        assert_eq!(visible(&mut tx).await, [next.org().0], "after {polls} polls");
        let set: (String, String) =
            sqlx::query_as("select current_setting('app.org_id', true), current_setting('role')")
                .fetch_one(tx.conn())
                .await
                .unwrap();
        assert_eq!(set, (next.org().to_string(), "voxanne_app".to_owned()));
        tx.commit().await.unwrap();

        // Its own work is really committed, not swallowed by a transaction somebody left open.
        unit_of_work(&store, &next).await;
        let mut tx = open(&store, &next).await;
        let kept: i64 =
            sqlx::query_scalar("select count(*) from activity_events").fetch_one(tx.conn()).await.unwrap();
        assert_eq!(kept, i64::try_from(polls).unwrap(), "after {polls} polls");
        drop(tx);

        if finished.is_some() {
            break;
        }
    }
    // At least once in the BEGIN, in each statement and in the COMMIT.
    assert!(polls > 4, "the unit of work was cut off at {polls} points");
}

#[tokio::test]
async fn outside_a_unit_of_work_a_connection_sees_nothing() {
    let db = TestDb::new().await;
    let organization = scope();
    add_organization(&db, &organization).await;
    let store = store(db.app_url());
    unit_of_work(&store, &organization).await;
    let mut hot = store.hot().take().await.unwrap();
    let outside = sqlx::query_scalar::<_, Uuid>("select id from organizations").fetch_all(hot.conn()).await;
    assert!(outside.is_err() || outside.is_ok_and(|seen| seen.is_empty()));
}

#[tokio::test]
async fn a_restarted_connection_is_replaced_without_the_caller_noticing() {
    use sqlx::{Connection, PgConnection};
    let db = TestDb::new().await;
    let organization = scope();
    add_organization(&db, &organization).await;
    let store = store(db.app_url());
    unit_of_work(&store, &organization).await;
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    sqlx::query("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
        .execute(&mut owner)
        .await
        .unwrap();
    unit_of_work(&store, &organization).await;
}
