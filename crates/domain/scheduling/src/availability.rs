//! Free times: all in a span, or the nearest to one that was refused.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use voxanne_kernel::{Begin, Clock, OrgScope, StoreError, Zone, ids::ResourceId};

use crate::{
    calendar::{CalendarSnapshot, ServiceChoice, Standing, Wish, around},
    hours::{Interval, merged},
    outcome::{Refusal, Refused},
    ports::{BusyAt, CalendarSnapshots, LookTx},
    slot::{Busy, Slot, plus_minutes},
    spoken::{self, Field, NotUnderstood, PartOfDay, SpokenTime},
};

/// A time that is free on a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeSlot {
    /// When an appointment could begin.
    pub start: Timestamp,
    /// When it would end.
    pub end: Timestamp,
    /// What it would hold.
    pub resource: ResourceId,
}

/// How many alternatives a refusal offers.
const ALTERNATIVES: usize = 3;
/// How far around a refused time alternatives are looked for first, and how far if that is not enough.
pub(crate) const NEARBY: SignedDuration = SignedDuration::from_hours(7 * 24);
const FAR: SignedDuration = SignedDuration::from_hours(60 * 24);

impl Interval {
    /// The time from `around` less `reach` to `around` plus `reach`.
    pub(crate) fn about(around: Timestamp, reach: SignedDuration) -> Self {
        let minutes = reach.as_mins();
        Self { start: plus_minutes(around, -minutes), end: plus_minutes(around, minutes) }
    }
}

impl CalendarSnapshot {
    /// The starts inside `window` that are free for `wish`, earliest first, on each resource.
    pub fn free(&self, wish: &Wish<'_>, window: Interval, busy: &[Busy], now: Timestamp) -> Vec<FreeSlot> {
        let horizon = self.zone.start_of_day(self.last_day(now).tomorrow().unwrap_or(Date::MAX));
        let (from, until) = (window.start.max(self.earliest(now)), window.end.min(horizon));
        if from >= until {
            return Vec::new();
        }
        let (first, last) = around(self.zone.date(from), self.zone.date(until));
        let step = SignedDuration::from_mins(i64::from(self.schedule.slot_minutes.max(1)));
        let mut free = Vec::new();
        for resource in &wish.resources {
            let spans = self.spans(resource, first, last);
            let open = merged(&spans);
            let busy: Vec<_> =
                busy.iter().filter(|b| b.resource == resource.id).map(Busy::interval).collect();
            for span in &spans {
                let mut start = span.start;
                while start < span.end {
                    let slot = Slot::new(start, wish.minutes, &self.schedule);
                    let fits = (from..until).contains(&start)
                        && open.iter().any(|open| open.contains(slot.own()))
                        && !busy.iter().any(|busy| busy.overlaps(slot.blocked()));
                    if fits {
                        free.push(FreeSlot { start, end: slot.ends, resource: resource.id });
                    }
                    start += step;
                }
            }
        }
        // Stable: of one time, the preferred resource stays first.
        free.sort_by_key(|slot| slot.start);
        free
    }

    /// The free starts nearest to `asked`, of which `busy` must cover `reach` around, earliest first.
    pub(crate) fn nearest(
        &self,
        wish: &Wish<'_>,
        asked: Timestamp,
        reach: SignedDuration,
        busy: &[Busy],
        now: Timestamp,
    ) -> Vec<FreeSlot> {
        let starts = |reach| {
            let mut free = self.free(wish, Interval::about(asked, reach), busy, now);
            free.dedup_by_key(|slot| slot.start);
            free
        };
        // Whatever is free within a day is nearer than anything beyond it, so mostly a day is all there is to do.
        let mut free = starts(SignedDuration::from_hours(24).min(reach));
        if free.len() < ALTERNATIVES {
            free = starts(reach);
        }
        free.sort_by_key(|slot| slot.start.duration_since(asked).abs());
        free.truncate(ALTERNATIVES);
        free.sort_by_key(|slot| slot.start);
        free
    }
}

/// The nearest free times if `busy`, which covers [`NEARBY`], holds enough of them; else read from further around.
pub(crate) async fn alternatives_knowing(
    busy: &[Busy],
    store: &dyn Begin<dyn LookTx>,
    scope: &OrgScope,
    calendar: &CalendarSnapshot,
    wish: &Wish<'_>,
    asked: Timestamp,
    now: Timestamp,
) -> Result<Vec<FreeSlot>, StoreError> {
    let free = calendar.nearest(wish, asked, NEARBY, busy, now);
    if free.len() >= ALTERNATIVES {
        Ok(free)
    } else {
        alternatives(store, scope, calendar, wish, asked, now).await
    }
}

