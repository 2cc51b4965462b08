//! Setting a line up as a durable saga (`spec/07-provisioning.md`, AI setup).
//!
//! A [`Setup`] is one row per organization with eight steps. What a step is about to do, and what came of it, is in the
//! store before the next one begins; [`RunSetup`] reads it and does what is still to do, from wherever an earlier run
//! was killed. Buying the number and making the two assistants go on beside each other; everything else is a line.
//!
//! ```text
//!   start ─▶ provisioning ──all done──▶ active
//!                 │  ▲                     │ clean up
//!       for good  │  └ later (job)         ▼
//!                 └──────▶ cleaning ──▶ inactive, or failed where a failure was the reason
//! ```
//!
//! - What fails for good is undone in reverse, each part until it is done. What a provider merely cannot do now is tried
//!   again with growing pauses, for four hours from the start.
//! - Of several runs one holds the claim. It is short, so that a run that died is followed soon, and kept while the run
//!   lives; before each effect and with each result it is renewed, so that a run that was believed dead writes nothing
//!   over its successor's work. What makes things at providers is a neighbour's, which has
//!   claims of its own and looks for what was left before it makes anything again.
//! - No provider is asked while a unit of work is open.

mod clean_up;
mod pace;
pub mod ports;
mod progress;
mod run;
mod start;
pub mod state;
mod steps;
mod undo;

pub use clean_up::{CleanUpError, CleanUpSetup, CleanupResults};
pub use ports::{ForwardingPhone, GivenBack, LineNumbers, SetupNotices, SetupRecords, SetupTx};
pub use run::{Ran, RunSetup, SetUpOrganization, SetupParts, TellOperators};
pub use start::{RetryError, RetrySetup, ShowSetup, StartError, StartSetup, Started};
pub use state::{
    Failure, NumberSource, Setup, SetupStatus, SetupWish, Step, StepName, StepStatus, UnknownName,
};
