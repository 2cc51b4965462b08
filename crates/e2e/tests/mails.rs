//! The platform's own mails, all the way to the provider: who gets one, what is in it, and that it is one.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use voxanne_e2e::{Stack, eventually};

/// The sandbox's own account at its Resend, which may send from this domain.
const ACCOUNT: [(&str, &str); 3] = [
    ("RESEND_API_KEY", "re_sandbox"),
    ("ADMIN_EMAIL_FROM_USER", "Voxanne <hello@clinic.example>"),
    ("SUPPORT_EMAIL", "help@clinic.example"),
];

async fn mails(stack: &Stack) -> Vec<Value> {
    stack.provider("providers/resend/mails").await.as_array().cloned().unwrap_or_default()
}

/// The first mail with `words` in its subject, once it is there.
async fn mail(stack: &Stack, words: &str) -> Value {
    eventually(words, || async {
        let with = |mail: &Value| mail["subject"].as_str().is_some_and(|subject| subject.contains(words));
        mails(stack).await.into_iter().find(with)
    })
    .await
}

/// Waits until nothing is on its way any more.
async fn settled(stack: &Stack) {
    eventually("an end of all mails", || async {
        let left = "select (select count(*) from platform_mails where status in ('queued', 'sending'))
            + (select count(*) from outbox)";
        (stack.rows(left).await == 0).then_some(())
    })
    .await;
}

async fn fault(stack: &Stack, fault: &Value) {
    let url = format!("{}/_sandbox/faults", stack.sandbox_url);
    let answer = stack.http.post(url).json(fault).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED, "{fault}");
}

/// Somebody tries to sign up with an address that is taken.
async fn try_again(stack: &Stack, email: &str) {
    let body =
        json!({ "email": email, "password": "correct horse battery staple", "organizationName": "Other" });
    let answer = stack.http.post(stack.url("/api/auth/signup")).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_owner_hears_once_that_the_line_is_ready() {
    let stack = Stack::start_with(1, &ACCOUNT).await.unwrap();
    let clinic = stack.clinic("Clinique <Étoile>").await.unwrap();
    let mail = mail(&stack, "is ready").await;
    assert_eq!(mail["subject"], "Clinique <Étoile>: your AI receptionist is ready");
    assert_eq!(mail["from"], "Voxanne <hello@clinic.example>");
    assert_eq!((&mail["to"], &mail["reply_to"]), (&json!([clinic.email]), &json!(["help@clinic.example"])));
    let (html, text) = (mail["html"].as_str().unwrap(), mail["text"].as_str().unwrap());
    assert!(html.contains(&clinic.number) && text.contains(&clinic.number), "{text}");
    assert!(html.contains("Clinique &#60;Étoile&#62;") && text.contains("help@clinic.example"), "{html}");

    // Letting it in once more sets the line up once more, which is nothing to write home about.
    let operator = stack.operator().await.unwrap();
    let path = format!("/api/admin/organizations/{}/approve", clinic.org_id);
    let again =
        stack.http.post(stack.url(&path)).bearer_auth(operator).json(&json!({})).send().await.unwrap();
    assert!(again.status().is_success());
    eventually("the second set-up", || async {
        let waiting =
            "select (select count(*) from outbox) + (select count(*) from graphile_worker._private_jobs)";
        (stack.rows(waiting).await == 0).then_some(())
    })
    .await;
    assert_eq!(mails(&stack).await.len(), 1);
}

#[tokio::test]
async fn an_owner_hears_what_failed_and_not_what_the_provider_said() {
    let stack = Stack::start_with(1, &ACCOUNT).await.unwrap();
    let words = "words of the provider";
    fault(
        &stack,
        &json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "times": 1_000,
                 "kind": "status", "status": 400, "message": words }),
    )
    .await;
    let clinic = stack.sign_up("Clinique").await.unwrap();
    stack.give_number(&clinic.org_id).await.unwrap();
    stack.voxctl(&["org", "approve", &clinic.org_id], "").await.unwrap();
    let mail = mail(&stack, "could not be set up").await;
    assert_eq!(mail["to"], json!([clinic.email]));
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Step that failed: Creating the assistant that answers calls"), "{text}");
    assert!(!mail.to_string().contains(words));
}

#[tokio::test]
async fn an_owner_hears_of_a_failure_only_when_nothing_is_tried_any_more() {
    let stack = Stack::start_with(1, &ACCOUNT).await.unwrap();
    let down = json!({ "provider": "vapi", "method": "POST", "path": "/assistant", "times": 1_000,
                       "kind": "status", "status": 503 });
    fault(&stack, &down).await;
    let clinic = stack.sign_up("Clinique").await.unwrap();
    stack.give_number(&clinic.org_id).await.unwrap();
    stack.voxctl(&["org", "approve", &clinic.org_id], "").await.unwrap();
    eventually("a first failure", || async {
        let failed = "select count(*) from setup_steps where error_code is not null";
        (stack.rows(failed).await > 0).then_some(())
    })
    .await;
    assert_eq!(stack.rows("select count(*) from platform_mails").await, 0);
    // Nobody waits for four hours here: they are over, and the next attempt is the last.
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    sqlx::query("update setups set started_at = started_at - interval '5 hours'")
        .execute(&mut owner)
        .await
        .unwrap();
    stack.voxctl(&["setup", "retry", &clinic.org_id], "").await.unwrap();
    let mail = mail(&stack, "could not be set up").await;
    assert_eq!(mail["to"], json!([clinic.email]));
    assert_eq!(stack.rows("select count(*) from platform_mails where kind = 'set_up_failed'").await, 1);
}

#[tokio::test]
async fn a_taken_address_brings_its_holder_one_mail_whatever_happens_on_the_way() {
    let mut stack = Stack::start_with(1, &ACCOUNT).await.unwrap();
    let clinic = stack.sign_up("Clinique").await.unwrap();
    // The first attempt is cut off by a kill, the second is accepted and its answer lost.
    fault(&stack, &json!({ "provider": "resend", "path": "/emails", "kind": "slow", "delayMs": 5_000 }))
        .await;
    fault(&stack, &json!({ "provider": "resend", "path": "/emails", "nth": 2, "kind": "commit_then_drop" }))
        .await;
    for _ in 0..5 {
        try_again(&stack, &clinic.email).await;
    }
    eventually("the first attempt", || async {
        (stack.rows("select count(*) from platform_mails where status = 'sending'").await == 1).then_some(())
    })
    .await;
    stack.kill_worker().await;
    stack.start_worker().unwrap();
    settled(&stack).await;
    let sent = mails(&stack).await;
    assert_eq!(sent.len(), 1, "{sent:#?}");
    assert_eq!(
        (&sent[0]["to"], &sent[0]["subject"]),
        (&json!([clinic.email]), &json!("You already have a Voxanne account"))
    );
    assert_eq!(
        stack.rows("select count(*) from platform_mails where status = 'sent' and attempts >= 3").await,
        1
    );
    assert!(!stack.logs().contains(&clinic.email));
}

#[tokio::test]
async fn without_an_account_a_mail_says_that_it_was_not_sent() {
    let stack = Stack::start_with(1, &[("RESEND_API_KEY", "")]).await.unwrap();
    let clinic = stack.sign_up("Clinique").await.unwrap();
    try_again(&stack, &clinic.email).await;
    settled(&stack).await;
    assert_eq!(stack.rows("select count(*) from platform_mails where status = 'not_configured'").await, 1);
    assert!(mails(&stack).await.is_empty());
    assert_eq!(stack.logs().matches("no account for them is configured").count(), 1);
}
