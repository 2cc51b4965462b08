//! Sending, as calls need it: a neighbour records what is sent, with the job that sends it, in the unit of work of the
//! action that causes it.

use async_trait::async_trait;
pub use voxanne_kernel::NotSent;
use voxanne_kernel::{
    E164, EmailAddress,
    ids::{CallId, ContactId, MessageId},
};

/// An e-mail about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: EmailAddress,
    /// Without line breaks.
    pub subject: String,
    /// Plain text.
    pub text: String,
    /// The same as HTML.
    pub html: String,
    /// Which call.
    pub call: CallId,
}

/// Why somebody gets a text message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextPurpose {
    /// Staff follow a call up.
    FollowUp,
    /// The organization is told of a promising call.
    HotLead,
}

/// A text message about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextMessage {
    /// To whom.
    pub to: E164,
    /// What.
    pub body: String,
    /// Why.
    pub purpose: TextPurpose,
    /// Which call.
    pub call: CallId,
    /// The contact that it goes to.
    pub contact: Option<ContactId>,
}

/// Records messages with the jobs that send them.
#[async_trait]
pub trait Post: Send {
    /// Records an e-mail.
    async fn letter(&mut self, letter: Letter) -> Result<MessageId, NotSent>;

    /// Records a text message.
    async fn text(&mut self, text: TextMessage) -> Result<MessageId, NotSent>;
}
