//! What an organization decides about an assistant, checked when it is said: what is stored is always fit to be sent.

use std::fmt;

use voxanne_kernel::text::{cut_at_word, is_storable, one_line};

use crate::{
    assistant::{AssistantKind, LONGEST_NAME, assistant_name},
    voice::{Voice, VoiceReplaced},
};

/// The longest instructions for the model, in characters.
const LONGEST_PROMPT: usize = 50_000;
/// The longest greeting, in characters.
const LONGEST_FIRST_MESSAGE: usize = 1_000;
/// How much of an organization's name the default texts repeat.
const LONGEST_CLINIC: usize = 200;

/// A setting breaks a rule, which is its text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSetting(pub(crate) String);

/// `text` as it is, if it says something in at most `longest` characters.
fn checked(text: &str, longest: usize) -> Result<String, BadSetting> {
    if text.trim().is_empty() || text.chars().count() > longest {
        return Err(BadSetting(format!("must have 1 to {longest} characters")));
    }
    if !is_storable(text) {
        return Err(BadSetting("must not contain a NUL character".to_owned()));
    }
    Ok(text.to_owned())
}

/// An assistant's name: one line of at most 40 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantName(String);

impl AssistantName {
    /// Reads a name; spaces around it do not count.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, BadSetting> {
        let text = text.trim();
        if text.contains(char::is_control) {
            return Err(BadSetting("must be one line".to_owned()));
        }
        checked(text, LONGEST_NAME).map(Self)
    }

    /// The name an assistant has unless another one is chosen.
    pub fn default_for(organization: &str, kind: AssistantKind) -> Self {
        Self(assistant_name(organization, kind))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the model is told: up to 50,000 characters, kept exactly as written.
#[derive(Clone, PartialEq, Eq)]
pub struct SystemPrompt(String);

impl SystemPrompt {
    /// Reads a prompt.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, BadSetting> {
        checked(text, LONGEST_PROMPT).map(Self)
    }

    /// The prompt.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SystemPrompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemPrompt({} characters)", self.0.chars().count())
    }
}

/// What the assistant says first: up to 1,000 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstMessage(String);

impl FirstMessage {
    /// Reads a greeting.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(text: &str) -> Result<Self, BadSetting> {
        checked(text, LONGEST_FIRST_MESSAGE).map(Self)
    }

    /// The greeting.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// When a call is ended, in seconds: 10 to 43,200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxDuration(u32);

impl MaxDuration {
    /// Reads a number of seconds.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(seconds: i64) -> Result<Self, BadSetting> {
        match u32::try_from(seconds) {
            Ok(seconds @ 10..=43_200) => Ok(Self(seconds)),
            _ => Err(BadSetting("must be 10 to 43200 seconds".to_owned())),
        }
    }

    /// In seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl Default for MaxDuration {
    fn default() -> Self {
        Self(600)
    }
}

/// The languages that a call can be heard in, as BCP 47 tags; `multi` hears several.
const LANGUAGES: &[&str] = &[
    "ar", "az", "ba", "be", "bg", "bn", "br", "bs", "ca", "cs", "da", "da-DK", "de", "de-CH", "el", "en",
    "en-AU", "en-CA", "en-GB", "en-IE", "en-IN", "en-NZ", "en-US", "es", "es-419", "es-LATAM", "et", "eu",
    "fa", "fi", "fr", "fr-CA", "ha", "haw", "he", "hi", "hi-Latn", "hr", "hu", "id", "is", "it", "ja", "jw",
    "kn", "ko", "ko-KR", "ln", "lt", "lv", "mk", "mr", "ms", "multi", "nl", "nl-BE", "no", "pl", "pt",
    "pt-BR", "pt-PT", "ro", "ru", "sk", "sl", "sn", "so", "sr", "su", "sv", "sv-SE", "ta", "taq", "te", "th",
    "th-TH", "tl", "tr", "tt", "uk", "ur", "vi", "yo", "zh", "zh-CN", "zh-HK", "zh-Hans", "zh-Hant", "zh-TW",
];

/// The language an assistant hears and speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Language(&'static str);

