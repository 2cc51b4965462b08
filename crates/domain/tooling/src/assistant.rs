//! What an assistant is made of, whoever runs it.

use std::{fmt, str::FromStr};

use serde_json::{Value, json};
use voxanne_kernel::{
    ids::{OrgId, SetupId},
    text::{cut_at_word, one_line},
};

use crate::settings::AssistantSettings;

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
pub(crate) const LONGEST_NAME: usize = 40;

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

/// An assistant as it should be at the voice provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantBlueprint {
    /// Whose it is; written into its metadata, by which it is found again.
    pub org: OrgId,
    /// Which of the two; likewise.
    pub kind: AssistantKind,
    /// The setup that it is part of; likewise. What it says already stays where there is none.
    pub setup: Option<SetupId>,
    /// What the organization decided.
    pub settings: AssistantSettings,
    /// Where its messages go.
    pub server_url: String,
    /// The provider's id of the credential that signs them; the only one the assistant may use.
    pub signing_credential: String,
    /// The provider's ids of our tools as they are now.
    pub tool_ids: Vec<String>,
    /// The provider's ids of our tools as they were once: whatever the assistant carries of these is taken off.
    pub superseded_tools: Vec<String>,
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
}
