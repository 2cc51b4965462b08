//! What Resend refuses of a mail, in its words.

use axum::http::StatusCode;
use serde_json::{Map, Value};

use crate::messaging::mail::address::{bare, listed};
use crate::messaging::resend::{Account, Refusal};

/// The most recipients of a kind.
const RECIPIENTS: usize = 50;
/// The longest name or value of a tag.
const LONGEST: usize = 256;

/// Refuses what the service refuses.
pub(super) fn check(fields: &Map<String, Value>, account: &Account) -> Result<(), Refusal> {
    let has = |name: &str| fields.get(name).is_some_and(|value| !value.is_null() && value != "");
    for name in ["from", "to", "subject"] {
        if !has(name) {
            return Err(missing(format!("Missing `{name}` field.")));
        }
    }
    let words = has("html") || has("text");
    match (words, has("template")) {
        (false, false) => return Err(missing("Missing `html` or `text` field.".to_owned())),
        (true, true) => {
            return Err(Refusal::invalid("The `template` cannot be used with `html` or `text`."));
        }
        _ => {}
    }
    for name in ["from", "subject", "html", "text", "scheduled_at", "topic_id"] {
        if fields.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(Refusal::invalid(format!("The `{name}` must be a string.")));
        }
    }
    if fields["subject"].as_str().is_some_and(|subject| subject.contains(['\r', '\n'])) {
        return Err(Refusal::invalid("The `\\n` is not allowed in the `subject` field."));
    }
    for name in ["to", "cc", "bcc", "reply_to"] {
        if has(name) {
            check_addresses(name, &fields[name])?;
        }
    }
    if has("tags") {
        check_tags(&fields["tags"])?;
    }
    if has("headers") && !fields["headers"].as_object().is_some_and(|all| all.values().all(Value::is_string))
    {
        return Err(Refusal::invalid("The `headers` must be an object of strings."));
    }
    if has("attachments") {
        check_attachments(&fields["attachments"])?;
    }
    check_sender(fields["from"].as_str().unwrap_or_default(), account)
}

fn check_sender(from: &str, account: &Account) -> Result<(), Refusal> {
    let address = bare(from).ok_or_else(|| wrong(format!("Invalid `from` field. {FORMAT}")))?;
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let refused = |message: String| Err(Refusal::named(StatusCode::FORBIDDEN, "validation_error", message));
    if domain.eq_ignore_ascii_case("resend.dev") {
        return refused("You can only send testing emails to your own email address.".to_owned());
    }
    if account.may_send_from(domain) {
        return Ok(());
    }
    refused(format!("The {domain} domain is not verified. Please, add and verify your domain."))
}

fn check_addresses(name: &str, value: &Value) -> Result<(), Refusal> {
    let all = listed(value);
    if !value.is_string() && !value.is_array() || all.is_empty() || !all.iter().all(Value::is_string) {
        return Err(Refusal::invalid(format!("The `{name}` must be a string or an array of strings.")));
    }
    if all.len() > RECIPIENTS {
        return Err(Refusal::invalid(format!(
            "The `{name}` must not have more than {RECIPIENTS} addresses."
        )));
    }
    if all.iter().filter_map(Value::as_str).all(|address| bare(address).is_some()) {
        return Ok(());
    }
    Err(wrong(format!("Invalid `{name}` field. {FORMAT}")))
}

const FORMAT: &str =
    "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format.";

fn check_tags(value: &Value) -> Result<(), Refusal> {
    let fits = |text: &Value| {
        text.as_str().is_some_and(|text| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        })
    };
    let is_tag = |tag: &Value| fits(&tag["name"]) && fits(&tag["value"]);
    if value.as_array().is_some_and(|tags| tags.iter().all(is_tag)) {
        return Ok(());
    }
    Err(Refusal::invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes."))
}

/// The content comes as base64 from some clients, and as an array of bytes from others.
fn check_attachments(value: &Value) -> Result<(), Refusal> {
    let is_content = |content: &Value| match content {
        Value::String(text) => !text.is_empty(),
        Value::Array(bytes) => bytes.iter().all(|byte| byte.as_u64().is_some_and(|byte| byte < 256)),
        _ => false,
    };
    let is_attachment = |one: &Value| {
        one["filename"].as_str().is_some_and(|name| !name.is_empty())
            && (is_content(&one["content"]) || one["path"].is_string())
    };
    if value.as_array().is_some_and(|all| all.iter().all(is_attachment)) {
        return Ok(());
    }
    Err(Refusal::named(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_attachment",
        "Attachment must have either a `content` or `path`.",
    ))
}

fn missing(message: String) -> Refusal {
    Refusal::named(StatusCode::UNPROCESSABLE_ENTITY, "missing_required_field", message)
}

pub(super) fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::named(StatusCode::BAD_REQUEST, "validation_error", message)
}
