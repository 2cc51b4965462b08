//! The adapter against the sandbox's Google, and against answers that the sandbox does not give.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::sync::Arc;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::header::LOCATION;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot};
use url::Url;
use voxanne_credentials::oauth::{Ask, Grant, OAuthError, OAuthProvider, Permission};
use voxanne_google::{GoogleOAuth, Registration};
use voxanne_kernel::{ManualClock, ProviderError, SystemClock, Timestamp};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{bearer_token, method, path},
};

const BACK: &str = "http://127.0.0.1:8080/api/integrations/google/callback";
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
    google: GoogleOAuth,
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
        let google: Url = format!("{base}/google").parse().unwrap();
        let google = GoogleOAuth::new(client(), Some(&google), Some(&google), Arc::new(SystemClock)).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { base, http, google, _stop: stop }
    }

    async fn control(&self, path: &str, body: Value) {
        let answer =
            self.http.post(format!("{}/_sandbox{path}", self.base)).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }

    /// What the browser brings back from the consent page.
    async fn consent(&self) -> Url {
        let page =
            self.google.consent_page(&Ask { state: "opaque", challenge: CHALLENGE, redirect_uri: BACK });
        let answer = self.http.get(page).send().await.unwrap();
        answer.headers()[LOCATION].to_str().unwrap().parse().unwrap()
    }

    async fn exchange(&self) -> Result<Grant, OAuthError> {
        let back = self.consent().await;
        assert_eq!(parameter(&back, "state").as_deref(), Some("opaque"));
        let code = parameter(&back, "code").unwrap();
        self.google.exchange(&secret(&code), &secret(VERIFIER), BACK).await
    }
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn a_person_consents_and_the_grant_lasts_until_it_is_revoked() {
    let sandbox = Sandbox::start().await;
    sandbox.control("/google/accounts", json!({ "email": "ann@clinic.example", "sub": "117" })).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("117", "ann@clinic.example"));
    assert!(sandbox.google.missing(&grant.scopes).is_empty(), "{:?}", grant.scopes);
    assert_eq!(grant.expires_in.as_secs(), 3_599);

    let token = grant.refresh_token.unwrap();
    let refreshed = sandbox.google.refresh(&token).await.unwrap();
    assert!(refreshed.refresh_token.is_none(), "Google keeps the old one");
    assert_ne!(refreshed.access_token.expose_secret(), grant.access_token.expose_secret());
    assert_eq!(refreshed.scopes.unwrap(), grant.scopes);

    let second = sandbox.exchange().await.unwrap();
    assert!(second.refresh_token.is_some(), "consent is forced, so that it comes every time");
    sandbox.google.revoke(&token).await.unwrap();
    sandbox.google.revoke(&token).await.unwrap();
    assert!(matches!(sandbox.google.refresh(&token).await, Err(OAuthError::Dead(_))));
}

#[tokio::test]
async fn boxes_that_were_left_empty_are_found_and_a_refusal_is_brought_back() {
    let sandbox = Sandbox::start().await;
    let scope = |name: &str| format!("https://www.googleapis.com/auth/{name}");
    let boxes = json!(["openid", scope("userinfo.email"), scope("calendar.events")]);
    sandbox.control("/google/accounts", json!({ "email": "ann@clinic.example", "grant": boxes })).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!(sandbox.google.missing(&grant.scopes), [Permission::FreeBusy]);
    sandbox.control("/google/accounts", json!({ "email": "ann@clinic.example", "consents": false })).await;
    assert_eq!(parameter(&sandbox.consent().await, "error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn only_invalid_grant_ends_a_connection() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.exchange().await.unwrap().refresh_token.unwrap();
    let told = async |refuse: Value| {
        let account = json!({ "email": "owner@clinic.example", "refuse": refuse });
        sandbox.control("/google/accounts", account).await;
        match sandbox.google.refresh(&token).await {
            Ok(_) => "tokens",
            Err(OAuthError::Dead(_)) => "dead",
            Err(OAuthError::Provider(error)) => error.kind(),
        }
    };
    assert_eq!(told(json!({ "error": "invalid_grant", "subtype": "invalid_rapt" })).await, "dead");
    assert_eq!(told(json!({ "error": "invalid_client" })).await, "our_fault");
    assert_eq!(told(json!({ "status": 500 })).await, "unclear");
    assert_eq!(told(json!({ "status": 429 })).await, "retry_later");
    assert_eq!(told(json!({ "status": 400 })).await, "retry_later");
    assert_eq!(told(json!({ "error": "interaction_required" })).await, "our_fault");
    assert_eq!(told(Value::Null).await, "tokens");
}

#[tokio::test]
async fn a_connection_cut_after_the_write_is_unclear_and_the_refresh_can_be_repeated() {
    let sandbox = Sandbox::start().await;
    let token = sandbox.exchange().await.unwrap().refresh_token.unwrap();
    let cut = json!({ "provider": "google", "path": "/token", "kind": "commit_then_drop" });
    sandbox.control("/faults", cut).await;
    let lost = sandbox.google.refresh(&token).await;
    assert!(matches!(lost, Err(OAuthError::Provider(ProviderError::Unclear(_)))), "{lost:?}");
    assert!(sandbox.google.refresh(&token).await.is_ok());
}

#[tokio::test]
async fn without_an_identity_userinfo_says_whose_account_it_is_in_either_form() {
    let sandbox = Sandbox::start().await;
    let account = json!({ "email": "ann@clinic.example", "sub": "117", "idToken": false });
    sandbox.control("/google/accounts", account).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("117", "ann@clinic.example"));
    let gone =
        json!({ "provider": "google", "path": "/v1/userinfo", "kind": "status", "status": 404, "times": 9 });
    sandbox.control("/faults", gone).await;
    let grant = sandbox.exchange().await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("117", "ann@clinic.example"));
    let down = json!({ "provider": "google", "path": "/oauth2/v2/userinfo", "kind": "status", "status": 404, "times": 9 });
    sandbox.control("/faults", down).await;
    assert!(matches!(sandbox.exchange().await, Err(OAuthError::Provider(ProviderError::Refused(_)))));
}

