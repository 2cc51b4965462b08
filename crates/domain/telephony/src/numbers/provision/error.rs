//! Why no number was bought.

use jiff::SignedDuration;
use voxanne_kernel::{ProviderError, StoreError};

use crate::numbers::{
    account::AccountProblem,
    number::{AreaCode, Country},
    ports::CarrierError,
};

/// Why no number was bought. Nothing of it is left at a provider, or is being given back.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// Nobody has let the organization in.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization was stopped.
    #[error("the organization is suspended")]
    Suspended,
    /// The organization has an account of its own.
    #[error("the organization has an account of its own")]
    SlotTaken,
    /// It has as many numbers as it may.
    #[error("the organization has {limit} numbers, which is all it may have")]
    TooManyNumbers {
        /// How many it may have.
        limit: u32,
    },
    /// It has bought as often as it may.
    #[error("the organization has bought as many numbers as it may in a day")]
    TooManyPurchases {
        /// How long until it may again.
        after: SignedDuration,
    },
    /// There is nothing for sale there.
    #[error("there are no numbers for sale there")]
    NoneForSale {
        /// In which country.
        country: Country,
        /// In which area.
        area_code: Option<AreaCode>,
        /// Areas nearby that have some.
        nearby: Vec<String>,
    },
    /// Exactly this number was wanted, and it is not for sale.
    #[error("the number is not for sale")]
    NumberGone,
    /// The number's country wants an address or documents of its holder.
    #[error("the number needs a registered address or documents")]
    DocumentsNeeded,
    /// The platform's own account may not have more.
    #[error("the platform's account may not have more")]
    PlatformLimit,
    /// Somebody else is at it; nothing was done.
    #[error("somebody else is working on this right now")]
    Busy,
    /// The organization's stored account does not open.
    #[error("the stored account cannot be read")]
    Unreadable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A provider failed.
    #[error(transparent)]
    Provider(ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<AccountProblem> for ProvisionError {
    fn from(error: AccountProblem) -> Self {
        match error {
            AccountProblem::SlotTaken => Self::SlotTaken,
            AccountProblem::Busy => Self::Busy,
            AccountProblem::Unreadable(error) => Self::Unreadable(error),
            AccountProblem::Carrier(error) => error.into(),
            AccountProblem::Store(error) => Self::Store(error),
        }
    }
}

impl From<CarrierError> for ProvisionError {
    fn from(error: CarrierError) -> Self {
        match error {
            CarrierError::NumberGone | CarrierError::NoneForSale => Self::NumberGone,
            CarrierError::PlatformLimit => Self::PlatformLimit,
            CarrierError::DocumentsNeeded => Self::DocumentsNeeded,
            CarrierError::Provider(error) => Self::Provider(error),
        }
    }
}

/// The name that is stored with a purchase that failed.
pub(super) fn code_of(error: &ProvisionError) -> &'static str {
    match error {
        ProvisionError::NoneForSale { .. } => "no_numbers_available",
        ProvisionError::NumberGone => "number_not_available",
        ProvisionError::DocumentsNeeded => "number_needs_documents",
        ProvisionError::PlatformLimit => "platform_limit",
        _ => "provider_unavailable",
    }
}

pub(super) fn unclear() -> ProvisionError {
    ProvisionError::Provider(ProviderError::Unclear("what was bought is not known yet".into()))
}
