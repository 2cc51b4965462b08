//! Generations and the audit against a provider and a database in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use voxanne_kernel::{
    Begin, Claims, Clock, Commit, ManualClock, NewJob, OrgScope, Outbox, ProviderError, StoreError,
    ids::OrgId,
};

use crate::{
    assistant::AssistantKind,
    audit::{
        AssistantInventory, AuditAssistants, AuditParts, Carried, Fault, FleetRecords, Gone, ListedAssistant,
        NotRebuilt, RebuildLine, RecordedLine,
    },
    definition::definitions,
    name::ToolName,
    ports::RegisteredTool,
    register::RegisterError,
    retire::{
        Generation, Generations, ListedTool, PresentTools, RelinkTx, RetireTools, RetireToolsJob, Retired,
        ToolInventory, scope_of,
    },
    testing::MemoryAssistants,
};

const HOOK: &str = "https://api.example.test/api/vapi/webhook";

#[derive(Default)]
struct State {
    tools: Vec<ListedTool>,
    assistants: Vec<ListedAssistant>,
    credentials: HashSet<String>,
    answering: HashSet<String>,
    registrations: Vec<Generation>,
    lines: BTreeMap<OrgId, RecordedLine>,
    /// Which tools each organization is recorded as carrying.
    carried: BTreeMap<OrgId, BTreeSet<String>>,
    /// Tools that a call under way may use.
    on_the_phone: HashSet<String>,
    refuses_deletion: HashSet<String>,
    jobs: Vec<OrgId>,
    made: u32,
}

/// The provider and the database at once.
#[derive(Clone)]
struct World {
    state: Arc<Mutex<State>>,
    clock: Arc<ManualClock>,
    claims: MemoryAssistants,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_second(1_790_000_000).unwrap()));
        Self { state: Arc::default(), clock, claims: MemoryAssistants::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A world in which the present tools are registered and one organization's assistants are as they should be.
    async fn clean() -> (Self, OrgId) {
        let world = Self::new();
        world.register().await.unwrap();
        let org = world.organization();
        world.clock.advance(SignedDuration::from_hours(1));
        (world, org)
    }

    fn tool_ids(&self) -> Vec<String> {
        self.state().registrations.iter().map(|known| known.id.clone()).collect()
    }

    /// An organization with both assistants.
    fn organization(&self) -> OrgId {
        let (org, ids) = (OrgId::generate(), self.tool_ids());
        let credential = format!("credential-{org}");
        let assistants: BTreeMap<_, _> =
            AssistantKind::ALL.into_iter().map(|kind| (kind, format!("{kind}-{org}"))).collect();
        let created_at = Some(self.now());
        let mut state = self.state();
        for (kind, id) in &assistants {
            state.assistants.push(ListedAssistant {
                id: id.clone(),
                is_managed: true,
                org: Some(org),
                kind: Some(*kind),
                server_url: Some(HOOK.to_owned()),
                server_credential: Some(credential.clone()),
                credentials: Some(vec![credential.clone()]),
                embedded: Vec::new(),
                tool_ids: ids.clone(),
                created_at,
            });
        }
        state.credentials.insert(credential.clone());
        state.carried.insert(org, ids.into_iter().collect());
        state.lines.insert(org, RecordedLine { org, credential: Some(credential), assistants });
        org
    }

    fn plant(&self, id: &str, kind: &str, name: &str, mark: Option<&str>) {
        let tool = ListedTool {
            id: id.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            mark: mark.map(ToOwned::to_owned),
            has_server: false,
            created_at: Some(self.now()),
        };
        self.state().tools.push(tool);
    }

    fn change(&self, org: OrgId, kind: AssistantKind, change: impl FnOnce(&mut ListedAssistant)) {
        let mut state = self.state();
        let id = state.lines[&org].assistants[&kind].clone();
        change(state.assistants.iter_mut().find(|assistant| assistant.id == id).unwrap());
    }

    fn stray(&self, id: &str, org: OrgId) -> ListedAssistant {
        let created_at = Some(self.now());
        let kind = Some(AssistantKind::Inbound);
        ListedAssistant {
            id: id.to_owned(),
            is_managed: true,
            org: Some(org),
            kind,
            created_at,
            ..ListedAssistant::default()
        }
    }

    fn has_tool_named(&self, id: &str) -> bool {
        self.state().tools.iter().any(|tool| tool.id == id)
    }

    fn has_assistant(&self, id: &str) -> bool {
        self.state().assistants.iter().any(|assistant| assistant.id == id)
    }

    fn retire(&self) -> RetireTools {
        let shared = Arc::new(self.clone());
        let job = |org: OrgId| NewJob::of(&RetireToolsJob {}).keyed(org.to_string());
        RetireTools::new(
            shared.clone(),
            shared.clone(),
            shared.clone(),
            shared,
            Arc::new(job),
            self.clock.clone(),
        )
    }

    fn audit(&self) -> AuditAssistants {
        let shared = Arc::new(self.clone());
        AuditAssistants::new(AuditParts {
            records: shared.clone(),
            generations: shared.clone(),
            inventory: shared.clone(),
            tools: shared.clone(),
            lines: shared,
            claims: Arc::new(self.claims.clone()),
            clock: self.clock.clone(),
            server_url: HOOK.to_owned(),
        })
    }

    async fn found(&self) -> Vec<Fault> {
        self.audit().run().await.unwrap().into_iter().map(|finding| finding.fault).collect()
    }

    /// What the audit leaves after it has fixed what it found.
    async fn left(&self) -> Vec<Fault> {
        self.audit().fix().await.unwrap().after.into_iter().map(|finding| finding.fault).collect()
    }
}

