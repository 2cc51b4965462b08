//! What an organization sees of its messages: the list of them, figures, and how those who carry them are doing.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use jiff::SignedDuration;
use voxanne_kernel::{
    Begin, Clock, Commit, Money, OrgScope, Page, PageRequest, StoreError, Timestamp,
    ids::{CallId, ContactId, MessageId},
};

use crate::{
    channel::{Channel, Provider},
    message::{Direction, MessageStatus},
    model::Mode,
    providers::{Accounts, Cost, Whose},
};

/// How far back the health of providers looks.
const RECENT: SignedDuration = SignedDuration::from_hours(1);

/// A message as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Its id.
    pub id: MessageId,
    /// The contact it concerns.
    pub contact: Option<ContactId>,
    /// The call it concerns.
    pub call: Option<CallId>,
    /// Whether it came or went.
    pub direction: Direction,
    /// On which channel.
    pub channel: Channel,
    /// To whom; of one that came, from whom.
    pub recipient: String,
    /// The subject of an e-mail.
    pub subject: Option<String>,
    /// What it says.
    pub content: String,
    /// What it is for, by its stored name.
    pub purpose: String,
    /// How far it is.
    pub status: MessageStatus,
    /// Why it was not sent or did not arrive.
    pub error_code: Option<String>,
    /// Who carries it.
    pub provider: Provider,
    /// Whose account that is.
    pub mode: Mode,
    /// The provider's id of it.
    pub external_id: Option<String>,
    /// How many parts it has.
    pub segments: Option<u32>,
    /// What it costs.
    pub cost: Option<Cost>,
    /// Since when a provider has it.
    pub sent_at: Option<Timestamp>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Since when it is recorded.
    pub created_at: Timestamp,
}

/// Which messages are wanted; what is `None` does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// On which channel.
    pub method: Option<Channel>,
    /// How far.
    pub status: Option<MessageStatus>,
    /// Which way.
    pub direction: Option<Direction>,
    /// Of which call.
    pub call: Option<CallId>,
    /// Of which contact.
    pub contact: Option<ContactId>,
    /// Recorded at this time or later.
    pub from: Option<Timestamp>,
    /// Recorded before this time.
    pub to: Option<Timestamp>,
}

/// Figures of one channel and provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figures {
    /// On which channel.
    pub channel: Channel,
    /// Through whom.
    pub provider: Provider,
    /// Messages that a provider took.
    pub sent: u64,
    /// Of those, the ones that are known to have arrived.
    pub delivered: u64,
    /// Messages that were not sent, or did not arrive.
    pub failed: u64,
    /// What they cost, by currency.
    pub costs: Vec<Cost>,
}

impl Figures {
    /// What all of `figures` cost together, by currency.
    pub fn total_costs(figures: &[Self]) -> Vec<Cost> {
        let mut totals = BTreeMap::<&str, Cost>::new();
        for cost in figures.iter().flat_map(|one| &one.costs) {
            let total = totals.entry(cost.currency.as_str());
            let total = total.or_insert(Cost { amount: Money::ZERO, currency: cost.currency });
            total.amount = [total.amount, cost.amount].into_iter().sum();
        }
        totals.into_values().collect()
    }
}

/// How an account has been doing for an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderHealth {
    /// On which channel.
    pub channel: Channel,
    /// Who.
    pub provider: Provider,
    /// Whose account.
    pub whose: Whose,
    /// Messages it took lately.
    pub accepted: u64,
    /// Messages it did not take lately, for reasons of its own.
    pub refused: u64,
    /// Messages of which nobody knows whether it took them lately.
    pub unknown: u64,
    /// Failures in a row, up to now.
    pub failures: u32,
    /// Our code of the last failure.
    pub last_code: Option<String>,
    /// When it last failed.
    pub last_failed_at: Option<Timestamp>,
    /// Until when it is left alone.
    pub open_until: Option<Timestamp>,
    /// Whether its credential is known to open nothing; `last_code` says why then.
    pub is_shut: bool,
}

/// Whether an account is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// It is asked.
    Closed,
    /// It is left alone for a while.
    Open,
    /// It was left alone, and the next message shows whether it works.
    HalfOpen,
}

