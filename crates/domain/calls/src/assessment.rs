//! What a call was like: sentiment, urgency, outcome. From the provider's analysis where there is one, and otherwise
//! from fixed word lists, so that the same words always get the same answer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::report::{Speaker, Turn};

/// A sentiment from −1 to 1, kept in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SentimentScore(i16);

impl SentimentScore {
    /// Neutral.
    pub const NEUTRAL: Self = Self(0);

    /// The nearest score; what lies outside is cut to the end of the scale, what is no number is neutral.
    pub fn new(score: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "clamped to the scale first; NaN becomes 0")]
        Self((score.clamp(-1.0, 1.0) * 1_000.0).round() as i16)
    }

    /// From thousandths.
    pub fn from_thousandths(thousandths: i16) -> Self {
        Self(thousandths.clamp(-1_000, 1_000))
    }

    /// In thousandths.
    pub fn thousandths(self) -> i16 {
        self.0
    }

    /// From −1 to 1.
    pub fn as_f32(self) -> f32 {
        f32::from(self.0) / 1_000.0
    }

    /// In a word.
    pub fn label(self) -> SentimentLabel {
        match self.0 {
            300.. => SentimentLabel::Positive,
            -299..300 => SentimentLabel::Neutral,
            _ => SentimentLabel::Negative,
        }
    }
}

/// A word is not one of a closed list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {0}")]
pub struct UnknownWord(pub &'static str);

/// Gives an enum its stored names, in both directions.
macro_rules! words {
    ($type:ident: $($word:literal => $variant:ident),+ $(,)?) => {
        impl $type {
            /// The stored and sent name.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::assessment::UnknownWord;
            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::assessment::UnknownWord($crate::assessment::words!(@list $($word),+))),
                }
            }
        }
    };
    (@list $first:literal $(, $rest:literal)*) => { concat!($first $(, ", ", $rest)*) };
}
pub(crate) use words;

/// Sentiment in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SentimentLabel {
    /// −0.3 and below, exclusive of −0.299.
    Negative,
    /// Between.
    Neutral,
    /// 0.3 and above.
    Positive,
}
words!(SentimentLabel: "negative" => Negative, "neutral" => Neutral, "positive" => Positive);

/// How soon the caller needs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Whenever.
    Low,
    /// This week.
    Medium,
    /// Now.
    High,
}
words!(Urgency: "low" => Low, "medium" => Medium, "high" => High);

/// What came of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// An appointment, as far as the words go; whether there is one is for the calendar to say.
    Booked,
    /// The caller asked for prices or free times.
    AskedPriceOrTimes,
    /// The caller wanted to know something else.
    Information,
    /// The caller refused explicitly.
    Refused,
    /// None of these.
    None,
}
words!(Outcome: "booked" => Booked, "asked_price_or_times" => AskedPriceOrTimes, "information" => Information,
    "refused" => Refused, "none" => None);

impl Outcome {
    /// Reads what an analysis wrote, generously: models do not keep to a list.
    pub fn read(word: &str) -> Self {
        let word: String =
            word.to_lowercase().chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        if let Ok(exact) = word.parse() {
            return exact;
        }
        let has = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        if has(&["not_book", "no_book", "unbooked"]) {
            Self::Information
        } else if has(&["refus", "declin", "not_interested", "rejected", "lost", "do_not_call", "opt_out"]) {
            Self::Refused
        } else if has(&["book", "scheduled", "appointment_made", "confirmed"]) {
            Self::Booked
        } else if has(&["price", "pricing", "cost", "quote", "time", "availab"]) {
            Self::AskedPriceOrTimes
        } else if has(&["info", "inquir", "enquir", "question"]) {
            Self::Information
        } else {
            Self::None
        }
    }
}

/// The provider's analysis of a call, as far as it has one.
#[derive(Clone, Default)]
pub struct RawAnalysis {
    /// −1 to 1.
    pub sentiment_score: Option<f64>,
    /// `positive`, `neutral`, `negative` or like words.
    pub sentiment_label: Option<String>,
    /// `low`, `medium`, `high` or like words.
    pub urgency: Option<String>,
    /// What came of it.
    pub outcome: Option<String>,
    /// Services that were mentioned.
    pub services: Vec<String>,
}

