//! Money: whole minor units and a currency, never floating point (decision D9).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency code whose minor unit is a hundredth.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// The text was not a currency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a three-letter currency code such as USD")]
pub struct NotACurrency;

impl Currency {
    /// US dollar.
    pub const USD: Self = Self(*b"USD");

    /// The code.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Currency {
    type Err = NotACurrency;
    fn from_str(text: &str) -> Result<Self, NotACurrency> {
        let code: [u8; 3] = text.as_bytes().try_into().map_err(|_| NotACurrency)?;
        if code.iter().all(u8::is_ascii_uppercase) { Ok(Self(code)) } else { Err(NotACurrency) }
    }
}

impl TryFrom<String> for Currency {
    type Error = NotACurrency;
    fn try_from(text: String) -> Result<Self, NotACurrency> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in whole minor units (cents). The currency stands beside it where more than one is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

/// The amount was not one of at most two decimals, or too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an amount with at most two decimals, such as 400 or 129.50")]
pub struct NotAnAmount;

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `minor` minor units.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Reads the decimal text of an amount in major units, exactly: `400`, `129.5`, `-0.01`.
    ///
    /// # Errors
    /// [`NotAnAmount`] for more than two decimals, exponents, or what does not fit.
    pub fn from_major_text(text: &str) -> Result<Self, NotAnAmount> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, cents) = digits.split_once('.').map_or((digits, None), |(w, c)| (w, Some(c)));
        let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || cents.is_some_and(|c| !all_digits(c) || c.len() > 2) {
            return Err(NotAnAmount);
        }
        let whole: i64 = whole.parse().map_err(|_| NotAnAmount)?;
        let cents: i64 = match cents {
            None => 0,
            Some(c) => c.parse::<i64>().map_err(|_| NotAnAmount)? * if c.len() == 1 { 10 } else { 1 },
        };
        let minor = whole.checked_mul(100).and_then(|m| m.checked_add(cents)).ok_or(NotAnAmount)?;
        Ok(Self(if negative { -minor } else { minor }))
    }

    /// The amount in major units as a JSON number: an integer when there are no cents.
    pub fn to_major_number(self) -> serde_json::Number {
        let (whole, cents) = (self.0 / 100, self.0 % 100);
        if cents == 0 {
            return whole.into();
        }
        // A quotient of two integers below 2^53 prints as the shortest decimal, which is the two-decimal one.
        #[expect(clippy::cast_precision_loss, reason = "amounts stay far below 2^53 minor units")]
        serde_json::Number::from_f64(self.0 as f64 / 100.0).unwrap_or_else(|| whole.into())
    }

    /// The sum, or `None` where it would not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl std::iter::Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        Self(amounts.fold(0_i64, |sum, amount| sum.saturating_add(amount.0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_amount_survives_the_wire(minor in -100_000_000_000_i64..100_000_000_000) {
            let wire = Money::from_minor(minor).to_major_number().to_string();
            prop_assert_eq!(Money::from_major_text(wire.trim_end_matches(".0")).unwrap().minor(), minor);
        }
    }

    #[test]
    fn refuses_fractions_of_a_cent_and_exponents() {
        for bad in ["1.234", "1e3", "", ".5", "1.", "--1", "99999999999999999999", "NaN"] {
            assert_eq!(Money::from_major_text(bad), Err(NotAnAmount), "{bad:?}");
        }
    }
}
