//! Writing down what came of an attempt.

use jiff::SignedDuration;
use voxanne_kernel::{ActivityKind, NewActivity, OrgScope, StoreError, Timestamp};

use super::{
    apply::happen,
    job::SendMessageJob,
    ports::{AttemptEnd, AttemptOutcome},
    settle::{self, Taken},
    work::{
        ABANDONED, Claimed, KEY_IS_KNOWN, Next, Outcome, SHOWN, SendMessage, SendTx, after, is_worth_waiting,
        later,
    },
};
use crate::{
    consent::SuppressionReason,
    mail::{Notice, tell_owners},
    message::{Attempt, Code, Doubt, Message, State, Tried, pause},
    providers::{Accepted, Blame, SendFailure, Whose},
};

/// An account that could have carried a message, had there been credit. Nothing is wrong with it.
pub(super) const INSUFFICIENT: &str = "insufficient_credits";

/// The message of `claimed`, if nobody has gone on with it since.
pub(super) async fn still_ours(
    tx: &mut dyn SendTx,
    claimed: &Claimed,
) -> Result<Option<Message>, StoreError> {
    let message = tx.message_for_update(claimed.message.id).await?;
    Ok(message.filter(|message| is_ours(message, claimed)))
}

fn is_ours(message: &Message, claimed: &Claimed) -> bool {
    matches!(&message.state, State::Sending { attempt, .. } if attempt.number == claimed.attempt.number)
}

impl SendMessage {
    /// Writes down what the provider answered.
    pub(super) async fn note(
        &self,
        scope: &OrgScope,
        claimed: Claimed,
        answer: Result<Accepted, SendFailure>,
        is_repeatable: bool,
    ) -> Result<Next, StoreError> {
        if let Err(failure) = &answer {
            tell(&claimed, failure);
        }
        let now = self.clock.now();
        let mut tx = self.store.begin(scope).await?;
        let Some(message) = tx.message_for_update(claimed.message.id).await? else {
            return Ok(Next::Done(Outcome::Gone));
        };
        if !is_ours(&message, &claimed) {
            return overtaken(tx, message, claimed, answer, now).await;
        }
        match answer {
            Ok(accepted) => self::accepted(tx, message, claimed.attempt, accepted, now).await,
            Err(failure) => refused(tx, message, claimed, failure, is_repeatable, now).await,
        }
    }
}

/// A provider has taken the message.
pub(super) async fn accepted(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    attempt: Attempt,
    accepted: Accepted,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let Accepted { external_id, segments, cost } = accepted;
    let taken =
        Taken { carrier: attempt.carrier.clone(), external_id: external_id.clone(), segments, cost, at: now };
    settle::given(&mut *tx, &mut message, taken).await?;
    let end = AttemptEnd { outcome: AttemptOutcome::Accepted, code: None };
    let is_awaited = tx.end_attempt(&message, &attempt, &end, now).await?;
    if let Some(external_id) = external_id.filter(|_| is_awaited) {
        for event in tx.take_waiting(attempt.carrier.provider, &external_id, message.id).await? {
            happen(&mut *tx, &mut message, &event, now).await?;
        }
        tx.save_message(&message, now).await?;
    }
    tell_of_those_before(&mut *tx, &message, &attempt, now).await?;
    tx.commit().await?;
    Ok(Next::Done(Outcome::of(&message)))
}

