//! What callers say about days and times (`spec/06-scheduling.md`): `tomorrow 2pm`, `the 5th`, `half past two`.
//!
//! Words are read relative to the organization's local now. Nothing is guessed beyond the readings listed in
//! [`words`], `date` and `time`: what cannot be understood is an error that says what to ask again.

mod date;
mod time;
pub mod words;

use jiff::{
    Zoned,
    civil::{Date, DateTime, Time, Weekday},
};
use serde::{Deserialize, Serialize};

use words::Token;

/// Longer texts are not a day or a time.
const LONGEST: usize = 120;

/// What to ask the caller again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NotUnderstood {
    /// No day was named.
    #[error("which day is meant?")]
    DateMissing,
    /// The day makes no sense, or may mean two days.
    #[error("the day was not understood")]
    Date,
    /// No time was named, or only a part of the day.
    #[error("what time is meant?")]
    TimeMissing,
    /// The time makes no sense.
    #[error("the time was not understood")]
    Time,
}

/// A part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartOfDay {
    /// Before noon.
    Morning,
    /// From noon to five.
    Afternoon,
    /// From five on.
    Evening,
}

impl PartOfDay {
    /// Whether the wall-clock time belongs to it.
    pub fn includes(self, time: Time) -> bool {
        match self {
            Self::Morning => time.hour() < 12,
            Self::Afternoon => (12..17).contains(&time.hour()),
            Self::Evening => time.hour() >= 17,
        }
    }

    /// Finds one in a caller's words.
    pub fn read(text: &str) -> Option<Self> {
        words::tokens(text).iter().find_map(|token| match token {
            Token::Word(word) => Self::word(word),
            _ => None,
        })
    }

    fn word(word: &str) -> Option<Self> {
        match word {
            "morning" | "mornings" | "am" | "forenoon" => Some(Self::Morning),
            "afternoon" | "afternoons" | "pm" => Some(Self::Afternoon),
            "evening" | "evenings" | "night" | "tonight" => Some(Self::Evening),
            _ => None,
        }
    }
}

/// A time of day as it was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpokenTime {
    /// One reading.
    At(Time),
    /// A bare hour of the twelve-hour clock: this time before noon, or twelve hours later.
    Either(Time),
}

impl SpokenTime {
    /// The reading that was probably meant: the one in opening hours if only one is, else seven to eleven in the
    /// morning and one to six in the afternoon.
    pub fn settle(self, is_open: impl Fn(Time) -> bool) -> Time {
        match self {
            Self::At(time) => time,
            Self::Either(morning) => {
                let later = time::later(morning);
                match (is_open(morning), is_open(later)) {
                    (true, false) => morning,
                    (false, true) => later,
                    _ if morning.hour() >= 7 => morning,
                    _ => later,
                }
            }
        }
    }
}

/// What was heard in one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    /// The day.
    pub date: Option<Date>,
    /// The time.
    pub time: Option<SpokenTime>,
    /// A part of the day, when no time was named.
    pub part: Option<PartOfDay>,
}

/// Which argument a text was given for; a bare number means a day of the month in one and an hour in the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The day, possibly with a time.
    Date,
    /// The time, possibly with a day.
    Time,
}

/// Reads one text.
///
/// # Errors
/// [`NotUnderstood::Date`] or [`NotUnderstood::Time`] by `field`, when any of its words is left over.
pub fn hear(text: &str, field: Field, now: &Zoned) -> Result<Heard, NotUnderstood> {
    let refused = match field {
        Field::Date => NotUnderstood::Date,
        Field::Time => NotUnderstood::Time,
    };
    if text.len() > LONGEST {
        return Err(refused);
    }
    if let Some(exact) = timestamp(text.trim(), now) {
        return Ok(Heard { date: Some(exact.date()), time: Some(SpokenTime::At(exact.time())), part: None });
    }
    let tokens = words::tokens(text);
    Reader { tokens: &tokens, at: 0, today: now.date() }.all(field).ok_or(refused)
}