#[async_trait]
impl PresentTools for World {
    async fn register(&self) -> Result<Vec<RegisteredTool>, RegisterError> {
        let now = self.now();
        let mut state = self.state();
        let mut present = Vec::new();
        for definition in definitions() {
            let (name, hash) = (definition.name.as_str(), definition.hash().to_string());
            let known = state.registrations.iter().find(|k| k.name == name && k.hash == hash);
            let id = if let Some(known) = known {
                known.id.clone()
            } else {
                state.made += 1;
                let id = format!("tool-{}", state.made);
                state.tools.push(ListedTool {
                    id: id.clone(),
                    kind: "function".to_owned(),
                    name: name.to_owned(),
                    mark: Some(definition.hash().short()),
                    has_server: false,
                    created_at: Some(now),
                });
                state.registrations.push(Generation { name: name.to_owned(), hash, id: id.clone(), at: now });
                id
            };
            present.push(RegisteredTool { name: definition.name, hash: definition.hash(), id });
        }
        Ok(present)
    }
}

#[async_trait]
impl ToolInventory for World {
    async fn listed_tools(&self) -> Result<Vec<ListedTool>, ProviderError> {
        Ok(self.state().tools.clone())
    }

    async fn has_tool(&self, id: &str) -> Result<bool, ProviderError> {
        Ok(self.has_tool_named(id))
    }

    async fn linked_tools(&self) -> Result<HashSet<String>, ProviderError> {
        Ok(self.state().assistants.iter().flat_map(|assistant| assistant.tool_ids.clone()).collect())
    }

    async fn delete_tool(&self, id: &str) -> Result<(), ProviderError> {
        let mut state = self.state();
        if state.refuses_deletion.contains(id) {
            return Err(ProviderError::Refused("tool_pinned".into()));
        }
        state.tools.retain(|tool| tool.id != id);
        Ok(())
    }
}

#[async_trait]
impl AssistantInventory for World {
    async fn listed_assistants(&self) -> Result<Vec<ListedAssistant>, ProviderError> {
        Ok(self.state().assistants.clone())
    }

    async fn credential_ids(&self) -> Result<HashSet<String>, ProviderError> {
        Ok(self.state().credentials.clone())
    }

    async fn answering_assistants(&self) -> Result<HashSet<String>, ProviderError> {
        Ok(self.state().answering.clone())
    }

    async fn restore_carried(&self, id: &str, carried: &Carried) -> Result<bool, ProviderError> {
        let mut state = self.state();
        let Some(assistant) = state.assistants.iter_mut().find(|a| a.id == id) else { return Ok(false) };
        assistant.embedded.clear();
        assistant.tool_ids.clone_from(&carried.tool_ids);
        assistant.server_url = Some(HOOK.to_owned());
        if let Some(credential) = &carried.credential {
            assistant.server_credential = Some(credential.clone());
            assistant.credentials = Some(vec![credential.clone()]);
        }
        Ok(true)
    }

