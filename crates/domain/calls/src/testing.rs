//! Calls and contacts in memory: a second adapter that honours rollback, for this crate's tests and its neighbours'.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{
    Activity, Audit, Begin, Commit, E164, Money, NewActivity, NewAudit, NewJob, OrgScope, Outbox, Page,
    PageRequest, Position, StoreError,
    ids::{ContactId, OrgId, WebhookEventId},
};

mod actions;

pub use actions::{Actions, MemoryFiles, Sent};

use crate::{
    call::Call,
    contact::Contact,
    contact_book::{ContactFilter, ContactStats},
    event::{CallEvent, ProviderCallId},
    lead::{LeadSignals, Temperature},
    ports::{
        AlertPhone, ApplyTx, Appraisal, Appraiser, CallRecords, ContactBookTx, ContactRecords, EventInbox,
        Leads, NewEvent, PhoneTaken, Received, StoredEvent, StoredEvents, Talk,
    },
};

/// One organization's rows.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// Stored events with their keys.
    pub events: HashMap<WebhookEventId, (String, StoredEvent)>,
    /// Calls.
    pub calls: Vec<Call>,
    /// Contacts.
    pub contacts: Vec<Contact>,
    /// Calls in which an appointment was made.
    pub booked: Vec<ProviderCallId>,
    /// Jobs that wait.
    pub jobs: Vec<NewJob>,
    /// The activity stream.
    pub activity: Vec<NewActivity>,
    /// The audit trail.
    pub audit: Vec<NewAudit>,
    /// Recordings, links, calls that are placed, and what is sent.
    pub actions: Actions,
}

/// All organizations' calls.
#[derive(Debug, Clone, Default)]
pub struct MemoryCalls(Arc<Mutex<HashMap<OrgId, Rows>>>);

/// A unit of work: a copy that replaces the original when it is committed.
pub struct MemoryTx {
    org: OrgId,
    rows: Rows,
    home: MemoryCalls,
}

impl MemoryCalls {
    fn lock(&self) -> MutexGuard<'_, HashMap<OrgId, Rows>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of one organization's rows.
    pub fn rows(&self, org: OrgId) -> Rows {
        self.lock().get(&org).cloned().unwrap_or_default()
    }

    /// Changes one organization's rows.
    pub fn change(&self, org: OrgId, change: impl FnOnce(&mut Rows)) {
        change(self.lock().entry(org).or_default());
    }

    /// Notes that an appointment was made in a call.
    pub fn book(&self, org: OrgId, call: &ProviderCallId) {
        self.lock().entry(org).or_default().booked.push(call.clone());
    }

    fn open(&self, scope: &OrgScope) -> MemoryTx {
        MemoryTx { org: scope.org(), rows: self.rows(scope.org()), home: self.clone() }
    }
}

#[async_trait]
impl Begin<dyn ApplyTx> for MemoryCalls {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ApplyTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl Begin<dyn ContactBookTx> for MemoryCalls {
    async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn ContactBookTx>, StoreError> {
        Ok(Box::new(self.open(scope)))
    }
}

#[async_trait]
impl EventInbox for MemoryCalls {
    async fn receive(&self, scope: &OrgScope, new: NewEvent) -> Result<Received, StoreError> {
        let mut all = self.lock();
        let rows = all.entry(scope.org()).or_default();
        if rows.events.values().any(|(key, _)| *key == new.key) {
            return Ok(Received::Duplicate);
        }
        rows.events.insert(new.id, (new.key, StoredEvent { event: new.event, processed: false }));
        rows.jobs.push(new.job);
        Ok(Received::New)
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.home.lock().insert(self.org, self.rows);
        Ok(())
    }
}

#[async_trait]
impl Activity for MemoryTx {
    async fn note(&mut self, entry: NewActivity) -> Result<(), StoreError> {
        self.rows.activity.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Audit for MemoryTx {
    async fn record(&mut self, entry: NewAudit) -> Result<(), StoreError> {
        self.rows.audit.push(entry);
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.rows.jobs.push(job);
        Ok(())
    }
}

#[async_trait]
impl AlertPhone for MemoryTx {
    async fn alert_phone(&mut self) -> Result<Option<E164>, StoreError> {
        Ok(self.rows.actions.alert_phone.clone())
    }
}

#[async_trait]
impl StoredEvents for MemoryTx {
    async fn lock(&mut self, id: WebhookEventId) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.rows.events.get(&id).map(|(_, stored)| stored.clone()))
    }

    async fn mark_processed(&mut self, id: WebhookEventId) -> Result<(), StoreError> {
        if let Some((_, stored)) = self.rows.events.get_mut(&id) {
            stored.processed = true;
        }
        Ok(())
    }
}

#[async_trait]
impl CallRecords for MemoryTx {
    async fn adopt(&mut self, event: &CallEvent) -> Result<(), StoreError> {
        self.rows.actions.adopt(event);
        Ok(())
    }

