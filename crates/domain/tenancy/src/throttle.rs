//! How often signing in may be tried: per account against guessing one password, per address against guessing many.
//!
//! A try is counted before the password is looked at, so that a hundred tries at once are a hundred tries; success
//! takes it back. Accounts that do not exist are counted like those that do.

use std::{fmt::Write as _, net::IpAddr, time::Duration};

use jiff::SignedDuration;
use sha2::{Digest, Sha256};
use voxanne_kernel::{EmailAddress, Timestamp};

/// Failures an account has before it must wait.
const FREE_TRIES: u32 = 5;
/// The longest wait of an account.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_mins(15);
/// An account that was left alone for this long starts anew.
const FORGET_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Failures an address may cause within [`ADDRESS_WINDOW`].
const TRIES_PER_ADDRESS: u32 = 20;
/// The window in which an address is counted.
const ADDRESS_WINDOW: SignedDuration = SignedDuration::from_mins(1);

/// Whose tries are counted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Those for an account, existing or not.
    Account(EmailAddress),
    /// Those from an address; an IPv6 address stands for its /64, which one household or server owns.
    Address(IpAddr),
}

impl Subject {
    /// The key its tries are stored under: a hash, since the table needs neither mail nor network addresses.
    pub fn key(&self) -> String {
        let digest = match self {
            Self::Account(email) => Sha256::digest(email.as_str()),
            Self::Address(IpAddr::V4(address)) => Sha256::digest(address.octets()),
            Self::Address(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(v4) => Sha256::digest(v4.octets()),
                None => Sha256::digest(&address.octets()[..8]),
            },
        };
        let mut key = String::from(match self {
            Self::Account(_) => "account:",
            Self::Address(_) => "address:",
        });
        for byte in digest {
            // Writing to a string cannot fail.
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// Counts a try at `now` after the ones in `before`.
    ///
    /// # Errors
    /// How long to wait, when there were too many; the try is then not counted.
    pub fn try_at(&self, before: Attempts, now: Timestamp) -> Result<Attempts, MustWait> {
        let blocked = before.blocked_until.filter(|until| *until > now);
        if let Some(until) = blocked {
            return Err(MustWait::until(until, now));
        }
        match self {
            Self::Account(_) => {
                let failures = before.recent(FORGET_AFTER, now) + 1;
                let blocked_until = failures.checked_sub(FREE_TRIES).map(|beyond| later(now, wait(beyond)));
                Ok(Attempts { failures, since: now, blocked_until })
            }
            Self::Address(_) => {
                let failures = before.recent(ADDRESS_WINDOW, now);
                let since = if failures == 0 { now } else { before.since };
                if failures >= TRIES_PER_ADDRESS {
                    return Err(MustWait::until(later(since, ADDRESS_WINDOW), now));
                }
                Ok(Attempts { failures: failures + 1, since, blocked_until: None })
            }
        }
    }

    /// What is left of `counted` after the last try turned out to be the owner's.
    pub fn succeeded(&self, counted: Attempts) -> Attempts {
        match self {
            Self::Account(_) => Attempts { failures: 0, blocked_until: None, ..counted },
            Self::Address(_) => Attempts { failures: counted.failures.saturating_sub(1), ..counted },
        }
    }
}

/// The wait after `beyond` failures more than are free: 1, 2, 4 … seconds.
fn wait(beyond: u32) -> SignedDuration {
    if beyond < 10 { SignedDuration::from_secs(1 << beyond).min(LONGEST_WAIT) } else { LONGEST_WAIT }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The tries that count against a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub failures: u32,
    /// For an account, when the last one was; for an address, when its window began.
    pub since: Timestamp,
    /// No further try before this.
    pub blocked_until: Option<Timestamp>,
}

impl Attempts {
    /// None so far.
    pub fn none(now: Timestamp) -> Self {
        Self { failures: 0, since: now, blocked_until: None }
    }

    fn recent(&self, window: SignedDuration, now: Timestamp) -> u32 {
        if now.duration_since(self.since) < window { self.failures } else { 0 }
    }
}

/// Too many tries: none is accepted before this much time has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MustWait(pub Duration);

impl MustWait {
    fn until(until: Timestamp, now: Timestamp) -> Self {
        Self(Duration::try_from(until.duration_since(now)).unwrap_or_default())
    }

    /// Whole seconds to wait, at least one.
    pub fn seconds(self) -> u64 {
        let whole = self.0.as_secs();
        if self.0.subsec_nanos() > 0 { whole + 1 } else { whole.max(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    fn account() -> Subject {
        Subject::Account("ann@example.com".parse().unwrap())
    }

    fn address(text: &str) -> Subject {
        Subject::Address(text.parse().unwrap())
    }

    /// Tries until refused, `tries` times at one moment.
    fn tries(subject: &Subject, from: Attempts, now: Timestamp, tries: u32) -> (Attempts, u32) {
        let mut attempts = from;
        for done in 0..tries {
            match subject.try_at(attempts, now) {
                Ok(counted) => attempts = counted,
                Err(_) => return (attempts, done),
            }
        }
        (attempts, tries)
    }

    #[test]
    fn five_tries_are_free_then_each_waits_twice_as_long_up_to_a_quarter_of_an_hour() {
        let account = account();
        let (mut attempts, done) = tries(&account, Attempts::none(at(0)), at(0), 100);
        assert_eq!(done, 5);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            let wait = account.try_at(attempts, now).unwrap_err();
            waits.push(wait.seconds());
            now = later(now, SignedDuration::try_from(wait.0).unwrap());
            attempts = account.try_at(attempts, now).unwrap();
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }

    #[test]
    fn success_and_an_hour_of_quiet_start_anew() {
        let account = account();
        let (attempts, _) = tries(&account, Attempts::none(at(0)), at(0), 5);
        assert_eq!(tries(&account, account.succeeded(attempts), at(1), 100).1, 5);
        let quiet = later(at(0), FORGET_AFTER);
        assert_eq!(tries(&account, attempts, quiet, 100).1, 5);
    }

    #[test]
    fn an_address_has_twenty_failures_a_minute_and_successes_are_free() {
        let address = address("192.0.2.1");
        let (mut attempts, done) = tries(&address, Attempts::none(at(0)), at(0), 19);
        assert_eq!(done, 19);
        for _ in 0..100 {
            attempts = address.succeeded(address.try_at(attempts, at(10)).unwrap());
        }
        let (attempts, done) = tries(&address, attempts, at(20), 5);
        assert_eq!(done, 1);
        assert_eq!(address.try_at(attempts, at(30_500)).unwrap_err().seconds(), 30);
        assert_eq!(tries(&address, attempts, at(60_000), 100).1, 20);
    }

    #[test]
    fn no_number_of_failures_overflows_the_wait() {
        for beyond in [0, 9, 10, 30, 62, 63, 64, u32::MAX] {
            assert!((SignedDuration::from_secs(1)..=LONGEST_WAIT).contains(&wait(beyond)), "{beyond}");
        }
    }

    #[test]
    fn keys_are_hashes_and_neighbours_in_a_network_share_one() {
        assert_eq!(address("2001:db8::1").key(), address("2001:db8::ffff").key());
        assert_ne!(address("2001:db8:0:1::1").key(), address("2001:db8::1").key());
        assert_eq!(address("::ffff:192.0.2.1").key(), address("192.0.2.1").key());
        assert!(!account().key().contains("ann"));
        assert_eq!(account().key().len(), "account:".len() + 64);
    }
}
