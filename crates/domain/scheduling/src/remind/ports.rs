//! What reminding needs, in this domain's words.

use async_trait::async_trait;
use jiff::Timestamp;
use voxanne_kernel::{
    Audit, Commit, E164, EmailAddress, NotSent, StoreError, Zone,
    ids::{AppointmentId, ContactId, MessageId},
};

use super::{Due, Method, ReminderRules};
use crate::ports::Appointments;

/// Who reminds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The organization's name.
    pub name: String,
    /// Where its clocks are.
    pub zone: Zone,
    /// When it reminds.
    pub rules: ReminderRules,
}

/// A reminder about to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    /// Of which appointment.
    pub appointment: AppointmentId,
    /// Whose it is.
    pub contact: ContactId,
    /// Whether nobody asked for it, so that it waits for the night to end.
    pub is_automatic: bool,
    /// Rather not sent than after this.
    pub not_after: Timestamp,
    /// What is taken for now to decide whether it may be sent, where that is not the clock's time.
    pub as_of: Option<Timestamp>,
    /// To whom, and what it says.
    pub words: Words,
}

/// What a reminder says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Words {
    /// As a text message.
    Sms {
        /// To whom.
        to: E164,
        /// The words.
        body: String,
    },
    /// As an e-mail.
    Email {
        /// To whom.
        to: EmailAddress,
        /// One line.
        subject: String,
        /// Plain text.
        text: String,
        /// The same as HTML.
        html: String,
        /// The appointment as a calendar file.
        calendar: String,
    },
}

/// Hands reminders over to be sent.
#[async_trait]
pub trait Post: Send {
    /// Records `reminder` with the job that sends it.
    async fn remind(&mut self, reminder: Reminder) -> Result<MessageId, NotSent>;
}

/// Takes reminders back.
#[async_trait]
pub trait TakeBack: Send {
    /// What waits to be sent about `appointment` is not sent any more; neither is what is being sent at this moment,
    /// unless that succeeds. What was taken back in time was never decided about.
    async fn take_back_reminders(
        &mut self,
        appointment: AppointmentId,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What was decided about a reminder that was due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It is on its way.
    Sent(MessageId),
    /// It is not sent, by our code.
    Skipped(&'static str),
}

/// Reminders of one organization.
#[async_trait]
pub trait Reminders: Send {
    /// Who reminds; `None` if the organization is gone.
    async fn host(&mut self) -> Result<Option<Host>, StoreError>;

    /// Notes what was decided about a reminder; `false` if somebody did before.
    async fn note_reminder(&mut self, due: &Due, noted: &Noted, at: Timestamp) -> Result<bool, StoreError>;

    /// Notes that the patient was written to.
    async fn confirmation_sent(&mut self, appointment: AppointmentId) -> Result<(), StoreError>;

    /// Replaces the rules.
    async fn put_reminder_rules(&mut self, rules: &ReminderRules) -> Result<(), StoreError>;
}

/// What is due anywhere.
#[async_trait]
pub trait DueReminders: Send {
    /// Reminders that are due at `now` and that nobody has decided about, at most `limit`, the next appointment first;
    /// those up to and including `after` left out.
    async fn due_reminders(
        &mut self,
        now: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError>;
}

/// What reminding of one appointment touches.
pub trait RemindTx: Appointments + Reminders + Post + Commit {}
impl<T: Appointments + Reminders + Post + Commit> RemindTx for T {}

/// What looking for due reminders touches.
pub trait DueTx: DueReminders + Commit {}
impl<T: DueReminders + Commit> DueTx for T {}

/// What changing the rules touches.
pub trait ReminderRulesTx: Reminders + Audit + Commit {}
impl<T: Reminders + Audit + Commit> ReminderRulesTx for T {}

/// Where a reminder can go, by the method that is wanted: the other one where that is impossible.
pub(super) fn possible(wanted: Method, has_email: bool) -> Method {
    if wanted == Method::Email && has_email { Method::Email } else { Method::Sms }
}
