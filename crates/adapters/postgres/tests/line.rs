//! Secrets, assistants, tools and lines on a real PostgreSQL: what only a database can show, above all that two
//! organizations never meet and that many at once register a tool once.
#![expect(clippy::disallowed_methods, reason = "tests vouch for the organizations they made")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, PgConnection};
use voxanne_credentials::{
    CredentialProvider, CredentialReader, CredentialWriter, ExposeSecret, PublishWebhookSecret, ResolveError,
    Resolver, RotateWebhookSecret, WebhookSecrets, new_webhook_credential, testing::key_ring,
};
use voxanne_kernel::{
    Actor, Begin, Clock, Commit, Job, ManualClock, OrgScope, SystemClock, Timestamp, ids::OrgId,
};
use voxanne_postgres::{PgStore, PoolSettings, TenantTx};
use voxanne_provisioning::{
    BindLine,
    testing::{MemoryLineProvider, ReadyAssistants},
};
use voxanne_testkit::TestDb;
use voxanne_tooling::{
    AssistantKind, AssistantRecord, AssistantsTx, Claim, ClaimToken, EnsureAssistant, LineDirectory, LineIds,
    OrgTool, RegisterError, RegisterTools, SaveAgent, SettingsDraft, SigningCredential, SigningRecord,
    SigningTx, SystemPrompt, ToolName, ToolRegistrations, ToolState, Upkeep, definitions,
    testing::{BindLater, Fault, MemoryProvider, OneSecret, record},
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

    async fn owner(&self) -> PgConnection {
        self.db.owner().await
    }

    /// An approved organization.
    async fn organization(&self) -> OrgScope {
        let scope = OrgScope::vouch(OrgId::generate(), Actor::System);
        let mut owner = self.owner().await;
        sqlx::query(
            "insert into organizations (id, name, status, timezone, alert_phone)
             values ($1, 'Glow', 'verified', 'America/New_York', '+15005550001')",
        )
        .bind(scope.org().0)
        .execute(&mut owner)
        .await
        .unwrap();
        owner.close().await.unwrap();
        scope
    }

    async fn tenant(&self, scope: &OrgScope) -> Box<TenantTx> {
        Begin::<TenantTx>::begin(&*self.store, scope).await.unwrap()
    }

    async fn assistants(&self, scope: &OrgScope) -> Box<dyn AssistantsTx> {
        Begin::<dyn AssistantsTx>::begin(&*self.store, scope).await.unwrap()
    }

    async fn signing(&self, scope: &OrgScope) -> Box<dyn SigningTx> {
        Begin::<dyn SigningTx>::begin(&*self.store, scope).await.unwrap()
    }

    /// Stores a fresh webhook secret and gives back its text.
    async fn with_secret(&self, scope: &OrgScope) -> String {
        let (credential, secrets) = new_webhook_credential(&key_ring(), scope.org()).unwrap();
        let mut tx = self.tenant(scope).await;
        tx.put_credential(&credential).await.unwrap();
        tx.commit().await.unwrap();
        secrets.current().expose_secret().to_owned()
    }

    async fn secrets(&self, scope: &OrgScope) -> Result<Option<WebhookSecrets>, ResolveError> {
        Resolver::new(self.store.clone(), Arc::new(key_ring())).open(scope).await
    }
}

#[tokio::test]
async fn a_credential_reads_back_as_it_was_written_and_only_at_home() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let (mut credential, _) = new_webhook_credential(&key_ring(), ours.org()).unwrap();
    credential.metadata.insert("hint".to_owned(), "last four".into());
    credential.last_verified = Some("2026-03-01T09:00:00Z".parse().unwrap());
    let mut tx = world.tenant(&ours).await;
    tx.put_credential(&credential).await.unwrap();
    tx.commit().await.unwrap();

    let provider = CredentialProvider::VapiWebhook;
    assert_eq!(world.tenant(&ours).await.credential(provider).await.unwrap(), Some(credential.clone()));
    assert_eq!(world.tenant(&theirs).await.credential(provider).await.unwrap(), None);
    assert_eq!(world.tenant(&ours).await.credential(CredentialProvider::Twilio).await.unwrap(), None);

    let (replacement, _) = new_webhook_credential(&key_ring(), ours.org()).unwrap();
    let mut tx = world.tenant(&ours).await;
    tx.put_credential(&replacement).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(world.tenant(&ours).await.credential(provider).await.unwrap(), Some(replacement));
}

