//! Reminders: what is due anywhere, and what was decided about it.

use async_trait::async_trait;
use jiff::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{
    NotSent, StoreError, Zone,
    ids::{AppointmentId, MessageId, OrgId},
};
use voxanne_messaging::{
    message::{Content, EmailContent, NewMessage, Purpose, Recipient},
    providers::Attachment,
    send::withdraw,
};
use voxanne_scheduling::remind::{
    Due, ReminderRules,
    ports::{DueReminders, Host, Noted, Post, Reminder, Reminders, TakeBack, Words},
};

use crate::{
    SystemTx, TenantTx,
    constraint::{corrupt, store_error},
    sql::{from_sql, to_sql},
};

/// Looks no further ahead than the earliest that anybody wants to remind.
const DUE: &str = "select a.org_id, a.id, a.starts_at, l.lead
   from appointments a
   left join reminder_rules r on r.org_id = a.org_id
  cross join lateral unnest(coalesce(r.leads, '{1440,120}'::integer[])) as l (lead)
  where a.status in ('confirmed', 'rescheduled')
    and a.starts_at > $1
    and a.starts_at <= $1 + make_interval(mins => greatest(1440, (select max(x.leads[1]) from reminder_rules x)))
    and a.starts_at <= $1 + make_interval(mins => l.lead)
    and coalesce(r.enabled, true)
    and not exists (select from appointment_reminders d
                     where d.org_id = a.org_id and d.appointment_id = a.id and d.starts_at = a.starts_at
                       and d.lead_minutes = l.lead)
    and ($2::timestamptz is null or (a.starts_at, a.org_id, a.id, l.lead) > ($2, $3, $4, $5))
  order by a.starts_at, a.org_id, a.id, l.lead
  limit $6";

const HOST: &str = "select o.name, o.timezone, r.enabled, r.method, r.leads
   from organizations o left join reminder_rules r on r.org_id = o.id where o.id = $1";

const NOTE: &str = "insert into appointment_reminders
    (org_id, appointment_id, starts_at, lead_minutes, message_id, skipped, decided_at)
 values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing";

/// A reminder that was taken back was never sent: it is due again if its appointment comes back to its time.
const FORGET: &str = "delete from appointment_reminders where org_id = $1 and message_id = any ($2)";

const CONFIRMED: &str = "update appointments set confirmation_sent = true, updated_at = now()
      where org_id = $1 and id = $2 and not confirmation_sent";

const PUT_RULES: &str =
    "insert into reminder_rules as r (org_id, enabled, method, leads) values ($1, $2, $3, $4)
 on conflict (org_id) do update
    set enabled = excluded.enabled, method = excluded.method, leads = excluded.leads, updated_at = now()";

#[derive(sqlx::FromRow)]
struct DueRow {
    org_id: Uuid,
    id: Uuid,
    starts_at: OffsetDateTime,
    lead: i32,
}

#[derive(sqlx::FromRow)]
struct HostRow {
    name: String,
    timezone: String,
    enabled: Option<bool>,
    method: Option<String>,
    leads: Option<Vec<i32>>,
}

#[async_trait]
impl DueReminders for SystemTx {
    async fn due_reminders(
        &mut self,
        now: Timestamp,
        after: Option<&Due>,
        limit: u16,
    ) -> Result<Vec<Due>, StoreError> {
        let rows: Vec<DueRow> = sqlx::query_as(DUE)
            .bind(to_sql(now))
            .bind(after.map(|after| to_sql(after.starts)))
            .bind(after.map(|after| after.org.0))
            .bind(after.map(|after| after.appointment.0))
            .bind(after.map(|after| i32::try_from(after.lead).unwrap_or(i32::MAX)))
            .bind(i64::from(limit))
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let due = |row: DueRow| Due {
            org: OrgId(row.org_id),
            appointment: AppointmentId(row.id),
            starts: from_sql(row.starts_at),
            lead: row.lead.unsigned_abs(),
        };
        Ok(rows.into_iter().map(due).collect())
    }
}

