//! Whether a message was signed with one of the organization's secrets.
//!
//! Pure: headers, raw body, secrets and the time go in, a verdict comes out. Every comparison takes the same time
//! whatever it compares.

use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use voxanne_http::header::HeaderMap;

/// How far the sender's clock may be from ours, either way.
const WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// Signature and timestamp headers: ours, as our credentials are set up, then Vapi's defaults.
const PAIRS: [(&str, &str); 2] = [("x-vapi-signature", "x-vapi-timestamp"), ("x-signature", "x-timestamp")];

/// The older header, which carries the secret itself.
const SHARED_SECRET: &str = "x-vapi-secret";

/// How a message proved that it is authentic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authenticity {
    /// It is signed, with a recent timestamp.
    Signed,
    /// It carries the secret: weaker, because it can be replayed and read on the way.
    SharedSecret,
}

/// Why a message is not authentic. The sender is told nothing but `Invalid signature`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// There is neither a signature nor an acceptable secret.
    #[error("the message is not signed")]
    Missing,
    /// The signature or its timestamp cannot be read.
    #[error("the signature is malformed")]
    Malformed,
    /// The timestamp is more than five minutes away.
    #[error("the timestamp is too old or too new")]
    Stale,
    /// No secret of the organization fits.
    #[error("the signature is wrong")]
    Wrong,
}

impl Rejected {
    /// The reason in `voxanne_webhook_rejected_total`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing_signature",
            Self::Malformed => "malformed_signature",
            Self::Stale => "stale_timestamp",
            Self::Wrong => "wrong_signature",
        }
    }
}

/// Checks that `body` was sent by somebody who holds one of `secrets`, at about `now`.
///
/// A signature, when there is one, decides alone; the plain secret counts only without one and only if
/// `allow_shared_secret`.
///
/// # Errors
/// [`Rejected`], for counting.
pub fn verify<'s>(
    headers: &HeaderMap,
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s SecretString>,
    allow_shared_secret: bool,
    now: Timestamp,
) -> Result<Authenticity, Rejected> {
    let signed = PAIRS.iter().filter(|(signature, _)| headers.contains_key(*signature));
    let mut verdict = None;
    for (signature, timestamp) in signed {
        let (Some(signature), Some(timestamp)) = (headers.get(*signature), headers.get(*timestamp)) else {
            verdict = Some(Rejected::Malformed);
            continue;
        };
        return signature_fits(signature.as_bytes(), timestamp.as_bytes(), body, secrets, now);
    }
    if let Some(rejected) = verdict {
        return Err(rejected);
    }
    match headers.get(SHARED_SECRET) {
        Some(given) if allow_shared_secret => {
            let given = given.as_bytes();
            let fits = secrets.into_iter().fold(false, |fits, secret| {
                fits | bool::from(given.ct_eq(secret.expose_secret().as_bytes()))
            });
            if fits { Ok(Authenticity::SharedSecret) } else { Err(Rejected::Wrong) }
        }
        _ => Err(Rejected::Missing),
    }
}

fn signature_fits<'s>(
    signature: &[u8],
    timestamp: &[u8],
    body: &[u8],
    secrets: impl IntoIterator<Item = &'s SecretString>,
    now: Timestamp,
) -> Result<Authenticity, Rejected> {
    let sent = instant(timestamp).ok_or(Rejected::Malformed)?;
    if now.duration_since(sent).abs() > WINDOW {
        return Err(Rejected::Stale);
    }
    let mut given = [0_u8; 32];
    let digits = signature.strip_prefix(b"sha256=").unwrap_or(signature);
    hex::decode_to_slice(digits, &mut given).map_err(|_| Rejected::Malformed)?;
    let fits = secrets.into_iter().fold(false, |fits, secret| {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
            return fits;
        };
        mac.update(timestamp);
        mac.update(b".");
        mac.update(body);
        fits | mac.verify_slice(&given).is_ok()
    });
    if fits { Ok(Authenticity::Signed) } else { Err(Rejected::Wrong) }
}

