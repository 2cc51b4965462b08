//! How Vapi proves that a message is from Vapi: `authenticationPlan` of a custom credential.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

/// What stands in a timestamp header. Vapi's documentation does not say which one it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TimestampUnit {
    /// Milliseconds since 1970.
    #[default]
    Ms,
    /// Seconds since 1970.
    S,
}

/// The request that is to be proved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Letter<'a> {
    pub(crate) url: &'a str,
    pub(crate) body: &'a [u8],
    /// As it will stand in the header.
    pub(crate) timestamp: &'a str,
    pub(crate) message_id: &'a str,
}

/// A way of proving it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Signing {
    /// None at all.
    Unsigned,
    /// A header with a fixed value.
    Header { name: String, value: String },
    /// A signature over the request.
    Hmac(HmacPlan),
    /// Something that cannot be done here, and why; nothing is sent.
    Impossible(String),
}

/// `type: hmac` with every option.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct HmacPlan {
    secret_key: String,
    algorithm: Algorithm,
    signature_header: Option<String>,
    timestamp_header: Option<String>,
    signature_prefix: Option<String>,
    include_timestamp: Option<bool>,
    payload_format: Option<String>,
    message_id_header: Option<String>,
    signature_encoding: Option<Encoding>,
    secret_is_base64: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    Sha256,
    Sha512,
    Sha1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Hex,
    Base64,
}

impl Signing {
    /// What an `authenticationPlan` asks for.
    pub(crate) fn of(plan: &Value) -> Self {
        match plan["type"].as_str() {
            Some("hmac") => match HmacPlan::deserialize(plan) {
                Ok(plan) => Self::Hmac(plan),
                Err(error) => Self::Impossible(error.to_string()),
            },
            Some("bearer") => {
                let token = plan["token"].as_str().unwrap_or_default();
                let prefix = if plan["bearerPrefixEnabled"] == false { "" } else { "Bearer " };
                let name = plan["headerName"].as_str().unwrap_or("Authorization").to_owned();
                Self::Header { name, value: format!("{prefix}{token}") }
            }
            other => Self::Impossible(format!("authentication of type {other:?} is not simulated")),
        }
    }

    /// The older way: the secret itself, in a header.
    pub(crate) fn secret(secret: &str) -> Self {
        Self::Header { name: "X-Vapi-Secret".to_owned(), value: secret.to_owned() }
    }

    /// The headers that prove a request, or why there are none.
    pub(crate) fn headers(&self, letter: Letter<'_>) -> Result<Vec<(String, String)>, String> {
        match self {
            Self::Unsigned => Ok(Vec::new()),
            Self::Header { name, value } => Ok(vec![(name.clone(), value.clone())]),
            Self::Hmac(plan) => plan.headers(letter),
            Self::Impossible(reason) => Err(reason.clone()),
        }
    }

    /// The same with another secret: right in every respect but the one that counts.
    pub(crate) fn forged(self) -> Self {
        match self {
            Self::Hmac(plan) => Self::Hmac(HmacPlan {
                secret_key: "not the secret".to_owned(),
                secret_is_base64: Some(false),
                ..plan
            }),
            Self::Header { name, .. } => Self::Header { name, value: "not the secret".to_owned() },
            other => other,
        }
    }
}

impl HmacPlan {
    fn headers(&self, letter: Letter<'_>) -> Result<Vec<(String, String)>, String> {
        let key = if self.secret_is_base64 == Some(true) {
            STANDARD.decode(&self.secret_key).map_err(|error| format!("secretKey is not base64: {error}"))?
        } else {
            self.secret_key.as_bytes().to_vec()
        };
        let timed = self.include_timestamp != Some(false);
        let default = if timed { "{timestamp}.{body}" } else { "{body}" };
        let payload = payload(self.payload_format.as_deref().unwrap_or(default), letter);
        let mac = match self.algorithm {
            Algorithm::Sha256 => mac::<Hmac<Sha256>>(&key, &payload),
            Algorithm::Sha512 => mac::<Hmac<Sha512>>(&key, &payload),
            Algorithm::Sha1 => mac::<Hmac<Sha1>>(&key, &payload),
        }?;
        let encoded = match self.signature_encoding.unwrap_or(Encoding::Hex) {
            Encoding::Hex => hex::encode(mac),
            Encoding::Base64 => STANDARD.encode(mac),
        };
        let prefix = self.signature_prefix.as_deref().unwrap_or_default();
        let name =
            |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        let mut headers = vec![(name(&self.signature_header, "x-signature"), format!("{prefix}{encoded}"))];
        if timed {
            headers.push((name(&self.timestamp_header, "x-timestamp"), letter.timestamp.to_owned()));
        }
        if let Some(header) = &self.message_id_header {
            headers.push((header.clone(), letter.message_id.to_owned()));
        }
        Ok(headers)
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], payload: &[u8]) -> Result<Vec<u8>, String> {
    let mut mac = <M as KeyInit>::new_from_slice(key).map_err(|error| error.to_string())?;
    mac.update(payload);
    Ok(mac.finalize().into_bytes().to_vec())
}