    async fn lock_or_create(&mut self, first: &Call) -> Result<(Call, bool), StoreError> {
        if let Some(known) = self.rows.calls.iter().find(|c| c.provider_id == first.provider_id) {
            return Ok((known.clone(), false));
        }
        self.rows.calls.push(first.clone());
        Ok((first.clone(), true))
    }

    async fn save(&mut self, call: &Call) -> Result<(), StoreError> {
        if let Some(place) = self.rows.calls.iter_mut().find(|c| c.id == call.id) {
            *place = call.clone();
        }
        Ok(())
    }

    async fn made_an_appointment(&mut self, call: &ProviderCallId) -> Result<bool, StoreError> {
        Ok(self.rows.booked.contains(call))
    }

    async fn latest_signals(&mut self, contact: ContactId) -> Result<Option<LeadSignals>, StoreError> {
        let own = self.rows.calls.iter().filter(|c| c.contact == Some(contact));
        Ok(own.filter_map(|c| Some((c.started_at, c.signals()?))).max_by_key(|(at, _)| *at).map(|(_, s)| s))
    }
}

#[async_trait]
impl ContactRecords for MemoryTx {
    async fn find(&mut self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        Ok(self.rows.contacts.iter().find(|c| c.id == id).cloned())
    }

    async fn find_or_create(&mut self, first: &Contact) -> Result<(Contact, bool), StoreError> {
        if let Some(known) = self.rows.contacts.iter().find(|c| c.phone == first.phone) {
            return Ok((known.clone(), false));
        }
        self.rows.contacts.push(first.clone());
        Ok((first.clone(), true))
    }

    async fn insert(&mut self, contact: &Contact) -> Result<(), PhoneTaken> {
        if self.rows.contacts.iter().any(|c| c.phone == contact.phone) {
            return Err(PhoneTaken::Taken);
        }
        self.rows.contacts.push(contact.clone());
        Ok(())
    }

    async fn update(&mut self, contact: &Contact) -> Result<(), PhoneTaken> {
        if self.rows.contacts.iter().any(|c| c.phone == contact.phone && c.id != contact.id) {
            return Err(PhoneTaken::Taken);
        }
        if let Some(place) = self.rows.contacts.iter_mut().find(|c| c.id == contact.id) {
            *place = contact.clone();
        }
        Ok(())
    }
}

#[async_trait]
impl Leads for MemoryTx {
    async fn page(
        &mut self,
        filter: &ContactFilter,
        request: &PageRequest,
    ) -> Result<Page<Contact>, StoreError> {
        let contains = |text: &str, part: &str| text.to_lowercase().contains(&part.to_lowercase());
        let matches = |c: &&Contact| {
            filter.lead_status.is_none_or(|status| c.lead_status == status)
                && filter.text.as_deref().is_none_or(|part| {
                    c.name.as_ref().is_some_and(|n| contains(n.as_str(), part))
                        || contains(c.phone.as_str(), part)
                        || c.email.as_ref().is_some_and(|e| contains(e.as_str(), part))
                })
        };
        let mut rows: Vec<_> = self.rows.contacts.iter().filter(matches).cloned().collect();
        rows.sort_by_key(|c| std::cmp::Reverse((c.created_at, c.id)));
        if let Some(after) = request.after {
            rows.retain(|c| (c.created_at, c.id.0) < (after.at, after.id));
        }
        Ok(Page::cut(rows, request, |c| Position { at: c.created_at, id: c.id.0 }))
    }

    async fn stats(&mut self, now: Timestamp) -> Result<ContactStats, StoreError> {
        let mut stats = ContactStats::default();
        for contact in &self.rows.contacts {
            stats.total += 1;
            match contact.score_at(now).temperature() {
                Temperature::Hot => stats.hot += 1,
                Temperature::Warm => stats.warm += 1,
                Temperature::Cold => stats.cold += 1,
            }
        }
        Ok(stats)
    }
}

/// An appraiser for whom every "botox" is worth 400 dollars, and a booking without one 150.
#[derive(Debug, Clone, Copy, Default)]
pub struct BotoxOnly;

#[async_trait]
impl Appraiser for BotoxOnly {
    async fn appraise(&self, _: &OrgScope, talk: &Talk<'_>) -> Result<Appraisal, StoreError> {
        let wants_botox = talk.wanted.iter().any(|text| text.to_lowercase().contains("botox"));
        let dollars = match (wants_botox, talk.booked) {
            (true, _) => 400,
            (false, true) => 150,
            (false, false) => 0,
        };
        let names = if wants_botox { vec!["Botox".to_owned()] } else { Vec::new() };
        Ok(Appraisal { amount: Money::from_minor(dollars * 100), services: Vec::new(), names })
    }
}
