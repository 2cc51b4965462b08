//! Signing in with e-mail and password. Neither the answer nor its timing tells whether an account exists.

use std::{net::IpAddr, sync::Arc};

use secrecy::SecretString;
use voxanne_kernel::{BeginSystem, Clock, Commit, EmailAddress, StoreError};

use crate::{
    access::{ACCESS_LIFETIME, Claims, IssueError, IssuedToken, TokenIssuer},
    password::{HashingFailed, PasswordCheck, PasswordHash, Passwords},
    ports::{Accounts, Sessions, Throttle},
    session::{NewToken, RefreshToken, Session},
    throttle::{Attempts, MustWait, Subject},
    user::Account,
};

/// What signing in touches.
pub trait SignInTx: Accounts + Sessions + Throttle + Commit {}
impl<T: Accounts + Sessions + Throttle + Commit> SignInTx for T {}

/// Somebody who wants to sign in.
#[derive(Debug, Clone)]
pub struct SignInRequest {
    /// Who they say they are.
    pub email: EmailAddress,
    /// How they prove it.
    pub password: SecretString,
    /// Where they are.
    pub address: IpAddr,
}

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// What they show with each request.
    pub access: IssuedToken,
    /// What they exchange for the next access token.
    pub refresh: RefreshToken,
    /// Who they are, and where they belong.
    pub account: Account,
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Too many tries; none is looked at before the wait is over.
    #[error("too many tries to sign in")]
    TooManyTries(MustWait),
    /// No such account, or another password.
    #[error("the e-mail address or the password is wrong")]
    Refused,
    /// No token could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The password could not be checked.
    #[error(transparent)]
    Hashing(#[from] HashingFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs people in.
pub struct SignIn {
    store: Arc<dyn BeginSystem<dyn SignInTx>>,
    passwords: Arc<dyn Passwords>,
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
}

impl SignIn {
    /// Signs people of `store` in.
    pub fn new(
        store: Arc<dyn BeginSystem<dyn SignInTx>>,
        passwords: Arc<dyn Passwords>,
        issuer: Arc<dyn TokenIssuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, passwords, issuer, clock }
    }

    /// Opens a session for whoever knows the account's password.
    ///
    /// # Errors
    /// See [`SignInError`].
    pub async fn run(&self, request: SignInRequest) -> Result<SignedIn, SignInError> {
        let subjects = [Subject::Account(request.email.clone()), Subject::Address(request.address)];
        self.count_try(&subjects).await?;
        let account = self.find(&request.email).await?;
        let hash = account.as_ref().and_then(|account| account.password.clone());
        let check = self.passwords.check(request.password.clone(), hash).await?;
        let account = account.filter(|_| check != PasswordCheck::Wrong).ok_or(SignInError::Refused)?;
        let rehashed = match check {
            PasswordCheck::RightButOutdated => Some(self.passwords.hash(request.password).await?),
            PasswordCheck::Right | PasswordCheck::Wrong => None,
        };
        self.admit(account, rehashed, &subjects).await
    }

    /// Counts the try before anything else, so that tries made at once are all counted.
    async fn count_try(&self, subjects: &[Subject; 2]) -> Result<(), SignInError> {
        let now = self.clock.now();
        let mut tx = self.store.begin_system().await?;
        for subject in subjects {
            let before = tx.attempts(subject, now).await?;
            let counted = subject.try_at(before, now).map_err(SignInError::TooManyTries)?;
            tx.set_attempts(subject, &counted).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    async fn find(&self, email: &EmailAddress) -> Result<Option<Account>, StoreError> {
        let mut tx = self.store.begin_system().await?;
        let account = tx.account_by_email(email).await?;
        tx.commit().await?;
        Ok(account)
    }

    async fn admit(
        &self,
        account: Account,
        rehashed: Option<PasswordHash>,
        subjects: &[Subject; 2],
    ) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let mut tx = self.store.begin_system().await?;
        for subject in subjects {
            let counted: Attempts = tx.attempts(subject, now).await?;
            tx.set_attempts(subject, &subject.succeeded(counted)).await?;
        }
        if let Some(hash) = rehashed {
            tx.set_password(account.user.id, &hash).await?;
        }
        let session = Session::begin(account.user.id, now);
        let refresh = RefreshToken::generate();
        tx.open_session(&session, &NewToken::of(&refresh, &session, now)).await?;
        let access = self.issuer.issue(&Claims::of(&account), ACCESS_LIFETIME)?;
        tx.commit().await?;
        Ok(SignedIn { access, refresh, account })
    }
}
