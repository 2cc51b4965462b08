//! What every program does first: read its settings, start logs, traces and metrics, listen for the end.
//!
//! It is the only reader of the environment. A program asks for its own set of settings ([`ServerSettings`],
//! [`WorkerSettings`], [`MigrationSettings`], …), gets it whole or gets one message that names every problem, and
//! passes the sections on by value. It opens no connection and knows no table and no route.

pub mod logging;
pub mod mail;
pub mod metrics;
pub mod platform_messaging;
mod programs;
pub mod providers;
pub mod purchases;
mod reader;
pub mod sections;
pub mod shutdown;
pub mod storage;
pub mod variables;

pub use logging::Telemetry;
pub use programs::{
    MigrationSettings, NumbersSettings, OperatorSettings, ServerSettings, TokenSettings, VaultSettings,
    VoiceSettings, WorkerSettings,
};
pub use reader::{ConfigurationError, Reader};

/// Chooses the one TLS implementation of the process. The first line of every `main`; a second call changes nothing.
pub fn install_tls() {
    // It fails only when another provider is already installed, which is then as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
