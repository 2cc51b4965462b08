//! E-mail through the sandbox's providers: what each takes and refuses, and what it tells afterwards.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use voxanne_sandbox::Options;

use crate::harness::Sandbox;

/// A product that keeps what it is told, and answers with these statuses in turn, then with 200.
async fn product(answers: Vec<u16>) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Vec<u8>)>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let answers = std::sync::Arc::new(std::sync::Mutex::new(answers.into_iter()));
    let app = axum::Router::new().fallback(move |headers: HeaderMap, body: axum::body::Bytes| {
        let (sender, answers) = (sender.clone(), answers.clone());
        async move {
            sender.send((headers, body.to_vec())).unwrap();
            let status = answers.lock().unwrap().next().unwrap_or(200);
            StatusCode::from_u16(status).unwrap()
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (base, receiver)
}

struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Sandbox {
    async fn post_json(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let request =
            self.http.post(format!("{}{path}", self.base)).header("accept", "application/json").json(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }

    async fn made(&self, provider: &str, account: Value) -> Value {
        let (status, made) = self.control(Method::POST, &format!("/{provider}/accounts"), account).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    async fn held(&self, provider: &str) -> Vec<Value> {
        self.state().await["providers"][provider]["messages"].as_array().unwrap().clone()
    }
}

fn with(mut value: Value, pointer: &str, changed: Value) -> Value {
    if let Some(place) = value.pointer_mut(pointer) {
        *place = changed;
    } else {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        value.pointer_mut(parent).unwrap()[name] = changed;
    }
    value
}

const SENDGRID: [(&str, &str); 1] = [("authorization", "Bearer SG.sandbox")];

fn sendgrid() -> Value {
    json!({
        "personalizations": [{ "to": [{ "email": "ann@example.com" }], "custom_args": { "message_id": "ours" } }],
        "from": { "email": "desk@clinic.example" },
        "subject": "Hello",
        "content": [{ "type": "text/plain", "value": "Hi" }, { "type": "text/html", "value": "<p>Hi</p>" }],
    })
}

#[tokio::test]
async fn sendgrid_takes_a_mail_and_finds_it_in_its_logs() {
    let sandbox = Sandbox::start().await;
    let taken = sandbox.post_json("/sendgrid/v3/mail/send", &SENDGRID, &sendgrid()).await;
    assert_eq!((taken.status, taken.body), (202, json!("")));
    let id = taken.headers["x-message-id"].to_str().unwrap();
    assert_eq!(sandbox.held("sendgrid").await[0]["id"], id);
    for (query, found) in [
        ("to_email = 'ann@example.com'", 1),
        ("to_email = \"ann@example.com\" AND subject = 'Hello' AND status IN ('delivered', 'bounced')", 1),
        ("to_email = 'eve@example.com'", 0),
        ("sg_message_id_created_at >= TIMESTAMP \"2020-01-01T00:00:00Z\"", 1),
        ("sg_message_id_created_at >= TIMESTAMP \"2100-01-01T00:00:00Z\"", 0),
    ] {
        let logs = sandbox.post_json("/sendgrid/v3/logs", &SENDGRID, &json!({ "query": query })).await;
        assert_eq!((logs.status, logs.body["messages"].as_array().unwrap().len()), (200, found), "{query}");
    }
    let nonsense = sandbox.post_json("/sendgrid/v3/logs", &SENDGRID, &json!({ "query": "from = me" })).await;
    assert_eq!(nonsense.status, 400);
    let logs = sandbox.post_json("/sendgrid/v3/logs", &SENDGRID, &json!({})).await;
    let logged = logs.body["messages"][0]["sg_message_id"].as_str().unwrap();
    assert!(logged.starts_with(&format!("{id}.")), "{logged}");
    let url = format!("{}/sendgrid/v3/logs/{logged}", sandbox.base);
    let detail: Value =
        sandbox.http.get(url).bearer_auth("SG.sandbox").send().await.unwrap().json().await.unwrap();
    assert_eq!(detail["unique_args"]["message_id"], "ours");
}

#[tokio::test]
async fn sendgrid_names_the_field_that_it_refuses() {
    let sandbox = Sandbox::start().await;
    let many: Vec<_> = (0..1001).map(|n| json!({ "email": format!("p{n}@example.com") })).collect();
    for (pointer, value, status, field) in [
        ("/personalizations", json!([]), 400, json!("personalizations")),
        ("/personalizations/0/to", json!([]), 400, json!("personalizations.0.to")),
        ("/personalizations/0/to/0/email", json!("nobody"), 400, json!("personalizations.0.to.0.email")),
        (
            "/personalizations/0/cc",
            json!([{ "email": "ANN@example.com" }]),
            400,
            json!("personalizations.0.cc"),
        ),
        ("/personalizations/0/to", json!(many), 400, json!("personalizations")),
        ("/from/email", json!("nobody"), 400, json!("from.email")),
        ("/from/email", json!("a@other.example"), 403, json!("from")),
        ("/subject", json!(""), 400, json!("subject")),
        ("/subject", json!("a\r\nBcc: x@y.zz"), 400, json!("subject")),
        ("/content", json!([]), 400, json!("content")),
        ("/content/0/value", json!(""), 400, json!("content.0.value")),
        ("/content/0/type", json!("text/html; x=y"), 400, json!("content.0.type")),
        (
            "/content",
            json!([{ "type": "text/html", "value": "x" }, { "type": "text/plain", "value": "x" }]),
            400,
            json!("content"),
        ),
        ("/attachments", json!([{ "content": "?", "filename": "a" }]), 400, json!("attachments.0.content")),
        (
            "/attachments",
            json!([{ "content": "aGk=", "filename": "a", "type": "text/calendar; method=REQUEST" }]),
            400,
            json!("attachments.0.type"),
        ),
        ("/custom_args", json!({ "x": 1 }), 400, json!("custom_args")),
        ("/custom_args", json!({ "x": "y".repeat(10_001) }), 400, json!("custom_args")),
        ("/send_at", json!(4_000_000_000_u64), 400, json!("send_at")),
    ] {
        let answer =
            sandbox.post_json("/sendgrid/v3/mail/send", &SENDGRID, &with(sendgrid(), pointer, value)).await;
        assert_eq!(
            (answer.status, &answer.body["errors"][0]["field"]),
            (status, &field),
            "{pointer}: {}",
            answer.body
        );
    }
    sandbox.made("sendgrid", json!({ "apiKey": "SG.look", "scopes": ["alerts.read"] })).await;
    sandbox.made("sendgrid", json!({ "apiKey": "SG.spent", "outOfCredits": true })).await;
    for (key, status, message) in [
        ("Bearer SG.look", 403, "access forbidden"),
        ("Bearer SG.spent", 401, "Maximum credits exceeded"),
        ("Bearer SG.wrong", 401, "The provided authorization grant is invalid, expired, or revoked"),
    ] {
        let answer =
            sandbox.post_json("/sendgrid/v3/mail/send", &[("authorization", key)], &sendgrid()).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["message"]), (status, &json!(message)));
    }
    let text = sandbox
        .http
        .post(format!("{}/sendgrid/v3/mail/send", sandbox.base))
        .bearer_auth("SG.sandbox")
        .body("{}");
    assert_eq!(text.send().await.unwrap().status(), 415);
    // What is only to be checked is checked, and not sent.
    let checked = with(sendgrid(), "/mail_settings", json!({ "sandbox_mode": { "enable": true } }));
    assert_eq!(sandbox.post_json("/sendgrid/v3/mail/send", &SENDGRID, &checked).await.status, 200);
    assert!(sandbox.held("sendgrid").await.is_empty());
}

#[tokio::test]
async fn mailgun_takes_forms_of_both_shapes_and_lists_what_it_took() {
    let sandbox = Sandbox::start().await;
    let url = format!("{}/mailgun/v3/clinic.example/messages", sandbox.base);
    let fields = [
        ("from", "desk@clinic.example"),
        ("to", "ann@example.com"),
        ("subject", "Hi"),
        ("text", "Hi"),
        ("v:message_id", "ours"),
    ];
    let short =
        sandbox.http.post(&url).basic_auth("api", Some("key-sandbox")).form(&fields).send().await.unwrap();
    let answer: Value = short.json().await.unwrap();
    assert_eq!(answer["message"], "Queued. Thank you.");
    let id = answer["id"].as_str().unwrap().trim_matches(['<', '>']).to_owned();
    let form =
        fields.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| form.text(*name, *value));
    let file = reqwest::multipart::Part::bytes(b"BEGIN\r\nEND".to_vec()).file_name("a.ics");
    let form = form.part("attachment", file.mime_str("text/calendar").unwrap());
    let long =
        sandbox.http.post(&url).basic_auth("api", Some("key-sandbox")).multipart(form).send().await.unwrap();
    assert_eq!(long.status(), 200);
    let held = sandbox.held("mailgun").await;
    assert_eq!((&held[0]["id"], &held[0]["reference"]), (&json!(id), &json!("ours")));
    assert_eq!(
        held[1]["sent"]["files"][0][1],
        json!({ "name": "a.ics", "contentType": "text/calendar", "size": 10 })
    );

    let events = async |key: &str, query: &str| {
        let url = format!("{}/mailgun/v3/clinic.example/events{query}", sandbox.base);
        let response = sandbox.http.get(url).basic_auth("api", Some(key)).send().await.unwrap();
        let (status, text) = (response.status().as_u16(), response.text().await.unwrap());
        (status, serde_json::from_str::<Value>(&text).unwrap_or(Value::String(text)))
    };
    let (status, listed) = events("key-sandbox", "?recipient=ann@example.com&ascending=yes").await;
    assert_eq!((status, &listed["items"][0]["message"]["headers"]["message-id"]), (200, &json!(id)));
    assert_eq!(listed["items"][0]["user-variables"]["message_id"], "ours");
    assert_eq!(events("key-sandbox", "?recipient=eve@example.com").await.1["items"], json!([]));
    assert_eq!(events("key-sandbox", "?begin=4000000000").await.1["items"], json!([]));
    assert_eq!(events("key-sandbox", "?limit=301").await.0, 400);
    sandbox
        .made("mailgun", json!({ "apiKey": "key-send", "restricted": true, "domains": ["clinic.example"] }))
        .await;
    assert_eq!(events("key-send", "").await, (401, json!("Forbidden")));

    let refused = async |field: (&'static str, &'static str)| {
        let changed: Vec<_> = fields.iter().filter(|known| known.0 != field.0).chain([&field]).collect();
        let answer = sandbox
            .http
            .post(&url)
            .basic_auth("api", Some("key-sandbox"))
            .form(&changed)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap()["message"].as_str().unwrap().to_owned(),
        )
    };
    let invalid = "parameter is not a valid address. please check documentation";
    assert_eq!(refused(("to", "nobody")).await, (400, format!("to {invalid}")));
    assert_eq!(refused(("from", "nobody")).await, (400, format!("from {invalid}")));
    assert_eq!(refused(("subject", "a\r\nBcc: x@y.zz")).await.0, 400);
    assert_eq!(refused(("o:tag", Box::leak("x".repeat(17 * 1024).into_boxed_str()))).await.0, 400);
}

