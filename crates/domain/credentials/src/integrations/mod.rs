//! What an organization's people do with the accounts they bring: see them, connect one, have it checked, remove it
//! (`spec/03-credentials.md`).
//!
//! A credential is shown to its provider before it is stored, and a refused one is not stored at all. No provider is
//! asked while a unit of work is open, and what the answer was about is compared with what is stored by then: an
//! answer about a replaced credential changes nothing. What has to follow at a third party is a job, recorded with the
//! change.
//!
//! Who may do this has been settled before; nothing that leaves here holds a secret.

mod amend;
mod connect;
mod grants;
mod list;
mod ports;
mod remove;
mod rules;
mod verifiers;
mod verify;

pub use amend::Stored;
pub use connect::{ConnectError, ConnectIntegration};
pub use grants::CalendarGrants;
pub use list::{Configured, Integration, ListIntegrations};
pub use ports::{FollowUp, GrantError, GrantStanding, Grants, IntegrationsTx, OwnLine};
pub use remove::{RemoveError, RemoveIntegration};
pub use rules::{Broken, Rule};
pub use verifiers::Verifiers;
pub use verify::{Checked, VerifyError, VerifyIntegration};

#[cfg(test)]
mod tests;
