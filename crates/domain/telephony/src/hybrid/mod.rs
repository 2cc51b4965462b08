//! The organization's own phone: proving that a number is theirs, and forwarding its calls to the assistant
//! (`spec/08-hybrid-telephony.md`).
//!
//! - [`VerifyCallerId`]: the carrier rings the number and the person who answers types a code **on the phone**. A number
//!   is verified by the carrier's word only, its signed callback or a look-up; what is typed into our page proves
//!   nothing, because our page shows the code.
//! - [`plan`]: the codes to dial on that phone, a pure table by carrier. It promises nothing: carriers change their
//!   codes, so every plan says where its codes come from and what is uncertain.
//! - [`Forward`] keeps what the person set up, [`TestForwarding`] proves it with a call, and [`ForwardedTo`] keeps a
//!   number from being released while calls still go there.
//!
//! It dials nothing itself and does not know which carrier's interface stands behind its ports.

mod caller_id;
mod cleanup;
mod config;
mod forward;
mod forwarded_to;
pub mod plan;
pub mod ports;
mod remove;
mod test_call;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod verify;

pub use caller_id::{
    Attempt, CallerId, CallerIdName, CodeHash, NotAName, State, Status, VERIFICATION_TIME, WRONG_CODES,
};
pub use cleanup::{CleanUpTelephony, Swept, TelephonyCleanup};
pub use config::{
    CarrierCountry, ConfigState, ForwardingConfig, NotACountry, Setup, TEST_CALL_TIME, TestCall, TestOutcome,
};
pub use forward::{ConfirmError, Forward, SetUpError};
pub use forwarded_to::{Forwarded, ForwardedTo, forwarded_to};
pub use plan::{
    Basis, Carrier, Code, Covers, Destination, ForwardingType, Ineligible, NotARingTime, Plan, Removal,
    RingTime, SimItself, Step, UnknownCarrier, UnknownForwardingType,
};
pub use remove::{RemoveCallerId, RemoveError, Removed};
pub use test_call::{TestError, TestForwarding};
pub use verify::{
    CalledBack, ConfirmCodeError, InitiateError, Initiated, LookError, Outcome, Progress, VerifyCallerId,
};
