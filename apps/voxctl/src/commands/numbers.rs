//! `voxctl numbers`: the phone numbers that we buy for organizations.

use anyhow::{Context, bail};
use serde_json::{Value, json};
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_kernel::{E164, ids::OrgId};
use voxanne_telephony::numbers::{Finding, ManagedNumber, NumberState, Release, ReleaseError, Report, Side};
use voxanne_twilio::ManagedNumbers;

use crate::{
    cli::Numbers,
    commands::{telephony::Telephony, voice::entering},
    output::{AlreadySaid, Output, table},
};

pub(super) async fn run(command: Numbers, output: &Output) -> anyhow::Result<()> {
    match command {
        Numbers::List { org } => list(org.map(OrgId), output).await,
        Numbers::Release { org, number, force } => release(OrgId(org), &number, force, output).await,
        Numbers::Reconcile { release } => reconcile(release, output).await,
    }
}

/// The use cases, with the platform's account at Twilio.
async fn managed() -> anyhow::Result<ManagedNumbers> {
    Telephony::open().await?.managed.context("TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN are not set")
}

async fn list(org: Option<OrgId>, output: &Output) -> anyhow::Result<()> {
    let store = super::store(&OperatorSettings::read(Reader::from_environment())?.database).await?;
    let numbers = store.every_managed_number(org).await?;
    let outcome =
        json!({ "data": numbers.iter().map(|(org, number)| row(*org, number)).collect::<Vec<_>>() });
    output.say(&outcome, || {
        let row = |(org, number): &(OrgId, ManagedNumber)| {
            [
                org.to_string(),
                number.number.to_string(),
                number.state.as_str().to_owned(),
                number.state.voice_id().unwrap_or("-").to_owned(),
                number.purchased_at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
                released_at(number).map_or_else(|| "-".to_owned(), |at| at.to_string()),
            ]
        };
        let header = ["organization", "number", "status", "at Vapi", "purchased", "released"];
        table(header, numbers.iter().map(row), "There are no managed numbers.")
    })?;
    Ok(())
}

fn row(org: OrgId, number: &ManagedNumber) -> Value {
    json!({
        "organizationId": org, "phoneNumber": number.number.as_str(), "status": number.state.as_str(),
        "twilioAccountSid": number.account, "twilioNumberSid": number.state.carrier_id(),
        "vapiPhoneId": number.state.voice_id(), "purchasedAt": number.purchased_at,
        "releasedAt": released_at(number),
    })
}

fn released_at(number: &ManagedNumber) -> Option<jiff::Timestamp> {
    match number.state {
        NumberState::Released { at } => Some(at),
        _ => None,
    }
}

async fn release(org: OrgId, number: &E164, force: bool, output: &Output) -> anyhow::Result<()> {
    let results = match managed().await?.release.run(&entering(org), number, force).await {
        Ok(results) => results,
        Err(ReleaseError::InUse(forwarded)) => {
            let codes: Vec<&str> = forwarded
                .iter()
                .flat_map(|one| &one.erase)
                .map(voxanne_telephony::hybrid::Code::as_str)
                .collect();
            bail!("a phone still forwards its calls to it; dial {}, or use --force", codes.join(" "))
        }
        Err(error) => return Err(error.into()),
    };
    let outcome = json!({
        "success": results.is_done(),
        "results": {
            "vapiReleased": results.voice_released, "twilioReleased": results.carrier_released,
            "statusUpdated": results.status_updated, "routingRemoved": results.routing_removed,
        },
    });
    output.say(&outcome, || {
        let line = |what: &str, done: bool| {
            format!("{what}: {}", if done { "done" } else { "not yet; the worker goes on" })
        };
        [
            line("routing removed", results.routing_removed),
            line("marked", results.status_updated),
            line("released at Vapi", results.voice_released),
            line("released at Twilio", results.carrier_released),
        ]
        .join("\n")
    })?;
    if results.is_done() { Ok(()) } else { Err(AlreadySaid.into()) }
}

async fn reconcile(release: bool, output: &Output) -> anyhow::Result<()> {
    let report = managed().await?.reconcile.run(release).await?;
    output.say(&shown(&report), || {
        let row = |finding: &Finding| {
            let stray = &finding.stray;
            [
                stray.side().as_str().to_owned(),
                stray.kind().to_owned(),
                stray.number().map_or_else(|| "-".to_owned(), ToString::to_string),
                stray.id().unwrap_or("-").to_owned(),
                finding.org.map_or_else(|| "-".to_owned(), |org| org.to_string()),
                finding.release.map_or("-", |release| release.as_str()).to_owned(),
            ]
        };
        let header = ["where", "what", "number", "id", "organization", "release"];
        let [twilio, vapi, database] = report.compared;
        let compared =
            format!("compared {twilio} numbers at Twilio, {vapi} at Vapi, {database} in the database");
        format!("{}\n{compared}", table(header, report.findings.iter().map(row), "NO STRAYS"))
    })?;
    if report.findings.is_empty() { Ok(()) } else { Err(AlreadySaid.into()) }
}

fn shown(report: &Report) -> Value {
    let stray = |finding: &Finding| {
        json!({
            "side": finding.stray.side().as_str(), "kind": finding.stray.kind(), "id": finding.stray.id(),
            "phoneNumber": finding.stray.number().map(E164::as_str), "organizationId": finding.org,
            "release": finding.release.map(Release::as_str),
        })
    };
    let [twilio, vapi, database] = report.compared;
    let count = |side| report.on(side);
    json!({
        "ok": report.findings.is_empty(),
        "compared": { "twilio": twilio, "vapi": vapi, "database": database },
        "strays": {
            "twilio": count(Side::Carrier), "vapi": count(Side::Voice), "database": count(Side::Records),
        },
        "data": report.findings.iter().map(stray).collect::<Vec<_>>(),
    })
}
