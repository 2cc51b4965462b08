//! What the audit asks of the provider, of our database, and of whoever sets lines up.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{ProviderError, StoreError, ids::OrgId};

use crate::{assistant::AssistantKind, retire::ToolInventory};

/// An assistant as the provider lists it, as far as the audit looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedAssistant {
    /// The provider's id.
    pub id: String,
    /// Whether its metadata says that we look after it.
    pub is_managed: bool,
    /// The organization that its metadata names.
    pub org: Option<OrgId>,
    /// Which of the two its metadata says it is.
    pub kind: Option<AssistantKind>,
    /// Where its messages go.
    pub server_url: Option<String>,
    /// What signs them.
    pub server_credential: Option<String>,
    /// The credentials it may use; `None`: every one of the account.
    pub credentials: Option<Vec<String>>,
    /// The kinds of the tools that are written into it.
    pub embedded: Vec<String>,
    /// The ids of the tools it links.
    pub tool_ids: Vec<String>,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// What our database knows of an organization's assistants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedLine {
    /// The organization.
    pub org: OrgId,
    /// The provider's id of the credential that signs its messages.
    pub credential: Option<String>,
    /// The provider's ids of its assistants.
    pub assistants: BTreeMap<AssistantKind, String>,
}

impl RecordedLine {
    /// Whether a row of ours points to the assistant `id`.
    pub fn records(&self, id: &str) -> bool {
        self.assistants.values().any(|recorded| recorded == id)
    }
}

/// What an assistant should carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The credential that signs its messages, the only one it may use; `None` leaves what it has.
    pub credential: Option<String>,
    /// The ids of its tools, all of them.
    pub tool_ids: Vec<String>,
}

/// The assistants and what they depend on, as the provider holds them. Reads may be repeated inside.
#[async_trait]
pub trait AssistantInventory: ToolInventory {
    /// Every assistant, oldest first.
    async fn listed_assistants(&self) -> Result<Vec<ListedAssistant>, ProviderError>;

    /// The ids of every stored credential.
    async fn credential_ids(&self) -> Result<HashSet<String>, ProviderError>;

    /// The ids of the assistants that phone numbers are bound to.
    async fn answering_assistants(&self) -> Result<HashSet<String>, ProviderError>;

    /// Makes the assistant carry exactly these tools, send its messages to us, and use this credential only; keeps its
    /// prompt and everything else. `false` when it is gone.
    async fn restore_carried(&self, id: &str, carried: &Carried) -> Result<bool, ProviderError>;

    /// Takes a tool's own server away; `false` when the tool is gone.
    async fn remove_tool_server(&self, id: &str) -> Result<bool, ProviderError>;

    /// Deletes an assistant; one that is gone already is fine.
    async fn delete_listed_assistant(&self, id: &str) -> Result<(), ProviderError>;
}

/// What our database knows, across organizations.
#[async_trait]
pub trait FleetRecords: Send + Sync {
    /// Up to `limit` organizations beyond `after`, ascending, those without assistants too.
    async fn lines(&self, after: Option<OrgId>, limit: u16) -> Result<Vec<RecordedLine>, StoreError>;
}

/// An organization's line could not be made whole.
#[derive(Debug, thiserror::Error)]
#[error("the organization's line could not be set up again")]
pub struct NotRebuilt(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// What of an organization's line our rows point to and the provider does not have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Gone {
    /// Whether the signing credential is.
    pub credential: bool,
    /// Which assistants are.
    pub assistants: BTreeSet<AssistantKind>,
}

/// Whoever sets lines up.
#[async_trait]
pub trait RebuildLine: Send + Sync {
    /// Makes anew what is gone; what is there stays.
    async fn rebuild(&self, org: OrgId, gone: &Gone) -> Result<(), NotRebuilt>;
}
