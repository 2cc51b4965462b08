//! Makes `data/vapi-openapi.json` out of the official document: what the sandbox checks requests by and
//! its tests check answers by, without the prose.
//!
//! `cargo run -p voxanne-sandbox --example trim_vapi_openapi -- OFFICIAL.json apps/sandbox/data/vapi-openapi.json`

use std::fs;

use anyhow::Context;
use serde_json::{Map, Value, json};

/// Keywords that explain and do not constrain.
const PROSE: &[&str] = &["description", "title", "example", "x-examples", "deprecated", "default"];
/// Keywords whose value is a map from a free name to a schema.
const NAMED: &[&str] = &["properties"];

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(from), Some(to)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: trim_vapi_openapi OFFICIAL.json TRIMMED.json")
    };
    let official: Value =
        serde_json::from_str(&fs::read_to_string(&from).context("reading the official document")?)?;
    let paths = official["paths"].as_object().context("no paths")?;
    let schemas = official["components"]["schemas"].as_object().context("no schemas")?;
    let trimmed = json!({
        "openapi": official["openapi"],
        "info": { "title": official["info"]["title"], "version": official["info"]["version"] },
        "paths": paths.iter().map(|(path, item)| (path.clone(), operations(item))).collect::<Map<_, _>>(),
        "components": { "schemas": schemas.iter().map(|(name, schema)| (name.clone(), bare(schema))).collect::<Map<_, _>>() },
    });
    fs::write(&to, serde_json::to_string(&trimmed)? + "\n").context("writing the trimmed document")
}

/// The methods of a path with what goes in and what comes out.
fn operations(item: &Value) -> Value {
    let Some(item) = item.as_object() else { return Value::Null };
    let kept = item.iter().map(|(method, operation)| {
        let mut kept = Map::new();
        if let Some(parameters) = operation.get("parameters").and_then(Value::as_array) {
            kept.insert("parameters".into(), parameters.iter().map(bare).collect());
        }
        if let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema") {
            kept.insert("request".into(), bare(schema));
        }
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answers = answers.map(|(status, answer)| {
            let schema = answer.pointer("/content/application~1json/schema").map_or(Value::Null, bare);
            (status.clone(), schema)
        });
        kept.insert("responses".into(), Value::Object(answers.collect()));
        (method.clone(), Value::Object(kept))
    });
    Value::Object(kept.collect())
}

/// A schema without its prose. A *property* called `title` stays: only keywords go.
fn bare(schema: &Value) -> Value {
    match schema {
        Value::Object(keywords) => {
            let kept = keywords.iter().filter(|(keyword, _)| !PROSE.contains(&keyword.as_str()));
            Value::Object(
                kept.map(|(keyword, value)| {
                    let named = NAMED.contains(&keyword.as_str());
                    (keyword.clone(), if named { each(value) } else { bare(value) })
                })
                .collect(),
            )
        }
        Value::Array(items) => items.iter().map(bare).collect(),
        other => other.clone(),
    }
}

fn each(named: &Value) -> Value {
    let named = named.as_object().into_iter().flatten();
    Value::Object(named.map(|(name, schema)| (name.clone(), bare(schema))).collect())
}
