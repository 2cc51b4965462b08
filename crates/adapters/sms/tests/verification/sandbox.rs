//! The same against the sandbox, which refuses what the providers refuse.

use serde_json::{Value, json};
use tokio::net::TcpListener;
use voxanne_http::{Http, Limits, Method};
use voxanne_sms::{BaseUrls, SmsProviders};

use crate::asking::{africastalking, termii, verify};

async fn start() -> (String, SmsProviders) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let options = voxanne_sandbox::Options::default();
    tokio::spawn(voxanne_sandbox::serve(listener, options, std::future::pending()));
    let at = |name: &str| Some(format!("{base}/{name}").parse().unwrap());
    let base_urls = BaseUrls { africastalking: at("africastalking"), termii: at("termii") };
    let providers = SmsProviders::new(base_urls, false).unwrap();
    (base, providers)
}

async fn account(base: &str, provider: &str, account: Value) {
    let http = Http::new("sandbox", Limits::default()).unwrap();
    let url = format!("{base}/_sandbox/{provider}/accounts");
    let made = http.write("make", http.request(Method::POST, url).json(&account)).await.unwrap();
    assert_eq!(made.status().as_u16(), 201, "{}", String::from_utf8_lossy(made.body()));
}

#[tokio::test]
async fn accounts_are_verified_by_their_own_keys_only() {
    let (base, providers) = start().await;
    let at = "https://v3.api.termii.example";
    assert_eq!(verify(&providers, &africastalking("sandbox", "atsk_sandbox")).await, "verified");
    assert_eq!(verify(&providers, &termii("TLsandbox", at)).await, "verified");
    assert_eq!(verify(&providers, &africastalking("sandbox", "wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &africastalking("wrong", "atsk_sandbox")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &termii("wrong", at)).await, "credentials_rejected");

    account(&base, "africastalking", json!({ "username": "clinic", "apiKey": "atsk_1" })).await;
    account(&base, "termii", json!({ "apiKey": "TL1", "balance": 0.5 })).await;
    account(&base, "termii", json!({ "apiKey": "TL2", "inactive": true })).await;
    assert_eq!(verify(&providers, &africastalking("clinic", "atsk_1")).await, "verified");
    assert_eq!(verify(&providers, &termii("TL1", at)).await, "verified");
    assert_eq!(verify(&providers, &termii("TL2", at)).await, "credentials_rejected");
}
