//! Our requests, held to Meta's official document.

use std::path::Path;

use serde_json::{Value, json};
use voxanne_kernel::E164;
use voxanne_messaging::providers::{WhatsApp, WhatsAppBody, WhatsAppProvider};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use crate::wire::{NUMBER, TO, TOKEN, account, provider, template};

const ID: &str = "01900000-0000-7000-8000-000000000001";
const PATH: &str = "/{Version}/{Phone-Number-ID}/messages";

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../shared/providers/whatsapp-cloud-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// The document closes one half of a text message against the other, so that not even its own samples would pass:
/// what is closed inside of `allOf` is opened.
fn opened(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => {
            let mut changed: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), opened(value))).collect();
            for part in changed.get_mut("allOf").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(part) = part.as_object_mut() {
                    part.remove("additionalProperties");
                }
            }
            changed.into()
        }
        Value::Array(items) => items.iter().map(opened).collect(),
        other => other.clone(),
    }
}

/// What is wrong with a body, by the schema of its type and that of any message.
fn problems(body: &Value) -> Vec<String> {
    let document = document();
    let kind = if body["type"] == "template" { "TemplateMessage" } else { "TextMessage" };
    let whole = json!({
        "$ref": format!("#/components/schemas/{kind}"), "components": opened(&document["components"]),
    });
    let validator = jsonschema::validator_for(&whole).unwrap();
    validator.iter_errors(body).map(|error| error.to_string()).collect()
}

#[tokio::test]
async fn messages_are_asked_for_as_the_document_says_and_its_sample_is_understood() {
    let document = document();
    let operation = &document["paths"][PATH]["post"];
    let content = &operation["responses"]["200"]["content"]["application/json"];
    let sample = &content["examples"]["Example response"]["value"];
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(sample)).mount(&server).await;
    let provider = provider(&server.uri(), account(TOKEN, NUMBER, "app-secret"));
    let to = E164::new(TO).unwrap();
    for body in [
        WhatsAppBody::Text("Zoë & co".to_owned()),
        template("appointment_reminder", &["Ada", "10:00"]),
        template("hello_world", &[]),
    ] {
        let message = WhatsApp { id: ID.parse().unwrap(), to: to.clone(), body, events_url: None };
        let accepted = provider.send(&message).await.unwrap();
        assert_eq!(accepted.external_id.as_deref(), sample["messages"][0]["id"].as_str());
    }
    let requests = server.received_requests().await.unwrap();
    let bodies: Vec<Value> = requests.iter().map(|request| request.body_json().unwrap()).collect();
    for (request, body) in requests.iter().zip(&bodies) {
        assert_eq!(request.url.path(), format!("/v23.0/{NUMBER}/messages"));
        assert_eq!(request.headers["authorization"], format!("Bearer {TOKEN}"));
        assert_eq!(problems(body), Vec::<String>::new(), "{body}");
        assert_eq!(body["biz_opaque_callback_data"], ID);
    }
    assert_eq!(bodies[0]["text"], json!({ "body": "Zoë & co", "preview_url": false }));
    let parameters = json!([{ "type": "text", "text": "Ada" }, { "type": "text", "text": "10:00" }]);
    assert_eq!(bodies[1]["template"]["components"], json!([{ "type": "body", "parameters": parameters }]));
    assert_eq!(bodies[1]["template"]["language"]["code"], "en_US");
    assert_eq!(bodies[2]["template"].get("components"), None);
}

#[test]
fn the_check_notices_what_is_wrong() {
    let right = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": TO, "type": "text", "text": { "body": "Hi" },
    });
    assert_eq!(problems(&right), Vec::<String>::new());
    for (name, value) in
        [("to", json!(1)), ("recipient_type", json!("person")), ("text", json!({ "words": "Hi" }))]
    {
        let mut wrong = right.clone();
        wrong[name] = value;
        assert!(!problems(&wrong).is_empty(), "{name}");
    }
}
