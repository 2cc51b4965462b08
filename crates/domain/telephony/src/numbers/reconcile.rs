//! Comparing what the providers hold with what the records say, both ways. Nothing is touched unless somebody says so,
//! and then only what no record knows.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Actor, Clock, E164, Job, OrgScope, ProviderError, StoreError, Timestamp,
    ids::{ManagedNumberId, OrgId},
};

use super::{
    number::{Country, ManagedNumber, NumberState, Progress, Releasing, Wish},
    ports::{AccountRecord, AccountUse, Bought, Carrier, CarrierError},
    release::ReleaseNumber,
};
use crate::ports::LineProvider;

/// What the voice service itself provided less than this ago may not have been written down yet.
const FRESH: SignedDuration = SignedDuration::from_mins(10);

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

/// Where something is that the other side does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// At the carrier.
    Carrier,
    /// At the voice service.
    Voice,
    /// In our records.
    Records,
}

impl Side {
    /// Every side.
    pub const ALL: [Self; 3] = [Self::Carrier, Self::Voice, Self::Records];

    /// The name in metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "twilio",
            Self::Voice => "vapi",
            Self::Records => "database",
        }
    }
}

/// Something that one side has and the other does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stray {
    /// A number in an account of ours.
    CarrierNumber {
        /// The account.
        account: String,
        /// The number.
        bought: Bought,
    },
    /// An account that goes by our name.
    CarrierAccount {
        /// The account.
        account: String,
    },
    /// A number at the voice service that goes by our name.
    VoiceNumber {
        /// The service's id.
        id: String,
        /// The digits.
        number: Option<E164>,
    },
    /// An account at the voice service that goes by our name.
    VoiceAccount {
        /// The service's id.
        id: String,
    },
    /// An assistant that carries our marks.
    VoiceAssistant {
        /// The service's id.
        id: String,
    },
    /// A number that should ring and that the carrier does not have.
    MissingAtCarrier {
        /// The number.
        number: E164,
    },
    /// A number that should ring and that the voice service does not have.
    MissingAtVoice {
        /// The number.
        number: E164,
    },
}

impl Stray {
    /// Where it is.
    pub const fn side(&self) -> Side {
        match self {
            Self::CarrierNumber { .. } | Self::CarrierAccount { .. } => Side::Carrier,
            Self::VoiceNumber { .. } | Self::VoiceAccount { .. } | Self::VoiceAssistant { .. } => Side::Voice,
            Self::MissingAtCarrier { .. } | Self::MissingAtVoice { .. } => Side::Records,
        }
    }

    /// What it is, `snake_case`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CarrierNumber { .. } | Self::VoiceNumber { .. } => "number",
            Self::CarrierAccount { .. } => "account",
            Self::VoiceAccount { .. } => "credential",
            Self::VoiceAssistant { .. } => "assistant",
            Self::MissingAtCarrier { .. } => "missing_at_twilio",
            Self::MissingAtVoice { .. } => "missing_at_vapi",
        }
    }

    /// The provider's id of it, where it has one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::CarrierNumber { bought, .. } => Some(&bought.id),
            Self::CarrierAccount { account } => Some(account),
            Self::VoiceNumber { id, .. } | Self::VoiceAccount { id } | Self::VoiceAssistant { id } => {
                Some(id)
            }
            Self::MissingAtCarrier { .. } | Self::MissingAtVoice { .. } => None,
        }
    }

    /// Its digits, where it has some.
    pub fn number(&self) -> Option<&E164> {
        match self {
            Self::CarrierNumber { bought, .. } => Some(&bought.number),
            Self::VoiceNumber { number, .. } => number.as_ref(),
            Self::MissingAtCarrier { number } | Self::MissingAtVoice { number } => Some(number),
            Self::CarrierAccount { .. } | Self::VoiceAccount { .. } | Self::VoiceAssistant { .. } => None,
        }
    }
}

/// A stray, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub stray: Stray,
    /// Whose it is, by its name.
    pub org: Option<OrgId>,
    /// What was done about it, if anything was to be.
    pub release: Option<Release>,
}

/// What was done about a stray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is gone.
    Done,
    /// It is on record now as being released; the worker goes on until the providers have let go.
    Queued,
    /// It could not be released; another run may.
    Failed,
    /// It is in our records only, which somebody has to look at.
    NotOurs,
}

impl Release {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "released",
            Self::Queued => "releasing",
            Self::Failed => "failed",
            Self::NotOurs => "needs_attention",
        }
    }
}

/// Everything that does not agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Numbers that were looked at: at the carrier, at the voice service, in our records.
    pub compared: [usize; 3],
}