#[tokio::test]
async fn a_secret_moved_to_another_organizations_row_does_not_open() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let secret = world.with_secret(&ours).await;
    let read = world.secrets(&ours).await.unwrap().unwrap();
    assert_eq!(read.current().expose_secret(), secret);

    let mut owner = world.owner().await;
    sqlx::query(
        "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
         select id, $2, provider, source, sealed, key_id, status from org_credentials where org_id = $1",
    )
    .bind(ours.org().0)
    .bind(theirs.org().0)
    .execute(&mut owner)
    .await
    .unwrap();
    assert!(world.secrets(&theirs).await.is_err());
}

#[tokio::test]
async fn rotating_at_the_same_time_keeps_every_secret_that_was_handed_out() {
    let world = World::new().await;
    let scope = world.organization().await;
    world.with_secret(&scope).await;
    let clock = Arc::new(ManualClock::at("2026-03-01T09:00:00Z".parse::<Timestamp>().unwrap()));
    let rotate = Arc::new(RotateWebhookSecret::new(world.store.clone(), Arc::new(key_ring()), clock.clone()));
    let both = futures_util::future::join(rotate.run(&scope), rotate.run(&scope)).await;
    assert!(both.0.is_ok() && both.1.is_ok());
    let secrets = world.secrets(&scope).await.unwrap().unwrap();
    assert_eq!(secrets.accepted_at(clock.now()).count(), 2);

    let mut owner = world.owner().await;
    let jobs: i64 = sqlx::query_scalar("select count(*) from outbox where org_id = $1 and task = $2")
        .bind(scope.org().0)
        .bind(PublishWebhookSecret::TASK)
        .fetch_one(&mut owner)
        .await
        .unwrap();
    let audited: i64 =
        sqlx::query_scalar("select count(*) from audit_events where action = 'webhook_secret.rotated'")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    assert_eq!((jobs, audited), (2, 2));
}

