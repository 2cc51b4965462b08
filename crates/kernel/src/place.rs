//! Where a phone number is at home: its country, and its area within it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A country, by its two letters (ISO 3166).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country(Box<str>);

/// Where the platform itself is at home.
impl Default for Country {
    fn default() -> Self {
        Self("US".into())
    }
}

/// The text is no country's code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a country's two capital letters, such as US")]
pub struct NotACountryCode;

impl Country {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether its numbers have area codes of three digits.
    pub fn has_area_codes(&self) -> bool {
        matches!(self.as_str(), "US" | "CA")
    }
}

impl FromStr for Country {
    type Err = NotACountryCode;
    fn from_str(text: &str) -> Result<Self, NotACountryCode> {
        let is_code = text.len() == 2 && text.bytes().all(|letter| letter.is_ascii_uppercase());
        is_code.then(|| Self(text.into())).ok_or(NotACountryCode)
    }
}

/// An area code of the North American plan.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AreaCode(Box<str>);

/// The text is no area code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an area code of three digits, the first of them 2 to 9")]
pub struct NotAnAreaCode;

impl AreaCode {
    /// The three digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AreaCode {
    type Err = NotAnAreaCode;
    fn from_str(text: &str) -> Result<Self, NotAnAreaCode> {
        let is_code =
            text.len() == 3 && text.bytes().all(|digit| digit.is_ascii_digit()) && text.as_bytes()[0] >= b'2';
        is_code.then(|| Self(text.into())).ok_or(NotAnAreaCode)
    }
}

impl fmt::Display for AreaCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As text in JSON, checked when it is read.
macro_rules! text {
    ($name:ident, $error:ident) => {
        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.into()
            }
        }
    };
}

text!(Country, NotACountryCode);
text!(AreaCode, NotAnAreaCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_and_area_codes_are_what_they_say() {
        let check =
            |text: &str, expected: bool| assert_eq!(text.parse::<Country>().is_ok(), expected, "{text:?}");
        check("US", true);
        check("GB", true);
        for wrong in ["us", "USA", "U", "", "U1", "É"] {
            check(wrong, false);
        }
        let check =
            |text: &str, expected: bool| assert_eq!(text.parse::<AreaCode>().is_ok(), expected, "{text:?}");
        check("510", true);
        for wrong in ["051", "151", "51", "5100", "51a", "", "٥١٠", "+51"] {
            check(wrong, false);
        }
    }
}
