//! Who belongs to an organization, and as what. An organization never loses its last owner.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_kernel::{
    Actor, Audit, Begin, Clock, Commit, EmailAddress, NewAudit, OrgScope, Page, PageRequest, StoreError,
    ids::UserId,
};

use crate::{
    member::{Member, NewMember, Role},
    ports::{Accounts, EndOfSession, Members, Sessions},
    user::{NewUser, Standing, User},
};

/// What managing members touches.
pub trait MembersTx: Members + Accounts + Sessions + Audit + Commit {}
impl<T: Members + Accounts + Sessions + Audit + Commit> MembersTx for T {}

/// Why members were not shown or changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The caller's role, as the database has it now, does not suffice.
    #[error("the caller's role does not suffice")]
    NotAllowed,
    /// There is no such member.
    #[error("there is no such member")]
    NotFound,
    /// The person is a member already.
    #[error("the person is a member already")]
    AlreadyMember,
    /// The person cannot be added; whether they have an account elsewhere is not told.
    #[error("the invitation was refused")]
    Rejected,
    /// The organization would be left without an owner.
    #[error("the organization would be left without an owner")]
    LastOwner,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks against the database, not the token, that whoever acts in `scope` has at least the rights of `needed`, and
/// says which they have. Those who act from outside the organization are not members and have all rights in it; who may
/// act as one of them was settled when `scope` was made, except that an operator must still be one.
///
/// # Errors
/// [`MemberError::NotAllowed`] otherwise.
pub async fn require<Tx>(tx: &mut Tx, scope: &OrgScope, needed: Role) -> Result<Role, MemberError>
where
    Tx: Members + Accounts + ?Sized,
{
    let role = match scope.actor() {
        Actor::User(user) => tx.member(user).await?.map(|member| member.role),
        Actor::Operator(user) => {
            let account = tx.account(user).await?;
            account.filter(|account| account.standing == Standing::Operator).map(|_| Role::Owner)
        }
        Actor::CommandLine | Actor::Machine | Actor::Provider(_) | Actor::System => Some(Role::Owner),
    };
    role.filter(|role| *role >= needed).ok_or(MemberError::NotAllowed)
}

/// Shows and changes who belongs to an organization.
pub struct ManageMembers {
    store: Arc<dyn Begin<dyn MembersTx>>,
    clock: Arc<dyn Clock>,
}

impl ManageMembers {
    /// Manages the members in `store`.
    pub fn new(store: Arc<dyn Begin<dyn MembersTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Checks that the caller still has at least the rights of `needed`; for writes that matter.
    ///
    /// # Errors
    /// [`MemberError::NotAllowed`] otherwise.
    pub async fn require(&self, scope: &OrgScope, needed: Role) -> Result<(), MemberError> {
        let mut tx = self.store.begin(scope).await?;
        require(&mut *tx, scope, needed).await?;
        Ok(tx.commit().await?)
    }

    /// The members, newest first.
    pub async fn list(&self, scope: &OrgScope, page: &PageRequest) -> Result<Page<Member>, MemberError> {
        let mut tx = self.store.begin(scope).await?;
        let members = tx.members(page).await?;
        tx.commit().await?;
        Ok(members)
    }

    /// Adds the person with `email`, making them a user who has yet to choose a password if nobody has that address.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn invite(
        &self,
        scope: &OrgScope,
        email: EmailAddress,
        role: Role,
    ) -> Result<Member, MemberError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let acting = require(&mut *tx, scope, Role::Admin).await?;
        if !acting.manages(role) {
            return Err(MemberError::NotAllowed);
        }
        let user = match tx.account_by_email(&email).await? {
            None => {
                let user = User { id: UserId::generate(), email };
                let new = NewUser { user: user.clone(), password: None, is_operator: false, since: now };
                if !tx.add_user(&new).await? {
                    return Err(MemberError::Rejected);
                }
                user
            }
            Some(account) => match account.standing {
                Standing::Nobody => account.user,
                Standing::Member { organization, .. } if organization.id == scope.org() => {
                    return Err(MemberError::AlreadyMember);
                }
                Standing::Member { .. } | Standing::Operator => return Err(MemberError::Rejected),
            },
        };
        if !tx.add_member(&NewMember { user: user.id, role, since: now }).await? {
            return Err(MemberError::Rejected);
        }
        tx.record(entry("member.invited", user.id, None, Some(json!({"role": role})))).await?;
        tx.commit().await?;
        Ok(Member { user, role, since: now })
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn change_role(
        &self,
        scope: &OrgScope,
        user: UserId,
        role: Role,
    ) -> Result<Member, MemberError> {
        let mut tx = self.store.begin(scope).await?;
        let owners = tx.lock_owners().await?;
        let acting = require(&mut *tx, scope, Role::Admin).await?;
        let member = tx.member(user).await?.ok_or(MemberError::NotFound)?;
        if !acting.manages(member.role) || !acting.manages(role) {
            return Err(MemberError::NotAllowed);
        }
        if role == member.role {
            return Ok(member);
        }
        keep_an_owner(&owners, &member)?;
        tx.set_role(user, role).await?;
        let (before, after) = (json!({"role": member.role}), json!({"role": role}));
        tx.record(entry("member.role_changed", user, Some(before), Some(after))).await?;
        tx.commit().await?;
        Ok(Member { role, ..member })
    }

    /// Ends a membership and the member's sessions. Anybody may leave; removing others takes the rights to manage them.
    ///
    /// # Errors
    /// See [`MemberError`].
    pub async fn remove(&self, scope: &OrgScope, user: UserId) -> Result<(), MemberError> {
        let mut tx = self.store.begin(scope).await?;
        let owners = tx.lock_owners().await?;
        let acting = require(&mut *tx, scope, Role::Member).await?;
        let leaving = scope.actor() == Actor::User(user);
        if !leaving && acting < Role::Admin {
            return Err(MemberError::NotAllowed);
        }
        let member = tx.member(user).await?.ok_or(MemberError::NotFound)?;
        if !leaving && !acting.manages(member.role) {
            return Err(MemberError::NotAllowed);
        }
        keep_an_owner(&owners, &member)?;
        tx.remove_member(user).await?;
        tx.end_sessions_of(user, EndOfSession::Removed, self.clock.now()).await?;
        tx.record(entry("member.removed", user, Some(json!({"role": member.role})), None)).await?;
        Ok(tx.commit().await?)
    }
}

/// Refuses to take the ownership of the only owner.
fn keep_an_owner(owners: &[UserId], losing: &Member) -> Result<(), MemberError> {
    if owners == [losing.user.id] { Err(MemberError::LastOwner) } else { Ok(()) }
}

fn entry(action: &'static str, user: UserId, before: Option<Value>, after: Option<Value>) -> NewAudit {
    NewAudit { action, target_kind: "member", target_id: user.to_string(), before, after }
}
