//! The provider sandbox: one program that stands in for the services the product talks to, so that all of
//! it runs, is tested and is rehearsed without accounts.
//!
//! It keeps state as the providers do, refuses what they refuse, and calls back as they call. It binds to
//! loopback only, keeps everything in memory and, if asked, in a file, and is no place for real secrets.
//!
//! - one module per provider (`vapi`), mounted under its name;
//! - around them `observe`: the journal of requests and the faults that strike them;
//! - beside them `/_sandbox` (`control`): state, faults, reset, clock and scripted calls;
//! - below them `keep`: the file from which the next sandbox goes on.
//!
//! `docs/sandbox.md` describes it for its users.

mod clock;
mod connection;
mod control;
mod delivery;
mod faults;
mod google;
mod held;
mod ids;
mod journal;
mod keep;
mod messaging;
mod microsoft;
mod oauth;
mod observe;
mod options;
mod provider;
mod twilio;
mod vapi;
mod world;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use options::{OAuthClient, Options, Outbound, TwilioLogin};

use connection::{Cuttable, Line};
use keep::StateFile;
use world::{Shared, World};

/// How long requests in flight may still take once it is told to stop.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a sandbox on `listener` until `shutdown` is done.
///
/// # Errors
/// As [`Sandbox::open`] and [`Sandbox::run`].
pub async fn serve(
    listener: TcpListener,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    Sandbox::open(listener, options)?.run(shutdown).await
}

/// A sandbox that has its state and does not answer yet.
pub struct Sandbox {
    listener: TcpListener,
    world: Shared,
    mail_server: messaging::Server,
    state: Option<Arc<StateFile>>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").field("base", &self.world.base).finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Prepares a sandbox on `listener`, with what its state file holds.
    ///
    /// # Errors
    /// When the listener is not on loopback, or the state file is none or cannot be read or written.
    pub fn open(listener: TcpListener, options: Options) -> io::Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let problem = format!("the sandbox listens on loopback only, and {} is not", address.ip());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        // Whoever embeds the sandbox may have chosen a provider already; either will do.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let world = World::new(&options, format!("http://{address}"), CancellationToken::new())
            .map_err(io::Error::other)?;
        let (mail_server, doors) = messaging::Server::open(&options)?;
        world.smtp.set(doors).ok();
        let state = options.state.map(|path| StateFile::open(path, &world)).transpose()?;
        Ok(Self { listener, world: Arc::new(world), mail_server, state: state.map(Arc::new) })
    }

    /// Answers until `shutdown` is done, then saves its state.
    ///
    /// # Errors
    /// When the network fails, or the state cannot be saved.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let Self { listener, world, mail_server, state } = self;
        let stop = world.stop.clone();
        let stopping = stop.clone();
        let watch = tokio::spawn(async move {
            shutdown.await;
            stopping.cancel();
        });
        if let Some(state) = &state {
            world.tasks.spawn(state.clone().follow(world.clone()));
        }
        mail_server.serve(&world);
        let app = app(&world).into_make_service_with_connect_info::<Line>();
        let serving =
            axum::serve(Cuttable(listener), app).with_graceful_shutdown(stop.clone().cancelled_owned());
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
        let saved = state.map_or(Ok(()), |state| state.save(&world));
        result.and(saved)
    }
}

fn app(world: &Shared) -> Router {
    let mut app = Router::new().nest("/_sandbox", control::routes());
    for provider in provider::ALL {
        let routes = (provider.routes)(world);
        let observed = routes.layer(from_fn_with_state((world.clone(), provider), observe::observe));
        app = app.nest(&format!("/{}", provider.name), observed);
    }
    app.with_state(world.clone())
}
