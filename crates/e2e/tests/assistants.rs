//! Saving assistants: many at once, with a provider that fails, and without waiting for tools.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::{collections::HashMap, time::Duration};

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Stack, eventually};

const KINDS: [&str; 2] = ["inbound", "outbound"];
const TOOLS: [&str; 8] = [
    "bookClinicAppointment",
    "cancelAppointment",
    "checkAvailability",
    "getServicePrice",
    "lookupAppointments",
    "queryKnowledgeBase",
    "rescheduleAppointment",
    "transferCall",
];

fn prompt(clinic: &Clinic, kind: &str) -> String {
    format!("You answer {kind} calls of {}. Be brief.", clinic.org_id)
}

/// Saves until it succeeds, as a person does who is told that the provider cannot be reached; gives the answer and how
/// often it took.
async fn save(stack: &Stack, clinic: &Clinic, kind: &str) -> (Value, usize) {
    let body = json!({"systemPrompt": prompt(clinic, kind)});
    for attempt in 1.. {
        let path = format!("/api/assistants/{kind}");
        let answer = clinic.request(stack, Method::PUT, &path).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let answer: Value = answer.json().await.unwrap();
        match status {
            200 => return (answer, attempt),
            503 if attempt < 40 => tokio::time::sleep(Duration::from_millis(250)).await,
            _ => panic!("saving answered {status}: {answer}"),
        }
    }
    unreachable!("the loop ends by returning")
}

async fn linked(stack: &Stack, clinic: &Clinic, kind: &str) -> Option<()> {
    let shown = clinic.get(stack, &format!("/api/assistants/{kind}")).await.unwrap();
    let tools = shown["tools"].as_array()?;
    (tools.len() == TOOLS.len() && tools.iter().all(|tool| tool["state"] == "linked")).then_some(())
}

fn all(vapi: &Value, kind: &str) -> Vec<Value> {
    match &vapi[kind] {
        Value::Array(items) => items.clone(),
        Value::Object(items) => items.values().cloned().collect(),
        _ => Vec::new(),
    }
}

/// What must hold at the provider whatever happened on the way.
async fn check(stack: &Stack, clinics: &[Clinic]) {
    let vapi = stack.provider("providers/vapi").await;
    let tools = all(&vapi, "tools");
    let mut names: Vec<&str> = tools.iter().filter_map(|t| t.pointer("/function/name")?.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, TOOLS, "each tool is registered once");
    assert!(tools.iter().all(|tool| tool.get("server").is_none()), "tools have no server of their own");

    let mut assistants: HashMap<(String, String), Vec<Value>> = HashMap::new();
    for assistant in all(&vapi, "assistants") {
        let text =
            |pointer| assistant.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        assistants.entry((text("/metadata/org_id"), text("/metadata/kind"))).or_default().push(assistant);
    }
    assert_eq!(assistants.len(), clinics.len() * 2);
    assert_eq!(
        all(&vapi, "credentials").len(),
        clinics.len(),
        "one signing credential for each organization"
    );
    for clinic in clinics {
        for kind in KINDS {
            let held = &assistants[&(clinic.org_id.clone(), kind.to_owned())];
            assert_eq!(held.len(), 1, "{kind} assistants of one organization");
            let messages = held[0].pointer("/model/messages").unwrap();
            assert_eq!(messages[0]["content"], prompt(clinic, kind), "the prompt is intact");
            let ids = held[0].pointer("/model/toolIds").and_then(Value::as_array).unwrap();
            assert_eq!(ids.len(), TOOLS.len());
            assert!(ids.iter().all(|id| tools.iter().any(|tool| tool["id"] == *id)));
        }
    }
}

async fn many_first_saves(stack: &Stack) -> Vec<Clinic> {
    let names: Vec<String> = (0..50).map(|n| format!("Clinic {n}")).collect();
    let clinics: Vec<Clinic> = stream::iter(&names)
        .map(|name| async { stack.sign_up(name).await.unwrap() })
        .buffered(4)
        .collect()
        .await;
    let saves = clinics.iter().flat_map(|clinic| KINDS.map(|kind| save(stack, clinic, kind)));
    let answers: Vec<(Value, usize)> = stream::iter(saves).buffer_unordered(100).collect().await;
    for (answer, attempts) in &answers {
        assert_eq!(answer["success"], true, "{answer}");
        assert_eq!(answer["toolSync"], "queued", "{answer}");
        assert!(answer["isNew"] == true || *attempts > 1, "{answer}");
    }
    for clinic in &clinics {
        for kind in KINDS {
            eventually("the tools of an assistant", || linked(stack, clinic, kind)).await;
        }
    }
    clinics
}

#[tokio::test]
async fn a_hundred_first_saves_at_once_make_one_assistant_each_and_register_each_tool_once() {
    let stack = Stack::start(2).await.unwrap();
    let clinics = many_first_saves(&stack).await;
    check(&stack, &clinics).await;
}

#[tokio::test]
async fn the_same_with_every_fifth_request_to_the_provider_failing() {
    let stack = Stack::start(2).await.unwrap();
    let failures = [
        json!({"kind": "status", "status": 429, "retryAfter": 1}),
        json!({"kind": "status", "status": 500}),
        json!({"kind": "reset"}),
        json!({"kind": "commit_then_drop"}),
    ];
    for n in 1..=200 {
        let mut fault = failures[n % failures.len()].clone();
        fault["provider"] = json!("vapi");
        fault["nth"] = json!(n * 5);
        let url = format!("{}/_sandbox/faults", stack.sandbox_url);
        assert!(stack.http.post(url).json(&fault).send().await.unwrap().status().is_success());
    }
    let clinics = many_first_saves(&stack).await;
    check(&stack, &clinics).await;
}

