//! Tool sync: every tool registered, every assistant of an organization carrying all of them.
//!
//! It never delays a save and can be run at any time: it looks at what is there and changes what differs. Besides the
//! tools it puts right where an assistant sends its messages and what it signs them with, for instance after our
//! address changed.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::join;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Job, NewJob, OrgScope, ProviderError, StoreError, ids::OrgId};

use crate::{
    assistant::AssistantKind,
    ensure::{EnsureAssistant, EnsureError},
    register::{KnownTools, RegisterError, RegisterTools},
    relink::Relinked,
    states,
};

/// How often it is tried again: after 2, 4 and 8 seconds.
const RETRIES: u8 = 3;
/// The pause while somebody else is at it.
const BUSY: SignedDuration = SignedDuration::from_secs(1);
/// The longest a provider is waited for, whatever it asks.
const LONGEST: Duration = Duration::from_hours(1);

/// The job that syncs the tools of an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTools {
    /// Whose.
    pub org_id: OrgId,
    /// How often it was tried before.
    #[serde(default)]
    pub retry: u8,
    /// Whether to look first if the registered tools are still there, as when a person asks.
    #[serde(default)]
    pub looks: bool,
}

impl Job for SyncTools {
    const TASK: &'static str = "sync_tools";
}

impl SyncTools {
    /// The job as it is recorded: one at a time per organization, and one waiting is enough.
    pub fn job(org: OrgId) -> NewJob {
        Self { org_id: org, retry: 0, looks: false }.recorded()
    }

    /// The same, looking first if the registered tools are still there.
    pub fn looking(org: OrgId) -> NewJob {
        Self { org_id: org, retry: 0, looks: true }.recorded()
    }

    fn recorded(self) -> NewJob {
        NewJob::of(&self).in_queue(Self::TASK).keyed(Self::TASK)
    }

    /// The next attempt after `error`; `None` when another one is no use.
    fn after(self, error: &EnsureError, now: Timestamp) -> Option<NewJob> {
        let (wait, retry) = match error {
            EnsureError::Busy => (BUSY, self.retry),
            EnsureError::Provider(error) if error.is_worth_retrying() && self.retry < RETRIES => {
                let ours = Duration::from_secs(2 << self.retry);
                let theirs = match error {
                    ProviderError::RetryLater { after: Some(after), .. } => (*after).min(LONGEST),
                    _ => Duration::ZERO,
                };
                (SignedDuration::try_from(ours.max(theirs)).unwrap_or(BUSY), self.retry + 1)
            }
            _ => return None,
        };
        let at = now.checked_add(wait).unwrap_or(now);
        Some(Self { retry, ..self }.recorded().not_before(at))
    }
}

/// What came of a job.
#[derive(Debug)]
pub enum Synced {
    /// Every assistant carries every tool.
    Done,
    /// It failed and is tried again.
    Again(EnsureError),
    /// It failed, which the tools' state tells; asking again is up to the organization.
    GivenUp(EnsureError),
}

impl Synced {
    /// A short name for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Done => "ok",
            Self::Again(EnsureError::Busy) => "busy",
            Self::Again(_) => "retry",
            Self::GivenUp(_) => "failed",
        }
    }
}

/// Whoever notices that a registered tool is gone at the provider.
#[async_trait]
pub trait LostTools: Send + Sync {
    /// Forgets the registrations whose tool is gone; how many there were.
    async fn forget_lost(&self) -> Result<usize, RegisterError>;
}

/// Registers tools and links them.
#[derive(Clone)]
pub struct LinkTools {
    register: RegisterTools,
    ensure: EnsureAssistant,
    lost: Option<Arc<dyn LostTools>>,
}

/// What went wrong on the way, which does not keep the rest from being done.
struct Troubles {
    registering: Option<EnsureError>,
    linking: Vec<EnsureError>,
}

impl Troubles {
    /// Why tools could not be registered, for the organization to read.
    fn not_registered(&self) -> Option<&'static str> {
        match &self.registering {
            Some(EnsureError::Provider(error)) => Some(states::told(error)),
            _ => None,
        }
    }

    fn has_refusal(&self) -> bool {
        self.linking.iter().any(|error| matches!(error, EnsureError::Provider(ProviderError::Refused(_))))
    }

    /// The one that decides what happens next: one that may pass before one that will not.
    fn worst(self) -> Option<EnsureError> {
        let mut all: Vec<EnsureError> = self.registering.into_iter().chain(self.linking).collect();
        let passing = all.iter().position(EnsureError::is_worth_retrying);
        if all.is_empty() { None } else { Some(all.swap_remove(passing.unwrap_or(0))) }
    }
}

