//! An organization's setup and its steps.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{E164, StoreError, ids::SetupId};
use voxanne_provisioning::{
    Failure, LineKind, NumberSource, ReadyAssistant, Setup, SetupRecords, SetupWish, Step, StepName,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// There may be no row to lock yet.
const ALONE: &str = "select pg_advisory_xact_lock(hashtextextended('setup:' || $1::text, 0))";

const SETUP: &str = "select id, status, wanted_country, wanted_area_code, allow_fallback, number_source, phone_number,
        vapi_phone_id, inbound_id, inbound_name, outbound_id, outbound_name, kept, failed_step, failure_code, nearby,
        email_queued, undo_attempts, started_at, completed_at
   from setups where org_id = $1";

const STEPS: &str =
    "select name, status, attempts, at, error_code, is_cleared from setup_steps where org_id = $1";

const PUT_SETUP: &str = "insert into setups (org_id, id, status, wanted_country, wanted_area_code, allow_fallback,
        number_source, phone_number, vapi_phone_id, inbound_id, inbound_name, outbound_id, outbound_name, kept,
        failed_step, failure_code, nearby, email_queued, undo_attempts, started_at, completed_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
 on conflict (org_id) do update set id = excluded.id, status = excluded.status,
        wanted_country = excluded.wanted_country, wanted_area_code = excluded.wanted_area_code,
        allow_fallback = excluded.allow_fallback, number_source = excluded.number_source,
        phone_number = excluded.phone_number, vapi_phone_id = excluded.vapi_phone_id,
        inbound_id = excluded.inbound_id, inbound_name = excluded.inbound_name,
        outbound_id = excluded.outbound_id, outbound_name = excluded.outbound_name, kept = excluded.kept,
        failed_step = excluded.failed_step, failure_code = excluded.failure_code, nearby = excluded.nearby,
        email_queued = excluded.email_queued, undo_attempts = excluded.undo_attempts,
        started_at = excluded.started_at, completed_at = excluded.completed_at, updated_at = now()";

const PUT_STEPS: &str = "insert into setup_steps as s (org_id, name, status, attempts, at, error_code, is_cleared)
 select $1, * from unnest($2::text[], $3::text[], $4::integer[], $5::timestamptz[], $6::text[], $7::boolean[])
 on conflict (org_id, name) do update set status = excluded.status, attempts = excluded.attempts, at = excluded.at,
        error_code = excluded.error_code, is_cleared = excluded.is_cleared";

#[derive(FromRow)]
struct SetupRow {
    id: Uuid,
    status: String,
    wanted_country: String,
    wanted_area_code: Option<String>,
    allow_fallback: bool,
    number_source: Option<String>,
    phone_number: Option<String>,
    vapi_phone_id: Option<String>,
    inbound_id: Option<String>,
    inbound_name: Option<String>,
    outbound_id: Option<String>,
    outbound_name: Option<String>,
    kept: Vec<String>,
    failed_step: Option<String>,
    failure_code: Option<String>,
    nearby: Vec<String>,
    email_queued: bool,
    undo_attempts: i32,
    started_at: OffsetDateTime,
    completed_at: Option<OffsetDateTime>,
}

#[derive(FromRow)]
struct StepRow {
    name: String,
    status: String,
    attempts: i32,
    at: Option<OffsetDateTime>,
    error_code: Option<String>,
    is_cleared: bool,
}

impl StepRow {
    fn read(self, setup: Uuid) -> Result<Step, StoreError> {
        let wrong = |column, error| corrupt("setup_steps", column, &setup, error);
        Ok(Step {
            name: self.name.parse().map_err(|error| wrong("name", error))?,
            status: self.status.parse().map_err(|error| wrong("status", error))?,
            attempts: u32::try_from(self.attempts).unwrap_or_default(),
            at: self.at.map(from_sql),
            error: self.error_code,
            is_cleared: self.is_cleared,
        })
    }
}

impl SetupRow {
    fn read(self, mut steps: Vec<Step>) -> Result<Setup, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("setups", $column, &self.id, error))?
            };
        }
        steps.sort_by_key(|step| step.name);
        if !steps.iter().map(|step| step.name).eq(StepName::ALL.iter().copied()) {
            return Err(corrupt("setup_steps", "name", &self.id, "not all steps are there"));
        }
        let failure = match (self.failed_step, self.failure_code) {
            (Some(step), Some(code)) => {
                Some(Failure { step: read!("failed_step", step.parse()), code, nearby: self.nearby })
            }
            _ => None,
        };
        Ok(Setup {
            id: SetupId(self.id),
            status: read!("status", self.status.parse()),
            wish: SetupWish {
                country: read!("wanted_country", self.wanted_country.parse()),
                area_code: read!(
                    "wanted_area_code",
                    self.wanted_area_code.map(|code| code.parse()).transpose()
                ),
                allow_fallback: self.allow_fallback,
            },
            source: read!("number_source", self.number_source.map(|source| source.parse()).transpose()),
            phone_number: read!("phone_number", self.phone_number.as_deref().map(E164::new).transpose()),
            vapi_phone_id: self.vapi_phone_id,
            inbound: assistant(self.inbound_id, self.inbound_name),
            outbound: assistant(self.outbound_id, self.outbound_name),
            kept: LineKind::ALL
                .into_iter()
                .filter(|kind| self.kept.iter().any(|kept| kept == name_of(*kind)))
                .collect(),
            started_at: from_sql(self.started_at),
            completed_at: self.completed_at.map(from_sql),
            failure,
            email_queued: self.email_queued,
            undo_attempts: u32::try_from(self.undo_attempts).unwrap_or_default(),
            steps,
        })
    }
}

