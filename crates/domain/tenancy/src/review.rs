//! What the platform's operators decide about an organization.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{
    Actor, Audit, Begin, BeginSystem, Clock, Commit, NewAudit, NewJob, OrgScope, Outbox, Page, PageRequest,
    StoreError,
    ids::{OrgId, UserId},
};

use crate::{
    manage_members::{MemberError, require},
    member::Role,
    organization::{Organization, OrganizationStatus},
    ports::{Accounts, Directory, Members, Organizations},
    user::Standing,
};

/// What a decision touches.
pub trait ReviewTx: Organizations + Members + Accounts + Audit + Outbox + Commit {}
impl<T: Organizations + Members + Accounts + Audit + Outbox + Commit> ReviewTx for T {}

/// What looking over all organizations touches.
pub trait DirectoryTx: Directory + Accounts + Commit {}
impl<T: Directory + Accounts + Commit> DirectoryTx for T {}

/// Names the job that sets an approved organization up; another domain's work, joined where the program is assembled.
pub trait AfterApproval: Send + Sync {
    /// The job for `org`. It may be recorded for an organization that is set up already.
    fn set_up(&self, org: OrgId) -> NewJob;
}

/// What an operator may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Lets a new organization in, or a suspended or rejected one back in.
    Approve,
    /// The same by another system, which cannot know that an operator has stopped the organization meanwhile.
    Admit,
    /// Turns a new organization down.
    Reject,
    /// Stops an organization; its data is kept.
    Suspend,
}

impl Decision {
    /// The status an organization of status `from` has afterwards; `None` if the decision does not fit.
    pub fn outcome(self, from: OrganizationStatus) -> Option<OrganizationStatus> {
        use OrganizationStatus::{Pending, Rejected, Suspended, Verified};
        match (self, from) {
            (Self::Approve, _) | (Self::Admit, Pending | Verified | Rejected) => Some(Verified),
            (Self::Reject, Pending | Rejected) => Some(Rejected),
            (Self::Suspend, Pending | Verified | Suspended) => Some(Suspended),
            (Self::Reject, Verified | Suspended) | (Self::Suspend, Rejected) | (Self::Admit, Suspended) => {
                None
            }
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Approve | Self::Admit => "organization.approved",
            Self::Reject => "organization.rejected",
            Self::Suspend => "organization.suspended",
        }
    }
}

/// Why a decision was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// Whoever asks is no operator (any more).
    #[error("the caller is not an operator")]
    NotAllowed,
    /// There is no such organization.
    #[error("there is no such organization")]
    NotFound,
    /// The decision does not fit an organization of this status.
    #[error("the organization is {0}")]
    NotNow(OrganizationStatus),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MemberError> for ReviewError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::Store(error) => Self::Store(error),
            _ => Self::NotAllowed,
        }
    }
}

/// Who decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reviewer {
    /// An operator, whose standing is checked against the database.
    Operator(UserId),
    /// Whoever has the command line.
    CommandLine,
    /// A machine that proved that the platform trusts it.
    Machine,
}

impl Reviewer {
    /// A scope in the organization that they work on.
    #[expect(
        clippy::disallowed_methods,
        reason = "operators may enter any organization; `require` checks that they are one"
    )]
    pub fn entering(self, org: OrgId) -> OrgScope {
        let actor = match self {
            Self::Operator(user) => Actor::Operator(user),
            Self::CommandLine => Actor::CommandLine,
            Self::Machine => Actor::Machine,
        };
        OrgScope::vouch(org, actor)
    }
}

/// The operators' desk.
pub struct ReviewOrganization {
    store: Arc<dyn Begin<dyn ReviewTx>>,
    directory: Arc<dyn BeginSystem<dyn DirectoryTx>>,
    after_approval: Arc<dyn AfterApproval>,
    clock: Arc<dyn Clock>,
}

impl ReviewOrganization {
    /// Works on the organizations of `store`, which `directory` lists.
    pub fn new(
        store: Arc<dyn Begin<dyn ReviewTx>>,
        directory: Arc<dyn BeginSystem<dyn DirectoryTx>>,
        after_approval: Arc<dyn AfterApproval>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, directory, after_approval, clock }
    }

    /// Organizations of one status, or all, newest first.
    ///
    /// # Errors
    /// [`ReviewError::NotAllowed`] for anybody but an operator.
    pub async fn list(
        &self,
        reviewer: Reviewer,
        status: Option<OrganizationStatus>,
        page: &PageRequest,
    ) -> Result<Page<Organization>, ReviewError> {
        let mut tx = self.directory.begin_system().await?;
        if let Reviewer::Operator(user) = reviewer {
            let account = tx.account(user).await?;
            account
                .filter(|account| account.standing == Standing::Operator)
                .ok_or(ReviewError::NotAllowed)?;
        }
        let organizations = tx.organizations(status, page).await?;
        tx.commit().await?;
        Ok(organizations)
    }

    /// One organization.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn show(&self, reviewer: Reviewer, org: OrgId) -> Result<Organization, ReviewError> {
        let scope = reviewer.entering(org);
        let mut tx = self.store.begin(&scope).await?;
        require(&mut *tx, &scope, Role::Owner).await?;
        let organization = tx.organization().await?.ok_or(ReviewError::NotFound)?;
        tx.commit().await?;
        Ok(organization)
    }

    /// Carries `decision` out; again is the same as once. An approval also records the job that sets the
    /// organization up.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn decide(
        &self,
        reviewer: Reviewer,
        org: OrgId,
        decision: Decision,
    ) -> Result<Organization, ReviewError> {
        let lets_in = matches!(decision, Decision::Approve | Decision::Admit);
        let set_up = lets_in.then(|| self.after_approval.set_up(org));
        self.carry_out(reviewer, org, decision, set_up).await
    }

    /// Approves, and records `set_up` as the job that sets the organization up: for whoever has wishes about its line.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn approve(
        &self,
        reviewer: Reviewer,
        org: OrgId,
        set_up: NewJob,
    ) -> Result<Organization, ReviewError> {
        self.carry_out(reviewer, org, Decision::Approve, Some(set_up)).await
    }

    /// The same on another system's word, which lets no suspended organization back in.
    ///
    /// # Errors
    /// See [`ReviewError`].
    pub async fn admit(
        &self,
        reviewer: Reviewer,
        org: OrgId,
        set_up: NewJob,
    ) -> Result<Organization, ReviewError> {
        self.carry_out(reviewer, org, Decision::Admit, Some(set_up)).await
    }

    async fn carry_out(
        &self,
        reviewer: Reviewer,
        org: OrgId,
        decision: Decision,
        afterwards: Option<NewJob>,
    ) -> Result<Organization, ReviewError> {
        let scope = reviewer.entering(org);
        let mut tx = self.store.begin(&scope).await?;
        require(&mut *tx, &scope, Role::Owner).await?;
        let before = tx.organization_for_update().await?.ok_or(ReviewError::NotFound)?;
        let status = decision.outcome(before.status).ok_or(ReviewError::NotNow(before.status))?;
        if status == before.status {
            return Ok(before);
        }
        let after = Organization { status, updated_at: self.clock.now(), ..before.clone() };
        tx.save_organization(&after).await?;
        tx.record(NewAudit {
            action: decision.action(),
            target_kind: "organization",
            target_id: org.to_string(),
            before: Some(json!({"status": before.status})),
            after: Some(json!({"status": after.status})),
        })
        .await?;
        if let Some(job) = afterwards {
            tx.enqueue(job).await?;
        }
        tx.commit().await?;
        Ok(after)
    }
}
