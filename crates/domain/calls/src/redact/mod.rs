//! Removes direct identifiers from what was said, before anything is stored (decision D15, `providers/phi-redaction.md`).
//!
//! This lowers a risk; it is **not** de-identification in the sense of HIPAA: patterns cannot prove a text free of
//! names. Conditions, drugs and procedures are no identifiers and stay, and so do dates other than of birth.
//!
//! How it works, in the order of the submodules: [`normal`] makes one spelling of every character, [`tokens`] cuts the
//! turns into words and numbers, [`context`] notes where the telling words are ("social", "card", "born"), [`dates`]
//! and [`numbers`] read spoken and written dates and runs of digits, across interruptions, [`rules`] decides what a run
//! is, and [`written`] finds e-mail addresses, links and names. Every step is linear in the text.
//!
//! Removing something moves other words closer together, which may complete another pattern; so the passes are repeated
//! until one finds nothing. That makes redacting twice the same as redacting once.

mod context;
mod dates;
mod lexicon;
mod normal;
mod numbers;
mod rules;
mod tokens;
mod written;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::tokens::Tokens;

/// More passes than any text needs that was not made to need them; each is linear.
const MAX_PASSES: usize = 16;

/// What kind of identifier was removed. Later kinds are stricter: of two overlapping finds the later one names both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Seven digits or more that nothing explains.
    Number,
    /// An age over 89.
    Age,
    /// A link.
    Url,
    /// An internet address of a device.
    Ip,
    /// A person's name.
    Name,
    /// A postal code.
    Zip,
    /// A street address.
    Address,
    /// A phone or fax number.
    Phone,
    /// An e-mail address.
    Email,
    /// A record, plan, account or licence number.
    Id,
    /// A date of birth.
    Dob,
    /// When a card expires.
    Expiry,
    /// A card's security code.
    Cvv,
    /// A card number.
    Card,
    /// A social security number or its last four.
    Ssn,
}

impl Kind {
    const ALL: [Self; 15] = [
        Self::Number,
        Self::Age,
        Self::Url,
        Self::Ip,
        Self::Name,
        Self::Zip,
        Self::Address,
        Self::Phone,
        Self::Email,
        Self::Id,
        Self::Dob,
        Self::Expiry,
        Self::Cvv,
        Self::Card,
        Self::Ssn,
    ];

    /// What stands in its place: a fixed word, so that two transcripts cannot be linked by it.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::Age => "[AGE]",
            Self::Url => "[URL]",
            Self::Ip => "[IP]",
            Self::Name => "[NAME]",
            Self::Number => "[NUMBER]",
            Self::Zip => "[ZIP]",
            Self::Address => "[ADDRESS]",
            Self::Phone => "[PHONE]",
            Self::Email => "[EMAIL]",
            Self::Id => "[ID]",
            Self::Dob => "[DOB]",
            Self::Expiry => "[EXPIRY]",
            Self::Cvv => "[CVV]",
            Self::Card => "[CARD]",
            Self::Ssn => "[SSN]",
        }
    }
}

/// How many identifiers of each kind were removed; never their values.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Removed(BTreeMap<Kind, u32>);

impl Removed {
    /// How many of one kind.
    pub fn count(&self, kind: Kind) -> u32 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Whether nothing was removed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what was removed elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.0 {
            *self.0.entry(*kind).or_default() += count;
        }
    }
}

/// Part of a turn that must go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    turn: usize,
    /// Bytes of the turn's text.
    start: usize,
    end: usize,
    kind: Kind,
}

/// Redacts one text on its own, such as a summary.
pub fn redact_text(text: &str) -> (String, Removed) {
    let (mut texts, removed) = redact_turns(&[((), text)], &[]);
    (texts.pop().unwrap_or_default(), removed)
}

/// Redacts the turns of a conversation, in order, each with who spoke it. A number given in pieces is recognised across
/// short replies of the other, and a question gives context to its answer. `names` are people known to be in it.
pub fn redact_turns<S: PartialEq>(turns: &[(S, &str)], names: &[&str]) -> (Vec<String>, Removed) {
    let mut texts: Vec<String> = turns.iter().map(|(_, text)| normal::normalised(text)).collect();
    let mut removed = Removed::default();
    for _ in 0..MAX_PASSES {
        let spans = find(turns, &texts, names);
        if spans.is_empty() {
            break;
        }
        replace(&mut texts, spans, &mut removed);
    }
    (texts, removed)
}

fn find<S: PartialEq>(turns: &[(S, &str)], texts: &[String], names: &[&str]) -> Vec<Span> {
    let tokens = Tokens::of(texts);
    let mut spans = Vec::new();
    written::find(texts, &mut spans);
    written::find_names(&tokens, names, &mut spans);
    let context = context::Context::of(&tokens);
    for chain in tokens::chains(turns, &tokens) {
        rules::find(&tokens, &chain, &context, &mut spans);
    }
    spans
}

/// Cuts the spans out of the texts; overlapping ones become one, of the stricter kind.
fn replace(texts: &mut [String], mut spans: Vec<Span>, removed: &mut Removed) {
    spans.sort_by_key(|s| (s.turn, s.start, s.end));
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.turn == span.turn && span.start < last.end => {
                last.end = last.end.max(span.end);
                last.kind = last.kind.max(span.kind);
            }
            _ => merged.push(span),
        }
    }
    for of_turn in merged.chunk_by(|a, b| a.turn == b.turn) {
        let text = &mut texts[of_turn[0].turn];
        let mut kept = String::with_capacity(text.len());
        let mut from = 0;
        for span in of_turn {
            kept.push_str(&text[from..span.start]);
            kept.push_str(span.kind.placeholder());
            from = span.end;
            *removed.0.entry(span.kind).or_default() += 1;
        }
        kept.push_str(&text[from..]);
        *text = kept;
    }
}
