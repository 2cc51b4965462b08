//! What was said and done in a call, in the three forms in which Vapi reports it.
//!
//! The conversation is simulated faster than it would be spoken, so it is laid out over the seconds before
//! its end: nothing in a report lies in the future.

use serde_json::{Value, json};

/// One entry.
#[derive(Debug, Clone)]
struct Line {
    role: Role,
    /// Milliseconds after the start of the call.
    at: i64,
    lasts: i64,
}

#[derive(Debug, Clone)]
enum Role {
    System(String),
    Bot(String),
    User(String),
    Calls(Vec<Value>),
    Result { id: String, name: String, result: String },
}

/// A conversation.
#[derive(Debug, Clone)]
pub(super) struct Transcript {
    started_ms: i64,
    elapsed_ms: i64,
    lines: Vec<Line>,
}

/// How long a text takes to say: about 150 words a minute.
pub(super) fn speaking_ms(text: &str) -> i64 {
    600 + i64::try_from(text.chars().count()).unwrap_or(0) * 65
}

/// How long the assistant thinks over a tool call.
pub(super) const TOOL_MS: i64 = 900;

impl Transcript {
    /// A conversation that begins at `started_ms`.
    pub(super) fn starting(started_ms: i64) -> Self {
        Self { started_ms, elapsed_ms: 0, lines: Vec::new() }
    }

    pub(super) fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// The moment reached so far.
    pub(super) fn now_ms(&self) -> i64 {
        self.started_ms + self.elapsed_ms
    }

    pub(super) fn system(&mut self, text: &str) {
        self.push(Role::System(text.to_owned()), 0);
    }

    pub(super) fn bot(&mut self, text: &str) {
        self.push(Role::Bot(text.to_owned()), speaking_ms(text));
    }

    pub(super) fn user(&mut self, text: &str) {
        self.push(Role::User(text.to_owned()), speaking_ms(text));
    }

    pub(super) fn calls(&mut self, calls: Vec<Value>) {
        self.push(Role::Calls(calls), TOOL_MS);
    }

    pub(super) fn result(&mut self, id: &str, name: &str, result: &str) {
        let role = Role::Result { id: id.to_owned(), name: name.to_owned(), result: result.to_owned() };
        self.push(role, 0);
    }

    fn push(&mut self, role: Role, lasts: i64) {
        self.lines.push(Line { role, at: self.elapsed_ms, lasts });
        self.elapsed_ms += lasts;
    }

    /// Squeezes the conversation into the time up to `limit_ms` when it was spoken faster than anybody speaks.
    pub(super) fn fit_before(&mut self, limit_ms: i64) {
        let (taken, room) = (self.elapsed_ms, (limit_ms - self.started_ms).max(0));
        if taken <= room {
            return;
        }
        for line in &mut self.lines {
            line.at = line.at * room / taken;
            line.lasts = line.lasts * room / taken;
        }
        self.elapsed_ms = room;
    }

    /// What caller and assistant said to each other.
    pub(super) fn utterances(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.role, Role::Bot(_) | Role::User(_))).count()
    }

    /// Characters the assistant spoke.
    pub(super) fn spoken(&self) -> u32 {
        let spoken = self.lines.iter().map(|line| match &line.role {
            Role::Bot(text) => text.chars().count(),
            _ => 0,
        });
        u32::try_from(spoken.sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// As running text.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().filter_map(|line| match &line.role {
            Role::Bot(text) => Some(format!("AI: {text}\n")),
            Role::User(text) => Some(format!("User: {text}\n")),
            _ => None,
        });
        lines.collect()
    }

    /// In Vapi's roles.
    pub(super) fn messages(&self) -> Value {
        self.lines.iter().map(|line| self.message(line)).collect()
    }

    fn message(&self, line: &Line) -> Value {
        let time = self.started_ms + line.at;
        let seconds = seconds(line.at);
        let spoken = |role: &str, text: &str| {
            json!({
                "role": role, "message": text, "time": time, "endTime": time + line.lasts,
                "secondsFromStart": seconds, "duration": line.lasts,
            })
        };
        match &line.role {
            Role::System(text) => {
                json!({ "role": "system", "message": text, "time": time, "secondsFromStart": seconds })
            }
            Role::Bot(text) => spoken("bot", text),
            Role::User(text) => spoken("user", text),
            Role::Calls(calls) => json!({
                "role": "tool_calls", "toolCalls": calls, "message": "", "time": time, "secondsFromStart": seconds,
            }),
            Role::Result { id, name, result } => json!({
                "role": "tool_call_result", "toolCallId": id, "name": name, "result": result,
                "time": time, "secondsFromStart": seconds,
            }),
        }
    }

    /// In OpenAI's roles; arguments are a JSON string there.
    pub(super) fn openai(&self) -> Value {
        let lines = self.lines.iter().map(|line| match &line.role {
            Role::System(text) => json!({ "role": "system", "content": text }),
            Role::Bot(text) => json!({ "role": "assistant", "content": text }),
            Role::User(text) => json!({ "role": "user", "content": text }),
            Role::Calls(calls) => json!({ "role": "assistant", "content": "", "tool_calls": calls }),
            Role::Result { id, result, .. } => {
                json!({ "role": "tool", "content": result, "tool_call_id": id })
            }
        });
        lines.collect()
    }
}

/// Seconds with three decimals.
pub(super) fn seconds(ms: i64) -> f64 {
    f64::from(i32::try_from(ms).unwrap_or(i32::MAX)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_is_squeezed_into_the_time_there_was() {
        let mut transcript = Transcript::starting(1_000);
        transcript.bot("Hello, how can I help?");
        transcript.user("Goodbye.");
        let spoken = transcript.now_ms();
        transcript.fit_before(spoken);
        assert_eq!(transcript.now_ms(), spoken, "there was time enough");
        transcript.fit_before(1_500);
        assert_eq!(transcript.now_ms(), 1_500);
        let last = &transcript.messages()[1];
        assert!(last["endTime"].as_i64() <= Some(1_500) && last["time"].as_i64() > Some(1_000), "{last}");
        transcript.fit_before(0);
        assert_eq!(transcript.now_ms(), 1_000);
    }
}
