//! What a conversation is worth.

use std::sync::Arc;

use voxanne_kernel::{Begin, Money, OrgScope, StoreError, ids::ServiceId};

use crate::{
    matching::{Matcher, words},
    ports::{PriceList, PriceTx},
    seeds::{BOOKED_WITHOUT_A_NAME, SEEDS},
};

/// What is known of a conversation, redacted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conversation<'a> {
    /// What the caller said and what the analysis made of it: these words decide.
    pub wanted: &'a [&'a str],
    /// What the assistant said. It may have read out the whole catalogue, so it counts only if `wanted` names nothing.
    pub offered: &'a [&'a str],
    /// Whether an appointment was made.
    pub booked: bool,
}

/// A conversation's worth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Valuation {
    /// The sum, in the organization's currency.
    pub amount: Money,
    /// The organization's services that were mentioned.
    pub services: Vec<ServiceId>,
    /// Names of all that was mentioned, those of fallback rates included.
    pub names: Vec<String>,
}

/// Says what conversations are worth.
///
/// 1. The prices of the organization's active services that were mentioned, each once. A service in another currency
///    than the organization's is named but adds nothing: there is no exchange rate here.
/// 2. None mentioned: the fallback rates, which are the seven [`SEEDS`] at their prices, except those whose name the
///    organization has in its own list (it sells them at its own price, or has stopped to).
/// 3. Still none, but an appointment was made: the rate of a consultation.
/// 4. Otherwise nothing.
#[derive(Clone)]
pub struct ValueConversation {
    store: Arc<dyn Begin<dyn PriceTx>>,
}

impl ValueConversation {
    /// Reads prices from `store`.
    pub fn new(store: Arc<dyn Begin<dyn PriceTx>>) -> Self {
        Self { store }
    }

    /// Values one conversation.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn run(
        &self,
        scope: &OrgScope,
        conversation: &Conversation<'_>,
    ) -> Result<Valuation, StoreError> {
        let prices = self.store.begin(scope).await?.price_list().await?;
        Ok(value(&prices, conversation))
    }
}

fn value(prices: &PriceList, conversation: &Conversation<'_>) -> Valuation {
    let own = own_services(prices, conversation);
    if !own.services.is_empty() {
        return own;
    }
    let fallback = fallback_rates(prices, conversation);
    if fallback.names.is_empty() && conversation.booked {
        return Valuation { amount: BOOKED_WITHOUT_A_NAME, ..Valuation::default() };
    }
    fallback
}

fn own_services(prices: &PriceList, conversation: &Conversation<'_>) -> Valuation {
    let active: Vec<_> = prices.services.iter().filter(|s| s.is_active).collect();
    let matcher = Matcher::new(active.iter().enumerate().map(|(index, service)| {
        (index, std::iter::once(service.name.as_str()).chain(service.keywords.iter()).collect())
    }));
    let found: Vec<_> = mentioned(&matcher, conversation).into_iter().map(|index| active[index]).collect();
    Valuation {
        amount: found.iter().filter(|s| s.currency == prices.currency).map(|s| s.price.amount()).sum(),
        services: found.iter().map(|s| s.id).collect(),
        names: found.iter().map(|s| s.name.as_str().to_owned()).collect(),
    }
}

fn fallback_rates(prices: &PriceList, conversation: &Conversation<'_>) -> Valuation {
    let listed = |name: &str| prices.services.iter().any(|s| words(s.name.as_str()) == words(name));
    let rates: Vec<_> = SEEDS.iter().filter(|seed| !listed(seed.name)).collect();
    let matcher = Matcher::new(rates.iter().enumerate().map(|(index, seed)| {
        (index, std::iter::once(seed.name).chain(seed.keywords.iter().copied()).collect())
    }));
    let found: Vec<_> = mentioned(&matcher, conversation).into_iter().map(|index| rates[index]).collect();
    Valuation {
        amount: found.iter().map(|seed| seed.price).sum(),
        services: Vec::new(),
        names: found.iter().map(|seed| seed.name.to_owned()).collect(),
    }
}

fn mentioned(matcher: &Matcher<usize>, conversation: &Conversation<'_>) -> Vec<usize> {
    let mut found = matcher.mentioned(conversation.wanted.iter().copied());
    if found.is_empty() {
        found = matcher.mentioned(conversation.offered.iter().copied());
    }
    // In the order of the catalogue.
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use voxanne_kernel::Currency;

    use super::*;
    use crate::{seeds, service::Price};

    fn seeded() -> PriceList {
        let services = seeds::services(Currency::USD, Timestamp::UNIX_EPOCH).unwrap();
        PriceList { currency: Currency::USD, services }
    }

    #[track_caller]
    fn check(prices: &PriceList, wanted: &[&str], offered: &[&str], booked: bool, major: i64) {
        let worth = value(prices, &Conversation { wanted, offered, booked });
        assert_eq!(worth.amount.minor(), major * 100, "{wanted:?} {offered:?}");
    }

    #[test]
    fn sums_the_prices_of_what_was_mentioned_each_once() {
        check(&seeded(), &["Botox and fillers", "more botox"], &[], false, 900);
        check(&seeded(), &["a nose job"], &["we also do facelifts and liposuction"], true, 6_000);
        check(&seeded(), &["yes please"], &["shall I book botox for you?"], true, 400);
    }

    #[test]
    fn without_a_match_the_fallback_rates_count() {
        let empty = PriceList { services: Vec::new(), ..seeded() };
        check(&empty, &["how much is botox"], &[], false, 400);
        check(&empty, &["hello"], &[], true, 150);
        check(&empty, &["hello"], &[], false, 0);
        let mut stopped = seeded();
        stopped.services.iter_mut().for_each(|s| s.is_active = false);
        check(&stopped, &["how much is botox"], &[], false, 0);
    }

    #[test]
    fn another_currency_is_named_but_not_added() {
        let mut prices = seeded();
        prices.services[0].currency = "EUR".parse().unwrap();
        prices.services[5].price = Price::new(Money::from_minor(12_345)).unwrap();
        let worth = value(&prices, &Conversation { wanted: &["botox, fillers"], ..Conversation::default() });
        assert_eq!(worth.amount.minor(), 12_345);
        assert_eq!(worth.services.len(), 2);
    }
}
