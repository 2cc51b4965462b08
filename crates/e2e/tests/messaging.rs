//! Messages, all the way to the provider and back: whose account carries them, what becomes of them, and that each is
//! sent once.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "a test is told by the environment how much to do")]

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use voxanne_e2e::{Clinic, Program, Stack, eventually};

const OWN_NUMBER: &str = "+15005550106";
const PATIENT: &str = "+15005550111";

async fn json_of(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn post(stack: &Stack, clinic: &Clinic, path: &str, body: &Value) -> (u16, Value) {
    json_of(clinic.request(stack, Method::POST, path).json(body).send().await.unwrap()).await
}

async fn control(stack: &Stack, method: Method, path: &str, body: &Value) -> Value {
    let url = format!("{}/_sandbox/{path}", stack.sandbox_url);
    let answer = stack.http.request(method, url).json(body).send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap_or_default()
}

/// An account at the sandbox's Twilio, as the clinic adds it.
async fn twilio(stack: &Stack, clinic: &Clinic) -> Value {
    let made = control(stack, Method::POST, "twilio/accounts", &json!({ "numbers": [OWN_NUMBER] })).await;
    let body = json!({ "providerType": "TWILIO", "accountSid": made["accountSid"], "authToken": made["authToken"],
        "fromNumber": OWN_NUMBER });
    let (status, added) = post(stack, clinic, "/api/sms/providers", &body).await;
    assert_eq!(status, 201, "{added}");
    added
}

async fn message(stack: &Stack, clinic: &Clinic, id: &Value) -> Value {
    let all = clinic.get(stack, "/api/messages?limit=100").await.unwrap();
    all["data"].as_array().unwrap().iter().find(|one| one["id"] == *id).cloned().unwrap_or_default()
}

async fn reaches(stack: &Stack, clinic: &Clinic, id: &Value, status: &str) -> Value {
    eventually(status, || async {
        let found = message(stack, clinic, id).await;
        (found["status"] == status).then_some(found)
    })
    .await
}

/// What the sandbox's Twilio took, by recipient.
async fn texts(stack: &Stack) -> Vec<Value> {
    let messages = stack.provider("providers/twilio/messages").await;
    match messages {
        Value::Array(messages) => messages,
        Value::Object(messages) => messages.into_iter().map(|(_, message)| message).collect(),
        _ => Vec::new(),
    }
}

fn sms(to: &str, content: &str) -> Value {
    json!({ "to": to, "content": content, "channel": "sms" })
}

#[tokio::test]
async fn a_text_goes_out_through_the_clinics_own_account_and_its_fate_comes_back() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let added = twilio(&stack, &clinic).await;
    assert_eq!((&added["providerType"], &added["fromNumber"]), (&json!("TWILIO"), &json!(OWN_NUMBER)));
    assert_eq!((&added["isActive"], &added["priority"]), (&json!(true), &json!(100)));
    assert!(!added.to_string().contains("authToken"), "{added}");
    let listed = clinic.get(&stack, "/api/sms/providers").await.unwrap();
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);

    let (status, sent) =
        post(&stack, &clinic, "/api/messaging/send", &sms(PATIENT, "See you tomorrow")).await;
    assert_eq!(status, 200, "{sent}");
    assert_eq!(
        (
            &sent["success"],
            &sent["status"],
            &sent["channel"],
            &sent["provider"],
            &sent["mode"],
            &sent["segments"]
        ),
        (
            &json!(true),
            &json!("queued"),
            &json!("sms"),
            &json!("twilio"),
            &json!("customer_managed"),
            &json!(1)
        )
    );
    assert_eq!(sent.get("cost"), None, "{sent}");
    let arrived = reaches(&stack, &clinic, &sent["messageId"], "delivered").await;
    assert_eq!((&arrived["recipient"], &arrived["content"]), (&json!(PATIENT), &json!("See you tomorrow")));
    assert_eq!(texts(&stack).await.len(), 1);

    // Another organization is not sent for, and sees nothing of it.
    let other = stack.sign_up("Other").await.unwrap();
    let mut foreign = sms(PATIENT, "Hi");
    foreign["organizationId"] = json!(other.org_id);
    assert_eq!(post(&stack, &clinic, "/api/messaging/send", &foreign).await.0, 403);
    let (status, refused) = post(&stack, &other, "/api/messaging/send", &sms(PATIENT, "Hi")).await;
    assert_eq!((status, &refused["code"]), (403, &json!("organization_not_verified")));
    assert_eq!(other.get(&stack, "/api/messages").await.unwrap()["data"], json!([]));
    let path = format!("/api/sms/providers/{}", added["id"].as_str().unwrap());
    let removed = other.request(&stack, Method::DELETE, &path).send().await.unwrap();
    assert_eq!(removed.status(), StatusCode::NOT_FOUND);

    // What cannot be sent is told before anything is recorded.
    let check = async |body: Value, expected: u16, field: &str| {
        let (status, body) = post(&stack, &clinic, "/api/messaging/send", &body).await;
        assert_eq!(status, expected, "{body}");
        assert!(body["details"][field].is_string(), "{body}");
    };
    check(sms("5550100", "Hi"), 400, "to").await;
    check(sms(PATIENT, ""), 400, "content").await;
    check(sms(PATIENT, &"x".repeat(1_601)), 400, "content").await;
    check(json!({ "to": PATIENT, "content": "Hi", "channel": "pigeon" }), 400, "channel").await;
    check(json!({ "to": "a@b.example", "content": "Hi", "channel": "email" }), 400, "subject").await;

    // Many, each on its own.
    let bulk = json!({ "channel": "sms", "content": "Closed on Friday",
        "recipients": [{ "to": "+15005550112" }, { "to": "nobody" }, { "to": "+15005550113" }] });
    let (status, results) = post(&stack, &clinic, "/api/messaging/send/bulk", &bulk).await;
    assert_eq!(status, 200, "{results}");
    let outcomes: Vec<_> =
        results["results"].as_array().unwrap().iter().map(|one| one["success"] == true).collect();
    assert_eq!(outcomes, [true, false, true], "{results}");
    assert_eq!(results["results"][1]["code"], "validation_failed");
    for one in [0, 2] {
        reaches(&stack, &clinic, &results["results"][one]["messageId"], "delivered").await;
    }
    let stats = clinic.get(&stack, "/api/messaging/stats").await.unwrap();
    assert_eq!((&stats["sent"], &stats["delivered"]), (&json!(3), &json!(3)), "{stats}");
    let health = clinic.get(&stack, &format!("/api/health/providers/sms/{}", clinic.org_id)).await.unwrap();
    assert_eq!(
        (&health["data"][0]["provider"], &health["data"][0]["status"]),
        (&json!("twilio"), &json!("healthy"))
    );
}

