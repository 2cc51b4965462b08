//! How much may be bought for an organization before somebody has to look.

use crate::{reader::Reader, sections::number};

/// Bounds on what numbers cost us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purchases {
    /// `NUMBERS_PER_ORG`: numbers that an organization may have at a time.
    pub numbers_per_org: u32,
    /// `PURCHASES_PER_DAY`: numbers that may be bought for an organization in 24 hours.
    pub per_day: u32,
}

impl Purchases {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let numbers_per_org = reader.or("NUMBERS_PER_ORG", 3, number);
        let per_day = reader.or("PURCHASES_PER_DAY", 10, number);
        Some(Self { numbers_per_org: numbers_per_org?, per_day: per_day? })
    }
}
