//! Through whose accounts an organization's messages go (decision D7): its own or ours.

use std::{fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use voxanne_kernel::{Audit, Begin, Clock, Commit, NewAudit, OrgScope, StoreError, Timestamp};

use crate::{
    channel::{Channel, Provider},
    credits::{Balance, Ledger, Prices, SignupCredits},
    providers::{Accounts, Payer},
    send::{UsualWay, ports::Switchboards, usual_way},
};

/// Whose accounts come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The organization's own.
    CustomerManaged,
    /// Ours, paid by credits.
    #[default]
    PlatformManaged,
}

impl Mode {
    /// The stored and sent name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CustomerManaged => "customer_managed",
            Self::PlatformManaged => "platform_managed",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be customer_managed or platform_managed")]
pub struct UnknownMode;

impl FromStr for Mode {
    type Err = UnknownMode;
    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        [Self::CustomerManaged, Self::PlatformManaged]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(UnknownMode)
    }
}

/// How an organization's messages go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagingModel {
    /// Whose accounts come first.
    pub mode: Mode,
    /// Whether ours are used when the organization has none that can send, or none of its own takes a message.
    pub fallback_to_platform: bool,
}

impl Default for MessagingModel {
    fn default() -> Self {
        Self { mode: Mode::default(), fallback_to_platform: true }
    }
}

impl MessagingModel {
    fn audited(self) -> Value {
        json!({ "messagingModel": self.mode, "fallbackToPlatform": self.fallback_to_platform })
    }
}

/// Reads and changes the model in a unit of work.
#[async_trait]
pub trait Model: Send {
    /// The organization's, or the default where it has chosen none.
    async fn messaging_model(&mut self) -> Result<MessagingModel, StoreError>;

    /// The same, kept from others who want to change it until the unit of work ends.
    async fn messaging_model_to_change(&mut self) -> Result<MessagingModel, StoreError>;

    /// Replaces it.
    async fn put_messaging_model(&mut self, model: MessagingModel) -> Result<(), StoreError>;
}

/// Tells the organization's people in the unit of work that changes the model.
#[async_trait]
pub trait TellModelChange: Send {
    /// Records that it changed for all to see; with `by_mail` the owners also get a mail.
    async fn tell_model_change(
        &mut self,
        model: MessagingModel,
        by_mail: bool,
        at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// What showing and switching the model touch.
pub trait SwitchTx: Model + Switchboards + Prices + TellModelChange + Ledger + Audit + Commit {}
impl<T: Model + Switchboards + Prices + TellModelChange + Ledger + Audit + Commit> SwitchTx for T {}

/// Whose account is asked first on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// One that the organization brought.
    Organization,
    /// Ours, or one that we opened for the organization.
    Platform,
}

impl Source {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Platform => "platform",
        }
    }
}

/// Who carries an organization's messages on a channel, as things are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelState {
    /// The channel.
    pub channel: Channel,
    /// Who is asked first, and whose account it is; `None` when nobody can carry them.
    pub first: Option<(Provider, Source)>,
    /// Whether that account is known to work.
    pub is_verified: bool,
}

impl ChannelState {
    /// As the next message would find it.
    fn new(channel: Channel, way: Option<UsualWay>) -> Self {
        let Some(UsualWay { carrier, is_verified }) = way else {
            return Self { channel, first: None, is_verified: false };
        };
        let source = match carrier.mode() {
            Mode::CustomerManaged => Source::Organization,
            Mode::PlatformManaged => Source::Platform,
        };
        Self { channel, first: Some((carrier.provider, source)), is_verified }
    }
}

/// The model with what it comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelView {
    /// The model.
    pub model: MessagingModel,
    /// Credits left.
    pub credits: Balance,
    /// Every channel.
    pub channels: Vec<ChannelState>,
}

/// What a model shall be; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Whose accounts come first.
    pub mode: Mode,
    /// Whether ours may stand in.
    pub fallback_to_platform: Option<bool>,
    /// Whether the owners get a mail about it.
    pub notify_users: bool,
    /// Why, in the words of whoever switches; for the audit trail.
    pub reason: Option<String>,
}

/// Why the model was not switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// No channel has an account of the organization's own that is known to work.
    #[error("no channel has a verified provider of the organization's own")]
    NothingVerified,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Shows and switches an organization's model.
pub struct SwitchModel {
    store: Arc<dyn Begin<dyn SwitchTx>>,
    accounts: Arc<dyn Accounts>,
    signup: SignupCredits,
    clock: Arc<dyn Clock>,
}

impl SwitchModel {
    /// Works in `store`; `accounts` say which of our own there are.
    pub fn new(
        store: Arc<dyn Begin<dyn SwitchTx>>,
        accounts: Arc<dyn Accounts>,
        signup: SignupCredits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, accounts, signup, clock }
    }

    /// The model as it is.
    ///
    /// # Errors
    /// The store's.
    pub async fn show(&self, scope: &OrgScope) -> Result<ModelView, StoreError> {
        let mut tx = self.store.begin(scope).await?;
        tx.open(self.signup.amount(), self.clock.now()).await?;
        let model = tx.messaging_model().await?;
        let view = self.view(&mut *tx, model).await?;
        tx.commit().await?;
        Ok(view)
    }

    /// Switches it: audited, and shown to everybody in the activity stream.
    ///
    /// # Errors
    /// See [`SwitchError`]; nothing was changed.
    pub async fn switch(&self, scope: &OrgScope, wanted: Switch) -> Result<ModelView, SwitchError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        tx.open(self.signup.amount(), now).await?;
        let before = tx.messaging_model_to_change().await?;
        let model = MessagingModel {
            mode: wanted.mode,
            fallback_to_platform: wanted.fallback_to_platform.unwrap_or(before.fallback_to_platform),
        };
        if model.mode == Mode::CustomerManaged && !has_verified(&mut *tx).await? {
            return Err(SwitchError::NothingVerified);
        }
        if model != before {
            tx.put_messaging_model(model).await?;
            let mut after = model.audited();
            after["reason"] = json!(wanted.reason);
            tx.record(NewAudit {
                action: "messaging_model.switched",
                target_kind: "organization",
                target_id: scope.org().to_string(),
                before: Some(before.audited()),
                after: Some(after),
            })
            .await?;
            tx.tell_model_change(model, wanted.notify_users, now).await?;
        }
        let view = self.view(&mut *tx, model).await?;
        tx.commit().await?;
        Ok(view)
    }

    async fn view(&self, tx: &mut dyn SwitchTx, model: MessagingModel) -> Result<ModelView, StoreError> {
        let now = self.clock.now();
        let mut channels = Vec::with_capacity(Channel::ALL.len());
        for channel in Channel::ALL {
            channels.push(ChannelState::new(channel, usual_way(tx, channel, &*self.accounts, now).await?));
        }
        Ok(ModelView { model, credits: tx.balance().await?, channels })
    }
}

/// Whether the organization has an account of its own that is known to work, on any channel.
async fn has_verified(tx: &mut dyn SwitchTx) -> Result<bool, StoreError> {
    for channel in Channel::ALL {
        let own = tx.switchboard(channel).await?.own;
        if own.iter().any(|one| one.is_asked && one.is_verified && one.payer == Payer::Customer) {
            return Ok(true);
        }
    }
    Ok(false)
}
