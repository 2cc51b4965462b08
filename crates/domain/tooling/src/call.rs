//! A tool call as the model made it: a name and arguments that may be anything.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use voxanne_kernel::text::{cut_at_word, one_line};

use crate::definition::canonical_json;

/// One call of one tool.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolCall {
    /// The id the answer must carry.
    pub id: String,
    /// The tool's name, as the model wrote it.
    pub name: String,
    /// What the model passed.
    pub arguments: Arguments,
}

impl ToolCall {
    /// A call whose message carried no id: the id is made from what was asked, so that the same question asked twice
    /// in one phone call is still recognized.
    pub fn without_id(name: String, arguments: Arguments) -> Self {
        let asked = format!("{name}\n{}", canonical_json(&Value::Object(arguments.0.clone())));
        let id = format!("call_{}", hex::encode(&Sha256::digest(asked)[..12]));
        Self { id, name, arguments }
    }
}

/// The arguments of a call. Reading is forgiving: a number is as good as its text, and what models write for
/// "nothing" counts as nothing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Arguments(Map<String, Value>);

/// More than anybody says in one breath.
const LONGEST: usize = 500;

impl Arguments {
    /// Wraps what the model passed.
    pub fn new(object: Map<String, Value>) -> Self {
        Self(object)
    }

    /// The argument `key` as one line of at most 500 characters, without control characters.
    pub fn text(&self, key: &str) -> Option<String> {
        let text = match self.0.get(key)? {
            Value::String(text) => one_line(text),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        let text = cut_at_word(&text, LONGEST);
        let nothing = ["", "null", "none", "undefined", "unknown", "n/a"];
        let is_nothing = nothing.iter().any(|word| text.eq_ignore_ascii_case(word));
        (!is_nothing).then(|| text.to_owned())
    }
}

impl From<Map<String, Value>> for Arguments {
    fn from(object: Map<String, Value>) -> Self {
        Self(object)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(value: Value) -> Arguments {
        let Value::Object(object) = value else { panic!("an object") };
        Arguments(object)
    }

    #[test]
    fn an_argument_is_read_whatever_its_type() {
        let check = |value: Value, expected: Option<&str>| {
            assert_eq!(arguments(json!({ "x": value })).text("x").as_deref(), expected, "{value}");
        };
        check(json!(" to\u{0}morrow\n2 pm "), Some("to morrow 2 pm"));
        check(json!(14), Some("14"));
        check(json!(1e300), Some("1e+300"));
        check(json!(null), None);
        check(json!("N/A"), None);
        check(json!("  "), None);
        check(json!(["a"]), None);
        check(json!(true), None);
        assert_eq!(arguments(json!({ "x": "y".repeat(9_000) })).text("x").unwrap().len(), LONGEST);
        assert_eq!(arguments(json!({})).text("x"), None);
    }

    #[test]
    fn a_made_up_id_depends_on_what_was_asked_and_nothing_else() {
        let call = |name: &str, value| ToolCall::without_id(name.to_owned(), arguments(value)).id;
        assert_eq!(call("a", json!({"p": 1, "q": 2})), call("a", json!({"q": 2, "p": 1})));
        assert_ne!(call("a", json!({"p": 1})), call("b", json!({"p": 1})));
        assert_ne!(call("a", json!({"p": 1})), call("a", json!({"p": 2})));
    }
}
