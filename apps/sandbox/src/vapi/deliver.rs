//! Delivers Vapi's messages: to whom, signed how, waited for how long, tried how often.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::collection::{Object, text};
use super::signing::{Letter, Signing, TimestampUnit};
use super::store::Store;
use crate::clock::iso;
use crate::journal::{self, Sent};
use crate::observe::milliseconds;
use crate::world::World;

/// How long Vapi waits unless the server object says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Where messages go, read from a `server` object.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) url: String,
    headers: Vec<(String, String)>,
    timeout: Duration,
    signing: Signing,
    backoff: Option<Backoff>,
}

/// `backoffPlan`: without one nothing is retried.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Backoff {
    #[serde(rename = "type")]
    kind: String,
    max_retries: f64,
    base_delay_seconds: f64,
    #[serde(default)]
    excluded_status_codes: Vec<Value>,
}

impl Target {
    /// The target a `server` object describes; none without a URL. `allowed` is the assistant's
    /// `credentialIds`: a credential outside that list is not used, so the message goes out unsigned.
    pub(crate) fn of(server: Option<&Value>, store: &Store, allowed: Option<&Value>) -> Option<Self> {
        let server = server?;
        let url = server["url"].as_str().filter(|url| !url.is_empty())?.to_owned();
        let headers = server["headers"].as_object().into_iter().flatten();
        let headers = headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        Some(Self {
            url,
            headers: headers.collect(),
            timeout: server["timeoutSeconds"].as_f64().map_or(DEFAULT_TIMEOUT, Duration::from_secs_f64),
            signing: server["credentialId"]
                .as_str()
                .map_or(Signing::Unsigned, |id| credential(store, id, allowed)),
            backoff: server.get("backoffPlan").and_then(|plan| Backoff::deserialize(plan).ok()),
        })
    }
}

fn credential(store: &Store, id: &str, allowed: Option<&Value>) -> Signing {
    let usable = allowed.and_then(Value::as_array).is_none_or(|ids| ids.iter().any(|allowed| allowed == id));
    if !usable {
        return Signing::Unsigned;
    }
    stored_signing(store, id)
        .unwrap_or_else(|| Signing::Impossible(format!("credential {id} does not exist")))
}

/// How a stored credential signs.
pub(crate) fn stored_signing(store: &Store, id: &str) -> Option<Signing> {
    let credential = store.credentials.get(id)?;
    match text(credential, "provider") {
        "custom-credential" | "webhook" => credential.get("authenticationPlan").map(Signing::of),
        other => Some(Signing::Impossible(format!("a {other} credential signs nothing"))),
    }
}

/// What a script changes about delivery.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manner {
    pub(crate) unit: TimestampUnit,
    /// Moves the signed time, to make a message look old or early.
    pub(crate) shift_ms: i64,
    /// Replaces the signing the server object asks for.
    pub(crate) signing: Option<Signing>,
    /// Signs with a wrong secret.
    pub(crate) forged: bool,
    /// How many more copies of each message are sent.
    pub(crate) copies: u32,
    /// All copies at once instead of one after the other.
    pub(crate) together: bool,
}

/// One message to one call's server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) call_id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) message: &'a Object,
    /// A limit of the provider's own, below which the server object cannot go.
    pub(crate) at_most: Option<Duration>,
}

/// Ready for the wire.
struct Letterhead {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Sends a message, with copies and retries, and returns everything that was sent; the last entry that is
/// not a duplicate holds the answer that counts.
pub(crate) async fn deliver(world: &World, to: &Target, out: Outgoing<'_>, manner: &Manner) -> Vec<Sent> {
    let message_id = format!("msg_{}", world.ids.word(24));
    let body = serde_json::to_vec(&json!({ "message": out.message })).unwrap_or_default();
    let mut sent = Vec::new();
    for attempt in 1.. {
        let letter = match head(world, to, &body, &message_id, manner) {
            Ok(headers) => Letterhead { headers, body: body.clone() },
            Err(reason) => {
                let mut entry = blank(world, to, out, attempt, false);
                entry.error = Some(reason);
                world.journal.send(&mut entry);
                sent.push(entry);
                break;
            }
        };
        let posts = (0..=manner.copies).map(|copy| post(world, to, out, attempt, copy > 0, &letter));
        let mut copies = if manner.together {
            join_all(posts).await
        } else {
            let mut done = Vec::new();
            for post in posts {
                done.push(post.await);
            }
            done
        };
        let retry = copies.first().and_then(|first| wait_before_retry(to, first, attempt));
        sent.append(&mut copies);
        let Some(wait) = retry else { break };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = world.stop.cancelled() => break,
        }
    }
    sent
}

