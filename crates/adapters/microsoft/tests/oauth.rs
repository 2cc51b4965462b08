//! The adapter against the sandbox's Microsoft, and against answers that the sandbox does not give.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use reqwest::header::LOCATION;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};
use url::Url;
use voxanne_credentials::oauth::{Ask, Grant, OAuthError, OAuthProvider, Permission};
use voxanne_kernel::{ProviderError, SystemClock};
use voxanne_microsoft::{MicrosoftOAuth, Registration};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{body_string_contains, method, path},
};

const BACK: &str = "http://127.0.0.1:8080/api/integrations/outlook/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn client() -> Registration {
    Registration { id: "sandbox-client".to_owned(), secret: "sandbox-secret".to_owned().into() }
}

fn secret(text: &str) -> SecretString {
    text.to_owned().into()
}

/// A sandbox that stops when it is dropped.
struct Sandbox {
    base: String,
    http: reqwest::Client,
    microsoft: MicrosoftOAuth,
    _stop: oneshot::Sender<()>,
}

impl Sandbox {
    async fn start() -> Self {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(voxanne_sandbox::serve(listener, voxanne_sandbox::Options::default(), async move {
            stopped.await.ok();
        }));
        let url: Url = format!("{base}/microsoft").parse().unwrap();
        let microsoft = MicrosoftOAuth::new(client(), Some(&url), Some(&url), Arc::new(SystemClock)).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base, http, microsoft, _stop: stop }
    }

    async fn account(&self, account: Value) {
        let url = format!("{}/_sandbox/microsoft/accounts", self.base);
        let answer = self.http.post(url).json(&account).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    async fn exchange(&self) -> Result<Grant, OAuthError> {
        let ask = Ask { state: "opaque", challenge: CHALLENGE, redirect_uri: BACK };
        let answer = self.http.get(self.microsoft.consent_page(&ask)).send().await.unwrap();
        let back: Url = answer.headers()[LOCATION].to_str().unwrap().parse().unwrap();
        let code = back.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned();
        self.microsoft.exchange(&secret(&code), &secret(VERIFIER), BACK).await
    }
}

#[tokio::test]
async fn a_person_consents_and_every_refresh_brings_a_new_refresh_token() {
    let sandbox = Sandbox::start().await;
    let id = "7d9f1c3e-0000-4000-8000-000000000117";
    let account =
        json!({ "email": "ann@clinic.example", "sub": id, "hasMail": false, "strictRotation": true });
    sandbox.account(account).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!(grant.subject, format!("00000000-0000-4000-8000-0000000000aa:{id}"), "tenant and id");
    assert_eq!(grant.email, "ann@clinic.example", "the sign-in name where there is no mailbox");
    assert!(sandbox.microsoft.missing(&grant.scopes).is_empty(), "{:?}", grant.scopes);

    let mut token = grant.refresh_token.unwrap();
    for _ in 0..3 {
        let refreshed = sandbox.microsoft.refresh(&token).await.unwrap();
        token = refreshed.refresh_token.unwrap();
        assert!(sandbox.microsoft.missing(&refreshed.scopes.unwrap()).is_empty());
    }
    sandbox.microsoft.revoke(&token).await.unwrap();
    assert!(sandbox.microsoft.refresh(&token).await.is_ok(), "only the person can withdraw it");
}

#[tokio::test]
async fn three_words_end_a_connection_and_nothing_else_does() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.exchange().await.unwrap().refresh_token.unwrap();
    let told = async |refuse: Value| {
        sandbox.account(json!({ "email": "owner@clinic.example", "refuse": refuse })).await;
        match sandbox.microsoft.refresh(&token).await {
            Ok(_) => "tokens",
            Err(OAuthError::Dead(_)) => "dead",
            Err(OAuthError::Provider(error)) => error.kind(),
        }
    };
    for word in ["invalid_grant", "interaction_required", "consent_required"] {
        assert_eq!(told(json!({ "error": word })).await, "dead", "{word}");
    }
    assert_eq!(told(json!({ "error": "invalid_client" })).await, "our_fault");
    assert_eq!(told(json!({})).await, "unclear");
    assert_eq!(told(Value::Null).await, "tokens");
}

#[tokio::test]
async fn permissions_that_are_missing_are_found() {
    let sandbox = Sandbox::start().await;
    sandbox.account(json!({ "email": "ann@clinic.example", "grant": ["openid", "User.Read"] })).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!(sandbox.microsoft.missing(&grant.scopes), [Permission::Events, Permission::FreeBusy]);
}

#[tokio::test]
async fn scopes_are_sent_with_spaces_and_an_account_without_identity_is_known_by_its_id() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let tokens =
        json!({ "access_token": "x", "expires_in": 3599, "refresh_token": "r", "id_token": "rubbish" });
    Mock::given(method("POST"))
        .and(path("/login/common/oauth2/v2.0/token"))
        .and(body_string_contains("scope=openid+profile+email+offline_access+User.Read+Calendars.ReadWrite"))
        .respond_with(ResponseTemplate::new(200).set_body_json(tokens))
        .mount(&server)
        .await;
    let me = json!({ "id": "42", "mail": "ann@clinic.example", "userPrincipalName": "ann_x#EXT#" });
    let me = ResponseTemplate::new(200).set_body_json(me);
    Mock::given(path("/graph/v1.0/me")).respond_with(me).up_to_n_times(1).mount(&server).await;
    let at = |path: &str| format!("{}{path}", server.uri()).parse::<Url>().unwrap();
    let (login, graph) = (at("/login/"), at("/graph"));
    let microsoft = MicrosoftOAuth::new(client(), Some(&login), Some(&graph), Arc::new(SystemClock)).unwrap();
    let exchange = async || microsoft.exchange(&secret("code"), &secret(VERIFIER), BACK).await;
    let grant = exchange().await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("42", "ann@clinic.example"));
    assert_eq!(grant.refresh_token.unwrap().expose_secret(), "r");
    assert!(microsoft.refresh(&secret("r")).await.is_ok());
    let unknown = exchange().await;
    assert!(
        matches!(unknown, Err(OAuthError::Provider(ProviderError::Refused(_)))),
        "nobody says whose it is"
    );
}

#[tokio::test]
async fn without_a_stand_in_the_consent_page_is_microsofts_own() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let microsoft = MicrosoftOAuth::new(client(), None, None, Arc::new(SystemClock)).unwrap();
    let page = microsoft.consent_page(&Ask { state: "s", challenge: "c", redirect_uri: BACK });
    let text = page.as_str();
    assert!(text.starts_with("https://login.microsoftonline.com/common/oauth2/v2.0/authorize?"), "{text}");
    for part in
        ["scope=openid+profile+email+offline_access+", "code_challenge_method=S256", "state=s", "prompt="]
    {
        assert!(text.contains(part), "{part}");
    }
}
