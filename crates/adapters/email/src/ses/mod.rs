//! Amazon's Simple Email Service, version 2.

mod events;
mod send;
mod sns;

use std::{sync::Arc, time::SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use serde::{Deserialize, de::IgnoredAny};
use url::Url;
use voxanne_credentials::{ExposeSecret, Rejection, Verdict, secrets::Ses};
use voxanne_http::{Answer, ClientError, Http, Limits, Method, RequestBuilder};
use voxanne_kernel::{Clock, ProviderError};

pub use events::SesEvents;
pub use send::SesEmail;
pub(crate) use sns::Certificates;

/// What bodies are; it is signed.
const JSON: &str = "application/json";
/// The name that requests are signed for.
const SERVICE: &str = "ses";

/// Speaks to SES.
#[derive(Clone)]
pub(crate) struct Client {
    http: Http,
    base: Option<String>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// The parts of an account of which any tells it from anything else that answers 200; none is promised.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    sending_enabled: Option<bool>,
    production_access_enabled: Option<bool>,
    send_quota: Option<IgnoredAny>,
    enforcement_status: Option<IgnoredAny>,
}

impl Account {
    fn is_one(&self) -> bool {
        self.sending_enabled.is_some()
            || self.production_access_enabled.is_some()
            || self.send_quota.is_some()
            || self.enforcement_status.is_some()
    }
}

/// An error's body, where the header that names it may be repeated.
#[derive(Deserialize)]
struct Refused {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(alias = "Message", default)]
    message: String,
}

impl Client {
    pub(crate) fn new(base: Option<Url>, limits: Limits, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let base = base.map(|base| base.as_str().trim_end_matches('/').to_owned());
        Ok(Self { http: Http::new("ses", limits)?, base, clock })
    }

    /// Whether the key is one. An account in Amazon's own sandbox, or one whose sending is paused, has a good key:
    /// both are states that pass.
    pub(crate) async fn verify(&self, account: &Ses) -> Result<Verdict, ProviderError> {
        // The region is part of the host's name: nothing else may be smuggled in with it.
        if !is_region(&account.region) {
            return Ok(Verdict::Rejected(Rejection::Credentials));
        }
        let request = self.signed(account, Method::GET, "/v2/email/account", None)?;
        let answer = self.http.read("get_account", request).await?;
        match answer.status().as_u16() {
            200 if answer.secret_object::<Account>()?.is_one() => Ok(Verdict::Verified),
            200 => Err(ProviderError::RetryLater {
                after: None,
                source: "the answer is about no account".into(),
            }),
            400 | 401 | 403 => refused(&answer),
            _ => Err(answer.refusal("").into_error()),
        }
    }