/// Two saves of one assistant at the same time, again and again, with a tool sync in between: there is one assistant,
/// and what it says is one of the two, whole.
#[tokio::test]
async fn saves_of_one_assistant_at_once_never_mix_and_never_double() {
    let stack = Stack::start(2).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    for round in 0..10 {
        let bodies = [0, 1].map(|n| {
            let text = format!("Round {round}, writer {n}.");
            json!({"systemPrompt": text, "firstMessage": text})
        });
        let saves = bodies.iter().map(|body| async {
            let url = format!("{}/api/assistants/inbound", stack.servers[round % 2].url);
            let answer = stack.http.put(url).bearer_auth(&clinic.token).json(body).send().await.unwrap();
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
        });
        let answers = futures_util::future::join_all(saves).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
        assert_eq!(answers[0].1["assistantId"], answers[1].1["assistantId"]);
        let assistants = all(&stack.provider("providers/vapi").await, "assistants");
        assert_eq!(assistants.len(), 1);
        let said = assistants[0].pointer("/model/messages/0/content").unwrap();
        assert_eq!(*said, assistants[0]["firstMessage"]);
        assert!(bodies.iter().any(|body| body["systemPrompt"] == *said));
        let shown = clinic.get(&stack, "/api/assistants/inbound").await.unwrap();
        assert_eq!(shown["systemPrompt"], *said, "we show what the provider has");
    }
}

/// The provider takes five seconds for everything about tools. The save does not notice; how long it and the sync took
/// is printed.
#[tokio::test]
#[expect(clippy::cast_precision_loss, reason = "milliseconds for a person to read")]
async fn a_save_does_not_wait_for_the_tools() {
    let stack = Stack::start(1).await.unwrap();
    let fault = |path: &str, delay: u64, times: u32| json!({"provider": "vapi", "method": "POST", "path": path, "kind": "slow", "delayMs": delay, "times": times});
    for rule in [fault("/tool", 5_000, 100), fault("/assistant", 300, 100)] {
        let url = format!("{}/_sandbox/faults", stack.sandbox_url);
        assert!(stack.http.post(url).json(&rule).send().await.unwrap().status().is_success());
    }
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let began = std::time::Instant::now();
    let (answer, _) = save(&stack, &clinic, "inbound").await;
    let took = began.elapsed();
    assert_eq!(answer["isNew"], true);
    let registered = all(&stack.provider("providers/vapi").await, "tools").len();
    assert_eq!(registered, 0, "the save was answered before a tool was registered");
    eventually("the tools", || linked(&stack, &clinic, "inbound")).await;
    println!(
        "a save took {} ms with 300 ms for the assistant's write, and its tools {} ms with 5,000 ms for each",
        took.as_millis(),
        began.elapsed().as_millis()
    );

    let mut syncs = Vec::new();
    for n in 0..20 {
        let clinic = stack.sign_up(&format!("Clinic {n}")).await.unwrap();
        save(&stack, &clinic, "inbound").await;
        let began = std::time::Instant::now();
        eventually("the tools", || linked(&stack, &clinic, "inbound")).await;
        syncs.push(began.elapsed().as_millis() as f64);
    }
    syncs.sort_by(f64::total_cmp);
    println!("tool sync after a save: p50 {} ms, p99 {} ms", syncs[syncs.len() / 2], syncs[syncs.len() - 1]);
}

#[tokio::test]
async fn native_tools_are_found_and_removed_and_the_prompt_stays() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let vapi = format!("{}/vapi", stack.sandbox_url);
    let url = format!("{vapi}/assistant/{}", clinic.assistant_id);
    let read = async || -> Value {
        let answer = stack.http.get(&url).bearer_auth("sandbox-private-key").send().await.unwrap();
        answer.json().await.unwrap()
    };
    let before = read().await;
    assert!(stack.voxctl(&["vapi", "audit"], "").await.unwrap().trim_end().ends_with("SYSTEM IS CLEAN"));

    let mut model = before["model"].clone();
    model["tools"] = json!([{"type": "google.calendar.event.create"}, {"type": "function", "function": {"name": "sneak"}}]);
    let planted = stack
        .http
        .patch(&url)
        .bearer_auth("sandbox-private-key")
        .json(&json!({"model": model, "server": {"url": "https://elsewhere.example/hook"}}))
        .send()
        .await
        .unwrap();
    assert!(planted.status().is_success(), "{}", planted.text().await.unwrap());

    let found = stack.voxctl(&["vapi", "audit"], "").await.unwrap_err().to_string();
    assert!(
        found.contains("google.calendar.event.create") && found.contains(&clinic.assistant_id),
        "{found}"
    );
    let mended = stack.voxctl(&["vapi", "audit", "--fix"], "").await.unwrap();
    assert!(mended.trim_end().ends_with("SYSTEM IS CLEAN"), "{mended}");
    let after = read().await;
    assert!(after.pointer("/model/tools").is_none_or(|tools| tools == &json!([])), "{after}");
    assert_eq!(after.pointer("/model/messages"), before.pointer("/model/messages"));
    assert_eq!(after.pointer("/model/toolIds"), before.pointer("/model/toolIds"));
    assert_eq!(after["server"], before["server"]);
    assert!(stack.voxctl(&["vapi", "audit"], "").await.unwrap().trim_end().ends_with("SYSTEM IS CLEAN"));
}
