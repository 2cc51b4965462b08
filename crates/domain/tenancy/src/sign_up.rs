//! Signing up: an organization, its first user and owner, and everything a new organization starts with, in one unit
//! of work. A refusal does not say why, and takes as long as a success.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;
use voxanne_kernel::{
    Actor, Audit, Begin, Clock, Commit, EmailAddress, NewAudit, OrgScope, StoreError, Zone,
    ids::{OrgId, UserId},
};

use crate::{
    access::{ACCESS_LIFETIME, Claims, IssueError, TokenIssuer},
    member::{NewMember, Role},
    organization::{Organization, OrganizationName},
    password::{HashingFailed, NewPassword, Passwords},
    ports::{Accounts, Members, Organizations, Sessions},
    session::{NewToken, RefreshToken, Session},
    sign_in::SignedIn,
    user::{Account, NewUser, Standing, User},
};

/// What signing up touches.
pub trait SignUpTx: Organizations + Members + Accounts + Sessions + Audit + Commit {}
impl<T: Organizations + Members + Accounts + Sessions + Audit + Commit> SignUpTx for T {}

/// Gives a new organization what other domains want it to start with (services, a calendar, a webhook secret), in the
/// unit of work that founds it. `Tx` is that unit of work with the other domains' ports on top, which this domain does
/// not need to know.
#[async_trait]
pub trait Newcomer<Tx: ?Sized>: Send + Sync {
    /// Equips `organization` through `tx`.
    async fn equip(&self, tx: &mut Tx, organization: &Organization) -> Result<(), StoreError>;
}

/// Lets the holder of an account know that somebody tried to sign up with its address; another domain's work, joined
/// where the program is assembled.
#[async_trait]
pub trait AccountHolders: Send + Sync {
    /// Sees to it that whoever has the account of `address` hears of the attempt. It may be told of many attempts, and
    /// of addresses that nobody has.
    async fn address_taken(&self, address: &EmailAddress) -> Result<(), StoreError>;
}

/// Somebody who wants to sign up.
#[derive(Debug, Clone)]
pub struct SignUpRequest {
    /// Their address, not yet anybody's.
    pub email: EmailAddress,
    /// The password they chose.
    pub password: NewPassword,
    /// What their organization is called.
    pub organization: OrganizationName,
    /// Its zone.
    pub zone: Zone,
}

/// Why signing up failed.
#[derive(Debug, thiserror::Error)]
pub enum SignUpError {
    /// No account is made with these details. The address may be taken; whoever asks is not told.
    #[error("the sign-up was refused")]
    Rejected,
    /// No token could be made.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The password could not be hashed.
    #[error(transparent)]
    Hashing(#[from] HashingFailed),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Signs organizations up.
pub struct SignUp<Tx: ?Sized> {
    store: Arc<dyn Begin<Tx>>,
    newcomer: Arc<dyn Newcomer<Tx>>,
    holders: Arc<dyn AccountHolders>,
    passwords: Arc<dyn Passwords>,
    issuer: Arc<dyn TokenIssuer>,
    clock: Arc<dyn Clock>,
}

impl<Tx: SignUpTx + ?Sized> SignUp<Tx> {
    /// Signs organizations up in `store` and has `newcomer` equip them; `holders` hear of attempts with their address.
    pub fn new(
        store: Arc<dyn Begin<Tx>>,
        newcomer: Arc<dyn Newcomer<Tx>>,
        holders: Arc<dyn AccountHolders>,
        passwords: Arc<dyn Passwords>,
        issuer: Arc<dyn TokenIssuer>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, newcomer, holders, passwords, issuer, clock }
    }

    /// Founds the organization and signs its owner in.
    ///
    /// # Errors
    /// See [`SignUpError`]; nothing was created.
    pub async fn run(&self, request: SignUpRequest) -> Result<SignedIn, SignUpError> {
        let now = self.clock.now();
        let password = self.passwords.hash(request.password.into_secret()).await?;
        let user = User { id: UserId::generate(), email: request.email };
        let organization = Organization::founded(OrgId::generate(), request.organization, request.zone, now);
        let account = Account {
            user: user.clone(),
            password: Some(password.clone()),
            standing: Standing::Member { organization: Box::new(organization.clone()), role: Role::Owner },
        };
        let access = self.issuer.issue(&Claims::of(&account), ACCESS_LIFETIME)?;

        let mut tx = self.store.begin(&founding(&organization, &user)).await?;
        tx.add_organization(&organization).await?;
        self.newcomer.equip(&mut tx, &organization).await?;
        tx.record(NewAudit {
            action: "organization.created",
            target_kind: "organization",
            target_id: organization.id.to_string(),
            before: None,
            after: Some(json!({"name": organization.name, "timezone": organization.zone.name()})),
        })
        .await?;
        // The user comes last: a taken address is found out only after all the other work, so that it takes as long.
        let new_user =
            NewUser { user: user.clone(), password: Some(password), is_operator: false, since: now };
        if !tx.add_user(&new_user).await? {
            drop(tx);
            self.tell_holder(&user).await;
            return Err(SignUpError::Rejected);
        }
        if !tx.add_member(&NewMember { user: user.id, role: Role::Owner, since: now }).await? {
            return Err(SignUpError::Rejected);
        }
        let session = Session::begin(user.id, now);
        let refresh = RefreshToken::generate();
        tx.open_session(&session, &NewToken::of(&refresh, &session, now)).await?;
        tx.commit().await?;
        Ok(SignedIn { access, refresh, account })
    }

    /// Stands in for what a success still stores. Whoever asked gets the same answer whether this succeeds or not.
    async fn tell_holder(&self, taken: &User) {
        if let Err(error) = self.holders.address_taken(&taken.email).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "an account's holder cannot be told of a sign-up with their address"
            );
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the founder of an organization that does not exist yet may enter it"
)]
fn founding(organization: &Organization, founder: &User) -> OrgScope {
    OrgScope::vouch(organization.id, Actor::User(founder.id))
}
