//! The book of recordings. Every change shows in `calls.recording_status` in the same unit of work.

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::{
    ProviderCallId,
    recordings::{
        AudioKey, AudioType, FindSharedRecording, Forget, KeptAudio, Recording, RecordingSource,
        RecordingState, Recordings, SharedRecording,
    },
    sharing::LinkDigest,
};
use voxanne_kernel::{
    StoreError,
    ids::{CallId, OrgId, RecordingId},
};

use crate::{
    PgStore, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const EXPECT: &str = "insert into call_recordings (id, org_id, call_id, sources) values ($2, $1, $3, $4)
     on conflict (org_id, call_id) do nothing";

const ONE: &str = "select r.id, r.call_id, c.vapi_call_id, r.sources, r.status, r.media_type, r.size_bytes,
        r.error_code, r.attempts
   from call_recordings r join calls c on c.org_id = $1 and c.id = r.call_id
  where r.org_id = $1 and r.id = $2
    for update of r";

const BEGIN: &str =
    "update call_recordings set status = 'processing', attempts = attempts + 1, updated_at = now()
  where org_id = $1 and id = $2 and status in ('pending', 'processing') returning call_id";

const SETTLE: &str = "update call_recordings
    set status = $3, media_type = $4, size_bytes = $5, error_code = $6, sources = '{}', updated_at = now(),
        completed_at = case when $3 = 'completed' then $7 end
  where org_id = $1 and id = $2 returning call_id";

const SHOW: &str = "update calls set recording_status = $3, updated_at = now() where org_id = $1 and id = $2";

const AUDIO: &str = "select r.id, r.media_type, r.size_bytes
   from calls c
   left join call_recordings r on r.org_id = $1 and r.call_id = c.id and r.status = 'completed'
  where c.org_id = $1 and c.id = $2";

const FORGET: &str = "with gone as (
        delete from call_recordings
         where org_id = $1 and id in (
               select id from call_recordings
                where org_id = $1 and ($2::uuid is null or call_id = $2) and ($3::timestamptz is null or created_at < $3)
                order by created_at limit $4)
     returning id, call_id),
     shown as (update calls set recording_status = 'none', updated_at = now()
                where org_id = $1 and id in (select call_id from gone))
 select id from gone";

const SHARED: &str = "select s.org_id, s.recording_id, s.expires_at, s.revoked_at is not null as is_revoked,
        r.media_type, r.size_bytes
   from recording_shares s
   left join call_recordings r on r.org_id = s.org_id and r.id = s.recording_id and r.status = 'completed'
  where s.token_hash = $1";

#[derive(FromRow)]
struct RecordingRow {
    id: Uuid,
    call_id: Uuid,
    vapi_call_id: Option<String>,
    sources: Vec<String>,
    status: String,
    media_type: Option<String>,
    size_bytes: Option<i64>,
    error_code: Option<String>,
    attempts: i32,
}

impl RecordingRow {
    fn into_recording(self) -> Result<Recording, StoreError> {
        let state = match self.status.as_str() {
            "pending" => RecordingState::Pending,
            "processing" => RecordingState::Processing,
            "failed" => RecordingState::Failed(self.error_code.unwrap_or_default()),
            _ => RecordingState::Completed(kept(&self.id, self.media_type.as_deref(), self.size_bytes)?),
        };
        let provider_call = self.vapi_call_id.as_deref().and_then(ProviderCallId::new);
        Ok(Recording {
            provider_call: provider_call
                .ok_or_else(|| corrupt("calls", "vapi_call_id", &self.call_id, "is no call id"))?,
            id: RecordingId(self.id),
            call: CallId(self.call_id),
            sources: self.sources.iter().filter_map(|source| RecordingSource::new(source)).collect(),
            state,
            attempts: u32::try_from(self.attempts).unwrap_or(0),
        })
    }
}

/// What lies in storage, of a completed recording.
fn kept(id: &Uuid, media_type: Option<&str>, size: Option<i64>) -> Result<KeptAudio, StoreError> {
    let unreadable = |column| corrupt("call_recordings", column, id, "is not what a completed one has");
    Ok(KeptAudio {
        kind: media_type.and_then(AudioType::from_stored).ok_or_else(|| unreadable("media_type"))?,
        size: size.and_then(|size| u64::try_from(size).ok()).ok_or_else(|| unreadable("size_bytes"))?,
    })
}

