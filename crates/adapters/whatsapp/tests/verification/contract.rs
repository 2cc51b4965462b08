//! Our requests, held to Meta's official document.

use std::path::Path;

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::asking::{BUSINESS, NUMBER, account, cloud, verify};

fn document() -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../../shared/providers/whatsapp-cloud-openapi.json");
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!("the project's shared documents must lie beside it: {}: {error}", file.display())
    });
    serde_json::from_str(&text).unwrap()
}

/// A request is one that the document knows: with declared parameters only, the required ones among them, and every
/// value as declared.
fn check(template: &str, values: &[(&str, &str)], request: &Request) {
    let document = document();
    let filled = values
        .iter()
        .fold(template.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    assert_eq!(request.url.path(), filled);
    let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    let parameters = document["paths"][template]["get"]["parameters"].as_array().unwrap();
    let mut declared = Vec::new();
    for parameter in parameters {
        let parameter = match parameter["$ref"].as_str() {
            Some(reference) => document.pointer(&reference[1..]).unwrap(),
            None => parameter,
        };
        let (name, place) = (parameter["name"].as_str().unwrap(), parameter["in"].as_str().unwrap());
        let value = match place {
            "path" => values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
            "query" => query.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()),
            "header" => request.headers.get(name).map(|value| value.to_str().unwrap().to_owned()),
            _ => panic!("{place}"),
        };
        declared.push((place, name));
        let Some(value) = value else {
            assert_ne!(parameter["required"], true, "{name} is missing");
            continue;
        };
        let schema = &parameter["schema"];
        let value =
            if schema["type"] == "integer" { value.parse::<i64>().unwrap().into() } else { json!(value) };
        assert!(jsonschema::is_valid(schema, &value), "{name}={value}");
    }
    for (name, _) in &query {
        assert!(declared.contains(&("query", name)), "{name} is not declared");
    }
}

#[tokio::test]
async fn numbers_are_asked_for_as_the_document_says() {
    let server = MockServer::start().await;
    let paging = json!({ "cursors": { "after": "MTAx" }, "next": "https://elsewhere.test/" });
    for body in [
        json!({ "id": NUMBER, "display_phone_number": "+1 500-555-0006" }),
        json!({ "data": [], "paging": paging }),
        json!({ "data": [{ "id": NUMBER }] }),
    ] {
        // An empty page with another one behind it.
        let answer = ResponseTemplate::new(200).set_body_json(body);
        Mock::given(any()).respond_with(answer).up_to_n_times(1).mount(&server).await;
    }
    assert_eq!(verify(&cloud(&server.uri()), &account("EAAx")).await, "verified");
    let sent = server.received_requests().await.unwrap();
    assert_eq!(sent.len(), 3);
    let number = [("Version", "v23.0"), ("Phone-Number-ID", NUMBER)];
    check("/{Version}/{Phone-Number-ID}", &number, &sent[0]);
    let business = [("Version", "v23.0"), ("WABA-ID", BUSINESS)];
    check("/{Version}/{WABA-ID}/phone_numbers", &business, &sent[1]);
    check("/{Version}/{WABA-ID}/phone_numbers", &business, &sent[2]);
}
