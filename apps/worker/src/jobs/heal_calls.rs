//! Every few minutes: fetches reports of calls that never came.

use async_trait::async_trait;
use voxanne_calls::{HealCalls, Healed};
use voxanne_kernel::{Actor, OrgScope};

use crate::{
    jobs::{JobError, PlatformJob},
    work::Work,
};

/// After so many time-outs the provider is down, and the rest waits for the next round.
const PATIENCE: u32 = 5;

#[async_trait]
impl PlatformJob for HealCalls {
    async fn run(self, work: &Work) -> Result<(), JobError> {
        let now = work.time(self.now);
        let mut healed = Healed::default();
        let mut failure = None;
        for call in work.heal.overdue(now).await? {
            #[expect(
                clippy::disallowed_methods,
                reason = "the organization is the one that the call's own row belongs to"
            )]
            let scope = OrgScope::vouch(call.org, Actor::System);
            // One call that cannot be stored must not keep the others from being healed.
            match work.heal.heal(&scope, &call, now).await {
                Ok(one) => healed += one,
                Err(error) => failure = Some(error),
            }
            if healed.unavailable >= PATIENCE {
                break;
            }
        }
        let Healed { reported, lost, open, unavailable, refused } = healed;
        if healed != Healed::default() {
            tracing::info!(reported, lost, open, unavailable, refused, "looked after calls without a report");
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }
}
