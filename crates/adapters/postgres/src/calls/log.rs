//! Reading calls. The list is a hot path: `list_calls` in migration 0007, one round trip, rows handed on as they lie in
//! the driver's buffer.

use async_trait::async_trait;
use futures_util::{TryStreamExt, stream::BoxStream};
use sqlx::{FromRow, Row, postgres::PgRow};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::{
    ActivityEntry, AppointmentBrief, CallExtras, CallFilter, CallLog, CallRow, CallSink, CallStats,
    Dashboard, Direction, Period, Status, Turn,
};
use voxanne_kernel::{
    Money, OrgScope, PageRequest, Position, StoreError,
    ids::{AppointmentId, CallId, ContactId},
};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, died_idle, store_error},
    sql::{from_sql, from_wire, to_sql},
};

pub(super) const LIST: &str =
    "select id, vapi_call_id, call_type, status, phone_number, contact_id, contact_name, started_at,
        ended_at, duration_seconds, sentiment_label, sentiment_score, urgency, summary, booking_confirmed,
        financial_value_minor, recording_status, has_transcript, transfer_to, transfer_time, transfer_reason,
        lead_score, cost_micros
   from list_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// The columns of [`LIST`], for one call.
const ONE: &str = "select c.id, c.vapi_call_id, c.call_type, c.status, c.phone_number, c.contact_id, k.name,
        c.started_at, c.ended_at, c.duration_seconds, c.sentiment_label, c.sentiment_score, c.urgency, c.summary,
        c.booking_confirmed, c.financial_value_minor, c.recording_status, c.transcript is not null, c.transfer_to,
        c.transfer_time, c.transfer_reason, c.lead_score, c.cost_micros, c.transcript
   from calls c left join contacts k on k.org_id = $1 and k.id = c.contact_id
  where c.org_id = $1 and c.id = $2";

const EVENTS: &str = "select id, at, kind, summary, call_id, appointment_id, contact_id
   from activity_events where org_id = $1 and call_id = $2 order by at, id limit 200";

const APPOINTMENT: &str = "select a.id, a.starts_at, a.ends_at, a.status, s.name as service
   from appointments a left join services s on s.org_id = $1 and s.id = a.service_id
  where a.org_id = $1 and a.call_id = $2 order by a.created_at desc, a.id desc limit 1";

pub(super) const STATS: &str = "select count(*), count(*) filter (where call_type = 'inbound'),
        count(*) filter (where call_type = 'outbound'), count(*) filter (where booking_confirmed),
        count(*) filter (where booking_confirmed and call_type = 'inbound'),
        coalesce(sum(financial_value_minor), 0)::bigint, coalesce(round(avg(duration_seconds)), 0)::bigint
   from calls
  where org_id = $1 and started_at >= coalesce($2, '-infinity') and started_at < coalesce($3, 'infinity')";

pub(super) const RECENT: &str = "select id, at, kind, summary, call_id, appointment_id, contact_id
   from activity_events where org_id = $1 order by at desc, id desc limit 10";

/// Borrows a row of [`LIST`] or [`ONE`] by position and without comparing types: names and types of 23 columns would be
/// looked at for every row, and both statements are ours. Times are read as the integers that they are sent as.
fn borrow(row: &PgRow) -> Result<CallRow<'_>, sqlx::Error> {
    let time = |index| -> Result<_, sqlx::Error> {
        Ok(row.try_get_unchecked::<Option<i64>, _>(index)?.map(from_wire))
    };
    Ok(CallRow {
        id: row.try_get_unchecked(0)?,
        provider_id: row.try_get_unchecked(1)?,
        direction: row.try_get_unchecked(2)?,
        status: row.try_get_unchecked(3)?,
        phone: row.try_get_unchecked(4)?,
        contact_id: row.try_get_unchecked(5)?,
        contact_name: row.try_get_unchecked(6)?,
        started_at: from_wire(row.try_get_unchecked(7)?),
        ended_at: time(8)?,
        duration_seconds: row.try_get_unchecked(9)?,
        sentiment_label: row.try_get_unchecked(10)?,
        sentiment_score: row.try_get_unchecked(11)?,
        urgency: row.try_get_unchecked(12)?,
        summary: row.try_get_unchecked(13)?,
        booked: row.try_get_unchecked(14)?,
        value: row.try_get_unchecked::<Option<i64>, _>(15)?.map(Money::from_minor),
        recording_status: row.try_get_unchecked(16)?,
        has_transcript: row.try_get_unchecked(17)?,
        transfer_to: row.try_get_unchecked(18)?,
        transfer_time: time(19)?,
        transfer_reason: row.try_get_unchecked(20)?,
        lead_score: row.try_get_unchecked(21)?,
        cost_micros: row.try_get_unchecked(22)?,
    })
}

/// An entry of the activity stream as it is stored.
#[derive(FromRow)]
pub(super) struct EntryRow {
    id: Uuid,
    at: OffsetDateTime,
    kind: String,
    summary: String,
    call_id: Option<Uuid>,
    appointment_id: Option<Uuid>,
    contact_id: Option<Uuid>,
}

impl From<EntryRow> for ActivityEntry {
    fn from(row: EntryRow) -> Self {
        Self {
            id: row.id,
            at: from_sql(row.at),
            kind: row.kind,
            summary: row.summary,
            call: row.call_id.map(CallId),
            appointment: row.appointment_id.map(AppointmentId),
            contact: row.contact_id.map(ContactId),
        }
    }
}

