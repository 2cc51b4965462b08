//! Texts must not ask for an answer that carriers read as "no more messages": whoever answers CANCEL to a reminder
//! cancels nothing, and never hears from the clinic again (`providers/twilio.md` §11).

use super::inbound::STOP_WORDS;

/// The words by which people may well be told how to opt out.
const FOR_OPTING_OUT: [&str; 4] = ["STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT"];

/// What precedes the answer that is asked for, in the languages our clinics write in.
const ASKING: [&str; 28] = [
    "REPLY",
    "RESPOND",
    "ANSWER",
    "TEXT",
    "SEND",
    "TYPE",
    "WRITE",
    "TXT",
    "SMS",
    "RETURN",
    "MESSAGE",
    "REPLYING",
    "ANTWORTEN",
    "ANTWORTE",
    "SCHREIBEN",
    "SENDEN",
    "RÉPONDEZ",
    "REPONDEZ",
    "ENVOYEZ",
    "RÉPONDRE",
    "RESPONDA",
    "RESPONDE",
    "ENVÍE",
    "ENVIE",
    "ENVIAR",
    "RISPONDI",
    "RISPONDERE",
    "INVIA",
];

/// What may stand between the asking and the answer.
const BETWEEN: [&str; 19] = [
    "WITH", "BACK", "US", "THE", "WORD", "BY", "JUST", "ONLY", "SIMPLY", "EITHER", "SIE", "MIT", "PAR",
    "AVEC", "CON", "COM", "LA", "EL", "A",
];

/// What an opt-out word is followed by when it is an answer to be given: "CANCEL to cancel".
const PURPOSE: [&str; 8] = ["TO", "IF", "FOR", "UM", "POUR", "PARA", "PER", "WENN"];

/// What nobody opts out of.
const APPOINTMENT: [&str; 14] = [
    "APPOINTMENT",
    "APPOINTMENTS",
    "BOOKING",
    "VISIT",
    "RESERVATION",
    "CANCEL",
    "CANCELLATION",
    "RESCHEDULE",
    "TERMIN",
    "RENDEZ-VOUS",
    "CITA",
    "CONSULTA",
    "APPUNTAMENTO",
    "SLOT",
];

/// The text asks for an answer that is read as an opt-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must not ask people to answer {word}: carriers read that as \"no more messages\". Ask for another word"
)]
pub struct AsksForOptOut {
    /// The word.
    pub word: &'static str,
}

/// Checks that `text` asks for no answer that would be read as an opt-out. "Reply STOP to opt out" may be said;
/// "reply CANCEL to cancel", "CANCEL to cancel" and "reply STOP to cancel your appointment" may not.
///
/// # Errors
/// [`AsksForOptOut`] with the first such word.
pub fn check(text: &str) -> Result<(), AsksForOptOut> {
    for sentence in text.split(['.', '!', '?', '\n', ';']) {
        let words: Vec<Word<'_>> =
            sentence.split_whitespace().map(Word::of).filter(|w| !w.upper.is_empty()).collect();
        for at in 0..words.len() {
            let known = STOP_WORDS.into_iter().find(|word| *word == words[at].upper);
            if let Some(word) = known
                && is_asked_for(&words, at)
                && !may_be_asked_for(word, &words[at + 1..])
            {
                return Err(AsksForOptOut { word });
            }
        }
    }
    Ok(())
}

/// A word without what stands around it.
struct Word<'a> {
    bare: &'a str,
    upper: String,
    is_quoted: bool,
}

impl<'a> Word<'a> {
    fn of(whole: &'a str) -> Self {
        let bare = whole.trim_matches(|c: char| !c.is_alphanumeric());
        let is_quoted = whole.starts_with(|c: char| "\"'“‘«„[(*<".contains(c));
        Self { bare, upper: bare.to_uppercase(), is_quoted }
    }

    fn is_shouted(&self) -> bool {
        self.bare == self.upper && self.bare.chars().any(char::is_alphabetic)
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words.contains(&self.upper.as_str())
    }
}

fn is_asked_for(words: &[Word<'_>], at: usize) -> bool {
    let (before, word, after) = (&words[..at], &words[at], &words[at + 1..]);
    let stands_out = word.is_quoted || word.is_shouted();
    // "Reply YES to confirm or CANCEL": somewhere after the asking, and set off from the words around it.
    if stands_out && before.iter().any(|earlier| earlier.is_one_of(&ASKING)) {
        return true;
    }
    // "reply cancel", "text back the word cancel".
    let mut nearest = before.iter().rev().skip_while(|earlier| earlier.is_one_of(&BETWEEN));
    if nearest.next().is_some_and(|earlier| earlier.is_one_of(&ASKING)) {
        return true;
    }
    // "CANCEL to cancel".
    stands_out && after.first().is_some_and(|next| next.is_one_of(&PURPOSE))
}

fn may_be_asked_for(word: &str, after: &[Word<'_>]) -> bool {
    FOR_OPTING_OUT.contains(&word) && !after.iter().any(|next| next.is_one_of(&APPOINTMENT))
}
