//! What is Google's own: when refresh tokens come, scopes that add up, identity.

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::oauth::{GOOGLE, claims, parameter};

async fn get(sandbox: &Sandbox, path: &str, token: &Value) -> (StatusCode, Value) {
    let url = format!("{}/google{path}", sandbox.base);
    let response = sandbox.http.get(url).bearer_auth(token.as_str().unwrap()).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn a_refresh_token_comes_with_offline_consent_only_and_is_never_replaced() {
    let sandbox = Sandbox::start().await;
    let exchanged = async |change: &[(&str, &str)]| {
        let code = GOOGLE.code(&sandbox, change).await;
        GOOGLE.exchange(&sandbox, &code).await.1
    };
    let first = exchanged(&[("prompt", "")]).await;
    assert!(first["refresh_token"].is_string(), "the first consent");
    assert!(exchanged(&[("prompt", "")]).await.get("refresh_token").is_none(), "nobody was asked again");
    assert!(exchanged(&[("access_type", "")]).await.get("refresh_token").is_none());
    assert!(exchanged(&[]).await["refresh_token"].is_string(), "consent is forced");

    let (status, refreshed) = GOOGLE.refresh(&sandbox, &first["refresh_token"]).await;
    assert_eq!(status, StatusCode::OK);
    assert!(refreshed.get("refresh_token").is_none());
    assert_ne!(refreshed["access_token"], first["access_token"]);
    assert_eq!(refreshed["expires_in"], 3_599);
}

#[tokio::test]
async fn the_hundred_and_first_refresh_token_pushes_out_the_first() {
    let sandbox = Sandbox::start().await;
    let first = GOOGLE.connect(&sandbox).await;
    for _ in 0..100 {
        GOOGLE.connect(&sandbox).await;
    }
    assert_eq!(GOOGLE.refresh(&sandbox, &first["refresh_token"]).await.1["error"], "invalid_grant");
}

#[tokio::test]
async fn earlier_scopes_are_included_when_that_is_asked_for() {
    let sandbox = Sandbox::start().await;
    GOOGLE.connect(&sandbox).await;
    let (_, back) = GOOGLE.open(&sandbox, &[("scope", "email")]).await;
    let email = "https://www.googleapis.com/auth/userinfo.email";
    assert_eq!(parameter(&back.unwrap(), "scope").as_deref(), Some(email), "by its long name");
    let (_, back) = GOOGLE.open(&sandbox, &[("scope", "email"), ("include_granted_scopes", "true")]).await;
    assert!(parameter(&back.unwrap(), "scope").unwrap().contains("calendar.events"));
}

#[tokio::test]
async fn what_the_consent_page_cannot_be_asked_is_a_page_and_no_redirect() {
    let sandbox = Sandbox::start().await;
    for change in [
        ("scope", "calendar"),
        ("scope", ""),
        ("response_type", "token"),
        ("redirect_uri", "http://app.example/callback"),
        ("redirect_uri", "https://app.example/callback#part"),
        ("code_challenge_method", "S512"),
        ("code_challenge", "short"),
    ] {
        let (status, back) = GOOGLE.open(&sandbox, &[change]).await;
        assert_eq!((status, back), (StatusCode::BAD_REQUEST, None), "{change:?}");
    }
}

#[tokio::test]
async fn identity_comes_signed_and_from_three_places() {
    let sandbox = Sandbox::start().await;
    let account = json!({ "email": "ann@clinic.example", "sub": "117" });
    GOOGLE.account(&sandbox, account).await;
    let tokens = GOOGLE.connect(&sandbox).await;
    let claims = claims(&tokens["id_token"]);
    assert_eq!(claims["iss"], "https://accounts.google.com");
    assert_eq!((&claims["aud"], &claims["sub"]), (&json!("sandbox-client"), &json!("117")));
    assert_eq!(claims["email"], "ann@clinic.example");

    let access = &tokens["access_token"];
    let (_, body) = get(&sandbox, "/v1/userinfo", access).await;
    assert_eq!(body, json!({ "sub": "117", "email": "ann@clinic.example", "email_verified": true }));
    let (_, body) = get(&sandbox, "/oauth2/v2/userinfo", access).await;
    assert_eq!(body, json!({ "id": "117", "email": "ann@clinic.example", "verified_email": true }));
    assert_eq!(get(&sandbox, "/v1/userinfo", &json!("ya29.none")).await.0, StatusCode::UNAUTHORIZED);

    let (_, keys) = get(&sandbox, "/oauth2/v3/certs", access).await;
    let part = |text: &Value| BASE64_URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let key = RsaPublicKeyComponents { n: part(&keys["keys"][0]["n"]), e: part(&keys["keys"][0]["e"]) };
    let (signed, signature) = tokens["id_token"].as_str().unwrap().rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).unwrap();
}

#[tokio::test]
async fn revoking_one_token_ends_everything_the_account_granted() {
    let sandbox = Sandbox::start().await;
    let (one, two) = (GOOGLE.connect(&sandbox).await, GOOGLE.connect(&sandbox).await);
    let revoke = async |token: &Value| {
        let url = format!("{}/google/revoke", sandbox.base);
        let form = [("token", token.as_str().unwrap())];
        sandbox.http.post(url).form(&form).send().await.unwrap().status()
    };
    assert_eq!(revoke(&one["refresh_token"]).await, StatusCode::OK);
    assert_eq!(revoke(&one["refresh_token"]).await, StatusCode::BAD_REQUEST);
    assert_eq!(GOOGLE.refresh(&sandbox, &two["refresh_token"]).await.1["error"], "invalid_grant");
    assert_eq!(get(&sandbox, "/v1/userinfo", &two["access_token"]).await.0, StatusCode::UNAUTHORIZED);
    let (_, state) = sandbox.control(Method::GET, "/google/accounts", json!(null)).await;
    assert_eq!(state["consents"], json!({}));
}
