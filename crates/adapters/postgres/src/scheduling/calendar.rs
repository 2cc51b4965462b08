//! Schedules, resources and what is booked; and the calendars that are kept in memory.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::civil;
use moka::future::Cache;
use sqlx::types::Json;
use time::{Date, OffsetDateTime};
use uuid::Uuid;
use voxanne_kernel::{
    OrgScope, StoreError, Zone,
    ids::{AppointmentId, OrgId, ResourceId, ServiceId},
};
use voxanne_scheduling::{
    CalendarSnapshot, Resource, Schedule, Standing,
    hours::{Interval, WeekHours},
    ports::{BusyAt, BusyTimes, CalendarLock, CalendarSnapshots, Schedules},
    schedule::BookableService,
    slot::Busy,
};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, store_error},
    sql::{day_from_sql, day_to_sql, from_sql, to_sql},
};

/// How many organizations' calendars are kept, and for how long after their last use.
const KEPT: u64 = 10_000;
const UNUSED_FOR: Duration = Duration::from_mins(15);

/// Calendars read from the database and kept; every decision made with one is checked against its version.
#[derive(Clone)]
pub struct PgCalendars {
    store: PgStore,
    kept: Cache<OrgId, Arc<CalendarSnapshot>>,
}

/// Why a calendar could not be had.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error("there is no such organization")]
    Missing,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PgCalendars {
    /// Keeps nothing yet.
    pub fn new(store: PgStore) -> Self {
        let kept = Cache::builder().max_capacity(KEPT).time_to_idle(UNUSED_FOR).build();
        Self { store, kept }
    }

    async fn read(&self, scope: &OrgScope) -> Result<Arc<CalendarSnapshot>, Unread> {
        let mut tx = self.store.tenant(scope).await?;
        tx.calendar().await?.map(Arc::new).ok_or(Unread::Missing)
    }
}

#[async_trait]
impl CalendarSnapshots for PgCalendars {
    async fn current(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError> {
        // Asked for by itself first: what reads it takes up 30 KB on every way through here, used or not.
        if let Some(kept) = self.kept.get(&scope.org()).await {
            return Ok(Some(kept));
        }
        // Of many who find nothing kept, one reads and the others wait for it.
        let kept = self.kept.try_get_with(scope.org(), self.read(scope)).await;
        match kept.map_err(Arc::try_unwrap) {
            Ok(calendar) => Ok(Some(calendar)),
            Err(Ok(Unread::Missing)) => Ok(None),
            Err(Ok(Unread::Store(error))) => Err(error),
            Err(Err(shared)) => match &*shared {
                Unread::Missing => Ok(None),
                Unread::Store(StoreError::Busy) => Err(StoreError::Busy),
                Unread::Store(_) => Err(StoreError::Unavailable(Box::new(shared))),
            },
        }
    }

    async fn fresh(&self, scope: &OrgScope) -> Result<Option<Arc<CalendarSnapshot>>, StoreError> {
        match self.read(scope).await {
            Ok(calendar) => {
                self.kept.insert(scope.org(), Arc::clone(&calendar)).await;
                Ok(Some(calendar))
            }
            Err(Unread::Missing) => {
                self.kept.invalidate(&scope.org()).await;
                Ok(None)
            }
            Err(Unread::Store(error)) => Err(error),
        }
    }
}

#[derive(sqlx::FromRow)]
struct OrganizationRow {
    settings_version: i64,
    name: String,
    status: String,
    timezone: String,
    approval_mode: String,
    slot_minutes: Option<i32>,
    buffer_before_minutes: Option<i32>,
    buffer_after_minutes: Option<i32>,
    min_notice_minutes: Option<i32>,
    horizon_days: Option<i32>,
    hours: Option<serde_json::Value>,
    holidays: Option<Vec<Date>>,
}

impl OrganizationRow {
    fn schedule(&self, org: Uuid) -> Result<Schedule, StoreError> {
        let Some(hours) = &self.hours else { return Ok(Schedule::default()) };
        Ok(Schedule {
            slot_minutes: number("slot_minutes", self.slot_minutes, org)?,
            buffer_before_minutes: number("buffer_before_minutes", self.buffer_before_minutes, org)?,
            buffer_after_minutes: number("buffer_after_minutes", self.buffer_after_minutes, org)?,
            min_notice_minutes: number("min_notice_minutes", self.min_notice_minutes, org)?,
            horizon_days: number("horizon_days", self.horizon_days, org)?,
            hours: week("schedules", hours, org)?,
            holidays: self.holidays.iter().flatten().map(|day| day_from_sql(*day)).collect::<BTreeSet<_>>(),
        })
    }
}

fn number<T: TryFrom<i32, Error: std::error::Error + Send + Sync + 'static>>(
    column: &'static str,
    value: Option<i32>,
    org: Uuid,
) -> Result<T, StoreError> {
    T::try_from(value.unwrap_or_default()).map_err(|error| corrupt("schedules", column, &org, error))
}

