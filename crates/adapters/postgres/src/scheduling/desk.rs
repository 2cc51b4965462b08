//! The booking desk: `book_appointment` in migration 0006, one statement and one transaction.

use async_trait::async_trait;
use sqlx::{error::DatabaseError, types::Json};
use time::{Date, OffsetDateTime};
use uuid::Uuid;
use voxanne_kernel::{
    OrgScope, StoreError,
    ids::{CallId, ContactId, ResourceId},
};
use voxanne_scheduling::{
    ToolOutcome,
    ports::{BookingDesk, BookingOrder, DeskAnswer, Patient, ToolCall},
};

use super::{calendar::spans, ledger};
use crate::{
    PgStore,
    constraint::{corrupt, died_idle, store_error},
    sql::{day_to_sql, to_sql},
};

const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK: &str = "40P01";
/// The constraints whose violation means that somebody else was faster: asked again, the function says in what.
const OVERTAKEN: [&str; 2] = ["appointments_no_overlap", "tool_invocations_pkey"];

#[derive(sqlx::FromRow)]
struct AnswerRow {
    result: String,
    contact: Option<Uuid>,
    resource: Option<Uuid>,
    call: Option<Uuid>,
    remembered: Option<serde_json::Value>,
    busy_resources: Option<Vec<Uuid>>,
    busy_from: Option<Vec<OffsetDateTime>>,
    busy_until: Option<Vec<OffsetDateTime>>,
}

#[async_trait]
impl BookingDesk for PgStore {
    async fn book(&self, scope: &OrgScope, order: &BookingOrder) -> Result<DeskAnswer, StoreError> {
        let mut dead = 0;
        let mut overtaken = false;
        loop {
            let error = match self.ask(scope, order).await {
                Ok(row) => return answer(row, order),
                Err(error) => error,
            };
            let refused = error.as_database_error();
            let code = refused.and_then(DatabaseError::code);
            let constraint = refused.and_then(DatabaseError::constraint);
            if matches!(code.as_deref(), Some(LOCK_NOT_AVAILABLE | DEADLOCK)) {
                return Ok(DeskAnswer::Busy);
            } else if constraint.is_some_and(|name| OVERTAKEN.contains(&name)) && !overtaken {
                overtaken = true;
            } else if died_idle(&error) && dead <= self.hot().size() {
                // With its id the order can be repeated: had it been booked after all, the key or the slot says so.
                dead += 1;
            } else {
                return Err(store_error(error));
            }
        }
    }

    async fn remember(
        &self,
        scope: &OrgScope,
        key: &ToolCall,
        outcome: &ToolOutcome,
    ) -> Result<ToolOutcome, StoreError> {
        let remember = sqlx::query_as("select remember_tool_outcome($1, $2, $3, $4)")
            .bind(scope.org().0)
            .bind(&key.call)
            .bind(&key.id)
            .bind(Json(outcome));
        let (standing,): (serde_json::Value,) = self.hot().ask(remember).await.map_err(store_error)?;
        ledger::read(standing, key)
    }
}

impl PgStore {
    async fn ask(&self, scope: &OrgScope, order: &BookingOrder) -> Result<AnswerRow, sqlx::Error> {
        let days: Vec<Date> = order.days.iter().map(|day| day_to_sql(*day)).collect();
        let candidates: Vec<Uuid> = order.candidates.iter().map(|id| id.0).collect();
        let (contact, name, phone, email) = match &order.patient {
            Patient::Known(id) => (Some(id.0), None, None, None),
            Patient::Person { name, phone, email } => (None, name.as_deref(), Some(phone), email.as_ref()),
        };
        let service_name = match &order.outcome {
            ToolOutcome::Booked(it) => it.service.as_deref(),
            _ => None,
        };
        let call = order.via.tool_call();
        let book = sqlx::query_as(
            "select result, contact, resource, call, remembered, busy_resources, busy_from, busy_until
               from book_appointment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                                     $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)",
        )
        .bind(scope.org().0)
        .bind(order.version)
        .bind(order.id.0)
        .bind(days)
        .bind(candidates)
        .bind(to_sql(order.slot.starts))
        .bind(to_sql(order.slot.ends))
        .bind(to_sql(order.slot.blocked_from))
        .bind(to_sql(order.slot.blocked_until))
        .bind(to_sql(order.nearby.start))
        .bind(to_sql(order.nearby.end))
        .bind(order.service.map(|id| id.0))
        .bind(service_name)
        .bind(order.status.as_str())
        .bind(order.via.source().as_str())
        .bind(order.notes.as_deref())
        .bind(&order.summary)
        .bind(contact)
        .bind(order.new_contact.0)
        .bind(name)
        .bind(phone.map(voxanne_kernel::E164::as_str))
        .bind(email.map(voxanne_kernel::EmailAddress::as_str))
        .bind(call.map(|call| call.call.as_str()))
        .bind(call.map(|call| call.id.as_str()))
        .bind(CallId::generate().0)
        .bind(call.map(|call| call.kind.as_str()))
        .bind(call.and_then(|call| call.assistant.as_deref()))
        .bind(call.and_then(|call| call.number.as_ref()).map(voxanne_kernel::E164::as_str))
        .bind(call.map(|_| Json(&order.outcome)));
        self.hot().ask(book).await
    }
}

fn answer(row: AnswerRow, order: &BookingOrder) -> Result<DeskAnswer, StoreError> {
    let unreadable = |column| corrupt("book_appointment", column, &order.id, "is missing");
    Ok(match row.result.as_str() {
        "booked" => DeskAnswer::Booked {
            contact: ContactId(row.contact.ok_or_else(|| unreadable("contact"))?),
            resource: ResourceId(row.resource.ok_or_else(|| unreadable("resource"))?),
            call: row.call.map(CallId),
        },
        "repeated" => {
            let key = order.via.tool_call().ok_or_else(|| unreadable("tool_call"))?;
            DeskAnswer::Repeated(ledger::read(row.remembered.ok_or_else(|| unreadable("remembered"))?, key)?)
        }
        "taken" => DeskAnswer::Taken {
            busy: spans(
                &row.busy_resources.unwrap_or_default(),
                &row.busy_from.unwrap_or_default(),
                &row.busy_until.unwrap_or_default(),
            ),
        },
        "stale" => DeskAnswer::Stale,
        "unknown_contact" => DeskAnswer::UnknownContact,
        other => return Err(corrupt("book_appointment", "result", &order.id, other.to_owned())),
    })
}
