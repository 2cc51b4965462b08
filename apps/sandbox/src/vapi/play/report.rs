//! The end of a call: what Vapi stores of it and the report it sends.

use serde_json::{Map, Value, json};

use super::super::collection::Object;
use super::super::recordings::{addresses, switched_on};
use super::answer::Ending;
use super::script::Analysis;
use super::stage::Stage;
use super::transcript::seconds;
use crate::clock::{instant, iso};

/// Longer calls cost no more here; beyond, the sums would not fit.
const LONGEST_MS: u32 = 5_000_000;

/// Ends the call: stores the outcome, then tells the server, in the order the script asks for.
pub(super) async fn end(stage: &mut Stage, ending: &Ending, given: &Analysis) {
    stage.transcript.fit_before(stage.world.clock.now_ms());
    let facts = facts(stage, ending, given);
    stage.record(|call| {
        call.insert("status".into(), json!("ended"));
        for field in
            ["endedReason", "startedAt", "endedAt", "cost", "costs", "costBreakdown", "analysis", "artifact"]
        {
            call.insert(field.into(), facts[field].clone());
        }
        call.insert("messages".into(), facts["artifact"]["messages"].clone());
        if let Some(destination) = &ending.destination {
            call.insert("destination".into(), destination.clone());
        }
    });
    stage.world.vapi.store().inboxes.remove(&stage.call_id);
    if let Some(destination) = &ending.destination {
        let fields = json!({ "status": "forwarding", "destination": destination });
        stage.tell("status-update", fields).await;
    }
    let mut status = json!({ "status": "ended", "endedReason": ending.reason });
    if let Some(debugging) = &ending.debugging {
        status["inboundPhoneCallDebuggingArtifacts"] = debugging.clone();
    }
    let report = report(stage, facts, ending);
    if stage.options.reorder {
        stage.tell("end-of-call-report", report).await;
        stage.tell("status-update", status).await;
        stage.tell("status-update", json!({ "status": "in-progress" })).await;
    } else {
        stage.tell("status-update", status).await;
        stage.tell("end-of-call-report", report).await;
    }
}

/// What `GET /call/{id}` and the report have in common.
fn facts(stage: &Stage, ending: &Ending, given: &Analysis) -> Value {
    let assistant = stage.assistant.clone().unwrap_or_default();
    let (start, end) = (stage.transcript.started_ms(), stage.transcript.now_ms());
    let (costs, breakdown, total) = costs(stage, &assistant, end - start);
    json!({
        "endedReason": ending.reason,
        "startedAt": iso(instant(start)),
        "endedAt": iso(instant(end)),
        "cost": total,
        "costs": costs,
        "costBreakdown": breakdown,
        "analysis": analysis(stage, &assistant, given),
        "artifact": artifact(stage, &assistant),
    })
}

/// The report, with the older fields at its top level that captures still show.
fn report(stage: &Stage, facts: Value, ending: &Ending) -> Value {
    let lasted = stage.transcript.now_ms() - stage.transcript.started_ms();
    let mut report = facts;
    report["durationMs"] = json!(lasted);
    report["durationSeconds"] = json!(seconds(lasted));
    report["durationMinutes"] = json!(seconds(lasted / 60));
    for field in ["transcript", "messages", "recordingUrl", "stereoRecordingUrl"] {
        if let Some(value) = report["artifact"].get(field).cloned() {
            report[field] = value;
        }
    }
    report["summary"] = report["analysis"]["summary"].clone();
    if let Some(destination) = &ending.destination {
        report["destination"] = destination.clone();
    }
    report
}

fn artifact(stage: &Stage, assistant: &Object) -> Value {
    let answered = stage.transcript.utterances() > 0;
    let recorded = answered && switched_on(assistant, "artifactPlan", "recordingEnabled");
    let logged = switched_on(assistant, "artifactPlan", "loggingEnabled");
    let mut artifact = addresses(&stage.world, &stage.call_id, recorded, logged);
    artifact.insert("messages".into(), stage.transcript.messages());
    artifact.insert("messagesOpenAIFormatted".into(), stage.transcript.openai());
    let plan = assistant.get("artifactPlan").and_then(|plan| plan["transcriptPlan"].as_object());
    if plan.is_none_or(|plan| plan.get("enabled") != Some(&Value::Bool(false))) {
        artifact.insert("transcript".into(), json!(stage.transcript.text()));
    }
    artifact.insert("variableValues".into(), json!(stage.variables));
    artifact.insert(
        "performanceMetrics".into(),
        json!({ "turnLatencies": [], "numUserInterrupted": 0, "numAssistantInterrupted": 0 }),
    );
    Value::Object(artifact)
}