/// The instant a timestamp header names: seconds or milliseconds since 1970, told apart by magnitude.
fn instant(text: &[u8]) -> Option<Timestamp> {
    const MILLISECONDS_SINCE: i64 = 100_000_000_000;
    let digits = (1..=15).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let number: i64 = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    if number >= MILLISECONDS_SINCE {
        Timestamp::from_millisecond(number).ok()
    } else {
        Timestamp::from_second(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"message":{"type":"hang"}}"#;

    fn now() -> Timestamp {
        Timestamp::from_millisecond(1_769_335_200_123).unwrap()
    }

    fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(timestamp.as_bytes());
        mac.update(b".");
        mac.update(body);
        hex::encode(mac.finalize().into_bytes())
    }

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn check(pairs: &[(&'static str, String)], allow: bool, expected: Result<Authenticity, Rejected>) {
        let secrets = [SecretString::from("current"), SecretString::from("previous")];
        assert_eq!(verify(&headers(pairs), BODY, &secrets, allow, now()), expected, "{pairs:?}");
    }

    const MS: &str = "1769335200123";
    const S: &str = "1769335200";

    #[test]
    fn every_documented_form_of_a_signature_is_accepted() {
        use Authenticity::Signed;
        let ours = |secret: &str, time: &str| {
            [("x-vapi-signature", sign(secret, time, BODY)), ("x-vapi-timestamp", time.to_owned())]
        };
        check(&ours("current", MS), false, Ok(Signed));
        check(&ours("current", S), false, Ok(Signed));
        check(&ours("previous", MS), false, Ok(Signed));
        check(&[("x-signature", sign("current", MS, BODY)), ("x-timestamp", MS.into())], false, Ok(Signed));
        let prefixed = format!("sha256={}", sign("current", MS, BODY));
        check(&[("x-vapi-signature", prefixed), ("x-vapi-timestamp", MS.into())], false, Ok(Signed));
        let upper = sign("current", MS, BODY).to_uppercase();
        check(&[("x-vapi-signature", upper), ("x-vapi-timestamp", MS.into())], false, Ok(Signed));
    }

    #[test]
    fn whatever_is_wrong_is_rejected() {
        let pair = |signature: String, time: &str| {
            [("x-vapi-signature", signature), ("x-vapi-timestamp", time.to_owned())]
        };
        let good = sign("current", MS, BODY);
        check(&[], true, Err(Rejected::Missing));
        check(&[("x-vapi-signature", good.clone())], true, Err(Rejected::Malformed));
        check(&[("x-vapi-timestamp", MS.into())], true, Err(Rejected::Missing));
        check(&pair(sign("stranger", MS, BODY), MS), true, Err(Rejected::Wrong));
        check(&pair(sign("current", MS, b"{}"), MS), true, Err(Rejected::Wrong));
        check(&pair(good.clone(), S), true, Err(Rejected::Wrong));
        check(&pair(good[..60].to_owned(), MS), true, Err(Rejected::Malformed));
        check(&pair("zz".repeat(32), MS), true, Err(Rejected::Malformed));
        for odd in ["soon", "", "-1769335200", "1e12", "99999999999999999999", "1769335200.5"] {
            check(&pair(sign("current", odd, BODY), odd), true, Err(Rejected::Malformed));
        }
        let plain = ("x-vapi-secret", "current".to_owned());
        let forged = [("x-vapi-signature", "00".repeat(32)), ("x-vapi-timestamp", MS.into()), plain];
        check(&forged, true, Err(Rejected::Wrong));
    }

    #[test]
    fn five_minutes_either_way_and_not_a_second_more() {
        let at_offset = |offset: i64, expected| {
            let time = (1_769_335_200_123 + offset).to_string();
            let pairs = [("x-vapi-signature", sign("current", &time, BODY)), ("x-vapi-timestamp", time)];
            check(&pairs, false, expected);
        };
        at_offset(300_000, Ok(Authenticity::Signed));
        at_offset(-300_000, Ok(Authenticity::Signed));
        at_offset(300_001, Err(Rejected::Stale));
        at_offset(-300_001, Err(Rejected::Stale));
    }

    #[test]
    fn the_plain_secret_counts_only_while_it_is_allowed() {
        let plain = |secret: &str| [("x-vapi-secret", secret.to_owned())];
        check(&plain("current"), true, Ok(Authenticity::SharedSecret));
        check(&plain("previous"), true, Ok(Authenticity::SharedSecret));
        check(&plain("current"), false, Err(Rejected::Missing));
        check(&plain("curren"), true, Err(Rejected::Wrong));
        check(&plain(""), true, Err(Rejected::Wrong));
    }

    proptest! {
        #[test]
        fn a_signed_body_verifies_and_a_changed_one_does_not(
            body in proptest::collection::vec(any::<u8>(), 1..300), at in any::<prop::sample::Index>(), flip in 1_u8..
        ) {
            let secrets = [SecretString::from("s3cret")];
            let pairs = headers(&[("x-signature", sign("s3cret", MS, &body)), ("x-timestamp", MS.to_owned())]);
            prop_assert_eq!(verify(&pairs, &body, &secrets, false, now()), Ok(Authenticity::Signed));
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= flip;
            prop_assert_eq!(verify(&pairs, &changed, &secrets, false, now()), Err(Rejected::Wrong));
        }
    }
}
