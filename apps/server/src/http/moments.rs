//! Instants, local times and whole days in a query, read in the organization's zone.

use std::sync::Arc;

use voxanne_kernel::{OrgScope, Timestamp, Zone, zone::LocalTime};
use voxanne_scheduling::{CalendarSnapshot, When};

use crate::{app::App, http::problem::Problem};

/// The organization's zone, as it was a moment ago.
pub(super) async fn zone(app: &App, scope: &OrgScope) -> Result<Zone, Problem> {
    let calendar: Option<Arc<CalendarSnapshot>> = app.scheduling.calendars.current(scope).await?;
    Ok(calendar.ok_or_else(Problem::not_found)?.zone.clone())
}

/// Which end of a span a day stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Its first instant.
    Start,
    /// The first instant after it.
    End,
}

/// Reads an instant, a local time, or a day in `zone`.
pub(super) fn moment(field: &'static str, text: &str, zone: &Zone, edge: Edge) -> Result<Timestamp, Problem> {
    let invalid =
        || Problem::invalid(field, "must be a day such as 2026-12-01, or a date and time in RFC 3339");
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
    {
        let day = if edge == Edge::End { day.tomorrow().map_err(|_| invalid())? } else { day };
        return Ok(zone.start_of_day(day));
    }
    // In a query string the plus of an offset arrives as a space.
    let text = match text.rsplit_once(' ') {
        Some((head, offset)) if head.len() >= 16 => format!("{head}+{offset}"),
        _ => text.to_owned(),
    };
    match When::parse(&text, None).map_err(|_| invalid())? {
        When::At(at) => Ok(at),
        When::Local { at, .. } => Ok(match zone.resolve(at) {
            LocalTime::Once(at) | LocalTime::Twice(at) | LocalTime::Never { at, .. } => at,
        }),
        When::Spoken { .. } => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_stands_for_its_start_or_its_end_in_the_organizations_zone() {
        let zone = Zone::new("America/New_York").unwrap();
        let read = |text: &str, edge| moment("from", text, &zone, edge).map(|at| at.to_string()).ok();
        assert_eq!(read("2026-12-01", Edge::Start).as_deref(), Some("2026-12-01T05:00:00Z"));
        assert_eq!(read("2026-12-01", Edge::End).as_deref(), Some("2026-12-02T05:00:00Z"));
        assert_eq!(read("2026-12-01T10:00:00Z", Edge::End).as_deref(), Some("2026-12-01T10:00:00Z"));
        assert_eq!(read("2026-12-01T10:00:00 01:00", Edge::End).as_deref(), Some("2026-12-01T09:00:00Z"));
        assert_eq!(read("2026-12-01T10:00:00", Edge::End).as_deref(), Some("2026-12-01T15:00:00Z"));
        for bad in ["", "soon", "2026-13-01", "2026-12-01T99:00:00Z", "12/01/2026"] {
            assert_eq!(read(bad, Edge::Start), None, "{bad:?}");
        }
    }
}
