//! Rows, registrations and claims, and who is asked for what follows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::json;
use uuid::Uuid;
use voxanne_kernel::{
    Audit, Begin, Claims, Commit, ExtendClaim, NewAudit, NewJob, OrgScope, Outbox, StoreError,
    ids::{AssistantId, OrgId},
};

use super::{
    lock,
    provider::{Steps, pause},
};
use crate::{
    assistant::AssistantKind,
    definition::DefinitionHash,
    name::ToolName,
    ports::{
        AfterCreation, AssistantRecord, AssistantRecords, AssistantsTx, Claim, ClaimToken, OrgTool,
        Registration, SecretError, SigningRecord, SigningRecords, SigningSecrets, SigningTx,
        ToolRegistrations,
    },
    settings::AssistantSettings,
};

#[derive(Debug, Clone)]
enum Claimed {
    Held(ClaimToken),
    Done(String),
}

/// Registrations in memory. Clones share them; claims run out only when told to.
#[derive(Clone, Default)]
pub struct MemoryRegistrations(Arc<Mutex<HashMap<(String, String), Claimed>>>);

impl MemoryRegistrations {
    /// As if the time of every claim were over.
    pub fn let_claims_run_out(&self) {
        lock(&self.0).retain(|_, state| matches!(state, Claimed::Done(_)));
    }

    /// Forgets the registration of the tool `id`.
    pub fn forget(&self, id: &str) {
        lock(&self.0).retain(|_, state| !matches!(state, Claimed::Done(known) if known == id));
    }

    /// As if the tool `name` had been registered as `id` by a program with another definition of it.
    pub fn add_older(&self, name: ToolName, id: &str) {
        lock(&self.0).insert((name.to_string(), format!("older-{id}")), Claimed::Done(id.to_owned()));
    }
}

#[async_trait]
impl ToolRegistrations for MemoryRegistrations {
    async fn registered(&self) -> Result<Vec<Registration>, StoreError> {
        let registrations = lock(&self.0);
        let done = registrations.iter().filter_map(|((name, hash), state)| match state {
            Claimed::Done(id) => {
                Some(Registration { name: name.clone(), hash: hash.clone(), id: id.clone() })
            }
            Claimed::Held(_) => None,
        });
        Ok(done.collect())
    }

    async fn claim(&self, name: ToolName, hash: &DefinitionHash) -> Result<Claim, StoreError> {
        let mut registrations = lock(&self.0);
        let key = (name.to_string(), hash.to_string());
        Ok(match registrations.get(&key) {
            Some(Claimed::Done(id)) => Claim::Registered(id.clone()),
            Some(Claimed::Held(_)) => Claim::Taken,
            None => {
                let token = ClaimToken(Uuid::now_v7());
                registrations.insert(key, Claimed::Held(token));
                Claim::Yours(token)
            }
        })
    }

    async fn complete(&self, claim: ClaimToken, id: &str) -> Result<bool, StoreError> {
        let mut registrations = lock(&self.0);
        let held = registrations.values_mut().find(|s| matches!(s, Claimed::Held(c) if *c == claim));
        let Some(state) = held else { return Ok(false) };
        *state = Claimed::Done(id.to_owned());
        Ok(true)
    }

    async fn give_up(&self, claim: ClaimToken, rest: Duration) -> Result<(), StoreError> {
        if rest.is_zero() {
            lock(&self.0).retain(|_, state| !matches!(state, Claimed::Held(c) if *c == claim));
        }
        Ok(())
    }
}

/// One secret for everybody.
#[derive(Clone)]
pub struct OneSecret(Arc<Mutex<Option<String>>>);

impl OneSecret {
    /// Begins with `secret`.
    pub fn new(secret: &str) -> Self {
        Self(Arc::new(Mutex::new(Some(secret.to_owned()))))
    }

    /// Replaces it, or takes it away.
    pub fn set(&self, secret: Option<&str>) {
        *lock(&self.0) = secret.map(ToOwned::to_owned);
    }
}

#[async_trait]
impl SigningSecrets for OneSecret {
    async fn current(&self, _: &OrgScope) -> Result<Option<SecretString>, SecretError> {
        Ok(lock(&self.0).clone().map(SecretString::from))
    }
}

/// Names a job that only tests know.
#[derive(Debug, Clone, Copy, Default)]
pub struct BindLater;

impl AfterCreation for BindLater {
    fn bind_numbers(&self, org: OrgId) -> NewJob {
        NewJob {
            task: "bind_numbers",
            payload: json!({ "org_id": org }),
            queue: None,
            key: None,
            run_at: None,
            max_attempts: 1,
        }
    }
}

