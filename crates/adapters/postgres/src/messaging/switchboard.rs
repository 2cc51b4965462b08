//! Who can carry an organization's messages, and how they have been doing.

use async_trait::async_trait;
use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;
use voxanne_kernel::{StoreError, Timestamp, ids::OrgId};
use voxanne_messaging::{
    channel::{Channel, Provider},
    message::Carrier,
    providers::{Payer, Whose},
    send::ports::{Health, MarkCredential, OwnAccount, Standing, Switchboard, Switchboards, WebhookTokens},
};

use crate::{
    SystemTx, TenantTx,
    constraint::{corrupt, store_error},
    sql::to_sql,
};

/// Everything in one look. An account needs its credential.
const SWITCHBOARD: &str = "select o.status,
    coalesce((select jsonb_agg(jsonb_build_object('provider', a.provider, 'managed', a.is_managed,
                               'asked', a.active and not opens_nothing(a.status, a.error_code),
                               'verified', a.status in ('verified', 'restricted', 'syncing')
                                           or a.status = 'failed' and not opens_nothing(a.status, a.error_code))
                               order by a.place, a.created_at)
       from messaging_accounts a
      where a.org_id = $1 and a.channel = $2 and a.status is not null), '[]') as own,
    coalesce((select jsonb_agg(jsonb_build_object('provider', h.provider, 'platform', h.is_platform,
                               'failures', h.failures, 'open_until', h.open_until, 'last_code', h.last_code))
       from messaging_account_health h
      where h.org_id = $1 and h.method = $2 and h.failures > 0), '[]') as health
  from organizations o where o.id = $1";

/// From the third failure in a row on: 30 seconds, twice as long each time, at most half an hour.
const FAILED: &str = "insert into messaging_account_health as h
    (org_id, method, provider, is_platform, failures, last_code, last_failed_at)
 values ($1, $2, $3, $4, 1, $5, $6)
 on conflict (org_id, method, provider, is_platform) do update
    set failures = h.failures + 1, last_code = excluded.last_code, last_failed_at = excluded.last_failed_at,
        open_until = case when h.failures + 1 >= 3
                     then excluded.last_failed_at
                          + least(interval '30 seconds' * power(2, least(h.failures - 2, 10)), interval '30 minutes') end";

const TELL: &str = "update messaging_account_health set is_told = true, told_at = $5
  where org_id = $1 and method = $2 and provider = $3 and is_platform = $4 and not is_told
    and (told_at is null or told_at < $5 - interval '1 hour')";

const CREDENTIAL_FAILED: &str = "update org_credentials
    set status = 'failed', error_code = $3, updated_at = now()
  where org_id = $1 and provider = $2 and is_active and status <> 'failed'";

const TOKEN: &str = "with added as (
    insert into messaging_webhooks (org_id, provider, token, token_hash)
    select $1, $2, t.token, sha256(convert_to(t.token, 'UTF8'))
      from (select replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') as token) t
     where not exists (select from messaging_webhooks w where w.org_id = $1 and w.provider = $2)
    on conflict (org_id, provider) do nothing returning token)
 select token from added
 union all select token from messaging_webhooks where org_id = $1 and provider = $2
 limit 1";

#[derive(Deserialize)]
struct OwnRow {
    provider: String,
    managed: bool,
    asked: bool,
    verified: bool,
}

#[derive(Deserialize)]
struct HealthRow {
    provider: String,
    platform: bool,
    failures: u32,
    open_until: Option<Timestamp>,
    last_code: Option<String>,
}

#[async_trait]
impl Switchboards for TenantTx {
    async fn switchboard(&mut self, channel: Channel) -> Result<Switchboard, StoreError> {
        let org = self.org();
        let (status, Json(own), Json(health)): (String, Json<Vec<OwnRow>>, Json<Vec<HealthRow>>) =
            sqlx::query_as(SWITCHBOARD)
                .bind(org)
                .bind(channel.as_str())
                .fetch_one(self.conn())
                .await
                .map_err(store_error)?;
        let provider = |text: &str| {
            text.parse::<Provider>().map_err(|error| corrupt("messaging_providers", "provider", &org, error))
        };
        let own = own.into_iter().map(|row| {
            Ok(OwnAccount {
                provider: provider(&row.provider)?,
                payer: if row.managed { Payer::Platform } else { Payer::Customer },
                is_asked: row.asked,
                is_verified: row.verified,
            })
        });
        let health = health.into_iter().map(|row| {
            Ok(Health {
                provider: provider(&row.provider)?,
                whose: if row.platform { Whose::Platform } else { Whose::Organization },
                failures: row.failures,
                open_until: row.open_until,
                last_code: row.last_code,
            })
        });
        Ok(Switchboard {
            standing: match status.as_str() {
                "verified" => Standing::Active,
                "suspended" => Standing::Suspended,
                _ => Standing::Pending,
            },
            own: own.collect::<Result<_, StoreError>>()?,
            health: health.collect::<Result<_, StoreError>>()?,
        })
    }

    async fn account_failed(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        code: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(FAILED)
            .bind(self.org())
            .bind(channel.as_str())
            .bind(carrier.provider.as_str())
            .bind(carrier.whose == Whose::Platform)
            .bind(code)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn tell_of_account(
        &mut self,
        channel: Channel,
        carrier: &Carrier,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let told = sqlx::query(TELL)
            .bind(self.org())
            .bind(channel.as_str())
            .bind(carrier.provider.as_str())
            .bind(carrier.whose == Whose::Platform)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(told.rows_affected() == 1)
    }
}

#[async_trait]
impl MarkCredential for TenantTx {
    async fn credential_failed(&mut self, provider: Provider, code: &str) -> Result<(), StoreError> {
        sqlx::query(CREDENTIAL_FAILED)
            .bind(self.org())
            .bind(provider.as_str())
            .bind(code)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl WebhookTokens for TenantTx {
    async fn webhook_token(&mut self, provider: Provider) -> Result<String, StoreError> {
        let org = self.org();
        // Somebody may have added one since this statement began to look: then it is there now.
        loop {
            let token: Option<String> = sqlx::query_scalar(TOKEN)
                .bind(org)
                .bind(provider.as_str())
                .fetch_optional(self.conn())
                .await
                .map_err(store_error)?;
            if let Some(token) = token {
                return Ok(token);
            }
        }
    }
}

/// The organization of a webhook's address.
pub(super) async fn owner_of_token(
    tx: &mut SystemTx,
    provider: Provider,
    token: &str,
) -> Result<Option<OrgId>, StoreError> {
    let owner: Option<Uuid> = sqlx::query_scalar(
        "select org_id from messaging_webhooks where token_hash = sha256(convert_to($2, 'UTF8')) and provider = $1",
    )
    .bind(provider.as_str())
    .bind(token)
    .fetch_optional(tx.conn())
    .await
    .map_err(store_error)?;
    Ok(owner.map(OrgId))
}
