//! Holds answers and messages against Vapi's official document, by a validator that is not the sandbox's.

use std::collections::{BTreeSet, HashMap};
use std::sync::{LazyLock, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../data/vapi-openapi.json")).unwrap());

/// Fails when an answer is not what the document says about this operation and status.
pub(crate) fn check(method: &Method, path: &str, status: StatusCode, answer: &Value) {
    let path = template(path);
    let pointer = format!(
        "/paths/{}/{}/responses/{}",
        path.replace('/', "~1"),
        method.as_str().to_lowercase(),
        status.as_u16()
    );
    let Some(schema) = DOCUMENT.pointer(&pointer) else {
        // Routes and methods that do not exist are answered 404 like unknown ids, outside the document.
        assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path} may not answer {status}");
        return;
    };
    if !schema.is_null() {
        assert_valid(&pointer, schema, answer);
    }
}

/// Fails when a message is not what the document says Vapi sends. Explicit nulls, which captured messages
/// have and the document forbids, count as absent.
pub(crate) fn check_message(message: &Value) {
    let kind = message["type"].as_str().unwrap();
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    let (name, _) = schemas
        .iter()
        .find(|(name, schema)| {
            name.starts_with("ServerMessage")
                && schema["properties"]["type"]["enum"]
                    .as_array()
                    .is_some_and(|kinds| kinds.contains(&json!(kind)))
        })
        .unwrap_or_else(|| panic!("no message of type {kind} in the document"));
    let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
    assert_valid(name, &schema, &without_nulls(message));
}

fn assert_valid(key: &str, schema: &Value, value: &Value) {
    static COMPILED: LazyLock<Mutex<HashMap<String, std::sync::Arc<jsonschema::Validator>>>> =
        LazyLock::new(Mutex::default);
    let known = COMPILED.lock().unwrap().get(key).cloned();
    let validator = known.unwrap_or_else(|| {
        let compiled = std::sync::Arc::new(validator(schema));
        COMPILED.lock().unwrap().insert(key.to_owned(), compiled.clone());
        compiled
    });
    let errors: Vec<String> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{key}: {errors:#?}\nin {value:#}");
}

/// A validator for a schema of the document, with everything the schema reaches and nothing else.
pub(crate) fn validator(schema: &Value) -> jsonschema::Validator {
    compile(schema, false)
}

/// The same, refusing every property the document does not name.
pub(crate) fn strict_validator(schema: &Value) -> jsonschema::Validator {
    compile(schema, true)
}

/// Schemas that hold a user's own JSON Schema, whose keywords the document does not list.
const OPEN: &[&str] = &["OpenAIFunctionParameters", "JsonSchema"];

fn compile(schema: &Value, strict: bool) -> jsonschema::Validator {
    let mut names = BTreeSet::new();
    reach(schema, &mut names);
    let schemas = names.iter().map(|name| {
        let schema = &DOCUMENT["components"]["schemas"][name];
        (name.clone(), plain(schema, strict && !OPEN.contains(&name.as_str())))
    });
    let mut root = plain(schema, strict);
    root["components"] = json!({ "schemas": schemas.collect::<Map<_, _>>() });
    jsonschema::draft202012::new(&root).unwrap()
}

fn reach(schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) =
                fields.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next())
                && names.insert(name.to_owned())
            {
                reach(&DOCUMENT["components"]["schemas"][name], names);
            }
            fields.values().for_each(|value| reach(value, names));
        }
        Value::Array(items) => items.iter().for_each(|item| reach(item, names)),
        _ => {}
    }
}

/// OpenAPI 3.0 in the words of JSON Schema: `nullable`, and unnamed properties when they are refused.
fn plain(schema: &Value, strict: bool) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut changed: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), plain(value, strict))).collect();
            if changed.get("nullable") == Some(&Value::Bool(true)) {
                let kind = changed["type"].clone();
                changed.insert("type".into(), json!([kind, "null"]));
            }
            // A property may itself be called `properties`; only a schema also has a type.
            if strict && changed.get("type") == Some(&json!("object")) && changed.contains_key("properties") {
                changed.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            Value::Object(changed)
        }
        Value::Array(items) => items.iter().map(|item| plain(item, strict)).collect(),
        other => other.clone(),
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

/// `/call/0192…?x=y` as the document calls it: `/call/{id}`.
fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let segments = path.split('/').map(|segment| {
        let is_id = segment.len() == 36 && segment.contains('-') || segment == "not-a-uuid";
        if is_id { "{id}" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}
