//! A message to or from somebody: what it says, what it is for, and how far it is.
//!
//! Which account carries it is decided in [`send`](crate::send); here is only what stays true of it.

use std::borrow::Cow;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    E164, EmailAddress, Timestamp,
    ids::{AppointmentId, CallId, ContactId, MessageId},
};

use crate::{
    channel::{Channel, Provider},
    model::Mode,
    providers::{Attachment, Cost, Payer, WhatsAppBody, Whose},
};

/// A code of ours for why something was not sent or did not arrive, such as `invalid_recipient`.
pub type Code = Cow<'static, str>;

/// To whom, or from whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// A phone: SMS and WhatsApp.
    Phone(E164),
    /// An address.
    Email(EmailAddress),
}

impl Recipient {
    /// The stored and sent text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Phone(number) => number.as_str(),
            Self::Email(address) => address.as_str(),
        }
    }
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text message.
    Sms {
        /// Never empty.
        body: String,
    },
    /// An e-mail.
    Email(EmailContent),
    /// A WhatsApp message.
    WhatsApp(WhatsAppBody),
}

/// What an e-mail says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmailContent {
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

impl Content {
    /// What it goes out on.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Sms { .. } => Channel::Sms,
            Self::Email(_) => Channel::Email,
            Self::WhatsApp(_) => Channel::Whatsapp,
        }
    }

    /// The words as they are shown and kept for good.
    pub fn words(&self) -> &str {
        match self {
            Self::Sms { body } | Self::WhatsApp(WhatsAppBody::Text(body)) => body,
            Self::Email(mail) => &mail.text,
            Self::WhatsApp(WhatsAppBody::Template { name, .. }) => name,
        }
    }
}

/// What a message is for. It decides whether quiet hours and the limit for each contact hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Somebody sends it themselves.
    Direct,
    /// Somebody follows a call up from the dashboard.
    FollowUp,
    /// A coming appointment.
    Reminder {
        /// Which.
        appointment: AppointmentId,
    },
    /// A coming appointment, because somebody said so.
    ReminderByHand {
        /// Which.
        appointment: AppointmentId,
    },
    /// The organization is told of a promising call.
    HotLead,
    /// A link to a recording.
    RecordingShare,
    /// A caller is told something by the platform itself.
    CallerNotice,
    /// Whether an account can send.
    Test,
}

impl Purpose {
    /// The stored name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::FollowUp => "follow_up",
            Self::Reminder { .. } => "reminder",
            Self::ReminderByHand { .. } => "reminder_by_hand",
            Self::HotLead => "hot_lead",
            Self::RecordingShare => "recording_share",
            Self::CallerNotice => "caller_notice",
            Self::Test => "test",
        }
    }

    /// The appointment it is about.
    pub const fn appointment(self) -> Option<AppointmentId> {
        match self {
            Self::Reminder { appointment } | Self::ReminderByHand { appointment } => Some(appointment),
            _ => None,
        }
    }

    /// The purpose with this stored name; `None` when there is none, or when an appointment is missing.
    pub fn read(name: &str, appointment: Option<AppointmentId>) -> Option<Self> {
        Some(match name {
            "direct" => Self::Direct,
            "follow_up" => Self::FollowUp,
            "reminder" => Self::Reminder { appointment: appointment? },
            "reminder_by_hand" => Self::ReminderByHand { appointment: appointment? },
            "hot_lead" => Self::HotLead,
            "recording_share" => Self::RecordingShare,
            "caller_notice" => Self::CallerNotice,
            "test" => Self::Test,
            _ => return None,
        })
    }

    /// Whether the platform sends it by itself, so that it waits for quiet hours to end.
    pub const fn is_automatic(self) -> bool {
        matches!(self, Self::Reminder { .. } | Self::CallerNotice)
    }

    /// Whether one contact gets at most one such message in a while.
    pub const fn is_limited_for_each_contact(self) -> bool {
        matches!(self, Self::FollowUp | Self::Reminder { .. } | Self::ReminderByHand { .. })
    }
}

