//! Numbers that can be bought. They are made up by rule and not kept: a number is free as long as no account has it.
//!
//! All of them are from ranges that are set aside for fiction: 555-0100 to 555-0199 in each American area code,
//! Ofcom's in Britain, ACMA's in Australia.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::areas::{AREAS, Area, TOLL_FREE, country_of, place};
use super::store::Store;

/// What kind of number it is, as the API calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Local,
    #[serde(rename = "toll-free")]
    TollFree,
    Mobile,
}

/// What can be done with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Capabilities {
    pub(crate) voice: bool,
    pub(crate) sms: bool,
    pub(crate) mms: bool,
}

/// What a number brings with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Traits {
    pub(crate) kind: Kind,
    pub(crate) capabilities: Capabilities,
    /// `none`, `any`, `local` or `foreign`.
    pub(crate) address_requirements: String,
}

/// A number that could be bought.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) phone_number: String,
    pub(crate) friendly_name: String,
    pub(crate) traits: Traits,
}

/// Numbers with the same beginning.
#[derive(Debug, Clone)]
pub(crate) struct Range {
    country: &'static str,
    kind: Kind,
    prefix: String,
    /// How many digits follow the prefix.
    digits: usize,
    first: u32,
    count: u32,
    /// Of the North American plan.
    code: Option<String>,
    capabilities: Capabilities,
    address: &'static str,
    /// Whether its buyers have to prove who they are.
    pub(crate) bundle: bool,
    /// In US cents a month.
    pub(crate) price: i64,
}

const EVERYTHING: Capabilities = Capabilities { voice: true, sms: true, mms: true };
const VOICE: Capabilities = Capabilities { voice: true, sms: false, mms: false };
const VOICE_AND_SMS: Capabilities = Capabilities { voice: true, sms: true, mms: false };

/// A country in which numbers can be bought, and its kinds.
pub(crate) struct Country {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
}

/// Every country with numbers.
pub(crate) const COUNTRIES: &[Country] = &[
    Country { code: "US", name: "United States", kinds: &[Kind::Local, Kind::TollFree] },
    Country { code: "CA", name: "Canada", kinds: &[Kind::Local, Kind::TollFree] },
    Country { code: "GB", name: "United Kingdom", kinds: &[Kind::Local, Kind::TollFree, Kind::Mobile] },
    Country { code: "AU", name: "Australia", kinds: &[Kind::Local, Kind::Mobile] },
];

/// Ranges outside the North American plan: country, kind, prefix, digits after it, the first, how many, what they can
/// do, and the address they need. All of them need a bundle.
type Abroad = (&'static str, Kind, &'static str, usize, u32, u32, Capabilities, &'static str);
const ABROAD: &[Abroad] = &[
    ("GB", Kind::Local, "+44207946", 4, 0, 1_000, VOICE, "any"),
    ("GB", Kind::Mobile, "+447700", 6, 900_000, 1_000, VOICE_AND_SMS, "any"),
    ("GB", Kind::TollFree, "+44808157", 4, 0, 1_000, VOICE, "any"),
    ("AU", Kind::Local, "+6125550", 4, 0, 1_000, VOICE, "local"),
    ("AU", Kind::Mobile, "+61491570", 3, 0, 1_000, VOICE_AND_SMS, "any"),
];

impl Range {
    fn american(country: &'static str, kind: Kind, code: &str) -> Self {
        Self {
            country,
            kind,
            prefix: format!("+1{code}555"),
            digits: 4,
            first: 100,
            count: 100,
            code: Some(code.to_owned()),
            capabilities: EVERYTHING,
            address: "none",
            bundle: false,
            price: if kind == Kind::TollFree { 215 } else { 115 },
        }
    }

    fn abroad(row: &Abroad) -> Self {
        let &(country, kind, prefix, digits, first, count, capabilities, address) = row;
        let prefix = prefix.to_owned();
        Self {
            country,
            kind,
            prefix,
            digits,
            first,
            count,
            code: None,
            capabilities,
            address,
            bundle: true,
            price: 115,
        }
    }

    /// Those that nobody has.
    pub(crate) fn free<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = Offer> + 'a {
        let stock = self.code.as_deref().and_then(|code| store.stock.get(code)).copied();
        let count = self.count.min(stock.unwrap_or(self.count));
        let numbers = (self.first..self.first + count)
            .map(|line| format!("{}{line:0w$}", self.prefix, w = self.digits));
        numbers.filter(|number| store.holder(number).is_none()).map(|number| self.offer(number))
    }

    /// The place its numbers are in.
    pub(crate) fn place(&self) -> Option<&'static Area> {
        self.code.as_deref().and_then(place)
    }

    /// Whether it is about this number, and there is such a number.
    fn has(&self, store: &Store, number: &str) -> bool {
        number.starts_with(&self.prefix) && self.free(store).any(|offer| offer.phone_number == number)
    }

    fn offer(&self, phone_number: String) -> Offer {
        let traits = Traits {
            kind: self.kind,
            capabilities: self.capabilities,
            address_requirements: self.address.to_owned(),
        };
        Offer { friendly_name: friendly(&phone_number), phone_number, traits }
    }

    /// An offer as a search shows it.
    pub(crate) fn shown(&self, offer: &Offer) -> Value {
        let place = self.place();
        json!({
            "friendly_name": offer.friendly_name,
            "phone_number": offer.phone_number,
            "iso_country": self.country,
            "region": place.map(|place| place.region),
            "locality": place.map(|place| place.locality),
            "postal_code": place.map(|place| place.postal_code),
            "rate_center": place.map(|place| place.rate_center),
            "lata": place.map(|place| place.lata),
            // Text on the wire, whatever the document says.
            "latitude": place.map(|place| place.latitude),
            "longitude": place.map(|place| place.longitude),
            "address_requirements": offer.traits.address_requirements,
            "beta": false,
            "capabilities": offer.traits.capabilities,
        })
    }
}

