//! What a developer types: `cargo xtask up` runs the whole product, `cargo xtask test` runs everything CI runs.
//!
//! Both start what they need, PostgreSQL included, and stop it again.

mod bench;
mod cargo;
mod ports;
mod say;
mod test;
mod tidy;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Voxanne's developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole product: PostgreSQL, the providers' sandbox, the API, the worker, and a demo clinic.
    Up(up::Arguments),
    /// Run what CI runs: format, lints, documentation, licences, unit, integration and end-to-end tests.
    Test(test::Arguments),
    /// Measure the hot paths against the same SQL without us.
    Bench(bench::Arguments),
    /// Check the house's habits.
    Tidy,
    /// Write docs/openapi.json from the code, or check that it has not drifted.
    Openapi(test::openapi::Arguments),
}

fn main() -> ExitCode {
    // It fails only when a provider is already installed, which is then as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match Arguments::parse().command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::Openapi(arguments) => test::openapi::run(&arguments),
    };
    outcome.unwrap_or_else(|error| {
        say::failure(&error);
        ExitCode::FAILURE
    })
}
