//! Termii's ids of messages: texts, or numbers of more digits than any type of number has.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// An id, digit by digit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(pub(super) String);

/// Reads an id as it is written; nothing for what is none.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let text = match serde_json::from_str::<String>(raw.get()) {
        Ok(text) => text,
        Err(_) if raw.get().bytes().all(|byte| byte.is_ascii_digit()) => raw.get().to_owned(),
        Err(_) => return Ok(None),
    };
    Ok((!text.is_empty()).then_some(Id(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        #[serde(default, deserialize_with = "id")]
        message_id: Option<Id>,
    }

    #[test]
    fn no_digit_is_lost() {
        let check = |written: &str, expected: Option<&str>| {
            let holder: Holder = serde_json::from_str(&format!(r#"{{"message_id":{written}}}"#)).unwrap();
            assert_eq!(holder.message_id.map(|id| id.0).as_deref(), expected, "{written}");
        };
        check("\"9122821270554876574\"", Some("9122821270554876574"));
        check("9122821270554876574", Some("9122821270554876574"));
        check("902022080211300900000078460", Some("902022080211300900000078460"));
        check("\"3017544054459493304\"", Some("3017544054459493304"));
        for none in ["null", "\"\"", "true", "{}", "1.5", "-1", "1e9"] {
            check(none, None);
        }
        assert!(serde_json::from_str::<Holder>("{}").unwrap().message_id.is_none());
    }
}
