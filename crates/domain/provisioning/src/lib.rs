//! Setting an approved organization's line up: signing credential, tools, two assistants, a phone number
//! (`spec/07-provisioning.md`).
//!
//! [`SetUpLine`] is run by a job and can be killed at any instruction: every step first looks for what an interrupted
//! attempt left, at us and at the provider, and stores what it made before the next step begins. A step that fails
//! leaves the earlier ones usable, and the job runs again. No provider is called while a unit of work is open.
//!
//! The signing credential and the assistants are a neighbour's; [`BindNumbers`] lets numbers follow to an assistant that
//! was made anew.
//!
//! It does not buy numbers from a carrier and undoes nothing.

pub mod bind;
pub mod ports;
pub mod set_up;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use bind::BindNumbers;
pub use ports::{
    Answering, LineAssistants, LineKind, LineNumber, LineProvider, LineRecords, LineTx, NumberSpec,
    Organization, ReadyAssistant, RoutedNumber, StepError,
};
pub use set_up::{Line, SetUpError, SetUpLine, SetUpOrganization, SetUpStep};