    async fn remove_tool_server(&self, id: &str) -> Result<bool, ProviderError> {
        let mut state = self.state();
        let Some(tool) = state.tools.iter_mut().find(|tool| tool.id == id) else { return Ok(false) };
        tool.has_server = false;
        Ok(true)
    }

    async fn delete_listed_assistant(&self, id: &str) -> Result<(), ProviderError> {
        self.state().assistants.retain(|assistant| assistant.id != id);
        Ok(())
    }
}

#[async_trait]
impl Generations for World {
    async fn registrations(&self) -> Result<Vec<Generation>, StoreError> {
        Ok(self.state().registrations.clone())
    }

    async fn forget(&self, id: &str) -> Result<(), StoreError> {
        self.state().registrations.retain(|known| known.id != id);
        Ok(())
    }

    async fn to_link(
        &self,
        tools: &[RegisteredTool],
        all: bool,
        after: Option<OrgId>,
        limit: u16,
    ) -> Result<Vec<OrgId>, StoreError> {
        let wanted: BTreeSet<String> = tools.iter().map(|tool| tool.id.clone()).collect();
        let state = self.state();
        let behind = state.carried.iter().filter(|(_, carried)| all || **carried != wanted);
        let behind = behind.map(|(org, _)| *org).filter(|org| after.is_none_or(|after| *org > after));
        Ok(behind.take(limit.into()).collect())
    }

    async fn may_be_used(&self, id: &str, _: &str) -> Result<bool, StoreError> {
        let state = self.state();
        Ok(state.on_the_phone.contains(id) || state.carried.values().any(|carried| carried.contains(id)))
    }
}

#[async_trait]
impl FleetRecords for World {
    async fn lines(&self, after: Option<OrgId>, limit: u16) -> Result<Vec<RecordedLine>, StoreError> {
        let state = self.state();
        let rest = state.lines.values().filter(|line| after.is_none_or(|after| line.org > after));
        Ok(rest.take(limit.into()).cloned().collect())
    }
}

#[async_trait]
impl RebuildLine for World {
    async fn rebuild(&self, org: OrgId, gone: &Gone) -> Result<(), NotRebuilt> {
        assert_ne!(*gone, Gone::default());
        let made = self.organization();
        let mut state = self.state();
        let mut line = state.lines.remove(&made).unwrap();
        state.carried.remove(&made);
        for assistant in state.assistants.iter_mut().filter(|assistant| assistant.org == Some(made)) {
            assistant.org = Some(org);
        }
        line.org = org;
        let ids: Vec<String> = state.lines[&org].assistants.values().cloned().collect();
        state.assistants.retain(|assistant| !ids.contains(&assistant.id));
        state.lines.insert(org, line);
        Ok(())
    }
}

struct Tx {
    world: World,
    org: OrgId,
    sent: bool,
}

#[async_trait]
impl Begin<dyn RelinkTx> for World {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn RelinkTx>, StoreError> {
        Ok(Box::new(Tx { world: self.clone(), org: scope.org(), sent: false }))
    }
}

#[async_trait]
impl Outbox for Tx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        assert_eq!(job.key.as_deref(), Some(self.org.to_string().as_str()));
        self.sent = true;
        Ok(())
    }
}

#[async_trait]
impl Commit for Tx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.sent {
            self.world.state().jobs.push(self.org);
        }
        Ok(())
    }
}

/// Registers an older `bookClinicAppointment`, as another program would have, and lets `org` carry it.
fn older_generation(world: &World, org: OrgId) -> String {
    let old = "old-book".to_owned();
    let at = world.now() - SignedDuration::from_hours(48);
    world.plant(&old, "function", "bookClinicAppointment", Some("0123456789ab"));
    let mut state = world.state();
    state.tools.last_mut().unwrap().created_at = Some(at);
    let known = Generation {
        name: "bookClinicAppointment".to_owned(),
        hash: "0123456789ab".repeat(5),
        id: old.clone(),
        at,
    };
    state.registrations.push(known);
    state.carried.get_mut(&org).unwrap().insert(old.clone());
    for assistant in state.assistants.iter_mut().filter(|assistant| assistant.org == Some(org)) {
        assistant.tool_ids.push(old.clone());
    }
    old
}

