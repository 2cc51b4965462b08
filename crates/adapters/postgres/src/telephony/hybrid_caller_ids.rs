//! The organization's own numbers and the proof of each.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{E164, StoreError, ids::CallerIdId};
use voxanne_telephony::hybrid::{Attempt, CallerId, CallerIdName, CodeHash, State, Status, ports::CallerIds};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const TABLE: &str = "verified_caller_ids";

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, phone_number, friendly_name, twilio_caller_id_sid, twilio_call_sid, twilio_account_sid, status,
                callback_token, code_hash, started_at, expires_at, attempts, locked_until, verified_at, created_at, updated_at
           from verified_caller_ids where org_id = $1 ",
            $rest
        )
    };
}

const ONE: &str = select!("and id = $2");
const ONE_TO_CHANGE: &str = select!("and id = $2 for update");
const NUMBER_TO_CHANGE: &str = select!("and phone_number = $2 for update");

const ALL: &str = "select c.id, c.phone_number, c.friendly_name, c.twilio_caller_id_sid, c.twilio_call_sid,
        c.twilio_account_sid, c.status, c.callback_token, c.code_hash, c.started_at, c.expires_at, c.attempts,
        c.locked_until, c.verified_at, c.created_at, c.updated_at,
        exists (select from hybrid_forwarding_configs f
                 where f.org_id = c.org_id and f.verified_caller_id = c.id and f.status <> 'disabled') as has_forwarding
   from verified_caller_ids c where c.org_id = $1 order by c.created_at desc, c.id desc";

