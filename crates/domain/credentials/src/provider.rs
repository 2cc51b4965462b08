//! Whose credential it is.

use std::{fmt, str::FromStr};

/// A provider that an organization can have one credential for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CredentialProvider {
    /// Telephony; the organization's own account or the subaccount we made for it (decision D6).
    Twilio,
    /// Google Calendar, by OAuth.
    GoogleCalendar,
    /// Outlook Calendar, by OAuth.
    OutlookCalendar,
    /// E-mail.
    Resend,
    /// E-mail.
    Sendgrid,
    /// E-mail.
    Mailgun,
    /// E-mail.
    Postmark,
    /// E-mail, Amazon's.
    Ses,
    /// E-mail through any server.
    Smtp,
    /// SMS.
    AfricasTalking,
    /// SMS.
    Termii,
    /// WhatsApp messages.
    Whatsapp,
    /// The secret that signs the voice provider's webhooks; ours, never brought (decision D1).
    VapiWebhook,
}

/// The text names no provider that credentials can be kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownCredentialProvider {
    /// `vapi`: organizations hold no key of their own there (decision D1); `provider_not_allowed`.
    #[error("vapi credentials belong to the platform and cannot be set by an organization")]
    NotAllowed,
    /// Anything else.
    #[error("unknown credential provider")]
    Unknown,
}

impl CredentialProvider {
    /// Every provider, in the order they are listed to a person.
    pub const ALL: [Self; 13] = [
        Self::Twilio,
        Self::GoogleCalendar,
        Self::OutlookCalendar,
        Self::Resend,
        Self::Sendgrid,
        Self::Mailgun,
        Self::Postmark,
        Self::Ses,
        Self::Smtp,
        Self::AfricasTalking,
        Self::Termii,
        Self::Whatsapp,
        Self::VapiWebhook,
    ];

    /// The stored and sent name. It is part of what a ciphertext is bound to, so it never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::GoogleCalendar => "google_calendar",
            Self::OutlookCalendar => "outlook_calendar",
            Self::Resend => "resend",
            Self::Sendgrid => "sendgrid",
            Self::Mailgun => "mailgun",
            Self::Postmark => "postmark",
            Self::Ses => "ses",
            Self::Smtp => "smtp",
            Self::AfricasTalking => "africastalking",
            Self::Termii => "termii",
            Self::Whatsapp => "whatsapp",
            Self::VapiWebhook => "vapi_webhook",
        }
    }

    /// The name people know.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Twilio => "Twilio",
            Self::GoogleCalendar => "Google Calendar",
            Self::OutlookCalendar => "Outlook Calendar",
            Self::Resend => "Resend",
            Self::Sendgrid => "SendGrid",
            Self::Mailgun => "Mailgun",
            Self::Postmark => "Postmark",
            Self::Ses => "Amazon SES",
            Self::Smtp => "SMTP",
            Self::AfricasTalking => "Africa's Talking",
            Self::Termii => "Termii",
            Self::Whatsapp => "WhatsApp",
            Self::VapiWebhook => "Vapi webhook",
        }
    }

    /// Whether an organization may bring its own, as opposed to one that only the platform makes.
    pub const fn is_brought(self) -> bool {
        !matches!(self, Self::VapiWebhook)
    }
}

impl FromStr for CredentialProvider {
    type Err = UnknownCredentialProvider;

    fn from_str(text: &str) -> Result<Self, UnknownCredentialProvider> {
        Self::ALL.into_iter().find(|provider| provider.as_str() == text).ok_or(if text == "vapi" {
            UnknownCredentialProvider::NotAllowed
        } else {
            UnknownCredentialProvider::Unknown
        })
    }
}

impl fmt::Display for CredentialProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_a_platform_key_is_refused_by_name() {
        for provider in CredentialProvider::ALL {
            assert_eq!(provider.as_str().parse(), Ok(provider));
        }
        assert_eq!("vapi".parse::<CredentialProvider>(), Err(UnknownCredentialProvider::NotAllowed));
        assert_eq!("Twilio".parse::<CredentialProvider>(), Err(UnknownCredentialProvider::Unknown));
    }
}
