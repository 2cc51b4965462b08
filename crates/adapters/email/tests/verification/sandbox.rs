//! The same against the sandbox, which refuses what the providers refuse.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;
use voxanne_email::{BaseUrls, EmailProviders, Limits};
use voxanne_http::{Http, Method};
use voxanne_kernel::SystemClock;

use crate::asking::{mailgun, postmark, resend, sendgrid, ses, verify};

struct Sandbox(String);

impl Sandbox {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let options = voxanne_sandbox::Options::default();
        tokio::spawn(voxanne_sandbox::serve(listener, options, std::future::pending()));
        Self(base)
    }

    async fn account(&self, provider: &str, account: Value) {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let http = Http::new("sandbox", Limits::default()).unwrap();
        let url = format!("{}/_sandbox/{provider}/accounts", self.0);
        let made = http.write("make", http.request(Method::POST, url).json(&account)).await.unwrap();
        assert_eq!(made.status().as_u16(), 201, "{}", String::from_utf8_lossy(made.body()));
    }

    fn providers(&self) -> EmailProviders {
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let at = |name: &str| Some(format!("{}/{name}", self.0).parse::<Url>().unwrap());
        let base_urls = BaseUrls {
            resend: at("resend"),
            sendgrid: at("sendgrid"),
            mailgun: at("mailgun"),
            postmark: at("postmark"),
            ses: at("ses"),
        };
        EmailProviders::with(base_urls, false, Limits::interactive(), Arc::new(SystemClock)).unwrap()
    }
}

#[tokio::test]
async fn the_accounts_that_are_always_there_are_verified_and_others_rejected() {
    let sandbox = Sandbox::start().await;
    let providers = sandbox.providers();
    assert_eq!(verify(&providers, &resend("re_sandbox")).await, "verified");
    assert_eq!(verify(&providers, &sendgrid("SG.sandbox")).await, "verified");
    assert_eq!(verify(&providers, &mailgun("key-sandbox")).await, "verified");
    assert_eq!(verify(&providers, &postmark("5a4db0c0-0000-4000-8000-000000000001")).await, "verified");
    let good = ses("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
    assert_eq!(verify(&providers, &good).await, "verified");

    assert_eq!(verify(&providers, &resend("re_wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &sendgrid("SG.wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &mailgun("key-wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &postmark("wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &ses("AKIDEXAMPLE", "wrong")).await, "credentials_rejected");
    assert_eq!(verify(&providers, &ses("AKIDWRONG", "wrong")).await, "credentials_rejected");
}

#[tokio::test]
async fn keys_that_may_only_send_are_restricted() {
    let sandbox = Sandbox::start().await;
    let providers = sandbox.providers();
    sandbox.account("resend", json!({ "apiKey": "re_send", "restricted": true })).await;
    assert_eq!(verify(&providers, &resend("re_send")).await, "restricted");
    let sending = json!({ "apiKey": "key-send", "restricted": true, "domains": ["clinic.example"] });
    sandbox.account("mailgun", sending).await;
    assert_eq!(verify(&providers, &mailgun("key-send")).await, "restricted");
    let sending = json!({ "accessKeyId": "AKIDSEND", "secretAccessKey": "s", "restricted": true });
    sandbox.account("ses", sending).await;
    assert_eq!(verify(&providers, &ses("AKIDSEND", "s")).await, "restricted");
    sandbox.account("sendgrid", json!({ "apiKey": "SG.look", "scopes": ["alerts.read"] })).await;
    assert_eq!(verify(&providers, &sendgrid("SG.look")).await, "credentials_rejected");
}

#[tokio::test]
async fn what_else_is_wrong_with_an_account_is_told_apart() {
    let sandbox = Sandbox::start().await;
    let providers = sandbox.providers();
    let failed = json!({ "name": "clinic.example", "status": "failed" });
    sandbox.account("resend", json!({ "apiKey": "re_failed", "domains": [failed] })).await;
    assert_eq!(verify(&providers, &resend("re_failed")).await, "sender_not_verified");
    sandbox.account("resend", json!({ "apiKey": "re_suspended", "suspended": true })).await;
    assert_eq!(verify(&providers, &resend("re_suspended")).await, "credentials_rejected");
    sandbox.account("mailgun", json!({ "apiKey": "key-elsewhere", "domains": ["other.example"] })).await;
    assert_eq!(verify(&providers, &mailgun("key-elsewhere")).await, "credentials_rejected");
    let elsewhere = json!({ "accessKeyId": "AKIDUS", "secretAccessKey": "s", "region": "us-east-1" });
    sandbox.account("ses", elsewhere).await;
    assert_eq!(verify(&providers, &ses("AKIDUS", "s")).await, "credentials_rejected");
    sandbox.account("sendgrid", json!({ "apiKey": "SG.spent", "outOfCredits": true })).await;
    assert_eq!(verify(&providers, &sendgrid("SG.spent")).await, "retry_later");
}
