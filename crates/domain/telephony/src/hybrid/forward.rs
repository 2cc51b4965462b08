//! Setting a forwarding up: previewing its codes, keeping it, and believing the person who dialled them.

use std::sync::Arc;

use voxanne_kernel::{
    Begin, Clock, NewAudit, OrgScope, StoreError, Timestamp,
    ids::{CallerIdId, ForwardingConfigId},
};

use super::{
    caller_id::{CallerId, State},
    config::{ConfigState, ForwardingConfig, Setup, choose},
    plan::{Destination, Ineligible, Plan, SimItself},
    ports::HybridTx,
};

/// Why a forwarding is not set up.
#[derive(Debug, thiserror::Error)]
pub enum SetUpError {
    /// There is no such number, or no such forwarding.
    #[error("there is no such number")]
    NotFound,
    /// Nobody has proved that the phone is theirs.
    #[error("the number is not verified")]
    NotVerified,
    /// Its calls are forwarded already.
    #[error("the number is forwarded already")]
    AlreadyActive {
        /// The forwarding.
        id: ForwardingConfigId,
    },
    /// The organization has no number that calls could go to.
    #[error("the organization has no number to forward to")]
    NoDestination,
    /// The organization's only number is the phone itself.
    #[error(transparent)]
    SimItself(#[from] SimItself),
    /// The carrier cannot forward there.
    #[error(transparent)]
    Ineligible(#[from] Ineligible),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a forwarding is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// There is none.
    #[error("there is no such forwarding")]
    NotFound,
    /// It was taken back.
    #[error("the forwarding was taken back")]
    Disabled,
    /// The number that its codes name is not the organization's any more.
    #[error("the destination is not the organization's any more")]
    NoDestination,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Keeps forwardings.
#[derive(Clone)]
pub struct Forward {
    store: Arc<dyn Begin<dyn HybridTx>>,
    clock: Arc<dyn Clock>,
}

impl Forward {
    /// Keeps them in `store`.
    pub fn new(store: Arc<dyn Begin<dyn HybridTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// What would have to be dialled. Nothing is kept, and the number need not be proved yet.
    ///
    /// # Errors
    /// [`SetUpError`].
    pub async fn preview(&self, scope: &OrgScope, setup: &Setup) -> Result<(Plan, Destination), SetUpError> {
        let mut tx = self.store.begin(scope).await?;
        let phone = tx.caller_id(setup.caller_id).await?.ok_or(SetUpError::NotFound)?;
        let planned = plan(&mut *tx, &phone, setup).await?;
        tx.commit().await?;
        Ok(planned)
    }

    /// Keeps a forwarding until the person says that it is dialled. One that is not active is replaced.
    ///
    /// # Errors
    /// [`SetUpError`]; nothing has changed then.
    pub async fn set_up(
        &self,
        scope: &OrgScope,
        setup: Setup,
    ) -> Result<(ForwardingConfig, Plan), SetUpError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let phone = tx.caller_id_to_change(setup.caller_id).await?.ok_or(SetUpError::NotFound)?;
        if !matches!(phone.state, State::Verified { .. }) {
            return Err(SetUpError::NotVerified);
        }
        let before = tx.forwarding_of(phone.id).await?;
        if let Some(ForwardingConfig { id, state: ConfigState::Active { .. }, .. }) = before {
            return Err(SetUpError::AlreadyActive { id });
        }
        let (plan, to) = plan(&mut *tx, &phone, &setup).await?;
        let config = if let Some(mut config) = before {
            config.set_up(setup, to, now);
            tx.put_forwarding(&config).await?;
            config
        } else {
            let config = new_config(&phone, setup, to, now);
            if !tx.add_forwarding(&config).await? {
                // The phone's row is held, so this is another row's number: the database's word is the last one.
                return Err(SetUpError::AlreadyActive { id: config.id });
            }
            config
        };
        tx.record(audited("forwarding.set_up", &config)).await?;
        tx.commit().await?;
        Ok((config, plan))
    }

    /// The forwarding of a phone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn of(
        &self,
        scope: &OrgScope,
        caller_id: CallerIdId,
    ) -> Result<Option<ForwardingConfig>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let config = tx.forwarding_of(caller_id).await?;
        tx.commit().await?;
        Ok(config)
    }

    /// Believes that the codes were dialled. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`ConfirmError`].
    pub async fn confirm(
        &self,
        scope: &OrgScope,
        id: ForwardingConfigId,
    ) -> Result<ForwardingConfig, ConfirmError> {
        let mut tx = self.store.begin(scope).await?;
        let mut config = tx.forwarding_to_change(id).await?.ok_or(ConfirmError::NotFound)?;
        match config.state {
            ConfigState::Active { .. } => return Ok(config),
            ConfigState::Disabled => return Err(ConfirmError::Disabled),
            ConfigState::PendingSetup => {}
        }
        // Held until we are done: whoever gives the number up sees the active forwarding, or we see that it is gone.
        if !tx.active_numbers().await?.contains(config.to.number()) {
            return Err(ConfirmError::NoDestination);
        }
        let now = self.clock.now();
        (config.state, config.updated_at) = (ConfigState::Active { confirmed_at: now }, now);
        tx.put_forwarding(&config).await?;
        tx.record(audited("forwarding.confirmed", &config)).await?;
        tx.commit().await?;
        Ok(config)
    }

    /// Takes a forwarding back; the codes for that are in its plan. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; `None` when there is no such forwarding.
    pub async fn disable(
        &self,
        scope: &OrgScope,
        id: ForwardingConfigId,
    ) -> Result<Option<ForwardingConfig>, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let Some(mut config) = tx.forwarding_to_change(id).await? else { return Ok(None) };
        if config.state != ConfigState::Disabled {
            let now = self.clock.now();
            (config.state, config.updated_at) = (ConfigState::Disabled, now);
            (config.proved_at, config.test) = (None, None);
            tx.put_forwarding(&config).await?;
            tx.record(audited("forwarding.disabled", &config)).await?;
            tx.commit().await?;
        }
        Ok(Some(config))
    }
}

async fn plan(
    tx: &mut (dyn HybridTx + '_),
    phone: &CallerId,
    setup: &Setup,
) -> Result<(Plan, Destination), SetUpError> {
    let to = choose(tx.active_numbers().await?, &phone.number).ok_or(SetUpError::NoDestination)??;
    Ok((Plan::new(setup.carrier, setup.kind, &to, setup.ring)?, to))
}

fn new_config(phone: &CallerId, setup: Setup, to: Destination, now: Timestamp) -> ForwardingConfig {
    ForwardingConfig {
        id: ForwardingConfigId::generate(),
        setup,
        sim: phone.number.clone(),
        to,
        state: ConfigState::PendingSetup,
        proved_at: None,
        test: None,
        created_at: now,
        updated_at: now,
    }
}

fn audited(action: &'static str, config: &ForwardingConfig) -> NewAudit {
    NewAudit {
        action,
        target_kind: "forwarding_config",
        target_id: config.id.to_string(),
        before: None,
        after: Some(serde_json::json!({
            "forwardingType": config.setup.kind.as_str(),
            "carrier": config.setup.carrier.as_str(),
            "status": config.state.as_str(),
        })),
    }
}