#[tokio::test]
async fn fifty_at_once_register_each_tool_once() {
    let world = World::new().await;
    let provider = MemoryProvider::default();
    let register = RegisterTools::new(world.store.clone(), Arc::new(provider.clone()));
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let register = register.clone();
            tokio::spawn(async move {
                loop {
                    match register.run().await {
                        Ok(tools) => return tools,
                        Err(RegisterError::Busy) => tokio::time::sleep(Duration::from_millis(5)).await,
                        Err(other) => panic!("{other}"),
                    }
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(provider.tool_names().len(), ToolName::ALL.len());
}

#[tokio::test]
async fn a_claim_runs_out_and_its_late_holder_cannot_complete_it() {
    let world = World::new().await;
    let hash = definitions()[0].hash();
    let name = definitions()[0].name;
    let claim = || world.store.claim(name, &hash);
    let Claim::Yours(dead) = claim().await.unwrap() else { panic!("the first claim") };
    assert_eq!(claim().await.unwrap(), Claim::Taken);

    let mut owner = world.owner().await;
    sqlx::query("update vapi_tools set claimed_until = now() - interval '1 second'")
        .execute(&mut owner)
        .await
        .unwrap();
    let Claim::Yours(ours) = claim().await.unwrap() else { panic!("the claim ran out") };
    assert!(!world.store.complete(dead, "tool-late").await.unwrap());
    assert!(world.store.complete(ours, "tool-1").await.unwrap());
    assert_eq!(claim().await.unwrap(), Claim::Registered("tool-1".to_owned()));
    world.store.give_up(ours, Duration::ZERO).await.unwrap();
    world.store.give_up(ClaimToken(uuid::Uuid::nil()), Duration::ZERO).await.unwrap();
    assert_eq!(claim().await.unwrap(), Claim::Registered("tool-1".to_owned()));
}

#[tokio::test]
async fn a_lost_claim_is_given_up_only_when_its_rest_is_over() {
    let world = World::new().await;
    let (name, hash) = (definitions()[0].name, definitions()[0].hash());
    let claim = || world.store.claim(name, &hash);
    let Claim::Yours(first) = claim().await.unwrap() else { panic!("the first claim") };
    world.store.give_up(first, Duration::from_mins(1)).await.unwrap();
    assert_eq!(claim().await.unwrap(), Claim::Taken);
    world.store.give_up(first, Duration::ZERO).await.unwrap();
    assert!(matches!(claim().await.unwrap(), Claim::Yours(_)));
    assert_eq!(world.store.registered().await.unwrap(), []);
}

fn ensure(world: &World, provider: &MemoryProvider) -> EnsureAssistant {
    let (store, clock) = (world.store.clone(), Arc::new(SystemClock));
    let held = Arc::new(provider.clone());
    EnsureAssistant::new(Upkeep {
        store: store.clone(),
        claims: store.clone(),
        provider: held.clone(),
        registrations: store.clone(),
        signing: SigningCredential::new(
            store.clone(),
            store,
            held,
            Arc::new(OneSecret::new("secret")),
            clock.clone(),
        ),
        after: Arc::new(BindLater),
        clock,
        server_url: "https://x.test/hook".to_owned(),
    })
}

fn draft(prompt: &str) -> SettingsDraft {
    SettingsDraft {
        name: None,
        system_prompt: SystemPrompt::new(prompt).unwrap(),
        first_message: None,
        voice: None,
        language: None,
        max_duration: None,
    }
}

#[tokio::test]
async fn an_assistant_is_created_once_and_leads_back_to_its_organization() {
    let world = World::new().await;
    let ours = world.organization().await;
    world.with_secret(&ours).await;
    let provider = MemoryProvider::default();
    let ensure = ensure(&world, &provider);
    let run = |kind| ensure.run(&ours, "Glow", kind);

    provider.fail([Fault::None, Fault::Lost]);
    assert!(run(AssistantKind::Inbound).await.is_err());
    let unknown = world.assistants(&ours).await.assistant(AssistantKind::Inbound).await.unwrap().unwrap();
    assert!(unknown.creation_begun.is_some() && unknown.provider_id.is_none());
    let inbound = run(AssistantKind::Inbound).await.unwrap();
    assert_eq!(run(AssistantKind::Inbound).await.unwrap().provider_id, inbound.provider_id);
    let outbound = run(AssistantKind::Outbound).await.unwrap();
    assert_eq!(provider.assistants().len(), 2);
    assert_eq!(provider.credentials().len(), 1);

    let owner_of = async |assistant: &str| {
        let ids = LineIds { assistant: Some(assistant.to_owned()), ..LineIds::default() };
        world.store.owner(&ids).await.unwrap().map(|owner| owner.org)
    };
    assert_eq!(owner_of(&inbound.provider_id).await, Some(ours.org()));
    assert_eq!(owner_of(&outbound.provider_id).await, Some(ours.org()));
    assert_eq!(owner_of("nobody's").await, None);
}

#[tokio::test]
async fn twenty_saves_at_once_make_one_assistant_and_one_credential() {
    let world = World::new().await;
    let scope = world.organization().await;
    world.with_secret(&scope).await;
    let provider = MemoryProvider::default();
    let save = SaveAgent::new(ensure(&world, &provider));
    let saves: Vec<_> = (0..20)
        .map(|n| {
            let save = save.clone();
            tokio::spawn(async move {
                save.run(&scope, AssistantKind::Inbound, draft(&format!("Writer {n}."))).await
            })
        })
        .collect();
    for saved in saves {
        saved.await.unwrap().unwrap();
    }
    let [id] = <[String; 1]>::try_from(provider.assistants()).unwrap();
    assert_eq!(provider.credentials().len(), 1);
    let row = world.assistants(&scope).await.assistant(AssistantKind::Inbound).await.unwrap().unwrap();
    assert_eq!(provider.kept(&id).unwrap().blueprint.settings, row.settings);
    assert_eq!((row.provider_id, row.creation_begun), (Some(id), None));
    let mut owner = world.owner().await;
    let (jobs, audited): (i64, i64) = sqlx::query_as(
        "select (select count(*) from outbox where org_id = $1 and task = 'sync_tools'),
                (select count(*) from audit_events where org_id = $1 and action = 'assistant.saved')",
    )
    .bind(scope.org().0)
    .fetch_one(&mut owner)
    .await
    .unwrap();
    assert_eq!((jobs, audited), (20, 20));
}

#[tokio::test]
async fn rows_of_assistants_and_tools_read_back_as_they_were_written_and_only_at_home() {
    let world = World::new().await;
    let (ours, theirs) = (world.organization().await, world.organization().await);
    let written = AssistantRecord {
        creation_begun: Some("2026-03-01T09:00:00Z".parse().unwrap()),
        link_error: Some("why".to_owned()),
        ..record(AssistantKind::Outbound, Some("a1"), &["t1", "t2"])
    };
    let tool = |name, id: Option<&str>, state| OrgTool {
        name,
        id: id.map(ToOwned::to_owned),
        hash: "hash".to_owned(),
        state,
    };
    let tools = [
        tool(ToolName::ALL[0], Some("t1"), ToolState::Linked),
        tool(ToolName::ALL[1], None, ToolState::Pending),
        tool(ToolName::ALL[2], None, ToolState::Failed("why".to_owned())),
        tool(ToolName::ALL[3], Some("t4"), ToolState::Registered),
    ];
    let mut tx = world.assistants(&ours).await;
    tx.put_assistant(&written).await.unwrap();
    tx.put_tools(&tools).await.unwrap();
    tx.commit().await.unwrap();

    let mut tx = world.assistants(&ours).await;
    assert_eq!(tx.assistants().await.unwrap(), std::slice::from_ref(&written));
    assert_eq!(tx.organization_name().await.unwrap().as_deref(), Some("Glow"));
    let mut read = tx.tools().await.unwrap();
    read.sort_by_key(|tool| tool.name);
    assert_eq!(read, tools);
    let mut strange = world.assistants(&theirs).await;
    assert_eq!((strange.assistants().await.unwrap(), strange.tools().await.unwrap()), (vec![], vec![]));

    tx.put_tools(&tools[..1]).await.unwrap();
    tx.remove_assistant(AssistantKind::Outbound).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = world.assistants(&ours).await;
    assert_eq!(tx.tools().await.unwrap(), &tools[..1]);
    assert_eq!(tx.assistant(AssistantKind::Outbound).await.unwrap(), None);
}

/// Calls that began before a row changed may use what it said before; writing the same again is no change.
#[tokio::test]
async fn a_tool_that_stays_as_it_is_keeps_its_time() {
    let world = World::new().await;
    let scope = world.organization().await;
    let put = async |state: ToolState| {
        let tool = OrgTool { name: ToolName::ALL[0], id: Some("t1".into()), hash: "hash".into(), state };
        let mut tx = world.assistants(&scope).await;
        tx.put_tools(&[tool]).await.unwrap();
        tx.commit().await.unwrap();
        let mut owner = world.owner().await;
        let query = sqlx::query_scalar("select updated_at::text from org_tools where org_id = $1");
        let at: String = query.bind(scope.org().0).fetch_one(&mut owner).await.unwrap();
        at
    };
    let first = put(ToolState::Registered).await;
    assert_eq!(put(ToolState::Registered).await, first);
    assert_ne!(put(ToolState::Linked).await, first);
}

#[tokio::test]
async fn numbers_follow_to_the_present_assistant_and_lead_back() {
    let world = World::new().await;
    let scope = world.organization().await;
    let (provider, assistants) = (MemoryLineProvider::default(), ReadyAssistants::default());
    let bind = BindLine::new(world.store.clone(), Arc::new(provider.clone()), Arc::new(assistants.clone()));
    bind.run(&scope).await.unwrap();
    let number = provider.import("+15005550006");
    let mut owner = world.owner().await;
    sqlx::query("insert into phone_number_mapping (org_id, phone_number, vapi_phone_id) values ($1, $2, $3)")
        .bind(scope.org().0)
        .bind(number.number.as_str())
        .bind(&number.provider_id)
        .execute(&mut owner)
        .await
        .unwrap();
    bind.run(&scope).await.unwrap();
    assert_eq!(provider.bound_to(&number.provider_id).as_deref(), Some(""), "there is no assistant yet");

    let mut tx = world.assistants(&scope).await;
    tx.put_assistant(&record(AssistantKind::Inbound, Some("anew"), &[])).await.unwrap();
    tx.commit().await.unwrap();
    bind.run(&scope).await.unwrap();
    assert_eq!(provider.bound_to(&number.provider_id).as_deref(), Some("anew"));

    let by_number = LineIds { number: Some(number.number), ..LineIds::default() };
    let by_id = LineIds {
        assistant: Some("an assistant we never heard of".to_owned()),
        number_id: Some(number.provider_id),
        number: None,
    };
    for ids in [by_number, by_id] {
        let owner = world.store.owner(&ids).await.unwrap().unwrap();
        assert_eq!((owner.org, owner.suspended, owner.allows_shared_secret), (scope.org(), false, true));
    }
}

#[tokio::test]
async fn a_signing_credential_needs_a_secret_to_belong_to() {
    let world = World::new().await;
    let scope = world.organization().await;
    let record = SigningRecord { id: Some("c1".to_owned()), creation_begun: None };
    let begun = SigningRecord { id: None, creation_begun: Some("2026-03-01T09:00:00Z".parse().unwrap()) };
    assert!(world.signing(&scope).await.put_signing_credential(&record).await.is_err());
    world.with_secret(&scope).await;
    let mut tx = world.signing(&scope).await;
    assert_eq!(tx.signing_credential().await.unwrap(), SigningRecord::default());
    for record in [begun, record] {
        tx.put_signing_credential(&record).await.unwrap();
        assert_eq!(tx.signing_credential().await.unwrap(), record);
    }
    tx.commit().await.unwrap();
    assert_eq!(world.signing(&scope).await.signing_credential().await.unwrap().id.as_deref(), Some("c1"));
    assert!(world.secrets(&scope).await.unwrap().is_some(), "the ciphertext was not touched");
}
