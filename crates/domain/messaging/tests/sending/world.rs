//! An organization, its accounts and ours, and workers that do what is due.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use jiff::SignedDuration;
use voxanne_kernel::{
    Actor, Clock, ManualClock, NewJob, OrgScope, StoreError, Timestamp,
    ids::{MessageId, OrgId},
};
use voxanne_messaging::{
    channel::{Channel, Provider},
    credits::SignupCredits,
    message::{Content, EmailContent, Message, MessageStatus, NewMessage, Purpose, Recipient},
    providers::Payer,
    send::{
        ApplyEvents, LookAfter, Outcome, QueueError, QueueMessage, Queued, ResolveMessage, SendMessage,
        SendMessageJob, WebhookAddresses,
        ports::OwnAccount,
        testing::{Carriage, Carriages, Fault, Fuse, Memory, MemoryBook},
    },
};

const START: &str = "2026-03-02T15:00:00Z";
pub(crate) const TO: &str = "+12025550143";

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryBook,
    pub(crate) accounts: Carriages,
    pub(crate) scope: OrgScope,
    pub(crate) queue: QueueMessage,
    pub(crate) send: SendMessage,
    pub(crate) apply: ApplyEvents,
    pub(crate) resolve: ResolveMessage,
    pub(crate) sweep: LookAfter,
}

/// An account that a world has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Has {
    pub(crate) provider: Provider,
    pub(crate) is_platform: bool,
    pub(crate) memory: Memory,
    pub(crate) is_managed: bool,
}

pub(crate) const fn own(provider: Provider, memory: Memory) -> Has {
    Has { provider, is_platform: false, memory, is_managed: false }
}

pub(crate) const fn ours(provider: Provider, memory: Memory) -> Has {
    Has { provider, is_platform: true, memory, is_managed: false }
}

/// What a future comes to that never waits; `None` if it was killed.
pub(crate) fn once<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

impl World {
    /// With these accounts, own ones in this order, and ten dollars of credit; ours cost three cents a message.
    pub(crate) fn with(accounts: &[Has]) -> Self {
        let store = MemoryBook::default();
        let fuse = store.fuse.clone();
        Self::with_points(accounts, store, fuse)
    }

    /// The same, where finding accounts passes the points of `fuse`.
    pub(crate) fn with_points(accounts: &[Has], store: MemoryBook, fuse: Fuse) -> Self {
        let clock = Arc::new(ManualClock::at(start()));
        let mut carriages = Carriages { fuse, ..Carriages::default() };
        store.tamper(|book| {
            book.granted = 1_000;
            for has in accounts {
                let carriage = Carriage::new(has.memory, &store.fuse);
                carriages.accounts.insert((has.is_platform, has.provider), carriage);
                book.prices.insert(has.provider, 3);
                if has.is_managed {
                    carriages.managed.insert(has.provider);
                }
                if !has.is_platform {
                    let channel =
                        Channel::ALL.into_iter().find(|channel| channel.brought().contains(&has.provider));
                    let payer = if has.is_managed { Payer::Platform } else { Payer::Customer };
                    let account =
                        OwnAccount { provider: has.provider, payer, is_asked: true, is_verified: true };
                    book.own.entry(channel.unwrap()).or_default().push(account);
                    book.model.mode = voxanne_messaging::model::Mode::CustomerManaged;
                }
            }
        });
        let (shared, known) = (Arc::new(store.clone()), Arc::new(carriages.clone()));
        let base = WebhookAddresses::new("https://api.voxanne.example".parse().unwrap());
        let apply = ApplyEvents::new(shared.clone(), shared.clone(), clock.clone());
        Self {
            queue: QueueMessage::new(shared.clone(), known.clone(), SignupCredits::default(), clock.clone()),
            send: SendMessage::new(
                shared.clone(),
                shared.clone(),
                known,
                SignupCredits::default(),
                base,
                clock.clone(),
            ),
            sweep: LookAfter::new(shared.clone(), shared, apply.clone(), clock.clone()),
            resolve: ResolveMessage::new(Arc::new(store.clone()), clock.clone()),
            apply,
            scope: OrgScope::vouch(OrgId::generate(), Actor::System),
            clock,
            store,
            accounts: carriages,
        }
    }

    pub(crate) fn carriage(&self, has: Has) -> &Carriage {
        &self.accounts.accounts[&(has.is_platform, has.provider)]
    }

    pub(crate) fn queue(&self, new: NewMessage) -> Result<Queued, QueueError> {
        once(self.queue.run(&self.scope, new)).unwrap()
    }

    pub(crate) fn send(&self, id: MessageId) -> Outcome {
        once(self.send.run(&self.scope, id)).unwrap().unwrap()
    }

    pub(crate) fn message(&self, id: MessageId) -> Message {
        self.store.book().messages[&id].1.clone()
    }

    pub(crate) fn status(&self, id: MessageId) -> MessageStatus {
        self.message(id).status()
    }

    pub(crate) fn pass(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    /// How often anybody sent the message.
    pub(crate) fn taken(&self, id: MessageId) -> usize {
        self.accounts.accounts.values().flat_map(Carriage::taken).filter(|taken| *taken == id).count()
    }

    /// The next job, out of the queue; the clock goes on to when it is due.
    fn next_job(&self) -> Option<NewJob> {
        let mut next = None;
        self.store.tamper(|book| {
            let due = |(_, job): &(OrgId, NewJob)| job.run_at.unwrap_or(Timestamp::UNIX_EPOCH);
            let index = (0..book.outbox.len()).min_by_key(|index| due(&book.outbox[*index]));
            next = index.map(|index| book.outbox.remove(index).1);
        });
        let job = next?;
        if let Some(at) = job.run_at.filter(|at| *at > self.clock.now()) {
            self.clock.set(at);
        }
        Some(job)
    }

    /// Works off all jobs, and gives each one again that was killed or failed. Every time that happens the next of
    /// `more` faults is set. Returns how often it happened.
    pub(crate) fn work(&self, more: &mut dyn Iterator<Item = (usize, Fault)>) -> usize {
        let mut faults = 0;
        for _ in 0..500 {
            let Some(job) = self.next_job() else { return faults };
            let id = serde_json::from_value::<SendMessageJob>(job.payload.clone()).unwrap().message_id;
            let wait = match once(self.send.run(&self.scope, id)) {
                Some(Ok(_)) => continue,
                Some(Err(StoreError::Unavailable(_))) => 2,
                Some(Err(error)) => panic!("{error:?}"),
                None => 20,
            };
            faults += 1;
            self.store.fuse.reset();
            if let Some((point, fault)) = more.next() {
                self.store.fuse.blow_at(point, fault);
            }
            let at = self.clock.now().checked_add(SignedDuration::from_secs(wait)).unwrap();
            self.store
                .tamper(|book| book.outbox.push((self.scope.org(), NewJob { run_at: Some(at), ..job })));
        }
        panic!("the work has no end");
    }
}

pub(crate) fn sms(body: &str) -> NewMessage {
    let to = Recipient::Phone(TO.parse().unwrap());
    NewMessage::new(to, Content::Sms { body: body.to_owned() }, Purpose::Direct)
}

pub(crate) fn mail() -> NewMessage {
    let content =
        EmailContent { subject: "Hello".to_owned(), text: "A word".to_owned(), ..EmailContent::default() };
    NewMessage::new(
        Recipient::Email("ann@example.com".parse().unwrap()),
        Content::Email(content),
        Purpose::Direct,
    )
}

/// When every world begins.
pub(crate) fn start() -> Timestamp {
    START.parse().unwrap()
}
