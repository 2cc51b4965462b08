//! The programs together.

use std::{future::Future, net::TcpListener, time::Duration};

use anyhow::{Context, bail};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use voxanne_testkit::TestDb;

use crate::{Clinic, Program};

/// The settings that point a program at the sandbox, and the prefix that stands for each provider there.
const STAND_INS: [(&str, &str); 14] = [
    ("VAPI_BASE_URL", "vapi"),
    ("TWILIO_BASE_URL", "twilio"),
    ("GOOGLE_OAUTH_BASE_URL", "google"),
    ("GOOGLE_API_BASE_URL", "google"),
    ("MICROSOFT_OAUTH_BASE_URL", "microsoft"),
    ("MICROSOFT_API_BASE_URL", "microsoft"),
    ("RESEND_BASE_URL", "resend"),
    ("SENDGRID_BASE_URL", "sendgrid"),
    ("MAILGUN_BASE_URL", "mailgun"),
    ("POSTMARK_BASE_URL", "postmark"),
    ("SES_BASE_URL", "ses"),
    ("AFRICASTALKING_BASE_URL", "africastalking"),
    ("TERMII_BASE_URL", "termii"),
    ("WHATSAPP_BASE_URL", "whatsapp"),
];

const PASSWORD: &str = "correct horse battery staple";

/// What machines of the platform send as `X-Api-Key`.
pub const MACHINE_KEY: &str = "a machine's key";
/// What approvals by message are signed with.
pub const APPROVAL_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Everything running on one throw-away database.
pub struct Stack {
    /// The database.
    pub db: TestDb,
    /// An HTTP client.
    pub http: Client,
    /// The API, once or several times.
    pub servers: Vec<Server>,
    /// The worker, unless it was stopped.
    pub worker: Option<Program>,
    /// The providers' stand-in.
    pub sandbox: Program,
    /// Where the sandbox is.
    pub sandbox_url: String,
    folder: TempDir,
    metrics_port: u16,
    settings: Vec<(&'static str, String)>,
}

/// One process of the API.
#[derive(Debug)]
pub struct Server {
    /// The process.
    pub program: Program,
    /// Its base URL.
    pub url: String,
    port: u16,
}

/// Waits until `probe` gives something, for as long as a slow machine may need.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, probe: impl Fn() -> F) -> T {
    let waiting = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

fn setting<'a>(settings: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    settings.iter().find(|(known, value)| *known == name && !value.is_empty()).map(|(_, value)| *value)
}

