//! What Vapi is told of the Twilio accounts and numbers that organizations bring, held to the official document.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{path::Path, sync::Arc};

use secrecy::SecretString;
use serde_json::{Value, json};
use voxanne_kernel::{E164, ManualClock, ProviderError, Timestamp, ids::CredentialId};
use voxanne_telephony::{Answering, CarrierAccount, Custom, FoundNumber, LineProvider, NumberSpec};
use voxanne_tooling::VoiceProvider;
use voxanne_vapi::{Vapi, VapiClient, VapiSettings};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

const HOOK: &str = "https://api.example.test/api/vapi/webhook";
const NAME: &str = "org-0190a000-0000-7000-8000-000000000001";
const SID: &str = "AC00000000000000000000000000000001";

fn vapi(server: &MockServer) -> Vapi {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let settings = VapiSettings::new(server.uri().parse().unwrap(), SecretString::from("key"));
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    Vapi::new(VapiClient::new(settings).unwrap(), HOOK.to_owned(), clock)
}

fn account() -> CarrierAccount {
    CarrierAccount {
        record: CredentialId::generate(),
        sid: SID.to_owned(),
        token: SecretString::from("token"),
        number: None,
        is_vouched_for: true,
    }
}

fn digits() -> E164 {
    E164::new("+15550001111").unwrap()
}

async fn answers(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(server).await;
}

async fn sent(server: &MockServer, verb: &str) -> Vec<Value> {
    let all = server.received_requests().await.unwrap();
    all.iter().filter(|r| r.method.as_str() == verb).map(|r| r.body_json().unwrap()).collect()
}

