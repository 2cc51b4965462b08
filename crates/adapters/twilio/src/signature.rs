//! `X-Twilio-Signature`: whether a callback was signed with an account's auth token.
//!
//! Pure: the token, the address that Twilio was given, the parameters or the body, and the header go in; a verdict
//! comes out. Whose token it has to be, and that the address is our configured public one and not what a proxy says,
//! is for the caller to see to (decision D18).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use url::form_urlencoded;

/// The header that holds the signature.
pub const HEADER: &str = "X-Twilio-Signature";

/// What Twilio sent along with the address.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// The decoded parameters of a form, in any order.
    Form(&'a [(String, String)]),
    /// Nothing but the query, as with GET.
    Query,
    /// A body of any other type, as it came. Its hash is in the address, under `bodySHA256`.
    Body(&'a [u8]),
}

/// Whether `signature`, the header's value, was made with `auth_token` for a request to `url`: scheme, host, path,
/// query, and `user:password@` where Twilio was given them.
///
/// Twilio is not consistent about ports and quotes in what it signs, so the usual spellings of the address count as
/// well. All comparisons take the same time whatever they compare.
pub fn is_valid(auth_token: &SecretString, signature: &str, url: &str, payload: Payload<'_>) -> bool {
    let given = STANDARD.decode(signature.trim()).unwrap_or_default();
    let signed = spellings(url)
        .into_iter()
        .fold(Choice::from(0), |fits, url| fits | digest(auth_token, &url, payload).as_slice().ct_eq(&given));
    bool::from(signed & body_is_the_hashed_one(url, payload))
}

/// The signature that Twilio would send with a request to `url`.
pub fn sign(auth_token: &SecretString, url: &str, payload: Payload<'_>) -> String {
    STANDARD.encode(digest(auth_token, without_fragment(url), payload))
}

/// HMAC-SHA1 over the address, followed by every distinct name and value of a form in order.
fn digest(auth_token: &SecretString, url: &str, payload: Payload<'_>) -> [u8; 20] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(auth_token.expose_secret().as_bytes()).expect("any length");
    mac.update(url.as_bytes());
    if let Payload::Form(parameters) = payload {
        let mut parameters: Vec<_> = parameters.iter().collect();
        parameters.sort();
        parameters.dedup();
        for (name, value) in parameters {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
    }
    mac.finalize().into_bytes().into()
}

/// A body is signed only through its hash in the address; without one it could be anybody's.
fn body_is_the_hashed_one(url: &str, payload: Payload<'_>) -> Choice {
    let Payload::Body(body) = payload else { return Choice::from(1) };
    let query = without_fragment(url).split_once('?').map_or("", |(_, query)| query);
    let hash = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "bodySHA256");
    let Some((_, hash)) = hash else { return Choice::from(0) };
    let actual = hex::encode(Sha256::digest(body));
    actual.as_bytes().ct_eq(hash.to_ascii_lowercase().as_bytes())
}

/// The address as Twilio may have signed it: with its port, without any, with the usual one, and with quotes escaped.
fn spellings(url: &str) -> Vec<String> {
    let url = without_fragment(url);
    let mut spellings = vec![url.to_owned()];
    spellings.extend(with_other_ports(url));
    if url.contains('\'') {
        let escaped: Vec<String> = spellings.iter().map(|url| url.replace('\'', "%27")).collect();
        spellings.extend(escaped);
    }
    spellings
}

/// Without the port it has, and with the one that goes without saying.
fn with_other_ports(url: &str) -> Vec<String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Vec::new() };
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let host = &authority[host_at..];
    // The colons inside the brackets of an IPv6 address are no port's.
    let port_at = host.rfind(':').filter(|at| host.rfind(']').is_none_or(|bracket| bracket < *at));
    let bare = port_at.map_or(authority, |at| &authority[..host_at + at]);
    let usual = format!("{bare}:{}", if scheme.eq_ignore_ascii_case("http") { 80 } else { 443 });
    [bare, &usual]
        .into_iter()
        .filter(|other| *other != authority)
        .map(|other| format!("{scheme}://{other}{rest}"))
        .collect()
}

fn without_fragment(url: &str) -> &str {
    url.split_once('#').map_or(url, |(url, _)| url)
}

#[cfg(test)]
mod tests;
