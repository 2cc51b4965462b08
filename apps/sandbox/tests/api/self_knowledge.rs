//! `/_sandbox`: state, reset, clock, and the program as a whole.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpListener;
use voxanne_sandbox::{Options, serve};

use crate::harness::{KEY, Sandbox};

#[tokio::test]
async fn the_state_shows_what_it_holds_and_was_asked_without_the_keys() {
    let sandbox = Sandbox::start().await;
    sandbox.make("/assistant", json!({ "name": "a" })).await;
    sandbox
        .make(
            "/credential",
            json!({ "provider": "custom-credential", "authenticationPlan": { "type": "bearer", "token": "bearer-token" } }),
        )
        .await;
    sandbox.vapi(Method::POST, "/assistant", Some(&json!({ "foo": 1 }))).await;
    let state = sandbox.state().await;
    let requests = state["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[0]["path"], "/assistant");
    assert_eq!(requests[0]["body"], json!({ "name": "a" }));
    assert_eq!(requests[0]["status"], 201);
    assert_eq!(requests[2]["answer"]["statusCode"], 400);
    assert!(!state.to_string().contains(KEY));
    assert_eq!(state["providers"]["vapi"]["assistants"][0]["name"], "a");
    let credentials = state["providers"]["vapi"]["credentials"].to_string();
    assert!(!credentials.contains("bearer-token"));
    let since = requests[1]["seq"].as_u64().unwrap();
    let (_, later) = sandbox.control(Method::GET, &format!("/state?since={since}"), json!(null)).await;
    assert_eq!(later["requests"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_seed_and_a_frozen_clock_make_everything_repeatable() {
    let sandbox = Sandbox::start().await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let (status, _) = sandbox.control(Method::POST, "/reset", json!({ "seed": 7 })).await;
        assert_eq!(status, StatusCode::OK);
        let (_, clock) =
            sandbox.control(Method::POST, "/clock", json!({ "now": "2026-11-20T10:00:00Z" })).await;
        assert_eq!(clock["now"], "2026-11-20T10:00:00.000Z");
        sandbox.make("/assistant", json!({ "name": "a" })).await;
        sandbox.make("/phone-number", json!({ "provider": "vapi" })).await;
        let state = sandbox.state().await;
        runs.push((state["providers"].clone(), state["requests"][0]["at"].clone()));
    }
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0].0["vapi"]["assistants"][0]["createdAt"], "2026-11-20T10:00:00.000Z");
    sandbox.control(Method::POST, "/reset", json!({})).await;
    assert_eq!(sandbox.state().await["providers"]["vapi"]["assistants"], json!([]));
    let (status, _) = sandbox.control(Method::POST, "/clock", json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn it_does_not_listen_to_the_world() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(listener, Options::default(), std::future::pending()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_announces_itself_once_and_stops_at_once_when_told() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_voxanne-sandbox"))
        .args(["--port", "0", "--seed", "1", "--vapi-key", "k"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let base = line.strip_prefix("listening on ").unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    // A request that would never be answered must not hold it up.
    let fault = json!({ "provider": "vapi", "kind": "timeout" });
    http.post(format!("{base}/_sandbox/faults")).json(&fault).send().await.unwrap();
    let waiting = tokio::spawn(http.get(format!("{base}/vapi/assistant")).bearer_auth("k").send());
    let state = async || -> serde_json::Value {
        http.get(format!("{base}/_sandbox/state")).send().await.unwrap().json().await.unwrap()
    };
    while state().await["requests"].as_array().unwrap().is_empty() {}
    let started = Instant::now();
    Command::new("kill").args(["-TERM", &program.id().to_string()]).status().unwrap();
    let status = tokio::task::spawn_blocking(move || program.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(lines.next().is_none(), "one line, no more");
    assert!(waiting.await.unwrap().is_err());
}
