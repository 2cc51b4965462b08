//! `voxanne-sandbox`: the sandbox as a program.

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use voxanne_sandbox::{OAuthClient, Options, Outbound, Sandbox, TwilioLogin};

/// Stands in for the providers on loopback.
#[derive(Debug, Parser)]
#[command(name = "voxanne-sandbox", version)]
struct Arguments {
    /// Where to listen on 127.0.0.1; 0 takes a free port.
    #[arg(long, default_value_t = 9090)]
    port: u16,
    /// Makes every id, number and generated secret repeatable.
    #[arg(long)]
    seed: Option<u64>,
    /// A bearer key that Vapi accepts; may be given more than once. Without one, any key will do.
    #[arg(long = "vapi-key", value_name = "KEY")]
    vapi_keys: Vec<String>,
    /// Simultaneous calls in the Vapi account.
    #[arg(long, default_value_t = 10)]
    vapi_concurrency: u32,
    /// Leave outbound calls queued until a script plays them.
    #[arg(long)]
    hold_outbound: bool,
    /// How long a customer lets the phone ring, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    ring_ms: u64,
    /// How long an outbound call is talked in, in milliseconds.
    #[arg(long, default_value_t = 4_000)]
    talk_ms: u64,
    /// A Twilio account that is there from the start.
    #[arg(long, value_name = "SID:TOKEN")]
    twilio_account: Option<TwilioLogin>,
    /// The application that Google knows, and its secret.
    #[arg(
        long,
        value_name = "ID:SECRET",
        default_value = "sandbox-client:sandbox-secret",
        hide_default_value = true
    )]
    google_client: OAuthClient,
    /// The application that Microsoft knows, and its secret.
    #[arg(
        long,
        value_name = "ID:SECRET",
        default_value = "sandbox-client:sandbox-secret",
        hide_default_value = true
    )]
    microsoft_client: OAuthClient,
    /// Where the mail server listens that begins in plain text; a free port without it.
    #[arg(long, value_name = "PORT")]
    smtp_port: Option<u16>,
    /// Where the mail server listens that is encrypted from the first byte; a free port without it.
    #[arg(long, value_name = "PORT")]
    smtps_port: Option<u16>,
    /// Go on with the state in this file, if it is there, and keep the state in it.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Watched before anything is announced: whoever reads the line may already want to stop it.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, arguments.port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{}", arguments.port))?;
    let address = listener.local_addr()?;
    let outbound = if arguments.hold_outbound {
        Outbound::Hold
    } else {
        Outbound::Play {
            ring: Duration::from_millis(arguments.ring_ms),
            talk: Duration::from_millis(arguments.talk_ms),
        }
    };
    let options = Options {
        seed: arguments.seed,
        vapi_keys: arguments.vapi_keys,
        vapi_concurrency: arguments.vapi_concurrency,
        outbound,
        twilio_account: arguments.twilio_account,
        google_client: arguments.google_client,
        microsoft_client: arguments.microsoft_client,
        smtp_port: arguments.smtp_port,
        smtps_port: arguments.smtps_port,
        state: arguments.state,
    };
    let sandbox = Sandbox::open(listener, options)?;
    announce(&format!("listening on http://{address}"))?;
    let told_to_stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    sandbox.run(told_to_stop).await.context("the sandbox failed")
}

/// The one line on standard output, which whoever started the program waits for.
fn announce(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
