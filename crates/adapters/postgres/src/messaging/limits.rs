//! Rates, caps, and the rules that organizations set.

use async_trait::async_trait;
use jiff::civil;
use sqlx::FromRow;
use time::{OffsetDateTime, Time};
use voxanne_kernel::{Money, StoreError, Timestamp, Zone};
use voxanne_messaging::{
    consent::QuietHours,
    limits::{Bucket, Capped, Counted, Rate, ReadRules, Rules, Taken, Throttle, WriteRules},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const LOCK_RATE: &str = "select due_at from messaging_rates where org_id = $1 and bucket = $2 for update";
/// Whoever comes at the same time waits for the end of this unit of work and then finds the row.
const BEGIN_RATE: &str =
    "insert into messaging_rates (org_id, bucket, due_at) values ($1, $2, $3) on conflict do nothing";
const SAVE_RATE: &str = "update messaging_rates set due_at = $3 where org_id = $1 and bucket = $2";
const DROP_RATE: &str = "delete from messaging_rates where org_id = $1 and bucket = $2";

/// In one order for everybody, so that nobody waits for somebody who waits for them.
const COUNT: &str = "insert into messaging_counts as c (org_id, period, messages)
 select $1, p.period, $3 from unnest($2::text[]) as p (period) order by p.period
 on conflict (org_id, period) do update set messages = c.messages + excluded.messages
 returning period, messages";
const UNCOUNT: &str =
    "update messaging_counts set messages = messages - $3 where org_id = $1 and period = any ($2)";

const RULES: &str = "select o.timezone, s.org_id is not null as is_set, s.quiet_from, s.quiet_until,
        s.contact_pause_minutes, s.rate_per_minute, s.daily_cap, s.monthly_cap, s.monthly_budget_minor
   from organizations o left join messaging_settings s on s.org_id = o.id where o.id = $1";
/// A row of defaults, if there is none, to be locked.
pub(super) const BEGIN_SETTINGS: &str =
    "insert into messaging_settings (org_id) values ($1) on conflict do nothing";
pub(super) const LOCK_SETTINGS: &str = "select from messaging_settings where org_id = $1 for update";
const SAVE_RULES: &str = "update messaging_settings
    set quiet_from = $2, quiet_until = $3, contact_pause_minutes = $4, rate_per_minute = $5, daily_cap = $6,
        monthly_cap = $7, monthly_budget_minor = $8, updated_at = now()
  where org_id = $1";

#[derive(FromRow)]
struct RulesRow {
    timezone: String,
    is_set: bool,
    quiet_from: Option<Time>,
    quiet_until: Option<Time>,
    contact_pause_minutes: Option<i32>,
    rate_per_minute: Option<i32>,
    daily_cap: Option<i32>,
    monthly_cap: Option<i32>,
    monthly_budget_minor: Option<i64>,
}

fn time_from_sql(time: Time) -> civil::Time {
    let (hour, minute, second) = time.as_hms();
    let part = u8::cast_signed;
    civil::Time::new(part(hour), part(minute), part(second), 0).unwrap_or(civil::Time::midnight())
}

fn time_to_sql(time: civil::Time) -> Time {
    let part = i8::cast_unsigned;
    Time::from_hms(part(time.hour()), part(time.minute()), part(time.second())).unwrap_or(Time::MIDNIGHT)
}

fn count(number: i32) -> u32 {
    number.unsigned_abs()
}

impl TenantTx {
    /// The organization's row of settings, kept from others who want to change it.
    pub(super) async fn lock_messaging_settings(&mut self) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(BEGIN_SETTINGS).bind(org).execute(self.conn()).await.map_err(store_error)?;
        sqlx::query(LOCK_SETTINGS).bind(org).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl ReadRules for TenantTx {
    async fn rules(&mut self) -> Result<Rules, StoreError> {
        let org = self.org();
        let row: RulesRow =
            sqlx::query_as(RULES).bind(org).fetch_one(self.conn()).await.map_err(store_error)?;
        let zone =
            Zone::new(&row.timezone).map_err(|error| corrupt("organizations", "timezone", &org, error))?;
        let usual = Rules::usual(zone);
        if !row.is_set {
            return Ok(usual);
        }
        let quiet_hours = match (row.quiet_from, row.quiet_until) {
            (Some(from), Some(until)) => Some(
                QuietHours::new(time_from_sql(from), time_from_sql(until))
                    .map_err(|error| corrupt("messaging_settings", "quiet_until", &org, error))?,
            ),
            _ => None,
        };
        Ok(Rules {
            quiet_hours,
            contact_pause_minutes: row.contact_pause_minutes.map_or(usual.contact_pause_minutes, count),
            rate_per_minute: row.rate_per_minute.map_or(usual.rate_per_minute, count),
            daily_cap: row.daily_cap.map(count),
            monthly_cap: row.monthly_cap.map(count),
            monthly_budget: row.monthly_budget_minor.map(Money::from_minor),
            zone: usual.zone,
        })
    }
}

#[async_trait]
impl WriteRules for TenantTx {
    async fn rules_to_change(&mut self) -> Result<Rules, StoreError> {
        self.lock_messaging_settings().await?;
        self.rules().await
    }

    async fn put_rules(&mut self, rules: &Rules) -> Result<(), StoreError> {
        let org = self.org();
        let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        sqlx::query(SAVE_RULES)
            .bind(org)
            .bind(rules.quiet_hours.map(|hours| time_to_sql(hours.from())))
            .bind(rules.quiet_hours.map(|hours| time_to_sql(hours.until())))
            .bind(number(rules.contact_pause_minutes))
            .bind(number(rules.rate_per_minute))
            .bind(rules.daily_cap.map(number))
            .bind(rules.monthly_cap.map(number))
            .bind(rules.monthly_budget.map(Money::minor))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl Throttle for TenantTx {
    async fn take(&mut self, bucket: Bucket, rate: Rate, at: Timestamp) -> Result<Taken, StoreError> {
        let (org, key) = (self.org(), bucket.key());
        // A row that does not hold anybody up: then there is one to be locked, also for the first two at once.
        let free = at.checked_sub(jiff::SignedDuration::from_secs(1)).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut due: Option<OffsetDateTime> = sqlx::query_scalar(LOCK_RATE)
            .bind(org)
            .bind(&key)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        if due.is_none() {
            sqlx::query(BEGIN_RATE)
                .bind(org)
                .bind(&key)
                .bind(to_sql(free))
                .execute(self.conn())
                .await
                .map_err(store_error)?;
            due = sqlx::query_scalar(LOCK_RATE)
                .bind(org)
                .bind(&key)
                .fetch_optional(self.conn())
                .await
                .map_err(store_error)?;
        }
        match rate.take(due.map(from_sql), at) {
            Err(wait) => Ok(Taken::Wait(wait)),
            Ok(due) => {
                sqlx::query(SAVE_RATE)
                    .bind(org)
                    .bind(&key)
                    .bind(to_sql(due))
                    .execute(self.conn())
                    .await
                    .map_err(store_error)?;
                Ok(Taken::Yes)
            }
        }
    }

    async fn give_back(&mut self, bucket: Bucket) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(DROP_RATE)
            .bind(org)
            .bind(bucket.key())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn count(
        &mut self,
        windows: &[Capped],
        messages: u32,
        at: Timestamp,
    ) -> Result<Counted, StoreError> {
        let org = self.org();
        let periods: Vec<&str> = windows.iter().map(|capped| capped.window.name.as_str()).collect();
        let counted: Vec<(String, i64)> = sqlx::query_as(COUNT)
            .bind(org)
            .bind(&periods)
            .bind(i64::from(messages))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let is_over = |capped: &Capped| {
            let now = counted.iter().find(|(period, _)| *period == capped.window.name).map_or(0, |(_, n)| *n);
            capped.cap.is_some_and(|cap| now > i64::from(cap))
        };
        let outcome = Capped::fullest(windows, at, is_over);
        if outcome == Counted::Yes {
            return Ok(outcome);
        }
        sqlx::query(UNCOUNT)
            .bind(org)
            .bind(&periods)
            .bind(i64::from(messages))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(outcome)
    }
}