    /// A request that the account's key has signed, with a JSON body or none. The account's region has to be one.
    fn signed(
        &self,
        account: &Ses,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<RequestBuilder, ProviderError> {
        let usual = || format!("https://email.{}.amazonaws.com", account.region);
        let url = format!("{}{path}", self.base.clone().unwrap_or_else(usual));
        let headers = signature(account, method.as_str(), &url, body.as_deref(), self.clock.now().into())?;
        let request = self.http.request(method, &url);
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        Ok(match body {
            Some(body) => request.header("content-type", JSON).body(body),
            None => request,
        })
    }
}

/// The headers that sign a request.
fn signature(
    account: &Ses,
    method: &str,
    url: &str,
    body: Option<&[u8]>,
    at: SystemTime,
) -> Result<Vec<(String, String)>, ProviderError> {
    let identity = Credentials::new(
        account.access_key_id.as_str(),
        account.secret_access_key.expose_secret(),
        None,
        None,
        "organization",
    )
    .into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(&account.region)
        .name(SERVICE)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .map_err(our_fault)?
        .into();
    let headers = body.map(|_| ("content-type", JSON)).into_iter();
    let request = SignableRequest::new(method, url, headers, SignableBody::Bytes(body.unwrap_or_default()))
        .map_err(our_fault)?;
    let (signed, _) = sign(request, &params).map_err(our_fault)?.into_parts();
    Ok(signed.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn our_fault(error: impl std::error::Error + Send + Sync + 'static) -> ProviderError {
    ProviderError::OurFault(Box::new(error))
}

impl Refused {
    /// What was refused, under its bare name.
    fn read(answer: &Answer) -> Self {
        let body = answer.secret_object().unwrap_or(Self { kind: String::new(), message: String::new() });
        let kind = answer.header("x-amzn-errortype").unwrap_or(&body.kind);
        // `AccessDeniedException:http://…` and `com.amazon…#AccessDeniedException` have been seen.
        let kind = kind.split(':').next().unwrap_or_default();
        let kind = kind.rsplit('#').next().unwrap_or_default();
        Self { kind: kind.to_owned(), message: body.message }
    }

    /// Whether a signature was refused because the machine's clock is wrong, which the key cannot help.
    fn is_about_time(&self) -> bool {
        self.message.starts_with("Signature expired") || self.message.starts_with("Signature not yet current")
    }
}

/// What a refusal says of the key, by its name.
fn refused(answer: &Answer) -> Result<Verdict, ProviderError> {
    let refused = Refused::read(answer);
    match refused.kind.as_str() {
        "AccessDeniedException" | "AccessDenied" => Ok(Verdict::Restricted),
        "InvalidSignatureException" | "SignatureDoesNotMatch" if refused.is_about_time() => {
            Err(ProviderError::OurFault("the signature's time is not the provider's".into()))
        }
        "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "ExpiredTokenException"
        | "IncompleteSignatureException"
        | "IncompleteSignature"
        | "OptInRequired"
        | "SubscriptionRequiredException" => Ok(Verdict::Rejected(Rejection::Credentials)),
        kind => Err(answer.refusal(known(kind)).into_error()),
    }
}

/// Names of errors are letters; anything else does not go into a log.
fn known(kind: &str) -> &str {
    if kind.len() <= 64 && kind.bytes().all(|b| b.is_ascii_alphabetic()) { kind } else { "" }
}

/// Whether a text is a region's name, such as `eu-west-1`.
fn is_region(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 32
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use voxanne_credentials::secrets::Sender;
    use voxanne_kernel::EmailAddress;

    use super::*;

    /// The published vectors: an example key, at 2026-01-02T03:04:05Z.
    #[test]
    fn requests_are_signed_as_the_published_vectors_say() {
        let account = Ses {
            access_key_id: "AKIDEXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            region: "us-east-1".to_owned(),
            configuration_set: None,
            topic_arn: None,
            from: Sender { email: EmailAddress::new("a@example.com").unwrap(), name: None },
        };
        let at = UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        let check = |method: &str, path: &str, body: Option<&[u8]>, signed: &str, expected: &str| {
            let url = format!("https://email.us-east-1.amazonaws.com{path}");
            let headers = signature(&account, method, &url, body, at).unwrap();
            let find = |name: &str| headers.iter().find(|(found, _)| found == name).unwrap().1.as_str();
            assert_eq!(find("x-amz-date"), "20260102T030405Z");
            let scope = "AKIDEXAMPLE/20260102/us-east-1/ses/aws4_request";
            assert_eq!(
                find("authorization"),
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={expected}")
            );
        };
        let look = "69b06f02eb95eb314798c90a583ca12c6e6b9064244dfdef4eaa15a8179579d7";
        check("GET", "/v2/email/account", None, "host;x-amz-date", look);
        let body = br#"{"FromEmailAddress":"a@example.com","Destination":{"ToAddresses":["b@example.com"]},"Content":{"Simple":{"Subject":{"Data":"Hi"},"Body":{"Text":{"Data":"Hello"}}}}}"#;
        let send = "4c9154dfd708c1581d495ee5a5f9cf29b998b2cca0c7b6cbc3e19dea901aad9f";
        let signed = "content-type;host;x-amz-date";
        check("POST", "/v2/email/outbound-emails", Some(body), signed, send);
    }

    #[test]
    fn a_region_names_no_other_host() {
        for region in ["us-east-1", "eu-west-1", "ap-southeast-2", "us-gov-west-1"] {
            assert!(is_region(region), "{region}");
        }
        for region in ["", "evil.example/", "a.b", "x#", "x@y", "US-EAST-1", "-x", "x-", "eu west", "\u{e9}"]
        {
            assert!(!is_region(region), "{region}");
        }
    }
}
