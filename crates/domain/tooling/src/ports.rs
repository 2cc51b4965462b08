//! What assistants and tools need from the voice provider and from a store.

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use voxanne_kernel::{
    Audit, Commit, E164, ExtendClaim, NewJob, OrgScope, Outbox, ProviderError, StoreError, Timestamp,
    ids::{AssistantId, OrgId},
};

use crate::{
    assistant::{AssistantBlueprint, AssistantKind},
    definition::{DefinitionHash, ToolDefinition},
    name::ToolName,
    settings::AssistantSettings,
};

/// A tool as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedTool {
    /// The provider's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The short hash of the definition it was registered with, when it is one of ours.
    pub definition: Option<String>,
}

/// The service that runs the assistants. Reads may be repeated inside; a request that creates something never is.
#[async_trait]
pub trait VoiceProvider: Send + Sync {
    /// Every tool registered there, oldest first.
    async fn tools(&self) -> Result<Vec<HostedTool>, ProviderError>;

    /// Registers a tool and returns its id. Asking twice registers two.
    async fn register_tool(&self, definition: &ToolDefinition) -> Result<String, ProviderError>;

    /// The id of the oldest assistant that says it is this organization's of this kind, if there is one.
    async fn find_assistant(&self, org: OrgId, kind: AssistantKind) -> Result<Option<String>, ProviderError>;

    /// Creates an assistant and returns its id. Asking twice creates two.
    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError>;

    /// Makes the assistant `id` what the blueprint says, keeping whatever else it has, tools that somebody added
    /// included. `false` when it was deleted. Doing it again changes nothing.
    async fn update_assistant(&self, id: &str, blueprint: &AssistantBlueprint)
    -> Result<bool, ProviderError>;

    /// Makes the assistant `id` carry the blueprint's server, credential and tools, keeping everything else it has: the
    /// settings are left alone. `false` when it was deleted. Doing it again changes nothing.
    async fn connect_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError>;

    /// Takes the assistant `id` off every number whose calls it answers. Doing it again changes nothing.
    async fn release_numbers(&self, id: &str) -> Result<(), ProviderError>;

    /// Deletes the assistant `id`; one that is gone already is as good.
    async fn delete_assistant(&self, id: &str) -> Result<(), ProviderError>;
}

/// Where the voice provider keeps what it signs messages with: one credential per organization.
#[async_trait]
pub trait SigningProvider: Send + Sync {
    /// The oldest signing credential of this name.
    async fn find_credential(&self, name: &str) -> Result<Option<String>, ProviderError>;

    /// Creates a signing credential and returns its id. Asking twice creates two.
    async fn create_credential(&self, name: &str, secret: &SecretString) -> Result<String, ProviderError>;

    /// Replaces a credential's secret; `false` when it was deleted.
    async fn update_credential(
        &self,
        id: &str,
        name: &str,
        secret: &SecretString,
    ) -> Result<bool, ProviderError>;

    /// Deletes a credential; one that is gone is as good as deleted.
    async fn delete_credential(&self, id: &str) -> Result<(), ProviderError>;
}

/// Why an organization's secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The stored secret cannot be read: a wrong key or a hand in the database.
    #[error("a stored secret cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The secret that the organization's messages are signed with, kept by a neighbour.
#[async_trait]
pub trait SigningSecrets: Send + Sync {
    /// The current one, `None` when the organization has none.
    async fn current(&self, scope: &OrgScope) -> Result<Option<SecretString>, SecretError>;
}

/// Names the job that makes an organization's numbers ring at its inbound assistant when that is another one than
/// before; a neighbour's work.
pub trait AfterCreation: Send + Sync {
    /// The job for `org`, which may have no number at all.
    fn bind_numbers(&self, org: OrgId) -> NewJob;
}

/// A registration of one of our tools.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredTool {
    /// Which tool.
    pub name: ToolName,
    /// With which definition.
    pub hash: DefinitionHash,
    /// The provider's id.
    pub id: String,
}

/// What came of asking for the right to register a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is registered already, under this id.
    Registered(String),
    /// It is yours to register for as long as the claim lasts; say when it is done or given up.
    Yours(ClaimToken),
    /// Somebody else is at it.
    Taken,
}

/// Proof of a claim: whoever lost it to the clock cannot complete it over its new holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimToken(pub uuid::Uuid);

/// Which tools are registered, for everybody: tools belong to no organization.
#[async_trait]
pub trait ToolRegistrations: Send + Sync {
    /// Every registration that was completed and not removed since, of definitions old and new.
    async fn registered(&self) -> Result<Vec<Registration>, StoreError>;

    /// Asks for the right to register `name` with `hash`. A claim lasts for some seconds, longer than a request to the
    /// provider, so that one who died does not keep it for ever.
    async fn claim(&self, name: ToolName, hash: &DefinitionHash) -> Result<Claim, StoreError>;

