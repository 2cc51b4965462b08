//! Reading calls: the list, one call, and the numbers above them.
//!
//! The list is a hot path. A row is handed over as it lies in the driver's memory ([`CallRow`] borrows everything), and
//! whoever reads writes it where it belongs; no row is ever built for its own sake.

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;
use voxanne_kernel::{
    Money, OrgScope, PageRequest, Position, StoreError,
    ids::{AppointmentId, CallId, ContactId},
};

use crate::{
    call::{Direction, Status},
    report::Turn,
};

/// Which calls to list; what is `None` does not matter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallFilter {
    /// Their status.
    pub status: Option<Status>,
    /// Which way they went.
    pub direction: Option<Direction>,
    /// When they started.
    pub period: Period,
    /// Digits that the number contains.
    pub phone_digits: Option<String>,
    /// Whether an appointment was made.
    pub booked: Option<bool>,
    /// Text that the contact's name or the summary contains.
    pub text: Option<String>,
}

/// A time span, open where `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// From this instant.
    pub from: Option<Timestamp>,
    /// Up to and without this one.
    pub to: Option<Timestamp>,
}

/// A call as the list shows it.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the fields are those of the wire, described in spec/05-calls.md")]
pub struct CallRow<'a> {
    pub id: Uuid,
    pub provider_id: Option<&'a str>,
    pub direction: &'a str,
    pub status: &'a str,
    pub phone: Option<&'a str>,
    pub contact_id: Option<Uuid>,
    pub contact_name: Option<&'a str>,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub duration_seconds: Option<i32>,
    pub sentiment_label: Option<&'a str>,
    pub sentiment_score: Option<f32>,
    pub urgency: Option<&'a str>,
    pub summary: Option<&'a str>,
    pub booked: bool,
    pub value: Option<Money>,
    pub recording_status: &'a str,
    pub has_transcript: bool,
    pub transfer_to: Option<&'a str>,
    pub transfer_time: Option<Timestamp>,
    pub transfer_reason: Option<&'a str>,
    pub lead_score: Option<i16>,
    pub cost_micros: Option<i64>,
}

/// Takes rows as they come.
pub trait CallSink {
    /// The next row of the page.
    fn row(&mut self, row: &CallRow<'_>);
}

/// What one call's page shows besides its row.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CallExtras {
    /// What was said; `None` before the report.
    pub transcript: Option<Vec<Turn>>,
    /// What happened, oldest first.
    pub events: Vec<ActivityEntry>,
    /// The appointment that was made in it, the newest if there are several.
    pub appointment: Option<AppointmentBrief>,
}

/// An entry of the activity stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActivityEntry {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// What kind of thing happened, `snake_case`.
    pub kind: String,
    /// A short sentence.
    pub summary: String,
    /// The call it belongs to.
    pub call: Option<CallId>,
    /// The appointment it is about.
    pub appointment: Option<AppointmentId>,
    /// The contact it is about.
    pub contact: Option<ContactId>,
}

/// An appointment in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppointmentBrief {
    /// Which.
    pub id: AppointmentId,
    /// When it starts.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// Its status.
    pub status: String,
    /// What for.
    pub service: Option<String>,
}

/// Sums over calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CallStats {
    /// All calls.
    pub total: u64,
    /// Calls to the organization.
    pub inbound: u64,
    /// Calls by the organization.
    pub outbound: u64,
    /// Calls in which an appointment was made.
    pub bookings: u64,
    /// Those of them that were inbound.
    pub booked_inbound: u64,
    /// What all conversations together are worth.
    pub pipeline: Money,
    /// The mean duration of those that have one, rounded.
    pub avg_duration_seconds: u64,
}

impl CallStats {
    /// Booked inbound calls per hundred inbound ones, to two decimals; 0 without any (decision D16).
    pub fn success_rate(&self) -> f64 {
        if self.inbound == 0 {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "counts of calls stay far below 2^53")]
        let rate = self.booked_inbound.min(self.inbound) as f64 / self.inbound as f64;
        (rate * 10_000.0).round() / 100.0
    }
}

/// What the first page of the dashboard shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dashboard {
    /// Sums over all calls.
    pub stats: CallStats,
    /// The ten newest entries of the activity stream.
    pub recent: Vec<ActivityEntry>,
}

/// Reads calls of the organization in whose scope it is asked.
#[async_trait]
pub trait CallLog: Send + Sync {
    /// Hands the rows of a page to `sink`, newest first, in one round trip; returns where the next page starts.
    async fn list(
        &self,
        scope: &OrgScope,
        filter: &CallFilter,
        request: &PageRequest,
        sink: &mut (dyn CallSink + Send),
    ) -> Result<Option<Position>, StoreError>;

    /// Hands one call's row to `sink` and returns the rest, or `None` when there is no such call.
    async fn detail(
        &self,
        scope: &OrgScope,
        id: CallId,
        sink: &mut (dyn CallSink + Send),
    ) -> Result<Option<CallExtras>, StoreError>;

    /// Sums over the calls that started in `period`.
    async fn stats(&self, scope: &OrgScope, period: &Period) -> Result<CallStats, StoreError>;

    /// The dashboard's first page.
    async fn dashboard(&self, scope: &OrgScope) -> Result<Dashboard, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_rate_counts_inbound_calls_above_and_below_the_line() {
        let rate = |inbound, booked_inbound| {
            CallStats { inbound, booked_inbound, ..CallStats::default() }.success_rate()
        };
        for (got, expected) in
            [(rate(0, 0), 0.0), (rate(3, 1), 33.33), (rate(2, 2), 100.0), (rate(1, 5), 100.0)]
        {
            assert!((got - expected).abs() < f64::EPSILON);
        }
    }
}
