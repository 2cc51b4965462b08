//! E-mail addresses and links, written or spoken, device addresses, identifiers with a shape of their own, and names.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    Kind, Span,
    lexicon::Lex,
    tokens::{Class, Tokens},
};

/// Ends of host names that are not also everyday words.
const TLD: &str = "(?:com|org|net|edu|gov|io|info|biz|co|uk|us|ca|de|fr|es|eu|au|nz|health|clinic|app|dev)";

struct Pattern {
    kind: Kind,
    /// A text without any of these cannot match, which spares the search.
    needs: &'static [&'static str],
    regex: Regex,
    /// What the shape alone cannot tell.
    holds: fn(&str) -> bool,
}

static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| {
    let host = format!(r"[a-z0-9-]+(?:(?:\.|\s+dot\s+)[a-z0-9-]+)*(?:\.|\s+dot\s+){TLD}(?-u:\b)");
    let local = r"[a-z0-9_%+-]+(?:(?:\.|\s+(?:dot|underscore|dash|hyphen|plus)\s+)[a-z0-9_%+-]+)*";
    let medicare = "[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}";
    let anything = |_: &str| true;
    [
        (
            Kind::Email,
            &["@"][..],
            r"[\p{L}\p{N}._%+'-]+\s?@\s?[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+".to_owned(),
            anything as fn(&str) -> bool,
        ),
        (
            Kind::Email,
            &["at", "AT", "At", "@"],
            format!(r"(?i)(?-u:\b){local}(?:\s+at\s+|\s*\(at\)\s*|\s*@\s*){host}"),
            anything,
        ),
        (
            Kind::Email,
            &["at", "AT", "At"],
            format!(r"(?i)(?-u:\b){local}\s+at\s+[a-z0-9]+\s+[a-z0-9]+\s+dot\s+{TLD}(?-u:\b)"),
            anything,
        ),
        (
            Kind::Url,
            &["://", "www", "WWW"],
            r"(?i)(?-u:\b)(?:https?://|www\.)[^\s<>\[\]]*[\p{L}\p{N}/]".to_owned(),
            anything,
        ),
        (
            Kind::Url,
            &["."],
            format!(r"(?i)(?-u:\b)[a-z0-9-]+(?:\.[a-z0-9-]+)*\.{TLD}(?-u:\b)(?:/[^\s<>\[\]]*)?"),
            anything,
        ),
        (
            Kind::Url,
            &["dot", "DOT", "Dot"],
            format!(r"(?i)(?-u:\b)[a-z0-9-]+(?:\s+dot\s+[a-z0-9-]+)*\s+dot\s+{TLD}(?-u:\b)"),
            anything,
        ),
        (Kind::Ip, &["."], r"(?-u:\b)[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?-u:\b)".to_owned(), is_address),
        (Kind::Ip, &[":"], r"[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*[0-9A-Fa-f]".to_owned(), is_address),
        (Kind::Id, &[""], format!(r"(?-u:\b){medicare}(?-u:\b)"), anything),
        (Kind::Id, &[""], r"(?-u:\b)[A-Z]{2}[0-9]{7}(?-u:\b)".to_owned(), is_dea),
    ]
    .into_iter()
    .filter_map(|(kind, needs, pattern, holds)| {
        // A test holds every pattern to compile.
        Some(Pattern { kind, needs, regex: Regex::new(&pattern).ok()?, holds })
    })
    .collect()
});

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// Two letters and seven digits, the last of which checks the others.
fn is_dea(text: &str) -> bool {
    let digit = |index: usize| text.as_bytes().get(index + 2).map_or(0, |b| u32::from(b - b'0'));
    (digit(0) + digit(2) + digit(4) + 2 * (digit(1) + digit(3) + digit(5))) % 10 == digit(6)
}

/// Adds what has a shape of its own.
pub(super) fn find(texts: &[String], spans: &mut Vec<Span>) {
    for (turn, text) in texts.iter().enumerate() {
        for pattern in PATTERNS.iter().filter(|p| p.needs.iter().any(|needle| text.contains(needle))) {
            let matches = pattern.regex.find_iter(text).filter(|m| (pattern.holds)(m.as_str()));
            spans.extend(matches.map(|m| Span { turn, start: m.start(), end: m.end(), kind: pattern.kind }));
        }
    }
}

/// Adds names: those known, and up to two capitalised words after "my name is" or in "this is … speaking".
pub(super) fn find_names(tokens: &Tokens<'_>, known: &[&str], spans: &mut Vec<Span>) {
    let known: Vec<Vec<&str>> = known
        .iter()
        .map(|name| name.split_whitespace().collect::<Vec<_>>())
        .filter(|parts| parts.iter().map(|p| p.chars().count()).sum::<usize>() >= 3)
        .collect();
    for index in 0..tokens.all.len() {
        let length = known_at(tokens, &known, index).or_else(|| introduced_at(tokens, index));
        if let Some(length) = length {
            let (first, last) = (&tokens.all[index], &tokens.all[index + length - 1]);
            spans.push(Span { turn: first.turn, start: first.start, end: last.end, kind: Kind::Name });
        }
    }
}

/// How many tokens from `index` spell a known name: the whole of it, or its first part when that is no ordinary word.
fn known_at(tokens: &Tokens<'_>, known: &[Vec<&str>], index: usize) -> Option<usize> {
    let same = |at: usize, part: &str| {
        let (first, token) = (&tokens.all[index], tokens.all.get(at));
        token.is_some_and(|t| t.turn == first.turn && tokens.text(t).to_lowercase() == part.to_lowercase())
    };
    known.iter().find_map(|parts| {
        if parts.iter().enumerate().all(|(offset, part)| same(index + offset, part)) {
            return Some(parts.len());
        }
        let telling = parts[0].chars().count() >= 3 && tokens.all[index].class == Class::Word(Lex::Other);
        (telling && same(index, parts[0]) && starts_with_capital(tokens, index)).then_some(1)
    })
}

fn starts_with_capital(tokens: &Tokens<'_>, index: usize) -> bool {
    tokens.all.get(index).is_some_and(|t| tokens.text(t).starts_with(char::is_uppercase))
}

/// How many tokens from `index` are a name that the words around them introduce.
fn introduced_at(tokens: &Tokens<'_>, index: usize) -> Option<usize> {
    const NO_NAME: [&str; 12] =
        ["and", "but", "i", "i'm", "from", "my", "the", "calling", "speaking", "with", "at", "on"];
    let is = |at: Option<usize>, word: &str| {
        at.and_then(|at| tokens.all.get(at)).is_some_and(|t| tokens.text(t).eq_ignore_ascii_case(word))
    };
    let is_name = |at: usize| {
        let same_turn = tokens.all.get(at).is_some_and(|t| {
            t.turn == tokens.all[index].turn && matches!(t.class, Class::Word(_)) && t.end - t.start > 1
        });
        same_turn && starts_with_capital(tokens, at) && !NO_NAME.iter().any(|word| is(Some(at), word))
    };
    if !is_name(index) {
        return None;
    }
    let back = |n: usize| index.checked_sub(n);
    let named = is(back(1), "is") && is(back(2), "name") || is(back(1), "name's");
    let length = 1 + usize::from(is_name(index + 1));
    let after = Some(index + length);
    let speaking = is(back(1), "is")
        && is(back(2), "this")
        && ["speaking", "calling", "here"].iter().any(|word| is(after, word));
    (named || speaking).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 10);
    }

    #[test]
    fn a_check_digit_tells_a_dea_number_from_a_word() {
        assert!(is_dea("AB1234563"));
        assert!(!is_dea("AB1234567"));
    }
}
