//! Opening hours per weekday, as wall-clock spans, and what they mean in instants on a given day.

use std::{collections::BTreeMap, fmt};

use jiff::{
    Span, Timestamp,
    civil::{Date, Time, Weekday},
};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Zone, zone::LocalTime};

/// Minutes in a calendar day as the wall clock counts them.
const DAY_END: u16 = 24 * 60;

/// A stretch of real time, its end excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// Its first instant.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl Interval {
    /// Whether `other` lies inside it entirely.
    pub fn contains(&self, other: Interval) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two share any time.
    pub fn overlaps(&self, other: Interval) -> bool {
        self.start < other.end && other.start < self.end
    }

    fn intersection(self, other: Interval) -> Option<Interval> {
        let both = Interval { start: self.start.max(other.start), end: self.end.min(other.end) };
        (both.start < both.end).then_some(both)
    }
}

/// A span of a day on the wall clock, its end excluded; `24:00` is the day's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DaySpan {
    from: u16,
    to: u16,
}

impl DaySpan {
    /// Reads `from` and `to`, each `HH:MM`.
    ///
    /// # Errors
    /// A [`SpanProblem`] when one is not a time of day, or the span does not run forward.
    pub fn parse(from: &str, to: &str) -> Result<Self, SpanProblem> {
        let from = minute_of_day(from).filter(|m| *m < DAY_END).ok_or(SpanProblem::From)?;
        let to = minute_of_day(to).ok_or(SpanProblem::To)?;
        if from < to { Ok(Self { from, to }) } else { Err(SpanProblem::Backwards) }
    }

    /// When it begins, `HH:MM`.
    pub fn from(&self) -> String {
        hh_mm(self.from)
    }

    /// When it ends, `HH:MM`.
    pub fn to(&self) -> String {
        hh_mm(self.to)
    }

    /// Whether the wall-clock time falls in it.
    pub fn includes(&self, time: Time) -> bool {
        let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
        (i32::from(self.from)..i32::from(self.to)).contains(&minute)
    }

    fn on(self, day: Date, zone: &Zone) -> Interval {
        Interval { start: instant(day, self.from, zone), end: instant(day, self.to, zone) }
    }
}

/// What is wrong with one span of opening hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpanProblem {
    /// `from` is no time of day.
    #[error("`from` must be a time such as 09:00")]
    From,
    /// `to` is no time of day.
    #[error("`to` must be a time such as 17:00, at most 24:00")]
    To,
    /// It ends before it begins.
    #[error("`to` must be later than `from`; split a night into two days at 24:00")]
    Backwards,
    /// It overlaps the span before it.
    #[error("spans of one day must not overlap")]
    Overlapping,
    /// There are more spans in a day than anybody needs.
    #[error("a day holds at most 12 spans")]
    TooMany,
}

/// A problem in weekly hours, with the place it is in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct HoursProblem {
    /// The weekday's short name, `mon` to `sun`.
    pub day: &'static str,
    /// Which span of that day.
    pub span: usize,
    /// What is wrong.
    pub problem: SpanProblem,
}

/// When something is open in a usual week. Days without spans are closed.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, Vec<WireSpan>>", into = "BTreeMap<String, Vec<WireSpan>>")]
pub struct WeekHours([Vec<DaySpan>; 7]);

/// The short names of the days, Monday first, as stored and sent.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MOST_SPANS: usize = 12;

impl WeekHours {
    /// Takes the spans of each day, Monday first, in any order.
    ///
    /// # Errors
    /// A [`HoursProblem`] that names the first span that overlaps another, or a day with too many.
    pub fn new(mut days: [Vec<DaySpan>; 7]) -> Result<Self, HoursProblem> {
        for (spans, day) in days.iter_mut().zip(DAYS) {
            if spans.len() > MOST_SPANS {
                return Err(HoursProblem { day, span: MOST_SPANS, problem: SpanProblem::TooMany });
            }
            spans.sort_unstable();
            if let Some(at) = spans.windows(2).position(|pair| pair[0].to > pair[1].from) {
                return Err(HoursProblem { day, span: at + 1, problem: SpanProblem::Overlapping });
            }
        }
        Ok(Self(days))
    }

