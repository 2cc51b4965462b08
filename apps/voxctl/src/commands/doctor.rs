//! `voxctl doctor`: what an operator would check by hand.

use std::{sync::Arc, time::Duration};

use anyhow::bail;
use secrecy::ExposeSecret;
use serde::Serialize;
use voxanne_boot::{ConfigurationError, OperatorSettings, Reader, ServerSettings, WorkerSettings};
use voxanne_kernel::SystemClock;
use voxanne_postgres::{PgStore, PoolSettings, guard};
use voxanne_tooling::SigningProvider as _;
use voxanne_vapi::{Vapi, VapiClient, VapiSettings};

use crate::output::{Output, table};

/// One thing that was looked at.
#[derive(Serialize)]
struct Finding {
    check: &'static str,
    ok: bool,
    detail: String,
}

impl Finding {
    fn of<E: Into<anyhow::Error>>(check: &'static str, fine: &str, outcome: Result<(), E>) -> Self {
        match outcome {
            Ok(()) => Self { check, ok: true, detail: fine.to_owned() },
            Err(error) => Self { check, ok: false, detail: format!("{:#}", error.into()) },
        }
    }
}

pub(super) async fn run(output: &Output) -> anyhow::Result<()> {
    let findings = examine().await;
    let ill = findings.iter().filter(|finding| !finding.ok).count();
    output.say(&serde_json::json!({ "ok": ill == 0, "checks": findings }), || {
        let row = |f: &Finding| {
            [f.check.to_owned(), if f.ok { "ok" } else { "FAILED" }.to_owned(), f.detail.clone()]
        };
        table(["check", "", ""], findings.iter().map(row), "")
    })?;
    match ill {
        0 => Ok(()),
        1 => bail!("one check failed"),
        _ => bail!("{ill} checks failed"),
    }
}

async fn examine() -> Vec<Finding> {
    let server = ServerSettings::read(Reader::from_environment());
    let worker = WorkerSettings::read(Reader::from_environment());
    let mut findings = vec![
        configuration("configuration of the server", &server),
        configuration("configuration of the worker", &worker),
    ];
    // A database can be examined even where other settings are missing.
    if let Ok(settings) = OperatorSettings::read(Reader::from_environment()) {
        let login = database(settings.database.url.expose_secret()).await;
        let fine = "reachable, up to date, and the login cannot bypass row level security";
        findings.push(Finding::of("database", fine, login));
    }
    if let Ok(settings) = server {
        let vapi = vapi(&settings).await;
        findings.push(Finding::of("Vapi", "the private key is accepted", vapi));
        let reachable = reachable(&settings.backend.url).await;
        findings.push(Finding::of("webhooks", "our public address answers", reachable));
    }
    findings
}

fn configuration<T>(check: &'static str, read: &Result<T, ConfigurationError>) -> Finding {
    match read {
        Ok(_) => Finding { check, ok: true, detail: "complete".to_owned() },
        Err(error) => Finding { check, ok: false, detail: error.problems().join("; ") },
    }
}

async fn database(url: &str) -> anyhow::Result<()> {
    let store = PgStore::new(&PoolSettings { connections: 2, ..PoolSettings::new(url, "voxctl") })?;
    Ok(guard::check_login(&store).await?)
}

/// Asks for something that is not there: only the answer to "may I ask?" matters.
async fn vapi(settings: &ServerSettings) -> anyhow::Result<()> {
    let client = VapiClient::new(VapiSettings::new(
        settings.vapi.base_url.clone(),
        settings.vapi.private_key.clone(),
    ))?;
    Vapi::new(client, String::new(), Arc::new(SystemClock)).find_credential("voxctl-doctor").await?;
    Ok(())
}

/// Whether what providers are told to call is us, as far as can be seen from here.
async fn reachable(backend: &str) -> anyhow::Result<()> {
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    let status = client.get(format!("{backend}/health")).send().await?.status();
    if !status.is_success() {
        bail!("{backend}/health answers {status}");
    }
    Ok(())
}
