//! Runs of digits, written or spoken, across fillers and interruptions.

use super::{Kind, Span, dates::Reader, lexicon::Lex, tokens::Class};

/// More marks and fillers than this in a row part two runs.
const MOST_FILLERS: usize = 8;

/// A part of a run: a written group of digits, or one spoken number.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Places in the chain, both included.
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) digits: String,
    /// Whether a dash or a space between written groups sets it apart from the item before.
    pub(super) set_apart: bool,
    homophone: bool,
}

/// Digits that belong together.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) items: Vec<Item>,
    pub(super) digits: String,
}

impl Run {
    fn of(items: &[Item]) -> Self {
        let digits = items.iter().map(|i| i.digits.as_str()).collect();
        Self { items: items.to_vec(), digits }
    }

    /// How many digits.
    pub(super) fn len(&self) -> usize {
        self.digits.len()
    }

    pub(super) fn first(&self) -> usize {
        self.items.first().map_or(0, |i| i.first)
    }

    pub(super) fn last(&self) -> usize {
        self.items.last().map_or(0, |i| i.last)
    }

    /// Lengths of the groups that dashes and spaces make.
    pub(super) fn groups(&self) -> Vec<usize> {
        let mut groups: Vec<usize> = Vec::new();
        for item in &self.items {
            match groups.last_mut() {
                Some(group) if !item.set_apart => *group += item.digits.len(),
                _ => groups.push(item.digits.len()),
            }
        }
        groups
    }

    /// The run without its last item.
    pub(super) fn without_last(&self) -> Self {
        Self::of(&self.items[..self.items.len() - 1])
    }

    /// One span for each turn that has a part of it; `from` and `to` may reach past its own first and last place.
    pub(super) fn spans(
        &self,
        reader: &Reader<'_, '_>,
        from: usize,
        to: usize,
        kind: Kind,
        spans: &mut Vec<Span>,
    ) {
        let own = self.items.iter().flat_map(|i| [i.first, i.last]);
        let places = std::iter::once(from).chain(own).chain(std::iter::once(to));
        let first_new = spans.len();
        for token in places.filter_map(|place| reader.token(place)) {
            match spans[first_new..].last_mut() {
                Some(span) if span.turn == token.turn => span.end = span.end.max(token.end),
                _ => spans.push(Span { turn: token.turn, start: token.start, end: token.end, kind }),
            }
        }
    }
}

/// Finds all runs of a chain; `blocked` places are dates, times and amounts.
pub(super) fn runs(reader: &Reader<'_, '_>, blocked: &[bool]) -> Vec<Run> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < reader.chain.len() {
        let Some(first) = item(reader, blocked, place, None) else {
            place += 1;
            continue;
        };
        let items = follow(reader, blocked, first);
        place = items.last().map_or(place, |i| i.last) + 1;
        split(&items, &mut found);
    }
    found
}

/// All items that follow `first` without anything but fillers between them.
fn follow(reader: &Reader<'_, '_>, blocked: &[bool], first: Item) -> Vec<Item> {
    let mut items = vec![first];
    loop {
        let last = &items[items.len() - 1];
        let mut place = last.last + 1;
        let mut dashed = false;
        let limit = place + MOST_FILLERS;
        while place < limit && is_filler(reader, place) {
            dashed |= is_dash(reader, place);
            place += 1;
        }
        let Some(mut next) = item(reader, blocked, place, Some(last)) else { break };
        next.set_apart = dashed || reader.digits(last.last).is_some() && reader.digits(next.first).is_some();
        items.push(next);
    }
    while items.last().is_some_and(|i| i.homophone) {
        items.pop();
    }
    items
}

/// A word such as "for" is a digit only beside four real ones: parts the items at those that are not.
fn split(items: &[Item], runs: &mut Vec<Run>) {
    let parts: Vec<&[Item]> = items.split(|i| i.homophone).collect();
    let size = |part: &[Item]| part.iter().map(|i| i.digits.len()).sum::<usize>();
    let mut start = 0;
    let mut end = 0;
    for (index, part) in parts.iter().enumerate() {
        end += part.len();
        let joined = parts.get(index + 1).is_some_and(|next| size(part) >= 4 || size(next) >= 4);
        if !joined {
            if start < end {
                runs.push(trimmed(&items[start..end]));
            }
            start = end + 1;
        }
        end += 1;
    }
}

/// The run of `items` without homophones at its ends.
fn trimmed(items: &[Item]) -> Run {
    let from = items.iter().position(|i| !i.homophone).unwrap_or(0);
    let to = items.iter().rposition(|i| !i.homophone).map_or(items.len(), |p| p + 1);
    Run::of(&items[from..to])
}

fn is_filler(reader: &Reader<'_, '_>, place: usize) -> bool {
    match reader.token(place).map(|t| t.class) {
        Some(Class::Word(Lex::Filler)) => true,
        Some(Class::Mark(c)) => matches!(c, ',' | '.' | '-' | '–' | '—' | '‐' | '(' | ')' | '+'),
        _ => false,
    }
}

fn is_dash(reader: &Reader<'_, '_>, place: usize) -> bool {
    matches!(reader.text(place), "-" | "–" | "—" | "‐")
        || reader.is(place, "dash")
        || reader.is(place, "hyphen")
}

/// The item that starts at `place`, after the item `before` if it continues a run.
fn item(reader: &Reader<'_, '_>, blocked: &[bool], place: usize, before: Option<&Item>) -> Option<Item> {
    if blocked.get(place).copied().unwrap_or(true) {
        return None;
    }
    let made =
        |last: usize, digits: String| Item { first: place, last, digits, set_apart: false, homophone: false };
    if let Some(digits) = reader.digits(place) {
        return Some(made(place, digits.to_owned()));
    }
    match reader.lex(place) {
        Lex::Unit(n) | Lex::Teen(n) => Some(made(place, n.to_string())),
        Lex::Tens(tens) => {
            let hyphen = usize::from(reader.text(place + 1) == "-");
            match reader.lex(place + 1 + hyphen) {
                Lex::Unit(n @ 1..) => Some(made(place + 1 + hyphen, (tens + n).to_string())),
                _ => Some(made(place, tens.to_string())),
            }
        }
        Lex::Repeat(times) => {
            let digit = match (reader.lex(place + 1), reader.digits(place + 1)) {
                (Lex::Unit(n), _) => n.to_string(),
                (_, Some(digits)) if digits.len() == 1 => digits.to_owned(),
                _ => return None,
            };
            Some(made(place + 1, digit.repeat(usize::from(times))))
        }
        Lex::Hundred => before.filter(|b| b.digits.len() <= 2).map(|_| made(place, "00".to_owned())),
        Lex::Homophone(n) => before.map(|_| Item { homophone: true, ..made(place, n.to_string()) }),
        _ => None,
    }
}
