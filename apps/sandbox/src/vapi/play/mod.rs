//! Plays a scripted call against the product the way Vapi would: asks who answers, says that the call goes
//! on, calls tools, and reports when it is over.

mod answer;
mod casting;
mod conversation;
mod expectation;
mod placeholders;
mod report;
mod script;
mod stage;
mod tool_calls;
mod transcript;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use script::Script;

use self::answer::Ending;
use self::placeholders::Placeholders;
use self::script::Step;
use self::stage::Stage;
use self::tool_calls::Outcome;
use super::collection::{Object, text};
use crate::clock::{instant, iso};
use crate::options::Outbound;
use crate::world::Shared;

/// What came of a played call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Played {
    /// Whether everything was as the script expects and the protocol demands.
    ok: bool,
    script: Option<String>,
    call_id: String,
    status: &'static str,
    ended_reason: String,
    assistant_id: Option<String>,
    phone_number_id: Option<String>,
    from: Option<String>,
    to: Option<String>,
    started_at: String,
    ended_at: String,
    duration_seconds: f64,
    tool_calls: Vec<Outcome>,
    expectations: Value,
    problems: Vec<String>,
    /// Every message that was sent, with what came back.
    messages: Vec<Value>,
}

/// Plays a script to its end. `Err` says what makes the script unplayable.
pub(crate) async fn play(world: Shared, script: Script) -> Result<Played, String> {
    let mut values =
        Placeholders::new(world.clock.now(), script.timezone.as_deref().unwrap_or("UTC"), &script.variables)?;
    let (mut stage, assistant_id) = casting::cast(&world, &script, &mut values)?;
    let mut outcomes = Vec::new();
    let ending = match conversation::begin(&mut stage, assistant_id).await {
        Ok(()) => conversation::converse(&mut stage, &script, &mut values, &mut outcomes).await,
        Err(ending) => ending,
    };
    report::end(&mut stage, &ending, &script.analysis).await;
    Ok(sum_up(stage, script, &ending, outcomes))
}

/// Lets an outbound call take its course, as far as the sandbox is set to do that.
pub(crate) fn outbound(world: &Shared, call: &Object) {
    let id = text(call, "id").to_owned();
    let (ring, script) = match (text(call, "status"), world.vapi.outbound()) {
        ("ended", _) => (Duration::ZERO, Script::default()),
        ("queued", Outbound::Play { ring, talk }) => (ring, small_talk(talk)),
        _ => return,
    };
    let world = world.clone();
    let tasks = world.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = tokio::time::sleep(ring) => {}
            () = world.stop.cancelled() => return,
        }
        let script = Script { call_id: Some(id.clone()), ..script };
        if let Err(problem) = play(world, script).await {
            tracing::warn!(call.id = %id, %problem, "an outbound call could not be played");
        }
    });
}

/// What is said in outbound calls nobody wrote a script for.
fn small_talk(talk: Duration) -> Script {
    let said = |user: &str| Step { user: Some(user.to_owned()), ..Step::default() };
    let wait = Step { wait: Some(u64::try_from(talk.as_millis()).unwrap_or(0)), ..Step::default() };
    Script {
        conversation: vec![said("Hello, who is this?"), wait, said("Thank you for calling back. Goodbye.")],
        ..Script::default()
    }
}

fn sum_up(stage: Stage, script: Script, ending: &Ending, tool_calls: Vec<Outcome>) -> Played {
    let mut problems = stage.problems;
    let expected = &script.expect;
    if expected.ended_reason.as_ref().is_some_and(|reason| *reason != ending.reason) {
        problems.push(format!("the call ended with {}", ending.reason));
    }
    if expected.assistant_id.is_some() && expected.assistant_id != stage.assistant_id {
        problems.push(format!("answered by assistant {:?}", stage.assistant_id));
    }
    let all = tool_calls.iter().flat_map(|call| &call.expectations);
    let (met, missed): (Vec<_>, Vec<_>) = all.partition(|checked| checked.met);
    let expectations = json!({ "met": met.len(), "missed": missed.iter().map(|missed| &missed.expected).collect::<Vec<_>>() });
    let call = stage.world.vapi.store().calls.get(&stage.call_id).cloned().unwrap_or_default();
    let customer = call.get("customer").and_then(Value::as_object);
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let lasted = stage.transcript.now_ms() - stage.transcript.started_ms();
    Played {
        ok: problems.is_empty() && tool_calls.iter().all(|call| call.ok),
        script: script.name,
        status: "ended",
        ended_reason: ending.reason.clone(),
        assistant_id: stage.assistant_id,
        phone_number_id: some(text(&call, "phoneNumberId")),
        from: customer.and_then(|customer| some(text(customer, "number"))),
        to: stage.number.as_ref().and_then(|number| some(text(number, "number"))),
        started_at: iso(instant(stage.transcript.started_ms())),
        ended_at: iso(instant(stage.transcript.now_ms())),
        duration_seconds: transcript::seconds(lasted),
        call_id: stage.call_id,
        tool_calls,
        expectations,
        problems,
        messages: stage.sent.iter().filter_map(|sent| serde_json::to_value(sent).ok()).collect(),
    }
}
