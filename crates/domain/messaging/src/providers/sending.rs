//! Giving a message to a provider, and looking for one that it may have.

use async_trait::async_trait;
use url::Url;
use voxanne_kernel::{Currency, E164, EmailAddress, Money, ProviderError, Timestamp, ids::MessageId};

use super::failure::SendFailure;

/// A text message as it is given to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sms {
    /// Ours. Given to the provider wherever it takes one, so that its events name it.
    pub id: MessageId,
    /// To whom.
    pub to: E164,
    /// What; never empty.
    pub body: String,
    /// Where the provider is to report what became of it, for those that are told with each message.
    pub events_url: Option<Url>,
}

/// An e-mail as it is given to a provider: always to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Ours: the idempotency key where there are such, and part of `Message-ID` where we choose it.
    pub id: MessageId,
    /// To whom.
    pub to: EmailAddress,
    /// Without line breaks.
    pub subject: String,
    /// The plain text; never empty.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
    /// Where answers go.
    pub reply_to: Option<EmailAddress>,
    /// Files.
    pub attachments: Vec<Attachment>,
}

/// A file in an e-mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name, without path or line breaks.
    pub name: String,
    /// Such as `text/calendar`.
    pub content_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// A WhatsApp message as it is given to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatsApp {
    /// Ours.
    pub id: MessageId,
    /// To whom.
    pub to: E164,
    /// What.
    pub body: WhatsAppBody,
    /// Where the provider is to report what became of it, for those that are told with each message.
    pub events_url: Option<Url>,
}

/// What a WhatsApp message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhatsAppBody {
    /// Free text, at most 4,096 characters; only within 24 hours of the recipient's last message.
    Text(String),
    /// A template that Meta has approved.
    Template {
        /// Its name; for Twilio its content SID.
        name: String,
        /// Such as `en_US`.
        language: String,
        /// What stands for `{{1}}`, `{{2}}`, ….
        parameters: Vec<String>,
    },
}

/// A provider has taken the message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    /// The provider's id of it, by which its events name it.
    pub external_id: Option<String>,
    /// How many parts it was split into, where the provider says so.
    pub segments: Option<u32>,
    /// What it cost, where the provider says so.
    pub cost: Option<Cost>,
}

/// What a provider took for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// How much, rounded up to a minor unit.
    pub amount: Money,
    /// In which currency.
    pub currency: Currency,
}

impl Cost {
    /// Reads the decimal text of an amount and the code of its currency, as providers write them: `0.8000` and `KES`,
    /// `-0.00750` and `usd`. Anything below a minor unit counts as a whole one; the sign says only who pays. Nothing
    /// for what is no amount.
    pub fn read(amount: &str, currency: &str) -> Option<Self> {
        let amount = amount.trim().trim_start_matches('-');
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let (cents, rest) = fraction.split_at(fraction.len().min(2));
        let cents: i64 = format!("{cents:0<2}").parse().ok()?;
        let minor = whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)?;
        let more = i64::from(rest.bytes().any(|digit| digit != b'0'));
        let amount = Money::from_minor(minor.checked_add(more)?);
        Some(Self { amount, currency: currency.trim().to_ascii_uppercase().parse().ok()? })
    }
}

/// What to look for after an attempt with an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookUp {
    /// Ours.
    pub id: MessageId,
    /// To whom, as it was given.
    pub to: String,
    /// The subject or text, for providers that keep no id of ours.
    pub subject_or_body: String,
    /// When the attempt began.
    pub since: Timestamp,
    /// The provider's ids of other messages, which are not the one that is sought, however alike.
    pub others: Vec<String>,
}

impl LookUp {
    /// Whether what the provider calls so is known to be another message.
    pub fn is_another(&self, external_id: &str) -> bool {
        self.others.iter().any(|other| other == external_id)
    }
}

/// What looking for a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The provider has it.
    Yes(Accepted),
    /// The provider does not have it, and would show it if it had: it may be sent again.
    No,
    /// The provider cannot be searched, or not with this credential: somebody has to decide.
    CannotTell,
}

/// Sends text messages through one account.
#[async_trait]
pub trait SmsProvider: Send + Sync {
    /// Gives `sms` to the provider.
    async fn send(&self, sms: &Sms) -> Result<Accepted, SendFailure>;

    /// Looks for a message that the provider may have.
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError>;
}

/// Sends e-mails through one account.
#[async_trait]
pub trait EmailProvider: Send + Sync {
    /// Gives `email` to the provider.
    async fn send(&self, email: &Email) -> Result<Accepted, SendFailure>;

    /// Looks for a message that the provider may have. Where the provider has idempotency keys ([`Self::is_repeatable`])
    /// this is never needed.
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError>;

    /// Whether the same e-mail may be given again after an unknown outcome and is sent once.
    fn is_repeatable(&self) -> bool {
        false
    }
}

/// Sends WhatsApp messages through one account.
#[async_trait]
pub trait WhatsAppProvider: Send + Sync {
    /// Gives `message` to the provider.
    async fn send(&self, message: &WhatsApp) -> Result<Accepted, SendFailure>;

    /// Looks for a message that the provider may have.
    async fn look_up(&self, message: &LookUp) -> Result<Found, ProviderError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read_as_they_are_written_and_rounded_up() {
        let check = |amount: &str, currency: &str, minor: Option<i64>| {
            let read = Cost::read(amount, currency);
            assert_eq!(read.map(|cost| cost.amount.minor()), minor, "{amount} {currency}");
        };
        check("0.8000", "KES", Some(80));
        check("-0.00750", "USD", Some(1));
        check("0.0000", "usd", Some(0));
        check("12", "USD", Some(1_200));
        check("12.3", "USD", Some(1_230));
        check("0.0101", "USD", Some(2));
        check("92233720368547758.07", "USD", Some(i64::MAX));
        for wrong in ["", "-", ".5", "1e3", "one", "92233720368547758.08", "92233720368547758.071", "1,5"] {
            check(wrong, "USD", None);
        }
        check("1", "", None);
        check("1", "dollars", None);
    }
}
