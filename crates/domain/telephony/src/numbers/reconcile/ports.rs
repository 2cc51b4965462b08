//! What is compared: everything that providers hold, and everything that is recorded.

use std::collections::HashSet;

use async_trait::async_trait;
use voxanne_kernel::{
    E164, ProviderError, StoreError, Timestamp,
    ids::{ManagedNumberId, OrgId},
};

use crate::numbers::{
    number::{ManagedNumber, NumberState},
    ports::{AccountRecord, Bought, CarrierError},
};

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
    pub(super) fn is_buying(&self, org: OrgId) -> bool {
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

    /// The numbers that ring, and texts to which are not known to be brought to an address that begins with `prefix`.
    async fn texting_elsewhere(&self, prefix: &str) -> Result<Vec<(OrgId, ManagedNumberId)>, StoreError>;
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
    /// The carrier's account that a number was imported from.
    pub account: Option<String>,
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

    /// The platform's own account, and every number in it but the one that the platform itself calls and texts from.
    async fn own_numbers(&self) -> Result<(String, Vec<Bought>), CarrierError>;
}
