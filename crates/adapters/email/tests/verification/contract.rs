//! Our requests, held to the providers' official documents.

use std::path::Path;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::asking::{providers, resend, sendgrid, verify};

fn document(name: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers").join(name);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// A request is one that the document knows, with declared parameters only and every value as declared.
fn check(document: &Value, template: &str, request: &Request) {
    let operation = &document["paths"][template][request.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{} {template}", request.method);
    assert_eq!(request.url.path(), template);
    let declared: Vec<&Value> = operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| match parameter["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => parameter,
        })
        .collect();
    for (name, value) in request.url.query_pairs() {
        let parameter = declared.iter().find(|p| p["in"] == "query" && p["name"] == *name);
        let schema = &parameter.unwrap_or_else(|| panic!("{name} is not declared"))["schema"];
        let value =
            if schema["type"] == "integer" { value.parse::<i64>().unwrap().into() } else { json!(value) };
        assert!(jsonschema::is_valid(schema, &value), "{name}={value}");
    }
}

async fn requests(answers: Vec<Value>, ask: impl AsyncFnOnce(String)) -> Vec<Request> {
    let server = MockServer::start().await;
    for answer in answers {
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&server).await;
    }
    ask(server.uri()).await;
    server.received_requests().await.unwrap()
}

#[tokio::test]
async fn resends_domains_are_listed_as_its_document_says() {
    let domain = |name: &str| json!({ "id": "d1", "name": name, "status": "verified" });
    let pages = vec![
        json!({ "has_more": true, "data": [domain("other.example")] }),
        json!({ "has_more": false, "data": [domain("clinic.example")] }),
    ];
    let sent = requests(pages, async |base| {
        assert_eq!(verify(&providers(&base), &resend("re_x")).await, "verified");
    })
    .await;
    assert_eq!(sent.len(), 2);
    for request in &sent {
        check(&document("resend-openapi.json"), "/domains", request);
    }
}

#[tokio::test]
async fn sendgrids_scopes_are_listed_as_its_document_says() {
    let sent = requests(vec![json!({ "scopes": ["mail.send"] })], async |base| {
        assert_eq!(verify(&providers(&base), &sendgrid("SG.x")).await, "verified");
    })
    .await;
    check(&document("sendgrid-mail-openapi.json"), "/v3/scopes", &sent[0]);
}