/// Exchanges a code at a Google whose identity says this.
async fn exchange_with(claims: Value) -> Result<Grant, OAuthError> {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let server = MockServer::start().await;
    let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let tokens =
        json!({ "access_token": "ya29.x", "expires_in": 3599, "refresh_token": "1//x", "id_token": token });
    let answer = ResponseTemplate::new(200).set_body_json(tokens);
    Mock::given(method("POST")).and(path("/token")).respond_with(answer).mount(&server).await;
    let info = ResponseTemplate::new(200).set_body_json(json!({ "sub": "1", "email": "ann@clinic.example" }));
    Mock::given(path("/v1/userinfo")).and(bearer_token("ya29.x")).respond_with(info).mount(&server).await;
    let base: Url = server.uri().parse().unwrap();
    let clock = ManualClock::at(Timestamp::from_second(1_793_600_000).unwrap());
    let google = GoogleOAuth::new(client(), Some(&base), Some(&base), Arc::new(clock)).unwrap();
    google.exchange(&secret("4/0x"), &secret(VERIFIER), BACK).await
}

#[tokio::test]
async fn an_identity_of_somebody_else_is_never_believed() {
    let now = 1_793_600_000;
    let good = json!({ "iss": "accounts.google.com", "aud": "sandbox-client", "sub": "1", "exp": now, "email": "a@b.example" });
    let grant = exchange_with(good.clone()).await.unwrap();
    assert_eq!((grant.subject.as_str(), grant.email.as_str()), ("1", "a@b.example"));
    assert!(
        grant.scopes.iter().any(|scope| scope.ends_with("calendar.events")),
        "what is left out is as asked"
    );

    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        claims
    };
    assert_eq!(exchange_with(with("email", Value::Null)).await.unwrap().email, "ann@clinic.example");
    for claims in [
        with("aud", json!("another")),
        with("iss", json!("https://accounts.google.com.evil.example")),
        with("exp", json!(now - 301)),
    ] {
        let refused = exchange_with(claims.clone()).await;
        assert!(matches!(refused, Err(OAuthError::Provider(ProviderError::OurFault(_)))), "{claims}");
    }
}

#[tokio::test]
async fn without_a_stand_in_the_consent_page_is_googles_own() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let google = GoogleOAuth::new(client(), None, None, Arc::new(SystemClock)).unwrap();
    let page = google.consent_page(&Ask { state: "a+b", challenge: "c", redirect_uri: BACK });
    assert_eq!(page.origin().ascii_serialization(), "https://accounts.google.com");
    assert_eq!(page.path(), "/o/oauth2/v2/auth");
    for (name, value) in [
        ("client_id", "sandbox-client"),
        ("response_type", "code"),
        ("redirect_uri", BACK),
        ("access_type", "offline"),
        ("prompt", "consent"),
        ("include_granted_scopes", "true"),
        ("state", "a+b"),
        ("code_challenge", "c"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter(&page, name).as_deref(), Some(value));
    }
    assert!(
        parameter(&page, "scope")
            .unwrap()
            .starts_with("openid https://www.googleapis.com/auth/userinfo.email ")
    );
}
