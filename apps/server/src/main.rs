//! `voxanne-server`: the HTTP API.

use std::{io::Write, process::ExitCode, sync::Arc};

use anyhow::Context;
use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use voxanne_boot::{
    Reader, ServerSettings, Telemetry, install_tls, metrics, shutdown,
    variables::{self, Program},
};
use voxanne_kernel::SystemClock;
use voxanne_postgres::{PgStore, PoolSettings, guard};
use voxanne_server::{
    app::App,
    http::document,
    run,
    wiring::{self, Base, Services},
};

/// The HTTP API of Voxanne.
#[derive(Debug, Parser)]
#[command(version, after_long_help = variables::help(Program::Server))]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints the OpenAPI document and ends.
    Openapi,
}

#[tokio::main]
async fn main() -> ExitCode {
    install_tls();
    let outcome = match Arguments::parse().command {
        Some(Command::Openapi) => print_document(),
        None => serve().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Logging may not have started: say it where an operator looks first.
            let _ = writeln!(std::io::stderr(), "voxanne-server: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_document() -> anyhow::Result<()> {
    let document = run::routes().document;
    std::io::stdout().write_all(document::as_text(&document)?.as_bytes())?;
    Ok(())
}

async fn serve() -> anyhow::Result<()> {
    let settings = ServerSettings::read(Reader::from_environment())?;
    let telemetry = Telemetry::start(&settings.logging, "voxanne-server")?;
    for warning in &settings.warnings {
        tracing::warn!(setting = %warning, "a setting has no effect");
    }
    let metrics = metrics::install()?;
    let signal = shutdown::on_signal()?;

    let store = connect(&settings).await?;
    let listener = TcpListener::bind(("0.0.0.0", settings.http.port))
        .await
        .with_context(|| format!("port {} cannot be listened on", settings.http.port))?;
    let address = listener.local_addr()?;

    // Two tokens: the first makes /ready say no while a load balancer looks away, the second stops accepting.
    let (stopping, closing) = (signal, CancellationToken::new());
    let drain = settings.shutdown.drain;
    let (when, then) = (stopping.clone(), closing.clone());
    tokio::spawn(async move {
        when.cancelled().await;
        tokio::time::sleep(drain).await;
        then.cancel();
    });

    let clock = Arc::new(SystemClock);
    let vault = wiring::vault::follow(&store, settings.encryption.keys.clone(), closing.clone());
    let base = Base { store, vault, clock, settings: Arc::new(settings), stopping, metrics };
    let app = App::new(Services::wire(base)?);
    tracing::info!(%address, "listening");
    run::serve(app, listener, closing).await?;
    tracing::info!("stopped");
    telemetry.shutdown().await;
    Ok(())
}

async fn connect(settings: &ServerSettings) -> anyhow::Result<Arc<PgStore>> {
    use secrecy::ExposeSecret;
    let mut pool = PoolSettings::new(settings.database.url.expose_secret(), "voxanne-server");
    pool.connections = settings.database.connections.get();
    let store = PgStore::new(&pool)?;
    guard::check_login(&store).await?;
    Ok(Arc::new(store))
}
