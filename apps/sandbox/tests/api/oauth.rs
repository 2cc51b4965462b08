//! What the two authorization servers have in common, seen through Google's and Microsoft's paths.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::harness::Sandbox;

pub(crate) const BACK: &str = "https://app.example/api/integrations/google/callback";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CALENDAR: &str =
    "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/calendar.events";

/// One authorization server's paths.
#[derive(Clone, Copy)]
pub(crate) struct Flow {
    pub(crate) authorize: &'static str,
    pub(crate) token: &'static str,
    pub(crate) control: &'static str,
    pub(crate) scope: &'static str,
}

pub(crate) const GOOGLE: Flow = Flow {
    authorize: "/google/o/oauth2/v2/auth",
    token: "/google/token",
    control: "/google/accounts",
    scope: CALENDAR,
};

pub(crate) const MICROSOFT: Flow = Flow {
    authorize: "/microsoft/common/oauth2/v2.0/authorize",
    token: "/microsoft/common/oauth2/v2.0/token",
    control: "/microsoft/accounts",
    scope: "openid profile email offline_access User.Read Calendars.ReadWrite",
};

impl Flow {
    /// Opens the consent page with the parameters that the product sends, changed by `change`.
    pub(crate) async fn open(self, sandbox: &Sandbox, change: &[(&str, &str)]) -> (StatusCode, Option<Url>) {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        let mut pairs = vec![
            ("client_id", "sandbox-client"),
            ("response_type", "code"),
            ("redirect_uri", BACK),
            ("scope", self.scope),
            ("access_type", "offline"),
            ("prompt", "consent"),
            ("state", "opaque"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in change {
            pairs.retain(|(other, _)| other != name);
            pairs.push((name, value));
        }
        let mut url = Url::parse(&format!("{}{}", sandbox.base, self.authorize)).unwrap();
        url.query_pairs_mut().extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        let response = sandbox.http.get(url).send().await.unwrap();
        let back =
            response.headers().get(header::LOCATION).map(|back| back.to_str().unwrap().parse().unwrap());
        (response.status(), back)
    }

    pub(crate) async fn code(self, sandbox: &Sandbox, change: &[(&str, &str)]) -> String {
        let (status, back) = self.open(sandbox, change).await;
        assert_eq!(status, StatusCode::FOUND);
        let back = back.unwrap();
        assert_eq!(parameter(&back, "state").as_deref(), Some("opaque"));
        parameter(&back, "code").unwrap_or_else(|| panic!("no code in {back}"))
    }

    /// Posts to the token endpoint with the client's name and secret, changed by `change`.
    pub(crate) async fn post(self, sandbox: &Sandbox, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut pairs = vec![("client_id", "sandbox-client"), ("client_secret", "sandbox-secret")];
        for (name, value) in form {
            pairs.retain(|(other, _)| other != name);
            pairs.push((name, value));
        }
        let url = format!("{}{}", sandbox.base, self.token);
        let response = sandbox.http.post(url).form(&pairs).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub(crate) async fn exchange(self, sandbox: &Sandbox, code: &str) -> (StatusCode, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        self.post(sandbox, &form).await
    }

    pub(crate) async fn refresh(self, sandbox: &Sandbox, token: &Value) -> (StatusCode, Value) {
        let token = token.as_str().unwrap();
        self.post(sandbox, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub(crate) async fn connect(self, sandbox: &Sandbox) -> Value {
        let code = self.code(sandbox, &[]).await;
        let (status, tokens) = self.exchange(sandbox, &code).await;
        assert_eq!(status, StatusCode::OK, "{tokens}");
        tokens
    }

    pub(crate) async fn account(self, sandbox: &Sandbox, account: Value) -> Value {
        let (status, account) = sandbox.control(Method::POST, self.control, account).await;
        assert!(status.is_success(), "{account}");
        account
    }
}

pub(crate) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The claims of a JWT.
pub(crate) fn claims(token: &Value) -> Value {
    let part = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[tokio::test]
async fn a_code_opens_once_and_only_for_who_asked_for_it() {
    for flow in [GOOGLE, MICROSOFT] {
        let sandbox = Sandbox::start().await;
        let refused = async |form: &[(&str, &str)]| {
            let code = flow.code(&sandbox, &[]).await;
            let mut whole = vec![
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", BACK),
                ("code_verifier", VERIFIER),
            ];
            for (name, value) in form {
                whole.retain(|(other, _)| other != name);
                whole.push((name, value));
            }
            let (status, body) = flow.post(&sandbox, &whole).await;
            (status.as_u16(), body["error"].as_str().unwrap_or_default().to_owned())
        };
        let grant = (400, "invalid_grant".to_owned());
        assert_eq!(refused(&[("code", "4/0nonsense")]).await, grant);
        assert_eq!(
            refused(&[("redirect_uri", "https://app.example/api/integrations/google/callback/")]).await,
            grant
        );
        assert_eq!(
            refused(&[("code_verifier", "another-verifier-of-at-least-forty-three-characters")]).await,
            grant
        );
        assert_eq!(refused(&[("code_verifier", "")]).await, grant);
        assert_eq!(refused(&[("client_secret", "wrong")]).await, (401, "invalid_client".to_owned()));
        assert_eq!(refused(&[("grant_type", "password")]).await, (400, "unsupported_grant_type".to_owned()));
        assert_eq!(refused(&[]).await.0, 200);

        let code = flow.code(&sandbox, &[]).await;
        assert_eq!(flow.exchange(&sandbox, &code).await.0, StatusCode::OK);
        assert_eq!(flow.exchange(&sandbox, &code).await.1["error"], "invalid_grant", "a second use");
        let code = flow.code(&sandbox, &[]).await;
        sandbox.control(Method::POST, "/clock", json!({ "advanceSeconds": 601 })).await;
        assert_eq!(flow.exchange(&sandbox, &code).await.1["error"], "invalid_grant", "too late");
    }
}

#[tokio::test]
async fn a_browser_is_never_sent_to_an_address_that_is_not_registered() {
    for (flow, provider) in [(GOOGLE, "google"), (MICROSOFT, "microsoft")] {
        let sandbox = Sandbox::start().await;
        assert_eq!(flow.open(&sandbox, &[]).await.0, StatusCode::FOUND, "anywhere until one is registered");
        let redirects = json!({ "redirectUris": ["https://app.example/other"] });
        let (status, _) = sandbox.control(Method::POST, &format!("/{provider}/redirects"), redirects).await;
        assert_eq!(status, StatusCode::OK);
        let (status, back) = flow.open(&sandbox, &[]).await;
        assert_eq!((status, back), (StatusCode::BAD_REQUEST, None));
        let there = [("redirect_uri", "https://app.example/other")];
        assert_eq!(flow.open(&sandbox, &there).await.0, StatusCode::FOUND);
        let (status, back) = flow.open(&sandbox, &[("client_id", "somebody")]).await;
        assert!(status.is_client_error() && back.is_none());
    }
}

#[tokio::test]
async fn a_person_may_refuse_and_may_leave_boxes_empty() {
    for flow in [GOOGLE, MICROSOFT] {
        let sandbox = Sandbox::start().await;
        flow.account(&sandbox, json!({ "email": "ann@clinic.example", "consents": false })).await;
        let (status, back) = flow.open(&sandbox, &[]).await;
        assert_eq!(status, StatusCode::FOUND);
        assert_eq!(parameter(&back.unwrap(), "error").as_deref(), Some("access_denied"));
        let changed = flow
            .account(
                &sandbox,
                json!({ "email": "ann@clinic.example", "consents": null, "grant": ["openid"] }),
            )
            .await;
        assert_eq!(changed["consents"], true);
        assert_eq!(flow.connect(&sandbox).await["scope"], "openid");
        let (status, body) = sandbox
            .control(Method::POST, flow.control, json!({ "email": "ann@clinic.example", "grants": [] }))
            .await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body["error"].as_str().unwrap().contains("grants"), "{body}");
    }
}

#[tokio::test]
async fn an_account_goes_wrong_as_it_is_told_and_as_often() {
    for flow in [GOOGLE, MICROSOFT] {
        let sandbox = Sandbox::start().await;
        let tokens = flow.connect(&sandbox).await;
        let told = async |refuse: Value| {
            flow.account(&sandbox, json!({ "email": "owner@clinic.example", "refuse": refuse })).await;
            let (status, body) = flow.refresh(&sandbox, &tokens["refresh_token"]).await;
            (status.as_u16(), body["error"].as_str().map(str::to_owned))
        };
        assert_eq!(told(json!({ "error": "invalid_grant" })).await, (400, Some("invalid_grant".to_owned())));
        assert_eq!(
            told(json!({ "error": "invalid_client" })).await,
            (401, Some("invalid_client".to_owned()))
        );
        assert_eq!(
            told(json!({ "error": "interaction_required" })).await,
            (400, Some("interaction_required".to_owned()))
        );
        assert_eq!(told(json!({})).await, (503, None), "a page instead of JSON");
        assert_eq!(told(json!({ "status": 500, "times": 1 })).await, (500, None));
        assert_eq!(flow.refresh(&sandbox, &tokens["refresh_token"]).await.0, StatusCode::OK, "only once");
    }
}

#[tokio::test]
async fn a_grant_ends_when_it_is_withdrawn_or_not_used_for_too_long() {
    for (flow, days) in [(GOOGLE, 180), (MICROSOFT, 90)] {
        let sandbox = Sandbox::start().await;
        let tokens = flow.connect(&sandbox).await;
        let path = format!("{}/owner@clinic.example/revoke", flow.control);
        let url = format!("{}/_sandbox{path}", sandbox.base);
        assert_eq!(sandbox.http.post(url).send().await.unwrap().status(), StatusCode::NO_CONTENT);
        assert_eq!(flow.refresh(&sandbox, &tokens["refresh_token"]).await.1["error"], "invalid_grant");

        let tokens = flow.connect(&sandbox).await;
        let day = 24 * 60 * 60;
        sandbox.control(Method::POST, "/clock", json!({ "advanceSeconds": days * day - 60 })).await;
        assert_eq!(flow.refresh(&sandbox, &tokens["refresh_token"]).await.0, StatusCode::OK, "used in time");
        sandbox.control(Method::POST, "/clock", json!({ "advanceSeconds": days * day + 60 })).await;
        assert_eq!(flow.refresh(&sandbox, &tokens["refresh_token"]).await.1["error"], "invalid_grant");
    }
}

#[tokio::test]
async fn a_connection_cut_after_the_write_has_issued_the_tokens() {
    for (flow, provider) in [(GOOGLE, "google"), (MICROSOFT, "microsoft")] {
        let sandbox = Sandbox::start().await;
        let tokens = flow.connect(&sandbox).await;
        let fault = json!({ "provider": provider, "method": "POST", "kind": "commit_then_drop" });
        sandbox.control(Method::POST, "/faults", fault).await;
        let form = [
            ("client_id", "sandbox-client"),
            ("client_secret", "sandbox-secret"),
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
        ];
        let url = format!("{}{}", sandbox.base, flow.token);
        assert!(sandbox.http.post(url).form(&form).send().await.is_err());
        let state = sandbox.state().await;
        assert_eq!(state["providers"][provider]["accessTokens"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn its_state_shows_no_token_and_outlives_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = || voxanne_sandbox::Options {
        state: Some(directory.path().join("state.json")),
        ..voxanne_sandbox::Options::default()
    };
    let first = Sandbox::with(options()).await;
    let tokens = GOOGLE.connect(&first).await;
    let shown = first.state().await["providers"].to_string();
    for secret in [&tokens["access_token"], &tokens["refresh_token"], &json!("sandbox-secret")] {
        assert!(!shown.contains(secret.as_str().unwrap()));
    }
    first.stop().await;
    let second = Sandbox::with(options()).await;
    assert_eq!(GOOGLE.refresh(&second, &tokens["refresh_token"]).await.0, StatusCode::OK);
    second.control(Method::POST, "/reset", json!({})).await;
    assert_eq!(GOOGLE.refresh(&second, &tokens["refresh_token"]).await.1["error"], "invalid_grant");
}
