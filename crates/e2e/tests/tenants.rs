//! Two clinics side by side: whatever one asks for with the other's ids, it learns nothing and changes nothing.
//! The walk comes from the API's own document, so a new route is walked without anybody adding it here.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use voxanne_e2e::{
    Clinic, Stack,
    api::{Operation, body_of, operations},
    eventually,
    vapi::{deliver, report, tool_call},
};

/// Words that only the other clinic's data holds.
const PLANTED: [&str; 4] = ["Quillfeather", "Zanzibar", "+447700900123", "quillfeather@private.example"];

/// An account of the platform's with Twilio, so that what needs one is walked as well.
const PLATFORM: [(&str, &str); 3] = [
    ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
    ("TWILIO_AUTH_TOKEN", "the-platforms-token"),
    ("TWILIO_FROM_NUMBER", "+15005550001"),
];

/// Fills a clinic with one of everything, marked.
async fn furnish(stack: &Stack, clinic: &Clinic) {
    let post = async |path: &str, body: Value| {
        let answer = clinic.request(stack, Method::POST, path).json(&body).send().await.unwrap();
        let status = answer.status();
        let body: Value = answer.json().await.unwrap();
        assert!(status.is_success(), "POST {path} answered {status}: {body}");
        body
    };
    post(
        "/api/contacts",
        json!({"name": "Quillfeather", "phone": "+447700900123", "email": "quillfeather@private.example"}),
    )
    .await;
    post(
        "/api/services",
        json!({"name": "Zanzibar", "price": 12, "duration_minutes": 30, "keywords": ["zanzibar"]}),
    )
    .await;
    let call = "019c0000-0000-7000-8000-000000000001";
    let arguments = json!({"date": "next tuesday", "time": "10:00", "patientName": "Quillfeather",
        "patientPhone": "+447700900123", "service": "Zanzibar"});
    let answer =
        deliver(stack, clinic, &tool_call(clinic, call, "call_1", "bookClinicAppointment", &arguments))
            .send()
            .await
            .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let mut message = report(clinic, call);
    message["message"]["analysis"]["summary"] = json!("Zanzibar was discussed.");
    assert_eq!(deliver(stack, clinic, &message).send().await.unwrap().status(), StatusCode::OK);
    eventually("the call", || async {
        let calls = clinic.get(stack, "/api/calls-dashboard").await.ok()?;
        let call = &calls["data"][0];
        (call["status"] == "completed" && call["recording_status"] == "failed").then_some(())
    })
    .await;
    post(
        "/api/messaging/templates",
        json!({"name": "Zanzibar", "channel": "sms", "body": "See you in Zanzibar, {{name}}"}),
    )
    .await;
    // Accounts and somebody who opted out, as they are left when providers are not asked.
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    let account = "insert into messaging_providers
            (id, org_id, channel, provider, from_address, priority, created_at, updated_at)
        select gen_random_uuid(), $1::uuid, c, p, 'quillfeather@private.example', 100, now(), now()
          from (values ('sms', 'termii'), ('email', 'resend')) as v (c, p)";
    sqlx::query(account).bind(&clinic.org_id).execute(&mut owner).await.unwrap();
    let opted_out = "insert into message_suppressions (id, org_id, channel, recipient, reason, created_at)
        values (gen_random_uuid(), $1::uuid, 'sms', '+447700900123', 'stop', now())";
    sqlx::query(opted_out).bind(&clinic.org_id).execute(&mut owner).await.unwrap();
    // A message that only a person can decide about.
    let unknown = "insert into messages (id, org_id, direction, method, purpose, recipient, content, status, provider,
            is_platform, is_charged, attempts, attempt_started_at, is_for_a_person, created_at, updated_at)
        values (gen_random_uuid(), $1::uuid, 'outbound', 'sms', 'direct', '+447700900123', 'To Zanzibar', 'unknown',
                'termii', false, false, 1, now(), true, now(), now())";
    sqlx::query(unknown).bind(&clinic.org_id).execute(&mut owner).await.unwrap();
    // A link to a recording, as it is left when the recording is deleted.
    let link = "insert into recording_shares (id, org_id, call_id, recording_id, message_id, token_hash, sealed_token,
            created_at, expires_at)
        select gen_random_uuid(), org_id, id, gen_random_uuid(), gen_random_uuid(), sha256('Zanzibar'), '', now(), now()
          from calls where org_id::text = $1 limit 1";
    sqlx::query(link).bind(&clinic.org_id).execute(&mut owner).await.unwrap();
}

/// Has a clinic bring a line of its own, before anybody buys it one.
async fn furnish_with_line(stack: &Stack, clinic: &Clinic) {
    let url = format!("{}/_sandbox/twilio/accounts", stack.sandbox_url);
    let made = stack.http.post(url).json(&json!({"numbers": ["+15005550106"]})).send().await.unwrap();
    let made: Value = made.json().await.unwrap();
    let account = json!({"accountSid": made["accountSid"], "authToken": made["authToken"], "phoneNumber": "+15005550106"});
    let brought =
        clinic.request(stack, Method::PUT, "/api/integrations/twilio").json(&account).send().await.unwrap();
    assert_eq!(brought.status(), StatusCode::OK);
    eventually("the line of its own", || async {
        let integrations = clinic.get(stack, "/api/integrations").await.ok()?;
        (integrations["data"][0]["status"] == "verified").then_some(())
    })
    .await;
}