fn assistant(id: Option<String>, name: Option<String>) -> Option<ReadyAssistant> {
    Some(ReadyAssistant { id: id?, name: name? })
}

pub(super) const fn name_of(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Inbound => "inbound",
        LineKind::Outbound => "outbound",
    }
}

fn count(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

#[async_trait]
impl SetupRecords for TenantTx {
    async fn setup(&mut self) -> Result<Option<Setup>, StoreError> {
        let row: Option<SetupRow> =
            sqlx::query_as(SETUP).bind(self.org()).fetch_optional(self.conn()).await.map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let steps: Vec<StepRow> =
            sqlx::query_as(STEPS).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        let steps = steps.into_iter().map(|step| step.read(row.id)).collect::<Result<_, _>>()?;
        row.read(steps).map(Some)
    }

    async fn setup_to_change(&mut self) -> Result<Option<Setup>, StoreError> {
        sqlx::query(ALONE).bind(self.org()).execute(self.conn()).await.map_err(store_error)?;
        self.setup().await
    }

    async fn put_setup(&mut self, setup: &Setup) -> Result<(), StoreError> {
        let kept: Vec<&str> = setup.kept.iter().copied().map(name_of).collect();
        let failure = setup.failure.as_ref();
        let nearby = failure.map_or(&[][..], |failure| &failure.nearby);
        let put = sqlx::query(PUT_SETUP)
            .bind(self.org())
            .bind(setup.id.0)
            .bind(setup.status.as_str())
            .bind(setup.wish.country.as_str())
            .bind(setup.wish.area_code.as_ref().map(|code| code.as_str().to_owned()))
            .bind(setup.wish.allow_fallback)
            .bind(setup.source.map(NumberSource::as_str))
            .bind(setup.phone_number.as_ref().map(|number| number.as_str().to_owned()))
            .bind(&setup.vapi_phone_id)
            .bind(setup.inbound.as_ref().map(|assistant| &assistant.id))
            .bind(setup.inbound.as_ref().map(|assistant| &assistant.name))
            .bind(setup.outbound.as_ref().map(|assistant| &assistant.id))
            .bind(setup.outbound.as_ref().map(|assistant| &assistant.name))
            .bind(kept)
            .bind(failure.map(|failure| failure.step.as_str()))
            .bind(failure.map(|failure| &failure.code))
            .bind(nearby)
            .bind(setup.email_queued)
            .bind(count(setup.undo_attempts))
            .bind(to_sql(setup.started_at))
            .bind(setup.completed_at.map(to_sql));
        put.execute(self.conn()).await.map_err(store_error)?;
        let of = |read: fn(&Step) -> &'static str| setup.steps.iter().map(read).collect::<Vec<_>>();
        let steps = sqlx::query(PUT_STEPS)
            .bind(self.org())
            .bind(of(|step| step.name.as_str()))
            .bind(of(|step| step.status.as_str()))
            .bind(setup.steps.iter().map(|step| count(step.attempts)).collect::<Vec<_>>())
            .bind(setup.steps.iter().map(|step| step.at.map(to_sql)).collect::<Vec<_>>())
            .bind(setup.steps.iter().map(|step| step.error.clone()).collect::<Vec<_>>())
            .bind(setup.steps.iter().map(|step| step.is_cleared).collect::<Vec<_>>());
        steps.execute(self.conn()).await.map_err(store_error).map(drop)
    }
}
