//! One account on any channel: a message is given to it, or looked for at it.

use std::sync::Arc;

use url::Url;
use voxanne_kernel::{OrgScope, ProviderError};

use crate::{
    channel::Channel,
    message::{Attempt, Carrier, Content, Message, Recipient},
    providers::{
        Accepted, Account, AccountError, Accounts, Blame, Email, EmailProvider, Found, LookUp, Payer,
        SendFailure, Sms, SmsProvider, WhatsApp, WhatsAppProvider,
    },
};

/// An account, by the channel it sends on.
pub(super) enum Line {
    Sms(Arc<dyn SmsProvider>),
    Email(Arc<dyn EmailProvider>),
    WhatsApp(Arc<dyn WhatsAppProvider>),
}

/// An account that was found, and who pays for what goes through it.
pub(super) struct Open {
    line: Line,
    pub(super) payer: Payer,
}

impl Open {
    fn of<P: ?Sized>(account: Account<P>, line: impl FnOnce(Arc<P>) -> Line) -> Self {
        Self { line: line(account.provider), payer: account.payer }
    }

    /// Finds the account of `carrier`; `None` when there is none any more.
    pub(super) async fn find(
        accounts: &dyn Accounts,
        scope: &OrgScope,
        channel: Channel,
        Carrier { whose, provider, .. }: &Carrier,
    ) -> Result<Option<Self>, AccountError> {
        Ok(match channel {
            Channel::Sms => {
                accounts.sms(scope, *whose, *provider).await?.map(|account| Self::of(account, Line::Sms))
            }
            Channel::Email => {
                accounts.email(scope, *whose, *provider).await?.map(|account| Self::of(account, Line::Email))
            }
            Channel::Whatsapp => accounts
                .whatsapp(scope, *whose, *provider)
                .await?
                .map(|account| Self::of(account, Line::WhatsApp)),
        })
    }

    /// Whether the same may be given again after an unknown outcome and is sent once.
    pub(super) fn is_repeatable(&self) -> bool {
        match &self.line {
            Line::Email(provider) => provider.is_repeatable(),
            Line::Sms(_) | Line::WhatsApp(_) => false,
        }
    }

    /// Gives `message` to the provider.
    pub(super) async fn give(
        &self,
        message: &Message,
        events_url: Option<Url>,
    ) -> Result<Accepted, SendFailure> {
        let id = message.id;
        match (&self.line, &message.new.content, &message.new.to) {
            (Line::Sms(provider), Content::Sms { body }, Recipient::Phone(to)) => {
                let sms = Sms { id, to: to.clone(), body: body.clone(), events_url };
                provider.send(&sms).await
            }
            (Line::Email(provider), Content::Email(mail), Recipient::Email(to)) => {
                let email = Email {
                    id,
                    to: to.clone(),
                    subject: mail.subject.clone(),
                    text: mail.text.clone(),
                    html: mail.html.clone(),
                    reply_to: mail.reply_to.clone(),
                    attachments: mail.attachments.clone(),
                };
                provider.send(&email).await
            }
            (Line::WhatsApp(provider), Content::WhatsApp(body), Recipient::Phone(to)) => {
                let whatsapp = WhatsApp { id, to: to.clone(), body: body.clone(), events_url };
                provider.send(&whatsapp).await
            }
            // Nothing like this is ever queued; a row that says so was written by somebody else.
            _ => Err(SendFailure::GiveUp {
                code: "message_rejected",
                blame: Blame::Message,
                source: "the recipient cannot be reached on the message's channel".into(),
            }),
        }
    }

    /// Looks for a message that the provider may have since `attempt` and that is none of `others`.
    pub(super) async fn look_up(
        &self,
        message: &Message,
        attempt: &Attempt,
        others: &[String],
    ) -> Result<Found, ProviderError> {
        let words = match &message.new.content {
            Content::Email(mail) => mail.subject.clone(),
            content => content.words().to_owned(),
        };
        let look_up = LookUp {
            id: message.id,
            to: message.new.to.as_str().to_owned(),
            subject_or_body: words,
            since: attempt.started_at,
            others: others.to_owned(),
        };
        match &self.line {
            Line::Sms(provider) => provider.look_up(&look_up).await,
            Line::Email(provider) => provider.look_up(&look_up).await,
            Line::WhatsApp(provider) => provider.look_up(&look_up).await,
        }
    }
}
