//! What is done with calls, over the running programs: recordings, links to them, transcripts, texts, and calling back;
//! with what the audit trail says of each, and with another clinic's ids.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use futures_util::future::join_all;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use voxanne_e2e::{
    Clinic, Stack, eventually,
    vapi::{deliver, report, tool_call},
};

/// Plays a call to the clinic; gives our id of it once its report is worked in.
async fn call(stack: &Stack, clinic: &Clinic) -> String {
    let conversation = json!([
        { "user": "Hello, what do you do?" }, { "assistant": "We do Botox." }, { "user": "Thanks, goodbye." },
    ]);
    let script = json!({ "to": clinic.number, "caller": "+15005550009", "conversation": conversation });
    let url = format!("{}/_sandbox/calls", stack.sandbox_url);
    let played: Value =
        stack.http.post(url).body(script.to_string()).send().await.unwrap().json().await.unwrap();
    assert_eq!(played["ok"], true, "{played}");
    let id = played["callId"].as_str().unwrap();
    eventually("the report", || async {
        let row = row_of(stack, clinic, id).await?;
        (row["status"] == "completed" && row["has_transcript"] == true)
            .then(|| row["id"].as_str().unwrap().to_owned())
    })
    .await
}

/// The row of a call, by the provider's id.
async fn row_of(stack: &Stack, clinic: &Clinic, provider_id: &str) -> Option<Value> {
    let calls = clinic.get(stack, "/api/calls-dashboard").await.ok()?;
    calls["data"].as_array()?.iter().find(|row| row["vapi_call_id"] == provider_id).cloned()
}

async fn settled_recording(stack: &Stack, clinic: &Clinic, call: &str) -> String {
    eventually("an end of the recording", || async {
        let row = clinic.get(stack, &format!("/api/calls-dashboard/{call}")).await.ok()?;
        let status = row["recording_status"].as_str()?.to_owned();
        matches!(status.as_str(), "completed" | "failed").then_some(status)
    })
    .await
}

async fn post(stack: &Stack, clinic: &Clinic, path: &str, body: &Value) -> Response {
    clinic.request(stack, Method::POST, path).json(body).send().await.unwrap()
}

async fn json_of(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap())
}

#[track_caller]
fn refused((status, body): &(u16, Value), expected: u16, code: &str) {
    assert_eq!((*status, body["code"].as_str()), (expected, Some(code)), "{body}");
}

async fn fault(stack: &Stack, fault: Value) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    assert_eq!(stack.http.post(url).json(&fault).send().await.unwrap().status(), StatusCode::CREATED);
}

async fn execute(stack: &Stack, statement: &str) -> u64 {
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut owner).await.unwrap().rows_affected()
}

/// How often the audit trail of a clinic has an action.
async fn audited(stack: &Stack, clinic: &Clinic, action: &str) -> usize {
    let page = clinic.get(stack, "/api/audit?limit=100").await.unwrap();
    page["data"].as_array().unwrap().iter().filter(|entry| entry["action"] == action).count()
}

