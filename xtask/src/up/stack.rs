//! Everything that runs, in the order it starts, and stopped in the reverse.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{api::Api, database::Database, keep::Home, program::Program, secrets::Secrets};
use crate::{ports, say::Step};

/// The running product.
pub(crate) struct Stack {
    // Fields are dropped in this order: first who takes requests, last what they need.
    server: Program,
    worker: Program,
    sandbox: Program,
    database: Database,
    addresses: Addresses,
    /// What it runs with.
    pub(crate) secrets: Secrets,
    /// Where its programs are.
    pub(crate) programs: PathBuf,
    /// Where its data is.
    pub(crate) home: Home,
}

/// Where each part answers.
struct Addresses {
    port: u16,
    worker_port: u16,
    sandbox_port: u16,
}

impl Addresses {
    fn choose(port: u16) -> anyhow::Result<Self> {
        Ok(Self { port: ports::claim(port)?, worker_port: ports::free()?, sandbox_port: ports::free()? })
    }
}

fn local(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Stack {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When a port is in use, or a part does not become ready; what has started is stopped again.
    pub(crate) async fn start(home: Home, programs: &Path, port: u16) -> anyhow::Result<Self> {
        let addresses = Addresses::choose(port)?;
        let secrets = Secrets::of(&home)?;
        let database = Database::start(&home, programs).await?;
        let mut environment = environment(&addresses, &secrets, &database);
        environment.push(("STORAGE_URL", files(&home)?));
        let start =
            |name, arguments: &[String]| Program::start(&home, programs, name, arguments, &environment);
        let http = Api::client()?;

        let mut sandbox = start("voxanne-sandbox", &sandbox_arguments(&addresses, &home))?;
        sandbox.ready(&http, &format!("{}/_sandbox/state", local(addresses.sandbox_port))).await?;
        hold_our_number(&addresses).await?;
        let mut server = start("voxanne-server", &[])?;
        let mut worker = start("voxanne-worker", &[])?;
        server.ready(&http, &format!("{}/ready", local(addresses.port))).await?;
        worker.ready(&http, &format!("{}/ready", local(addresses.worker_port))).await?;
        Ok(Self {
            server,
            worker,
            sandbox,
            database,
            addresses,
            secrets,
            programs: programs.to_owned(),
            home,
        })
    }

    /// Where the API answers, and where the provider is to send its messages.
    pub(crate) fn backend_url(&self) -> String {
        local(self.addresses.port)
    }

    /// The API, as somebody without a token sees it.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        Api::new(local(self.addresses.port))
    }

    /// The sandbox.
    pub(crate) fn sandbox(&self) -> anyhow::Result<Api> {
        Api::new(local(self.addresses.sandbox_port))
    }

    /// How the programs connect to the database.
    pub(crate) fn database_url(&self) -> &str {
        &self.database.url
    }

    /// What to open.
    pub(crate) fn addresses(&self) -> Vec<(&'static str, String)> {
        let server = local(self.addresses.port);
        vec![
            ("API", server.clone()),
            ("docs", format!("{server}/docs")),
            ("sandbox", format!("{}/_sandbox/state", local(self.addresses.sandbox_port))),
            ("metrics", format!("{server}/metrics and {}/metrics", local(self.addresses.worker_port))),
            ("database", self.database.shown()),
            ("logs", self.home.path().join("logs").display().to_string()),
        ]
    }

    /// Fails when a part has stopped by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.server.check()?;
        self.worker.check()?;
        self.sandbox.check()
    }

    /// What the programs wrote last, for the message of a failure.
    pub(crate) fn ends_of_logs(&self) -> String {
        [&self.server, &self.worker, &self.sandbox].map(Program::end_of_log).concat()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let step = Step::begin("stopping");
        // At the same time; the fields' own drops then only wait.
        self.server.ask_to_stop();
        self.worker.ask_to_stop();
        self.server.wait();
        self.worker.wait();
        self.sandbox.ask_to_stop();
        self.sandbox.wait();
        drop(self.database.cluster.take());
        // A list that stays only makes the next start look for processes that are gone.
        let _ = self.home.forget_processes();
        step.done("");
    }
}

/// The sandbox goes on with what it kept, as the product does: a line that was set up once keeps ringing.
fn sandbox_arguments(addresses: &Addresses, home: &Home) -> [String; 6] {
    let state = home.path().join("sandbox.json").display().to_string();
    let account = format!("{}:{}", TWILIO_ACCOUNT.0, TWILIO_ACCOUNT.1);
    let port = addresses.sandbox_port.to_string();
    ["--port".to_owned(), port, "--state".to_owned(), state, "--twilio-account".to_owned(), account]
}

/// Our account at the sandbox's Twilio holds the number that test calls come from.
async fn hold_our_number(addresses: &Addresses) -> anyhow::Result<()> {
    let sandbox = Api::new(local(addresses.sandbox_port))?;
    let path = format!("/_sandbox/twilio/accounts/{}", TWILIO_ACCOUNT.0);
    sandbox.patch(&path, &json!({ "numbers": [TWILIO_FROM_NUMBER] })).await.map(drop)
}

/// The platform's account at the sandbox's Twilio: no secret, since it opens nothing but the sandbox.
const TWILIO_ACCOUNT: (&str, &str) =
    ("AC0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef");
/// A number of that account.
const TWILIO_FROM_NUMBER: &str = "+15005550001";

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

/// Recordings lie beside the database.
fn files(home: &Home) -> anyhow::Result<String> {
    let path = std::path::absolute(home.path())?.join("files");
    let escaped = path.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    Ok(format!("file://{escaped}"))
}

/// What the programs are configured with: the only difference to production is where the provider is.
fn environment(addresses: &Addresses, secrets: &Secrets, database: &Database) -> Vec<(&'static str, String)> {
    let sandbox = local(addresses.sandbox_port);
    let mut environment = vec![
        ("DATABASE_URL", database.url.clone()),
        ("BACKEND_URL", local(addresses.port)),
        ("PORT", addresses.port.to_string()),
        ("METRICS_PORT", addresses.worker_port.to_string()),
        ("JWT_SECRET", secrets.jwt_secret.clone()),
        ("ENCRYPTION_KEY", secrets.encryption_key.clone()),
        ("BACKEND_API_KEY", secrets.backend_api_key.clone()),
        ("APPROVAL_WEBHOOK_SECRET", secrets.approval_webhook_secret.clone()),
        ("VAPI_PRIVATE_KEY", secrets.vapi_private_key.clone()),
        ("TWILIO_ACCOUNT_SID", TWILIO_ACCOUNT.0.to_owned()),
        ("TWILIO_AUTH_TOKEN", TWILIO_ACCOUNT.1.to_owned()),
        ("TWILIO_FROM_NUMBER", TWILIO_FROM_NUMBER.to_owned()),
        // The sandbox's own registration with its Google and Microsoft.
        ("GOOGLE_CLIENT_ID", "sandbox-client".to_owned()),
        ("GOOGLE_CLIENT_SECRET", "sandbox-secret".to_owned()),
        ("MICROSOFT_CLIENT_ID", "sandbox-client".to_owned()),
        ("MICROSOFT_CLIENT_SECRET", "sandbox-secret".to_owned()),
        ("RESEND_API_KEY", "re_sandbox".to_owned()),
        ("ADMIN_EMAIL_FROM_USER", "Voxanne <hello@clinic.example>".to_owned()),
    ];
    environment.extend(STAND_INS.map(|(name, provider)| (name, format!("{sandbox}/{provider}"))));
    environment
}