impl Report {
    /// How many strays there are on one side.
    pub fn on(&self, side: Side) -> usize {
        self.findings.iter().filter(|finding| finding.stray.side() == side).count()
    }
}

/// What the records say, over all organizations.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Live managed numbers.
    pub numbers: Vec<(OrgId, ManagedNumber)>,
    /// Managed accounts.
    pub accounts: Vec<(OrgId, AccountRecord)>,
    /// Every id of a number at the voice service that anything refers to.
    pub voice_numbers: HashSet<String>,
    /// Numbers that are being imported and have no id yet.
    pub imports: HashSet<E164>,
    /// Organizations for which the voice service holds an account that they brought.
    pub own_lines: HashSet<OrgId>,
    /// Every id of an assistant.
    pub assistants: HashSet<String>,
    /// Organizations for which an assistant is being made.
    pub expecting_assistants: HashSet<OrgId>,
    /// Every organization.
    pub organizations: HashSet<OrgId>,
}

impl Known {
    fn is_buying(&self, org: OrgId) -> bool {
        self.numbers
            .iter()
            .any(|(owner, number)| *owner == org && matches!(number.state, NumberState::Buying(_)))
    }
}

/// The records, over all organizations.
#[async_trait]
pub trait NumberInventory: Send + Sync {
    /// All that they say.
    async fn known(&self) -> Result<Known, StoreError>;
}

/// Something at the voice service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceThing {
    /// The service's id.
    pub id: String,
    /// The name it was given, or for an assistant the organization that it is marked with.
    pub name: String,
    /// A number's digits.
    pub number: Option<E164>,
    /// When it was made, for what is written down only afterwards.
    pub unrecorded_since: Option<Timestamp>,
}

/// All that the voice service holds.
#[async_trait]
pub trait VoiceInventory: Send + Sync {
    /// Every number.
    async fn every_number(&self) -> Result<Vec<VoiceThing>, ProviderError>;

    /// Every carrier account.
    async fn every_account(&self) -> Result<Vec<VoiceThing>, ProviderError>;

    /// Every assistant that carries our marks.
    async fn every_assistant(&self) -> Result<Vec<VoiceThing>, ProviderError>;

    /// Deletes an assistant; one that is gone counts as deleted.
    async fn delete_stray_assistant(&self, id: &str) -> Result<(), ProviderError>;
}

/// All accounts at the carrier.
#[async_trait]
pub trait CarrierInventory: Send + Sync {
    /// Every open account: the carrier's id, and its name.
    async fn every_account(&self) -> Result<Vec<(String, String)>, CarrierError>;
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
    accounts: Vec<(String, Option<OrgId>)>,
    numbers: Vec<(String, Option<OrgId>, Bought)>,
    voice_numbers: Vec<VoiceThing>,
    voice_accounts: Vec<VoiceThing>,
    assistants: Vec<VoiceThing>,
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
            for finding in &mut findings {
                finding.release = Some(self.release(finding, &held, &known).await);
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
        let inventory = &self.parts.inventory;
        Ok(Held {
            accounts,
            numbers,
            voice_numbers: inventory.every_number().await?,
            voice_accounts: inventory.every_account().await?,
            assistants: inventory.every_assistant().await?,
        })
    }

