//! The API as its own document describes it: operations, and bodies that fit their schemas.

use std::collections::HashMap;

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::Stack;

/// One operation of the document.
#[derive(Debug, Clone)]
pub struct Operation {
    /// `get`, `post`, …
    pub method: reqwest::Method,
    /// The path with its `{parameters}`.
    pub path: String,
    /// Whether anybody may call it.
    pub is_open: bool,
    /// Names of query parameters.
    pub query: Vec<String>,
    /// Path parameters that name no row but one of a few words, with the document's example of one.
    pub words: HashMap<String, String>,
    /// The schema of its JSON body, references resolved.
    pub body: Option<Value>,
}

impl Operation {
    /// The names in braces, in order.
    pub fn path_parameters(&self) -> Vec<&str> {
        self.path.split('{').skip(1).filter_map(|rest| rest.split('}').next()).collect()
    }

    /// `GET /path`, for messages.
    pub fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether it is for operators, and machines, only.
    pub fn is_operators(&self) -> bool {
        let is_verification = self.path == "/api/organizations/{id}/verify";
        self.path.starts_with("/api/admin/") || self.path.starts_with("/admin/") || is_verification
    }

    /// Whether operators may call it besides an organization's own people.
    pub fn is_shared_with_operators(&self) -> bool {
        self.path.starts_with("/api/organizations/{id}/") && self.path.contains("ai-")
            || self.path == "/api/health/providers/{type}/{organizationId}"
    }

    /// Whether a provider calls it.
    pub fn is_providers(&self) -> bool {
        self.path.starts_with("/api/vapi/") || self.path.starts_with("/webhooks/")
    }

    /// The properties of its body.
    pub fn properties(&self) -> Map<String, Value> {
        let properties = self.body.as_ref().and_then(|schema| schema.get("properties"));
        properties.and_then(Value::as_object).cloned().unwrap_or_default()
    }
}

/// Every operation of the running server's document.
pub async fn operations(stack: &Stack) -> anyhow::Result<Vec<Operation>> {
    let document: Value = stack.http.get(stack.url("/openapi.json")).send().await?.json().await?;
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in ["get", "post", "put", "patch", "delete"] {
            let Some(operation) = item.get(method) else { continue };
            let named = |place: &str| {
                let all = operation["parameters"].as_array().cloned().unwrap_or_default();
                let names = all.iter().filter(|p| p["in"] == place).filter_map(|p| p["name"].as_str());
                names.map(str::to_owned).collect::<Vec<_>>()
            };
            let words = operation["parameters"].as_array().into_iter().flatten().filter_map(|parameter| {
                let word = parameter["example"].as_str()?.to_owned();
                Some((parameter["name"].as_str().filter(|_| parameter["in"] == "path")?.to_owned(), word))
            });
            let words = words.collect();
            let body = operation.pointer("/requestBody/content/application~1json/schema");
            found.push(Operation {
                method: method.to_uppercase().parse()?,
                path: path.clone(),
                is_open: operation["security"] == json!([{}]),
                query: named("query"),
                words,
                body: body.map(|schema| resolved(schema, &document, 0)),
            });
        }
    }
    anyhow::ensure!(found.len() > 30, "the document has only {} operations", found.len());
    Ok(found)
}

/// The schema with its references followed and `null` alternatives dropped.
fn resolved(schema: &Value, document: &Value, depth: usize) -> Value {
    if depth > 12 {
        return json!({});
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).unwrap_or(&Value::Null);
        return resolved(target, document, depth + 1);
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(options) = schema[choice].as_array() {
            let real = options.iter().find(|option| option["type"] != "null");
            return real.map_or_else(|| json!({}), |option| resolved(option, document, depth + 1));
        }
    }
    match schema {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(k, v)| (k.clone(), resolved(v, document, depth + 1))).collect())
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolved(item, document, depth + 1)).collect())
        }
        other => other.clone(),
    }
}

/// The type of a schema, `null` aside.
pub fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default().to_owned()
        }
        _ => String::new(),
    }
}

/// A value that fits `schema`: its example where it has one.
pub fn value_of(name: &str, schema: &Value) -> Value {
    if let Some(example) = schema.get("example").or_else(|| schema["examples"].get(0)) {
        return example.clone();
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    match (kind(schema).as_str(), schema["format"].as_str().unwrap_or_default()) {
        ("object", _) => body_of(schema),
        ("array", _) => json!([]),
        ("integer" | "number", _) => {
            schema.get("minimum").filter(|v| v.is_number()).cloned().unwrap_or_else(|| json!(30))
        }
        ("boolean", _) => json!(true),
        (_, "date-time") => json!("2031-03-04T15:00:00Z"),
        (_, "uuid") => json!(uuid::Uuid::now_v7()),
        _ if name.contains("email") => json!("somebody@clinic.example"),
        _ if name.contains("phone") || name.contains("Phone") => json!("+15005550123"),
        _ if name.contains("zone") => json!("Europe/Paris"),
        _ => json!("something"),
    }
}

/// A body with the required properties of `schema`.
pub fn body_of(schema: &Value) -> Value {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let empty = json!({});
    let body = required.iter().filter_map(Value::as_str).map(|name| {
        let property = schema["properties"].get(name).unwrap_or(&empty);
        (name.to_owned(), value_of(name, property))
    });
    Value::Object(body.collect())
}
