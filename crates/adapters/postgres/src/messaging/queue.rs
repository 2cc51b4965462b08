//! Recording mails.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;
use voxanne_kernel::{
    EmailAddress, StoreError, Timestamp,
    ids::{MailId, UserId},
};
use voxanne_messaging::mail::{AccountMails, Notice, OwnersMails};
use voxanne_tenancy::ports::Members as _;

use crate::{SystemTx, TenantTx, constraint::store_error, sql::to_sql};

/// The ids come along in the order of the people.
const ADD: &str =
    "insert into platform_mails (id, org_id, user_id, kind, topic, data, created_at, updated_at)
 select m.id, $1, m.user_id, $4, $5, $6, $8, $8 from unnest($2::uuid[], $3::uuid[]) as m (id, user_id)
  where $7::timestamptz is null or not exists (
        select from platform_mails told
         where told.org_id is not distinct from $1 and told.user_id = m.user_id and told.topic = $5
           and told.created_at > $7)
 returning id";

/// Whoever tells the same person at the same time waits here, and then finds what was told.
const LOCK_HOLDER: &str = "select id from users where email = $1 for update";

/// The facts of a notice, as they are stored beside its kind.
fn facts(notice: &Notice) -> Result<Value, StoreError> {
    let mut whole = serde_json::to_value(notice).map_err(|error| StoreError::Refused(Box::new(error)))?;
    Ok(whole["data"].take())
}

async fn add(
    connection: &mut PgConnection,
    org: Option<Uuid>,
    people: &[UserId],
    notice: &Notice,
    unless_told_since: Option<Timestamp>,
    at: Timestamp,
) -> Result<Vec<MailId>, StoreError> {
    let ids: Vec<Uuid> = people.iter().map(|_| MailId::generate().0).collect();
    let people: Vec<Uuid> = people.iter().map(|person| person.0).collect();
    let added: Vec<Uuid> = sqlx::query_scalar(ADD)
        .bind(org)
        .bind(ids)
        .bind(people)
        .bind(notice.kind())
        .bind(notice.topic())
        .bind(facts(notice)?)
        .bind(unless_told_since.map(to_sql))
        .bind(to_sql(at))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    Ok(added.into_iter().map(MailId).collect())
}

#[async_trait]
impl OwnersMails for TenantTx {
    async fn add_for_owners(
        &mut self,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Vec<MailId>, StoreError> {
        let owners = self.lock_owners().await?;
        let org = self.org();
        add(self.conn(), Some(org), &owners, notice, unless_told_since, at).await
    }
}

#[async_trait]
impl AccountMails for SystemTx {
    async fn add_for_account(
        &mut self,
        address: &EmailAddress,
        notice: &Notice,
        unless_told_since: Option<Timestamp>,
        at: Timestamp,
    ) -> Result<Option<MailId>, StoreError> {
        let holder: Option<Uuid> = sqlx::query_scalar(LOCK_HOLDER)
            .bind(address.as_str())
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        let Some(holder) = holder else { return Ok(None) };
        Ok(add(self.conn(), None, &[UserId(holder)], notice, unless_told_since, at).await?.pop())
    }
}