impl Language {
    /// Reads a tag such as `en` or `pt-BR`, in any case.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn new(tag: &str) -> Result<Self, BadSetting> {
        let known = LANGUAGES.iter().find(|known| known.eq_ignore_ascii_case(tag.trim()));
        known.map(|known| Self(known)).ok_or_else(|| {
            BadSetting(
                "must be the tag of a language that calls can be heard in, such as en or pt-BR".to_owned(),
            )
        })
    }

    /// The tag.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl Default for Language {
    fn default() -> Self {
        Self("en")
    }
}

/// What an organization decides about an assistant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssistantSettings {
    /// What it is called in lists.
    pub name: AssistantName,
    /// What the model is told.
    pub system_prompt: SystemPrompt,
    /// What it says first.
    pub first_message: FirstMessage,
    /// How it sounds.
    pub voice: Voice,
    /// The language it hears and speaks.
    pub language: Language,
    /// When a call is ended.
    pub max_duration: MaxDuration,
}

impl AssistantSettings {
    /// What a new organization begins with.
    pub fn default_for(organization: &str, kind: AssistantKind) -> Self {
        Self {
            name: AssistantName::default_for(organization, kind),
            system_prompt: default_prompt(organization, kind),
            first_message: default_first_message(organization, kind),
            voice: Voice::default(),
            language: Language::default(),
            max_duration: MaxDuration::default(),
        }
    }
}

/// Settings as they are sent to be saved. They are a whole: what is left out takes its default, so that of two people
/// who save at the same time one is right about everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsDraft {
    /// The organization's name and the kind unless given.
    pub name: Option<AssistantName>,
    /// The only thing without a default.
    pub system_prompt: SystemPrompt,
    /// A greeting with the organization's name unless given.
    pub first_message: Option<FirstMessage>,
    /// The voice, and the one that was wanted if it no longer exists.
    pub voice: Option<(Voice, Option<VoiceReplaced>)>,
    /// English unless given.
    pub language: Option<Language>,
    /// Ten minutes unless given.
    pub max_duration: Option<MaxDuration>,
}

impl SettingsDraft {
    /// The settings, and what the person who sent them should know.
    pub fn complete(
        self,
        organization: &str,
        kind: AssistantKind,
    ) -> (AssistantSettings, Option<VoiceReplaced>) {
        let (voice, replaced) = self.voice.unwrap_or_default();
        let settings = AssistantSettings {
            name: self.name.unwrap_or_else(|| AssistantName::default_for(organization, kind)),
            system_prompt: self.system_prompt,
            first_message: self.first_message.unwrap_or_else(|| default_first_message(organization, kind)),
            voice,
            language: self.language.unwrap_or_default(),
            max_duration: self.max_duration.unwrap_or_default(),
        };
        (settings, replaced)
    }
}

/// An organization's name as it is spoken.
fn clinic(organization: &str) -> String {
    match cut_at_word(&one_line(organization), LONGEST_CLINIC) {
        "" => "the clinic".to_owned(),
        name => name.to_owned(),
    }
}

fn default_first_message(organization: &str, kind: AssistantKind) -> FirstMessage {
    let clinic = clinic(organization);
    FirstMessage(match kind {
        AssistantKind::Inbound => format!("Thank you for calling {clinic}. How can I help you today?"),
        AssistantKind::Outbound => format!("Hello, this is {clinic}. Is this a good moment?"),
    })
}

