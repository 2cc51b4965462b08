//! The platform's own mails.
//!
//! A [`Notice`] is what somebody should be told. Whoever has something to tell says so in its own unit of work
//! ([`tell_owners`], [`TellAccountHolder`]): a mail for each person and the job that sends it are written there.
//! [`SendMails`] then finds out the person's address, writes the [`Letter`], and sends it.

mod letter;
mod notice;
mod ports;
mod preview;
mod queue;
mod record;
mod send;

pub use letter::{Addressee, Letter, Letterhead, Office};
pub use notice::{CalendarService, Label, Notice, Step, UnknownName};
pub use ports::{AccountMails, Mailer, MailerError, Outgoing, OwnersMails};
pub use preview::{Template, preview};
pub use queue::{AccountTx, OwnersTx, TellAccountHolder, TellOwners, tell_owners};
pub use record::{Failure, Mail, Outcome, State};
pub use send::{Attempt, SendAccountMail, SendMail, SendMails, SendTx, Whose};