const POSTMARK: [(&str, &str); 1] = [("x-postmark-server-token", "5a4db0c0-0000-4000-8000-000000000001")];

fn postmark() -> Value {
    json!({
        "From": "Clinic <desk@clinic.example>", "To": "ann@example.com", "Subject": "Hello", "TextBody": "Hi",
        "HtmlBody": null, "Metadata": { "message_id": "ours" },
    })
}

#[tokio::test]
async fn postmark_has_a_code_for_everything_and_finds_by_metadata() {
    let sandbox = Sandbox::start().await;
    let account = json!({ "serverToken": POSTMARK[0].1, "inactive": ["gone@example.com"] });
    sandbox.made("postmark", account).await;
    let send = async |mail: Value| sandbox.post_json("/postmark/email", &POSTMARK, &mail).await;
    let taken = send(postmark()).await;
    assert_eq!(
        (taken.status, &taken.body["ErrorCode"], &taken.body["Message"]),
        (200, &json!(0), &json!("OK"))
    );
    let many = vec!["a@example.com"; 51].join(",");
    for (pointer, value, code) in [
        ("/From", json!("nobody"), 300),
        ("/From", json!("a@other.example"), 400),
        ("/To", json!(""), 300),
        ("/To", json!("nobody"), 300),
        ("/To", json!(many), 300),
        ("/To", json!("gone@example.com"), 406),
        ("/TextBody", json!(""), 300),
        ("/Subject", json!("a\nX: y"), 300),
        ("/Metadata", json!({ "x": "y".repeat(81) }), 300),
        ("/Attachments", json!([{ "Name": "a.exe", "Content": "aGk=", "ContentType": "x/y" }]), 411),
        ("/Attachments", json!([{ "Name": "a", "Content": "?", "ContentType": "x/y" }]), 300),
    ] {
        let answer = send(with(postmark(), pointer, value)).await;
        assert_eq!(
            (answer.status, &answer.body["ErrorCode"]),
            (422, &json!(code)),
            "{pointer}: {}",
            answer.body
        );
    }
    // Some recipients are dropped, and it is a success all the same.
    let some = send(with(postmark(), "/To", json!("gone@example.com, bea@example.com"))).await;
    assert!(
        some.body["Message"]
            .as_str()
            .unwrap()
            .contains("will not deliver to these inactive addresses: gone@example.com")
    );
    assert_eq!(sandbox.held("postmark").await[1]["to"], json!(["bea@example.com"]));
    // So is a batch, whatever becomes of its mails.
    let batch = json!([postmark(), with(postmark(), "/To", json!("gone@example.com"))]);
    let batch = sandbox.post_json("/postmark/email/batch", &POSTMARK, &batch).await;
    assert_eq!(
        (batch.status, &batch.body[0]["ErrorCode"], &batch.body[1]["ErrorCode"]),
        (200, &json!(0), &json!(406))
    );
    let test = [("x-postmark-server-token", "POSTMARK_API_TEST")];
    assert_eq!(sandbox.post_json("/postmark/email", &test, &postmark()).await.status, 200);
    assert_eq!(sandbox.held("postmark").await.len(), 3);

    let search = async |query: &str| {
        let url = format!("{}/postmark/messages/outbound{query}", sandbox.base);
        let request = sandbox.http.get(url).header(POSTMARK[0].0, POSTMARK[0].1);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let found = search("?count=10&offset=0&recipient=ann@example.com&metadata_message_id=ours").await;
    assert_eq!(
        (&found["TotalCount"], &found["Messages"][1]["MessageID"]),
        (&json!(2), &taken.body["MessageID"])
    );
    assert_eq!(search("?count=10&offset=0&metadata_message_id=other").await["TotalCount"], 0);
    assert_eq!(search("").await["ErrorCode"], 300);
    let not_json = sandbox
        .http
        .post(format!("{}/postmark/email", sandbox.base))
        .header(POSTMARK[0].0, POSTMARK[0].1)
        .body("{}");
    assert_eq!(not_json.send().await.unwrap().json::<Value>().await.unwrap()["ErrorCode"], 409);
}

#[tokio::test]
async fn resends_batches_are_all_or_nothing_unless_asked() {
    let sandbox = Sandbox::start().await;
    let email = |to: &str| json!({ "from": "desk@clinic.example", "to": to, "subject": "Hi", "text": "Hi" });
    let key = ("authorization", "Bearer re_sandbox");
    let batch = json!([email("ann@example.com"), email("nobody")]);
    let strict = sandbox.post_json("/resend/emails/batch", &[key], &batch).await;
    assert_eq!((strict.status, sandbox.held("resend").await.len()), (400, 0));
    let permissive =
        sandbox.post_json("/resend/emails/batch", &[key, ("x-batch-validation", "permissive")], &batch).await;
    assert_eq!(
        (permissive.body["data"].as_array().unwrap().len(), &permissive.body["errors"][0]["index"]),
        (1, &json!(1))
    );
    let many = vec![email("ann@example.com"); 101];
    assert_eq!(sandbox.post_json("/resend/emails/batch", &[key], &json!(many)).await.status, 400);
    let file = with(email("ann@example.com"), "/attachments", json!([]));
    assert_eq!(sandbox.post_json("/resend/emails/batch", &[key], &json!([file])).await.status, 422);
}

#[tokio::test]
async fn whoever_wants_to_be_told_is_told_by_itself_and_again_until_it_is_taken() {
    let sandbox = Sandbox::start().await;
    let (url, mut told) = product(vec![500, 503]).await;
    let webhook = json!({ "url": url, "speed": 1_000_000 });
    sandbox
        .made("resend", json!({ "apiKey": "re_told", "domains": ["clinic.example"], "webhook": webhook }))
        .await;
    let email = json!({ "from": "desk@clinic.example", "to": "complained@resend.dev", "subject": "Hi", "text": "Hi" });
    sandbox.post_json("/resend/emails", &[("authorization", "Bearer re_told")], &email).await;
    let mut kinds = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..5 {
        let (headers, body) = told.recv().await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        kinds.push(body["type"].as_str().unwrap().to_owned());
        ids.push(headers["svix-id"].to_str().unwrap().to_owned());
    }
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds, ["email.complained", "email.delivered", "email.sent"]);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "what is repeated keeps its id");
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn mailgun_and_postmark_stop_when_they_are_told_to() {
    let sandbox = Sandbox::start().await;
    let (url, mut told) = product(vec![406, 406]).await;
    let webhook = json!({ "url": url, "speed": 1_000_000 });
    sandbox
        .made("mailgun", json!({ "apiKey": "key-told", "domains": ["clinic.example"], "webhook": webhook }))
        .await;
    let fields = [("from", "desk@clinic.example"), ("to", "ann@example.com"), ("text", "Hi")];
    let request = sandbox.http.post(format!("{}/mailgun/v3/clinic.example/messages", sandbox.base));
    request.basic_auth("api", Some("key-told")).form(&fields).send().await.unwrap();
    let mut events = Vec::new();
    for _ in 0..2 {
        let (_, body) = told.recv().await.unwrap();
        events.push(serde_json::from_slice::<Value>(&body).unwrap()["event-data"]["event"].clone());
    }
    events.sort_by_key(Value::to_string);
    assert_eq!(events, ["accepted", "delivered"]);

    let (url, mut told) = product(vec![403]).await;
    let webhook = json!({ "url": url, "speed": 1_000_000, "secret": "s3cret", "header": "x-secret" });
    sandbox.made("postmark", json!({ "serverToken": POSTMARK[0].1, "webhook": webhook })).await;
    sandbox.post_json("/postmark/email", &POSTMARK, &postmark()).await;
    let (headers, _) = told.recv().await.unwrap();
    assert_eq!(headers["x-secret"], "s3cret");
    tokio::task::yield_now().await;
    assert!(told.try_recv().is_err());
    assert!(!sandbox.state().await.to_string().contains("s3cret"));
}

