//! What each field of an account that people type in must look like, before anybody is asked about it. The rules are
//! as loose as providers are: they keep out what cannot be meant, and what could break out of a header, a path or a
//! host.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// What a value breaks, as a person is told. It never holds the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(&'static str);

/// The rule a field is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A token or key: one word of printable ASCII.
    Token,
    /// A password, which may hold anything but control characters.
    Password,
    /// A Twilio account.
    AccountSid,
    /// A provider's id or name of something: letters, digits and a few marks.
    Id,
    /// Words that people see.
    Label,
    /// Whom a text comes from: a number, a short code or a word.
    SenderId,
    /// A domain's name.
    Domain,
    /// A server's name or address, without anything around it.
    Server,
    /// A region of Amazon's.
    AwsRegion,
    /// A topic of Amazon's.
    SnsTopic,
    /// A public key in base64.
    PublicKey,
}

impl Rule {
    /// What the rule says.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Token => "must be 1 to 4096 characters without spaces",
            Self::Password => "must be 1 to 1024 characters without control characters",
            Self::AccountSid => "must be AC followed by 32 letters and digits",
            Self::Id => "must be 1 to 128 letters, digits or any of . _ - @ +",
            Self::Label => "must be 1 to 100 characters without control characters",
            Self::SenderId => "must be a number, a short code or 1 to 20 letters, digits and spaces",
            Self::Domain => "must be a domain such as mail.example.com",
            Self::Server => "must be a host name such as smtp.example.com, without a scheme or a port",
            Self::AwsRegion => "must be a region such as eu-west-1",
            Self::SnsTopic => "must be the ARN of an SNS topic",
            Self::PublicKey => "must be a public key in base64",
        }
    }

    fn holds(self, text: &str) -> bool {
        let bytes = || text.bytes();
        let (length, characters) = (text.len(), text.chars().count());
        match self {
            Self::Token => (1..=4096).contains(&length) && bytes().all(|b| b.is_ascii_graphic()),
            Self::Password => (1..=1024).contains(&characters) && !text.chars().any(char::is_control),
            Self::AccountSid => {
                let id = text.strip_prefix("AC");
                id.is_some_and(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_alphanumeric()))
            }
            Self::Id => {
                (1..=128).contains(&length)
                    && bytes().all(|b| b.is_ascii_alphanumeric() || b"._-@+".contains(&b))
            }
            Self::Label => {
                (1..=100).contains(&characters)
                    && !text.chars().any(char::is_control)
                    && !text.trim().is_empty()
            }
            Self::SenderId => {
                (1..=20).contains(&length)
                    && text.trim() == text
                    && bytes().all(|b| b.is_ascii_alphanumeric() || b"+ ._-&".contains(&b))
            }
            Self::Domain => is_domain(text),
            Self::Server => is_domain(text) || is_server(text),
            Self::AwsRegion => {
                let parts: Vec<&str> = text.split('-').collect();
                matches!(parts.as_slice(), [area, middle @ .., number]
                    if area.len() == 2
                        && !middle.is_empty()
                        && number.len() == 1
                        && number.bytes().all(|b| b.is_ascii_digit())
                        && parts[..parts.len() - 1].iter().all(|part|
                            !part.is_empty() && part.len() <= 12 && part.bytes().all(|b| b.is_ascii_lowercase())))
            }
            Self::SnsTopic => {
                length <= 512
                    && text.starts_with("arn:aws")
                    && text.split(':').nth(2) == Some("sns")
                    && text.split(':').count() == 6
                    && bytes().all(|b| b.is_ascii_alphanumeric() || b":._-".contains(&b))
            }
            Self::PublicKey => {
                (16..=1024).contains(&length)
                    && bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))
            }
        }
    }

    /// `text`, if it keeps the rule.
    ///
    /// # Errors
    /// [`Broken`] otherwise.
    pub fn text(self, text: String) -> Result<String, Broken> {
        if self.holds(&text) { Ok(text) } else { Err(Broken(self.says())) }
    }

    /// `text`, if there is none or it keeps the rule.
    ///
    /// # Errors
    /// [`Broken`] otherwise.
    pub fn optional(self, text: Option<String>) -> Result<Option<String>, Broken> {
        text.map(|text| self.text(text)).transpose()
    }

    /// `secret`, if it keeps the rule.
    ///
    /// # Errors
    /// [`Broken`] otherwise.
    pub fn secret(self, secret: SecretString) -> Result<SecretString, Broken> {
        if self.holds(secret.expose_secret()) { Ok(secret) } else { Err(Broken(self.says())) }
    }

    /// `secret`, if there is none or it keeps the rule.
    ///
    /// # Errors
    /// [`Broken`] otherwise.
    pub fn optional_secret(self, secret: Option<SecretString>) -> Result<Option<SecretString>, Broken> {
        secret.map(|secret| self.secret(secret)).transpose()
    }

    /// The address of an account's own host: HTTPS, with nothing in it but a host and perhaps a path. Plain HTTP is
    /// for this machine only, where a stand-in may be; whether requests may go there is settled when they are made.
    ///
    /// # Errors
    /// [`Broken`] otherwise.
    pub fn base_url(text: &str) -> Result<Url, Broken> {
        let broken = Broken("must be an address such as https://api.example.com");
        let url = Url::parse(text).map_err(|_| broken)?;
        let is_local = match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => return Err(broken),
        };
        let is_plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let is_encrypted = url.scheme() == "https" || (url.scheme() == "http" && is_local);
        if is_plain && is_encrypted && text.len() <= 255 { Ok(url) } else { Err(broken) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.says())
    }
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