/// Reads the two arguments of a tool call together; either may hold both, and what the time's own argument says wins.
///
/// # Errors
/// [`NotUnderstood`] says what to ask again.
pub fn understand(date: &str, time: &str, now: &Zoned) -> Result<(Date, SpokenTime), NotUnderstood> {
    let day = hear(date, Field::Date, now)?;
    let hour = hear(time, Field::Time, now)?;
    let part = hour.part.or(day.part);
    let date = day.date.or(hour.date).ok_or(NotUnderstood::DateMissing)?;
    let said = hour.time.or(day.time).ok_or(NotUnderstood::TimeMissing)?;
    let time = match (said, part) {
        (SpokenTime::Either(morning), Some(PartOfDay::Morning)) => SpokenTime::At(morning),
        (SpokenTime::Either(morning), Some(_)) => SpokenTime::At(time::later(morning)),
        _ => said,
    };
    Ok((date, time))
}

/// A date and time as machines write them; an offset is honoured, without one it is local.
fn timestamp(text: &str, now: &Zoned) -> Option<DateTime> {
    let looks_like_one = text.len() >= 16 && text.as_bytes().get(4) == Some(&b'-') && text.contains(':');
    if !looks_like_one {
        return None;
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(at.to_zoned(now.time_zone().clone()).datetime());
    }
    text.parse::<DateTime>().ok()
}

/// Walks over the tokens of one text.
struct Reader<'t> {
    tokens: &'t [Token],
    at: usize,
    today: Date,
}

impl Reader<'_> {
    fn all(mut self, field: Field) -> Option<Heard> {
        let mut heard = Heard::default();
        let mut weekday: Option<(Weekday, Date)> = None;
        while self.at < self.tokens.len() {
            if let Some(day) = self.weekday() {
                if weekday.replace(day).is_some_and(|before| before != day) {
                    return None;
                }
            } else if let Some(date) = self.date() {
                if heard.date.replace(date).is_some_and(|before| before != date) {
                    return None;
                }
            } else {
                let understood = self.part(&mut heard)
                    || self.lone_number(field, &mut heard)
                    || (heard.time.is_none() && self.clock(&mut heard))
                    || self.filler();
                if !understood {
                    return None;
                }
            }
        }
        match (weekday, heard.date) {
            // "Tuesday the 5th" is one day only if the 5th is a Tuesday.
            (Some((weekday, _)), Some(date)) if date.weekday() != weekday => return None,
            (Some((_, date)), None) => heard.date = Some(date),
            _ => {}
        }
        Some(heard)
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn ahead(&self, by: usize) -> Option<&Token> {
        self.tokens.get(self.at + by)
    }

    fn word(&self, by: usize) -> Option<&str> {
        match self.ahead(by) {
            Some(Token::Word(word)) => Some(word),
            _ => None,
        }
    }

    /// Consumes the next word if it is one of `words`.
    fn take(&mut self, words: &[&str]) -> bool {
        let found = self.word(0).is_some_and(|word| words.contains(&word));
        if found {
            self.at += 1;
        }
        found
    }

    /// Runs `read`, and goes back to where it was if that finds nothing.
    fn attempt<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.at;
        let found = read(self);
        if found.is_none() {
            self.at = before;
        }
        found
    }

    fn clock(&mut self, heard: &mut Heard) -> bool {
        let time = self.time();
        if time.is_some() {
            heard.time = time;
        }
        time.is_some()
    }

    /// A number that is the whole text: a day of the month, or in the time's argument four digits of a 24-hour clock.
    fn lone_number(&mut self, field: Field, heard: &mut Heard) -> bool {
        let [Token::Number { value, digits }] = *self.tokens else { return false };
        match field {
            Field::Date => heard.date = self.day_of_month(value),
            Field::Time if digits == 4 => heard.time = time::at(value / 100, value % 100).map(SpokenTime::At),
            Field::Time => {}
        }
        let understood = heard.date.is_some() || heard.time.is_some();
        self.at += usize::from(understood);
        understood
    }

    fn filler(&mut self) -> bool {
        let filler = self.peek().is_some_and(words::is_filler);
        self.at += usize::from(filler);
        filler
    }

    fn part(&mut self, heard: &mut Heard) -> bool {
        let today = self.take(&["this"]);
        let tonight = self.word(0) == Some("tonight");
        let part = self.word(0).filter(|word| !matches!(*word, "am" | "pm")).and_then(PartOfDay::word);
        if let Some(part) = part {
            self.at += 1;
            heard.part = Some(part);
            if today || tonight {
                heard.date = heard.date.or(Some(self.today));
            }
        } else {
            self.at -= usize::from(today);
        }
        part.is_some()
    }
}

#[cfg(test)]
mod tests;
