//! Phone numbers, always in E.164 (`spec/08-hybrid-telephony.md`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A phone number as providers give and take it: `+`, then 7 to 15 digits, the first of them not 0.
///
/// `Debug` shows only the last two digits, because logs must not hold a full number; `Display` shows all of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(Box<str>);

/// The text was not a phone number in E.164.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid phone format. Must be E.164: +countrycode+number")]
pub struct NotE164;

impl E164 {
    /// Reads exactly `^\+[1-9]\d{6,14}$`; nothing is trimmed or guessed.
    ///
    /// # Errors
    /// [`NotE164`] for anything else.
    pub fn new(text: &str) -> Result<Self, NotE164> {
        let digits = text.strip_prefix('+').ok_or(NotE164)?.as_bytes();
        let well_formed = (7..=15).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            && digits.first() != Some(&b'0');
        if well_formed { Ok(Self(text.into())) } else { Err(NotE164) }
    }

    /// The number, with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number with all but its last two digits hidden, for logs.
    pub fn masked(&self) -> String {
        format!("+…{}", &self.0[self.0.len() - 2..])
    }
}

impl FromStr for E164 {
    type Err = NotE164;
    fn from_str(text: &str) -> Result<Self, NotE164> {
        Self::new(text)
    }
}

impl TryFrom<String> for E164 {
    type Error = NotE164;
    fn try_from(text: String) -> Result<Self, NotE164> {
        Self::new(&text)
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.0.into()
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E164({})", self.masked())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn accepts_exactly_the_format(number in r"\+[1-9][0-9]{6,14}") {
            prop_assert_eq!(E164::new(&number).unwrap().to_string(), number);
        }

        #[test]
        fn refuses_everything_else(text in r"[+0-9 \-a-z٣]{0,20}") {
            let well_formed = text.len() >= 8 && text.len() <= 16 && text.starts_with('+')
                && text.bytes().skip(1).all(|b| b.is_ascii_digit()) && !text.starts_with("+0");
            prop_assert_eq!(E164::new(&text).is_ok(), well_formed);
        }
    }

    #[test]
    fn debug_hides_the_number() {
        assert_eq!(format!("{:?}", E164::new("+15005550006").unwrap()), "E164(+…06)");
    }
}
