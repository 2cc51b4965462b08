//! Calls that we place.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::{
    ProviderCallId,
    call_back::{CallBackBegin, CallBackRecord, CallBacks, OutboundLine, Placing, Standing},
};
use voxanne_kernel::{
    E164, OrgScope, StoreError,
    ids::{CallId, ContactId},
};
use voxanne_messaging::{channel::Channel, consent::Consent};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// How long to wait before looking again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(25), Duration::from_millis(250));

/// The number of longest standing that the provider knows.
const LINE: &str = "select
        (select vapi_assistant_id from assistants where org_id = $1 and kind = 'outbound') as assistant,
        (select vapi_phone_id from phone_number_mapping
          where org_id = $1 and vapi_phone_id is not null order by created_at, phone_number limit 1) as number";

const LATEST: &str = "select b.call_id, b.contact_id, b.phone_number, b.vapi_assistant_id, b.vapi_phone_id,
        b.requested_at, b.placement as placing, c.vapi_call_id
   from call_backs b join calls c on c.org_id = $1 and c.id = b.call_id
  where b.org_id = $1 and b.contact_id = $2 and b.requested_at > $3
  order by b.requested_at desc limit 1";

/// The call is locked before its entry in the book, as everywhere.
const ONE: &str = "select b.call_id, b.contact_id, b.phone_number, b.vapi_assistant_id, b.vapi_phone_id,
        b.requested_at, b.placement as placing, c.vapi_call_id
   from calls c join call_backs b on b.org_id = $1 and b.call_id = c.id
  where c.org_id = $1 and c.id = $2
    for no key update of c, b";

const SEEN: &str = "select b.call_id, b.contact_id, b.phone_number, b.vapi_assistant_id, b.vapi_phone_id,
        b.requested_at, b.placement as placing, c.vapi_call_id
   from calls c join call_backs b on b.org_id = $1 and b.call_id = c.id
  where c.org_id = $1 and c.id = $2";

const ADD_CALL: &str = "insert into calls
        (id, org_id, call_type, status, vapi_assistant_id, phone_number, contact_id, started_at)
 values ($2, $1, 'outbound', 'pending', $3, $4, $5, $6)";

const ADD: &str = "insert into call_backs
        (org_id, call_id, contact_id, phone_number, vapi_assistant_id, vapi_phone_id, placement, requested_at)
 values ($1, $2, $3, $4, $5, $6, 'asked', $7)";

/// Should the provider's message have made a call of its own, because nothing in it named ours, that one has the id.
const NAME: &str = "update calls set vapi_call_id = $3, updated_at = now()
  where org_id = $1 and id = $2 and vapi_call_id is null
    and not exists (select from calls other where other.org_id = $1 and other.vapi_call_id = $3)";

const FAIL: &str = "update calls
    set status = 'failed', ended_at = greatest($3, started_at), ended_reason = $4, updated_at = now()
  where org_id = $1 and id = $2 and ended_at is null and vapi_call_id is null";

const SETTLE: &str = "update call_backs set placement = $3, settled_at = now()
  where org_id = $1 and call_id = $2 and placement = 'asked'";

#[derive(FromRow)]
struct CallBackRow {
    call_id: Uuid,
    contact_id: Uuid,
    phone_number: String,
    vapi_assistant_id: String,
    vapi_phone_id: String,
    requested_at: OffsetDateTime,
    placing: String,
    vapi_call_id: Option<String>,
}

impl TryFrom<CallBackRow> for CallBackRecord {
    type Error = StoreError;

    fn try_from(row: CallBackRow) -> Result<Self, StoreError> {
        let phone = E164::new(&row.phone_number);
        // The provider's own message may have named the call before the answer to our request did.
        let placing = match (row.placing.as_str(), row.vapi_call_id.as_deref().and_then(ProviderCallId::new))
        {
            (_, Some(provider)) => Placing::Placed(provider),
            ("asked", None) => Placing::Asked,
            (_, None) => Placing::NotPlaced,
        };
        Ok(Self {
            phone: phone.map_err(|error| corrupt("call_backs", "phone_number", &row.call_id, error))?,
            call: CallId(row.call_id),
            contact: ContactId(row.contact_id),
            assistant: row.vapi_assistant_id,
            number: row.vapi_phone_id,
            requested_at: from_sql(row.requested_at),
            placing,
        })
    }
}

