//! The report that the provider sends when a call is over, redacted before it becomes anything that can be stored.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use voxanne_kernel::text::cut_at_word;

use crate::{
    assessment::{Assessment, RawAnalysis},
    ending::Ending,
    recordings::RecordingSource,
    redact::{Removed, redact_turns},
};

/// Text that has been through [`crate::redact`]. The only other way to one is
/// reading it back from a store that was given it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted(String);

impl Redacted {
    /// Redacts one text on its own.
    pub fn of(text: &str) -> (Self, Removed) {
        Self::with_names(text, &[])
    }

    fn with_names(text: &str, names: &[&str]) -> (Self, Removed) {
        // PostgreSQL text holds no NUL; the redaction drops it with the other invisible characters.
        let (mut texts, removed) = redact_turns(&[((), text)], names);
        (Self(texts.pop().unwrap_or_default()), removed)
    }

    /// Text that was redacted before it was stored. For stores only.
    pub fn from_store(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Speaker {
    /// The person on the phone.
    Caller,
    /// Our assistant, or whoever the call was transferred to.
    Assistant,
}

/// One thing that was said, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// By whom.
    pub speaker: Speaker,
    /// What.
    pub text: Redacted,
    /// When, in milliseconds from the call's start.
    pub at_ms: Option<u32>,
}

/// Where a call was passed on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The clinic's own destination: a number or a SIP address.
    pub to: String,
    /// When.
    pub at: Option<Timestamp>,
    /// Why.
    pub reason: Option<Redacted>,
}

/// A provider's report of a finished call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// When the call began.
    pub started_at: Timestamp,
    /// How it ended.
    pub ending: Ending,
    /// How long it lasted, in whole seconds.
    pub duration_seconds: u32,
    /// What the provider bills, in millionths of a US dollar.
    pub cost_micros: Option<i64>,
    /// What was said.
    pub transcript: Vec<Turn>,
    /// What it was about.
    pub summary: Option<Redacted>,
    /// What it was like.
    pub assessment: Assessment,
    /// Services that the analysis names.
    pub services: Vec<Redacted>,
    /// Where it was passed on to.
    pub transfer: Option<Transfer>,
    /// Whether the provider holds a recording.
    pub has_recording: bool,
    /// Where the provider says its recording can be fetched, best first. Not kept with the call: see
    /// [`recordings`](crate::recordings).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recording_sources: Vec<RecordingSource>,
    /// How many identifiers were removed.
    pub removed: Removed,
}

/// One thing that was said, unredacted.
pub struct RawTurn {
    /// By whom.
    pub speaker: Speaker,
    /// What.
    pub text: String,
    /// When, in milliseconds from the call's start.
    pub at_ms: Option<u32>,
}

/// Where a call was passed on to, unredacted.
pub struct RawTransfer {
    /// Number or SIP address.
    pub to: String,
    /// When.
    pub at: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
}

/// A report as the provider's adapter reads it. It can be neither stored nor shown: it has no `Serialize` and no
/// `Debug`, and the only thing to do with it is to redact it.
pub struct RawReport {
    /// When the call began: the provider's word, else when it was created, else when the report was sent.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it ended.
    pub ended_reason: Option<String>,
    /// How long it lasted, if the provider says so; else it is computed.
    pub duration_seconds: Option<u32>,
    /// Millionths of a US dollar.
    pub cost_micros: Option<i64>,
    /// What was said.
    pub turns: Vec<RawTurn>,
    /// What it was about.
    pub summary: Option<String>,
    /// What the provider made of it.
    pub analysis: RawAnalysis,
    /// Where it was passed on to.
    pub transfer: Option<RawTransfer>,
    /// Whether there is a recording.
    pub has_recording: bool,
    /// Where it can be fetched, best first.
    pub recording_sources: Vec<RecordingSource>,
}

impl RawReport {
    /// The report without identifiers. `names` are people known to be part of the call.
    pub fn redacted(self, names: &[&str]) -> Report {
        /// A model that repeats itself must not fill the contact's card.
        const MOST_SERVICES: usize = 20;
        let spoken: Vec<_> = self.turns.iter().map(|t| (t.speaker, t.text.as_str())).collect();
        let (texts, mut removed) = redact_turns(&spoken, names);
        let stamps = self.turns.iter().map(|t| (t.speaker, t.at_ms));
        let transcript: Vec<Turn> = stamps
            .zip(texts)
            .map(|((speaker, at_ms), text)| Turn { speaker, text: Redacted(text), at_ms })
            .collect();
        let mut clean = |text: &str| {
            let (text, more) = Redacted::with_names(text, names);
            removed.add(&more);
            text
        };
        let summary = self.summary.as_deref().map(&mut clean).filter(|s| !s.as_str().trim().is_empty());
        let services =
            self.analysis.services.iter().take(MOST_SERVICES).map(|s| clean(cut_at_word(s, 120))).collect();
        let transfer = self.transfer.map(|t| Transfer {
            to: cut_at_word(&t.to.replace('\0', ""), 200).to_owned(),
            at: t.at,
            reason: t.reason.as_deref().map(&mut clean),
        });
        let seconds = self.ended_at.duration_since(self.started_at).as_secs().clamp(0, i64::from(i32::MAX));
        let reason = self.ended_reason.map(|r| cut_at_word(&r.replace('\0', ""), 200).to_owned());
        Report {
            started_at: self.started_at,
            duration_seconds: self.duration_seconds.unwrap_or_else(|| u32::try_from(seconds).unwrap_or(0)),
            ending: Ending::new(self.ended_at.max(self.started_at), reason),
            cost_micros: self.cost_micros.filter(|c| *c >= 0),
            assessment: Assessment::of(&self.analysis, &transcript, summary.as_ref().map(Redacted::as_str)),
            transcript,
            summary,
            services,
            transfer,
            has_recording: self.has_recording,
            recording_sources: self.recording_sources,
            removed,
        }
    }
}
