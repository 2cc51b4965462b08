//! Whom a message is for: the ids in it that lead to an organization, and nothing else of it.

use serde::Deserialize;
use voxanne_kernel::E164;

use super::{
    NotJson,
    loose::{Id, Object, Scalar},
};

/// The ids by which a message finds its organization, in the order they are tried (`spec/04-assistants-and-tools.md`,
/// webhooks 1). All come from the sender and prove nothing until the message is verified.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routing {
    /// What kind of message, as text.
    pub kind: Option<String>,
    /// Vapi's id of the call.
    pub call: Option<String>,
    /// Vapi's id of the assistant.
    pub assistant: Option<String>,
    /// Vapi's id of our number.
    pub number_id: Option<String>,
    /// Our number itself.
    pub number: Option<E164>,
}

impl Routing {
    /// Whether anything leads to an organization at all.
    pub fn leads_anywhere(&self) -> bool {
        self.assistant.is_some() || self.number_id.is_some() || self.number.is_some()
    }
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    message: Object<Message>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    #[serde(default, rename = "type")]
    kind: Scalar<String>,
    #[serde(default)]
    call: Object<Call>,
    #[serde(default)]
    assistant: Object<Named>,
    #[serde(default)]
    phone_number: Object<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    #[serde(default)]
    id: Scalar<Id>,
    #[serde(default)]
    assistant_id: Scalar<Id>,
    #[serde(default)]
    assistant: Object<Named>,
    #[serde(default)]
    phone_number_id: Scalar<Id>,
    #[serde(default)]
    phone_number: Object<Number>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    id: Scalar<Id>,
}

#[derive(Deserialize)]
struct Number {
    #[serde(default)]
    id: Scalar<Id>,
    #[serde(default)]
    number: Scalar<String>,
}

/// Reads the routing ids of a message.
///
/// # Errors
/// [`NotJson`] when the body is not a JSON object of bearable depth.
pub fn routing(body: &[u8]) -> Result<Routing, NotJson> {
    let envelope: Object<Envelope> = serde_json::from_slice(body).map_err(|_| NotJson)?;
    let Some(message) = envelope.0.ok_or(NotJson)?.message.0 else { return Ok(Routing::default()) };
    let call = message.call.0;
    let call = call.as_ref();
    let id = |id: &Scalar<Id>| id.0.clone().map(|Id(text)| text);
    let number = |found: &Object<Number>| {
        found.get(|n| n.number.0.as_deref().and_then(|t| E164::new(t).ok())).flatten()
    };
    Ok(Routing {
        kind: message.kind.0,
        call: call.and_then(|call| id(&call.id)),
        assistant: call
            .and_then(|call| id(&call.assistant_id))
            .or_else(|| message.assistant.get(|found| id(&found.id)).flatten())
            .or_else(|| call.and_then(|call| call.assistant.get(|found| id(&found.id)).flatten())),
        number_id: call
            .and_then(|call| id(&call.phone_number_id))
            .or_else(|| message.phone_number.get(|found| id(&found.id)).flatten())
            .or_else(|| call.and_then(|call| call.phone_number.get(|found| id(&found.id)).flatten())),
        number: number(&message.phone_number).or_else(|| call.and_then(|call| number(&call.phone_number))),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(value: &serde_json::Value) -> Routing {
        routing(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn ids_are_found_wherever_vapi_puts_them() {
        let whole = json!({"message": {
            "type": "status-update",
            "call": {"id": "c", "assistantId": "a", "phoneNumberId": "p"},
            "phoneNumber": {"id": "other", "number": "+15005550006"},
        }});
        let expected = Routing {
            kind: Some("status-update".into()),
            call: Some("c".into()),
            assistant: Some("a".into()),
            number_id: Some("p".into()),
            number: Some(E164::new("+15005550006").unwrap()),
        };
        assert_eq!(read(&whole), expected);
        let elsewhere = json!({"message": {
            "type": "status-update", "assistant": {"id": "a"}, "call": {"id": "c", "assistantId": null},
            "phoneNumber": {"id": "p", "number": "+15005550006"},
        }});
        assert_eq!(read(&elsewhere), expected);
    }

    #[test]
    fn what_has_the_wrong_type_is_absent() {
        for odd in [
            json!({}),
            json!({"message": null}),
            json!({"message": [1, {"call": {}}]}),
            json!({"message": {"call": "x", "assistant": 7, "phoneNumber": [{"id": "a"}], "type": {}}}),
            json!({"message": {"call": {"assistantId": {"id": "a"}, "id": ""}, "assistant": {"id": "a\u{0}b"}}}),
            json!({"message": {"phoneNumber": {"number": "555"}}}),
        ] {
            assert!(!read(&odd).leads_anywhere(), "{odd}");
        }
    }

    #[test]
    fn depth_and_rubbish_are_refused_and_ignored_parts_may_be_odd() {
        let deep =
            |depth: usize| format!(r#"{{"message":{{"call":{}1{}}}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(
            routing(deep(100_000).as_bytes()).is_err()
                || !routing(deep(100_000).as_bytes()).unwrap().leads_anywhere()
        );
        for bad in ["", "null", "[]", "7", "{", "{\"message\":{\"call\":}}", "\u{feff}{}"] {
            assert_eq!(routing(bad.as_bytes()), Err(NotJson), "{bad:?}");
        }
        let huge = r#"{"message":{"timestamp":1e99999,"call":{"assistantId":"a","cost":123456789012345678901234567890}}}"#;
        assert_eq!(routing(huge.as_bytes()).unwrap().assistant.as_deref(), Some("a"));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = routing(&body);
        }
    }
}
