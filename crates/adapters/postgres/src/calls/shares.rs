//! Links to recordings.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::sharing::{LinkDigest, Share, Shares};
use voxanne_kernel::{
    StoreError,
    ids::{CallId, MessageId, RecordingId, RecordingShareId},
};

use crate::{
    TenantTx,
    constraint::store_error,
    sql::{from_sql, to_sql},
};

const ADD: &str = "insert into recording_shares
        (id, org_id, call_id, recording_id, message_id, token_hash, sealed_token, created_at, expires_at)
 values ($2, $1, $3, $4, $5, $6, $7, $8, $9)";

const OF_CALL: &str = "select s.id, s.recording_id, s.message_id, s.created_at, s.expires_at, s.revoked_at
   from calls c left join recording_shares s on s.org_id = $1 and s.call_id = c.id
  where c.org_id = $1 and c.id = $2
  order by s.created_at desc, s.id desc
  limit 100";

/// Who took it back first did; the row is locked between the two halves.
const REVOKE: &str = "with found as (select id, revoked_at from recording_shares
                 where org_id = $1 and call_id = $2 and id = $3 for update),
     taken as (update recording_shares s set revoked_at = $4 from found f
                where s.org_id = $1 and s.id = f.id and f.revoked_at is null)
 select revoked_at is null from found";

const SEALED: &str =
    "select sealed_token from recording_shares where org_id = $1 and id = $2 and message_id = $3";

#[derive(FromRow)]
struct ShareRow {
    id: Option<Uuid>,
    recording_id: Option<Uuid>,
    message_id: Option<Uuid>,
    created_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    revoked_at: Option<OffsetDateTime>,
}

impl ShareRow {
    /// `None` for the row that only says that the call is there.
    fn into_share(self, call: CallId) -> Option<Share> {
        Some(Share {
            id: RecordingShareId(self.id?),
            call,
            recording: RecordingId(self.recording_id?),
            message: MessageId(self.message_id?),
            created_at: from_sql(self.created_at?),
            expires_at: from_sql(self.expires_at?),
            revoked_at: self.revoked_at.map(from_sql),
        })
    }
}

#[async_trait]
impl Shares for TenantTx {
    async fn add_share(
        &mut self,
        share: &Share,
        digest: &LinkDigest,
        sealed: &[u8],
    ) -> Result<(), StoreError> {
        sqlx::query(ADD)
            .bind(self.org())
            .bind(share.id.0)
            .bind(share.call.0)
            .bind(share.recording.0)
            .bind(share.message.0)
            .bind(&digest.0[..])
            .bind(sealed)
            .bind(to_sql(share.created_at))
            .bind(to_sql(share.expires_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn shares_of(&mut self, call: CallId) -> Result<Option<Vec<Share>>, StoreError> {
        let rows: Vec<ShareRow> = sqlx::query_as(OF_CALL)
            .bind(self.org())
            .bind(call.0)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let is_there = !rows.is_empty();
        let shares = rows.into_iter().filter_map(|row| row.into_share(call)).collect();
        Ok(is_there.then_some(shares))
    }

    async fn revoke_share(
        &mut self,
        call: CallId,
        share: RecordingShareId,
        at: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        sqlx::query_scalar(REVOKE)
            .bind(self.org())
            .bind(call.0)
            .bind(share.0)
            .bind(to_sql(at))
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)
    }

    async fn sealed_link(
        &mut self,
        share: RecordingShareId,
        message: MessageId,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar(SEALED)
            .bind(self.org())
            .bind(share.0)
            .bind(message.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)
    }
}
