//! What the store must offer, in small pieces. Each use case names the sum it needs.
//!
//! Ports that speak of "the organization" mean the one the unit of work was opened for. The others ([`Accounts`],
//! [`Sessions`], [`Throttle`], [`Directory`]) look across organizations, which only signing in, inviting and the
//! operators' work may do.

use async_trait::async_trait;
use voxanne_kernel::{
    EmailAddress, Page, PageRequest, StoreError, Timestamp,
    ids::{OrgId, RefreshTokenId, SessionId, UserId},
};

use crate::{
    audit_trail::AuditEvent,
    member::{Member, NewMember, Role},
    organization::{Organization, OrganizationStatus},
    password::PasswordHash,
    session::{NewToken, PresentedToken, SealedToken, Session, TokenDigest},
    throttle::{Attempts, Subject},
    user::{Account, NewUser, User},
};

/// The organization itself.
#[async_trait]
pub trait Organizations: Send {
    /// The organization; `None` if there is none of that id.
    async fn organization(&mut self) -> Result<Option<Organization>, StoreError>;

    /// The organization, kept from changing until this unit of work ends.
    async fn organization_for_update(&mut self) -> Result<Option<Organization>, StoreError>;

    /// Adds the organization, whose id is the one the unit of work was opened for.
    async fn add_organization(&mut self, organization: &Organization) -> Result<(), StoreError>;

    /// Stores all settings of the organization.
    async fn save_organization(&mut self, organization: &Organization) -> Result<(), StoreError>;
}

/// The organization's members.
#[async_trait]
pub trait Members: Send {
    /// One member; `None` if `user` is not one.
    async fn member(&mut self, user: UserId) -> Result<Option<Member>, StoreError>;

    /// The members, newest first.
    async fn members(&mut self, page: &PageRequest) -> Result<Page<Member>, StoreError>;

    /// The owners, kept from changing until this unit of work ends, so that two of them cannot leave at once.
    async fn lock_owners(&mut self) -> Result<Vec<UserId>, StoreError>;

    /// Adds a member. `false`, and nothing happens, when the user belongs to an organization already.
    async fn add_member(&mut self, member: &NewMember) -> Result<bool, StoreError>;

    /// Changes a member's role; nothing happens if there is no such member.
    async fn set_role(&mut self, user: UserId, role: Role) -> Result<(), StoreError>;

    /// Ends a membership; nothing happens if there is none.
    async fn remove_member(&mut self, user: UserId) -> Result<(), StoreError>;
}

/// People, whichever organization they belong to.
#[async_trait]
pub trait Accounts: Send {
    /// The account of `email`, if there is one.
    async fn account_by_email(&mut self, email: &EmailAddress) -> Result<Option<Account>, StoreError>;

    /// The account of `user`, if there is one.
    async fn account(&mut self, user: UserId) -> Result<Option<Account>, StoreError>;

    /// Adds a user. `false`, and nothing happens, when the e-mail address is taken.
    async fn add_user(&mut self, user: &NewUser) -> Result<bool, StoreError>;

    /// Replaces a user's password.
    async fn set_password(&mut self, user: UserId, hash: &PasswordHash) -> Result<(), StoreError>;
}

/// Sign-ins and their refresh tokens.
#[async_trait]
pub trait Sessions: Send {
    /// Stores a new session and its first token.
    async fn open_session(&mut self, session: &Session, token: &NewToken) -> Result<(), StoreError>;

    /// The token with this digest, if there is one. Its session is kept from changing until this unit of work ends,
    /// and what is returned is as of then.
    async fn presented(&mut self, digest: &TokenDigest) -> Result<Option<PresentedToken>, StoreError>;

    /// Marks `parent` used at `successor`'s creation and stores `successor`, open and sealed.
    async fn advance(
        &mut self,
        parent: RefreshTokenId,
        successor: &NewToken,
        sealed: &SealedToken,
    ) -> Result<(), StoreError>;

    /// Ends a session, unless it has ended.
    async fn end_session(
        &mut self,
        session: SessionId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Ends all sessions of a user.
    async fn end_sessions_of(
        &mut self,
        user: UserId,
        why: EndOfSession,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndOfSession {
    /// Its holder signed out.
    SignedOut,
    /// A used refresh token came again: somebody has a copy.
    TokenReused,
    /// The user was removed from their organization.
    Removed,
}

impl EndOfSession {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SignedOut => "signed_out",
            Self::TokenReused => "token_reused",
            Self::Removed => "removed",
        }
    }
}

/// The tries that count against accounts and addresses.
#[async_trait]
pub trait Throttle: Send {
    /// The tries of `subject`, kept from changing until this unit of work ends; none if none are stored.
    async fn attempts(&mut self, subject: &Subject, now: Timestamp) -> Result<Attempts, StoreError>;

    /// Replaces the tries of `subject`.
    async fn set_attempts(&mut self, subject: &Subject, attempts: &Attempts) -> Result<(), StoreError>;
}

/// All organizations and people, for the platform's operators and for telling callers who they are.
#[async_trait]
pub trait Directory: Send {
    /// Organizations, newest first, of one status or all.
    async fn organizations(
        &mut self,
        status: Option<OrganizationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Organization>, StoreError>;

    /// One organization; `None` if there is none of that id.
    async fn organization_by_id(&mut self, org: OrgId) -> Result<Option<Organization>, StoreError>;

    /// Organizations that have no owner.
    async fn ownerless(&mut self) -> Result<Vec<OrgId>, StoreError>;

    /// Users who belong to no organization and are no operators.
    async fn unattached(&mut self) -> Result<Vec<User>, StoreError>;
}

/// Reads the organization's audit trail.
#[async_trait]
pub trait AuditTrail: Send {
    /// Entries, newest first.
    async fn audit_events(&mut self, page: &PageRequest) -> Result<Page<AuditEvent>, StoreError>;

    /// Who founded the organization, as the trail tells it.
    async fn founder(&mut self) -> Result<Option<UserId>, StoreError>;
}
