//! `voxctl keys`.

use std::io::{self, IsTerminal};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use voxanne_boot::{Reader, VaultSettings};
use voxanne_credentials::{
    CountByKey, RotateKeys, RotationReport,
    rotate_keys::{KeyUse, Stuck},
};

use crate::{
    cli::Keys,
    output::{Output, table},
};

pub(super) async fn run(command: Keys, output: &Output) -> anyhow::Result<()> {
    let settings = VaultSettings::read(Reader::from_environment())?;
    let (store, keys) = (super::store(&settings.database).await?, settings.encryption.keys);
    match command {
        Keys::Rotate => {
            let current = keys.current().to_string();
            rotate(&RotateKeys::new(store, keys), &current, output).await
        }
        Keys::Status => status(&CountByKey::new(store, keys), output).await,
    }
}

async fn rotate(rotate: &RotateKeys, current: &str, output: &Output) -> anyhow::Result<()> {
    let mut progress = Progress::of(rotate.outstanding().await?, output);
    let report = rotate.run(|settled| progress.advance(settled)).await?;
    progress.end();
    let outcome = json!({
        "keyId": current,
        "rotated": report.rotated,
        "unreadable": report.stuck.iter().map(stuck_json).collect::<Vec<_>>(),
        "remaining": report.remaining,
    });
    output.say(&outcome, || tell(&report, current))?;
    match (report.stuck.len(), report.remaining) {
        (0, 0) => Ok(()),
        (0, left) => {
            bail!(
                "{left} of the stored secrets were sealed with another key meanwhile: which program still has it first?"
            )
        }
        (stuck, _) => bail!("{stuck} of the stored secrets cannot be read and were left as they are"),
    }
}

fn stuck_json(stuck: &Stuck) -> Value {
    json!({
        "organizationId": stuck.org, "provider": stuck.provider, "credentialId": stuck.record,
        "keyId": stuck.key_id, "error": stuck.why.to_string(),
    })
}

fn tell(report: &RotationReport, current: &str) -> String {
    let done = format!("{} secrets are now sealed with key {current}.", report.rotated);
    if report.stuck.is_empty() {
        return done;
    }
    let row = |stuck: &Stuck| {
        [
            stuck.org.to_string(),
            stuck.provider.clone(),
            stuck.record.to_string(),
            stuck.key_id.clone(),
            stuck.why.to_string(),
        ]
    };
    let header = ["organization", "provider", "credential", "key", "why it cannot be read"];
    format!("{done}\n{}", table(header, report.stuck.iter().map(row), ""))
}

async fn status(count: &CountByKey, output: &Output) -> anyhow::Result<()> {
    let uses = count.run().await?;
    output.say(&json!({ "data": uses.iter().map(use_json).collect::<Vec<_>>() }), || {
        let row = |key: &KeyUse| [key.key_id.clone(), key.records.to_string(), role(key).to_owned()];
        table(["key", "secrets", ""], uses.iter().map(row), "")
    })?;
    Ok(())
}

fn use_json(key: &KeyUse) -> Value {
    json!({ "keyId": key.key_id, "count": key.records, "configured": key.configured, "current": key.current })
}

fn role(key: &KeyUse) -> &'static str {
    match (key.current, key.configured) {
        (true, _) => "encrypts",
        (false, true) => "decrypts",
        (false, false) => "not configured: these cannot be read",
    }
}

/// How far it is: a bar on a terminal, a line for every tenth otherwise, nothing for scripts that want JSON.
struct Progress<'a> {
    bar: Option<ProgressBar>,
    output: &'a Output,
    total: u64,
    done: u64,
}

impl<'a> Progress<'a> {
    fn of(total: u64, output: &'a Output) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} secrets, {eta} left");
            ProgressBar::new(total).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, output, total, done: 0 }
    }

    fn advance(&mut self, settled: u64) {
        let tenths = |done: u64| done * 10 / self.total.max(1);
        let before = tenths(self.done);
        self.done += settled;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if tenths(self.done) > before => {
                // Whoever does not read along still gets the outcome.
                let _ = self.output.tell(&format!("{} of {} secrets", self.done, self.total.max(self.done)));
            }
            None => {}
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
