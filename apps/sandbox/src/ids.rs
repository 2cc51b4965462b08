//! Ids, numbers and secrets in the providers' shapes: random, or repeatable under a seed.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::{Builder, Uuid};

/// Where every made-up value comes from.
#[derive(Debug)]
pub(crate) struct Ids(Mutex<StdRng>);

impl Ids {
    /// Repeatable under `seed`, else random.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(source(seed)))
    }

    /// Starts over.
    pub(crate) fn reseed(&self, seed: Option<u64>) {
        *self.rng() = source(seed);
    }

    /// A version 4 UUID, as most of Vapi's objects have.
    pub(crate) fn uuid(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    /// A version 7 UUID made at `ms`, as calls have.
    pub(crate) fn uuid_at(&self, ms: i64) -> Uuid {
        Builder::from_unix_timestamp_millis(u64::try_from(ms).unwrap_or(0), &self.bytes()).into_uuid()
    }

    /// `len` letters and digits.
    pub(crate) fn word(&self, len: usize) -> String {
        const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let mut rng = self.rng();
        (0..len).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
    }

    /// `len` hexadecimal digits, as in Twilio's SIDs and tokens.
    pub(crate) fn hex(&self, len: usize) -> String {
        let mut rng = self.rng();
        (0..len).map(|_| char::from(b"0123456789abcdef"[rng.random_range(0..16)])).collect()
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: u32) -> u32 {
        self.rng().random_range(0..limit)
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng().fill_bytes(&mut bytes);
        bytes
    }

    fn rng(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn source(seed: Option<u64>) -> StdRng {
    seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence_and_another_gives_another() {
        let draw = |seed| {
            let ids = Ids::new(seed);
            (ids.uuid(), ids.uuid_at(1_700_000_000_000), ids.word(8), ids.hex(32), ids.below(1000))
        };
        assert_eq!(draw(Some(7)), draw(Some(7)));
        assert_ne!(draw(Some(7)), draw(Some(8)));
        assert_ne!(draw(None), draw(None));
    }
}
