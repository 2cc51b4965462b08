//! Reminding of everything that is coming.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Actor, Begin, BeginSystem, Clock, Job, NotSent, OrgScope, StoreError,
    ids::{AppointmentId, OrgId},
};

use super::{
    Method,
    now::is_coming,
    ports::{DueTx, Noted, RemindTx, Reminder, possible},
    text::words,
};

/// How many are looked at in one go.
const AT_ONCE: u16 = 200;
/// Nobody can act on a reminder that comes later.
const TOO_LATE: SignedDuration = SignedDuration::from_mins(10);

/// The job that reminds, every minute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendRemindersJob {
    /// As if it were this time; for tests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
}

impl Job for SendRemindersJob {
    const TASK: &'static str = "send_reminders";
    /// The next minute's will do it.
    const MAX_ATTEMPTS: i16 = 1;
}

/// A reminder that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub org: OrgId,
    /// Of which appointment.
    pub appointment: AppointmentId,
    /// When that begins: one that was moved is a new one to be reminded of.
    pub starts: Timestamp,
    /// How many minutes before it was due.
    pub lead: u32,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Reminders on their way.
    pub sent: usize,
    /// Reminders that are not sent.
    pub skipped: usize,
    /// Reminders that are tried again at the next look.
    pub postponed: usize,
}

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reminding {
    /// It is on its way.
    Sent,
    /// It is not sent.
    Skipped,
    /// It cannot be sent right now.
    Postponed,
    /// Somebody else has done it, or there is nothing to remind of any more.
    Settled,
}

/// Reminds.
pub struct SendReminders {
    system: Arc<dyn BeginSystem<dyn DueTx>>,
    store: Arc<dyn Begin<dyn RemindTx>>,
    clock: Arc<dyn Clock>,
}

impl SendReminders {
    /// Looks across organizations in `system`, and records in `store`.
    pub fn new(
        system: Arc<dyn BeginSystem<dyn DueTx>>,
        store: Arc<dyn Begin<dyn RemindTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { system, store, clock }
    }

    /// Reminds of everything that is due now; or at the time that is `told`, which is then also taken for now by those
    /// who send.
    ///
    /// # Errors
    /// [`StoreError`] of the look; what fails for one organization is logged, and the others are still reminded.
    pub async fn run(&self, told: Option<Timestamp>) -> Result<Swept, StoreError> {
        let now = told.unwrap_or_else(|| self.clock.now());
        let (mut swept, mut after) = (Swept::default(), None);
        loop {
            let mut tx = self.system.begin_system().await?;
            let due = tx.due_reminders(now, after.as_ref(), AT_ONCE).await?;
            tx.commit().await?;
            let Some(last) = due.last().cloned() else { return Ok(swept) };
            after = Some(last);
            for one in due {
                match self.one(&one, now, told).await {
                    Ok(Reminding::Sent) => swept.sent += 1,
                    Ok(Reminding::Skipped) => swept.skipped += 1,
                    Ok(Reminding::Postponed) => swept.postponed += 1,
                    Ok(Reminding::Settled) => {}
                    Err(error) => {
                        swept.postponed += 1;
                        let error = &error as &dyn std::error::Error;
                        tracing::error!(org_id = %one.org, appointment_id = %one.appointment, error,
                            "a reminder is tried again at the next look");
                    }
                }
            }
        }
    }

    async fn one(
        &self,
        due: &Due,
        now: Timestamp,
        as_of: Option<Timestamp>,
    ) -> Result<Reminding, StoreError> {
        #[expect(clippy::disallowed_methods, reason = "the organization is the one of the appointment's row")]
        let scope = OrgScope::vouch(due.org, Actor::System);
        let mut tx = self.store.begin(&scope).await?;
        let found = tx.appointment_for_change(due.appointment).await?;
        let (Some(it), Some(host)) = (found, tx.host().await?) else { return Ok(Reminding::Settled) };
        let slot = it.appointment.slot;
        if !is_coming(it.appointment.status) || slot.starts != due.starts {
            return Ok(Reminding::Settled);
        }
        let (before, known) = (slot.starts.duration_since(now), slot.starts.duration_since(it.created_at));
        if host.rules.due(before, known) != Some(due.lead) {
            // Another one is due instead, or the rules have changed.
            return self.skip(tx, due, "superseded").await;
        }
        if before <= TOO_LATE {
            return self.skip(tx, due, "too_late").await;
        }
        let method = possible(host.rules.method(), it.email.is_some());
        let not_after = slot.starts.checked_sub(TOO_LATE).unwrap_or(slot.starts);
        let reminder = |method: Method| {
            words(&host, &it, method).map(|words| Reminder {
                appointment: due.appointment,
                contact: it.appointment.contact,
                is_automatic: true,
                not_after,
                as_of,
                words,
            })
        };
        let Some(first) = reminder(method) else { return self.skip(tx, due, "no_address").await };
        let mut outcome = tx.remind(first).await;
        if let (Err(NotSent::NotConfigured), Method::Sms) = (&outcome, method)
            && let Some(other) = reminder(Method::Email)
        {
            outcome = tx.remind(other).await;
        }
        let message = match outcome {
            Ok(message) => message,
            Err(NotSent::Store(error)) => return Err(error),
            // There may be room, or credit, before it is too late.
            Err(NotSent::TooMany { .. } | NotSent::NoCredit) => return Ok(Reminding::Postponed),
            Err(why) => return self.skip(tx, due, reason(&why)).await,
        };
        if !tx.note_reminder(due, &Noted::Sent(message), self.clock.now()).await? {
            return Ok(Reminding::Settled);
        }
        tx.confirmation_sent(due.appointment).await?;
        tx.commit().await?;
        Ok(Reminding::Sent)
    }

    async fn skip(
        &self,
        mut tx: Box<dyn RemindTx>,
        due: &Due,
        why: &'static str,
    ) -> Result<Reminding, StoreError> {
        tx.note_reminder(due, &Noted::Skipped(why), self.clock.now()).await?;
        tx.commit().await?;
        Ok(Reminding::Skipped)
    }
}

fn reason(why: &NotSent) -> &'static str {
    match why {
        NotSent::NotConfigured => "no_provider",
        NotSent::OptedOut => "opted_out",
        NotSent::NotVerified | NotSent::Suspended => "not_allowed",
        NotSent::Invalid { .. } => "too_late",
        NotSent::TooMany { .. } | NotSent::NoCredit | NotSent::Store(_) => "postponed",
    }
}
