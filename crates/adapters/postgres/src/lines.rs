//! What is known when an organization's line rings.

use jiff::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{Commit, E164, OrgScope, StoreError, Zone, ids::AppointmentId};

use crate::{
    PgStore,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// What is known when an organization's line rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingingLine {
    /// Vapi's id of the assistant that answers, once it is set up.
    pub assistant: Option<String>,
    /// Whether Vapi asks us who answers (`answerMode: dynamic`).
    pub answers_dynamically: bool,
    /// Where a call goes that needs a person.
    pub alert_phone: Option<E164>,
    /// The organization's zone.
    pub zone: Zone,
    /// The caller's name, if their number is known.
    pub caller_name: Option<String>,
    /// Their next appointment.
    pub next_visit: Option<NextVisit>,
}

/// A caller's next appointment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextVisit {
    /// Which.
    pub id: AppointmentId,
    /// When it begins.
    pub starts: Timestamp,
    /// What for.
    pub service: Option<String>,
    /// Whether somebody still has to approve it.
    pub awaits_approval: bool,
}

#[derive(sqlx::FromRow)]
struct RingingRow {
    vapi_assistant_id: Option<String>,
    answer_mode: String,
    alert_phone: Option<String>,
    timezone: String,
    caller_name: Option<String>,
    visit_id: Option<Uuid>,
    visit_starts: Option<OffsetDateTime>,
    visit_service: Option<String>,
    visit_status: Option<String>,
}

impl PgStore {
    /// What is known when the line of `scope`'s organization rings with `caller` on it.
    pub async fn ringing_line(
        &self,
        scope: &OrgScope,
        caller: Option<&E164>,
        now: Timestamp,
    ) -> Result<Option<RingingLine>, StoreError> {
        let mut tx = self.tenant(scope).await?;
        let row: Option<RingingRow> = sqlx::query_as(
            "select a.vapi_assistant_id, o.answer_mode, o.alert_phone, o.timezone, c.name as caller_name,
                    v.id as visit_id, v.starts_at as visit_starts, s.name as visit_service, v.status as visit_status
               from organizations o
               left join assistants a on a.org_id = o.id and a.kind = 'inbound'
               left join contacts c on c.org_id = o.id and c.phone = $2
               left join lateral (
                    select p.id, p.starts_at, p.status, p.service_id from appointments p
                     where p.org_id = o.id and p.contact_id = c.id and p.starts_at >= $3
                       and p.status in ('pending_approval', 'confirmed', 'rescheduled')
                     order by p.starts_at limit 1) v on true
               left join services s on s.org_id = o.id and s.id = v.service_id
              where o.id = $1",
        )
        .bind(scope.org().0)
        .bind(caller.map(E164::as_str))
        .bind(to_sql(now))
        .fetch_optional(tx.conn())
        .await
        .map_err(store_error)?;
        Box::new(tx).commit().await?;
        row.map(|row| ringing(row, scope)).transpose()
    }
}

fn ringing(row: RingingRow, scope: &OrgScope) -> Result<RingingLine, StoreError> {
    let unreadable = |column, error: Box<dyn std::error::Error + Send + Sync>| {
        corrupt("organizations", column, &scope.org(), error)
    };
    let alert_phone = row.alert_phone.as_deref().map(E164::new).transpose();
    let next_visit = row.visit_id.zip(row.visit_starts).map(|(id, starts)| NextVisit {
        id: AppointmentId(id),
        starts: from_sql(starts),
        service: row.visit_service,
        awaits_approval: row.visit_status.as_deref() == Some("pending_approval"),
    });
    Ok(RingingLine {
        assistant: row.vapi_assistant_id,
        answers_dynamically: row.answer_mode == "dynamic",
        alert_phone: alert_phone.map_err(|error| unreadable("alert_phone", error.into()))?,
        zone: Zone::new(&row.timezone).map_err(|error| unreadable("timezone", error.into()))?,
        caller_name: row.caller_name,
        next_visit,
    })
}
