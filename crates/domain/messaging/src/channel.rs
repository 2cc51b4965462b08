//! Ways to reach somebody, and who carries what on them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A way to reach somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// A text message to a phone.
    Sms,
    /// An e-mail.
    Email,
    /// A WhatsApp message.
    Whatsapp,
}

/// Whoever carries messages. What each can carry is in the table of `spec/09-messaging.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// SMS; WhatsApp from the platform's account only.
    Twilio,
    /// SMS.
    AfricasTalking,
    /// SMS.
    Termii,
    /// E-mail.
    Resend,
    /// E-mail.
    Sendgrid,
    /// E-mail.
    Mailgun,
    /// E-mail, through any server.
    Smtp,
    /// E-mail, only with an organization's own account.
    Postmark,
    /// E-mail, only with an organization's own account.
    Ses,
    /// WhatsApp, Meta's own interface.
    Whatsapp,
}

/// The text names nothing of the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of: {0}")]
pub struct UnknownName(&'static str);

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Email, Self::Whatsapp];

    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Email => "email",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// What people call the messages on it.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Sms => "text messages",
            Self::Email => "e-mails",
            Self::Whatsapp => "WhatsApp messages",
        }
    }

    /// Those who can carry it for an organization with an account of its own.
    pub const fn brought(self) -> &'static [Provider] {
        match self {
            Self::Sms => &[Provider::Twilio, Provider::AfricasTalking, Provider::Termii],
            Self::Email => &[
                Provider::Resend,
                Provider::Sendgrid,
                Provider::Mailgun,
                Provider::Smtp,
                Provider::Postmark,
                Provider::Ses,
            ],
            Self::Whatsapp => &[Provider::Whatsapp],
        }
    }

    /// Those through whom the platform itself can send on it.
    pub const fn of_platform(self) -> &'static [Provider] {
        match self {
            Self::Sms => &[Provider::Twilio, Provider::AfricasTalking, Provider::Termii],
            Self::Email => &[Provider::Resend, Provider::Sendgrid, Provider::Mailgun, Provider::Smtp],
            Self::Whatsapp => &[Provider::Whatsapp, Provider::Twilio],
        }
    }
}

impl Provider {
    /// Every provider.
    pub const ALL: [Self; 10] = [
        Self::Twilio,
        Self::AfricasTalking,
        Self::Termii,
        Self::Resend,
        Self::Sendgrid,
        Self::Mailgun,
        Self::Smtp,
        Self::Postmark,
        Self::Ses,
        Self::Whatsapp,
    ];

    /// The stored and sent name, and the one in the address of its webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::AfricasTalking => "africastalking",
            Self::Termii => "termii",
            Self::Resend => "resend",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Smtp => "smtp",
            Self::Postmark => "postmark",
            Self::Ses => "ses",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// Whether it is told with each message where to report what became of it. The others report where their account
    /// says.
    pub const fn is_told_where_to_report(self) -> bool {
        matches!(self, Self::Twilio)
    }

    /// The name people know.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::AfricasTalking => "Africa's Talking",
            Self::Termii => "Termii",
            Self::Resend => "Resend",
            Self::Sendgrid => "SendGrid",
            Self::Mailgun => "Mailgun",
            Self::Smtp => "SMTP",
            Self::Postmark => "Postmark",
            Self::Ses => "Amazon SES",
            Self::Whatsapp => "WhatsApp Business",
        }
    }
}

macro_rules! names {
    ($type:ident, $all:literal) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;

            /// In any case.
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                let found = Self::ALL.into_iter().find(|known| known.as_str().eq_ignore_ascii_case(text));
                found.ok_or(UnknownName($all))
            }
        }
    };
}

names!(Channel, "sms, email, whatsapp");
names!(Provider, "twilio, africastalking, termii, resend, sendgrid, mailgun, smtp, postmark, ses, whatsapp");
