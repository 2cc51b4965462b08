//! A transcript as a file of plain text, with speaker and time on each line (`spec/05-calls.md`).

use std::{fmt::Write as _, sync::Arc};

use async_trait::async_trait;
use serde_json::json;
use voxanne_kernel::{Audit, Begin, Commit, NewAudit, OrgScope, StoreError, ids::CallId};

use crate::report::{Speaker, Turn};

/// A call's transcript, for its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// What was said.
    pub turns: Vec<Turn>,
}

/// Reads transcripts in a unit of work.
#[async_trait]
pub trait Transcripts: Send {
    /// What was said in a call; `None` when there is no such call, or nothing was said, or nobody reported it.
    async fn transcript(&mut self, call: CallId) -> Result<Option<Transcript>, StoreError>;
}

/// What exporting may touch.
pub trait ExportTx: Transcripts + Audit + Commit {}
impl<T: Transcripts + Audit + Commit> ExportTx for T {}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedTranscript {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Exports transcripts of the organization in whose scope it is used.
#[derive(Clone)]
pub struct ExportTranscript {
    store: Arc<dyn Begin<dyn ExportTx>>,
}

impl ExportTranscript {
    /// Reads from `store`.
    pub fn new(store: Arc<dyn Begin<dyn ExportTx>>) -> Self {
        Self { store }
    }

    /// The transcript of a call as a file; the audit trail knows who took it. `None` when there is nothing to export.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run(
        &self,
        scope: &OrgScope,
        call: CallId,
    ) -> Result<Option<ExportedTranscript>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(transcript) = tx.transcript(call).await? else { return Ok(None) };
        let entry = NewAudit {
            action: "call.transcript_exported",
            target_kind: "call",
            target_id: call.to_string(),
            before: None,
            after: Some(json!({ "format": "txt", "lines": transcript.turns.len() })),
        };
        tx.record(entry).await?;
        tx.commit().await?;
        Ok(Some(ExportedTranscript { name: format!("transcript-{call}.txt"), text: transcript.to_text() }))
    }
}

impl Transcript {
    /// One line for everything that was said: `[00:01:05] Caller: …`. Where the report has no time for it, the brackets
    /// hold dashes.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for turn in &self.turns {
            let speaker = match turn.speaker {
                Speaker::Caller => "Caller",
                Speaker::Assistant => "Assistant",
            };
            let at = turn.at_ms.map_or_else(|| "--:--:--".to_owned(), clock);
            let said = turn.text.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "[{at}] {speaker}: {said}");
        }
        text
    }
}

fn clock(ms: u32) -> String {
    let seconds = ms / 1_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Redacted;

    #[test]
    fn every_line_has_a_time_and_a_speaker() {
        let turn =
            |speaker, text: &str, at_ms| Turn { speaker, text: Redacted::from_store(text.to_owned()), at_ms };
        let transcript = Transcript {
            turns: vec![
                turn(Speaker::Assistant, "Hello,\nhow can I help?", Some(400)),
                turn(Speaker::Caller, "Botox, please", Some(3_725_900)),
                turn(Speaker::Caller, "Are you there?", None),
            ],
        };
        assert_eq!(
            transcript.to_text(),
            "[00:00:00] Assistant: Hello, how can I help?\n\
             [01:02:05] Caller: Botox, please\n\
             [--:--:--] Caller: Are you there?\n"
        );
    }
}
