//! Tool calls: what the assistant may call, the message, and whether the answer keeps to the protocol.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::collection::{Object, text};
use super::super::deliver::Target;
use super::super::liquid;
use super::super::schema;
use super::answer::Ending;
use super::expectation;
use super::placeholders::Placeholders;
use super::script::ToolStep;
use super::stage::Stage;
use crate::journal::Sent;

/// What became of one tool call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcome {
    /// The step of the conversation, counted from 0.
    pub(super) step: usize,
    pub(super) name: String,
    pub(super) tool_call_id: String,
    pub(super) arguments: Value,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) latency_ms: Option<f64>,
    /// What was saved from the result.
    pub(super) saved: Map<String, Value>,
    pub(super) expectations: Vec<expectation::Checked>,
    /// What went wrong with the call or its answer.
    pub(super) problems: Vec<String>,
    pub(super) ok: bool,
}

/// One call that goes out.
struct Planned<'a> {
    step: &'a ToolStep,
    tool: Object,
    outcome: Outcome,
}

/// Makes the tool calls of one step, all in one message per server. `Err` is the end of the call.
pub(super) async fn make(
    stage: &mut Stage,
    index: usize,
    steps: &[ToolStep],
    values: &mut Placeholders,
    done: &mut Vec<Outcome>,
) -> Result<(), Ending> {
    let mut planned = Vec::new();
    for step in steps {
        let mut outcome = start(stage, index, step, values);
        match linked(stage, &step.tool) {
            Some(tool) if outcome.problems.is_empty() => planned.push(Planned { step, tool, outcome }),
            Some(_) => done.push(outcome),
            None => {
                outcome.problems.push(format!("the assistant has no tool called {}", step.tool));
                done.push(outcome);
            }
        }
    }
    let shown = planned.iter().map(|call| shown(&call.outcome, &json!(call.outcome.arguments.to_string())));
    let shown: Vec<Value> = shown.collect();
    if !shown.is_empty() {
        stage.transcript.calls(shown);
    }
    let mut ending = None;
    // Functions go to our server together; what Vapi does by itself comes after.
    let (mut functions, own): (Vec<_>, Vec<_>) =
        planned.into_iter().partition(|call| text(&call.tool, "type") == "function");
    if !functions.is_empty() {
        call_functions(stage, &mut functions).await;
    }
    for call in own {
        let (outcome, end) = by_itself(stage, call).await;
        functions.push(Planned { step: outcome.0, tool: Object::new(), outcome: outcome.1 });
        ending = ending.or(end);
    }
    for Planned { step, mut outcome, .. } in functions {
        let said = outcome.result.clone().or_else(|| outcome.error.clone()).unwrap_or_default();
        stage.transcript.result(&outcome.tool_call_id, &outcome.name, &said);
        expectation::check(step, &mut outcome, values);
        done.push(outcome);
    }
    ending.map_or(Ok(()), Err)
}

fn start(stage: &Stage, index: usize, step: &ToolStep, values: &Placeholders) -> Outcome {
    let id = step.id.clone().unwrap_or_else(|| format!("call_{}", stage.world.ids.word(24)));
    let mut problems = Vec::new();
    let arguments = values.fill_all(&Value::Object(step.arguments.clone())).unwrap_or_else(|problem| {
        problems.push(problem);
        Value::Null
    });
    Outcome {
        step: index,
        name: step.tool.clone(),
        tool_call_id: id,
        arguments,
        result: None,
        error: None,
        status: None,
        latency_ms: None,
        saved: Map::new(),
        expectations: Vec::new(),
        ok: false,
        problems,
    }
}

/// The tool of this name among those the assistant has, by link or inline.
fn linked(stage: &Stage, name: &str) -> Option<Object> {
    let assistant = stage.assistant.as_ref()?;
    let store = stage.world.vapi.store();
    let linked = store.linked_tools(assistant).ok()?.into_iter().cloned();
    let inline = assistant.get("model").and_then(|model| model["tools"].as_array());
    let inline = inline.into_iter().flatten().filter_map(Value::as_object).cloned();
    linked.chain(inline).find(|tool| {
        let function = tool.get("function").and_then(|function| function["name"].as_str());
        function.unwrap_or_else(|| text(tool, "type")) == name
    })
}

