//! What does not agree between providers and records.

use voxanne_kernel::{E164, ids::OrgId};

use crate::numbers::ports::Bought;

/// Where something is that the other side does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// At the carrier.
    Carrier,
    /// At the voice service.
    Voice,
    /// In our records.
    Records,
}

impl Side {
    /// Every side.
    pub const ALL: [Self; 3] = [Self::Carrier, Self::Voice, Self::Records];

    /// The name in metrics and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Carrier => "twilio",
            Self::Voice => "vapi",
            Self::Records => "database",
        }
    }
}

/// Something that one side has and the other does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stray {
    /// A number in an account of ours.
    CarrierNumber {
        /// The account.
        account: String,
        /// The number.
        bought: Bought,
    },
    /// An account that goes by our name.
    CarrierAccount {
        /// The account.
        account: String,
    },
    /// A number at the voice service that goes by our name.
    VoiceNumber {
        /// The service's id.
        id: String,
        /// The digits.
        number: Option<E164>,
    },
    /// An account at the voice service that goes by our name.
    VoiceAccount {
        /// The service's id.
        id: String,
    },
    /// An assistant that carries our marks.
    VoiceAssistant {
        /// The service's id.
        id: String,
    },
    /// A number that should ring and that the carrier does not have.
    MissingAtCarrier {
        /// The number.
        number: E164,
    },
    /// A number that should ring and that the voice service does not have.
    MissingAtVoice {
        /// The number.
        number: E164,
    },
}

impl Stray {
    /// Where it is.
    pub const fn side(&self) -> Side {
        match self {
            Self::CarrierNumber { .. } | Self::CarrierAccount { .. } => Side::Carrier,
            Self::VoiceNumber { .. } | Self::VoiceAccount { .. } | Self::VoiceAssistant { .. } => Side::Voice,
            Self::MissingAtCarrier { .. } | Self::MissingAtVoice { .. } => Side::Records,
        }
    }

    /// What it is, `snake_case`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::CarrierNumber { .. } | Self::VoiceNumber { .. } => "number",
            Self::CarrierAccount { .. } => "account",
            Self::VoiceAccount { .. } => "credential",
            Self::VoiceAssistant { .. } => "assistant",
            Self::MissingAtCarrier { .. } => "missing_at_twilio",
            Self::MissingAtVoice { .. } => "missing_at_vapi",
        }
    }

    /// The provider's id of it, where it has one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::CarrierNumber { bought, .. } => Some(&bought.id),
            Self::CarrierAccount { account } => Some(account),
            Self::VoiceNumber { id, .. } | Self::VoiceAccount { id } | Self::VoiceAssistant { id } => {
                Some(id)
            }
            Self::MissingAtCarrier { .. } | Self::MissingAtVoice { .. } => None,
        }
    }

    /// Its digits, where it has some.
    pub fn number(&self) -> Option<&E164> {
        match self {
            Self::CarrierNumber { bought, .. } => Some(&bought.number),
            Self::VoiceNumber { number, .. } => number.as_ref(),
            Self::MissingAtCarrier { number } | Self::MissingAtVoice { number } => Some(number),
            Self::CarrierAccount { .. } | Self::VoiceAccount { .. } | Self::VoiceAssistant { .. } => None,
        }
    }
}

/// A stray, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub stray: Stray,
    /// Whose it is, by its name.
    pub org: Option<OrgId>,
    /// What was done about it, if anything was to be.
    pub release: Option<Release>,
}

/// What was done about a stray.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// It is gone.
    Done,
    /// It is on record now as being released; the worker goes on until the providers have let go.
    Queued,
    /// It could not be released; another run may.
    Failed,
    /// It is in our records only, which somebody has to look at.
    NotOurs,
}

impl Release {
    /// The name in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "released",
            Self::Queued => "releasing",
            Self::Failed => "failed",
            Self::NotOurs => "needs_attention",
        }
    }
}

/// Everything that does not agree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Numbers that were looked at: at the carrier, at the voice service, in our records.
    pub compared: [usize; 3],
}

impl Report {
    /// How many strays there are on one side.
    pub fn on(&self, side: Side) -> usize {
        self.findings.iter().filter(|finding| finding.stray.side() == side).count()
    }
}
