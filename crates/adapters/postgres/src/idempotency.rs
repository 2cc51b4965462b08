//! Answers kept for requests that carry an `Idempotency-Key` (spec/01-platform.md, HTTP; spec/13).
//!
//! A row is a request. It is held while somebody works on the request, and has an answer afterwards. One that nobody
//! holds any more, because whoever did has died or gave it back, is taken up again by its repetition, as the request
//! that it was: what it did the first time can be found by when it first came.

use std::time::Duration;

use time::OffsetDateTime;
use voxanne_kernel::{Commit, OrgScope, StoreError, Timestamp};

use crate::{PgStore, constraint::store_error, sql::from_sql};

/// What a key stands for when a request comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It is now held by this request, which has no answer yet.
    Held {
        /// When the request first came, within the last 24 hours: now, unless it was begun before and not finished.
        since: Timestamp,
    },
    /// Its request was answered: this was the answer.
    Answered(StoredAnswer),
    /// It was used for another request.
    OtherRequest,
    /// Its request is still running.
    Running,
}

/// An answer that is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// HTTP status.
    pub status: u16,
    /// Content type, if there was a body.
    pub content_type: Option<String>,
    /// The body as it was sent.
    pub body: Vec<u8>,
}

type Row = (Vec<u8>, Option<i16>, Option<String>, Option<Vec<u8>>);

impl PgStore {
    /// Takes `key` for a request with `fingerprint`, or says what became of its first request. A request that held
    /// the key for longer than `hold` without an answer or [`Self::hold_key`] has died, and gives it up.
    pub async fn claim_key(
        &self,
        scope: &OrgScope,
        key: &str,
        fingerprint: &[u8; 32],
        hold: Duration,
    ) -> Result<Claim, StoreError> {
        let mut tx = self.tenant(scope).await?;
        // One that was given back may be used for another request; one that was lost may have done something.
        let since: Option<OffsetDateTime> = sqlx::query_scalar(
            "insert into idempotency_keys as k (org_id, key, fingerprint, held_until)
             values ($1, $2, $3, now() + make_interval(secs => $4))
             on conflict (org_id, key) do update
                set fingerprint = excluded.fingerprint, held_until = excluded.held_until,
                    created_at = case when k.fingerprint = excluded.fingerprint
                                       and k.created_at >= now() - interval '24 hours'
                                 then k.created_at else now() end,
                    status = null, content_type = null, body = null
              where (k.created_at < now() - interval '24 hours' and (k.status is not null or k.held_until < now()))
                 or (k.status is null and k.held_until < now()
                     and (k.fingerprint = excluded.fingerprint or k.held_until = '-infinity'))
             returning created_at",
        )
        .bind(scope.org().0)
        .bind(key)
        .bind(fingerprint.as_slice())
        .bind(hold.as_secs_f64())
        .fetch_optional(tx.conn())
        .await
        .map_err(store_error)?;
        if let Some(since) = since {
            Box::new(tx).commit().await?;
            return Ok(Claim::Held { since: from_sql(since) });
        }
        let (known, status, content_type, body): Row = sqlx::query_as(
            "select fingerprint, status, content_type, body from idempotency_keys where org_id = $1 and key = $2",
        )
        .bind(scope.org().0)
        .bind(key)
        .fetch_one(tx.conn())
        .await
        .map_err(store_error)?;
        Ok(match status {
            _ if known != fingerprint => Claim::OtherRequest,
            None => Claim::Running,
            Some(status) => Claim::Answered(StoredAnswer {
                status: status.unsigned_abs(),
                content_type,
                body: body.unwrap_or_default(),
            }),
        })
    }

    /// Keeps the answer of the request that holds `key`.
    pub async fn keep_answer(
        &self,
        scope: &OrgScope,
        key: &str,
        answer: &StoredAnswer,
    ) -> Result<(), StoreError> {
        let mut tx = self.tenant(scope).await?;
        sqlx::query(
            "update idempotency_keys set status = $3, content_type = $4, body = $5 where org_id = $1 and key = $2",
        )
        .bind(scope.org().0)
        .bind(key)
        .bind(answer.status.cast_signed())
        .bind(&answer.content_type)
        .bind(&answer.body)
        .execute(tx.conn())
        .await
        .map_err(store_error)?;
        Box::new(tx).commit().await
    }

    /// Keeps holding `key` for a request that is still worked on.
    pub async fn hold_key(&self, scope: &OrgScope, key: &str, hold: Duration) -> Result<(), StoreError> {
        let mut tx = self.tenant(scope).await?;
        sqlx::query(
            "update idempotency_keys set held_until = now() + make_interval(secs => $3)
              where org_id = $1 and key = $2 and status is null",
        )
        .bind(scope.org().0)
        .bind(key)
        .bind(hold.as_secs_f64())
        .execute(tx.conn())
        .await
        .map_err(store_error)?;
        Box::new(tx).commit().await
    }

    /// Gives `key` back: its request was refused in a way that a repetition may change, or not finished.
    pub async fn release_key(&self, scope: &OrgScope, key: &str) -> Result<(), StoreError> {
        let mut tx = self.tenant(scope).await?;
        sqlx::query(
            "update idempotency_keys set held_until = '-infinity'
              where org_id = $1 and key = $2 and status is null",
        )
        .bind(scope.org().0)
        .bind(key)
        .execute(tx.conn())
        .await
        .map_err(store_error)?;
        Box::new(tx).commit().await
    }
}