#[async_trait]
impl Reminders for TenantTx {
    async fn host(&mut self) -> Result<Option<Host>, StoreError> {
        let org = self.org();
        let row: Option<HostRow> =
            sqlx::query_as(HOST).bind(org).fetch_optional(self.conn()).await.map_err(store_error)?;
        row.map(|row| host(row, org)).transpose()
    }

    async fn note_reminder(&mut self, due: &Due, noted: &Noted, at: Timestamp) -> Result<bool, StoreError> {
        let (message, skipped) = match noted {
            Noted::Sent(message) => (Some(message.0), None),
            Noted::Skipped(why) => (None, Some(*why)),
        };
        let noted = sqlx::query(NOTE)
            .bind(self.org())
            .bind(due.appointment.0)
            .bind(to_sql(due.starts))
            .bind(i32::try_from(due.lead).unwrap_or(i32::MAX))
            .bind(message)
            .bind(skipped)
            .bind(to_sql(at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(noted.rows_affected() == 1)
    }

    async fn confirmation_sent(&mut self, appointment: AppointmentId) -> Result<(), StoreError> {
        let org = self.org();
        sqlx::query(CONFIRMED)
            .bind(org)
            .bind(appointment.0)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn put_reminder_rules(&mut self, rules: &ReminderRules) -> Result<(), StoreError> {
        let leads: Vec<i32> =
            rules.leads().iter().map(|lead| i32::try_from(*lead).unwrap_or(i32::MAX)).collect();
        sqlx::query(PUT_RULES)
            .bind(self.org())
            .bind(rules.enabled())
            .bind(rules.method().as_str())
            .bind(leads)
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }
}

fn host(row: HostRow, org: Uuid) -> Result<Host, StoreError> {
    let unreadable =
        |table, column, error: Box<dyn std::error::Error + Send + Sync>| corrupt(table, column, &org, error);
    let rules = match (row.enabled, row.method, row.leads) {
        (Some(enabled), Some(method), Some(leads)) => {
            let method = method.parse().map_err(|error: voxanne_scheduling::remind::UnknownMethod| {
                unreadable("reminder_rules", "method", error.into())
            })?;
            let leads = leads.into_iter().map(i32::unsigned_abs).collect();
            ReminderRules::new(enabled, method, leads)
                .map_err(|error| unreadable("reminder_rules", "leads", error.into()))?
        }
        _ => ReminderRules::default(),
    };
    let zone =
        Zone::new(&row.timezone).map_err(|error| unreadable("organizations", "timezone", error.into()))?;
    Ok(Host { name: row.name, zone, rules })
}

#[async_trait]
impl Post for TenantTx {
    async fn remind(&mut self, reminder: Reminder) -> Result<MessageId, NotSent> {
        let Reminder { appointment, contact, is_automatic, not_after, as_of, words } = reminder;
        let purpose = if is_automatic {
            Purpose::Reminder { appointment }
        } else {
            Purpose::ReminderByHand { appointment }
        };
        let (to, content) = match words {
            Words::Sms { to, body } => (Recipient::Phone(to), Content::Sms { body }),
            Words::Email { to, subject, text, html, calendar } => {
                let file = Attachment {
                    name: "appointment.ics".to_owned(),
                    content_type: "text/calendar; charset=utf-8; method=PUBLISH".to_owned(),
                    content: calendar.into_bytes(),
                };
                let mail =
                    EmailContent { subject, text, html: Some(html), reply_to: None, attachments: vec![file] };
                (Recipient::Email(to), Content::Email(mail))
            }
        };
        let new = NewMessage::new(to, content, purpose);
        let (contact, not_after) = (Some(contact), Some(not_after));
        self.record_message(NewMessage { contact, not_after, as_of, ..new }).await
    }
}

#[async_trait]
impl TakeBack for TenantTx {
    async fn take_back_reminders(
        &mut self,
        appointment: AppointmentId,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let ended: Vec<Uuid> =
            withdraw(self, appointment, at).await?.into_iter().map(|message| message.0).collect();
        if ended.is_empty() {
            return Ok(());
        }
        sqlx::query(FORGET).bind(self.org()).bind(ended).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }
}