#[tokio::test]
async fn a_recording_is_fetched_shared_by_a_link_and_taken_back() {
    let stack = Stack::start(1).await.unwrap();
    let (clinic, other) = (stack.clinic("Glow").await.unwrap(), stack.clinic("Other").await.unwrap());
    let id = call(&stack, &clinic).await;
    assert_eq!(settled_recording(&stack, &clinic, &id).await, "completed");
    // Nothing is left of where it came from, and nobody is told.
    assert!(!stack.everything_stored().await.contains("/vapi/storage/"));
    let detail = clinic.get(&stack, &format!("/api/calls-dashboard/{id}")).await.unwrap().to_string();
    assert!(!detail.contains("storage"), "{detail}");

    let path = format!("/api/calls-dashboard/{id}/recording");
    let whole = clinic.request(&stack, Method::GET, &path).send().await.unwrap();
    assert_eq!(whole.headers()[header::CONTENT_TYPE], "audio/wav");
    assert_eq!(whole.headers()[header::ACCEPT_RANGES], "bytes");
    let whole = whole.bytes().await.unwrap();
    assert!(whole.starts_with(b"RIFF") && whole.len() > 10_000);

    // By a link.
    let share = format!("/api/calls-dashboard/{id}/share");
    let (status, shared) =
        json_of(post(&stack, &clinic, &share, &json!({"email": "ann@clinic.example"})).await).await;
    assert_eq!(status, 200, "{shared}");
    assert_eq!((&shared["success"], &shared["email"]), (&json!(true), &json!("ann@clinic.example")));
    assert_eq!(audited(&stack, &clinic, "call.recording_shared").await, 1);
    let mail = eventually("the e-mail", || async {
        let mails = stack.provider("providers/resend/mails").await;
        let to_ann = |mail: &&Value| mail["to"] == json!(["ann@clinic.example"]);
        mails.as_array().cloned().unwrap_or_default().iter().find(to_ann).cloned()
    })
    .await;
    let text = mail["text"].as_str().unwrap();
    let url = text.split_whitespace().find(|word| word.contains("/api/recordings/")).unwrap().to_owned();
    assert!(
        url.starts_with(&stack.servers[0].url) && mail["html"].as_str().unwrap().contains(&url),
        "{mail}"
    );
    let token = url.rsplit('/').next().unwrap();
    assert!(!token.contains(shared["shareId"].as_str().unwrap()) && token.len() == 43);
    assert!(!stack.everything_stored().await.contains(token), "the link's secret is in the database");
    assert!(!stack.logs().contains(token), "the link's secret is in a log");

    // It is in the audit of what was sent, with the call and by itself.
    let messages = clinic.get(&stack, &format!("/api/messages?method=email&call_id={id}")).await.unwrap();
    assert_eq!(messages["data"][0]["recipient"], "ann@clinic.example");
    let detail = clinic.get(&stack, &format!("/api/calls-dashboard/{id}")).await.unwrap();
    assert_eq!(detail["messages"][0]["id"], messages["data"][0]["id"]);

    let open = async |range: Option<&str>, method: Method| {
        let mut request = stack.http.request(method, &url).header("accept-encoding", "gzip, br");
        if let Some(range) = range {
            request = request.header("range", range);
        }
        request.send().await.unwrap()
    };
    let all = open(None, Method::GET).await;
    assert_eq!((all.status().as_u16(), all.headers().contains_key(header::CONTENT_ENCODING)), (200, false));
    assert_eq!(all.bytes().await.unwrap(), whole);
    let part = open(Some("bytes=4-9"), Method::GET).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()[header::CONTENT_RANGE], format!("bytes 4-9/{}", whole.len()).as_str());
    assert_eq!(part.bytes().await.unwrap(), whole[4..10]);
    let end = open(Some("bytes=-5"), Method::GET).await;
    assert_eq!(end.bytes().await.unwrap(), whole[whole.len() - 5..]);
    let beyond = open(Some(&format!("bytes={}-", whole.len())), Method::GET).await;
    assert_eq!(beyond.headers()[header::CONTENT_RANGE], format!("bytes */{}", whole.len()).as_str());
    refused(&json_of(beyond).await, 416, "range_not_satisfiable");
    let head = open(None, Method::HEAD).await;
    assert_eq!(head.headers()[header::CONTENT_LENGTH], whole.len().to_string().as_str());
    assert!(head.bytes().await.unwrap().is_empty());

    let wrong = async |token: &str| {
        json_of(stack.http.get(stack.url(&format!("/api/recordings/{token}"))).send().await.unwrap()).await
    };
    refused(&wrong("x").await, 403, "link_invalid");
    refused(&wrong(&id).await, 403, "link_invalid");
    refused(&wrong(&"A".repeat(43)).await, 403, "link_invalid");

    // Another clinic can do nothing with either.
    for (method, path, body) in [
        (Method::POST, share.clone(), json!({"email": "b@c.example"})),
        (Method::GET, path.clone(), Value::Null),
        (Method::GET, format!("/api/calls-dashboard/{id}/shares"), Value::Null),
        (
            Method::DELETE,
            format!("/api/calls-dashboard/{id}/shares/{}", shared["shareId"].as_str().unwrap()),
            Value::Null,
        ),
        (Method::POST, format!("/api/calls-dashboard/{id}/followup"), json!({"message": "Hi"})),
        (Method::POST, format!("/api/calls-dashboard/{id}/transcript/export"), json!({"format": "txt"})),
    ] {
        let mut request = other.request(&stack, method, &path);
        if !body.is_null() {
            request = request.json(&body);
        }
        refused(&json_of(request.send().await.unwrap()).await, 404, "not_found");
    }
    assert_eq!(open(None, Method::GET).await.status(), StatusCode::OK);

    // Taken back, and expired.
    let (_, second) =
        json_of(post(&stack, &clinic, &share, &json!({"email": "bob@clinic.example"})).await).await;
    let gone = format!("/api/calls-dashboard/{id}/shares/{}", shared["shareId"].as_str().unwrap());
    let revoked = clinic.request(&stack, Method::DELETE, &gone).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    refused(&json_of(open(None, Method::GET).await).await, 410, "link_expired");
    assert_eq!(audited(&stack, &clinic, "call.recording_share_revoked").await, 1);
    let mail = eventually("the second e-mail", || async {
        let mails = stack.provider("providers/resend/mails").await;
        let to_bob = |mail: &&Value| mail["to"] == json!(["bob@clinic.example"]);
        mails.as_array().cloned().unwrap_or_default().iter().find(to_bob).cloned()
    })
    .await;
    let words = mail["text"].as_str().unwrap().to_owned();
    let url = words.split_whitespace().find(|word| word.contains("/api/recordings/")).unwrap();
    assert_eq!(stack.http.get(url).send().await.unwrap().status(), StatusCode::OK);
    execute(&stack, "update recording_shares set expires_at = now() - interval '1 second'").await;
    refused(&json_of(stack.http.get(url).send().await.unwrap()).await, 410, "link_expired");
    let shares = clinic.get(&stack, &format!("/api/calls-dashboard/{id}/shares")).await.unwrap();
    assert_eq!(shares["data"][0]["id"], second["shareId"]);
    assert_ne!(shares["data"][1]["revoked_at"], Value::Null);
}

