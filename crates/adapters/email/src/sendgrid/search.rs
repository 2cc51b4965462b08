//! Finding a message in SendGrid's logs, which every account has for 30 days.
//!
//! They are asked for the recipient and the time; what was found is asked for its custom arguments, because two mails
//! to one person may have one subject.

use jiff::{SignedDuration, Unit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use voxanne_http::Method;
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Found, LookUp};

use super::send::{ARGUMENT, Logged, SendgridEmail};

/// How far the provider's clock may be behind ours.
const SLACK: SignedDuration = SignedDuration::from_secs(60);
/// The most that one answer lists; there are no pages.
const MOST: u32 = 1000;
/// How many candidates are looked at closely.
const CANDIDATES: usize = 20;

#[derive(Serialize)]
struct Query {
    query: String,
    limit: u32,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Logged>,
}

/// Whether a logged mail is the one that is sought.
enum Match {
    Ours,
    Another,
    /// Its arguments are not shown.
    Unsaid,
}

impl SendgridEmail {
    pub(super) async fn search(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        // It would end the text that it is part of.
        if sought.to.contains(['\'', '"', '\\']) {
            return Ok(Found::CannotTell);
        }
        let since = sought.since.checked_sub(SLACK).unwrap_or(sought.since);
        let since = since.round(Unit::Second).unwrap_or(since);
        let query = Query {
            query: format!(
                "to_email = '{}' AND sg_message_id_created_at >= TIMESTAMP \"{since}\"",
                sought.to
            ),
            limit: MOST,
        };
        let request = self.request(Method::POST, "/v3/logs").json(&query);
        // A search changes nothing, whatever its method.
        let answer = self.client.api(&self.account).http.read("search_logs", request).await?;
        match answer.status().as_u16() {
            200 => {}
            // The key may not look, or the account has no such logs.
            401 | 403 | 404 => return Ok(Found::CannotTell),
            _ => return Err(answer.refusal("").into_error()),
        }
        let Page { messages } = answer.secret_object()?;
        let is_whole = messages.len() < MOST as usize;
        let is_candidate = |one: &Logged| {
            one.to_email.eq_ignore_ascii_case(&sought.to)
                && one.subject == sought.subject_or_body
                && !sought.is_another(external_id(one))
        };
        let candidates: Vec<_> = messages.into_iter().filter(is_candidate).collect();
        let mut unsaid = Vec::new();
        for one in candidates.iter().take(CANDIDATES) {
            match self.compare(one, sought).await? {
                Match::Ours => return Ok(found(one)),
                Match::Another => {}
                Match::Unsaid => unsaid.push(one),
            }
        }
        Ok(match unsaid.as_slice() {
            [] if is_whole && candidates.len() <= CANDIDATES => Found::No,
            [one] if candidates.len() == 1 => found(one),
            _ => Found::CannotTell,
        })
    }

    async fn compare(&self, one: &Logged, sought: &LookUp) -> Result<Match, ProviderError> {
        // Part of a path now, and theirs.
        if !one.sg_message_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
            return Ok(Match::Unsaid);
        }
        let request = self.request(Method::GET, &format!("/v3/logs/{}", one.sg_message_id));
        let answer = self.client.api(&self.account).http.read("get_log", request).await?;
        if !answer.status().is_success() {
            return Ok(Match::Unsaid);
        }
        let detail: Value = answer.secret_object()?;
        Ok(match argument(&detail) {
            Some(id) if id == sought.id.to_string() => Match::Ours,
            Some(_) => Match::Another,
            None => Match::Unsaid,
        })
    }
}

fn found(one: &Logged) -> Found {
    Found::Yes(Accepted { external_id: Some(external_id(one).to_owned()), ..Accepted::default() })
}

/// What it was called when it was taken; more stands behind a dot.
fn external_id(one: &Logged) -> &str {
    one.sg_message_id.split_once('.').map_or(&one.sg_message_id, |(id, _)| id)
}

/// Our argument in a log. UNCONFIRMED: under which of two names, and whether as an object or as its text.
fn argument(detail: &Value) -> Option<String> {
    ["unique_args", "custom_args"].into_iter().find_map(|name| match &detail[name] {
        Value::String(text) => {
            let arguments: Value = serde_json::from_str(text).ok()?;
            arguments[ARGUMENT].as_str().map(str::to_owned)
        }
        arguments => arguments[ARGUMENT].as_str().map(str::to_owned),
    })
}