#[tokio::test]
async fn a_rehearsal_says_what_is_told_how_often_and_how_it_is_signed() {
    let sandbox = Sandbox::start().await;
    let (url, mut told) = product(Vec::new()).await;
    let webhook = json!({ "account": "SG.sandbox", "url": url, "manual": true });
    let (_, made) = sandbox.control(Method::PUT, "/sendgrid/webhook", webhook).await;
    assert!(made["webhook"]["publicKey"].as_str().unwrap().starts_with("MFkwEwYHKoZIzj0CAQYI"));
    let keys =
        sandbox.http.get(format!("{}/sendgrid/v3/user/webhooks/event/settings/signed/x", sandbox.base));
    let key: Value = keys.bearer_auth("SG.sandbox").send().await.unwrap().json().await.unwrap();
    assert_eq!(key["public_key"], made["webhook"]["publicKey"]);
    let tell = async |body: Value| sandbox.control(Method::POST, "/sendgrid/events", body).await;
    // A batch in this order, late and of a mail that nobody sent, with one event that nobody knows.
    let (status, delivered) = tell(json!({
        "events": [
            { "message": "nobody", "event": "spamreport", "at": "2026-01-01T00:00:00Z" },
            { "message": "nobody", "event": "something_new", "with": { "sg_event_id": "fixed" } },
        ],
        "copies": 2, "ageSeconds": 3600,
    }))
    .await;
    assert_eq!(
        (status, delivered["deliveries"].as_array().unwrap().len()),
        (StatusCode::OK, 2),
        "{delivered}"
    );
    assert_eq!(delivered["deliveries"][1]["duplicate"], true);
    let (first, second) = (told.recv().await.unwrap(), told.recv().await.unwrap());
    assert_eq!(first.1, second.1);
    assert!(first.1.ends_with(b"\r\n"));
    let events: Value = serde_json::from_slice(&first.1).unwrap();
    assert_eq!((&events[0]["event"], &events[0]["timestamp"]), (&json!("spamreport"), &json!(1_767_225_600)));
    assert_eq!((&events[1]["event"], &events[1]["sg_event_id"]), (&json!("something_new"), &json!("fixed")));
    let at: i64 = first.0["x-twilio-email-event-webhook-timestamp"].to_str().unwrap().parse().unwrap();
    assert!((3_590..3_700).contains(&(jiff::Timestamp::now().as_second() - at)));
    tell(json!({ "message": "nobody", "event": "open", "signature": "missing" })).await;
    assert!(!told.recv().await.unwrap().0.contains_key("x-twilio-email-event-webhook-signature"));
    for nonsense in [
        json!({}),
        json!({ "event": "open" }),
        json!({ "message": "x", "event": "open", "account": "SG.wrong" }),
        json!({ "message": "x", "event": "open", "many": 2 }),
    ] {
        assert_eq!(tell(nonsense.clone()).await.0, StatusCode::BAD_REQUEST, "{nonsense}");
    }
}

