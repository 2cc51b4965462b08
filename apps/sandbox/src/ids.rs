//! Ids, numbers and secrets in the providers' shapes: random, or repeatable under a seed.

use std::sync::{Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use uuid::{Builder, Uuid};

/// How far the made-up values have come. Going on from here repeats none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    seed: u64,
    drawn: u64,
}

impl Position {
    fn start(seed: Option<u64>) -> Self {
        Self { seed: seed.unwrap_or_else(|| rand::rng().next_u64()), drawn: 0 }
    }

    /// The source of the next value. Each has its own, so that two numbers tell where the sequence is.
    fn draw(&mut self) -> StdRng {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8..16].copy_from_slice(&self.drawn.to_le_bytes());
        self.drawn += 1;
        StdRng::from_seed(key)
    }
}

/// Where every made-up value comes from.
#[derive(Debug)]
pub(crate) struct Ids(Mutex<Position>);

impl Ids {
    /// Repeatable under `seed`, else random.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(Position::start(seed)))
    }

    /// Starts over.
    pub(crate) fn reseed(&self, seed: Option<u64>) {
        self.resume(Position::start(seed));
    }

    /// How far it has come.
    pub(crate) fn position(&self) -> Position {
        *self.here()
    }

    /// Goes on where another sandbox stopped.
    pub(crate) fn resume(&self, position: Position) {
        *self.here() = position;
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
        let mut rng = self.next();
        (0..len).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())])).collect()
    }

    /// `len` hexadecimal digits, as in Twilio's SIDs and tokens.
    pub(crate) fn hex(&self, len: usize) -> String {
        let mut rng = self.next();
        (0..len).map(|_| char::from(b"0123456789abcdef"[rng.random_range(0..16)])).collect()
    }

    /// A number below `limit`.
    pub(crate) fn below(&self, limit: u32) -> u32 {
        self.next().random_range(0..limit)
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.next().fill_bytes(&mut bytes);
        bytes
    }

    fn next(&self) -> StdRng {
        self.here().draw()
    }

    fn here(&self) -> std::sync::MutexGuard<'_, Position> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(ids: &Ids) -> (Uuid, Uuid, String, String, u32) {
        (ids.uuid(), ids.uuid_at(1_700_000_000_000), ids.word(8), ids.hex(32), ids.below(1000))
    }

    #[test]
    fn one_seed_gives_one_sequence_and_another_gives_another() {
        let draw = |seed| draw(&Ids::new(seed));
        assert_eq!(draw(Some(7)), draw(Some(7)));
        assert_ne!(draw(Some(7)), draw(Some(8)));
        assert_ne!(draw(None), draw(None));
    }

    #[test]
    fn a_sequence_goes_on_where_it_was_and_never_repeats_itself() {
        let ids = Ids::new(Some(7));
        let first = draw(&ids);
        let later = Ids::new(None);
        later.resume(ids.position());
        let second = draw(&later);
        assert_ne!(first, second);
        assert_eq!(second, draw(&ids));
    }
}
