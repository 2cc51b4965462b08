//! Five hundred callers want the same time, over two server processes.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use reqwest::StatusCode;
use serde_json::{Value, json};
use voxanne_e2e::{Stack, vapi};

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a signature carries the real time")]
async fn five_hundred_at_once_make_one_appointment_and_499_proper_answers() {
    let stack = Stack::start(2).await.unwrap();
    let clinic = stack.clinic("Busy Clinic").await.unwrap();
    let messages = (0..500).map(|n| {
        let arguments = json!({"date": "next tuesday", "time": "10:00", "patientName": format!("Caller {n}"),
            "patientPhone": format!("+1500555{n:04}")});
        vapi::tool_call(
            &clinic,
            &uuid::Uuid::now_v7().to_string(),
            &format!("call_{n}"),
            "bookClinicAppointment",
            &arguments,
        )
    });
    let (stack, clinic) = (&stack, &clinic);
    let answers: Vec<Value> = stream::iter(messages.enumerate())
        .map(|(n, message)| async move {
            let answer = vapi::deliver_as(stack, n % 2, &clinic.secret, jiff::Timestamp::now(), &message)
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            answer.json().await.unwrap()
        })
        .buffer_unordered(500)
        .collect()
        .await;

    let mut kinds = BTreeMap::<&str, usize>::new();
    for answer in &answers {
        let said = answer["results"][0]["result"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(!said.contains('\n'));
        let kind = if said.contains("booked for") {
            "booked"
        } else if said.contains("taken") && said.contains(" AM") {
            "alternatives"
        } else {
            panic!("not a proper answer: {said}")
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds, BTreeMap::from([("alternatives", 499), ("booked", 1)]));
    assert_eq!(stack.rows("select count(*) from appointments").await, 1);
}

#[tokio::test]
async fn the_same_tool_call_delivered_many_times_books_once_and_says_the_same() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let arguments = json!({"date": "next tuesday", "time": "2pm", "patientName": "Ann"});
    let message = vapi::tool_call(
        &clinic,
        "019c0000-0000-7000-8000-00000000000a",
        "call_same",
        "bookClinicAppointment",
        &arguments,
    );
    let (stack, clinic, message) = (&stack, &clinic, &message);
    let said: Vec<Value> =
        stream::iter(0..20)
            .map(|_| async move {
                vapi::deliver(stack, clinic, message).send().await.unwrap().json().await.unwrap()
            })
            .buffer_unordered(20)
            .collect()
            .await;
    assert!(said.iter().all(|answer| answer == &said[0]), "{said:?}");
    assert!(
        said[0]["results"][0]["result"].as_str().unwrap().to_lowercase().contains("booked"),
        "{}",
        said[0]
    );
    assert_eq!(stack.rows("select count(*) from appointments").await, 1);
    assert_eq!(stack.rows("select count(*) from calls").await, 1);
}
