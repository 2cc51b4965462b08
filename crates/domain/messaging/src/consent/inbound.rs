//! What people answer to a text message: STOP, START, HELP, or something else (`providers/twilio.md` §11).

use voxanne_kernel::{E164, StoreError, Timestamp};

use super::suppressions::{Consent, SuppressionReason};
use crate::{channel::Channel, providers::OptOut};

/// What carriers and Twilio take as "no more messages", as the whole of a text.
pub(super) const STOP_WORDS: [&str; 8] =
    ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"];
const START_WORDS: [&str; 3] = ["START", "UNSTOP", "YES"];
const HELP_WORDS: [&str; 2] = ["HELP", "INFO"];

/// What a text to us means as far as consent goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// No more messages.
    Stop,
    /// Messages again. `YES` is also how people confirm.
    Start,
    /// What is this? Twilio answers by itself.
    Help,
    /// Something else.
    Other,
}

impl Meaning {
    /// Reads a whole text. The word of the provider counts where it gives one; it does so only for some numbers, so the
    /// text is read besides. A sentence with the word in it ("STOP please") is none: no carrier takes it as one either,
    /// and who wrote it would go on getting messages that we believe blocked, or none that they expect.
    pub fn of(text: &str, told: Option<OptOut>) -> Self {
        match told {
            Some(OptOut::Stop) => return Self::Stop,
            Some(OptOut::Start) => return Self::Start,
            Some(OptOut::Help) => return Self::Help,
            None => {}
        }
        let text = text.trim();
        let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
        if is_one_of(&STOP_WORDS) {
            Self::Stop
        } else if is_one_of(&START_WORDS) {
            Self::Start
        } else if is_one_of(&HELP_WORDS) {
            Self::Help
        } else {
            Self::Other
        }
    }
}

/// What hearing somebody out changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// They get no more text messages; `true` if they got them until now.
    Stopped(bool),
    /// They get them again; `true` if they got none until now, `false` if nothing had to change, and then the text may
    /// be an answer to something we asked.
    Started(bool),
    /// They asked what this is. Nothing is sent: Twilio has answered.
    Helped,
    /// It is for a person to read.
    Said,
}

/// Does what a text on `channel` from `from` asks for. Nobody is answered: a second answer to STOP is forbidden, and
/// the first is the provider's.
///
/// # Errors
/// The store's.
pub async fn hear<T: Consent + ?Sized>(
    tx: &mut T,
    channel: Channel,
    from: &E164,
    meaning: Meaning,
    at: Timestamp,
) -> Result<Heard, StoreError> {
    Ok(match meaning {
        Meaning::Stop => {
            Heard::Stopped(tx.suppress(channel, from.as_str(), SuppressionReason::Stop, at).await?)
        }
        Meaning::Start => Heard::Started(tx.lift(channel, from.as_str()).await?.is_some()),
        Meaning::Help => Heard::Helped,
        Meaning::Other => Heard::Said,
    })
}
