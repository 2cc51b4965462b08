//! What Twilio answers, as far as we read it. Every field may be missing, `null` or `""`.

use serde::{Deserialize, Deserializer};

/// An account.
#[derive(Deserialize)]
pub(crate) struct Account {
    #[serde(default, deserialize_with = "filled")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "filled")]
    status: Option<String>,
}

impl Account {
    /// Whether this is an account at all, and the one that was asked for. What says neither who it is nor how it is
    /// comes from somewhere else.
    pub(crate) fn is(&self, asked: &str) -> bool {
        match &self.sid {
            Some(sid) => sid.eq_ignore_ascii_case(asked),
            None => self.status.is_some(),
        }
    }

    /// Whether it may be used. Twilio let its credentials in; only what it says against it counts.
    pub(crate) fn is_active(&self) -> bool {
        self.status.as_deref().is_none_or(|status| status == "active")
    }
}

/// A page of the account's numbers.
#[derive(Deserialize)]
pub(crate) struct Numbers {
    pub(crate) incoming_phone_numbers: Vec<Number>,
    /// Where the next page is, below the base address.
    #[serde(default, deserialize_with = "filled")]
    pub(crate) next_page_uri: Option<String>,
}

/// A number of the account.
#[derive(Deserialize)]
pub(crate) struct Number {
    #[serde(default, deserialize_with = "filled")]
    pub(crate) phone_number: Option<String>,
}

/// An error. Both fields may be missing; the code may be text.
#[derive(Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    code: Option<Code>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Code {
    Number(u32),
    Text(String),
}

impl ErrorBody {
    pub(crate) fn code(&self) -> Option<u32> {
        match self.code.as_ref()? {
            Code::Number(code) => Some(*code),
            Code::Text(text) => text.parse().ok(),
        }
    }
}

pub(crate) fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_may_be_missing_null_or_empty() {
        for text in ["{}", r#"{"status":null}"#, r#"{"status":""}"#, r#"{"status":"active","x":1}"#] {
            assert!(serde_json::from_str::<Account>(text).unwrap().is_active(), "{text}");
        }
        for status in ["suspended", "closed", "something-new"] {
            let text = format!(r#"{{"status":"{status}"}}"#);
            assert!(!serde_json::from_str::<Account>(&text).unwrap().is_active(), "{text}");
        }
    }

    #[test]
    fn an_answer_that_is_about_nothing_is_no_account() {
        let check = |text, expected| {
            assert_eq!(serde_json::from_str::<Account>(text).unwrap().is("ACab"), expected, "{text}");
        };
        check(r#"{"sid":"ACab"}"#, true);
        check(r#"{"sid":"ACAB","status":"active"}"#, true);
        check(r#"{"status":"active"}"#, true);
        check(r#"{"sid":"ACcd","status":"active"}"#, false);
        check("{}", false);
    }

    #[test]
    fn a_code_may_be_text_or_missing() {
        let check = |text, expected| {
            assert_eq!(serde_json::from_str::<ErrorBody>(text).unwrap().code(), expected, "{text}");
        };
        check(r#"{"code":20003,"message":"Authenticate","status":401}"#, Some(20003));
        check(r#"{"code":"20003"}"#, Some(20003));
        check(r#"{"status":404,"message":"Not found"}"#, None);
        check(r#"{"code":null}"#, None);
    }
}