/// Where a search looks: in one area code, or everywhere in the country.
pub(crate) fn ranges(country: &str, kind: Kind, area_code: Option<&str>) -> Vec<Range> {
    let american = |code: &str| {
        let country = match kind {
            // The same toll-free numbers serve both countries.
            Kind::TollFree => TOLL_FREE.contains(&code).then_some(if country == "CA" { "CA" } else { "US" }),
            Kind::Local | Kind::Mobile => country_of(code).filter(|owner| *owner == country),
        };
        country.map(|country| Range::american(country, kind, code))
    };
    match (country, area_code) {
        ("US" | "CA", Some(code)) => american(code).into_iter().collect(),
        ("US" | "CA", None) if kind == Kind::TollFree => {
            TOLL_FREE.iter().copied().filter_map(american).collect()
        }
        ("US" | "CA", None) => AREAS.iter().filter_map(|area| american(area.code)).collect(),
        // Area codes are an American affair.
        (_, Some(_)) => Vec::new(),
        (_, None) => {
            ABROAD.iter().filter(|row| row.0 == country && row.1 == kind).map(Range::abroad).collect()
        }
    }
}

/// The range in which this number is for sale now.
pub(crate) fn range_of(store: &Store, number: &str) -> Option<(Range, Offer)> {
    let code = number.strip_prefix("+1").and_then(|rest| rest.get(..3));
    let american = code.into_iter().flat_map(|code| {
        [
            ranges("US", Kind::Local, Some(code)),
            ranges("CA", Kind::Local, Some(code)),
            ranges("US", Kind::TollFree, Some(code)),
        ]
        .into_iter()
        .flatten()
    });
    let range = american.chain(ABROAD.iter().map(Range::abroad)).find(|range| range.has(store, number))?;
    let offer = range.offer(number.to_owned());
    Some((range, offer))
}

/// A number that comes from outside the inventory, as accounts for a rehearsal have them.
pub(crate) fn foreign(number: &str) -> Offer {
    let traits =
        Traits { kind: Kind::Local, capabilities: EVERYTHING, address_requirements: "none".to_owned() };
    Offer { phone_number: number.to_owned(), friendly_name: friendly(number), traits }
}

/// `(510) 555-0123` for American numbers; all others as they are.
fn friendly(number: &str) -> String {
    match number.strip_prefix("+1") {
        Some(digits) if digits.len() == 10 && digits.is_ascii() => {
            format!("({}) {}-{}", &digits[..3], &digits[3..6], &digits[6..])
        }
        _ => number.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_is_found_can_be_bought_as_such() {
        let store = Store::default();
        for country in COUNTRIES {
            for kind in country.kinds {
                let ranges = ranges(country.code, *kind, None);
                assert!(!ranges.is_empty(), "{} {kind:?}", country.code);
                for range in ranges {
                    for offer in range.free(&store) {
                        let (_, found) = range_of(&store, &offer.phone_number).unwrap();
                        assert_eq!(found.phone_number, offer.phone_number);
                        assert_eq!(found.traits, offer.traits);
                    }
                }
            }
        }
        assert!(range_of(&store, "+15335550100").is_none());
        assert!(range_of(&store, "+15105550200").is_none());
    }
}