#[tokio::test]
async fn sns_asks_before_it_tells_and_shows_its_certificate() {
    let sandbox = Sandbox::start().await;
    let (url, mut told) = product(Vec::new()).await;
    let topic = "arn:aws:sns:eu-west-1:123456789012:mail";
    let webhook = json!({ "url": url, "manual": true, "topicArn": topic });
    sandbox
        .made("ses", json!({ "accessKeyId": "AKIDTOLD", "secretAccessKey": "s", "webhook": webhook }))
        .await;
    assert_eq!(sandbox.control(Method::POST, "/ses/subscribe", json!({})).await.0, StatusCode::OK);
    let (headers, body) = told.recv().await.unwrap();
    assert_eq!(headers["x-amz-sns-message-type"], "SubscriptionConfirmation");
    assert!(headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let confirmed = sandbox.http.get(asked["SubscribeURL"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(confirmed.status(), 200);
    let certificate = sandbox.http.get(asked["SigningCertURL"].as_str().unwrap()).send().await.unwrap();
    assert!(certificate.text().await.unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    let elsewhere = sandbox.http.get(format!("{}/ses/sns/SimpleNotificationService-0.pem", sandbox.base));
    assert_eq!(elsewhere.send().await.unwrap().status(), 404);
    let no_topic = json!({ "accessKeyId": "A", "secretAccessKey": "s", "webhook": { "url": url } });
    let (status, _) = sandbox.control(Method::POST, "/ses/accounts", no_topic).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn mails_outlive_the_sandbox_and_not_a_reset() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options { state: Some(directory.path().join("state.json")), ..Options::default() };
    let first = Sandbox::with(options()).await;
    first.post_json("/sendgrid/v3/mail/send", &SENDGRID, &sendgrid()).await;
    first.post_json("/postmark/email", &POSTMARK, &postmark()).await;
    let held = (first.held("sendgrid").await, first.held("postmark").await);
    first.stop().await;
    let second = Sandbox::with(options()).await;
    assert_eq!((second.held("sendgrid").await, second.held("postmark").await), held);
    second.control(Method::POST, "/reset", json!({})).await;
    assert!(second.held("sendgrid").await.is_empty());
    assert!(second.held("postmark").await.is_empty());
}