/// The nearest free times to a refused one, read from the store.
pub(crate) async fn alternatives(
    store: &dyn Begin<dyn LookTx>,
    scope: &OrgScope,
    calendar: &CalendarSnapshot,
    wish: &Wish<'_>,
    asked: Timestamp,
    now: Timestamp,
) -> Result<Vec<FreeSlot>, StoreError> {
    let asked = asked.max(now);
    for reach in [NEARBY, FAR] {
        let BusyAt { spans, .. } = busy(store, scope, Interval::about(asked, reach)).await?;
        let free = calendar.nearest(wish, asked, reach, &spans, now);
        if free.len() >= ALTERNATIVES || reach == FAR {
            return Ok(free);
        }
    }
    Ok(Vec::new())
}

/// `window` and a day on either side: an appointment that begins in the window may end after it.
pub(crate) fn with_margin(window: Interval) -> Interval {
    let day = 24 * 60;
    Interval { start: plus_minutes(window.start, -day), end: plus_minutes(window.end, day) }
}

async fn busy(
    store: &dyn Begin<dyn LookTx>,
    scope: &OrgScope,
    window: Interval,
) -> Result<BusyAt, StoreError> {
    store.begin(scope).await?.busy(with_margin(window), None).await
}

/// A caller's question for free times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpokenQuestion {
    /// The day in the caller's words, possibly with a time.
    pub date: String,
    /// The service, in the caller's words.
    pub service: Option<String>,
    /// A part of the day, or a time.
    pub time_of_day: Option<String>,
}

/// The answer to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Openings {
    /// The day that was understood.
    pub day: Date,
    /// The zone in which times are said.
    pub zone: Zone,
    /// The time asked for, if one was, and whether it is free.
    pub asked: Option<(Timestamp, bool)>,
    /// The free starts of that day, earliest first, each once, of the part of the day asked for.
    pub starts: Vec<Timestamp>,
    /// The nearest free times, if nothing that was asked for is free.
    pub alternatives: Vec<FreeSlot>,
}

/// A program's question for free times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The service.
    pub service: Option<ServiceChoice>,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
}

/// Why free times could not be told.
#[derive(Debug, thiserror::Error)]
pub enum AvailabilityError {
    /// The question makes no sense here.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds free times.
pub struct CheckAvailability {
    calendars: Arc<dyn CalendarSnapshots>,
    store: Arc<dyn Begin<dyn LookTx>>,
    clock: Arc<dyn Clock>,
}

impl CheckAvailability {
    /// With its ports.
    pub fn new(
        calendars: Arc<dyn CalendarSnapshots>,
        store: Arc<dyn Begin<dyn LookTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { calendars, store, clock }
    }

    /// All free times of a span, earliest first, on each resource, and the organization's zone.
    pub async fn between(
        &self,
        scope: &OrgScope,
        question: &Question,
    ) -> Result<(Zone, Vec<FreeSlot>), AvailabilityError> {
        let window = Interval { start: question.from, end: question.to };
        let (calendar, busy) = self.calendar_and_busy(scope, window).await?;
        let wish = calendar
            .wish(question.service.as_ref(), None, None)
            .map_err(|why| Refused { zone: calendar.zone.clone(), why })?;
        let free = calendar.free(&wish, window, &busy, self.clock.now());
        Ok((calendar.zone.clone(), free))
    }

