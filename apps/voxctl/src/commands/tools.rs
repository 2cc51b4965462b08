//! `voxctl tools`: linking assistants to the present tools, and how far that is.

use std::io::IsTerminal as _;

use anyhow::{bail, ensure};
use futures_util::{StreamExt as _, stream};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_kernel::ids::OrgId;
use voxanne_tooling::{
    RegisteredTool, definitions,
    retire::{Generations as _, present},
};

use crate::{
    cli::{SyncArgs, Tools},
    commands::voice::Voice,
    output::{AlreadySaid, Output, table},
};

/// Organizations read at a time.
const PAGE: u16 = 100;
/// Organizations linked at a time; Vapi's request window is everybody's.
const AT_A_TIME: usize = 4;

pub(super) async fn run(command: Tools, output: &Output) -> anyhow::Result<()> {
    match command {
        Tools::Sync(SyncArgs { org: Some(org), .. }) => sync_one(OrgId(org), output).await,
        Tools::Sync(SyncArgs { org: None, all: _, after, pending }) => {
            sync_all(after.map(OrgId), pending, output).await
        }
        Tools::Status { org: None } => status(output).await,
        Tools::Status { org: Some(org) } => status_of(OrgId(org), output).await,
    }
}

/// How a run went.
#[derive(Default)]
struct Tally {
    scanned: u64,
    synced: u64,
    failures: Vec<(OrgId, String)>,
}

impl Tally {
    fn add(&mut self, org: OrgId, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.synced += 1,
            Err(error) => self.failures.push((org, error)),
        }
    }

    fn json(&self) -> Value {
        let failure = |(org, error): &(OrgId, String)| json!({ "organizationId": org, "error": error });
        json!({
            "scanned": self.scanned, "synced": self.synced, "failed": self.failures.len(),
            "failures": self.failures.iter().map(failure).collect::<Vec<_>>(),
        })
    }

    /// Prints the sums; a run with failures is a failed one.
    fn finish(self, more: &Value, output: &Output) -> anyhow::Result<()> {
        let mut outcome = self.json();
        if let (Some(outcome), Some(more)) = (outcome.as_object_mut(), more.as_object()) {
            outcome.extend(more.clone());
        }
        output.say(&outcome, || {
            format!("scanned {}, synced {}, failed {}", self.scanned, self.synced, self.failures.len())
        })?;
        if self.failures.is_empty() { Ok(()) } else { Err(AlreadySaid.into()) }
    }
}

async fn sync_one(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let voice = Voice::open().await?;
    ensure!(voice.store.carried_tools(org).await?.is_some(), "there is no such organization");
    voice.retire().renew().await?;
    let mut tally = Tally { scanned: 1, ..Tally::default() };
    let outcome = voice.sync(org).await;
    if let Err(error) = &outcome {
        output.tell(&format!("{org} failed: {error}"))?;
    }
    tally.add(org, outcome);
    tally.finish(&json!({}), output)
}

async fn sync_all(after: Option<OrgId>, pending: bool, output: &Output) -> anyhow::Result<()> {
    let voice = Voice::open().await?;
    let retire = voice.retire();
    let (_, tools) = retire.renew().await?;
    let scanned = voice.store.count_to_link(&tools, true, after).await?;
    let progress = Progress::of(voice.store.count_to_link(&tools, !pending, after).await?, output);
    let mut tally = Tally { scanned, ..Tally::default() };
    let mut after = after;
    loop {
        let page = voice.store.to_link(&tools, !pending, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(*last);
        let voice = &voice;
        let mut outcomes =
            stream::iter(page).map(async |org| (org, voice.sync(org).await)).buffered(AT_A_TIME);
        while let Some((org, outcome)) = outcomes.next().await {
            progress.tell(org, &outcome)?;
            tally.add(org, outcome);
        }
    }
    progress.end();
    let (deleted, kept) = retire.clean_up(&tools).await?;
    if deleted + kept > 0 {
        output.tell(&format!("{deleted} superseded tools deleted, {kept} still needed"))?;
    }
    tally.finish(&json!({ "lastOrganizationId": after, "toolsDeleted": deleted, "toolsKept": kept }), output)
}

/// What somebody sees who waits: a bar, or a line for each organization where there is no terminal. After an
/// interruption `--after` goes on behind the last line.
struct Progress<'o> {
    bar: Option<ProgressBar>,
    output: &'o Output,
}

