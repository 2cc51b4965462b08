//! What the catalogue and the valuation need from a store.

use async_trait::async_trait;
use voxanne_kernel::{Audit, Commit, Currency, Page, PageRequest, StoreError, ids::ServiceId};

use crate::service::Service;

/// An organization's services, removed ones excluded.
#[async_trait]
pub trait Services: Send {
    /// A page, newest first, inactive ones included.
    async fn page(&mut self, request: &PageRequest) -> Result<Page<Service>, StoreError>;

    /// One, or `None` when there is none, and locked against other changes until the unit of work ends.
    async fn find(&mut self, id: ServiceId) -> Result<Option<Service>, StoreError>;

    /// Adds one.
    async fn insert(&mut self, service: &Service) -> Result<(), InsertError>;

    /// Writes all of `service` over the one with its id.
    async fn update(&mut self, service: &Service) -> Result<(), InsertError>;

    /// Takes it off the catalogue; appointments that were made for it keep pointing to it.
    async fn remove(&mut self, id: ServiceId) -> Result<(), StoreError>;

    /// The currency that the organization counts in, and that a new service has unless it says otherwise.
    async fn currency(&mut self) -> Result<Currency, StoreError>;
}

/// A service could not be written.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// Another active service has the name, in whatever case.
    #[error("another active service has this name")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a valuation needs to know.
#[derive(Debug, Clone)]
pub struct PriceList {
    /// The organization's currency.
    pub currency: Currency,
    /// Every service, inactive ones included: they say what an organization has stopped to sell.
    pub services: Vec<Service>,
}

/// Reads prices.
#[async_trait]
pub trait Prices: Send {
    /// The organization's whole price list.
    async fn price_list(&mut self) -> Result<PriceList, StoreError>;
}

/// What a change of the catalogue may touch.
pub trait CatalogueTx: Services + Audit + Commit {}
impl<T: Services + Audit + Commit> CatalogueTx for T {}

/// What a valuation may read.
pub trait PriceTx: Prices + Commit {}
impl<T: Prices + Commit> PriceTx for T {}