    /// The free times of the day a caller asks for.
    pub async fn for_caller(
        &self,
        scope: &OrgScope,
        question: &SpokenQuestion,
    ) -> Result<Openings, AvailabilityError> {
        let now = self.clock.now();
        let zone = self.current(scope).await?.zone.clone();
        let asked = Asked::read(question, &zone, now).map_err(|what| {
            AvailabilityError::Refused(Refused { zone: zone.clone(), why: Refusal::NotUnderstood { what } })
        })?;
        let start = zone.start_of_day(asked.day);
        let window = Interval { start, end: zone.start_of_day(asked.day.tomorrow().unwrap_or(Date::MAX)) };
        let (calendar, busy) = self.calendar_and_busy(scope, window).await?;
        let refused = |why| Refused { zone: calendar.zone.clone(), why };
        if calendar.standing == Standing::Suspended {
            return Err(refused(Refusal::LineUnavailable).into());
        }
        let service = question.service.clone().map(ServiceChoice::Named);
        let wish = calendar.wish(service.as_ref(), None, None).map_err(refused)?;
        let mut free = calendar.free(&wish, window, &busy, now);
        free.dedup_by_key(|slot| slot.start);

        let local = |at: Timestamp| calendar.zone.local(at).time();
        let spans = calendar.schedule.hours.day(asked.day.weekday());
        let asked_at = asked.time.map(|said| {
            let time = said.settle(|time| spans.iter().any(|span| span.includes(time)));
            instant(&calendar.zone, asked.day, time)
        });
        let is_free = |at: Timestamp| {
            calendar.place(&wish, at, now).is_ok_and(|placement| {
                let blocked = placement.slot.blocked();
                placement
                    .candidates
                    .iter()
                    .any(|id| !busy.iter().any(|b| b.resource == *id && b.interval().overlaps(blocked)))
            })
        };
        let starts: Vec<_> = free
            .iter()
            .map(|slot| slot.start)
            .filter(|start| asked.part.is_none_or(|part| part.includes(local(*start))))
            .collect();
        let asked_at = asked_at.map(|at| (at, is_free(at)));
        let satisfied = asked_at.map_or(!starts.is_empty(), |(_, free)| free);
        let alternatives = if satisfied {
            Vec::new()
        } else {
            let near = asked_at.map_or_else(|| noonish(&calendar.zone, asked.day, asked.part), |(at, _)| at);
            alternatives(&*self.store, scope, &calendar, &wish, near, now).await?
        };
        Ok(Openings { day: asked.day, zone: calendar.zone.clone(), asked: asked_at, starts, alternatives })
    }

    async fn current(&self, scope: &OrgScope) -> Result<Arc<CalendarSnapshot>, AvailabilityError> {
        self.calendars.current(scope).await?.ok_or_else(nobody)
    }

    /// The calendar and what is booked in `window`, of the same version.
    async fn calendar_and_busy(
        &self,
        scope: &OrgScope,
        window: Interval,
    ) -> Result<(Arc<CalendarSnapshot>, Vec<Busy>), AvailabilityError> {
        let calendar = self.current(scope).await?;
        let busy = busy(&*self.store, scope, window).await?;
        if calendar.version == busy.version {
            return Ok((calendar, busy.spans));
        }
        let calendar = self.calendars.fresh(scope).await?.ok_or_else(nobody)?;
        Ok((calendar, busy.spans))
    }
}

fn nobody() -> AvailabilityError {
    AvailabilityError::Refused(Refused { zone: Zone::utc(), why: Refusal::LineUnavailable })
}

/// What a caller asked for, understood.
struct Asked {
    day: Date,
    time: Option<SpokenTime>,
    part: Option<PartOfDay>,
}

impl Asked {
    fn read(question: &SpokenQuestion, zone: &Zone, now: Timestamp) -> Result<Self, NotUnderstood> {
        let now = zone.local(now);
        let heard = spoken::hear(&question.date, Field::Date, &now)?;
        // A part of the day that is not understood narrows nothing down; the caller then hears of the whole day.
        let also = question
            .time_of_day
            .as_deref()
            .map(|text| spoken::hear(text, Field::Time, &now).unwrap_or_default());
        let also = also.unwrap_or_default();
        let part =
            also.part.or(heard.part).or_else(|| question.time_of_day.as_deref().and_then(PartOfDay::read));
        Ok(Self {
            day: heard.date.or(also.date).ok_or(NotUnderstood::DateMissing)?,
            time: also.time.or(heard.time),
            part,
        })
    }
}

fn instant(zone: &Zone, day: Date, time: jiff::civil::Time) -> Timestamp {
    use voxanne_kernel::zone::LocalTime;
    match zone.resolve(day.to_datetime(time)) {
        LocalTime::Once(at) | LocalTime::Twice(at) | LocalTime::Never { at, .. } => at,
    }
}

/// The middle of what was asked for, to which alternatives should be near.
fn noonish(zone: &Zone, day: Date, part: Option<PartOfDay>) -> Timestamp {
    let hour = match part {
        Some(PartOfDay::Morning) => 10,
        None => 12,
        Some(PartOfDay::Afternoon) => 14,
        Some(PartOfDay::Evening) => 18,
    };
    instant(zone, day, jiff::civil::time(hour, 0, 0, 0))
}
