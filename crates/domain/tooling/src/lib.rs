//! The assistant's tools and the assistants that carry them (`spec/04-assistants-and-tools.md`).
//!
//! - [`definition`]: what we tell the model each tool does, and the hash by which a changed definition is noticed.
//! - [`AnswerToolCalls`]: every call of one message is answered, in order, with one line the assistant can say. What
//!   happens behind a tool is the [`FrontDesk`]'s business, a port in this domain's words.
//! - [`AssistantBlueprint`]: everything an assistant is made of. [`EnsureAssistant`] makes what the voice provider holds
//!   agree with it, whoever asks: [`SaveAgent`] for the organization's people, approval, or [`LinkTools`] for the
//!   [`SyncTools`] job, which also has [`RegisterTools`] register what is missing. [`RemoveAssistant`] takes it away.
//! - [`SigningCredential`]: what the provider signs an organization's messages with.
//! - [`audit`] and [`retire`]: looking after everything at once.
//!
//! The organization of a call is established before anything here runs: no argument written by a model can name it.
//! Nothing here knows a provider's message format, and no sentence holds a database or provider error.

mod alone;
pub mod answer;
pub mod args;
pub mod assistant;
pub mod audit;
pub mod business;
pub mod call;
pub mod caller;
pub mod definition;
pub mod desk;
pub mod ensure;
#[cfg(test)]
mod fleet_tests;
pub mod name;
pub mod ports;
pub mod register;
mod relink;
pub mod remove;
pub mod retire;
pub mod routing;
pub mod save;
pub mod say;
pub mod settings;
pub mod show;
pub mod signing;
mod states;
pub mod sync;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod upkeep_tests;
pub mod voice;
mod words;

pub use answer::{AnswerToolCalls, CallContext, NoMeter, ToolAnswer, ToolMeter, ToolOutcome};
pub use assistant::{AssistantBlueprint, AssistantKind, assistant_name};
pub use audit::{AuditAssistants, AuditError, Fault, Finding, Fixed};
pub use business::{Business, Offer};
pub use call::{Arguments, ToolCall};
pub use caller::CallerContext;
pub use definition::{DefinitionHash, SpokenMessage, ToolDefinition, definitions};
pub use desk::{
    AvailabilityAsk, BookingAsk, CancelAsk, Declined, DeskError, Direction, FrontDesk, LookupAsk, Openings,
    Origin, PartOfDay, Price, Refusal, RescheduleAsk, TransferAsk, Transferred, Visit,
};
pub use ensure::{EnsureAssistant, EnsureError, EnsuredAssistant, InSetup, Upkeep};
pub use name::ToolName;
pub use ports::{
    AfterCreation, AssistantRecord, AssistantRecords, AssistantsTx, Claim, ClaimToken, HostedTool,
    LineDirectory, LineIds, LineOwner, OrgTool, RegisteredTool, Registration, SecretError, SigningProvider,
    SigningRecord, SigningRecords, SigningSecrets, SigningTx, ToolRegistrations, ToolState, VoiceProvider,
};
pub use register::{KnownTools, RegisterError, RegisterTools};
pub use remove::{RemoveAssistant, RemoveError};
pub use retire::{RetireError, RetireTools, RetireToolsJob, Retired};
pub use routing::CallRouting;
pub use save::{SaveAgent, SavedAgent};
pub use settings::{
    AssistantName, AssistantSettings, BadSetting, FirstMessage, Language, MaxDuration, SettingsDraft,
    SystemPrompt,
};
pub use show::{Agent, AgentTool, ShowAgents, ToolSync};
pub use signing::{SigningCredential, SigningError, credential_name};
pub use sync::{LinkTools, LostTools, SyncTools, Synced};
pub use voice::{Voice, VoiceReplaced};
