//! Every mail with made-up facts, for whoever wants to see them.

use std::{fmt, str::FromStr};

use voxanne_kernel::{E164, EmailAddress, Timestamp, Zone};

use super::{
    letter::{Addressee, Letter, Letterhead, Office},
    notice::{CalendarService, Label, Notice, Step, UnknownName},
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
}

impl Template {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::AddressTaken, Self::CalendarDisconnected, Self::SetUpSucceeded, Self::SetUpFailed];

    /// Its name at the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddressTaken => "address-taken",
            Self::CalendarDisconnected => "calendar-disconnected",
            Self::SetUpSucceeded => "setup-succeeded",
            Self::SetUpFailed => "setup-failed",
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
            Self::SetUpFailed => Notice::SetUpFailed { step: Step::VapiPhoneNumber },
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
