//! What replicas remember of secrets, and that no secret shows anywhere.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "a signature carries the real time")]

use std::time::Instant;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use voxanne_credentials::{ExposeSecret, KeyRing, new_webhook_credential};
use voxanne_e2e::{Clinic, Stack, eventually, vapi};
use voxanne_kernel::ids::OrgId;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

const LISTENERS: &str = "select count(*) from pg_stat_activity
  where datname = current_database() and query ilike 'listen%voxanne_credentials%' and pid <> pg_backend_pid()";
const CUT: &str = "select count(pg_terminate_backend(pid)) from pg_stat_activity
  where datname = current_database() and query ilike 'listen%voxanne_credentials%' and pid <> pg_backend_pid()";

/// Puts another webhook secret into the database behind everybody's back, as another service with the same library
/// would, and returns it.
async fn replace_secret(stack: &Stack, clinic: &Clinic) -> String {
    let org = OrgId(clinic.org_id.parse().unwrap());
    let (credential, secrets) = new_webhook_credential(&KeyRing::single(KEY).unwrap(), org).unwrap();
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    let changed = sqlx::query(
        "update org_credentials set id = $2, sealed = $3, updated_at = now()
          where org_id = $1 and provider = 'vapi_webhook'",
    )
    .bind(org.0)
    .bind(credential.id.0)
    .bind(credential.sealed.bytes)
    .execute(&mut owner)
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    secrets.current().expose_secret().to_owned()
}

/// What a server answers to a message signed with `secret`.
async fn answer(stack: &Stack, server: usize, clinic: &Clinic, secret: &str) -> u16 {
    let message = json!({"message": {"type": "speech-update", "call": vapi::call(clinic, "019c0000-0000-7000-8000-000000000001")}});
    let sent = vapi::deliver_as(stack, server, secret, Timestamp::now(), &message).send().await.unwrap();
    sent.status().as_u16()
}

/// Waits until every server refuses `old`, and tells how long that took. A server that refuses it has forgotten it.
async fn forgotten(stack: &Stack, clinic: &Clinic, old: &str) -> std::time::Duration {
    let began = Instant::now();
    for server in 0..stack.servers.len() {
        eventually("a replica forgets a replaced secret", || async move {
            (answer(stack, server, clinic, old).await == 401).then_some(())
        })
        .await;
    }
    began.elapsed()
}

#[tokio::test]
async fn a_secret_changed_anywhere_is_seen_everywhere_even_when_the_notifications_are_cut() {
    let stack = Stack::start_with(2, &[("ENCRYPTION_KEY", KEY)]).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let mut current = clinic.secret.clone();
    for server in [0, 1] {
        assert_eq!(answer(&stack, server, &clinic, &current).await, 200, "the replica remembers it now");
    }

    let next = replace_secret(&stack, &clinic).await;
    let took = forgotten(&stack, &clinic, &current).await;
    println!("both replicas followed a change after {} ms", took.as_millis());
    current = next;

    for _ in 0..3 {
        for server in [0, 1] {
            assert_eq!(answer(&stack, server, &clinic, &current).await, 200);
        }
        // Two servers and the worker listen, each on a connection of its own.
        eventually("everybody listens", || async { (stack.rows(LISTENERS).await >= 3).then_some(()) }).await;
        stack.rows(CUT).await;
        let next = replace_secret(&stack, &clinic).await;
        let took = forgotten(&stack, &clinic, &current).await;
        println!("with the notifications cut they followed after {} ms", took.as_millis());
        current = next;
    }
    for server in [0, 1] {
        assert_eq!(answer(&stack, server, &clinic, &current).await, 200);
    }
    let metrics = stack.http.get(stack.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("voxanne_credential_cache_total"), "{metrics}");
}

