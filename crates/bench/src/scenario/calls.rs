//! The newest fifty calls of a clinic.

use std::{
    io::Write as _,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::ensure;
use sqlx::PgConnection;

use super::{Scenario, says};
use crate::{pgbench::Script, world::World};

/// The statement of the server's list.
const STATEMENT: &str =
    "select id, vapi_call_id, call_type, status, phone_number, contact_id, contact_name, started_at,
        ended_at, duration_seconds, sentiment_label, sentiment_score, urgency, summary, booking_confirmed,
        financial_value_minor, recording_status, has_transcript, transfer_to, transfer_time, transfer_reason,
        lead_score, cost_micros
   from list_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";

/// One row more than is shown, as the server asks for it: whether there is a next page.
const ROWS: i32 = 51;

/// `GET /api/calls-dashboard`.
#[derive(Default)]
pub(crate) struct CallsList {
    asked: AtomicU64,
}

impl Scenario for CallsList {
    const NAME: &'static str = "calls list, 50 rows";
    const GOAL: f64 = 0.60;

    fn request(&self, world: &World, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let clinic = world.any_clinic(self.asked.fetch_add(1, Ordering::Relaxed));
        write!(
            out,
            "GET /api/calls-dashboard?limit=50 HTTP/1.1\r\nhost: api.voxanne.example\r\naccept: application/json\r\n\
             authorization: {}\r\n\r\n",
            clinic.authorization
        )?;
        Ok(())
    }

    fn is_right(&self, body: &[u8]) -> bool {
        // Fifty rows and where the next page begins; counting is cheaper than parsing.
        body.len() > 50 * 200 && says(&body[..body.len().min(100)], "\"data\"") && body.ends_with(b"\"}")
    }

    async fn statement(&self, world: &World, connection: &mut PgConnection) -> anyhow::Result<()> {
        let clinic = world.any_clinic(self.asked.fetch_add(1, Ordering::Relaxed));
        let rows = sqlx::query(STATEMENT)
            .bind(clinic.id)
            .bind(None::<&str>)
            .bind(None::<&str>)
            .bind(None::<time::OffsetDateTime>)
            .bind(None::<time::OffsetDateTime>)
            .bind(None::<&str>)
            .bind(None::<bool>)
            .bind(None::<&str>)
            .bind(None::<time::OffsetDateTime>)
            .bind(None::<uuid::Uuid>)
            .bind(ROWS)
            .fetch_all(connection)
            .await?;
        ensure!(rows.len() == usize::try_from(ROWS)?, "it gave {} rows", rows.len());
        Ok(())
    }

    fn script(&self, _: &World) -> Script {
        let arguments = "null, null, null, null, null, null, null, null, null";
        let statement = STATEMENT.split_once("list_calls(").map_or(STATEMENT, |(before, _)| before);
        let text = format!(
            "\\set org random(0, :orgs - 1)\n{statement}list_calls(('0b000000-0000-7000-8000-' || \
             lpad(:org::text, 12, '0'))::uuid, {arguments}, {ROWS});\n"
        );
        Script { text, variables: Vec::new() }
    }
}
