//! One scenario from warming up to its figures. The server and the bare statement take turns in short rounds, so that
//! whatever drifts (a disk that slows down, a growing table, a neighbour on the machine) strikes both alike.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use serde::Serialize;

use crate::{
    database::Database,
    load::{Figures, Samples, closed_loop, open_loop},
    pgbench::{self, Outcome},
    scenario::{Bare, Client, Scenario},
    server::Server,
    world::World,
};

/// How long one side's turn is.
const ROUND: Duration = Duration::from_secs(2);

/// No `pgbench` is faster than this; so many slots are set aside for it in a second.
const FASTEST_PER_SECOND: u64 = 20_000;

/// How much load, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Connections of each side.
    pub(crate) connections: usize,
    /// How long each side is measured.
    pub(crate) time: Duration,
}

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    /// The scenario.
    pub(crate) scenario: &'static str,
    /// The whole path over HTTP.
    pub(crate) server: Figures,
    /// The same statement in a bare loop over the driver.
    pub(crate) bare: Figures,
    /// The same statement from `pgbench`, where there is one.
    pub(crate) pgbench: Option<Outcome>,
    /// Processor time of the server for one request, in microseconds.
    pub(crate) server_cpu_us: f64,
    /// The server's memory afterwards, in KiB.
    pub(crate) server_memory_kib: u64,
    /// The server's throughput as a part of the bare loop's.
    pub(crate) ratio: f64,
    /// And as a part of `pgbench`'s.
    pub(crate) ratio_pgbench: Option<f64>,
    /// What [`Self::ratio`] should be at least.
    pub(crate) goal: f64,
    /// How long callers wait when little is going on.
    pub(crate) tails: Tails,
}

/// Both sides at a quarter of the bare loop's throughput, arriving at a constant rate.
#[derive(Debug, Serialize)]
pub(crate) struct Tails {
    /// Arrivals in a second.
    pub(crate) rate: f64,
    /// The whole path over HTTP.
    pub(crate) server: Figures,
    /// The bare statement.
    pub(crate) bare: Figures,
}

/// Measures `scenario`.
pub(crate) async fn measure<S: Scenario>(
    scenario: S,
    world: &Arc<World>,
    database: &Database,
    server: &Server,
    effort: Effort,
    report: &dyn Fn(&str),
) -> anyhow::Result<Measured> {
    let scenario = Arc::new(scenario);
    let (mut clients, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..effort.connections {
        clients.push(Client::new(scenario.clone(), world.clone(), server.address()).await?);
        bares.push(Bare::new(scenario.clone(), world.clone(), database.connect().await?));
    }
    report("warming up");
    database.settle().await?;
    closed_loop(&mut bares, ROUND).await?;
    closed_loop(&mut clients, ROUND).await?;

    let rounds = (effort.time.as_secs() / ROUND.as_secs()).max(1);
    let (mut asked, mut stated, mut pgbenches) = (Samples::default(), Samples::default(), Vec::new());
    let mut cpu_us = 0;
    for round in 0..rounds {
        report(&format!("round {} of {rounds}", round + 1));
        let before = server.cpu_us()?;
        asked.add(closed_loop(&mut clients, ROUND).await?);
        cpu_us += server.cpu_us()? - before;
        stated.add(closed_loop(&mut bares, ROUND).await?);
        pgbenches.extend(pgbench_round(&*scenario, world, database, effort.connections).await?);
    }
    let (server_figures, bare) = (asked.figures(), stated.figures());

    report("tails");
    let (rate, time) = (bare.per_second / 4.0, effort.time.min(Duration::from_secs(5)));
    let tails = Tails {
        rate,
        server: open_loop(&mut clients, rate, time).await?.figures(),
        bare: open_loop(&mut bares, rate, time).await?.figures(),
    };

    let pgbench = mean(&pgbenches);
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a few seconds stay far below 2^53")]
    let server_cpu_us = cpu_us as f64 / server_figures.requests as f64;
    Ok(Measured {
        scenario: S::NAME,
        ratio: server_figures.per_second / bare.per_second,
        ratio_pgbench: pgbench.map(|pgbench| server_figures.per_second / pgbench.per_second),
        server: server_figures,
        bare,
        pgbench,
        server_cpu_us,
        server_memory_kib: server.memory_kib()?,
        goal: S::GOAL,
        tails,
    })
}

/// A round of `pgbench`, or `None` where there is none.
async fn pgbench_round<S: Scenario>(
    scenario: &S,
    world: &World,
    database: &Database,
    clients: usize,
) -> anyhow::Result<Option<Outcome>> {
    let Some(pgbench) = database.pgbench() else { return Ok(None) };
    let base = world.reserve(FASTEST_PER_SECOND * ROUND.as_secs());
    let numbers = [("base", base), ("orgs", world.count()), ("clients", u64::try_from(clients)?)];
    let before = database.appointments().await?;
    let script = scenario.script(world);
    let outcome =
        tokio::task::spawn_blocking(move || pgbench::run(pgbench, &script, &numbers, clients, ROUND))
            .await??;
    // It does not look at what it is answered, so the effect is counted.
    let made = database.appointments().await? - before;
    let expected = i64::try_from(outcome.requests)? * S::APPOINTMENTS;
    ensure!(made == expected, "pgbench made {made} appointments in {} transactions", outcome.requests);
    Ok(Some(outcome))
}

/// Rounds are equally long.
fn mean(rounds: &[Outcome]) -> Option<Outcome> {
    let count = u32::try_from(rounds.len()).ok().filter(|count| *count > 0)?;
    Some(Outcome {
        requests: rounds.iter().map(|round| round.requests).sum(),
        per_second: rounds.iter().map(|round| round.per_second).sum::<f64>() / f64::from(count),
    })
}
