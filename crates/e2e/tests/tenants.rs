//! Two clinics side by side: whatever one asks for with the other's ids, it learns nothing and changes nothing.
//! The walk comes from the API's own document, so a new route is walked without anybody adding it here.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use voxanne_e2e::{
    Clinic, Stack,
    api::{Operation, body_of, operations},
    eventually,
    vapi::{deliver, report, tool_call},
};

/// Words that only the other clinic's data holds.
const PLANTED: [&str; 4] = ["Quillfeather", "Zanzibar", "+447700900123", "quillfeather@private.example"];

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
        (calls["data"][0]["status"] == "completed").then_some(())
    })
    .await;
}

/// The other clinic's id for every `{parameter}` of the operation's path: the first row of the list it belongs to.
async fn foreign_path(stack: &Stack, operation: &Operation, other: &Clinic) -> String {
    let mut path = operation.path.clone();
    for (index, parameter) in operation.path_parameters().into_iter().enumerate() {
        let list = path.split('{').next().unwrap().trim_end_matches('/').to_owned();
        let id = if list.ends_with("/organizations") {
            other.org_id.clone()
        } else if index > 0 || list.ends_with("/members") {
            other.user_id.clone()
        } else {
            let rows = other.get(stack, &list).await.unwrap();
            let first = rows.pointer("/data/0/id").and_then(Value::as_str);
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
async fn everything(stack: &Stack, operations: &[Operation], clinic: &Clinic) -> String {
    let mut all = Vec::new();
    for operation in operations {
        let readable = operation.method == Method::GET && !operation.is_open && !operation.is_operators();
        if !readable || operation.path.contains("/events") {
            continue;
        }
        let path = foreign_path(stack, operation, clinic).await;
        let answer = clinic.request(stack, Method::GET, &path).send().await.unwrap();
        all.push(format!("{path}: {} {}", answer.status(), answer.text().await.unwrap()));
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
    let stack = Stack::start(1).await.unwrap();
    let (mine, other) = (stack.clinic("Mine").await.unwrap(), stack.clinic("Other").await.unwrap());
    furnish(&stack, &other).await;
    let operations = operations(&stack).await.unwrap();
    let before = everything(&stack, &operations, &other).await;
    for word in PLANTED {
        assert!(before.contains(word), "the other clinic itself sees {word}");
    }
    let foreign_ids = foreign_ids(&stack, &other).await;

    let mut walked = 0;
    for operation in operations.iter().filter(|o| !o.is_open && !o.path.contains("/events")) {
        let path = if operation.is_operators() {
            operation.path.replace("{id}", &other.org_id)
        } else {
            foreign_path(&stack, operation, &other).await
        };
        let body = operation.body.as_ref().map(body_of);
        let names_another = !operation.path_parameters().is_empty() || operation.is_operators();

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
    assert_eq!(everything(&stack, &operations, &other).await, before, "the other clinic is as it was");
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
    let schedule = other.get(stack, "/api/schedule").await.unwrap();
    ids.push(("resource_id", schedule["resources"][0]["id"].as_str().unwrap().to_owned()));
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