    /// Monday to Friday, 09:00 to 17:00.
    pub fn office() -> Self {
        let open = vec![DaySpan { from: 9 * 60, to: 17 * 60 }];
        let mut days: [Vec<DaySpan>; 7] = Default::default();
        days[..5].fill(open);
        Self(days)
    }

    /// The spans of one weekday, in order.
    pub fn day(&self, day: Weekday) -> &[DaySpan] {
        &self.0[usize::try_from(day.to_monday_zero_offset()).unwrap_or_default()]
    }

    /// The days with their short names, Monday first.
    pub fn days(&self) -> impl Iterator<Item = (&'static str, &[DaySpan])> {
        DAYS.into_iter().zip(self.0.iter().map(Vec::as_slice))
    }

    /// The spans from `first` to `last`, both included, except on `closed` days, as instants in order.
    pub(crate) fn spans(
        &self,
        zone: &Zone,
        first: Date,
        last: Date,
        closed: impl Fn(Date) -> bool,
    ) -> Vec<Interval> {
        let days =
            first.series(Span::new().days(1)).take_while(|day| *day <= last).filter(|day| !closed(*day));
        days.flat_map(|day| self.day(day.weekday()).iter().map(move |span| span.on(day, zone)))
            // A span inside a skipped hour has no time in it.
            .filter(|span| span.start < span.end)
            .collect()
    }
}

/// `spans`, in order, with those that touch made one: an appointment may run over midnight where the hours do.
pub(crate) fn merged(spans: &[Interval]) -> Vec<Interval> {
    let mut merged: Vec<Interval> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(before) if before.end >= span.start => before.end = before.end.max(span.end),
            _ => merged.push(*span),
        }
    }
    merged
}

/// The parts of `a` that are also in `b`; both in order and free of overlaps.
pub(crate) fn intersect(a: &[Interval], b: &[Interval]) -> Vec<Interval> {
    a.iter().flat_map(|x| b.iter().filter_map(|y| x.intersection(*y))).collect()
}

fn instant(day: Date, minute: u16, zone: &Zone) -> Timestamp {
    if minute == DAY_END {
        return zone.start_of_day(day.tomorrow().unwrap_or(Date::MAX));
    }
    let (hour, minute) = hour_and_minute(minute);
    match zone.resolve(day.at(hour, minute, 0, 0)) {
        LocalTime::Once(at) | LocalTime::Twice(at) | LocalTime::Never { at, .. } => at,
    }
}

fn hour_and_minute(minute: u16) -> (i8, i8) {
    (i8::try_from(minute / 60).unwrap_or_default(), i8::try_from(minute % 60).unwrap_or_default())
}

fn hh_mm(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

fn minute_of_day(text: &str) -> Option<u16> {
    let two_digits = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten().map(u16::from);
    let (hour, minute) = text.split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= DAY_END && !text.contains('+')).then_some(total)
}

/// A span as stored and sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSpan {
    from: String,
    to: String,
}

