//! Setting an approved organization's line up: a phone number, two assistants, everything linked
//! (`spec/07-provisioning.md`).
//!
//! [`setup`] is the durable saga that makes it and takes it back; [`BindNumbers`] lets numbers follow to an assistant
//! that was made anew. Tools, the signing credential, assistants and bought numbers are neighbours', behind
//! [`LineAssistants`] and [`LineNumbers`].
//!
//! It knows no carrier and no voice service by name, and never asks one while a unit of work is open.

pub mod bind;
pub mod ports;
pub mod setup;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use bind::{BindLine, BindNumbers};
pub use ports::{
    Answering, LineAssistants, LineKind, LineNumber, LineProvider, LineRecords, LineTx, NumberSpec, OnBehalf,
    Organization, ReadyAssistant, RoutedNumber, StepError,
};
pub use setup::{
    CleanUpError, CleanUpSetup, CleanupResults, Failure, ForwardingPhone, GivenBack, LineNumbers,
    NumberSource, Ran, RetryError, RetrySetup, RunSetup, SetUpOrganization, Setup, SetupNotices, SetupParts,
    SetupRecords, SetupStatus, SetupTx, SetupWish, ShowSetup, StartError, StartSetup, Started, Step,
    StepName, StepStatus, TellOperators,
};