fn unlink(world: &World, org: OrgId, tool: &str) {
    let mut state = world.state();
    state.carried.get_mut(&org).unwrap().remove(tool);
    for assistant in &mut state.assistants {
        assistant.tool_ids.retain(|id| id != tool);
    }
}

#[tokio::test]
async fn nothing_is_done_where_everything_is_as_it_should_be() {
    let (world, _) = World::clean().await;
    assert_eq!(world.retire().run().await.unwrap(), Retired::default());
    assert_eq!(world.state().tools.len(), ToolName::ALL.len());
}

#[tokio::test]
async fn an_older_generation_goes_only_when_nobody_links_it_and_no_call_may_use_it() {
    let (world, org) = World::clean().await;
    let old = older_generation(&world, org);
    let run = async || world.retire().run().await.unwrap();
    assert_eq!(run().await, Retired { relinking: 1, kept: 1, ..Retired::default() });
    assert_eq!(world.state().jobs, [org]);
    unlink(&world, org, &old);
    world.state().on_the_phone.insert(old.clone());
    assert_eq!(run().await, Retired { kept: 1, ..Retired::default() });
    world.state().on_the_phone.clear();
    assert_eq!(run().await, Retired { deleted: 1, ..Retired::default() });
    assert!(!world.has_tool_named(&old));
    assert!(world.state().registrations.iter().all(|known| known.id != old));
}

#[tokio::test]
async fn a_tool_that_a_strangers_assistant_links_stays() {
    let (world, org) = World::clean().await;
    let old = older_generation(&world, org);
    unlink(&world, org, &old);
    let stranger =
        ListedAssistant { id: "theirs".into(), tool_ids: vec![old.clone()], ..ListedAssistant::default() };
    world.state().assistants.push(stranger);
    assert_eq!(world.retire().run().await.unwrap().kept, 1);
    assert!(world.has_tool_named(&old));
}

#[tokio::test]
async fn a_second_registration_goes_and_the_recorded_one_stays() {
    let (world, _) = World::clean().await;
    let mark = definitions()[0].hash().short();
    world.plant("twin", "function", "bookClinicAppointment", Some(&mark));
    assert_eq!(world.retire().run().await.unwrap().deleted, 1);
    assert!(!world.has_tool_named("twin"));
    assert_eq!(world.found().await, []);
}

#[tokio::test]
async fn a_tool_without_our_mark_is_never_deleted_and_a_newer_programs_is_spared_for_a_day() {
    let (world, _) = World::clean().await;
    world.plant("theirs", "function", "bookClinicAppointment", None);
    world.plant("native", "google.calendar.event.create", "", None);
    world.plant("newer", "function", "bookClinicAppointment", Some("ffffffffffff"));
    assert_eq!(world.retire().run().await.unwrap(), Retired::default());
    world.clock.advance(SignedDuration::from_hours(25));
    assert_eq!(world.retire().run().await.unwrap().deleted, 1);
    assert!(
        world.has_tool_named("theirs") && world.has_tool_named("native") && !world.has_tool_named("newer")
    );
}

#[tokio::test]
async fn a_deletion_that_is_refused_does_not_hold_up_the_others() {
    let (world, _) = World::clean().await;
    let mark = definitions()[0].hash().short();
    world.plant("pinned", "function", "bookClinicAppointment", Some(&mark));
    world.plant("twin", "function", "bookClinicAppointment", Some(&mark));
    world.state().refuses_deletion.insert("pinned".to_owned());
    assert_eq!(world.retire().run().await.unwrap(), Retired { deleted: 1, kept: 1, ..Retired::default() });
}

#[tokio::test]
async fn a_tool_that_was_deleted_by_hand_is_registered_again_and_everybody_is_linked_anew() {
    let (world, org) = World::clean().await;
    let gone = world.tool_ids()[0].clone();
    world.state().tools.retain(|tool| tool.id != gone);
    let retired = world.retire().run().await.unwrap();
    assert_eq!(retired, Retired { lost: 1, relinking: 1, ..Retired::default() });
    assert_eq!(world.state().jobs, [org]);
    assert!(!world.tool_ids().contains(&gone));
    assert_eq!(world.tool_ids().len(), ToolName::ALL.len());
}

