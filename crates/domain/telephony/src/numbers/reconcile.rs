//! Comparing what the providers hold with what the records say, both ways. Nothing is touched unless somebody says so,
//! and then only what no record knows.

mod compare;
mod finding;
mod ports;

use std::{collections::HashSet, sync::Arc};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{Actor, Clock, Job, OrgScope, ProviderError, StoreError, Timestamp, ids::OrgId};

use self::compare::{of_carrier, of_voice, strays};
pub use self::{
    finding::{Finding, Release, Report, Side, Stray},
    ports::{CarrierInventory, Known, NumberInventory, VoiceInventory, VoiceThing},
};
use super::{
    number::{ManagedNumber, is_tag_of_ours},
    ports::{AccountUse, Bought, Carrier, CarrierError},
    release::ReleaseNumber,
};
use crate::ports::LineProvider;

/// The daily job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReconcileNumbers {
    /// The time it is run as if it were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for ReconcileNumbers {
    const TASK: &'static str = "reconcile_numbers";
    const MAX_ATTEMPTS: i16 = 5;
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The carrier failed.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    /// The voice service failed.
    #[error(transparent)]
    Voice(#[from] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What comparing works with.
#[derive(Clone)]
pub struct ReconcileParts {
    /// The records.
    pub records: Arc<dyn NumberInventory>,
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// Its accounts.
    pub accounts: Arc<dyn CarrierInventory>,
    /// The voice service.
    pub voice: Arc<dyn LineProvider>,
    /// All it holds.
    pub inventory: Arc<dyn VoiceInventory>,
    /// Releases numbers.
    pub release: ReleaseNumber,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Compares, and releases strays if told to.
#[derive(Clone)]
pub struct Reconcile {
    parts: ReconcileParts,
}

/// What the providers hold, taken before the records are read: what is made meanwhile is on record then.
struct Held {
    /// The accounts that were opened for organizations.
    accounts: Vec<(String, Option<OrgId>)>,
    /// What is in those, and what carries our tag in the platform's own account.
    numbers: Vec<(String, Option<OrgId>, Bought)>,
    voice_numbers: Vec<VoiceThing>,
    voice_accounts: Vec<VoiceThing>,
    assistants: Vec<VoiceThing>,
}

/// Strays that are being released: what is still there while it goes on.
struct Releasing {
    /// Numbers by account, without those that are gone.
    numbers: Vec<(String, String)>,
    /// Of those, the ones that the worker goes on with.
    queued: HashSet<String>,
}

impl Releasing {
    fn of(held: &Held) -> Self {
        let numbers = held.numbers.iter().map(|(account, _, bought)| (account.clone(), bought.id.clone()));
        Self { numbers: numbers.collect(), queued: HashSet::new() }
    }

    /// What became of a stray.
    fn note(&mut self, stray: &Stray, became: Release) {
        let Stray::CarrierNumber { bought, .. } = stray else { return };
        match became {
            Release::Done => self.numbers.retain(|(_, id)| *id != bought.id),
            Release::Queued => drop(self.queued.insert(bought.id.clone())),
            Release::Failed | Release::NotOurs => {}
        }
    }

    /// Why an account cannot be closed yet; `None` when nothing is in it any more.
    fn hinders(&self, account: &str) -> Option<Release> {
        let mut left = self.numbers.iter().filter(|(holder, _)| holder == account).peekable();
        left.peek()?;
        let is_going = left.all(|(_, id)| self.queued.contains(id));
        Some(if is_going { Release::Queued } else { Release::Failed })
    }
}

impl Reconcile {
    /// Works with `parts`.
    pub fn new(parts: ReconcileParts) -> Self {
        Self { parts }
    }

    /// Compares. With `release` strays at the providers are released: a number becomes a record that is being released
    /// first, so that nothing is forgotten on the way.
    ///
    /// # Errors
    /// [`ReconcileError`] when a side cannot be read; nothing was released then.
    pub async fn run(&self, release: bool) -> Result<Report, ReconcileError> {
        let held = self.held().await?;
        let known = self.parts.records.known().await?;
        let mut findings = strays(&held, &known, self.parts.clock.now());
        if release {
            // An account is closed only when the numbers in it are gone: those are before it in the list.
            let mut releasing = Releasing::of(&held);
            for finding in &mut findings {
                let became = self.release(finding, &releasing, &known).await;
                releasing.note(&finding.stray, became);
                finding.release = Some(became);
            }
        }
        let compared = [held.numbers.len(), held.voice_numbers.len(), known.numbers.len()];
        Ok(Report { findings, compared })
    }

    async fn held(&self) -> Result<Held, ReconcileError> {
        let mut accounts = Vec::new();
        for (account, name) in self.parts.accounts.every_account().await? {
            if let Some(id) = name.strip_prefix("voxanne-org:") {
                accounts.push((account, id.parse::<OrgId>().ok()));
            }
        }
        let mut numbers = Vec::new();
        for (account, org) in &accounts {
            let bought = self.parts.carrier.numbers_of(account).await?;
            numbers.extend(bought.into_iter().map(|bought| (account.clone(), *org, bought)));
        }
        let (own, bought) = self.parts.accounts.own_numbers().await?;
        let tagged = bought.into_iter().filter(|bought| is_tag_of_ours(&bought.tag));
        numbers.extend(tagged.map(|bought| (own.clone(), None, bought)));
        let inventory = &self.parts.inventory;
        Ok(Held {
            accounts,
            numbers,
            voice_numbers: inventory.every_number().await?,
            voice_accounts: inventory.every_account().await?,
            assistants: inventory.every_assistant().await?,
        })
    }

    async fn release(&self, finding: &Finding, releasing: &Releasing, known: &Known) -> Release {
        let done = match &finding.stray {
            Stray::CarrierNumber { account, bought } => match self.scope(finding.org, known) {
                Some(scope) => return self.queue(&scope, of_carrier(account, bought, self.now())).await,
                None => self.parts.carrier.release(account, &bought.id).await.map_err(Into::into),
            },
            Stray::CarrierAccount { account } => match releasing.hinders(account) {
                Some(hindered) => return hindered,
                None => self.parts.carrier.use_account(account, AccountUse::Closed).await.map_err(Into::into),
            },
            Stray::VoiceNumber { id, number } => {
                if let (Some(scope), Some(number)) = (self.scope(finding.org, known), number)
                    && self.queue(&scope, of_voice(id, number, self.now())).await == Release::Queued
                {
                    return Release::Queued;
                }
                self.parts.voice.delete_number(id).await.map_err(ReconcileError::from)
            }
            Stray::VoiceAccount { id } => self.parts.voice.delete_account(id).await.map_err(Into::into),
            Stray::VoiceAssistant { id } => {
                self.parts.inventory.delete_stray_assistant(id).await.map_err(Into::into)
            }
            Stray::MissingAtCarrier { .. } | Stray::MissingAtVoice { .. } => return Release::NotOurs,
        };
        match done {
            Ok(()) => Release::Done,
            Err(error) => {
                let chain = &error as &dyn std::error::Error;
                tracing::warn!(kind = finding.stray.kind(), error = chain, "a stray was not released");
                Release::Failed
            }
        }
    }

    async fn queue(&self, scope: &OrgScope, stray: ManagedNumber) -> Release {
        match self.parts.release.adopt_stray(scope, stray).await {
            Ok(true) => Release::Queued,
            // Another record has the same digits: whatever becomes of it decides about these as well.
            Ok(false) => Release::Failed,
            Err(error) => {
                let chain = &error as &dyn std::error::Error;
                tracing::warn!(org_id = %scope.org(), error = chain, "a stray was not put on record");
                Release::Failed
            }
        }
    }

    fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the organization is the one that the provider's object is marked with, and it exists"
    )]
    #[expect(clippy::unused_self, reason = "it belongs to releasing")]
    fn scope(&self, org: Option<OrgId>, known: &Known) -> Option<OrgScope> {
        let org = org.filter(|org| known.organizations.contains(org))?;
        Some(OrgScope::vouch(org, Actor::System))
    }
}
