//! The queries behind the lists and figures of messages stay on their indexes, however much others have.

use sqlx::{AssertSqlSafe, Postgres, QueryBuilder};
use uuid::Uuid;
use voxanne_kernel::{
    Actor, Begin, OrgScope, PageRequest, Position, Timestamp,
    ids::{CallId, ContactId, OrgId},
};
use voxanne_messaging::{
    channel::Channel,
    message::{Direction, MessageStatus},
    stats::MessageFilter,
};
use voxanne_testkit::TestDb;

use super::{
    credits::entries_of,
    log::{FIGURES, listing},
    messages::WITHDRAW,
};
use crate::{PgStore, PoolSettings, TenantTx, sql::to_sql};

const EXPLAIN: &str = "explain (costs off) ";

/// Twenty organizations with two thousand messages and five hundred entries in the ledger each.
const MUCH: &str = "
    insert into organizations (id, name, timezone)
    select gen_random_uuid(), 'Clinic ' || n, 'UTC' from generate_series(1, 20) n;
    insert into contacts (id, org_id, name, phone)
    select gen_random_uuid(), o.id, 'Ann', '+1202555' || lpad(n::text, 4, '0')
      from organizations o, generate_series(1, 100) n;
    insert into messages (id, org_id, contact_id, direction, method, purpose, recipient, content, status, provider,
                          is_platform, is_charged, sent_at, created_at, updated_at)
    select gen_random_uuid(), c.org_id, c.id, case when n % 10 = 0 then 'inbound' else 'outbound' end,
           case when n % 3 = 0 then 'email' else 'sms' end, 'direct', '+12025550143', 'Hello',
           case when n % 20 = 0 then 'undelivered' else 'delivered' end, 'twilio', true, true,
           now() - n * interval '18 days', now() - n * interval '18 days', now()
      from contacts c, generate_series(1, 20) n;
    insert into credit_accounts (org_id) select id from organizations;
    insert into credit_entries (id, org_id, kind, amount_minor, created_at)
    select gen_random_uuid(), o.id, 'grant', 1, now() - n * interval '1 hour'
      from organizations o, generate_series(1, 500) n;
    analyze messages; analyze credit_entries;";

async fn plan(tx: &mut TenantTx, mut sql: QueryBuilder<Postgres>) -> String {
    let lines: Vec<String> = sql.build_query_scalar().fetch_all(tx.conn()).await.unwrap();
    lines.join("\n")
}

#[track_caller]
fn check(what: &str, plan: &str, index: &str) {
    assert!(plan.contains(index), "{what}: {plan}");
    assert!(!plan.contains("Seq Scan"), "{what}: {plan}");
}

#[tokio::test]
async fn lists_and_figures_of_messages_are_read_by_index() {
    let db = TestDb::new().await;
    let mut owner = db.owner().await;
    sqlx::raw_sql(MUCH).execute(&mut owner).await.unwrap();
    let of_one = "select org_id, id from contacts order by org_id, id limit 1";
    let (org, contact): (Uuid, Uuid) = sqlx::query_as(of_one).fetch_one(&mut owner).await.unwrap();
    let store = PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test is the authority here")]
    let scope = OrgScope::vouch(OrgId(org), Actor::System);
    let mut tx = Begin::<TenantTx>::begin(&store, &scope).await.unwrap();
    let tx = &mut *tx;

    #[expect(clippy::disallowed_methods, reason = "the rows lie around the database's own clock")]
    let now = Timestamp::now();
    let after = Some(Position { at: now, id: Uuid::now_v7() });
    let filters = [
        ("everything", MessageFilter::default(), "messages_newest"),
        (
            "a channel",
            MessageFilter { method: Some(Channel::Email), ..MessageFilter::default() },
            "messages_newest",
        ),
        (
            "a way",
            MessageFilter { direction: Some(Direction::Outbound), ..MessageFilter::default() },
            "messages_newest",
        ),
        ("a time", MessageFilter { to: Some(now), ..MessageFilter::default() }, "messages_newest"),
        (
            "a status",
            MessageFilter { status: Some(MessageStatus::Unknown), ..MessageFilter::default() },
            "messages_by_status",
        ),
        (
            "a contact",
            MessageFilter { contact: Some(ContactId(contact)), ..MessageFilter::default() },
            "messages_by_contact",
        ),
        (
            "a call",
            MessageFilter { call: Some(CallId::generate()), ..MessageFilter::default() },
            "messages_by_call",
        ),
    ];
    for page in [PageRequest::first(), PageRequest::new(100, after).unwrap()] {
        for (what, filter, index) in &filters {
            let plan = plan(tx, listing(QueryBuilder::new(EXPLAIN), org, filter, &page)).await;
            check(what, &plan, index);
            assert!(!plan.contains("Sort"), "{what}: {plan}");
        }
        let plan = plan(tx, entries_of(QueryBuilder::new(EXPLAIN), org, &page)).await;
        check("the ledger", &plan, "credit_entries_newest");
        assert!(!plan.contains("Sort"), "the ledger: {plan}");
    }

    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("{EXPLAIN}{FIGURES}")))
        .bind(org)
        .bind(to_sql(now - jiff::SignedDuration::from_hours(30 * 24)))
        .bind(to_sql(now))
        .fetch_all(tx.conn())
        .await
        .unwrap();
    check("a month's figures", &lines.join("\n"), "messages_newest");

    let lines: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!("{EXPLAIN}{WITHDRAW} id::text")))
        .bind(org)
        .bind(Uuid::now_v7())
        .fetch_all(tx.conn())
        .await
        .unwrap();
    check("what waits of an appointment", &lines.join("\n"), "messages_waiting_by_appointment");
}
