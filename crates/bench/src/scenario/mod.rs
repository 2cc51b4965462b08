//! The measured paths. Each can be asked for in three ways: over HTTP as the outside world does it, with the path's own
//! SQL statement in a bare loop over the driver we use, and with the same statement from `pgbench`.

mod booking;
mod calls;
mod vapi;
mod webhook;

use std::{future::Future, net::SocketAddr, sync::Arc};

use anyhow::{Context as _, bail};
use sqlx::PgConnection;

pub(crate) use booking::Booking;
pub(crate) use calls::CallsList;
pub(crate) use webhook::Ingest;

use crate::{
    http::{Answer, Connection},
    load::Caller,
    pgbench::Script,
    world::World,
};

/// One measured path.
pub(crate) trait Scenario: Send + Sync + 'static {
    /// What it is called in the table.
    const NAME: &'static str;
    /// The part of the bare loop's throughput that the whole HTTP path should reach.
    const GOAL: f64;
    /// How many appointments a request makes.
    const APPOINTMENTS: i64 = 0;

    /// Writes the next request, head and body, to `out`.
    fn request(&self, world: &World, out: &mut Vec<u8>) -> anyhow::Result<()>;

    /// Whether the body says that what was asked for was done.
    fn is_right(&self, body: &[u8]) -> bool;

    /// Runs the path's statement.
    fn statement(
        &self,
        world: &World,
        connection: &mut PgConnection,
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// The same statement for `pgbench`, as different from each other as the requests are.
    fn script(&self, world: &World) -> Script;
}

/// Asks over HTTP.
pub(crate) struct Client<S> {
    scenario: Arc<S>,
    world: Arc<World>,
    connection: Connection,
    request: Vec<u8>,
}

/// Asks the database.
pub(crate) struct Bare<S> {
    scenario: Arc<S>,
    world: Arc<World>,
    connection: PgConnection,
}

impl<S: Scenario> Client<S> {
    /// A client with a connection of its own.
    pub(crate) async fn new(scenario: Arc<S>, world: Arc<World>, server: SocketAddr) -> anyhow::Result<Self> {
        Ok(Self { scenario, world, connection: Connection::open(server).await?, request: Vec::new() })
    }
}

impl<S: Scenario> Bare<S> {
    /// A caller with a connection of its own.
    pub(crate) fn new(scenario: Arc<S>, world: Arc<World>, connection: PgConnection) -> Self {
        Self { scenario, world, connection }
    }
}

impl<S: Scenario> Caller for Client<S> {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.request.clear();
        self.scenario.request(&self.world, &mut self.request)?;
        let Answer { status, body } = self.connection.exchange(&self.request).await.context("no answer")?;
        if status != 200 || !self.scenario.is_right(body) {
            bail!("it was answered {status}: {}", String::from_utf8_lossy(&body[..body.len().min(400)]));
        }
        Ok(())
    }
}

impl<S: Scenario> Caller for Bare<S> {
    async fn call(&mut self) -> anyhow::Result<()> {
        self.scenario.statement(&self.world, &mut self.connection).await
    }
}

/// Whether `text` is somewhere in `body`.
fn says(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|window| window == text.as_bytes())
}
