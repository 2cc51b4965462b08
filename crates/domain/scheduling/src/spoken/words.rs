//! Splits a caller's words into tokens: numbers whether spoken or written, clock readings, numeric dates, words.

use jiff::civil::Date;

/// A piece of what was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A word, lower case.
    Word(String),
    /// A cardinal number and how many digits it was written with, none if it was a word.
    Number {
        /// The number.
        value: u32,
        /// Digits it was written with.
        digits: usize,
    },
    /// An ordinal number: `5th`, `fifth`.
    Ordinal(u32),
    /// `9:30` or `09:30`.
    Clock {
        /// Before the colon.
        hour: u32,
        /// After it.
        minute: u32,
        /// Whether the hour was written with two digits, which makes it the 24-hour clock.
        padded: bool,
    },
    /// A full date.
    Date(Date),
    /// `12/25` or `12/25/2026`.
    Slashed(u32, u32, Option<u32>),
    /// `25.12.` or `25.12.2026`, or the time `2.30`.
    Dotted(u32, u32, Option<u32>),
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 4] = ["twenty", "thirty", "forty", "fifty"];
const ORDINALS: [&str; 20] = [
    "zeroth",
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
];
const FILLERS: [&str; 24] = [
    "on",
    "at",
    "the",
    "for",
    "around",
    "about",
    "please",
    "um",
    "uh",
    "say",
    "maybe",
    "approximately",
    "and",
    "o'clock",
    "oclock",
    "sharp",
    "exactly",
    "in",
    "of",
    "by",
    "a",
    "ish",
    "good",
    "day",
];

/// Whether a token can be left out without changing what was said.
pub(super) fn is_filler(token: &Token) -> bool {
    matches!(token, Token::Word(word) if FILLERS.contains(&word.as_str()))
}

/// Splits `text`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let text = text
        .to_lowercase()
        .replace('’', "'")
        .replace("a.m.", "am ")
        .replace("p.m.", "pm ")
        .replace("a.m", "am")
        .replace("p.m", "pm");
    let mut tokens = Vec::new();
    for piece in
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '!' | '?' | '(' | ')' | '@'))
    {
        if !piece.is_empty() {
            piece_tokens(piece, &mut tokens);
        }
    }
    joined(tokens)
}

fn piece_tokens(piece: &str, out: &mut Vec<Token>) {
    if let Ok(date) = piece.replace('/', "-").parse::<Date>()
        && piece.len() == 10
    {
        return out.push(Token::Date(date));
    }
    let piece = piece.trim_end_matches('.');
    if piece.contains('-') && !piece.contains(|c: char| c.is_ascii_digit()) {
        return piece.split('-').filter(|part| !part.is_empty()).for_each(|part| piece_tokens(part, out));
    }
    let numeric_end = piece.find(|c: char| !c.is_ascii_digit() && !":/.".contains(c)).unwrap_or(piece.len());
    let (number, suffix) = piece.split_at(numeric_end);
    let number = number.trim_end_matches('.');
    match (numeric(number), suffix) {
        (Some(Token::Number { value, .. }), "st" | "nd" | "rd" | "th") => out.push(Token::Ordinal(value)),
        (Some(Token::Number { value, .. }), suffix) if suffix.starts_with('h') => {
            hour_and_rest(piece, value, suffix, out);
        }
        (Some(token), "") => out.push(token),
        (Some(token), suffix) if suffix.chars().all(char::is_alphabetic) => {
            out.push(token);
            out.push(Token::Word(suffix.into()));
        }
        _ => out.push(spelled(piece)),
    }
}

/// `14h` and `14h30`.
fn hour_and_rest(piece: &str, hour: u32, suffix: &str, out: &mut Vec<Token>) {
    let minute = match suffix {
        "h" | "hrs" | "hours" | "hr" => Some(0),
        _ => suffix.strip_prefix('h').filter(|m| m.len() == 2).and_then(|m| m.parse().ok()),
    };
    out.push(match minute {
        Some(minute) => Token::Clock { hour, minute, padded: true },
        None => Token::Word(piece.into()),
    });
}

fn numeric(text: &str) -> Option<Token> {
    let read = |part: &str| {
        let digits = (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u32>().ok()).flatten()
    };
    let parts = |by: char| text.split(by).map(read).collect::<Option<Vec<_>>>();
    if text.contains(':') {
        let minutes_have_two_digits = text.split(':').skip(1).all(|part| part.len() == 2);
        let padded = text.find(':') == Some(2);
        return match parts(':')?.as_slice() {
            [hour, minute] | [hour, minute, _] if minutes_have_two_digits => {
                Some(Token::Clock { hour: *hour, minute: *minute, padded })
            }
            _ => None,
        };
    }
    if text.contains('/') {
        return match *parts('/')?.as_slice() {
            [a, b] => Some(Token::Slashed(a, b, None)),
            [a, b, year] => Some(Token::Slashed(a, b, Some(year))),
            _ => None,
        };
    }
    if text.contains('.') {
        return match *parts('.')?.as_slice() {
            [a, b] => Some(Token::Dotted(a, b, None)),
            [a, b, year] => Some(Token::Dotted(a, b, Some(year))),
            _ => None,
        };
    }
    read(text).map(|value| Token::Number { value, digits: text.len() })
}

fn spelled(word: &str) -> Token {
    let position = |list: &[&str]| list.iter().position(|w| *w == word).and_then(|at| u32::try_from(at).ok());
    if let Some(value) = position(&SMALL) {
        return Token::Number { value, digits: 0 };
    }
    if let Some(at) = position(&TENS) {
        return Token::Number { value: (at + 2) * 10, digits: 0 };
    }
    match word {
        "twentieth" => Token::Ordinal(20),
        "thirtieth" => Token::Ordinal(30),
        _ => position(&ORDINALS).map_or_else(|| Token::Word(word.into()), Token::Ordinal),
    }
}

/// Puts `twenty five` and `thirty first` together; `two thirty` stays two numbers.
fn joined(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let tens = match out.last() {
            Some(Token::Number { value, digits: 0 }) if *value >= 20 && value % 10 == 0 => Some(*value),
            _ => None,
        };
        let whole = match (tens, &token) {
            (Some(tens), Token::Number { value: unit @ 1..=9, digits: 0 }) => {
                Some(Token::Number { value: tens + unit, digits: 0 })
            }
            (Some(tens), Token::Ordinal(unit @ 1..=9)) => Some(Token::Ordinal(tens + unit)),
            _ => None,
        };
        match whole {
            Some(whole) => {
                out.pop();
                out.push(whole);
            }
            None => out.push(token),
        }
    }
    out
}
