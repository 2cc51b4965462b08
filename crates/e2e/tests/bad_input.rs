//! Whatever is sent, the answer is a clear 4xx in the one shape of errors, and nothing happens.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use voxanne_e2e::{
    Clinic, Stack,
    api::{Operation, body_of, kind, operations},
};

fn path_of(operation: &Operation, clinic: &Clinic) -> String {
    operation.path_parameters().into_iter().fold(operation.path.clone(), |path, parameter| {
        let id = if path.contains("/organizations/{id}") {
            clinic.org_id.clone()
        } else if let Some(word) = operation.words.get(parameter) {
            word.clone()
        } else {
            uuid::Uuid::now_v7().to_string()
        };
        path.replacen(&format!("{{{parameter}}}"), &id, 1)
    })
}

/// Sends, checks the shape, and gives status, code and the fields named.
async fn refusal(request: RequestBuilder, what: &str) -> (StatusCode, String, Vec<String>) {
    let answer = request.send().await.unwrap();
    let (status, id) = (answer.status(), answer.headers().get("x-request-id").cloned());
    let kind =
        answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let text = answer.text().await.unwrap();
    assert!(status.is_client_error(), "{what} answered {status}: {text}");
    assert_eq!(kind, "application/json", "{what}: {text}");
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: {text}"));
    assert!(body["error"].as_str().is_some_and(|e| !e.is_empty()), "{what}: {text}");
    assert_eq!(body["requestId"].as_str(), id.as_ref().and_then(|v| v.to_str().ok()), "{what}: {text}");
    let code = body["code"].as_str().unwrap_or_else(|| panic!("{what}: {text}")).to_owned();
    let fields = body["details"].as_object().map(|d| d.keys().cloned().collect()).unwrap_or_default();
    (status, code, fields)
}

fn names(fields: &[String], field: &str) -> bool {
    fields.iter().any(|found| {
        found == field || found.starts_with(&format!("{field}.")) || found.starts_with(&format!("{field}["))
    })
}

#[tokio::test]
async fn no_body_breaks_an_operation() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let counted = "select (select count(*) from appointments) + (select count(*) from contacts) +
        (select count(*) from services) + (select count(*) from organizations) + (select count(*) from users)";
    let before = stack.rows(counted).await;
    let mut walked = 0;
    for operation in operations(&stack).await.unwrap() {
        let Some(schema) = &operation.body else { continue };
        if operation.is_operators() || operation.is_providers() {
            continue;
        }
        walked += 1;
        let (name, path) = (operation.name(), path_of(&operation, &clinic));
        let send = |body: String| {
            let request = clinic.request(&stack, operation.method.clone(), &path);
            request.header("content-type", "application/json").body(body)
        };
        let expect = async |body: String, status: u16, code: &str| {
            let (found, found_code, _) = refusal(send(body), &format!("{name} ({code})")).await;
            assert_eq!((found.as_u16(), found_code.as_str()), (status, code), "{name}");
        };
        expect("{\"a\": ".to_owned(), 400, "malformed_json").await;
        expect("\u{1}".to_owned(), 400, "malformed_json").await;
        expect(format!("{}1{}", "[".repeat(200), "]".repeat(200)), 400, "body_too_deep").await;
        expect(format!("\"{}\"", "x".repeat(2 * 1024 * 1024)), 413, "body_too_large").await;
        let (status, ..) =
            refusal(clinic.request(&stack, operation.method.clone(), &path).body("a=b"), &name).await;
        assert_eq!(status.as_u16(), 415, "{name}");

        let good = body_of(schema);
        let mut unknown = good.clone();
        unknown["not_a_field_of_ours"] = json!(1);
        let (status, code, fields) = refusal(send(unknown.to_string()), &name).await;
        assert_eq!((status.as_u16(), code.as_str()), (400, "validation_failed"), "{name}");
        assert!(names(&fields, "not_a_field_of_ours"), "{name}: {fields:?}");

        for (property, schema) in operation.properties() {
            let wrong = match kind(&schema).as_str() {
                "object" | "array" | "" => json!("text"),
                _ => json!({"wrong": ["type"]}),
            };
            let mut body = good.clone();
            body[&property] = wrong;
            let what = format!("{name} with a wrong type in {property}");
            let (status, _, fields) = refusal(send(body.to_string()), &what).await;
            assert_eq!(status.as_u16(), 400, "{what}");
            assert!(names(&fields, &property), "{what}: {fields:?}");

            if kind(&schema) == "string" {
                let mut body = good.clone();
                body[&property] = json!("a\u{0}b");
                let what = format!("{name} with NUL in {property}");
                let (status, _, fields) = refusal(send(body.to_string()), &what).await;
                assert_eq!(status.as_u16(), 400, "{what}");
                assert!(names(&fields, &property), "{what}: {fields:?}");
            }
        }
        for required in schema["required"].as_array().cloned().unwrap_or_default() {
            let required = required.as_str().unwrap().to_owned();
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(&required);
            let what = format!("{name} without {required}");
            let (status, _, fields) = refusal(send(body.to_string()), &what).await;
            assert_eq!(status.as_u16(), 400, "{what}");
            assert!(names(&fields, &required), "{what}: {fields:?}");
        }
    }
    assert!(walked > 8, "{walked} operations were walked");
    assert_eq!(stack.rows(counted).await, before, "nothing was added");
}