/// Every field is one that the official schema declares, of the declared kind.
#[track_caller]
fn check(schema: &str, body: &Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/providers/vapi-openapi.json");
    let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let declared = &document["components"]["schemas"][schema]["properties"];
    for field in body.as_object().unwrap().keys() {
        assert!(declared.get(field).is_some(), "{schema} does not declare {field}");
    }
    let whole = json!({
        "$ref": format!("#/components/schemas/{schema}"), "components": document["components"],
    });
    let validator = jsonschema::validator_for(&whole).unwrap();
    let errors: Vec<String> = validator.iter_errors(body).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{schema}: {errors:#?}\n{body:#}");
}

/// The same for a change of `stored`. Null takes away a field that is there, which the document does not say
/// (docs:assistants/personalization does); where there is nothing to take away it is as wrong as the document has it.
#[track_caller]
fn check_change(schema: &str, stored: &Value, body: &Value) {
    let mut body = body.clone();
    body.as_object_mut().unwrap().retain(|field, value| !value.is_null() || stored[field].is_null());
    check(schema, &body);
}

/// An import as Vapi shows it, with nothing set beyond what is sent with it.
fn fresh_import() -> Value {
    json!({
        "id": "n-1", "orgId": "o", "provider": "twilio", "number": "+15550001111", "twilioAccountSid": SID,
        "name": NAME, "smsEnabled": false, "status": "active",
        "createdAt": "2026-01-01T00:00:00.000Z", "updatedAt": "2026-01-01T00:00:00.000Z",
    })
}

#[tokio::test]
async fn an_account_is_made_known_changed_and_forgotten_as_the_document_declares() {
    let server = MockServer::start().await;
    answers(&server, "POST", "/credential", 201, json!({"id": "c-1"})).await;
    answers(&server, "PATCH", "/credential/c-1", 200, json!({"id": "c-1"})).await;
    answers(&server, "PATCH", "/credential/gone", 404, json!({"message": "not found"})).await;
    answers(&server, "DELETE", "/credential/c-1", 200, json!({"id": "c-1"})).await;
    answers(&server, "DELETE", "/credential/gone", 404, json!({"message": "not found"})).await;
    let vapi = vapi(&server);
    assert_eq!(vapi.create_account(NAME, &account()).await.unwrap(), "c-1");
    assert!(vapi.update_account("c-1", NAME, &account()).await.unwrap());
    assert!(!vapi.update_account("gone", NAME, &account()).await.unwrap());
    vapi.delete_account("c-1").await.unwrap();
    vapi.delete_account("gone").await.unwrap();
    check("CreateTwilioCredentialDTO", &sent(&server, "POST").await[0]);
    let changed = &sent(&server, "PATCH").await[0];
    check("UpdateTwilioCredentialDTO", changed);
    assert_eq!((&changed["accountSid"], &changed["authToken"]), (&json!(SID), &json!("token")));
}

#[tokio::test]
async fn a_number_is_imported_and_changed_as_the_document_declares() {
    let server = MockServer::start().await;
    let mut stored = fresh_import();
    stored["assistantId"] = json!("1f9e0000-0000-4000-8000-000000000009");
    stored["fallbackDestination"] = json!({"type": "number", "number": "+15550003333"});
    answers(&server, "POST", "/phone-number", 201, json!({"id": "n-1"})).await;
    answers(&server, "GET", "/phone-number/n-1", 200, stored.clone()).await;
    answers(&server, "PATCH", "/phone-number/n-1", 200, json!({"id": "n-1"})).await;
    let vapi = vapi(&server);
    let (account, number) = (account(), digits());
    for answering in [
        Answering::Assistant("1f9e0000-0000-4000-8000-000000000001".to_owned()),
        Answering::Us { credential: "cred-1".to_owned() },
        Answering::Nobody,
    ] {
        let fallback = (answering != Answering::Nobody).then(|| E164::new("+15550002222").unwrap());
        let custom = Custom { answering, fallback };
        let spec = NumberSpec { name: NAME, number: &number, account: &account, custom: &custom };
        assert_eq!(vapi.import_number(&spec).await.unwrap(), "n-1");
        assert!(vapi.update_number("n-1", &spec).await.unwrap());
    }
    let (imported, changed) = (sent(&server, "POST").await, sent(&server, "PATCH").await);
    for body in &imported {
        check("CreateTwilioPhoneNumberDTO", body);
        assert_eq!((&body["smsEnabled"], &body["number"]), (&json!(false), &json!("+15550001111")));
        assert_eq!((&body["twilioAccountSid"], &body["twilioAuthToken"]), (&json!(SID), &json!("token")));
    }
    for body in &changed {
        check_change("UpdateTwilioPhoneNumberDTO", &stored, body);
        assert_eq!(body["twilioAuthToken"], "token");
    }
    assert_eq!(imported[0]["assistantId"], "1f9e0000-0000-4000-8000-000000000001");
    assert_eq!(imported[0]["fallbackDestination"]["number"], "+15550002222");
    assert_eq!(imported[1]["server"]["credentialId"], "cred-1");
    assert_eq!((changed[1].get("assistantId"), imported[1].get("assistantId")), (Some(&Value::Null), None));
    assert!(imported[2].get("assistantId").is_none() && imported[2].get("server").is_none());
    assert_eq!((changed[2].get("assistantId"), &changed[2]["fallbackDestination"]), (None, &Value::Null));
}

#[tokio::test]
async fn nothing_is_taken_away_from_an_import_that_has_nothing() {
    let server = MockServer::start().await;
    answers(&server, "GET", "/phone-number/n-1", 200, fresh_import()).await;
    answers(&server, "PATCH", "/phone-number/n-1", 200, fresh_import()).await;
    answers(&server, "GET", "/phone-number/gone", 404, json!({"message": "not found"})).await;
    let (vapi, account, number) = (vapi(&server), account(), digits());
    for answering in [
        Answering::Assistant("1f9e0000-0000-4000-8000-000000000001".to_owned()),
        Answering::Us { credential: "cred-1".to_owned() },
        Answering::Nobody,
    ] {
        let custom = Custom { answering, fallback: None };
        let spec = NumberSpec { name: NAME, number: &number, account: &account, custom: &custom };
        assert!(vapi.update_number("n-1", &spec).await.unwrap());
        assert!(!vapi.update_number("gone", &spec).await.unwrap());
    }
    let changed = sent(&server, "PATCH").await;
    assert_eq!(changed.len(), 3);
    for body in &changed {
        check("UpdateTwilioPhoneNumberDTO", body);
    }
}

#[tokio::test]
async fn an_import_of_ours_that_cannot_lose_its_assistant_is_deleted_and_others_are_left() {
    let server = MockServer::start().await;
    let assistant = "1f9e0000-0000-4000-8000-000000000001";
    let number = |id: &str, name: &str, sid: Option<&str>| {
        let mut number = fresh_import();
        (number["id"], number["name"], number["assistantId"]) = (json!(id), json!(name), json!(assistant));
        number["twilioAccountSid"] = sid.into();
        number
    };
    let numbers = json!([
        number("ours", NAME, Some(SID)),
        number("theirs", "reception", Some(SID)),
        number("vapis", NAME, None),
    ]);
    answers(&server, "GET", "/phone-number", 200, numbers).await;
    for id in ["ours", "theirs", "vapis"] {
        let refused = json!({"message": ["assistantId must be a string"], "statusCode": 400});
        answers(&server, "PATCH", &format!("/phone-number/{id}"), 400, refused).await;
    }
    answers(&server, "DELETE", "/phone-number/ours", 200, json!({"id": "ours"})).await;
    VoiceProvider::release_numbers(&vapi(&server), assistant).await.unwrap();
    let deleted: Vec<_> = server.received_requests().await.unwrap();
    let deleted: Vec<_> =
        deleted.iter().filter(|r| r.method.as_str() == "DELETE").map(|r| r.url.path().to_owned()).collect();
    assert_eq!(deleted, ["/phone-number/ours"]);
}

#[tokio::test]
async fn accounts_are_found_by_name_and_kind_and_numbers_by_their_exact_digits() {
    let server = MockServer::start().await;
    let credentials = json!([
        {"id": "signing", "name": NAME, "provider": "custom-credential", "createdAt": "2026-01-01T00:00:00Z"},
        {"id": "theirs", "name": "org-other", "provider": "twilio", "createdAt": "2026-01-02T00:00:00Z"},
        {"id": "ours", "name": NAME, "provider": "twilio", "createdAt": "2026-01-03T00:00:00Z"},
    ]);
    let numbers = json!([
        {"id": "n-1", "name": NAME, "number": "+155500011112", "createdAt": "2026-01-01T00:00:00Z"},
        {"id": "n-2", "number": "+15550001111", "createdAt": "2026-01-02T00:00:00Z"},
    ]);
    answers(&server, "GET", "/credential", 200, credentials).await;
    answers(&server, "GET", "/phone-number", 200, numbers).await;
    let vapi = vapi(&server);
    assert_eq!(vapi.find_account(NAME).await.unwrap().as_deref(), Some("ours"));
    assert_eq!(vapi.find_account("org-nobody").await.unwrap(), None);
    let found = FoundNumber { id: "n-2".to_owned(), name: String::new() };
    assert_eq!(vapi.find_number(&digits()).await.unwrap(), Some(found));
}

#[tokio::test]
async fn a_number_that_vapi_provides_is_not_mistaken_for_one_that_was_brought() {
    let server = MockServer::start().await;
    let numbers = json!([
        {"id": "own", "name": NAME, "provider": "twilio", "twilioAccountSid": SID, "number": "+15550001111",
         "createdAt": "2026-01-01T00:00:00Z"},
        {"id": "theirs", "name": NAME, "provider": "twilio", "number": "+15550003333",
         "createdAt": "2026-01-02T00:00:00Z"},
    ]);
    answers(&server, "GET", "/phone-number", 200, numbers).await;
    let found = voxanne_provisioning::LineProvider::find_number(&vapi(&server), NAME).await.unwrap();
    assert_eq!(found.unwrap().id, "theirs");
}

#[tokio::test]
async fn a_refused_import_is_final_and_a_lost_answer_is_not() {
    for (status, is_final) in [(400, true), (401, true), (429, false), (500, false)] {
        let server = MockServer::start().await;
        answers(&server, "POST", "/phone-number", status, json!({"message": "Existing Phone Number"})).await;
        let (account, number) = (account(), digits());
        let custom = Custom { answering: Answering::Nobody, fallback: None };
        let spec = NumberSpec { name: NAME, number: &number, account: &account, custom: &custom };
        let error: ProviderError = vapi(&server).import_number(&spec).await.unwrap_err();
        assert_eq!(!error.is_worth_retrying(), is_final, "{status}: {error:?}");
        assert_eq!(sent(&server, "POST").await.len(), 1);
    }
}
