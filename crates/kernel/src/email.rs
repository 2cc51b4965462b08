//! E-mail addresses.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An e-mail address, lower case, so that two spellings of one mailbox are one account.
///
/// `Debug` shows only the domain: logs must not hold addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(Box<str>);

/// The text was not an e-mail address that mail can be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an e-mail address such as name@example.com")]
pub struct NotAnEmailAddress;

impl EmailAddress {
    /// Reads one bare address: no display name, no comment, no quoted local part, no spaces or control characters,
    /// at most 254 bytes, a dotted domain of letters, digits and hyphens.
    ///
    /// # Errors
    /// [`NotAnEmailAddress`] otherwise.
    pub fn new(text: &str) -> Result<Self, NotAnEmailAddress> {
        let (local, domain) = text.rsplit_once('@').ok_or(NotAnEmailAddress)?;
        let local_ok = (1..=64).contains(&local.len())
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_ok = domain.contains('.') && domain.split('.').all(label_ok);
        if local_ok && domain_ok && text.len() <= 254 {
            Ok(Self(text.to_ascii_lowercase().into()))
        } else {
            Err(NotAnEmailAddress)
        }
    }

    /// The address, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = NotAnEmailAddress;
    fn from_str(text: &str) -> Result<Self, NotAnEmailAddress> {
        Self::new(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = NotAnEmailAddress;
    fn try_from(text: String) -> Result<Self, NotAnEmailAddress> {
        Self::new(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0.into()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let domain = self.0.rsplit('@').next().unwrap_or_default();
        write!(f, "EmailAddress(…@{domain})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_and_hides_in_debug() {
        let address = EmailAddress::new("Ann.Smith+x@Example.COM").unwrap();
        assert_eq!(address.as_str(), "ann.smith+x@example.com");
        assert_eq!(format!("{address:?}"), "EmailAddress(…@example.com)");
    }

    #[test]
    fn refuses_what_is_not_one_bare_address() {
        for bad in [
            "",
            "a",
            "a@b",
            "@b.c",
            "a@.c",
            "a b@c.de",
            "a@b.c\r\nBcc: d@e.f",
            "A <a@b.cd>",
            "a..b@c.de",
            "a@-b.cd",
        ] {
            assert!(EmailAddress::new(bad).is_err(), "{bad:?}");
        }
    }
}
