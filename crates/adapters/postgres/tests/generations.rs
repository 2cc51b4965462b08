//! Generations of tools and the whole fleet on a real PostgreSQL: what spans organizations, seen by the service's role.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor};
use voxanne_kernel::{Actor, Begin, NewJob, OrgScope, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings, tooling::fleet::ToolStanding};
use voxanne_testkit::TestDb;
use voxanne_tooling::{
    AssistantKind, RegisteredTool, RetireToolsJob, ToolName,
    audit::FleetRecords,
    definitions,
    retire::{Generations, RelinkTx, present},
};

struct World {
    db: TestDb,
    store: Arc<PgStore>,
}

impl World {
    async fn new() -> Self {
        let db = TestDb::new().await;
        let store = Arc::new(PgStore::new(&PoolSettings::new(db.app_url(), "test")).unwrap());
        Self { db, store }
    }

    async fn sql(&self, statement: String) {
        self.db.owner().await.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    /// The present tools, registered as `new-…`.
    async fn registered(&self) -> Vec<RegisteredTool> {
        for definition in definitions() {
            let (name, hash) = (definition.name, definition.hash());
            self.sql(format!(
                "insert into vapi_tools (tool_name, definition_hash, vapi_tool_id, registered_at)
                 values ('{name}', '{hash}', 'new-{name}', now())"
            ))
            .await;
        }
        present(&self.store.registrations().await.unwrap())
    }

    /// An organization with an inbound assistant that carries the tools of a generation.
    async fn organization(&self, generation: &str, state: &str) -> OrgId {
        let org = OrgId::generate();
        self.sql(format!(
            "insert into organizations (id, name, timezone) values ('{org}', 'Glow', 'UTC');
             insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
             values (gen_random_uuid(), '{org}', 'inbound', 'assistant-{org}', 'x', 'x', 'x')"
        ))
        .await;
        for definition in definitions() {
            let name = definition.name;
            self.sql(format!(
                "insert into org_tools (org_id, tool_name, vapi_tool_id, definition_hash, state)
                 values ('{org}', '{name}', '{generation}-{name}', 'h', '{state}')"
            ))
            .await;
        }
        org
    }

    async fn call(&self, org: OrgId, began: &str, status: &str) {
        self.sql(format!(
            "insert into calls (id, org_id, vapi_call_id, call_type, status, started_at)
             values (gen_random_uuid(), '{org}', gen_random_uuid()::text, 'inbound', '{status}', now() + interval '{began}')"
        ))
        .await;
    }
}

#[tokio::test]
async fn whoever_does_not_carry_the_present_tools_is_listed_in_order() {
    let world = World::new().await;
    let tools = world.registered().await;
    assert_eq!(tools.len(), ToolName::ALL.len());
    let current = world.organization("new", "linked").await;
    let mut behind = vec![
        world.organization("old", "linked").await,
        world.organization("new", "failed").await,
        world.organization("new", "linked").await,
    ];
    world
        .sql(format!("delete from org_tools where org_id = '{}' and tool_name = 'transferCall'", behind[2]))
        .await;
    let nobody = OrgId::generate();
    world
        .sql(format!("insert into organizations (id, name, timezone) values ('{nobody}', 'New', 'UTC')"))
        .await;
    behind.sort();
    let list = async |all, after, limit| world.store.to_link(&tools, all, after, limit).await.unwrap();
    assert_eq!(list(false, None, 10).await, behind);
    assert_eq!(list(false, Some(behind[0]), 1).await, [behind[1]]);
    let mut all = [behind.clone(), vec![current]].concat();
    all.sort();
    assert_eq!(list(true, None, 10).await, all);
    assert_eq!(world.store.count_to_link(&tools, false, Some(behind[0])).await.unwrap(), 2);
    assert_eq!(world.store.count_to_link(&tools, true, None).await.unwrap(), 4);

    let standing = world.store.tool_standing(ToolName::TransferCall, Some("new-transferCall")).await.unwrap();
    assert_eq!(standing, ToolStanding { linked: 1, pending: 1, failed: 1, outdated: 1 });
    assert_eq!(world.store.carried_tools(current).await.unwrap().unwrap().len(), ToolName::ALL.len());
    assert_eq!(world.store.carried_tools(OrgId::generate()).await.unwrap(), None);
}

#[tokio::test]
async fn a_tool_may_be_used_while_a_row_names_it_or_a_call_is_older_than_its_successor() {
    let world = World::new().await;
    let old = "old-bookClinicAppointment";
    let used = async || world.store.may_be_used(old, "bookClinicAppointment").await.unwrap();
    assert!(!used().await);
    let behind = world.organization("old", "linked").await;
    assert!(used().await);
    world.sql(format!("update assistants set vapi_assistant_id = null where org_id = '{behind}'")).await;
    assert!(!used().await, "an organization without an assistant carries nothing");
    let org = world.organization("new", "linked").await;
    assert!(!used().await);
    for harmless in [("-1 hour", "completed"), ("1 hour", "in_progress"), ("-13 hours", "in_progress")] {
        world.call(org, harmless.0, harmless.1).await;
        assert!(!used().await, "{harmless:?}");
    }
    world.call(org, "-5 minutes", "in_progress").await;
    assert!(used().await);
}

#[tokio::test]
async fn a_registration_is_forgotten_by_its_tool() {
    let world = World::new().await;
    let tools = world.registered().await;
    world.store.forget(&tools[0].id).await.unwrap();
    world.store.forget("nothing").await.unwrap();
    let left = present(&world.store.registrations().await.unwrap());
    assert_eq!(left, tools[1..]);
}

#[tokio::test]
async fn every_organization_has_a_line_with_its_assistants_and_its_credential() {
    let world = World::new().await;
    let with = world.organization("new", "linked").await;
    let without = OrgId::generate();
    world
        .sql(format!(
            "insert into organizations (id, name, timezone) values ('{without}', 'New', 'UTC');
             insert into org_credentials (id, org_id, provider, source, sealed, key_id, metadata)
             values (gen_random_uuid(), '{with}', 'vapi_webhook', 'system', 'x', 'k',
                     '{{\"provider_credential_id\": \"credential-1\"}}')"
        ))
        .await;
    let lines = world.store.lines(None, 10).await.unwrap();
    assert_eq!(lines.iter().map(|line| line.org).collect::<Vec<_>>(), [with, without]);
    assert_eq!(lines[0].credential.as_deref(), Some("credential-1"));
    assert_eq!(lines[0].assistants[&AssistantKind::Inbound], format!("assistant-{with}"));
    assert!(lines[1].assistants.is_empty() && lines[1].credential.is_none());
    assert_eq!(world.store.lines(Some(with), 10).await.unwrap(), lines[1..]);
}

#[tokio::test]
async fn what_an_organization_wrote_about_itself_is_read_by_itself_alone() {
    let world = World::new().await;
    let (org, other) = (world.organization("new", "linked").await, world.organization("new", "linked").await);
    world
        .sql(format!(
            "update organizations set profile = '{{\"parking\": \"behind\"}}', alert_phone = '+15005550001',
                    call_routing = '{{\"departments\": [{{\"name\": \"Billing\", \"phone\": \"+15005550002\"}}]}}'
              where id = '{org}';
             insert into phone_number_mapping (org_id, phone_number) values ('{org}', '+15005550003')"
        ))
        .await;
    let about = async |org| {
        let scope = OrgScope::vouch(org, Actor::System);
        world.store.about_organization(&scope).await.unwrap()
    };
    let ours = about(org).await;
    assert_eq!(ours.profile["parking"], "behind");
    assert_eq!(ours.routing.departments[0].number.as_str(), "+15005550002");
    assert_eq!(ours.alert_phone.unwrap().as_str(), "+15005550001");
    assert_eq!(ours.phone.as_deref(), Some("+15005550003"));
    let theirs = about(other).await;
    assert!(theirs.profile.is_empty() && theirs.phone.is_none() && theirs.routing.departments.is_empty());
}

#[tokio::test]
async fn an_organization_is_sent_to_be_linked_by_a_job_of_its_own() {
    let world = World::new().await;
    let org = world.organization("old", "linked").await;
    let scope = OrgScope::vouch(org, Actor::System);
    let mut tx = Begin::<dyn RelinkTx>::begin(&*world.store, &scope).await.unwrap();
    tx.enqueue(NewJob::of(&RetireToolsJob::default())).await.unwrap();
    tx.commit().await.unwrap();
    let owner: uuid::Uuid =
        sqlx::query_scalar("select org_id from outbox").fetch_one(&mut world.db.owner().await).await.unwrap();
    assert_eq!(owner, org.0);
}
