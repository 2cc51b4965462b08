//! Contacts and leads.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_calls::{
    BadContact, Contact, ContactError, ContactFilter, ContactName, ContactPatch, ContactStats, Interests,
    LeadStatus, NewContact, Notes,
};
use voxanne_kernel::{E164, EmailAddress, Timestamp, ids::ContactId};

use super::calls::{one_of, search};
use crate::{
    app::App,
    http::{
        extract::{Caller, Id},
        json::{Body, Query},
        page::{PageBody, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(stats)).routes(routes!(one, change))
}

/// A contact.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ContactBody {
    id: Uuid,
    contact_name: Option<String>,
    /// The same as `contact_name`.
    #[schema(deprecated)]
    name: Option<String>,
    phone_number: String,
    /// The same as `phone_number`.
    #[schema(deprecated)]
    phone: String,
    email: Option<String>,
    /// `new`, `contacted`, `booked` or `lost`.
    lead_status: &'static str,
    /// 0 to 100, now: a lead cools down.
    lead_score: u8,
    /// `hot` from 70, `warm` from 40, else `cold`.
    temperature: &'static str,
    /// Names of services.
    services_interested: Vec<String>,
    notes: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_contacted_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl ContactBody {
    fn of(contact: Contact, now: Timestamp) -> Self {
        let score = contact.score_at(now);
        let name = contact.name.as_ref().map(|name| name.as_str().to_owned());
        Self {
            id: contact.id.0,
            contact_name: name.clone(),
            name,
            phone_number: contact.phone.as_str().to_owned(),
            phone: contact.phone.into(),
            email: contact.email.map(Into::into),
            lead_status: contact.lead_status.as_str(),
            lead_score: score.get(),
            temperature: score.temperature().as_str(),
            services_interested: contact.interests.as_slice().to_vec(),
            notes: contact.notes.map(|notes| notes.as_str().to_owned()),
            last_contacted_at: contact.last_contacted_at,
            created_at: contact.created_at,
        }
    }
}

/// Which contacts are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `new`, `contacted`, `booked` or `lost`.
    lead_status: Option<String>,
    /// Text that the name, the number or the e-mail address contains.
    q: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Lists contacts, the newest first.
#[utoipa::path(get, path = "/api/contacts", tag = "contacts", params(ListQuery),
    responses((status = 200, body = PageBody<ContactBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<PageBody<ContactBody>>, Problem> {
    let request = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = ContactFilter {
        lead_status: query
            .lead_status
            .as_deref()
            .map(|text| one_of::<LeadStatus>("lead_status", text))
            .transpose()?,
        text: query.q.as_deref().map(|text| search("q", text)).transpose()?.flatten(),
    };
    let page = app.calls.contacts.list(&caller.scope, &filter, &request).await?;
    let now = app.base.clock.now();
    Ok(Json(PageBody::of(page, |contact| ContactBody::of(contact, now))))
}

/// How many contacts there are, by temperature.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ContactStatsBody {
    total_leads: u64,
    /// Score from 70.
    hot_leads: u64,
    /// Score from 40.
    warm_leads: u64,
    cold_leads: u64,
    /// The same as `total_leads`.
    #[schema(deprecated)]
    total: u64,
    /// The same as `hot_leads`.
    #[schema(deprecated)]
    hot: u64,
    /// The same as `warm_leads`.
    #[schema(deprecated)]
    warm: u64,
    /// The same as `cold_leads`.
    #[schema(deprecated)]
    cold: u64,
}

impl From<ContactStats> for ContactStatsBody {
    fn from(ContactStats { total, hot, warm, cold }: ContactStats) -> Self {
        Self {
            total_leads: total,
            hot_leads: hot,
            warm_leads: warm,
            cold_leads: cold,
            total,
            hot,
            warm,
            cold,
        }
    }
}

/// How many contacts there are, by temperature now.
#[utoipa::path(get, path = "/api/contacts/stats", tag = "contacts", responses((status = 200, body = ContactStatsBody)))]
async fn stats(State(app): State<App>, caller: Caller) -> Result<Json<ContactStatsBody>, Problem> {
    Ok(Json(app.calls.contacts.stats(&caller.scope).await?.into()))
}

/// A new contact.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewContactBody {
    /// 1 to 200 characters.
    name: String,
    /// E.164, unique within the organization.
    #[schema(example = "+15005550006")]
    phone: String,
    email: Option<String>,
    /// `new`, `contacted`, `booked` or `lost`; `new` unless given.
    lead_status: Option<String>,
    /// Names of services, at most 50.
    service_interests: Option<Vec<String>>,
    /// At most 5,000 characters.
    notes: Option<String>,
}

impl NewContactBody {
    fn into_new(self) -> Result<NewContact, Problem> {
        Ok(NewContact {
            name: ContactName::new(&self.name)?,
            phone: phone(&self.phone)?,
            email: self.email.as_deref().map(email).transpose()?,
            lead_status: self
                .lead_status
                .as_deref()
                .map_or(Ok(LeadStatus::New), |text| one_of("lead_status", text))?,
            interests: Interests::new(self.service_interests.unwrap_or_default())?,
            notes: self.notes.as_deref().map(Notes::new).transpose()?,
        })
    }
}

/// Adds a contact. A number that another contact has answers 409 `contact_exists`.
#[utoipa::path(post, path = "/api/contacts", tag = "contacts", request_body = NewContactBody,
    responses((status = 201, body = ContactBody), (status = 409, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NewContactBody>,
) -> Result<(StatusCode, Json<ContactBody>), Problem> {
    let contact = app.calls.contacts.add(&caller.scope, body.into_new()?).await?;
    Ok((StatusCode::CREATED, Json(ContactBody::of(contact, app.base.clock.now()))))
}

/// One contact.
#[utoipa::path(get, path = "/api/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    responses((status = 200, body = ContactBody), (status = 404, body = ProblemBody)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ContactId>,
) -> Result<Json<ContactBody>, Problem> {
    let contact = app.calls.contacts.get(&caller.scope, id).await?;
    Ok(Json(ContactBody::of(contact, app.base.clock.now())))
}

/// What shall be different. What is left out stays; null removes an e-mail address or notes.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ContactChangeBody {
    /// 1 to 200 characters.
    name: Option<String>,
    /// E.164, unique within the organization.
    phone: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    email: Given,
    /// `new`, `contacted`, `booked` or `lost`. A contact who has booked stays `booked`.
    lead_status: Option<String>,
    /// Names of services, at most 50.
    service_interests: Option<Vec<String>>,
    /// At most 5,000 characters.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    notes: Given,
}

