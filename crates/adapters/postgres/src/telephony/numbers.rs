//! The numbers that we buy for an organization, and the account they are in.

use async_trait::async_trait;
use sqlx::Connection as _;
use time::OffsetDateTime;
use voxanne_kernel::{E164, StoreError, Timestamp, ids::ManagedNumberId};
use voxanne_messaging::{channel::Provider, send::ports::WebhookTokens};
use voxanne_provisioning::{LineRecords as SetupLine, SetupRecords};
use voxanne_telephony::{
    Custom, LineRecords, RouteError,
    hybrid::{Forwarded, forwarded_to},
    numbers::{AccountRecord, ManagedNumber, NumberRecords, NumberState, Slot, Spending, Standing},
};

use super::numbers_row::{NumberRow, columns};
use crate::{
    TenantTx,
    constraint::store_error,
    sql::{from_sql, to_sql},
};

const STANDING: &str = "select status from organizations where id = $1";

const SLOT: &str = "select source, is_active from org_credentials where org_id = $1 and provider = 'twilio'";
const SLOT_TO_CHANGE: &str = "select source, is_active from org_credentials where org_id = $1 and provider = 'twilio' for no key update";

const USE_SLOT: &str = "update org_credentials set is_active = $2, updated_at = now()
  where org_id = $1 and provider = 'twilio' and source = 'managed' and is_active <> $2";

const ACCOUNT: &str =
    "select twilio_account_sid, vapi_credential_id from managed_telephony_accounts where org_id = $1";

/// Locks the row, be it there already or not.
const ACCOUNT_TO_CHANGE: &str = "insert into managed_telephony_accounts as a (org_id) values ($1)
 on conflict (org_id) do update set updated_at = now() returning a.twilio_account_sid, a.vapi_credential_id";

const PUT_ACCOUNT: &str = "update managed_telephony_accounts
    set twilio_account_sid = $2, vapi_credential_id = $3, updated_at = now() where org_id = $1";

/// A number that the carrier has taken back costs nothing; a purchase that came to nothing is none.
const SPENDING: &str = "select
        count(*) filter (where status in ('buying', 'active') or (status = 'releasing' and not twilio_released)),
        count(*) filter (where asked_at > $2 and (status = 'buying' or purchased_at is not null)),
        min(asked_at) filter (where asked_at > $2 and (status = 'buying' or purchased_at is not null))
   from managed_phone_numbers where org_id = $1";

const MANAGED_NUMBERS: &str = concat!(
    "select ",
    columns!(),
    " from managed_phone_numbers
  where org_id = $1 and status <> 'failed' order by asked_at desc, id desc limit 1000"
);

const MANAGED_NUMBER: &str =
    concat!("select ", columns!(), " from managed_phone_numbers where org_id = $1 and id = $2 for update");

const LIVE_NUMBER: &str = concat!(
    "select ",
    columns!(),
    " from managed_phone_numbers
  where org_id = $1 and phone_number = $2 and status in ('buying', 'active', 'releasing') for update"
);

const PUT_NUMBER: &str = "insert into managed_phone_numbers as n
        (org_id, id, phone_number, status, tag, wanted_country, wanted_area_code, wanted_number, allow_fallback,
         twilio_account_sid, twilio_number_sid, vapi_phone_id, vapi_released, twilio_released, error_code, asked_at,
         purchased_at, released_at, sms_url)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
 on conflict (org_id, id) do update
    set phone_number = excluded.phone_number, status = excluded.status,
        twilio_number_sid = coalesce(excluded.twilio_number_sid, n.twilio_number_sid),
        vapi_phone_id = coalesce(excluded.vapi_phone_id, n.vapi_phone_id),
        vapi_released = excluded.vapi_released, twilio_released = excluded.twilio_released,
        error_code = excluded.error_code, purchased_at = excluded.purchased_at, released_at = excluded.released_at,
        sms_url = excluded.sms_url, updated_at = now()";

/// The index that keeps two purchases from going after the same number.
const LIVE: &str = "managed_phone_numbers_live";

impl TenantTx {
    async fn read_slot(&mut self, query: &'static str) -> Result<Slot, StoreError> {
        let found: Option<(String, bool)> =
            sqlx::query_as(query).bind(self.org()).fetch_optional(self.conn()).await.map_err(store_error)?;
        Ok(match found {
            Some((source, is_active)) if source == "managed" => Slot::Managed { is_active },
            Some((_, true)) => Slot::Brought,
            Some((_, false)) | None => Slot::Empty,
        })
    }

