//! Reading and changing the catalogue, each change with its audit entry.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_kernel::{
    Begin, Clock, Currency, NewAudit, OrgScope, Page, PageRequest, StoreError, ids::ServiceId,
};

use crate::{
    ports::{CatalogueTx, InsertError},
    service::{Keywords, Minutes, Price, Service, ServiceName},
};

/// A service about to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewService {
    /// Name.
    pub name: ServiceName,
    /// Price.
    pub price: Price,
    /// The organization's own currency unless given.
    pub currency: Option<Currency>,
    /// Half an hour unless given.
    pub duration: Option<Minutes>,
    /// Further words that mean it.
    pub keywords: Keywords,
    /// Whether it is offered at once.
    pub is_active: bool,
}

/// Changes to a service; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServicePatch {
    /// Name.
    pub name: Option<ServiceName>,
    /// Price.
    pub price: Option<Price>,
    /// Currency.
    pub currency: Option<Currency>,
    /// Minutes.
    pub duration: Option<Minutes>,
    /// All keywords.
    pub keywords: Option<Keywords>,
    /// Whether it is offered.
    pub is_active: Option<bool>,
}

/// A service could not be changed or was not found.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The organization has no such service.
    #[error("no such service")]
    NotFound,
    /// Another active service has the name.
    #[error("another active service has this name")]
    NameTaken,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<InsertError> for CatalogueError {
    fn from(error: InsertError) -> Self {
        match error {
            InsertError::NameTaken => Self::NameTaken,
            InsertError::Store(error) => Self::Store(error),
        }
    }
}

/// The catalogue of the organization in whose scope it is used.
#[derive(Clone)]
pub struct ServiceCatalogue {
    store: Arc<dyn Begin<dyn CatalogueTx>>,
    clock: Arc<dyn Clock>,
}

impl ServiceCatalogue {
    /// Works on `store`.
    pub fn new(store: Arc<dyn Begin<dyn CatalogueTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A page of services, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(&self, scope: &OrgScope, request: &PageRequest) -> Result<Page<Service>, StoreError> {
        self.store.begin(scope).await?.page(request).await
    }

    /// One service.
    ///
    /// # Errors
    /// [`CatalogueError::NotFound`].
    pub async fn get(&self, scope: &OrgScope, id: ServiceId) -> Result<Service, CatalogueError> {
        self.store.begin(scope).await?.find(id).await?.ok_or(CatalogueError::NotFound)
    }

    /// Adds a service.
    ///
    /// # Errors
    /// [`CatalogueError::NameTaken`].
    pub async fn add(&self, scope: &OrgScope, new: NewService) -> Result<Service, CatalogueError> {
        let mut tx = self.store.begin(scope).await?;
        let currency = match new.currency {
            Some(currency) => currency,
            None => tx.currency().await?,
        };
        let service = Service {
            id: ServiceId::generate(),
            name: new.name,
            price: new.price,
            currency,
            duration: new.duration.unwrap_or(Minutes::HALF_HOUR),
            keywords: new.keywords,
            is_active: new.is_active,
            created_at: self.clock.now(),
        };
        tx.insert(&service).await?;
        tx.record(audit("service.created", service.id, None, Some(&service))).await?;
        tx.commit().await?;
        Ok(service)
    }

    /// Changes a service.
    ///
    /// # Errors
    /// [`CatalogueError::NotFound`], [`CatalogueError::NameTaken`].
    pub async fn change(
        &self,
        scope: &OrgScope,
        id: ServiceId,
        patch: ServicePatch,
    ) -> Result<Service, CatalogueError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.find(id).await?.ok_or(CatalogueError::NotFound)?;
        let after = before.clone().patched(patch);
        if after != before {
            tx.update(&after).await?;
            tx.record(audit("service.updated", id, Some(&before), Some(&after))).await?;
            tx.commit().await?;
        }
        Ok(after)
    }

    /// Takes a service off the catalogue.
    ///
    /// # Errors
    /// [`CatalogueError::NotFound`].
    pub async fn remove(&self, scope: &OrgScope, id: ServiceId) -> Result<(), CatalogueError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.find(id).await?.ok_or(CatalogueError::NotFound)?;
        tx.remove(id).await?;
        tx.record(audit("service.deleted", id, Some(&before), None)).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Service {
    fn patched(mut self, patch: ServicePatch) -> Self {
        fn put<T>(place: &mut T, new: Option<T>) {
            if let Some(new) = new {
                *place = new;
            }
        }
        put(&mut self.name, patch.name);
        put(&mut self.price, patch.price);
        put(&mut self.currency, patch.currency);
        put(&mut self.duration, patch.duration);
        put(&mut self.keywords, patch.keywords);
        put(&mut self.is_active, patch.is_active);
        self
    }

    fn audited(&self) -> Value {
        json!({
            "name": self.name.as_str(),
            "price": self.price.amount().to_major_number(),
            "currency": self.currency,
            "duration_minutes": self.duration.get(),
            "keywords": self.keywords.iter().collect::<Vec<_>>(),
            "is_active": self.is_active,
        })
    }
}

fn audit(action: &'static str, id: ServiceId, before: Option<&Service>, after: Option<&Service>) -> NewAudit {
    NewAudit {
        action,
        target_kind: "service",
        target_id: id.to_string(),
        before: before.map(Service::audited),
        after: after.map(Service::audited),
    }
}