fn week(table: &'static str, hours: &serde_json::Value, row: Uuid) -> Result<WeekHours, StoreError> {
    serde::Deserialize::deserialize(hours)
        .map_err(|error: serde_json::Error| corrupt(table, "hours", &row, error))
}

type ServiceRow = (Uuid, String, Vec<String>, i32, Vec<Uuid>);

#[async_trait]
impl Schedules for TenantTx {
    async fn calendar(&mut self) -> Result<Option<CalendarSnapshot>, StoreError> {
        let org = self.org();
        // The version first: if something changes while the rest is read, the version is too old, which the next
        // booking notices. The other way round it would never be noticed.
        let row: Option<OrganizationRow> = sqlx::query_as(
            "select o.settings_version, o.name, o.status, o.timezone, o.approval_mode, s.slot_minutes, s.buffer_before_minutes,
                    s.buffer_after_minutes, s.min_notice_minutes, s.horizon_days, s.hours, s.holidays
               from organizations o left join schedules s on s.org_id = o.id
              where o.id = $1",
        )
        .bind(org)
        .fetch_optional(self.conn())
        .await
        .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };

        let resources: Vec<(Uuid, String, Option<serde_json::Value>)> = sqlx::query_as(
            "select id, name, hours from resources where org_id = $1 and is_active order by resource_no",
        )
        .bind(org)
        .fetch_all(self.conn())
        .await
        .map_err(store_error)?;

        let services: Vec<ServiceRow> = sqlx::query_as(
            "select s.id, s.name, s.keywords, s.duration_minutes,
                    array(select r.resource_id from service_resources r
                           where r.org_id = s.org_id and r.service_id = s.id order by r.resource_id)
               from services s where s.org_id = $1 and s.is_active order by s.name, s.id",
        )
        .bind(org)
        .fetch_all(self.conn())
        .await
        .map_err(store_error)?;