/// What the plans of the assistant ask for; a call with hardly a word in it is not analysed.
fn analysis(stage: &Stage, assistant: &Object, given: &Analysis) -> Value {
    let plan = assistant.get("analysisPlan").cloned().unwrap_or_default();
    let enough = plan["minMessagesThreshold"].as_u64().unwrap_or(2);
    let mut analysis = Map::new();
    if u64::try_from(stage.transcript.utterances()).unwrap_or(0) < enough {
        return Value::Object(analysis);
    }
    if plan["summaryPlan"]["enabled"] != false {
        let summary = given.summary.clone().unwrap_or_else(|| made_up_summary(stage));
        analysis.insert("summary".into(), json!(summary));
    }
    if plan["structuredDataPlan"]["enabled"] == true {
        let data = given
            .structured_data
            .clone()
            .map_or_else(|| sample(&plan["structuredDataPlan"]["schema"]), Value::Object);
        analysis.insert("structuredData".into(), data);
    }
    if plan["successEvaluationPlan"]["enabled"] != false {
        let evaluation = given.success_evaluation.as_deref().unwrap_or("true");
        analysis.insert("successEvaluation".into(), json!(evaluation));
    }
    Value::Object(analysis)
}

fn made_up_summary(stage: &Stage) -> String {
    let text = stage.transcript.text();
    let said = text.lines().find_map(|line| line.strip_prefix("User: ")).unwrap_or("nothing");
    format!("The caller said: {said}")
}

/// What an analysis says when there is nothing to say, if the schema has such a word.
const NOTHING_SPECIAL: &[&str] = &["none", "neutral", "low", "unknown", "other"];

/// A value that fits a JSON schema and claims as little as it can.
fn sample(schema: &Value) -> Value {
    if let Some(choices) = schema["enum"].as_array() {
        let plain = choices.iter().find(|choice| NOTHING_SPECIAL.iter().any(|plain| *choice == plain));
        return plain.or_else(|| choices.first()).cloned().unwrap_or_default();
    }
    match schema["type"].as_str() {
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(name, schema)| (name.clone(), sample(schema))).collect())
        }
        Some("array") => json!([]),
        Some("number" | "integer") => json!(0),
        Some("boolean") => json!(false),
        Some("string") => json!(""),
        _ => Value::Null,
    }
}

/// Costs as Vapi itemizes them, in dollars: by the minute, by the character, by the token.
fn costs(stage: &Stage, assistant: &Object, lasted_ms: i64) -> (Value, Value, f64) {
    let lasted = u32::try_from(lasted_ms).unwrap_or(0).min(LONGEST_MS);
    let minutes = dollars(lasted / 60 * 1000);
    // Millionths of a dollar, so that the sum is exact.
    let by_minute = |micros_per_minute: u32| lasted / 60 * micros_per_minute / 1000;
    let (transport, transcriber, vapi) = (by_minute(8_000), by_minute(10_000), by_minute(50_000));
    let characters = stage.transcript.spoken();
    let voice = characters * 15;
    let (prompt_tokens, completion_tokens) = (900 + characters / 2, characters / 4);
    let model = prompt_tokens * 3 / 2 + completion_tokens * 6;
    let part = |name: &str| assistant.get(name).cloned().unwrap_or_else(|| json!({}));
    let costs = json!([
        { "type": "transport", "provider": "twilio", "minutes": minutes, "cost": dollars(transport) },
        { "type": "transcriber", "transcriber": part("transcriber"), "minutes": minutes, "cost": dollars(transcriber) },
        { "type": "model", "model": part("model"), "promptTokens": prompt_tokens,
          "completionTokens": completion_tokens, "cost": dollars(model) },
        { "type": "voice", "voice": part("voice"), "characters": characters, "cost": dollars(voice) },
        { "type": "vapi", "subType": "normal", "minutes": minutes, "cost": dollars(vapi) },
    ]);
    let total = dollars(transport + transcriber + model + voice + vapi);
    let breakdown = json!({
        "transport": dollars(transport), "stt": dollars(transcriber), "llm": dollars(model),
        "tts": dollars(voice), "vapi": dollars(vapi), "total": total,
        "llmPromptTokens": prompt_tokens, "llmCompletionTokens": completion_tokens, "ttsCharacters": characters,
    });
    (costs, breakdown, total)
}

/// Millionths as a decimal number, which is how Vapi writes money.
fn dollars(micros: u32) -> f64 {
    f64::from(micros) / 1_000_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_findings_fit_the_schema_and_claim_nothing() {
        let schema = json!({ "type": "object", "properties": {
            "outcome": { "type": "string", "enum": ["booked", "none"] },
            "kind": { "type": "string", "enum": ["a", "b"] },
            "score": { "type": "number" }, "booked": { "type": "boolean" },
            "services": { "type": "array", "items": { "type": "string" } },
        }});
        let expected = json!({ "outcome": "none", "kind": "a", "score": 0, "booked": false, "services": [] });
        assert_eq!(sample(&schema), expected);
    }
}
