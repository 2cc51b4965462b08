//! Where the words are that tell what a number is.

use super::tokens::{Class, LONGEST_WORD, Token, Tokens, lower};

/// What a telling word announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hint {
    /// social, ssn
    Ssn,
    /// "last four", "ends in"
    LastFour,
    Card,
    Cvv,
    Expires,
    Birth,
    /// Medical record, plan, account and licence numbers.
    Record,
    Zip,
    Phone,
    /// "number" alone, which lets seven digits be a phone number and says nothing else.
    Number,
}

/// All telling words of a conversation by their place in it.
pub(super) struct Context {
    /// Sorted by place: start, end, meaning.
    words: Vec<(usize, usize, Hint)>,
}

impl Context {
    pub(super) fn of(tokens: &Tokens<'_>) -> Self {
        let mut words = Vec::new();
        for index in 0..tokens.all.len() {
            if let Some((from, hint)) = hint_at(tokens, index) {
                words.push((tokens.all[from].at, tokens.all[index].until(), hint));
            }
        }
        Self { words }
    }

    /// Whether `hint` is given inside `start..end`, or up to `before` bytes ahead of it or `after` bytes behind it.
    pub(super) fn near(&self, hint: Hint, (start, end): (usize, usize), before: usize, after: usize) -> bool {
        let first = self.words.partition_point(|w| w.1 + before < start);
        self.words[first..].iter().take_while(|w| w.0 <= end + after).any(|w| w.2 == hint)
    }

    /// The last hint that ends at most `reach` bytes ahead of `start`; "number" does not count.
    pub(super) fn last_before(&self, start: usize, reach: usize) -> Option<Hint> {
        let past = self.words.partition_point(|w| w.1 <= start);
        let within = self.words[..past].iter().rev().take_while(|w| w.1 + reach >= start);
        within.map(|w| w.2).find(|hint| *hint != Hint::Number)
    }
}

/// The hint that ends with token `index`, and the token that it starts with.
fn hint_at(tokens: &Tokens<'_>, index: usize) -> Option<(usize, Hint)> {
    let token = &tokens.all[index];
    if !matches!(token.class, Class::Word(_) | Class::Digits) {
        return None;
    }
    let mut buffer = [0; LONGEST_WORD];
    let word = lower(tokens.text(token), &mut buffer)?;
    let before = |back: usize, wanted: &[&str]| is_before(tokens, index, back, wanted);
    let hint = match word {
        "social" if !followed_by(tokens, index, &["media", "network", "networks", "worker"]) => Hint::Ssn,
        "ssn" => Hint::Ssn,
        "n" if before(1, &["s"]) && before(2, &["s"]) => return Some((index - 2, Hint::Ssn)),
        "four" | "4" if before(1, &["last", "final"]) => return Some((index - 1, Hint::LastFour)),
        "in" | "with" if before(1, &["ends", "ending", "end"]) => return Some((index - 1, Hint::LastFour)),
        "card" | "cards" | "visa" | "mastercard" | "amex" | "debit" => Hint::Card,
        "cvv" | "cvc" | "cvv2" => Hint::Cvv,
        "code" if before(1, &["security"]) => return Some((index - 1, Hint::Cvv)),
        "expires" | "expire" | "expiry" | "expiration" | "expiring" => Hint::Expires,
        "born" | "birth" | "birthday" | "birthdate" | "dob" => Hint::Birth,
        "b" if before(1, &["o"]) && before(2, &["d"]) => return Some((index - 2, Hint::Birth)),
        "record" if before(1, &["medical"]) => return Some((index - 1, Hint::Record)),
        "mrn" | "chart" | "member" | "policy" | "subscriber" | "account" | "license" | "licence"
        | "passport" => Hint::Record,
        "zip" | "zipcode" | "postcode" | "postal" => Hint::Zip,
        "phone" | "telephone" | "cell" | "mobile" | "call" | "reach" | "fax" => Hint::Phone,
        "number" => Hint::Number,
        _ => return None,
    };
    Some((index, hint))
}

fn is_before(tokens: &Tokens<'_>, index: usize, back: usize, wanted: &[&str]) -> bool {
    index.checked_sub(back).is_some_and(|at| is_one_of(tokens, &tokens.all[at], wanted))
}

fn followed_by(tokens: &Tokens<'_>, index: usize, wanted: &[&str]) -> bool {
    tokens.all.get(index + 1).is_some_and(|token| is_one_of(tokens, token, wanted))
}

fn is_one_of(tokens: &Tokens<'_>, token: &Token, wanted: &[&str]) -> bool {
    wanted.iter().any(|w| w.eq_ignore_ascii_case(tokens.text(token)))
}
