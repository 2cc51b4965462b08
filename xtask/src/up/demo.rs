//! The demo clinic: signs up, is approved, and gets its first call, all through the doors that customers use.
//!
//! Each step is noted when it is done, so that an interrupted demo goes on where it stopped and a finished one is
//! not repeated.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    api::{Api, text},
    stack::Stack,
};
use crate::say::{self, Step};

const FILE: &str = "demo.json";
const OWNER: &str = "owner@demo-clinic.example";
const OPERATOR: &str = "operator@voxanne.example";
const CLINIC: &str = "Demo Clinic";
const SCRIPT: &str = include_str!("demo-call.yaml");

/// How long the line's setup and the call's way to the dashboard may each take.
const PATIENCE: Duration = Duration::from_secs(90);

/// How often that is looked at.
const POLL: Duration = Duration::from_millis(100);

/// How far the demo has come.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Progress {
    operator_id: Option<String>,
    tool_call_ms: Option<f64>,
    outcome: Option<Booking>,
}

/// What came of the demo's call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Booking {
    booked: bool,
    appointment_id: String,
    call_id: String,
    organization_id: String,
    /// From the tool call's first byte out to its answer, as Vapi would see it.
    tool_call_ms: f64,
    phone_number: String,
    scheduled_at: Option<String>,
    /// Whether the data was there before this run.
    #[serde(default)]
    reused: bool,
}

impl Booking {
    /// What happened, in lines for a person.
    pub(crate) fn story(&self) -> Vec<String> {
        let when = self.scheduled_at.as_deref().unwrap_or("the agreed time");
        vec![
            format!("{CLINIC} ({}) answers {}.", self.organization_id, self.phone_number),
            format!("A patient called and was booked for {when}, in {:.0} ms.", self.tool_call_ms),
            format!("  call        {}\n  appointment {}", self.call_id, self.appointment_id),
            format!(
                "Log in as {OWNER}; its password is owner_password in secrets.json of the data directory."
            ),
        ]
    }
}

/// Runs what is left of the demo.
///
/// # Errors
/// When a step is refused or takes too long; the message ends with what the programs wrote.
pub(crate) async fn run(stack: &mut Stack) -> anyhow::Result<Booking> {
    match play(stack).await {
        Ok(booking) => Ok(booking),
        Err(error) => {
            stack.check()?;
            say::note(&stack.ends_of_logs());
            Err(error.context("the demo failed (--fresh starts over)"))
        }
    }
}

async fn play(stack: &mut Stack) -> anyhow::Result<Booking> {
    let mut progress: Progress = stack.home.read(FILE)?.unwrap_or_default();
    let (owner, organization) = sign_up(stack).await?;
    if let Some(mut booking) = progress.outcome.clone() {
        owner
            .get(&format!("/api/calls-dashboard/{}", booking.call_id))
            .await
            .context("the demo's call is gone")?;
        reconnect(stack, &owner, &booking.phone_number).await?;
        booking.reused = true;
        return Ok(booking);
    }
    let operator = approve(stack, &mut progress, &organization).await?;
    let number = line(stack, &operator, &organization).await?;
    let tool_call_ms = match progress.tool_call_ms {
        Some(took) => took,
        None => call(stack, &number).await?,
    };
    progress.tool_call_ms = Some(tool_call_ms);
    stack.home.write(FILE, &progress)?;
    let booking = dashboard(stack, &owner, organization, number, tool_call_ms).await?;
    progress.outcome = Some(booking.clone());
    stack.home.write(FILE, &progress)?;
    Ok(booking)
}

/// Signs the clinic up, or logs in when it exists.
async fn sign_up(stack: &Stack) -> anyhow::Result<(Api, String)> {
    let step = Step::begin("signing the demo clinic up");
    let api = stack.api()?;
    let password = &stack.secrets.owner_password;
    let login = json!({ "email": OWNER, "password": password, "tokenTransport": "body" });
    let (status, session) = api.try_post("/api/auth/login", &login).await?;
    let session = match status {
        StatusCode::OK => session,
        StatusCode::UNAUTHORIZED => {
            let ask = json!({
                "email": OWNER, "password": password, "organizationName": CLINIC,
                "timezone": "Europe/London", "tokenTransport": "body",
            });
            api.post("/api/auth/signup", &ask).await?
        }
        other => bail!("POST /api/auth/login answers {other}: {session}"),
    };
    let owner = api.with(text(&session, "/accessToken")?);
    let organization = text(&owner.get("/api/me").await?, "/organization/id")?;
    step.done("");
    Ok((owner, organization))
}