/// The platform's account at Twilio, which is there from the start when it is configured.
fn twilio_account<'a>(settings: &[(&str, &'a str)]) -> Option<(&'a str, &'a str)> {
    setting(settings, "TWILIO_ACCOUNT_SID").zip(setting(settings, "TWILIO_AUTH_TOKEN"))
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Stack {
    /// Starts a sandbox, `servers` servers and a worker, and waits until all are ready.
    pub async fn start(servers: usize) -> anyhow::Result<Self> {
        Self::start_with(servers, &[]).await
    }

    /// The same with settings that replace or join the usual ones; an empty value takes one away.
    pub async fn start_with(servers: usize, changed: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let db = TestDb::new().await;
        let folder = TempDir::new()?;
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_mins(1))
            .pool_max_idle_per_host(64)
            .build()?;
        let sandbox_port = free_port()?;
        let sandbox_url = format!("http://127.0.0.1:{sandbox_port}");
        let mut arguments = vec!["--port".to_owned(), sandbox_port.to_string()];
        if let Some((sid, token)) = twilio_account(changed) {
            arguments.extend(["--twilio-account".to_owned(), format!("{sid}:{token}")]);
        }
        let sandbox = Program::start("voxanne-sandbox", &arguments, &[], folder.path())?;
        let settings = changed.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let metrics_port = free_port()?;
        let (servers_wanted, servers) = (servers, Vec::new());
        let worker = None;
        let mut stack =
            Self { db, http, servers, worker, sandbox, sandbox_url, folder, metrics_port, settings };
        for _ in 0..servers_wanted {
            let port = free_port()?;
            let program = stack.server_on(port)?;
            stack.servers.push(Server { program, url: format!("http://127.0.0.1:{port}"), port });
        }
        stack.start_worker()?;
        for index in 0..servers_wanted {
            stack.ready(index).await?;
        }
        stack.hold_the_platforms_number(changed).await?;
        Ok(stack)
    }

    /// The platform's account holds the number that it calls from.
    async fn hold_the_platforms_number(&self, settings: &[(&str, &str)]) -> anyhow::Result<()> {
        let (Some((sid, _)), Some(number)) =
            (twilio_account(settings), setting(settings, "TWILIO_FROM_NUMBER"))
        else {
            return Ok(());
        };
        let url = format!("{}/_sandbox/twilio/accounts/{sid}", self.sandbox_url);
        let answer = loop {
            // It may not listen yet.
            match self.http.patch(&url).json(&json!({ "numbers": [number] })).send().await {
                Err(error) if error.is_connect() => tokio::time::sleep(Duration::from_millis(25)).await,
                answer => break answer?,
            }
        };
        anyhow::ensure!(answer.status().is_success(), "{}", answer.text().await?);
        Ok(())
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut environment = vec![
            ("DATABASE_URL", self.db.app_url()),
            ("BACKEND_URL", self.servers.first().map_or_else(String::new, |server| server.url.clone())),
            ("JWT_SECRET", "a test's secret of thirty-two bytes and more".to_owned()),
            ("ENCRYPTION_KEY", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=".to_owned()),
            ("VAPI_PRIVATE_KEY", "sandbox-private-key".to_owned()),
            ("GOOGLE_CLIENT_ID", "sandbox-client".to_owned()),
            ("GOOGLE_CLIENT_SECRET", "sandbox-secret".to_owned()),
            ("MICROSOFT_CLIENT_ID", "sandbox-client".to_owned()),
            ("MICROSOFT_CLIENT_SECRET", "sandbox-secret".to_owned()),
            ("RUST_LOG", "info,sqlx=warn".to_owned()),
            ("BACKEND_API_KEY", MACHINE_KEY.to_owned()),
            ("APPROVAL_WEBHOOK_SECRET", APPROVAL_SECRET.to_owned()),
            ("STORAGE_URL", format!("file://{}", self.folder.path().join("files").display())),
            ("RESEND_API_KEY", "re_sandbox".to_owned()),
            ("ADMIN_EMAIL_FROM_USER", "Voxanne <hello@clinic.example>".to_owned()),
        ];
        environment
            .extend(STAND_INS.map(|(name, provider)| (name, format!("{}/{provider}", self.sandbox_url))));
        for (name, value) in &self.settings {
            environment.retain(|(known, _)| known != name);
            environment.push((*name, value.clone()));
        }
        // An empty variable is as good as none to our programs.
        environment
    }

    fn server_on(&self, port: u16) -> anyhow::Result<Program> {
        let mut environment = self.environment();
        environment.push(("PORT", port.to_string()));
        if self.servers.is_empty() {
            environment.retain(|(name, _)| *name != "BACKEND_URL");
            environment.push(("BACKEND_URL", format!("http://127.0.0.1:{port}")));
        }
        Program::start("voxanne-server", &[], &environment, self.folder.path())
    }

    /// Starts the worker, again if it was killed.
    pub fn start_worker(&mut self) -> anyhow::Result<()> {
        let mut environment = self.environment();
        environment.push(("METRICS_PORT", self.metrics_port.to_string()));
        self.worker = Some(Program::start("voxanne-worker", &[], &environment, self.folder.path())?);
        Ok(())
    }

    /// Starts one more worker beside the others, which whoever asked for it looks after.
    pub fn start_another_worker(&self) -> anyhow::Result<Program> {
        let mut environment = self.environment();
        environment.push(("METRICS_PORT", "0".to_owned()));
        Program::start("voxanne-worker", &[], &environment, self.folder.path())
    }

    /// Changes a setting for the programs that are started from now on.
    pub fn set(&mut self, name: &'static str, value: &str) {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
    }

    /// Starts `voxctl` and leaves it running.
    pub fn start_voxctl(&self, arguments: &[&str]) -> anyhow::Result<Program> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Program::start("voxctl", &arguments, &self.environment(), self.folder.path())
    }

    /// Kills the worker with SIGKILL.
    pub async fn kill_worker(&mut self) {
        if let Some(mut worker) = self.worker.take() {
            worker.kill().await;
        }
    }

    /// Kills a server with SIGKILL and starts it again on the same port.
    pub async fn crash_server(&mut self, index: usize) -> anyhow::Result<()> {
        self.servers[index].program.kill().await;
        let port = self.servers[index].port;
        self.servers[index].program = self.server_on(port)?;
        self.ready(index).await
    }

    /// Waits until a server says that it is ready.
    pub async fn ready(&self, index: usize) -> anyhow::Result<()> {
        let url = format!("{}/ready", self.servers[index].url);
        let probe = async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        };
        let waiting = async {
            while probe().await.is_none() {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(1), waiting).await.is_err() {
            bail!("the server did not get ready:\n{}", self.servers[index].program.output());
        }
        Ok(())
    }

    /// The first server's URL with `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.servers[0].url)
    }

    /// Runs `voxctl` and gives what it printed.
    pub async fn voxctl(&self, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        use tokio::io::AsyncWriteExt;
        let test = std::env::current_exe()?;
        let path = test.ancestors().nth(2).context("a target directory")?.join("voxctl");
        let mut environment = self.environment();
        environment.push(("DATABASE_MIGRATION_URL", self.db.owner_url()));
        let mut child = tokio::process::Command::new(path)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(key, value)| (*key, value.as_str())))
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        child.stdin.take().context("its input")?.write_all(input.as_bytes()).await?;
        let output = child.wait_with_output().await?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        if !output.status.success() {
            bail!("voxctl {arguments:?} ended with {}: {out}{err}", output.status);
        }
        Ok(out)
    }

    /// A new operator's access token.
    pub async fn operator(&self) -> anyhow::Result<String> {
        let email = format!("operator-{}@voxanne.example", uuid::Uuid::now_v7().simple());
        let made = self
            .voxctl(&["admin", "create", "--email", &email, "--password-stdin", "--json"], PASSWORD)
            .await?;
        let made: Value = serde_json::from_str(made.trim()).context(made)?;
        let user = made["userId"].as_str().context("userId")?;
        let token = self.voxctl(&["token", "--user", user, "--role", "platform_admin"], "").await?;
        Ok(token.trim().to_owned())
    }

    /// Signs a clinic up; it waits for approval.
    pub async fn sign_up(&self, name: &str) -> anyhow::Result<Clinic> {
        let email = format!("owner-{}@clinic.example", uuid::Uuid::now_v7().simple());
        let body = json!({
            "email": email, "password": PASSWORD, "organizationName": name, "timezone": "America/New_York",
            "tokenTransport": "body",
        });
        let answer = self.http.post(self.url("/api/auth/signup")).json(&body).send().await?;
        let status = answer.status();
        let answer: Value = answer.json().await?;
        if status.as_u16() != 201 {
            bail!("signing up answered {status}: {answer}");
        }
        Clinic::new(&answer, email)
    }

    /// A clinic with a working line: signed up, approved, and set up at the provider. Where the platform has no account
    /// to buy a number in, it has one already.
    pub async fn clinic(&self, name: &str) -> anyhow::Result<Clinic> {
        let clinic = self.sign_up(name).await?;
        if self.settings.iter().all(|(name, _)| *name != "TWILIO_ACCOUNT_SID") {
            self.give_number(&clinic.org_id).await?;
        }
        self.let_in(clinic).await
    }

    /// Has an organization have a number of Vapi's own, as if it had had it ever since.
    pub async fn give_number(&self, org_id: &str) -> anyhow::Result<()> {
        use sqlx::{Connection, PgConnection};
        let url = format!("{}/vapi/phone-number", self.sandbox_url);
        let body = json!({ "provider": "vapi", "name": "an old number" });
        let made = self.http.post(url).bearer_auth("sandbox-private-key").json(&body).send().await?;
        let made: Value = made.error_for_status()?.json().await?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).context(made.to_string());
        let mut owner = PgConnection::connect(&self.db.owner_url()).await?;
        sqlx::query("insert into phone_number_mapping (org_id, phone_number, vapi_phone_id) values ($1::text::uuid, $2, $3)")
            .bind(org_id)
            .bind(text("number")?)
            .bind(text("id")?)
            .execute(&mut owner)
            .await?;
        Ok(owner.close().await?)
    }

    /// Approves a clinic, whose line is then set up, and waits for it.
    pub async fn let_in(&self, mut clinic: Clinic) -> anyhow::Result<Clinic> {
        let path = format!("/api/organizations/{}/verify", clinic.org_id);
        let verified = self.machine(reqwest::Method::POST, &path).json(&json!({ "status": "verified" }));
        let answer = verified.send().await?;
        if !answer.status().is_success() {
            bail!("approving answered {}: {}", answer.status(), answer.text().await?);
        }
        eventually("the setup", || async {
            let status = format!("/api/organizations/{}/ai-status", clinic.org_id);
            let status = clinic.get(self, &status).await.ok()?;
            (status["aiSetup"]["status"] == "active").then_some(())
        })
        .await;
        let state = self.line(&clinic.org_id).await.context("a line that is set up")?;
        (clinic.assistant_id, clinic.number_id, clinic.number, clinic.secret) = state;
        Ok(clinic)
    }

    /// A request of one of the platform's machines to the first server.
    pub fn machine(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).header("x-api-key", MACHINE_KEY)
    }

    /// The inbound assistant, number and signing secret that the provider's stand-in holds for an organization.
    pub async fn line(&self, org_id: &str) -> Option<(String, String, String, String)> {
        crate::vapi::line_of(&self.provider("").await, org_id)
    }

    /// What the provider's stand-in holds and was asked, at `a/path` inside its state; null if there is no such thing.
    pub async fn provider(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}/_sandbox/state", self.sandbox_url)).send().await;
        let state: Value = answer.expect("the sandbox").json().await.expect("its state");
        let pointer = if path.is_empty() { String::new() } else { format!("/{path}") };
        state.pointer(&pointer).cloned().unwrap_or_default()
    }

    /// Every row of every table as text, the queue's included.
    pub async fn everything_stored(&self) -> String {
        use sqlx::{AssertSqlSafe, Connection, PgConnection};
        let mut owner = PgConnection::connect(&self.db.owner_url()).await.expect("the database");
        let tables: Vec<String> = sqlx::query_scalar(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'graphile_worker')",
        )
        .fetch_all(&mut owner)
        .await
        .expect("the tables");
        let mut all = String::new();
        for table in tables {
            let rows: Option<String> = sqlx::query_scalar(AssertSqlSafe(format!(
                "select string_agg(t::text, E'\\n') from {table} t"
            )))
            .fetch_one(&mut owner)
            .await
            .expect("its rows");
            all += &rows.unwrap_or_default();
        }
        all
    }

    /// What every server and the worker printed.
    pub fn logs(&self) -> String {
        let programs = self.servers.iter().map(|server| &server.program).chain(self.worker.as_ref());
        programs.map(Program::output).collect()
    }

    /// Rows of a query, as the owner of the database sees them: for looking behind the curtain.
    pub async fn rows(&self, query: &'static str) -> i64 {
        use sqlx::{Connection, PgConnection};
        let mut owner = PgConnection::connect(&self.db.owner_url()).await.expect("the database");
        sqlx::query_scalar(query).fetch_one(&mut owner).await.expect("the query")
    }
}