#[tokio::test]
async fn an_empty_account_is_clean_and_stays_empty() {
    let world = World::new();
    assert_eq!(world.found().await, []);
    assert_eq!(world.retire().run().await.unwrap(), Retired::default());
    assert!(world.state().tools.is_empty());
}

#[tokio::test]
async fn every_fault_of_an_assistant_is_found_and_mended() {
    type Break = fn(&World, OrgId, &mut ListedAssistant);
    let check = async |name: &str, planted: Break, expected: &[&str]| {
        let (world, org) = World::clean().await;
        world.plant("native", "slack.message.send", "", None);
        world.plant("foreign", "function", "theirs", None);
        let before = world.clone();
        world.change(org, AssistantKind::Inbound, |assistant| {
            // The state is held while it is changed, so what is read from it was read before.
            planted(&before, org, assistant);
        });
        let found: Vec<_> = world.found().await.iter().map(Fault::as_str).collect();
        assert_eq!(found, expected, "{name}");
        assert_eq!(world.left().await, [], "{name}");
        assert_eq!(world.found().await, [], "{name}");
    };
    let embedded: Break = |_, _, a| {
        a.embedded = vec!["google.calendar.event.create".into(), "ghl".into(), "function".into()];
    };
    check("embedded", embedded, &["embedded_native_tool", "embedded_native_tool", "embedded_tool"]).await;
    check("native", |_, _, a| a.tool_ids.push("native".into()), &["linked_native_tool"]).await;
    check("foreign", |_, _, a| a.tool_ids.push("foreign".into()), &["linked_foreign_tool"]).await;
    check("missing", |_, _, a| a.tool_ids.push("nowhere".into()), &["linked_missing_tool"]).await;
    check("unlinked", |_, _, a| drop(a.tool_ids.pop()), &["tool_not_linked"]).await;
    check("server", |_, _, a| a.server_url = Some("https://elsewhere.test".into()), &["wrong_server"]).await;
    check("no server", |_, _, a| a.server_url = None, &["wrong_server"]).await;
    check("credential", |_, _, a| a.server_credential = None, &["wrong_credential"]).await;
    check("credentials", |_, _, a| a.credentials = None, &["too_many_credentials"]).await;
    let another: Break = |_, _, a| a.credentials.as_mut().unwrap().push("another".into());
    check("another", another, &["too_many_credentials"]).await;
    let unnamed: Break = |_, _, a| {
        (a.is_managed, a.org, a.kind) = (false, None, None);
        a.embedded = vec!["make".into()];
    };
    check("known by its row alone", unnamed, &["embedded_native_tool"]).await;
}

#[tokio::test]
async fn an_old_tool_that_is_still_linked_is_found_and_taken_off() {
    let (world, org) = World::clean().await;
    let old = older_generation(&world, org);
    let expected = Fault::LinkedOutdated(old.clone(), "bookClinicAppointment".to_owned());
    assert_eq!(world.found().await, [expected.clone(), expected]);
    assert_eq!(world.left().await, []);
    assert!(world.has_tool_named(&old), "taking it away altogether is another's work");
}

#[tokio::test]
async fn a_tool_with_a_server_of_its_own_loses_it() {
    let (world, _) = World::clean().await;
    world.plant("theirs", "function", "theirs", None);
    let id = {
        let mut state = world.state();
        state.tools.iter_mut().for_each(|tool| tool.has_server = tool.id == "theirs" || tool.id == "tool-1");
        state.tools[0].id.clone()
    };
    assert_eq!(world.found().await, [Fault::ToolHasServer(id)]);
    assert_eq!(world.left().await, []);
    assert!(world.state().tools.iter().any(|tool| tool.id == "theirs" && tool.has_server));
}

#[tokio::test]
async fn a_registered_tool_that_is_gone_is_made_again_and_linked() {
    let (world, _) = World::clean().await;
    let gone = world.tool_ids()[0].clone();
    world.state().tools.retain(|tool| tool.id != gone);
    let found = world.found().await;
    assert_eq!(found[0], Fault::RegistrationGone(gone));
    assert_eq!(world.left().await, []);
}

