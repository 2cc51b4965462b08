//! What is for sale, and what an organization has.

use std::sync::Arc;

use voxanne_kernel::{Begin, OrgScope, StoreError};

use super::{
    number::{AreaCode, Country, ManagedNumber},
    ports::{Carrier, CarrierError, NumbersTx, Offer, Search, Slot},
};

/// How an organization comes by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// We buy them.
    Managed,
    /// It brought its own account.
    Byoc,
    /// Not at all.
    None,
}

impl Mode {
    /// The shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Byoc => "byoc",
            Self::None => "none",
        }
    }
}

/// What an organization has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumbersStatus {
    /// How it comes by its numbers.
    pub mode: Mode,
    /// Those that we bought, newest first, released ones too.
    pub numbers: Vec<ManagedNumber>,
}

/// Why nothing can be shown.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The platform has no account at the carrier.
    #[error("the platform has no account at the carrier")]
    NotConfigured,
    /// The carrier failed.
    #[error(transparent)]
    Carrier(#[from] CarrierError),
}

/// Shows offers and what was bought.
#[derive(Clone)]
pub struct FindNumbers {
    store: Arc<dyn Begin<dyn NumbersTx>>,
    carrier: Option<Arc<dyn Carrier>>,
}

impl FindNumbers {
    /// Asks `carrier`, if the platform has an account there.
    pub fn new(store: Arc<dyn Begin<dyn NumbersTx>>, carrier: Option<Arc<dyn Carrier>>) -> Self {
        Self { store, carrier }
    }

    /// What is for sale.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn offers(&self, search: &Search<'_>) -> Result<Vec<Offer>, SearchError> {
        let carrier = self.carrier.as_ref().ok_or(SearchError::NotConfigured)?;
        Ok(carrier.offers(search).await?)
    }

    /// What the organization has.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn status(&self, scope: &OrgScope) -> Result<NumbersStatus, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let (slot, numbers) = (tx.slot().await?, tx.managed_numbers().await?);
        tx.commit().await?;
        let mode = match slot {
            Slot::Brought => Mode::Byoc,
            Slot::Managed { is_active: true } => Mode::Managed,
            Slot::Managed { .. } | Slot::Empty => Mode::None,
        };
        Ok(NumbersStatus { mode, numbers })
    }
}

/// Area codes to suggest where `area_code` has nothing; none when the carrier cannot say.
pub(super) async fn suggestions(
    carrier: &dyn Carrier,
    country: &Country,
    area_code: &AreaCode,
) -> Vec<String> {
    const MOST: usize = 5;
    match carrier.areas_near(country, area_code, MOST).await {
        Ok(codes) => codes,
        Err(error) => {
            tracing::info!(error = &error as &dyn std::error::Error, "no nearby area codes can be told");
            Vec::new()
        }
    }
}
