//! A recorded mail of the platform is sent to the one person it is for.

use async_trait::async_trait;
use voxanne_kernel::{OrgScope, ids::MailId};
use voxanne_messaging::mail::{Attempt, SendAccountMail, SendMail, Whose};

use crate::{
    jobs::{JobError, OrgJob, PlatformJob},
    work::Work,
};

#[async_trait]
impl OrgJob for SendMail {
    async fn run(self, work: &Work, scope: OrgScope) -> Result<(), JobError> {
        send(work, Whose::Organization(&scope), self.mail_id).await
    }
}

#[async_trait]
impl PlatformJob for SendAccountMail {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        send(work, Whose::AccountHolders, self.mail_id).await
    }
}

/// A mail that is to be sent later has a job for then, so this one has done its work.
async fn send(work: &Work, whose: Whose<'_>, id: MailId) -> Result<(), JobError> {
    let outcome = match work.mails.send.run(whose, id).await? {
        Attempt::Settled(outcome) => {
            tracing::info!(mail_id = %id, outcome = outcome.as_str(), "a mail is settled");
            outcome.as_str()
        }
        Attempt::Later(at) => {
            tracing::info!(mail_id = %id, %at, "a mail is tried again later");
            "later"
        }
        Attempt::AccountRefused(at) => {
            tracing::error!(mail_id = %id, %at, "a mail waits until the platform's account is accepted again");
            "account_refused"
        }
        Attempt::Gone => {
            tracing::warn!(mail_id = %id, "a mail is gone");
            "gone"
        }
    };
    metrics::counter!("voxanne_mails_total", "outcome" => outcome).increment(1);
    Ok(())
}
