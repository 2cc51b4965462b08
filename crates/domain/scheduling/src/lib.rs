//! Business hours, free time and bookings that cannot collide (`spec/06-scheduling.md`).
//!
//! A [`CalendarSnapshot`] holds everything that decides whether a time can be offered: hours, holidays, buffers,
//! notice, resources and services of one organization, at one version. All rules are checked against it in plain
//! code. What a snapshot cannot know, namely what else is booked at this instant, is decided by the store in one
//! atomic step behind [`ports::BookingDesk`].
//!
//! # Promises
//! - Two appointments whose time with buffers overlaps never hold the same resource.
//! - A tool call that arrives twice has one effect and gets one answer, whatever happened in between.
//! - A refused time comes back with the nearest times that are free.
//! - Local times that the clock skips are refused, those it repeats mean the first of the two, and the outcome says so.
//!
//! [`remind`] tells patients of what is coming, once each.
//!
//! This crate speaks to no calendar provider, sends nothing itself, and knows neither SQL nor HTTP.

pub mod appointment;
pub mod approve;
pub mod availability;
pub mod book;
pub mod calendar;
pub mod cancel;
pub mod find;
pub mod hours;
pub mod ics;
mod moving;
pub mod outcome;
pub mod ports;
pub mod remind;
pub mod reschedule;
pub mod schedule;
pub mod settings;
pub mod slot;
pub mod spoken;
#[cfg(feature = "testing")]
pub mod testing;
pub mod update;
pub mod when;

pub use appointment::{Appointment, AppointmentDetails, AppointmentStatus, Source};
pub use approve::ApproveAppointment;
pub use availability::{CheckAvailability, FreeSlot};
pub use book::BookAppointment;
pub use calendar::{CalendarSnapshot, Standing};
pub use cancel::CancelAppointment;
pub use find::FindAppointments;
pub use outcome::{Confirmation, Refusal, ToolOutcome};
pub use reschedule::RescheduleAppointment;
pub use schedule::{Resource, Schedule};
pub use settings::ScheduleSettings;
pub use slot::Slot;
pub use update::UpdateAppointment;
pub use when::When;
