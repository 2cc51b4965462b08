//! Messages signed the Standard Webhooks way: `webhook-id`, `webhook-timestamp` and `webhook-signature`
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! Pure: the secret, the headers, the body as it came and the time go in; the message's id or the reason for refusing
//! comes out. Only the symmetric scheme (`v1`) is known; signatures of other schemes beside it are passed over.

use axum::http::HeaderMap;
use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How far a message's time may be from ours, either way.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// The longest id that is taken.
const LONGEST_ID: usize = 200;
/// Signatures that are looked at: more than any rotation of secrets needs.
const MOST_SIGNATURES: usize = 16;

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// A header is missing or cannot be read.
    Malformed,
    /// Its time is too far from ours.
    Stale,
    /// No signature fits.
    Wrong,
}

impl Rejected {
    /// The name in figures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Wrong => "signature",
        }
    }
}

/// The keys that a secret may stand for.
pub struct Keys(Vec<SecretSlice<u8>>);

impl Keys {
    /// What `secret` stands for. After `whsec_` it is base64, as the standard has it. A secret without the prefix is used
    /// as it is; some senders leave only the prefix away, so that what it says in base64 is a key as well.
    pub fn of(secret: &SecretString) -> Self {
        let text = secret.expose_secret();
        let encoded = text.strip_prefix("whsec_");
        let decoded = BASE64_STANDARD_NO_PAD.decode(encoded.unwrap_or(text).trim_end_matches('='));
        let plain = encoded.is_none().then(|| text.as_bytes().to_vec());
        let keys = plain.into_iter().chain(decoded.ok()).filter(|key| !key.is_empty());
        Self(keys.map(SecretSlice::from).collect())
    }

    /// The id of the message, if one of its signatures was made with one of the keys, not long ago.
    pub fn verify<'h>(
        &self,
        headers: &'h HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<&'h str, Rejected> {
        let header =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(Rejected::Malformed);
        let (id, at, signatures) =
            (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
        if id.is_empty() || id.len() > LONGEST_ID {
            return Err(Rejected::Malformed);
        }
        let seconds: i64 = at.parse().map_err(|_| Rejected::Malformed)?;
        let sent = Timestamp::from_second(seconds).map_err(|_| Rejected::Malformed)?;
        if now.duration_since(sent).abs() > TOLERANCE {
            return Err(Rejected::Stale);
        }
        let given: Vec<Vec<u8>> =
            signatures.split(' ').filter_map(first_version).take(MOST_SIGNATURES).collect();
        let fits = self.0.iter().fold(Choice::from(0), |fits, key| {
            let made = sign(key.expose_secret(), id, at, body);
            given.iter().fold(fits, |fits, given| fits | made.as_slice().ct_eq(given))
        });
        if bool::from(fits) { Ok(id) } else { Err(Rejected::Wrong) }
    }
}

/// The bytes of a signature of the scheme `v1`.
fn first_version(signature: &str) -> Option<Vec<u8>> {
    let encoded = signature.strip_prefix("v1,")?;
    BASE64_STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()
}

fn sign(key: &[u8], id: &str, at: &str, body: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The standard's own example.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: &str = "1614265330";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn headers(id: &str, at: &str, signature: &str) -> HeaderMap {
        let named = [("webhook-id", id), ("webhook-timestamp", at), ("webhook-signature", signature)];
        named.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn verdict(secret: &str, headers: &HeaderMap, body: &[u8], late: i64) -> Result<(), Rejected> {
        let now = Timestamp::from_second(AT.parse::<i64>().unwrap() + late).unwrap();
        Keys::of(&secret.into()).verify(headers, body, now).map(|_| ())
    }

    #[test]
    fn the_standards_example_is_genuine_and_whatever_differs_is_not() {
        let genuine = headers(ID, AT, SIGNATURE);
        let now = Timestamp::from_second(1_614_265_330).unwrap();
        assert_eq!(Keys::of(&SECRET.into()).verify(&genuine, BODY, now), Ok(ID));
        let check = |secret: &str, (id, at, signature): (&str, &str, &str), body: &[u8], expected| {
            assert_eq!(
                verdict(secret, &headers(id, at, signature), body, 0),
                expected,
                "{id} {at} {signature}"
            );
        };
        let wrong = Err(Rejected::Wrong);
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", (ID, AT, SIGNATURE), BODY, wrong);
        check(SECRET, ("msg_other", AT, SIGNATURE), BODY, wrong);
        check(SECRET, (ID, "1614265331", SIGNATURE), BODY, wrong);
        check(SECRET, (ID, AT, SIGNATURE), br#"{"test": 2432232315}"#, wrong);
        check(SECRET, (ID, AT, "v1,"), BODY, wrong);
        check(SECRET, (ID, AT, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, wrong);
        check(SECRET, (ID, AT, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="), BODY, wrong);
        check(SECRET, (ID, AT, ""), BODY, wrong);
        let malformed = Err(Rejected::Malformed);
        check(SECRET, ("", AT, SIGNATURE), BODY, malformed);
        check(SECRET, (&"x".repeat(201), AT, SIGNATURE), BODY, malformed);
        check(SECRET, (ID, "soon", SIGNATURE), BODY, malformed);
        check(SECRET, (ID, "9223372036854775807", SIGNATURE), BODY, malformed);
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut fewer = genuine.clone();
            fewer.remove(name);
            assert_eq!(verdict(SECRET, &fewer, BODY, 0), malformed, "without {name}");
        }
    }

    #[test]
    fn one_genuine_signature_among_others_is_enough() {
        let several = format!("v1a,AAAA v1,AAAA= {SIGNATURE} v1,!!");
        assert_eq!(verdict(SECRET, &headers(ID, AT, &several), BODY, 0), Ok(()));
    }

    #[test]
    fn messages_are_taken_for_five_minutes_around_their_time() {
        let genuine = headers(ID, AT, SIGNATURE);
        for (late, expected) in
            [(300, Ok(())), (301, Err(Rejected::Stale)), (-300, Ok(())), (-301, Err(Rejected::Stale))]
        {
            assert_eq!(verdict(SECRET, &genuine, BODY, late), expected, "{late} s late");
        }
    }

    #[test]
    fn a_secret_without_its_prefix_is_a_key_as_it_is_and_as_base64() {
        let genuine = headers(ID, AT, SIGNATURE);
        assert_eq!(verdict("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", &genuine, BODY, 0), Ok(()));
        let plain = BASE64_STANDARD_NO_PAD.encode(sign(b"no base64, but a secret", ID, AT, BODY));
        let signed = headers(ID, AT, &format!("v1,{plain}"));
        assert_eq!(verdict("no base64, but a secret", &signed, BODY, 0), Ok(()));
        // With the prefix there is only one way to read it.
        let plain = BASE64_STANDARD_NO_PAD.encode(sign(SECRET.as_bytes(), ID, AT, BODY));
        let signed = headers(ID, AT, &format!("v1,{plain}"));
        assert_eq!(verdict(SECRET, &signed, BODY, 0), Err(Rejected::Wrong));
    }
}
