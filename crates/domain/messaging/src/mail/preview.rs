//! Every mail with made-up facts, for whoever wants to see them.

use std::{fmt, str::FromStr};

use voxanne_kernel::{Currency, E164, EmailAddress, Money, Timestamp, Zone};

use super::{
    letter::{Addressee, Letter, Letterhead, Office},
    notice::{CalendarService, Label, Notice, Step, UnknownName},
};
use crate::{
    channel::{Channel, Provider},
    model::Mode,
};

/// A mail that can be looked at, by the kind of its notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// [`Notice::AddressTaken`].
    AddressTaken,
    /// [`Notice::CalendarDisconnected`].
    CalendarDisconnected,
    /// [`Notice::SetUpSucceeded`].
    SetUpSucceeded,
    /// [`Notice::SetUpFailed`].
    SetUpFailed,
    /// [`Notice::OrganizationSetUpFailed`].
    OrganizationSetUpFailed,
    /// [`Notice::MessagingModelSwitched`].
    MessagingModelSwitched,
    /// [`Notice::MessagingBudgetUsed`].
    MessagingBudgetUsed,
    /// [`Notice::MessagesFailedOver`].
    MessagesFailedOver,
}

impl Template {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::AddressTaken,
        Self::CalendarDisconnected,
        Self::SetUpSucceeded,
        Self::SetUpFailed,
        Self::OrganizationSetUpFailed,
        Self::MessagingModelSwitched,
        Self::MessagingBudgetUsed,
        Self::MessagesFailedOver,
    ];

    /// Its name at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressTaken => "address-taken",
            Self::CalendarDisconnected => "calendar-disconnected",
            Self::SetUpSucceeded => "setup-succeeded",
            Self::SetUpFailed => "setup-failed",
            Self::OrganizationSetUpFailed => "organization-setup-failed",
            Self::MessagingModelSwitched => "messaging-model-switched",
            Self::MessagingBudgetUsed => "messaging-budget-used",
            Self::MessagesFailedOver => "messages-failed-over",
        }
    }

    fn notice(self) -> Option<Notice> {
        Some(match self {
            Self::AddressTaken => Notice::AddressTaken {},
            Self::CalendarDisconnected => Notice::CalendarDisconnected { calendar: CalendarService::Google },
            Self::SetUpSucceeded => Notice::SetUpSucceeded {
                number: E164::new("+15005550006").ok()?,
                inbound: Label::new("Clinique Étoile Receptionist"),
                outbound: Label::new("Clinique Étoile Caller"),
            },
            Self::SetUpFailed => Notice::SetUpFailed { step: Step::VapiPhoneNumber, attempt: None },
            Self::OrganizationSetUpFailed => Notice::OrganizationSetUpFailed {
                organization: Label::new("Clinique Étoile"),
                org_id: "0190a000-0000-7000-8000-000000000001".parse().ok()?,
                step: Step::PhoneNumber,
                is_stuck: true,
                attempt: None,
            },
            Self::MessagesFailedOver => Notice::MessagesFailedOver {
                channel: Channel::Sms,
                failed: Provider::Termii,
                by: Provider::Twilio,
                by_platform: true,
            },
            Self::MessagingModelSwitched => {
                Notice::MessagingModelSwitched { mode: Mode::CustomerManaged, fallback_to_platform: true }
            }
            Self::MessagingBudgetUsed => Notice::MessagingBudgetUsed {
                percent: 80,
                month: Label::new("2026-11"),
                spent: Money::from_minor(4_012),
                budget: Money::from_minor(5_000),
                currency: Currency::USD,
            },
        })
    }
}

impl FromStr for Template {
    type Err = UnknownName;
    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|template| template.as_str() == text).ok_or(UnknownName)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// `template`, written to a made-up person of a made-up clinic at `at`. `None` only if a template is broken.
pub fn preview(template: Template, at: Timestamp) -> Option<Letter> {
    let address = |text| EmailAddress::new(text).ok();
    let office = Office { name: Label::new("Clinique Étoile"), zone: Zone::new("Europe/Paris").ok()? };
    let addressee = Addressee { email: address("owner@clinic.example")?, office: Some(office) };
    let head = Letterhead { support: address("support@voxanne.example")? };
    Letter::write(&template.notice()?, at, &addressee, &head).ok()
}
