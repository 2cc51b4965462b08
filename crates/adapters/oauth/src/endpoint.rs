//! The token endpoint.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use url::Url;
use voxanne_credentials::oauth::OAuthError;
use voxanne_http::{Answer, Http, Method};
use voxanne_kernel::ProviderError;

/// How long an access token is taken to last where the provider does not say.
const ASSUMED: u64 = 1_800;

/// Our application, as the provider knows it.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its public name.
    pub id: String,
    /// Its secret.
    pub secret: SecretString,
}

/// What the endpoint answered.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    /// What requests are authenticated with.
    pub access_token: SecretString,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    /// What new access tokens are fetched with; an empty text is none.
    #[serde(default, deserialize_with = "filled")]
    pub refresh_token: Option<SecretString>,
    /// What was granted, separated by spaces; what was asked for when it is left out (RFC 6749, 5.1).
    #[serde(default)]
    pub scope: Option<String>,
    /// Who granted it.
    #[serde(default)]
    pub id_token: Option<String>,
    /// How long the refresh token lasts; only some providers say so, for some grants.
    #[serde(default, deserialize_with = "seconds")]
    refresh_token_expires_in: Option<u64>,
}

impl Tokens {
    /// How long the access token lasts.
    pub fn expires_in(&self) -> Duration {
        Duration::from_secs(self.expires_in.unwrap_or(ASSUMED))
    }

    /// How long the refresh token lasts, where that is said.
    pub fn grant_expires_in(&self) -> Option<Duration> {
        self.refresh_token_expires_in.map(Duration::from_secs)
    }
}

fn filled<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    let text = Option::<SecretString>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.expose_secret().is_empty()))
}

/// A number that some write as text; what is neither counts as left out.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::Number(number) => number.as_u64(),
        serde_json::Value::String(text) => text.parse().ok(),
        _ => None,
    })
}

/// A refusal as RFC 6749 (5.2) has it, with what providers add for people who read logs. The description is left out:
/// it may name the account.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_subtype: Option<String>,
    #[serde(default)]
    error_codes: Vec<u64>,
}

impl Refusal {
    fn shown(&self, status: u16) -> String {
        let subtype = self.error_subtype.as_deref().unwrap_or_default();
        let codes = self.error_codes.iter().map(u64::to_string);
        let more: Vec<String> =
            std::iter::once(subtype.to_owned()).chain(codes).filter(|more| !more.is_empty()).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        format!("{status}: {}{more}", self.error)
    }
}

/// Where codes and refresh tokens are exchanged, spoken to as our application.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    http: Http,
    url: Url,
    client: Registration,
    /// The words that say that a grant is gone.
    gone: &'static [&'static str],
}