/// A message that somebody wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// To whom.
    pub to: Recipient,
    /// What, and so on which channel.
    pub content: Content,
    /// The contact it concerns.
    pub contact: Option<ContactId>,
    /// The call it concerns.
    pub call: Option<CallId>,
    /// What for.
    pub purpose: Purpose,
    /// Not sent before this time.
    pub not_before: Option<Timestamp>,
    /// Dropped rather than sent after this time.
    pub not_after: Option<Timestamp>,
    /// What is taken for now, instead of the clock's time, to decide whether it may leave: its quiet hours, its last
    /// moment, and the pause of its contact. Nobody decides about its quiet hours again. For tests of other hours.
    pub as_of: Option<Timestamp>,
    /// Only through the organization's own account at this provider, to see whether it works.
    pub through: Option<Provider>,
}

impl NewMessage {
    /// A message that is sent at once and concerns nobody we know.
    pub fn new(to: Recipient, content: Content, purpose: Purpose) -> Self {
        Self {
            to,
            content,
            contact: None,
            call: None,
            purpose,
            not_before: None,
            not_after: None,
            as_of: None,
            through: None,
        }
    }
}

/// Whether we sent it or received it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To us.
    Inbound,
    /// From us.
    Outbound,
}

impl Direction {
    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// How far a message is, as it is shown and stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// It waits, or a provider is being asked.
    Queued,
    /// A provider has it.
    Sent,
    /// It arrived; of one to us, that it came in.
    Delivered,
    /// It was not sent.
    Failed,
    /// It was sent and did not arrive.
    Undelivered,
    /// It was sent and the recipient does not exist.
    Bounced,
    /// The recipient complained.
    Complained,
    /// A provider may have it, and nobody knows.
    Unknown,
}

impl MessageStatus {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Sent,
        Self::Delivered,
        Self::Failed,
        Self::Undelivered,
        Self::Bounced,
        Self::Complained,
        Self::Unknown,
    ];

    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Undelivered => "undelivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Unknown => "unknown",
        }
    }

    /// The status of this name.
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// Who carries a message: an account at a provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Carrier {
    /// At which provider.
    pub provider: Provider,
    /// Whose account.
    pub whose: Whose,
    /// Who pays for it.
    pub payer: Payer,
}

impl Carrier {
    /// Whether it is the same account.
    pub fn is(&self, other: &Self) -> bool {
        (self.provider, self.whose) == (other.provider, other.whose)
    }

    /// As answers name it.
    pub fn mode(&self) -> Mode {
        match self.whose {
            Whose::Organization if self.payer == Payer::Customer => Mode::CustomerManaged,
            _ => Mode::PlatformManaged,
        }
    }
}

/// One time that a message was, or was about to be, given to a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// 1 for the first.
    pub number: u32,
    /// Through which account.
    pub carrier: Carrier,
    /// When it began.
    pub started_at: Timestamp,
}

/// An account that did not take the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// At which provider.
    pub provider: Provider,
    /// Whether it is the platform's account.
    pub platform: bool,
    /// Why, by our code.
    pub code: Code,
    /// Whether it will not take it later either.
    pub for_good: bool,
    /// When it wants to be asked again, if it said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Tried {
    /// `carrier` did not take the message.
    pub fn new(carrier: &Carrier, code: Code, for_good: bool, until: Option<Timestamp>) -> Self {
        let platform = carrier.whose == Whose::Platform;
        Self { provider: carrier.provider, platform, code, for_good, until }
    }

    /// Which account it was; who paid for it matters no more.
    pub fn carrier(&self) -> Carrier {
        let (whose, payer) = if self.platform {
            (Whose::Platform, Payer::Platform)
        } else {
            (Whose::Organization, Payer::Customer)
        };
        Carrier { provider: self.provider, whose, payer }
    }

    /// Whether it is this account.
    pub fn is(&self, carrier: &Carrier) -> bool {
        self.provider == carrier.provider && self.platform == (carrier.whose == Whose::Platform)
    }
}

