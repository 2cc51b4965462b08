//! `voxanne-bench`: the hot paths under load, beside the same SQL statement without us.
//!
//! It starts a durable PostgreSQL with a year's data and one server as in production, both on this machine and both
//! thrown away afterwards. It measures ratios; absolute figures are the machine's. `cargo xtask bench` builds what it
//! needs and runs it.

mod database;
mod http;
mod load;
mod measure;
mod pgbench;
mod report;
mod scenario;
mod server;
mod token;
mod world;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::{Parser, ValueEnum};
use voxanne_credentials::KeyRing;
use voxanne_embedded_postgres::{Search, wipe};

use crate::{
    database::{Database, Size},
    measure::{Effort, measure},
    report::Report,
    scenario::{Booking, CallsList, Ingest},
    server::Server,
};

/// A key and a secret that guard nothing: the database they belong to lives as long as this program.
const ENCRYPTION_KEY: &str = "YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gtYmU=";
const JWT_SECRET: &str = "bench-bench-bench-bench-bench-bench-bench";

/// The hot paths under load, beside the same SQL statement without us.
#[derive(Debug, Parser)]
#[command(name = "voxanne-bench", version)]
struct Arguments {
    /// Organizations in the database.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..1_000_000))]
    orgs: u32,
    /// Calls in the database, of all organizations together.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    /// How long each side of each scenario is measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Connections of each side.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Only this scenario; may be repeated.
    #[arg(long, value_enum)]
    only: Vec<Name>,
    /// Where `voxanne-server` and `voxctl` are; beside this program if not given.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// Where figures and logs go, and the database while it lives.
    #[arg(long, default_value = "target/bench")]
    output: PathBuf,
    /// A further setting of the server, as `NAME=VALUE`; may be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    server_env: Vec<(String, String)>,
    /// Use exactly these PostgreSQL programs.
    #[arg(long, env = "VOXANNE_PG_BIN", hide = true)]
    pg_bin: Option<PathBuf>,
    #[arg(long, env = "XDG_CACHE_HOME", hide = true)]
    cache_home: Option<PathBuf>,
    #[arg(long, env = "HOME", hide = true)]
    home: Option<PathBuf>,
}

/// The scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Booking,
    Calls,
    Webhook,
}

impl Arguments {
    fn wants(&self, name: Name) -> bool {
        self.only.is_empty() || self.only.contains(&name)
    }

    fn search(&self) -> Search {
        Search { bin: self.pg_bin.clone(), cache_home: self.cache_home.clone(), home: self.home.clone() }
    }
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("must be NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("voxanne-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let beside = std::env::current_exe()?.parent().map(Path::to_owned);
    let programs = arguments.programs.clone().or(beside).context("where the programs are")?;
    for name in ["voxanne-server", "voxctl"] {
        ensure!(programs.join(name).is_file(), "there is no {name} in {}", programs.display());
    }
    fs::create_dir_all(&arguments.output)?;
    let directory = arguments.output.join("postgres");
    wipe(&directory, &arguments.search(), &|_| ())?;
    let report = measured(arguments, &programs, &directory).await;
    wipe(&directory, &arguments.search(), &|_| ())?;
    let report = report?;

    let file = arguments.output.join("latest.json");
    fs::write(&file, serde_json::to_vec_pretty(&report)?)?;
    writeln!(std::io::stdout(), "{}", report.table())?;
    note(&format!("the same as JSON: {}", file.display()));
    Ok(())
}

async fn measured(arguments: &Arguments, programs: &Path, directory: &Path) -> anyhow::Result<Report> {
    let step = Step::begin("starting a durable PostgreSQL");
    let database = Database::start(directory, arguments.search(), programs).await?;
    step.done();

    let size = Size { orgs: arguments.orgs, calls: arguments.calls };
    let step = Step::begin(&format!("{} organizations and {} calls", size.orgs, size.calls));
    let keys = KeyRing::single(ENCRYPTION_KEY)?;
    let world = Arc::new(database.seed(size, &keys, JWT_SECRET.as_bytes()).await?);
    step.done();

    let mut environment = vec![
        ("DATABASE_URL", database.url()),
        ("JWT_SECRET", JWT_SECRET.to_owned()),
        ("ENCRYPTION_KEY", ENCRYPTION_KEY.to_owned()),
        ("VAPI_PRIVATE_KEY", "nobody-is-called".to_owned()),
        // Nothing listens there: no message of the bench makes the server call anybody.
        ("VAPI_BASE_URL", "http://127.0.0.1:9".to_owned()),
    ];
    environment.extend(arguments.server_env.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let log = arguments.output.join("server.log");
    let server = Server::start(&programs.join("voxanne-server"), &environment, log).await?;

    let effort = Effort {
        connections: usize::from(arguments.connections),
        time: Duration::from_secs(arguments.seconds),
    };
    let mut scenarios = Vec::new();
    let told = |error: anyhow::Error| error.context(format!("the server's last words:\n{}\n", server.said()));
    if arguments.wants(Name::Booking) {
        let found =
            measure(Booking, &world, &database, &server, effort, &|at| note(&format!("  booking: {at}")));
        scenarios.push(found.await.map_err(told)?);
    }
    if arguments.wants(Name::Calls) {
        let list = CallsList::default();
        let found = measure(list, &world, &database, &server, effort, &|at| note(&format!("  calls: {at}")));
        scenarios.push(found.await.map_err(told)?);
    }
    if arguments.wants(Name::Webhook) {
        let ingest = Ingest::default();
        let found =
            measure(ingest, &world, &database, &server, effort, &|at| note(&format!("  webhook: {at}")));
        scenarios.push(found.await.map_err(told)?);
    }
    Ok(Report {
        cores: std::thread::available_parallelism()?.get(),
        postgres: database.version().await?,
        orgs: size.orgs,
        calls: size.calls,
        connections: effort.connections,
        seconds: arguments.seconds,
        scenarios,
    })
}

/// Something that takes a while.
struct Step(Instant);

impl Step {
    fn begin(what: &str) -> Self {
        note(&format!("… {what}"));
        Self(Instant::now())
    }

    fn done(self) {
        note(&format!("  {:.1} s", self.0.elapsed().as_secs_f64()));
    }
}

/// A line of progress. Nobody is left to tell when it cannot be written.
fn note(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