    async fn managed_rows(
        &mut self,
        query: &'static str,
        bind: Option<&(dyn ToString + Sync)>,
    ) -> Result<Vec<ManagedNumber>, StoreError> {
        let mut rows = sqlx::query_as::<_, NumberRow>(query).bind(self.org());
        if let Some(bind) = bind {
            rows = rows.bind(bind.to_string());
        }
        let rows = rows.fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

#[async_trait]
impl NumberRecords for TenantTx {
    async fn standing(&mut self) -> Result<Option<Standing>, StoreError> {
        let status: Option<String> = sqlx::query_scalar(STANDING)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(status.map(|status| match status.as_str() {
            "verified" => Standing::Verified,
            "suspended" => Standing::Suspended,
            _ => Standing::NotVerified,
        }))
    }

    async fn slot(&mut self) -> Result<Slot, StoreError> {
        self.read_slot(SLOT).await
    }

    async fn slot_to_change(&mut self) -> Result<Slot, StoreError> {
        self.read_slot(SLOT_TO_CHANGE).await
    }

    async fn use_slot(&mut self, is_active: bool) -> Result<(), StoreError> {
        let statement = sqlx::query(USE_SLOT).bind(self.org()).bind(is_active);
        statement.execute(self.conn()).await.map_err(store_error).map(drop)
    }

    async fn account(&mut self) -> Result<Option<AccountRecord>, StoreError> {
        let found: Option<(Option<String>, Option<String>)> = sqlx::query_as(ACCOUNT)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.map(|(account, voice_account)| AccountRecord { account, voice_account }))
    }

    async fn account_to_change(&mut self) -> Result<AccountRecord, StoreError> {
        let (account, voice_account) = sqlx::query_as(ACCOUNT_TO_CHANGE)
            .bind(self.org())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok(AccountRecord { account, voice_account })
    }

    async fn put_account(&mut self, record: &AccountRecord) -> Result<(), StoreError> {
        let statement =
            sqlx::query(PUT_ACCOUNT).bind(self.org()).bind(&record.account).bind(&record.voice_account);
        statement.execute(self.conn()).await.map_err(store_error).map(drop)
    }

    async fn spending(&mut self, since: Timestamp) -> Result<Spending, StoreError> {
        let (held, recent, oldest): (i64, i64, Option<OffsetDateTime>) = sqlx::query_as(SPENDING)
            .bind(self.org())
            .bind(to_sql(since))
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        let count = |rows: i64| u32::try_from(rows).unwrap_or(u32::MAX);
        Ok(Spending { held: count(held), recent: count(recent), oldest: oldest.map(from_sql) })
    }

    async fn managed_numbers(&mut self) -> Result<Vec<ManagedNumber>, StoreError> {
        self.managed_rows(MANAGED_NUMBERS, None).await
    }

    async fn managed_number(&mut self, id: ManagedNumberId) -> Result<Option<ManagedNumber>, StoreError> {
        let row: Option<NumberRow> = sqlx::query_as(MANAGED_NUMBER)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn live_number(&mut self, number: &E164) -> Result<Option<ManagedNumber>, StoreError> {
        Ok(self.managed_rows(LIVE_NUMBER, Some(number)).await?.pop())
    }

    async fn put_managed_number(&mut self, number: &ManagedNumber) -> Result<bool, StoreError> {
        let org = self.org();
        let (released, error_code) = match &number.state {
            NumberState::Released { at } => (Some(to_sql(*at)), None),
            NumberState::Failed { code } => (None, Some(code)),
            _ => (None, None),
        };
        let (voice_released, carrier_released) = match &number.state {
            NumberState::Releasing(releasing) => (releasing.voice_released, releasing.carrier_released),
            NumberState::Released { .. } => (true, true),
            _ => (false, false),
        };
        let wish = &number.wish;
        let statement = sqlx::query(PUT_NUMBER)
            .bind(org)
            .bind(number.id.0)
            .bind(number.number.as_str())
            .bind(number.state.as_str())
            .bind(&number.tag)
            .bind(wish.country.as_str())
            .bind(wish.area_code.as_ref().map(|code| code.as_str().to_owned()))
            .bind(wish.number.as_ref().map(|number| number.as_str().to_owned()))
            .bind(wish.allow_fallback)
            .bind(&number.account)
            .bind(number.state.carrier_id())
            .bind(number.state.voice_id())
            .bind(voice_released)
            .bind(carrier_released)
            .bind(error_code)
            .bind(to_sql(number.asked_at))
            .bind(number.purchased_at.map(to_sql))
            .bind(released)
            .bind(&number.texts);
        // The other purchase may be another organization's, which cannot be looked at: the index tells.
        let mut point = self.conn().begin().await.map_err(store_error)?;
        match statement.execute(&mut *point).await {
            Ok(_) => point.commit().await.map_err(store_error).map(|()| true),
            Err(error) if error.as_database_error().and_then(|e| e.constraint()) == Some(LIVE) => {
                point.rollback().await.map_err(store_error).map(|()| false)
            }
            Err(error) => Err(store_error(error)),
        }
    }

    async fn texts_token(&mut self) -> Result<String, StoreError> {
        self.webhook_token(Provider::Twilio).await
    }

    async fn wanted_custom(&mut self) -> Result<Option<Custom>, StoreError> {
        LineRecords::custom(self).await
    }

    async fn ring(&mut self, number: &E164, voice_id: &str) -> Result<(), RouteError> {
        LineRecords::route(self, number, Some(voice_id)).await
    }

    async fn leave(&mut self, number: &E164, at: Timestamp) -> Result<(), StoreError> {
        let Some(mut setup) = self.setup_to_change().await? else { return Ok(()) };
        let next = SetupLine::numbers(self).await?.into_iter().find(|other| other.number != *number);
        if setup.leave(number, next, at) {
            self.put_setup(&setup).await?;
        }
        Ok(())
    }

    async fn silence(&mut self, number: &E164) -> Result<(), StoreError> {
        LineRecords::unroute(self, number).await
    }

    async fn forwarded(&mut self, number: &E164) -> Result<Vec<Forwarded>, StoreError> {
        forwarded_to(self, number).await
    }
}
