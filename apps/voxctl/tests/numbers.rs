//! `voxctl numbers` and `voxctl access verify` against the provider sandbox and a database of their own.
#![expect(
    clippy::disallowed_methods,
    reason = "a test speaks to its own stand-in and vouches for its organization"
)]
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    process::{Command, Output, Stdio},
    sync::Arc,
};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::net::TcpListener;
use voxanne_boot::{NumbersSettings, Reader};
use voxanne_kernel::{Actor, Clock, OrgScope, SystemClock, ids::OrgId};
use voxanne_postgres::{PgStore, PoolSettings};
use voxanne_sandbox::{Options, TwilioLogin, serve};
use voxanne_telephony::numbers::{Limits, Provisioned, Wish};
use voxanne_testkit::TestDb;
use voxanne_twilio::{ManagedNumbers, ParentAccount, TwilioClient};
use voxanne_vapi::{Vapi, VapiClient, VapiSettings};

const KEY: &str = "private-key";
const SID: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "the-platforms-token";
const ORG: &str = "018f0000-0000-7000-8000-000000000001";

/// A database, the providers' stand-in, and an organization that all of them know.
struct World {
    db: TestDb,
    sandbox: String,
    http: reqwest::Client,
}

impl World {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox = format!("http://{}", listener.local_addr().unwrap());
        let login = TwilioLogin { sid: SID.to_owned(), token: TOKEN.to_owned() };
        let options =
            Options { vapi_keys: vec![KEY.into()], twilio_account: Some(login), ..Options::default() };
        // It ends with the test's runtime.
        tokio::spawn(serve(listener, options, std::future::pending()));
        voxanne_boot::install_tls();
        Self { db: TestDb::new().await, sandbox, http: reqwest::Client::new() }
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("DATABASE_URL", self.db.app_url()),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned()),
            ("VAPI_PRIVATE_KEY", KEY.to_owned()),
            ("VAPI_BASE_URL", format!("{}/vapi", self.sandbox)),
            ("BACKEND_URL", "https://api.example.test".to_owned()),
            ("TWILIO_BASE_URL", format!("{}/twilio", self.sandbox)),
            ("TWILIO_ACCOUNT_SID", SID.to_owned()),
            ("TWILIO_AUTH_TOKEN", TOKEN.to_owned()),
        ]
    }

    /// Runs `voxctl`; off this thread, where the sandbox answers.
    async fn voxctl(&self, line: &str) -> Output {
        self.voxctl_with(line, Vec::new()).await
    }

    /// The same with other settings.
    async fn voxctl_with(&self, line: &str, settings: Vec<(&'static str, String)>) -> Output {
        let arguments: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        let variables: Vec<_> = self.variables().into_iter().chain(settings).collect();
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

    /// What a command prints that has to end with `code`.
    async fn says(&self, line: &str, code: i32) -> String {
        let output = self.voxctl(line).await;
        let (said, complaint) =
            (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(code), "{line}: {said}{complaint}");
        said
    }

    async fn json(&self, line: &str, code: i32) -> Value {
        serde_json::from_str(&self.says(&format!("{line} --json"), code).await).unwrap()
    }

    async fn vapi(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let request = self.http.request(method.parse().unwrap(), format!("{}/vapi{path}", self.sandbox));
        let request = request.bearer_auth(KEY);
        let request = body.iter().fold(request, reqwest::RequestBuilder::json);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    async fn sql(&self, statement: &str) {
        self.db.owner().await.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
    }

    /// A verified organization whose assistant carries one tool.
    async fn clinic(&self) -> OrgScope {
        let function = json!({ "type": "function", "function": { "name": "t", "parameters": { "type": "object", "properties": { "a": { "type": "string" } } } } });
        let tool = self.vapi("POST", "/tool", Some(function)).await;
        let tool = tool["id"].as_str().unwrap();
        let model = json!({ "provider": "openai", "model": "gpt-4o", "toolIds": [tool],
                            "messages": [{ "role": "system", "content": "Hello" }] });
        let assistant =
            self.vapi("POST", "/assistant", Some(json!({ "name": "Glow", "model": model }))).await;
        let assistant = assistant["id"].as_str().unwrap();
        self.sql(&format!(
            "insert into organizations (id, name, timezone, status) values ('{ORG}', 'Glow', 'UTC', 'verified');
             insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
             values (gen_random_uuid(), '{ORG}', 'inbound', '{assistant}', 'Glow', 'x', 'Clara');
             insert into org_tools (org_id, tool_name, vapi_tool_id, definition_hash, state)
             values ('{ORG}', 't', '{tool}', 'h', 'linked')"
        ))
        .await;
        OrgScope::vouch(OrgId(ORG.parse().unwrap()), Actor::System)
    }

    /// What the programs have for numbers.
    fn managed(&self) -> ManagedNumbers {
        let variables = self.variables().into_iter().map(|(name, value)| (name.into(), value.into()));
        let NumbersSettings { voice, providers, .. } = NumbersSettings::read(Reader::new(variables)).unwrap();
        let store = Arc::new(PgStore::new(&PoolSettings::new(self.db.app_url(), "test")).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let client = TwilioClient::new(providers.base_urls.twilio).unwrap();
        let parent = Arc::new(ParentAccount::new(client, SID.to_owned(), TOKEN.into()).unwrap());
        let hook = "https://api.example.test/api/vapi/webhook".to_owned();
        let client = VapiClient::new(VapiSettings::new(voice.vapi.base_url, voice.vapi.private_key)).unwrap();
        let vapi = Arc::new(Vapi::new(client, hook, clock.clone()));
        let limits = Limits { numbers: 3, purchases_per_day: 10 };
        let here = voice.backend.url.parse().unwrap();
        ManagedNumbers::new(&store, voice.encryption.keys, (&parent, &vapi), here, &clock, limits)
    }

    async fn buy(&self, scope: &OrgScope) -> String {
        let country = "US".parse().unwrap();
        let wish = Wish { country, area_code: None, number: None, allow_fallback: false };
        match self.managed().provision.run(scope, wish).await.unwrap() {
            Provisioned::Active(number) => number.number.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Buys a number in the platform's own account by hand.
    async fn plant_in_own_account(&self, number: &str, tag: &str) {
        let url = format!("{}/twilio/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers.json", self.sandbox);
        let form = [("PhoneNumber", number), ("FriendlyName", tag)];
        let bought = self.http.post(url).basic_auth(SID, Some(TOKEN)).form(&form).send().await.unwrap();
        assert_eq!(bought.status(), 201);
    }

    /// Buys a number in the organization's subaccount by hand.
    async fn plant_at_twilio(&self, number: &str) {
        let base = format!("{}/twilio/2010-04-01/Accounts", self.sandbox);
        let list = self.http.get(format!("{base}.json")).basic_auth(SID, Some(TOKEN)).send().await.unwrap();
        let list: Value = list.json().await.unwrap();
        let account =
            list["accounts"].as_array().unwrap().iter().find(|account| account["sid"] != SID).unwrap();
        let url = format!("{base}/{}/IncomingPhoneNumbers.json", account["sid"].as_str().unwrap());
        let form = [("PhoneNumber", number), ("FriendlyName", "by hand")];
        let bought = self.http.post(url).basic_auth(SID, Some(TOKEN)).form(&form).send().await.unwrap();
        assert_eq!(bought.status(), 201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_listed_released_and_gone() {
    let world = World::new().await;
    let scope = world.clinic().await;
    assert!(world.says("numbers list", 0).await.contains("no managed numbers"));
    let number = world.buy(&scope).await;
    for line in ["numbers list".to_owned(), format!("numbers list {ORG}")] {
        let listed = world.json(&line, 0).await;
        let row = &listed["data"][0];
        assert_eq!((&row["phoneNumber"], &row["status"]), (&json!(number), &json!("active")), "{listed}");
        assert_eq!(row["organizationId"], ORG);
    }
    let elsewhere = world.json("numbers list 018f0000-0000-7000-8000-0000000000ff", 0).await;
    assert_eq!(elsewhere["data"], json!([]));
    world.says(&format!("numbers release 018f0000-0000-7000-8000-0000000000ff {number}"), 1).await;
    let released = world.json(&format!("numbers release {ORG} {number}"), 0).await;
    assert_eq!(released["success"], true, "{released}");
    assert_eq!(world.json("numbers list", 0).await["data"][0]["status"], "released");
    let left = world.vapi("GET", "/phone-number", None).await;
    assert_eq!(left, json!([]));
    assert!(world.says("numbers reconcile", 0).await.contains("NO STRAYS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn strays_are_reported_and_only_they_go_and_only_when_told() {
    let world = World::new().await;
    let scope = world.clinic().await;
    let kept = world.buy(&scope).await;
    assert!(world.says("numbers reconcile", 0).await.contains("NO STRAYS"));
    world.plant_at_twilio("+12125550142").await;
    let stray = json!({ "provider": "vapi", "name": format!("org-{ORG}"), "numberDesiredAreaCode": "212" });
    world.vapi("POST", "/phone-number", Some(stray)).await;
    // What Vapi provided a moment ago may be a setup under way, so only the carrier's counts yet.
    let report = world.json("numbers reconcile", 1).await;
    assert_eq!(report["strays"], json!({ "twilio": 1, "vapi": 0, "database": 0 }), "{report}");
    assert_eq!(report["data"][0]["phoneNumber"], "+12125550142");
    let report = world.json("numbers reconcile --release", 1).await;
    assert_eq!(report["data"][0]["release"], "releasing", "{report}");
    let listed = world.json("numbers list", 0).await;
    let row = listed["data"].as_array().unwrap().iter().find(|row| row["status"] == "releasing").unwrap();
    assert_eq!(row["phoneNumber"], "+12125550142");
    // The worker goes on; or an operator does.
    assert_eq!(world.json(&format!("numbers release {ORG} +12125550142"), 0).await["success"], true);
    assert!(world.says("numbers reconcile", 0).await.contains("NO STRAYS"));
    let listed = world.json("numbers list", 0).await;
    assert!(
        listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["phoneNumber"] == kept && row["status"] == "active")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_carries_our_marks_alone_is_a_stray_and_what_is_others_is_left() {
    let world = World::new().await;
    let scope = world.clinic().await;
    world.buy(&scope).await;
    let nobody = "018f0000-0000-7000-8000-0000000000ff";
    let marked = |org: &str, setup: Option<&str>| {
        let mut marks = json!({ "org_id": org, "kind": "inbound" });
        if let Some(setup) = setup {
            marks["setup_id"] = json!(setup);
        }
        json!({ "name": "x", "metadata": marks })
    };
    for (org, setup) in [(nobody, Some(nobody)), (ORG, Some(nobody)), ("crm-7", Some("7")), (nobody, None)] {
        world.vapi("POST", "/assistant", Some(marked(org, setup))).await;
    }
    world.plant_in_own_account("+12125550143", &format!("voxanne-setup:{nobody}")).await;
    world.plant_in_own_account("+12125550144", "front desk").await;
    let report = world.json("numbers reconcile", 1).await;
    assert_eq!(report["strays"], json!({ "twilio": 1, "vapi": 2, "database": 0 }), "{report}");
    let report = world.json("numbers reconcile --release", 1).await;
    let became = report["data"].as_array().unwrap().iter().map(|stray| stray["release"].clone());
    assert_eq!(became.collect::<Vec<_>>(), ["released"; 3], "{report}");
    assert!(world.says("numbers reconcile", 0).await.contains("NO STRAYS"));
    assert_eq!(world.vapi("GET", "/assistant", None).await.as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_asks_each_provider_that_is_configured_about_our_account() {
    let world = World::new().await;
    let settings = |more: &[(&'static str, &str)]| {
        let mut settings = vec![
            ("JWT_SECRET", "a-secret-of-more-than-thirty-two-characters".to_owned()),
            ("ADMIN_EMAIL_FROM_USER", "Voxanne <hello@clinic.example>".to_owned()),
            ("RESEND_BASE_URL", format!("{}/resend", world.sandbox)),
        ];
        settings.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        settings
    };
    let examined = async |more: &[(&'static str, &str)]| {
        let output = world.voxctl_with("doctor --json", settings(more)).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let checks = report["checks"].as_array().unwrap().iter();
        let named =
            |name: &str| checks.clone().find(|check| check["check"] == name).map(|check| check["ok"] == true);
        (named("Vapi"), named("Twilio"), named("Resend"), named("SendGrid"))
    };
    assert_eq!(examined(&[]).await, (Some(true), Some(true), None, None));
    let found = examined(&[("RESEND_API_KEY", "re_sandbox")]).await;
    assert_eq!(found, (Some(true), Some(true), Some(true), None));
    let wrong = [("TWILIO_AUTH_TOKEN", "another"), ("RESEND_API_KEY", "re_wrong")];
    assert_eq!(examined(&wrong).await, (Some(true), Some(false), Some(false), None));
    assert_eq!(examined(&[("TWILIO_FROM_NUMBER", "+12125550142")]).await.1, Some(false), "it is not ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn access_is_verified_from_end_to_end() {
    let world = World::new().await;
    let scope = world.clinic().await;
    let verify = format!("access verify --org {ORG}");
    let failing = async |line: &str| {
        let report = world.json(line, 1).await;
        assert_eq!(report["ok"], false);
        let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] == false);
        failed.map(|check| check["check"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(failing(&verify).await, ["twilio", "routing", "vapi_number"]);
    world.buy(&scope).await;
    let said = world.says(&verify, 0).await;
    assert_eq!(said.lines().count(), 7, "{said}");
    assert!(said.lines().all(|line| line.starts_with("ok ")), "{said}");

    world.sql("update org_tools set state = 'pending'").await;
    assert_eq!(failing(&verify).await, ["tools"]);
    world.sql("update org_tools set state = 'linked'").await;
    world.sql("update organizations set status = 'suspended'").await;
    assert_eq!(failing(&verify).await, ["organization"]);
    world.sql("update organizations set status = 'verified', answer_mode = 'dynamic'").await;
    assert_eq!(failing(&verify).await, ["vapi_number"]);
    world.sql("update organizations set answer_mode = 'bound'").await;
    let numbers = world.vapi("GET", "/phone-number", None).await;
    let path = format!("/phone-number/{}", numbers[0]["id"].as_str().unwrap());
    world.vapi("DELETE", &path, None).await;
    assert_eq!(failing(&verify).await, ["vapi_number"]);
    let nobody = world.voxctl("access verify --org 018f0000-0000-7000-8000-0000000000ff").await;
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("no such organization"));
}
