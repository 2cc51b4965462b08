//! What assistants and tools need from the voice provider and from a store.

use async_trait::async_trait;
use voxanne_kernel::{
    Commit, E164, ProviderError, StoreError,
    ids::{AssistantId, OrgId},
};

use crate::{
    assistant::{AssistantBlueprint, AssistantKind, AssistantSettings},
    definition::{DefinitionHash, ToolDefinition},
    name::ToolName,
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

/// An assistant as the provider has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostedAssistant {
    /// The provider's id.
    pub id: String,
    /// The ids of the tools it carries.
    pub tool_ids: Vec<String>,
}

/// The service that runs the assistants. Reads may be repeated inside; a request that creates something never is.
#[async_trait]
pub trait VoiceProvider: Send + Sync {
    /// Every tool registered there, oldest first.
    async fn tools(&self) -> Result<Vec<HostedTool>, ProviderError>;

    /// Registers a tool and returns its id. Asking twice registers two.
    async fn register_tool(&self, definition: &ToolDefinition) -> Result<String, ProviderError>;

    /// The assistant with this id, `None` when it was deleted.
    async fn assistant(&self, id: &str) -> Result<Option<HostedAssistant>, ProviderError>;

    /// The oldest assistant that says it is this organization's of this kind, if there is one.
    async fn find_assistant(
        &self,
        org: OrgId,
        kind: AssistantKind,
    ) -> Result<Option<HostedAssistant>, ProviderError>;

    /// Creates an assistant and returns its id. Asking twice creates two.
    async fn create_assistant(&self, blueprint: &AssistantBlueprint) -> Result<String, ProviderError>;

    /// Makes the assistant `id` carry the blueprint's server, credential and tools, keeping everything else it has,
    /// tools that somebody added included. `false` when it was deleted. Doing it again changes nothing.
    async fn connect_assistant(
        &self,
        id: &str,
        blueprint: &AssistantBlueprint,
    ) -> Result<bool, ProviderError>;
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
    /// Asks for the right to register `name` with `hash`. A claim lasts a minute, so that one who died does not keep
    /// it for ever.
    async fn claim(&self, name: ToolName, hash: &DefinitionHash) -> Result<Claim, StoreError>;

    /// Records that the claimed tool is registered as `id`; `false` when the claim was lost meanwhile.
    async fn complete(&self, claim: ClaimToken, id: &str) -> Result<bool, StoreError>;

    /// Gives the claim up, so that the next one need not wait.
    async fn give_up(&self, claim: ClaimToken) -> Result<(), StoreError>;
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
    /// What the organization decided.
    pub settings: AssistantSettings,
}

/// A tool that an organization's assistants carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedTool {
    /// The registration.
    pub tool: RegisteredTool,
    /// Whether the assistants carry it, as far as we know.
    pub linked: bool,
}

/// The organization's assistants in a unit of work.
#[async_trait]
pub trait AssistantRecords: Send {
    /// The organization's assistant of this kind, held against concurrent change.
    async fn assistant(&mut self, kind: AssistantKind) -> Result<Option<AssistantRecord>, StoreError>;

    /// Stores an assistant in its kind's slot; an existing row keeps its own id.
    async fn put_assistant(&mut self, record: &AssistantRecord) -> Result<(), StoreError>;

    /// Stores which tools the organization's assistants carry.
    async fn put_tools(&mut self, tools: &[LinkedTool]) -> Result<(), StoreError>;
}

/// What ensuring an assistant may touch.
pub trait AssistantsTx: AssistantRecords + Commit {}
impl<T: AssistantRecords + Commit> AssistantsTx for T {}

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
