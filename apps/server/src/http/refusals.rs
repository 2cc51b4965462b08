//! What the calendar and the vault refuse, as problems: the status, the stable code, and what would do instead.

use axum::http::StatusCode;
use serde_json::{Value, json};
use voxanne_credentials::ResolveError;
use voxanne_kernel::Timestamp;
use voxanne_scheduling::{FreeSlot, Refusal, book::BookError, outcome::Refused, reschedule::ChangeError};

use crate::http::problem::Problem;

impl From<BookError> for Problem {
    fn from(error: BookError) -> Self {
        match error {
            BookError::Refused(refused) => refused.into(),
            BookError::Busy => Self::overloaded(),
            BookError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Refused(refused) => refused.into(),
            ChangeError::Busy => Self::overloaded(),
            ChangeError::Store(error) => error.into(),
        }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        let code = error.code();
        match error {
            ResolveError::NotFound { provider, .. } => {
                Self::new(StatusCode::NOT_FOUND, code, error.to_string())
                    .detail("provider", provider.as_str())
                    .detail("remedy", format!("Set up {} under Integrations.", provider.title()))
            }
            ResolveError::ReconnectRequired { provider } => Self::conflict(code, error.to_string())
                .detail("provider", provider.as_str())
                .detail("remedy", format!("Connect {} again under Integrations.", provider.title())),
            ResolveError::Unreadable(_) => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                code,
                "A stored secret of this organization cannot be read.",
            )
            .because(error),
            ResolveError::Store(error) => error.into(),
        }
    }
}

impl From<Refused> for Problem {
    fn from(Refused { zone, why }: Refused) -> Self {
        let alternatives: Option<Vec<Value>> = why.alternatives().map(|slots| {
            let slot =
                |slot: &FreeSlot| json!({"start": slot.start, "end": slot.end, "resource_id": slot.resource});
            slots.iter().map(slot).collect()
        });
        let local = |at: Timestamp| zone.local(at).strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let problem = match why {
            Refusal::SlotTaken { .. } => Self::conflict("slot_taken", "That time is taken."),
            Refusal::OutsideHours { .. } => {
                Self::unprocessable("outside_hours", "That time is outside of opening hours.")
            }
            Refusal::Closed { day, .. } => {
                Self::unprocessable("closed", "We are closed on that day.").detail("day", day.to_string())
            }
            Refusal::InPast { .. } => Self::unprocessable("in_past", "That time is in the past."),
            Refusal::TooSoon { earliest, .. } => {
                Self::unprocessable("too_soon", "That is sooner than the minimum notice.")
                    .detail("earliest", earliest.to_string())
            }
            Refusal::BeyondHorizon { last_day } => {
                Self::unprocessable("beyond_horizon", "That is further ahead than appointments are made.")
                    .detail("last_day", last_day.to_string())
            }
            Refusal::NonexistentTime { next, at } => Self::unprocessable(
                "nonexistent_time",
                "The clocks go forward over that time: it does not exist.",
            )
            .detail("next_local", next.to_string())
            .detail("next", at.to_string()),
            // Another organization's id answers as one that does not exist (decision D4).
            Refusal::UnknownService { .. } => {
                Self::not_found().detail("service_id", "is not a service that is offered")
            }
            Refusal::UnknownResource => {
                Self::not_found().detail("resource_id", "is not a resource that offers the service")
            }
            Refusal::UnknownContact => Self::not_found().detail("contact_id", "is not a contact"),
            Refusal::NotFound | Refusal::LineUnavailable => Self::not_found(),
            Refusal::BadDuration => Self::invalid("duration_minutes", "must be 5 to 720"),
            Refusal::NotUnderstood { what } => Self::invalid("scheduled_at", what.to_string()),
            Refusal::NotChangeable { status } => {
                let message = format!("The appointment is {status}, which does not allow this change.");
                Self::conflict("status_conflict", message).detail("status", status.as_str())
            }
            Refusal::WhichOne { choices } => {
                Self::conflict("ambiguous", "Several appointments could be meant.")
                    .detail("choices", choices.into_iter().map(local).collect::<Vec<_>>())
            }
            Refusal::OtherRequest => {
                Self::conflict("request_key_reused", "This request was used for something else before.")
            }
        };
        match alternatives {
            Some(alternatives) => problem.detail("alternatives", alternatives),
            None => problem,
        }
    }
}
