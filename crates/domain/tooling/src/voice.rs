//! Voices by name, with the ones that no longer exist replaced.

use crate::settings::BadSetting;

/// A voice that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice(String);

/// A wanted voice was retired by its provider and another one was taken; the person who chose it should know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("The voice {wanted} no longer exists; {taken} is used instead.")]
pub struct VoiceReplaced {
    /// What was asked for.
    pub wanted: String,
    /// What is used.
    pub taken: &'static str,
}

/// Retired since 2026-03-01, each with a voice of similar character that exists.
const RETIRED: [(&str, &str); 8] = [
    ("Paige", "Clara"),
    ("Neha", "Leah"),
    ("Hana", "Tara"),
    ("Lily", "Tara"),
    ("Kylie", "Clara"),
    ("Spencer", "Elliot"),
    ("Harry", "Elliot"),
    ("Cole", "Elliot"),
];

/// Voices whose names we know: the provider's are told apart by their case, people do not write them so.
const KNOWN: [&str; 4] = ["Clara", "Elliot", "Leah", "Tara"];

/// The longest name of a voice, in characters.
const LONGEST: usize = 64;

impl Voice {
    /// The voice that somebody chose by name, or the one that took its place.
    ///
    /// # Errors
    /// The rule the name breaks.
    pub fn chosen(name: &str) -> Result<(Self, Option<VoiceReplaced>), BadSetting> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > LONGEST || name.contains(char::is_control) {
            return Err(BadSetting(format!("must be a voice's name of 1 to {LONGEST} characters")));
        }
        Ok(Self::named(name))
    }

    /// The voice called `name`, or the one that took its place.
    pub fn named(name: &str) -> (Self, Option<VoiceReplaced>) {
        match RETIRED.iter().find(|(retired, _)| retired.eq_ignore_ascii_case(name.trim())) {
            Some(&(_, taken)) => {
                let replaced = VoiceReplaced { wanted: name.trim().to_owned(), taken };
                (Self(taken.to_owned()), Some(replaced))
            }
            None if name.trim().is_empty() => (Self::default(), None),
            None => {
                let name = name.trim();
                let known = KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name));
                (Self(known.unwrap_or(name).to_owned()), None)
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Voice {
    fn default() -> Self {
        Self("Clara".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_voice_is_replaced_and_said_so() {
        let (voice, warning) = Voice::named("paige");
        assert_eq!(voice.as_str(), "Clara");
        assert_eq!(warning.unwrap().to_string(), "The voice paige no longer exists; Clara is used instead.");
        assert_eq!(Voice::named("Elliot"), (Voice("Elliot".into()), None));
        assert_eq!(Voice::named("leah").0.as_str(), "Leah");
        assert_eq!(Voice::named("pNInz6obpgDQGcFmaJgB").0.as_str(), "pNInz6obpgDQGcFmaJgB");
        assert_eq!(Voice::chosen(" Elliot "), Ok((Voice("Elliot".into()), None)));
        for bad in ["", "  ", "a\nb", &"x".repeat(65)] {
            assert!(Voice::chosen(bad).is_err(), "{bad:?}");
        }
        assert!(RETIRED.iter().all(|(_, taken)| Voice::named(taken).1.is_none()));
    }
}
