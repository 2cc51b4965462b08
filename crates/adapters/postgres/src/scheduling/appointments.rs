//! Appointments with what is shown of them.

use async_trait::async_trait;
use jiff::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    E164, EmailAddress, Page, PageRequest, Position, StoreError,
    ids::{AppointmentId, CallId, ContactId, ResourceId, ServiceId},
};
use voxanne_scheduling::{
    Appointment, AppointmentDetails, Slot,
    ports::{AppointmentFilter, Appointments, SaveError},
};

use crate::{
    TenantTx,
    constraint::{OnConstraint, corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// Reads appointments with `$rest` as the end of the statement.
macro_rules! appointments {
    ($rest:literal) => {
        concat!(
            "select a.id, a.contact_id, a.call_id, a.service_id, a.resource_id, a.starts_at, a.ends_at, a.blocked_from,
                    a.blocked_until, a.status, a.source, a.notes, a.confirmation_sent, a.created_at, a.updated_at,
                    coalesce(a.patient_name, c.name) as contact_name, c.phone, c.email, s.name as service_name,
                    r.name as resource_name
               from appointments a
               join contacts c on c.org_id = a.org_id and c.id = a.contact_id
               join resources r on r.org_id = a.org_id and r.id = a.resource_id
               left join services s on s.org_id = a.org_id and s.id = a.service_id
              where a.org_id = $1 ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct AppointmentRow {
    id: Uuid,
    contact_id: Uuid,
    call_id: Option<Uuid>,
    service_id: Option<Uuid>,
    resource_id: Uuid,
    starts_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    blocked_from: OffsetDateTime,
    blocked_until: OffsetDateTime,
    status: String,
    source: String,
    notes: Option<String>,
    confirmation_sent: bool,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    contact_name: Option<String>,
    phone: String,
    email: Option<String>,
    service_name: Option<String>,
    resource_name: String,
}

impl TryFrom<AppointmentRow> for AppointmentDetails {
    type Error = StoreError;

    fn try_from(row: AppointmentRow) -> Result<Self, StoreError> {
        let id = row.id;
        Ok(Self {
            appointment: Appointment {
                id: AppointmentId(id),
                contact: ContactId(row.contact_id),
                service: row.service_id.map(ServiceId),
                resource: ResourceId(row.resource_id),
                slot: Slot {
                    starts: from_sql(row.starts_at),
                    ends: from_sql(row.ends_at),
                    blocked_from: from_sql(row.blocked_from),
                    blocked_until: from_sql(row.blocked_until),
                },
                status: row
                    .status
                    .parse()
                    .map_err(|error| corrupt("appointments", "status", &id, unreadable(error)))?,
                notes: row.notes,
            },
            contact_name: row.contact_name,
            phone: E164::new(&row.phone)
                .map_err(|error| corrupt("contacts", "phone", &row.contact_id, error))?,
            // An address that came in before it was checked is as good as none.
            email: row.email.and_then(|email| EmailAddress::new(&email).ok()),
            service_name: row.service_name,
            resource_name: row.resource_name,
            source: row
                .source
                .parse()
                .map_err(|error| corrupt("appointments", "source", &id, unreadable(error)))?,
            call: row.call_id.map(CallId),
            confirmation_sent: row.confirmation_sent,
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

fn unreadable<E: std::error::Error + Send + Sync + 'static>(
    error: E,
) -> Box<dyn std::error::Error + Send + Sync> {
    Box::new(error)
}

#[async_trait]
impl Appointments for TenantTx {
    async fn appointment(&mut self, id: AppointmentId) -> Result<Option<AppointmentDetails>, StoreError> {
        let row: Option<AppointmentRow> = sqlx::query_as(appointments!("and a.id = $2"))
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn appointment_for_change(
        &mut self,
        id: AppointmentId,
    ) -> Result<Option<AppointmentDetails>, StoreError> {
        let row: Option<AppointmentRow> = sqlx::query_as(appointments!("and a.id = $2 for update of a"))
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn save_appointment(&mut self, it: &Appointment) -> Result<(), SaveError> {
        sqlx::query(
            "update appointments a
                set service_id = $3, resource_id = $4, resource_no = r.resource_no, starts_at = $5, ends_at = $6,
                    blocked_from = $7, blocked_until = $8, status = $9, notes = $10, updated_at = now()
               from resources r
              where a.org_id = $1 and a.id = $2 and r.org_id = $1 and r.id = $4",
        )
        .bind(self.org())
        .bind(it.id.0)
        .bind(it.service.map(|id| id.0))
        .bind(it.resource.0)
        .bind(to_sql(it.slot.starts))
        .bind(to_sql(it.slot.ends))
        .bind(to_sql(it.slot.blocked_from))
        .bind(to_sql(it.slot.blocked_until))
        .bind(it.status.as_str())
        .bind(&it.notes)
        .execute(self.conn())
        .await
        .on_constraint("appointments_no_overlap", || SaveError::SlotTaken)?;
        Ok(())
    }

    async fn appointments(
        &mut self,
        filter: &AppointmentFilter,
        page: &PageRequest,
    ) -> Result<Page<AppointmentDetails>, StoreError> {
        let rows: Vec<AppointmentRow> = sqlx::query_as(appointments!(
            "and ($2::timestamptz is null or a.starts_at >= $2)
             and ($3::timestamptz is null or a.starts_at < $3)
             and ($4::text is null or a.status = $4)
             and ($5::uuid is null or a.contact_id = $5)
             and ($6::timestamptz is null or (a.starts_at, a.id) < ($6, $7))
             order by a.starts_at desc, a.id desc
             limit $8"
        ))
        .bind(self.org())
        .bind(filter.from.map(to_sql))
        .bind(filter.to.map(to_sql))
        .bind(filter.status.map(voxanne_scheduling::AppointmentStatus::as_str))
        .bind(filter.contact.map(|id| id.0))
        .bind(page.after.map(|after| to_sql(after.at)))
        .bind(page.after.map(|after| after.id))
        .bind(i64::from(page.limit()) + 1)
        .fetch_all(self.conn())
        .await
        .map_err(store_error)?;
        let rows = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<AppointmentDetails>, _>>()?;
        Ok(Page::cut(rows, page, |it| Position { at: it.appointment.slot.starts, id: it.appointment.id.0 }))
    }

    async fn upcoming(
        &mut self,
        phone: &E164,
        from: Timestamp,
    ) -> Result<Vec<AppointmentDetails>, StoreError> {
        let rows: Vec<AppointmentRow> = sqlx::query_as(appointments!(
            "and c.phone = $2 and a.starts_at >= $3 and a.status in ('pending_approval', 'confirmed', 'rescheduled')
             order by a.starts_at, a.id
             limit 20"
        ))
        .bind(self.org())
        .bind(phone.as_str())
        .bind(to_sql(from))
        .fetch_all(self.conn())
        .await
        .map_err(store_error)?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
