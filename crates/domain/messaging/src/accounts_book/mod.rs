//! The accounts that an organization sends through: which there are, in which order they are asked, and from whom their
//! messages come. Secrets lie elsewhere ([`KeepCredential`]), one for each provider; so there is one account of each
//! provider too, and a second one is refused rather than put in the first one's place.

mod entry;

pub use entry::{Book, BookTx, Change, Entry, KeepCredential, KeepError, Kept, NewEntry};

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_kernel::{Begin, Clock, NewAudit, OrgScope, StoreError, ids::MessagingProviderId};

use crate::channel::{Channel, Provider};

/// Why the book was not changed.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The channel is not carried by this provider for organizations.
    #[error("the provider does not carry this channel")]
    NotOfChannel,
    /// A part of it cannot be so.
    #[error("{field} {rule}")]
    Invalid {
        /// Which part, by its name on the wire.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// There is an account of this provider already (409 `provider_exists`): it can be changed.
    #[error("there is an account of this provider already")]
    Exists,
    /// There is none of this id.
    #[error("there is no such account")]
    NotFound,
    /// Its credential was not taken.
    #[error(transparent)]
    Credential(#[from] KeepError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps the book. `C` is a credential, which this crate does not know.
pub struct AccountsBook<C> {
    store: Arc<dyn Begin<dyn BookTx>>,
    credentials: Arc<dyn KeepCredential<C>>,
    clock: Arc<dyn Clock>,
}

impl<C: Send + 'static> AccountsBook<C> {
    /// Keeps it in `store`, and what opens the accounts in `credentials`.
    pub fn new(
        store: Arc<dyn Begin<dyn BookTx>>,
        credentials: Arc<dyn KeepCredential<C>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, credentials, clock }
    }

    /// The accounts of a channel, in the order in which they are asked.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, scope: &OrgScope, channel: Channel) -> Result<Vec<Entry>, StoreError> {
        self.store.begin(scope).await?.entries(channel).await
    }

    /// One account.
    ///
    /// # Errors
    /// [`BookError::NotFound`], also where the account is one of another channel.
    pub async fn get(
        &self,
        scope: &OrgScope,
        channel: Channel,
        id: MessagingProviderId,
    ) -> Result<Entry, BookError> {
        let found = self.store.begin(scope).await?.entry_for_update(id).await?;
        found.filter(|entry| entry.channel == channel).ok_or(BookError::NotFound)
    }

    /// Adds an account: its provider is asked about the credential, then both are stored.
    ///
    /// # Errors
    /// See [`BookError`]. When the store fails in between, the credential may be stored without the account; asking
    /// again puts that right.
    pub async fn add(&self, scope: &OrgScope, new: NewEntry, credential: C) -> Result<Entry, BookError> {
        let NewEntry { channel, provider, from, priority, active } = new;
        if !channel.brought().contains(&provider) {
            return Err(BookError::NotOfChannel);
        }
        check_priority(priority)?;
        if self.store.begin(scope).await?.entry_of(channel, provider).await?.is_some() {
            return Err(BookError::Exists);
        }
        let kept = self.credentials.keep(scope, provider, credential).await?;
        let now = self.clock.now();
        let entry = Entry {
            id: MessagingProviderId::generate(),
            channel,
            provider,
            from: from.unwrap_or(kept.from),
            priority,
            active,
            status: kept.status,
            error_code: None,
            last_verified_at: kept.verified_at,
            created_at: now,
            updated_at: now,
        };
        let mut tx = self.store.begin(scope).await?;
        if !tx.add_entry(&entry).await? {
            return Err(BookError::Exists);
        }
        tx.webhook_token(provider).await?;
        tx.forgive(channel, provider).await?;
        tx.record(audit("messaging_provider.created", &entry, None, Some(shown(&entry)))).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// Changes an account, and what opens it where that is given.
    ///
    /// # Errors
    /// See [`BookError`].
    pub async fn change(
        &self,
        scope: &OrgScope,
        channel: Channel,
        id: MessagingProviderId,
        change: Change,
        credential: Option<C>,
    ) -> Result<Entry, BookError> {
        if let Some(priority) = change.priority {
            check_priority(priority)?;
        }
        let known = self.get(scope, channel, id).await?;
        let kept = match credential {
            Some(credential) => Some(self.credentials.keep(scope, known.provider, credential).await?),
            None => None,
        };
        let mut tx = self.store.begin(scope).await?;
        let before = tx.entry_for_update(id).await?.ok_or(BookError::NotFound)?;
        let mut entry = Entry { updated_at: self.clock.now(), ..before.clone() };
        if let Some(kept) = kept {
            entry.from = kept.from;
            (entry.status, entry.last_verified_at) = (kept.status, kept.verified_at);
            entry.error_code = None;
            tx.forgive(channel, entry.provider).await?;
        }
        if let Some(from) = change.from {
            entry.from = from;
        }
        entry.priority = change.priority.unwrap_or(entry.priority);
        entry.active = change.active.unwrap_or(entry.active);
        tx.save_entry(&entry).await?;
        let (was, is) = (shown(&before), shown(&entry));
        tx.record(audit("messaging_provider.updated", &entry, Some(was), Some(is))).await?;
        tx.commit().await?;
        Ok(entry)
    }

    /// Removes an account and what opens it.
    ///
    /// # Errors
    /// See [`BookError`]. The account goes first: when the credential cannot be removed, asking again is not possible
    /// any more, but nothing uses it.
    pub async fn remove(
        &self,
        scope: &OrgScope,
        channel: Channel,
        id: MessagingProviderId,
    ) -> Result<(), BookError> {
        let mut tx = self.store.begin(scope).await?;
        let entry = tx.entry_for_update(id).await?.filter(|entry| entry.channel == channel);
        let entry = entry.ok_or(BookError::NotFound)?;
        tx.remove_entry(&entry).await?;
        tx.record(audit("messaging_provider.deleted", &entry, Some(shown(&entry)), None)).await?;
        tx.commit().await?;
        Ok(self.credentials.release(scope, entry.provider).await?)
    }

    /// The unguessable part of the address to which the organization's account at `provider` reports.
    ///
    /// # Errors
    /// The store's.
    pub async fn webhook_token(&self, scope: &OrgScope, provider: Provider) -> Result<String, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let token = tx.webhook_token(provider).await?;
        tx.commit().await?;
        Ok(token)
    }
}

fn check_priority(priority: i32) -> Result<(), BookError> {
    if (0..=1_000).contains(&priority) {
        Ok(())
    } else {
        Err(BookError::Invalid { field: "priority", rule: "must be 0 to 1000" })
    }
}

fn shown(entry: &Entry) -> Value {
    json!({
        "channel": entry.channel, "provider": entry.provider, "from": entry.from, "priority": entry.priority,
        "active": entry.active,
    })
}

fn audit(action: &'static str, entry: &Entry, before: Option<Value>, after: Option<Value>) -> NewAudit {
    NewAudit { action, target_kind: "messaging_provider", target_id: entry.id.to_string(), before, after }
}
