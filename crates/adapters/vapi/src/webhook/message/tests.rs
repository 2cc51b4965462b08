//! Messages in every form they are documented or known to come in, and rubbish.

use proptest::prelude::*;
use serde_json::{Value, json};
use voxanne_calls::{EndStatus, Speaker};

use super::*;

fn now() -> Timestamp {
    "2026-01-25T12:00:00Z".parse().unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better where messages are written out")]
fn read(message: Value) -> Parsed {
    parse(json!({ "message": message }).to_string().as_bytes(), now()).unwrap()
}

fn event_of(message: Value) -> CallEvent {
    match read(message).message {
        Message::Call(event) => *event,
        other => panic!("{other:?}"),
    }
}

fn calls_of(message: Value) -> Vec<(String, String, Option<String>)> {
    let Message::ToolCalls(calls) = read(message).message else { panic!("tool calls") };
    calls.into_iter().map(|call| (call.id, call.name, call.arguments.text("date"))).collect()
}

fn call() -> Value {
    json!({"id": "019c", "orgId": "o", "type": "inboundPhoneCall", "status": "ringing", "assistantId": "1f9e",
        "phoneNumberId": "77aa", "customer": {"number": "+15005550009"}, "squadId": null,
        "monitor": {"controlUrl": "https://phone.vapi.ai/1/control"}, "createdAt": "2026-01-25T10:00:00.000Z"})
}

#[test]
fn tool_calls_are_read_in_every_documented_form() {
    let booked = [("call_A1".to_owned(), "book".to_owned(), Some("2026-02-03".to_owned()))];
    let nested = json!({"id": "call_A1", "type": "function", "function": {"name": "book", "arguments": {"date": "2026-02-03"}}});
    let text =
        json!({"id": "call_A1", "function": {"name": "book", "arguments": "{\"date\":\"2026-02-03\"}"}});
    let flat = json!({"id": "call_A1", "name": "book", "arguments": {"date": "2026-02-03"}});
    let parameters = json!({"id": "call_A1", "name": "book", "parameters": {"date": "2026-02-03"}});
    for form in [nested.clone(), text, flat, parameters] {
        for list in ["toolCallList", "toolCalls"] {
            assert_eq!(
                calls_of(json!({"type": "tool-calls", list: [form], "call": call()})),
                booked,
                "{list}"
            );
        }
        let with_tool = json!([{"type": "function", "function": {"name": "book"}, "toolCall": form}]);
        assert_eq!(
            calls_of(json!({"type": "tool-calls", "toolCallList": [], "toolWithToolCallList": with_tool})),
            booked
        );
    }
    let nameless = json!([{"function": {"name": "book"}, "toolCall": {"id": "call_A1", "function": {"arguments": {"date": "2026-02-03"}}}}]);
    assert_eq!(calls_of(json!({"type": "tool-calls", "toolWithToolCallList": nameless})), booked);
    let both = json!({"type": "tool-calls", "toolCallList": [nested.clone()], "toolCalls": [nested.clone()]});
    assert_eq!(calls_of(both), booked);
}

#[test]
fn odd_arguments_are_no_arguments() {
    for odd in [json!(null), json!("not json"), json!("[1]"), json!(7), json!(["a"])] {
        let message = json!({"type": "tool-calls", "toolCallList": [{"id": "a", "function": {"name": "book", "arguments": odd}}]});
        assert_eq!(calls_of(message), [("a".to_owned(), "book".to_owned(), None)], "{odd}");
    }
    let odd = json!({"type": "tool-calls", "toolCallList": [null, 7, {"id": 3}, {"function": "x"}]});
    let calls = calls_of(odd);
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|(id, name, _)| id.starts_with("call_") && name.is_empty()));
}

#[test]
fn the_older_function_call_is_understood() {
    let message =
        json!({"type": "function-call", "functionCall": {"name": "book", "parameters": {"date": "x"}}});
    let Message::FunctionCall(Some(call)) = read(message).message else { panic!("a function call") };
    assert_eq!((call.name.as_str(), call.arguments.text("date").as_deref()), ("book", Some("x")));
    assert_eq!(read(json!({"type": "function-call"})).message, Message::FunctionCall(None));
}