#[tokio::test]
async fn whoever_opts_out_is_not_written_to_until_they_come_back() {
    let stack = Stack::start(1).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let added = twilio(&stack, &clinic).await;
    let webhook = added["webhookUrl"].as_str().unwrap().to_owned();
    let answer = async |text: &str| {
        let body = json!({ "from": PATIENT, "to": OWN_NUMBER, "body": text, "url": webhook });
        control(&stack, Method::POST, "twilio/inbound", &body).await
    };
    answer("Stop").await;
    eventually("a suppression", || async {
        let (status, body) = post(&stack, &clinic, "/api/messaging/send", &sms(PATIENT, "Hi")).await;
        (status == 409 && body["code"] == "recipient_opted_out").then_some(())
    })
    .await;
    let listed = clinic.get(&stack, "/api/messaging/suppressions").await.unwrap();
    assert_eq!(
        (&listed["data"][0]["recipient"], &listed["data"][0]["channel"]),
        (&json!(PATIENT), &json!("sms"))
    );
    answer("START").await;
    let sent = eventually("a message again", || async {
        let (status, body) = post(&stack, &clinic, "/api/messaging/send", &sms(PATIENT, "Hi")).await;
        (status == 200).then_some(body)
    })
    .await;
    reaches(&stack, &clinic, &sent["messageId"], "delivered").await;

    // Somebody else's signature brings nothing in.
    let forged = stack
        .http
        .post(&webhook)
        .header("x-twilio-signature", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
        .form(&[("From", PATIENT), ("To", OWN_NUMBER), ("Body", "STOP"), ("MessageSid", "SM0")])
        .send()
        .await
        .unwrap();
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert_eq!(stack.rows("select count(*) from message_suppressions").await, 0);
}

/// Where Twilio posts texts to the numbers that we bought, by number.
async fn brought(stack: &Stack) -> Vec<(String, String)> {
    let accounts = stack.provider("providers/twilio/accounts").await;
    let ours = accounts.as_array().unwrap().iter().filter(|account| {
        account["friendlyName"].as_str().is_some_and(|name| name.starts_with("voxanne-org:"))
    });
    let numbers = ours.flat_map(|account| account["incomingPhoneNumbers"].as_array().unwrap());
    let text = |number: &Value, name: &str| number[name].as_str().unwrap_or_default().to_owned();
    numbers.map(|number| (text(number, "phone_number"), text(number, "sms_url"))).collect()
}

#[tokio::test]
async fn whoever_opts_out_of_a_number_that_we_bought_is_heard() {
    let platform = [
        ("TWILIO_ACCOUNT_SID", "AC0123456789abcdef0123456789abcdef"),
        ("TWILIO_AUTH_TOKEN", "the-platforms-token"),
        ("TWILIO_FROM_NUMBER", "+15005550001"),
    ];
    let mut stack = Stack::start_with(1, &platform).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    // The line that was set up for it; a clinic whose number is bought by itself goes the same way.
    let [(number, address)] = &brought(&stack).await[..] else { panic!("one number is bought") };
    assert_eq!(*number, clinic.number);
    assert!(address.starts_with(&stack.url("/webhooks/messaging/twilio/")), "{address}");
    let purchases = stack.provider("requests").await;
    let is_about = |request: &&Value| {
        request["method"] == "POST"
            && request["path"].as_str().is_some_and(|path| path.contains("/IncomingPhoneNumbers"))
    };
    assert_eq!(
        purchases.as_array().unwrap().iter().filter(is_about).count(),
        1,
        "it comes with the purchase"
    );

    // Nobody says where to: Twilio posts it to the number's own address, signed with the subaccount's token.
    let answer = async |text: &str| {
        let body = json!({ "from": PATIENT, "to": number, "body": text });
        let told = control(&stack, Method::POST, "twilio/inbound", &body).await;
        assert_eq!(told["deliveries"].as_array().map(Vec::len), Some(1), "{told}");
    };
    let suppressed =
        async || clinic.get(&stack, "/api/messaging/suppressions").await.unwrap()["data"].clone();
    answer("STOP").await;
    let listed = suppressed().await;
    assert_eq!(
        (&listed[0]["recipient"], &listed[0]["channel"], &listed[0]["reason"]),
        (&json!(PATIENT), &json!("sms"), &json!("stop"))
    );
    let (status, refused) = post(&stack, &clinic, "/api/messaging/send", &sms(PATIENT, "Hi")).await;
    assert_eq!((status, &refused["code"]), (409, &json!("recipient_opted_out")), "{refused}");
    answer("HELP").await;
    assert_eq!(suppressed().await.as_array().unwrap().len(), 1);
    answer("START").await;
    assert_eq!(suppressed().await, json!([]));
    let forged = json!({ "from": PATIENT, "to": number, "body": "STOP", "signature": "forged" });
    control(&stack, Method::POST, "twilio/inbound", &forged).await;
    assert_eq!(suppressed().await, json!([]));
    let received = clinic.get(&stack, "/api/messages").await.unwrap();
    let texts: Vec<_> =
        received["data"].as_array().unwrap().iter().map(|one| one["content"].clone()).collect();
    assert_eq!(texts, [json!("START"), json!("HELP"), json!("STOP")]);

    // We move: the next worker has texts brought to where we are.
    let here = stack.url("").replace("127.0.0.1", "localhost");
    stack.kill_worker().await;
    stack.set("BACKEND_URL", &here);
    stack.start_worker().unwrap();
    let moved = address.replace("127.0.0.1", "localhost");
    eventually("the new address", || async {
        (brought(&stack).await == [(number.clone(), moved.clone())]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_platform_carries_what_nobody_else_can_until_the_credit_is_gone() {
    let stack = Stack::start_with(1, &[("SIGNUP_CREDITS", "0")]).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    let mail =
        json!({ "to": "ann@patient.example", "subject": "Hello", "content": "See you", "channel": "email" });
    let (status, refused) = post(&stack, &clinic, "/api/messaging/send", &mail).await;
    assert_eq!((status, &refused["code"]), (402, &json!("insufficient_credits")), "{refused}");
    stack.voxctl(&["credits", "grant", &clinic.org_id, "--amount", "1"], "").await.unwrap();
    let model = clinic.get(&stack, "/api/messaging/model").await.unwrap();
    assert_eq!(model["messagingModel"], "platform_managed");
    assert_eq!(model["credits"]["balance"], 1, "{model}");
    let one = post(&stack, &clinic, "/api/messaging/send", &mail);
    let two = post(&stack, &clinic, "/api/messaging/send", &mail);
    let (one, two) = tokio::join!(one, two);
    let mut statuses = [one.0, two.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 402], "{one:?} {two:?}");
    let sent = if one.0 == 200 { one.1 } else { two.1 };
    assert_eq!((&sent["provider"], &sent["mode"]), (&json!("resend"), &json!("platform_managed")), "{sent}");
    reaches(&stack, &clinic, &sent["messageId"], "sent").await;
    let model = clinic.get(&stack, "/api/messaging/model").await.unwrap();
    assert_eq!(model["credits"]["balance"], 0, "{model}");
    // Its own accounts it has none of.
    let own = json!({ "messagingModel": "customer_managed" });
    let switched =
        json_of(clinic.request(&stack, Method::PUT, "/api/messaging/model").json(&own).send().await.unwrap())
            .await;
    assert!((400..500).contains(&switched.0), "{switched:?}");
}

#[tokio::test]
async fn a_reminder_is_sent_once_however_often_its_hour_comes() {
    let stack = Stack::start_with(1, &[("VOXANNE_ALLOW_TEST_CLOCK", "true")]).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    twilio(&stack, &clinic).await;
    let quiet = json!({ "quietHours": null });
    let answer =
        clinic.request(&stack, Method::PUT, "/api/messaging/settings").json(&quiet).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    let found = clinic.get(&stack, "/api/availability").await.unwrap();
    let slots = found["slots"].as_array().unwrap();
    let start = slots.last().unwrap()["start"].as_str().unwrap().to_owned();
    let body = json!({ "contact_name": "Ann", "phone_number": PATIENT, "scheduled_at": start });
    let (status, made) = post(&stack, &clinic, "/api/appointments", &body).await;
    assert_eq!(status, 201, "{made}");
    let at: jiff::Timestamp = start.parse().unwrap();
    let hours_before = |hours: i64| (at - jiff::SignedDuration::from_hours(hours)).to_string();
    for _ in 0..3 {
        stack.voxctl(&["jobs", "run", "send-reminders", "--now", &hours_before(24)], "").await.unwrap();
    }
    let reminders = async || {
        let all = clinic.get(&stack, "/api/messages?method=sms").await.unwrap();
        let all = all["data"].as_array().unwrap().clone();
        all.into_iter().filter(|one| one["purpose"] == "reminder").collect::<Vec<_>>()
    };
    let sent = reminders().await;
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0]["content"].as_str().unwrap().contains("Glow"), "{sent:?}");
    reaches(&stack, &clinic, &sent[0]["id"], "delivered").await;
    let path = format!("/api/appointments/{}", made["id"].as_str().unwrap());
    assert_eq!(clinic.get(&stack, &path).await.unwrap()["confirmation_sent"], true);

    // Two hours before, a second after: the hour that is pretended is the one that counts.
    stack.voxctl(&["jobs", "run", "send-reminders", "--now", &hours_before(2)], "").await.unwrap();
    let sent = reminders().await;
    assert_eq!(sent.len(), 2, "{sent:?}");
    for one in &sent {
        reaches(&stack, &clinic, &one["id"], "delivered").await;
    }

    // One message an hour for each contact holds for those that staff send as well.
    let (status, body) =
        post(&stack, &clinic, &format!("{path}/send-reminder"), &json!({ "method": "sms" })).await;
    assert_eq!(status, 429, "{body}");
    let (status, body) =
        post(&stack, &clinic, &format!("{path}/send-reminder"), &json!({ "method": "email" })).await;
    assert_eq!((status, &body["code"]), (422, &json!("no_email")));
}

#[tokio::test]
async fn a_held_reminder_is_taken_back_or_let_go_with_what_held_it() {
    let stack = Stack::start_with(1, &[("VOXANNE_ALLOW_TEST_CLOCK", "true")]).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    twilio(&stack, &clinic).await;
    let put = async |path: &str, body: Value| {
        let answer = clinic.request(&stack, Method::PUT, path).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    };
    let rules = json!({ "enabled": true, "method": "sms", "lead_minutes": [840] });
    put("/api/reminders/settings", rules).await;
    let found = clinic.get(&stack, "/api/availability").await.unwrap();
    // The last is in the afternoon: fourteen hours before it, people sleep.
    let start = found["slots"].as_array().unwrap().last().unwrap()["start"].as_str().unwrap().to_owned();
    let night = start.parse::<jiff::Timestamp>().unwrap() - jiff::SignedDuration::from_hours(14);
    let held = async |phone: &str| {
        let body = json!({ "contact_name": "Ann", "phone_number": phone, "scheduled_at": start });
        let (status, made) = post(&stack, &clinic, "/api/appointments", &body).await;
        assert_eq!(status, 201, "{made}");
        stack.voxctl(&["jobs", "run", "send-reminders", "--now", &night.to_string()], "").await.unwrap();
        let all = clinic.get(&stack, "/api/messages").await.unwrap();
        let newest = all["data"][0].clone();
        assert_eq!((&newest["status"], &newest["purpose"]), (&json!("queued"), &json!("reminder")), "{all}");
        (made["id"].as_str().unwrap().to_owned(), newest["id"].clone())
    };
    let (appointment, reminder) = held(PATIENT).await;
    let (status, told) =
        post(&stack, &clinic, &format!("/api/appointments/{appointment}/cancel"), &json!({})).await;
    assert_eq!(status, 200, "{told}");
    let ended = message(&stack, &clinic, &reminder).await;
    assert_eq!((&ended["status"], &ended["error_code"]), (&json!("failed"), &json!("superseded")), "{ended}");
    let (_, reminder) = held("+15005550112").await;
    put("/api/messaging/settings", json!({ "quietHours": null })).await;
    reaches(&stack, &clinic, &reminder, "delivered").await;
    let sent = texts(&stack).await;
    assert_eq!(sent.len(), 1, "{sent:?}");
}

/// How many messages are queued; `VOXANNE_E2E_MESSAGES` for the number that is wanted of a release.
fn wanted() -> usize {
    std::env::var("VOXANNE_E2E_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(600)
}

#[tokio::test]
async fn workers_killed_again_and_again_send_each_message_once() {
    let wanted = wanted();
    let mut stack = Stack::start_with(1, &[("DATABASE_CONNECTIONS", "8")]).await.unwrap();
    let clinic = stack.clinic("Glow").await.unwrap();
    twilio(&stack, &clinic).await;
    let quick = json!({ "automatic": false });
    control(&stack, Method::PUT, "twilio/delivery", &quick).await;
    stack.kill_worker().await;
    let open = json!({ "ratePerMinute": 60_000 });
    clinic.request(&stack, Method::PUT, "/api/messaging/settings").json(&open).send().await.unwrap();

    let number = |n: usize| format!("+1500{n:07}");
    for part in (0..wanted).collect::<Vec<_>>().chunks(500) {
        let recipients: Vec<_> = part.iter().map(|n| json!({ "to": number(*n) })).collect();
        let body = json!({ "channel": "sms", "content": "Closed on Friday", "recipients": recipients });
        let (status, results) = post(&stack, &clinic, "/api/messaging/send/bulk", &body).await;
        assert_eq!(status, 200, "{results}");
        let refused = results["results"].as_array().unwrap().iter().find(|one| one["success"] != true);
        assert_eq!(refused, None);
    }

    let started = Instant::now();
    let mut workers: Vec<Program> = (0..3).map(|_| stack.start_another_worker().unwrap()).collect();
    let mut next = tokio::time::interval(Duration::from_secs(2));
    next.tick().await;
    let (mut kills, open) = (0, "select count(*) from messages where status = 'queued'");
    while stack.rows(open).await > 0 {
        next.tick().await;
        if kills < 60 {
            workers[kills % 3].kill().await;
            workers[kills % 3] = stack.start_another_worker().unwrap();
            kills += 1;
        }
    }
    let took = started.elapsed();
    let unknown = stack.rows("select count(*) from messages where status = 'unknown'").await;
    println!(
        "{wanted} messages, {kills} kills, {unknown} of unknown fate at first: {:.0} a second",
        f64::from(u32::try_from(wanted).unwrap()) / took.as_secs_f64()
    );
    // Twilio can be searched: in the end nothing is unknown.
    let left = "select count(*) from messages where status in ('queued', 'unknown')";
    let patience = Instant::now();
    while stack.rows(left).await > 0 {
        assert!(patience.elapsed() < Duration::from_mins(5), "{} left", stack.rows(left).await);
        next.tick().await;
    }
    let sent = texts(&stack).await;
    let recipients: HashSet<_> = sent.iter().map(|text| text["to"].as_str().unwrap().to_owned()).collect();
    assert_eq!((sent.len(), recipients.len()), (wanted, wanted), "each once");
    assert_eq!(
        stack.rows("select count(*) from messages where status in ('sent', 'delivered')").await,
        i64::try_from(wanted).unwrap()
    );
}
