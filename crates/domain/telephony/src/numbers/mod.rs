//! Numbers that the platform buys for an organization, in a carrier account that it opens for it
//! (`spec/07-provisioning.md`, Managed numbers).
//!
//! - [`FindNumbers`] shows what is for sale, [`ProvisionNumber`] buys a number and makes it ring at the organization.
//! - [`ReleaseNumber`] gives one up: calls stop at once, and it counts as released when carrier and voice service have
//!   both let go of it (decision D17).
//! - [`ManagedAccount`] opens the account once, suspends it with the organization and closes it on deletion.
//! - [`BringTexts`] keeps texts to them coming in at us.
//! - [`reconcile`] compares the providers with the records, both ways.
//!
//! Every step is written down before a provider is asked, and no provider is asked while a unit of work is open. Neither
//! provider knows idempotency keys, so what an interrupted attempt may have left is looked for by its tag before
//! anything is bought again. All of it can be killed at any instruction: the jobs go on where it stopped.

pub mod account;
pub mod number;
pub mod ports;
pub mod provision;
pub mod reconcile;
pub mod release;
pub mod search;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod texts;

pub use account::{AccountProblem, ManagedAccount, SyncManagedAccount};
pub use number::{AreaCode, Country, ManagedNumber, NumberState, Progress, Releasing, Wish};
pub use ports::{
    AccountRecord, AccountUse, AccountVault, Bought, Carrier, CarrierError, FoundAccount, InboundTexts,
    NewNumber, NumberKind, NumberRecords, NumbersTx, Offer, OpenedAccount, Price, Search, Slot, Spending,
    Standing, VaultError,
};
pub use provision::{Limits, ProvisionError, ProvisionNumber, ProvisionNumberJob, Provisioned, Tagged};
pub use reconcile::{
    CarrierInventory, Finding, Known, NumberInventory, Reconcile, ReconcileError, ReconcileNumbers,
    ReconcileParts, Release, Report, Side, Stray, VoiceInventory, VoiceThing,
};
pub use release::{ReleaseError, ReleaseNumber, ReleaseNumberJob, Results, Unfinished};
pub use search::{FindNumbers, Mode, NumbersStatus, SearchError};
pub use texts::{BringTexts, BringTextsError, BringTextsJob, Brought};