        let resource = |(id, name, hours): (Uuid, String, Option<serde_json::Value>)| {
            let hours = hours.map(|hours| week("resources", &hours, id)).transpose()?;
            Ok(Resource { id: ResourceId(id), name, hours })
        };
        let service = |(id, name, keywords, minutes, resources): ServiceRow| {
            let minutes = u16::try_from(minutes)
                .map_err(|error| corrupt("services", "duration_minutes", &id, error))?;
            let resources = resources.into_iter().map(ResourceId).collect();
            Ok(BookableService { id: ServiceId(id), name, keywords, minutes: Some(minutes), resources })
        };
        Ok(Some(CalendarSnapshot {
            version: row.settings_version,
            organization: row.name.clone(),
            standing: if row.status == "suspended" { Standing::Suspended } else { Standing::Serving },
            zone: Zone::new(&row.timezone)
                .map_err(|error| corrupt("organizations", "timezone", &org, error))?,
            needs_approval: row.approval_mode == "manual",
            schedule: row.schedule(org)?,
            resources: resources.into_iter().map(resource).collect::<Result<_, StoreError>>()?,
            services: services.into_iter().map(service).collect::<Result<_, StoreError>>()?,
        }))
    }

    async fn save_schedule(&mut self, schedule: &Schedule) -> Result<(), StoreError> {
        let holidays: Vec<Date> = schedule.holidays.iter().map(|day| day_to_sql(*day)).collect();
        sqlx::query(
            "insert into schedules (org_id, slot_minutes, buffer_before_minutes, buffer_after_minutes,
                                    min_notice_minutes, horizon_days, hours, holidays)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (org_id) do update
                set slot_minutes = excluded.slot_minutes, buffer_before_minutes = excluded.buffer_before_minutes,
                    buffer_after_minutes = excluded.buffer_after_minutes,
                    min_notice_minutes = excluded.min_notice_minutes, horizon_days = excluded.horizon_days,
                    hours = excluded.hours, holidays = excluded.holidays, updated_at = now()",
        )
        .bind(self.org())
        .bind(i32::from(schedule.slot_minutes))
        .bind(i32::from(schedule.buffer_before_minutes))
        .bind(i32::from(schedule.buffer_after_minutes))
        .bind(i32::try_from(schedule.min_notice_minutes).unwrap_or(i32::MAX))
        .bind(i32::from(schedule.horizon_days))
        .bind(Json(&schedule.hours))
        .bind(holidays)
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn save_resource(&mut self, resource: &Resource) -> Result<(), StoreError> {
        sqlx::query(
            "insert into resources (org_id, id, name, hours) values ($1, $2, $3, $4)
             on conflict (org_id, id) do update
                set name = excluded.name, hours = excluded.hours, is_active = true",
        )
        .bind(self.org())
        .bind(resource.id.0)
        .bind(&resource.name)
        .bind(resource.hours.as_ref().map(Json))
        .execute(self.conn())
        .await
        .map_err(store_error)?;
        Ok(())
    }

    async fn retire_resource(&mut self, id: ResourceId) -> Result<(), StoreError> {
        sqlx::query("update resources set is_active = false where org_id = $1 and id = $2")
            .bind(self.org())
            .bind(id.0)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

type BusyRow = (i64, Vec<Uuid>, Vec<OffsetDateTime>, Vec<OffsetDateTime>);

#[async_trait]
impl BusyTimes for TenantTx {
    async fn busy(&mut self, window: Interval, except: Option<AppointmentId>) -> Result<BusyAt, StoreError> {
        // One statement, so that version and appointments are of one moment. The bounds on the start let the list's
        // index find them; nothing blocks more than a day.
        let row: Option<BusyRow> = sqlx::query_as(
            "select o.settings_version,
                    coalesce(array_agg(a.resource_id) filter (where a.id is not null), '{}'),
                    coalesce(array_agg(a.blocked_from) filter (where a.id is not null), '{}'),
                    coalesce(array_agg(a.blocked_until) filter (where a.id is not null), '{}')
               from organizations o
               left join appointments a
                 on a.org_id = o.id and a.status in ('pending_approval', 'confirmed', 'rescheduled')
                and a.starts_at > $2 - interval '1 day' and a.starts_at < $3 + interval '1 day'
                and a.blocked_from < $3 and a.blocked_until > $2
                and a.id is distinct from $4
              where o.id = $1
              group by o.settings_version",
        )
        .bind(self.org())
        .bind(to_sql(window.start))
        .bind(to_sql(window.end))
        .bind(except.map(|id| id.0))
        .fetch_optional(self.conn())
        .await
        .map_err(store_error)?;
        let Some((version, resources, from, until)) = row else {
            return Ok(BusyAt { version: 0, spans: Vec::new() });
        };
        Ok(BusyAt { version, spans: spans(&resources, &from, &until) })
    }
}

/// Puts the columns of blocked times back together.
pub(super) fn spans(resources: &[Uuid], from: &[OffsetDateTime], until: &[OffsetDateTime]) -> Vec<Busy> {
    let times = from.iter().zip(until);
    let busy = |(id, (from, until)): (&Uuid, (&OffsetDateTime, &OffsetDateTime))| Busy {
        resource: ResourceId(*id),
        from: from_sql(*from),
        until: from_sql(*until),
    };
    resources.iter().zip(times).map(busy).collect()
}

#[async_trait]
impl CalendarLock for TenantTx {
    async fn lock_days(&mut self, days: &[civil::Date]) -> Result<(), StoreError> {
        sqlx::query("select set_config('lock_timeout', '300ms', true)")
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        for day in days {
            // The same key as book_appointment's.
            sqlx::query(
                "select pg_advisory_xact_lock(hashtextextended($1::uuid::text || $2::date::text, 0))",
            )
            .bind(self.org())
            .bind(day_to_sql(*day))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        }
        Ok(())
    }
}