/// How far a message that we send is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No provider has it.
    Queued,
    /// A provider may be getting it right now, or got it from a worker that is gone.
    Sending {
        /// By which attempt.
        attempt: Attempt,
        /// When a provider may first have got it: before the attempt began, where that repeats one whose outcome is
        /// unknown, under the same key.
        since: Timestamp,
    },
    /// A provider may have it, and nobody knows.
    Unknown(Doubt),
    /// A provider has it, or had it.
    Given(Given),
    /// No provider took it, and none is asked any more.
    Failed {
        /// Why.
        code: Code,
    },
}

/// What is known of a message with an unknown outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// The attempt whose outcome is unknown.
    pub attempt: Attempt,
    /// How often the provider was asked about it.
    pub look_ups: u32,
    /// Whether the provider cannot tell, so that a person has to decide (or an event does).
    pub is_for_a_person: bool,
}

/// What a provider did with a message that it has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Through which account.
    pub carrier: Carrier,
    /// By which the provider knows it; absent while only events have told us that it was taken.
    pub external_id: Option<String>,
    /// Since when it has it.
    pub at: Timestamp,
    /// What became of it: anything but queued and unknown.
    pub status: MessageStatus,
    /// Why it did not arrive.
    pub code: Option<Code>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
}

/// A message that we send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, by which providers are told of it.
    pub id: MessageId,
    /// What was asked for.
    pub new: NewMessage,
    /// Since when.
    pub queued_at: Timestamp,
    /// Who was to carry it when it was queued.
    pub planned: Carrier,
    /// How many parts an SMS has.
    pub segments: Option<u32>,
    /// What it costs: the credit that is or was taken for it, or what the provider says.
    pub cost: Option<Cost>,
    /// Whether credit is held back for it.
    pub is_reserved: bool,
    /// How often it was given to a provider, or nearly.
    pub attempts: u32,
    /// How often every account refused it for the time being.
    pub rounds: u32,
    /// Who did not take it.
    pub tried: Vec<Tried>,
    /// When it should be looked at next; `None` once nothing happens with it by itself.
    pub due_at: Option<Timestamp>,
    /// Whether what it says is not true any more, so that it is given to nobody else.
    pub is_withdrawn: bool,
    /// How far it is.
    pub state: State,
}

/// The first pause between two rounds; each next one is twice as long.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
/// The longest of our own pauses.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// 5 s, 10 s, 20 s … at most an hour, for the pause after round or look-up `number`.
pub(crate) fn pause(number: u32) -> SignedDuration {
    let doublings = number.saturating_sub(1).min(12);
    FIRST_PAUSE.checked_mul(1 << doublings).map_or(LONGEST_PAUSE, |pause| pause.min(LONGEST_PAUSE))
}

impl Message {
    /// What it goes out on.
    pub fn channel(&self) -> Channel {
        self.new.content.channel()
    }

    /// As it is shown.
    pub fn status(&self) -> MessageStatus {
        match &self.state {
            State::Queued | State::Sending { .. } => MessageStatus::Queued,
            State::Unknown(_) => MessageStatus::Unknown,
            State::Given(given) => given.status,
            State::Failed { .. } => MessageStatus::Failed,
        }
    }

    /// Who carries it, or was to.
    pub fn carrier(&self) -> &Carrier {
        match &self.state {
            State::Sending { attempt, .. } | State::Unknown(Doubt { attempt, .. }) => &attempt.carrier,
            State::Given(given) => &given.carrier,
            State::Queued | State::Failed { .. } => &self.planned,
        }
    }

    /// Why it was not sent or did not arrive.
    pub fn code(&self) -> Option<&str> {
        match &self.state {
            State::Given(given) => given.code.as_deref(),
            State::Failed { code } => Some(code),
            _ => None,
        }
    }
}
