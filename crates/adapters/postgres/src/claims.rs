//! Claims as rows with a time on them.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use uuid::Uuid;
use voxanne_kernel::{Claim, Claims, Commit, ConfirmClaim, ExtendClaim, OrgScope, StoreError};

use crate::{PgStore, TenantTx, constraint::store_error};

/// How long to wait before looking again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// How often a claim that is kept is renewed in its length.
const KEPT: u32 = 4;

/// Of several at once one inserts; the others wait for it and then find the row taken.
const CLAIM: &str = "insert into work_claims (org_id, what, token, held_until)
 values ($1, $2, $3, clock_timestamp() + $4 * interval '1 millisecond')
 on conflict (org_id, what) do update set token = excluded.token, held_until = excluded.held_until
  where work_claims.held_until < clock_timestamp()";

const RELEASE: &str = "delete from work_claims where org_id = $1 and what = $2 and token = $3";

const CONFIRM: &str = "select true from work_claims
  where org_id = $1 and what = $2 and token = $3 and held_until > clock_timestamp() for update";

const EXTEND: &str = "update work_claims set held_until = clock_timestamp() + $4 * interval '1 millisecond'
  where org_id = $1 and what = $2 and token = $3 and held_until > clock_timestamp()";

impl PgStore {
    async fn try_extend(
        &self,
        scope: &OrgScope,
        claim: &Claim,
        length: Duration,
    ) -> Result<bool, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let is_ours = tx.extend(claim, length).await?;
        Box::new(tx).commit().await?;
        Ok(is_ours)
    }

    async fn try_claim(
        &self,
        scope: &OrgScope,
        what: &str,
        length: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let token = Uuid::now_v7();
        let claimed = sqlx::query(CLAIM)
            .bind(scope.org().0)
            .bind(what)
            .bind(token)
            .bind(length.as_secs_f64() * 1_000.0)
            .execute(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await?;
        Ok((claimed.rows_affected() == 1).then(|| Claim { what: what.to_owned(), token }))
    }
}

#[async_trait]
impl Claims for PgStore {
    async fn claim(
        &self,
        scope: &OrgScope,
        what: &str,
        length: Duration,
        patience: Duration,
    ) -> Result<Option<Claim>, StoreError> {
        let began = Instant::now();
        let mut pause = PAUSES.0;
        loop {
            let claim = self.try_claim(scope, what, length).await?;
            if claim.is_some() || began.elapsed() >= patience {
                return Ok(claim);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    async fn release(&self, scope: &OrgScope, claim: Claim) -> Result<(), StoreError> {
        let mut tx = self.tenant(scope).await?;
        sqlx::query(RELEASE)
            .bind(scope.org().0)
            .bind(&claim.what)
            .bind(claim.token)
            .execute(tx.conn())
            .await
            .map_err(store_error)?;
        Box::new(tx).commit().await
    }

    async fn keep(&self, scope: &OrgScope, claim: &Claim, length: Duration) {
        loop {
            tokio::time::sleep(length / KEPT).await;
            match self.try_extend(scope, claim, length).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let chain = &error as &dyn std::error::Error;
                    tracing::warn!(org_id = %scope.org(), what = claim.what, error = chain, "a claim was not renewed");
                }
            }
        }
    }
}

#[async_trait]
impl ConfirmClaim for TenantTx {
    async fn confirm(&mut self, claim: &Claim) -> Result<bool, StoreError> {
        let held: Option<bool> = sqlx::query_scalar(CONFIRM)
            .bind(self.org())
            .bind(&claim.what)
            .bind(claim.token)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        Ok(held.is_some())
    }
}

#[async_trait]
impl ExtendClaim for TenantTx {
    async fn extend(&mut self, claim: &Claim, length: Duration) -> Result<bool, StoreError> {
        let extended = sqlx::query(EXTEND)
            .bind(self.org())
            .bind(&claim.what)
            .bind(claim.token)
            .bind(length.as_secs_f64() * 1_000.0)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(extended.rows_affected() == 1)
    }
}
