//! Contacts.

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_calls::{
    Contact, ContactFilter, ContactName, ContactRecords, ContactStats, Interests, LeadScore, LeadStatus,
    Leads, Notes, PhoneTaken,
};
use voxanne_kernel::{E164, EmailAddress, Page, PageRequest, Position, StoreError, ids::ContactId};

use crate::{
    TenantTx,
    constraint::{OnConstraint, corrupt, store_error},
    sql::{from_sql, to_sql},
};

const BY_ID: &str = "select id, name, phone, email, lead_status, lead_score, services_interested, notes,
        last_contacted_at, created_at
   from contacts where org_id = $1 and id = $2 for no key update";

const BY_PHONE: &str = "select id, name, phone, email, lead_status, lead_score, services_interested, notes,
        last_contacted_at, created_at
   from contacts where org_id = $1 and phone = $2 for no key update";

const PAGE: &str = "select id, name, phone, email, lead_status, lead_score, services_interested, notes,
        last_contacted_at, created_at
   from contacts
  where org_id = $1
    and (created_at, id) < (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
    and ($4::text is null or lead_status = $4)
    and ($5::text is null or position(lower($5) in lower(concat_ws(' ', name, phone, email))) > 0)
  order by created_at desc, id desc
  limit $6";

const ADD: &str = "insert into contacts
        (id, org_id, name, phone, email, lead_status, lead_score, services_interested, notes, last_contacted_at,
         created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)";

const ADD_IF_NEW: &str = "insert into contacts (id, org_id, name, phone, lead_status, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $6)
     on conflict (org_id, phone) do nothing";

const SAVE: &str = "update contacts
    set name = $3, phone = $4, email = $5, lead_status = $6, lead_score = $7, services_interested = $8, notes = $9,
        last_contacted_at = $10, updated_at = now()
  where org_id = $1 and id = $2";

/// The thresholds are the domain's; the arithmetic is [`LeadScore::at`]'s, here so that the answer comes from the
/// index alone. A test holds the two together.
const STATS: &str = "select count(*), count(*) filter (where score >= $4),
        count(*) filter (where score >= $5 and score < $4)
   from (select lead_score + case when last_contacted_at > $2 then 10 when last_contacted_at > $3 then 5 else 0 end
           from contacts where org_id = $1) as scored(score)";

#[derive(FromRow)]
struct ContactRow {
    id: Uuid,
    name: Option<String>,
    phone: String,
    email: Option<String>,
    lead_status: String,
    lead_score: i16,
    services_interested: Vec<String>,
    notes: Option<String>,
    last_contacted_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl TryFrom<ContactRow> for Contact {
    type Error = StoreError;
    fn try_from(row: ContactRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("contacts", $column, &row.id, error))?
            };
        }
        let name = row.name.as_deref().filter(|name| !name.trim().is_empty());
        let mut interests = Interests::default();
        interests.add(row.services_interested.iter().map(String::as_str));
        Ok(Self {
            id: ContactId(row.id),
            name: read!("name", name.map(ContactName::new).transpose()),
            phone: read!("phone", E164::new(&row.phone)),
            email: read!("email", row.email.as_deref().map(EmailAddress::new).transpose()),
            lead_status: read!("lead_status", row.lead_status.parse()),
            score: LeadScore::from_stored(row.lead_score),
            interests,
            notes: read!("notes", row.notes.as_deref().map(Notes::new).transpose()),
            last_contacted_at: row.last_contacted_at.map(from_sql),
            created_at: from_sql(row.created_at),
        })
    }
}

#[async_trait]
impl ContactRecords for TenantTx {
    async fn find(&mut self, id: ContactId) -> Result<Option<Contact>, StoreError> {
        let row: Option<ContactRow> = sqlx::query_as(BY_ID)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn find_or_create(&mut self, first: &Contact) -> Result<(Contact, bool), StoreError> {
        let added = sqlx::query(ADD_IF_NEW)
            .bind(first.id.0)
            .bind(self.org())
            .bind(first.name.as_ref().map(ContactName::as_str))
            .bind(first.phone.as_str())
            .bind(first.lead_status.as_str())
            .bind(to_sql(first.created_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        let row: ContactRow = sqlx::query_as(BY_PHONE)
            .bind(self.org())
            .bind(first.phone.as_str())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        Ok((row.try_into()?, added.rows_affected() == 1))
    }

    async fn insert(&mut self, contact: &Contact) -> Result<(), PhoneTaken> {
        sqlx::query(ADD)
            .bind(contact.id.0)
            .bind(self.org())
            .bind(contact.name.as_ref().map(ContactName::as_str))
            .bind(contact.phone.as_str())
            .bind(contact.email.as_ref().map(EmailAddress::as_str))
            .bind(contact.lead_status.as_str())
            .bind(i16::from(contact.score.get()))
            .bind(contact.interests.as_slice())
            .bind(contact.notes.as_ref().map(Notes::as_str))
            .bind(contact.last_contacted_at.map(to_sql))
            .bind(to_sql(contact.created_at))
            .execute(self.conn())
            .await
            .on_constraint("contacts_org_id_phone_key", || PhoneTaken::Taken)?;
        Ok(())
    }

    async fn update(&mut self, contact: &Contact) -> Result<(), PhoneTaken> {
        sqlx::query(SAVE)
            .bind(self.org())
            .bind(contact.id.0)
            .bind(contact.name.as_ref().map(ContactName::as_str))
            .bind(contact.phone.as_str())
            .bind(contact.email.as_ref().map(EmailAddress::as_str))
            .bind(contact.lead_status.as_str())
            .bind(i16::from(contact.score.get()))
            .bind(contact.interests.as_slice())
            .bind(contact.notes.as_ref().map(Notes::as_str))
            .bind(contact.last_contacted_at.map(to_sql))
            .execute(self.conn())
            .await
            .on_constraint("contacts_org_id_phone_key", || PhoneTaken::Taken)?;
        Ok(())
    }
}

#[async_trait]
impl Leads for TenantTx {
    async fn page(
        &mut self,
        filter: &ContactFilter,
        request: &PageRequest,
    ) -> Result<Page<Contact>, StoreError> {
        let rows: Vec<ContactRow> = sqlx::query_as(PAGE)
            .bind(self.org())
            .bind(request.after.map(|after| to_sql(after.at)))
            .bind(request.after.map(|after| after.id))
            .bind(filter.lead_status.map(LeadStatus::as_str))
            .bind(filter.text.as_deref())
            .bind(i64::from(request.limit()) + 1)
            // Planned for these values each time: a plan for any would sort all contacts rather than read a page.
            .persistent(false)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let contacts = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<Contact>, _>>()?;
        Ok(Page::cut(contacts, request, |c| Position { at: c.created_at, id: c.id.0 }))
    }

    async fn stats(&mut self, now: Timestamp) -> Result<ContactStats, StoreError> {
        let ago =
            |hours| to_sql(now.saturating_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN));
        let (total, hot, warm): (i64, i64, i64) = sqlx::query_as(STATS)
            .bind(self.org())
            .bind(ago(24))
            .bind(ago(24 * 7))
            .bind(i32::from(LeadScore::HOT))
            .bind(i32::from(LeadScore::WARM))
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(ContactStats {
            total: count(total),
            hot: count(hot),
            warm: count(warm),
            cold: count(total - hot - warm),
        })
    }
}