/// An operator, made on the command line as operators are, approves the clinic; its line is set up from here on.
async fn approve(stack: &Stack, progress: &mut Progress, organization: &str) -> anyhow::Result<Api> {
    let step = Step::begin("an operator approves it");
    let operator = operator(stack, progress)?;
    let verify = format!("/api/organizations/{organization}/verify");
    operator.post_later(&verify, &json!({ "status": "verified" })).await?;
    step.done("");
    Ok(operator)
}

/// The API as the operator sees it, who is made when there is none yet.
fn operator(stack: &Stack, progress: &mut Progress) -> anyhow::Result<Api> {
    let operator = if let Some(known) = &progress.operator_id {
        known.clone()
    } else {
        let create = ["admin", "create", "--email", OPERATOR, "--password-stdin"];
        let made = voxctl(stack, &create, &stack.secrets.operator_password)?;
        text(&serde_json::from_str(&made).context("what `voxctl admin create` printed")?, "/userId")?
    };
    progress.operator_id = Some(operator.clone());
    stack.home.write(FILE, progress)?;
    let token = voxctl(stack, &["token", "--user", &operator, "--role", "platform_admin"], "")?;
    Ok(stack.api()?.with(token.trim()))
}

/// Runs the operator's command line with the product's settings.
fn voxctl(stack: &Stack, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(stack.programs.join("voxctl"));
    command
        .args(arguments)
        .env("DATABASE_URL", stack.database_url())
        .env("JWT_SECRET", &stack.secrets.jwt_secret);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting voxctl")?;
    child.stdin.take().context("voxctl's input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "voxctl {} fails: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until the line is set up at the providers, and returns its number.
async fn line(stack: &mut Stack, operator: &Api, organization: &str) -> anyhow::Result<String> {
    let step = Step::begin("its line is set up at the providers");
    let begun = Instant::now();
    loop {
        stack.check()?;
        let status = operator.get(&format!("/api/organizations/{organization}/ai-status")).await?;
        let setup = &status["aiSetup"];
        match setup["status"].as_str() {
            Some("active") => {
                let number = text(setup, "/phoneNumber")?;
                step.done(&number);
                return Ok(number);
            }
            Some("failed") => bail!("the setup failed: {}", setup["steps"]),
            _ if begun.elapsed() > PATIENCE => {
                let jobs = voxctl(stack, &["jobs", "list"], "").unwrap_or_default();
                bail!("the line is not set up after {} s: {setup}; what waits:\n{jobs}", PATIENCE.as_secs());
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Has the assistants of an earlier run point at us again when the provider would look for us at another port.
async fn reconnect(stack: &mut Stack, owner: &Api, number: &str) -> anyhow::Result<()> {
    let sandbox = stack.sandbox()?;
    let backend = stack.backend_url();
    if answers_at(&sandbox.get("/_sandbox/state").await?, number, &backend) {
        return Ok(());
    }
    let step = Step::begin("its line follows to this port");
    owner.post("/api/assistants/inbound/sync", &json!({})).await?;
    let begun = Instant::now();
    while !answers_at(&sandbox.get("/_sandbox/state").await?, number, &backend) {
        stack.check()?;
        ensure!(begun.elapsed() < PATIENCE, "the line does not answer here after {} s", PATIENCE.as_secs());
        tokio::time::sleep(POLL).await;
    }
    step.done("");
    Ok(())
}

/// Whether this number is answered by an assistant that sends its messages to `backend`.
fn answers_at(state: &Value, number: &str, backend: &str) -> bool {
    let find = |kind: &str, field: &str, value: &str| {
        let mut all = state.pointer(&format!("/providers/vapi/{kind}"))?.as_array()?.iter();
        all.find(|object| object[field] == value)
    };
    let assistant = find("phoneNumbers", "number", number)
        .and_then(|number| number["assistantId"].as_str())
        .and_then(|id| find("assistants", "id", id));
    let server = assistant.and_then(|assistant| assistant.pointer("/server/url")?.as_str());
    server.and_then(|url| url.strip_prefix(backend)).is_some_and(|path| path.starts_with('/'))
}

/// A patient calls; returns what the booking tool call took, in milliseconds.
async fn call(stack: &Stack, number: &str) -> anyhow::Result<f64> {
    let step = Step::begin("a patient calls");
    let script = format!("to: \"{number}\"\n{SCRIPT}");
    let played = stack.sandbox()?.post_text("/_sandbox/calls", script, "application/yaml").await?;
    ensure!(played["ok"] == true, "the call went wrong: {}", complaints(&played));
    let took = booking_took(&played).with_context(|| format!("the call made no booking: {played}"))?;
    step.done(&format!("booked in {took:.0} ms"));
    Ok(took)
}

/// What the sandbox found wrong with a call, without the megabyte of messages around it.
fn complaints(played: &Value) -> String {
    let calls = played["toolCalls"].as_array().into_iter().flatten();
    let tools: Vec<String> = calls
        .filter(|call| call["ok"] != true)
        .map(|call| format!("{}: {} {} {}", call["name"], call["problems"], call["error"], call["result"]))
        .collect();
    format!("{} {} (it ended with {})", played["problems"], tools.join(" "), played["endedReason"])
}

/// How long the booking tool call took.
fn booking_took(played: &Value) -> Option<f64> {
    let mut calls = played["toolCalls"].as_array()?.iter();
    calls.find(|call| call["name"] == "bookClinicAppointment")?["latencyMs"].as_f64()
}

/// Waits until the dashboard shows the call, ended and booked.
async fn dashboard(
    stack: &mut Stack,
    owner: &Api,
    organization_id: String,
    phone_number: String,
    tool_call_ms: f64,
) -> anyhow::Result<Booking> {
    let step = Step::begin("the dashboard shows it");
    let begun = Instant::now();
    loop {
        stack.check()?;
        let calls = owner.get("/api/calls-dashboard?limit=10").await?;
        let ended = |call: &&Value| call["status"] == "completed" && call["booking_confirmed"] == true;
        if let Some(call) = calls["data"].as_array().and_then(|calls| calls.iter().find(ended)) {
            let call_id = text(call, "/id")?;
            let detail = owner.get(&format!("/api/calls-dashboard/{call_id}")).await?;
            step.done("");
            return Ok(Booking {
                booked: true,
                appointment_id: text(&detail, "/appointment/id")?,
                scheduled_at: text(&detail, "/appointment/scheduled_at").ok(),
                call_id,
                organization_id,
                tool_call_ms,
                phone_number,
                reused: false,
            });
        }
        if begun.elapsed() > PATIENCE {
            bail!(
                "no completed call with a booking on the dashboard after {} s: {calls}",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(POLL).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latency_is_the_bookings_and_no_other_tools() {
        let played = json!({ "toolCalls": [
            { "name": "checkAvailability", "latencyMs": 1.0 },
            { "name": "bookClinicAppointment", "latencyMs": 7.5 },
        ]});
        assert_eq!(booking_took(&played), Some(7.5));
        assert_eq!(booking_took(&json!({ "toolCalls": [] })), None);
    }

    #[test]
    fn a_line_is_ours_when_its_assistant_talks_to_our_address() {
        let state = json!({ "providers": { "vapi": {
            "phoneNumbers": [{ "number": "+1", "assistantId": "a" }, { "number": "+2", "assistantId": "b" }],
            "assistants": [{ "id": "a", "server": { "url": "http://127.0.0.1:8080/webhooks/vapi" } }],
        }}});
        let check = |number, backend, expected| {
            assert_eq!(answers_at(&state, number, backend), expected, "{number} at {backend}");
        };
        check("+1", "http://127.0.0.1:8080", true);
        check("+1", "http://127.0.0.1:80", false);
        check("+1", "http://127.0.0.1:8097", false);
        check("+2", "http://127.0.0.1:8080", false);
        check("+3", "http://127.0.0.1:8080", false);
    }

    #[test]
    fn the_outcome_has_the_names_that_scripts_rely_on() {
        let booking = Booking {
            booked: true,
            appointment_id: "a".to_owned(),
            call_id: "c".to_owned(),
            organization_id: "o".to_owned(),
            tool_call_ms: 1.5,
            phone_number: "+15005550006".to_owned(),
            scheduled_at: None,
            reused: false,
        };
        let line = serde_json::to_value(booking).unwrap();
        for name in ["booked", "appointmentId", "callId", "organizationId", "toolCallMs"] {
            assert!(line.get(name).is_some(), "{name}");
        }
    }
}