    async fn release(&self, finding: &Finding, held: &Held, known: &Known) -> Release {
        let done = match &finding.stray {
            Stray::CarrierNumber { account, bought } => match self.scope(finding.org, known) {
                Some(scope) => return self.queue(&scope, of_carrier(account, bought, self.now())).await,
                None => self.parts.carrier.release(account, &bought.id).await.map_err(Into::into),
            },
            Stray::CarrierAccount { account }
                if held.numbers.iter().any(|(holder, ..)| holder == account) =>
            {
                return Release::Failed;
            }
            Stray::CarrierAccount { account } => {
                self.parts.carrier.use_account(account, AccountUse::Closed).await.map_err(Into::into)
            }
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

/// What one side has and the other does not know.
fn strays(held: &Held, known: &Known, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut found = |stray, org| findings.push(Finding { stray, org, release: None });
    let (tags, carrier_ids) = known_at_carrier(known);
    for (account, org, bought) in &held.numbers {
        if !carrier_ids.contains(bought.id.as_str())
            && !tags.contains(&(account.as_str(), bought.tag.as_str()))
        {
            found(Stray::CarrierNumber { account: account.clone(), bought: bought.clone() }, *org);
        }
    }
    let accounts: HashMap<OrgId, &AccountRecord> =
        known.accounts.iter().map(|(org, record)| (*org, record)).collect();
    for (account, org) in &held.accounts {
        let record = org.and_then(|org| accounts.get(&org));
        // A record without an id is of an account that is being opened.
        let is_known =
            record.is_some_and(|record| record.account.as_ref().is_none_or(|known| known == account));
        if !is_known {
            found(Stray::CarrierAccount { account: account.clone() }, *org);
        }
    }
    let is_fresh =
        |thing: &VoiceThing| thing.unrecorded_since.is_some_and(|at| now.duration_since(at) < FRESH);
    for thing in held.voice_numbers.iter().filter(|thing| !is_fresh(thing)) {
        let Some(org) = owner(&thing.name, "org-") else { continue };
        let is_expected = thing.number.as_ref().is_some_and(|number| known.imports.contains(number));
        if !is_expected && !known.voice_numbers.contains(&thing.id) {
            found(Stray::VoiceNumber { id: thing.id.clone(), number: thing.number.clone() }, Some(org));
        }
    }
    for thing in &held.voice_accounts {
        let own = owner(&thing.name, "org-").map(|org| (org, known.own_lines.contains(&org)));
        let managed = owner(&thing.name, "sub-").map(|org| {
            let record = accounts.get(&org);
            // One that is not noted yet is made in the course of a purchase.
            let is_noted = record.is_some_and(|record| match &record.voice_account {
                Some(known) => *known == thing.id,
                None => known.is_buying(org),
            });
            (org, is_noted)
        });
        if let Some((org, false)) = own.or(managed) {
            found(Stray::VoiceAccount { id: thing.id.clone() }, Some(org));
        }
    }
    for thing in &held.assistants {
        let org = thing.name.parse::<OrgId>().ok();
        let is_expected = org.is_some_and(|org| known.expecting_assistants.contains(&org));
        if !is_expected && !known.assistants.contains(&thing.id) {
            found(Stray::VoiceAssistant { id: thing.id.clone() }, org);
        }
    }
    findings.extend(missing(held, known));
    findings
}

/// The tags of live numbers by account, and the carrier's ids.
fn known_at_carrier(known: &Known) -> (HashSet<(&str, &str)>, HashSet<&str>) {
    let unknown_id = known.numbers.iter().filter(|(_, number)| number.state.carrier_id().is_none());
    let tags = unknown_id.map(|(_, number)| (number.account.as_str(), number.tag.as_str())).collect();
    (tags, known.numbers.iter().filter_map(|(_, number)| number.state.carrier_id()).collect())
}

/// Numbers that should ring and cannot.
fn missing(held: &Held, known: &Known) -> Vec<Finding> {
    let at_carrier: HashSet<&str> = held.numbers.iter().map(|(_, _, bought)| bought.id.as_str()).collect();
    let at_voice: HashSet<&str> = held.voice_numbers.iter().map(|thing| thing.id.as_str()).collect();
    let mut findings = Vec::new();
    for (org, record) in &known.numbers {
        let NumberState::Active { carrier_id, voice_id } = &record.state else { continue };
        let number = || record.number.clone();
        let mut found = |stray| findings.push(Finding { stray, org: Some(*org), release: None });
        if !at_carrier.contains(carrier_id.as_str()) {
            found(Stray::MissingAtCarrier { number: number() });
        }
        if !at_voice.contains(voice_id.as_str()) {
            found(Stray::MissingAtVoice { number: number() });
        }
    }
    findings
}

fn owner(name: &str, prefix: &str) -> Option<OrgId> {
    name.strip_prefix(prefix)?.parse().ok()
}

fn of_carrier(account: &str, bought: &Bought, now: Timestamp) -> ManagedNumber {
    let bought_state = NumberState::Buying(Progress::Bought { carrier_id: bought.id.clone() });
    stray(account, &bought.tag, &bought.number, bought_state.releasing(), now)
}

fn of_voice(id: &str, number: &E164, now: Timestamp) -> ManagedNumber {
    // The carrier's side is looked at by itself.
    let releasing = Releasing {
        carrier_id: None,
        voice_id: Some(id.to_owned()),
        voice_released: false,
        carrier_released: true,
    };
    stray("", "stray", number, releasing, now)
}

fn stray(account: &str, tag: &str, number: &E164, releasing: Releasing, now: Timestamp) -> ManagedNumber {
    ManagedNumber {
        id: ManagedNumberId::generate(),
        account: account.to_owned(),
        tag: tag.to_owned(),
        number: number.clone(),
        wish: Wish { country: Country::default(), area_code: None, number: None, allow_fallback: false },
        state: NumberState::Releasing(releasing),
        asked_at: now,
        purchased_at: None,
    }
}