#[tokio::test]
async fn a_recording_is_had_after_faults_and_kills_and_from_nowhere_else() {
    let mut stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    // A file that comes slowly, from a worker that dies with it, and then not at all for a while.
    fault(&stack, json!({ "provider": "vapi", "path": "/storage/*", "kind": "slow", "delayMs": 5_000 }))
        .await;
    fault(&stack, json!({ "provider": "vapi", "path": "/storage/*", "nth": 2, "times": 2, "kind": "status", "status": 503 }))
        .await;
    let id = call(&stack, &clinic).await;
    let share = format!("/api/calls-dashboard/{id}/share");
    eventually("the first attempt", || async {
        (stack.rows("select count(*) from call_recordings where status = 'processing'").await == 1)
            .then_some(())
    })
    .await;
    refused(
        &json_of(post(&stack, &clinic, &share, &json!({"email": "a@b.example"})).await).await,
        409,
        "recording_not_ready",
    );
    stack.kill_worker().await;
    stack.start_worker().unwrap();
    assert_eq!(settled_recording(&stack, &clinic, &id).await, "completed");

    // What the report names is not the provider's, and the provider knows no such call.
    let evil = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = evil.local_addr().unwrap().port();
    for (call, url) in [
        ("019c0000-0000-7000-8000-0000000000e1", format!("http://localhost:{port}/x.wav")),
        ("019c0000-0000-7000-8000-0000000000e2", "http://169.254.169.254/latest/meta-data".to_owned()),
        ("019c0000-0000-7000-8000-0000000000e3", "file:///etc/passwd".to_owned()),
    ] {
        let mut message = report(&clinic, call);
        message["message"]["artifact"]["recordingUrl"] = json!(url);
        assert_eq!(deliver(&stack, &clinic, &message).send().await.unwrap().status(), StatusCode::OK);
        let row = eventually("the call", || async { row_of(&stack, &clinic, call).await }).await;
        let id = row["id"].as_str().unwrap();
        assert_eq!(settled_recording(&stack, &clinic, id).await, "failed", "{url}");
    }
    let connected = tokio::time::timeout(std::time::Duration::from_millis(50), evil.accept()).await;
    assert!(connected.is_err(), "somebody spoke to a host that is not the provider's");
    assert_eq!(
        stack.rows("select count(*) from call_recordings where error_code = 'host_not_allowed'").await,
        3
    );
}

