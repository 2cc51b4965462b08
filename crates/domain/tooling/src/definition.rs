//! What the model is told about each tool, and the hash that tells whether we changed our mind.

use std::fmt;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::name::ToolName;

/// A sentence spoken while a tool works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpokenMessage {
    /// When the tool is called.
    Start(&'static str),
    /// When the answer takes longer than so many milliseconds.
    Delayed(u32, &'static str),
    /// When there was no answer.
    Failed(&'static str),
}

/// A tool as it is registered with the voice provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    /// Its name.
    pub name: ToolName,
    /// When the model should call it; below 1,000 characters.
    pub description: &'static str,
    /// The JSON schema of its arguments: an object that allows nothing else.
    pub parameters: Value,
    /// What is said meanwhile.
    pub messages: Vec<SpokenMessage>,
}

/// SHA-256 over the canonical JSON of a definition.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefinitionHash([u8; 32]);

impl DefinitionHash {
    /// The twelve digits by which a registered tool is recognized at the provider.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DefinitionHash({})", self.short())
    }
}

impl ToolDefinition {
    /// The hash of everything the provider is told.
    pub fn hash(&self) -> DefinitionHash {
        let messages: Vec<Value> = self.messages.iter().map(message_json).collect();
        let whole = json!({
            "name": self.name.as_str(),
            "description": self.description,
            "parameters": self.parameters,
            "messages": messages,
        });
        DefinitionHash(Sha256::digest(canonical_json(&whole)).into())
    }
}

fn message_json(message: &SpokenMessage) -> Value {
    match message {
        SpokenMessage::Start(text) => json!({ "start": text }),
        SpokenMessage::Delayed(after, text) => json!({ "delayed": text, "after": after }),
        SpokenMessage::Failed(text) => json!({ "failed": text }),
    }
}

/// Writes `value` without spaces and with the keys of every object sorted, so that equal values give equal text.
pub fn canonical_json(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Object(object) => {
                let mut keys: Vec<&String> = object.keys().collect();
                keys.sort_unstable();
                out.push('{');
                for (at, key) in keys.into_iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    write(&object[key], out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push(']');
            }
            plain => out.push_str(&plain.to_string()),
        }
    }
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// An argument of a tool: its name, what the model should put there, and whether it must.
struct Parameter(&'static str, &'static str, bool);

const REQUIRED: bool = true;
const OPTIONAL: bool = false;