/// Gives a clinic a phone of its own, marked as well, whose calls are forwarded.
async fn furnish_with_phone(stack: &Stack, clinic: &Clinic) {
    let post = async |path: &str, body: Value| -> Value {
        let path = format!("/api/telephony{path}");
        let answer = clinic.request(stack, Method::POST, &path).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "POST {path} answered {}", answer.status());
        answer.json().await.unwrap()
    };
    let phone = json!({"phoneNumber": "+447700900123", "friendlyName": "Zanzibar"});
    let begun = post("/verify-caller-id/initiate", phone).await;
    let id = begun["verificationId"].as_str().unwrap();
    eventually("the proof of the phone", || async {
        let progress = clinic.get(stack, &format!("/api/telephony/verify-caller-id/{id}")).await.ok()?;
        (progress["status"] == "verified").then_some(())
    })
    .await;
    let setup = json!({"verifiedCallerId": id, "forwardingType": "total_ai", "carrier": "international"});
    post("/forwarding-config", setup).await;
}

/// What the id of a row below `list` is called elsewhere: `forwardingConfigId` for `…/forwarding-config`.
fn name_of_id(list: &str) -> String {
    let mut words = list.rsplit('/').next().unwrap_or_default().split('-');
    let first = words.next().unwrap_or_default().to_owned();
    let rest = words.map(|word| word[..1].to_uppercase() + &word[1..]);
    rest.fold(first, |name, word| name + &word) + "Id"
}

