//! What mails need, in this domain's words.

use async_trait::async_trait;
use voxanne_kernel::{EmailAddress, ProviderError, StoreError, Timestamp, ids::MailId};

use super::{
    letter::{Addressee, Letter},
    notice::Notice,
    record::Mail,
};

/// Records mails to the owners of the organization that the unit of work is in.
#[async_trait]
pub trait OwnersMails: Send {
    /// Records a mail for each owner, except those who were told the same after `unless_told_since`; returns the new
    /// mails. The owners are kept from changing until this unit of work ends, so that two who tell the same at once do
    /// not both do it.
    async fn add_for_owners(
        &mut self,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Vec<MailId>, StoreError>;
}

/// Records mails to people, whatever organization they belong to.
#[async_trait]
pub trait AccountMails: Send {
    /// Records a mail to whoever has the account of this address, unless they were told the same after
    /// `unless_told_since`; `None` then, and when there is no such account. The account is kept from changing until
    /// this unit of work ends.
    async fn add_for_account(
        &mut self,
        address: &EmailAddress,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Option<MailId>, StoreError>;
}

/// Mails on their way: those of the organization that the unit of work is in, or of none.
#[async_trait]
pub trait Outgoing: Send {
    /// The mail, kept from changing until this unit of work ends; `None` if there is none of this id here.
    async fn mail_for_update(&mut self, id: MailId) -> Result<Option<Mail>, StoreError>;

    /// To whom it goes as things are now; `None` if they are no owner any more, or have no account.
    async fn addressee(&mut self, id: MailId) -> Result<Option<Addressee>, StoreError>;

    /// Stores attempts and state.
    async fn save_mail(&mut self, mail: &Mail, at: Timestamp) -> Result<(), StoreError>;
}

/// Why a mail was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// Another letter was sent under this key: this mail may have been accepted with other words.
    #[error("the key was used for another letter")]
    KeyTaken(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The provider failed or refused.
    #[error(transparent)]
    Provider(#[from] ProviderError),
}

/// Sends mails in the platform's name.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Gives `letter` to the provider, and returns the provider's id of it. The same letter under the same `key` is
    /// sent once, however often it is given within a day.
    async fn send(&self, key: MailId, letter: &Letter) -> Result<String, MailerError>;
}