fn default_prompt(organization: &str, kind: AssistantKind) -> SystemPrompt {
    let clinic = clinic(organization);
    let task = match kind {
        AssistantKind::Inbound => {
            "You answer the phone. Find out what the caller needs and help them: answer questions about prices and \
             free times, and book, move or cancel appointments."
        }
        AssistantKind::Outbound => {
            "You are calling somebody who asked to hear from the clinic. Say who you are, ask whether it is a good \
             moment, and offer to book an appointment."
        }
    };
    SystemPrompt(format!(
        "You are the receptionist of {clinic}. {task}\n\n\
         Speak warmly and briefly, one question at a time. Today is {{{{today}}}}; the clinic's time zone is \
         {{{{time_zone}}}}. {{{{caller_context}}}}\n\n\
         Rules:\n\
         - Use the tools for everything about times, appointments and prices. Never invent a free time, a price or a \
         confirmation, and say that something is booked only when the tool has said so.\n\
         - Ask for the caller's full name before booking. Their phone number is known; do not ask for it.\n\
         - If a tool says a time is not free, offer the times it names.\n\
         - Answer questions about the clinic itself only with what the tools know; if they do not, offer a call back.\n\
         - If the caller asks for a person, or needs one, transfer the call.\n\
         - When everything is settled, say goodbye; the call then ends.\n\
         - Give no medical advice. In an emergency, tell the caller to hang up and dial the emergency number.\n\
         - Never ask for card numbers or social security numbers, and never read an appointment id aloud."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_checked_at_its_edges() {
        let name = |text: &str| AssistantName::new(text).map(|name| name.0).map_err(|bad| bad.to_string());
        assert_eq!(name("  Front desk "), Ok("Front desk".to_owned()));
        assert_eq!(name(&"é".repeat(40)), Ok("é".repeat(40)));
        for bad in ["", "   ", "a\nb", "a\u{0}b", &"x".repeat(41)] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(SystemPrompt::new(&"x".repeat(50_000)).is_ok());
        for bad in ["", " \n", "a\u{0}", &"x".repeat(50_001)] {
            assert!(SystemPrompt::new(bad).is_err());
        }
        assert!(FirstMessage::new(&"x".repeat(1_000)).is_ok());
        assert!(FirstMessage::new(&"x".repeat(1_001)).is_err() && FirstMessage::new(" ").is_err());
        for (seconds, fits) in
            [(9, false), (10, true), (43_200, true), (43_201, false), (-10, false), (i64::MAX, false)]
        {
            assert_eq!(MaxDuration::new(seconds).is_ok(), fits, "{seconds}");
        }
        assert_eq!(Language::new("PT-br").map(Language::as_str), Ok("pt-BR"));
        assert_eq!(Language::new("zh-tw").map(Language::as_str), Ok("zh-TW"));
        assert!(Language::new("klingon").is_err() && Language::new("").is_err());
    }

    #[test]
    fn the_defaults_keep_the_rules_whatever_the_organization_is_called() {
        for organization in ["Glow", "", " \n ", &"Clinic ".repeat(400), &"x".repeat(5_000)] {
            for kind in AssistantKind::ALL {
                let settings = AssistantSettings::default_for(organization, kind);
                assert_eq!(AssistantName::new(settings.name.as_str()).as_ref(), Ok(&settings.name));
                assert_eq!(
                    SystemPrompt::new(&settings.system_prompt.0).as_ref(),
                    Ok(&settings.system_prompt)
                );
                assert_eq!(
                    FirstMessage::new(&settings.first_message.0).as_ref(),
                    Ok(&settings.first_message)
                );
            }
        }
    }

    #[test]
    fn the_default_prompt_names_the_clinic_and_leaves_room_for_the_callers_context() {
        let settings = AssistantSettings::default_for("Glow Clinic", AssistantKind::Inbound);
        let prompt = settings.system_prompt.as_str();
        assert!(prompt.contains("receptionist of Glow Clinic."));
        for variable in crate::caller::VARIABLES {
            let used = prompt.contains(&format!("{{{{{variable}}}}}"));
            assert!(used || variable.starts_with("caller_"), "{variable}");
        }
        assert!(!prompt.contains("  "));
    }

    #[test]
    fn what_is_left_out_takes_its_default_and_a_prompt_is_not_printed() {
        let system_prompt = SystemPrompt::new("Secret sauce.").unwrap();
        assert!(!format!("{system_prompt:?}").contains("sauce"));
        let draft = SettingsDraft {
            name: None,
            system_prompt: system_prompt.clone(),
            first_message: None,
            voice: None,
            language: None,
            max_duration: None,
        };
        let (settings, replaced) = draft.complete("Glow", AssistantKind::Outbound);
        let expected = AssistantSettings {
            system_prompt,
            ..AssistantSettings::default_for("Glow", AssistantKind::Outbound)
        };
        assert_eq!((settings, replaced), (expected, None));
    }
}
