//! The unit of work that founds an organization.

use voxanne_credentials::CredentialWriter;
use voxanne_pricing::Services;
use voxanne_scheduling::ports::Schedules;
use voxanne_tenancy::SignUpTx;

use crate::tx::begins;

/// Founds an organization and gives it what other domains want it to start with: services, a calendar, a secret.
pub trait NewcomerTx: SignUpTx + Services + Schedules + CredentialWriter {}
impl<T: SignUpTx + Services + Schedules + CredentialWriter> NewcomerTx for T {}

begins!(NewcomerTx);