#[test]
fn the_call_is_known_wherever_it_stands() {
    let parsed = read(json!({"type": "tool-calls", "toolCallList": [], "call": call()}));
    assert_eq!(parsed.call.unwrap().as_str(), "019c");
    assert_eq!(parsed.caller.unwrap().as_str(), "+15005550009");
    assert_eq!(parsed.assistant.as_deref(), Some("1f9e"));
    assert_eq!(parsed.control_url.as_deref(), Some("https://phone.vapi.ai/1/control"));
    assert_eq!(parsed.direction, Direction::Inbound);
    let outside =
        read(json!({"type": "hang", "customer": {"number": "+15005550009"}, "assistant": {"id": "1f9e"},
        "call": {"id": "019c", "type": "vapi.websocketCall"}}));
    assert_eq!((outside.caller.is_some(), outside.assistant.as_deref()), (true, Some("1f9e")));
    assert_eq!((outside.direction, outside.message), (Direction::Web, Message::Other));
}

#[test]
fn a_status_is_the_messages_own_and_never_the_stale_one_inside() {
    let status =
        |status: &str| event_of(json!({"type": "status-update", "status": status, "call": call()})).what;
    assert_eq!(status("queued"), Happened::StageReached { stage: Stage::Pending });
    assert_eq!(status("ringing"), Happened::StageReached { stage: Stage::Ringing });
    assert_eq!(status("in-progress"), Happened::StageReached { stage: Stage::InProgress });
    assert_eq!(status("forwarding"), Happened::StageReached { stage: Stage::InProgress });
    let ended = event_of(json!({"type": "status-update", "status": "ended", "endedReason": "customer-busy",
        "timestamp": 1_769_335_200_123_u64, "call": call()}));
    assert_eq!(ended.at, "2026-01-25T10:00:00.123Z".parse().unwrap());
    let Happened::Ended { ending } = ended.what else { panic!("ended") };
    assert_eq!((ending.status, ending.reason.as_deref()), (EndStatus::Busy, Some("customer-busy")));
    for odd in [
        json!({"type": "status-update", "status": "deletion-failed", "call": call()}),
        json!({"type": "status-update", "call": call()}),
        json!({"type": "status-update", "status": "ended"}),
        json!({"type": "status-update", "status": "ended", "call": {"id": "a b"}}),
        json!({"type": 7}),
        json!({}),
    ] {
        assert_eq!(read(odd).message, Message::Other);
    }
}

fn whole_report() -> Value {
    json!({"type": "end-of-call-report", "timestamp": 1_769_335_300_000_u64, "endedReason": "customer-ended-call",
        "startedAt": "2026-01-25T10:00:02.100Z", "endedAt": "2026-01-25T10:01:37.400Z", "durationSeconds": 95.3, "cost": 0.142,
        "analysis": {"summary": "Jo Bloggs booked a visit.", "structuredData": {"sentiment_score": 0.5, "urgency": "high"},
            "successEvaluation": "true"},
        "artifact": {"transcript": "AI: Hello\nUser: Hi\n", "messages": [
            {"role": "system", "message": "secret prompt"},
            {"role": "bot", "message": "Hello", "secondsFromStart": 0.4},
            {"role": "tool_calls", "toolCalls": []},
            {"role": "user", "message": "My social is 219-09-9999, okay?", "secondsFromStart": 2}],
            "recording": {"stereoUrl": "https://storage.example/st.wav"}},
        "customer": {"name": "Jo Bloggs"},
        "phoneNumber": {"twilioAuthToken": "very-secret-token"},
        "call": call()})
}