/// Puts the parts of a request into a format. One pass: a body that contains `{url}` stays as it is.
fn payload(format: &str, letter: Letter<'_>) -> Vec<u8> {
    let parts: [(&str, &[u8]); 5] = [
        ("{body}", letter.body),
        ("{timestamp}", letter.timestamp.as_bytes()),
        ("{method}", b"POST"),
        ("{url}", letter.url.as_bytes()),
        ("{svix-id}", letter.message_id.as_bytes()),
    ];
    let mut payload = Vec::with_capacity(format.len() + letter.body.len());
    let mut rest = format;
    while !rest.is_empty() {
        if let Some((placeholder, part)) = parts.iter().find(|(name, _)| rest.starts_with(name)) {
            payload.extend_from_slice(part);
            rest = &rest[placeholder.len()..];
        } else {
            let length = rest.chars().next().map_or(1, char::len_utf8);
            payload.extend_from_slice(&rest.as_bytes()[..length]);
            rest = &rest[length..];
        }
    }
    payload
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LETTER: Letter<'_> = Letter {
        url: "https://api.example.test/webhooks/vapi",
        body: br#"{"message":{"type":"hang","note":"{url}"}}"#,
        timestamp: "1769335200123",
        message_id: "msg_1",
    };

    fn headers(plan: &Value) -> Vec<(String, String)> {
        Signing::of(plan).headers(LETTER).unwrap()
    }

    fn one(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_defaults_are_hex_sha256_over_timestamp_dot_body() {
        assert_eq!(
            headers(&json!({"type": "hmac", "secretKey": "clinic secret", "algorithm": "sha256"})),
            [
                one("x-signature", "ee9cd8edeb8c5e68b8530aae7ee1583a120baeb4c991dd3f3215ac70f7513e47"),
                one("x-timestamp", "1769335200123"),
            ]
        );
    }

    #[test]
    fn every_option_of_the_plan_changes_the_wire() {
        let plan = json!({
            "type": "hmac", "secretKey": "Y2xpbmljIHNlY3JldA==", "secretIsBase64": true, "algorithm": "sha512",
            "signatureHeader": "x-vapi-signature", "timestampHeader": "x-vapi-timestamp",
            "signaturePrefix": "v1,", "signatureEncoding": "base64", "messageIdHeader": "svix-id",
            "payloadFormat": "{svix-id}.{method} {url}.{timestamp}.{body}",
        });
        assert_eq!(
            headers(&plan),
            [
                one(
                    "x-vapi-signature",
                    "v1,firPIkZtug7nLoVDmVXl9Ryim3zGQxBouZUuYvjXmR2Zn+6cDTZ8xmHs7QBsZCvFqkk0uXcoEB7cuz4SQ7wiaQ=="
                ),
                one("x-vapi-timestamp", "1769335200123"),
                one("svix-id", "msg_1"),
            ]
        );
    }

    #[test]
    fn without_a_timestamp_the_body_alone_is_signed() {
        let plan = json!({
            "type": "hmac", "secretKey": "clinic secret", "algorithm": "sha1", "includeTimestamp": false,
            "signaturePrefix": "sha1=",
        });
        assert_eq!(headers(&plan), [one("x-signature", "sha1=2e6424cd5d94ea2d44398e30621454597f24bca1")]);
    }

    #[test]
    fn a_bearer_plan_can_be_the_older_secret_header() {
        assert_eq!(headers(&json!({"type": "bearer", "token": "t"})), [one("Authorization", "Bearer t")]);
        assert_eq!(
            headers(
                &json!({"type": "bearer", "token": "t", "headerName": "X-Vapi-Secret", "bearerPrefixEnabled": false})
            ),
            [one("X-Vapi-Secret", "t")]
        );
    }

    #[test]
    fn what_cannot_be_signed_is_not_sent() {
        let unsigned = Signing::of(&json!({"type": "oauth2", "url": "https://idp.example.test"}));
        assert!(unsigned.headers(LETTER).is_err());
    }
}
