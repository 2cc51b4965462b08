//! Asking for a setup, asking again, and looking at it.

use std::sync::Arc;

use serde_json::json;
use voxanne_kernel::{Begin, Clock, NewAudit, OrgScope, StoreError};

use super::{
    ports::SetupTx,
    run::SetUpOrganization,
    state::{Setup, SetupStatus, SetupWish},
};

/// What came of asking for a setup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Started {
    /// It begins now.
    Begun(Setup),
    /// One is under way, or being taken back: it is the same one.
    Joined(Setup),
    /// It was finished before; nothing is done.
    Ready(Setup),
}

impl Started {
    /// The setup, whichever it is.
    pub fn setup(&self) -> &Setup {
        match self {
            Self::Begun(setup) | Self::Joined(setup) | Self::Ready(setup) => setup,
        }
    }
}

/// Why no setup was begun.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nobody has let the organization in.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization was stopped.
    #[error("the organization is suspended")]
    Suspended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why it was not tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// It is finished.
    #[error("the setup is complete")]
    AlreadyComplete,
    /// Nobody has let the organization in.
    #[error("the organization is not verified")]
    NotVerified,
    /// The organization was stopped.
    #[error("the organization is suspended")]
    Suspended,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<StartError> for RetryError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NotVerified => Self::NotVerified,
            StartError::Suspended => Self::Suspended,
            StartError::Store(error) => Self::Store(error),
        }
    }
}

/// Begins setups.
#[derive(Clone)]
pub struct StartSetup {
    store: Arc<dyn Begin<dyn SetupTx>>,
    clock: Arc<dyn Clock>,
}

impl StartSetup {
    /// Records in `store`.
    pub fn new(store: Arc<dyn Begin<dyn SetupTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Records that the line is wanted, and the job that sets it up. Of several who ask at the same time one begins it
    /// and the others join; their wishes are not heard. One that failed, or was taken back, begins anew.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn run(&self, scope: &OrgScope, wish: SetupWish) -> Result<Started, StartError> {
        let mut tx = self.store.begin(scope).await?;
        admit(&mut *tx).await?;
        let started = match tx.setup_to_change().await? {
            Some(setup) if setup.status == SetupStatus::Active => Started::Ready(setup),
            Some(setup) if setup.is_under_way() => Started::Joined(setup),
            _ => Started::Begun(begin(&mut *tx, scope, wish, &*self.clock).await?),
        };
        tx.commit().await?;
        Ok(started)
    }

    /// What an approval leads to: a setup, unless there is or was one.
    ///
    /// # Errors
    /// [`StartError`].
    pub(super) async fn first(&self, scope: &OrgScope, wish: SetupWish) -> Result<Setup, StartError> {
        let mut tx = self.store.begin(scope).await?;
        if let Some(setup) = tx.setup_to_change().await? {
            return Ok(setup);
        }
        admit(&mut *tx).await?;
        let setup = begin(&mut *tx, scope, wish, &*self.clock).await?;
        tx.commit().await?;
        Ok(setup)
    }
}

/// Whether the organization may have a line.
async fn admit(tx: &mut dyn SetupTx) -> Result<(), StartError> {
    match tx.organization().await? {
        Some(organization) if organization.is_verified => Ok(()),
        Some(organization) if organization.is_stopped => Err(StartError::Suspended),
        _ => Err(StartError::NotVerified),
    }
}

async fn begin(
    tx: &mut dyn SetupTx,
    scope: &OrgScope,
    wish: SetupWish,
    clock: &dyn Clock,
) -> Result<Setup, StoreError> {
    let setup = Setup::new(wish, clock.now());
    tx.put_setup(&setup).await?;
    tx.enqueue(SetUpOrganization::job(scope.org())).await?;
    tx.record(audited("setup.started", &setup)).await?;
    Ok(setup)
}

pub(super) fn audited(action: &'static str, setup: &Setup) -> NewAudit {
    let step = setup.failure.as_ref().map(|failure| failure.step.as_str());
    NewAudit {
        action,
        target_kind: "setup",
        target_id: setup.id.to_string(),
        before: None,
        after: Some(json!({ "status": setup.status.as_str(), "failedStep": step })),
    }
}

/// Tries setups again.
#[derive(Clone)]
pub struct RetrySetup {
    start: StartSetup,
}

impl RetrySetup {
    /// Records in `store`.
    pub fn new(store: Arc<dyn Begin<dyn SetupTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { start: StartSetup::new(store, clock) }
    }

    /// Begins a setup that failed anew, with another wish if one is given. One that is under way, or whose parts are
    /// being taken back, goes on at once instead of when its pause is over.
    ///
    /// # Errors
    /// [`RetryError`].
    pub async fn run(&self, scope: &OrgScope, wish: Option<SetupWish>) -> Result<Started, RetryError> {
        let StartSetup { store, clock } = &self.start;
        let mut tx = store.begin(scope).await?;
        admit(&mut *tx).await?;
        let started = match tx.setup_to_change().await? {
            Some(setup) if setup.status == SetupStatus::Active => return Err(RetryError::AlreadyComplete),
            Some(setup) if setup.is_under_way() => {
                tx.enqueue(SetUpOrganization::job(scope.org())).await?;
                Started::Joined(setup)
            }
            before => {
                let wish = wish.or_else(|| before.map(|before| before.wish)).unwrap_or_default();
                Started::Begun(begin(&mut *tx, scope, wish, &**clock).await?)
            }
        };
        tx.commit().await?;
        Ok(started)
    }
}

/// Shows setups.
#[derive(Clone)]
pub struct ShowSetup {
    store: Arc<dyn Begin<dyn SetupTx>>,
}

impl ShowSetup {
    /// Reads from `store`.
    pub fn new(store: Arc<dyn Begin<dyn SetupTx>>) -> Self {
        Self { store }
    }

    /// The organization's setup, suspended with it; `None` when there never was one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run(&self, scope: &OrgScope) -> Result<Option<Setup>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let (organization, setup) = (tx.organization().await?, tx.setup().await?);
        tx.commit().await?;
        let is_stopped = organization.is_none_or(|organization| organization.is_stopped);
        Ok(setup.map(|mut setup| {
            if is_stopped {
                setup.status = SetupStatus::Suspended;
            }
            setup
        }))
    }
}
