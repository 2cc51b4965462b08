//! Changing the master key of ten thousand stored secrets while they are in use, with the command killed half-way.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]
#![expect(clippy::disallowed_methods, reason = "a signature carries the real time")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;
use voxanne_credentials::{ExposeSecret, KeyRing, new_webhook_credential};
use voxanne_e2e::{Stack, eventually, vapi};
use voxanne_kernel::ids::OrgId;

const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const ROWS: usize = 10_000;

/// An organization whose messages we can sign.
struct Line {
    assistant: String,
    secret: String,
}

/// Ten thousand organizations with an assistant and a webhook secret each, sealed with the old key.
async fn organizations(stack: &Stack) -> Vec<Line> {
    let keys = KeyRing::parse(OLD).unwrap();
    let (mut orgs, mut ids, mut sealed) = (Vec::new(), Vec::new(), Vec::new());
    let mut lines = Vec::new();
    for _ in 0..ROWS {
        let org = OrgId::generate();
        let (credential, secrets) = new_webhook_credential(&keys, org).unwrap();
        lines.push(Line {
            assistant: Uuid::now_v7().to_string(),
            secret: secrets.current().expose_secret().to_owned(),
        });
        orgs.push(org.0);
        ids.push(credential.id.0);
        sealed.push(credential.sealed.bytes);
    }
    let assistants: Vec<&str> = lines.iter().map(|line| line.assistant.as_str()).collect();
    let mut owner = PgConnection::connect(&stack.db.owner_url()).await.unwrap();
    sqlx::query(
        "with orgs as (
            insert into organizations (id, name, status, timezone)
            select unnest($1::uuid[]), 'Glow', 'verified', 'America/New_York')
         insert into org_credentials (id, org_id, provider, source, sealed, key_id, status)
         select id, org, 'vapi_webhook', 'system', sealed, 'old', 'verified'
           from unnest($1::uuid[], $2::uuid[], $3::bytea[]) as t (org, id, sealed)",
    )
    .bind(&orgs)
    .bind(&ids)
    .bind(&sealed)
    .execute(&mut owner)
    .await
    .unwrap();
    sqlx::query(
        "insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, voice_id)
         select gen_random_uuid(), org, 'inbound', assistant, 'Glow inbound', 'You answer.', 'Clara'
           from unnest($1::uuid[], $2::text[]) as t (org, assistant)",
    )
    .bind(&orgs)
    .bind(&assistants)
    .execute(&mut owner)
    .await
    .unwrap();
    lines
}

/// Whether a message signed with the organization's secret is believed: a read of that secret.
async fn is_read(http: &reqwest::Client, server: &str, line: &Line) -> bool {
    let call = json!({"id": Uuid::now_v7(), "type": "inboundPhoneCall", "assistantId": line.assistant});
    let body = json!({"message": {"type": "speech-update", "status": "started", "call": call}}).to_string();
    let timestamp = Timestamp::now().as_millisecond().to_string();
    let signature = vapi::sign(&line.secret, &timestamp, &body);
    let answer = http
        .post(format!("{server}/api/vapi/webhook"))
        .header("content-type", "application/json")
        .header("x-vapi-timestamp", timestamp)
        .header("x-vapi-signature", signature)
        .body(body)
        .send()
        .await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_secrets_change_their_key_while_they_are_read_and_the_command_is_killed() {
    let both = format!("{NEW},{OLD}");
    let settings = [("ENCRYPTION_KEY", ""), ("ENCRYPTION_KEYS", both.as_str())];
    let mut stack = Stack::start_with(1, &settings).await.unwrap();
    let lines = Arc::new(organizations(&stack).await);

    // Up to two hundred reads a second, of another organization each time, so that hardly any comes from a memory.
    let (done, reads, failed) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reading = tokio::spawn({
        let (done, reads, failed, lines) = (done.clone(), reads.clone(), failed.clone(), lines.clone());
        let (http, server) = (stack.http.clone(), stack.servers[0].url.clone());
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            let mut under_way = tokio::task::JoinSet::new();
            while !done.load(Ordering::Relaxed) {
                tick.tick().await;
                let n = reads.fetch_add(1, Ordering::Relaxed);
                let (http, server, lines, failed) =
                    (http.clone(), server.clone(), lines.clone(), failed.clone());
                under_way.spawn(async move {
                    if !is_read(&http, &server, &lines[n * 7_919 % ROWS]).await {
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                });
                // A machine that is busy reads less often; it does not queue up what it cannot answer in time.
                while under_way.len() >= 16 {
                    under_way.join_next().await;
                }
            }
            under_way.join_all().await;
        }
    });

    let rotated = || stack.rows("select count(*) from org_credentials where key_id = 'new'");
    let mut command = stack.start_voxctl(&["keys", "rotate"]).unwrap();
    eventually("half of the rotation", || async { (rotated().await >= 2_000).then_some(()) }).await;
    command.kill().await;
    let half_way = rotated().await;
    stack.voxctl(&["keys", "rotate"], "").await.unwrap();
    done.store(true, Ordering::Relaxed);
    reading.await.unwrap();

    assert_eq!(rotated().await, i64::try_from(ROWS).unwrap());
    let (reads, failed) = (reads.load(Ordering::Relaxed), failed.load(Ordering::Relaxed));
    println!("killed after {half_way} of {ROWS}; {reads} reads meanwhile, {failed} failed");
    assert_eq!(failed, 0, "of {reads} reads");
    let status: Value =
        serde_json::from_str(stack.voxctl(&["keys", "status", "--json"], "").await.unwrap().trim()).unwrap();
    assert!(status.to_string().contains("10000"), "{status}");

    // The old key can go now.
    stack.set("ENCRYPTION_KEYS", NEW);
    stack.crash_server(0).await.unwrap();
    for line in lines.iter().step_by(997) {
        assert!(is_read(&stack.http, &stack.servers[0].url, line).await);
    }
}