/// What a call was like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// How the caller felt.
    pub sentiment: SentimentScore,
    /// How soon they need something.
    pub urgency: Urgency,
    /// What came of it.
    pub outcome: Outcome,
}

impl Assessment {
    /// What the analysis says, and for what it does not say, what the caller's redacted words say.
    pub fn of(analysis: &RawAnalysis, turns: &[Turn], summary: Option<&str>) -> Self {
        let words = CallersWords::of(turns, summary);
        let sentiment = analysis
            .sentiment_score
            .map(SentimentScore::new)
            .or_else(|| analysis.sentiment_label.as_deref().and_then(score_of_label));
        let urgency = analysis.urgency.as_deref().and_then(urgency_of_word);
        Self {
            sentiment: sentiment.unwrap_or_else(|| words.sentiment()),
            urgency: urgency.unwrap_or_else(|| words.urgency()),
            outcome: analysis.outcome.as_deref().map_or_else(|| words.outcome(), Outcome::read),
        }
    }
}

fn score_of_label(label: &str) -> Option<SentimentScore> {
    match label.to_lowercase().as_str() {
        "positive" | "happy" | "satisfied" => Some(SentimentScore(600)),
        "neutral" | "mixed" => Some(SentimentScore::NEUTRAL),
        "negative" | "unhappy" | "frustrated" | "angry" => Some(SentimentScore(-600)),
        _ => None,
    }
}

fn urgency_of_word(word: &str) -> Option<Urgency> {
    match word.to_lowercase().as_str() {
        "high" | "urgent" | "critical" | "emergency" => Some(Urgency::High),
        "medium" | "moderate" | "normal" => Some(Urgency::Medium),
        "low" | "none" => Some(Urgency::Low),
        _ => None,
    }
}

/// Everything the caller said, as ` word word … `, so that whole words and phrases can be found.
struct CallersWords(String);

impl CallersWords {
    fn of(turns: &[Turn], summary: Option<&str>) -> Self {
        let spoken = turns.iter().filter(|t| t.speaker == Speaker::Caller).map(|t| t.text.as_str());
        let mut words = String::from(" ");
        for text in spoken.chain(if turns.is_empty() { summary } else { None }) {
            for word in
                text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').filter(|w| !w.is_empty())
            {
                words.push_str(&word.to_lowercase().replace('’', "'"));
                words.push(' ');
            }
        }
        Self(words)
    }

    fn count(&self, phrases: &[&str]) -> u16 {
        let found: usize = phrases.iter().map(|phrase| self.0.matches(&format!(" {phrase} ")).count()).sum();
        u16::try_from(found).unwrap_or(u16::MAX)
    }

    fn any(&self, phrases: &[&str]) -> bool {
        self.count(phrases) > 0
    }

    /// The balance of friendly and unfriendly words; one alone does not go beyond ±0.5.
    fn sentiment(&self) -> SentimentScore {
        const GOOD: [&str; 16] = [
            "thank you",
            "thanks",
            "great",
            "perfect",
            "wonderful",
            "excellent",
            "awesome",
            "amazing",
            "love",
            "appreciate",
            "happy",
            "excited",
            "lovely",
            "fantastic",
            "sounds good",
            "helpful",
        ];
        const BAD: [&str; 17] = [
            "terrible",
            "awful",
            "angry",
            "upset",
            "frustrated",
            "frustrating",
            "disappointed",
            "horrible",
            "worst",
            "hate",
            "complaint",
            "complain",
            "refund",
            "ridiculous",
            "rude",
            "unacceptable",
            "scam",
        ];
        let (good, bad) = (f64::from(self.count(&GOOD)), f64::from(self.count(&BAD)));
        SentimentScore::new((good - bad) / (good + bad + 1.0))
    }