#[tokio::test]
async fn a_transcript_is_exported_and_a_call_followed_up() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let id = call(&stack, &clinic).await;
    let export = format!("/api/calls-dashboard/{id}/transcript/export");
    let file = post(&stack, &clinic, &export, &json!({"format": "txt"})).await;
    assert_eq!(file.status(), StatusCode::OK);
    let kind = file.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
    let disposition = file.headers()[header::CONTENT_DISPOSITION].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain") && disposition.starts_with("attachment"), "{kind} {disposition}");
    let text = file.text().await.unwrap();
    assert!(text.lines().any(|line| line.contains("] Caller: Hello, what do you do?")), "{text}");
    assert!(text.lines().all(|line| line.starts_with('[')), "{text}");
    assert_eq!(audited(&stack, &clinic, "call.transcript_exported").await, 1);
    refused(
        &json_of(post(&stack, &clinic, &export, &json!({"format": "pdf"})).await).await,
        400,
        "validation_failed",
    );
    execute(&stack, "update calls set transcript = null").await;
    refused(
        &json_of(post(&stack, &clinic, &export, &json!({"format": "txt"})).await).await,
        404,
        "not_found",
    );

    // Nobody can carry a text yet; then the clinic brings an account.
    let path = format!("/api/calls-dashboard/{id}/followup");
    for message in ["", &"x".repeat(161)] {
        refused(
            &json_of(post(&stack, &clinic, &path, &json!({"message": message})).await).await,
            400,
            "validation_failed",
        );
    }
    let none = json_of(post(&stack, &clinic, &path, &json!({"message": "Thanks for calling"})).await).await;
    refused(&none, 400, "twilio_not_configured");
    assert_eq!(none.1["error"], "Twilio not configured");
    bring_twilio(&stack, &clinic).await;
    let sent = eventually("a text", || async {
        let (status, body) =
            json_of(post(&stack, &clinic, &path, &json!({"message": "Thanks for calling"})).await).await;
        (status == 200).then_some(body)
    })
    .await;
    assert_eq!((&sent["success"], &sent["phone"]), (&json!(true), &json!("+15005550009")));
    assert_eq!(audited(&stack, &clinic, "call.followed_up").await, 1);
    let messages = clinic.get(&stack, "/api/messages?method=sms").await.unwrap();
    assert_eq!(messages["data"][0]["id"], sent["messageId"]);
    assert_eq!(messages["data"][0]["content"], "Thanks for calling");
    // One an hour.
    let again = post(&stack, &clinic, &path, &json!({"message": "And again"})).await;
    assert!(again.headers().contains_key(header::RETRY_AFTER));
    refused(&json_of(again).await, 429, "message_limit");
    assert_eq!(audited(&stack, &clinic, "call.followed_up").await, 1);
    // A call without a number, and one with somebody who opted out.
    let suppress = format!(
        "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
         values (gen_random_uuid(), '{}', 'sms', '+15005550009', 'stop', now())",
        clinic.org_id
    );
    execute(&stack, &suppress).await;
    refused(
        &json_of(post(&stack, &clinic, &path, &json!({"message": "Hi"})).await).await,
        409,
        "recipient_opted_out",
    );
    execute(&stack, "update calls set phone_number = null").await;
    refused(&json_of(post(&stack, &clinic, &path, &json!({"message": "Hi"})).await).await, 422, "no_phone");
}

