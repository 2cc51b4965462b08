//! Sending recorded mails: once each, whatever happens in between.
//!
//! Before a provider gets a mail, its words and the fact that the provider may have it are stored; afterwards, what
//! became of it. Whoever is killed in between leaves a mail that is given to the provider again, the same words under
//! the same key, for as long as the provider knows the key. After that it stays [`Outcome::Unknown`] for a person.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Begin, BeginSystem, Clock, Commit, Job, NewJob, OrgScope, Outbox, ProviderError, StoreError, Timestamp,
    ids::MailId,
};

use super::{
    letter::{Letter, Letterhead},
    ports::{Mailer, MailerError, Outgoing},
    record::{Failure, Mail, Outcome, State},
};

/// The job that sends a mail to one of an organization's owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendMail {
    /// Which.
    pub mail_id: MailId,
}

/// The job that sends a mail to somebody as the holder of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAccountMail {
    /// Which.
    pub mail_id: MailId,
}

impl Job for SendMail {
    const TASK: &'static str = "send_mail";
    /// Only a store that is away makes it fail; a provider that is away makes it come again later.
    const MAX_ATTEMPTS: i16 = 25;
}

impl Job for SendAccountMail {
    const TASK: &'static str = "send_account_mail";
    const MAX_ATTEMPTS: i16 = 25;
}

impl From<SendMail> for NewJob {
    fn from(job: SendMail) -> Self {
        Self::of(&job).keyed(key(job.mail_id))
    }
}

impl From<SendAccountMail> for NewJob {
    fn from(job: SendAccountMail) -> Self {
        Self::of(&job).keyed(key(job.mail_id))
    }
}

/// One waiting job for each mail is enough.
fn key(id: MailId) -> String {
    format!("mail:{id}")
}

/// What sending touches.
pub trait SendTx: Outgoing + Outbox + Commit {}
impl<T: Outgoing + Outbox + Commit> SendTx for T {}

/// Whose mails: it decides what can be seen.
#[derive(Debug, Clone, Copy)]
pub enum Whose<'a> {
    /// One organization's.
    Organization(&'a OrgScope),
    /// Those to people as holders of accounts.
    AccountHolders,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It is settled, now or since an earlier attempt.
    Settled(Outcome),
    /// A job for the next attempt is recorded.
    Later(Timestamp),
    /// The same. The provider does not accept our account, which somebody has to mend by then.
    AccountRefused(Timestamp),
    /// There is no such mail.
    Gone,
}

/// Sends mails.
pub struct SendMails {
    organizations: Arc<dyn Begin<dyn SendTx>>,
    accounts: Arc<dyn BeginSystem<dyn SendTx>>,
    office: Option<(Arc<dyn Mailer>, Letterhead)>,
    clock: Arc<dyn Clock>,
    has_warned: AtomicBool,
}

/// A mail that the provider gets.
struct Given {
    mail: Mail,
    letter: Letter,
    /// Whether the provider may have had it before.
    was_in_doubt: bool,
}

impl Mail {
    /// This attempt, with what was `given`, did nothing. The provider has no mail if no other one may have done something.
    fn untouched(&mut self, given: Given) {
        if !given.was_in_doubt && self.attempts == given.mail.attempts {
            self.state = State::Queued(Some(given.letter));
        }
    }
}

/// What is to be done with a mail.
enum Plan {
    /// Give it to the provider.
    Give(Box<Given>),
    /// Nothing more.
    Nothing(Attempt),
}

impl SendMails {
    /// Sends what the two stores hold, in the name and through the account of `office`; without one mails are marked as
    /// such and not sent.
    pub fn new(
        organizations: Arc<dyn Begin<dyn SendTx>>,
        accounts: Arc<dyn BeginSystem<dyn SendTx>>,
        office: Option<(Arc<dyn Mailer>, Letterhead)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { organizations, accounts, office, clock, has_warned: AtomicBool::new(false) }
    }

    /// Sends the mail if it is not settled yet. It may be called again at any time, also while it is running.
    ///
    /// # Errors
    /// [`StoreError`]; the mail is as it was, or may be with the provider, which the next call finds out.
    pub async fn run(&self, whose: Whose<'_>, id: MailId) -> Result<Attempt, StoreError> {
        let Some((mailer, head)) = &self.office else { return self.without_an_account(whose, id).await };
        match self.prepare(whose, id, head).await? {
            Plan::Nothing(attempt) => Ok(attempt),
            Plan::Give(given) => {
                let answer = mailer.send(id, &given.letter).await;
                if let Err(error) = &answer {
                    tell(&given.mail, error);
                }
                self.note(whose, *given, answer).await
            }
        }
    }

    async fn begin(&self, whose: Whose<'_>) -> Result<Box<dyn SendTx>, StoreError> {
        match whose {
            Whose::Organization(scope) => self.organizations.begin(scope).await,
            Whose::AccountHolders => self.accounts.begin_system().await,
        }
    }

