//! One organization with everything that looks after its assistants.

use std::{sync::Arc, task::Poll};

use jiff::Timestamp;
use voxanne_kernel::{ManualClock, OrgScope};

use super::{
    provider::{Death, MemoryProvider, Steps},
    scope,
    store::{BindLater, MemoryAssistants, MemoryRegistrations, OneSecret},
};
use crate::{
    ensure::{EnsureAssistant, Upkeep},
    register::RegisterTools,
    remove::RemoveAssistant,
    save::SaveAgent,
    show::ShowAgents,
    signing::SigningCredential,
    sync::LinkTools,
};

/// An organization called "Glow", a provider, and every use case between them.
#[derive(Clone)]
pub struct World {
    /// The organization.
    pub scope: OrgScope,
    /// The provider.
    pub provider: MemoryProvider,
    /// The rows.
    pub store: MemoryAssistants,
    /// The registrations.
    pub registrations: MemoryRegistrations,
    /// The secret.
    pub secrets: OneSecret,
    /// The time.
    pub clock: Arc<ManualClock>,
    /// Looks after assistants.
    pub ensure: EnsureAssistant,
    /// Saves them.
    pub save: SaveAgent,
    /// Links their tools.
    pub link: LinkTools,
    /// Removes them.
    pub remove: RemoveAssistant,
    /// Shows them.
    pub show: ShowAgents,
    steps: Steps,
}

impl World {
    /// Nothing is registered and nothing exists.
    pub fn new() -> Self {
        let steps = Steps::default();
        let provider = MemoryProvider::counting(steps.clone());
        let store = MemoryAssistants::counting(steps.clone());
        let (registrations, secrets) = (MemoryRegistrations::default(), OneSecret::new("first"));
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let shared = Arc::new(store.clone());
        let held: Arc<MemoryProvider> = Arc::new(provider.clone());
        let ensure = EnsureAssistant::new(Upkeep {
            store: shared.clone(),
            claims: shared.clone(),
            provider: held.clone(),
            registrations: Arc::new(registrations.clone()),
            signing: SigningCredential::new(
                shared.clone(),
                shared.clone(),
                held.clone(),
                Arc::new(secrets.clone()),
                clock.clone(),
            ),
            after: Arc::new(BindLater),
            clock: clock.clone(),
            server_url: "https://api.example.test/api/vapi/webhook".to_owned(),
        });
        let register = RegisterTools::new(Arc::new(registrations.clone()), held);
        Self {
            scope: scope(),
            save: SaveAgent::new(ensure.clone()),
            link: LinkTools::new(register, ensure.clone()),
            remove: RemoveAssistant::new(ensure.clone()),
            show: ShowAgents::new(shared),
            provider,
            store,
            registrations,
            secrets,
            clock,
            ensure,
            steps,
        }
    }

    /// Another organization beside this one, at the same provider.
    #[must_use]
    pub fn neighbour(&self) -> Self {
        Self { scope: scope(), ..self.clone() }
    }

    /// Kills whatever runs at its `at`-th write or commit from now on (from 0).
    pub fn die_at(&self, at: usize, death: Death) {
        self.steps.restart(Some((at, death)));
    }

    /// Nothing is killed any more, and the claims of the dead are over.
    pub fn revive(&self) {
        self.steps.restart(None);
        self.store.let_claims_run_out();
        self.registrations.let_claims_run_out();
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs `work` until it is done or stands still for good: `None` when it was killed.
pub fn until_dead<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for _ in 0..10_000 {
        if let Poll::Ready(done) = work.as_mut().poll(&mut context) {
            return Some(done);
        }
    }
    None
}