/// A body for each provider that takes one, every secret of it marked.
fn planted() -> Vec<(&'static str, Value)> {
    let sender = |mut body: Value| {
        body["fromEmail"] = json!("desk@glow.example");
        body
    };
    vec![
        (
            "twilio",
            json!({"accountSid": "AC00000000000000000000000000000009", "authToken": "planted-twilio-token-4711", "phoneNumber": "+15005550006"}),
        ),
        (
            "resend",
            sender(
                json!({"apiKey": "re_planted-resend-key-4711", "webhookSecret": "whsec_cGxhbnRlZC1yZXNlbmQtaG9vaw=="}),
            ),
        ),
        ("sendgrid", sender(json!({"apiKey": "SG.planted-sendgrid-key-4711"}))),
        (
            "mailgun",
            sender(
                json!({"apiKey": "planted-mailgun-key-4711", "domain": "mg.glow.example", "region": "eu"}),
            ),
        ),
        ("postmark", sender(json!({"apiKey": "planted-postmark-key-4711"}))),
        (
            "ses",
            sender(
                json!({"accessKeyId": "AKIAPLANTED000000000", "secretAccessKey": "planted-ses-secret-key-4711-0000000000", "region": "eu-west-1"}),
            ),
        ),
        (
            "smtp",
            sender(
                json!({"smtpHost": "smtp.glow.example", "smtpPort": 587, "smtpUsername": "desk", "smtpPassword": "planted-smtp-password-4711", "smtpTls": "starttls"}),
            ),
        ),
        (
            "africastalking",
            json!({"apiKey": "planted-at-key-4711", "username": "glow", "fromNumber": "GLOW"}),
        ),
        (
            "termii",
            json!({"apiKey": "planted-termii-key-4711", "baseUrl": "https://v3.api.termii.com", "fromNumber": "Glow", "senderChannel": "generic"}),
        ),
        (
            "whatsapp",
            json!({"businessAccountId": "102290129340398", "phoneNumberId": "106540352242922", "accessToken": "EAAplanted-whatsapp-token-4711", "appSecret": "planted-app-secret-4711"}),
        ),
    ]
}

#[tokio::test]
async fn no_secret_that_an_organization_brings_shows_anywhere() {
    let stack = Stack::start_with(1, &[("RUST_LOG", "trace,h2=off,hyper=off,rustls=off")]).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let mut said = String::new();
    for (provider, body) in planted() {
        for query in ["?verify=false", ""] {
            let path = format!("/api/integrations/{provider}{query}");
            let answer = clinic.request(&stack, Method::PUT, &path).json(&body).send().await.unwrap();
            let status = answer.status().as_u16();
            let answer = answer.text().await.unwrap();
            let expected: &[u16] = if query.is_empty() { &[422, 503] } else { &[200] };
            assert!(expected.contains(&status), "PUT {path} answered {status}: {answer}");
            said += &answer;
        }
        let path = format!("/api/integrations/{provider}/verify");
        said += &clinic.request(&stack, Method::POST, &path).send().await.unwrap().text().await.unwrap();
        // What is wrong with a body is told without the body.
        let mut wrong = body.clone();
        wrong["surprise"] = json!("planted-surprise-4711");
        let path = format!("/api/integrations/{provider}");
        let answer = clinic.request(&stack, Method::PUT, &path).json(&wrong).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 400);
        said += &answer.text().await.unwrap();
    }
    let shown = clinic.get(&stack, "/api/integrations").await.unwrap();
    let configured = shown["data"].as_array().unwrap().iter().filter(|one| one["configured"] == true).count();
    assert_eq!(configured, planted().len(), "{shown}");
    said += &shown.to_string();
    for path in ["/metrics", "/openapi.json", "/api/audit"] {
        said += &clinic.request(&stack, Method::GET, path).send().await.unwrap().text().await.unwrap();
    }
    said += &stack.everything_stored().await;
    said += &stack.logs();
    for (provider, body) in planted() {
        for (name, value) in body.as_object().unwrap() {
            let secret = value.as_str().filter(|text| text.contains("planted") || text.starts_with("whsec_"));
            if let Some(secret) = secret {
                assert!(!said.contains(secret), "{name} of {provider} shows somewhere");
            }
        }
    }
    assert!(!said.contains("planted-surprise"));
}
