//! A setup as it is recorded: what was asked for, how far each step has come, and what it holds.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use voxanne_kernel::{AreaCode, Country, E164, Timestamp, ids::SetupId};

use crate::ports::{LineKind, ReadyAssistant, RoutedNumber};

/// Declares an enum with the one text per variant that is stored and shown.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every one, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stored and shown name.
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

/// The text is none of the names that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of the known names")]
pub struct UnknownName;

named! {
    /// A step of setting a line up, in order (`spec/13-names-and-shapes.md`, Onboarding).
    StepName {
        /// The organization, its owner, and what its messages are signed with.
        Organization = "organization",
        /// Where its number comes from; an account at the carrier if we are to buy one.
        TelephonyAccount = "telephony_account",
        /// Buying the number.
        PhoneNumber = "phone_number",
        /// The assistant that answers.
        InboundAssistant = "inbound_assistant",
        /// The assistant that calls.
        OutboundAssistant = "outbound_assistant",
        /// The number at the voice service, bound to the assistant that answers.
        VapiPhoneNumber = "vapi_phone_number",
        /// Everything together is in use.
        Configuration = "configuration",
        /// The owners are told.
        Email = "email",
    }
}

named! {
    /// How far a step is.
    StepStatus {
        /// Not begun.
        Pending = "pending",
        /// Begun; it may have acted.
        Running = "running",
        /// Done.
        Done = "done",
        /// It did not succeed: it is tried again, or was what the setup failed with.
        Failed = "failed",
        /// It was done, or begun, and nothing of it is left.
        Undone = "undone",
    }
}

named! {
    /// How far a setup is.
    SetupStatus {
        /// It is under way.
        Provisioning = "provisioning",
        /// The line answers.
        Active = "active",
        /// It failed, and nothing of it is left.
        Failed = "failed",
        /// What it made is being taken back.
        Cleaning = "cleaning",
        /// It was taken back on request.
        Inactive = "inactive",
        /// The organization was stopped. Shown only: what is recorded is where it goes on afterwards.
        Suspended = "suspended",
    }
}

named! {
    /// Where the line's number comes from.
    NumberSource {
        /// The organization brought it, or had it before this setup; it is used and left alone.
        Present = "present",
        /// We buy it for the organization.
        Bought = "bought",
        /// The voice service provided it, to a setup of old: none is set up so any more.
        Provided = "provided",
    }
}

/// A step and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How far.
    pub status: StepStatus,
    /// How often it was begun.
    pub attempts: u32,
    /// When the status was last changed.
    pub at: Option<Timestamp>,
    /// Why it did not succeed last time, as a stable code.
    pub error: Option<String>,
    /// While cleaning: whether nothing of it is left.
    pub is_cleared: bool,
}

/// Which line is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupWish {
    /// The country of its number.
    #[serde(default)]
    pub country: Country,
    /// Where in it; anywhere if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area_code: Option<AreaCode>,
    /// Whether a number from another area will do when this one has none.
    #[serde(default)]
    pub allow_fallback: bool,
}

/// Why a setup failed for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// At which step.
    pub step: StepName,
    /// Why, as a stable code such as `no_numbers_available`.
    pub code: String,
    /// Area codes nearby that have numbers, where that would help.
    pub nearby: Vec<String>,
}

/// An organization's setup. There is at most one; a new attempt replaces one that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Its id, which labels what it makes.
    pub id: SetupId,
    /// How far it is.
    pub status: SetupStatus,
    /// What was asked for.
    pub wish: SetupWish,
    /// Where the number comes from, once that is decided.
    pub source: Option<NumberSource>,
    /// The number, once it is ours.
    pub phone_number: Option<E164>,
    /// The voice service's id of it.
    pub vapi_phone_id: Option<String>,
    /// The assistant that answers.
    pub inbound: Option<ReadyAssistant>,
    /// The assistant that calls.
    pub outbound: Option<ReadyAssistant>,
    /// The assistants that were there before, which a failure leaves alone.
    pub kept: Vec<LineKind>,
    /// When it was asked for.
    pub started_at: Timestamp,
    /// When it was finished, well or not.
    pub completed_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Whether its owners' mail was recorded to be sent, by a platform that sends mails.
    pub email_queued: bool,
    /// How often it was tried to take everything back.
    pub undo_attempts: u32,
    /// All eight, in order.
    pub steps: Vec<Step>,
}

impl Step {
    fn pending(name: StepName) -> Self {
        Self { name, status: StepStatus::Pending, attempts: 0, at: None, error: None, is_cleared: false }
    }
}

impl Setup {
    /// A setup of which nothing is done.
    pub fn new(wish: SetupWish, now: Timestamp) -> Self {
        Self {
            id: SetupId::generate(),
            status: SetupStatus::Provisioning,
            wish,
            source: None,
            phone_number: None,
            vapi_phone_id: None,
            inbound: None,
            outbound: None,
            kept: Vec::new(),
            started_at: now,
            completed_at: None,
            failure: None,
            email_queued: false,
            undo_attempts: 0,
            steps: StepName::ALL.iter().copied().map(Step::pending).collect(),
        }
    }

    /// The label of what it makes at providers.
    pub fn tag(&self) -> String {
        format!("voxanne-setup:{}", self.id)
    }

    /// One of its steps.
    pub fn step(&self, name: StepName) -> &Step {
        &self.steps[name as usize]
    }

    /// Whether something is still being done for it.
    pub fn is_under_way(&self) -> bool {
        matches!(self.status, SetupStatus::Provisioning | SetupStatus::Cleaning)
    }

    /// Whether it was taken back and holds nothing any more.
    pub(super) fn is_gone(&self) -> bool {
        let holds_nothing = self.phone_number.is_none() && self.inbound.is_none() && self.outbound.is_none();
        self.status == SetupStatus::Inactive && holds_nothing
    }

    /// The organization gives `number` up. Where that is the line's number, `next` takes its place; without one nobody is
    /// reached any more, so that the line may be set up again: its assistants are kept for that. Gives whether this
    /// changed anything; a setup that is under way finds out by itself.
    pub fn leave(&mut self, number: &E164, next: Option<RoutedNumber>, now: Timestamp) -> bool {
        if self.status != SetupStatus::Active || self.phone_number.as_ref() != Some(number) {
            return false;
        }
        if let Some(RoutedNumber { number, provider_id }) = next {
            (self.phone_number, self.vapi_phone_id) = (Some(number), Some(provider_id));
            return true;
        }
        (self.phone_number, self.vapi_phone_id) = (None, None);
        (self.status, self.completed_at) = (SetupStatus::Inactive, Some(now));
        for name in [StepName::PhoneNumber, StepName::VapiPhoneNumber, StepName::Configuration] {
            let step = self.step_mut(name);
            (step.status, step.at, step.is_cleared) = (StepStatus::Undone, Some(now), true);
        }
        true
    }

    /// One of its assistants.
    pub fn assistant(&self, kind: LineKind) -> Option<&ReadyAssistant> {
        match kind {
            LineKind::Inbound => self.inbound.as_ref(),
            LineKind::Outbound => self.outbound.as_ref(),
        }
    }

    pub(super) fn step_mut(&mut self, name: StepName) -> &mut Step {
        &mut self.steps[name as usize]
    }
}
