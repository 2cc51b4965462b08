//! Dates, clock times and amounts of money: what is made of digits and yet is no identifier, unless the date is one of
//! birth or a card's expiry.

use super::{
    lexicon::Lex,
    tokens::{Class, Token, Tokens},
};

/// One chain of tokens, read by place.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r, 't> {
    pub(super) tokens: &'r Tokens<'t>,
    pub(super) chain: &'r [usize],
}

/// A date found in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    /// The place after its last token.
    pub(super) end: usize,
    /// Whether it says which day, rather than month and year alone.
    pub(super) has_day: bool,
}

impl<'r> Reader<'r, '_> {
    pub(super) fn token(&self, place: usize) -> Option<&'r Token> {
        self.chain.get(place).map(|index| &self.tokens.all[*index])
    }

    pub(super) fn lex(&self, place: usize) -> Lex {
        match self.token(place).map(|t| t.class) {
            Some(Class::Word(lex)) => lex,
            _ => Lex::Other,
        }
    }

    pub(super) fn text(&self, place: usize) -> &'r str {
        self.token(place).map_or("", |t| self.tokens.text(t))
    }

    pub(super) fn digits(&self, place: usize) -> Option<&'r str> {
        self.token(place).filter(|t| t.class == Class::Digits).map(|t| self.tokens.text(t))
    }

    pub(super) fn is(&self, place: usize, word: &str) -> bool {
        self.text(place).eq_ignore_ascii_case(word)
    }

    pub(super) fn touches_next(&self, place: usize) -> bool {
        self.token(place).zip(self.token(place + 1)).is_some_and(|(a, b)| Tokens::touch(a, b))
    }

    fn number(&self, place: usize, longest: usize) -> Option<u32> {
        self.digits(place).filter(|d| d.len() <= longest).and_then(|d| d.parse().ok())
    }

    /// Past the words at `place` that do not matter, if they are there.
    fn past(&self, place: usize, skip: &[&str]) -> usize {
        if skip.iter().any(|word| self.is(place, word)) { place + 1 } else { place }
    }

    /// The date that starts at `place`. `short_year` accepts "eighty four" for a year, which only follows a day of birth.
    pub(super) fn date(&self, place: usize, short_year: bool) -> Option<Date> {
        self.numeric_date(place)
            .or_else(|| self.month_first(place, short_year))
            .or_else(|| self.day_first(place, short_year))
    }

    /// `3/14/1984`, `14.03.1984`, `1984-03-14`
    fn numeric_date(&self, place: usize) -> Option<Date> {
        let mark = self.text(place + 1);
        if !matches!(mark, "/" | "-" | ".") || self.text(place + 3) != mark {
            return None;
        }
        let tight = (place..place + 4).all(|p| self.touches_next(p));
        let longer =
            self.text(place + 5) == mark && self.touches_next(place + 4) && self.touches_next(place + 5);
        if !tight || longer {
            return None;
        }
        let (a, b, c) = (self.digits(place)?, self.digits(place + 2)?, self.digits(place + 4)?);
        let (first, second, third) =
            (self.number(place, 4)?, self.number(place + 2, 2)?, self.number(place + 4, 4)?);
        let month_and_day = |m: u32, d: u32| (1..=12).contains(&m) && (1..=31).contains(&d);
        let year_last = a.len() <= 2
            && (c.len() == 4 && (1_850..=2_150).contains(&third) || c.len() == 2 && mark == "/")
            && (month_and_day(first, second) || month_and_day(second, first));
        let year_first = a.len() == 4 && b.len() == 2 && c.len() == 2 && month_and_day(second, third);
        (year_last || year_first).then_some(Date { end: place + 5, has_day: true })
    }

    /// `March third, nineteen eighty four`, `May 10th 1990`, `March 2026`
    fn month_first(&self, place: usize, short_year: bool) -> Option<Date> {
        if self.lex(place) != Lex::Month {
            return None;
        }
        let after = self.past(place + 1, &["."]);
        if let Some(end) = self.day(self.past(after, &["the"])) {
            let year = self.year(self.past(self.past(end, &[","]), &["of", "in"]), short_year);
            return Some(Date { end: year.unwrap_or(end), has_day: true });
        }
        let end = self.year(self.past(after, &["of", ","]), false)?;
        Some(Date { end, has_day: false })
    }

    /// `the 3rd of March 1984`, `14 March`
    fn day_first(&self, place: usize, short_year: bool) -> Option<Date> {
        let end = self.day(place)?;
        let of = self.past(end, &["of"]);
        let is_day = of > end || self.digits(place).is_some() || matches!(self.lex(end - 1), Lex::Ordinal(_));
        if !is_day || self.lex(of) != Lex::Month {
            return None;
        }
        let end = self.past(of + 1, &["."]);
        let year = self.year(self.past(end, &[",", "of"]), short_year);
        Some(Date { end: year.unwrap_or(end), has_day: true })
    }

    /// Past a day of the month.
    fn day(&self, place: usize) -> Option<usize> {
        if let Some(day) = self.number(place, 2) {
            let suffixed = self.touches_next(place)
                && ["st", "nd", "rd", "th"].iter().any(|suffix| self.is(place + 1, suffix));
            return (1..=31).contains(&day).then_some(place + 1 + usize::from(suffixed));
        }
        match self.lex(place) {
            Lex::Ordinal(_) | Lex::Unit(1..) | Lex::Teen(_) => Some(place + 1),
            Lex::Tens(20 | 30) => {
                let next = self.past(place + 1, &["-"]);
                let compound = matches!(self.lex(next), Lex::Ordinal(1..=9) | Lex::Unit(1..));
                Some(if compound { next + 1 } else { place + 1 })
            }
            _ => None,
        }
    }

    /// Past a year.
    fn year(&self, place: usize, short: bool) -> Option<usize> {
        if let Some(digits) = self.digits(place) {
            let full = digits.len() == 4 && matches!(&digits[..2], "18" | "19" | "20");
            return (full || short && digits.len() == 2).then_some(place + 1);
        }
        if matches!(self.text(place), "'" | "’") && self.digits(place + 1).is_some_and(|d| d.len() == 2) {
            return Some(place + 2);
        }
        match self.lex(place) {
            Lex::Teen(18 | 19) | Lex::Tens(20) => {
                let next = self.past(place + 1, &["-"]);
                if self.lex(next) == Lex::Hundred {
                    let rest = self.past(next + 1, &["and"]);
                    return Some(self.below_hundred(rest).unwrap_or(next + 1));
                }
                if self.lex(next) == Lex::Unit(0) {
                    return matches!(self.lex(next + 1), Lex::Unit(1..)).then_some(next + 2);
                }
                if matches!(self.lex(next), Lex::Teen(_) | Lex::Tens(_)) {
                    return self.below_hundred(next);
                }
                if short { self.below_hundred(place) } else { None }
            }
            Lex::Unit(2) if self.lex(place + 1) == Lex::Thousand => {
                Some(self.below_hundred(self.past(place + 2, &["and"])).unwrap_or(place + 2))
            }
            Lex::Tens(_) if short => self.below_hundred(place),
            _ => None,
        }
    }

    fn below_hundred(&self, place: usize) -> Option<usize> {
        match self.lex(place) {
            Lex::Unit(_) | Lex::Teen(_) => Some(place + 1),
            Lex::Tens(_) => {
                let next = self.past(place + 1, &["-"]);
                Some(if matches!(self.lex(next), Lex::Unit(1..)) { next + 1 } else { place + 1 })
            }
            _ => None,
        }
    }

    /// Past a clock time such as `10:30`.
    pub(super) fn clock(&self, place: usize) -> Option<usize> {
        let minutes =
            |p: usize| self.text(p) == ":" && self.touches_next(p) && self.number(p + 1, 2).is_some();
        let mut end = place + 1;
        while end <= place + 3
            && self.number(place, 2).is_some()
            && self.touches_next(end - 1)
            && minutes(end)
        {
            end += 2;
        }
        (end > place + 1).then_some(end)
    }

    /// Past an amount with its sign before it, such as `$1,500.00`.
    pub(super) fn money(&self, place: usize) -> Option<usize> {
        if !matches!(self.text(place), "$" | "€" | "£") {
            return None;
        }
        self.digits(place + 1)?;
        let mut end = place + 2;
        while matches!(self.text(end), "," | ".")
            && self.touches_next(end - 1)
            && self.touches_next(end)
            && self.digits(end + 1).is_some_and(|d| d.len() <= 3)
        {
            end += 2;
        }
        Some(end)
    }

    /// Past `04/27` or `4/2027`, a month and a year as cards have them.
    pub(super) fn card_date(&self, place: usize) -> Option<usize> {
        let month = self.number(place, 2).is_some_and(|m| (1..=12).contains(&m));
        let year = self.digits(place + 2).is_some_and(|y| matches!(y.len(), 2 | 4));
        (month && year && matches!(self.text(place + 1), "/" | "-")).then_some(place + 3)
    }
}