/// Stored weekly hours that break a rule.
#[derive(Debug, thiserror::Error)]
enum WireProblem {
    #[error("{0} is not one of mon, tue, wed, thu, fri, sat, sun")]
    Day(String),
    #[error("hours.{}[{}]", .0.day, .0.span)]
    Span(#[source] HoursProblem),
}

impl TryFrom<BTreeMap<String, Vec<WireSpan>>> for WeekHours {
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn try_from(wire: BTreeMap<String, Vec<WireSpan>>) -> Result<Self, Self::Error> {
        let mut days: [Vec<DaySpan>; 7] = Default::default();
        for (name, spans) in wire {
            let Some(at) = DAYS.iter().position(|day| *day == name) else {
                return Err(WireProblem::Day(name).into());
            };
            for (span, wire) in spans.iter().enumerate() {
                let parsed = DaySpan::parse(&wire.from, &wire.to)
                    .map_err(|problem| WireProblem::Span(HoursProblem { day: DAYS[at], span, problem }))?;
                days[at].push(parsed);
            }
        }
        Ok(Self::new(days).map_err(WireProblem::Span)?)
    }
}

impl From<WeekHours> for BTreeMap<String, Vec<WireSpan>> {
    fn from(hours: WeekHours) -> Self {
        let wire = |span: &DaySpan| WireSpan { from: span.from(), to: span.to() };
        hours.days().map(|(day, spans)| (day.into(), spans.iter().map(wire).collect())).collect()
    }
}

impl fmt::Debug for WeekHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text =
            |spans: &[DaySpan]| spans.iter().map(|s| format!("{}–{}", s.from(), s.to())).collect::<Vec<_>>();
        f.debug_map().entries(self.days().map(|(day, spans)| (day, text(spans)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_span_is_two_times_of_day_that_run_forward() {
        assert_eq!(DaySpan::parse("09:00", "17:30").unwrap().to(), "17:30");
        assert_eq!(DaySpan::parse("22:00", "24:00").unwrap().to(), "24:00");
        for (from, to, problem) in [
            ("9:00", "17:00", SpanProblem::From),
            ("24:00", "24:00", SpanProblem::From),
            ("09:60", "17:00", SpanProblem::From),
            ("+9:00", "17:00", SpanProblem::From),
            ("09:00", "25:00", SpanProblem::To),
            ("09:00", "24:01", SpanProblem::To),
            ("09:00", "", SpanProblem::To),
            ("17:00", "09:00", SpanProblem::Backwards),
            ("09:00", "09:00", SpanProblem::Backwards),
        ] {
            assert_eq!(DaySpan::parse(from, to), Err(problem), "{from}–{to}");
        }
    }

    #[test]
    fn overlapping_spans_are_refused_where_they_are() {
        let mut days: [Vec<DaySpan>; 7] = Default::default();
        days[1] = vec![DaySpan::parse("12:00", "17:00").unwrap(), DaySpan::parse("09:00", "12:30").unwrap()];
        let problem = WeekHours::new(days).unwrap_err();
        assert_eq!((problem.day, problem.span, problem.problem), ("tue", 1, SpanProblem::Overlapping));
    }

    #[test]
    fn hours_read_back_as_they_were_written() {
        let text = serde_json::to_string(&WeekHours::office()).unwrap();
        assert_eq!(serde_json::from_str::<WeekHours>(&text).unwrap(), WeekHours::office());
        assert!(serde_json::from_str::<WeekHours>(r#"{"monday":[]}"#).is_err());
    }

    #[test]
    fn a_night_that_touches_midnight_is_one_stretch() {
        let mut days: [Vec<DaySpan>; 7] = Default::default();
        days[4] = vec![DaySpan::parse("20:00", "24:00").unwrap()];
        days[5] = vec![DaySpan::parse("00:00", "02:00").unwrap()];
        let hours = WeekHours::new(days).unwrap();
        let open = merged(&hours.spans(&Zone::utc(), date(2026, 12, 4), date(2026, 12, 5), |_| false));
        assert_eq!(open.len(), 1);
        assert_eq!(open[0].end, "2026-12-05T02:00:00Z".parse().unwrap());
    }

    #[test]
    fn a_day_with_a_skipped_hour_is_shorter() {
        let mut days: [Vec<DaySpan>; 7] = Default::default();
        days[6] = vec![DaySpan::parse("00:00", "24:00").unwrap()];
        let hours = WeekHours::new(days).unwrap();
        let paris = Zone::new("Europe/Paris").unwrap();
        let day = date(2026, 3, 29);
        let open = hours.spans(&paris, day, day, |_| false);
        assert_eq!(open[0].end.duration_since(open[0].start).as_hours(), 23);
    }
}
