//! The conversation itself: greeting, utterances, tools, and what the control URL is told in between.

use std::time::Duration;

use serde_json::json;

use super::super::calls::NO_LINE;
use super::super::collection::text;
use super::super::liquid;
use super::super::live::{Command, Control};
use super::answer::{self, Ending};
use super::placeholders::Placeholders;
use super::script::{Script, Step, ToolStep};
use super::stage::Stage;
use super::tool_calls::{self, Outcome};
use crate::clock::{instant, iso};

/// From the first ring to the assistant's first words.
pub(super) async fn begin(stage: &mut Stage, assistant_id: Option<String>) -> Result<(), Ending> {
    let outbound = text(stage.call(), "type") == "outboundPhoneCall";
    let no_line = (text(stage.call(), "status") == "ended").then(|| Ending::because(NO_LINE));
    let answered = answer::answer(stage, assistant_id).await;
    if let Some(no_line) = no_line {
        return Err(no_line);
    }
    answered?;
    if outbound {
        stage.record(|call| {
            call.insert("status".into(), json!("ringing"));
        });
        stage.tell("status-update", json!({ "status": "ringing" })).await;
    }
    let (id, started) = (stage.assistant_id.clone(), iso(instant(stage.transcript.started_ms())));
    stage.record(|call| {
        call.insert("status".into(), json!("in-progress"));
        call.insert("startedAt".into(), json!(started));
        if let Some(id) = id {
            call.insert("assistantId".into(), json!(id));
        }
    });
    stage.tell("status-update", json!({ "status": "in-progress" })).await;
    let assistant = stage.assistant.clone().unwrap_or_default();
    let prompt = assistant.get("model").and_then(|model| model["messages"].as_array()).into_iter().flatten();
    for message in prompt.filter(|message| message["role"] == "system") {
        let text = liquid::fill(message["content"].as_str().unwrap_or_default(), &stage.variables);
        stage.transcript.system(&text);
    }
    let waits = text(&assistant, "firstMessageMode") == "assistant-waits-for-user";
    let first = liquid::fill(text(&assistant, "firstMessage"), &stage.variables);
    if !waits && !first.is_empty() {
        say(stage, Speaker::Assistant, &first).await;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    Assistant,
    User,
}

/// Somebody says something, and whoever listens hears of it.
async fn say(stage: &mut Stage, who: Speaker, text: &str) {
    let role = match who {
        Speaker::Assistant => "assistant",
        Speaker::User => "user",
    };
    stage.tell("speech-update", json!({ "status": "started", "role": role })).await;
    match who {
        Speaker::Assistant => stage.transcript.bot(text),
        Speaker::User => stage.transcript.user(text),
    }
    stage.tell("speech-update", json!({ "status": "stopped", "role": role })).await;
    stage.tell("transcript", json!({ "role": role, "transcriptType": "final", "transcript": text })).await;
    let messages = json!({
        "messages": stage.transcript.messages(),
        "messagesOpenAIFormatted": stage.transcript.openai(),
        "conversation": stage.transcript.openai(),
    });
    stage.tell("conversation-update", messages).await;
}

/// Goes through the conversation, up to its end or whatever ends it earlier.
pub(super) async fn converse(
    stage: &mut Stage,
    script: &Script,
    values: &mut Placeholders,
    outcomes: &mut Vec<Outcome>,
) -> Ending {
    for (index, step) in script.conversation.iter().enumerate() {
        if let Err(ending) = take_step(stage, index, step, values, outcomes).await {
            return ending;
        }
        if let Err(ending) = obey(stage).await {
            return ending;
        }
    }
    Ending::because(script.hangup.as_deref().unwrap_or("customer-ended-call"))
}

async fn take_step(
    stage: &mut Stage,
    index: usize,
    step: &Step,
    values: &mut Placeholders,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), Ending> {
    if stage.world.stop.is_cancelled() {
        return Err(Ending::because("worker-shutdown"));
    }
    if let Some(ms) = step.wait {
        wait(stage, Duration::from_millis(ms)).await?;
    }
    for (who, text) in [(Speaker::Assistant, &step.assistant), (Speaker::User, &step.user)] {
        let Some(text) = text else { continue };
        match values.fill(text) {
            Ok(text) => say(stage, who, &text).await,
            Err(problem) => stage.problems.push(format!("conversation[{index}]: {problem}")),
        }
    }
    let tools: Vec<ToolStep> = step.tool_steps();
    if tools.is_empty() {
        return Ok(());
    }
    tool_calls::make(stage, index, &tools, values, outcomes).await
}

/// Keeps the call open, and does at once what its control URL is told.
async fn wait(stage: &mut Stage, open: Duration) -> Result<(), Ending> {
    let until = tokio::time::Instant::now() + open;
    loop {
        obey(stage).await?;
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(left.min(Duration::from_millis(20))) => {}
            () = stage.world.stop.cancelled() => return Err(Ending::because("worker-shutdown")),
        }
    }
}

/// Does what came in through the control URL.
async fn obey(stage: &mut Stage) -> Result<(), Ending> {
    let commands = {
        let mut store = stage.world.vapi.store();
        store.inboxes.get_mut(&stage.call_id).map(std::mem::take).unwrap_or_default()
    };
    for command in commands {
        match command {
            Command::Say { content, end_call_after_spoken, .. } => {
                say(stage, Speaker::Assistant, &content).await;
                if end_call_after_spoken == Some(true) {
                    return Err(Ending::because("assistant-ended-call-after-message-spoken"));
                }
            }
            Command::AddMessage { message, .. } => match message.role.as_str() {
                "user" => stage.transcript.user(&message.content),
                "assistant" => stage.transcript.bot(&message.content),
                _ => stage.transcript.system(&message.content),
            },
            Command::Control { control: Control::SayFirstMessage } => {
                let first =
                    stage.assistant.as_ref().map(|assistant| text(assistant, "firstMessage").to_owned());
                say(stage, Speaker::Assistant, &first.unwrap_or_default()).await;
            }
            Command::Control { .. } => {}
            Command::EndCall => return Err(Ending::because("manually-canceled")),
            Command::Transfer { destination, content } => {
                if let Some(content) = content {
                    say(stage, Speaker::Assistant, &content).await;
                }
                return Err(Ending::forwarded("assistant-forwarded-call", destination));
            }
        }
    }
    Ok(())
}
