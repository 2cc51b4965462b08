//! Finds organizations without an owner and users without an organization, and mends what can be mended
//! (`voxctl org fix-membership`).

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{
    Actor, Audit, Begin, BeginSystem, Clock, Commit, NewAudit, OrgScope, PageRequest, StoreError,
    ids::{OrgId, UserId},
};

use crate::{
    member::{Member, NewMember, Role},
    ports::{Accounts, AuditTrail, Members},
    review::DirectoryTx,
    user::{Standing, User},
};

/// What mending one organization touches.
pub trait MendTx: Members + Accounts + AuditTrail + Audit + Commit {}
impl<T: Members + Accounts + AuditTrail + Audit + Commit> MendTx for T {}

/// How an organization gets an owner again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Its most senior member becomes the owner: the admin, else the member, who has been there longest.
    Promote(UserId),
    /// Its founder, who belongs to no organization now, comes back as the owner.
    Restore(UserId),
    /// Nobody is left; an operator must invite somebody.
    Nobody,
}

/// What was found, and what is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MembershipReport {
    /// Organizations without an owner.
    pub ownerless: Vec<(OrgId, Remedy)>,
    /// Users without an organization whom no remedy brings back.
    pub unattached: Vec<User>,
    /// Whether the remedies were applied.
    pub applied: bool,
}

/// Mends memberships.
pub struct FixMembership {
    directory: Arc<dyn BeginSystem<dyn DirectoryTx>>,
    store: Arc<dyn Begin<dyn MendTx>>,
    clock: Arc<dyn Clock>,
}

impl FixMembership {
    /// Mends the organizations of `store`, which `directory` lists.
    pub fn new(
        directory: Arc<dyn BeginSystem<dyn DirectoryTx>>,
        store: Arc<dyn Begin<dyn MendTx>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { directory, store, clock }
    }

    /// Says what is wrong and what would mend it; mends it if `apply`.
    pub async fn run(&self, apply: bool) -> Result<MembershipReport, StoreError> {
        let mut tx = self.directory.begin_system().await?;
        let ownerless = tx.ownerless().await?;
        let mut unattached = tx.unattached().await?;
        tx.commit().await?;

        let mut report = MembershipReport { applied: apply, ..MembershipReport::default() };
        for org in ownerless {
            let remedy = self.mend(org, apply).await?;
            if let Remedy::Restore(founder) = remedy {
                unattached.retain(|user| user.id != founder);
            }
            report.ownerless.push((org, remedy));
        }
        report.unattached = unattached;
        Ok(report)
    }

    async fn mend(&self, org: OrgId, apply: bool) -> Result<Remedy, StoreError> {
        let mut tx = self.store.begin(&entering(org)).await?;
        let remedy = match most_senior(&mut *tx).await? {
            Some(member) => Remedy::Promote(member.user.id),
            None => match tx.founder().await? {
                Some(founder) if is_free(&mut *tx, founder).await? => Remedy::Restore(founder),
                _ => Remedy::Nobody,
            },
        };
        if !apply {
            return Ok(remedy);
        }
        let owner = match remedy {
            Remedy::Promote(user) => {
                tx.set_role(user, Role::Owner).await?;
                user
            }
            Remedy::Restore(user) => {
                let member = NewMember { user, role: Role::Owner, since: self.clock.now() };
                if !tx.add_member(&member).await? {
                    return Ok(Remedy::Nobody);
                }
                user
            }
            Remedy::Nobody => return Ok(remedy),
        };
        tx.record(NewAudit {
            action: "member.made_owner",
            target_kind: "member",
            target_id: owner.to_string(),
            before: None,
            after: Some(json!({"role": Role::Owner})),
        })
        .await?;
        tx.commit().await?;
        Ok(remedy)
    }
}

/// The member with the highest role, and among those the one who joined first.
async fn most_senior<Tx: Members + ?Sized>(tx: &mut Tx) -> Result<Option<Member>, StoreError> {
    let mut best: Option<Member> = None;
    let mut request = Some(PageRequest::first());
    while let Some(page) = request {
        let members = tx.members(&page).await?;
        request = members.next.and_then(|after| PageRequest::new(PageRequest::MAX, Some(after)));
        // Pages run from the newest to the oldest, so that a later one of the same role joined earlier.
        for member in members.rows {
            if best.as_ref().is_none_or(|best| member.role >= best.role) {
                best = Some(member);
            }
        }
    }
    Ok(best)
}

async fn is_free<Tx: Accounts + ?Sized>(tx: &mut Tx, user: UserId) -> Result<bool, StoreError> {
    Ok(tx.account(user).await?.is_some_and(|account| account.standing == Standing::Nobody))
}

#[expect(clippy::disallowed_methods, reason = "the command line's operator may enter any organization")]
fn entering(org: OrgId) -> OrgScope {
    OrgScope::vouch(org, Actor::CommandLine)
}
