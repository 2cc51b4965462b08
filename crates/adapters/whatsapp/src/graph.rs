//! Requests to Meta's Graph and what its error codes mean. Whatever is asked for: the code decides, not the status.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use url::Url;
use voxanne_credentials::{ExposeSecret, SecretString};
use voxanne_http::{Answer, ClientError, Http, Limits, Method};
use voxanne_kernel::ProviderError;

const BASE: &str = "https://graph.facebook.com";
/// The version whose document we hold our requests to.
const VERSION: &str = "v23.0";

/// Speaks to the Graph. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    http: Http,
    base: String,
}

/// Why something was not answered.
pub(crate) enum Refusal {
    /// The token is none, or its account is locked.
    Token,
    /// The token may not do this.
    Permission,
    /// There is no such object, or none that the token shows.
    NoSuchObject,
    /// Nothing is known.
    Failed(ProviderError),
}

#[derive(Deserialize)]
pub(crate) struct Envelope {
    pub(crate) error: Code,
}

#[derive(Deserialize)]
pub(crate) struct Code {
    pub(crate) code: i64,
    #[serde(default)]
    pub(crate) error_subcode: Option<i64>,
}

impl Graph {
    pub(crate) fn new(base: Option<Url>, limits: Limits) -> Result<Self, ClientError> {
        let base =
            base.map_or_else(|| BASE.to_owned(), |base| base.as_str().trim_end_matches('/').to_owned());
        Ok(Self { http: Http::new("whatsapp", limits)?, base })
    }

    /// Reads the object at `path`, which begins with an object's id.
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        token: &SecretString,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Refusal> {
        let request = self
            .http
            .request(Method::GET, format!("{}/{VERSION}/{path}", self.base))
            .query(query)
            .bearer_auth(token.expose_secret());
        let answer = self.http.read(operation, request).await.map_err(Refusal::Failed)?;
        if answer.status().is_success() {
            answer.secret_object().map_err(Refusal::Failed)
        } else {
            Err(refused(&answer))
        }
    }

    /// Writes `body` to the object at `path`, which begins with an object's id; sent once. The answer may have any
    /// status.
    pub(crate) async fn post(
        &self,
        operation: &'static str,
        token: &SecretString,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer, ProviderError> {
        let request = self
            .http
            .request(Method::POST, format!("{}/{VERSION}/{path}", self.base))
            .bearer_auth(token.expose_secret())
            .json(body);
        self.http.write(operation, request).await
    }
}

fn refused(answer: &Answer) -> Refusal {
    let code = answer.secret_object().ok().map(|Envelope { error }| error.code);
    match (code, answer.status().as_u16()) {
        // The same fault in every one of these: token invalid or expired, none given, account locked.
        (Some(0 | 104 | 190 | 368 | 131_031), _) | (None, 401) => Refusal::Token,
        (Some(3 | 10 | 200..300), _) => Refusal::Permission,
        // 100 also stands for what is wrong only for now, with another status.
        (Some(803), _) | (Some(100), 400 | 404) => Refusal::NoSuchObject,
        (Some(1 | 2 | 4 | 17 | 80_007 | 130_429 | 131_000 | 131_016), _) => {
            Refusal::Failed(ProviderError::RetryLater {
                after: answer.retry_after(),
                source: format!("the answer was code {}", code.unwrap_or_default()).into(),
            })
        }
        (code, _) => {
            let said = code.map_or_else(String::new, |code| format!("code {code}"));
            Refusal::Failed(answer.refusal(&said).into_error())
        }
    }
}
