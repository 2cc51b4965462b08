//! Checks requests against Vapi's own OpenAPI document and words the refusal as Vapi does.
//!
//! A general JSON Schema validator would decide the same (a test holds both against each other), but it
//! knows neither discriminators nor Vapi's habit of refusing unknown properties, and its errors do not read
//! like those that clients of Vapi parse: `model.property foo should not exist`. The document uses a small
//! part of the language, so walking it directly is short.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use serde_json::{Map, Value};
use uuid::Uuid;

/// The official document without its prose; `examples/trim_vapi_openapi.rs` makes it.
pub(crate) const DOCUMENT: &str = include_str!("../../data/vapi-openapi.json");

/// Schemas that carry a user's own JSON Schema: further keywords of that language are welcome in them.
const OPEN: &[&str] = &["OpenAIFunctionParameters", "JsonSchema"];

/// Properties that tell the branches of a choice apart, where the document names no discriminator.
const TAGS: &[&str] = &["type", "provider", "role"];

static SCHEMAS: LazyLock<Map<String, Value>> = LazyLock::new(|| {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    document.pointer("/components/schemas").and_then(Value::as_object).cloned().unwrap_or_default()
});

/// Everything in `value` that the schema called `name` refuses; nothing when it fits.
pub(crate) fn violations(name: &str, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    named(name, value, "", &mut found);
    found.dedup();
    found
}

/// Whether the document knows this reason for a call's end.
pub(crate) fn is_ended_reason(reason: &str) -> bool {
    SCHEMAS
        .get("Call")
        .and_then(|call| call.pointer("/properties/endedReason/enum"))
        .and_then(Value::as_array)
        .is_some_and(|reasons| reasons.iter().any(|known| known == reason))
}

fn named(name: &str, value: &Value, at: &str, found: &mut Vec<String>) {
    match SCHEMAS.get(name) {
        Some(schema) => walk(schema, value, at, !OPEN.contains(&name), found),
        None => found.push(format!("{at}: no schema called {name}")),
    }
}

fn walk(schema: &Value, value: &Value, at: &str, closed: bool, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        return named(reference.rsplit('/').next().unwrap_or_default(), value, at, found);
    }
    if value.is_null() && schema["nullable"] == true {
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        walk(part, value, at, closed, found);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(branches) = schema[choice].as_array() {
            choose(schema, branches, value, at, found);
        }
    }
    let before = found.len();
    check_type(schema, value, at, found);
    if found.len() > before {
        return;
    }
    check_enum(schema, value, at, found);
    match value {
        Value::String(text) => check_text(schema, text, at, found),
        Value::Number(number) => check_range(schema, number.as_f64().unwrap_or(f64::NAN), at, found),
        Value::Array(items) => {
            if let Some(item) = schema.get("items").filter(|item| !is_bare_object(item)) {
                for (index, value) in items.iter().enumerate() {
                    walk(item, value, &join(at, &index.to_string()), true, found);
                }
            }
        }
        Value::Object(object) => check_object(schema, object, at, closed, found),
        Value::Null | Value::Bool(_) => {}
    }
}

fn check_object(
    schema: &Value,
    object: &Map<String, Value>,
    at: &str,
    closed: bool,
    found: &mut Vec<String>,
) {
    let properties = schema["properties"].as_object();
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let required: Vec<&str> = required.collect();
    for name in &required {
        if object.get(*name).is_none_or(Value::is_null) {
            found.push(format!("{} should not be empty", join(at, name)));
        }
    }
    for (name, value) in object {
        match properties.and_then(|properties| properties.get(name)) {
            // An explicit null stands for "not there" wherever the property may be left out.
            Some(_) if value.is_null() => {}
            Some(property) => walk(property, value, &join(at, name), true, found),
            None => match schema.get("additionalProperties") {
                Some(further) if further.is_object() => {
                    walk(further, value, &join(at, name), true, found);
                }
                None if properties.is_some() && closed => {
                    found.push(join(at, &format!("property {name} should not exist")));
                }
                _ => {}
            },
        }
    }
}

/// Finds the branch that is meant and reports what is wrong with that one.
fn choose(schema: &Value, branches: &[Value], value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(tag) = schema.pointer("/discriminator/propertyName").and_then(Value::as_str)
        && let Some(mapping) = schema.pointer("/discriminator/mapping").and_then(Value::as_object)
    {
        match value[tag].as_str().and_then(|tag| mapping.get(tag)).and_then(Value::as_str) {
            Some(meant) => named(meant.rsplit('/').next().unwrap_or_default(), value, at, found),
            None => found.push(not_among(&join(at, tag), mapping.keys().map(String::as_str))),
        }
        return;
    }
    let meant: Vec<&Value> = branches.iter().filter(|branch| tags_agree(branch, value)).collect();
    if meant.is_empty() {
        let tag = TAGS.iter().find(|tag| branches.iter().any(|branch| !tag_values(branch, tag).is_empty()));
        let tag = tag.copied().unwrap_or("type");
        let known = branches.iter().flat_map(|branch| tag_values(branch, tag));
        found.push(not_among(&join(at, tag), known));
        return;
    }
    let mut nearest: Option<Vec<String>> = None;
    for branch in meant {
        let mut here = Vec::new();
        walk(branch, value, at, true, &mut here);
        if here.is_empty() {
            return;
        }
        if nearest.as_ref().is_none_or(|nearest| here.len() < nearest.len()) {
            nearest = Some(here);
        }
    }
    found.extend(nearest.into_iter().flatten());
}

