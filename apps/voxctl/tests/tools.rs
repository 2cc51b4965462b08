//! `voxctl tools` and `voxctl vapi audit` against the provider sandbox and a database of their own.
#![expect(clippy::disallowed_methods, reason = "a test speaks to its own stand-in")]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::net::TcpListener;
use voxanne_sandbox::{Options, serve};
use voxanne_testkit::TestDb;

const KEY: &str = "private-key";
const BACKEND: &str = "https://api.example.test";
const PROMPT: &str = "You are Glow's receptionist.\nBe kind.";

/// A database, Vapi's stand-in, and the organizations that both know.
struct World {
    db: TestDb,
    vapi: String,
    http: reqwest::Client,
}

/// An organization and its inbound assistant.
struct Clinic {
    org: String,
    assistant: String,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let vapi = format!("http://{}/vapi", listener.local_addr().unwrap());
        // It ends with the test's runtime.
        tokio::spawn(serve(
            listener,
            Options { vapi_keys: vec![KEY.into()], ..Options::default() },
            std::future::pending(),
        ));
        Self { db: TestDb::new().await, vapi, http: reqwest::Client::new() }
    }

    /// Runs `voxctl`; off this thread, where the sandbox answers.
    async fn voxctl(&self, line: &str) -> Output {
        let arguments: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let variables = [
            ("DATABASE_URL", self.db.app_url()),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned()),
            ("VAPI_PRIVATE_KEY", KEY.to_owned()),
            ("VAPI_BASE_URL", self.vapi.clone()),
            ("BACKEND_URL", BACKEND.to_owned()),
        ];
        let run = move || {
            Command::new(env!("CARGO_BIN_EXE_voxctl"))
                .args(arguments)
                .env_clear()
                .envs(variables)
                .stdin(Stdio::null())
                .output()
        };
        tokio::task::spawn_blocking(run).await.unwrap().unwrap()
    }

    /// What a command prints that has to end with `code`, and its last line.
    async fn says(&self, line: &str, code: i32) -> (String, String) {
        let output = self.voxctl(line).await;
        let (said, complaint) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{line}: {said}{complaint}");
        let last = said.lines().last().unwrap_or_default().to_owned();
        (said, last)
    }

    async fn json(&self, line: &str, code: i32) -> Value {
        serde_json::from_str(&self.says(&format!("{line} --json"), code).await.0).unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.vapi));
        let request = request.bearer_auth(KEY);
        let request = body.iter().fold(request, reqwest::RequestBuilder::json);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn plant(&self, path: &str, body: &Value) -> String {
        self.ask("POST", path, Some(body)).await["id"].as_str().unwrap().to_owned()
    }

    async fn patch(&self, path: &str, body: &Value) {
        self.ask("PATCH", path, Some(body)).await;
    }

    async fn assistant(&self, clinic: &Clinic) -> Value {
        self.ask("GET", &format!("/assistant/{}", clinic.assistant), None).await
    }

    async fn tools(&self) -> Vec<Value> {
        serde_json::from_value(self.ask("GET", "/tool", None).await).unwrap()
    }

    async fn sql(&self, statement: String) {
        self.db.owner().await.execute(AssertSqlSafe(statement)).await.unwrap();
    }

    /// An organization whose assistant was made by a program that knew no tools yet.
    async fn clinic(&self, number: u8) -> Clinic {
        let org = format!("018f0000-0000-7000-8000-0000000000{number:02}");
        let plan = json!({ "type": "hmac", "secretKey": "s", "algorithm": "sha256" });
        let credential = json!({ "provider": "custom-credential", "name": org, "authenticationPlan": plan });
        let credential = self.plant("/credential", &credential).await;
        let assistant = json!({
            "name": "Glow inbound",
            "model": {
                "provider": "openai", "model": "gpt-4o", "temperature": 0.7,
                "messages": [{ "role": "system", "content": PROMPT }],
            },
            "metadata": { "org_id": org, "kind": "inbound", "managed_by": "voxanne" },
        });
        let assistant = self.plant("/assistant", &assistant).await;
        self.sql(format!(
            "insert into organizations (id, name, timezone, status) values ('{org}', 'Glow', 'UTC', 'verified');
             insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, first_message, voice_id)
             values (gen_random_uuid(), '{org}', 'inbound', '{assistant}', 'Glow inbound', 'x', 'x', 'Clara');
             insert into org_credentials (id, org_id, provider, source, sealed, key_id, metadata)
             values (gen_random_uuid(), '{org}', 'vapi_webhook', 'system', 'x', 'k',
                     '{{\"provider_credential_id\": \"{credential}\"}}')"
        ))
        .await;
        Clinic { org, assistant }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_system_is_clean_and_has_nothing_to_sync() {
    let world = World::new().await;
    assert_eq!(world.says("vapi audit", 0).await.1, "SYSTEM IS CLEAN");
    let status = world.json("tools status", 0).await;
    assert_eq!(status["data"].as_array().unwrap().len(), 8);
    assert_eq!(status["data"][0]["toolId"], Value::Null);
    assert_eq!(world.says("tools sync --all", 0).await.1, "scanned 0, synced 0, failed 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_organizations_are_synced_once_and_again_when_told_to() {
    let world = World::new().await;
    let clinics = [world.clinic(1).await, world.clinic(2).await, world.clinic(3).await];
    let (said, last) = world.says("tools sync --all", 0).await;
    assert_eq!(last, "scanned 3, synced 3, failed 0", "{said}");
    for (line, clinic) in said.lines().zip(&clinics) {
        assert_eq!(line, format!("{} synced", clinic.org));
    }
    let tools = world.tools().await;
    assert_eq!(tools.len(), 8);
    for clinic in &clinics {
        let model = &world.assistant(clinic).await["model"];
        assert_eq!(model["toolIds"].as_array().unwrap().len(), 8);
        assert_eq!(model["messages"][0]["content"], PROMPT);
    }
    assert_eq!(world.says("tools sync --all", 0).await.1, "scanned 3, synced 3, failed 0");
    assert_eq!(world.says("tools sync --all --pending", 0).await.1, "scanned 3, synced 0, failed 0");
    let rest = world.json(&format!("tools sync --all --after {}", clinics[0].org), 0).await;
    assert_eq!((&rest["scanned"], &rest["synced"], &rest["failed"]), (&json!(2), &json!(2), &json!(0)));
    assert_eq!(rest["lastOrganizationId"], clinics[2].org);
    let status = world.json("tools status", 0).await;
    for tool in status["data"].as_array().unwrap() {
        assert_eq!((&tool["linked"], &tool["pending"], &tool["outdated"]), (&json!(3), &json!(0), &json!(0)));
    }
    let status = world.json(&format!("tools status {}", clinics[0].org), 0).await;
    assert!(status["data"].as_array().unwrap().iter().all(|tool| tool["state"] == "linked"));
    let nobody = world.voxctl("tools status 018f0000-0000-7000-8000-0000000000ff").await;
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("no such organization"));
    assert_eq!(world.says("vapi audit", 0).await.1, "SYSTEM IS CLEAN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_organization_that_fails_is_named_and_the_others_are_synced() {
    let world = World::new().await;
    let (bad, good) = (world.clinic(1).await, world.clinic(2).await);
    world.sql(format!("update org_credentials set metadata = '{{}}' where org_id = '{}'", bad.org)).await;
    let outcome = world.json("tools sync --all", 1).await;
    assert_eq!((&outcome["synced"], &outcome["failed"]), (&json!(1), &json!(1)));
    assert_eq!(outcome["failures"][0]["organizationId"], bad.org);
    assert_eq!(world.says(&format!("tools sync {}", good.org), 0).await.1, "scanned 1, synced 1, failed 0");
    assert_eq!(world.says(&format!("tools sync {}", bad.org), 1).await.1, "scanned 1, synced 0, failed 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn native_tools_are_found_and_removed_and_the_prompt_stays() {
    let world = World::new().await;
    let clinic = world.clinic(1).await;
    world.says("tools sync --all", 0).await;
    let before = world.assistant(&clinic).await;
    let native = world.plant("/tool", &json!({ "type": "slack.message.send" })).await;
    let mut model = before["model"].clone();
    model["tools"] = json!([{ "type": "google.calendar.event.create" }, { "type": "endCall" }]);
    model["toolIds"].as_array_mut().unwrap().push(json!(native));
    let elsewhere = json!({ "url": "https://elsewhere.example.test/hook" });
    world
        .patch(&format!("/assistant/{}", clinic.assistant), &json!({ "model": model, "server": elsewhere }))
        .await;

    let (said, last) = world.says("vapi audit", 1).await;
    assert_eq!(last, "5 findings", "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[..5].iter().all(|line| line.contains(&clinic.assistant) && line.contains(&clinic.org)));
    assert!(said.contains("google.calendar.event.create") && said.contains("slack.message.send"));
    let listed = world.json("vapi audit", 1).await;
    assert_eq!(
        (&listed["clean"], &listed["findings"][0]["code"]),
        (&json!(false), &json!("embedded_native_tool"))
    );

    let (said, last) = world.says("vapi audit --fix", 0).await;
    assert_eq!(last, "SYSTEM IS CLEAN", "{said}");
    let after = world.assistant(&clinic).await;
    for kept in ["model", "server", "credentialIds", "metadata", "name"] {
        assert_eq!(after[kept], before[kept], "{kept}");
    }
    assert_eq!(world.says("vapi audit", 0).await.1, "SYSTEM IS CLEAN");
}

#[tokio::test(flavor = "multi_thread")]
async fn strays_gone_assistants_and_tools_of_ours_with_a_server_are_put_right() {
    let world = World::new().await;
    let clinic = world.clinic(1).await;
    world.says("tools sync --all", 0).await;
    let metadata = |org: &str| json!({ "org_id": org, "kind": "inbound", "managed_by": "voxanne" });
    let second =
        world.plant("/assistant", &json!({ "name": "second", "metadata": metadata(&clinic.org) })).await;
    let nobodys = metadata("018f0000-0000-7000-8000-0000000000ff");
    let nobodys = world.plant("/assistant", &json!({ "name": "nobody's", "metadata": nobodys })).await;
    let bound =
        world.plant("/assistant", &json!({ "name": "bound", "metadata": metadata(&clinic.org) })).await;
    let number = json!({ "provider": "vapi", "assistantId": bound });
    let number = world.plant("/phone-number", &number).await;
    let theirs = world.plant("/assistant", &json!({ "name": "theirs" })).await;
    let tools = world.tools().await;
    let (served, gone) = (tools[0]["id"].as_str().unwrap(), tools[1]["id"].as_str().unwrap());
    world.patch(&format!("/tool/{served}"), &json!({ "server": { "url": "https://x.example.test" } })).await;
    world.ask("DELETE", &format!("/tool/{gone}"), None).await;

    let (said, last) = world.says("vapi audit --fix", 1).await;
    assert_eq!(last, "1 findings", "{said}");
    assert!(said.contains(&bound) && said.contains("second assistant"));
    world.ask("DELETE", &format!("/phone-number/{number}"), None).await;
    assert_eq!(world.says("vapi audit --fix", 0).await.1, "SYSTEM IS CLEAN");
    let left = world.ask("GET", "/assistant", None).await;
    let left: Vec<&str> = left.as_array().unwrap().iter().filter_map(|a| a["id"].as_str()).collect();
    assert!(left.contains(&theirs.as_str()) && left.contains(&clinic.assistant.as_str()));
    assert!(!left.contains(&second.as_str()) && !left.contains(&nobodys.as_str()) && left.len() == 2);
    let tools = world.tools().await;
    assert!(tools.len() == 8 && tools.iter().all(|tool| tool.get("server").is_none()));

    world.ask("DELETE", &format!("/assistant/{}", clinic.assistant), None).await;
    let (said, last) = world.says("vapi audit", 1).await;
    assert_eq!(last, "1 findings", "{said}");
    assert_eq!(world.says("vapi audit --fix", 0).await.1, "SYSTEM IS CLEAN");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_generation_is_replaced_and_deleted_in_the_end() {
    let world = World::new().await;
    let clinic = world.clinic(1).await;
    world.says("tools sync --all", 0).await;
    // As another program left it: the same tool with another description, registered under another hash.
    let old =
        world.tools().await.into_iter().find(|tool| tool["function"]["name"] == "transferCall").unwrap();
    let id = old["id"].as_str().unwrap();
    let mut function = old["function"].clone();
    function["description"] = json!("Puts callers through. [definition 0123456789ab]");
    world.patch(&format!("/tool/{id}"), &json!({ "function": function })).await;
    let hash = "0123456789ab".repeat(5);
    world
        .sql(format!(
            "update vapi_tools set definition_hash = '{hash}' where vapi_tool_id = '{id}';
             update org_tools set definition_hash = '{hash}' where vapi_tool_id = '{id}';
             insert into calls (id, org_id, vapi_call_id, call_type, status, started_at)
             values (gen_random_uuid(), '{}', 'c1', 'inbound', 'in_progress', now() - interval '1 minute')",
            clinic.org
        ))
        .await;
    let outcome = world.json("tools sync --all", 0).await;
    assert_eq!(
        (&outcome["synced"], &outcome["toolsDeleted"], &outcome["toolsKept"]),
        (&json!(1), &json!(0), &json!(1))
    );
    assert_eq!(world.tools().await.len(), 9, "a call that began before may still use it");
    let linked = world.assistant(&clinic).await["model"]["toolIds"].clone();
    assert!(linked.as_array().unwrap().len() == 8 && !linked.as_array().unwrap().contains(&json!(id)));

    world.sql("update calls set status = 'completed', ended_at = now()".to_owned()).await;
    let outcome = world.json("tools sync --all", 0).await;
    assert_eq!((&outcome["synced"], &outcome["toolsDeleted"]), (&json!(1), &json!(1)));
    assert!(world.tools().await.iter().all(|tool| tool["id"] != id));
    assert_eq!(world.says("vapi audit", 0).await.1, "SYSTEM IS CLEAN");
}