impl<'o> Progress<'o> {
    fn of(length: u64, output: &'o Output) -> Self {
        let watched = std::io::stderr().is_terminal() && !output.is_for_scripts();
        let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} {eta}");
        let bar = watched.then(|| {
            let bar = ProgressBar::new(length);
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        Self { bar, output }
    }

    fn tell(&self, org: OrgId, outcome: &Result<(), String>) -> std::io::Result<()> {
        let line = match outcome {
            Ok(()) => format!("{org} synced"),
            Err(error) => format!("{org} failed: {error}"),
        };
        let Some(bar) = &self.bar else { return self.output.tell(&line) };
        bar.set_message(org.to_string());
        bar.inc(1);
        if outcome.is_err() {
            bar.println(line);
        }
        Ok(())
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

async fn status(output: &Output) -> anyhow::Result<()> {
    let store = super::store(&OperatorSettings::read(Reader::from_environment())?.database).await?;
    let registrations = store.registrations().await?;
    let registered = present(&registrations);
    let mut rows = Vec::new();
    for definition in definitions() {
        let tool: Option<&RegisteredTool> = registered.iter().find(|tool| tool.name == definition.name);
        let id = tool.map(|tool| tool.id.clone());
        let since = registrations.iter().find(|known| Some(&known.id) == id.as_ref()).map(|known| known.at);
        let standing = store.tool_standing(definition.name, id.as_deref()).await?;
        rows.push((definition.name, definition.hash(), id, since, standing));
    }
    let outcome: Vec<Value> = rows
        .iter()
        .map(|(name, hash, id, since, standing)| {
            json!({
                "name": name.as_str(), "hash": hash.to_string(), "toolId": id, "registeredAt": since,
                "linked": standing.linked, "pending": standing.pending, "failed": standing.failed,
                "outdated": standing.outdated,
            })
        })
        .collect();
    output.say(&json!({ "data": outcome }), || {
        let header =
            ["tool", "definition", "at Vapi", "registered", "linked", "pending", "failed", "outdated"];
        let row = rows.iter().map(|(name, hash, id, since, standing)| {
            [
                name.to_string(),
                hash.short(),
                id.clone().unwrap_or_else(|| "-".to_owned()),
                since.map_or_else(|| "no".to_owned(), |at| at.to_string()),
                standing.linked.to_string(),
                standing.pending.to_string(),
                standing.failed.to_string(),
                standing.outdated.to_string(),
            ]
        });
        table(header, row, "")
    })?;
    Ok(())
}

async fn status_of(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let store = super::store(&OperatorSettings::read(Reader::from_environment())?.database).await?;
    let Some(carried) = store.carried_tools(org).await? else { bail!("there is no such organization") };
    let registered = present(&store.registrations().await?);
    let is_current = |id: &str| registered.iter().any(|tool| tool.id == id);
    let outcome: Vec<Value> = carried
        .iter()
        .map(|tool| {
            json!({
                "name": tool.tool_name, "hash": tool.definition_hash, "toolId": tool.vapi_tool_id, "state": tool.state,
                "outdated": !is_current(&tool.vapi_tool_id), "lastError": tool.last_error,
            })
        })
        .collect();
    output.say(&json!({ "organizationId": org, "data": outcome }), || {
        let row = carried.iter().map(|tool| {
            let outdated = if is_current(&tool.vapi_tool_id) { "" } else { ", outdated" };
            let hash = tool.definition_hash.get(..12).unwrap_or_default().to_owned();
            [
                tool.tool_name.clone(),
                hash,
                tool.vapi_tool_id.clone(),
                format!("{}{outdated}", tool.state),
                tool.last_error.clone().unwrap_or_default(),
            ]
        });
        table(
            ["tool", "definition", "at Vapi", "state", "last error"],
            row,
            "This organization's assistants carry no tools.",
        )
    })?;
    Ok(())
}
