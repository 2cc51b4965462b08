//! Generations of tools: a changed definition is a new tool beside the old one, until nothing needs the old one.
//!
//! [`RetireTools`] notices registrations whose tool somebody deleted at the provider, sends every organization that
//! carries anything but the present tools to be linked again, and deletes what was superseded once no assistant links
//! it and no call that may still use it is under way. A tool without our mark is never touched.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Actor, Begin, Clock, Commit, Job, NewJob, OrgScope, Outbox, ProviderError, StoreError, ids::OrgId,
};

use crate::{
    definition::definitions,
    ports::RegisteredTool,
    register::{RegisterError, RegisterTools},
    sync::LostTools,
};

/// The job that looks after generations; a platform's job, on a schedule and whenever a worker starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RetireToolsJob {}

impl Job for RetireToolsJob {
    const TASK: &'static str = "retire_tools";
    const MAX_ATTEMPTS: i16 = 5;
}

/// A tool as the provider lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTool {
    /// The provider's id.
    pub id: String,
    /// The provider's word for what it is; ours are `function`.
    pub kind: String,
    /// The function's name.
    pub name: String,
    /// The short hash of the definition it was registered with, when it carries our mark.
    pub mark: Option<String>,
    /// Whether calls of it go to an address of its own instead of the assistant's.
    pub has_server: bool,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// A tool that our database knows to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// The tool's name; of a generation long past it may be none of today's.
    pub name: String,
    /// The definition's hash, in hexadecimal.
    pub hash: String,
    /// The provider's id.
    pub id: String,
    /// Since when.
    pub at: Timestamp,
}

/// The tools that the provider holds. Reads may be repeated inside.
#[async_trait]
pub trait ToolInventory: Send + Sync {
    /// Every tool, oldest first.
    async fn listed_tools(&self) -> Result<Vec<ListedTool>, ProviderError>;

    /// Whether the tool `id` is there.
    async fn has_tool(&self, id: &str) -> Result<bool, ProviderError>;

    /// The ids of the tools that any assistant links, ours or not.
    async fn linked_tools(&self) -> Result<HashSet<String>, ProviderError>;

    /// Deletes a tool; one that is gone already is fine.
    async fn delete_tool(&self, id: &str) -> Result<(), ProviderError>;
}

/// Whoever sees to it that the present tools are registered.
#[async_trait]
pub trait PresentTools: Send + Sync {
    /// Registers what is missing; every present tool.
    async fn register(&self) -> Result<Vec<RegisteredTool>, RegisterError>;
}

#[async_trait]
impl PresentTools for RegisterTools {
    async fn register(&self) -> Result<Vec<RegisteredTool>, RegisterError> {
        self.run().await
    }
}

/// What our database knows of generations, for everybody.
#[async_trait]
pub trait Generations: Send + Sync {
    /// Every completed registration.
    async fn registrations(&self) -> Result<Vec<Generation>, StoreError>;

    /// Forgets the registration of the tool `id`, if there is one.
    async fn forget(&self, id: &str) -> Result<(), StoreError>;

    /// Up to `limit` organizations beyond `after`, ascending, that have an assistant and are not known to carry all
    /// of `tools`; with `all`, those that carry them too.
    async fn to_link(
        &self,
        tools: &[RegisteredTool],
        all: bool,
        after: Option<OrgId>,
        limit: u16,
    ) -> Result<Vec<OrgId>, StoreError>;

    /// Whether an organization with an assistant is still recorded as carrying the tool `id`, or a call is under way
    /// that began before its organization was given another tool of that `name`.
    async fn may_be_used(&self, id: &str, name: &str) -> Result<bool, StoreError>;
}

/// What sending an organization to be linked again may touch.
pub trait RelinkTx: Outbox + Commit {}
impl<T: Outbox + Commit> RelinkTx for T {}

/// The job that links an organization's assistants to the present tools.
pub type RelinkJob = Arc<dyn Fn(OrgId) -> NewJob + Send + Sync>;

/// Why generations could not be looked after. Doing it again continues where this stopped.
#[derive(Debug, thiserror::Error)]
pub enum RetireError {
    /// The present tools are not all registered.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// The provider failed.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retired {
    /// Registrations whose tool was gone at the provider; they were made anew.
    pub lost: usize,
    /// Organizations sent to be linked again.
    pub relinking: usize,
    /// Superseded tools that were deleted.
    pub deleted: usize,
    /// Superseded tools that something may still need.
    pub kept: usize,
}

/// Looks after generations of tools.
#[derive(Clone)]
pub struct RetireTools {
    generations: Arc<dyn Generations>,
    inventory: Arc<dyn ToolInventory>,
    register: Arc<dyn PresentTools>,
    outbox: Arc<dyn Begin<dyn RelinkTx>>,
    relink: RelinkJob,
    clock: Arc<dyn Clock>,
}

/// Organizations read at a time.
const PAGE: u16 = 200;
/// A generation that is not older than ours may be a newer program's, which links it in a moment. After so long it is
/// what a program left that was taken back.
const STALE: SignedDuration = SignedDuration::from_hours(24);

impl RetireTools {
    /// Registers with `register`; organizations are linked by the jobs that `relink` makes.
    pub fn new(
        generations: Arc<dyn Generations>,
        inventory: Arc<dyn ToolInventory>,
        register: Arc<dyn PresentTools>,
        outbox: Arc<dyn Begin<dyn RelinkTx>>,
        relink: RelinkJob,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { generations, inventory, register, outbox, relink, clock }
    }

