//! A second adapter, in memory, for tests: a unit of work is a copy that replaces the original when it is committed and
//! vanishes when it is dropped. Also a provider that knows keys again, and fails on demand.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use voxanne_kernel::{
    Begin, BeginSystem, Commit, EmailAddress, NewJob, OrgScope, Outbox, ProviderError, StoreError, Timestamp,
    ids::{MailId, OrgId, UserId},
};

use crate::mail::{
    AccountMails, AccountTx, Addressee, Letter, Mail, Mailer, MailerError, Notice, Office, Outgoing,
    OwnersMails, OwnersTx, SendTx,
};

/// A mail as it is stored: whose, to whom, and how far it is.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The organization, unless it is to somebody as the holder of an account.
    pub org: Option<OrgId>,
    /// To whom.
    pub user: UserId,
    /// The mail.
    pub mail: Mail,
}

/// All that is stored.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Organizations, and their owners.
    pub organizations: BTreeMap<OrgId, (Office, Vec<UserId>)>,
    /// People.
    pub people: BTreeMap<UserId, EmailAddress>,
    /// Mails.
    pub mails: BTreeMap<MailId, Stored>,
    /// Jobs on their way to the queue.
    pub outbox: Vec<(Option<OrgId>, NewJob)>,
}

/// The store; clones share what is stored.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<World>>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// What is stored now.
    pub fn world(&self) -> World {
        locked(&self.0).clone()
    }

    /// Changes what is stored, behind every rule's back.
    pub fn tamper(&self, change: impl FnOnce(&mut World)) {
        change(&mut locked(&self.0));
    }

    fn begin(&self, org: Option<OrgId>) -> MemoryTx {
        MemoryTx { store: self.clone(), world: self.world(), org }
    }
}

/// A unit of work.
pub struct MemoryTx {
    store: MemoryStore,
    world: World,
    org: Option<OrgId>,
}

impl MemoryTx {
    fn was_told(&self, user: UserId, notice: &Notice, since: Option<Timestamp>) -> bool {
        let told = |stored: &Stored, since| {
            stored.org == self.org
                && stored.user == user
                && stored.mail.notice.topic() == notice.topic()
                && stored.mail.queued_at > since
        };
        since.is_some_and(|since| self.world.mails.values().any(|stored| told(stored, since)))
    }

    fn add(&mut self, user: UserId, notice: &Notice, at: Timestamp) -> MailId {
        let mail = Mail::new(notice.clone(), at);
        let id = mail.id;
        self.world.mails.insert(id, Stored { org: self.org, user, mail });
        id
    }
}

#[async_trait]
impl OwnersMails for MemoryTx {
    async fn add_for_owners(
        &mut self,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Vec<MailId>, StoreError> {
        let owners =
            self.org.and_then(|org| self.world.organizations.get(&org)).map(|(_, owners)| owners.clone());
        let owners = owners.unwrap_or_default().into_iter();
        let new: Vec<_> = owners.filter(|owner| !self.was_told(*owner, notice, unless_told_since)).collect();
        Ok(new.into_iter().map(|owner| self.add(owner, notice, at)).collect())
    }
}

#[async_trait]
impl AccountMails for MemoryTx {
    async fn add_for_account(
        &mut self,
        address: &EmailAddress,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Option<MailId>, StoreError> {
        let holder = self.world.people.iter().find(|(_, email)| *email == address).map(|(user, _)| *user);
        let new = holder.filter(|holder| !self.was_told(*holder, notice, unless_told_since));
        Ok(new.map(|holder| self.add(holder, notice, at)))
    }
}

#[async_trait]
impl Outgoing for MemoryTx {
    async fn mail_for_update(&mut self, id: MailId) -> Result<Option<Mail>, StoreError> {
        let stored = self.world.mails.get(&id).filter(|stored| stored.org == self.org);
        Ok(stored.map(|stored| stored.mail.clone()))
    }