/// A call that books and is urgent; gives its score once it is reported.
async fn hot_call(stack: &Stack, clinic: &Clinic, call: &str, day: &str) -> i64 {
    let arguments = json!({"date": day, "time": "10:00", "patientName": "Ann", "service": "Botox"});
    let booking = tool_call(clinic, call, "call_1", "bookClinicAppointment", &arguments);
    assert_eq!(deliver(stack, clinic, &booking).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(deliver(stack, clinic, &report(clinic, call)).send().await.unwrap().status(), StatusCode::OK);
    eventually("the hot call", || async { row_of(stack, clinic, call).await?["lead_score"].as_i64() }).await
}

#[tokio::test]
async fn a_clinic_is_told_once_of_a_hot_lead_if_somebody_can_carry_it() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let alert = json!({ "alertPhone": "+15005550008" });
    let path = format!("/api/organizations/{}", clinic.org_id);
    let told = clinic.request(&stack, Method::PATCH, &path).json(&alert).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    // Nobody carries texts yet: the report counts all the same.
    let first = hot_call(&stack, &clinic, "019c0000-0000-7000-8000-0000000000a1", "next monday").await;
    assert!(first >= 70, "{first}");
    assert_eq!(stack.rows("select count(*) from messages").await, 0);
    bring_twilio(&stack, &clinic).await;
    let second = "019c0000-0000-7000-8000-0000000000a2";
    assert!(hot_call(&stack, &clinic, second, "next tuesday").await >= 70);
    deliver(&stack, &clinic, &report(&clinic, second)).send().await.unwrap();
    let sent = clinic.get(&stack, "/api/messages").await.unwrap();
    assert_eq!(sent["data"].as_array().unwrap().len(), 1, "{sent}");
    assert_eq!(
        (&sent["data"][0]["purpose"], &sent["data"][0]["recipient"]),
        (&json!("hot_lead"), &json!("+15005550008"))
    );
}

/// Has the clinic bring an account that carries texts, and waits until it can be used.
async fn bring_twilio(stack: &Stack, clinic: &Clinic) {
    let url = format!("{}/_sandbox/twilio/accounts", stack.sandbox_url);
    let made = stack.http.post(url).json(&json!({"numbers": ["+15005550106"]})).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    let account = json!({"accountSid": made["accountSid"], "authToken": made["authToken"], "phoneNumber": "+15005550106"});
    let path = "/api/integrations/twilio";
    let brought = clinic.request(stack, Method::PUT, path).json(&account).send().await.unwrap();
    assert_eq!(brought.status(), StatusCode::OK);
    eventually("the account", || async {
        let integrations = clinic.get(stack, "/api/integrations").await.ok()?;
        (integrations["data"][0]["status"] == "verified").then_some(())
    })
    .await;
}

/// A contact of the clinic.
async fn contact(stack: &Stack, clinic: &Clinic, phone: &str) -> String {
    let (status, body) =
        json_of(post(stack, clinic, "/api/contacts", &json!({"name": "Ann", "phone": phone})).await).await;
    assert_eq!(status, 201, "{body}");
    body["id"].as_str().unwrap().to_owned()
}

/// Asks the server of this number to call a contact back.
async fn call_back(stack: &Stack, clinic: &Clinic, server: usize, contact: &str) -> (u16, Value) {
    let url = format!("{}/api/contacts/{contact}/call-back", stack.servers[server].url);
    json_of(stack.http.post(url).bearer_auth(&clinic.token).send().await.unwrap()).await
}

async fn hold(stack: &Stack) {
    let url = format!("{}/_sandbox/outbound", stack.sandbox_url);
    assert!(stack.http.put(url).json(&json!({"mode": "hold"})).send().await.unwrap().status().is_success());
}

async fn calls_at_provider(stack: &Stack) -> usize {
    stack.provider("providers/vapi/calls").await.as_array().unwrap().len()
}

/// Lets a call that is held take its course.
async fn play(stack: &Stack, call: &str) {
    let url = format!("{}/_sandbox/calls?callId={call}", stack.sandbox_url);
    let script = json!({ "conversation": [{ "user": "Hello" }, { "user": "Thanks, bye." }] });
    let played = stack.http.post(url).body(script.to_string()).send().await.unwrap();
    assert!(played.status().is_success(), "{}", played.text().await.unwrap());
}