impl LinkTools {
    /// Registers with `register` and links with `ensure`.
    pub fn new(register: RegisterTools, ensure: EnsureAssistant) -> Self {
        Self { register, ensure, lost: None }
    }

    /// Has `lost` look for tools that are gone, where somebody asks for it or the provider refuses one.
    #[must_use]
    pub fn noticing(mut self, lost: Arc<dyn LostTools>) -> Self {
        self.lost = Some(lost);
        self
    }

    /// Does it once, now.
    ///
    /// # Errors
    /// What failed; the state of the tools tells it too, and doing it again is safe.
    pub async fn run(&self, scope: &OrgScope) -> Result<(), EnsureError> {
        let (tools, troubles) = self.link_noticing(scope, false).await?;
        self.write_down(scope, &tools, troubles.not_registered(), None).await?;
        troubles.worst().map_or(Ok(()), Err)
    }

    /// Does it as `job`; where another attempt may help, that attempt is recorded together with the state.
    ///
    /// # Errors
    /// When the store fails: then the same job has to be run again.
    pub async fn work(&self, scope: &OrgScope, job: SyncTools) -> Result<Synced, StoreError> {
        let (tools, troubles) = self.link_noticing(scope, job.looks).await?;
        let (not_registered, worst) = (troubles.not_registered(), troubles.worst());
        let next = worst.as_ref().and_then(|error| job.after(error, self.ensure.clock.now()));
        let again = next.is_some();
        self.write_down(scope, &tools, not_registered, next).await?;
        Ok(match worst {
            None => Synced::Done,
            Some(error) if again => Synced::Again(error),
            Some(error) => Synced::GivenUp(error),
        })
    }

    /// Registers and links; where the provider refuses a link, once more without the tools that turn out to be gone.
    async fn link_noticing(
        &self,
        scope: &OrgScope,
        looks: bool,
    ) -> Result<(KnownTools, Troubles), StoreError> {
        if looks {
            self.forget_lost().await?;
        }
        let linked = self.link(scope).await?;
        if !looks && linked.1.has_refusal() && self.forget_lost().await? > 0 {
            return self.link(scope).await;
        }
        Ok(linked)
    }

    /// How many registrations had to be forgotten. What cannot be seen now is seen by the next.
    async fn forget_lost(&self) -> Result<usize, StoreError> {
        let Some(lost) = &self.lost else { return Ok(0) };
        match lost.forget_lost().await {
            Ok(count) => Ok(count),
            Err(RegisterError::Store(error)) => Err(error),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "it could not be seen which tools are still there");
                Ok(0)
            }
        }
    }

    /// Registers what is missing and links what is registered. One trouble does not keep the rest from being done.
    async fn link(&self, scope: &OrgScope) -> Result<(KnownTools, Troubles), StoreError> {
        let registering = match self.register.run().await {
            Ok(_) => None,
            Err(RegisterError::Busy) => Some(EnsureError::Busy),
            Err(RegisterError::Provider(error)) => Some(EnsureError::Provider(error)),
            Err(RegisterError::Store(error)) => return Err(error),
        };
        let tools = self.register.known().await?;
        if matches!(registering, Some(EnsureError::Busy)) {
            // In a moment there will be more to link.
            return Ok((tools, Troubles { registering, linking: Vec::new() }));
        }
        let [inbound, outbound] = AssistantKind::ALL.map(|kind| self.ensure.relink(scope, kind, &tools));
        let mut linking = Vec::new();
        for (kind, linked) in
            AssistantKind::ALL.into_iter().zip(<[_; 2]>::from(join(inbound, outbound).await))
        {
            match linked {
                Ok(Relinked::Linked | Relinked::Absent) => {}
                Ok(Relinked::Deleted) => {
                    tracing::warn!(org_id = %scope.org(), %kind, "an assistant was deleted at the provider");
                }
                Err(EnsureError::Store(error)) => return Err(error),
                Err(error) => linking.push(error),
            }
        }
        Ok((tools, Troubles { registering, linking }))
    }

    /// Stores how far the tools are, and the next attempt if there is to be one.
    async fn write_down(
        &self,
        scope: &OrgScope,
        tools: &KnownTools,
        not_registered: Option<&'static str>,
        next: Option<NewJob>,
    ) -> Result<(), StoreError> {
        let mut tx = self.ensure.store.begin(scope).await?;
        let rows = states::after(&tx.assistants().await?, tools, &tx.tools().await?, not_registered);
        tx.put_tools(&rows).await?;
        if let Some(next) = next {
            tx.enqueue(next).await?;
        }
        tx.commit().await
    }
}