    fn urgency(&self) -> Urgency {
        const HIGH: [&str; 14] = [
            "emergency",
            "urgent",
            "urgently",
            "asap",
            "as soon as possible",
            "right away",
            "right now",
            "immediately",
            "bleeding",
            "severe pain",
            "a lot of pain",
            "infected",
            "infection",
            "allergic reaction",
        ];
        const MEDIUM: [&str; 8] =
            ["today", "tomorrow", "this week", "soon", "quickly", "pain", "swelling", "earliest"];
        if self.any(&HIGH) {
            Urgency::High
        } else if self.any(&MEDIUM) {
            Urgency::Medium
        } else {
            Urgency::Low
        }
    }

    fn outcome(&self) -> Outcome {
        const REFUSED: [&str; 10] = [
            "not interested",
            "no longer interested",
            "don't call",
            "do not call",
            "stop calling",
            "take me off your list",
            "remove me from your list",
            "remove my number",
            "changed my mind",
            "going somewhere else",
        ];
        const PRICE_OR_TIMES: [&str; 16] = [
            "how much",
            "price",
            "prices",
            "cost",
            "costs",
            "pricing",
            "quote",
            "available",
            "availability",
            "what times",
            "appointment",
            "book",
            "schedule",
            "opening",
            "openings",
            "slot",
        ];
        if self.any(&REFUSED) {
            Outcome::Refused
        } else if self.any(&PRICE_OR_TIMES) {
            Outcome::AskedPriceOrTimes
        } else if self.0.trim().is_empty() {
            Outcome::None
        } else {
            Outcome::Information
        }
    }
}

impl fmt::Display for SentimentScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_f32().fmt(f)
    }
}

impl RawAnalysis {
    /// Whether it says nothing about what the call was like.
    pub fn is_absent(&self) -> bool {
        self.sentiment_score.is_none()
            && self.sentiment_label.is_none()
            && self.urgency.is_none()
            && self.outcome.is_none()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::report::Redacted;

    fn said(text: &str) -> Assessment {
        let turn = Turn { speaker: Speaker::Caller, text: Redacted::of(text).0, at_ms: None };
        Assessment::of(&RawAnalysis::default(), &[turn], None)
    }

    #[test]
    fn without_an_analysis_the_callers_words_decide() {
        let happy = said("Thank you, that's great! See you tomorrow.");
        assert_eq!((happy.sentiment.label(), happy.urgency), (SentimentLabel::Positive, Urgency::Medium));
        let angry = said("This is ridiculous. I'm upset, it's an emergency");
        assert_eq!((angry.sentiment.label(), angry.urgency), (SentimentLabel::Negative, Urgency::High));
        assert_eq!(said("I'm not interested, don't call again").outcome, Outcome::Refused);
        assert_eq!(said("How much is botox?").outcome, Outcome::AskedPriceOrTimes);
        assert_eq!(said("Where are you?").outcome, Outcome::Information);
        assert_eq!(said("").outcome, Outcome::None);
    }

    #[test]
    fn the_analysis_comes_first_and_is_read_generously() {
        let analysis = RawAnalysis {
            sentiment_label: Some("Negative".into()),
            urgency: Some("urgent".into()),
            outcome: Some("Appointment booked".into()),
            ..RawAnalysis::default()
        };
        let read = Assessment::of(&analysis, &[], None);
        assert_eq!(read.sentiment.label(), SentimentLabel::Negative);
        assert_eq!((read.urgency, read.outcome), (Urgency::High, Outcome::Booked));
        for (word, expected) in [
            ("not booked", Outcome::Information),
            ("customer declined", Outcome::Refused),
            ("price inquiry", Outcome::AskedPriceOrTimes),
            ("refused", Outcome::Refused),
            ("???", Outcome::None),
        ] {
            assert_eq!(Outcome::read(word), expected, "{word}");
        }
    }

    proptest! {
        #[test]
        fn a_score_stays_on_its_scale(score in any::<f64>()) {
            prop_assert!((-1_000..=1_000).contains(&SentimentScore::new(score).thousandths()));
        }
    }
}
