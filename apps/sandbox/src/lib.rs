//! The provider sandbox: one program that stands in for the services the product talks to, so that all of
//! it runs, is tested and is rehearsed without accounts.
//!
//! It keeps state as the providers do, refuses what they refuse, and calls back as they call. It binds to
//! loopback only, keeps everything in memory, and is no place for real secrets.
//!
//! - one module per provider (`vapi`), mounted under its name;
//! - around them `observe`: the journal of requests and the faults that strike them;
//! - beside them `/_sandbox` (`control`): state, faults, reset, clock and scripted calls.
//!
//! `docs/sandbox.md` describes it for its users.

mod clock;
mod connection;
mod control;
mod faults;
mod ids;
mod journal;
mod observe;
mod options;
mod provider;
mod vapi;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use options::{Options, Outbound};

use connection::{Cuttable, Line};
use world::World;

/// How long requests in flight may still take once it is told to stop.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a sandbox on `listener` until `shutdown` is done.
///
/// # Errors
/// When the listener is not on loopback, or the network fails.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        let problem = format!("the sandbox listens on loopback only, and {} is not", address.ip());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    // Whoever embeds the sandbox may have chosen a provider already; either will do.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let stop = CancellationToken::new();
    let world = World::new(&options, format!("http://{address}"), stop.clone()).map_err(io::Error::other)?;
    let world = Arc::new(world);
    let mut app = Router::new().nest("/_sandbox", control::routes());
    for provider in provider::ALL {
        let routes = (provider.routes)(&world);
        let observed = routes.layer(from_fn_with_state((world.clone(), provider), observe::observe));
        app = app.nest(&format!("/{}", provider.name), observed);
    }
    let app = app.with_state(world.clone()).into_make_service_with_connect_info::<Line>();
    let stopping = stop.clone();
    let watch = tokio::spawn(async move {
        shutdown.await;
        stopping.cancel();
    });
    let serving = axum::serve(Cuttable(listener), app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let cut_off = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let result = tokio::select! {
        result = serving => result,
        () = cut_off => Ok(()),
    };
    stop.cancel();
    watch.abort();
    world.tasks.close();
    // Calls in play see the same token; what still hangs after that is not waited for.
    tokio::time::timeout(LAST_WORDS, world.tasks.wait()).await.ok();
    result
}
