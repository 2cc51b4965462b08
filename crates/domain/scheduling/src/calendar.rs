//! Everything that decides whether a time can be offered, at one version, and the rules themselves.

use jiff::{Timestamp, ToSpan, civil::Date};
use voxanne_kernel::{Zone, ids::ResourceId, ids::ServiceId};

use crate::{
    hours::{Interval, intersect, merged},
    outcome::Refusal,
    schedule::{BookableService, Resource, Schedule},
    slot::{MINUTES, Slot, plus_minutes},
};

/// Whether the organization serves its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Serving,
    /// It was suspended: callers are told that the line is not available.
    Suspended,
}

/// One organization's calendar without its appointments.
///
/// It may be kept for a while: what is decided with it carries `version`, and the store refuses an older one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalendarSnapshot {
    /// Counts every change to anything in here.
    pub version: i64,
    /// What the organization calls itself.
    pub organization: String,
    /// Whether callers are served.
    pub standing: Standing,
    /// The organization's zone.
    pub zone: Zone,
    /// Whether appointments made by callers wait for approval (decision D13).
    pub needs_approval: bool,
    /// Hours and rules.
    pub schedule: Schedule,
    /// What can be booked, in order of preference.
    pub resources: Vec<Resource>,
    /// What is offered.
    pub services: Vec<BookableService>,
}

/// Which service is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceChoice {
    /// By a caller's words.
    Named(String),
    /// By id.
    Id(ServiceId),
}

/// What is wanted, apart from when: how long, and on which resources.
#[derive(Debug, Clone)]
pub struct Wish<'c> {
    /// The service.
    pub service: Option<&'c BookableService>,
    /// How long.
    pub minutes: u16,
    /// The resources that would do, in order of preference.
    pub resources: Vec<&'c Resource>,
}

/// A time that keeps all rules, if it is free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The time.
    pub slot: Slot,
    /// The resources that are there then, in order of preference.
    pub candidates: Vec<ResourceId>,
}

impl CalendarSnapshot {
    /// Narrows down what is wanted.
    ///
    /// # Errors
    /// [`Refusal::UnknownService`], [`Refusal::UnknownResource`] or [`Refusal::BadDuration`].
    pub fn wish(
        &self,
        service: Option<&ServiceChoice>,
        minutes: Option<u16>,
        resource: Option<ResourceId>,
    ) -> Result<Wish<'_>, Refusal> {
        let service = service.map(|choice| self.service(choice)).transpose()?;
        let minutes = minutes
            .or_else(|| service.and_then(|service| service.minutes))
            .unwrap_or(self.schedule.slot_minutes);
        if !MINUTES.contains(&minutes) {
            return Err(Refusal::BadDuration);
        }
        let offers = |resource: &Resource| {
            service.is_none_or(|s| s.resources.is_empty() || s.resources.contains(&resource.id))
        };
        let resources: Vec<_> = self
            .resources
            .iter()
            .filter(|it| resource.is_none_or(|wanted| wanted == it.id) && offers(it))
            .collect();
        if resource.is_some() && resources.is_empty() {
            return Err(Refusal::UnknownResource);
        }
        Ok(Wish { service, minutes, resources })
    }

    fn service(&self, choice: &ServiceChoice) -> Result<&BookableService, Refusal> {
        let found = match choice {
            ServiceChoice::Id(id) => self.services.iter().find(|service| service.id == *id),
            ServiceChoice::Named(words) => self.service_named(words),
        };
        found.ok_or_else(|| Refusal::UnknownService {
            known: self.services.iter().map(|s| s.name.clone()).collect(),
        })
    }

    /// The service a caller names: its name or a keyword as whole words in what was said, the longest first.
    fn service_named(&self, said: &str) -> Option<&BookableService> {
        let said = folded(said);
        let mentions = |words: &str| {
            let words = folded(words);
            (words != "  " && said.contains(&words)).then_some(words.len())
        };
        let longest = |service: &BookableService| {
            std::iter::once(&service.name).chain(&service.keywords).filter_map(|words| mentions(words)).max()
        };
        let named = self.services.iter().filter_map(|s| longest(s).map(|length| (length, s)));
        named.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, service)| service)
    }

    /// Checks a wanted start against all rules that do not depend on other appointments.
    ///
    /// # Errors
    /// The rule that is broken, without alternatives yet.
    pub fn place(&self, wish: &Wish<'_>, starts: Timestamp, now: Timestamp) -> Result<Placement, Refusal> {
        if starts < now {
            return Err(Refusal::InPast { alternatives: Vec::new() });
        }
        let earliest = self.earliest(now);
        if starts < earliest {
            return Err(Refusal::TooSoon { earliest, alternatives: Vec::new() });
        }
        let (day, last_day) = (self.zone.date(starts), self.last_day(now));
        if day > last_day {
            return Err(Refusal::BeyondHorizon { last_day });
        }
        let slot = Slot::new(starts, wish.minutes, &self.schedule);
        let (first, last) = around(day, self.zone.date(slot.ends));
        let is_there = |resource: &&&Resource| {
            merged(&self.spans(resource, first, last)).iter().any(|open| open.contains(slot.own()))
        };
        let candidates: Vec<_> = wish.resources.iter().filter(is_there).map(|resource| resource.id).collect();
        if !candidates.is_empty() {
            return Ok(Placement { slot, candidates });
        }
        let alternatives = Vec::new();
        let closed = self.is_holiday(day) || self.schedule.hours.day(day.weekday()).is_empty();
        Err(if closed {
            Refusal::Closed { day, alternatives }
        } else {
            Refusal::OutsideHours { alternatives }
        })
    }

    /// The first instant at which an appointment made now can begin.
    pub fn earliest(&self, now: Timestamp) -> Timestamp {
        plus_minutes(now, i64::from(self.schedule.min_notice_minutes))
    }

    /// The last local day on which an appointment made now can begin.
    pub fn last_day(&self, now: Timestamp) -> Date {
        self.zone.date(now).saturating_add(i32::from(self.schedule.horizon_days).days())
    }

    /// Whether the local day is a holiday.
    pub fn is_holiday(&self, day: Date) -> bool {
        self.schedule.holidays.contains(&day)
    }

    /// When `resource` is there, span by span: the organization's hours, narrowed to its own.
    pub(crate) fn spans(&self, resource: &Resource, first: Date, last: Date) -> Vec<Interval> {
        let closed = |day| self.is_holiday(day);
        let open = self.schedule.hours.spans(&self.zone, first, last, closed);
        match &resource.hours {
            None => open,
            Some(own) => intersect(&open, &own.spans(&self.zone, first, last, closed)),
        }
    }
}

/// The days that an appointment over these days may need to be open on, nights included.
pub(crate) fn around(first: Date, last: Date) -> (Date, Date) {
    (first.yesterday().unwrap_or(first), last.tomorrow().unwrap_or(last))
}

/// Lower case without accents, one space around every word, so that whole words can be looked for.
fn folded(text: &str) -> String {
    use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
    // Names are folded at every booking, and nearly all of them are plain already.
    let plain: String = if text.is_ascii() {
        text.to_ascii_lowercase()
    } else {
        text.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
    };
    let mut folded = String::with_capacity(plain.len() + 2);
    folded.push(' ');
    for word in plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        folded.push_str(word);
        folded.push(' ');
    }
    if folded == " " { "  ".into() } else { folded }
}