/// Somebody who adds the same number at the same time is waited for.
const ADD: &str = "insert into verified_caller_ids
    (org_id, id, phone_number, friendly_name, twilio_caller_id_sid, twilio_call_sid, twilio_account_sid, status,
     callback_token, code_hash, started_at, expires_at, attempts, locked_until, verified_at, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
 on conflict (org_id, phone_number) do nothing";

const PUT: &str = "update verified_caller_ids
    set friendly_name = $4, twilio_caller_id_sid = $5, twilio_call_sid = $6, twilio_account_sid = $7, status = $8,
        callback_token = $9, code_hash = $10, started_at = $11, expires_at = $12, attempts = $13, locked_until = $14,
        verified_at = $15, created_at = $16, updated_at = $17
  where org_id = $1 and id = $2 and phone_number = $3";

const REMOVE: &str = "delete from verified_caller_ids where org_id = $1 and id = $2";

const OPENED_ACCOUNT: &str = "select twilio_account_sid from managed_telephony_accounts where org_id = $1";

const CLAIM_LOOK: &str = "update verified_caller_ids set next_look_at = $4
  where org_id = $1 and id = $2 and (next_look_at is null or next_look_at <= $3)";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    phone_number: String,
    friendly_name: Option<String>,
    twilio_caller_id_sid: Option<String>,
    twilio_call_sid: Option<String>,
    twilio_account_sid: String,
    status: String,
    callback_token: String,
    code_hash: Option<String>,
    started_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    attempts: i16,
    locked_until: Option<OffsetDateTime>,
    verified_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

#[derive(FromRow)]
struct ListedRow {
    #[sqlx(flatten)]
    row: Row,
    has_forwarding: bool,
}

impl TryFrom<Row> for CallerId {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let id = row.id;
        let state = match (row.status.as_str(), row.verified_at, row.twilio_caller_id_sid) {
            ("pending", ..) => State::Pending,
            ("verified", Some(at), Some(sid)) => State::Verified { at: from_sql(at), sid },
            ("failed", ..) => State::Failed,
            ("expired", ..) => State::Expired,
            _ => return Err(corrupt(TABLE, "status", &id, row.status)),
        };
        let name = row.friendly_name.as_deref().map(CallerIdName::new).transpose();
        Ok(Self {
            id: CallerIdId(id),
            number: E164::new(&row.phone_number).map_err(|e| corrupt(TABLE, "phone_number", &id, e))?,
            name: name.map_err(|e| corrupt(TABLE, "friendly_name", &id, e))?,
            state,
            attempt: Attempt {
                token: row.callback_token,
                account: row.twilio_account_sid,
                call: row.twilio_call_sid,
                code: row.code_hash.map(CodeHash::new),
                wrong: u8::try_from(row.attempts).map_err(|e| corrupt(TABLE, "attempts", &id, e))?,
                started_at: from_sql(row.started_at),
                expires_at: from_sql(row.expires_at),
            },
            locked_until: row.locked_until.map(from_sql),
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

impl TenantTx {
    async fn write_caller_id(
        &mut self,
        statement: &'static str,
        caller_id: &CallerId,
    ) -> Result<bool, StoreError> {
        let (status, verified_at, sid) = match &caller_id.state {
            State::Pending => (Status::Pending, None, None),
            State::Verified { at, sid } => (Status::Verified, Some(to_sql(*at)), Some(sid.as_str())),
            State::Failed => (Status::Failed, None, None),
            State::Expired => (Status::Expired, None, None),
        };
        let attempt = &caller_id.attempt;
        let done = sqlx::query(statement)
            .bind(self.org())
            .bind(caller_id.id.0)
            .bind(caller_id.number.as_str())
            .bind(caller_id.name.as_ref().map(CallerIdName::as_str))
            .bind(sid)
            .bind(attempt.call.as_deref())
            .bind(&attempt.account)
            .bind(status.as_str())
            .bind(&attempt.token)
            .bind(attempt.code.as_ref().map(CodeHash::as_phc))
            .bind(to_sql(attempt.started_at))
            .bind(to_sql(attempt.expires_at))
            .bind(i16::from(attempt.wrong))
            .bind(caller_id.locked_until.map(to_sql))
            .bind(verified_at)
            .bind(to_sql(caller_id.created_at))
            .bind(to_sql(caller_id.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }

    async fn read_caller_id(
        &mut self,
        statement: &'static str,
        id: CallerIdId,
    ) -> Result<Option<CallerId>, StoreError> {
        let row: Option<Row> = sqlx::query_as(statement)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(CallerId::try_from).transpose()
    }
}

#[async_trait]
impl CallerIds for TenantTx {
    async fn caller_id(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError> {
        self.read_caller_id(ONE, id).await
    }

    async fn caller_id_to_change(&mut self, id: CallerIdId) -> Result<Option<CallerId>, StoreError> {
        self.read_caller_id(ONE_TO_CHANGE, id).await
    }

    async fn number_to_change(&mut self, number: &E164) -> Result<Option<CallerId>, StoreError> {
        let row: Option<Row> = sqlx::query_as(NUMBER_TO_CHANGE)
            .bind(self.org())
            .bind(number.as_str())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(CallerId::try_from).transpose()
    }

    async fn caller_ids(&mut self) -> Result<Vec<(CallerId, bool)>, StoreError> {
        let rows: Vec<ListedRow> =
            sqlx::query_as(ALL).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        rows.into_iter().map(|listed| Ok((listed.row.try_into()?, listed.has_forwarding))).collect()
    }

    async fn add_caller_id(&mut self, caller_id: &CallerId) -> Result<bool, StoreError> {
        self.write_caller_id(ADD, caller_id).await
    }

    async fn put_caller_id(&mut self, caller_id: &CallerId) -> Result<(), StoreError> {
        self.write_caller_id(PUT, caller_id).await.map(drop)
    }

    async fn remove_caller_id(&mut self, id: CallerIdId) -> Result<(), StoreError> {
        sqlx::query(REMOVE).bind(self.org()).bind(id.0).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn opened_account(&mut self) -> Result<Option<String>, StoreError> {
        let found: Option<Option<String>> = sqlx::query_scalar(OPENED_ACCOUNT)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.flatten())
    }

    async fn claim_look(
        &mut self,
        id: CallerIdId,
        now: Timestamp,
        again: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(CLAIM_LOOK)
            .bind(self.org())
            .bind(id.0)
            .bind(to_sql(now))
            .bind(to_sql(again))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }
}
