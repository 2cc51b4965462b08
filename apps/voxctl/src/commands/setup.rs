//! `voxctl setup`: the setup of an organization's line.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use voxanne_boot::{OperatorSettings, Reader};
use voxanne_kernel::{Begin, SystemClock, ids::OrgId};
use voxanne_postgres::PgStore;
use voxanne_provisioning::setup::{
    CleanUpError, CleanupResults, ForwardingPhone, RetryError, RetrySetup, Setup, SetupTx, SetupWish,
    ShowSetup, Started, Step,
};

use crate::{
    cli::{self, RetryArgs},
    commands::{telephony::Telephony, voice::entering},
    output::{AlreadySaid, Output, table},
};

pub(super) async fn run(command: cli::Setup, output: &Output) -> anyhow::Result<()> {
    match command {
        cli::Setup::Show { org } => show(OrgId(org), output).await,
        cli::Setup::Retry(arguments) => retry(arguments, output).await,
        cli::Setup::Cleanup { org, force } => clean_up(OrgId(org), force, output).await,
    }
}

async fn store() -> anyhow::Result<Arc<PgStore>> {
    super::store(&OperatorSettings::read(Reader::from_environment())?.database).await
}

/// Fails for an organization that does not exist.
async fn known(store: &PgStore, org: OrgId) -> anyhow::Result<()> {
    let mut tx = Begin::<dyn SetupTx>::begin(store, &entering(org)).await?;
    tx.organization().await?.context("there is no such organization")?;
    Ok(tx.commit().await?)
}

async fn show(org: OrgId, output: &Output) -> anyhow::Result<()> {
    let store = store().await?;
    known(&store, org).await?;
    let setup = ShowSetup::new(store).run(&entering(org)).await?;
    output.say(&json!({ "organizationId": org, "aiSetup": setup.as_ref().map(shown) }), || {
        setup.as_ref().map_or_else(|| "There never was a setup.".to_owned(), described)
    })?;
    Ok(())
}

fn shown(setup: &Setup) -> Value {
    let assistant = |assistant: &Option<voxanne_provisioning::ReadyAssistant>| {
        assistant.as_ref().map(|assistant| json!({ "id": assistant.id, "name": assistant.name }))
    };
    let step = |step: &Step| {
        json!({ "name": step.name.as_str(), "status": step.status.as_str(), "attempts": step.attempts,
                "at": step.at, "error": step.error })
    };
    let failure = setup.failure.as_ref().map(|failure| {
        json!({ "failedStep": failure.step.as_str(), "code": failure.code, "nearbyAreaCodes": failure.nearby })
    });
    json!({
        "id": setup.id, "status": setup.status.as_str(),
        "phoneNumber": setup.phone_number, "vapiPhoneId": setup.vapi_phone_id,
        "assistants": { "inbound": assistant(&setup.inbound), "outbound": assistant(&setup.outbound) },
        "wish": { "countryCode": setup.wish.country, "areaCode": setup.wish.area_code,
                  "allowFallback": setup.wish.allow_fallback },
        "startedAt": setup.started_at, "completedAt": setup.completed_at, "failure": failure,
        "emailSent": setup.email_queued, "undoAttempts": setup.undo_attempts,
        "steps": setup.steps.iter().map(step).collect::<Vec<_>>(),
    })
}

fn described(setup: &Setup) -> String {
    let row = |step: &Step| {
        [
            step.name.to_string(),
            step.status.to_string(),
            step.attempts.to_string(),
            step.at.map_or_else(|| "-".to_owned(), |at| at.to_string()),
            step.error.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let steps = table(["step", "status", "attempts", "at", "error"], setup.steps.iter().map(row), "");
    let number = setup.phone_number.as_ref().map_or("no number yet", |number| number.as_str());
    let why = setup
        .failure
        .as_ref()
        .map_or_else(String::new, |failure| format!("\nfailed at {} ({})", failure.step, failure.code));
    format!("{}, {number}, since {}\n{steps}{why}", setup.status, setup.started_at)
}

async fn retry(arguments: RetryArgs, output: &Output) -> anyhow::Result<()> {
    let org = OrgId(arguments.org);
    let store = store().await?;
    known(&store, org).await?;
    let wish = wish(arguments)?;
    let started = match RetrySetup::new(store, Arc::new(SystemClock)).run(&entering(org), wish).await {
        Ok(started) => started,
        Err(RetryError::AlreadyComplete) => bail!("the line is set up already"),
        Err(error) => return Err(error.into()),
    };
    let word = match &started {
        Started::Begun(_) => "begun",
        Started::Joined(_) => "joined",
        Started::Ready(_) => "ready",
    };
    let outcome = json!({ "organizationId": org, "outcome": word, "setupId": started.setup().id });
    output.say(&outcome, || match started {
        Started::Begun(_) => "It begins anew; `setup show` tells how far it is.".to_owned(),
        Started::Joined(_) | Started::Ready(_) => {
            "It goes on now; `setup show` tells how far it is.".to_owned()
        }
    })?;
    Ok(())
}

/// What is wished for, if anything is said about it.
fn wish(arguments: RetryArgs) -> anyhow::Result<Option<SetupWish>> {
    let RetryArgs { country, area_code, allow_fallback, .. } = arguments;
    if country.is_none() && area_code.is_none() && !allow_fallback {
        return Ok(None);
    }
    let country = country.unwrap_or_default();
    ensure!(area_code.is_none() || country.has_area_codes(), "--area-code can be given for US and CA only");
    Ok(Some(SetupWish { country, area_code, allow_fallback }))
}

async fn clean_up(org: OrgId, force: bool, output: &Output) -> anyhow::Result<()> {
    let telephony = Telephony::open().await?;
    known(&telephony.store, org).await?;
    let (clean_up, scope) = (telephony.clean_up(), entering(org));
    let cleaned = if force { clean_up.forced(&scope).await } else { clean_up.run(&scope).await };
    let results = match cleaned {
        Ok(results) => results,
        Err(CleanUpError::InUse(phones)) => bail!(in_use(&phones)),
        Err(error) => return Err(error.into()),
    };
    output.say(
        &json!({ "success": results.is_done(), "cleanup": { "results": results_json(results) } }),
        || {
            let line = |what: &str, done: bool| {
                format!("{what}: {}", if done { "done" } else { "not yet; the worker goes on" })
            };
            [
                line("number released", results.phone_number_released),
                line("inbound assistant deleted", results.inbound_assistant_deleted),
                line("outbound assistant deleted", results.outbound_assistant_deleted),
                line("number deleted at Vapi", results.vapi_phone_number_deleted),
                line("configuration removed", results.config_deleted),
            ]
            .join("\n")
        },
    )?;
    if results.is_done() { Ok(()) } else { Err(AlreadySaid.into()) }
}

fn in_use(phones: &[ForwardingPhone]) -> String {
    let codes: Vec<&str> = phones.iter().flat_map(|phone| &phone.erase).map(String::as_str).collect();
    format!("a phone still forwards its calls to the number; dial {}, or use --force", codes.join(" "))
}

fn results_json(results: CleanupResults) -> Value {
    json!({
        "phoneNumberReleased": results.phone_number_released,
        "inboundAssistantDeleted": results.inbound_assistant_deleted,
        "outboundAssistantDeleted": results.outbound_assistant_deleted,
        "vapiPhoneNumberDeleted": results.vapi_phone_number_deleted,
        "configDeleted": results.config_deleted,
    })
}
