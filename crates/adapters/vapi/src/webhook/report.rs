//! A finished call, from an `end-of-call-report` or from Vapi's answer about the call.

use jiff::{SignedDuration, Timestamp};
use voxanne_calls::{RawReport, RawTransfer, RawTurn, Report, Speaker, recordings::RecordingSource};

use super::{
    analysis::analysis,
    facts::{Destination, Facts, Spoken},
    loose::Object,
};

/// Reads and redacts the report in `facts`. What the message lacks is looked for in the call inside it; `at` is the
/// time of the message.
pub(super) fn report(facts: &Facts, at: Timestamp) -> Report {
    let duration = duration_seconds(facts);
    let ended_at = facts.find(|f| f.ended_at.0).unwrap_or(at);
    let began = |seconds: u32| ended_at.checked_sub(SignedDuration::from_secs(i64::from(seconds))).ok();
    let started_at = facts
        .find(|f| f.started_at.0)
        .or_else(|| duration.and_then(began))
        .or_else(|| facts.find(|f| f.created_at.0))
        .unwrap_or(ended_at);
    let structured =
        facts.find(|f| f.analysis.get(|a| a.structured_data.clone()).filter(|data| !data.is_null()));
    let recording_sources = recording_sources(facts);
    let raw = RawReport {
        started_at,
        ended_at,
        ended_reason: facts.find(|f| f.ended_reason.0.clone()),
        duration_seconds: duration,
        cost_micros: facts.find(|f| f.cost.0).and_then(micros),
        turns: turns(facts),
        summary: facts
            .find(|f| f.analysis.get(|a| a.summary.0.clone()).flatten())
            .or_else(|| facts.find(|f| f.summary.0.clone())),
        analysis: structured.as_ref().map(analysis).unwrap_or_default(),
        transfer: transfer(facts),
        has_recording: !recording_sources.is_empty(),
        recording_sources,
    };
    let name = facts.caller_name();
    raw.redacted(name.as_deref().as_slice())
}

fn duration_seconds(facts: &Facts) -> Option<u32> {
    let seconds = facts.find(|f| {
        f.duration_seconds
            .0
            .or_else(|| f.duration_ms.0.map(|ms| ms / 1_000.0))
            .or_else(|| f.duration_minutes.0.map(|m| m * 60.0))
    })?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates"
    )]
    Some(seconds.round().clamp(0.0, 604_800.0) as u32)
}

/// Millionths of a dollar.
fn micros(dollars: f64) -> Option<i64> {
    const MOST: f64 = 1e6;
    #[expect(clippy::cast_possible_truncation, reason = "checked to be at most a million dollars")]
    (0.0..=MOST).contains(&dollars).then(|| (dollars * 1e6).round() as i64)
}

fn turns(facts: &Facts) -> Vec<RawTurn> {
    let spoken = |messages: &[Object<Spoken>]| {
        messages.iter().filter_map(|object| object.0.as_ref()).filter_map(turn).collect::<Vec<_>>()
    };
    facts
        .find(|f| f.artifact.get(|a| spoken(&a.messages.0)).filter(|turns| !turns.is_empty()))
        .or_else(|| facts.find(|f| Some(spoken(&f.messages.0)).filter(|turns| !turns.is_empty())))
        .or_else(|| {
            let text = facts
                .find(|f| f.artifact.get(|a| a.transcript.0.clone()).flatten())
                .or_else(|| facts.find(|f| f.transcript.0.clone()))?;
            Some(from_text(&text))
        })
        .unwrap_or_default()
}

fn turn(spoken: &Spoken) -> Option<RawTurn> {
    let speaker = speaker(spoken.role.0.as_deref()?)?;
    let text = spoken.message.0.clone().or_else(|| spoken.content.0.clone())?;
    let milliseconds = spoken.seconds_from_start.0.map(|seconds| (seconds * 1_000.0).round());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float to integer cast saturates"
    )]
    let at_ms = milliseconds.filter(|ms| *ms >= 0.0).map(|ms| ms as u32);
    Some(RawTurn { speaker, text, at_ms })
}

/// System prompts and tool traffic are nobody's words.
fn speaker(role: &str) -> Option<Speaker> {
    match role {
        "bot" | "assistant" => Some(Speaker::Assistant),
        "user" | "customer" => Some(Speaker::Caller),
        _ => None,
    }
}

/// Splits the flat transcript, `AI: …` and `User: …` by line. A line without a speaker continues the one before.
fn from_text(transcript: &str) -> Vec<RawTurn> {
    let mut turns: Vec<RawTurn> = Vec::new();
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let labelled = line.split_once(':').and_then(|(label, text)| {
            let speaker = match label.trim().to_ascii_lowercase().as_str() {
                "ai" | "assistant" | "bot" | "agent" => Speaker::Assistant,
                "user" | "customer" | "caller" => Speaker::Caller,
                _ => return None,
            };
            Some((speaker, text.trim()))
        });
        match (labelled, turns.last_mut()) {
            (Some((speaker, text)), _) => turns.push(RawTurn { speaker, text: text.to_owned(), at_ms: None }),
            (None, Some(last)) => {
                last.text.push(' ');
                last.text.push_str(line);
            }
            (None, None) => {
                turns.push(RawTurn { speaker: Speaker::Caller, text: line.to_owned(), at_ms: None });
            }
        }
    }
    turns
}

fn transfer(facts: &Facts) -> Option<RawTransfer> {
    let target = |d: &Destination| d.number.0.clone().or_else(|| d.sip_uri.0.clone());
    let made = |f: &Facts| {
        let transfers = f.artifact.get(|a| {
            a.transfers
                .0
                .iter()
                .filter_map(|t| t.0.as_ref())
                .find_map(|t| t.destination.get(target).flatten())
        });
        f.destination.get(target).flatten().or_else(|| transfers.flatten())
    };
    facts.find(made).map(|to| RawTransfer { to, at: None, reason: None })
}

/// Where the recording can be had, best first: addresses that open by themselves before those that Vapi keeps for
/// itself, one channel before two.
fn recording_sources(facts: &Facts) -> Vec<RecordingSource> {
    let mut sources = Vec::new();
    for facts in [Some(facts), facts.call.0.as_deref()].into_iter().flatten() {
        let artifact = facts.artifact.0.as_ref();
        let kept = artifact.and_then(|artifact| artifact.recording.0.as_ref());
        let addresses = [
            artifact.map(|artifact| &artifact.presigned_mono_url),
            artifact.map(|artifact| &artifact.presigned_stereo_url),
            artifact.map(|artifact| &artifact.recording_url),
            Some(&facts.recording_url),
            kept.and_then(|kept| kept.mono.0.as_ref()).map(|mono| &mono.combined_url),
            artifact.map(|artifact| &artifact.stereo_recording_url),
            Some(&facts.stereo_recording_url),
            kept.map(|kept| &kept.stereo_url),
        ];
        sources.extend(
            addresses.into_iter().flatten().filter_map(|url| RecordingSource::new(url.0.as_deref()?)),
        );
    }
    let mut seen = Vec::new();
    sources.retain(|source| {
        let is_new = !seen.contains(source);
        seen.push(source.clone());
        is_new
    });
    sources
}
