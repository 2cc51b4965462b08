//! Erasing an organization: all of it goes, nobody else's rows do, and the trail stays.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use voxanne_kernel::{Actor, Begin, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_tenancy::{DeleteTx, Erased};
use voxanne_testkit::TestDb;

const GOING: &str = "018f0000-0000-7000-8000-000000000001";
const STAYING: &str = "018f0000-0000-7000-8000-000000000002";

/// An organization with rows in tables that refer to each other.
async fn furnish(owner: &mut PgConnection, org: &str, email: &str) {
    let rows = format!(
        "insert into organizations (id, name, timezone, status) values ('{org}', 'Glow', 'UTC', 'suspended');
         with person as (insert into users (id, email) values (gen_random_uuid(), '{email}') returning id),
              place as (insert into profiles (org_id, user_id, role) select '{org}', id, 'owner' from person),
              signed_in as (insert into sessions (id, user_id, ends_at) select gen_random_uuid(), id, now() from person returning id)
         insert into refresh_tokens (id, session_id, token_hash, expires_at)
         select gen_random_uuid(), id, sha256('{org}'::bytea), now() from signed_in;
         insert into services (id, org_id, name, price_minor, currency, duration_minutes)
         values (gen_random_uuid(), '{org}', 'Botox', 100, 'USD', 30);
         insert into resources (id, org_id, name) values (gen_random_uuid(), '{org}', 'Main');
         insert into service_resources (org_id, service_id, resource_id)
         select '{org}', s.id, r.id from services s, resources r where s.org_id = '{org}' and r.org_id = '{org}';
         insert into outbox (org_id, task, payload, max_attempts) values ('{org}', 'sync_tools', '{{}}', 1);
         insert into audit_events (id, org_id, actor_kind, action, target_kind, target_id)
         values (gen_random_uuid(), '{org}', 'system', 'a.b', 'c', 'd')"
    );
    owner.execute(AssertSqlSafe(rows)).await.unwrap();
}

async fn erase(db: &TestDb, org: &str) -> Erased {
    let store = PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap();
    let scope = OrgScope::vouch(OrgId(org.parse().unwrap()), Actor::CommandLine);
    let mut tx = Begin::<dyn DeleteTx>::begin(&store, &scope).await.unwrap();
    let erased = tx.erase().await.unwrap();
    tx.commit().await.unwrap();
    erased
}

async fn count(owner: &mut PgConnection, what: String) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(format!("select count(*) from {what}"))).fetch_one(owner).await.unwrap()
}

#[tokio::test]
async fn everything_but_the_trail_goes_and_only_its_own() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    furnish(&mut owner, GOING, "ann@example.com").await;
    furnish(&mut owner, STAYING, "bob@example.com").await;
    let erased = erase(&db, GOING).await;
    for table in ["profiles", "services", "resources", "outbox", "users"] {
        assert_eq!(erased.get(table), Some(&1), "{table}: {erased:?}");
    }
    for table in ["organizations", "users", "sessions", "refresh_tokens"] {
        assert_eq!(count(&mut owner, table.to_owned()).await, 1, "{table}");
    }
    for table in ["profiles", "services", "resources", "service_resources", "outbox", "audit_events"] {
        let kept = i64::from(table == "audit_events");
        assert_eq!(count(&mut owner, format!("{table} where org_id = '{GOING}'")).await, kept, "{table}");
        assert_eq!(count(&mut owner, format!("{table} where org_id = '{STAYING}'")).await, 1, "{table}");
    }
}

#[tokio::test]
async fn an_organization_that_a_ledger_names_keeps_its_id_and_nothing_besides() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    furnish(&mut owner, GOING, "ann@example.com").await;
    let ledger = format!(
        "create table some_ledger (org_id uuid not null references organizations (id), amount bigint not null);
         create trigger append_only before update or delete on some_ledger
             for each row execute function refuse_rewriting_history();
         insert into some_ledger values ('{GOING}', 7);
         update organizations set alert_phone = '+15005550006', profile = '{{\"a\": 1}}' where id = '{GOING}'"
    );
    owner.execute(AssertSqlSafe(ledger)).await.unwrap();
    erase(&db, GOING).await;
    let left = "organizations where name = 'Deleted organization' and alert_phone is null and profile = '{}'";
    assert_eq!(count(&mut owner, left.to_owned()).await, 1);
    assert_eq!(count(&mut owner, "some_ledger".to_owned()).await, 1);
    assert_eq!(count(&mut owner, "users".to_owned()).await, 0);
}

/// Whatever tables come: a row of an organization can be erased, or nobody can delete it.
#[tokio::test]
async fn every_tenant_table_is_erased_or_append_only() {
    let db = TestDb::new().await;
    let stubborn: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
          where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attname = 'org_id'
            and not is_append_only(c.oid) and not has_table_privilege('voxanne_eraser', c.oid, 'delete')",
    )
    .fetch_all(&mut db.owner().await)
    .await
    .unwrap();
    assert_eq!(stubborn, Vec::<String>::new());
}
