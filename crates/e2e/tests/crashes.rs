//! Power cuts: the worker in the middle of jobs, the server in the middle of requests. Afterwards nothing is lost and
//! nothing is there twice.

#![expect(clippy::disallowed_methods, reason = "a signature carries the real time")]

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use voxanne_e2e::{Stack, eventually, vapi};

#[tokio::test]
async fn a_worker_killed_again_and_again_loses_no_report() {
    let mut stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let calls = 120;
    for round in 0..6 {
        for n in 0..calls / 6 {
            let call = format!("019c0000-0000-7000-8000-0000000{round:02}{n:03}");
            for message in [vapi::status(&clinic, &call, "in-progress"), vapi::report(&clinic, &call)] {
                assert!(vapi::deliver(&stack, &clinic, &message).send().await.unwrap().status().is_success());
            }
        }
        stack.kill_worker().await;
        stack.start_worker().unwrap();
    }
    eventually("every report", || async {
        let done = stack
            .rows("select count(*) from calls where reported_at is not null and status = 'completed'")
            .await;
        (done == calls).then_some(())
    })
    .await;
    eventually("an empty queue", || async {
        let left = stack
            .rows("select (select count(*) from outbox) + (select count(*) from graphile_worker._private_jobs where attempts < max_attempts)")
            .await;
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(stack.rows("select count(*) from calls").await, calls);
    assert_eq!(stack.rows("select count(*) from contacts").await, 1);
    assert_eq!(stack.rows("select count(*) from webhook_events where processed_at is null").await, 0);
    let twice = "select count(*) from (select 1 from activity_events group by call_id, kind having count(*) > 1) doubled";
    assert_eq!(stack.rows(twice).await, 0);
}

#[tokio::test]
async fn a_server_killed_in_the_middle_of_bookings_keeps_what_it_said_and_doubles_nothing() {
    let mut stack = Stack::start(2).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let messages: Vec<Value> = (0..60)
        .map(|n| {
            let (hour, minute) = (9 + (n % 16) / 2, (n % 2) * 30);
            let day = ["monday", "tuesday", "wednesday", "thursday"][n / 16 % 4];
            let arguments = json!({"date": format!("next {day}"), "time": format!("{hour:02}:{minute:02}"),
                "patientName": format!("Caller {n}"), "patientPhone": format!("+1500555{n:04}")});
            let call = format!("019c0000-0000-7000-8000-0000000{n:05}");
            vapi::tool_call(&clinic, &call, &format!("call_{n}"), "bookClinicAppointment", &arguments)
        })
        .collect();

    // Everything is sent at once to the first server, which is killed while it answers.
    let mut promised = 0;
    {
        let (shared, sent) = (&stack, &clinic);
        let sending = stream::iter(&messages)
            .map(|message| async move {
                let answer =
                    vapi::deliver_as(shared, 0, &sent.secret, Timestamp::now(), message).send().await.ok()?;
                answer.json::<Value>().await.ok()
            })
            .buffer_unordered(16);
        let mut sending = std::pin::pin!(sending);
        while let Some(answer) = sending.next().await {
            let said = answer.and_then(|a| a["results"][0]["result"].as_str().map(str::to_lowercase));
            promised += usize::from(said.is_some_and(|said| said.contains("booked")));
            if promised == 10 {
                break;
            }
        }
    }
    stack.crash_server(0).await.unwrap();
    let kept = stack.rows("select count(*) from appointments where status = 'confirmed'").await;
    assert!(kept >= i64::try_from(promised).unwrap(), "{promised} bookings were promised, {kept} are there");

    // The provider delivers everything again; whoever was booked hears the same.
    for message in &messages {
        let answer =
            vapi::deliver_as(&stack, 1, &clinic.secret, Timestamp::now(), message).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let said = answer["results"][0]["result"].as_str().unwrap().to_lowercase();
        assert!(said.contains("booked"), "{said}");
    }
    assert_eq!(stack.rows("select count(*) from appointments").await, 60);
    assert_eq!(stack.rows("select count(distinct (contact_id, starts_at)) from appointments").await, 60);
    assert_eq!(stack.rows("select count(*) from calls").await, 60);
}

#[tokio::test]
async fn a_worker_killed_while_it_sets_lines_up_leaves_one_of_everything() {
    let mut stack = Stack::start(1).await.unwrap();
    let operator = stack.operator().await.unwrap();
    let mut clinics = Vec::new();
    for n in 0..4 {
        let clinic = stack.sign_up(&format!("Clinic {n}")).await.unwrap();
        stack.give_number(&clinic.org_id).await.unwrap();
        let path = format!("/api/admin/organizations/{}/approve", clinic.org_id);
        let approval =
            stack.http.post(stack.url(&path)).bearer_auth(&operator).header("prefer", "respond-async");
        assert_eq!(approval.json(&json!({})).send().await.unwrap().status().as_u16(), 202);
        clinics.push(clinic.org_id);
        // It dies somewhere between two requests to the provider.
        eventually("a request to the provider", || async {
            (stack.provider("requests").await.as_array()?.len() > 12 * n).then_some(())
        })
        .await;
        stack.kill_worker().await;
        stack.start_worker().unwrap();
    }
    for org in &clinics {
        eventually("the line", || async { stack.line(org).await }).await;
    }
    let count =
        async |kind: &str| stack.provider(&format!("providers/vapi/{kind}")).await.as_array().unwrap().len();
    assert_eq!(count("assistants").await, 8);
    assert_eq!(count("phoneNumbers").await, 4);
    assert_eq!(count("credentials").await, 4);
    assert_eq!(count("tools").await, 8);
    assert_eq!(stack.rows("select count(*) from assistants where vapi_assistant_id is not null").await, 8);
    eventually("the routing", || async {
        (stack.rows("select count(*) from phone_number_mapping").await == 4).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lost_report_is_fetched() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Clinic").await.unwrap();
    let call = "019c0000-0000-7000-8000-000000000900";
    vapi::deliver(&stack, &clinic, &vapi::status(&clinic, call, "in-progress")).send().await.unwrap();
    eventually("the call", || async {
        (stack.rows("select count(*) from calls where status = 'in_progress'").await == 1).then_some(())
    })
    .await;
    // The provider does not know this call, as after its own retention: it ends as failed instead of staying open.
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    sqlx::query("update calls set started_at = started_at - interval '1 day'")
        .execute(&mut owner)
        .await
        .unwrap();
    stack.voxctl(&["jobs", "run", "heal-calls"], "").await.unwrap();
    eventually("the healing", || async {
        (stack.rows("select count(*) from calls where status = 'failed'").await == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_programs_end_politely_when_asked() {
    let mut stack = Stack::start(1).await.unwrap();
    let status = stack.servers[0].program.terminate().await.unwrap();
    assert!(status.success(), "{status}: {}", stack.servers[0].program.output());
    let mut worker = stack.worker.take().unwrap();
    let status = worker.terminate().await.unwrap();
    assert!(status.success(), "{status}: {}", worker.output());
}
