//! Sign-ins and their refresh tokens, under the service role.

use async_trait::async_trait;
use sqlx::{FromRow, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    StoreError, Timestamp,
    ids::{RefreshTokenId, SessionId, UserId},
};
use voxanne_tenancy::{
    Session, TokenDigest,
    ports::{EndOfSession, Sessions},
    session::{NewToken, PresentedToken, SealedToken, Use},
};

use crate::{
    SystemTx, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

const OPEN: &str = "insert into sessions (id, user_id, created_at, ends_at) values ($1, $2, $3, $4)";

const ADD_TOKEN: &str =
    "insert into refresh_tokens (id, session_id, parent_id, token_hash, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6)";

/// A statement of its own: the one that reads the token must begin after the lock is held, or it would see the token
/// as it was before whoever held the lock.
const LOCK: &str = "select s.id from sessions s
    where s.id = (select t.session_id from refresh_tokens t where t.token_hash = $1) for update";

const READ: &str = "select t.id, t.session_id, t.expires_at, t.used_at, t.successor,
        coalesce(c.used_at is not null, false) as successor_used,
        s.user_id, s.created_at, s.ends_at, s.revoked_at is not null as revoked
   from refresh_tokens t
   join sessions s on s.id = t.session_id
   left join refresh_tokens c on c.parent_id = t.id
  where t.token_hash = $1";

const USE: &str = "update refresh_tokens set used_at = $2, successor = $3 where id = $1 and used_at is null";

const END: &str =
    "update sessions set revoked_at = $2, revoked_for = $3 where id = $1 and revoked_at is null";

const END_ALL: &str =
    "update sessions set revoked_at = $2, revoked_for = $3 where user_id = $1 and revoked_at is null";

#[derive(FromRow)]
struct TokenRow {
    id: Uuid,
    session_id: Uuid,
    expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
    successor: Option<Vec<u8>>,
    successor_used: bool,
    user_id: Uuid,
    created_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    revoked: bool,
}

impl TryFrom<TokenRow> for PresentedToken {
    type Error = StoreError;
    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let used = match (row.used_at, row.successor) {
            (Some(at), Some(sealed)) => {
                let sealed = sealed.try_into().map_err(|_| {
                    corrupt("refresh_tokens", "successor", &row.id, "it does not have 32 bytes")
                })?;
                let successor = SealedToken(sealed);
                Some(Use { at: from_sql(at), successor, successor_used: row.successor_used })
            }
            _ => None,
        };
        Ok(Self {
            id: RefreshTokenId(row.id),
            session: Session {
                id: SessionId(row.session_id),
                user: UserId(row.user_id),
                started_at: from_sql(row.created_at),
                ends_at: from_sql(row.ends_at),
            },
            revoked: row.revoked,
            expires_at: from_sql(row.expires_at),
            used,
        })
    }
}

async fn open(connection: &mut PgConnection, session: &Session, token: &NewToken) -> Result<(), StoreError> {
    sqlx::query(OPEN)
        .bind(session.id.0)
        .bind(session.user.0)
        .bind(to_sql(session.started_at))
        .bind(to_sql(session.ends_at))
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    add_token(connection, token, None).await
}

async fn add_token(
    connection: &mut PgConnection,
    token: &NewToken,
    parent: Option<RefreshTokenId>,
) -> Result<(), StoreError> {
    sqlx::query(ADD_TOKEN)
        .bind(token.id.0)
        .bind(token.session.0)
        .bind(parent.map(|parent| parent.0))
        .bind(token.digest.0.as_slice())
        .bind(to_sql(token.created_at))
        .bind(to_sql(token.expires_at))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

async fn presented(
    connection: &mut PgConnection,
    digest: &TokenDigest,
) -> Result<Option<PresentedToken>, StoreError> {
    let session: Option<Uuid> = sqlx::query_scalar(LOCK)
        .bind(digest.0.as_slice())
        .fetch_optional(&mut *connection)
        .await
        .map_err(store_error)?;
    if session.is_none() {
        return Ok(None);
    }
    let row: Option<TokenRow> = sqlx::query_as(READ)
        .bind(digest.0.as_slice())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.map(TryInto::try_into).transpose()
}

async fn advance(
    connection: &mut PgConnection,
    parent: RefreshTokenId,
    successor: &NewToken,
    sealed: &SealedToken,
) -> Result<(), StoreError> {
    sqlx::query(USE)
        .bind(parent.0)
        .bind(to_sql(successor.created_at))
        .bind(sealed.0.as_slice())
        .execute(&mut *connection)
        .await
        .map_err(store_error)?;
    add_token(connection, successor, Some(parent)).await
}

async fn end(
    connection: &mut PgConnection,
    statement: &'static str,
    whose: Uuid,
    why: EndOfSession,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(statement)
        .bind(whose)
        .bind(to_sql(at))
        .bind(why.as_str())
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}

#[async_trait]
impl Sessions for SystemTx {
    async fn open_session(&mut self, session: &Session, token: &NewToken) -> Result<(), StoreError> {
        open(self.conn(), session, token).await
    }

    async fn presented(&mut self, digest: &TokenDigest) -> Result<Option<PresentedToken>, StoreError> {
        presented(self.conn(), digest).await
    }

    async fn advance(
        &mut self,
        parent: RefreshTokenId,
        successor: &NewToken,
        sealed: &SealedToken,
    ) -> Result<(), StoreError> {
        advance(self.conn(), parent, successor, sealed).await
    }

    async fn end_session(
        &mut self,
        session: SessionId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        end(self.conn(), END, session.0, why, at).await
    }

    async fn end_sessions_of(
        &mut self,
        user: UserId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        end(self.conn(), END_ALL, user.0, why, at).await
    }
}

#[async_trait]
impl Sessions for TenantTx {
    async fn open_session(&mut self, session: &Session, token: &NewToken) -> Result<(), StoreError> {
        let outcome = open(self.service().await?, session, token).await;
        self.application(outcome).await
    }

    async fn presented(&mut self, digest: &TokenDigest) -> Result<Option<PresentedToken>, StoreError> {
        let outcome = presented(self.service().await?, digest).await;
        self.application(outcome).await
    }

    async fn advance(
        &mut self,
        parent: RefreshTokenId,
        successor: &NewToken,
        sealed: &SealedToken,
    ) -> Result<(), StoreError> {
        let outcome = advance(self.service().await?, parent, successor, sealed).await;
        self.application(outcome).await
    }

    async fn end_session(
        &mut self,
        session: SessionId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let outcome = end(self.service().await?, END, session.0, why, at).await;
        self.application(outcome).await
    }

    async fn end_sessions_of(
        &mut self,
        user: UserId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let outcome = end(self.service().await?, END_ALL, user.0, why, at).await;
        self.application(outcome).await
    }
}
