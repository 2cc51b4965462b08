//! No read of a dashboard scans a table of all tenants, whatever the planner has seen so far.

use sqlx::Row;
use uuid::Uuid;
use voxanne_calls::{ContactFilter, Leads};
use voxanne_kernel::{Actor, OrgScope, PageRequest, Timestamp, ids::OrgId};
use voxanne_pricing::{Prices, Services};
use voxanne_testkit::TestDb;

use super::log::{LIST, RECENT, STATS};
use crate::{PgStore, PoolSettings, TenantTx};

const FILL: &str = "
    insert into organizations (id, name, timezone) select gen_random_uuid(), 'Clinic', 'UTC' from generate_series(1, 200);
    insert into contacts (id, org_id, phone) select gen_random_uuid(), o.id, '+1500555' || (1000 + n)
      from organizations o, generate_series(1, 30) n;
    insert into calls (id, org_id, vapi_call_id, call_type, status, started_at, contact_id, duration_seconds)
    select gen_random_uuid(), c.org_id, c.phone || '-' || n, 'inbound', 'completed',
           now() - make_interval(mins => n * 7), c.id, 60 from contacts c, generate_series(1, 8) n;
    insert into activity_events (org_id, kind, summary, call_id) select org_id, 'call_started', 'x', id from calls;
    insert into services (id, org_id, name, price_minor, currency, duration_minutes)
    select gen_random_uuid(), o.id, 'Service ' || n, 100, 'USD', 30 from organizations o, generate_series(1, 10) n;
    analyze";

#[tokio::test(flavor = "multi_thread")]
async fn no_dashboard_read_scans_a_whole_table() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    sqlx::raw_sql(FILL).execute(&mut owner).await.unwrap();
    let org: Uuid =
        sqlx::query_scalar("select id from organizations limit 1").fetch_one(&mut owner).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test is the authority here")]
    let scope = OrgScope::vouch(OrgId(org), Actor::System);
    let store = PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap();
    let mut tx = store.tenant(&scope).await.unwrap();
    // More often than the five plans PostgreSQL makes with the values before it considers one without.
    for _ in 0..8 {
        let none = None::<time::OffsetDateTime>;
        let sums = sqlx::query(STATS).bind(org).bind(none).bind(none).fetch_one(tx.conn()).await.unwrap();
        assert_eq!(sums.get::<i64, _>(0), 240);
        assert_eq!(sqlx::query(RECENT).bind(org).fetch_all(tx.conn()).await.unwrap().len(), 10);
        let contacts = Leads::page(&mut tx, &ContactFilter::default(), &PageRequest::first()).await.unwrap();
        assert_eq!(contacts.rows.len(), 30);
        assert_eq!(Leads::stats(&mut tx, Timestamp::UNIX_EPOCH).await.unwrap().total, 30);
        assert_eq!(Services::page(&mut tx, &PageRequest::first()).await.unwrap().rows.len(), 10);
        assert_eq!(tx.price_list().await.unwrap().services.len(), 10);
    }
    // Last, because it tells the planner not to sort until the transaction ends.
    for text in [None, Some("smith"), None, None, None, None, None, None] {
        assert_eq!(list(&mut tx, text).await, if text.is_some() { 0 } else { 51 });
    }
    let scanned: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_stat_xact_user_tables where seq_scan > 0 order by relname",
    )
    .fetch_all(tx.conn())
    .await
    .unwrap();
    assert_eq!(scanned, [""; 0]);
    assert!(read(&mut tx, "idx_scan").await >= 16, "the counter counts");

    // A page reads its own rows and no more of the tenant's 240, with whatever plan it has come to by now.
    let before = read(&mut tx, "idx_tup_fetch").await;
    list(&mut tx, None).await;
    assert_eq!(read(&mut tx, "idx_tup_fetch").await - before, 51);
}

/// A counter of this transaction's work on calls.
async fn read(tx: &mut TenantTx, counter: &str) -> i64 {
    let query = format!("select {counter} from pg_stat_xact_user_tables where relname = 'calls'");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(tx.conn()).await.unwrap()
}

/// How many rows the first page has, with one more than wanted.
async fn list(tx: &mut TenantTx, text: Option<&str>) -> usize {
    let org = tx.org();
    sqlx::query(LIST)
        .bind(org)
        .bind(None::<String>)
        .bind(None::<String>)
        .bind(None::<time::OffsetDateTime>)
        .bind(None::<time::OffsetDateTime>)
        .bind(None::<String>)
        .bind(None::<bool>)
        .bind(text)
        .bind(None::<time::OffsetDateTime>)
        .bind(None::<Uuid>)
        .bind(51)
        .fetch_all(tx.conn())
        .await
        .unwrap()
        .len()
}
