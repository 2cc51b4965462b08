//! The program that is measured: started as in production, looked at from outside.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::http::Connection;

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(30);

/// Linux reports times in hundredths of a second to every program, whatever its own tick is.
const MICROSECONDS_PER_TICK: u64 = 10_000;

/// A running server; killed when dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Server {
    /// Starts `program` with nothing but `environment` and a port, and waits until it is ready.
    pub(crate) async fn start(
        program: &Path,
        environment: &[(&str, String)],
        log: PathBuf,
    ) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let output = fs::File::create(&log)?;
        let child = Command::new(program)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("PORT", port.to_string())
            .env("BACKEND_URL", format!("http://127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let mut server = Self { child, address: (Ipv4Addr::LOCALHOST, port).into(), log };
        server.ready().await?;
        Ok(server)
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.answers().await {
            let over = self.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE;
            if over {
                bail!("the server did not get ready:\n{}", self.said());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    async fn answers(&self) -> bool {
        let Ok(mut connection) = Connection::open(self.address).await else { return false };
        let request = b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
        connection.exchange(request).await.is_ok_and(|answer| answer.status == 200)
    }

    /// The last of what it logged.
    pub(crate) fn said(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time it has used so far, all threads, in microseconds.
    pub(crate) fn cpu_us(&self) -> anyhow::Result<u64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name may hold anything, so fields are counted from the parenthesis that ends it: the state is the first.
        let fields = stat.rsplit_once(')').context("no process")?.1.split_whitespace();
        let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse().unwrap_or(0_u64)).sum();
        Ok(ticks * MICROSECONDS_PER_TICK)
    }

    /// Memory that is its own, with its part of what it shares, in KiB.
    pub(crate) fn memory_kib(&self) -> anyhow::Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).context("no Pss")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
