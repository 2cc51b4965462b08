//! Proving a forwarding: a call to the phone that has to arrive at the organization.
//!
//! The call comes from a number of the platform's, and is told apart by it among the calls that the voice service
//! reports. What the carriers say about forwarding on the way is not believed: many leave it out.

use std::sync::Arc;

use jiff::SignedDuration;
use voxanne_kernel::{
    Begin, Clock, NewAudit, OrgScope, ProviderError, StoreError, Timestamp, ids::ForwardingConfigId,
};

use super::{
    config::{ConfigState, ForwardingConfig, TEST_CALL_TIME, TestCall, TestOutcome},
    ports::{HybridTx, LineAccount, LineAccounts, Standing, TestCaller},
};

/// How long after a test has ended somebody may still want to hear of it.
const NEWS: SignedDuration = SignedDuration::from_mins(2);

/// Why there is no test call.
#[derive(Debug, thiserror::Error)]
pub enum TestError {
    /// There is no such forwarding.
    #[error("there is no such forwarding")]
    NotFound,
    /// It was taken back.
    #[error("the forwarding was taken back")]
    Disabled,
    /// Another phone of the organization is being tested.
    #[error("another test call is under way")]
    AnotherRuns,
    /// The organization may not cause calls.
    #[error("the organization may not cause calls")]
    NotAllowed(Standing),
    /// The platform has no number to call from.
    #[error("no number to call from is set up")]
    NotConfigured,
    /// The carrier failed or refused.
    #[error("the carrier did not call")]
    Provider(#[source] ProviderError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Tests forwardings.
#[derive(Clone)]
pub struct TestForwarding {
    store: Arc<dyn Begin<dyn HybridTx>>,
    accounts: Arc<dyn LineAccounts>,
    caller: Arc<dyn TestCaller>,
    clock: Arc<dyn Clock>,
}

/// What there is to do about a test.
enum Next {
    Answer(TestOutcome),
    Call(Arc<LineAccount>, TestCall, Box<ForwardingConfig>),
}

impl TestForwarding {
    /// Tests what is in `store` by calls of `caller` from the platform's account.
    pub fn new(
        store: Arc<dyn Begin<dyn HybridTx>>,
        accounts: Arc<dyn LineAccounts>,
        caller: Arc<dyn TestCaller>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, accounts, caller, clock }
    }

    /// Places a test call, unless one is under way: then tells how that one goes.
    ///
    /// # Errors
    /// [`TestError`].
    pub async fn run(&self, scope: &OrgScope, id: ForwardingConfigId) -> Result<TestOutcome, TestError> {
        match self.begin(scope, id).await? {
            Next::Answer(outcome) => Ok(outcome),
            Next::Call(account, test, config) => self.call(scope, &account, test, &config).await,
        }
    }

    async fn begin(&self, scope: &OrgScope, id: ForwardingConfigId) -> Result<Next, TestError> {
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let since = now - TEST_CALL_TIME;
        let another = tx.another_test_since(id, since).await?;
        let mut config = tx.forwarding_to_change(id).await?.ok_or(TestError::NotFound)?;
        // A test that nobody asked about for a while is history: what is wanted now is a new one.
        let is_news = config.test.as_ref().is_some_and(|test| now < test.ends_at() + NEWS);
        if let Some(outcome) = judge(&mut *tx, &mut config, now).await?
            && is_news
        {
            tx.commit().await?;
            return Ok(Next::Answer(outcome));
        }
        if config.state == ConfigState::Disabled {
            return Err(TestError::Disabled);
        }
        match tx.standing().await?.ok_or(TestError::NotFound)? {
            Standing::Verified => {}
            standing => return Err(TestError::NotAllowed(standing)),
        }
        if another {
            return Err(TestError::AnotherRuns);
        }
        let account = self.accounts.platforms().ok_or(TestError::NotConfigured)?;
        let from = account.from.clone().ok_or(TestError::NotConfigured)?;
        let test = TestCall { from, started_at: now, call: None };
        (config.test, config.updated_at) = (Some(test.clone()), now);
        tx.put_forwarding(&config).await?;
        tx.commit().await?;
        Ok(Next::Call(account, test, Box::new(config)))
    }

    /// Makes the call that was written down.
    async fn call(
        &self,
        scope: &OrgScope,
        account: &LineAccount,
        test: TestCall,
        config: &ForwardingConfig,
    ) -> Result<TestOutcome, TestError> {
        let until = test.ends_at();
        let called = match self.caller.call(account, &test.from, &config.sim).await {
            Ok(call) => Some(TestCall { call: Some(call), ..test.clone() }),
            // It may be on its way; if it is, it arrives.
            Err(ProviderError::Unclear(_)) => return Ok(TestOutcome::Pending { until }),
            Err(error) => {
                self.note(scope, config.id, &test, None).await?;
                return Err(TestError::Provider(error));
            }
        };
        self.note(scope, config.id, &test, called).await?;
        Ok(TestOutcome::Pending { until })
    }

    /// Replaces what is known of `test`, unless another has begun or it is decided.
    async fn note(
        &self,
        scope: &OrgScope,
        id: ForwardingConfigId,
        test: &TestCall,
        now: Option<TestCall>,
    ) -> Result<(), StoreError> {
        let mut tx = self.store.begin(scope).await?;
        let config = tx.forwarding_to_change(id).await?;
        if let Some(mut config) = config.filter(|config| config.test.as_ref() == Some(test)) {
            config.test = now;
            tx.put_forwarding(&config).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// How the test under way goes, or how the last one went.
    ///
    /// # Errors
    /// [`TestError`].
    pub async fn look(&self, scope: &OrgScope, id: ForwardingConfigId) -> Result<TestOutcome, TestError> {
        let mut tx = self.store.begin(scope).await?;
        let mut config = tx.forwarding_to_change(id).await?.ok_or(TestError::NotFound)?;
        let outcome = judge(&mut *tx, &mut config, self.clock.now()).await?;
        tx.commit().await?;
        // Somebody else who waits may have seen it end.
        Ok(outcome.unwrap_or_else(|| {
            config.proved_at.map_or(TestOutcome::NotReached, |at| TestOutcome::Reached { at })
        }))
    }
}

async fn judge(
    tx: &mut (dyn HybridTx + '_),
    config: &mut ForwardingConfig,
    now: Timestamp,
) -> Result<Option<TestOutcome>, StoreError> {
    let Some(test) = &config.test else { return Ok(None) };
    let arrived = tx.arrival(&test.from, test.window()).await?;
    let outcome = config.judge(arrived, now);
    if matches!(outcome, Some(TestOutcome::Reached { .. } | TestOutcome::NotReached)) {
        tx.put_forwarding(config).await?;
        if matches!(outcome, Some(TestOutcome::Reached { .. })) {
            tx.record(NewAudit {
                action: "forwarding.proved",
                target_kind: "forwarding_config",
                target_id: config.id.to_string(),
                before: None,
                after: None,
            })
            .await?;
        }
    }
    Ok(outcome)
}
