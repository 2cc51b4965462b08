//! Microsoft as an authorization server. Every refresh replaces the refresh token.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;
use voxanne_credentials::oauth::{Ask, Grant, OAuthError, OAuthProvider, Permission, Refreshed};
use voxanne_http::{ClientError, Http, Limits, Method};
use voxanne_kernel::{Clock, ProviderError};
use voxanne_oauth::{Claims, Registration, TokenEndpoint, below, known};

use crate::scopes::{self, ASKED};

/// Accounts of organizations and personal ones alike.
const TENANT: &str = "common";
/// The words with which Microsoft says that only a person can go on.
const GONE: &[&str] = &["invalid_grant", "interaction_required", "consent_required"];

/// Microsoft's authorization server, for our registered application.
#[derive(Clone)]
pub struct MicrosoftOAuth {
    http: Http,
    tokens: TokenEndpoint,
    consent: Url,
    me: Url,
    clock: Arc<dyn Clock>,
}

/// What Graph says of the account.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Me {
    id: String,
    /// Not every account has a mailbox; its sign-in name has to do then.
    #[serde(default)]
    mail: Option<String>,
    #[serde(default)]
    user_principal_name: Option<String>,
}

impl MicrosoftOAuth {
    /// Speaks to Microsoft, or to what stands in for it at `oauth_base` and `api_base`.
    ///
    /// # Errors
    /// [`ClientError`] when no TLS is available.
    pub fn new(
        client: Registration,
        oauth_base: Option<&Url>,
        api_base: Option<&Url>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ClientError> {
        let http = Http::new("microsoft", Limits::interactive())?;
        let login = oauth_base.cloned().unwrap_or_else(|| known("https://login.microsoftonline.com"));
        let graph = api_base.cloned().unwrap_or_else(|| known("https://graph.microsoft.com"));
        let at = |what: &str| below(&login, &format!("/{TENANT}/oauth2/v2.0/{what}"));
        Ok(Self {
            tokens: TokenEndpoint::new(http.clone(), at("token"), client, GONE),
            consent: at("authorize"),
            me: below(&graph, "/v1.0/me"),
            http,
            clock,
        })
    }

    async fn me(&self, token: &SecretString) -> Result<Me, ProviderError> {
        let request = self.http.request(Method::GET, self.me.clone()).bearer_auth(token.expose_secret());
        let answer = self.http.read("me", request).await?;
        if answer.status().is_success() {
            answer.json()
        } else {
            Err(answer.refusal("the account was not shown").into_error())
        }
    }

    /// An account's id is unique within its tenant. UNCONFIRMED: that the identity names the tenant in `tid`; without
    /// one that can be believed, the account's id has to do.
    fn subject(&self, me: &Me, id_token: Option<&str>) -> String {
        let claims = id_token.and_then(Claims::read);
        let claims =
            claims.filter(|claims| claims.check(self.tokens.client_id(), &[], self.clock.now()).is_ok());
        match claims.and_then(|claims| claims.tid) {
            Some(tenant) => format!("{tenant}:{}", me.id),
            None => me.id.clone(),
        }
    }
}

#[async_trait]
impl OAuthProvider for MicrosoftOAuth {
    /// The person chooses the account; consent is asked for when it is needed. Forcing it would lock out those whose
    /// administrator consented for them.
    fn consent_page(&self, ask: &Ask<'_>) -> Url {
        let mut url = self.consent.clone();
        url.query_pairs_mut().extend_pairs([
            ("client_id", self.tokens.client_id()),
            ("response_type", "code"),
            ("response_mode", "query"),
            ("redirect_uri", ask.redirect_uri),
            ("scope", ASKED),
            ("prompt", "select_account"),
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
        let tokens = self.tokens.exchange(code, verifier, redirect_uri, &[("scope", ASKED)]).await?;
        let me = self.me(&tokens.access_token).await?;
        let subject = self.subject(&me, tokens.id_token.as_deref());
        Ok(Grant {
            email: [me.mail, me.user_principal_name]
                .into_iter()
                .flatten()
                .find(|address| !address.is_empty())
                .unwrap_or_else(|| subject.clone()),
            subject,
            scopes: voxanne_oauth::scopes(tokens.scope.as_deref().unwrap_or(ASKED)),
            expires_in: tokens.expires_in(),
            grant_expires_in: tokens.grant_expires_in(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
        })
    }

    async fn refresh(&self, refresh_token: &SecretString) -> Result<Refreshed, OAuthError> {
        let tokens = self.tokens.refresh(refresh_token, &[("scope", ASKED)]).await?;
        Ok(Refreshed {
            scopes: tokens.scope.as_deref().map(voxanne_oauth::scopes),
            expires_in: tokens.expires_in(),
            grant_expires_in: tokens.grant_expires_in(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
        })
    }

    /// There is no address that a single grant could be revoked at: whoever disconnects is shown the way to the page of
    /// their account, where they can withdraw it.
    async fn revoke(&self, _: &SecretString) -> Result<(), ProviderError> {
        Ok(())
    }

    fn missing(&self, granted: &[String]) -> Vec<Permission> {
        scopes::missing(granted)
    }
}
