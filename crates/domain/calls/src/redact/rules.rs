//! Decides what a run of digits is, by its shape and the words around it (§2 of the rules).

use super::{
    Kind, Span,
    context::{Context, Hint},
    dates::Reader,
    lexicon::Lex,
    numbers::{self, Run},
    tokens::{Class, Tokens},
};

/// How far a telling word reaches, in bytes before and after.
const SSN_REACH: (usize, usize) = (90, 40);
const CARD_REACH: (usize, usize) = (60, 40);
const NEAR: usize = 40;
const RECORD_REACH: usize = 60;
const ZIP_REACH: usize = 20;

/// Adds what has to go from one chain of turns.
pub(super) fn find(tokens: &Tokens<'_>, chain: &[usize], context: &Context, spans: &mut Vec<Span>) {
    let reader = Reader { tokens, chain };
    let blocked = dates(&reader, context, spans);
    codes(&reader, context, spans);
    for run in numbers::runs(&reader, &blocked) {
        judge(&reader, context, &run, spans);
    }
}

/// Marks what is no run: dates, times, amounts. Those of birth and of a card's expiry go.
fn dates(reader: &Reader<'_, '_>, context: &Context, spans: &mut Vec<Span>) -> Vec<bool> {
    let mut blocked = vec![false; reader.chain.len()];
    let mut place = 0;
    while let Some(token) = reader.token(place) {
        let hint = context.last_before(token.at, NEAR);
        let of_birth = context.near(Hint::Birth, (token.at, token.at), NEAR, 0);
        let date = reader.date(place, of_birth);
        let expires = hint == Some(Hint::Expires);
        let (end, kind) = match (date, reader.card_date(place)) {
            (Some(date), _) if of_birth => (date.end, Some(Kind::Dob)),
            (Some(date), _) if expires && !date.has_day => (date.end, Some(Kind::Expiry)),
            (Some(date), _) => (date.end, None),
            (None, Some(end)) if expires => (end, Some(Kind::Expiry)),
            _ => {
                let Some(end) = reader.clock(place).or_else(|| reader.money(place)) else {
                    place += 1;
                    continue;
                };
                (end, None)
            }
        };
        if let Some(kind) = kind {
            stretch(reader, place, end, kind, spans);
        }
        blocked[place..end].fill(true);
        place = end;
    }
    blocked
}

/// One span a turn for the places `from..to`.
fn stretch(reader: &Reader<'_, '_>, from: usize, to: usize, kind: Kind, spans: &mut Vec<Span>) {
    let first_new = spans.len();
    for token in (from..to).filter_map(|place| reader.token(place)) {
        match spans[first_new..].last_mut() {
            Some(span) if span.turn == token.turn => span.end = token.end,
            _ => spans.push(Span { turn: token.turn, start: token.start, end: token.end, kind }),
        }
    }
}

/// Words of letters and digits, joined by hyphens: after "member ID" or the like they are one, and with seven digits
/// they are a number that nothing explains.
fn codes(reader: &Reader<'_, '_>, context: &Context, spans: &mut Vec<Span>) {
    let mut place = 0;
    while let Some(token) = reader.token(place) {
        if !is_code_part(token.class) {
            place += 1;
            continue;
        }
        let mut end = place + 1;
        while reader.text(end) == "-"
            && reader.touches_next(end - 1)
            && reader.touches_next(end)
            && reader.token(end + 1).is_some_and(|t| is_code_part(t.class))
        {
            end += 2;
        }
        if let Some(kind) = code_kind(reader, context, place, end) {
            stretch(reader, place, end, kind, spans);
        }
        place = end;
    }
}

fn is_code_part(class: Class) -> bool {
    matches!(class, Class::Digits | Class::Mixed | Class::Word(_))
}

fn code_kind(reader: &Reader<'_, '_>, context: &Context, place: usize, end: usize) -> Option<Kind> {
    let parts = || (place..end).step_by(2);
    let plain = end == place + 1 && reader.token(place).is_some_and(|t| t.class != Class::Mixed);
    if plain || parts().any(|p| reader.lex(p) == Lex::Measure) {
        return None;
    }
    let bytes = || parts().flat_map(|p| reader.text(p).bytes());
    let (length, digits) = (bytes().count(), bytes().filter(u8::is_ascii_digit).count());
    if digits == 0 || digits == length {
        return None;
    }
    let token = reader.token(place)?;
    let labelled = context.near(Hint::Record, (token.at, token.at), RECORD_REACH, 0);
    let mixed_word = (6..=20).contains(&length) && (digits >= 2 || end == place + 1);
    if labelled && mixed_word {
        return Some(Kind::Id);
    }
    (digits >= 7).then_some(Kind::Number)
}

