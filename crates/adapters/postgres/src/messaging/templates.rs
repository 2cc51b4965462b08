//! Templates and what they said before.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{Page, PageRequest, Position, StoreError, ids::TemplateId};
use voxanne_messaging::{
    channel::Channel,
    templates::{PutTemplateError, Template, TemplateName, TemplateStore, TemplateVersion},
};

use crate::{
    TenantTx,
    constraint::{OnConstraint, corrupt, store_error},
    sql::{from_sql, to_sql},
};

const PAGE: &str =
    "select id, name, channel, subject, body, version, created_at, updated_at from message_templates
  where org_id = $1 and ($2::text is null or channel = $2)
    and (created_at, id) < (coalesce($3, 'infinity'), coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
  order by created_at desc, id desc limit $5";
const ONE: &str =
    "select id, name, channel, subject, body, version, created_at, updated_at from message_templates
  where org_id = $1 and id = $2";
const ONE_TO_CHANGE: &str =
    "select id, name, channel, subject, body, version, created_at, updated_at from message_templates
  where org_id = $1 and id = $2 for update";
const PUT: &str = "insert into message_templates
        (id, org_id, name, channel, subject, body, version, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
 on conflict (org_id, id) do update
    set name = excluded.name, subject = excluded.subject, body = excluded.body, version = excluded.version,
        updated_at = excluded.updated_at";
const KEEP: &str = "insert into message_template_versions
        (org_id, template_id, version, name, subject, body, created_at) values ($1, $2, $3, $4, $5, $6, $7)";
const VERSIONS: &str = "select version, name, subject, body, created_at from message_template_versions
  where org_id = $1 and template_id = $2 order by version desc limit 100";
const REMOVE: &str = "delete from message_templates where org_id = $1 and id = $2";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    name: String,
    channel: String,
    subject: Option<String>,
    body: String,
    version: i32,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl TryFrom<Row> for Template {
    type Error = StoreError;
    fn try_from(row: Row) -> Result<Self, StoreError> {
        let table = "message_templates";
        Ok(Self {
            id: TemplateId(row.id),
            name: TemplateName::new(&row.name).map_err(|error| corrupt(table, "name", &row.id, error))?,
            channel: row.channel.parse().map_err(|error| corrupt(table, "channel", &row.id, error))?,
            subject: row.subject,
            body: row.body,
            version: row.version.unsigned_abs(),
            created_at: from_sql(row.created_at),
            updated_at: from_sql(row.updated_at),
        })
    }
}

#[derive(FromRow)]
struct VersionRow {
    version: i32,
    name: String,
    subject: Option<String>,
    body: String,
    created_at: OffsetDateTime,
}

impl From<VersionRow> for TemplateVersion {
    fn from(row: VersionRow) -> Self {
        let VersionRow { version, name, subject, body, created_at } = row;
        Self { version: version.unsigned_abs(), name, subject, body, created_at: from_sql(created_at) }
    }
}

impl TenantTx {
    async fn one_template(
        &mut self,
        query: &'static str,
        id: TemplateId,
    ) -> Result<Option<Template>, StoreError> {
        let org = self.org();
        let row: Option<Row> = sqlx::query_as(query)
            .bind(org)
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }
}

#[async_trait]
impl TemplateStore for TenantTx {
    async fn templates(
        &mut self,
        channel: Option<Channel>,
        page: &PageRequest,
    ) -> Result<Page<Template>, StoreError> {
        let org = self.org();
        let rows: Vec<Row> = sqlx::query_as(PAGE)
            .bind(org)
            .bind(channel.map(Channel::as_str))
            .bind(page.after.map(|after| to_sql(after.at)))
            .bind(page.after.map(|after| after.id))
            .bind(i64::from(page.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        let rows = rows.into_iter().map(TryInto::try_into).collect::<Result<Vec<Template>, _>>()?;
        Ok(Page::cut(rows, page, |row| Position { at: row.created_at, id: row.id.0 }))
    }

    async fn template(&mut self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        self.one_template(ONE, id).await
    }

    async fn template_to_change(&mut self, id: TemplateId) -> Result<Option<Template>, StoreError> {
        self.one_template(ONE_TO_CHANGE, id).await
    }

    async fn template_versions(&mut self, id: TemplateId) -> Result<Vec<TemplateVersion>, StoreError> {
        let org = self.org();
        let rows: Vec<VersionRow> = sqlx::query_as(VERSIONS)
            .bind(org)
            .bind(id.0)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    async fn put_template(&mut self, template: &Template) -> Result<(), PutTemplateError> {
        let org = self.org();
        let version = i32::try_from(template.version).unwrap_or(i32::MAX);
        sqlx::query(PUT)
            .bind(template.id.0)
            .bind(org)
            .bind(template.name.as_str())
            .bind(template.channel.as_str())
            .bind(&template.subject)
            .bind(&template.body)
            .bind(version)
            .bind(to_sql(template.created_at))
            .bind(to_sql(template.updated_at))
            .execute(self.conn())
            .await
            .on_constraint("message_templates_by_name", || PutTemplateError::NameTaken)?;
        sqlx::query(KEEP)
            .bind(org)
            .bind(template.id.0)
            .bind(version)
            .bind(template.name.as_str())
            .bind(&template.subject)
            .bind(&template.body)
            .bind(to_sql(template.updated_at))
            .execute(self.conn())
            .await
            .map_err(store_error)?;
        Ok(())
    }

    async fn remove_template(&mut self, id: TemplateId) -> Result<bool, StoreError> {
        let org = self.org();
        let removed =
            sqlx::query(REMOVE).bind(org).bind(id.0).execute(self.conn()).await.map_err(store_error)?;
        Ok(removed.rows_affected() > 0)
    }
}
