//! Times of day: `2pm`, `2:30 p.m.`, `14:00`, `14h`, `half past two`, `two thirty`, `noon`.

use jiff::civil::Time;

use super::{Reader, SpokenTime, words::Token};

/// Twelve hours after a time of the first half of the day.
pub(super) fn later(morning: Time) -> Time {
    at(u32::from(morning.hour().unsigned_abs() % 12) + 12, u32::from(morning.minute().unsigned_abs()))
        .unwrap_or(morning)
}

/// The wall-clock time, if there is one.
pub(super) fn at(hour: u32, minute: u32) -> Option<Time> {
    Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()
}

/// Which half of the day was named.
#[derive(Clone, Copy)]
enum Half {
    Before,
    After,
}

impl Reader<'_> {
    /// Reads a time of day, with `am`, `in the afternoon` and the like behind it.
    pub(super) fn time(&mut self) -> Option<SpokenTime> {
        self.attempt(|reader| {
            if let Some(time) = reader.named_time() {
                return Some(SpokenTime::At(time));
            }
            let (hour, minute, exact) = reader.relative_to_hour().or_else(|| reader.hour_and_minute())?;
            reader.take(&["o'clock", "oclock"]);
            let half = reader.half_of_day();
            settle(hour, minute, exact, half)
        })
    }

    fn named_time(&mut self) -> Option<Time> {
        if self.take(&["noon", "midday", "noontime"]) {
            return at(12, 0);
        }
        self.take(&["midnight"]).then(|| at(0, 0)).flatten()
    }

    /// `half past two`, `quarter to three`, `ten minutes past nine`.
    fn relative_to_hour(&mut self) -> Option<(u32, u32, bool)> {
        self.attempt(|reader| {
            reader.take(&["a"]);
            let minutes = match reader.peek()? {
                Token::Word(word) if word == "half" => 30,
                Token::Word(word) if word == "quarter" => 15,
                Token::Number { value: minutes @ 1..=59, .. } => *minutes,
                _ => return None,
            };
            reader.at += 1;
            reader.take(&["minutes", "minute"]);
            let past = reader.take(&["past", "after"]);
            if !past && !reader.take(&["to", "before", "till", "of"]) {
                return None;
            }
            if let Some(time) = reader.named_time() {
                let hour = u32::from(time.hour().unsigned_abs());
                return Some(if past {
                    (hour, minutes, true)
                } else {
                    ((hour + 23) % 24, 60 - minutes, true)
                });
            }
            let Token::Number { value: hour @ 1..=24, .. } = *reader.peek()? else { return None };
            reader.at += 1;
            match (past, hour) {
                (true, hour) => Some((hour, minutes, false)),
                (false, 1) => Some((12, 60 - minutes, false)),
                (false, hour) => Some((hour - 1, 60 - minutes, false)),
            }
        })
    }

    fn hour_and_minute(&mut self) -> Option<(u32, u32, bool)> {
        match *self.peek()? {
            Token::Clock { hour, minute, padded } => {
                self.at += 1;
                Some((hour, minute, padded))
            }
            Token::Dotted(hour, minute @ 0..=59, None) => {
                self.at += 1;
                Some((hour, minute, false))
            }
            Token::Number { value: hour, digits: 0..=2 } => {
                self.at += 1;
                let minute = self.minute_after_hour();
                Some((hour, minute, false))
            }
            _ => None,
        }
    }

    /// The `thirty` of `two thirty`, the `oh five` of `two oh five`, the `hundred` of `fourteen hundred`.
    fn minute_after_hour(&mut self) -> u32 {
        if self.take(&["hundred"]) {
            self.take(&["hours"]);
            return 0;
        }
        if matches!(self.word(0), Some("oh" | "o"))
            && let Some(&Token::Number { value: minute @ 1..=9, .. }) = self.ahead(1)
        {
            self.at += 2;
            return minute;
        }
        match self.peek() {
            Some(Token::Number { value: minute @ 10..=59, digits: 0 | 2 }) => {
                let minute = *minute;
                self.at += 1;
                minute
            }
            _ => 0,
        }
    }

    fn half_of_day(&mut self) -> Option<Half> {
        if self.take(&["am"]) {
            return Some(Half::Before);
        }
        if self.take(&["pm"]) {
            return Some(Half::After);
        }
        self.attempt(|reader| {
            if !reader.take(&["in", "at"]) {
                return None;
            }
            reader.take(&["the"]);
            if reader.take(&["morning"]) {
                return Some(Half::Before);
            }
            reader.take(&["afternoon", "evening", "night"]).then_some(Half::After)
        })
    }
}

fn settle(hour: u32, minute: u32, exact: bool, half: Option<Half>) -> Option<SpokenTime> {
    let time = match half {
        Some(Half::Before) if hour <= 12 => at(hour % 12, minute)?,
        Some(Half::After) if (1..=12).contains(&hour) => at(hour % 12 + 12, minute)?,
        // "14:00 pm" is redundant, not wrong; "14:00 am" contradicts itself.
        Some(Half::After) if hour > 12 => at(hour, minute)?,
        Some(_) => return None,
        None if exact || hour == 0 || hour >= 12 => at(hour, minute)?,
        None => return at(hour, minute).map(SpokenTime::Either),
    };
    Some(SpokenTime::At(time))
}
