//! The audit of everything the provider holds in our name: what is wrong with it, and putting it right.
//!
//! [`findings`] judges one assistant, [`examine`] everything that was [`Seen`]; both only look. [`AuditAssistants`]
//! sees, judges, and with `fix` repairs what can be repaired without losing anything: an assistant gets our tools, our
//! server and its credential back and keeps its prompt and everything else it has. An assistant is deleted only when it
//! says that it is ours, no row of ours and no phone number points to it, and it cannot be another installation's.

mod findings;
mod ports;

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use jiff::SignedDuration;
use voxanne_kernel::{Claims, Clock, ProviderError, StoreError, ids::OrgId};

use self::findings::stray;
pub use self::{
    findings::{Expected, Fault, Finding, Seen, examine, findings, is_native},
    ports::{
        AssistantInventory, Carried, FleetRecords, Gone, ListedAssistant, NotRebuilt, RebuildLine,
        RecordedLine,
    },
};
use crate::{
    alone::Alone,
    assistant::AssistantKind,
    ensure::claimed_as,
    register::RegisterError,
    retire::{Generations, PresentTools, present, scope_of},
};

/// Why the audit could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The present tools could not be registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of putting things right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fixed {
    /// What was wrong before.
    pub before: Vec<Finding>,
    /// What still is.
    pub after: Vec<Finding>,
}

/// What an audit works with.
#[derive(Clone)]
pub struct AuditParts {
    /// What our database knows of organizations.
    pub records: Arc<dyn FleetRecords>,
    /// What it knows of tools.
    pub generations: Arc<dyn Generations>,
    /// What the provider holds.
    pub inventory: Arc<dyn AssistantInventory>,
    /// Registers tools that are missing.
    pub tools: Arc<dyn PresentTools>,
    /// Makes anew what is gone.
    pub lines: Arc<dyn RebuildLine>,
    /// The right to change an assistant, which whoever saves or links it holds meanwhile.
    pub claims: Arc<dyn Claims>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where messages should go.
    pub server_url: String,
}

/// Audits.
#[derive(Clone)]
pub struct AuditAssistants {
    parts: AuditParts,
    alone: Alone,
}

/// Organizations read at a time.
const PAGE: u16 = 500;
/// An assistant without a row and a kind that is younger than this is perhaps being set up.
const SETTLED: SignedDuration = SignedDuration::from_mins(5);

impl AuditAssistants {
    /// An audit with these parts.
    pub fn new(parts: AuditParts) -> Self {
        Self { alone: Alone::new(parts.claims.clone()), parts }
    }

    /// What is wrong; nothing is changed.
    ///
    /// # Errors
    /// [`AuditError`].
    pub async fn run(&self) -> Result<Vec<Finding>, AuditError> {
        Ok(examine(&self.look().await?))
    }

    /// Puts right what can be put right, and looks again. What one repair fails at does not keep the others from being
    /// made: it shows in what is still wrong.
    ///
    /// # Errors
    /// [`AuditError`] when it could not be looked at.
    pub async fn fix(&self) -> Result<Fixed, AuditError> {
        let seen = self.look().await?;
        let before = examine(&seen);
        if before.is_empty() {
            return Ok(Fixed::default());
        }
        let (tools, lines) = (self.fix_tools(&before).await?, self.fix_lines(&before).await);
        let seen = if tools || lines { self.look().await? } else { seen };
        self.fix_assistants(&seen).await;
        let after = self.run().await?;
        Ok(Fixed { before, after })
    }

    async fn look(&self) -> Result<Seen, AuditError> {
        let before = self.lines().await?;
        let registrations = self.parts.generations.registrations().await?;
        let tools = self.parts.inventory.listed_tools().await?;
        let assistants = self.parts.inventory.listed_assistants().await?;
        let credentials = self.parts.inventory.credential_ids().await?;
        let answering = self.parts.inventory.answering_assistants().await?;
        // What was set up while the provider was asked is neither a stray nor gone.
        let after = self.lines().await?;
        let settled = before.values().flat_map(|line| {
            let still = after.get(&line.org);
            line.assistants.iter().filter_map(move |(kind, id)| {
                let same = still.and_then(|line| line.assistants.get(kind)) == Some(id);
                same.then(|| (line.org, *kind, id.clone()))
            })
        });
        let mut settled: Vec<_> = settled.collect();
        settled.sort();
        let owned = |line: &RecordedLine| {
            let org = line.org;
            line.assistants.iter().map(|(kind, id)| (id.clone(), (org, *kind))).collect::<Vec<_>>()
        };
        Ok(Seen {
            settled,
            assistants,
            credentials,
            answering,
            registered: registrations.iter().map(|known| known.id.clone()).collect(),
            expected: Expected {
                server_url: self.parts.server_url.clone(),
                present: present(&registrations),
                tools: tools.into_iter().map(|tool| (tool.id.clone(), tool)).collect(),
                owners: after.values().flat_map(owned).collect(),
                lines: after,
            },
        })
    }

    async fn lines(&self) -> Result<HashMap<OrgId, RecordedLine>, StoreError> {
        let (mut lines, mut after) = (HashMap::new(), None);
        loop {
            let page = self.parts.records.lines(after, PAGE).await?;
            after = page.last().map(|line| line.org);
            let full = page.len() >= usize::from(PAGE);
            lines.extend(page.into_iter().map(|line| (line.org, line)));
            if !full {
                return Ok(lines);
            }
        }
    }