impl TenantTx {
    async fn show_recording(&mut self, call: Uuid, status: &str) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(SHOW)
            .bind(org)
            .bind(call)
            .bind(status)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl Recordings for TenantTx {
    async fn expect_recording(
        &mut self,
        id: RecordingId,
        call: CallId,
        sources: &[RecordingSource],
    ) -> Result<bool, StoreError> {
        let sources: Vec<&str> = sources.iter().map(RecordingSource::as_str).collect();
        let added = sqlx::query(EXPECT)
            .bind(self.org())
            .bind(id.0)
            .bind(call.0)
            .bind(sources)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        let is_new = added.rows_affected() == 1;
        if is_new {
            self.show_recording(call.0, "pending").await?;
        }
        Ok(is_new)
    }

    async fn recording(&mut self, id: RecordingId) -> Result<Option<Recording>, StoreError> {
        let row: Option<RecordingRow> = sqlx::query_as(ONE)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(RecordingRow::into_recording).transpose()
    }

    async fn begin_recording(&mut self, id: RecordingId) -> Result<(), StoreError> {
        let call: Option<Uuid> = sqlx::query_scalar(BEGIN)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        match call {
            Some(call) => self.show_recording(call, "processing").await,
            None => Ok(()),
        }
    }

    async fn settle_recording(
        &mut self,
        id: RecordingId,
        state: &RecordingState,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (kept, error) = match state {
            RecordingState::Completed(kept) => (Some(kept), None),
            RecordingState::Failed(why) => (None, Some(why.as_str())),
            RecordingState::Pending | RecordingState::Processing => (None, None),
        };
        let call: Option<Uuid> = sqlx::query_scalar(SETTLE)
            .bind(self.org())
            .bind(id.0)
            .bind(state.as_str())
            .bind(kept.map(|kept| kept.kind.media_type()))
            .bind(kept.map(|kept| i64::try_from(kept.size).unwrap_or(i64::MAX)))
            .bind(error)
            .bind(to_sql(at))
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        match call {
            Some(call) => self.show_recording(call, state.as_str()).await,
            None => Ok(()),
        }
    }

    async fn audio_of(
        &mut self,
        call: CallId,
    ) -> Result<Option<Option<(RecordingId, KeptAudio)>>, StoreError> {
        let row: Option<(Option<Uuid>, Option<String>, Option<i64>)> = sqlx::query_as(AUDIO)
            .bind(self.org())
            .bind(call.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        let Some((id, media_type, size)) = row else { return Ok(None) };
        let Some(id) = id else { return Ok(Some(None)) };
        Ok(Some(Some((RecordingId(id), kept(&id, media_type.as_deref(), size)?))))
    }

    async fn forget_recordings(&mut self, which: Forget, limit: u16) -> Result<Vec<RecordingId>, StoreError> {
        let (call, before) = match which {
            Forget::Of(call) => (Some(call.0), None),
            Forget::Before(at) => (None, Some(to_sql(at))),
            Forget::All => (None, None),
        };
        let gone: Vec<Uuid> = sqlx::query_scalar(FORGET)
            .bind(self.org())
            .bind(call)
            .bind(before)
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(gone.into_iter().map(RecordingId).collect())
    }
}

#[derive(FromRow)]
struct SharedRow {
    org_id: Uuid,
    recording_id: Uuid,
    expires_at: OffsetDateTime,
    is_revoked: bool,
    media_type: Option<String>,
    size_bytes: Option<i64>,
}

/// Under the service role: the link says whose it is.
#[async_trait]
impl FindSharedRecording for PgStore {
    async fn shared_recording(&self, digest: &LinkDigest) -> Result<Option<SharedRecording>, StoreError> {
        let mut tx = self.system().await?;
        let row: Option<SharedRow> = sqlx::query_as(SHARED)
            .bind(&digest.0[..])
            .fetch_optional(tx.conn())
            .await
            .map_err(store_error)?;
        let Some(row) = row else { return Ok(None) };
        let audio = match row.media_type {
            Some(media_type) => Some(kept(&row.recording_id, Some(&media_type), row.size_bytes)?),
            None => None,
        };
        Ok(Some(SharedRecording {
            key: AudioKey { org: OrgId(row.org_id), recording: RecordingId(row.recording_id) },
            audio,
            expires_at: from_sql(row.expires_at),
            is_revoked: row.is_revoked,
        }))
    }
}
