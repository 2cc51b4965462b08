//! An organization's booking rules and the resources that can be booked.

use std::collections::BTreeSet;

use jiff::civil::Date;
use voxanne_kernel::ids::{ResourceId, ServiceId};

use crate::hours::WeekHours;

/// When and how appointments can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Free times are offered this many minutes apart; also the length of an appointment without a service.
    pub slot_minutes: u16,
    /// Blocked before each appointment.
    pub buffer_before_minutes: u16,
    /// Blocked after each appointment.
    pub buffer_after_minutes: u16,
    /// How long before its start an appointment can still be made.
    pub min_notice_minutes: u32,
    /// How many days ahead an appointment can be made, today not counted.
    pub horizon_days: u16,
    /// When the organization is open in a usual week, in its zone.
    pub hours: WeekHours,
    /// Days it is closed all day, in its zone.
    pub holidays: BTreeSet<Date>,
}

impl Default for Schedule {
    /// What a new organization has (`spec/13-names-and-shapes.md`).
    fn default() -> Self {
        Self {
            slot_minutes: 30,
            buffer_before_minutes: 0,
            buffer_after_minutes: 0,
            min_notice_minutes: 0,
            horizon_days: 180,
            hours: WeekHours::office(),
            holidays: BTreeSet::new(),
        }
    }
}

/// A rule that a schedule breaks: the field and what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct ScheduleProblem {
    /// The field's name on the wire.
    pub field: &'static str,
    /// The rule.
    pub rule: &'static str,
}

impl Schedule {
    /// Every rule that the numbers break; none if the schedule can be used.
    pub fn problems(&self) -> Vec<ScheduleProblem> {
        let checks = [
            ((5..=480).contains(&self.slot_minutes), "slot_minutes", "must be 5 to 480"),
            (self.buffer_before_minutes <= 240, "buffer_before_minutes", "must be 0 to 240"),
            (self.buffer_after_minutes <= 240, "buffer_after_minutes", "must be 0 to 240"),
            (self.min_notice_minutes <= 43_200, "min_notice_minutes", "must be 0 to 43200"),
            ((1..=730).contains(&self.horizon_days), "horizon_days", "must be 1 to 730"),
            (self.holidays.len() <= 400, "holidays", "must be at most 400 days"),
        ];
        checks
            .into_iter()
            .filter(|(ok, ..)| !ok)
            .map(|(_, field, rule)| ScheduleProblem { field, rule })
            .collect()
    }
}

/// A practitioner or a room that one appointment at a time can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// What staff call it.
    pub name: String,
    /// When it is there, within the organization's hours; always then if `None`.
    pub hours: Option<WeekHours>,
}

/// What this domain needs to know of a service: what callers call it, how long it takes and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookableService {
    /// Its id.
    pub id: ServiceId,
    /// Its name.
    pub name: String,
    /// Other words for it.
    pub keywords: Vec<String>,
    /// Its length; the schedule's slot if `None`.
    pub minutes: Option<u16>,
    /// The only resources that offer it; any if empty.
    pub resources: Vec<ResourceId>,
}