#[tokio::test]
async fn a_contact_is_called_back_once_however_often_somebody_clicks() {
    let stack = Stack::start(2).await.unwrap();
    let (clinic, other) = (stack.clinic("Glow").await.unwrap(), stack.clinic("Other").await.unwrap());
    hold(&stack).await;
    let ann = contact(&stack, &clinic, "+15005550009").await;
    let clicks = join_all((0..12).map(|n| call_back(&stack, &clinic, n % 2, &ann))).await;
    for (status, body) in &clicks {
        assert_eq!((*status, body), (200, &clicks[0].1));
    }
    let called = &clicks[0].1;
    assert_eq!((&called["status"], &called["phone"]), (&json!("initiated"), &json!("+15005550009")));
    assert_eq!(calls_at_provider(&stack).await, 1);
    assert_eq!(audited(&stack, &clinic, "contact.called_back").await, 1);
    let at_provider = stack.provider("providers/vapi/calls/0").await;
    assert_eq!(at_provider["id"], called["vapiCallId"]);
    assert_eq!(at_provider["customer"]["number"], "+15005550009");
    assert_eq!(at_provider["assistantOverrides"]["metadata"]["call_id"], called["callId"]);

    // It takes its course, on the one record.
    let provider_id = called["vapiCallId"].as_str().unwrap();
    let row = row_of(&stack, &clinic, provider_id).await.unwrap();
    assert_eq!(
        (&row["id"], &row["status"], &row["call_type"]),
        (&called["callId"], &json!("pending"), &json!("outbound"))
    );
    play(&stack, provider_id).await;
    eventually("the end of the call", || async {
        let row = row_of(&stack, &clinic, provider_id).await?;
        (row["status"] == "completed" && row["id"] == called["callId"]).then_some(())
    })
    .await;
    assert_eq!(stack.rows("select count(*) from calls").await, 1);

    refused(&call_back(&stack, &other, 0, &ann).await, 404, "not_found");
    let bob = contact(&stack, &clinic, "+15005550011").await;
    let suppress = format!(
        "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
         values (gen_random_uuid(), '{}', 'sms', '+15005550011', 'stop', now())",
        clinic.org_id
    );
    execute(&stack, &suppress).await;
    refused(&call_back(&stack, &clinic, 0, &bob).await, 409, "recipient_opted_out");
    let eve = contact(&stack, &clinic, "+15005550012").await;
    execute(&stack, "update assistants set vapi_assistant_id = null where kind = 'outbound'").await;
    refused(&call_back(&stack, &clinic, 0, &eve).await, 409, "outbound_not_set_up");
    execute(&stack, "update organizations set status = 'suspended'").await;
    refused(&call_back(&stack, &clinic, 0, &eve).await, 403, "organization_suspended");
    let pending = stack.sign_up("Pending").await.unwrap();
    let pat = contact(&stack, &pending, "+15005550013").await;
    refused(&call_back(&stack, &pending, 0, &pat).await, 403, "organization_not_verified");
    assert_eq!(calls_at_provider(&stack).await, 1);
}

