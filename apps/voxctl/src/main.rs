//! `voxctl`: the platform operator's command line.
//!
//! Each command reads only the settings it needs, runs one use case and prints its outcome, for people or, with
//! `--json`, for scripts. What it changes in an organization is audited as done at the command line.

mod cli;
mod commands;
mod output;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use voxanne_boot::install_tls;

use crate::{
    cli::Cli,
    output::{AlreadySaid, Output},
};

#[tokio::main]
async fn main() -> ExitCode {
    install_tls();
    let cli = Cli::parse();
    let output = Output::new(cli.json);
    match commands::run(cli.command, &output).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(error),
    }
}

/// Says what went wrong; arguments that do not go together end the program as clap ends it for the others. Nothing can
/// be done about a standard error that is closed.
fn complain(error: anyhow::Error) -> ExitCode {
    match error.downcast::<clap::Error>() {
        Ok(usage) => {
            let _ = usage.print();
            ExitCode::from(2)
        }
        Err(error) if error.is::<AlreadySaid>() => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "voxctl: {error:#}");
            ExitCode::FAILURE
        }
    }
}
