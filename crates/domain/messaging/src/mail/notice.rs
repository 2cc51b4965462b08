//! What somebody should be told: a closed list, with typed facts. There is no room in it for anybody's free text but the
//! names that an organization gave its own things.

use std::{fmt, str::FromStr};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use voxanne_kernel::{
    Currency, E164, Money, Timestamp,
    ids::{OrgId, SetupId},
    text::{cut_at_word, one_line},
};

use crate::{
    channel::{Channel, Provider},
    model::Mode,
};

/// What somebody should be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data", rename_all = "snake_case")]
pub enum Notice {
    /// To an account's holder: somebody tried to sign up with their address.
    AddressTaken {},
    /// To the owners: a calendar does not let us in any more, and only a person can change that.
    CalendarDisconnected {
        /// Which.
        calendar: CalendarService,
    },
    /// To the owners: the line answers calls.
    SetUpSucceeded {
        /// The number that rings.
        number: E164,
        /// The assistant that answers.
        inbound: Label,
        /// The assistant that calls.
        outbound: Label,
    },
    /// To the owners: the line could not be set up, and is not tried again by itself.
    SetUpFailed {
        /// What did not succeed.
        step: Step,
        /// In which attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<SetupId>,
    },
    /// To the platform's operators: an organization's line could not be set up.
    OrganizationSetUpFailed {
        /// Whose.
        organization: Label,
        /// Its id, to look it up by.
        org_id: OrgId,
        /// What did not succeed.
        step: Step,
        /// Whether something of it is still there after many attempts to take it back.
        is_stuck: bool,
        /// Which attempt to set it up, where that is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<SetupId>,
    },
    /// To the owners: somebody decided that messages go through other accounts than before.
    MessagingModelSwitched {
        /// Whose accounts come first from now on.
        mode: Mode,
        /// Whether ours stand in for the organization's.
        fallback_to_platform: bool,
    },
    /// To the owners: so much of the month's budget for messages is used.
    MessagingBudgetUsed {
        /// 50, 80 or 100.
        percent: u8,
        /// The month, in UTC: `2026-11`.
        month: Label,
        /// What was used, in minor units of `currency`.
        spent: Money,
        /// The budget, in the same.
        budget: Money,
        /// Of both.
        currency: Currency,
    },
    /// To the owners: an account that sends their messages does not take them, and another one does instead.
    MessagesFailedOver {
        /// On which channel.
        channel: Channel,
        /// Whose account does not take them.
        failed: Provider,
        /// Who does.
        by: Provider,
        /// Whether that is the platform's account.
        by_platform: bool,
    },
}

/// When the same may be told to the same person again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeats {
    /// Whenever it happens.
    Always,
    /// Not before so much time has passed.
    After(SignedDuration),
    /// Never.
    Never,
}

impl Notice {
    /// The stored name of its kind, also for logs and figures.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AddressTaken {} => "address_taken",
            Self::CalendarDisconnected { .. } => "calendar_disconnected",
            Self::SetUpSucceeded { .. } => "set_up_succeeded",
            Self::SetUpFailed { .. } => "set_up_failed",
            Self::OrganizationSetUpFailed { .. } => "organization_set_up_failed",
            Self::MessagesFailedOver { .. } => "messages_failed_over",
            Self::MessagingModelSwitched { .. } => "messaging_model_switched",
            Self::MessagingBudgetUsed { .. } => "messaging_budget_used",
        }
    }

    /// What it is about: two notices with the same topic tell the same.
    pub fn topic(&self) -> String {
        let kind = self.kind();
        match self {
            Self::AddressTaken {} => kind.to_owned(),
            Self::CalendarDisconnected { calendar } => format!("{kind}:{calendar}"),
            Self::SetUpSucceeded { number, .. } => format!("{kind}:{number}"),
            Self::SetUpFailed { step, attempt } => of_attempt(format!("{kind}:{step}"), *attempt),
            Self::OrganizationSetUpFailed { org_id, step, is_stuck, attempt, .. } => {
                of_attempt(format!("{kind}:{org_id}:{step}:{is_stuck}"), *attempt)
            }
            Self::MessagesFailedOver { channel, failed, .. } => format!("{kind}:{channel}:{failed}"),
            Self::MessagingModelSwitched { mode, fallback_to_platform } => {
                format!("{kind}:{mode}:{fallback_to_platform}")
            }
            Self::MessagingBudgetUsed { percent, month, .. } => format!("{kind}:{month}:{percent}"),
        }
    }

    fn repeats(&self) -> Repeats {
        match self {
            // An attempt fails once, and the job may run again after it told that. Setting up a line that is set up is how it
            // is mended. A share of a month's budget is used up once.
            Self::SetUpFailed { attempt: Some(_), .. }
            | Self::OrganizationSetUpFailed { attempt: Some(_), .. }
            | Self::SetUpSucceeded { .. }
            | Self::MessagingBudgetUsed { .. } => Repeats::Never,
            // Anybody can cause the first as often as they like.
            Self::AddressTaken {} | Self::SetUpFailed { .. } | Self::OrganizationSetUpFailed { .. } => {
                Repeats::After(SignedDuration::from_hours(1))
            }
            // Told once until the account works again; one that works now and then is not told of all day.
            Self::MessagesFailedOver { .. } => Repeats::After(SignedDuration::from_hours(24)),
            // Told where the connection turns from working to not working, or the model is switched, which happens once.
            Self::CalendarDisconnected { .. } | Self::MessagingModelSwitched { .. } => Repeats::Always,
        }
    }

    /// At `now`, it is not told to whoever was told the same after this time; `None` if it may be told in any case.
    pub fn told_since(&self, now: Timestamp) -> Option<Timestamp> {
        match self.repeats() {
            Repeats::Always => None,
            Repeats::After(pause) => Some(now.checked_sub(pause).unwrap_or(Timestamp::UNIX_EPOCH)),
            Repeats::Never => Some(Timestamp::UNIX_EPOCH),
        }
    }
}