fn head(
    world: &World,
    to: &Target,
    body: &[u8],
    message_id: &str,
    manner: &Manner,
) -> Result<Vec<(String, String)>, String> {
    let ms = world.clock.now_ms().saturating_add(manner.shift_ms);
    let timestamp = match manner.unit {
        TimestampUnit::Ms => ms.to_string(),
        TimestampUnit::S => ms.div_euclid(1000).to_string(),
    };
    let mut signing = manner.signing.clone().unwrap_or_else(|| to.signing.clone());
    if manner.forged {
        signing = signing.forged();
    }
    let letter = Letter { url: &to.url, body, timestamp: &timestamp, message_id };
    let mut headers = signing.headers(letter)?;
    // The server object's own headers win over what the credential says.
    headers.retain(|(name, _)| !to.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
    headers.extend(to.headers.iter().cloned());
    Ok(headers)
}

async fn post(
    world: &World,
    to: &Target,
    out: Outgoing<'_>,
    attempt: u32,
    duplicate: bool,
    letter: &Letterhead,
) -> Sent {
    let mut entry = blank(world, to, out, attempt, duplicate);
    let timeout = out.at_most.map_or(to.timeout, |limit| limit.min(to.timeout));
    let mut request = world.http.post(&to.url).timeout(timeout).header("content-type", "application/json");
    for (name, value) in &letter.headers {
        request = request.header(name, value);
    }
    let started = Instant::now();
    let request = request.body(letter.body.clone()).build();
    let outcome = match request {
        Ok(request) => {
            entry.headers = journal::headers(request.headers());
            let answer = async {
                let response = world.http.execute(request).await?;
                Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?))
            };
            tokio::select! {
                answer = answer => answer,
                () = world.stop.cancelled() => {
                    entry.error = Some("the sandbox is stopping".to_owned());
                    return entry;
                }
            }
        }
        Err(error) => Err(error),
    };
    entry.latency_ms = milliseconds(started.elapsed());
    match outcome {
        Ok((status, bytes)) => {
            entry.status = Some(status);
            entry.answer = journal::body(&bytes);
        }
        Err(error) if error.is_timeout() => {
            entry.error = Some(format!("no answer within {} s", timeout.as_secs_f64()));
        }
        Err(error) => entry.error = Some(chain(&error)),
    }
    world.journal.send(&mut entry);
    entry
}

fn blank(world: &World, to: &Target, out: Outgoing<'_>, attempt: u32, duplicate: bool) -> Sent {
    Sent {
        seq: 0,
        at: iso(world.clock.now()),
        provider: "vapi",
        subject: out.call_id.to_owned(),
        kind: out.kind.to_owned(),
        url: to.url.clone(),
        attempt,
        duplicate,
        headers: Object::new(),
        message: Value::Object(out.message.clone()),
        status: None,
        answer: Value::Null,
        error: None,
        latency_ms: 0.0,
    }
}

/// How long to wait before another attempt, or none when this was the last.
fn wait_before_retry(to: &Target, sent: &Sent, attempt: u32) -> Option<Duration> {
    let plan = to.backoff.as_ref()?;
    let delivered = sent.status.is_some_and(|status| (200..300).contains(&status));
    let excluded =
        sent.status.is_some_and(|status| plan.excluded_status_codes.iter().any(|code| *code == status));
    if delivered || excluded || f64::from(attempt) > plan.max_retries {
        return None;
    }
    let factor = if plan.kind == "exponential" { 2_f64.powf(f64::from(attempt - 1)) } else { 1.0 };
    Some(Duration::from_secs_f64((plan.base_delay_seconds * factor).max(0.0)))
}

/// An error with everything that led to it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
