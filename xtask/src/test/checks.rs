//! The steps of `cargo xtask test`.

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context as _, ensure};
use voxanne_embedded_postgres::{Cluster, Durability, Options, wipe};

use super::Outcome;
use crate::{
    cargo, ports,
    say::{self, Step},
    tidy as habits, up, workspace,
};

pub(super) fn fmt() -> Outcome {
    call(&mut cargo::command(&["fmt", "--all", "--check"])).into()
}

pub(super) fn tidy() -> Outcome {
    let check = || {
        let findings = habits::findings()?;
        ensure!(findings.is_empty(), "{}", findings.join("\n  "));
        Ok(())
    };
    check().into()
}

pub(super) fn deny() -> Outcome {
    if !cargo::has("deny") {
        return Outcome::Skipped("cargo install cargo-deny --locked");
    }
    let check = || {
        let what = ["deny", "--all-features", "check", "-A", "unused-wrapper", "licenses", "bans", "sources"];
        call(&mut cargo::command(&what))?;
        // Advisories come from the network, which a build machine need not have.
        if call(&mut cargo::command(&["deny", "fetch", "db"])).is_err() {
            say::note("the advisories cannot be fetched here and are not checked");
            return Ok(());
        }
        call(&mut cargo::command(&["deny", "check", "advisories"]))
    };
    check().into()
}

pub(super) fn machete() -> Outcome {
    if !cargo::has("machete") {
        return Outcome::Skipped("cargo install cargo-machete --locked");
    }
    call(&mut cargo::command(&["machete"])).into()
}

pub(super) fn clippy() -> Outcome {
    call(&mut cargo::command(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])).into()
}

pub(super) fn doc() -> Outcome {
    call(cargo::command(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings")).into()
}

/// Unit and integration tests, on a PostgreSQL that is thrown away afterwards.
pub(super) fn tests() -> Outcome {
    let check = || {
        // Tests of whole programs start these; building them first keeps that out of the tests' time.
        cargo::build(up::PROGRAMS)?;
        let (cluster, directory) = throw_away_cluster()?;
        let mut tests = if cargo::has("nextest") {
            let profile = if workspace::environment("CI").is_some() { "ci" } else { "default" };
            cargo::command(&["nextest", "run", "--workspace", "--profile", profile])
        } else {
            say::note(
                "without nextest tests share a process; install it: cargo install cargo-nextest --locked",
            );
            cargo::command(&["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"])
        };
        tests.env("VOXANNE_TEST_CLUSTER", cluster.url("postgres")).env("INSTA_UPDATE", "no");
        let outcome = call(&mut tests);
        cluster.stop()?;
        wipe(&directory, &workspace::postgres(), &|_| ())?;
        outcome?;
        call(&mut cargo::command(&["test", "--workspace", "--doc", "--quiet"]))
    };
    check().into()
}

fn throw_away_cluster() -> anyhow::Result<(Cluster, std::path::PathBuf)> {
    let step = Step::begin("a PostgreSQL for the tests");
    let directory = workspace::target().join("xtask-test-cluster");
    let search = workspace::postgres();
    wipe(&directory, &search, &|_| ())?;
    let options =
        Options { directory: directory.clone(), durability: Durability::ThrowAway, connections: 400, search };
    let cluster = Cluster::start(&options, &|at| step.at(at))?;
    step.done(&format!("PostgreSQL {}", cluster.binaries().major()));
    Ok((cluster, directory))
}

pub(super) fn openapi() -> Outcome {
    super::openapi::check().into()
}

/// The two commands' promise itself: everything starts, one call becomes an appointment, everything stops.
pub(super) fn end_to_end() -> Outcome {
    let check = || {
        let home = tempfile::tempdir()?;
        let arguments = up::Arguments {
            port: ports::free()?,
            data_dir: home.path().join("voxanne"),
            no_demo: false,
            fresh: true,
            once: true,
        };
        let code = up::run(&arguments)?;
        ensure!(code == ExitCode::SUCCESS, "the demo did not end in a booking");
        up::wipe_data(&arguments.data_dir)
    };
    check().into()
}

/// Runs a command with our own input and output.
fn call(command: &mut Command) -> anyhow::Result<()> {
    let started = Instant::now();
    let shown = format!("{} {}", command.get_program().display(), arguments(command));
    let status = command.status().with_context(|| format!("starting {shown}"))?;
    ensure!(status.success(), "`{shown}` failed after {}", say::seconds(started.elapsed()));
    Ok(())
}

fn arguments(command: &Command) -> String {
    let words: Vec<String> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    words.join(" ")
}
