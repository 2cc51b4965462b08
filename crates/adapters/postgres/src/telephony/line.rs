//! The line that an organization brings: what the voice service holds of it, and whom its calls are attributed to.

use async_trait::async_trait;
use sqlx::{
    FromRow, Postgres,
    postgres::{PgArguments, PgQueryResult},
    query::Query,
};
use voxanne_kernel::{E164, StoreError, ids::CredentialId};
use voxanne_telephony::{
    Answering, Custom, HeldLine, LineRecords, RingsElsewhere, RouteError, Settled, Step,
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
};

const HELD: &str = "select vapi_credential_id from twilio_lines where org_id = $1";

const HELD_NUMBERS: &str = "select phone_number, vapi_phone_id from twilio_line_numbers
  where org_id = $1 order by created_at, phone_number";

const BEGIN_HOLDING: &str = "insert into twilio_lines (org_id) values ($1) on conflict (org_id) do nothing";

const PUT_ACCOUNT: &str =
    "update twilio_lines set vapi_credential_id = $2, updated_at = now() where org_id = $1";

const PUT_NUMBER: &str =
    "insert into twilio_line_numbers (org_id, phone_number, vapi_phone_id) values ($1, $2, $3)
 on conflict (org_id, phone_number) do update set vapi_phone_id = excluded.vapi_phone_id";

const FORGET_NUMBER: &str = "delete from twilio_line_numbers where org_id = $1 and phone_number = $2";

const FORGET: &str = "delete from twilio_lines where org_id = $1";

const CUSTOM: &str = "select o.answer_mode = 'dynamic' as is_dynamic, o.alert_phone, a.vapi_assistant_id,
        c.metadata ->> 'provider_credential_id' as signing_credential
   from organizations o
   left join assistants a on a.org_id = o.id and a.kind = 'inbound'
   left join org_credentials c on c.org_id = o.id and c.provider = 'vapi_webhook'
  where o.id = $1";

/// A number that rings at another organization, or an id that does, conflicts with a unique index and stays there.
const TAKE_NUMBER: &str =
    "insert into phone_number_mapping (org_id, phone_number, vapi_phone_id) values ($1, $2, $3)
 on conflict do nothing";

const HAS_NUMBER: &str = "update phone_number_mapping set vapi_phone_id = coalesce($3, vapi_phone_id)
  where org_id = $1 and phone_number = $2";

const UNROUTE: &str = "delete from phone_number_mapping where org_id = $1 and phone_number = $2";

const IS_CURRENT: &str = "select true from org_credentials
  where org_id = $1 and id = $2 and provider = 'twilio' and source = 'byoc' and is_active for no key update";

const IN_STEP_WITH: &str = "update twilio_lines set in_step_with = $2, updated_at = now() where org_id = $1";

/// What the carrier itself refused stays refused, whatever becomes of the line.
const IN_STEP: &str = "update org_credentials set status = 'verified', error_code = null, updated_at = now()
  where org_id = $1 and id = $2 and (status = 'syncing' or error_code = any($3))";

const FAILED: &str = "update org_credentials set status = 'failed', error_code = $4, updated_at = now()
  where org_id = $1 and id = $2 and (status in ('syncing', 'verified') or error_code = any($3))";

#[derive(FromRow)]
struct CustomRow {
    is_dynamic: bool,
    alert_phone: Option<String>,
    vapi_assistant_id: Option<String>,
    signing_credential: Option<String>,
}

impl CustomRow {
    fn answering(&mut self) -> Answering {
        match (self.is_dynamic, self.vapi_assistant_id.take(), self.signing_credential.take()) {
            (true, _, Some(credential)) => Answering::Us { credential },
            (false, Some(assistant), _) => Answering::Assistant(assistant),
            _ => Answering::Nobody,
        }
    }
}

async fn run(
    tx: &mut TenantTx,
    statement: Query<'_, Postgres, PgArguments>,
) -> Result<PgQueryResult, StoreError> {
    statement.execute(tx.conn()).await.map_err(store_error)
}

#[async_trait]
impl LineRecords for TenantTx {
    async fn held(&mut self) -> Result<Option<HeldLine>, StoreError> {
        let account: Option<Option<String>> = sqlx::query_scalar(HELD)
            .bind(self.org())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        let Some(account) = account else { return Ok(None) };
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(HELD_NUMBERS)
            .bind(self.org())
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let read = |(number, id): (String, Option<String>)| match E164::new(&number) {
            Ok(number) => Ok((number, id)),
            Err(error) => Err(corrupt("twilio_line_numbers", "phone_number", &self.org(), error)),
        };
        Ok(Some(HeldLine { account, numbers: rows.into_iter().map(read).collect::<Result<_, _>>()? }))
    }

    async fn begin_holding(&mut self) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(BEGIN_HOLDING).bind(org)).await.map(drop)
    }

    async fn put_account(&mut self, id: &str) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(PUT_ACCOUNT).bind(org).bind(id.to_owned())).await.map(drop)
    }

    async fn put_number(&mut self, number: &E164, id: Option<&str>) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(PUT_NUMBER).bind(org).bind(number.as_str()).bind(id)).await.map(drop)
    }

    async fn forget_number(&mut self, number: &E164) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(FORGET_NUMBER).bind(org).bind(number.as_str())).await.map(drop)
    }

    async fn forget(&mut self) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(FORGET).bind(org)).await.map(drop)
    }

    async fn custom(&mut self) -> Result<Option<Custom>, StoreError> {
        let row: Option<CustomRow> =
            sqlx::query_as(CUSTOM).bind(self.org()).fetch_optional(self.conn()).await.map_err(store_error)?;
        let Some(mut row) = row else { return Ok(None) };
        let fallback = row.alert_phone.as_deref().map(E164::new).transpose();
        Ok(Some(Custom {
            answering: row.answering(),
            fallback: fallback.map_err(|e| corrupt("organizations", "alert_phone", &self.org(), e))?,
        }))
    }

    async fn route(&mut self, number: &E164, id: Option<&str>) -> Result<(), RouteError> {
        let org = self.org();
        for statement in [TAKE_NUMBER, HAS_NUMBER] {
            let done = run(self, sqlx::query(statement).bind(org).bind(number.as_str()).bind(id)).await?;
            if done.rows_affected() == 1 {
                return Ok(());
            }
        }
        Err(RingsElsewhere.into())
    }

    async fn unroute(&mut self, number: &E164) -> Result<(), StoreError> {
        let org = self.org();
        run(self, sqlx::query(UNROUTE).bind(org).bind(number.as_str())).await.map(drop)
    }

    async fn is_current(&mut self, record: CredentialId) -> Result<bool, StoreError> {
        let found: Option<bool> = sqlx::query_scalar(IS_CURRENT)
            .bind(self.org())
            .bind(record.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(found.is_some())
    }

    async fn settle(&mut self, record: CredentialId, outcome: Settled) -> Result<(), StoreError> {
        let org = self.org();
        let steps: Vec<&str> = Step::ALL.into_iter().map(Step::as_str).collect();
        let in_step_with = (outcome == Settled::InStep).then_some(record.0);
        run(self, sqlx::query(IN_STEP_WITH).bind(org).bind(in_step_with)).await?;
        let statement = match outcome {
            Settled::InStep => sqlx::query(IN_STEP).bind(org).bind(record.0).bind(steps),
            Settled::Failed(step) => {
                sqlx::query(FAILED).bind(org).bind(record.0).bind(steps).bind(step.as_str())
            }
        };
        run(self, statement).await.map(drop)
    }
}
