//! The assistant's tools and the assistants that carry them (`spec/04-assistants-and-tools.md`).
//!
//! - [`definition`]: what we tell the model each tool does, and the hash by which a changed definition is noticed.
//! - [`AnswerToolCalls`]: every call of one message is answered, in order, with one line the assistant can say. What
//!   happens behind a tool is the [`FrontDesk`]'s business, a port in this domain's words.
//! - [`AssistantBlueprint`]: everything an assistant is made of; [`EnsureAssistant`] and [`RegisterTools`] make what
//!   the voice provider holds agree with it, through the [`VoiceProvider`] port.
//!
//! The organization of a call is established before anything here runs: no argument written by a model can name it.
//! Nothing here knows a provider's message format, and no sentence holds a database or provider error.

pub mod answer;
pub mod args;
pub mod assistant;
pub mod call;
pub mod caller;
pub mod definition;
pub mod desk;
pub mod ensure;
pub mod name;
pub mod ports;
pub mod register;
pub mod say;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod voice;

pub use answer::{AnswerToolCalls, CallContext, NoMeter, ToolAnswer, ToolMeter, ToolOutcome};
pub use assistant::{AssistantBlueprint, AssistantKind, AssistantSettings, assistant_name};
pub use call::{Arguments, ToolCall};
pub use caller::CallerContext;
pub use definition::{DefinitionHash, SpokenMessage, ToolDefinition, definitions};
pub use desk::{
    AvailabilityAsk, BookingAsk, CancelAsk, Declined, DeskError, Direction, FrontDesk, LookupAsk, Openings,
    Origin, PartOfDay, Price, Refusal, RescheduleAsk, Visit,
};
pub use ensure::{EnsureAssistant, EnsureError, EnsuredAssistant};
pub use name::ToolName;
pub use ports::{
    AssistantRecord, AssistantRecords, AssistantsTx, Claim, ClaimToken, HostedAssistant, HostedTool,
    LineDirectory, LineIds, LineOwner, LinkedTool, RegisteredTool, ToolRegistrations, VoiceProvider,
};
pub use register::{RegisterError, RegisterTools};
pub use voice::{Voice, VoiceReplaced};
