//! Taking in a message that wants no answer: a call has begun.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::ensure;
use serde_json::json;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Scenario, vapi};
use crate::{pgbench::Script, world::World};

/// The statement of the server's inbox.
const STATEMENT: &str = "select receive_webhook_event($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// Who calls.
const CALLER: &str = "+12120000007";

/// `status-update`.
#[derive(Default)]
pub(crate) struct Ingest {
    asked: AtomicU64,
}

impl Scenario for Ingest {
    const NAME: &'static str = "webhook ingest";
    const GOAL: f64 = 0.80;

    fn request(&self, world: &World, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let clinic = world.any_clinic(self.asked.fetch_add(1, Ordering::Relaxed));
        let call = vapi::call(clinic, Uuid::now_v7(), CALLER);
        let body = format!(
            r#"{{"message":{{"timestamp":1795000000900,"type":"status-update","status":"in-progress",{call}}}}}"#
        );
        vapi::deliver(clinic, &body, out)
    }

    fn is_right(&self, body: &[u8]) -> bool {
        body == b"{}"
    }

    async fn statement(&self, world: &World, connection: &mut PgConnection) -> anyhow::Result<()> {
        let clinic = world.any_clinic(self.asked.fetch_add(1, Ordering::Relaxed));
        let (event, call) = (Uuid::now_v7(), Uuid::now_v7());
        let body = json!({
            "call": call, "assistant": clinic.assistant, "direction": "inbound", "phone": CALLER, "name": null,
            "at": "2026-11-20T10:00:00.9Z", "what": {"type": "stage_reached", "stage": "in_progress"},
        });
        let is_new: bool = sqlx::query_scalar(STATEMENT)
            .bind(clinic.id)
            .bind(event)
            .bind("vapi")
            .bind("call_stage_reached")
            .bind(format!("{call}:in_progress"))
            .bind(Json(body))
            .bind("apply_call_event")
            .bind(Json(json!({"event_id": event})))
            .bind(25_i16)
            .fetch_one(connection)
            .await?;
        ensure!(is_new, "it was taken for a repetition");
        Ok(())
    }

    fn script(&self, _: &World) -> Script {
        let text = "\\set org random(0, :orgs - 1)\n\
            select receive_webhook_event(('0b000000-0000-7000-8000-' || lpad(:org::text, 12, '0'))::uuid, e.id, 'vapi',
                   'call_stage_reached', e.id || '-in_progress', :body::jsonb, 'apply_call_event', :payload::jsonb,
                   25::smallint)
              from (select gen_random_uuid() as id offset 0) e;\n";
        let body = json!({
            "call": Uuid::now_v7(), "assistant": Uuid::now_v7(), "direction": "inbound", "phone": CALLER, "name": null,
            "at": "2026-11-20T10:00:00.9Z", "what": {"type": "stage_reached", "stage": "in_progress"},
        });
        let payload = json!({"event_id": Uuid::now_v7()});
        Script {
            text: text.to_owned(),
            variables: vec![("body", body.to_string()), ("payload", payload.to_string())],
        }
    }
}
