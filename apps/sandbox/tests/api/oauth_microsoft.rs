//! What is Microsoft's own: refresh tokens that change with every use, its errors, Graph's `me`.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::oauth::{MICROSOFT, claims, parameter};

async fn me(sandbox: &Sandbox, token: &Value) -> (StatusCode, Value) {
    let url = format!("{}/microsoft/v1.0/me", sandbox.base);
    let response = sandbox.http.get(url).bearer_auth(token.as_str().unwrap()).send().await.unwrap();
    (response.status(), response.json().await.unwrap())
}

#[tokio::test]
async fn every_refresh_gives_a_new_token_and_the_old_one_dies_where_that_is_asked_for() {
    let sandbox = Sandbox::start().await;
    let tokens = MICROSOFT.connect(&sandbox).await;
    let (_, second) = MICROSOFT.refresh(&sandbox, &tokens["refresh_token"]).await;
    assert_ne!(second["refresh_token"], tokens["refresh_token"]);
    assert_eq!(MICROSOFT.refresh(&sandbox, &tokens["refresh_token"]).await.0, StatusCode::OK, "not at once");

    MICROSOFT.account(&sandbox, json!({ "email": "owner@clinic.example", "strictRotation": true })).await;
    let (_, third) = MICROSOFT.refresh(&sandbox, &second["refresh_token"]).await;
    assert_eq!(MICROSOFT.refresh(&sandbox, &second["refresh_token"]).await.1["error"], "invalid_grant");
    assert_eq!(MICROSOFT.refresh(&sandbox, &third["refresh_token"]).await.0, StatusCode::OK);
}

#[tokio::test]
async fn without_offline_access_there_is_no_refresh_token_and_it_is_never_named_as_granted() {
    let sandbox = Sandbox::start().await;
    let tokens = MICROSOFT.connect(&sandbox).await;
    assert_eq!(tokens["scope"], "openid profile email User.Read Calendars.ReadWrite");
    let code = MICROSOFT.code(&sandbox, &[("scope", "openid User.Read")]).await;
    let (_, tokens) = MICROSOFT.exchange(&sandbox, &code).await;
    assert!(tokens.get("refresh_token").is_none());
}

#[tokio::test]
async fn commas_between_scopes_are_refused() {
    let sandbox = Sandbox::start().await;
    let (_, back) = MICROSOFT.open(&sandbox, &[("scope", "openid,User.Read")]).await;
    assert_eq!(parameter(&back.unwrap(), "error").as_deref(), Some("invalid_scope"));
    let tokens = MICROSOFT.connect(&sandbox).await;
    let token = tokens["refresh_token"].as_str().unwrap();
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("scope", "User.Read,Calendars.ReadWrite"),
    ];
    assert_eq!(MICROSOFT.post(&sandbox, &form).await.1["error"], "invalid_scope");
}

#[tokio::test]
async fn refusals_carry_a_number_for_people() {
    let sandbox = Sandbox::start().await;
    let (status, body) = MICROSOFT.refresh(&sandbox, &json!("M.R3_none")).await;
    assert_eq!((status, &body["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));
    assert_eq!(body["error_codes"], json!([50_173]));
    assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS50173: "));
}

#[tokio::test]
async fn the_account_is_known_by_id_and_tenant_and_may_have_no_mailbox() {
    let sandbox = Sandbox::start().await;
    MICROSOFT.account(&sandbox, json!({ "email": "ann@clinic.example", "hasMail": false })).await;
    let tokens = MICROSOFT.connect(&sandbox).await;
    let claims = claims(&tokens["id_token"]);
    let (status, body) = me(&sandbox, &tokens["access_token"]).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(body["id"], claims["oid"]);
    assert_eq!((&body["mail"], &body["userPrincipalName"]), (&Value::Null, &json!("ann@clinic.example")));
    assert_ne!(claims["sub"], claims["oid"]);
    assert!(claims["iss"].as_str().unwrap().contains(claims["tid"].as_str().unwrap()));
    assert_eq!(me(&sandbox, &json!("none")).await.1["error"]["code"], "InvalidAuthenticationToken");
}