/// A bare name on a private network, or an address.
fn is_server(text: &str) -> bool {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<std::net::IpAddr>().is_ok()
        || ((1..=63).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: Rule, text: &str, expected: bool) {
        assert_eq!(rule.holds(text), expected, "{rule:?} of {text:?}");
    }

    #[test]
    fn every_rule_takes_what_its_provider_gives_and_nothing_that_breaks_out() {
        for (rule, good) in [
            (Rule::Token, "re_123456789_abc"),
            (Rule::Token, "SG.abc-def_ghi.jkl"),
            (Rule::Password, "correct horse Ünïcode"),
            (Rule::AccountSid, "AC0123456789abcdef0123456789abcdef"),
            (Rule::Id, "sandbox"),
            (Rule::Id, "102290129340398"),
            (Rule::Id, "user@example.com"),
            (Rule::Label, "Clinique Étoile"),
            (Rule::SenderId, "+15005550006"),
            (Rule::SenderId, "Voxanne 1"),
            (Rule::Domain, "mg.example.com"),
            (Rule::Server, "smtp.example.com"),
            (Rule::Server, "127.0.0.1"),
            (Rule::Server, "::1"),
            (Rule::Server, "localhost"),
            (Rule::AwsRegion, "eu-west-1"),
            (Rule::AwsRegion, "us-gov-east-1"),
            (Rule::SnsTopic, "arn:aws:sns:eu-west-1:123456789012:mail-events"),
            (Rule::PublicKey, "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O"),
        ] {
            check(rule, good, true);
            for bad in [String::new(), format!("{good}\r\nX: y"), format!("{good}\0"), good.repeat(500)] {
                check(rule, &bad, false);
            }
        }
        for (rule, bad) in [
            (Rule::Token, "with a space"),
            (Rule::AccountSid, "AC../../Accounts"),
            (Rule::AccountSid, "SK0123456789abcdef0123456789abcdef"),
            (Rule::Id, "a/b"),
            (Rule::Label, "   "),
            (Rule::Domain, "https://mg.example.com"),
            (Rule::Domain, "mg"),
            (Rule::Server, "smtp.example.com:25"),
            (Rule::Server, "user@smtp.example.com"),
            (Rule::AwsRegion, "evil.example.com/#-1"),
            (Rule::AwsRegion, "eu-west"),
            (Rule::SnsTopic, "arn:aws:sqs:eu-west-1:123456789012:queue"),
        ] {
            check(rule, bad, false);
        }
    }

    #[test]
    fn an_accounts_address_is_encrypted_and_bare() {
        for good in ["https://v3.api.termii.com", "https://x.example/api", "http://127.0.0.1:4010"] {
            assert!(Rule::base_url(good).is_ok(), "{good}");
        }
        for bad in [
            "v3.api.termii.com",
            "http://v3.api.termii.com",
            "https://user:pass@termii.com",
            "https://termii.com?x=1",
            "https://termii.com#x",
            "file:///etc/passwd",
            "",
        ] {
            assert!(Rule::base_url(bad).is_err(), "{bad}");
        }
    }
}
