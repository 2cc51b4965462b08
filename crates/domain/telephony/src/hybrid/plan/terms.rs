//! The words of a forwarding: which calls, whose network, how long, and where to.

use std::str::FromStr;

use voxanne_kernel::E164;

/// Which calls are forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForwardingType {
    /// All of them.
    TotalAi,
    /// Those that nobody takes: missed, busy, unreachable.
    SafetyNet,
}

/// There is no such forwarding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of total_ai, safety_net")]
pub struct UnknownForwardingType;

impl ForwardingType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::TotalAi, Self::SafetyNet];

    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TotalAi => "total_ai",
            Self::SafetyNet => "safety_net",
        }
    }
}

impl FromStr for ForwardingType {
    type Err = UnknownForwardingType;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownForwardingType)
    }
}

/// Who runs the phone's network, as far as its codes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Carrier {
    /// AT&T and those who resell it.
    Att,
    /// T-Mobile US and those who resell it.
    Tmobile,
    /// Verizon: no standard codes, but feature codes.
    Verizon,
    /// Sprint, whose lines run on T-Mobile's network today.
    Sprint,
    /// Another network with the standard's codes.
    OtherGsm,
    /// A small carrier or a landline with feature codes.
    OtherCdma,
    /// Outside of North America.
    International,
}

/// There is no such carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of att, tmobile, verizon, sprint, other_gsm, other_cdma, international")]
pub struct UnknownCarrier;

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Att,
        Self::Tmobile,
        Self::Verizon,
        Self::Sprint,
        Self::OtherGsm,
        Self::OtherCdma,
        Self::International,
    ];

    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Att => "att",
            Self::Tmobile => "tmobile",
            Self::Verizon => "verizon",
            Self::Sprint => "sprint",
            Self::OtherGsm => "other_gsm",
            Self::OtherCdma => "other_cdma",
            Self::International => "international",
        }
    }

    /// Whether it has feature codes (`*72`), which take ten digits of North America and know neither ring time nor
    /// status.
    pub const fn has_star_codes(self) -> bool {
        matches!(self, Self::Verizon | Self::OtherCdma)
    }
}

impl FromStr for Carrier {
    type Err = UnknownCarrier;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|carrier| carrier.as_str() == text).ok_or(UnknownCarrier)
    }
}

/// How long the phone should ring before the call is forwarded: 5 to 60 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RingTime(u8);

/// The ring time is too short or too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of seconds from 5 to 60")]
pub struct NotARingTime;

impl RingTime {
    /// What holds unless something else is asked for.
    pub const DEFAULT: Self = Self(25);
    /// The longest that the standard lets a network wait.
    const LONGEST_IN_A_CODE: u8 = 30;

    /// Reads a number of seconds.
    ///
    /// # Errors
    /// [`NotARingTime`] outside of 5 to 60.
    pub fn new(seconds: i64) -> Result<Self, NotARingTime> {
        let seconds = u8::try_from(seconds).map_err(|_| NotARingTime)?;
        if (5..=60).contains(&seconds) { Ok(Self(seconds)) } else { Err(NotARingTime) }
    }

    /// The seconds that were asked for.
    pub const fn seconds(self) -> u8 {
        self.0
    }

    /// The seconds that a code can ask a network for: in fives, up to 30 (3GPP TS 22.030).
    pub const fn in_a_code(self) -> u8 {
        let stepped = self.0 - self.0 % 5;
        if stepped > Self::LONGEST_IN_A_CODE { Self::LONGEST_IN_A_CODE } else { stepped }
    }
}

/// A number that calls may be forwarded to: not the phone that forwards them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination(E164);

/// A phone cannot forward its calls to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a phone cannot forward its calls to itself")]
pub struct SimItself;

impl Destination {
    /// Takes `number` for the calls of `sim`.
    ///
    /// # Errors
    /// [`SimItself`] when it is the same.
    pub fn new(number: E164, sim: &E164) -> Result<Self, SimItself> {
        if number == *sim { Err(SimItself) } else { Ok(Self(number)) }
    }

    /// The number.
    pub const fn number(&self) -> &E164 {
        &self.0
    }

    /// The ten digits of a North American number.
    pub(super) fn ten_digits(&self) -> Option<&str> {
        self.0.as_str().strip_prefix("+1").filter(|digits| digits.len() == 10)
    }

    /// Whether whoever is called pays: some carriers do not forward there.
    pub(super) fn is_toll_free(&self) -> bool {
        let area = self.ten_digits().and_then(|digits| digits.get(..3));
        area.is_some_and(|area| ["800", "833", "844", "855", "866", "877", "888"].contains(&area))
    }
}

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Covers {
    /// Every call.
    All,
    /// Those that nobody answers.
    NoAnswer,
    /// Those that come while the line is busy or that are declined.
    Busy,
    /// Those that come while the phone is off or without signal.
    Unreachable,
}

impl Covers {
    /// The shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Where a code comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// 3GPP TS 22.030, which the carrier is known to follow.
    Standard,
    /// The carrier's own text.
    Carrier,
    /// Third parties' guides only.
    ThirdParty,
}

impl Basis {
    /// The shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "STD",
            Self::Carrier => "CAR",
            Self::ThirdParty => "3RD",
        }
    }
}
