//! Giving a mail to a mail server: one conversation each, and what each answer in it means.
//!
//! Until the last line of the mail is said nothing is accepted. From then on only a clear answer says what became of
//! it: silence does not.

use std::{error::Error as _, sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::transport::smtp::{
    Error,
    client::AsyncSmtpConnection,
    commands::{Data, Mail as MailFrom, Rcpt},
};
use voxanne_credentials::secrets::Smtp;
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Email, EmailProvider, Found, LookUp, SendFailure};

use super::{Client, Halt, mime, mime::Mail};
use crate::{
    EmailProviders,
    outcome::{Source, account, credential, later, message, recipient, unanswered},
};

/// How long a server has to say goodbye.
const LEAVE: Duration = Duration::from_secs(2);

/// An account at a mail server.
pub struct SmtpEmail {
    client: Client,
    account: Arc<Smtp>,
}

impl SmtpEmail {
    /// Sends with `account`.
    pub fn new(providers: &EmailProviders, account: Arc<Smtp>) -> Self {
        Self { client: providers.smtp.clone(), account }
    }
}

/// What was said when an answer came.
#[derive(Debug, Clone, Copy)]
enum Stage {
    Sender,
    Recipient,
    /// That the mail follows.
    Announcement,
    Mail,
}

#[async_trait]
impl EmailProvider for SmtpEmail {
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure> {
        let mail = mime::write(email, &self.account.from, self.client.clock.now().into())?;
        // All of it, the goodbye too, takes no longer than twice the patience: then others take it for abandoned.
        let patience = self.client.patience;
        let leave = LEAVE.min(patience / 2);
        let until = tokio::time::Instant::now() + patience;
        let mut connection = self.client.sign_in(&self.account).await.map_err(halted)?;
        let announced = tokio::time::timeout_at(until, announce(&mut connection, &mail)).await;
        let announced =
            announced.unwrap_or_else(|_| Err(later(None, "the mail server took too long".into())));
        let said = match announced {
            Ok(()) => {
                match tokio::time::timeout(patience.saturating_sub(leave), connection.message(&mail.bytes))
                    .await
                {
                    Ok(said) => said.map(|_| ()).map_err(|error| refused(Stage::Mail, &error)),
                    Err(_) => {
                        Err(SendFailure::Unknown("the mail server did not say whether it took it".into()))
                    }
                }
            }
            Err(refusal) => Err(refusal),
        };
        // What was said stands, however the server takes its leave. One that fell silent is not waited for again.
        if !matches!(said, Err(SendFailure::Unknown(_))) {
            tokio::time::timeout(leave, connection.quit()).await.ok();
        }
        said.map(|()| Accepted { external_id: Some(mail.id), ..Accepted::default() })
    }

    async fn look_up(&self, _: &LookUp) -> Result<Found, ProviderError> {
        Ok(Found::CannotTell)
    }
}

async fn announce(connection: &mut AsyncSmtpConnection, mail: &Mail) -> Result<(), SendFailure> {
    let (from, to) = (Some(mail.from.clone()), mail.to.clone());
    let said = connection.command(MailFrom::new(from, Vec::new())).await;
    said.map_err(|error| refused(Stage::Sender, &error))?;
    let said = connection.command(Rcpt::new(to, Vec::new())).await;
    said.map_err(|error| refused(Stage::Recipient, &error))?;
    let said = connection.command(Data).await;
    said.map_err(|error| refused(Stage::Announcement, &error))?;
    Ok(())
}

fn halted(halt: Halt) -> SendFailure {
    match halt {
        Halt::NotAllowed => SendFailure::Account {
            code: "host_not_allowed",
            credential_failed: true,
            source: "the mail server is not on the public internet".into(),
        },
        Halt::NotFound => account("misconfigured", "there is no such mail server".into()),
        Halt::Insecure => later(None, "the mail server cannot be spoken to in secret".into()),
        Halt::WrongMode | Halt::Unusable => {
            account("misconfigured", "the mail server offers nothing that we speak".into())
        }
        Halt::Rejected => credential("the mail server does not know the user".into()),
        Halt::Failure(error) => unanswered(error),
    }
}

