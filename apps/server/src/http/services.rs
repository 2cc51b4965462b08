//! Services and their prices.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Currency, ids::ServiceId};
use voxanne_pricing::{
    BadService, CatalogueError, Keywords, Minutes, NewService, Price, Service, ServiceName, ServicePatch,
};

use super::call_rows::major;
use crate::{
    app::App,
    http::{
        extract::{Caller, Id, Member},
        json::{Body, Query},
        page::{PageBody, PageQuery},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(one, change, remove))
}

/// Something the organization sells.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ServiceBody {
    id: Uuid,
    name: String,
    /// In major units.
    #[schema(value_type = f64, example = 400)]
    price: Number,
    /// ISO 4217.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    duration_minutes: u16,
    /// Words that mean it, besides its name.
    keywords: Vec<String>,
    /// Whether it is offered.
    is_active: bool,
}

impl From<Service> for ServiceBody {
    fn from(service: Service) -> Self {
        Self {
            id: service.id.0,
            name: service.name.as_str().to_owned(),
            price: major(service.price.amount()),
            currency: service.currency,
            duration_minutes: service.duration.get(),
            keywords: service.keywords.iter().map(str::to_owned).collect(),
            is_active: service.is_active,
        }
    }
}

/// Lists services, the newest first.
#[utoipa::path(get, path = "/api/services", tag = "services", params(PageQuery),
    responses((status = 200, body = PageBody<ServiceBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Json<PageBody<ServiceBody>>, Problem> {
    let page = app.pricing.catalogue.list(&caller.scope, &query.request()?).await?;
    Ok(Json(PageBody::of(page, ServiceBody::from)))
}

/// A new service.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewServiceBody {
    /// 1 to 120 characters; unique among the active services.
    name: String,
    /// In major units, at most two decimals.
    #[schema(value_type = f64, example = 129.5)]
    price: Number,
    /// ISO 4217; the organization's own unless given.
    currency: Option<String>,
    /// 5 to 480; 30 unless given.
    duration_minutes: Option<i64>,
    /// At most 50, each of 1 to 60 characters.
    keywords: Option<Vec<String>>,
    /// True unless given.
    is_active: Option<bool>,
}

impl NewServiceBody {
    fn into_new(self) -> Result<NewService, Problem> {
        Ok(NewService {
            name: ServiceName::new(&self.name)?,
            price: Price::from_number(&self.price)?,
            currency: self.currency.as_deref().map(currency).transpose()?,
            duration: self.duration_minutes.map(Minutes::new).transpose()?,
            keywords: Keywords::new(self.keywords.unwrap_or_default())?,
            is_active: self.is_active.unwrap_or(true),
        })
    }
}

/// Adds a service. A name that another active service has answers 409 `service_exists`.
#[utoipa::path(post, path = "/api/services", tag = "services", request_body = NewServiceBody,
    responses((status = 201, body = ServiceBody), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    caller: Member,
    Body(body): Body<NewServiceBody>,
) -> Result<(StatusCode, Json<ServiceBody>), Problem> {
    let service = app.pricing.catalogue.add(&caller.scope, body.into_new()?).await?;
    Ok((StatusCode::CREATED, Json(service.into())))
}

/// One service.
#[utoipa::path(get, path = "/api/services/{id}", tag = "services", params(("id" = Uuid, Path)),
    responses((status = 200, body = ServiceBody), (status = 404, body = ProblemBody)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ServiceId>,
) -> Result<Json<ServiceBody>, Problem> {
    Ok(Json(app.pricing.catalogue.get(&caller.scope, id).await?.into()))
}

/// What shall be different; what is left out stays.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ServiceChangeBody {
    /// 1 to 120 characters; unique among the active services.
    name: Option<String>,
    /// In major units, at most two decimals.
    #[schema(value_type = Option<f64>)]
    price: Option<Number>,
    /// ISO 4217.
    currency: Option<String>,
    /// 5 to 480.
    duration_minutes: Option<i64>,
    /// All of them: at most 50, each of 1 to 60 characters.
    keywords: Option<Vec<String>>,
    /// Whether it is offered.
    is_active: Option<bool>,
}

impl ServiceChangeBody {
    fn into_patch(self) -> Result<ServicePatch, Problem> {
        Ok(ServicePatch {
            name: self.name.as_deref().map(ServiceName::new).transpose()?,
            price: self.price.as_ref().map(Price::from_number).transpose()?,
            currency: self.currency.as_deref().map(currency).transpose()?,
            duration: self.duration_minutes.map(Minutes::new).transpose()?,
            keywords: self.keywords.map(Keywords::new).transpose()?,
            is_active: self.is_active,
        })
    }
}

/// Changes a service, as a whole or not at all.
#[utoipa::path(patch, path = "/api/services/{id}", tag = "services", params(("id" = Uuid, Path)),
    request_body = ServiceChangeBody,
    responses((status = 200, body = ServiceBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Member,
    Id(id): Id<ServiceId>,
    Body(body): Body<ServiceChangeBody>,
) -> Result<Json<ServiceBody>, Problem> {
    Ok(Json(app.pricing.catalogue.change(&caller.scope, id, body.into_patch()?).await?.into()))
}

/// Takes a service off the catalogue. Appointments made for it keep it.
#[utoipa::path(delete, path = "/api/services/{id}", tag = "services", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Member,
    Id(id): Id<ServiceId>,
) -> Result<StatusCode, Problem> {
    app.pricing.catalogue.remove(&caller.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn currency(text: &str) -> Result<Currency, Problem> {
    text.parse()
        .map_err(|rule: voxanne_kernel::money::NotACurrency| Problem::invalid("currency", rule.to_string()))
}

impl From<BadService> for Problem {
    fn from(bad: BadService) -> Self {
        Self::invalid(bad.field.as_str(), bad.rule)
    }
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        match error {
            CatalogueError::NotFound => Self::not_found(),
            CatalogueError::NameTaken => {
                Self::conflict("service_exists", "Another active service has this name.")
                    .detail("name", "is another active service's")
            }
            CatalogueError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        let field = |body| {
            let problem = serde_json::from_value::<NewServiceBody>(body).unwrap().into_new().unwrap_err();
            problem.body("r").details.keys().next().unwrap().clone()
        };
        assert_eq!(field(json!({"name": "", "price": 1})), "name");
        assert_eq!(field(json!({"name": "Peel", "price": 1.234})), "price");
        assert_eq!(field(json!({"name": "Peel", "price": -1})), "price");
        assert_eq!(field(json!({"name": "Peel", "price": 1, "currency": "dollars"})), "currency");
        assert_eq!(field(json!({"name": "Peel", "price": 1, "duration_minutes": 0})), "duration_minutes");
        assert_eq!(field(json!({"name": "Peel", "price": 1, "keywords": [""]})), "keywords");
    }

    #[test]
    fn a_price_goes_out_in_major_units() {
        for (minor, text) in [(40_000, "400"), (12_950, "129.5"), (1, "0.01")] {
            assert_eq!(major(voxanne_kernel::Money::from_minor(minor)).to_string(), text);
        }
    }
}
