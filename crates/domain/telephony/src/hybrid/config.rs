//! How the calls of one of the organization's phones are forwarded, as its owner says it is.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use voxanne_kernel::{
    E164,
    ids::{CallerIdId, ForwardingConfigId},
};

use super::plan::{Carrier, Destination, ForwardingType, Ineligible, Plan, RingTime, SimItself};

/// How long after it was placed a test call may arrive.
pub const TEST_CALL_TIME: SignedDuration = SignedDuration::from_secs(60);
/// How long the voice service's word about a call that arrived may take to reach us.
const LATE_WORD: SignedDuration = SignedDuration::from_secs(2);
/// How far the voice service's clock, by which calls begin, may be behind ours.
const CLOCKS: SignedDuration = SignedDuration::from_secs(20);

/// The country of the phone's carrier: two letters of ISO 3166.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CarrierCountry([u8; 2]);

/// The text is not two letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a country code of two letters, such as US")]
pub struct NotACountry;

impl CarrierCountry {
    /// The United States.
    pub const US: Self = Self(*b"US");

    /// The code.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for CarrierCountry {
    type Err = NotACountry;
    fn from_str(text: &str) -> Result<Self, NotACountry> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Ok(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => Err(NotACountry),
        }
    }
}

impl fmt::Display for CarrierCountry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Whose calls.
    pub caller_id: CallerIdId,
    /// Which calls.
    pub kind: ForwardingType,
    /// Who runs the phone's network.
    pub carrier: Carrier,
    /// Where.
    pub country: CarrierCountry,
    /// How long it should ring first.
    pub ring: RingTime,
}

/// Whether calls are forwarded, as far as we were told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigState {
    /// The codes have been shown.
    PendingSetup,
    /// The person says that they dialled them.
    Active {
        /// Since when.
        confirmed_at: Timestamp,
    },
    /// It was taken back; the codes for that have been shown.
    Disabled,
}

impl ConfigState {
    /// The stored and shown name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingSetup => "pending_setup",
            Self::Active { .. } => "active",
            Self::Disabled => "disabled",
        }
    }
}

/// A call to the phone that should arrive at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCall {
    /// The number it comes from, by which it is told apart when it arrives.
    pub from: E164,
    /// When it was placed.
    pub started_at: Timestamp,
    /// The carrier's id of it; none until the carrier has said it.
    pub call: Option<String>,
}

impl TestCall {
    /// When a call has to begin to be this one.
    pub fn window(&self) -> (Timestamp, Timestamp) {
        (self.started_at - CLOCKS, self.started_at + TEST_CALL_TIME)
    }

    /// Until when word of it may come.
    pub fn ends_at(&self) -> Timestamp {
        self.started_at + TEST_CALL_TIME + LATE_WORD
    }
}

/// What is known of a test call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TestOutcome {
    /// It arrived: calls are forwarded.
    Reached {
        /// When.
        at: Timestamp,
    },
    /// It did not arrive in time.
    NotReached,
    /// It may still arrive.
    Pending {
        /// Until then.
        until: Timestamp,
    },
}

/// A forwarding that was set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardingConfig {
    /// Ours.
    pub id: ForwardingConfigId,
    /// What was asked for.
    pub setup: Setup,
    /// The phone's number.
    pub sim: E164,
    /// The organization's own number that calls go to.
    pub to: Destination,
    /// Whether they do.
    pub state: ConfigState,
    /// When a test call last arrived.
    pub proved_at: Option<Timestamp>,
    /// The latest test call, if what came of it is still open.
    pub test: Option<TestCall>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything last changed.
    pub updated_at: Timestamp,
}

impl ForwardingConfig {
    /// What to dial.
    ///
    /// # Errors
    /// [`Ineligible`] when the carrier cannot forward there.
    pub fn plan(&self) -> Result<Plan, Ineligible> {
        Plan::new(self.setup.carrier, self.setup.kind, &self.to, self.setup.ring)
    }

    /// Takes another setup; what was proved or confirmed of the former is void.
    pub(super) fn set_up(&mut self, setup: Setup, to: Destination, now: Timestamp) {
        (self.setup, self.to, self.state) = (setup, to, ConfigState::PendingSetup);
        (self.proved_at, self.test, self.updated_at) = (None, None, now);
    }

    /// What the organization's calls say about the test under way, at `now`. Tells `None` when there is none.
    pub(super) fn judge(&mut self, arrived: Option<Timestamp>, now: Timestamp) -> Option<TestOutcome> {
        let test = self.test.as_ref()?;
        let outcome = match arrived {
            Some(at) => TestOutcome::Reached { at },
            None if now < test.ends_at() => return Some(TestOutcome::Pending { until: test.ends_at() }),
            None => TestOutcome::NotReached,
        };
        (self.test, self.updated_at) = (None, now);
        if let TestOutcome::Reached { at } = outcome {
            self.proved_at = Some(at);
        }
        Some(outcome)
    }
}

/// The number among the organization's own that calls of `sim` go to: the first that is not the phone itself.
pub(super) fn choose(active: Vec<E164>, sim: &E164) -> Option<Result<Destination, SimItself>> {
    let mut refused = None;
    for number in active {
        match Destination::new(number, sim) {
            Ok(destination) => return Some(Ok(destination)),
            Err(error) => refused = Some(Err(error)),
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_is_two_letters() {
        assert_eq!("gb".parse::<CarrierCountry>().unwrap().as_str(), "GB");
        for wrong in ["", "U", "USA", "1A", "é"] {
            assert!(wrong.parse::<CarrierCountry>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_destination_is_the_first_number_that_is_not_the_phone() {
        let number = |text: &str| E164::new(text).unwrap();
        let (sim, own) = (number("+15005550006"), number("+15005550106"));
        assert_eq!(choose(vec![], &sim), None);
        assert_eq!(choose(vec![sim.clone()], &sim), Some(Err(SimItself)));
        let chosen = choose(vec![sim.clone(), own.clone()], &sim).unwrap().unwrap();
        assert_eq!(*chosen.number(), own);
    }
}