    /// Mends what all assistants share; tells whether anything was changed.
    async fn fix_tools(&self, found: &[Finding]) -> Result<bool, AuditError> {
        let (mut changed, mut unregistered) = (false, false);
        for finding in found {
            match &finding.fault {
                Fault::RegistrationGone(id) if !self.parts.inventory.has_tool(id).await? => {
                    self.parts.generations.forget(id).await?;
                    unregistered = true;
                }
                Fault::NotRegistered(_) => unregistered = true,
                Fault::ToolHasServer(id) => {
                    tried(id, self.parts.inventory.remove_tool_server(id).await);
                    changed = true;
                }
                _ => {}
            }
        }
        if unregistered {
            self.parts.tools.register().await?;
        }
        Ok(changed || unregistered)
    }

    /// Makes anew what rows of ours point to and is gone; tells whether anything was tried.
    async fn fix_lines(&self, found: &[Finding]) -> bool {
        let mut broken: BTreeMap<OrgId, Gone> = BTreeMap::new();
        for finding in found {
            let Some(org) = finding.org else { continue };
            match finding.fault {
                Fault::AssistantGone(kind) => {
                    broken.entry(org).or_default().assistants.insert(kind);
                }
                Fault::CredentialGone(_) => broken.entry(org).or_default().credential = true,
                _ => {}
            }
        }
        for (org, gone) in &broken {
            tried(&org.to_string(), self.parts.lines.rebuild(*org, gone).await);
        }
        !broken.is_empty()
    }

    async fn fix_assistants(&self, seen: &Seen) {
        let expected = &seen.expected;
        let tool_ids: Vec<String> = expected.present.iter().map(|tool| tool.id.clone()).collect();
        let mut by_assistant: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        let found = examine(seen);
        for finding in &found {
            by_assistant.entry(finding.assistant.as_deref().unwrap_or_default()).or_default().push(finding);
        }
        for assistant in &seen.assistants {
            let Some(found) = by_assistant.get(assistant.id.as_str()) else { continue };
            if found.iter().any(|finding| finding.fault.is_stray()) {
                if self.may_delete(assistant, seen) {
                    tried(&assistant.id, self.delete(assistant, seen).await);
                }
                continue;
            }
            let Some((org, kind)) = expected.owners.get(&assistant.id) else { continue };
            let credential = expected.lines.get(org).and_then(|line| line.credential.clone());
            let carried = Carried { credential, tool_ids: tool_ids.clone() };
            tried(&assistant.id, self.restore(*org, *kind, &assistant.id, &carried).await);
        }
    }

    /// Gives an assistant back what it should carry, while nobody else changes it.
    async fn restore(
        &self,
        org: OrgId,
        kind: AssistantKind,
        id: &str,
        carried: &Carried,
    ) -> Result<(), AuditError> {
        let scope = scope_of(org);
        let Some(claim) = self.alone.claim(&scope, &claimed_as(kind)).await? else {
            tracing::warn!(org_id = %org, %kind, "somebody else is changing the assistant");
            return Ok(());
        };
        let restored = self.parts.inventory.restore_carried(id, carried).await;
        self.alone.release(&scope, claim).await;
        restored?;
        Ok(())
    }

    /// Deletes a stray. One that may be about to be recorded is looked at again while nobody can record it.
    async fn delete(&self, assistant: &ListedAssistant, seen: &Seen) -> Result<(), AuditError> {
        let delete = self.parts.inventory.delete_listed_assistant(&assistant.id);
        let unrecorded = stray(assistant, &seen.expected) == Some(Fault::NotRecorded);
        let (true, Some(org), Some(kind)) = (unrecorded, assistant.org, assistant.kind) else {
            return Ok(delete.await?);
        };
        let scope = scope_of(org);
        let Some(claim) = self.alone.claim(&scope, &claimed_as(kind)).await? else {
            tracing::warn!(org_id = %org, %kind, "somebody else is changing the assistant");
            return Ok(());
        };
        let deleted = match self.lines().await {
            Ok(lines) if lines.get(&org).is_some_and(|line| line.records(&assistant.id)) => Ok(()),
            Ok(_) => delete.await.map_err(AuditError::from),
            Err(error) => Err(error.into()),
        };
        self.alone.release(&scope, claim).await;
        deleted
    }

    /// Whether a stray can be deleted without anybody missing it.
    fn may_delete(&self, assistant: &ListedAssistant, seen: &Seen) -> bool {
        let young = assistant.created_at.is_none_or(|at| self.parts.clock.now().duration_since(at) < SETTLED);
        let unrecorded = stray(assistant, &seen.expected) == Some(Fault::NotRecorded);
        let missed = seen.answering.contains(&assistant.id);
        // Without its kind nobody can be kept from recording it meanwhile.
        let about_to_be_recorded = unrecorded && young && assistant.kind.is_none();
        assistant.is_managed && !missed && !about_to_be_recorded
    }
}

/// Notes what a repair failed at; the look that follows tells what is still wrong.
fn tried<T, E: std::error::Error + 'static>(what: &str, outcome: Result<T, E>) {
    if let Err(error) = outcome {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(what, error, "a repair failed");
    }
}