/// The other clinic's id for every `{parameter}` of the operation's path: the one of that name, or the first row of the
/// list it belongs to.
async fn foreign_path(
    stack: &Stack,
    operation: &Operation,
    other: &Clinic,
    ids: &[(&'static str, String)],
) -> String {
    let mut path = operation.path.clone();
    for (index, parameter) in operation.path_parameters().into_iter().enumerate() {
        let list = path.split('{').next().unwrap().trim_end_matches('/').to_owned();
        let below = name_of_id(&list);
        let known = ids.iter().find(|(name, _)| *name == parameter || *name == below);
        let id = if list.ends_with("/organizations") {
            other.org_id.clone()
        } else if let Some((_, id)) = known {
            id.clone()
        } else if let Some(word) = operation.words.get(parameter) {
            word.clone()
        } else if parameter == "phoneNumber" {
            other.number.clone()
        } else if index > 0 || list.ends_with("/members") {
            other.user_id.clone()
        } else {
            let rows = other.get(stack, &list).await.unwrap();
            let first = rows.pointer("/data/0/id").or_else(|| rows.pointer("/numbers/0/id"));
            let first = first.and_then(Value::as_str);
            first
                .unwrap_or_else(|| {
                    panic!("{}: {list} lists nothing to take an id from: {rows}", operation.name())
                })
                .to_owned()
        };
        path = path.replacen(&format!("{{{parameter}}}"), &id, 1);
    }
    path
}

/// Everything the clinic can read about itself.
async fn everything(
    stack: &Stack,
    operations: &[Operation],
    clinic: &Clinic,
    ids: &[(&'static str, String)],
) -> String {
    let mut all = Vec::new();
    for operation in operations {
        let readable = operation.method == Method::GET && !operation.is_open && !operation.is_operators();
        // What is for sale is the carrier's, and less of it when anybody has bought.
        let is_the_clinics = !operation.path.ends_with("/available");
        if !readable || !is_the_clinics || operation.path.contains("/events") {
            continue;
        }
        let mut path = foreign_path(stack, operation, clinic, ids).await;
        if let Some((name, id)) =
            ids.iter().find(|(name, _)| operation.query.iter().any(|query| query == name))
        {
            path = format!("{path}?{name}={id}");
        }
        let answer = clinic.request(stack, Method::GET, &path).send().await.unwrap();
        let status = answer.status();
        // What a refusal says names its request, which is another one every time.
        let text = if status.is_success() { answer.text().await.unwrap() } else { String::new() };
        all.push(format!("{path}: {status} {text}"));
    }
    all.join("\n")
}

fn assert_nothing_leaks(text: &str, other: &Clinic, what: &str) {
    for word in PLANTED.into_iter().chain([other.email.as_str(), other.secret.as_str()]) {
        assert!(!text.contains(word), "{what} tells {word}: {text}");
    }
}

#[tokio::test]
async fn no_operation_reaches_another_clinic() {
    let stack = Stack::start_with(1, &PLATFORM).await.unwrap();
    let (mine, other) = (stack.clinic("Mine").await.unwrap(), stack.sign_up("Other").await.unwrap());
    furnish_with_line(&stack, &other).await;
    let other = stack.let_in(other).await.unwrap();
    furnish(&stack, &other).await;
    furnish_with_phone(&stack, &other).await;
    let operations = operations(&stack).await.unwrap();
    let foreign_ids = foreign_ids(&stack, &other).await;
    let before = everything(&stack, &operations, &other, &foreign_ids).await;
    for word in PLANTED {
        assert!(before.contains(word), "the other clinic itself sees {word}");
    }

    let mut walked = 0;
    for operation in operations.iter().filter(|o| !o.is_open && !o.path.contains("/events")) {
        let path = if operation.is_operators() {
            operation.path.replace("{id}", &other.org_id)
        } else {
            foreign_path(&stack, operation, &other, &foreign_ids).await
        };
        let body = operation.body.as_ref().map(body_of);
        // A provider is the same for everybody.
        let names_something =
            operation.path_parameters().into_iter().any(|parameter| !operation.words.contains_key(parameter));
        let names_another = names_something || operation.is_operators();

        // With the other clinic's ids in the path.
        let mut request = mine.request(&stack, operation.method.clone(), &path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert_nothing_leaks(&text, &other, &operation.name());
        if names_another {
            let refused = matches!(status, StatusCode::NOT_FOUND | StatusCode::FORBIDDEN);
            assert!(refused, "{} with another clinic's ids answered {status}: {text}", operation.name());
        }

        // With the other clinic's ids in the body, one property at a time.
        for (name, id) in &foreign_ids {
            if operation.properties().contains_key(*name) && !names_another {
                let mut body = body.clone().unwrap_or_else(|| json!({}));
                body[*name] = json!(id);
                let answer =
                    mine.request(&stack, operation.method.clone(), &path).json(&body).send().await.unwrap();
                let (status, text) = (answer.status(), answer.text().await.unwrap());
                assert_nothing_leaks(&text, &other, &operation.name());
                assert!(
                    status.is_client_error(),
                    "{} with {name} of another clinic answered {status}: {text}",
                    operation.name()
                );
            }
            // And in the query.
            if operation.query.iter().any(|q| q == name) {
                let asked = format!("{path}?{name}={id}");
                let answer = mine.request(&stack, operation.method.clone(), &asked).send().await.unwrap();
                assert_nothing_leaks(&answer.text().await.unwrap(), &other, &asked);
            }
        }

        // Without a token, and with an operator's, which belongs to no organization.
        let mut request = stack.http.request(operation.method.clone(), stack.url(&path));
        if let Some(body) = &body {
            request = request.json(body);
        }
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{}", operation.name());
        walked += 1;
    }
    assert!(walked > 20, "{walked} operations were walked");
    let after = everything(&stack, &operations, &other, &foreign_ids).await;
    for (now, then) in after.lines().zip(before.lines()) {
        assert_eq!(now, then, "the other clinic is as it was");
    }
    assert_eq!(after.lines().count(), before.lines().count());
}

async fn foreign_ids(stack: &Stack, other: &Clinic) -> Vec<(&'static str, String)> {
    let mut ids = Vec::new();
    for (name, list) in [
        ("contact_id", "/api/contacts"),
        ("service_id", "/api/services"),
        ("call_id", "/api/calls-dashboard"),
    ] {
        let rows = other.get(stack, list).await.unwrap();
        ids.push((name, rows["data"][0]["id"].as_str().unwrap().to_owned()));
    }
    let (_, call) = &ids[2];
    let shares = other.get(stack, &format!("/api/calls-dashboard/{call}/shares")).await.unwrap();
    ids.push(("shareId", shares["data"][0]["id"].as_str().unwrap().to_owned()));
    let schedule = other.get(stack, "/api/schedule").await.unwrap();
    ids.push(("resource_id", schedule["resources"][0]["id"].as_str().unwrap().to_owned()));
    let phones = other.get(stack, "/api/telephony/verified-numbers").await.unwrap();
    let phone = phones["numbers"][0]["id"].as_str().unwrap().to_owned();
    let forwarding = format!("/api/telephony/forwarding-config?verifiedCallerId={phone}");
    let forwarding = other.get(stack, &forwarding).await.unwrap();
    ids.push(("forwardingConfigId", forwarding["config"]["id"].as_str().unwrap().to_owned()));
    ids.push(("verificationId", phone.clone()));
    ids.push(("verifiedCallerId", phone));
    ids
}

#[tokio::test]
async fn an_operators_token_reaches_no_clinics_routes() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let operator = stack.operator().await.unwrap();
    for operation in operations(&stack).await.unwrap() {
        let tenants = !operation.is_open
            && !operation.is_operators()
            && !operation.is_shared_with_operators()
            && !operation.path.ends_with("/me")
            && !operation.path.contains("/auth/");
        if !tenants {
            continue;
        }
        let path = operation.path_parameters().into_iter().fold(operation.path.clone(), |path, parameter| {
            path.replace(&format!("{{{parameter}}}"), &clinic.org_id)
        });
        let mut request =
            stack.http.request(operation.method.clone(), stack.url(&path)).bearer_auth(&operator);
        if let Some(schema) = &operation.body {
            request = request.json(&body_of(schema));
        }
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{}", operation.name());
    }
}
