//! Exchanging a refresh token for the next one, and ending a session.

use std::sync::Arc;

use voxanne_kernel::{BeginSystem, Clock, Commit, StoreError};

use crate::{
    access::{ACCESS_LIFETIME, Claims, IssueError, TokenIssuer},
    ports::{Accounts, EndOfSession, Sessions},
    session::{NewToken, RefreshToken, Rotation},
    sign_in::SignedIn,
};

/// What refreshing touches.
pub trait RefreshTx: Accounts + Sessions + Commit {}
impl<T: Accounts + Sessions + Commit> RefreshTx for T {}

/// Why a refresh token was not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It is unknown, used, expired, or its session has ended: the holder must sign in again.
    #[error("the refresh token is not valid")]
    Refused,
    /// No access token could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps sessions alive.
pub struct Refresh {
    store: Arc<dyn BeginSystem<dyn RefreshTx>>,
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
}

impl Refresh {
    /// Keeps the sessions of `store` alive.
    pub fn new(
        store: Arc<dyn BeginSystem<dyn RefreshTx>>,
        issuer: Arc<dyn TokenIssuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, issuer, clock }
    }

    /// Exchanges `token` for an access token, with the rights its user has by now, and the next refresh token.
    ///
    /// # Errors
    /// See [`RefreshError`]. A token that was used before ends its session.
    pub async fn run(&self, token: &RefreshToken) -> Result<SignedIn, RefreshError> {
        let now = self.clock.now();
        let mut tx = self.store.begin_system().await?;
        let presented = tx.presented(&token.digest()).await?.ok_or(RefreshError::Refused)?;
        let session = presented.session;
        let successor = match presented.rotation(now) {
            Rotation::Advance => {
                let successor = RefreshToken::generate();
                let stored = NewToken::of(&successor, &session, now);
                tx.advance(presented.id, &stored, &token.seal(&successor)).await?;
                successor
            }
            Rotation::Repeat(sealed) => token.open(&sealed),
            Rotation::EndSession => {
                tx.end_session(session.id, EndOfSession::TokenReused, now).await?;
                tx.commit().await?;
                tracing::warn!(session.id = %session.id, user.id = %session.user, "a used refresh token came again: its session was ended");
                return Err(RefreshError::Refused);
            }
            Rotation::Refuse => return Err(RefreshError::Refused),
        };
        let account = tx.account(session.user).await?.ok_or(RefreshError::Refused)?;
        let access = self.issuer.issue(&Claims::of(&account), ACCESS_LIFETIME)?;
        tx.commit().await?;
        Ok(SignedIn { access, refresh: successor, account })
    }
}

/// Ends sessions.
pub struct SignOut {
    store: Arc<dyn BeginSystem<dyn RefreshTx>>,
    clock: Arc<dyn Clock>,
}

impl SignOut {
    /// Ends sessions of `store`.
    pub fn new(store: Arc<dyn BeginSystem<dyn RefreshTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Ends the session that `token` belongs to, if any; whoever asks cannot tell.
    pub async fn run(&self, token: &RefreshToken) -> Result<(), StoreError> {
        let mut tx = self.store.begin_system().await?;
        if let Some(presented) = tx.presented(&token.digest()).await? {
            tx.end_session(presented.session.id, EndOfSession::SignedOut, self.clock.now()).await?;
        }
        tx.commit().await
    }
}
