//! Looking for a message that Twilio may have taken.
//!
//! It is sought by recipient, words and time, because Twilio keeps no id of ours where it can be searched. The list is
//! not filtered by `DateSent`: a message that still waits in Twilio's queue has none. Those that are known to be other
//! messages are passed over.

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use serde::Deserialize;
use voxanne_http::Answer;
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Found, LookUp};

use super::{Desk, send::Message};
use crate::{client::MOST_PAGES, refusal::success, wire::filled};

/// What a trial account puts in front of every text.
const TRIAL: &str = "Sent from your Twilio trial account - ";
/// By how much two clocks may differ. Twilio tells whole seconds.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// Rows on a page.
const PAGE: &str = "200";

/// What a message with other words to the same recipient, of the same time, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    IsAnother,
    MayBeIt,
}

#[derive(Deserialize)]
struct Page {
    messages: Vec<Message>,
    #[serde(default, deserialize_with = "filled")]
    next_page_uri: Option<String>,
}

/// What a page leaves open.
enum Seen {
    Found(Found),
    /// Everything that follows is older than what is sought.
    TooOld,
    More,
}

impl Desk {
    pub(super) async fn look_up(
        &self,
        sought: &LookUp,
        to: &str,
        otherwise: Otherwise,
    ) -> Result<Found, ProviderError> {
        let Some(login) = self.login() else { return Ok(Found::CannotTell) };
        let list = format!("{}/Messages", login.account.path());
        let first = format!("{list}.json");
        let query = [("To", to), ("From", &*self.from), ("PageSize", PAGE)];
        let mut answer =
            self.client.look("list_messages", &login, &first, |request| request.query(&query)).await?;
        let mut doubtful = false;
        for _ in 0..MOST_PAGES {
            let Some(Page { messages, next_page_uri }) = page(answer)? else { return Ok(Found::CannotTell) };
            match seen(messages, sought, to, otherwise, &mut doubtful) {
                Seen::Found(found) => return Ok(found),
                Seen::TooOld => return Ok(not_found(doubtful)),
                Seen::More => {}
            }
            let Some(next) = next_page_uri else { return Ok(not_found(doubtful)) };
            // The credentials go nowhere but to the list that was asked for.
            let next = self.client.below_base(&next);
            if !next.starts_with(&list) {
                return Ok(Found::CannotTell);
            }
            answer = self.client.look("list_messages", &login, next, |request| request).await?;
        }
        Ok(Found::CannotTell)
    }
}

const fn not_found(doubtful: bool) -> Found {
    if doubtful { Found::CannotTell } else { Found::No }
}

/// A page; nothing when these credentials are shown none.
fn page(answer: Answer) -> Result<Option<Page>, ProviderError> {
    match success(answer) {
        // There are other people's messages in it.
        Ok(answer) => answer.secret_object().map(Some),
        Err(crate::refusal::Failure::Other(error)) => Err(error),
        Err(crate::refusal::Failure::Denied | crate::refusal::Failure::NotFound) => Ok(None),
    }
}

fn seen(
    messages: Vec<Message>,
    sought: &LookUp,
    to: &str,
    otherwise: Otherwise,
    doubtful: &mut bool,
) -> Seen {
    let earliest = sought.since.checked_sub(TOLERANCE).unwrap_or(sought.since);
    let mut oldest_is_old = false;
    for message in messages {
        let created = message.date_created.as_deref().and_then(moment);
        // Newest first: a whole page of what is older ends the search.
        oldest_is_old = created.is_some_and(|created| created < earliest);
        let is_inbound = message.direction.as_deref() == Some("inbound");
        let is_another = message.sid.as_deref().is_some_and(|sid| sought.is_another(sid));
        let is_to_another = message.to.as_deref().is_some_and(|shown| shown != to);
        if oldest_is_old || is_inbound || is_another || is_to_another {
            continue;
        }
        let body = message.body.as_deref().unwrap_or_default();
        if body == sought.subject_or_body || body.strip_prefix(TRIAL) == Some(&sought.subject_or_body) {
            return Seen::Found(Found::Yes(message.taken()));
        }
        *doubtful |= otherwise == Otherwise::MayBeIt;
    }
    if oldest_is_old { Seen::TooOld } else { Seen::More }
}

/// A moment as Twilio writes it.
fn moment(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_moments_are_read() {
        assert_eq!(moment("Thu, 24 Aug 2023 05:01:45 +0000"), "2023-08-24T05:01:45Z".parse().ok());
        assert_eq!(moment("2023-08-24T05:01:45Z"), None);
    }
}