    /// Stores the words of the mail, and that the provider may have them from now on.
    async fn prepare(&self, whose: Whose<'_>, id: MailId, head: &Letterhead) -> Result<Plan, StoreError> {
        let now = self.clock.now();
        let mut tx = self.begin(whose).await?;
        let Some(mail) = tx.mail_for_update(id).await? else { return Ok(Plan::Nothing(Attempt::Gone)) };
        if let State::Settled(outcome) = mail.state {
            return Ok(Plan::Nothing(Attempt::Settled(outcome)));
        }
        if let Some(outcome) = mail.expired(now) {
            return settle(tx, mail, outcome, now).await.map(Plan::Nothing);
        }
        let letter = match &mail.state {
            State::Queued(Some(letter)) | State::Sending { letter, .. } => letter.clone(),
            State::Queued(None) | State::Settled(_) => {
                let Some(addressee) = tx.addressee(id).await? else {
                    let nobody = Outcome::Failed(Failure::NobodyThere);
                    return settle(tx, mail, nobody, now).await.map(Plan::Nothing);
                };
                Letter::write(&mail.notice, mail.queued_at, &addressee, head)
                    .map_err(|error| StoreError::Refused(Box::new(error)))?
            }
        };
        let was_in_doubt = matches!(mail.state, State::Sending { .. });
        let mail = mail.given(letter.clone(), now);
        tx.save_mail(&mail, now).await?;
        tx.commit().await?;
        Ok(Plan::Give(Box::new(Given { mail, letter, was_in_doubt })))
    }

    /// Stores what the provider said to `given`.
    async fn note(
        &self,
        whose: Whose<'_>,
        given: Given,
        answer: Result<String, MailerError>,
    ) -> Result<Attempt, StoreError> {
        let now = self.clock.now();
        let mut tx = self.begin(whose).await?;
        let Some(mut mail) = tx.mail_for_update(given.mail.id).await? else { return Ok(Attempt::Gone) };
        if let State::Settled(outcome) = mail.state {
            // Another worker had the same mail, and knows as much.
            return Ok(Attempt::Settled(outcome));
        }
        let error = match answer {
            Ok(provider_id) => return settle(tx, mail, Outcome::Sent { provider_id }, now).await,
            Err(MailerError::KeyTaken(_)) => return settle(tx, mail, Outcome::Unknown, now).await,
            Err(MailerError::Provider(error)) => error,
        };
        match error {
            ProviderError::Refused(_) => settle(tx, mail, Outcome::Failed(Failure::Refused), now).await,
            ProviderError::Unclear(_) => self.again(tx, whose, mail, None, now).await.map(Attempt::Later),
            ProviderError::OurFault(_) => {
                mail.untouched(given);
                if mail.is_last(now) {
                    return settle(tx, mail, Outcome::Failed(Failure::OurAccount), now).await;
                }
                self.again(tx, whose, mail, None, now).await.map(Attempt::AccountRefused)
            }
            ProviderError::RetryLater { after, .. } => {
                mail.untouched(given);
                let after = after.and_then(|after| SignedDuration::try_from(after).ok());
                self.again(tx, whose, mail, after, now).await.map(Attempt::Later)
            }
        }
    }

    /// Records the next attempt.
    async fn again(
        &self,
        mut tx: Box<dyn SendTx>,
        whose: Whose<'_>,
        mail: Mail,
        after: Option<SignedDuration>,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let pause = after.map_or_else(|| mail.pause(), |after| after.max(mail.pause()));
        let at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let job = match whose {
            Whose::Organization(_) => NewJob::from(SendMail { mail_id: mail.id }),
            Whose::AccountHolders => NewJob::from(SendAccountMail { mail_id: mail.id }),
        };
        tx.save_mail(&mail, now).await?;
        tx.enqueue(job.not_before(at)).await?;
        tx.commit().await?;
        Ok(at)
    }

    async fn without_an_account(&self, whose: Whose<'_>, id: MailId) -> Result<Attempt, StoreError> {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("mails of the platform are not sent: no account for them is configured");
        }
        let mut tx = self.begin(whose).await?;
        let Some(mail) = tx.mail_for_update(id).await? else { return Ok(Attempt::Gone) };
        match mail.state {
            State::Settled(outcome) => Ok(Attempt::Settled(outcome)),
            // Taken from the account while it was on its way.
            State::Sending { .. } => settle(tx, mail, Outcome::Unknown, self.clock.now()).await,
            State::Queued(_) => settle(tx, mail, Outcome::NotConfigured, self.clock.now()).await,
        }
    }
}

async fn settle(
    mut tx: Box<dyn SendTx>,
    mail: Mail,
    outcome: Outcome,
    now: Timestamp,
) -> Result<Attempt, StoreError> {
    tx.save_mail(&mail.settled(outcome.clone()), now).await?;
    tx.commit().await?;
    Ok(Attempt::Settled(outcome))
}

/// The provider's words are for the log only.
fn tell(mail: &Mail, error: &MailerError) {
    let (id, kind, attempt) = (mail.id, mail.notice.kind(), mail.attempts);
    let chain = error as &dyn std::error::Error;
    if matches!(error, MailerError::Provider(ProviderError::OurFault(_))) {
        tracing::error!(mail_id = %id, kind, attempt, error = chain, "the platform's account for mails is not accepted");
    } else if matches!(error, MailerError::Provider(error) if error.is_worth_retrying()) {
        tracing::warn!(mail_id = %id, kind, attempt, error = chain, "a mail was not accepted this time");
    } else {
        tracing::error!(mail_id = %id, kind, attempt, error = chain, "a mail was not accepted");
    }
}
