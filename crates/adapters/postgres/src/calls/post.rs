//! Sending, as calls need it, joined to the neighbour that sends: in the unit of work of the action that causes it.

use async_trait::async_trait;
use voxanne_calls::{Letter, NotSent, Post, TextMessage, TextPurpose};
use voxanne_kernel::{StoreError, ids::MessageId};
use voxanne_messaging::{
    message::{Content, EmailContent, NewMessage, Purpose, Recipient},
    send::QueueError,
};

use crate::{TenantTx, constraint::store_error, post_office::NoPostOffice};

#[async_trait]
impl Post for TenantTx {
    async fn letter(&mut self, letter: Letter) -> Result<MessageId, NotSent> {
        let content = Content::Email(EmailContent {
            subject: letter.subject,
            text: letter.text,
            html: Some(letter.html),
            ..EmailContent::default()
        });
        let new = NewMessage::new(Recipient::Email(letter.to), content, Purpose::RecordingShare);
        self.record_message(NewMessage { call: Some(letter.call), ..new }).await
    }

    async fn text(&mut self, text: TextMessage) -> Result<MessageId, NotSent> {
        let purpose = match text.purpose {
            TextPurpose::FollowUp => Purpose::FollowUp,
            TextPurpose::HotLead => Purpose::HotLead,
        };
        let new = NewMessage::new(Recipient::Phone(text.to), Content::Sms { body: text.body }, purpose);
        self.record_message(NewMessage { call: Some(text.call), contact: text.contact, ..new }).await
    }
}

impl TenantTx {
    /// Records a message. A refusal leaves nothing behind, not even what was counted on the way to it, so that the unit
    /// of work can go on.
    pub(crate) async fn record_message(&mut self, new: NewMessage) -> Result<MessageId, NotSent> {
        let office = self.post_office().ok_or_else(|| StoreError::Refused(Box::new(NoPostOffice)))?;
        self.run("savepoint message").await?;
        match office.queue(self, new).await {
            Ok(queued) => {
                self.run("release savepoint message").await?;
                Ok(queued.id)
            }
            // After a failure of the store there may be no transaction to go back in.
            Err(QueueError::Store(error)) => Err(error.into()),
            Err(refusal) => {
                self.run("rollback to savepoint message").await?;
                Err(not_sent(refusal))
            }
        }
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}

fn not_sent(refusal: QueueError) -> NotSent {
    match refusal {
        QueueError::Invalid { field, rule } => NotSent::Invalid { field, rule: rule.to_owned() },
        QueueError::TooLate => {
            NotSent::Invalid { field: "not_after", rule: "must not be over before it may be sent".to_owned() }
        }
        QueueError::OptedOut => NotSent::OptedOut,
        QueueError::NoProvider => NotSent::NotConfigured,
        QueueError::InsufficientCredits => NotSent::NoCredit,
        QueueError::Limited { limit, after } => NotSent::TooMany { limit, after },
        QueueError::NotVerified => NotSent::NotVerified,
        QueueError::Suspended => NotSent::Suspended,
        QueueError::Store(error) => NotSent::Store(error),
    }
}