    /// Records that the claimed tool is registered as `id`; `false` when the claim was lost meanwhile.
    async fn complete(&self, claim: ClaimToken, id: &str) -> Result<bool, StoreError>;

    /// Gives the claim up once `rest` is over, so that the next one need not wait longer.
    async fn give_up(&self, claim: ClaimToken, rest: Duration) -> Result<(), StoreError>;
}

/// A registration as it is stored: its tool and definition may be none of today's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The tool's name.
    pub name: String,
    /// The definition's hash.
    pub hash: String,
    /// The provider's id.
    pub id: String,
}

/// Our row of an assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantRecord {
    /// Ours.
    pub id: AssistantId,
    /// Which of the two.
    pub kind: AssistantKind,
    /// The provider's id; `None` until the provider has made it.
    pub provider_id: Option<String>,
    /// What the organization decided, as the provider has it; while a creation is under way, as it shall have it.
    pub settings: AssistantSettings,
    /// Since when a creation is under way whose outcome nobody wrote down: the provider may hold an assistant that
    /// this row does not know of.
    pub creation_begun: Option<Timestamp>,
    /// The provider's ids of those of our tools that it carries, as far as we know.
    pub tool_ids: Vec<String>,
    /// Why it does not carry all of them, for the organization to read.
    pub link_error: Option<String>,
    /// When the settings were saved.
    pub updated_at: Timestamp,
}

/// How far an organization's use of a tool has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolState {
    /// It is yet to be registered.
    Pending,
    /// It is registered, and some assistant does not carry it yet.
    Registered,
    /// Every assistant carries it.
    Linked,
    /// Registering or linking it failed last time, for this reason, which the organization may read.
    Failed(String),
}

/// A tool of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrgTool {
    /// Which.
    pub name: ToolName,
    /// The provider's id: of the registration that assistants carry, an older one while they are moved to the next.
    pub id: Option<String>,
    /// The hash of that registration's definition.
    pub hash: String,
    /// How far it is.
    pub state: ToolState,
}

/// The organization's assistants in a unit of work.
#[async_trait]
pub trait AssistantRecords: Send {
    /// The organization's name, `None` when it is gone.
    async fn organization_name(&mut self) -> Result<Option<String>, StoreError>;

    /// The organization's assistant of this kind, held against concurrent change.
    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError>;

    /// Its assistants, the inbound one first.
    async fn assistants(&mut self) -> Result<Vec<AssistantRecord>, StoreError>;

    /// Stores an assistant in its kind's slot; an existing row keeps its own id.
    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError>;

    /// Removes the assistant of this kind.
    async fn remove_assistant(&mut self, kind: AssistantKind) -> Result<(), StoreError>;

    /// Its tools.
    async fn tools(&mut self) -> Result<Vec<OrgTool>, StoreError>;

    /// Stores its tools in place of what was stored.
    async fn put_tools(&mut self, tools: &[OrgTool]) -> Result<(), StoreError>;
}

/// What looking after assistants may touch.
pub trait AssistantsTx: AssistantRecords + ExtendClaim + Outbox + Audit + Commit {}
impl<T: AssistantRecords + ExtendClaim + Outbox + Audit + Commit> AssistantsTx for T {}

/// Where an organization's signing credential is at the provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SigningRecord {
    /// The provider's id.
    pub id: Option<String>,
    /// Since when a creation is under way whose outcome nobody wrote down.
    pub creation_begun: Option<Timestamp>,
}

/// The organization's signing credential in a unit of work.
#[async_trait]
pub trait SigningRecords: Send {
    /// What is known of it.
    async fn signing_credential(&mut self) -> Result<SigningRecord, StoreError>;

    /// Stores what is known of it.
    async fn put_signing_credential(&mut self, record: &SigningRecord) -> Result<(), StoreError>;
}

/// What looking after the signing credential may touch.
pub trait SigningTx: SigningRecords + ExtendClaim + Outbox + Commit {}
impl<T: SigningRecords + ExtendClaim + Outbox + Commit> SigningTx for T {}

/// The ids in a message by which its organization is found, as the provider wrote them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct LineIds {
    /// The provider's id of the assistant.
    pub assistant: Option<String>,
    /// The provider's id of the number.
    pub number_id: Option<String>,
    /// The number.
    pub number: Option<E164>,
}

/// Whose line it is, and what has to be known before its message is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOwner {
    /// The organization.
    pub org: OrgId,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether the plain shared secret is still accepted from it instead of a signature.
    pub allows_shared_secret: bool,
}

/// Finds the organization of a call, across all of them.
#[async_trait]
pub trait LineDirectory: Send + Sync {
    /// The owner of the assistant; else of the number by its id; else of the number itself. `None` when none of them
    /// is anybody's.
    async fn owner(&self, ids: &LineIds) -> Result<Option<LineOwner>, StoreError>;
}