fn report_of(message: Value) -> voxanne_calls::Report {
    match event_of(message).what {
        Happened::Reported { report } => *report,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_report_is_read_and_redacted() {
    let report = report_of(whole_report());
    assert_eq!(report.started_at, "2026-01-25T10:00:02.1Z".parse().unwrap());
    assert_eq!((report.duration_seconds, report.cost_micros), (95, Some(142_000)));
    assert!(report.has_recording);
    let said: Vec<_> = report.transcript.iter().map(|t| (t.speaker, t.text.as_str(), t.at_ms)).collect();
    assert_eq!(
        said,
        [
            (Speaker::Assistant, "Hello", Some(400)),
            (Speaker::Caller, "My social is [SSN], okay?", Some(2_000)),
        ]
    );
    assert_eq!(report.assessment.sentiment.thousandths(), 500);
    let stored = serde_json::to_string(&report).unwrap();
    for secret in ["219-09", "very-secret-token", "secret prompt"] {
        assert!(!stored.contains(secret), "{secret}");
    }
}

#[test]
fn a_report_with_everything_in_older_places_is_read_too() {
    let old = json!({"type": "end-of-call-report", "endedReason": null, "durationMs": 61_400, "summary": "A call.",
        "transcript": "AI: Hello\nand welcome\nUser: Hi", "recordingUrl": "https://storage.example/m.wav",
        "analysis": {"summary": null, "structuredData": null}, "artifact": null,
        "call": {"id": "019c", "type": "outboundPhoneCall", "createdAt": "2026-01-25T10:00:00.000Z",
            "endedReason": "voicemail", "endedAt": "2026-01-25T10:02:00.000Z", "cost": 0.1,
            "destination": {"type": "number", "number": "+15005550010"}}});
    let event = event_of(old.clone());
    assert_eq!((event.direction, event.at), (Direction::Outbound, now()));
    let report = report_of(old);
    assert_eq!(report.duration_seconds, 61);
    assert_eq!(report.started_at, "2026-01-25T10:00:59Z".parse().unwrap());
    assert_eq!(report.ending.status, EndStatus::NoAnswer);
    assert_eq!(report.transcript[0].text.as_str(), "Hello and welcome");
    assert_eq!(report.transfer.unwrap().to, "+15005550010");
    assert!(report.has_recording && report.summary.is_some());
}

#[test]
fn a_recording_is_looked_for_where_it_opens_by_itself_first() {
    let sources = |message: Value| -> Vec<String> {
        report_of(message).recording_sources.iter().map(|source| source.as_str().to_owned()).collect()
    };
    let message = json!({"type": "end-of-call-report", "call": {"id": "019c", "recordingUrl": "https://e/call.wav"},
        "recordingUrl": "https://e/m.wav", "artifact": {"recordingUrl": "https://e/m.wav",
            "recording": {"stereoUrl": "https://e/st.wav", "mono": {"combinedUrl": "https://e/m.wav"}},
            "presignedMonoUrl": "https://e/m.wav?sig=1"}});
    assert_eq!(
        sources(message),
        ["https://e/m.wav?sig=1", "https://e/m.wav", "https://e/st.wav", "https://e/call.wav"]
    );
    let none = json!({"type": "end-of-call-report", "call": {"id": "019c"}, "recordingUrl": null, "artifact": {"recordingUrl": ""}});
    assert!(sources(none).is_empty());
}

#[test]
fn a_call_of_ours_is_known_by_what_we_put_on_it() {
    let ours = "019c0000-0000-7000-8000-000000000001";
    let status =
        |call: Value| event_of(json!({"type": "status-update", "status": "ringing", "call": call})).ours;
    let named = |more: Value| {
        let mut call = json!({"id": "019c", "type": "outboundPhoneCall"});
        call.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call
    };
    let expected = Some(ours.parse().unwrap());
    assert_eq!(status(named(json!({"assistantOverrides": {"metadata": {"call_id": ours}}}))), expected);
    assert_eq!(status(named(json!({"name": ours}))), expected);
    assert_eq!(status(named(json!({"name": "Ann"}))), None);
    // Nobody who calls us names one of ours.
    assert_eq!(status(json!({"id": "019c", "type": "inboundPhoneCall", "name": ours})), None);
}

#[test]
fn a_report_with_nothing_in_it_is_still_a_report() {
    let report = report_of(json!({"type": "end-of-call-report", "call": {"id": "019c"}}));
    assert_eq!((report.started_at, report.duration_seconds, report.transcript.len()), (now(), 0, 0));
    let odd = report_of(
        json!({"type": "end-of-call-report", "call": {"id": "019c"}, "cost": -5, "durationSeconds": 1e300,
        "startedAt": "yesterday", "artifact": {"messages": {"role": "user"}}, "analysis": [], "messages": [{"role": "user"}]}),
    );
    assert_eq!((odd.cost_micros, odd.transcript.len()), (None, 0));
}

#[test]
fn vapi_can_be_asked_about_a_call() {
    let mut asked = call();
    asked["updatedAt"] = json!("2026-01-25T10:00:05.000Z");
    let open = fetched(asked.to_string().as_bytes(), now()).unwrap().unwrap();
    assert_eq!(open.what, Happened::StageReached { stage: Stage::Ringing });
    asked["status"] = json!("ended");
    asked["endedReason"] = json!("customer-ended-call");
    asked["startedAt"] = json!("2026-01-25T10:00:00.000Z");
    asked["endedAt"] = json!("2026-01-25T10:01:00.000Z");
    asked["artifact"] = json!({"messages": [{"role": "user", "message": "Hi"}]});
    let over = fetched(asked.to_string().as_bytes(), now()).unwrap().unwrap();
    let Happened::Reported { report } = over.what else { panic!("a report") };
    assert_eq!((report.duration_seconds, report.transcript.len()), (60, 1));
}

#[test]
fn depth_and_rubbish_never_crash() {
    for bad in ["", "null", "[]", "{", "\"x\""] {
        assert_eq!(parse(bad.as_bytes(), now()).unwrap_err(), NotJson, "{bad:?}");
    }
    for field in ["call", "analysis", "toolCallList", "artifact"] {
        let deep = format!(
            r#"{{"message":{{"type":"tool-calls","{field}":{}1{}}}}}"#,
            "[".repeat(50_000),
            "]".repeat(50_000)
        );
        let _ = parse(deep.as_bytes(), now());
    }
    let nested = format!(r#"{{"message":{}{{}}{}}}"#, r#"{"call":"#.repeat(5_000), "}".repeat(5_000));
    assert_eq!(parse(nested.as_bytes(), now()).unwrap_err(), NotJson);
    let huge = r#"{"message":{"type":"tool-calls","toolCallList":[{"id":"a","function":{"name":"b","arguments":{"date":1e9999}}}]}}"#;
    let _ = parse(huge.as_bytes(), now());
}

/// Any JSON of little depth.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        Just(json!("2026-01-25T10:00:00Z")),
        Just(json!("a\u{0}b")),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(
                "id|role|name|number|function|arguments|messages|message|call",
                inner,
                0..4
            )
            .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_stands_in_a_field_the_message_is_read(
        field in prop::sample::select(vec!["call", "customer", "artifact", "analysis", "toolCallList", "toolCalls",
            "toolWithToolCallList", "messages", "timestamp", "status", "endedReason", "startedAt", "endedAt", "cost",
            "durationSeconds", "destination", "assistant", "phoneNumber", "transcript", "summary"]),
        kind in prop::sample::select(vec!["tool-calls", "status-update", "end-of-call-report", "function-call"]),
        value in any_json(),
    ) {
        let mut message = whole_report();
        message["type"] = json!(kind);
        message["status"] = json!("ended");
        message[field] = value;
        let body = json!({ "message": message }).to_string();
        let parsed = parse(body.as_bytes(), now()).unwrap();
        let stored = match &parsed.message {
            Message::Call(event) => serde_json::to_string(event).unwrap(),
            _ => String::new(),
        };
        prop_assert!(!stored.contains("\\u0000"));
    }

    #[test]
    fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&body, now());
    }
}
