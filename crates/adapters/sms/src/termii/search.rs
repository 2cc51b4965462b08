//! Looking for a message in an account's history, which says to whom, what and when, and keeps no id of ours.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use voxanne_credentials::ExposeSecret;
use voxanne_http::Method;
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Accepted, Found, LookUp};

use super::{
    id::{Id, id},
    send::TermiiSms,
};

/// By how much two clocks may differ.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// A message of the history.
#[derive(Deserialize)]
struct Row {
    #[serde(default, deserialize_with = "id")]
    message_id: Option<Id>,
    #[serde(default)]
    receiver: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    created_at: String,
}

/// The rows of an answer, and whether they are all there are.
struct History {
    rows: Vec<Row>,
    is_whole: bool,
}

impl TermiiSms {
    pub(super) async fn search(&self, sought: &LookUp) -> Result<Found, ProviderError> {
        let request = self
            .client
            .http
            .request(Method::GET, self.client.url(&self.account, "/api/sms/inbox"))
            .query(&[("api_key", self.account.api_key.expose_secret())]);
        let answer = self.client.http.read("list_messages", request).await?;
        match answer.status().as_u16() {
            200..=299 => {}
            400..=407 | 409..=428 => return Ok(Found::CannotTell),
            _ => return Err(answer.refusal("").into_error()),
        }
        Ok(History::read(answer.body()).map_or(Found::CannotTell, |history| history.found(sought)))
    }
}

impl History {
    /// A list, or a page around one. Nothing for what is neither.
    fn read(body: &[u8]) -> Option<Self> {
        if let Ok(rows) = serde_json::from_slice(body) {
            return Some(Self { rows, is_whole: true });
        }
        let Value::Object(page) = serde_json::from_slice(body).ok()? else { return None };
        let mut inner = ["data", "content", "messages"].into_iter().filter(|name| page.contains_key(*name));
        let rows = list(inner.next()?, body)?;
        // Whatever speaks of pages may have more of them.
        let is_whole = page.keys().all(|name| !name.to_lowercase().contains("page") && name != "next");
        Some(Self { rows, is_whole })
    }

    fn found(self, sought: &LookUp) -> Found {
        let to = sought.to.trim_start_matches('+');
        let mut goes_back_far_enough = self.is_whole;
        let is_another = |row: &Row| row.message_id.as_ref().is_some_and(|Id(id)| sought.is_another(id));
        for row in self.rows {
            let is_it = row.is(to, &sought.subject_or_body) && !is_another(&row);
            let Some(created) = moment(&row.created_at) else {
                // It may be the one, and cannot be placed.
                if is_it {
                    return Found::CannotTell;
                }
                continue;
            };
            let earliest = sought.since.checked_sub(TOLERANCE).unwrap_or(sought.since);
            if created < earliest {
                goes_back_far_enough = true;
            } else if is_it {
                let external_id = row.message_id.map(|Id(id)| id);
                return Found::Yes(Accepted { external_id, segments: None, cost: None });
            }
        }
        if goes_back_far_enough { Found::No } else { Found::CannotTell }
    }
}

impl Row {
    fn is(&self, to: &str, text: &str) -> bool {
        self.receiver.trim_start_matches('+') == to && self.message == text
    }
}

/// The list under `name`, read from the text itself: ids lose digits on any other way.
fn list(name: &str, body: &[u8]) -> Option<Vec<Row>> {
    let fields: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).ok()?;
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// A moment of the history, at the latest that it can be: nothing says whether its times are UTC or West Africa's,
/// which are an hour ahead.
fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(exact) = text.parse() {
        return Some(exact);
    }
    let local: civil::DateTime = text.parse().ok()?;
    Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Found {
        let sought = LookUp {
            id: "01900000-0000-7000-8000-000000000001".parse().unwrap(),
            to: "+2348012345678".to_owned(),
            subject_or_body: "Hi".to_owned(),
            since: "2026-01-02T10:00:30Z".parse().unwrap(),
            others: Vec::new(),
        };
        History::read(body.as_bytes()).map_or(Found::CannotTell, |history| history.found(&sought))
    }

    fn row(to: &str, text: &str, at: &str) -> String {
        format!(
            r#"{{"message_id":902022080211300900000078460,"receiver":"{to}","message":"{text}","created_at":"{at}"}}"#
        )
    }

    #[test]
    fn a_message_is_known_by_recipient_words_and_time() {
        let ours = row("2348012345678", "Hi", "2026-01-02 10:00:31");
        let yes = Found::Yes(Accepted {
            external_id: Some("902022080211300900000078460".to_owned()),
            ..Accepted::default()
        });
        assert_eq!(found(&format!("[{ours}]")), yes);
        // An hour ahead, as West Africa's clocks are.
        assert_eq!(found(&format!("[{}]", row("+2348012345678", "Hi", "2026-01-02 11:00:31"))), yes);
        assert_eq!(found(&format!(r#"{{"data":[{ours}]}}"#)), yes);
        assert_eq!(found(&format!(r#"{{"content":[{ours}],"totalPages":9}}"#)), yes);
        let others = [
            row("2348012345679", "Hi", "2026-01-02 10:00:31"),
            row("2348012345678", "Hi!", "2026-01-02 10:00:31"),
            row("2348012345678", "Hi", "2026-01-02 09:59:00"),
        ];
        assert_eq!(found(&format!("[{}]", others.join(","))), Found::No);
        assert_eq!(found("[]"), Found::No);
    }

    #[test]
    fn what_is_not_shown_whole_proves_nothing() {
        let other = row("2348012345679", "Hi", "2026-01-02 10:00:31");
        let old = row("2348012345679", "Hi", "2026-01-02 09:00:00");
        assert_eq!(found(&format!(r#"{{"content":[{other}],"totalPages":9}}"#)), Found::CannotTell);
        assert_eq!(found(&format!(r#"{{"content":[{other},{old}],"totalPages":9}}"#)), Found::No);
        assert_eq!(found(&format!("[{}]", row("2348012345678", "Hi", "yesterday"))), Found::CannotTell);
        for body in ["", "{}", "null", "17", r#"{"message":"Hi"}"#, "[17]", r#"{"data":{}}"#] {
            assert_eq!(found(body), Found::CannotTell, "{body}");
        }
    }
}
