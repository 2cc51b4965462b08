//! A catalogue in memory that honours rollback: a second adapter, for tests of whoever depends on this crate.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use voxanne_kernel::{
    Audit, Begin, Commit, Currency, NewAudit, OrgScope, Page, PageRequest, Position, StoreError,
    ids::{OrgId, ServiceId},
};

use crate::{
    ports::{CatalogueTx, InsertError, PriceList, PriceTx, Prices, Services},
    service::Service,
};

#[derive(Debug, Clone, Default)]
struct Tables {
    services: HashMap<OrgId, Vec<Service>>,
    removed: Vec<ServiceId>,
    audit: Vec<(OrgId, NewAudit)>,
}

/// All organizations' catalogues, in US dollars.
#[derive(Debug, Clone, Default)]
pub struct MemoryCatalogue(Arc<Mutex<Tables>>);

/// A unit of work: a copy that replaces the original when it is committed.
pub struct MemoryTx {
    org: OrgId,
    tables: Tables,
    home: MemoryCatalogue,
}

impl MemoryCatalogue {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Actions in the audit trail so far.
    pub fn audited(&self) -> Vec<&'static str> {
        self.lock().audit.iter().map(|(_, entry)| entry.action).collect()
    }

    fn open(&self, scope: &OrgScope) -> MemoryTx {
        MemoryTx { org: scope.org(), tables: self.lock().clone(), home: self.clone() }
    }
}

impl MemoryTx {
    fn own(&mut self) -> &mut Vec<Service> {
        self.tables.services.entry(self.org).or_default()
    }

    fn name_is_taken(&mut self, service: &Service) -> bool {
        let name = service.name.as_str().to_lowercase();
        let removed = self.tables.removed.clone();
        let clashes = |s: &Service| {
            s.id != service.id
                && s.is_active
                && !removed.contains(&s.id)
                && s.name.as_str().to_lowercase() == name
        };
        service.is_active && self.own().iter().any(clashes)
    }
}

#[async_trait]
impl Begin<dyn CatalogueTx> for MemoryCatalogue {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn CatalogueTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl Begin<dyn PriceTx> for MemoryCatalogue {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn PriceTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *self.home.lock() = self.tables;
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.tables.audit.push((self.org, entry));
        Ok(())
    }
}

#[async_trait]
impl Services for MemoryTx {
    async fn page(&mut self, request: &PageRequest) -> Result<Page<Service>, StoreError> {
        let removed = self.tables.removed.clone();
        let position = |s: &Service| Position { at: s.created_at, id: s.id.0 };
        let mut rows: Vec<_> = self.own().iter().filter(|s| !removed.contains(&s.id)).cloned().collect();
        rows.sort_by_key(|s| std::cmp::Reverse((s.created_at, s.id)));
        if let Some(after) = request.after {
            rows.retain(|s| (s.created_at, s.id.0) < (after.at, after.id));
        }
        Ok(Page::cut(rows, request, position))
    }

    async fn find(&mut self, id: ServiceId) -> Result<Option<Service>, StoreError> {
        if self.tables.removed.contains(&id) {
            return Ok(None);
        }
        Ok(self.own().iter().find(|s| s.id == id).cloned())
    }

    async fn insert(&mut self, service: &Service) -> Result<(), InsertError> {
        if self.name_is_taken(service) {
            return Err(InsertError::NameTaken);
        }
        self.own().push(service.clone());
        Ok(())
    }

    async fn update(&mut self, service: &Service) -> Result<(), InsertError> {
        if self.name_is_taken(service) {
            return Err(InsertError::NameTaken);
        }
        if let Some(place) = self.own().iter_mut().find(|s| s.id == service.id) {
            *place = service.clone();
        }
        Ok(())
    }

    async fn remove(&mut self, id: ServiceId) -> Result<(), StoreError> {
        self.own().iter_mut().filter(|s| s.id == id).for_each(|s| s.is_active = false);
        self.tables.removed.push(id);
        Ok(())
    }

    async fn currency(&mut self) -> Result<Currency, StoreError> {
        Ok(Currency::USD)
    }
}

#[async_trait]
impl Prices for MemoryTx {
    async fn price_list(&mut self) -> Result<PriceList, StoreError> {
        let removed = self.tables.removed.clone();
        let mut services = self.own().clone();
        services.iter_mut().filter(|s| removed.contains(&s.id)).for_each(|s| s.is_active = false);
        Ok(PriceList { currency: Currency::USD, services })
    }
}
