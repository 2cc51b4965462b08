//! `voxanne-worker`: jobs and schedules.

use std::{io::Write, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use voxanne_boot::{
    Reader, Telemetry, WorkerSettings, install_tls, metrics, shutdown,
    variables::{self, Program},
};
use voxanne_credentials::{Invalidations, Vault};
use voxanne_postgres::{PgStore, PoolSettings, guard, queue::Queue};
use voxanne_worker::{observe, relay, run, work::Work};

/// Works off jobs and keeps the schedules of Voxanne.
#[derive(Debug, Parser)]
#[command(version, after_long_help = variables::help(Program::Worker))]
struct Arguments {}

/// How long figures and relay may take to end after the jobs have.
const LAST_WAIT: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    install_tls();
    let Arguments {} = Arguments::parse();
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "voxanne-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let settings = WorkerSettings::read(Reader::from_environment())?;
    let telemetry = Telemetry::start(&settings.logging, "voxanne-worker")?;
    for warning in &settings.warnings {
        tracing::warn!(setting = %warning, "a setting has no effect");
    }
    let metrics = metrics::install()?;
    let stopping = shutdown::on_signal()?;

    let mut pool = PoolSettings::new(settings.database.url.expose_secret(), "voxanne-worker");
    pool.connections = settings.database.connections.get();
    let store = Arc::new(PgStore::new(&pool)?);
    guard::check_login(&store).await?;
    let queue = Queue::new(&pool, 8)?;
    let port = settings.work.metrics_port;
    let listener = TcpListener::bind(("0.0.0.0", port))
        .await
        .with_context(|| format!("port {port} cannot be listened on"))?;
    tracing::info!(address = %listener.local_addr()?, "figures are served");

    let concurrency = settings.work.concurrency;
    let work = Arc::new(Work::wire(store.clone(), settings)?);
    let tracker = TaskTracker::new();
    tracker.spawn(relay::relay(queue.clone(), stopping.clone()));
    tracker.spawn(observe::count_jobs(queue.clone(), stopping.clone()));
    let (counted, until) = (work.clone(), stopping.clone());
    tracker.spawn(async move { counted.call_actions.count_lines(until).await });
    tracker.spawn(observe::serve(listener, store.clone(), work.vault.clone(), metrics, stopping.clone()));
    tracker.spawn(follow(store.clone(), work.vault.clone(), stopping.clone()));
    run::run(queue.clone(), work, concurrency, stopping.clone()).await;

    tracker.close();
    if tokio::time::timeout(LAST_WAIT, tracker.wait()).await.is_err() {
        tracing::warn!("something was still running at the end");
    }
    queue.close().await;
    store.close().await;
    tracing::info!("stopped");
    telemetry.shutdown().await;
    Ok(())
}

/// Lets the vault hear of changes made on other replicas and by hand until `stopping`; jobs that still run after that
/// find what they read forgotten within a second.
async fn follow(store: Arc<PgStore>, vault: Vault, stopping: CancellationToken) {
    if stopping.run_until_cancelled(store.follow_credentials(&vault)).await.is_none() {
        vault.disconnected();
    }
}