/// Tells the organization that somebody else carries what an account of its own did not take, once until it works
/// again.
async fn tell_of_those_before(
    tx: &mut dyn SendTx,
    message: &Message,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<(), StoreError> {
    let channel = message.channel();
    let before = message.tried.iter().filter(|one| !one.is(&attempt.carrier) && one.code != INSUFFICIENT);
    for tried in before {
        let carrier = tried.carrier();
        tracing::warn!(
            message_id = %message.id, failed = %carrier.provider, carried_by = %attempt.carrier.provider,
            code = %tried.code, "a message went out through another account"
        );
        if !tx.tell_of_account(channel, &carrier, now).await? {
            continue;
        }
        let (failed, by) = (carrier.provider, attempt.carrier.provider);
        let whose = if attempt.carrier.whose == Whose::Platform { "the platform's " } else { "" };
        tx.note(NewActivity {
            kind: ActivityKind::MessagesFailedOver,
            summary: format!(
                "{} does not take messages at the moment; they go out through {whose}{}",
                failed.title(),
                by.title()
            ),
            call: None,
            appointment: None,
            contact: None,
        })
        .await?;
        // What is wrong with an account of ours is nothing that the organization could mend.
        if carrier.whose == Whose::Organization {
            let by_platform = attempt.carrier.whose == Whose::Platform;
            let notice = Notice::MessagesFailedOver { channel, failed, by, by_platform };
            tell_owners(tx, &notice, now).await?;
        }
    }
    Ok(())
}

/// The provider did not take the message, or nobody knows.
async fn refused(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    claimed: Claimed,
    failure: SendFailure,
    is_repeatable: bool,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let is_repeat = claimed.is_repeat();
    let Claimed { attempt, since, .. } = claimed;
    let (channel, carrier) = (message.channel(), attempt.carrier.clone());
    match failure {
        SendFailure::Unknown(_) => {
            tx.account_failed(channel, &carrier, "no_answer", now).await?;
            if is_repeatable && now.duration_since(since) < KEY_IS_KNOWN {
                return repeat_later(tx, message, attempt, "no_answer".into(), None, now).await;
            }
            unknown(tx, message, attempt, now).await
        }
        SendFailure::Later { after, .. } => {
            tx.account_failed(channel, &carrier, "provider_busy", now).await?;
            let after = after.and_then(|wait| SignedDuration::try_from(wait).ok());
            if is_repeat {
                return repeat_later(tx, message, attempt, "provider_busy".into(), after, now).await;
            }
            let until = after.map(|wait| self::after(now, wait));
            try_next(tx, message, attempt, Tried::new(&carrier, "provider_busy".into(), false, until), now)
                .await
        }
        SendFailure::Account { code, credential_failed, .. } => {
            tx.account_failed(channel, &carrier, code, now).await?;
            if credential_failed && carrier.whose == Whose::Organization {
                tx.credential_failed(carrier.provider, code).await?;
            }
            if is_repeat {
                // What was given before may have been taken; this answer does not say.
                return unknown(tx, message, attempt, now).await;
            }
            try_next(tx, message, attempt, Tried::new(&carrier, code.into(), true, None), now).await
        }
        SendFailure::GiveUp { .. } if is_repeat => unknown(tx, message, attempt, now).await,
        SendFailure::GiveUp { code, blame, .. } => {
            if blame == Blame::OptedOut {
                tx.suppress(channel, message.new.to.as_str(), SuppressionReason::Stop, now).await?;
            }
            settle::failed(&mut *tx, &mut message, code.into(), now).await?;
            let end = AttemptEnd { outcome: AttemptOutcome::GivenUp, code: Some(code.into()) };
            tx.end_attempt(&message, &attempt, &end, now).await?;
            tx.commit().await?;
            Ok(Next::Done(Outcome::of(&message)))
        }
    }
}

/// The next account is asked at once.
async fn try_next(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    attempt: Attempt,
    tried: Tried,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let end = AttemptEnd { outcome: AttemptOutcome::Refused, code: Some(tried.code.clone()) };
    message.tried.push(tried);
    message.state = State::Queued;
    message.due_at = Some(now);
    tx.end_attempt(&message, &attempt, &end, now).await?;
    tx.commit().await?;
    Ok(Next::Again)
}

/// The same is given to the same provider again, later: it would know it again.
async fn repeat_later(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    attempt: Attempt,
    code: Code,
    wait: Option<SignedDuration>,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let wait = wait.unwrap_or_default().max(pause(message.attempts));
    let at = after(now, wait).max(after(attempt.started_at, ABANDONED));
    message.due_at = Some(at);
    let end = AttemptEnd { outcome: AttemptOutcome::Unknown, code: Some(code) };
    tx.end_attempt(&message, &attempt, &end, now).await?;
    tx.enqueue(SendMessageJob::due(message.id, Some(at))).await?;
    tx.commit().await?;
    Ok(Next::Done(Outcome::Later(at)))
}

/// Nobody knows whether the provider has the message: it is looked for as soon as the provider would show it.
pub(super) async fn unknown(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    attempt: Attempt,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let at = after(attempt.started_at, SHOWN).max(now);
    message.due_at = Some(at);
    message.state = State::Unknown(Doubt { attempt: attempt.clone(), look_ups: 0, is_for_a_person: false });
    let end = AttemptEnd { outcome: AttemptOutcome::Unknown, code: None };
    tx.end_attempt(&message, &attempt, &end, now).await?;
    tx.enqueue(SendMessageJob::due(message.id, Some(at))).await?;
    tx.commit().await?;
    Ok(Next::Done(Outcome::Later(at)))
}

/// The provider cannot tell: the message stays unknown until a person or an event decides. Its credit stays set aside.
pub(super) async fn for_a_person(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    doubt: Doubt,
    now: Timestamp,
) -> Result<Next, StoreError> {
    tracing::warn!(message_id = %message.id, "whether a message was sent cannot be found out");
    message.due_at = None;
    message.state = State::Unknown(Doubt { is_for_a_person: true, look_ups: doubt.look_ups + 1, ..doubt });
    tx.save_message(&message, now).await?;
    tx.commit().await?;
    Ok(Next::Done(Outcome::of(&message)))
}

/// No account is left to ask: all of them again later where one of them may take it then, otherwise never.
pub(super) async fn nobody_left(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let may_later = message.tried.iter().filter(|one| !one.for_good);
    let earliest = may_later.clone().map(|one| one.until.unwrap_or(now)).min();
    let at = earliest.map(|earliest| earliest.max(after(now, pause(message.rounds.saturating_add(1)))));
    if let Some(at) = at.filter(|at| is_worth_waiting(&message, *at)) {
        message.rounds = message.rounds.saturating_add(1);
        message.tried.retain(|one| one.for_good);
        return later(tx, message, at, now).await;
    }
    let code = message.tried.last().map_or(Code::Borrowed("no_provider"), |one| one.code.clone());
    settle::failed(&mut *tx, &mut message, code, now).await?;
    tx.save_message(&message, now).await?;
    tx.commit().await?;
    Ok(Outcome::of(&message))
}

/// Somebody went on with the message while its provider was asked: an event told us first, or the attempt was taken for
/// abandoned. What the provider says still counts where nobody has it by then.
async fn overtaken(
    mut tx: Box<dyn SendTx>,
    mut message: Message,
    claimed: Claimed,
    answer: Result<Accepted, SendFailure>,
    now: Timestamp,
) -> Result<Next, StoreError> {
    let Ok(accepted) = answer else { return Ok(Next::Done(Outcome::of(&message))) };
    let end = AttemptEnd { outcome: AttemptOutcome::Accepted, code: None };
    match &mut message.state {
        State::Given(given) if given.carrier.is(&claimed.attempt.carrier) => {
            if given.external_id.is_none() {
                given.external_id.clone_from(&accepted.external_id);
            }
            message.segments = accepted.segments.filter(|count| *count > 0).or(message.segments);
            let is_awaited = tx.end_attempt(&message, &claimed.attempt, &end, now).await?;
            if let Some(external_id) = accepted.external_id.filter(|_| is_awaited) {
                let provider = claimed.attempt.carrier.provider;
                for event in tx.take_waiting(provider, &external_id, message.id).await? {
                    happen(&mut *tx, &mut message, &event, now).await?;
                }
                tx.save_message(&message, now).await?;
            }
            tx.commit().await?;
            Ok(Next::Done(Outcome::of(&message)))
        }
        State::Queued | State::Unknown(_) => {
            self::accepted(tx, message, claimed.attempt, accepted, now).await
        }
        State::Given(_) | State::Sending { .. } | State::Failed { .. } => {
            tracing::error!(
                message_id = %message.id, attempt = claimed.attempt.number,
                "a provider took a message that somebody else had gone on with"
            );
            Ok(Next::Done(Outcome::of(&message)))
        }
    }
}

/// The provider's words are for the log only.
fn tell(claimed: &Claimed, failure: &SendFailure) {
    let (id, provider, attempt) =
        (claimed.message.id, claimed.attempt.carrier.provider, claimed.attempt.number);
    let chain = failure as &dyn std::error::Error;
    tracing::warn!(message_id = %id, %provider, attempt, error = chain, "a message was not accepted");
}