#[tokio::test]
async fn strays_are_listed_and_deleted_only_when_nobody_can_miss_them() {
    type Plant = fn(&World, OrgId) -> ListedAssistant;
    let check = async |plant: Plant, found: &str, deleted: bool| {
        let (world, org) = World::clean().await;
        let planted = plant(&world, org);
        world.state().assistants.push(planted);
        let faults: Vec<_> = world.found().await.iter().map(Fault::as_str).collect();
        assert_eq!(faults, [found]);
        assert_eq!(world.left().await.is_empty(), deleted, "{found}");
        assert_eq!(world.has_assistant("stray"), !deleted, "{found}");
    };
    check(|world, org| world.stray("stray", org), "second_of_its_kind", true).await;
    check(|world, _| world.stray("stray", OrgId::generate()), "unknown_organization", true).await;
    let without_metadata: Plant =
        |world, org| ListedAssistant { is_managed: false, ..world.stray("stray", org) };
    check(without_metadata, "second_of_its_kind", false).await;
    let answering: Plant = |world, org| {
        world.state().answering.insert("stray".to_owned());
        world.stray("stray", org)
    };
    check(answering, "second_of_its_kind", false).await;
    let unrecorded = |world: &World, org: OrgId| {
        let mut state = world.state();
        let line = state.lines.get_mut(&org).unwrap();
        let id = line.assistants.remove(&AssistantKind::Inbound).unwrap();
        state.assistants.retain(|assistant| assistant.id != id);
    };
    let (world, org) = World::clean().await;
    unrecorded(&world, org);
    let young = world.stray("stray", org);
    world.state().assistants.push(young.clone());
    let claim = world
        .claims
        .claim(&scope_of(org), "assistant:inbound", Duration::from_mins(1), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(world.left().await, [Fault::NotRecorded], "whoever has the claim may be about to record it");
    world.claims.release(&scope_of(org), claim.unwrap()).await.unwrap();
    assert_eq!(world.left().await, []);
    world.state().assistants.push(ListedAssistant { kind: None, ..young });
    assert_eq!(world.left().await, [Fault::NotRecorded]);
    world.clock.advance(SignedDuration::from_mins(6));
    assert_eq!(world.left().await, []);
}

#[tokio::test]
async fn somebody_elses_assistant_is_left_alone() {
    let (world, _) = World::clean().await;
    let theirs = ListedAssistant {
        id: "theirs".into(),
        embedded: vec!["google.calendar.event.create".into()],
        ..ListedAssistant::default()
    };
    let of_another_installation = ListedAssistant {
        server_url: Some("https://staging.example.test/api/vapi/webhook".to_owned()),
        ..world.stray("staging", OrgId::generate())
    };
    world.state().assistants.extend([theirs.clone(), of_another_installation.clone()]);
    assert_eq!(world.found().await, []);
    assert_eq!(world.left().await, []);
    assert!(world.state().assistants.contains(&theirs));
    assert!(world.state().assistants.contains(&of_another_installation));
}

#[tokio::test]
async fn a_row_whose_assistant_is_gone_gets_a_new_one() {
    let (world, org) = World::clean().await;
    let id = world.state().lines[&org].assistants[&AssistantKind::Inbound].clone();
    world.state().assistants.retain(|assistant| assistant.id != id);
    assert_eq!(world.found().await, [Fault::AssistantGone(AssistantKind::Inbound)]);
    assert_eq!(world.left().await, []);
}

#[tokio::test]
async fn a_credential_that_is_gone_is_made_anew() {
    let (world, org) = World::clean().await;
    let credential = world.state().lines[&org].credential.clone().unwrap();
    world.state().credentials.clear();
    let expected = Fault::CredentialGone(credential);
    assert_eq!(world.found().await, [expected.clone(), expected]);
    assert_eq!(world.left().await, []);
}

#[tokio::test]
async fn a_finding_says_where_and_what_on_one_line() {
    let (world, org) = World::clean().await;
    world.change(org, AssistantKind::Inbound, |assistant| assistant.embedded.push("make".to_owned()));
    let found = world.audit().run().await.unwrap();
    let expected = format!(
        "assistant inbound-{org}, organization {org}: the native integration make is written into model.tools"
    );
    assert_eq!(found[0].to_string(), expected);
}
