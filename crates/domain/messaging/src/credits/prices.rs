//! What a message costs.

use async_trait::async_trait;
use voxanne_kernel::{Money, StoreError, place::Country};

use crate::channel::{Channel, Provider};

/// The price of one segment of a text message, or of one e-mail or WhatsApp message: millionths of a unit of
/// [`super::CREDIT_CURRENCY`], since most cost less than a cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitPrice(i64);

impl UnitPrice {
    /// Millionths in a minor unit.
    const MINOR: i64 = 10_000;

    /// So many millionths; `None` when negative.
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros < 0 { None } else { Some(Self(micros)) }
    }

    /// Millionths.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// What `units` of them cost together: rounded up to a minor unit, and at least one.
    pub fn charge(self, units: u32) -> Money {
        let micros = self.0.saturating_mul(i64::from(units.max(1)));
        let whole = micros / Self::MINOR + i64::from(micros % Self::MINOR != 0);
        Money::from_minor(whole.max(1))
    }
}

/// The prices of one channel to one country.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tariff(Vec<(Provider, UnitPrice)>);

impl Tariff {
    /// From what each provider takes.
    pub fn new(prices: impl IntoIterator<Item = (Provider, UnitPrice)>) -> Self {
        Self(prices.into_iter().collect())
    }

    /// What one unit costs through `provider`; `None` when the table does not say, and then it is not sent through it.
    pub fn price(&self, provider: Provider) -> Option<UnitPrice> {
        self.0.iter().find(|(known, _)| *known == provider).map(|(_, price)| *price)
    }

    /// What a message of `units` costs through `provider`.
    pub fn charge(&self, provider: Provider, units: u32) -> Option<Money> {
        self.price(provider).map(|price| price.charge(units))
    }
}

/// The healthy platform providers in the order in which they are tried: the cheapest first, those that cost the same as
/// they were given (the configured default first); those without a price are left out. Each comes with the units that
/// the message has there, which not all providers count alike.
pub fn least_cost(tariff: &Tariff, healthy: &[(Provider, u32)]) -> Vec<(Provider, Money)> {
    let mut priced: Vec<_> = healthy
        .iter()
        .filter_map(|(provider, units)| {
            let price = tariff.price(*provider)?;
            Some((price.micros().saturating_mul(i64::from((*units).max(1))), *provider, price.charge(*units)))
        })
        .collect();
    priced.sort_by_key(|(micros, ..)| *micros);
    priced.into_iter().map(|(_, provider, charge)| (provider, charge)).collect()
}

/// Reads the price table in a unit of work.
#[async_trait]
pub trait Prices: Send {
    /// The prices of a channel to a country; where a provider has none of its own for it, its price for everywhere else.
    /// `None` for e-mails and for numbers of no country we know.
    async fn tariff(&mut self, channel: Channel, country: Option<&Country>) -> Result<Tariff, StoreError>;
}