fn tags_agree(branch: &Value, value: &Value) -> bool {
    TAGS.iter().all(|tag| {
        let known = tag_values(branch, tag);
        known.is_empty() || !value.is_object() || value[*tag].as_str().is_none_or(|tag| known.contains(&tag))
    })
}

/// The values a branch fixes for a tag; none when it leaves it open.
fn tag_values<'a>(branch: &'a Value, tag: &str) -> Vec<&'a str> {
    let schema = branch["$ref"].as_str().and_then(|r| SCHEMAS.get(r.rsplit('/').next()?)).unwrap_or(branch);
    schema["properties"][tag]["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn check_type(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let (fits, wanted) = match schema["type"].as_str() {
        Some("string") => (value.is_string(), "a string"),
        Some("number") => (value.is_number(), "a number conforming to the specified constraints"),
        Some("integer") => (value.as_f64().is_some_and(|n| n.fract() == 0.0), "an integer number"),
        Some("boolean") => (value.is_boolean(), "a boolean value"),
        Some("array") => (value.is_array(), "an array"),
        Some("object") => (value.is_object(), "an object"),
        _ => return,
    };
    if !fits {
        found.push(format!("{at} must be {wanted}").trim_start().to_owned());
    }
}

/// The document types the items of some plain lists as `object` and shows strings and numbers in its examples.
fn is_bare_object(schema: &Value) -> bool {
    schema["type"] == "object" && schema["properties"].is_null()
}

fn check_enum(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        found.push(not_among(at, known.iter().filter_map(Value::as_str)));
    }
}

fn check_text(schema: &Value, text: &str, at: &str, found: &mut Vec<String>) {
    let length = u64::try_from(text.chars().count()).unwrap_or(u64::MAX);
    if let Some(max) = schema["maxLength"].as_u64().filter(|max| length > *max) {
        found.push(format!("{at} must be shorter than or equal to {max} characters"));
    }
    if let Some(min) = schema["minLength"].as_u64().filter(|min| length < *min) {
        found.push(format!("{at} must be longer than or equal to {min} characters"));
    }
    let problem = match schema["format"].as_str() {
        Some("date-time") if text.parse::<Timestamp>().is_err() => "a valid ISO 8601 date string",
        Some("uuid") if text.parse::<Uuid>().is_err() => "a UUID",
        Some("uri") if url::Url::parse(text).is_err() => "a URL address",
        _ => "",
    };
    if !problem.is_empty() {
        found.push(format!("{at} must be {problem}"));
    }
    // JavaScript's literals keep their slashes and flags in the document.
    if let Some(literal) = schema["x-js-pattern"].as_str() {
        let pattern =
            literal.trim_start_matches('/').rsplit_once('/').map_or(literal, |(pattern, _)| pattern);
        if Regex::new(pattern).is_ok_and(|pattern| !pattern.is_match(text)) {
            found.push(format!("{at} must match {literal} regular expression"));
        }
    }
}

fn check_range(schema: &Value, number: f64, at: &str, found: &mut Vec<String>) {
    if let Some(min) = schema["minimum"].as_f64().filter(|min| number < *min) {
        found.push(format!("{at} must not be less than {min}"));
    }
    if let Some(max) = schema["maximum"].as_f64().filter(|max| number > *max) {
        found.push(format!("{at} must not be greater than {max}"));
    }
}

fn not_among<'a>(at: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    format!("{at} must be one of the following values: {}", known.join(", ")).trim_start().to_owned()
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn refusals_name_the_field_and_the_rule() {
        let check = |value: Value, expected: &[&str]| {
            assert_eq!(violations("CreateAssistantDTO", &value), expected, "{value}");
        };
        check(json!({}), &[]);
        check(json!({"foo": 1}), &["property foo should not exist"]);
        check(json!({"name": "x".repeat(41)}), &["name must be shorter than or equal to 40 characters"]);
        check(
            json!({"model": {"provider": "openai", "model": "gpt-4o", "foo": 1}}),
            &["model.property foo should not exist"],
        );
        check(json!({"model": {"provider": "openai"}}), &["model.model should not be empty"]);
        check(json!({"maxDurationSeconds": 5}), &["maxDurationSeconds must not be less than 10"]);
        check(json!({"firstMessage": 5}), &["firstMessage must be a string"]);
        check(json!({"server": {"secret": "s"}}), &["server.property secret should not exist"]);
        check(json!({"metadata": {"anything": {"goes": [1]}}}), &[]);
        check(json!({"backgroundSound": "office"}), &[]);
        check(json!({"backgroundSound": "https://example.test/rain.mp3"}), &[]);
        assert_eq!(violations("CreateAssistantDTO", &json!({"backgroundSound": "rain"})).len(), 1);
        assert_eq!(violations("CreateAssistantDTO", &json!({"model": {"provider": "nobody"}})).len(), 1);
    }

    #[test]
    fn a_tool_may_bring_any_json_schema_for_its_parameters() {
        let tool = json!({
            "type": "function",
            "function": { "name": "book", "strict": true, "parameters": {
                "type": "object", "additionalProperties": false, "required": ["date"],
                "properties": { "date": { "type": "string", "minLength": 1, "description": "the day" } },
            }},
        });
        assert_eq!(violations("CreateFunctionToolDTO", &tool), Vec::<String>::new());
        let bad = json!({"type": "function", "function": {"name": "no spaces"}});
        assert_eq!(
            violations("CreateFunctionToolDTO", &bad),
            ["function.name must match /^[a-zA-Z0-9_-]{1,64}$/ regular expression"]
        );
    }

    #[test]
    fn reasons_for_an_end_are_those_of_the_document() {
        assert!(is_ended_reason("customer-ended-call"));
        assert!(!is_ended_reason("bored"));
    }
}
