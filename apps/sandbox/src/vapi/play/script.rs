//! The script of a call: who calls whom, what is said, what the assistant does, and what should come of it.
//! The format is described for its users in `docs/sandbox.md`.

use std::collections::{BTreeMap, HashMap};

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::schema;
use super::super::signing::TimestampUnit;

/// A script as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Script {
    pub(crate) name: Option<String>,
    /// The caller's number, or the customer's in an outbound call.
    pub(crate) caller: Option<String>,
    pub(crate) caller_name: Option<String>,
    /// The number dialled.
    pub(crate) to: Option<String>,
    pub(crate) phone_number_id: Option<String>,
    /// Straight to an assistant, as a call from a web page is.
    pub(crate) assistant_id: Option<String>,
    /// An outbound call that waits to be played.
    pub(crate) call_id: Option<String>,
    /// Whose calendar the date placeholders follow.
    pub(crate) timezone: Option<String>,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) conversation: Vec<Step>,
    /// Why the call ends.
    pub(crate) hangup: Option<String>,
    pub(crate) analysis: Analysis,
    pub(crate) options: Options,
    pub(crate) expect: Outcome,
}

/// One step; exactly one of the first five is given.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Step {
    pub(crate) assistant: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) tool: Option<String>,
    /// Several tool calls in one message.
    pub(crate) tools: Option<Vec<ToolStep>>,
    /// Real milliseconds in which the call stays open, for commands to its control URL.
    pub(crate) wait: Option<u64>,
    pub(crate) id: Option<String>,
    pub(crate) arguments: Map<String, Value>,
    pub(crate) expect: Expect,
    pub(crate) save: BTreeMap<String, String>,
}

/// One tool call.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ToolStep {
    pub(crate) tool: String,
    /// The tool call's id, when it has to be a certain one.
    #[serde(default)]
    pub(crate) id: Option<String>,
    #[serde(default)]
    pub(crate) arguments: Map<String, Value>,
    #[serde(default)]
    pub(crate) expect: Expect,
    /// Placeholder → pattern with one group, taken from the result.
    #[serde(default)]
    pub(crate) save: BTreeMap<String, String>,
}

/// What a tool's result should be.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Expect {
    pub(crate) contains: Texts,
    pub(crate) not_contains: Texts,
    pub(crate) matches: Option<String>,
    /// Whether the result is an `error`.
    pub(crate) error: Option<bool>,
    pub(crate) within_ms: Option<u64>,
}

/// One text or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Texts {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::One(text) => std::slice::from_ref(text).iter(),
            Self::Many(texts) => texts.iter(),
        }
    }
}

/// What the call as a whole should come to.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Outcome {
    pub(crate) ended_reason: Option<String>,
    pub(crate) assistant_id: Option<String>,
}

/// What Vapi's analysis finds, instead of something made up.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Analysis {
    pub(crate) summary: Option<String>,
    pub(crate) structured_data: Option<Map<String, Value>>,
    pub(crate) success_evaluation: Option<String>,
}

/// How the messages are delivered.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the script's format")]
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct Options {
    /// Which types are delivered twice; `true` for all.
    pub(crate) duplicate: Which,
    /// The copies at the same time instead of one after the other.
    pub(crate) concurrent_duplicates: bool,
    /// Which types are not delivered at all.
    pub(crate) lose: Vec<String>,
    /// The end-of-call report before the end, and a late `in-progress` after both.
    pub(crate) reorder: bool,
    pub(crate) arguments_as_string: bool,
    /// Tool calls as the older `function-call` messages.
    pub(crate) legacy_function_calls: bool,
    pub(crate) timestamp_unit: TimestampUnit,
    /// Moves the signed time; -3600 makes a message look an hour old.
    pub(crate) timestamp_shift_seconds: i64,
    pub(crate) sign_with: SignWith,
}

/// All, none or some of the message types.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Which {
    All(bool),
    Some(Vec<String>),
}

impl Default for Which {
    fn default() -> Self {
        Self::All(false)
    }
}

impl Which {
    pub(crate) fn has(&self, kind: &str) -> bool {
        match self {
            Self::All(all) => *all,
            Self::Some(kinds) => kinds.iter().any(|known| known == kind),
        }
    }
}

/// How messages are signed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum SignWith {
    /// As the server object asks for.
    #[default]
    Credential,
    /// Not at all.
    Nothing,
    /// With a wrong secret.
    Forged,
    /// With another stored credential.
    CredentialId(String),
    /// With the older plain header.
    Secret(String),
    /// With an `authenticationPlan` of the script's own.
    Plan(Value),
}

impl Script {
    /// Reads a script in YAML or JSON and says what is wrong with it, where.
    pub(crate) fn read(bytes: &[u8], yaml: bool) -> Result<Self, String> {
        // YAML by way of JSON's data model: by itself it writes enums with tags (`!secret`).
        let value: Value = if yaml {
            serde_yaml_ng::from_slice(bytes).map_err(|error| error.to_string())?
        } else {
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?
        };
        let script: Self = serde_json::from_value(value).map_err(|error| error.to_string())?;
        script.check()?;
        Ok(script)
    }