fn object(parameters: &[Parameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|Parameter(name, meaning, _)| {
            ((*name).to_owned(), json!({ "type": "string", "description": meaning }))
        })
        .collect();
    let required: Vec<&str> = parameters.iter().filter(|p| p.2).map(|p| p.0).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// Every tool we answer, as it should be registered.
pub fn definitions() -> Vec<ToolDefinition> {
    ToolName::ALL.into_iter().map(definition).collect()
}

const DATE: &str = "The day, as YYYY-MM-DD or in the caller's words, such as tomorrow or next Tuesday.";
const TIME: &str = "The time of day, as HH:MM in 24 hours or in the caller's words, such as 2 pm.";
const SERVICE: &str = "The service the caller asked for, in the caller's words.";
const PHONE: &str =
    "The patient's phone number with country code, only when it is not the number they call from.";
const APPOINTMENT: &str = "The appointment's id, when a tool has returned it. Never make one up.";

fn definition(name: ToolName) -> ToolDefinition {
    let (description, parameters, start) = match name {
        ToolName::BookClinicAppointment => (
            "Books an appointment. Call it as soon as the caller has agreed to a day and a time and has given their \
             name. If the time is not free, the answer lists the closest free times: offer those. Say an appointment \
             is booked only after this tool has said so.",
            object(&[
                Parameter("date", DATE, REQUIRED),
                Parameter("time", TIME, REQUIRED),
                Parameter("service", SERVICE, OPTIONAL),
                Parameter("patientName", "The patient's full name.", REQUIRED),
                Parameter("patientPhone", PHONE, OPTIONAL),
                Parameter("patientEmail", "The patient's e-mail address, if they offered it.", OPTIONAL),
                Parameter("notes", "Anything the clinic should know beforehand, in one sentence.", OPTIONAL),
            ]),
            "One moment while I book that for you.",
        ),
        ToolName::CheckAvailability => (
            "Tells which times are free on a day. Call it before offering any time, and whenever the caller asks what \
             is free. Offer only times that it returned.",
            object(&[
                Parameter("date", DATE, REQUIRED),
                Parameter("service", SERVICE, OPTIONAL),
                Parameter("timeOfDay", "morning, afternoon or evening, if the caller prefers one.", OPTIONAL),
            ]),
            "Let me look at the calendar.",
        ),
        ToolName::RescheduleAppointment => (
            "Moves the caller's existing appointment to another day and time. If they may have several, say which one \
             with appointmentId or currentDate. The old time is given up only when the new one is held.",
            object(&[
                Parameter("appointmentId", APPOINTMENT, OPTIONAL),
                Parameter(
                    "currentDate",
                    "The day the appointment is on now, as YYYY-MM-DD or in words.",
                    OPTIONAL,
                ),
                Parameter("newDate", DATE, REQUIRED),
                Parameter("newTime", TIME, REQUIRED),
            ]),
            "One moment while I move that.",
        ),
        ToolName::CancelAppointment => (
            "Cancels the caller's appointment. Ask them to confirm before calling it. If they may have several, say \
             which one with appointmentId or date.",
            object(&[
                Parameter("appointmentId", APPOINTMENT, OPTIONAL),
                Parameter("date", "The day the appointment is on, as YYYY-MM-DD or in words.", OPTIONAL),
                Parameter("reason", "Why, if the caller said so.", OPTIONAL),
            ]),
            "One moment while I cancel that.",
        ),
        ToolName::LookupAppointments => (
            "Tells which appointments the caller has coming up. Call it when they ask about their appointment, or \
             before moving or cancelling one when it is not clear which is meant.",
            object(&[Parameter("patientPhone", PHONE, OPTIONAL)]),
            "Let me look that up.",
        ),
        ToolName::GetServicePrice => (
            "Tells what a service costs. Call it whenever the caller asks about a price; never quote a price from \
             memory.",
            object(&[Parameter("service", SERVICE, REQUIRED)]),
            "Let me check that price.",
        ),
        ToolName::QueryKnowledgeBase => (
            "Answers a question about the clinic: its services, opening hours, holidays, address, phone number, and \
             whatever else it has said about itself. Call it before answering any such question, and say only what it \
             returned. If it has no answer, offer to have somebody call back.",
            object(&[Parameter("question", "The caller's question, in the caller's words.", REQUIRED)]),
            "Let me find that out for you.",
        ),
        ToolName::TransferCall => (
            "Puts the caller through to a person at the clinic. Call it when they ask for one, or need help that you \
             cannot give. The clinic decides which number that is: never ask for a number, and never read one aloud.",
            object(&[
                Parameter("reason", "Why they need a person, in one sentence.", OPTIONAL),
                Parameter("department", "Whom they asked for, such as billing, in their words.", OPTIONAL),
            ]),
            "One moment, please.",
        ),
    };
    let messages = vec![
        SpokenMessage::Start(start),
        SpokenMessage::Delayed(3_000, "Just a moment longer, please."),
        SpokenMessage::Failed("I'm sorry, I can't reach our booking system right now."),
    ];
    ToolDefinition { name, description, parameters, messages }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_definition_is_strict_and_short_enough_for_the_provider() {
        for tool in definitions() {
            assert!(tool.description.chars().count() < 1_000, "{}", tool.name);
            assert!(!tool.description.contains('\n') && !tool.description.contains("  "), "{}", tool.name);
            assert_eq!(tool.parameters["additionalProperties"], false);
            let properties = tool.parameters["properties"].as_object().unwrap();
            for required in tool.parameters["required"].as_array().unwrap() {
                assert!(properties.contains_key(required.as_str().unwrap()), "{}", tool.name);
            }
            assert!(tool.messages.iter().any(|m| matches!(m, SpokenMessage::Start(_))));
        }
    }

    #[test]
    fn the_hash_notices_a_change_and_nothing_else() {
        let one = definitions().remove(0);
        assert_eq!(one.hash(), definitions()[0].hash());
        assert_eq!(one.hash().to_string().len(), 64);
        let reworded = ToolDefinition { description: "Books.", ..one.clone() };
        assert_ne!(reworded.hash(), one.hash());
        let hashes: std::collections::HashSet<_> = definitions().iter().map(ToolDefinition::hash).collect();
        assert_eq!(hashes.len(), ToolName::ALL.len());
    }

    #[test]
    fn canonical_json_sorts_keys_at_every_depth() {
        let value: Value = serde_json::from_str(r#"{"b":[{"z":1,"a":"é\n"}],"a":null}"#).unwrap();
        assert_eq!(canonical_json(&value), r#"{"a":null,"b":[{"a":"é\n","z":1}]}"#);
    }

    proptest! {
        #[test]
        fn the_order_of_insertion_never_matters(mut pairs in proptest::collection::vec(("[a-z]{1,4}", 0..9_i32), 0..8)) {
            pairs.sort();
            pairs.dedup_by(|a, b| a.0 == b.0);
            let forward: Map<String, Value> = pairs.iter().cloned().map(|(k, v)| (k, v.into())).collect();
            let backward: Map<String, Value> = pairs.iter().rev().cloned().map(|(k, v)| (k, v.into())).collect();
            prop_assert_eq!(canonical_json(&forward.into()), canonical_json(&backward.into()));
        }
    }
}
