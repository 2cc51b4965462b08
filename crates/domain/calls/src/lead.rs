//! Leads: where a contact stands, and how promising they are (`spec/13-names-and-shapes.md`, decision D16).
//!
//! The score sums intent (booked 40, asked for price or times 25, information 10, none 0), urgency (high 20, medium 10),
//! sentiment (≥ 0.3: 15, ≥ −0.3: 8), value (≥ 5,000: 15, ≥ 1,000: 10, > 0: 5) and recency (last 24 hours 10, week 5).
//! Hot from 70, warm from 40. All but recency is stored; recency is added when a score is read, so that a lead cools
//! down without anybody touching it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use voxanne_kernel::Money;

use crate::assessment::{Outcome, SentimentScore, Urgency, words};

/// Where a contact stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeadStatus {
    /// Known, not spoken to.
    New,
    /// Spoken to.
    Contacted,
    /// Has booked. Nothing takes this back.
    Booked,
    /// Has refused explicitly, or was marked so by hand.
    Lost,
}
words!(LeadStatus: "new" => New, "contacted" => Contacted, "booked" => Booked, "lost" => Lost);

impl LeadStatus {
    /// Where the contact stands after a call that ended: `reached` says that two sides spoke.
    #[must_use]
    pub fn after_call(self, booked: bool, refused: bool, reached: bool) -> Self {
        match self {
            _ if booked => Self::Booked,
            Self::Booked => Self::Booked,
            _ if refused => Self::Lost,
            Self::New if reached => Self::Contacted,
            unchanged => unchanged,
        }
    }
}

/// How much a caller wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// An appointment, and got it.
    Booked,
    /// A price or free times.
    PriceOrTimes,
    /// To know something.
    Information,
    /// Nothing.
    None,
}

impl Intent {
    /// What an outcome says about it. An analysis that says "booked" where no appointment was made means that the
    /// caller asked for one.
    pub fn of_outcome(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Booked | Outcome::AskedPriceOrTimes => Self::PriceOrTimes,
            Outcome::Information => Self::Information,
            Outcome::Refused | Outcome::None => Self::None,
        }
    }
}

/// What one call says about a lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeadSignals {
    /// How much they wanted.
    pub intent: Intent,
    /// How soon.
    pub urgency: Urgency,
    /// How they felt.
    pub sentiment: SentimentScore,
    /// What it is worth, in the organization's currency.
    pub value: Money,
    /// When the call ended.
    pub at: Timestamp,
}

/// A lead's score, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct LeadScore(u8);

/// How promising a lead is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temperature {
    /// From 70.
    Hot,
    /// From 40.
    Warm,
    /// Below.
    Cold,
}
words!(Temperature: "hot" => Hot, "warm" => Warm, "cold" => Cold);

impl LeadSignals {
    /// The score without recency.
    pub fn score(&self) -> LeadScore {
        let intent = match self.intent {
            Intent::Booked => 40,
            Intent::PriceOrTimes => 25,
            Intent::Information => 10,
            Intent::None => 0,
        };
        let urgency = match self.urgency {
            Urgency::High => 20,
            Urgency::Medium => 10,
            Urgency::Low => 0,
        };
        let sentiment = match self.sentiment.thousandths() {
            300.. => 15,
            -300..300 => 8,
            _ => 0,
        };
        let value = match self.value.minor() {
            500_000.. => 15,
            100_000.. => 10,
            1.. => 5,
            _ => 0,
        };
        LeadScore(intent + urgency + sentiment + value)
    }
}

impl LeadScore {
    /// The hot threshold.
    pub const HOT: u8 = 70;
    /// The warm threshold.
    pub const WARM: u8 = 40;

    /// A stored score, cut to 100.
    pub fn from_stored(score: i16) -> Self {
        Self(u8::try_from(score.clamp(0, 100)).unwrap_or(0))
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }

    /// This stored score with recency, for a lead last spoken to at `last_contact`.
    #[must_use]
    pub fn at(self, now: Timestamp, last_contact: Option<Timestamp>) -> Self {
        let recency = match last_contact.map(|at| now.duration_since(at)) {
            Some(ago) if ago < SignedDuration::from_hours(24) => 10,
            Some(ago) if ago < SignedDuration::from_hours(24 * 7) => 5,
            _ => 0,
        };
        Self(self.0.saturating_add(recency).min(100))
    }

    /// Hot, warm or cold.
    pub fn temperature(self) -> Temperature {
        match self.0 {
            Self::HOT.. => Temperature::Hot,
            Self::WARM.. => Temperature::Warm,
            _ => Temperature::Cold,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signals(intent: Intent, urgency: Urgency, sentiment: f64, dollars: i64) -> LeadSignals {
        let sentiment = SentimentScore::new(sentiment);
        LeadSignals {
            intent,
            urgency,
            sentiment,
            value: Money::from_minor(dollars * 100),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[track_caller]
    fn check(signals: LeadSignals, hours_ago: i64, expected: u8, temperature: Temperature) {
        let now = signals.at + SignedDuration::from_hours(hours_ago);
        let score = signals.score().at(now, Some(signals.at));
        assert_eq!((score.get(), score.temperature()), (expected, temperature));
    }

    #[test]
    fn the_formula_is_the_documented_one() {
        check(signals(Intent::Booked, Urgency::High, 0.3, 5_000), 0, 100, Temperature::Hot);
        check(signals(Intent::Booked, Urgency::Low, 0.29, 400), 23, 63, Temperature::Warm);
        check(signals(Intent::Booked, Urgency::Low, -0.3, 1_000), 24, 63, Temperature::Warm);
        check(signals(Intent::PriceOrTimes, Urgency::Medium, -0.301, 0), 24 * 7, 35, Temperature::Cold);
        check(signals(Intent::Information, Urgency::Low, 0.0, 0), 1_000, 18, Temperature::Cold);
        check(signals(Intent::None, Urgency::Low, -1.0, 0), 0, 10, Temperature::Cold);
    }

    #[test]
    fn nothing_downgrades_booked_and_only_a_refusal_loses() {
        use LeadStatus::{Booked, Contacted, Lost, New};
        for (from, booked, refused, reached, to) in [
            (New, false, false, true, Contacted),
            (New, false, false, false, New),
            (New, true, false, true, Booked),
            (Contacted, false, true, true, Lost),
            (Booked, false, true, true, Booked),
            (Booked, false, false, true, Booked),
            (Lost, false, false, true, Lost),
            (Lost, true, true, true, Booked),
        ] {
            assert_eq!(from.after_call(booked, refused, reached), to, "{from:?}");
        }
    }

    proptest! {
        #[test]
        fn a_score_is_between_0_and_100(
            intent in prop::sample::select(vec![Intent::Booked, Intent::PriceOrTimes, Intent::Information, Intent::None]),
            urgency in prop::sample::select(vec![Urgency::Low, Urgency::Medium, Urgency::High]),
            sentiment in any::<f64>(),
            value in any::<i64>(),
            now in 0_i64..10_000_000_000,
            last in prop::option::of(0_i64..10_000_000_000),
        ) {
            let signals = LeadSignals {
                intent,
                urgency,
                sentiment: SentimentScore::new(sentiment),
                value: Money::from_minor(value),
                at: Timestamp::UNIX_EPOCH,
            };
            let at = |s: i64| Timestamp::from_second(s).unwrap();
            prop_assert!(signals.score().at(at(now), last.map(at)).get() <= 100);
        }
    }
}