#[derive(FromRow)]
struct BriefRow {
    id: Uuid,
    starts_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    status: String,
    service: Option<String>,
}

#[async_trait]
impl CallLog for PgStore {
    async fn list(
        &self,
        scope: &OrgScope,
        filter: &CallFilter,
        request: &PageRequest,
        sink: &mut (dyn CallSink + Send),
    ) -> Result<Option<Position>, StoreError> {
        let mut dead = 0;
        loop {
            match self.stream(scope, filter, request, sink).await {
                Ok(next) => return Ok(next),
                // A connection that died in the pool has handed over nothing yet.
                Err((error, 0)) if died_idle(&error) && dead <= self.hot().size() => {
                    dead += 1;
                }
                Err((error, _)) => return Err(store_error(error)),
            }
        }
    }

    async fn detail(
        &self,
        scope: &OrgScope,
        id: CallId,
        sink: &mut (dyn CallSink + Send),
    ) -> Result<Option<CallExtras>, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let org = tx.org();
        let row =
            sqlx::query(ONE).bind(org).bind(id.0).fetch_optional(tx.conn()).await.map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        sink.row(&borrow(&row).map_err(store_error)?);
        let transcript: Option<serde_json::Value> = row.try_get(23).map_err(store_error)?;
        let transcript = transcript
            .map(serde_json::from_value::<Vec<Turn>>)
            .transpose()
            .map_err(|error| corrupt("calls", "transcript", &id, error))?;
        let events: Vec<EntryRow> =
            sqlx::query_as(EVENTS).bind(org).bind(id.0).fetch_all(tx.conn()).await.map_err(store_error)?;
        let brief: Option<BriefRow> = sqlx::query_as(APPOINTMENT)
            .bind(org)
            .bind(id.0)
            .fetch_optional(tx.conn())
            .await
            .map_err(store_error)?;
        Ok(Some(CallExtras {
            transcript,
            events: events.into_iter().map(Into::into).collect(),
            appointment: brief.map(|row| AppointmentBrief {
                id: AppointmentId(row.id),
                starts_at: from_sql(row.starts_at),
                ends_at: from_sql(row.ends_at),
                status: row.status,
                service: row.service,
            }),
        }))
    }

    async fn stats(&self, scope: &OrgScope, period: &Period) -> Result<CallStats, StoreError> {
        stats(&mut self.tenant(scope).await?, period).await
    }

    async fn dashboard(&self, scope: &OrgScope) -> Result<Dashboard, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let stats = stats(&mut tx, &Period::default()).await?;
        let recent: Vec<EntryRow> =
            sqlx::query_as(RECENT).bind(tx.org()).fetch_all(tx.conn()).await.map_err(store_error)?;
        Ok(Dashboard { stats, recent: recent.into_iter().map(Into::into).collect() })
    }
}

impl PgStore {
    /// One attempt at a page; a failure says how many rows had been handed over.
    async fn stream(
        &self,
        scope: &OrgScope,
        filter: &CallFilter,
        request: &PageRequest,
        sink: &mut (dyn CallSink + Send),
    ) -> Result<Option<Position>, (sqlx::Error, u16)> {
        let mut hot = self.hot().take().await.map_err(|error| (error, 0))?;
        let rows = sqlx::query(LIST)
            .bind(scope.org().0)
            .bind(filter.status.map(Status::as_str))
            .bind(filter.direction.map(Direction::as_str))
            .bind(filter.period.from.map(to_sql))
            .bind(filter.period.to.map(to_sql))
            .bind(filter.phone_digits.as_deref())
            .bind(filter.booked)
            .bind(filter.text.as_deref())
            .bind(request.after.map(|after| to_sql(after.at)))
            .bind(request.after.map(|after| after.id))
            .bind(i32::from(request.limit()) + 1)
            .fetch(hot.conn());
        let page = hand_over(rows, request.limit(), sink).await;
        hot.give_back_after(page.as_ref().err().map(|(error, _)| error));
        page
    }
}

/// Hands at most `limit` rows to `sink` and reads the answer to its end.
async fn hand_over(
    mut rows: BoxStream<'_, Result<PgRow, sqlx::Error>>,
    limit: u16,
    sink: &mut (dyn CallSink + Send),
) -> Result<Option<Position>, (sqlx::Error, u16)> {
    let (mut handed, mut last, mut more) = (0, None, false);
    while let Some(row) = rows.try_next().await.map_err(|error| (error, handed))? {
        // The one row more than wanted only says that there is a next page.
        more = handed == limit;
        if !more {
            let row = borrow(&row).map_err(|error| (error, handed))?;
            sink.row(&row);
            handed += 1;
            last = Some(Position { at: row.started_at, id: row.id });
        }
    }
    Ok(last.filter(|_| more))
}

async fn stats(tx: &mut TenantTx, period: &Period) -> Result<CallStats, StoreError> {
    let sums: (i64, i64, i64, i64, i64, i64, i64) = sqlx::query_as(STATS)
        .bind(tx.org())
        .bind(period.from.map(to_sql))
        .bind(period.to.map(to_sql))
        .fetch_one(tx.conn())
        .await
        .map_err(store_error)?;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(CallStats {
        total: count(sums.0),
        inbound: count(sums.1),
        outbound: count(sums.2),
        bookings: count(sums.3),
        booked_inbound: count(sums.4),
        pipeline: Money::from_minor(sums.5),
        avg_duration_seconds: count(sums.6),
    })
}