    async fn addressee(&mut self, id: MailId) -> Result<Option<Addressee>, StoreError> {
        let Some(Stored { org, user, .. }) = self.world.mails.get(&id) else { return Ok(None) };
        let Some(email) = self.world.people.get(user).cloned() else { return Ok(None) };
        let of = |(office, owners): &(Office, Vec<UserId>)| owners.contains(user).then(|| office.clone());
        let office = match org {
            Some(org) => self.world.organizations.get(org).and_then(of),
            None => self.world.organizations.values().find_map(of),
        };
        Ok((office.is_some() || org.is_none()).then_some(Addressee { email, office }))
    }

    async fn save_mail(&mut self, mail: &Mail, _: Timestamp) -> Result<(), StoreError> {
        if let Some(stored) = self.world.mails.get_mut(&mail.id) {
            stored.mail = mail.clone();
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for MemoryTx {
    async fn enqueue(&mut self, job: NewJob) -> Result<(), StoreError> {
        self.world.outbox.push((self.org, job));
        Ok(())
    }
}

#[async_trait]
impl Commit for MemoryTx {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { store, world, .. } = *self;
        store.tamper(|stored| *stored = world);
        Ok(())
    }
}

macro_rules! begins {
    ($($unit:ident),+) => {$(#[async_trait] impl Begin<dyn $unit> for MemoryStore {
        async fn begin(&self, scope: &OrgScope) -> Result<Box<dyn $unit>, StoreError> {
            Ok(Box::new(self.begin(Some(scope.org()))))
        }
    })+};
}
macro_rules! begins_system {
    ($($unit:ident),+) => {$(#[async_trait] impl BeginSystem<dyn $unit> for MemoryStore {
        async fn begin_system(&self) -> Result<Box<dyn $unit>, StoreError> {
            Ok(Box::new(self.begin(None)))
        }
    })+};
}
begins!(OwnersTx, SendTx);
begins_system!(AccountTx, SendTx);

/// How the provider does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It takes the mail, and its answer is lost.
    AnswerLost,
    /// It takes nothing, and wants us to wait.
    Later(Option<Duration>),
    /// It does not take this mail.
    Refused,
    /// It does not take mails from us.
    OurFault,
}

/// A provider that knows keys again, as the port promises.
#[derive(Debug, Default)]
pub struct Postbox {
    taken: Mutex<BTreeMap<MailId, Letter>>,
    troubles: Mutex<VecDeque<Trouble>>,
    asked: Mutex<u32>,
}

impl Postbox {
    /// Lets the next attempts fail like this, one after the other.
    pub fn trouble(&self, troubles: impl IntoIterator<Item = Trouble>) {
        locked(&self.troubles).extend(troubles);
    }

    /// Every letter that was taken, which is every one that arrives.
    pub fn taken(&self) -> Vec<Letter> {
        locked(&self.taken).values().cloned().collect()
    }

    /// How often it was asked to send one.
    pub fn asked(&self) -> u32 {
        *locked(&self.asked)
    }
}

#[async_trait]
impl Mailer for Postbox {
    async fn send(&self, key: MailId, letter: &Letter) -> Result<String, MailerError> {
        *locked(&self.asked) += 1;
        let trouble = locked(&self.troubles).pop_front();
        match trouble {
            Some(Trouble::Later(after)) => {
                return Err(ProviderError::RetryLater { after, source: "busy".into() }.into());
            }
            Some(Trouble::Refused) => return Err(ProviderError::Refused("no".into()).into()),
            Some(Trouble::OurFault) => return Err(ProviderError::OurFault("who?".into()).into()),
            Some(Trouble::AnswerLost) | None => {}
        }
        let before = locked(&self.taken).get(&key).cloned();
        if before.is_some_and(|before| before != *letter) {
            return Err(MailerError::KeyTaken("other words".into()));
        }
        locked(&self.taken).insert(key, letter.clone());
        match trouble {
            Some(Trouble::AnswerLost) => Err(ProviderError::Unclear("reset".into()).into()),
            _ => Ok(format!("provider-{key}")),
        }
    }
}