/// The topic of something that happened in an attempt to set a line up.
fn of_attempt(topic: String, attempt: Option<SetupId>) -> String {
    match attempt {
        Some(attempt) => format!("{topic}:{attempt}"),
        None => topic,
    }
}

/// The text is none of the names that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of the known names")]
pub struct UnknownName;

/// Declares an enum with the one text per variant that is stored, and what people call it.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$variant_doc])* #[serde(rename = $text)] $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;
            fn from_str(text: &str) -> Result<Self, UnknownName> {
                Self::ALL.iter().copied().find(|one| one.as_str() == text).ok_or(UnknownName)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

named! {
    /// A calendar that an organization has connected, by the name its credential has.
    CalendarService {
        /// Google Calendar.
        Google = "google_calendar",
        /// Outlook.
        Outlook = "outlook_calendar",
    }
}

impl CalendarService {
    /// What people call it.
    pub(super) const fn spoken(self) -> &'static str {
        match self {
            Self::Google => "Google Calendar",
            Self::Outlook => "Outlook Calendar",
        }
    }
}

named! {
    /// A step of setting a line up, by the name its status shows (`spec/13-names-and-shapes.md`, Onboarding).
    Step {
        /// The organization itself and what its messages are signed with.
        Organization = "organization",
        /// The account at the carrier.
        TelephonyAccount = "telephony_account",
        /// Buying the number.
        PhoneNumber = "phone_number",
        /// The assistant that answers.
        InboundAssistant = "inbound_assistant",
        /// The assistant that calls.
        OutboundAssistant = "outbound_assistant",
        /// Connecting the number with the assistant.
        VapiPhoneNumber = "vapi_phone_number",
        /// Saving what was set up.
        Configuration = "configuration",
    }
}

impl Step {
    /// What people call it.
    pub(super) const fn spoken(self) -> &'static str {
        match self {
            Self::Organization => "Preparing your organization",
            Self::TelephonyAccount => "Opening the phone account",
            Self::PhoneNumber => "Getting a phone number",
            Self::InboundAssistant => "Creating the assistant that answers calls",
            Self::OutboundAssistant => "Creating the assistant that makes calls",
            Self::VapiPhoneNumber => "Connecting the phone number with the assistant",
            Self::Configuration => "Saving the configuration",
        }
    }

    /// What it means for the organization that this did not succeed.
    pub(super) const fn meaning(self) -> &'static str {
        match self {
            Self::Organization | Self::TelephonyAccount => {
                "Nothing was set up yet, and no phone number was bought."
            }
            Self::PhoneNumber => "No phone number could be bought, so nobody can call your assistant yet.",
            Self::InboundAssistant => "There is no assistant yet that could answer your calls.",
            Self::OutboundAssistant => {
                "The assistant that makes calls is missing, so the line is not in use."
            }
            Self::VapiPhoneNumber => {
                "Your number could not be connected with your assistant, so calls do not reach it yet."
            }
            Self::Configuration => {
                "Your assistant is not in use yet, because its settings could not be saved."
            }
        }
    }
}

/// A name that an organization gave something: one line of text, in which nothing can break a header or turn the
/// direction of what follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Label(Box<str>);

impl Label {
    /// The most characters that are shown.
    const LONGEST: usize = 200;

    /// What can be shown of `text`.
    pub fn new(text: &str) -> Self {
        // Marks that would let a name rearrange the words around it.
        let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        let plain: String = text.chars().filter(|c| !turns(c)).collect();
        Self(cut_at_word(&one_line(&plain), Self::LONGEST).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Label {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0.into()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_notice_is_stored_as_its_kind_and_its_facts() {
        for (notice, expected) in [
            (Notice::AddressTaken {}, r#"{"kind":"address_taken","data":{}}"#),
            (
                Notice::CalendarDisconnected { calendar: CalendarService::Google },
                r#"{"kind":"calendar_disconnected","data":{"calendar":"google_calendar"}}"#,
            ),
            (
                Notice::SetUpFailed { step: Step::VapiPhoneNumber, attempt: None },
                r#"{"kind":"set_up_failed","data":{"step":"vapi_phone_number"}}"#,
            ),
        ] {
            let text = serde_json::to_string(&notice).unwrap();
            assert_eq!(text, expected);
            assert!(expected.contains(notice.kind()));
            assert_eq!(serde_json::from_str::<Notice>(&text).unwrap(), notice);
        }
    }

    #[test]
    fn every_stored_name_is_read_back() {
        for step in Step::ALL {
            assert_eq!(step.as_str().parse(), Ok(*step));
        }
        assert_eq!("email".parse::<Step>(), Err(UnknownName));
    }

    #[test]
    fn a_name_cannot_break_a_line_or_turn_the_text_around() {
        assert_eq!(Label::new("Clinic\r\nBcc: x@y.zz").as_str(), "Clinic Bcc: x@y.zz");
        assert_eq!(Label::new("a\u{202e}b\u{2028}c\u{0}").as_str(), "ab c");
    }

    proptest! {
        #[test]
        fn no_name_holds_what_ends_a_header(text: String) {
            let label = Label::new(&text);
            prop_assert!(!label.as_str().contains(char::is_control));
            prop_assert!(label.as_str().chars().count() <= 200);
            prop_assert_eq!(Label::new(label.as_str()), label);
        }
    }
}
