//! The seven services that every organization starts with, and that stand in as fallback rates (`spec/05-calls.md`).
//!
//! The specification gives names, prices and the keywords of the first three; the others' keywords are their names
//! (and the singular of "fillers", which is what callers say). Durations are ours: a chair treatment half an hour to
//! three quarters, the surgical ones two to four hours.

use jiff::Timestamp;
use voxanne_kernel::{Currency, Money, ids::ServiceId};

use crate::service::{BadService, Keywords, Minutes, Price, Service, ServiceName};

/// One of the seven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    /// Name.
    pub name: &'static str,
    /// Price.
    pub price: Money,
    /// Minutes an appointment takes.
    pub duration_minutes: u16,
    /// Words that mean it, besides its name.
    pub keywords: &'static [&'static str],
}

const fn dollars(major: i64) -> Money {
    Money::from_minor(major * 100)
}

/// All seven.
pub const SEEDS: [Seed; 7] = [
    Seed {
        name: "Botox",
        price: dollars(400),
        duration_minutes: 30,
        keywords: &["botox", "wrinkle", "injection"],
    },
    Seed {
        name: "Facelift",
        price: dollars(8_000),
        duration_minutes: 240,
        keywords: &["facelift", "face lift"],
    },
    Seed {
        name: "Rhinoplasty",
        price: dollars(6_000),
        duration_minutes: 180,
        keywords: &["rhinoplasty", "nose job"],
    },
    Seed {
        name: "Breast Augmentation",
        price: dollars(7_500),
        duration_minutes: 120,
        keywords: &["breast augmentation"],
    },
    Seed { name: "Liposuction", price: dollars(5_000), duration_minutes: 120, keywords: &["liposuction"] },
    Seed { name: "Fillers", price: dollars(500), duration_minutes: 45, keywords: &["fillers", "filler"] },
    Seed { name: "Consultation", price: dollars(150), duration_minutes: 30, keywords: &["consultation"] },
];

/// The rate of a booked conversation that named no service: a consultation's.
pub const BOOKED_WITHOUT_A_NAME: Money = dollars(150);

/// The seven as an organization's own services, in `currency`, to be stored when it signs up.
///
/// # Errors
/// Never for [`SEEDS`], which a test holds to the rules.
pub fn services(currency: Currency, now: Timestamp) -> Result<Vec<Service>, BadService> {
    SEEDS.iter().map(|seed| seed.service(currency, now)).collect()
}

impl Seed {
    fn service(&self, currency: Currency, now: Timestamp) -> Result<Service, BadService> {
        Ok(Service {
            id: ServiceId::generate(),
            name: ServiceName::new(self.name)?,
            price: Price::new(self.price)?,
            currency,
            duration: Minutes::new(i64::from(self.duration_minutes))?,
            keywords: Keywords::new(self.keywords)?,
            is_active: true,
            created_at: now,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seven_are_as_specified() {
        let seeded = services(Currency::USD, Timestamp::UNIX_EPOCH).unwrap();
        let lines: Vec<_> =
            seeded.iter().map(|s| (s.name.as_str(), s.price.amount().minor() / 100)).collect();
        let expected = [
            ("Botox", 400),
            ("Facelift", 8_000),
            ("Rhinoplasty", 6_000),
            ("Breast Augmentation", 7_500),
            ("Liposuction", 5_000),
            ("Fillers", 500),
            ("Consultation", 150),
        ];
        assert_eq!(lines, expected);
        assert_eq!(seeded[0].keywords.iter().collect::<Vec<_>>(), ["botox", "wrinkle", "injection"]);
    }
}
