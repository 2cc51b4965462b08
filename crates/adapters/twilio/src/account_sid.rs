//! An account's SID, which becomes part of a path and therefore has to be one.

/// `AC` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccountSid<'a>(&'a str);

impl<'a> AccountSid<'a> {
    /// Nothing for a text that is none.
    pub(crate) fn read(text: &'a str) -> Option<Self> {
        let digits = text.strip_prefix("AC")?;
        let is_sid = digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_sid.then_some(Self(text))
    }

    /// Where the account is, without `.json`.
    pub(crate) fn path(self) -> String {
        format!("/2010-04-01/Accounts/{}", self.0)
    }

    pub(crate) const fn as_str(self) -> &'a str {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_sid_becomes_part_of_a_path() {
        assert!(AccountSid::read("AC0123456789abcdefABCDEF0123456789").is_some());
        for wrong in [
            "",
            "AC",
            "AC0123456789abcdef0123456789abcde",
            "AC0123456789abcdef0123456789abcdef0",
            "ac0123456789abcdef0123456789abcdef",
            "SK0123456789abcdef0123456789abcdef",
            "AC0123456789abcdef0123456789abcdeg",
            "AC/../../../0123456789abcdef012345",
            "AC0123456789abcdef0123456789abcd\u{e9}",
        ] {
            assert!(AccountSid::read(wrong).is_none(), "{wrong}");
        }
    }
}
