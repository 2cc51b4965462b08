//! What the records of all organizations say about numbers, for comparing them with the providers.

use std::collections::HashSet;
use std::hash::Hash;

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;
use voxanne_kernel::{
    Commit, E164, StoreError,
    ids::{ManagedNumberId, OrgId},
};
use voxanne_telephony::numbers::{AccountRecord, Known, ManagedNumber, NumberInventory};

use super::numbers_row::{NumberRow, columns};
use crate::{PgStore, SystemTx, constraint::store_error};

const NUMBERS: &str = concat!(
    "select org_id, ",
    columns!(),
    " from managed_phone_numbers
  where status in ('buying', 'active', 'releasing') order by org_id, asked_at, id"
);

const ACCOUNTS: &str =
    "select org_id, twilio_account_sid, vapi_credential_id from managed_telephony_accounts";

const VOICE_NUMBERS: &str = "select vapi_phone_id from phone_number_mapping where vapi_phone_id is not null
 union select vapi_phone_id from twilio_line_numbers where vapi_phone_id is not null
 union select vapi_phone_id from managed_phone_numbers
        where vapi_phone_id is not null and status in ('active', 'releasing')";

const IMPORTS: &str = "select phone_number from twilio_line_numbers where vapi_phone_id is null
 union select phone_number from managed_phone_numbers where status = 'buying'";

const OWN_LINES: &str = "select org_id from twilio_lines";

const ASSISTANTS: &str = "select vapi_assistant_id from assistants where vapi_assistant_id is not null";

/// A row says so before an assistant is made.
const EXPECTING: &str =
    "select org_id from assistants where vapi_assistant_id is null or create_attempted_at is not null";

const ORGANIZATIONS: &str = "select id from organizations";

const TEXTING_ELSEWHERE: &str = "select org_id, id from managed_phone_numbers
  where status = 'active' and (sms_url is null or not starts_with(sms_url, $1)) order by org_id, id";

#[derive(FromRow)]
struct OwnedRow {
    org_id: Uuid,
    #[sqlx(flatten)]
    number: NumberRow,
}

async fn set<T, U>(
    tx: &mut SystemTx,
    query: &'static str,
    read: impl Fn(T) -> U,
) -> Result<HashSet<U>, StoreError>
where
    T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    U: Eq + Hash,
{
    let rows: Vec<T> = sqlx::query_scalar(query).fetch_all(tx.conn()).await.map_err(store_error)?;
    Ok(rows.into_iter().map(read).collect())
}

#[async_trait]
impl NumberInventory for PgStore {
    async fn known(&self) -> Result<Known, StoreError> {
        let mut tx = self.system().await?;
        let numbers: Vec<OwnedRow> =
            sqlx::query_as(NUMBERS).fetch_all(tx.conn()).await.map_err(store_error)?;
        let numbers =
            numbers.into_iter().map(|row| Ok((OrgId(row.org_id), ManagedNumber::try_from(row.number)?)));
        let numbers = numbers.collect::<Result<_, StoreError>>()?;
        let accounts: Vec<(Uuid, Option<String>, Option<String>)> =
            sqlx::query_as(ACCOUNTS).fetch_all(tx.conn()).await.map_err(store_error)?;
        let accounts = accounts
            .into_iter()
            .map(|(org, account, voice_account)| (OrgId(org), AccountRecord { account, voice_account }));
        let imports: HashSet<String> = set(&mut tx, IMPORTS, |number| number).await?;
        let known = Known {
            numbers,
            accounts: accounts.collect(),
            voice_numbers: set(&mut tx, VOICE_NUMBERS, |id: String| id).await?,
            imports: imports.iter().filter_map(|number| E164::new(number).ok()).collect(),
            own_lines: set(&mut tx, OWN_LINES, OrgId).await?,
            assistants: set(&mut tx, ASSISTANTS, |id: String| id).await?,
            expecting_assistants: set(&mut tx, EXPECTING, OrgId).await?,
            organizations: set(&mut tx, ORGANIZATIONS, OrgId).await?,
        };
        Box::new(tx).commit().await?;
        Ok(known)
    }

    async fn texting_elsewhere(&self, prefix: &str) -> Result<Vec<(OrgId, ManagedNumberId)>, StoreError> {
        let mut tx = self.system().await?;
        let found: Vec<(Uuid, Uuid)> =
            sqlx::query_as(TEXTING_ELSEWHERE).bind(prefix).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(found.into_iter().map(|(org, id)| (OrgId(org), ManagedNumberId(id))).collect())
    }
}

const OF_ONE: &str = concat!(
    "select org_id, ",
    columns!(),
    " from managed_phone_numbers
  where status <> 'failed' and ($1::uuid is null or org_id = $1) order by org_id, asked_at desc, id desc limit 10000"
);

impl PgStore {
    /// Managed numbers with their organizations, for an operator: those of one, or all.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn every_managed_number(
        &self,
        org: Option<OrgId>,
    ) -> Result<Vec<(OrgId, ManagedNumber)>, StoreError> {
        let mut tx = self.system().await?;
        let rows: Vec<OwnedRow> = sqlx::query_as(OF_ONE)
            .bind(org.map(|org| org.0))
            .fetch_all(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        rows.into_iter().map(|row| Ok((OrgId(row.org_id), row.number.try_into()?))).collect()
    }
}

const ACCESS: &str = "select o.status = 'verified' as is_verified, o.answer_mode = 'dynamic' as is_dynamic, a.vapi_assistant_id
   from organizations o left join assistants a on a.org_id = o.id and a.kind = 'inbound' where o.id = $1";

const ROUTED: &str = "select phone_number, vapi_phone_id from phone_number_mapping where org_id = $1
  order by created_at, phone_number";

/// What calls to an organization depend on, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// Whether the organization was let in and is not suspended.
    pub is_verified: bool,
    /// Whether the voice service asks us who answers.
    pub is_dynamic: bool,
    /// The voice service's id of the assistant that answers.
    pub assistant: Option<String>,
    /// The numbers whose calls are attributed to it, and the voice service's ids of them.
    pub routed: Vec<(String, Option<String>)>,
}

impl PgStore {
    /// What calls to an organization depend on; `None` when there is no such organization.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn access_of(&self, org: OrgId) -> Result<Option<Access>, StoreError> {
        let mut tx = self.system().await?;
        let found: Option<(bool, bool, Option<String>)> =
            sqlx::query_as(ACCESS).bind(org.0).fetch_optional(tx.conn()).await.map_err(store_error)?;
        let routed = sqlx::query_as(ROUTED).bind(org.0).fetch_all(tx.conn()).await.map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok(found.map(|(is_verified, is_dynamic, assistant)| Access {
            is_verified,
            is_dynamic,
            assistant,
            routed,
        }))
    }
}