impl TenantTx {
    async fn settle_call_back(&mut self, call: CallId, placing: &str) -> Result<(), StoreError> {
        let org = self.org();
        let settle = sqlx::query(SETTLE).bind(org).bind(call.0).bind(placing);
        settle.execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn fail_call(&mut self, call: CallId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(FAIL)
            .bind(self.org())
            .bind(call.0)
            .bind(to_sql(at))
            .bind(reason)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl CallBacks for TenantTx {
    async fn standing(&mut self) -> Result<Standing, StoreError> {
        let org = self.org();
        let status: String = sqlx::query_scalar("select status from organizations where id = $1")
            .bind(org)
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok(match status.as_str() {
            "verified" => Standing::Active,
            "pending" => Standing::Pending,
            _ => Standing::Suspended,
        })
    }

    async fn outbound_line(&mut self) -> Result<OutboundLine, StoreError> {
        let org = self.org();
        let (assistant, number) =
            sqlx::query_as(LINE).bind(org).fetch_one(self.conn()).await.map_err(store_error)?;
        Ok(OutboundLine { assistant, number })
    }

    /// Whoever wrote STOP does not want to be called either.
    async fn has_opted_out(&mut self, phone: &E164) -> Result<bool, StoreError> {
        for channel in [Channel::Sms, Channel::Whatsapp] {
            if self.suppression(channel, phone.as_str()).await?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn latest_call_back(
        &mut self,
        contact: ContactId,
        since: Timestamp,
    ) -> Result<Option<CallBackRecord>, StoreError> {
        let row: Option<CallBackRow> = sqlx::query_as(LATEST)
            .bind(self.org())
            .bind(contact.0)
            .bind(to_sql(since))
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn add_call_back(&mut self, record: &CallBackRecord) -> Result<(), StoreError> {
        let requested_at = to_sql(record.requested_at);
        sqlx::query(ADD_CALL)
            .bind(self.org())
            .bind(record.call.0)
            .bind(&record.assistant)
            .bind(record.phone.as_str())
            .bind(record.contact.0)
            .bind(requested_at)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        sqlx::query(ADD)
            .bind(self.org())
            .bind(record.call.0)
            .bind(record.contact.0)
            .bind(record.phone.as_str())
            .bind(&record.assistant)
            .bind(&record.number)
            .bind(requested_at)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn call_back(&mut self, call: CallId) -> Result<Option<CallBackRecord>, StoreError> {
        let org = self.org();
        let row: Option<CallBackRow> = sqlx::query_as(ONE)
            .bind(org)
            .bind(call.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn note_placed(&mut self, call: CallId, provider: &ProviderCallId) -> Result<(), StoreError> {
        let named = sqlx::query(NAME)
            .bind(self.org())
            .bind(call.0)
            .bind(provider.as_str())
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        if named.rows_affected() == 0 {
            let own: Option<Option<String>> =
                sqlx::query_scalar("select vapi_call_id from calls where org_id = $1 and id = $2")
                    .bind(self.org())
                    .bind(call.0)
                    .fetch_optional(self.conn())
                    .await
                    .map_err(store_error)?;
            if own.flatten().as_deref() != Some(provider.as_str()) {
                // Somebody else's row tells of it from now on; this one only has to end.
                self.fail_call(call, "told-by-another-record", Timestamp::UNIX_EPOCH).await?;
            }
        }
        self.settle_call_back(call, "placed").await
    }

    async fn note_not_placed(&mut self, call: CallId, reason: &str, at: Timestamp) -> Result<(), StoreError> {
        self.fail_call(call, reason, at).await?;
        self.settle_call_back(call, "not_placed").await
    }
}

#[async_trait]
impl CallBackBegin for PgStore {
    async fn wait_for(
        &self,
        scope: &OrgScope,
        call: CallId,
        patience: Duration,
    ) -> Result<Option<CallBackRecord>, StoreError> {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let mut tx = self.tenant(scope).await?;
            let row: Option<CallBackRow> = sqlx::query_as(SEEN)
                .bind(tx.org())
                .bind(call.0)
                .fetch_optional(tx.conn())
                .await
                .map_err(store_error)?;
            drop(tx);
            let record: Option<CallBackRecord> = row.map(TryInto::try_into).transpose()?;
            let is_open = record.as_ref().is_some_and(|record| record.placing == Placing::Asked);
            if !is_open || began.elapsed() >= patience {
                return Ok(record);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }
}
