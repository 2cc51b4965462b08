//! A service and the rules of its parts, each checked once in `new`.

use jiff::Timestamp;
use serde_json::Number;
use voxanne_kernel::{Currency, Money, ids::ServiceId, text::is_storable};

use crate::matching::words;

/// Something an organization sells and a caller can book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Which one.
    pub id: ServiceId,
    /// Its name; unique among an organization's active services, whatever the case.
    pub name: ServiceName,
    /// What it costs.
    pub price: Price,
    /// In which currency.
    pub currency: Currency,
    /// How long an appointment for it takes, without buffers.
    pub duration: Minutes,
    /// Further words that mean it; its name always does.
    pub keywords: Keywords,
    /// Whether it is offered: booked, priced and recognised.
    pub is_active: bool,
    /// When it was added; the list is sorted by it.
    pub created_at: Timestamp,
}

/// The part of a service that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `name`
    Name,
    /// `price`
    Price,
    /// `currency`
    Currency,
    /// `duration_minutes`
    Duration,
    /// `keywords`
    Keywords,
}

impl Field {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Price => "price",
            Self::Currency => "currency",
            Self::Duration => "duration_minutes",
            Self::Keywords => "keywords",
        }
    }
}

/// A part of a service breaks its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct BadService {
    /// Which part.
    pub field: Field,
    /// The rule, as a sentence fragment that follows the field's name.
    pub rule: &'static str,
}

/// A service's name: 1 to 120 characters, trimmed, at least one letter or digit, no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceName(Box<str>);

impl ServiceName {
    /// Trims and checks `text`.
    ///
    /// # Errors
    /// [`BadService`] when it is empty, too long, or cannot be recognised in speech.
    pub fn new(text: &str) -> Result<Self, BadService> {
        let text = text.trim();
        let bad = |rule| Err(BadService { field: Field::Name, rule });
        if !(1..=120).contains(&text.chars().count()) {
            return bad("must have 1 to 120 characters");
        }
        if !is_storable(text) || text.chars().any(char::is_control) {
            return bad("must not contain control characters");
        }
        if words(text).is_empty() {
            return bad("must contain a letter or a digit");
        }
        Ok(Self(text.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A price: not negative, at most 10,000,000 major units, so that no sum of them overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(Money);

impl Price {
    const MAX_MINOR: i64 = 10_000_000 * 100;

    /// Checks an amount.
    ///
    /// # Errors
    /// [`BadService`] when it is negative or too large.
    pub fn new(amount: Money) -> Result<Self, BadService> {
        if (0..=Self::MAX_MINOR).contains(&amount.minor()) {
            Ok(Self(amount))
        } else {
            Err(BadService { field: Field::Price, rule: "must be between 0 and 10000000" })
        }
    }

    /// Reads a JSON number in major units, exactly: it must have at most two decimals.
    ///
    /// # Errors
    /// [`BadService`] for a fraction of a cent, a negative or a too large amount.
    pub fn from_number(number: &Number) -> Result<Self, BadService> {
        let text = number.to_string();
        let amount = Money::from_major_text(&text).map_err(|_| BadService {
            field: Field::Price,
            rule: "must be an amount with at most two decimals, such as 400 or 129.50",
        })?;
        Self::new(amount)
    }

    /// The amount.
    pub fn amount(self) -> Money {
        self.0
    }
}

/// A duration in minutes: 5 to 480.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minutes(u16);

impl Minutes {
    /// Half an hour, the duration of a service that does not say.
    pub const HALF_HOUR: Self = Self(30);

    /// Checks a number of minutes.
    ///
    /// # Errors
    /// [`BadService`] outside 5 to 480.
    pub fn new(minutes: i64) -> Result<Self, BadService> {
        u16::try_from(minutes)
            .ok()
            .filter(|m| (5..=480).contains(m))
            .map(Self)
            .ok_or(BadService { field: Field::Duration, rule: "must be a whole number from 5 to 480" })
    }

    /// Minutes.
    pub fn get(self) -> u16 {
        self.0
    }
}

/// Words and phrases that mean a service: at most 50, each of 1 to 60 characters, lower case, none twice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Keywords(Vec<Box<str>>);

impl Keywords {
    /// Trims, lowers and checks each; a repeated one is kept once.
    ///
    /// # Errors
    /// [`BadService`] when there are too many, or one is empty, too long or without a letter or digit.
    pub fn new<S: AsRef<str>>(keywords: impl IntoIterator<Item = S>) -> Result<Self, BadService> {
        let bad = |rule| Err(BadService { field: Field::Keywords, rule });
        let mut kept: Vec<Box<str>> = Vec::new();
        for keyword in keywords {
            let keyword = keyword.as_ref().trim().to_lowercase();
            if !(1..=60).contains(&keyword.chars().count()) {
                return bad("must each have 1 to 60 characters");
            }
            if keyword.chars().any(char::is_control) || words(&keyword).is_empty() {
                return bad("must each contain a letter or a digit and no control characters");
            }
            if !kept.iter().any(|known| **known == *keyword) {
                kept.push(keyword.into());
            }
        }
        if kept.len() > 50 {
            return bad("must be at most 50");
        }
        Ok(Self(kept))
    }

    /// Them, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(json: &str) -> Result<i64, &'static str> {
        let number: Number = serde_json::from_str(json).unwrap();
        Price::from_number(&number).map(|p| p.amount().minor()).map_err(|e| e.rule)
    }

    #[test]
    fn a_price_has_at_most_two_decimals_and_is_exact() {
        assert_eq!(price("400"), Ok(40_000));
        assert_eq!(price("129.5"), Ok(12_950));
        assert_eq!(price("129.50"), Ok(12_950));
        assert_eq!(price("0.29"), Ok(29));
        assert_eq!(price("1.15"), Ok(115));
        assert_eq!(price("10000000"), Ok(1_000_000_000));
        for bad in ["1.234", "0.001", "1e300", "-1", "-0.01", "10000000.01"] {
            assert!(price(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_and_keywords_are_trimmed_and_checked() {
        assert_eq!(ServiceName::new("  Botox ").unwrap().as_str(), "Botox");
        for bad in ["", "   ", "a\0b", "a\nb", "!!!", &"x".repeat(121)] {
            assert!(ServiceName::new(bad).is_err(), "{bad:?}");
        }
        let keywords = Keywords::new([" Face Lift", "face lift", "FACELIFT"]).unwrap();
        assert_eq!(keywords.iter().collect::<Vec<_>>(), ["face lift", "facelift"]);
        for bad in ["", "\0", "…"] {
            assert!(Keywords::new([bad]).is_err(), "{bad:?}");
        }
        assert!(Keywords::new((0..51).map(|n| n.to_string())).is_err());
    }

    #[test]
    fn durations_fit_a_day() {
        assert!([4, 481, 0, -30, i64::MAX].iter().all(|m| Minutes::new(*m).is_err()));
        assert_eq!(Minutes::new(480).unwrap().get(), 480);
    }
}
