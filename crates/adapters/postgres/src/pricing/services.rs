//! The catalogue of services.

use async_trait::async_trait;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;
use voxanne_kernel::{Currency, Money, Page, PageRequest, Position, StoreError, ids::ServiceId};
use voxanne_pricing::{
    InsertError, Keywords, Minutes, Price, PriceList, Prices, Service, ServiceName, Services,
};

use crate::{
    TenantTx,
    constraint::{OnConstraint, corrupt, store_error},
    sql::{from_sql, to_sql},
};

const PAGE: &str = "select id, name, price_minor, currency, duration_minutes, keywords, is_active, created_at
   from services
  where org_id = $1 and deleted_at is null
    and (created_at, id) < (coalesce($2, 'infinity'), coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
  order by created_at desc, id desc
  limit $4";

const ONE: &str = "select id, name, price_minor, currency, duration_minutes, keywords, is_active, created_at
   from services where org_id = $1 and id = $2 and deleted_at is null for no key update";

/// Removed ones included: they say what an organization has stopped to sell.
const ALL: &str = "select id, name, price_minor, currency, duration_minutes, keywords, is_active, created_at
   from services where org_id = $1 order by created_at, id";

const ADD: &str = "insert into services
        (id, org_id, name, price_minor, currency, duration_minutes, keywords, is_active, created_at, updated_at)
 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)";

const SAVE: &str = "update services
    set name = $3, price_minor = $4, currency = $5, duration_minutes = $6, keywords = $7, is_active = $8,
        updated_at = now()
  where org_id = $1 and id = $2 and deleted_at is null";

const REMOVE: &str = "update services set is_active = false, deleted_at = now(), updated_at = now()
  where org_id = $1 and id = $2 and deleted_at is null";

#[derive(FromRow)]
struct ServiceRow {
    id: Uuid,
    name: String,
    price_minor: i64,
    currency: String,
    duration_minutes: i32,
    keywords: Vec<String>,
    is_active: bool,
    created_at: OffsetDateTime,
}

impl TryFrom<ServiceRow> for Service {
    type Error = StoreError;
    fn try_from(row: ServiceRow) -> Result<Self, StoreError> {
        macro_rules! read {
            ($column:literal, $read:expr) => {
                $read.map_err(|error| corrupt("services", $column, &row.id, error))?
            };
        }
        Ok(Self {
            id: ServiceId(row.id),
            name: read!("name", ServiceName::new(&row.name)),
            price: read!("price_minor", Price::new(Money::from_minor(row.price_minor))),
            currency: read!("currency", row.currency.parse()),
            duration: read!("duration_minutes", Minutes::new(i64::from(row.duration_minutes))),
            keywords: read!("keywords", Keywords::new(&row.keywords)),
            is_active: row.is_active,
            created_at: from_sql(row.created_at),
        })
    }
}

fn services(rows: Vec<ServiceRow>) -> Result<Vec<Service>, StoreError> {
    rows.into_iter().map(TryInto::try_into).collect()
}

fn keywords(service: &Service) -> Vec<&str> {
    service.keywords.iter().collect()
}

#[async_trait]
impl Services for TenantTx {
    async fn page(&mut self, request: &PageRequest) -> Result<Page<Service>, StoreError> {
        let rows: Vec<ServiceRow> = sqlx::query_as(PAGE)
            .bind(self.org())
            .bind(request.after.map(|after| to_sql(after.at)))
            .bind(request.after.map(|after| after.id))
            .bind(i64::from(request.limit()) + 1)
            .fetch_all(self.conn())
            .await
            .map_err(store_error)?;
        Ok(Page::cut(services(rows)?, request, |s| Position { at: s.created_at, id: s.id.0 }))
    }

    async fn find(&mut self, id: ServiceId) -> Result<Option<Service>, StoreError> {
        let row: Option<ServiceRow> = sqlx::query_as(ONE)
            .bind(self.org())
            .bind(id.0)
            .fetch_optional(self.conn())
            .await
            .map_err(store_error)?;
        row.map(TryInto::try_into).transpose()
    }

    async fn insert(&mut self, service: &Service) -> Result<(), InsertError> {
        sqlx::query(ADD)
            .bind(service.id.0)
            .bind(self.org())
            .bind(service.name.as_str())
            .bind(service.price.amount().minor())
            .bind(service.currency.as_str())
            .bind(i32::from(service.duration.get()))
            .bind(keywords(service))
            .bind(service.is_active)
            .bind(to_sql(service.created_at))
            .execute(self.conn())
            .await
            .on_constraint("services_by_name", || InsertError::NameTaken)?;
        Ok(())
    }

    async fn update(&mut self, service: &Service) -> Result<(), InsertError> {
        sqlx::query(SAVE)
            .bind(self.org())
            .bind(service.id.0)
            .bind(service.name.as_str())
            .bind(service.price.amount().minor())
            .bind(service.currency.as_str())
            .bind(i32::from(service.duration.get()))
            .bind(keywords(service))
            .bind(service.is_active)
            .execute(self.conn())
            .await
            .on_constraint("services_by_name", || InsertError::NameTaken)?;
        Ok(())
    }

    async fn remove(&mut self, id: ServiceId) -> Result<(), StoreError> {
        sqlx::query(REMOVE).bind(self.org()).bind(id.0).execute(self.conn()).await.map_err(store_error)?;
        Ok(())
    }

    async fn currency(&mut self) -> Result<Currency, StoreError> {
        let currency: String = sqlx::query_scalar("select currency from organizations where id = $1")
            .bind(self.org())
            .fetch_one(self.conn())
            .await
            .map_err(store_error)?;
        currency.parse().map_err(|error: voxanne_kernel::money::NotACurrency| {
            corrupt("organizations", "currency", &self.org(), error)
        })
    }
}

#[async_trait]
impl Prices for TenantTx {
    async fn price_list(&mut self) -> Result<PriceList, StoreError> {
        let rows: Vec<ServiceRow> =
            sqlx::query_as(ALL).bind(self.org()).fetch_all(self.conn()).await.map_err(store_error)?;
        Ok(PriceList { currency: self.currency().await?, services: services(rows)? })
    }
}