/// What an answer means. What the server said stays out of the log: it may repeat what it was told.
fn refused(stage: Stage, error: &Error) -> SendFailure {
    let Some(status) = error.status() else {
        let source: Source = "the mail server's answer was lost or made no sense".into();
        return match stage {
            Stage::Mail => SendFailure::Unknown(source),
            _ => later(None, source),
        };
    };
    let code: u16 = status.to_string().parse().unwrap_or_default();
    let said = error.source().map_or_else(String::new, ToString::to_string);
    means(stage, code, detail(&said), || format!("the mail server answered {code} to the {stage:?}").into())
}

/// The subject and detail of an enhanced status code, such as `(1, 1)` of `5.1.1 Unknown user` (RFC 3463).
fn detail(said: &str) -> Option<(u16, u16)> {
    let mut numbers = said.split_whitespace().next()?.split('.').map(|number| number.parse().ok());
    let (Some(Some(_)), Some(Some(subject)), Some(Some(detail)), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return None;
    };
    Some((subject, detail))
}

fn means(stage: Stage, code: u16, detail: Option<(u16, u16)>, source: impl Fn() -> Source) -> SendFailure {
    match (code, stage, detail) {
        (400..500, ..) => later(None, source()),
        (530 | 535, ..) => credential(source()),
        (552, Stage::Sender | Stage::Announcement | Stage::Mail, _) => message("message_too_large", source()),
        // Who may not send as this, or not through here.
        (_, Stage::Sender, _) => account("sender_not_verified", source()),
        (552, ..) | (_, Stage::Recipient, Some((2, _))) => message("mailbox_unavailable", source()),
        // A rule of this server's, such as not to relay.
        (_, Stage::Recipient, Some((7, _))) => account("provider_refused", source()),
        (550 | 551 | 553, Stage::Recipient, _) => recipient("invalid_recipient", source()),
        (500..600, ..) => message("message_rejected", source()),
        // Neither yes nor no.
        (_, Stage::Mail, _) => SendFailure::Unknown(source()),
        _ => later(None, source()),
    }
}

#[cfg(test)]
mod tests {
    use voxanne_messaging::providers::Blame;

    use super::*;

    #[test]
    fn each_answer_means_what_it_means_where_it_was_given() {
        let check = |stage, code, said: &str, expected: &str| {
            let meaning = match means(stage, code, detail(said), || "x".into()) {
                SendFailure::Later { .. } => "later",
                SendFailure::GiveUp { blame: Blame::Recipient, .. } => "nobody there",
                SendFailure::Account { code, .. } | SendFailure::GiveUp { code, .. } => code,
                SendFailure::Unknown(_) => "unknown",
            };
            assert_eq!(meaning, expected, "{stage:?} {code} {said}");
        };
        check(Stage::Sender, 421, "4.3.2 Closing", "later");
        check(Stage::Sender, 450, "4.1.8 Not now", "later");
        check(Stage::Sender, 530, "5.7.0 Sign in first", "credentials_rejected");
        check(Stage::Sender, 550, "5.7.1 Not yours", "sender_not_verified");
        check(Stage::Sender, 553, "Not yours", "sender_not_verified");
        check(Stage::Sender, 552, "5.3.4 Too big", "message_too_large");
        check(Stage::Recipient, 450, "4.2.0 Greylisted", "later");
        check(Stage::Recipient, 451, "Try again", "later");
        check(Stage::Recipient, 452, "4.5.3 Too many", "later");
        check(Stage::Recipient, 550, "5.1.1 Unknown user", "nobody there");
        check(Stage::Recipient, 550, "No such user", "nobody there");
        check(Stage::Recipient, 551, "5.1.6 Moved", "nobody there");
        check(Stage::Recipient, 550, "5.7.1 Relaying denied", "provider_refused");
        check(Stage::Recipient, 552, "5.2.2 Mailbox full", "mailbox_unavailable");
        check(Stage::Recipient, 554, "Refused", "message_rejected");
        check(Stage::Announcement, 451, "Later", "later");
        check(Stage::Announcement, 554, "5.5.1 No valid recipients", "message_rejected");
        check(Stage::Mail, 451, "4.3.0 Try again", "later");
        check(Stage::Mail, 452, "4.3.1 Full", "later");
        check(Stage::Mail, 552, "5.3.4 Too big", "message_too_large");
        check(Stage::Mail, 550, "5.7.1 Spam", "message_rejected");
        check(Stage::Mail, 554, "5.6.0 No", "message_rejected");
        check(Stage::Mail, 199, "", "unknown");
    }
}