impl Breaker {
    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl ProviderHealth {
    /// Of one of our own accounts that was never asked.
    fn unasked(channel: Channel, provider: Provider) -> Self {
        Self {
            channel,
            provider,
            whose: Whose::Platform,
            accepted: 0,
            refused: 0,
            unknown: 0,
            failures: 0,
            last_code: None,
            last_failed_at: None,
            open_until: None,
            is_shut: false,
        }
    }

    /// Whether it is asked at `now`.
    pub fn breaker(&self, now: Timestamp) -> Breaker {
        match self.open_until {
            None => Breaker::Closed,
            Some(until) if until > now => Breaker::Open,
            Some(_) => Breaker::HalfOpen,
        }
    }
}

/// Reads messages and figures.
#[async_trait]
pub trait MessageLog: Send {
    /// A page of messages, newest first.
    async fn messages(
        &mut self,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Result<Page<MessageView>, StoreError>;

    /// One message.
    async fn message(&mut self, id: MessageId) -> Result<Option<MessageView>, StoreError>;

    /// Figures of the messages we sent that were recorded from `from` on and before `to`.
    async fn figures(&mut self, from: Timestamp, to: Timestamp) -> Result<Vec<Figures>, StoreError>;

    /// How every account that the organization has, that was asked since `since`, or that has failed before, has been
    /// doing.
    async fn provider_health(&mut self, since: Timestamp) -> Result<Vec<ProviderHealth>, StoreError>;
}

/// What reading touches.
pub trait LogTx: MessageLog + Commit {}
impl<T: MessageLog + Commit> LogTx for T {}

/// Shows an organization its messages.
#[derive(Clone)]
pub struct ShowMessages {
    store: Arc<dyn Begin<dyn LogTx>>,
    clock: Arc<dyn Clock>,
}

impl ShowMessages {
    /// Shows what `store` holds.
    pub fn new(store: Arc<dyn Begin<dyn LogTx>>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// A page of messages, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(
        &self,
        scope: &OrgScope,
        filter: &MessageFilter,
        page: &PageRequest,
    ) -> Result<Page<MessageView>, StoreError> {
        self.store.begin(scope).await?.messages(filter, page).await
    }

    /// One message; `None` if the organization has none of this id.
    ///
    /// # Errors
    /// The store's.
    pub async fn get(&self, scope: &OrgScope, id: MessageId) -> Result<Option<MessageView>, StoreError> {
        self.store.begin(scope).await?.message(id).await
    }

    /// Figures from `from` to `to`; without them, of everything up to now.
    ///
    /// # Errors
    /// The store's.
    pub async fn stats(
        &self,
        scope: &OrgScope,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
    ) -> Result<Vec<Figures>, StoreError> {
        let (from, to) = (from.unwrap_or(Timestamp::UNIX_EPOCH), to.unwrap_or_else(|| self.clock.now()));
        self.store.begin(scope).await?.figures(from, to).await
    }

    /// How those who can carry messages have been doing in the last hour, our own `accounts` among them.
    ///
    /// # Errors
    /// The store's.
    pub async fn health(
        &self,
        scope: &OrgScope,
        accounts: &dyn Accounts,
    ) -> Result<Vec<ProviderHealth>, StoreError> {
        let since = self.clock.now().checked_sub(RECENT).unwrap_or(Timestamp::UNIX_EPOCH);
        let mut all = self.store.begin(scope).await?.provider_health(since).await?;
        for channel in Channel::ALL {
            for provider in accounts.of_platform(channel) {
                let ours = (channel, provider, Whose::Platform);
                if !all.iter().any(|one| (one.channel, one.provider, one.whose) == ours) {
                    all.push(ProviderHealth::unasked(channel, provider));
                }
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_by_currency() {
        let cost = |minor: i64, currency: &str| {
            let currency = currency.parse().unwrap();
            Cost { amount: Money::from_minor(minor), currency }
        };
        let of = |costs| Figures {
            channel: Channel::Sms,
            provider: Provider::Twilio,
            sent: 1,
            delivered: 0,
            failed: 0,
            costs,
        };
        let all = [of(vec![cost(3, "USD")]), of(Vec::new()), of(vec![cost(5, "USD"), cost(7, "NGN")])];
        assert_eq!(Figures::total_costs(&all), [cost(7, "NGN"), cost(8, "USD")]);
        assert_eq!(Figures::total_costs(&[]), []);
    }
}