#[tokio::test]
async fn no_path_or_query_breaks_an_operation() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    for operation in operations(&stack).await.unwrap() {
        if operation.is_open
            || operation.is_operators()
            || operation.is_providers()
            || operation.path.contains("/events")
        {
            continue;
        }
        let name = operation.name();
        for parameter in operation.path_parameters() {
            for bad in
                ["not-a-uuid", "%00", "00000000-0000-0000-0000-00000000000g", "'; drop table calls; --"]
            {
                let path = path_of(&operation, &clinic);
                let given = operation.path.replace(&format!("{{{parameter}}}"), bad);
                let path = if given.contains('{') { path } else { given };
                let mut request = clinic.request(&stack, operation.method.clone(), &path);
                if let Some(schema) = &operation.body {
                    request = request.json(&body_of(schema));
                }
                let (status, ..) = refusal(request, &format!("{name} with {bad} for {parameter}")).await;
                assert!(matches!(status.as_u16(), 400 | 403 | 404), "{name}: {status}");
            }
        }
        if operation.method != Method::GET {
            continue;
        }
        let path = path_of(&operation, &clinic);
        for query in &operation.query {
            for bad in ["%00", "%ff%fe"] {
                let asked = format!("{path}?{query}={bad}");
                refusal(clinic.request(&stack, Method::GET, &asked), &asked).await;
            }
        }
        for (parameter, bad) in
            [("limit", "0"), ("limit", "101"), ("limit", "many"), ("cursor", "???"), ("from", "yesterday")]
        {
            if operation.query.iter().any(|query| query == parameter) {
                let asked = format!("{path}?{parameter}={bad}");
                let (status, _, fields) = refusal(clinic.request(&stack, Method::GET, &asked), &asked).await;
                assert_eq!(status.as_u16(), 400, "{asked}");
                assert!(names(&fields, parameter), "{asked}: {fields:?}");
            }
        }
        if !operation.query.is_empty() {
            let asked = format!("{path}?no_such_parameter=1");
            let (status, _, fields) = refusal(clinic.request(&stack, Method::GET, &asked), &asked).await;
            assert_eq!(status.as_u16(), 400, "{asked}");
            assert!(names(&fields, "no_such_parameter"), "{asked}: {fields:?}");
        }
    }
}

#[tokio::test]
async fn the_frameworks_own_refusals_have_the_same_shape() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let check = async |method: Method, path: &str, status: u16, code: &str| {
        let (found, found_code, _) = refusal(clinic.request(&stack, method, path), path).await;
        assert_eq!((found.as_u16(), found_code.as_str()), (status, code), "{path}");
    };
    check(Method::GET, "/no/such/route", 404, "not_found").await;
    check(Method::DELETE, "/api/me", 405, "method_not_allowed").await;

    let sane = stack.http.get(stack.url("/health")).header("x-request-id", "my-id_1.2").send().await.unwrap();
    assert_eq!(sane.headers()["x-request-id"], "my-id_1.2");
    let insane = stack.http.get(stack.url("/health")).header("x-request-id", "a b;c").send().await.unwrap();
    assert_ne!(insane.headers()["x-request-id"], "a b;c");
}

#[tokio::test]
async fn values_that_break_a_rule_are_named_with_it() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.sign_up("Clinic").await.unwrap();
    let check = async |method: Method, path: &str, body: Value, field: &str| {
        let what = format!("{path} {body}");
        let request = clinic.request(&stack, method, path).json(&body);
        let (status, _, fields) = refusal(request, &what).await;
        assert!(matches!(status.as_u16(), 400 | 422), "{what}: {status}");
        assert!(names(&fields, field), "{what}: {fields:?}");
    };
    let signup = |field: &str, value: Value| {
        let mut body =
            json!({"email": "a@b.example", "password": "a long enough passphrase", "organizationName": "X"});
        body[field] = value;
        body
    };
    check(Method::POST, "/api/auth/signup", signup("email", json!("nobody")), "email").await;
    check(Method::POST, "/api/auth/signup", signup("password", json!("short")), "password").await;
    check(Method::POST, "/api/auth/signup", signup("password", json!("password1234")), "password").await;
    check(Method::POST, "/api/auth/signup", signup("timezone", json!("Mars/Olympus")), "timezone").await;
    check(Method::POST, "/api/auth/signup", signup("organizationName", json!("")), "organizationName").await;
    let organization = format!("/api/organizations/{}", clinic.org_id);
    check(Method::PATCH, &organization, json!({"timezone": "+02:00"}), "timezone").await;
    check(Method::PATCH, &organization, json!({"alertPhone": "0123"}), "alertPhone").await;
    check(Method::POST, "/api/contacts", json!({"name": "A", "phone": "15005550006"}), "phone").await;
    check(Method::POST, "/api/contacts", json!({"name": "A", "phone": "+0123456789"}), "phone").await;
    check(
        Method::POST,
        "/api/contacts",
        json!({"name": "A", "phone": "+15005550006", "email": "x"}),
        "email",
    )
    .await;
    check(
        Method::POST,
        "/api/services",
        json!({"name": "A", "price": 1.234, "duration_minutes": 30}),
        "price",
    )
    .await;
    check(Method::POST, "/api/services", json!({"name": "A", "price": -1, "duration_minutes": 30}), "price")
        .await;
    check(
        Method::POST,
        "/api/services",
        json!({"name": "A", "price": 1, "duration_minutes": 0}),
        "duration_minutes",
    )
    .await;
    let appointment = |field: &str, value: Value| {
        let mut body = json!({"contact_name": "A", "phone_number": "+15005550006", "scheduled_at": "2031-03-04T15:00:00Z"});
        body[field] = value;
        body
    };
    check(Method::POST, "/api/appointments", appointment("scheduled_at", json!("tomorrow")), "scheduled_at")
        .await;
    check(Method::POST, "/api/appointments", appointment("phone_number", json!("12")), "phone_number").await;
    check(
        Method::POST,
        "/api/appointments",
        appointment("duration_minutes", json!(100_000)),
        "duration_minutes",
    )
    .await;
}
