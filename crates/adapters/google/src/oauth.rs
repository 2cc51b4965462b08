//! Google as an authorization server.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use voxanne_credentials::oauth::{Ask, Grant, OAuthError, OAuthProvider, Permission, Refreshed};
use voxanne_http::{ClientError, Http, Limits, Method};
use voxanne_kernel::{Clock, ProviderError};
use voxanne_oauth::{Claims, Registration, TokenEndpoint, Tokens, below, known};

use crate::scopes;

/// Both spellings are official.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// The only word with which Google says that a grant is gone.
const GONE: &[&str] = &["invalid_grant"];

/// Google's authorization server, for our registered application.
#[derive(Clone)]
pub struct GoogleOAuth {
    http: Http,
    tokens: TokenEndpoint,
    consent: Url,
    revoke: Url,
    /// Where it says who a token's account is, the newer address first.
    userinfo: [Url; 2],
    clock: Arc<dyn Clock>,
}

/// Both forms of userinfo name the same things differently.
#[derive(Deserialize)]
struct Userinfo {
    #[serde(alias = "id")]
    sub: String,
    #[serde(default)]
    email: Option<String>,
}

/// Whose account it is.
struct Identity {
    subject: String,
    email: Option<String>,
}

impl GoogleOAuth {
    /// Speaks to Google, or to what stands in for it at `oauth_base` and `api_base`.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(
        client: Registration,
        oauth_base: Option<&Url>,
        api_base: Option<&Url>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let http = Http::new("google", Limits::interactive())?;
        let at =
            |path: &str, own: &'static str| oauth_base.map_or_else(|| known(own), |base| below(base, path));
        let token = at("/token", "https://oauth2.googleapis.com/token");
        let api = api_base.cloned().unwrap_or_else(|| known("https://www.googleapis.com"));
        Ok(Self {
            tokens: TokenEndpoint::new(http.clone(), token, client, GONE),
            consent: at("/o/oauth2/v2/auth", "https://accounts.google.com/o/oauth2/v2/auth"),
            revoke: at("/revoke", "https://oauth2.googleapis.com/revoke"),
            userinfo: [
                at("/v1/userinfo", "https://openidconnect.googleapis.com/v1/userinfo"),
                below(&api, "/oauth2/v2/userinfo"),
            ],
            http,
            clock,
        })
    }

    /// From the identity that came with the tokens, else from userinfo.
    async fn identity(&self, tokens: &Tokens) -> Result<Identity, ProviderError> {
        let claims = tokens.id_token.as_deref().and_then(Claims::read);
        let Some(claims) = claims else { return self.asked(&tokens.access_token).await };
        claims
            .check(self.tokens.client_id(), &ISSUERS, self.clock.now())
            .map_err(|error| ProviderError::OurFault(Box::new(error)))?;
        let email = match claims.email {
            Some(email) => Some(email),
            // The same account by another way: only its address is missing.
            None => self.asked(&tokens.access_token).await?.email,
        };
        Ok(Identity { subject: claims.sub, email })
    }

    async fn asked(&self, token: &SecretString) -> Result<Identity, ProviderError> {
        let mut refused = ProviderError::Refused("nobody says whose account it is".into());
        for url in &self.userinfo {
            let request = self.http.request(Method::GET, url.clone()).bearer_auth(token.expose_secret());
            let answer = self.http.read("userinfo", request).await?;
            if answer.status().is_success() {
                let Userinfo { sub, email } = answer.json()?;
                return Ok(Identity { subject: sub, email });
            }
            refused = answer.refusal("userinfo was refused").into_error();
            if refused.is_worth_retrying() {
                return Err(refused);
            }
        }
        Err(refused)
    }
}

#[async_trait]
impl OAuthProvider for GoogleOAuth {
    /// Offline access and forced consent are what a refresh token comes of, every time.
    fn consent_page(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.consent.clone();
        url.query_pairs_mut().extend_pairs([
            ("client_id", self.tokens.client_id()),
            ("response_type", "code"),
            ("redirect_uri", ask.redirect_uri),
            ("scope", scopes::ASKED),
            ("access_type", "offline"),
            ("prompt", "consent"),
            ("include_granted_scopes", "true"),
            ("state", ask.state),
            ("code_challenge", ask.challenge),
            ("code_challenge_method", "S256"),
        ]);
        url
    }

    async fn exchange(
        &self,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &str,
    ) -> Result<Grant, OAuthError> {
        let tokens = self.tokens.exchange(code, verifier, redirect_uri, &[]).await?;
        let Identity { subject, email } = self.identity(&tokens).await?;
        Ok(Grant {
            email: email.unwrap_or_else(|| subject.clone()),
            subject,
            scopes: voxanne_oauth::scopes(tokens.scope.as_deref().unwrap_or(scopes::ASKED)),
            expires_in: tokens.expires_in(),
            grant_expires_in: tokens.grant_expires_in(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
        })
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, OAuthError> {
        let tokens = self.tokens.refresh(refresh_token, &[]).await?;
        Ok(Refreshed {
            scopes: tokens.scope.as_deref().map(voxanne_oauth::scopes),
            expires_in: tokens.expires_in(),
            grant_expires_in: tokens.grant_expires_in(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
        })
    }

    async fn revoke(&self, token: &SecretString) -> Result<(), ProviderError> {
        let request = self.http.request(Method::POST, self.revoke.clone());
        let answer = self.http.write("revoke", request.form(&[("token", token.expose_secret())])).await?;
        // 400: it had ended already.
        if answer.status().is_success() || answer.status() == 400 {
            return Ok(());
        }
        Err(answer.refusal("the grant was not revoked").into_error())
    }

    fn missing(&self, granted: &[String]) -> Vec<Permission> {
        scopes::missing(granted)
    }
}