    /// Does all of it.
    ///
    /// # Errors
    /// [`RetireError`]; what was done before the failure stays done.
    pub async fn run(&self) -> Result<Retired, RetireError> {
        // Before the first assistant is made there is nothing to look after, and nothing to ask the provider for.
        if self.generations.registrations().await?.is_empty()
            && self.generations.to_link(&[], true, None, 1).await?.is_empty()
        {
            return Ok(Retired::default());
        }
        let (lost, tools) = self.renew().await?;
        let relinking = self.relink(&tools).await?;
        let (deleted, kept) = self.clean_up(&tools).await?;
        Ok(Retired { lost, relinking, deleted, kept })
    }

    /// Makes sure that every present tool is registered and really there; how many were gone, and the tools.
    ///
    /// # Errors
    /// [`RetireError`].
    pub async fn renew(&self) -> Result<(usize, Vec<RegisteredTool>), RetireError> {
        Ok((self.forget_gone().await?, self.register.register().await?))
    }

    /// Forgets the registrations whose tool is gone at the provider; how many there were.
    async fn forget_gone(&self) -> Result<usize, RegisterError> {
        // In this order: what is registered now was at the provider before the list of what it has is asked for.
        let registrations = self.generations.registrations().await?;
        let listed: HashSet<String> =
            self.inventory.listed_tools().await?.into_iter().map(|tool| tool.id).collect();
        let mut lost = 0;
        for registration in registrations.iter().filter(|known| !listed.contains(&known.id)) {
            // A list may be incomplete; the tool itself is asked for before anybody is linked to another one.
            if !self.inventory.has_tool(&registration.id).await? {
                tracing::warn!(
                    tool = registration.name,
                    tool_id = registration.id,
                    "a tool is gone at the provider"
                );
                self.generations.forget(&registration.id).await?;
                lost += 1;
            }
        }
        Ok(lost)
    }

    /// Sends every organization that does not carry `tools` to be linked.
    async fn relink(&self, tools: &[RegisteredTool]) -> Result<usize, RetireError> {
        let (mut after, mut sent) = (None, 0);
        loop {
            let page = self.generations.to_link(tools, false, after, PAGE).await?;
            for org in &page {
                let mut tx = self.outbox.begin(&scope_of(*org)).await?;
                tx.enqueue((self.relink)(*org)).await?;
                tx.commit().await?;
                sent += 1;
            }
            after = page.last().copied();
            if page.len() < usize::from(PAGE) {
                return Ok(sent);
            }
        }
    }

    /// Deletes what was superseded and nothing needs; how many were deleted and kept.
    ///
    /// # Errors
    /// [`RetireError`].
    pub async fn clean_up(&self, tools: &[RegisteredTool]) -> Result<(usize, usize), RetireError> {
        let registrations = self.generations.registrations().await?;
        let now = self.clock.now();
        let listed = self.inventory.listed_tools().await?;
        let superseded: Vec<_> =
            listed.iter().filter(|tool| is_superseded(tool, tools, &registrations, now)).collect();
        if superseded.is_empty() {
            return Ok((0, 0));
        }
        let linked = self.inventory.linked_tools().await?;
        let (mut deleted, mut kept) = (0, 0);
        for tool in superseded {
            if linked.contains(&tool.id) || self.generations.may_be_used(&tool.id, &tool.name).await? {
                kept += 1;
                continue;
            }
            match self.inventory.delete_tool(&tool.id).await {
                Ok(()) => {
                    self.generations.forget(&tool.id).await?;
                    tracing::info!(tool = tool.name, tool_id = tool.id, "a superseded tool was deleted");
                    deleted += 1;
                }
                // Such as one that somebody pinned: the others need not wait for it.
                Err(error @ ProviderError::Refused(_)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(tool_id = tool.id, error, "a superseded tool could not be deleted");
                    kept += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok((deleted, kept))
    }
}

#[async_trait]
impl LostTools for RetireTools {
    async fn forget_lost(&self) -> Result<usize, RegisterError> {
        self.forget_gone().await
    }
}

/// Whether `tool` is ours and another one took its place. A second registration of a present definition counts: the
/// one in our database stays.
fn is_superseded(
    tool: &ListedTool,
    present: &[RegisteredTool],
    registrations: &[Generation],
    now: Timestamp,
) -> bool {
    let Some(mark) = &tool.mark else { return false };
    if present.iter().any(|ours| ours.id == tool.id) {
        return false;
    }
    let Some(created) = tool.created_at else { return false };
    let stale = now.duration_since(created) > STALE;
    let Some(ours) = present.iter().find(|ours| ours.name.as_str() == tool.name) else { return stale };
    let since = registrations.iter().find(|known| known.id == ours.id).map(|known| known.at);
    *mark == ours.hash.short() || stale || since.is_some_and(|since| created < since)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the organization comes from our own rows, and the job is the platform's"
)]
pub(crate) fn scope_of(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::System)
}

/// Which of the present definitions our database knows to be registered; the others' names are missing in it.
pub fn present(registrations: &[Generation]) -> Vec<RegisteredTool> {
    let registered = |definition: crate::ToolDefinition| {
        let hash = definition.hash();
        let known = registrations
            .iter()
            .find(|known| known.name == definition.name.as_str() && known.hash == hash.to_string())?;
        Some(RegisteredTool { name: definition.name, hash, id: known.id.clone() })
    };
    definitions().into_iter().filter_map(registered).collect()
}