/// Adds the spans of one run, if it has to go.
fn judge(reader: &Reader<'_, '_>, context: &Context, run: &Run, spans: &mut Vec<Span>) {
    match quantity(reader, run) {
        Some(Quantity::Age { over_89: true }) => {
            run.spans(reader, run.first(), run.last(), Kind::Age, spans);
        }
        // Of a long run only the last number is what is counted; the rest is judged by itself.
        Some(_) if run.len() >= 7 && run.items.len() > 1 => {
            classify(reader, context, &run.without_last(), spans);
        }
        Some(_) => {}
        None => classify(reader, context, run, spans),
    }
}

enum Quantity {
    Measured,
    Age { over_89: bool },
}

/// Whether the run counts something: dollars, minutes, years of age.
fn quantity(reader: &Reader<'_, '_>, run: &Run) -> Option<Quantity> {
    let mut next = run.last() + 1;
    if reader.text(next) == "-" {
        next += 1;
    }
    let half_day = (reader.is(next, "a") || reader.is(next, "p"))
        && reader.text(next + 1) == "."
        && reader.is(next + 2, "m");
    if reader.lex(next) == Lex::Measure || reader.text(next) == "%" || half_day {
        return Some(Quantity::Measured);
    }
    if reader.is(next, "years") || reader.is(next, "year") {
        let hyphen = usize::from(reader.text(next + 1) == "-");
        if reader.is(next + 1 + hyphen, "old") {
            let over_89 = run.len() <= 3 && run.digits.parse::<u32>().is_ok_and(|age| age > 89);
            return Some(Quantity::Age { over_89 });
        }
        return Some(Quantity::Measured);
    }
    None
}

fn classify(reader: &Reader<'_, '_>, context: &Context, run: &Run, spans: &mut Vec<Span>) {
    let (mut from, mut to) = (run.first(), run.last());
    let plus = leading_marks(reader, run, &mut from);
    let Some((first, last)) = reader.token(run.first()).zip(reader.token(run.last())) else { return };
    let place = (first.at, last.until());
    let kind = identity(context, run, place)
        .or_else(|| (plus && (8..=15).contains(&run.len())).then_some(Kind::Phone))
        .or_else(|| payment(context, run, place))
        .or_else(|| personal(reader, context, run, place))
        .or_else(|| postal(reader, context, run, place, &mut to))
        .or_else(|| is_phone(context, run, place).then_some(Kind::Phone))
        .or_else(|| (run.len() >= 7).then_some(Kind::Number));
    let Some(kind) = kind else { return };
    if kind == Kind::Id {
        from = spelled_letters(reader, from);
    }
    run.spans(reader, from, to, kind, spans);
}

/// Moves `from` over a plus sign and an opening bracket that belong to the number; says whether there was a plus.
fn leading_marks(reader: &Reader<'_, '_>, run: &Run, from: &mut usize) -> bool {
    let closes = (run.first()..run.last()).any(|p| reader.text(p) == ")");
    let mut plus = false;
    while let Some(before) = from.checked_sub(1) {
        let is_plus = reader.text(before) == "+" || reader.is(before, "plus");
        let is_bracket = closes && reader.text(before) == "(";
        if !is_plus && !is_bracket {
            break;
        }
        plus |= is_plus;
        *from = before;
    }
    plus
}

/// Letters spelled one by one before the digits of an identifier.
fn spelled_letters(reader: &Reader<'_, '_>, mut from: usize) -> usize {
    let is_letter =
        |p: usize| reader.text(p).len() == 1 && reader.text(p).bytes().all(|b| b.is_ascii_uppercase());
    while let Some(before) = from.checked_sub(1).filter(|p| is_letter(*p)) {
        from = before;
    }
    from
}

/// Social security numbers and parts of them.
fn identity(context: &Context, run: &Run, place: (usize, usize)) -> Option<Kind> {
    let hinted = context.near(Hint::Ssn, place, SSN_REACH.0, SSN_REACH.1);
    let ssn = match run.len() {
        9 => hinted || run.groups() == [3, 2, 4] && is_plausible_ssn(&run.digits),
        4 if hinted && context.near(Hint::LastFour, place, SSN_REACH.0, SSN_REACH.1) => true,
        4..=8 => context.last_before(place.0, NEAR) == Some(Hint::Ssn),
        _ => false,
    };
    ssn.then_some(Kind::Ssn)
}

fn is_plausible_ssn(digits: &str) -> bool {
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    let first = digits.as_bytes()[0];
    area != "000"
        && area != "666"
        && first != b'9'
        && group != "00"
        && serial != "0000"
        && digits.bytes().any(|b| b != first)
        && !matches!(digits, "123456789" | "078051120")
}

/// Cards, their codes and their expiry.
fn payment(context: &Context, run: &Run, place: (usize, usize)) -> Option<Kind> {
    let n = run.len();
    let hinted = || context.near(Hint::Card, place, CARD_REACH.0, CARD_REACH.1);
    if (13..=19).contains(&n) && passes_luhn(&run.digits) || n >= 12 && hinted() {
        return Some(Kind::Card);
    }
    if matches!(n, 3 | 4) && context.near(Hint::Cvv, place, NEAR, NEAR) {
        return Some(Kind::Cvv);
    }
    let expires = (3..=6).contains(&n) && context.last_before(place.0, NEAR) == Some(Hint::Expires);
    expires.then_some(Kind::Expiry)
}

fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(index, b)| {
            let digit = u32::from(b - b'0');
            match (index % 2, digit * 2) {
                (0, _) => digit,
                (_, doubled) if doubled > 9 => doubled - 9,
                (_, doubled) => doubled,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Dates of birth said as digits, and record numbers.
fn personal(reader: &Reader<'_, '_>, context: &Context, run: &Run, place: (usize, usize)) -> Option<Kind> {
    let n = run.len();
    let last_hint = context.last_before(place.0, RECORD_REACH);
    let looks_like_year = n == 4 && matches!(&run.digits[..2], "19" | "20");
    let born = context.last_before(place.0, NEAR) == Some(Hint::Birth);
    if born && (4..=8).contains(&n) && !looks_like_year {
        return Some(Kind::Dob);
    }
    let before = run.first().wrapping_sub(1);
    let since = looks_like_year && ["since", "in", "of"].iter().any(|word| reader.is(before, word));
    let phone_nearer = last_hint == Some(Hint::Phone) && is_phone(context, run, place);
    let labelled = context.near(Hint::Record, (place.0, place.0), RECORD_REACH, 0);
    (n >= 4 && labelled && !phone_nearer && !since).then_some(Kind::Id)
}

fn is_phone(context: &Context, run: &Run, place: (usize, usize)) -> bool {
    let american = |digits: &[u8]| digits[0] >= b'2' && digits[3] >= b'2';
    let digits = run.digits.as_bytes();
    match digits.len() {
        10 => american(digits),
        11 => digits[0] == b'1',
        7 => context.near(Hint::Phone, place, NEAR, NEAR) || context.near(Hint::Number, place, NEAR, NEAR),
        _ => false,
    }
}

/// Postal codes and street addresses, whose span reaches to the street's last word.
fn postal(
    reader: &Reader<'_, '_>,
    context: &Context,
    run: &Run,
    place: (usize, usize),
    to: &mut usize,
) -> Option<Kind> {
    if matches!(run.len(), 5 | 9) {
        let mut before = run.first().wrapping_sub(1);
        if reader.text(before) == "," {
            before = before.wrapping_sub(1);
        }
        if context.near(Hint::Zip, (place.0, place.0), ZIP_REACH, 0) || is_state(reader.text(before)) {
            return Some(Kind::Zip);
        }
    }
    if run.len() > 6 {
        return None;
    }
    *to = street_end(reader, run.last() + 1)?;
    Some(Kind::Address)
}

/// The place of the street word, when one to three names and then "street" or the like start at `place`.
fn street_end(reader: &Reader<'_, '_>, place: usize) -> Option<usize> {
    const ALWAYS: [&str; 8] = ["street", "avenue", "ave", "road", "boulevard", "blvd", "lane", "highway"];
    const AFTER_A_NAME: [&str; 9] = ["st", "rd", "dr", "drive", "court", "ct", "way", "place", "pl"];
    const NO_NAME: [&str; 14] =
        ["the", "a", "of", "in", "on", "at", "by", "to", "is", "are", "from", "down", "my", "your"];
    let is_name = |p: usize| {
        reader.token(p).is_some_and(|t| matches!(t.class, Class::Word(_)))
            && reader.lex(p) != Lex::Measure
            && !NO_NAME.iter().any(|word| reader.is(p, word))
    };
    let capital = |p: usize| reader.text(p).starts_with(char::is_uppercase);
    for end in place + 1..=place + 3 {
        if !is_name(end - 1) {
            return None;
        }
        let street = ALWAYS.iter().any(|word| reader.is(end, word));
        let after_a_name = AFTER_A_NAME.iter().any(|word| reader.is(end, word)) && (place..end).all(capital);
        if street || after_a_name {
            return Some(end);
        }
    }
    None
}

fn is_state(word: &str) -> bool {
    const CODES: &str = " AL AK AZ AR CA CO CT DC DE FL GA HI IA ID IL IN KS KY LA MA MD ME MI MN MO MS MT NC ND NE NH \
        NJ NM NV NY OH OK OR PA RI SC SD TN TX UT VA VT WA WI WV WY ";
    const NAMES: &str = " alabama alaska arizona arkansas california carolina colorado connecticut dakota delaware \
        florida georgia hampshire hawaii idaho illinois indiana iowa jersey kansas kentucky louisiana maine maryland \
        massachusetts mexico michigan minnesota mississippi missouri montana nebraska nevada ohio oklahoma oregon \
        pennsylvania tennessee texas utah vermont virginia washington wisconsin wyoming york ";
    let padded = format!(" {word} ");
    word.len() >= 2 && (CODES.contains(&padded) || NAMES.contains(&padded.to_ascii_lowercase()))
}
