//! Messages of Amazon's SNS, signed with both of its signatures; made with OpenSSL.

use std::sync::Arc;

use serde_json::{Value, json};
use voxanne_credentials::secrets::Ses;
use voxanne_email::SesEvents;
use voxanne_kernel::Timestamp;
use voxanne_messaging::providers::{EventBatch, EventRefusal, EventRequest, Fate, ProviderEvent, ReadEvents};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::path};

use crate::accounts::{TOPIC, providers, ses};

const CERTIFICATES: &str = include_str!("fixtures/sns.pem");
const MESSAGES: &str = include_str!("fixtures/sns.json");

/// A message of the fixtures whose certificate is at `server`.
fn message(name: &str, server: &MockServer) -> Value {
    let mut message = serde_json::from_str::<Value>(MESSAGES).unwrap()[name].take();
    message["SigningCertURL"] = json!(format!("{}/SimpleNotificationService-0.pem", server.uri()));
    message
}

fn request(message: &Value) -> EventRequest {
    EventRequest {
        url: String::new(),
        headers: Vec::new(),
        body: message.to_string().into_bytes(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

async fn server(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/SimpleNotificationService-0.pem")).respond_with(answer).mount(&server).await;
    server
}

fn reader(base: &str, topic: Option<&str>) -> SesEvents {
    let account = Ses { topic_arn: topic.map(str::to_owned), ..ses("AKIDEXAMPLE", "x") };
    SesEvents::new(&providers(base), Arc::new(account))
}

#[tokio::test]
async fn both_signatures_are_checked_with_a_certificate_that_is_fetched_once() {
    let server = server(ResponseTemplate::new(200).set_body_string(CERTIFICATES)).await;
    let reader = reader(&server.uri(), Some(TOPIC));
    for version in ["1", "2"] {
        for name in ["notification", "without_subject"] {
            let read = reader.read(&request(&message(&format!("{name}_{version}"), &server))).await.unwrap();
            let [ProviderEvent::Delivery(event)] = read.events.as_slice() else { panic!("{read:?}") };
            assert_eq!(event.id, "0102-feedback", "one event under the id that outlives its messages");
            assert_eq!(event.fate, Fate::Bounced { code: "hard_bounce" });
            assert_eq!(event.external_id.as_deref(), Some("0102018c-1"));
            assert_eq!(
                event.message.map(|id| id.to_string()).as_deref(),
                Some("01890a5d-ac96-774b-bcce-b302099a8057")
            );
        }
        let read =
            reader.read(&request(&message(&format!("confirmation_{version}"), &server))).await.unwrap();
        let [ProviderEvent::Confirm(url)] = read.events.as_slice() else { panic!("{read:?}") };
        assert_eq!(url.host_str(), Some("sns.eu-west-1.amazonaws.com"));
        // The first words of a topic, and an address that is not Amazon's.
        for name in ["plain_words", "confirmation_elsewhere"] {
            let read = reader.read(&request(&message(&format!("{name}_{version}"), &server))).await.unwrap();
            assert_eq!((read.events.len(), read.unreadable), (0, 1), "{name}");
        }
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 1);
}

async fn refused(reader: &SesEvents, message: &Value) -> EventRefusal {
    reader.read(&request(message)).await.map(|read: EventBatch| panic!("{read:?}")).unwrap_err()
}

#[tokio::test]
async fn whatever_was_changed_is_not_believed() {
    let server = server(ResponseTemplate::new(200).set_body_string(CERTIFICATES)).await;
    let own = reader(&server.uri(), Some(TOPIC));
    for (field, value) in [
        ("Message", json!("{}")),
        ("MessageId", json!("other")),
        ("Timestamp", json!("2026-01-02T03:04:07.000Z")),
        ("Subject", json!("other")),
        ("Subject", Value::Null),
        ("Type", json!("SubscriptionConfirmation")),
        ("Signature", json!("AAAA")),
        ("Signature", json!("")),
        ("SignatureVersion", json!("1")),
        ("SignatureVersion", json!("3")),
        ("SigningCertURL", json!("https://evil.example/SimpleNotificationService-0.pem")),
        ("SigningCertURL", json!("http://169.254.169.254/x.pem")),
        ("SigningCertURL", json!(format!("{}/SimpleNotificationService-0", server.uri()))),
        ("SigningCertURL", json!(format!("{}/SimpleNotificationService-0.pem?x=y", server.uri()))),
        ("SigningCertURL", json!("")),
    ] {
        let mut changed = message("notification_2", &server);
        changed[field] = value.clone();
        let refused = refused(&own, &changed).await;
        assert!(matches!(refused, EventRefusal::Signature), "{field}={value}: {refused:?}");
    }
    // Everybody at Amazon can have messages signed: the topic is what counts.
    let message = message("notification_2", &server);
    for topic in [None, Some("arn:aws:sns:eu-west-1:123456789012:other")] {
        let refused = refused(&reader(&server.uri(), topic), &message).await;
        assert!(matches!(refused, EventRefusal::Foreign), "{refused:?}");
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_had_now_is_asked_for_again() {
    let down = server(ResponseTemplate::new(503)).await;
    let own = reader(&down.uri(), Some(TOPIC));
    let message = message("notification_2", &down);
    assert!(matches!(refused(&own, &message).await, EventRefusal::Unavailable));
    down.reset().await;
    let answer = ResponseTemplate::new(200).set_body_string(CERTIFICATES);
    Mock::given(path("/SimpleNotificationService-0.pem")).respond_with(answer).mount(&down).await;
    assert!(own.read(&request(&message)).await.is_ok());
    for answer in [ResponseTemplate::new(404), ResponseTemplate::new(200).set_body_string("<html>")] {
        let strange = server(answer).await;
        let mut message = message.clone();
        message["SigningCertURL"] = json!(format!("{}/SimpleNotificationService-0.pem", strange.uri()));
        let refused = refused(&reader(&strange.uri(), Some(TOPIC)), &message).await;
        assert!(matches!(refused, EventRefusal::Signature), "{refused:?}");
    }
}
