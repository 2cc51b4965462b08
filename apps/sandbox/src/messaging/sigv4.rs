//! Amazon's Signature Version 4, recomputed over a request as it was received.

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

/// What was received.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    /// With whatever is in front of the service's own paths: the client signed that too.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What an `Authorization` header says of its signature.
pub(super) struct Signed<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) signature: &'a str,
    /// When it was made.
    pub(super) at: Timestamp,
    stamp: &'a str,
    day: &'a str,
    names: Vec<&'a str>,
}

impl<'a> Signed<'a> {
    /// Reads the header, and its time from the header beside it. Nothing where a part is missing, or a header is not
    /// covered that has to be.
    pub(super) fn read(authorization: &'a str, headers: &'a HeaderMap) -> Option<Self> {
        let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?;
        let part =
            |name: &str| parts.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
        let scope: Vec<_> = part("Credential")?.split('/').collect();
        let [access_key_id, day, region, service, "aws4_request"] = scope[..] else { return None };
        let stamp = headers.get("x-amz-date")?.to_str().ok()?;
        let at = DateTime::strptime("%Y%m%dT%H%M%SZ", stamp).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let names: Vec<_> = part("SignedHeaders")?.split(';').collect();
        let covered = |name: &str| names.contains(&name);
        let amazons =
            headers.keys().map(axum::http::HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
        let is_covered = covered("host") && amazons.into_iter().all(covered);
        let is_sorted = names.is_sorted() && stamp.starts_with(day);
        (is_covered && is_sorted).then_some(Self {
            access_key_id,
            region,
            service,
            signature: part("Signature")?,
            at,
            stamp,
            day,
            names,
        })
    }

    /// The signature that the secret makes of the request.
    pub(super) fn expected(&self, secret: &str, request: &Request<'_>) -> String {
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let canonical = sha256(self.canonical(request).as_bytes());
        let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{canonical}", self.stamp);
        let key = [self.day, self.region, self.service, "aws4_request", &text]
            .into_iter()
            .fold(format!("AWS4{secret}").into_bytes(), |key, message| hmac(&key, message));
        hex::encode(key)
    }

    fn canonical(&self, request: &Request<'_>) -> String {
        let path: Vec<_> = request.path.split('/').map(escaped).collect();
        let mut query: Vec<_> = request
            .query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
            .collect();
        query.sort();
        let headers: String = self.names.iter().map(|name| header(request.headers, name)).collect();
        format!(
            "{}\n{}\n{}\n{headers}\n{}\n{}",
            request.method,
            path.join("/"),
            query.join("&"),
            self.names.join(";"),
            sha256(request.body),
        )
    }
}

/// A header's line: every value it has, trimmed and with single spaces.
fn header(headers: &HeaderMap, name: &str) -> String {
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        })
        .collect();
    format!("{name}:{}\n", values.join(","))
}

/// A segment of the path as it was received, escaped once more.
fn escaped(segment: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    segment.bytes().map(escape).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).map(|mac| mac.chain_update(message));
    // A key of any length will do.
    mac.map(|mac| mac.finalize().into_bytes().to_vec()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

    fn headers(with_type: bool) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", "email.us-east-1.amazonaws.com".parse().unwrap());
        headers.insert("x-amz-date", "20260102T030405Z".parse().unwrap());
        if with_type {
            headers.insert("content-type", "application/json".parse().unwrap());
        }
        headers
    }

    fn authorization(names: &str) -> String {
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/ses/aws4_request, \
             SignedHeaders={names}, Signature=00"
        )
    }

    #[test]
    fn the_published_vectors_come_out() {
        let check = |method, path, names, body: &[u8], expected| {
            let (headers, authorization) = (headers(!body.is_empty()), authorization(names));
            let request = Request { method, path, query: "", headers: &headers, body };
            let signed = Signed::read(&authorization, &headers).unwrap();
            assert_eq!(signed.expected(SECRET, &request), expected, "{path}");
        };
        check(
            "GET",
            "/v2/email/account",
            "host;x-amz-date",
            b"",
            "69b06f02eb95eb314798c90a583ca12c6e6b9064244dfdef4eaa15a8179579d7",
        );
        check(
            "POST",
            "/v2/email/outbound-emails",
            "content-type;host;x-amz-date",
            br#"{"FromEmailAddress":"a@example.com","Destination":{"ToAddresses":["b@example.com"]},"Content":{"Simple":{"Subject":{"Data":"Hi"},"Body":{"Text":{"Data":"Hello"}}}}}"#,
            "4c9154dfd708c1581d495ee5a5f9cf29b998b2cca0c7b6cbc3e19dea901aad9f",
        );
    }

    #[test]
    fn a_path_is_escaped_once_more_than_it_came() {
        assert_eq!(escaped("a%2Bb%40example.com"), "a%252Bb%2540example.com");
    }

    #[test]
    fn a_signature_has_to_be_whole_and_to_cover_what_matters() {
        let headers = headers(false);
        let check = |authorization: &str| assert!(Signed::read(authorization, &headers).is_none());
        check("Bearer x");
        check(&authorization("x-amz-date"));
        check(&authorization("host"));
        check(&authorization("x-amz-date;host"));
        check(&authorization("host;x-amz-date").replace("aws4_request", "aws4"));
        check(&authorization("host;x-amz-date").replace("20260102", "20260103"));
        check(&authorization("host;x-amz-date").replace(", Signature=00", ""));
        assert!(Signed::read(&authorization("host;x-amz-date"), &headers).is_some());
    }
}
