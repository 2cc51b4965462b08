//! The library's face: typed credentials, remembered in memory.

use std::{any::Any, sync::Arc, time::Duration};

use async_trait::async_trait;
use voxanne_kernel::{
    Begin, OrgScope, StoreError, Timestamp,
    ids::{CredentialId, OrgId},
};

use crate::{
    cache::{CacheEntry, CacheKey, CacheStats, Lifetimes, Memory},
    credential::{Credential, CredentialSource, CredentialStatus},
    keyring::KeyRing,
    ports::{AssistantOwners, ChangeCredentialsTx, Invalidations, ReadCredentialsTx},
    provider::CredentialProvider,
    resolve::{ResolveError, Resolver},
    secrets::{
        AfricasTalking, GoogleCalendar, Mailgun, OutlookCalendar, Postmark, ProviderSecret, Resend, Sendgrid,
        Ses, Smtp, Termii, Twilio, Whatsapp,
    },
    trail,
    webhook::WebhookSecrets,
};

const CAPACITY: u64 = 50_000;
const LIFETIMES: Lifetimes =
    Lifetimes { found: Duration::from_mins(5), absent: Duration::from_secs(3), deaf: Duration::from_secs(1) };

/// Typed credentials by organization: `vault.twilio(&scope)`. Clones share one memory.
///
/// A read that is answered from memory costs no I/O and no decryption. Entries live for five minutes and absences for
/// three seconds; however many ask for one credential at once, one load happens. Whoever hears of changes tells them
/// through [`Invalidations`]; as long as nobody does, entries live for one second only, so that a vault that was
/// started without its listener is slow rather than wrong.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    resolver: Resolver,
    keys: Arc<KeyRing>,
    changes: Arc<dyn Begin<dyn ChangeCredentialsTx>>,
    assistants: Arc<dyn AssistantOwners>,
    credentials: Memory<Slot, Entry>,
    owners: Memory<Assistant, Option<OrgId>>,
}

/// One organization's place for one provider's credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Slot(OrgId, CredentialProvider);

