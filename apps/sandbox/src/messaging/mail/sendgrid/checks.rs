//! What SendGrid refuses of a mail, field by field.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::messaging::mail::address::bare;
use crate::messaging::sendgrid::Refusal;
use crate::world::World;

/// The most recipients, and the most personalizations.
const MOST: usize = 1_000;

/// Refuses what the service refuses.
pub(super) fn check(mail: &Map<String, Value>, world: &World) -> Result<(), Refusal> {
    let wrong = |field: &str, message: &str| Err(Refusal::about(StatusCode::BAD_REQUEST, field, message));
    let personalizations = mail.get("personalizations").and_then(Value::as_array);
    let Some(personalizations) = personalizations.filter(|all| !all.is_empty()) else {
        return wrong(
            "personalizations",
            "The personalizations field is required and must have at least one personalization.",
        );
    };
    let mut recipients = 0;
    for (index, one) in personalizations.iter().enumerate() {
        recipients += check_personalization(index, one)?;
    }
    if personalizations.len() > MOST || recipients > MOST {
        return wrong("personalizations", "The total number of recipients must be no more than 1000.");
    }
    if bare(mail.get("from").and_then(|from| from["email"].as_str()).unwrap_or_default()).is_none() {
        return wrong("from.email", "The from email does not contain a valid address.");
    }
    if let Some(reply_to) = mail.get("reply_to")
        && bare(reply_to["email"].as_str().unwrap_or_default()).is_none()
    {
        return wrong("reply_to.email", "The reply_to email does not contain a valid address.");
    }
    let has_template = mail.get("template_id").is_some();
    let is_subject = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let has_subject = mail.get("subject").is_some_and(is_subject)
        || personalizations.iter().all(|one| is_subject(&one["subject"]));
    if !has_subject && !has_template {
        return wrong(
            "subject",
            "The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined.",
        );
    }
    let subjects = personalizations.iter().map(|one| &one["subject"]).chain(mail.get("subject"));
    if subjects.filter_map(Value::as_str).any(|subject| subject.contains(['\r', '\n'])) {
        return wrong("subject", "The subject must not contain line breaks.");
    }
    match mail.get("content") {
        Some(content) => check_content(content)?,
        None if has_template => {}
        None => {
            return wrong(
                "content",
                "Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required.",
            );
        }
    }
    check_attachments(mail.get("attachments"))?;
    let arguments = personalizations.iter().map(|one| &one["custom_args"]).chain(mail.get("custom_args"));
    for arguments in arguments.filter(|arguments| !arguments.is_null()) {
        let is_fine = arguments.as_object().is_some_and(|all| all.values().all(Value::is_string));
        if !is_fine {
            return wrong("custom_args", "The custom_args parameter must be an object of strings.");
        }
        if arguments.to_string().len() > 10_000 {
            return wrong("custom_args", "The custom_args must be no more than 10000 bytes.");
        }
    }
    if mail.get("categories").is_some_and(|all| all.as_array().is_none_or(|all| all.len() > 10)) {
        return wrong("categories", "The categories must be an array of no more than 10 strings.");
    }
    let latest = world.clock.now().as_second() + 72 * 60 * 60;
    if mail.get("send_at").and_then(Value::as_i64).is_some_and(|at| at > latest) {
        return wrong("send_at", "Scheduled sends may be no more than 72 hours in the future.");
    }
    Ok(())
}

/// How many people it is to.
fn check_personalization(index: usize, one: &Value) -> Result<usize, Refusal> {
    let wrong =
        |field: String, message: String| Err(Refusal::about(StatusCode::BAD_REQUEST, &field, &message));
    let place = format!("personalizations.{index}");
    if one["to"].as_array().is_none_or(Vec::is_empty) {
        return wrong(
            format!("{place}.to"),
            "The to array is required for all personalization objects, and must have at least one email object with a valid email address.".to_owned(),
        );
    }
    let mut seen: Vec<String> = Vec::new();
    for kind in ["to", "cc", "bcc"] {
        for (number, address) in one[kind].as_array().into_iter().flatten().enumerate() {
            let Some(address) = address["email"].as_str().and_then(bare) else {
                return wrong(
                    format!("{place}.{kind}.{number}.email"),
                    "Does not contain a valid address.".to_owned(),
                );
            };
            let address = address.to_lowercase();
            if seen.contains(&address) {
                let message = format!(
                    "Each email address in the personalization block should be unique between to, cc, and bcc. We found the first duplicate instance of [{address}] in the {place}.{kind} field."
                );
                return wrong(format!("{place}.{kind}"), message);
            }
            seen.push(address);
        }
    }
    Ok(seen.len())
}

fn check_content(content: &Value) -> Result<(), Refusal> {
    let wrong = |field: &str, message: &str| Err(Refusal::about(StatusCode::BAD_REQUEST, field, message));
    let Some(blocks) = content.as_array().filter(|blocks| !blocks.is_empty()) else {
        return wrong("content", "There must be at least one defined content block.");
    };
    for (number, block) in blocks.iter().enumerate() {
        let kind = block["type"].as_str().unwrap_or_default();
        if kind.is_empty() || kind.contains([';', '\r', '\n']) {
            return wrong(
                &format!("content.{number}.type"),
                "The content type cannot be empty or contain ';' or CRLF.",
            );
        }
        if block["value"].as_str().is_none_or(str::is_empty) {
            return wrong(
                &format!("content.{number}.value"),
                "The content value must be a string at least one character in length.",
            );
        }
    }
    let place = |wanted: &str| blocks.iter().position(|block| block["type"] == wanted);
    if place("text/plain").zip(place("text/html")).is_some_and(|(plain, html)| html < plain) {
        return wrong(
            "content",
            "If present, text/plain must be first, followed by text/html, followed by any other content.",
        );
    }
    Ok(())
}

fn check_attachments(attachments: Option<&Value>) -> Result<(), Refusal> {
    let wrong = |number: usize, field: &str, message: &str| {
        Err(Refusal::about(StatusCode::BAD_REQUEST, &format!("attachments.{number}.{field}"), message))
    };
    for (number, one) in attachments.and_then(Value::as_array).into_iter().flatten().enumerate() {
        let content = one["content"].as_str().filter(|content| !content.is_empty());
        if content.is_none_or(|content| STANDARD.decode(content).is_err()) {
            return wrong(number, "content", "The attachment content must be base64 encoded.");
        }
        if one["filename"].as_str().is_none_or(str::is_empty) {
            return wrong(number, "filename", "The filename of the attachment is required.");
        }
        if one["type"].as_str().is_some_and(|kind| kind.is_empty() || kind.contains([';', '\r', '\n'])) {
            return wrong(number, "type", "The attachment type cannot be empty or contain ';' or CRLF.");
        }
        if one["disposition"].as_str().is_some_and(|d| !matches!(d, "attachment" | "inline")) {
            return wrong(number, "disposition", "The disposition must be attachment or inline.");
        }
    }
    Ok(())
}
