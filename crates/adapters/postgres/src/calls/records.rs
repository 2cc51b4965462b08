//! Calls, one by one.

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::{
    Assessment, Call, CallEvent, CallRecords, Ending, Intent, LeadSignals, Outcome, Progress, ProviderCallId,
    Redacted, Report, Reported, SentimentScore, Stage, Status, Transfer, Turn, redact::Removed,
};
use voxanne_kernel::{
    E164, Money, StoreError,
    ids::{CallId, ContactId, ServiceId},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const ADD: &str = "insert into calls
        (id, org_id, vapi_call_id, call_type, status, vapi_assistant_id, phone_number, started_at, booking_confirmed)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     on conflict (org_id, vapi_call_id) do nothing";

/// The provider's word for our own id counts first, also of a call that we had given up; else it is the call that waits
/// for an answer about this number.
const ADOPT: &str = "update calls set vapi_call_id = $2, updated_at = now()
  where org_id = $1 and vapi_call_id is null and (ended_at is null or id = $3)
    and id = coalesce(
        (select call_id from call_backs where org_id = $1 and call_id = $3),
        (select call_id from call_backs
          where org_id = $1 and phone_number = $4 and placement = 'asked' order by requested_at limit 1))
    and not exists (select from calls known where known.org_id = $1 and known.vapi_call_id = $2)";

const LOCK: &str = "select id, vapi_call_id, call_type, status, vapi_assistant_id, phone_number, contact_id, started_at,
        ended_at, duration_seconds, ended_reason, cost_micros, sentiment_score, urgency, outcome, summary, transcript,
        redactions, services_mentioned, booking_confirmed, financial_value_minor, recording_status, transfer_to,
        transfer_time, transfer_reason, reported_at
   from calls where org_id = $1 and vapi_call_id = $2 for no key update";

const SAVE: &str = "update calls
    set call_type = $3, status = $4, vapi_assistant_id = $5, phone_number = $6, contact_id = $7, started_at = $8,
        ended_at = $9, duration_seconds = $10, ended_reason = $11, booking_confirmed = $12, updated_at = now()
  where org_id = $1 and id = $2";

/// A recording that a job has begun to fetch keeps its state.
const SAVE_REPORT: &str = "update calls
    set cost_micros = $3, sentiment_score = $4, sentiment_label = $5, urgency = $6, outcome = $7, summary = $8,
        transcript = $9, redactions = $10, services_mentioned = $11, financial_value_minor = $12,
        recording_status = case when recording_status <> 'none' then recording_status
                                when $13 then 'pending' else 'none' end,
        transfer_to = $14, transfer_time = $15, transfer_reason = $16, lead_score = $17, reported_at = $18
  where org_id = $1 and id = $2";

#[derive(FromRow)]
struct CallRecord {
    id: Uuid,
    vapi_call_id: String,
    call_type: String,
    status: String,
    vapi_assistant_id: Option<String>,
    phone_number: Option<String>,
    contact_id: Option<Uuid>,
    started_at: OffsetDateTime,
    ended_at: Option<OffsetDateTime>,
    duration_seconds: Option<i32>,
    ended_reason: Option<String>,
    cost_micros: Option<i64>,
    sentiment_score: Option<f32>,
    urgency: Option<String>,
    outcome: Option<String>,
    summary: Option<String>,
    transcript: Option<serde_json::Value>,
    redactions: Option<serde_json::Value>,
    services_mentioned: Vec<Uuid>,
    booking_confirmed: bool,
    financial_value_minor: Option<i64>,
    recording_status: String,
    transfer_to: Option<String>,
    transfer_time: Option<OffsetDateTime>,
    transfer_reason: Option<String>,
    reported_at: Option<OffsetDateTime>,
}

/// Reads a column, or says which one of which row cannot be read.
macro_rules! read {
    ($row:expr, $column:literal, $read:expr) => {
        $read.map_err(|error| corrupt("calls", $column, &$row.id, error))?
    };
}

impl CallRecord {
    fn into_call(self) -> Result<Call, StoreError> {
        let progress = self.progress()?;
        let provider_id = ProviderCallId::new(&self.vapi_call_id)
            .ok_or_else(|| corrupt("calls", "vapi_call_id", &self.id, "is no call id"))?;
        Ok(Call {
            provider_id,
            direction: read!(self, "call_type", self.call_type.parse()),
            phone: read!(self, "phone_number", self.phone_number.as_deref().map(E164::new).transpose()),
            id: CallId(self.id),
            assistant: self.vapi_assistant_id,
            contact: self.contact_id.map(ContactId),
            started_at: from_sql(self.started_at),
            progress,
            booked: self.booking_confirmed,
        })
    }

    fn progress(&self) -> Result<Progress, StoreError> {
        let status: Status = read!(self, "status", self.status.parse());
        if let Some(at) = self.reported_at {
            return Ok(Progress::Reported(Box::new(Reported {
                at: from_sql(at),
                report: self.report()?,
                value: Money::from_minor(self.financial_value_minor.unwrap_or(0)),
                services: self.services_mentioned.iter().copied().map(ServiceId).collect(),
            })));
        }
        Ok(match status {
            Status::Pending => Progress::Open(Stage::Pending),
            Status::Ringing => Progress::Open(Stage::Ringing),
            Status::InProgress => Progress::Open(Stage::InProgress),
            Status::Completed | Status::Failed | Status::NoAnswer | Status::Busy => {
                Progress::Ended(self.ending()?)
            }
        })
    }

    fn ending(&self) -> Result<Ending, StoreError> {
        let at = self.ended_at.ok_or_else(|| corrupt("calls", "ended_at", &self.id, "is missing"))?;
        Ok(Ending::new(from_sql(at), self.ended_reason.clone()))
    }

    fn report(&self) -> Result<Report, StoreError> {
        let transcript = self.transcript.clone().map(serde_json::from_value::<Vec<Turn>>).transpose();
        let removed = self.redactions.clone().map(serde_json::from_value::<Removed>).transpose();
        Ok(Report {
            started_at: from_sql(self.started_at),
            ending: self.ending()?,
            duration_seconds: self.duration_seconds.and_then(|s| u32::try_from(s).ok()).unwrap_or(0),
            cost_micros: self.cost_micros,
            transcript: read!(self, "transcript", transcript).unwrap_or_default(),
            summary: self.summary.clone().map(Redacted::from_store),
            assessment: Assessment {
                sentiment: SentimentScore::new(f64::from(self.sentiment_score.unwrap_or(0.0))),
                urgency: read!(self, "urgency", self.urgency.as_deref().unwrap_or("low").parse()),
                outcome: read!(self, "outcome", self.outcome.as_deref().unwrap_or("none").parse()),
            },
            // The analysis' own words for them are not kept: they have become `services`.
            services: Vec::new(),
            transfer: self.transfer_to.clone().map(|to| Transfer {
                to,
                at: self.transfer_time.map(from_sql),
                reason: self.transfer_reason.clone().map(Redacted::from_store),
            }),
            has_recording: self.recording_status != "none",
            recording_sources: Vec::new(),
            removed: read!(self, "redactions", removed).unwrap_or_default(),
        })
    }
}

#[async_trait]
impl CallRecords for TenantTx {
    async fn adopt(&mut self, event: &CallEvent) -> Result<(), StoreError> {
        sqlx::query(ADOPT)
            .bind(self.org())
            .bind(event.call.as_str())
            .bind(event.ours.map(|id| id.0))
            .bind(event.phone.as_ref().map(E164::as_str))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn lock_or_create(&mut self, first: &Call) -> Result<(Call, bool), StoreError> {
        let added = sqlx::query(ADD)
            .bind(first.id.0)
            .bind(self.org())
            .bind(first.provider_id.as_str())
            .bind(first.direction.as_str())
            .bind(first.status().as_str())
            .bind(first.assistant.as_deref())
            .bind(first.phone.as_ref().map(E164::as_str))
            .bind(to_sql(first.started_at))
            .bind(first.booked)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        if added.rows_affected() == 1 {
            return Ok((first.clone(), true));
        }
        let row: CallRecord = sqlx::query_as(LOCK)
            .bind(self.org())
            .bind(first.provider_id.as_str())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok((row.into_call()?, false))
    }

    async fn save(&mut self, call: &Call) -> Result<(), StoreError> {
        let ending = call.ending();
        let seconds = call.duration_seconds().map(|s| i32::try_from(s).unwrap_or(i32::MAX));
        sqlx::query(SAVE)
            .bind(self.org())
            .bind(call.id.0)
            .bind(call.direction.as_str())
            .bind(call.status().as_str())
            .bind(call.assistant.as_deref())
            .bind(call.phone.as_ref().map(E164::as_str))
            .bind(call.contact.map(|id| id.0))
            .bind(to_sql(call.started_at))
            .bind(ending.map(|e| to_sql(e.at)))
            .bind(seconds)
            .bind(ending.and_then(|e| e.reason.as_deref()))
            .bind(call.booked)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        let Some(reported) = call.reported() else { return Ok(()) };
        self.save_report(call, reported).await
    }

    async fn made_an_appointment(&mut self, call: &ProviderCallId) -> Result<bool, StoreError> {
        sqlx::query_scalar(
            "select exists (select from calls c
                              where c.org_id = $1 and c.vapi_call_id = $2
                                and (c.booking_confirmed
                                     or exists (select from appointments a where a.org_id = $1 and a.call_id = c.id)))",
        )
        .bind(self.org())
        .bind(call.as_str())
        .fetch_one(self.conn())
        .await
        .map_err(store_error)
    }

    async fn latest_signals(&mut self, contact: ContactId) -> Result<Option<LeadSignals>, StoreError> {
        let row: Option<SignalsRow> = sqlx::query_as(
            "select id, outcome, urgency, sentiment_score, financial_value_minor, booking_confirmed, ended_at
               from calls
              where org_id = $1 and contact_id = $2 and reported_at is not null and ended_at is not null
              order by started_at desc limit 1",
        )
        .bind(self.org())
        .bind(contact.0)
        .fetch_optional(self.conn())
        .await
        .map_err(store_error)?;
        row.map(SignalsRow::into_signals).transpose()
    }
}

impl TenantTx {
    async fn save_report(&mut self, call: &Call, reported: &Reported) -> Result<(), StoreError> {
        let report = &reported.report;
        let transfer = report.transfer.as_ref();
        sqlx::query(SAVE_REPORT)
            .bind(self.org())
            .bind(call.id.0)
            .bind(report.cost_micros)
            .bind(report.assessment.sentiment.as_f32())
            .bind(report.assessment.sentiment.label().as_str())
            .bind(report.assessment.urgency.as_str())
            .bind(report.assessment.outcome.as_str())
            .bind(report.summary.as_ref().map(Redacted::as_str))
            .bind(Some(&report.transcript).filter(|turns| !turns.is_empty()).map(Json))
            .bind(Json(&report.removed))
            .bind(reported.services.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(reported.value.minor())
            .bind(report.has_recording)
            .bind(transfer.map(|t| t.to.as_str()))
            .bind(transfer.and_then(|t| t.at).map(to_sql))
            .bind(transfer.and_then(|t| t.reason.as_ref()).map(Redacted::as_str))
            .bind(call.lead_score().map(|score| i16::from(score.get())))
            .bind(to_sql(reported.at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[derive(FromRow)]
struct SignalsRow {
    id: Uuid,
    outcome: Option<String>,
    urgency: Option<String>,
    sentiment_score: Option<f32>,
    financial_value_minor: Option<i64>,
    booking_confirmed: bool,
    ended_at: OffsetDateTime,
}

impl SignalsRow {
    fn into_signals(self) -> Result<LeadSignals, StoreError> {
        let outcome: Outcome = read!(self, "outcome", self.outcome.as_deref().unwrap_or("none").parse());
        Ok(LeadSignals {
            intent: if self.booking_confirmed { Intent::Booked } else { Intent::of_outcome(outcome) },
            urgency: read!(self, "urgency", self.urgency.as_deref().unwrap_or("low").parse()),
            sentiment: SentimentScore::new(f64::from(self.sentiment_score.unwrap_or(0.0))),
            value: Money::from_minor(self.financial_value_minor.unwrap_or(0)),
            at: from_sql(self.ended_at),
        })
    }
}
