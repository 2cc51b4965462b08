//! Reading request bodies and queries, so that whatever is wrong names the field and the rule.
//!
//! Everything here answers before any effect: too large (413), not JSON (415/400), too deep, unknown or mistyped
//! fields, text that the database cannot hold (NUL).

use axum::{
    body::{Body as HttpBody, Bytes},
    extract::{FromRequest, FromRequestParts, RawQuery, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::http::problem::Problem;

/// The largest JSON body, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;
/// How much of a body that is too large is still read and thrown away. A client that is writing does not look at an
/// answer: closing the connection on it would lose the answer that tells what was wrong.
const DISCARD_LIMIT: usize = 16 * 1024 * 1024;
/// How deep objects and lists may nest.
const DEPTH_LIMIT: usize = 32;

/// A JSON request body. `T` rejects unknown fields (`#[serde(deny_unknown_fields)]`).
#[derive(Debug)]
pub struct Body<T>(pub T);

/// A JSON request body that may be left out.
#[derive(Debug)]
pub struct MaybeBody<T>(pub Option<T>);

/// A whole request body as it came, at most [`BODY_LIMIT`] bytes.
#[derive(Debug)]
pub struct Raw(pub Bytes);

/// The query string. `T` rejects unknown parameters.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let Raw(bytes) = Raw::from_request(request, state).await?;
        if !is_json {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        parse(&bytes).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let Raw(bytes) = Raw::from_request(request, state).await?;
        match (bytes.is_empty(), is_json) {
            (true, _) => Ok(Self(None)),
            (false, true) => parse(&bytes).map(Some).map(Self),
            (false, false) => Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_whole(request.into_body()).await.map(Self)
    }
}

/// Reads a body to its end.
///
/// # Errors
/// 413 when it is larger than [`BODY_LIMIT`], after its end was read as well if it is not far; 400 when it breaks off.
pub async fn read_whole(body: HttpBody) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut first, mut rest, mut size) = (Bytes::new(), Vec::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Problem::of_status(StatusCode::BAD_REQUEST).because(error))?;
        size = size.saturating_add(chunk.len());
        if size > DISCARD_LIMIT {
            break;
        } else if size > BODY_LIMIT {
            rest = Vec::new();
        } else if first.is_empty() {
            // Nearly every body is one chunk, which need not be copied.
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
            }
            rest.extend_from_slice(&chunk);
        }
    }
    match size {
        0..=BODY_LIMIT if rest.is_empty() => Ok(first),
        0..=BODY_LIMIT => Ok(rest.into()),
        _ => Err(Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE)),
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(RawQuery(query)) = RawQuery::from_request_parts(parts, state).await;
        let query = query.unwrap_or_default();
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(&query)
            .map_err(|_| Problem::bad_request("malformed_query", "The query string cannot be read."))?;
        let holds = |c: char| pairs.iter().find(|(name, value)| name.contains(c) || value.contains(c));
        if let Some((name, _)) = holds('\0') {
            return Err(Problem::invalid(name.replace('\0', ""), "must not contain a NUL character"));
        }
        // The decoder puts this character where the bytes are not text.
        if let Some((name, _)) = holds(char::REPLACEMENT_CHARACTER) {
            return Err(Problem::invalid(name.clone(), "must be UTF-8"));
        }
        let deserializer = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(query.as_bytes()));
        serde_path_to_error::deserialize(deserializer)
            .map(Self)
            .map_err(|error| field_problem(&error.path().to_string(), &error.inner().to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
        || (kind.to_ascii_lowercase().starts_with("application/") && kind.ends_with("+json"))
}

/// Reads a JSON body into `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    check_shape(bytes)?;
    // serde would take a list for an object's fields in order, and would repeat a text in the answer.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => Problem::invalid("body", "must be an object"),
            Err(syntax) => malformed(&syntax),
        });
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let inner = error.inner();
        // A field may be found wanting before the reader comes to where the text stops being JSON.
        if let Err(syntax) = serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            malformed(&syntax)
        } else if inner.is_data() {
            field_problem(&error.path().to_string(), &without_position(&inner.to_string()))
        } else {
            malformed(inner)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// Reads what was taken out of a body into `T`, with the same problems.
///
/// # Errors
/// As [`parse`].
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Problem> {
    parse(value.to_string().as_bytes())
}

/// Checks, in one pass over the bytes and before anything is built from them, that the body is not too deep and that
/// no text in it contains NUL.
pub fn check_shape(bytes: &[u8]) -> Result<(), Problem> {
    let (mut depth, mut in_text, mut i) = (0_usize, false, 0);
    while let Some(&byte) = bytes.get(i) {
        match (in_text, byte) {
            (true, b'\\') => {
                if bytes[i..].starts_with(b"\\u0000") {
                    return Err(Problem::invalid(field_with_nul(bytes), "must not contain a NUL character"));
                }
                i += 1;
            }
            (_, b'"') => in_text = !in_text,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > DEPTH_LIMIT {
                    let message = format!("The body nests deeper than {DEPTH_LIMIT} levels.");
                    return Err(Problem::bad_request("body_too_deep", message));
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        i += 1;
    }
    Ok(())
}

/// The path of the first text with NUL in it; only looked for once one was seen.
fn field_with_nul(bytes: &[u8]) -> String {
    fn find(value: &Value, path: &str) -> Option<String> {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match value {
            Value::String(text) => text.contains('\0').then(|| path.to_owned()),
            Value::Array(items) => {
                items.iter().enumerate().find_map(|(i, item)| find(item, &below(&i.to_string())))
            }
            Value::Object(fields) => fields.iter().find_map(|(name, value)| {
                if name.contains('\0') {
                    Some(below(&name.replace('\0', "")))
                } else {
                    find(value, &below(name))
                }
            }),
            _ => None,
        }
    }
    let path = serde_json::from_slice(bytes).ok().and_then(|value| find(&value, ""));
    path.filter(|path| !path.is_empty()).unwrap_or_else(|| "body".to_owned())
}

fn malformed(error: &serde_json::Error) -> Problem {
    let message = format!("The body is not valid JSON at line {}, column {}.", error.line(), error.column());
    Problem::bad_request("malformed_json", message)
}

/// serde ends its messages with a position that means nothing once the field is named.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).to_owned()
}

/// Names the field that serde could not read. For unknown and missing fields serde names it in the message and the
/// path is its parent's.
fn field_problem(path: &str, message: &str) -> Problem {
    let named = |prefix: &str| {
        let rest = message.strip_prefix(prefix)?.strip_prefix('`')?;
        rest.split_once('`').map(|(name, _)| name.to_owned())
    };
    let parent = path.trim_matches(|c| c == '.' || c == '?');
    let inside = |name: String| {
        // The path of an unknown field already ends in its name.
        let ends_in_it = parent == name || parent.ends_with(&format!(".{name}"));
        if parent.is_empty() || ends_in_it {
            if parent.is_empty() { name } else { parent.to_owned() }
        } else {
            format!("{parent}.{name}")
        }
    };
    if let Some(name) = named("unknown field ") {
        return Problem::invalid(inside(name), "is not a known field");
    }
    if let Some(name) = named("missing field ") {
        return Problem::invalid(inside(name), "is required");
    }
    let field = if parent.is_empty() { "body" } else { parent };
    Problem::invalid(field, message)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only read by the derive")]
        count: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only read by the derive")]
        name: String,
        #[expect(dead_code, reason = "only read by the derive")]
        inner: Option<Inner>,
    }

    fn refusal(body: &str) -> (String, Vec<String>) {
        let body = parse::<Outer>(body.as_bytes()).unwrap_err().body("r");
        (body.code, body.details.keys().cloned().collect())
    }

    #[test]
    fn every_refusal_names_the_field() {
        let check = |body: &str, code: &str, field: Option<&str>| {
            let (found, fields) = refusal(body);
            assert_eq!(found, code, "{body}");
            assert_eq!(fields, field.map(str::to_owned).into_iter().collect::<Vec<_>>(), "{body}");
        };
        check(r#"{"name": 7}"#, "validation_failed", Some("name"));
        check("{}", "validation_failed", Some("name"));
        check(r#"{"name": "a", "nmae": 1}"#, "validation_failed", Some("nmae"));
        check(r#"{"name": "a", "inner": {"count": 1, "x": 2}}"#, "validation_failed", Some("inner.x"));
        check(r#"{"name": "a", "inner": {}}"#, "validation_failed", Some("inner.count"));
        check(r#"{"name": "a", "inner": {"count": 300}}"#, "validation_failed", Some("inner.count"));
        check(r#"{"name": "a\u0000b"}"#, "validation_failed", Some("name"));
        check(r#"{"name": "a""#, "malformed_json", None);
        check(r#"{"nmae": "a", "#, "malformed_json", None);
        check(r#"{"name": "a"} trailing"#, "malformed_json", None);
        check(r#"{"name": "\ud800"}"#, "malformed_json", None);
        check("", "malformed_json", None);
        check(&format!("{}{}", "[".repeat(40), "]".repeat(40)), "body_too_deep", None);
        for body in ["[]", r#"["a"]"#, r#""a secret""#, "7", "null", "true"] {
            check(body, "validation_failed", Some("body"));
        }
        check("[", "malformed_json", None);
    }

    #[test]
    fn brackets_and_escapes_inside_text_do_not_count() {
        let body = format!(r#"{{"name": "{}\\\"\\u0000"}}"#, "[".repeat(100));
        assert!(parse::<Outer>(body.as_bytes()).is_ok(), "{body}");
    }
}