fn shown(outcome: &Outcome, arguments: &Value) -> Value {
    json!({
        "id": outcome.tool_call_id, "type": "function",
        "function": { "name": outcome.name, "arguments": arguments },
    })
}

/// Sends calls of functions to the tool's own server, else to the assistant's, and reads the answers.
async fn call_functions(stage: &mut Stage, calls: &mut [Planned<'_>]) {
    for call in calls.iter_mut() {
        add_static_parameters(stage, call);
    }
    let mut groups: Vec<(Option<Value>, Vec<usize>)> = Vec::new();
    for (index, call) in calls.iter().enumerate() {
        let server = call.tool.get("server").filter(|server| server["url"].is_string()).cloned();
        match groups.iter_mut().find(|(known, _)| *known == server) {
            Some((_, members)) => members.push(index),
            None => groups.push((server, vec![index])),
        }
    }
    for (server, members) in groups {
        if stage.options.legacy_function_calls {
            for member in members {
                send_legacy(stage, server.as_ref(), &mut calls[member]).await;
            }
        } else {
            send_group(stage, server.as_ref(), &members, calls).await;
        }
    }
}

/// The parameters the model cannot see go over what it wrote.
fn add_static_parameters(stage: &Stage, call: &mut Planned<'_>) {
    let fixed = call.tool.get("parameters").and_then(Value::as_array).into_iter().flatten();
    for parameter in fixed {
        if let (Some(key), Some(arguments)) =
            (parameter["key"].as_str(), call.outcome.arguments.as_object_mut())
        {
            let value = liquid::fill_all(&parameter["value"], &stage.variables);
            arguments.insert(key.to_owned(), value);
        }
    }
}

/// The server of the tool, else of the call. A kind of message nobody asked for is not sent.
fn target(stage: &Stage, server: Option<&Value>, kind: &str) -> Result<Target, String> {
    let Some(server) = server else {
        if !stage.subscribes_to(kind) {
            return Err(format!("not sent: the assistant's serverMessages do not name {kind}"));
        }
        return stage
            .target
            .clone()
            .ok_or_else(|| "not sent: neither tool nor assistant has a server".to_owned());
    };
    let store = stage.world.vapi.store();
    let allowed = stage.assistant.as_ref().and_then(|assistant| assistant.get("credentialIds"));
    Target::of(Some(server), &store, allowed)
        .ok_or_else(|| "not sent: the tool's server has no url".to_owned())
}

async fn send_group(stage: &mut Stage, server: Option<&Value>, members: &[usize], calls: &mut [Planned<'_>]) {
    let target = match target(stage, server, "tool-calls") {
        Ok(target) => target,
        Err(reason) => {
            for member in members {
                calls[*member].outcome.problems.push(reason.clone());
            }
            return;
        }
    };
    let as_string = stage.options.arguments_as_string;
    let wire = |outcome: &Outcome| {
        let arguments =
            if as_string { json!(outcome.arguments.to_string()) } else { outcome.arguments.clone() };
        shown(outcome, &arguments)
    };
    let list: Vec<Value> = members.iter().map(|member| wire(&calls[*member].outcome)).collect();
    let with_tools = members.iter().zip(&list).map(|(member, call)| {
        let mut tool = calls[*member].tool.clone();
        tool.insert("toolCall".into(), call.clone());
        Value::Object(tool)
    });
    let fields = json!({
        "toolCallList": list, "toolCalls": list, "toolWithToolCallList": with_tools.collect::<Vec<_>>(),
    });
    let Some(sent) = stage.send(&target, "tool-calls", fields, None).await else { return };
    let problems = read_results(&sent, members, calls);
    for member in members {
        let outcome = &mut calls[*member].outcome;
        outcome.status = sent.status;
        outcome.latency_ms = Some(sent.latency_ms);
        outcome.problems.extend(problems.iter().cloned());
    }
}

/// Takes the results out of an answer and says where it leaves the protocol.
fn read_results(sent: &Sent, members: &[usize], calls: &mut [Planned<'_>]) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(error) = &sent.error {
        problems.push(error.clone());
    }
    if sent.status.is_some_and(|status| status != 200) {
        problems.push(format!("answered {}, and only 200 is heard", sent.status.unwrap_or_default()));
    }
    if !problems.is_empty() {
        return problems;
    }
    problems.extend(schema::violations("ServerMessageResponseToolCalls", &sent.answer));
    let results = sent.answer["results"].as_array().cloned().unwrap_or_default();
    let wanted: Vec<&str> =
        members.iter().map(|member| calls[*member].outcome.tool_call_id.as_str()).collect();
    let given: Vec<&str> = results.iter().filter_map(|result| result["toolCallId"].as_str()).collect();
    if given != wanted {
        problems.push(format!("results for {given:?}, asked for {wanted:?}: one each, in that order"));
    }
    for member in members {
        let outcome = &mut calls[*member].outcome;
        let Some(result) =
            results.iter().find(|result| result["toolCallId"] == outcome.tool_call_id.as_str())
        else {
            continue;
        };
        outcome.result = result["result"].as_str().map(str::to_owned);
        outcome.error = result["error"].as_str().map(str::to_owned);
        if outcome.result.is_some() == outcome.error.is_some() {
            outcome.problems.push("needs either a result or an error, as a string".to_owned());
        }
        if outcome.result.iter().chain(&outcome.error).any(|said| said.contains(['\n', '\r'])) {
            outcome.problems.push("a result with a line break in it is not understood".to_owned());
        }
    }
    problems
}

/// One call in the older form, answered by `{"result": …}`.
async fn send_legacy(stage: &mut Stage, server: Option<&Value>, call: &mut Planned<'_>) {
    let target = match target(stage, server, "tool-calls") {
        Ok(target) => target,
        Err(reason) => return call.outcome.problems.push(reason),
    };
    let fields = json!({
        "functionCall": { "name": call.outcome.name, "parameters": call.outcome.arguments },
    });
    let Some(sent) = stage.send(&target, "function-call", fields, None).await else { return };
    call.outcome.status = sent.status;
    call.outcome.latency_ms = Some(sent.latency_ms);
    call.outcome.result = sent.answer["result"].as_str().map(str::to_owned);
    if call.outcome.result.is_none() {
        let why = sent.error.unwrap_or_else(|| "no `result` in the answer".to_owned());
        call.outcome.problems.push(why);
    }
}

/// Tools that are Vapi's own: nothing but a transfer concerns our server.
async fn by_itself<'a>(stage: &mut Stage, call: Planned<'a>) -> ((&'a ToolStep, Outcome), Option<Ending>) {
    let Planned { step, tool, mut outcome } = call;
    let ending = match text(&tool, "type") {
        "endCall" => {
            outcome.result = Some("Success.".to_owned());
            Some(Ending::because("assistant-ended-call"))
        }
        "transferCall" => match destination(stage, &tool).await {
            Ok(destination) => {
                outcome.result = Some("Transferring call.".to_owned());
                Some(Ending::forwarded("assistant-forwarded-call", destination))
            }
            Err(why) => {
                outcome.error = Some(why);
                None
            }
        },
        other => {
            outcome.problems.push(format!("tools of type {other} are not simulated"));
            None
        }
    };
    ((step, outcome), ending)
}

/// Where a transfer goes: to the tool's only destination, else our server says.
async fn destination(stage: &mut Stage, tool: &Object) -> Result<Value, String> {
    if let Some([only]) = tool.get("destinations").and_then(Value::as_array).map(Vec::as_slice) {
        return Ok(only.clone());
    }
    let asked = stage.tell("transfer-destination-request", json!({})).await;
    let answer = asked.map(|sent| sent.answer).unwrap_or_default();
    let problems = schema::violations("ServerMessageResponseTransferDestinationRequest", &answer);
    stage.problems.extend(problems.iter().map(|problem| format!("transfer-destination-request: {problem}")));
    match (&answer["destination"], answer["error"].as_str()) {
        (destination @ Value::Object(_), _) => Ok(destination.clone()),
        (_, Some(error)) => Err(error.to_owned()),
        _ => Err("no destination".to_owned()),
    }
}
