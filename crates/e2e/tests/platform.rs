//! What every route promises: repeated requests, pages, health, figures, the document of the API.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack};

async fn add_contact(stack: &Stack, clinic: &Clinic, key: &str, body: &Value) -> (StatusCode, bool, Value) {
    let request =
        clinic.request(stack, Method::POST, "/api/contacts").header("idempotency-key", key).json(body);
    let answer = request.send().await.unwrap();
    let replayed = answer.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
    (answer.status(), replayed, answer.json().await.unwrap())
}

#[tokio::test]
async fn the_same_key_and_request_get_the_first_answer_again() {
    let stack = Stack::start(1).await.unwrap();
    let (clinic, other) = (stack.sign_up("Clinic").await.unwrap(), stack.sign_up("Other").await.unwrap());
    let body = json!({"name": "Ann", "phone": "+15005550001"});

    let (status, replayed, first) = add_contact(&stack, &clinic, "key-1", &body).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{first}");
    let (status, replayed, again) = add_contact(&stack, &clinic, "key-1", &body).await;
    assert_eq!((status, replayed, &again), (StatusCode::CREATED, true, &first));

    // Another body under the key is refused; another organization's key of that name is another key.
    let different = json!({"name": "Bob", "phone": "+15005550002"});
    let (status, _, refused) = add_contact(&stack, &clinic, "key-1", &different).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("idempotency_key_reused")));
    let (status, replayed, theirs) = add_contact(&stack, &other, "key-1", &body).await;
    assert_eq!((status, replayed), (StatusCode::CREATED, false), "{theirs}");

    // A refusal of the request itself is kept too; one that may change is not.
    let wrong = json!({"name": "Eve", "phone": "12"});
    let (status, _, _) = add_contact(&stack, &clinic, "key-2", &wrong).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, replayed, _) = add_contact(&stack, &clinic, "key-2", &wrong).await;
    assert_eq!((status, replayed), (StatusCode::BAD_REQUEST, true));
    let (status, _, taken) = add_contact(&stack, &clinic, "key-3", &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{taken}");
    let (status, replayed, _) = add_contact(&stack, &clinic, "key-3", &body).await;
    assert_eq!((status, replayed), (StatusCode::CONFLICT, false));
}

#[tokio::test]
async fn the_same_key_many_times_at_once_has_one_effect() {
    let stack = Stack::start(2).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let (shared, owner) = (&stack, &clinic);
    let answers: Vec<(StatusCode, Option<String>)> = stream::iter(0..40)
        .map(|n| async move {
            let url = format!("{}/api/contacts", shared.servers[n % 2].url);
            let body = json!({"name": "Ann", "phone": "+15005550001"});
            let request =
                shared.http.post(url).bearer_auth(&owner.token).header("idempotency-key", "once").json(&body);
            let answer = request.send().await.unwrap();
            let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
            (answer.status(), wait)
        })
        .buffer_unordered(40)
        .collect()
        .await;
    assert!(answers.iter().any(|(status, _)| *status == StatusCode::CREATED), "{answers:?}");
    for (status, wait) in &answers {
        let running = *status == StatusCode::CONFLICT && wait.is_some();
        assert!(*status == StatusCode::CREATED || running, "{answers:?}");
    }
    assert_eq!(stack.rows("select count(*) from contacts").await, 1);
}

#[tokio::test]
async fn pages_show_every_row_once_newest_first() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    for n in 0..25 {
        let body = json!({"name": format!("Contact {n}"), "phone": format!("+150055500{n:02}")});
        let answer = clinic.request(&stack, Method::POST, "/api/contacts").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
    }
    let (mut seen, mut names, mut cursor) = (BTreeSet::new(), Vec::new(), None::<String>);
    for _ in 0..4 {
        let after = cursor.as_deref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = clinic.get(&stack, &format!("/api/contacts?limit=10{after}")).await.unwrap();
        let rows = page["data"].as_array().unwrap();
        assert!(rows.len() <= 10);
        for row in rows {
            assert!(seen.insert(row["id"].as_str().unwrap().to_owned()), "{row} came twice");
            names.push(row["name"].as_str().unwrap().to_owned());
        }
        cursor = page["nextCursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (0..25).rev().map(|n| format!("Contact {n}")).collect();
    assert_eq!((names, cursor), (expected, None));
}

#[tokio::test]
async fn the_process_tells_about_itself() {
    let stack = Stack::start(1).await.unwrap();
    let get = async |path: &str| {
        let answer = stack.http.get(stack.url(path)).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    assert_eq!(get("/health").await.0, StatusCode::OK);
    assert_eq!(get("/ready").await.0, StatusCode::OK);
    let (status, page) = get("/docs/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!page.contains("https://"), "the page loads nothing from elsewhere");
    let (_, document) = get("/openapi.json").await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let (_, figures) = get("/metrics").await;
    assert!(
        figures.contains(
            "voxanne_http_request_duration_seconds_bucket{route=\"/health\",method=\"GET\",status=\"200\""
        ),
        "{figures}"
    );
    assert!(figures.contains("voxanne_credential_cache_total{result=\"hit\"}"), "{figures}");
}

#[tokio::test]
async fn a_page_of_another_origin_is_not_let_in() {
    let stack = Stack::start(1).await.unwrap();
    let request = stack.http.request(Method::OPTIONS, stack.url("/api/me"));
    let request =
        request.header("origin", "https://evil.example").header("access-control-request-method", "GET");
    let answer = request.send().await.unwrap();
    assert!(answer.headers().get("access-control-allow-origin").is_none());
}