impl CacheKey for Slot {
    fn spread(&self) -> u64 {
        // The low half of an id is random, and providers lie side by side.
        self.0.0.as_u64_pair().1.wrapping_add(self.1 as u64)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Assistant(Box<str>);

impl CacheKey for Assistant {
    fn spread(&self) -> u64 {
        0 // never invalidated one by one
    }
}

impl CacheEntry for Option<OrgId> {
    fn is_absence(&self) -> bool {
        self.is_none()
    }
}

/// What is remembered of a slot. The type behind `Opened` follows from the slot's provider.
#[derive(Clone)]
enum Entry {
    Absent,
    ReconnectRequired,
    Opened(Arc<dyn Any + Send + Sync>),
}

impl CacheEntry for Entry {
    fn is_absence(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

macro_rules! typed {
    ($($method:ident -> $credential:ty),+ $(,)?) => {$(
        #[doc = concat!("The organization's [`", stringify!($credential), "`].")]
        ///
        /// # Errors
        /// [`ResolveError`]; `NotFound` when none is configured.
        pub async fn $method(&self, scope: &OrgScope) -> Result<Arc<$credential>, ResolveError> {
            self.expect(scope).await
        }
    )+};
}

impl Vault {
    /// Reads from and writes to `store`, with `keys`.
    pub fn new<S>(store: Arc<S>, keys: Arc<KeyRing>) -> Self
    where
        S: Begin<dyn ReadCredentialsTx> + Begin<dyn ChangeCredentialsTx> + AssistantOwners + 'static,
    {
        let owners = Memory::new(CAPACITY, LIFETIMES);
        // There are no news that could be missed: see `org_of_assistant`.
        owners.listen();
        Self(Arc::new(Inner {
            resolver: Resolver::new(store.clone(), keys.clone()),
            keys,
            changes: store.clone(),
            assistants: store,
            credentials: Memory::new(CAPACITY, LIFETIMES),
            owners,
        }))
    }

    typed! {
        twilio -> Twilio,
        google_calendar -> GoogleCalendar,
        outlook_calendar -> OutlookCalendar,
        resend -> Resend,
        sendgrid -> Sendgrid,
        mailgun -> Mailgun,
        postmark -> Postmark,
        ses -> Ses,
        smtp -> Smtp,
        africastalking -> AfricasTalking,
        termii -> Termii,
        whatsapp -> Whatsapp,
        webhook_secrets -> WebhookSecrets,
    }

    async fn expect<C: ProviderSecret>(&self, scope: &OrgScope) -> Result<Arc<C>, ResolveError> {
        let missing = || ResolveError::NotFound { org: scope.org(), provider: C::PROVIDER };
        self.get(scope).await?.ok_or_else(missing)
    }

    /// The credential of `C`'s provider, `None` when none is configured.
    ///
    /// # Errors
    /// [`ResolveError`], but never `NotFound`.
    pub async fn get<C: ProviderSecret>(&self, scope: &OrgScope) -> Result<Option<Arc<C>>, ResolveError> {
        let entry = self.0.credentials.get(Slot(scope.org(), C::PROVIDER), || self.load::<C>(scope)).await?;
        match entry {
            Entry::Absent => Ok(None),
            Entry::ReconnectRequired => Err(ResolveError::ReconnectRequired { provider: C::PROVIDER }),
            Entry::Opened(opened) => match opened.downcast() {
                Ok(credential) => Ok(Some(credential)),
                // Somebody else's type for the same provider was asked for before: no reason to fail.
                Err(_) => Ok(self.0.resolver.open(scope).await?.map(Arc::new)),
            },
        }
    }

    async fn load<C: ProviderSecret>(&self, scope: &OrgScope) -> Result<Entry, ResolveError> {
        match self.0.resolver.open::<C>(scope).await {
            Ok(Some(credential)) => Ok(Entry::Opened(Arc::new(credential))),
            Ok(None) => Ok(Entry::Absent),
            Err(ResolveError::ReconnectRequired { .. }) => Ok(Entry::ReconnectRequired),
            Err(error) => Err(error),
        }
    }

    /// Stores `credential` in its provider's slot, replacing what was there, and audits it.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn store<C: ProviderSecret>(
        &self,
        scope: &OrgScope,
        credential: &C,
        source: CredentialSource,
        status: CredentialStatus,
        last_verified: Option<Timestamp>,
    ) -> Result<CredentialId, StoreError> {
        let sealed = Credential::seal(&self.0.keys, scope.org(), credential, source);
        let sealed = sealed.standing(status, last_verified);
        let mut tx = self.0.changes.begin(scope).await?;
        let before = tx.credential_to_change(C::PROVIDER).await?;
        tx.put_credential(&sealed).await?;
        tx.record(trail::stored(before.as_ref(), &sealed)).await?;
        tx.commit().await?;
        self.invalidate(scope.org(), Some(C::PROVIDER)).await;
        Ok(sealed.id)
    }

    /// Empties the provider's slot and audits it; `false` when it was empty.
    ///
    /// # Errors
    /// [`StoreError`]; nothing has changed then.
    pub async fn remove(&self, scope: &OrgScope, provider: CredentialProvider) -> Result<bool, StoreError> {
        let mut tx = self.0.changes.begin(scope).await?;
        let Some(before) = tx.credential_to_change(provider).await? else { return Ok(false) };
        tx.remove_credential(provider).await?;
        tx.record(trail::removed(&before)).await?;
        tx.commit().await?;
        self.invalidate(scope.org(), Some(provider)).await;
        Ok(true)
    }

    /// Forgets one provider's credential of an organization, or all of them: the next read loads it. What is being
    /// loaded at this moment is not remembered either.
    pub async fn invalidate(&self, org: OrgId, provider: Option<CredentialProvider>) {
        match provider {
            Some(provider) => self.0.credentials.invalidate(Slot(org, provider)).await,
            None => {
                for provider in CredentialProvider::ALL {
                    self.0.credentials.invalidate(Slot(org, provider)).await;
                }
            }
        }
    }

    /// Forgets every credential of every organization.
    pub fn invalidate_all(&self) {
        self.0.credentials.invalidate_all();
    }

    /// The organization of the assistant that the voice provider knows by this id. An assistant never changes hands,
    /// so that an answer from memory is right even when nobody tells of changes.
    ///
    /// # Errors
    /// [`ResolveError::Store`].
    pub async fn org_of_assistant(&self, provider_id: &str) -> Result<Option<OrgId>, ResolveError> {
        let load = async || Ok(self.0.assistants.org_of_assistant(provider_id).await?);
        self.0.owners.get(Assistant(provider_id.into()), load).await
    }

    /// How the memory of credentials is doing.
    pub fn cache_stats(&self) -> CacheStats {
        self.0.credentials.stats()
    }

    /// Whether somebody tells of changes made elsewhere.
    pub fn hears_of_changes(&self) -> bool {
        !self.0.credentials.is_deaf()
    }

    /// Reads without the memory, for what must see what was stored a moment ago.
    pub fn resolver(&self) -> &Resolver {
        &self.0.resolver
    }
}

#[async_trait]
impl Invalidations for Vault {
    async fn changed(&self, org: OrgId, provider: CredentialProvider) {
        self.invalidate(org, Some(provider)).await;
    }

    fn connected(&self) {
        self.0.credentials.listen();
    }

    fn disconnected(&self) {
        self.0.credentials.deafen();
    }

    fn anything_changed(&self) {
        self.invalidate_all();
    }
}

#[cfg(test)]
mod tests;
