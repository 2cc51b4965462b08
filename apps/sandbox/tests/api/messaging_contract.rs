//! Answers of the providers that carry messages, held to the official documents of those that have published one.

use std::path::Path;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::Sandbox;

struct Document(Value);

impl Document {
    fn load(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/providers").join(name);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
            panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
        });
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Sends `request` and holds its answer to what the document says of this path and the status that came.
    async fn check(&self, path: &str, request: RequestBuilder, expected: StatusCode) -> Value {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected);
        let answer: Value = response.json().await.unwrap();
        let mut described = &self.0["paths"][path]["get"]["responses"][expected.as_str()];
        if let Some(reference) = described["$ref"].as_str() {
            described = self.0.pointer(&reference[1..]).unwrap();
        }
        let schema = &described["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path} does not answer {expected}");
        let whole = json!({ "allOf": [nullable(schema)], "components": nullable(&self.0["components"]) });
        let validator = jsonschema::validator_for(&whole).unwrap();
        let errors: Vec<_> = validator.iter_errors(&answer).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{answer:#}");
        answer
    }
}

/// A document of the newer version that still says `nullable` as the older did.
fn nullable(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut changed: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), nullable(value))).collect();
            if changed.get("nullable") == Some(&json!(true)) && changed["type"].is_string() {
                let kind = changed["type"].clone();
                changed.insert("type".into(), json!([kind, "null"]));
            }
            Value::Object(changed)
        }
        Value::Array(items) => items.iter().map(nullable).collect(),
        other => other.clone(),
    }
}

#[tokio::test]
async fn resends_document_describes_its_domains() {
    let (sandbox, document) = (Sandbox::start().await, Document::load("resend-openapi.json"));
    let domains = json!(["a.example", { "name": "b.example", "status": "partially_failed" }]);
    let account = json!({ "apiKey": "re_x", "domains": domains });
    sandbox.control(Method::POST, "/resend/accounts", account).await;
    for (key, query) in [("re_sandbox", ""), ("re_x", "?limit=1")] {
        let request = sandbox.http.get(format!("{}/resend/domains{query}", sandbox.base)).bearer_auth(key);
        let answer = document.check("/domains", request, StatusCode::OK).await;
        assert!(answer["data"][0]["created_at"].as_str().unwrap().ends_with("+00"), "{answer}");
    }
}

#[tokio::test]
async fn sendgrids_document_describes_its_scopes_and_refusals() {
    let (sandbox, document) = (Sandbox::start().await, Document::load("sendgrid-mail-openapi.json"));
    let scopes = || sandbox.http.get(format!("{}/sendgrid/v3/scopes", sandbox.base));
    document.check("/v3/scopes", scopes().bearer_auth("SG.sandbox"), StatusCode::OK).await;
    document.check("/v3/scopes", scopes().bearer_auth("SG.wrong"), StatusCode::UNAUTHORIZED).await;
    document.check("/v3/scopes", scopes(), StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn metas_document_describes_numbers_and_refusals() {
    let (sandbox, document) = (Sandbox::start().await, Document::load("whatsapp-cloud-openapi.json"));
    let numbers = json!([{ "id": "5", "displayPhoneNumber": "+1 500-555-0001" }, { "id": "6", "displayPhoneNumber": "+1 500-555-0002" }]);
    for (token, state) in [("EAArestricted", "restricted"), ("EAAexpired", "expired"), ("EAAgood", "")] {
        let mut account = json!({ "accessToken": token, "businessAccountId": "7", "phoneNumbers": numbers });
        if !state.is_empty() {
            account[state] = json!(true);
        }
        let (status, made) = sandbox.control(Method::POST, "/whatsapp/accounts", account).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
    }
    let get = |path: &str, token: &str| {
        sandbox.http.get(format!("{}/whatsapp{path}", sandbox.base)).bearer_auth(token)
    };
    let number = async |path: &str, token: &str, status| {
        document.check("/{Version}/{Phone-Number-ID}", get(path, token), status).await
    };
    let shown = number("/v23.0/5?fields=code_verification_status", "EAAgood", StatusCode::OK).await;
    assert_eq!(shown["code_verification_status"], "VERIFIED");
    assert_eq!(number("/v23.0/5", "EAAgood", StatusCode::OK).await.get("name_status"), None);
    let refused = |answer: &Value| answer["error"]["code"].as_u64().unwrap();
    assert_eq!(refused(&number("/v23.0/5", "EAAwrong", StatusCode::UNAUTHORIZED).await), 190);
    let expired = number("/v23.0/5", "EAAexpired", StatusCode::UNAUTHORIZED).await;
    assert_eq!(expired["error"]["error_subcode"], 463);
    assert_eq!(refused(&number("/v23.0/5", "EAArestricted", StatusCode::FORBIDDEN).await), 200);
    assert_eq!(refused(&number("/v23.0/8", "EAAgood", StatusCode::NOT_FOUND).await), 803);
    assert_eq!(refused(&number("/v23.0/me", "EAAgood", StatusCode::BAD_REQUEST).await), 100);
    assert_eq!(refused(&number("/23/5", "EAAgood", StatusCode::BAD_REQUEST).await), 100);
    assert_eq!(refused(&number("/v23.0/5?fields=secret", "EAAgood", StatusCode::BAD_REQUEST).await), 100);

    let list = async |path: &str, token: &str, status| {
        document.check("/{Version}/{WABA-ID}/phone_numbers", get(path, token), status).await
    };
    assert_eq!(list("/v23.0/7/phone_numbers", "EAAgood", StatusCode::OK).await["data"][1]["id"], "6");
    let first = list("/v23.0/7/phone_numbers?limit=1&fields=id", "EAAgood", StatusCode::OK).await;
    assert!(first["paging"]["next"].is_string(), "{first}");
    let after = first["paging"]["cursors"]["after"].as_str().unwrap();
    let rest = format!("/v23.0/7/phone_numbers?limit=1&after={after}");
    let rest = list(&rest, "EAAgood", StatusCode::OK).await;
    assert_eq!((&rest["data"][0]["id"], rest["paging"].get("next")), (&json!("6"), None));
    list("/v23.0/8/phone_numbers", "EAAgood", StatusCode::NOT_FOUND).await;
    list("/v23.0/7/phone_numbers", "EAArestricted", StatusCode::FORBIDDEN).await;
    list("/v23.0/7/phone_numbers?limit=0", "EAAgood", StatusCode::BAD_REQUEST).await;
    list("/v23.0/7/phone_numbers", "EAAwrong", StatusCode::UNAUTHORIZED).await;
}