/// A field that null empties.
#[derive(Debug, Default)]
enum Given {
    #[default]
    Absent,
    Null,
    Text(String),
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Null, Self::Text))
    }
}

impl Given {
    #[expect(clippy::option_option, reason = "the three cases of a patch, as the domain has them")]
    fn read<T, E>(&self, read: impl Fn(&str) -> Result<T, E>) -> Result<Option<Option<T>>, E> {
        match self {
            Self::Absent => Ok(None),
            Self::Null => Ok(Some(None)),
            Self::Text(text) => read(text).map(|value| Some(Some(value))),
        }
    }
}

impl ContactChangeBody {
    fn into_patch(self) -> Result<ContactPatch, Problem> {
        Ok(ContactPatch {
            name: self.name.as_deref().map(ContactName::new).transpose()?,
            phone: self.phone.as_deref().map(phone).transpose()?,
            email: self.email.read(email)?,
            lead_status: self.lead_status.as_deref().map(|text| one_of("lead_status", text)).transpose()?,
            interests: self.service_interests.map(Interests::new).transpose()?,
            notes: self.notes.read(Notes::new)?,
        })
    }
}

/// Changes a contact, as a whole or not at all.
#[utoipa::path(patch, path = "/api/contacts/{id}", tag = "contacts", params(("id" = Uuid, Path)),
    request_body = ContactChangeBody,
    responses((status = 200, body = ContactBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<ContactId>,
    Body(body): Body<ContactChangeBody>,
) -> Result<Json<ContactBody>, Problem> {
    let contact = app.calls.contacts.change(&caller.scope, id, body.into_patch()?).await?;
    Ok(Json(ContactBody::of(contact, app.base.clock.now())))
}

fn phone(text: &str) -> Result<E164, Problem> {
    E164::new(text).map_err(|rule| Problem::invalid("phone", rule.to_string()))
}

fn email(text: &str) -> Result<EmailAddress, Problem> {
    EmailAddress::new(text).map_err(|rule| Problem::invalid("email", rule.to_string()))
}

impl From<BadContact> for Problem {
    fn from(bad: BadContact) -> Self {
        Self::invalid(bad.field.as_str(), bad.rule)
    }
}

impl From<ContactError> for Problem {
    fn from(error: ContactError) -> Self {
        match error {
            ContactError::NotFound => Self::not_found(),
            ContactError::PhoneTaken => {
                Self::conflict("contact_exists", "Another contact has this phone number.")
                    .detail("phone", "is another contact's")
            }
            ContactError::AlreadyBooked => {
                Self::conflict("lead_booked", "A contact who has booked keeps the status booked.")
                    .detail("lead_status", "must stay booked")
            }
            ContactError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_removes_and_absence_keeps() {
        let patch = |body| serde_json::from_value::<ContactChangeBody>(body).unwrap().into_patch().unwrap();
        assert_eq!(patch(json!({})), ContactPatch::default());
        assert_eq!(patch(json!({"email": null})).email, Some(None));
        assert_eq!(patch(json!({"email": "a@b.co"})).email, Some(Some("a@b.co".parse().unwrap())));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let field = |body| {
            let problem = serde_json::from_value::<NewContactBody>(body).unwrap().into_new().unwrap_err();
            problem.body("r").details.keys().next().unwrap().clone()
        };
        assert_eq!(field(json!({"name": " ", "phone": "+15005550006"})), "name");
        assert_eq!(field(json!({"name": "Ann", "phone": "5550006"})), "phone");
        assert_eq!(field(json!({"name": "Ann", "phone": "+15005550006", "email": "x"})), "email");
        assert_eq!(
            field(json!({"name": "Ann", "phone": "+15005550006", "lead_status": "hot"})),
            "lead_status"
        );
        assert_eq!(
            field(json!({"name": "Ann", "phone": "+15005550006", "service_interests": [""]})),
            "service_interests"
        );
    }
}
