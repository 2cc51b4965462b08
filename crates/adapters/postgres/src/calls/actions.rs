//! What actions read of a call and of its organization.

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_calls::{AlertPhone, Counterpart, Counterparts, Transcript, Transcripts, Turn};
use voxanne_kernel::{
    E164, StoreError,
    ids::{CallId, ContactId},
};

use crate::{
    TenantTx,
    constraint::{corrupt, store_error},
};

#[async_trait]
impl AlertPhone for TenantTx {
    async fn alert_phone(&mut self) -> Result<Option<E164>, StoreError> {
        let org = self.org();
        let phone: Option<String> = sqlx::query_scalar("select alert_phone from organizations where id = $1")
            .bind(org)
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        let phone = phone.as_deref().map(E164::new).transpose();
        phone.map_err(|error| corrupt("organizations", "alert_phone", &org, error))
    }
}

#[async_trait]
impl Transcripts for TenantTx {
    async fn transcript(&mut self, call: CallId) -> Result<Option<Transcript>, StoreError> {
        let stored: Option<Option<serde_json::Value>> =
            sqlx::query_scalar("select transcript from calls where org_id = $1 and id = $2")
                .bind(self.org())
                .bind(call.0)
                .fetch_optional(self.conn())
                .await
                .map_err(store_error)?;
        let Some(stored) = stored.flatten() else { return Ok(None) };
        let turns: Vec<Turn> =
            serde_json::from_value(stored).map_err(|error| corrupt("calls", "transcript", &call, error))?;
        Ok((!turns.is_empty()).then_some(Transcript { turns }))
    }
}

#[async_trait]
impl Counterparts for TenantTx {
    async fn counterpart(&mut self, call: CallId) -> Result<Option<Counterpart>, StoreError> {
        let found: Option<(Option<String>, Option<Uuid>)> =
            sqlx::query_as("select phone_number, contact_id from calls where org_id = $1 and id = $2")
                .bind(self.org())
                .bind(call.0)
                .fetch_optional(self.conn())
                .await
                .map_err(store_error)?;
        let Some((phone, contact)) = found else { return Ok(None) };
        let phone = phone.as_deref().map(E164::new).transpose();
        Ok(Some(Counterpart {
            phone: phone.map_err(|error| corrupt("calls", "phone_number", &call, error))?,
            contact: contact.map(ContactId),
        }))
    }
}