#[tokio::test]
async fn a_call_whose_outcome_is_unclear_is_looked_for_and_never_placed_twice() {
    let mut stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    hold(&stack).await;
    let contacts = join_all(
        (20..24).map(|n| contact(&stack, &clinic, Box::leak(format!("+150055500{n}").into_boxed_str()))),
    )
    .await;
    let on_call = |kind: Value| {
        let mut fault = json!({ "provider": "vapi", "method": "POST", "path": "/call" });
        fault.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        fault
    };
    // Refused: nobody is called, and the call has failed.
    fault(&stack, on_call(json!({"kind": "status", "status": 400, "message": "words of the provider"})))
        .await;
    let failed = call_back(&stack, &clinic, 0, &contacts[0]).await;
    refused(&failed, 502, "call_failed");
    assert!(!failed.1.to_string().contains("words of the provider"));
    assert_eq!(stack.rows("select count(*) from calls where status = 'failed'").await, 1);
    // A fault of which nobody knows whether it acted: it did not.
    fault(&stack, on_call(json!({"kind": "status", "status": 500}))).await;
    refused(&call_back(&stack, &clinic, 0, &contacts[1]).await, 502, "call_failed");
    assert_eq!(calls_at_provider(&stack).await, 0);
    // It did, and its answer was lost: it is found.
    fault(&stack, on_call(json!({"kind": "commit_then_drop"}))).await;
    let (status, found) = call_back(&stack, &clinic, 0, &contacts[1]).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(stack.provider("providers/vapi/calls/0").await["id"], found["vapiCallId"]);
    // The server dies while it looks; the job finds the call.
    fault(&stack, on_call(json!({"kind": "commit_then_drop"}))).await;
    fault(
        &stack,
        json!({ "provider": "vapi", "method": "GET", "path": "/call", "kind": "slow", "delayMs": 9_000 }),
    )
    .await;
    call_back_unanswered(&stack, &clinic, &contacts[2]);
    eventually("the second call at the provider", || async {
        (calls_at_provider(&stack).await == 2).then_some(())
    })
    .await;
    stack.crash_server(0).await.unwrap();
    assert_eq!(stack.rows("select count(*) from call_backs where placement = 'asked'").await, 1);
    execute(&stack, "update graphile_worker._private_jobs set run_at = now()").await;
    execute(&stack, "update outbox set run_at = now()").await;
    eventually("the call that was lost", || async {
        (stack.rows("select count(*) from call_backs where placement = 'placed'").await == 2).then_some(())
    })
    .await;
    let (status, again) = call_back(&stack, &clinic, 0, &contacts[2]).await;
    assert_eq!((status, calls_at_provider(&stack).await), (200, 2), "{again}");
}

/// Asks for a call and does not wait for the answer.
fn call_back_unanswered(stack: &Stack, clinic: &Clinic, contact: &str) {
    let url = format!("{}/api/contacts/{contact}/call-back", stack.servers[0].url);
    let request = stack.http.post(url).bearer_auth(&clinic.token);
    tokio::spawn(async move { request.send().await.ok() });
}

#[tokio::test]
async fn lines_are_kept_for_callers_and_shared_by_the_rest() {
    let stack = Stack::start_with(2, &[("VAPI_CONCURRENCY", "4")]).await.unwrap();
    let (one, two) = (stack.clinic("One").await.unwrap(), stack.clinic("Two").await.unwrap());
    hold(&stack).await;
    let mut phones = Vec::new();
    for n in 0..3 {
        phones.push(contact(&stack, &one, &format!("+1500555003{n}")).await);
    }
    let theirs = contact(&stack, &two, "+15005550040").await;
    let (status, first) = call_back(&stack, &one, 0, &phones[0]).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(call_back(&stack, &one, 1, &phones[1]).await.0, 200);
    // Four lines, two of them kept for callers.
    let url = format!("{}/api/contacts/{theirs}/call-back", stack.servers[1].url);
    let busy = stack.http.post(url).bearer_auth(&two.token).send().await.unwrap();
    assert!(busy.headers().contains_key(header::RETRY_AFTER));
    refused(&json_of(busy).await, 503, "lines_busy");
    let figures = stack.http.get(stack.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for line in [
        "voxanne_vapi_lines{use=\"outbound\"} 2",
        "voxanne_vapi_lines{use=\"waiting\"} 1",
        "voxanne_vapi_lines{use=\"limit\"} 4",
    ] {
        assert!(figures.contains(line), "{line}");
    }
    // One call ends: it is the other clinic's turn.
    play(&stack, first["vapiCallId"].as_str().unwrap()).await;
    eventually("the end of the call", || async {
        let row = row_of(&stack, &one, first["vapiCallId"].as_str().unwrap()).await?;
        (row["status"] == "completed").then_some(())
    })
    .await;
    refused(&call_back(&stack, &one, 0, &phones[2]).await, 429, "line_share_used");
    assert_eq!(call_back(&stack, &two, 1, &theirs).await.0, 200);
    assert_eq!(calls_at_provider(&stack).await, 3);
}
