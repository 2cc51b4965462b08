//! Connected calendars over time: kept by the worker, lost when the provider says so, and never written down in clear.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![expect(clippy::disallowed_methods, reason = "the programs under test read the machine's clock")]

use reqwest::Method;
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack, eventually};

async fn location(stack: &Stack, url: &str) -> String {
    let answer = stack.http.get(url).send().await.unwrap();
    assert!(answer.status().is_redirection(), "{url} answered {}", answer.status());
    answer.headers()["location"].to_str().unwrap().to_owned()
}

/// Signs in at the sandbox's provider; where the browser ends, and every address it saw.
async fn connect(stack: &Stack, clinic: &Clinic, path: &str) -> [String; 3] {
    let start = format!("/api/integrations/{path}/start");
    let answer: Value =
        clinic.request(stack, Method::POST, &start).send().await.unwrap().json().await.unwrap();
    let page = answer["url"].as_str().unwrap().to_owned();
    let back = location(stack, &page).await;
    let end = location(stack, &back).await;
    assert!(end.contains("status=connected"), "{end}");
    [page, back, end]
}

async fn account(stack: &Stack, provider: &str, account: &Value) {
    let url = format!("{}/_sandbox/{provider}/accounts", stack.sandbox_url);
    assert!(stack.http.post(url).json(account).send().await.unwrap().status().is_success());
}

async fn status(stack: &Stack, clinic: &Clinic, provider: &str) -> Value {
    let all = clinic.get(stack, "/api/integrations").await.unwrap();
    let all = all["data"].as_array().unwrap();
    all.iter().find(|one| one["provider"] == provider).unwrap()["status"].clone()
}

fn in_minutes(minutes: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes)).to_string()
}

async fn refresh_tokens(stack: &Stack, minutes: i64) {
    let now = in_minutes(minutes);
    stack.voxctl(&["jobs", "run", "refresh-tokens", "--now", &now], "").await.unwrap();
}

/// How many token requests the provider has got.
async fn asked(stack: &Stack, provider: &str) -> usize {
    let requests = stack.provider("requests").await;
    let requests = requests.as_array().unwrap();
    let is_token = |request: &&Value| {
        request["provider"] == provider
            && request["path"].as_str().is_some_and(|path| path.ends_with("/token"))
    };
    requests.iter().filter(is_token).count()
}

#[tokio::test]
async fn the_worker_keeps_connections_alive_and_tells_when_one_is_lost() {
    let stack = Stack::start_with(1, &[("VOXANNE_ALLOW_TEST_CLOCK", "true")]).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    account(&stack, "microsoft", &json!({"email": "ann@clinic.example", "strictRotation": true})).await;
    for path in ["google", "outlook"] {
        connect(&stack, &clinic, path).await;
    }
    refresh_tokens(&stack, 30).await;
    for provider in ["google", "microsoft"] {
        assert_eq!(asked(&stack, provider).await, 1, "nothing is due");
    }
    for round in 1..=3 {
        refresh_tokens(&stack, 55).await;
        for provider in ["google", "microsoft"] {
            eventually("a refresh", || async { (asked(&stack, provider).await == 1 + round).then_some(()) })
                .await;
        }
        let idle = "select count(*) from graphile_worker._private_jobs";
        eventually("an idle queue", || async { (stack.rows(idle).await == 0).then_some(()) }).await;
    }
    for provider in ["google_calendar", "outlook_calendar"] {
        assert_eq!(status(&stack, &clinic, provider).await, "verified", "{provider}");
    }

    // A provider in trouble loses nothing; one that says no does.
    account(
        &stack,
        "google",
        &json!({"email": "owner@clinic.example", "refuse": {"status": 503, "times": 1}}),
    )
    .await;
    refresh_tokens(&stack, 55).await;
    eventually("the second try", || async { (asked(&stack, "google").await == 6).then_some(()) }).await;
    assert_eq!(status(&stack, &clinic, "google_calendar").await, "verified");
    account(
        &stack,
        "google",
        &json!({"email": "owner@clinic.example", "refuse": {"error": "invalid_grant"}}),
    )
    .await;
    refresh_tokens(&stack, 55).await;
    eventually("the loss", || async {
        (status(&stack, &clinic, "google_calendar").await == "reconnect_required").then_some(())
    })
    .await;
    assert_eq!(status(&stack, &clinic, "outlook_calendar").await, "verified");
    let noted = "select count(*) from activity_events where kind = 'integration_needs_reconnect'";
    assert_eq!(stack.rows(noted).await, 1);
    let written = "select count(*) from platform_mails where kind = 'calendar_disconnected'";
    assert_eq!(stack.rows(written).await, 1);

    account(&stack, "google", &json!({"email": "owner@clinic.example", "refuse": null})).await;
    connect(&stack, &clinic, "google").await;
    assert_eq!(status(&stack, &clinic, "google_calendar").await, "verified");
}

#[tokio::test]
async fn no_token_is_in_an_address_of_ours_a_row_or_a_log() {
    let stack = Stack::start_with(1, &[("RUST_LOG", "debug,sqlx=warn")]).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let (mut seen, mut secrets) = (String::new(), vec!["sandbox-secret".to_owned()]);
    for path in ["google", "outlook"] {
        let [page, back, end] = connect(&stack, &clinic, path).await;
        secrets.extend([parameter(&page, "state"), parameter(&back, "code")]);
        seen += &end;
        let verify = format!("/api/integrations/{path}_calendar/verify");
        let answer = clinic.request(&stack, Method::POST, &verify).send().await.unwrap();
        seen += &answer.text().await.unwrap();
    }
    seen += &clinic.get(&stack, "/api/integrations").await.unwrap().to_string();
    seen += &stack.everything_stored().await;
    seen += &stack.logs();
    assert!(seen.contains("owner@clinic.example"));
    // How the sandbox's access tokens and refresh tokens begin.
    secrets.extend(["ya29.", "1//0", "M.R3_"].map(str::to_owned));
    for secret in secrets {
        assert!(!seen.contains(&secret), "{secret}");
    }
}

/// A parameter's text as it is written in an address; a token has no character that is written otherwise but `/`.
fn parameter(url: &str, name: &str) -> String {
    let query = url.split_once('?').unwrap().1;
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}=")));
    found.unwrap().replace("%2F", "/")
}
