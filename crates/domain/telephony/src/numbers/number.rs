//! A managed number and the stations of its life.

use uuid::Uuid;
pub use voxanne_kernel::{AreaCode, Country};
use voxanne_kernel::{E164, Timestamp, ids::ManagedNumberId};

/// Which number is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// In which country.
    pub country: Country,
    /// Where in it; anywhere if `None`.
    pub area_code: Option<AreaCode>,
    /// Exactly this one.
    pub number: Option<E164>,
    /// Whether a number from another area will do when this one has none.
    pub allow_fallback: bool,
}

/// How far a purchase has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// The number is chosen. It may have been bought by an attempt that was interrupted.
    Chosen,
    /// It is ours at the carrier, under this id. It may have been imported already.
    Bought {
        /// The carrier's id.
        carrier_id: String,
    },
}

/// What is still to be let go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Releasing {
    /// The carrier's id, where it is known.
    pub carrier_id: Option<String>,
    /// The voice service's id, where it is known.
    pub voice_id: Option<String>,
    /// Whether the voice service has let go of it.
    pub voice_released: bool,
    /// Whether the carrier has.
    pub carrier_released: bool,
}

/// Where a number is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberState {
    /// It is being bought and made to ring.
    Buying(Progress),
    /// It rings at the organization.
    Active {
        /// The carrier's id.
        carrier_id: String,
        /// The voice service's id.
        voice_id: String,
    },
    /// It rings nowhere any more; a provider still has to let go of it.
    Releasing(Releasing),
    /// Both providers have let go of it.
    Released {
        /// Since when.
        at: Timestamp,
    },
    /// It could not be bought; there is nothing to let go of.
    Failed {
        /// Why, as a stable name.
        code: String,
    },
}

impl NumberState {
    /// The stored and shown name.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Buying(_) => "buying",
            Self::Active { .. } => "active",
            Self::Releasing(_) => "releasing",
            Self::Released { .. } => "released",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether a provider has, or may have, something of it.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Buying(_) | Self::Active { .. } | Self::Releasing(_))
    }

    /// The voice service's id, while there is one.
    pub fn voice_id(&self) -> Option<&str> {
        match self {
            Self::Active { voice_id, .. } => Some(voice_id),
            Self::Releasing(releasing) => releasing.voice_id.as_deref(),
            Self::Buying(_) | Self::Released { .. } | Self::Failed { .. } => None,
        }
    }

    /// The carrier's id, while there is one.
    pub fn carrier_id(&self) -> Option<&str> {
        match self {
            Self::Active { carrier_id, .. } | Self::Buying(Progress::Bought { carrier_id }) => {
                Some(carrier_id)
            }
            Self::Releasing(releasing) => releasing.carrier_id.as_deref(),
            Self::Buying(Progress::Chosen) | Self::Released { .. } | Self::Failed { .. } => None,
        }
    }

    /// The state from which everything is let go of.
    pub fn releasing(&self) -> Releasing {
        Releasing {
            carrier_id: self.carrier_id().map(ToOwned::to_owned),
            voice_id: self.voice_id().map(ToOwned::to_owned),
            voice_released: false,
            carrier_released: false,
        }
    }
}

/// A number that the platform bought for an organization, or is about to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedNumber {
    /// Our id of it.
    pub id: ManagedNumberId,
    /// The carrier's id of the account it is in.
    pub account: String,
    /// The name it goes by at the carrier, by which an interrupted purchase is found.
    pub tag: String,
    /// The digits. Until it is bought they may still change.
    pub number: E164,
    /// What was asked for.
    pub wish: Wish,
    /// Where it is.
    pub state: NumberState,
    /// Where the carrier brings texts to it, as far as we know.
    pub texts: Option<String>,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// When the carrier sold it.
    pub purchased_at: Option<Timestamp>,
}

impl ManagedNumber {
    /// The tag of a number that was bought by itself; one bought in a setup carries the setup's.
    pub fn tag_of(id: ManagedNumberId) -> String {
        format!("{OWN_TAG}{id}")
    }
}

/// What the tag of a number that was bought by itself begins with.
const OWN_TAG: &str = "voxanne-number:";
/// What that of a number that was bought in a setup begins with (`spec/13-names-and-shapes.md`, Onboarding).
const SETUP_TAG: &str = "voxanne-setup:";

/// Whether a number that goes by this name at the carrier was bought by us.
pub(super) fn is_tag_of_ours(name: &str) -> bool {
    let id = [OWN_TAG, SETUP_TAG].iter().find_map(|tag| name.strip_prefix(tag));
    id.is_some_and(|id| id.parse::<Uuid>().is_ok())
}
