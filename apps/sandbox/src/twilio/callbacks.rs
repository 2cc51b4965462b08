//! What Twilio tells the product: form posts, signed with the token of the account they are about.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha1::Sha1;
use url::{Url, form_urlencoded};

use crate::clock::iso;
use crate::delivery::Signature;
use crate::journal::{self, Sent};
use crate::observe::milliseconds;
use crate::world::World;

/// Twilio waits so long, and tries once more when no connection was made.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A message to the product.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) url: String,
    /// With GET the parameters go into the query, which is then all that is signed.
    pub(crate) get: bool,
    pub(crate) token: String,
    pub(crate) parameters: Vec<(&'static str, String)>,
    /// What it is about.
    pub(crate) subject: String,
    pub(crate) kind: &'static str,
    /// Without one: signed with the token.
    pub(crate) signature: Signature,
}

/// Sends it, `copies` times; what came of each.
pub(crate) async fn send(world: &World, message: &Message, copies: u32) -> Vec<Value> {
    let mut outcomes = Vec::new();
    for copy in 0..copies {
        for attempt in 1..=2 {
            let (reached, sent) = post(world, message, attempt, copy > 0).await;
            if reached || attempt == 2 {
                outcomes.push(json!({ "status": sent.status, "answer": sent.answer, "error": sent.error }));
                break;
            }
        }
    }
    outcomes
}

/// Tells whether anybody was there to take it, and what they said.
async fn post(world: &World, message: &Message, attempt: u32, duplicate: bool) -> (bool, Sent) {
    let (request, shown) = match prepare(world, message) {
        Ok(prepared) => prepared,
        Err(problem) => {
            let mut entry = blank(world, message, attempt, duplicate, Map::new());
            entry.error = Some(problem);
            world.journal.send(&mut entry);
            return (true, entry);
        }
    };
    let mut entry = blank(world, message, attempt, duplicate, shown);
    let started = Instant::now();
    let outcome = tokio::select! {
        outcome = world.http.execute(request) => outcome,
        () = world.stop.cancelled() => return (true, entry),
    };
    let reached = match outcome {
        Ok(response) => {
            entry.status = Some(response.status().as_u16());
            entry.answer = journal::body(&response.bytes().await.unwrap_or_default());
            true
        }
        Err(error) => {
            entry.error = Some(error.to_string());
            !error.is_connect()
        }
    };
    entry.latency_ms = milliseconds(started.elapsed());
    world.journal.send(&mut entry);
    (reached, entry)
}

fn prepare(world: &World, message: &Message) -> Result<(reqwest::Request, Map<String, Value>), String> {
    let mut url: Url = message.url.parse().map_err(|_| format!("{} is no address", message.url))?;
    if message.get {
        url.query_pairs_mut().extend_pairs(&message.parameters);
    }
    let parameters = if message.get { &[][..] } else { &message.parameters };
    // The address as it was given: the parser may spell it differently.
    let signed = if message.get { url.as_str() } else { &message.url };
    let signature = message.signature.secret(&message.token).map(|token| sign(&token, signed, parameters));
    let request = if message.get { world.http.get(url) } else { world.http.post(url) };
    let mut request = request.timeout(TIMEOUT);
    if let Some(signature) = signature {
        request = request.header("x-twilio-signature", signature);
    }
    let request = if message.get {
        request
    } else {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        request.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8").body(body)
    };
    let request = request.build().map_err(|error| error.to_string())?;
    let shown = journal::headers(request.headers() as &HeaderMap);
    Ok((request, shown))
}

/// HMAC-SHA1 over the address, followed by every name and value in order.
fn sign(token: &str, url: &str, parameters: &[(&'static str, String)]) -> String {
    let mut parameters = parameters.to_vec();
    parameters.sort();
    parameters.dedup();
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(token.as_bytes()) else { return String::new() };
    mac.update(url.as_bytes());
    for (name, value) in parameters {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

fn blank(
    world: &World,
    message: &Message,
    attempt: u32,
    duplicate: bool,
    headers: Map<String, Value>,
) -> Sent {
    let parameters: Map<String, Value> =
        message.parameters.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    Sent {
        seq: 0,
        at: iso(world.clock.now()),
        provider: "twilio",
        subject: message.subject.clone(),
        kind: message.kind.to_owned(),
        url: message.url.clone(),
        attempt,
        duplicate,
        headers,
        message: Value::Object(parameters),
        status: None,
        answer: Value::Null,
        error: None,
        latency_ms: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_twilios() {
        let parameters = [
            ("CallSid", "CA1234567890ABCDE"),
            ("Caller", "+14158675309"),
            ("Digits", "1234"),
            ("From", "+14158675309"),
            ("To", "+18005551212"),
        ]
        .map(|(name, value)| (name, value.to_owned()));
        let url = "https://mycompany.com/myapp.php?foo=1&bar=2";
        assert_eq!(sign("12345", url, &parameters), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let with_fragment = format!("{url}#rc=3");
        assert_eq!(sign("12345", &with_fragment, &parameters), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }
}
