//! What staff do with contacts by hand.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_kernel::{
    ActivityKind, Begin, Clock, E164, EmailAddress, NewActivity, NewAudit, OrgScope, Page, PageRequest,
    StoreError, ids::ContactId,
};

use crate::{
    contact::{Contact, ContactName, Interests, Notes},
    lead::LeadStatus,
    ports::{ContactBookTx, PhoneTaken},
};

/// Which contacts to list; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactFilter {
    /// Where they stand.
    pub lead_status: Option<LeadStatus>,
    /// Part of the name, the number or the e-mail address.
    pub text: Option<String>,
}

/// How many contacts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ContactStats {
    /// In all.
    pub total: u64,
    /// Score from 70.
    pub hot: u64,
    /// Score from 40.
    pub warm: u64,
    /// The others.
    pub cold: u64,
}

/// A contact about to be added by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContact {
    /// Name.
    pub name: ContactName,
    /// Phone number.
    pub phone: E164,
    /// E-mail address.
    pub email: Option<EmailAddress>,
    /// Where they stand; new unless given.
    pub lead_status: LeadStatus,
    /// What they are interested in.
    pub interests: Interests,
    /// What there is to say.
    pub notes: Option<Notes>,
}

/// Changes to a contact; what is `None` stays, and an inner `None` removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContactPatch {
    /// Name.
    pub name: Option<ContactName>,
    /// Phone number.
    pub phone: Option<E164>,
    /// E-mail address.
    pub email: Option<Option<EmailAddress>>,
    /// Where they stand.
    pub lead_status: Option<LeadStatus>,
    /// What they are interested in.
    pub interests: Option<Interests>,
    /// What there is to say.
    pub notes: Option<Option<Notes>>,
}

/// A contact was not found or could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ContactError {
    /// The organization has no such contact.
    #[error("no such contact")]
    NotFound,
    /// Another contact has the number.
    #[error("another contact has this phone number")]
    PhoneTaken,
    /// The contact has booked, and nothing takes that back (decision D16).
    #[error("a contact who has booked keeps the status booked")]
    AlreadyBooked,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<PhoneTaken> for ContactError {
    fn from(error: PhoneTaken) -> Self {
        match error {
            PhoneTaken::Taken => Self::PhoneTaken,
            PhoneTaken::Store(error) => Self::Store(error),
        }
    }
}

/// The contacts of the organization in whose scope it is used.
#[derive(Clone)]
pub struct ContactBook {
    store: Arc<dyn Begin<dyn ContactBookTx>>,
    clock: Arc<dyn Clock>,
}

impl ContactBook {
    /// Works on `store`.
    pub fn new(store: Arc<dyn Begin<dyn ContactBookTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A page of contacts, newest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        scope: &OrgScope,
        filter: &ContactFilter,
        request: &PageRequest,
    ) -> Result<Page<Contact>, StoreError> {
        self.store.begin(scope).await?.page(filter, request).await
    }

    /// How many there are, by temperature now.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn stats(&self, scope: &OrgScope) -> Result<ContactStats, StoreError> {
        self.store.begin(scope).await?.stats(self.clock.now()).await
    }

    /// One contact.
    ///
    /// # Errors
    /// [`ContactError::NotFound`].
    pub async fn get(&self, scope: &OrgScope, id: ContactId) -> Result<Contact, ContactError> {
        self.store.begin(scope).await?.find(id).await?.ok_or(ContactError::NotFound)
    }

    /// Adds a contact.
    ///
    /// # Errors
    /// [`ContactError::PhoneTaken`].
    pub async fn add(&self, scope: &OrgScope, new: NewContact) -> Result<Contact, ContactError> {
        let contact = Contact {
            name: Some(new.name),
            email: new.email,
            lead_status: new.lead_status,
            interests: new.interests,
            notes: new.notes,
            ..Contact::unknown(ContactId::generate(), new.phone, self.clock.now())
        };
        let mut tx = self.store.begin(scope).await?;
        tx.insert(&contact).await?;
        tx.record(audit("contact.created", contact.id, None, Some(&contact))).await?;
        let (kind, summary) = (ActivityKind::ContactCreated, "New contact added by hand".to_owned());
        tx.note(NewActivity { kind, summary, call: None, appointment: None, contact: Some(contact.id) })
            .await?;
        tx.commit().await?;
        Ok(contact)
    }

    /// Changes a contact.
    ///
    /// # Errors
    /// See [`ContactError`].
    pub async fn change(
        &self,
        scope: &OrgScope,
        id: ContactId,
        patch: ContactPatch,
    ) -> Result<Contact, ContactError> {
        let mut tx = self.store.begin(scope).await?;
        let before = tx.find(id).await?.ok_or(ContactError::NotFound)?;
        let after = before.clone().patched(patch);
        if before.lead_status == LeadStatus::Booked && after.lead_status != LeadStatus::Booked {
            return Err(ContactError::AlreadyBooked);
        }
        if after != before {
            tx.update(&after).await?;
            tx.record(audit("contact.updated", id, Some(&before), Some(&after))).await?;
            tx.commit().await?;
        }
        Ok(after)
    }
}

impl Contact {
    fn patched(mut self, patch: ContactPatch) -> Self {
        self.name = patch.name.or(self.name);
        self.phone = patch.phone.unwrap_or(self.phone);
        self.email = patch.email.unwrap_or(self.email);
        self.lead_status = patch.lead_status.unwrap_or(self.lead_status);
        self.interests = patch.interests.unwrap_or(self.interests);
        self.notes = patch.notes.unwrap_or(self.notes);
        self
    }
}

/// The audit trail names what changed by state, not by person: no name, number, address or note.
fn audit(action: &'static str, id: ContactId, before: Option<&Contact>, after: Option<&Contact>) -> NewAudit {
    let shown = |contact: &Contact| -> Value {
        json!({
            "lead_status": contact.lead_status.as_str(),
            "service_interests": contact.interests.as_slice(),
            "has_name": contact.name.is_some(),
            "has_email": contact.email.is_some(),
            "has_notes": contact.notes.is_some(),
        })
    };
    NewAudit {
        action,
        target_kind: "contact",
        target_id: id.to_string(),
        before: before.map(shown),
        after: after.map(shown),
    }
}
