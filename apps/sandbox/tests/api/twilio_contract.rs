//! Holds Twilio's answers against its official document, by a validator that is not the sandbox's.

use std::path::Path;
use std::sync::LazyLock;

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

/// Twilio's own document, which lies beside the project with the other shared ones.
static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/providers/twilio-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
});

/// Fails when an answer is not what the document says about this operation and status. Nothing may be added to it:
/// Twilio's own libraries take an unknown key of a list for the rows.
pub(crate) fn check(method: &Method, path: &str, status: StatusCode, answer: &Value) {
    if status.is_client_error() || status.is_server_error() {
        return check_error(status, answer);
    }
    let template = template(path);
    let operation = &DOCUMENT["paths"][&template][method.as_str().to_lowercase()];
    let response = &operation["responses"][status.as_str()];
    assert!(!response.is_null(), "{method} {template} may not answer {status}");
    let schema = &response["content"]["application/json"]["schema"];
    if schema.is_null() {
        assert!(answer.is_null(), "{method} {template} has no body: {answer}");
        return;
    }
    let mut whole = closed(schema);
    whole["components"] = closed(&DOCUMENT["components"]);
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    let answer = normal("", answer);
    let errors: Vec<String> =
        validator.iter_errors(&answer).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{method} {template}: {errors:#?}\nin {answer:#}");
}

/// Errors are outside the document; their envelope is `{code, message, more_info, status}`.
fn check_error(status: StatusCode, answer: &Value) {
    assert_eq!(answer["status"], status.as_u16(), "{answer}");
    assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    if let Some(code) = answer.get("code") {
        assert!(code.is_u64(), "{answer}");
        assert_eq!(answer["more_info"], format!("https://www.twilio.com/docs/errors/{code}"));
    }
}

/// The path as the document writes it.
fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let known = DOCUMENT["paths"].as_object().unwrap().keys();
    let fits = |template: &&String| {
        let (wanted, given): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        wanted.len() == given.len()
            && wanted.iter().zip(&given).all(|(wanted, given)| match wanted.split_once('}') {
                Some((_, tail)) => given.ends_with(tail) && tail.is_empty() != given.contains('.'),
                None => wanted == given,
            })
    };
    known.into_iter().find(fits).unwrap_or_else(|| panic!("{path} is not in the document")).clone()
}

/// A schema in the words of JSON Schema, which refuses what it does not name.
fn closed(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut changed: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), closed(value))).collect();
            if changed.get("nullable") == Some(&Value::Bool(true)) {
                let kind = changed["type"].clone();
                changed.insert("type".into(), json!([kind, "null"]));
                if let Some(Value::Array(values)) = changed.get_mut("enum") {
                    values.push(Value::Null);
                }
            }
            if changed.get("type").is_some_and(|kind| kind.to_string().contains("object"))
                && changed.contains_key("properties")
            {
                changed.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            Value::Object(changed)
        }
        Value::Array(items) => items.iter().map(closed).collect(),
        other => other.clone(),
    }
}

/// What the wire has and the document denies (facts of the API, section 1): what is not set is `null` or `""`, also
/// where the document wants a SID; latitude and longitude are text.
fn normal(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), normal(name, value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| normal(name, item)).collect(),
        Value::String(text) if text.is_empty() => Value::Null,
        Value::String(text) if ["latitude", "longitude"].contains(&name) => {
            json!(text.parse::<f64>().unwrap())
        }
        other => other.clone(),
    }
}

#[test]
#[should_panic(expected = "surplus")]
fn a_key_that_the_document_does_not_have_is_noticed() {
    let path = "/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/IncomingPhoneNumbers.json";
    let page = json!({ "incoming_phone_numbers": [{ "phone_number": "+15005550006", "surplus": 1 }] });
    check(&Method::GET, path, StatusCode::OK, &page);
}