/// A row of an assistant of "Glow" that carries `tool_ids`.
pub fn record(kind: AssistantKind, provider_id: Option<&str>, tool_ids: &[&str]) -> AssistantRecord {
    AssistantRecord {
        id: AssistantId::generate(),
        kind,
        provider_id: provider_id.map(ToOwned::to_owned),
        settings: AssistantSettings::default_for("Glow", kind),
        creation_begun: None,
        tool_ids: tool_ids.iter().map(|id| (*id).to_owned()).collect(),
        link_error: None,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[derive(Clone, Default)]
struct Rows {
    assistants: BTreeMap<(OrgId, AssistantKind), AssistantRecord>,
    tools: HashMap<OrgId, Vec<OrgTool>>,
    credentials: HashMap<OrgId, SigningRecord>,
    jobs: Vec<NewJob>,
    audit: Vec<NewAudit>,
}

/// Assistants' rows and claims in memory. Clones share them; claims run out only when told to.
#[derive(Clone, Default)]
pub struct MemoryAssistants {
    rows: Arc<Mutex<Rows>>,
    claims: Arc<Mutex<HashMap<(OrgId, String), Uuid>>>,
    steps: Steps,
}

impl MemoryAssistants {
    pub(super) fn counting(steps: Steps) -> Self {
        Self { steps, ..Self::default() }
    }

    /// The stored provider's id of an assistant.
    pub fn provider_id(&self, org: OrgId, kind: AssistantKind) -> Option<String> {
        self.row(org, kind)?.provider_id
    }

    /// The stored row of an assistant.
    pub fn row(&self, org: OrgId, kind: AssistantKind) -> Option<AssistantRecord> {
        lock(&self.rows).assistants.get(&(org, kind)).cloned()
    }

    /// The stored tools of an organization.
    pub fn tools(&self, org: OrgId) -> Vec<OrgTool> {
        lock(&self.rows).tools.get(&org).cloned().unwrap_or_default()
    }

    /// The jobs recorded since the last time.
    pub fn take_jobs(&self) -> Vec<NewJob> {
        std::mem::take(&mut lock(&self.rows).jobs)
    }

    /// The audit entries.
    pub fn audited(&self) -> Vec<NewAudit> {
        lock(&self.rows).audit.clone()
    }

    /// As if the time of every claim were over.
    pub fn let_claims_run_out(&self) {
        lock(&self.claims).clear();
    }

    /// Whether nothing is claimed.
    pub fn is_free(&self) -> bool {
        lock(&self.claims).is_empty()
    }
}

#[async_trait]
impl Claims for MemoryAssistants {
    async fn claim(
        &self,
        scope: &OrgScope,
        what: &str,
        _: Duration,
        _: Duration,
    ) -> Result<Option<voxanne_kernel::Claim>, StoreError> {
        for _ in 0..500 {
            let free = {
                let mut claims = lock(&self.claims);
                let key = (scope.org(), what.to_owned());
                let free = !claims.contains_key(&key);
                let token = Uuid::now_v7();
                free.then(|| claims.insert(key, token));
                free.then_some(token)
            };
            if let Some(token) = free {
                return Ok(Some(voxanne_kernel::Claim { what: what.to_owned(), token }));
            }
            pause().await;
        }
        Ok(None)
    }

    async fn release(&self, scope: &OrgScope, claim: voxanne_kernel::Claim) -> Result<(), StoreError> {
        lock(&self.claims).retain(|(org, _), token| (*org, *token) != (scope.org(), claim.token));
        Ok(())
    }

    async fn keep(&self, _: &OrgScope, _: &voxanne_kernel::Claim, _: Duration) {
        std::future::pending::<()>().await;
    }
}

struct MemoryTx {
    org: OrgId,
    store: MemoryAssistants,
    rows: Rows,
}

impl MemoryTx {
    fn open(store: &MemoryAssistants, scope: &OrgScope) -> Box<Self> {
        let rows = lock(&store.rows).clone();
        Box::new(Self { org: scope.org(), store: store.clone(), rows })
    }
}

#[async_trait]
impl Begin<dyn AssistantsTx> for MemoryAssistants {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn AssistantsTx>, StoreError> {
        Ok(MemoryTx::open(self, scope))
    }
}

#[async_trait]
impl Begin<dyn SigningTx> for MemoryAssistants {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn SigningTx>, StoreError> {
        Ok(MemoryTx::open(self, scope))
    }
}

#[async_trait]
impl AssistantRecords for MemoryTx {
    async fn organization_name(&mut self) -> Result<Option<String>, StoreError> {
        Ok(Some("Glow".to_owned()))
    }

    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError> {
        Ok(self.rows.assistants.get(&(self.org, kind)).cloned())
    }

    async fn assistants(&mut self) -> Result<Vec<AssistantRecord>, StoreError> {
        let ours = self.rows.assistants.iter().filter(|((org, _), _)| *org == self.org);
        Ok(ours.map(|(_, record)| record.clone()).collect())
    }

    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError> {
        self.rows.assistants.insert((self.org, record.kind), record.clone());
        Ok(())
    }

    async fn remove_assistant(&mut self, kind: AssistantKind) -> Result<(), StoreError> {
        self.rows.assistants.remove(&(self.org, kind));
        Ok(())
    }

    async fn tools(&mut self) -> Result<Vec<OrgTool>, StoreError> {
        Ok(self.rows.tools.get(&self.org).cloned().unwrap_or_default())
    }

    async fn put_tools(&mut self, tools: &[OrgTool]) -> Result<(), StoreError> {
        self.rows.tools.insert(self.org, tools.to_vec());
        Ok(())
    }
}

#[async_trait]
impl SigningRecords for MemoryTx {
    async fn signing_credential(&mut self) -> Result<SigningRecord, StoreError> {
        Ok(self.rows.credentials.get(&self.org).cloned().unwrap_or_default())
    }

    async fn put_signing_credential(&mut self, record: &SigningRecord) -> Result<(), StoreError> {
        self.rows.credentials.insert(self.org, record.clone());
        Ok(())
    }
}

#[async_trait]
impl ExtendClaim for MemoryTx {
    async fn extend(&mut self, claim: &voxanne_kernel::Claim, _: Duration) -> Result<bool, StoreError> {
        let claims = lock(&self.store.claims);
        Ok(claims.get(&(self.org, claim.what.clone())) == Some(&claim.token))
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.rows.jobs.push(job);
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.rows.audit.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let death = self.store.steps.next();
        Steps::before(death).await;
        *lock(&self.store.rows) = self.rows;
        Steps::after(death).await;
        Ok(())
    }
}