impl TokenEndpoint {
    /// Speaks to `url` as `client`; an `error` among `gone` means that the grant is.
    pub fn new(http: Http, url: Url, client: Registration, gone: &'static [&'static str]) -> Self {
        Self { http, url, client, gone }
    }

    /// Our public name.
    pub fn client_id(&self) -> &str {
        &self.client.id
    }

    /// Exchanges a code.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
        more: &[(&str, &str)],
    ) -> Result<Tokens, OAuthError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code.expose_secret()),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.ask("exchange", &[&form, more].concat()).await
    }

    /// Fetches a new access token.
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn refresh(
        &self,
        refresh_token: &SecretString,
        more: &[(&str, &str)],
    ) -> Result<Tokens, OAuthError> {
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose_secret())];
        self.ask("refresh", &[&form, more].concat()).await
    }

    /// Sent once: a provider that replaces refresh tokens may have done so although its answer was lost.
    async fn ask(&self, operation: &'static str, form: &[(&str, &str)]) -> Result<Tokens, OAuthError> {
        let client = [("client_id", &*self.client.id), ("client_secret", self.client.secret.expose_secret())];
        let request = self.http.request(Method::POST, self.url.clone()).form(&[form, &client].concat());
        let answer = self.http.write(operation, request).await?;
        if answer.status().is_success() { Ok(answer.secret_object()?) } else { Err(self.refused(&answer)) }
    }

    fn refused(&self, answer: &Answer) -> OAuthError {
        let status = answer.status().as_u16();
        let refusal = serde_json::from_slice::<Refusal>(answer.body());
        match (status, refusal) {
            (408 | 429 | 500.., _) => {
                answer.refusal("the token endpoint is not available").into_error().into()
            }
            (400..500, Ok(refusal)) if self.gone.contains(&&*refusal.error) => {
                OAuthError::Dead(refusal.shown(status).into())
            }
            (_, Ok(refusal)) if matches!(&*refusal.error, "temporarily_unavailable" | "server_error") => {
                ProviderError::RetryLater {
                    after: answer.retry_after(),
                    source: refusal.shown(status).into(),
                }
                .into()
            }
            (_, Ok(refusal)) => ProviderError::OurFault(refusal.shown(status).into()).into(),
            // Whoever answers so is a proxy, or a provider in trouble.
            (_, Err(_)) => {
                let source = format!("{status}: no refusal in the form of RFC 6749").into();
                ProviderError::RetryLater { after: answer.retry_after(), source }.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use voxanne_http::Limits;
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    use super::*;

    async fn ask(answer: ResponseTemplate) -> (MockServer, Result<Tokens, OAuthError>) {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let limits = Limits { timeout: Duration::from_millis(300), ..Limits::interactive() };
        let client = Registration { id: "our id".to_owned(), secret: "s&cret".to_owned().into() };
        let url = Url::parse(&server.uri()).unwrap();
        let gone = &["invalid_grant", "interaction_required"];
        let endpoint = TokenEndpoint::new(Http::new("test", limits).unwrap(), url, client, gone);
        let outcome = endpoint.refresh(&"old+token".to_owned().into(), &[("scope", "a b")]).await;
        (server, outcome)
    }

    fn kind(outcome: &Result<Tokens, OAuthError>) -> &'static str {
        match outcome {
            Ok(_) => "tokens",
            Err(OAuthError::Dead(_)) => "dead",
            Err(OAuthError::Provider(error)) => error.kind(),
        }
    }

    #[tokio::test]
    async fn only_the_providers_own_word_ends_a_grant() {
        let check = async |status: u16, body: &str, expected: &str| {
            let (server, outcome) = ask(ResponseTemplate::new(status).set_body_string(body)).await;
            assert_eq!(kind(&outcome), expected, "{status} {body}: {outcome:?}");
            assert_eq!(server.received_requests().await.unwrap().len(), 1, "it is asked once");
        };
        check(400, r#"{"error":"invalid_grant"}"#, "dead").await;
        check(401, r#"{"error":"invalid_grant","error_subtype":"invalid_rapt"}"#, "dead").await;
        check(400, r#"{"error":"interaction_required","error_codes":[50076]}"#, "dead").await;
        check(401, r#"{"error":"invalid_client"}"#, "our_fault").await;
        check(400, r#"{"error":"invalid_client","error_description":"invalid_grant"}"#, "our_fault").await;
        check(400, r#"{"error":"invalid_scope"}"#, "our_fault").await;
        check(400, r#"{"error":"temporarily_unavailable"}"#, "retry_later").await;
        check(400, "invalid_grant", "retry_later").await;
        check(400, "<html>invalid_grant</html>", "retry_later").await;
        check(403, "", "retry_later").await;
        check(302, "", "retry_later").await;
        check(429, r#"{"error":"invalid_grant"}"#, "retry_later").await;
        check(500, r#"{"error":"invalid_grant"}"#, "unclear").await;
        check(503, "<html></html>", "unclear").await;
        check(200, "<html></html>", "unclear").await;
        check(200, r#"{"access_tok"#, "unclear").await;
        check(200, r#"{"error":"invalid_grant"}"#, "unclear").await;
        check(200, r#"{"access_token":"a"}"#, "tokens").await;
        let (_, slow) = ask(ResponseTemplate::new(200).set_delay(Duration::from_secs(2))).await;
        assert_eq!(kind(&slow), "unclear");
    }

    #[tokio::test]
    async fn the_form_is_encoded_and_the_answer_is_read_with_goodwill() {
        let body = json!({
            "access_token": "a", "expires_in": "3599", "refresh_token": "r", "scope": "x  y", "unknown": [1],
            "refresh_token_expires_in": 604_800, "token_type": "bearer",
        });
        let (server, tokens) = ask(ResponseTemplate::new(200).set_body_json(body)).await;
        let request = server.received_requests().await.unwrap().remove(0);
        assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
        assert_eq!(
            String::from_utf8(request.body).unwrap(),
            "grant_type=refresh_token&refresh_token=old%2Btoken&scope=a+b&client_id=our+id&client_secret=s%26cret"
        );
        let tokens = tokens.unwrap();
        assert_eq!(tokens.expires_in(), Duration::from_secs(3_599));
        assert_eq!(tokens.grant_expires_in(), Some(Duration::from_hours(168)));
        assert_eq!(crate::scopes(tokens.scope.as_deref().unwrap()), ["x", "y"]);
        assert!(!format!("{tokens:?}").contains("\"a\""), "{tokens:?}");
        let bare = json!({ "access_token": "a", "refresh_token": "" });
        let (_, tokens) = ask(ResponseTemplate::new(200).set_body_json(bare)).await;
        let tokens = tokens.unwrap();
        assert_eq!(tokens.expires_in(), Duration::from_secs(ASSUMED));
        assert!(tokens.refresh_token.is_none(), "the old one is kept");
    }

    #[tokio::test]
    async fn a_refusal_is_told_without_the_words_that_may_name_somebody() {
        let body = json!({
            "error": "invalid_grant", "error_description": "User ann@clinic.example has no access", "error_codes": [50173],
        });
        let (_, outcome) = ask(ResponseTemplate::new(400).set_body_json(body)).await;
        let Err(OAuthError::Dead(said)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(said.to_string(), "400: invalid_grant (50173)");
    }
}
