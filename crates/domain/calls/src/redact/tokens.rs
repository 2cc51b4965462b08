//! Cuts turns into words, numbers and marks, and threads each speaker's turns into chains.

use std::ops::Range;

use super::{
    Kind,
    lexicon::{Lex, lex},
};

/// The longest word that means anything to us; longer ones are only [`Lex::Other`].
pub(super) const LONGEST_WORD: usize = 16;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// ASCII digits.
    Digits,
    /// Letters, apostrophes between them included.
    Word(Lex),
    /// Letters and digits mixed, such as `A1234567`.
    Mixed,
    /// Any other visible character.
    Mark(char),
    /// A placeholder of an earlier pass, which means nothing and joins nothing.
    Placeholder,
}

/// A piece of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) turn: usize,
    /// Bytes of the turn's text.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Byte offset of the token's start in all turns written one after the other.
    pub(super) at: usize,
    pub(super) class: Class,
}

impl Token {
    /// Offset just past the token in all turns.
    pub(super) fn until(&self) -> usize {
        self.at + (self.end - self.start)
    }
}

/// All tokens of a conversation, in order.
pub(super) struct Tokens<'t> {
    texts: &'t [String],
    pub(super) all: Vec<Token>,
    /// Which tokens belong to which turn.
    turns: Vec<Range<usize>>,
}

impl<'t> Tokens<'t> {
    pub(super) fn of(texts: &'t [String]) -> Self {
        let bytes: usize = texts.iter().map(String::len).sum();
        let mut tokens =
            Self { texts, all: Vec::with_capacity(bytes / 4), turns: Vec::with_capacity(texts.len()) };
        let mut base = 0;
        for (turn, text) in texts.iter().enumerate() {
            let first = tokens.all.len();
            tokens.cut(turn, text, base);
            tokens.turns.push(first..tokens.all.len());
            base += text.len() + 1;
        }
        tokens
    }

    pub(super) fn text(&self, token: &Token) -> &'t str {
        &self.texts[token.turn][token.start..token.end]
    }

    /// Whether `next` follows `token` without a space.
    pub(super) fn touch(token: &Token, next: &Token) -> bool {
        token.turn == next.turn && token.end == next.start
    }

    fn cut(&mut self, turn: usize, text: &str, base: usize) {
        let mut from = 0;
        while let Some(c) = text[from..].chars().next() {
            if c.is_whitespace() {
                from += c.len_utf8();
                continue;
            }
            let (length, class) = next(&text[from..], c);
            let (start, end) = (from, from + length);
            self.all.push(Token { turn, start, end, at: base + start, class });
            from = end;
        }
    }
}

/// Length and class of the token that `rest` starts with, whose first character is `c`.
fn next(rest: &str, c: char) -> (usize, Class) {
    if c == '[' {
        let placeholder = Kind::ALL.iter().map(|k| k.placeholder()).find(|p| rest.starts_with(p));
        return placeholder.map_or((1, Class::Mark(c)), |p| (p.len(), Class::Placeholder));
    }
    if !c.is_alphanumeric() {
        return (c.len_utf8(), Class::Mark(c));
    }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let whole = word_length(rest);
    if digits == whole {
        return (digits, Class::Digits);
    }
    let word = &rest[..whole];
    if digits > 0 && is_suffix(&word[digits..]) {
        return (digits, Class::Digits);
    }
    if word.bytes().any(|b| b.is_ascii_digit()) {
        return (whole, Class::Mixed);
    }
    (whole, Class::Word(lex_of(word)))
}

/// Bytes of letters and digits at the start of `rest`, with apostrophes between letters.
fn word_length(rest: &str) -> usize {
    let mut length = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let joins = matches!(c, '\'' | '’') && chars.peek().is_some_and(|(_, after)| after.is_alphabetic());
        if !c.is_alphanumeric() && !joins {
            break;
        }
        length = at + c.len_utf8();
    }
    length
}

/// What may be written onto a number without making it another kind of word: `2pm`, `3rd`, `30mg`.
fn is_suffix(letters: &str) -> bool {
    let letters = letters.to_ascii_lowercase();
    matches!(letters.as_str(), "st" | "nd" | "rd" | "th" | "s" | "k" | "x") || lex(&letters) == Lex::Measure
}

fn lex_of(word: &str) -> Lex {
    lower(word, &mut [0; LONGEST_WORD]).map_or(Lex::Other, lex)
}

/// `word` in lower case with straight apostrophes, without an allocation; `None` when it is longer than any word that
/// means something here, or not ASCII.
pub(super) fn lower<'b>(word: &str, buffer: &'b mut [u8; LONGEST_WORD]) -> Option<&'b str> {
    let mut length = 0;
    for c in word.chars() {
        let c = if c == '’' { '\'' } else { c };
        *buffer.get_mut(length)? = u8::try_from(c).ok().filter(u8::is_ascii)?.to_ascii_lowercase();
        length += 1;
    }
    std::str::from_utf8(&buffer[..length]).ok()
}

/// Threads turns: a chain is one speaker's turns that are next to each other or parted only by replies of at most three
/// words. Each turn is in exactly one chain; the result lists the tokens of each, in order.
pub(super) fn chains<S: PartialEq>(turns: &[(S, &str)], tokens: &Tokens<'_>) -> Vec<Vec<usize>> {
    /// Replies longer than this part a chain.
    const SHORT: usize = 3;
    let mut closed = Vec::new();
    let mut open: Vec<(&S, Vec<usize>)> = Vec::new();
    for ((speaker, _), range) in turns.iter().zip(&tokens.turns) {
        let spoken = tokens.all[range.clone()].iter().filter(|t| !matches!(t.class, Class::Mark(_))).count();
        if spoken > SHORT {
            let (own, others): (Vec<_>, Vec<_>) = open.drain(..).partition(|(s, _)| *s == speaker);
            open = own;
            closed.extend(others.into_iter().map(|(_, chain)| chain));
        }
        match open.iter_mut().find(|(s, _)| *s == speaker) {
            Some((_, chain)) => chain.extend(range.clone()),
            None => open.push((speaker, range.clone().collect())),
        }
    }
    closed.extend(open.into_iter().map(|(_, chain)| chain));
    closed
}
