//! `--state`: what outlives the sandbox, and what a file must be.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use voxanne_sandbox::{Options, Sandbox as Program};

use crate::backend::{Backend, SECRET};
use crate::harness::{Sandbox, id};

async fn started(file: &Path) -> Sandbox {
    Sandbox::with(Options { state: Some(file.to_owned()), ..Options::default() }).await
}

/// A clinic whose messages are signed and whose tool answers.
async fn open_clinic(sandbox: &Sandbox, backend: &Backend) {
    let plan = json!({
        "type": "hmac", "secretKey": SECRET, "algorithm": "sha256", "signatureEncoding": "hex",
        "signatureHeader": "x-vapi-signature", "timestampHeader": "x-vapi-timestamp",
        "includeTimestamp": true, "payloadFormat": "{timestamp}.{body}",
    });
    let credential = json!({ "provider": "custom-credential", "authenticationPlan": plan });
    let credential = sandbox.make("/credential", credential).await;
    let tool = json!({ "type": "function", "function": { "name": "book" } });
    let tool = sandbox.make("/tool", tool).await;
    let assistant = json!({
        "model": { "provider": "openai", "model": "gpt-4o", "toolIds": [tool["id"]] },
        "server": { "url": backend.url, "credentialId": credential["id"] },
        "credentialIds": [credential["id"]],
    });
    let assistant = sandbox.make("/assistant", assistant).await;
    let number = json!({ "provider": "vapi", "assistantId": assistant["id"] });
    sandbox.make("/phone-number", number).await;
}

fn script() -> Value {
    json!({ "conversation": [
        { "user": "Hello" }, { "tool": "book", "arguments": {}, "expect": { "error": false } },
    ] })
}

async fn held(sandbox: &Sandbox) -> Value {
    sandbox.state().await["providers"]["vapi"].clone()
}

#[tokio::test]
async fn the_next_sandbox_goes_on_with_everything_but_calls_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let backend = Backend::start().await;
    let first = started(&file).await;
    open_clinic(&first, &backend).await;
    let played = first.play(script()).await;
    assert_eq!(played["ok"], true, "{played}");
    let before = held(&first).await;
    let order = json!({
        "assistantId": before["assistants"][0]["id"], "phoneNumberId": before["phoneNumbers"][0]["id"],
        "customer": { "number": "+15005550001" },
    });
    assert_eq!(first.make("/call", order).await["status"], "queued");
    let old_base = first.base.clone();
    first.stop().await;

    let second = started(&file).await;
    let moved = before.to_string().replace(&old_base, &second.base);
    let mut after = held(&second).await;
    let listen = after["calls"][0]["monitor"]["listenUrl"].take();
    assert!(listen.is_string());
    let mut moved: Value = serde_json::from_str(&moved).unwrap();
    moved["calls"][0]["monitor"]["listenUrl"].take();
    assert_eq!(after, moved);
    // The line still reaches the clinic, whose secret still signs; what is new is really new.
    let played = second.play(script()).await;
    assert_eq!(played["ok"], true, "{played}");
    assert_eq!(backend.messages("tool-calls").len(), 2);
    let call = second.get(&format!("/call/{}", played["callId"].as_str().unwrap())).await;
    assert_ne!(id(&call), id(&before["calls"][0]));
    let recording = format!("/vapi/call/{}/mono-recording", id(&before["calls"][0]));
    assert_eq!(second.raw(Method::GET, &recording).await.unwrap().status(), StatusCode::FOUND);
    let assistant = second.make("/assistant", json!({})).await;
    assert!(!before.to_string().contains(id(&assistant)));
}

#[tokio::test]
async fn what_a_reset_forgot_does_not_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let first = started(&file).await;
    first.make("/assistant", json!({})).await;
    first.control(Method::POST, "/reset", json!({})).await;
    first.stop().await;
    assert_eq!(held(&started(&file).await).await["assistants"], json!([]));
}

#[tokio::test]
async fn the_file_is_private_and_nothing_else_is_left_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let sandbox = started(&file).await;
    sandbox.make("/assistant", json!({})).await;
    sandbox.stop().await;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_file_that_is_no_state_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let good = {
        let file = directory.path().join("good.json");
        started(&file).await.stop().await;
        serde_json::from_slice::<Value>(&fs::read(file).unwrap()).unwrap()
    };
    let with = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed.to_string()
    };
    let check = async |content: &str, reason: &str| {
        let file = directory.path().join("state.json");
        fs::write(&file, content).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { state: Some(file.clone()), ..Options::default() };
        let error = Program::open(listener, options).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()), "{error}");
        assert!(error.contains(reason), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    };
    check("", "EOF").await;
    check("{", "EOF").await;
    check("[]", "its format is null").await;
    check(&with("/format", json!(2)), "its format is 2, and this sandbox reads 1").await;
    check(&with("/ids", json!({})), "seed").await;
    check(&with("/providers", json!({ "other": {} })), "there is no provider other").await;
    check(&with("/providers/vapi", json!({})), "vapi: missing field").await;
    check(&with("/providers/vapi/tools", json!([{}])), "an object without an id").await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("missing").join("state.json");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { state: Some(file.clone()), ..Options::default() };
    let error = Program::open(listener, options).unwrap_err().to_string();
    assert!(error.contains(&format!("cannot write {}", file.display())), "{error}");
}

/// The program itself, killed when it is dropped.
struct Running {
    child: Child,
    base: String,
}

impl Running {
    fn start(file: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_voxanne-sandbox"))
            .args(["--port", "0", "--seed", "1", "--state"])
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let base = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { child, base }
    }

    async fn make_assistant(&self, http: &reqwest::Client) -> String {
        let url = format!("{}/vapi/assistant", self.base);
        let made = http.post(url).bearer_auth("k").json(&json!({})).send().await.unwrap();
        id(&made.json().await.unwrap()).to_owned()
    }

    async fn assistants(&self, http: &reqwest::Client) -> Vec<String> {
        let url = format!("{}/vapi/assistant", self.base);
        let all: Value = http.get(url).bearer_auth("k").send().await.unwrap().json().await.unwrap();
        all.as_array().unwrap().iter().map(|one| id(one).to_owned()).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_program_loses_no_more_than_the_last_moment_and_one_that_is_told_to_stop_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let first = Running::start(&file);
    let one = first.make_assistant(&http).await;
    let begun = Instant::now();
    while !fs::read_to_string(&file).unwrap().contains(&one) {
        assert!(begun.elapsed() < Duration::from_secs(5), "it is saved without being asked");
        tokio::task::yield_now().await;
    }
    drop(first);

    let mut second = Running::start(&file);
    assert_eq!(second.assistants(&http).await, [one.as_str()]);
    let other = second.make_assistant(&http).await;
    assert_ne!(one, other, "the seed goes on and does not start over");
    Command::new("kill").args(["-TERM", &second.child.id().to_string()]).status().unwrap();
    assert!(second.child.wait().unwrap().success());

    assert_eq!(Running::start(&file).assistants(&http).await, [other, one]);
}

#[test]
fn the_program_refuses_a_damaged_file_without_saying_that_it_listens() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state.json");
    fs::write(&file, "{").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_voxanne-sandbox"));
    let output = program.args(["--port", "0", "--state"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&file.display().to_string()), "{said}");
}
