//! Looking for a message of which nobody knows whether a provider has it.
//!
//! Some providers keep no id of ours and show only to whom, what and when. What they show may be another message of the
//! same words to the same person, which one attempt left behind while this one came to nothing: what another message is
//! known as is not taken for this one, and who may be about to become known by it is waited for.

use jiff::SignedDuration;
use voxanne_kernel::{Commit, OrgScope, ProviderError, StoreError, Timestamp};

use super::{
    give::Open,
    outcome,
    ports::{AttemptEnd, AttemptOutcome, Holders, Other, Others},
    work::{A_WHILE, Next, Outcome, SendMessage, after, later},
};
use crate::{
    message::{Carrier, Doubt, Message, State, pause},
    providers::{AccountError, Found},
};

/// So often a provider that should know is asked about a message.
const LOOK_UPS: u32 = 24;
/// So many other messages of the same words are passed over; where there are more, nobody can tell them apart.
const ALIKE: usize = 50;
/// What was sent so long before an attempt is not what the attempt left behind, even by a clock that is wrong.
const LONG_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// What telling messages of one account apart touches.
pub trait HoldersTx: Holders + Commit {}
impl<T: Holders + Commit> HoldersTx for T {}

/// What looking came to.
enum Sought {
    /// The provider's word, or why there is none.
    Told(Result<Found, ProviderError>),
    /// What was found may be a message that is on its way at this moment.
    Later,
}

impl SendMessage {
    /// Asks the provider whether it has the message.
    pub(super) async fn look_up(
        &self,
        scope: &OrgScope,
        message: Message,
        doubt: Doubt,
    ) -> Result<Next, StoreError> {
        let sought = self.seek(scope, &message, &doubt).await?;
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let Some(mut message) = tx.message_for_update(message.id).await? else {
            return Ok(Next::Done(Outcome::Gone));
        };
        let State::Unknown(still) = &message.state else { return Ok(Next::Again) };
        if still.attempt.number != doubt.attempt.number {
            return Ok(Next::Again);
        }
        let found = match sought {
            Sought::Later => return later(tx, message, after(now, A_WHILE), now).await.map(Next::Done),
            Sought::Told(Err(error)) if !error.is_worth_retrying() => {
                tell(&message, &error);
                Ok(Found::CannotTell)
            }
            Sought::Told(found) => found,
        };
        let found = match found {
            Ok(Found::Yes(accepted)) => {
                let name = accepted.external_id.as_deref();
                let is_ours = match name {
                    Some(name) => tx.found_as(&message, &doubt.attempt.carrier, name, now).await?,
                    None => true,
                };
                if is_ours { Ok(Found::Yes(accepted)) } else { Err(overtaken()) }
            }
            other => other,
        };
        match found {
            Ok(Found::Yes(accepted)) => outcome::accepted(tx, message, doubt.attempt, accepted, now).await,
            Ok(Found::No) => {
                message.state = State::Queued;
                message.due_at = Some(now);
                let end = AttemptEnd { outcome: AttemptOutcome::NotTaken, code: None };
                tx.end_attempt(&message, &doubt.attempt, &end, now).await?;
                tx.commit().await?;
                Ok(Next::Again)
            }
            Ok(Found::CannotTell) => outcome::for_a_person(tx, message, doubt, now).await,
            Err(_) if doubt.look_ups + 1 >= LOOK_UPS => outcome::for_a_person(tx, message, doubt, now).await,
            Err(error) => {
                tell(&message, &error);
                let look_ups = doubt.look_ups + 1;
                let wait = match error {
                    ProviderError::RetryLater { after: Some(wait), .. } => wait.try_into().unwrap_or(A_WHILE),
                    _ => SignedDuration::ZERO,
                };
                message.state = State::Unknown(Doubt { look_ups, ..doubt });
                let at = after(now, wait.max(pause(look_ups)));
                later(tx, message, at, now).await.map(Next::Done)
            }
        }
    }

    /// Asks the provider, as often as it shows a message that is another one.
    async fn seek(&self, scope: &OrgScope, message: &Message, doubt: &Doubt) -> Result<Sought, StoreError> {
        let carrier = &doubt.attempt.carrier;
        let open = match Open::find(&*self.accounts, scope, message.channel(), carrier).await {
            Ok(Some(open)) => open,
            // Nobody can be asked any more.
            Ok(None) | Err(AccountError::Unusable(_)) => return Ok(Sought::Told(Ok(Found::CannotTell))),
            Err(AccountError::Store(error)) => return Err(error),
        };
        let mut others: Vec<String> = Vec::new();
        loop {
            let found = open.look_up(message, &doubt.attempt, &others).await;
            let shown = match &found {
                Ok(Found::Yes(accepted)) => accepted.external_id.clone(),
                _ => None,
            };
            let Some(external_id) = shown else { return Ok(Sought::Told(found)) };
            match self.whose(scope, message, carrier, &external_id, doubt.attempt.started_at).await? {
                Other::Nobody => return Ok(Sought::Told(found)),
                Other::OnItsWay => return Ok(Sought::Later),
                Other::Known if others.len() >= ALIKE || others.contains(&external_id) => {
                    return Ok(Sought::Told(Ok(Found::CannotTell)));
                }
                Other::Known => others.push(external_id),
            }
        }
    }

    async fn whose(
        &self,
        scope: &OrgScope,
        message: &Message,
        carrier: &Carrier,
        external_id: &str,
        since: Timestamp,
    ) -> Result<Other, StoreError> {
        let but = Others {
            org: scope.org(),
            message: message.id,
            carrier,
            to: message.new.to.as_str(),
            since: after(since, -LONG_BEFORE),
        };
        self.system.begin_system().await?.other_holder(&but, external_id).await
    }
}

/// Two that looked at the same time found the same: this one looks again.
fn overtaken() -> ProviderError {
    ProviderError::RetryLater { after: None, source: "another message was found to be it".into() }
}

fn tell(message: &Message, error: &ProviderError) {
    let chain = error as &dyn std::error::Error;
    tracing::warn!(message_id = %message.id, error = chain, "a message could not be looked for");
}
