//! The program itself, on a database of its own.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::{Value, json};
use voxanne_credentials::{KeyRing, new_webhook_credential};
use voxanne_kernel::ids::OrgId;
use voxanne_testkit::TestDb;

const SECRET: &str = "a secret of at least thirty-two bytes";
const PASSWORD: &str = "an unusual phrase";

/// Runs `voxctl` with nothing in its environment but `variables`.
fn voxctl(line: &str, variables: &[(&str, &str)], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_voxctl"))
        .args(line.split_whitespace())
        .env_clear()
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The one line that a failed command says.
fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_token_needs_the_secret_and_nothing_else() {
    let (user, org) = ("018f0000-0000-7000-8000-00000000000a", "018f0000-0000-7000-8000-00000000000b");
    let token =
        |arguments: &str| voxctl(&format!("token --user {user} {arguments}"), &[("JWT_SECRET", SECRET)], "");
    for arguments in [
        format!("--org {org}"),
        format!("--org {org} --role member --ttl 60"),
        "--role platform_admin".to_owned(),
    ] {
        let output = token(&arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.trim().split('.').count(), 3, "{arguments}: {text}");
        assert_eq!(text.lines().count(), 1);
    }
    for arguments in [format!("--org {org} --role platform_admin"), "--role owner".to_owned()] {
        assert_eq!(token(&arguments).status.code(), Some(2), "{arguments}");
    }
    let missing = voxctl(&format!("token --user {user}"), &[], "");
    assert!(String::from_utf8_lossy(&missing.stderr).contains("JWT_SECRET"));
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn every_mail_can_be_looked_at_without_any_setting() {
    for template in [
        "address-taken",
        "calendar-disconnected",
        "setup-succeeded",
        "setup-failed",
        "messaging-model-switched",
        "messaging-budget-used",
    ] {
        let show = |part: &str| {
            let output = voxctl(&format!("email preview {template} {part}"), &[], "");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(show("").starts_with("Subject: "));
        assert!(show("--html").starts_with("<!doctype html>"));
        let whole: Value = serde_json::from_str(&show("--json")).unwrap();
        assert_eq!(show("--text").trim(), whole["text"].as_str().unwrap().trim());
    }
    assert_eq!(voxctl("email preview nothing", &[], "").status.code(), Some(2));
}

#[test]
fn a_database_that_is_not_there_is_named_as_the_reason() {
    let output = voxctl("org list", &[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing")], "");
    assert!(complaint(&output).contains("DATABASE_URL does not answer"));
}

#[tokio::test]
async fn an_empty_database_is_migrated_and_a_login_gets_its_roles() {
    let db = TestDb::empty().await;
    let (owner, app) = (db.owner_url(), db.app_url());
    let not_yet = voxctl("org list", &[("DATABASE_URL", &app)], "");
    assert!(complaint(&not_yet).contains("voxctl db migrate"));
    let migrate = format!("db migrate --grant-to {} --json", voxanne_testkit::LOGIN);
    for _ in 0..2 {
        assert_eq!(json(&voxctl(&migrate, &[("DATABASE_MIGRATION_URL", &owner)], ""))["migrated"], true);
    }
    assert_eq!(json(&voxctl("org list --json", &[("DATABASE_URL", &app)], ""))["data"], Value::Array(vec![]));
    let nobody = voxctl("db migrate --grant-to nobody_at_all", &[("DATABASE_MIGRATION_URL", &owner)], "");
    assert!(complaint(&nobody).contains("nobody_at_all"));
}

#[tokio::test]
async fn an_operator_is_made_once_with_a_good_password() {
    let db = TestDb::new().await;
    let url = db.app_url();
    let create = |password: &str| {
        voxctl("admin create --email Op@Example.com --password-stdin", &[("DATABASE_URL", &url)], password)
    };
    assert!(complaint(&create("")).contains("no password"));
    assert!(complaint(&create("too short\n")).contains("at least 12 characters"));
    let made = json(&create(&format!("{PASSWORD}\n")));
    assert_eq!(made["email"], "op@example.com");
    assert!(made["userId"].is_string());
    assert!(complaint(&create(PASSWORD)).contains("already"));
}

#[tokio::test]
async fn organizations_are_listed_shown_and_decided_about() {
    let db = TestDb::new().await;
    let org = "018f0000-0000-7000-8000-00000000000b";
    sqlx::query(
        "insert into organizations (id, name, timezone) values ($1::uuid, 'Clinique', 'Europe/Paris')",
    )
    .bind(org)
    .execute(&mut db.owner().await)
    .await
    .unwrap();
    let url = db.app_url();
    let run = |line: &str| voxctl(line, &[("DATABASE_URL", &url)], "");
    assert_eq!(json(&run("org list --status pending --json"))["data"][0]["id"], org);
    assert_eq!(json(&run(&format!("org show {org} --json")))["timezone"], "Europe/Paris");
    for (decision, status) in [("approve", "verified"), ("approve", "verified"), ("suspend", "suspended")] {
        assert_eq!(json(&run(&format!("org {decision} {org} --json")))["status"], status);
    }
    assert!(complaint(&run(&format!("org reject {org}"))).contains("suspended"));
    assert!(
        complaint(&run("org show 018f0000-0000-7000-8000-0000000000ff")).contains("no such organization")
    );
    let text = run("org list");
    assert!(String::from_utf8_lossy(&text.stdout).contains("Clinique"));
    let found = json(&run("org fix-membership --json"));
    assert_eq!(found["organizationsWithoutOwner"][0]["remedy"], "none");
    let jobs: i64 = sqlx::query_scalar("select count(*) from outbox where task = 'set_up_organization'")
        .fetch_one(&mut db.owner().await)
        .await
        .unwrap();
    assert_eq!(jobs, 1);
}

#[tokio::test]
async fn credit_is_granted_and_proved() {
    let db = TestDb::new().await;
    let org = "018f0000-0000-7000-8000-00000000000b";
    let mut owner = db.owner().await;
    sqlx::query(
        "insert into organizations (id, name, timezone) values ($1::uuid, 'Clinique', 'Europe/Paris')",
    )
    .bind(org)
    .execute(&mut owner)
    .await
    .unwrap();
    let url = db.app_url();
    let run = |line: &str| voxctl(line, &[("DATABASE_URL", &url), ("SIGNUP_CREDITS", "300")], "");
    let shown = json(&run(&format!("credits show {org} --json")));
    assert_eq!(
        (&shown["balance"], &shown["currency"], &shown["agrees"]),
        (&json!(300), &json!("USD"), &json!(true))
    );
    let granted = json(&run(&format!("credits grant {org} --amount 250 --json")));
    assert_eq!((&granted["granted"], &granted["balance"]), (&json!(250), &json!(550)));
    let shown = json(&run(&format!("credits show {org} --json")));
    assert_eq!(
        (&shown["balance"], &shown["sumOfEntries"], &shown["entries"]),
        (&json!(550), &json!(550), &json!(2))
    );
    assert!(
        String::from_utf8_lossy(&run(&format!("credits show {org}")).stdout)
            .contains("5.5 USD (550 minor units)")
    );
    let nobody = "018f0000-0000-7000-8000-0000000000ff";
    assert!(complaint(&run(&format!("credits grant {nobody} --amount 1"))).contains("no such organization"));
    // Somebody who is more than an operator has been at the account.
    sqlx::query("update credit_accounts set balance_minor = 9").execute(&mut owner).await.unwrap();
    let wrong = run(&format!("credits show {org}"));
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stdout).contains("NO"));
}

#[tokio::test]
async fn a_job_is_queued_and_time_travel_must_be_allowed() {
    let db = TestDb::new().await;
    let url = db.app_url();
    let run = |line: &str, more: &[(&str, &str)]| {
        voxctl(line, &[&[("DATABASE_URL", url.as_str())], more].concat(), "")
    };
    assert_eq!(json(&run("jobs list --json", &[]))["data"], Value::Array(vec![]));
    assert_eq!(json(&run("jobs run retention --no-wait --json", &[]))["finished"], false);
    let listed = json(&run("jobs list --json", &[]));
    assert_eq!(
        (listed["data"][0]["task"].as_str(), listed["data"][0]["state"].as_str()),
        (Some("retention"), Some("waiting"))
    );
    let travel = "jobs run retention --no-wait --now 2030-01-01T00:00:00Z --json";
    assert!(complaint(&run(travel, &[])).contains("VOXANNE_ALLOW_TEST_CLOCK"));
    json(&run(travel, &[("VOXANNE_ALLOW_TEST_CLOCK", "true")]));
}

/// What a worker does to the one job in the queue, in SQL, as soon as there is one.
async fn work(db: &TestDb, statement: &'static str) {
    let mut owner = db.owner().await;
    while sqlx::query(statement).execute(&mut owner).await.unwrap().rows_affected() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_waited_for_until_it_has_run_or_failed() {
    let db = TestDb::new().await;
    let start = |arguments: &'static str| {
        let url = db.app_url();
        tokio::task::spawn_blocking(move || {
            voxctl(&format!("jobs run retention {arguments}"), &[("DATABASE_URL", &url)], "")
        })
    };

    let waiting = start("--json");
    work(&db, "delete from graphile_worker._private_jobs").await;
    let outcome = json(&waiting.await.unwrap());
    assert_eq!((&outcome["started"], &outcome["finished"]), (&Value::Bool(true), &Value::Bool(true)));
    assert!(outcome["jobId"].is_i64());

    let waiting = start("--json");
    work(&db, "update graphile_worker._private_jobs set attempts = 1, last_error = 'no luck'").await;
    let failed = waiting.await.unwrap();
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8(failed.stderr).unwrap().contains("failed in attempt 1: no luck"));
    let outcome: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((&outcome["finished"], &outcome["lastError"]), (&Value::Bool(false), &Value::from("no luck")));

    // It is queued anew, its failure forgotten; nobody takes it.
    let given_up = start("--timeout 1").await.unwrap();
    assert_eq!(given_up.status.code(), Some(1));
    assert!(String::from_utf8(given_up.stderr).unwrap().contains("still waiting for a worker after 1 s"));
    work(&db, "delete from graphile_worker._private_jobs").await;
    let waiting = start("--timeout 1");
    work(&db, "update graphile_worker._private_jobs set attempts = 1, locked_at = now()").await;
    let given_up = waiting.await.unwrap();
    assert!(String::from_utf8(given_up.stderr).unwrap().contains("still running after 1 s"));
}

#[tokio::test]
async fn the_doctor_names_everything_that_is_wrong_at_once() {
    let db = TestDb::new().await;
    let output = voxctl("doctor --json", &[("DATABASE_URL", &db.owner_url())], "");
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let detail = |check: &str| {
        let checks = report["checks"].as_array().unwrap();
        let found = checks.iter().find(|finding| finding["check"] == check).unwrap();
        assert_eq!(found["ok"], false, "{found}");
        found["detail"].as_str().unwrap().to_owned()
    };
    let server = detail("configuration of the server");
    for missing in ["BACKEND_URL", "JWT_SECRET", "ENCRYPTION_KEY", "VAPI_PRIVATE_KEY"] {
        assert!(server.contains(missing), "{server}");
    }
    assert!(detail("database").contains("superuser"));
    assert!(!output.stderr.is_empty());
}

const OLD_KEY: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const NEW_KEY: &str = "new:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// An organization whose webhook secret is sealed with `key`.
async fn with_secret(db: &TestDb, key: &str) -> OrgId {
    let org = OrgId::generate();
    let (credential, _) = new_webhook_credential(&KeyRing::parse(key).unwrap(), org).unwrap();
    let mut owner = db.owner().await;
    sqlx::query("insert into organizations (id, name, timezone) values ($1, 'Clinique', 'Europe/Paris')")
        .bind(org.0)
        .execute(&mut owner)
        .await
        .unwrap();
    sqlx::query(
        "insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
         values ($1, $2, 'vapi_webhook', 'system', $3, $4, 'verified')",
    )
    .bind(credential.id.0)
    .bind(org.0)
    .bind(credential.sealed.bytes)
    .bind(credential.sealed.key_id.as_str())
    .execute(&mut owner)
    .await
    .unwrap();
    org
}

#[tokio::test]
async fn secrets_are_moved_to_the_first_key_and_those_that_cannot_be_are_named() {
    let db = TestDb::new().await;
    for _ in 0..3 {
        with_secret(&db, OLD_KEY).await;
    }
    let (url, keys) = (db.app_url(), format!("{NEW_KEY},{OLD_KEY}"));
    let run = |line: &str, keys: &str| voxctl(line, &[("DATABASE_URL", &url), ("ENCRYPTION_KEYS", keys)], "");
    let key = |id: &str, count: i64, configured: bool, current: bool| json!({"keyId": id, "count": count, "configured": configured, "current": current});
    let status = |keys: &str| json(&run("keys status --json", keys))["data"].clone();
    assert_eq!(status(&keys), json!([key("new", 0, true, true), key("old", 3, true, false)]));

    let rotated = json(&run("keys rotate --json", &keys));
    assert_eq!(rotated, json!({"keyId": "new", "rotated": 3, "unreadable": [], "remaining": 0}));
    assert_eq!(status(NEW_KEY), json!([key("new", 3, true, true)]));
    let again = run("keys rotate", &keys);
    assert!(String::from_utf8_lossy(&again.stdout).contains("0 secrets are now sealed with key new."));

    let (readable, lost) = (with_secret(&db, OLD_KEY).await, with_secret(&db, OLD_KEY).await);
    sqlx::query("update org_credentials set id = gen_random_uuid() where org_id = $1")
        .bind(lost.0)
        .execute(&mut db.owner().await)
        .await
        .unwrap();
    let outcome = run("keys rotate --json", &keys);
    assert_eq!(outcome.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&outcome.stderr).contains("1 of the stored secrets cannot be read"));
    let outcome: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!((&outcome["rotated"], outcome["unreadable"].as_array().unwrap().len()), (&json!(1), 1));
    let named = &outcome["unreadable"][0];
    assert_eq!((&named["organizationId"], &named["provider"]), (&json!(lost), &json!("vapi_webhook")));
    assert!(named["credentialId"].is_string() && named["error"].as_str().unwrap().contains("key old"));
    let text = run("keys rotate", &keys);
    let text = String::from_utf8_lossy(&text.stdout);
    assert!(text.contains(&lost.to_string()) && !text.contains(&readable.to_string()), "{text}");
    assert_eq!(status(NEW_KEY)[1], key("old", 1, false, false));
}