    /// Changes who calls whom: `to`, `phoneNumberId`, `assistantId` or `callId`, and `caller`.
    pub(crate) fn redirect(&mut self, query: &HashMap<String, String>) -> Result<(), String> {
        if query.keys().any(|key| key != "caller") {
            (self.to, self.phone_number_id, self.assistant_id, self.call_id) = (None, None, None, None);
        }
        for (key, value) in query {
            let field = match key.as_str() {
                "caller" => &mut self.caller,
                "to" => &mut self.to,
                "phoneNumberId" => &mut self.phone_number_id,
                "assistantId" => &mut self.assistant_id,
                "callId" => &mut self.call_id,
                other => return Err(format!("nothing in a script's query is called `{other}`")),
            };
            *field = Some(value.clone());
        }
        self.check()
    }

    fn check(&self) -> Result<(), String> {
        let ways = [&self.to, &self.phone_number_id, &self.assistant_id, &self.call_id];
        if ways.iter().filter(|way| way.is_some()).count() > 1 {
            return Err("give one of `to`, `phoneNumberId`, `assistantId` and `callId`".to_owned());
        }
        for reason in self.hangup.iter().chain(&self.expect.ended_reason) {
            if !schema::is_ended_reason(reason) {
                return Err(format!("`{reason}` is no reason for a call's end that Vapi knows"));
            }
        }
        for (index, step) in self.conversation.iter().enumerate() {
            step.check().map_err(|problem| format!("conversation[{index}]: {problem}"))?;
        }
        Ok(())
    }
}

impl Step {
    fn check(&self) -> Result<(), String> {
        let given = [
            self.assistant.is_some(),
            self.user.is_some(),
            self.tool.is_some(),
            self.tools.is_some(),
            self.wait.is_some(),
        ];
        if given.iter().filter(|given| **given).count() != 1 {
            return Err("give exactly one of `assistant`, `user`, `tool`, `tools` and `wait`".to_owned());
        }
        if self.tool.is_none() && (!self.arguments.is_empty() || !self.save.is_empty() || self.id.is_some()) {
            return Err("`id`, `arguments`, `expect` and `save` belong to a `tool`".to_owned());
        }
        for step in self.tool_steps() {
            for pattern in step.expect.matches.iter().chain(step.save.values()) {
                Regex::new(pattern).map_err(|error| format!("{pattern}: {error}"))?;
            }
        }
        Ok(())
    }

    /// The tool calls of this step; none when it is not one.
    pub(crate) fn tool_steps(&self) -> Vec<ToolStep> {
        if let Some(tools) = &self.tools {
            return tools.clone();
        }
        let single = self.tool.as_ref().map(|tool| ToolStep {
            tool: tool.clone(),
            id: self.id.clone(),
            arguments: self.arguments.clone(),
            expect: self.expect.clone(),
            save: self.save.clone(),
        });
        single.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_the_same_in_yaml_and_in_json() {
        let yaml = b"to: '+15005550006'\nconversation:\n  - user: hello\n  - tool: book\n    arguments: {date: '2026-12-01'}\n    expect: {contains: booked}\noptions: {duplicate: [tool-calls], signWith: {secret: s}}\n";
        let json = br#"{"to":"+15005550006","conversation":[{"user":"hello"},{"tool":"book",
            "arguments":{"date":"2026-12-01"},"expect":{"contains":["booked"]}}],
            "options":{"duplicate":["tool-calls"],"signWith":{"secret":"s"}}}"#;
        for (bytes, is_yaml) in [(&yaml[..], true), (&json[..], false)] {
            let script = Script::read(bytes, is_yaml).unwrap();
            assert_eq!(script.conversation[1].tool_steps()[0].arguments["date"], "2026-12-01");
            assert!(script.options.duplicate.has("tool-calls"));
            assert!(matches!(&script.options.sign_with, SignWith::Secret(secret) if secret == "s"));
        }
    }

    #[test]
    fn what_is_wrong_with_a_script_is_said_where_it_is() {
        let check = |json: &str, part: &str| {
            let problem = Script::read(json.as_bytes(), false).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        };
        check(r#"{"nonsense":1}"#, "nonsense");
        check(r#"{"hangup":"bored"}"#, "bored");
        check(r#"{"to":"+1","callId":"x"}"#, "give one of");
        check(r#"{"conversation":[{"user":"a","assistant":"b"}]}"#, "conversation[0]");
        check(r#"{"conversation":[{"tool":"t","expect":{"matches":"("}}]}"#, "conversation[0]");
        check(r#"{"conversation":[{"user":"a","arguments":{"x":1}}]}"#, "belong to a `tool`");
    }
}
