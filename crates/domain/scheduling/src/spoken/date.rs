//! Days: `today`, `next tuesday`, `March 3rd`, `the 5th`, `in two days`, `12/25`.
//!
//! A bare weekday is the next one after today; `this friday` may be today; `next friday` is the one of the coming
//! week (weeks begin on Monday). A day without a year, or without a month, is the next such day, today included.

use jiff::{
    Span, ToSpan,
    civil::{Date, Weekday},
};

use super::{Reader, words::Token};

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

/// The weekday a word names, in full, in the plural or cut to at least three letters.
fn weekday(word: &str) -> Option<Weekday> {
    let word = word.strip_suffix('s').filter(|w| w.ends_with("day")).unwrap_or(word);
    named(word, &WEEKDAYS.map(|(name, _)| name)).map(|at| WEEKDAYS[at].1)
}

fn month(word: &str) -> Option<i8> {
    named(word, &MONTHS).and_then(|at| i8::try_from(at + 1).ok())
}

fn named(word: &str, names: &[&str]) -> Option<usize> {
    (word.len() >= 3).then(|| names.iter().position(|name| name.starts_with(word))).flatten()
}

impl Reader<'_> {
    /// Reads a weekday, which another way of naming the same day may follow.
    pub(super) fn weekday(&mut self) -> Option<(Weekday, Date)> {
        self.attempt(|reader| {
            let today = reader.today;
            let mut next_week = reader.next_week();
            if next_week {
                reader.take(&["on"]);
            }
            let this = reader.take(&["this", "coming", "upcoming"]) && {
                reader.take(&["coming"]);
                true
            };
            let next = !this && reader.take(&["next"]);
            let day = weekday(reader.word(0)?)?;
            reader.at += 1;
            next_week |= reader.next_week();
            let ahead = i32::from(today.weekday().until(day));
            let date = if next || next_week {
                let monday =
                    today.saturating_add((7 - i32::from(today.weekday().to_monday_zero_offset())).days());
                monday.saturating_add(i32::from(day.to_monday_zero_offset()).days())
            } else if this || ahead > 0 {
                today.saturating_add(ahead.days())
            } else {
                today.saturating_add(7.days())
            };
            Some((day, date))
        })
    }

    fn next_week(&mut self) -> bool {
        self.attempt(|reader| (reader.take(&["next"]) && reader.take(&["week"])).then_some(())).is_some()
    }

    /// Reads a day that is named in any other way.
    pub(super) fn date(&mut self) -> Option<Date> {
        self.attempt(Self::numeric_date)
            .or_else(|| self.attempt(Self::relative_date))
            .or_else(|| self.attempt(Self::counted_date))
            .or_else(|| self.attempt(Self::month_and_day))
            .or_else(|| self.attempt(Self::day_and_month))
            .or_else(|| self.attempt(Self::ordinal_day))
    }

    fn numeric_date(&mut self) -> Option<Date> {
        let date = match *self.peek()? {
            Token::Date(date) => date,
            Token::Slashed(a, b, year) => self.slashed(a, b, year)?,
            Token::Dotted(day, month, year) => {
                self.month_day(i8::try_from(month).ok()?, day, full_year(year)?)?
            }
            _ => return None,
        };
        self.at += 1;
        Some(date)
    }

    /// `3/4` is the third of April to some and the fourth of March to others, so only what has one reading counts.
    fn slashed(&self, a: u32, b: u32, year: Option<u32>) -> Option<Date> {
        let year = full_year(year)?;
        let read = |month: u32, day: u32| self.month_day(i8::try_from(month).ok()?, day, year);
        match (read(a, b), read(b, a)) {
            (Some(one), Some(other)) => (one == other).then_some(one),
            (one, other) => one.or(other),
        }
    }

    fn relative_date(&mut self) -> Option<Date> {
        let days = match self.word(0)? {
            "today" => 0,
            "tomorrow" | "tomorow" | "tommorow" | "tommorrow" | "tmrw" => 1,
            "yesterday" => -1,
            "day" if self.word(1) == Some("after") => {
                let skip = 2 + usize::from(self.word(2) == Some("the"));
                if !matches!(self.word(skip), Some("tomorrow")) {
                    return None;
                }
                self.at += skip;
                2
            }
            _ => return None,
        };
        self.at += 1;
        Some(self.today.saturating_add(Span::new().days(days)))
    }

    /// `in two days`, `three weeks from now`, `a week from tuesday`.
    fn counted_date(&mut self) -> Option<Date> {
        let announced = self.take(&["in", "within"]);
        let count = match self.peek()? {
            Token::Word(word) if matches!(word.as_str(), "a" | "an") => 1,
            Token::Number { value, .. } => i64::from(*value),
            _ => return None,
        };
        self.at += 1;
        let unit = self.word(0)?.trim_end_matches('s').to_owned();
        let span = match unit.as_str() {
            "day" => Span::new().try_days(count),
            "week" => Span::new().try_weeks(count),
            "fortnight" => Span::new().try_weeks(count * 2),
            "month" => Span::new().try_months(count),
            _ => return None,
        }
        .ok()?;
        self.at += 1;
        let from = if self.take(&["from"]) {
            self.take(&["the"]);
            if self.take(&["now"]) {
                self.today
            } else {
                self.weekday().map(|(_, date)| date).or_else(|| self.date())?
            }
        } else if announced {
            self.take(&["time"]);
            self.today
        } else {
            return None;
        };
        from.checked_add(span).ok()
    }

    /// `March 3rd`, `march third 2027`.
    fn month_and_day(&mut self) -> Option<Date> {
        let month = month(self.word(0)?)?;
        self.at += 1;
        self.take(&["the"]);
        let day = self.day_number()?;
        let year = self.year();
        self.month_day(month, day, year)
    }

    /// `3rd of March`, `3 march 2027`.
    fn day_and_month(&mut self) -> Option<Date> {
        let day = self.day_number()?;
        self.take(&["of"]);
        let month = month(self.word(0)?)?;
        self.at += 1;
        let year = self.year();
        self.month_day(month, day, year)
    }

    /// `the 5th`, `the fifth of next month`.
    fn ordinal_day(&mut self) -> Option<Date> {
        let Token::Ordinal(day) = *self.peek()? else { return None };
        self.at += 1;
        let of_month = self.attempt(|reader| {
            reader.take(&["of"]);
            let next = reader.take(&["next"]);
            let this = !next && (reader.take(&["this"]) || reader.take(&["the"]));
            (reader.take(&["month"]) && (next || this)).then_some(next)
        });
        match of_month {
            None => self.day_of_month(day),
            Some(next) => {
                let first = self.today.first_of_month();
                let first = if next { first.checked_add(1.month()).ok()? } else { first };
                Date::new(first.year(), first.month(), i8::try_from(day).ok()?).ok()
            }
        }
    }

    /// The next day with this number in its month, today included.
    pub(super) fn day_of_month(&self, day: u32) -> Option<Date> {
        let day = i8::try_from(day).ok().filter(|day| (1..=31).contains(day))?;
        let first = self.today.first_of_month();
        (0..12)
            .filter_map(|ahead| first.checked_add(ahead.months()).ok())
            .filter_map(|month| Date::new(month.year(), month.month(), day).ok())
            .find(|date| *date >= self.today)
    }

    fn day_number(&mut self) -> Option<u32> {
        let (Token::Ordinal(day) | Token::Number { value: day @ 1..=31, digits: 0..=2 }) = *self.peek()?
        else {
            return None;
        };
        self.at += 1;
        Some(day)
    }

    fn year(&mut self) -> Option<i16> {
        let (year, tokens) = match (self.peek()?, self.ahead(1)) {
            (Token::Number { value: year @ 2000..=9999, .. }, _) => (*year, 1),
            // "twenty twenty-seven"
            (
                Token::Number { value: 20, digits: 0 },
                Some(Token::Number { value: rest @ 20..=99, digits: 0 }),
            ) => (2000 + rest, 2),
            _ => return None,
        };
        self.at += tokens;
        i16::try_from(year).ok()
    }

    /// The day of that year, or without one the next such day, today included.
    fn month_day(&self, month: i8, day: u32, year: Option<i16>) -> Option<Date> {
        let day = i8::try_from(day).ok()?;
        if let Some(year) = year {
            return Date::new(year, month, day).ok();
        }
        // The 29th of February may be seven years away.
        (0..=8)
            .filter_map(|ahead| Date::new(self.today.year().checked_add(ahead)?, month, day).ok())
            .find(|date| *date >= self.today)
    }
}

/// A written year, `26` meaning 2026; no year stays none, and an impossible one ends the reading.
#[expect(clippy::option_option, reason = "no year and an unusable year are different answers")]
fn full_year(year: Option<u32>) -> Option<Option<i16>> {
    match year {
        None => Some(None),
        Some(year @ 0..=99) => i16::try_from(2000 + year).ok().map(Some),
        Some(year) => i16::try_from(year).ok().filter(|y| (2000..=9999).contains(y)).map(Some),
    }
}
