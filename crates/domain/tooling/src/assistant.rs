//! What an assistant is made of, whoever runs it.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};
use voxanne_kernel::{
    ids::OrgId,
    text::{cut_at_word, one_line},
};

use crate::voice::Voice;

/// Which of an organization's two assistants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AssistantKind {
    /// Answers calls.
    Inbound,
    /// Makes calls.
    Outbound,
}

/// The text is not a kind of assistant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be inbound or outbound")]
pub struct NotAKind;

impl AssistantKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Inbound, Self::Outbound];

    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl FromStr for AssistantKind {
    type Err = NotAKind;
    fn from_str(text: &str) -> Result<Self, NotAKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(NotAKind)
    }
}

impl fmt::Display for AssistantKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The longest name the voice provider takes.
const LONGEST_NAME: usize = 40;

/// `{organization name} inbound|outbound`, of at most 40 characters: the organization's name is cut at a word, the
/// kind never.
pub fn assistant_name(organization: &str, kind: AssistantKind) -> String {
    let room = LONGEST_NAME - 1 - kind.as_str().len();
    let organization = one_line(organization);
    match cut_at_word(&organization, room) {
        "" => format!("Clinic {kind}"),
        name => format!("{name} {kind}"),
    }
}

/// What an organization decides about an assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantSettings {
    /// At most 40 characters.
    pub name: String,
    /// What the model is told.
    pub system_prompt: String,
    /// What it says first.
    pub first_message: String,
    /// How it sounds.
    pub voice: Voice,
    /// The language it hears and speaks, such as `en`.
    pub language: String,
    /// When a call is ended, in seconds.
    pub max_duration_seconds: u32,
}

impl AssistantSettings {
    /// What a new organization begins with.
    pub fn default_for(organization: &str, kind: AssistantKind) -> Self {
        let clinic = one_line(organization);
        let (first_message, task) = match kind {
            AssistantKind::Inbound => (
                format!("Thank you for calling {clinic}. How can I help you today?"),
                "You answer the phone. Find out what the caller needs and help them: answer questions about prices and \
                 free times, and book, move or cancel appointments.",
            ),
            AssistantKind::Outbound => (
                format!("Hello, this is {clinic}. Is this a good moment?"),
                "You are calling somebody who asked to hear from the clinic. Say who you are, ask whether it is a good \
                 moment, and offer to book an appointment.",
            ),
        };
        let system_prompt = format!(
            "You are the receptionist of {clinic}. {task}\n\n\
             Speak warmly and briefly, one question at a time. Today is {{{{today}}}}; the clinic's time zone is \
             {{{{time_zone}}}}. {{{{caller_context}}}}\n\n\
             Rules:\n\
             - Use the tools for everything about times, appointments and prices. Never invent a free time, a price or a \
             confirmation, and say that something is booked only when the tool has said so.\n\
             - Ask for the caller's full name before booking. Their phone number is known; do not ask for it.\n\
             - If a tool says a time is not free, offer the times it names.\n\
             - Give no medical advice. In an emergency, tell the caller to hang up and dial the emergency number.\n\
             - Never ask for card numbers or social security numbers, and never read an appointment id aloud."
        );
        Self {
            name: assistant_name(organization, kind),
            system_prompt,
            first_message,
            voice: Voice::default(),
            language: "en".to_owned(),
            max_duration_seconds: 600,
        }
    }
}

/// An assistant as it should be at the voice provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantBlueprint {
    /// Whose it is; written into its metadata, by which it is found again.
    pub org: OrgId,
    /// Which of the two; likewise.
    pub kind: AssistantKind,
    /// What the organization decided.
    pub settings: AssistantSettings,
    /// Where its messages go.
    pub server_url: String,
    /// The provider's id of the credential that signs them; the only one the assistant may use.
    pub signing_credential: String,
    /// The provider's ids of our tools.
    pub tool_ids: Vec<String>,
}

/// Who looks after an assistant, written into its metadata.
pub const MANAGED_BY: &str = "voxanne";

/// What the provider is asked to find out about each finished call, as a JSON schema.
pub fn call_analysis_schema() -> Value {
    let text = |meaning: &str| json!({ "type": "string", "description": meaning });
    let choice = |meaning: &str, of: &[&str]| json!({ "type": "string", "description": meaning, "enum": of });
    json!({
        "type": "object",
        "properties": {
            "sentiment": choice("How the caller felt about the call.", &["positive", "neutral", "negative"]),
            "sentiment_score": {
                "type": "number",
                "description": "How the caller felt, from -1 (very unhappy) through 0 to 1 (very happy).",
            },
            "urgency": choice("How soon the caller needs something.", &["high", "medium", "low"]),
            "outcome": choice(
                "What came of the call. refused only when the caller said they do not want to come.",
                &["booked", "rescheduled", "cancelled", "asked_price", "asked_times", "information", "refused", "none"],
            ),
            "services_mentioned": {
                "type": "array",
                "description": "The services the caller talked about, in their words.",
                "items": text("A service."),
            },
        },
        "required": ["sentiment", "sentiment_score", "urgency", "outcome", "services_mentioned"],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_word_and_keeps_its_kind() {
        let check = |organization: &str, kind, expected: &str| {
            assert_eq!(assistant_name(organization, kind), expected);
        };
        check("Glow Clinic", AssistantKind::Inbound, "Glow Clinic inbound");
        check(
            "The Very Long Name of a Clinic in Manhattan",
            AssistantKind::Outbound,
            "The Very Long Name of a Clinic outbound",
        );
        check("  \n ", AssistantKind::Inbound, "Clinic inbound");
    }

    proptest! {
        #[test]
        fn a_name_always_fits(organization in "\\PC{0,90}") {
            for kind in AssistantKind::ALL {
                let name = assistant_name(&organization, kind);
                prop_assert!(name.chars().count() <= 40, "{name}");
                prop_assert!(name.ends_with(kind.as_str()));
            }
        }
    }

    #[test]
    fn the_default_prompt_names_the_clinic_and_leaves_room_for_the_callers_context() {
        let settings = AssistantSettings::default_for("Glow Clinic", AssistantKind::Inbound);
        assert!(settings.system_prompt.contains("receptionist of Glow Clinic."));
        for variable in crate::caller::VARIABLES {
            let used = settings.system_prompt.contains(&format!("{{{{{variable}}}}}"));
            assert!(used || variable.starts_with("caller_"), "{variable}");
        }
        assert!(!settings.system_prompt.contains("  "));
    }
}
