//! Appointments: listing, booking, changing, cancelling, approving, and the calendar file.

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{
    Actor, E164, EmailAddress, OrgScope, Timestamp, Zone,
    ids::{AppointmentId, ContactId, ResourceId, ServiceId},
    zone::LocalTime,
};
use voxanne_scheduling::{
    AppointmentDetails, AppointmentStatus, When,
    book::BookingRequest,
    calendar::ServiceChoice,
    cancel::CancelRequest,
    find::Which,
    ics,
    ports::{AppointmentFilter, Patient, Via},
    update::AppointmentUpdate,
};

use crate::{
    app::App,
    http::{
        extract::{Caller, Id},
        json::{Body, MaybeBody, Query},
        moments::{Edge, moment, zone},
        page::{PageBody, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The longest notes and names, in characters.
const LONGEST_NOTES: usize = 4_000;
const LONGEST_NAME: usize = 200;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(one, change))
        .routes(routes!(cancel))
        .routes(routes!(approve))
        .routes(routes!(calendar_file))
}

/// An appointment.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AppointmentBody {
    id: Uuid,
    contact_id: Uuid,
    contact_name: Option<String>,
    phone_number: String,
    email: Option<String>,
    /// The service's name.
    service: Option<String>,
    service_id: Option<Uuid>,
    resource_id: Uuid,
    /// The practitioner's or room's name.
    resource: String,
    #[schema(value_type = String, format = DateTime)]
    scheduled_at: Timestamp,
    /// The same as `scheduled_at`.
    #[schema(value_type = String, format = DateTime)]
    scheduled_time: Timestamp,
    duration_minutes: u16,
    /// `pending_approval`, `confirmed`, `rescheduled`, `cancelled`, `completed` or `no_show`.
    status: &'static str,
    confirmation_sent: bool,
    /// `voice`, `dashboard` or `api`.
    source: &'static str,
    call_id: Option<Uuid>,
    notes: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// What the caller should know about how the request was understood.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

impl From<AppointmentDetails> for AppointmentBody {
    fn from(it: AppointmentDetails) -> Self {
        let appointment = it.appointment;
        Self {
            id: appointment.id.0,
            contact_id: appointment.contact.0,
            contact_name: it.contact_name,
            phone_number: it.phone.into(),
            email: it.email.map(Into::into),
            service: it.service_name,
            service_id: appointment.service.map(|id| id.0),
            resource_id: appointment.resource.0,
            resource: it.resource_name,
            scheduled_at: appointment.slot.starts,
            scheduled_time: appointment.slot.starts,
            duration_minutes: appointment.slot.minutes(),
            status: appointment.status.as_str(),
            confirmation_sent: it.confirmation_sent,
            source: it.source.as_str(),
            call_id: it.call.map(|id| id.0),
            notes: appointment.notes,
            created_at: it.created_at,
            updated_at: it.updated_at,
            warnings: Vec::new(),
        }
    }
}

impl AppointmentBody {
    /// Says so when the start's wall-clock time happens twice that day and this is the first of the two.
    fn with_warnings(mut self, zone: &Zone) -> Self {
        let local = zone.local(self.scheduled_at).datetime();
        if zone.resolve(local) == LocalTime::Twice(self.scheduled_at) {
            self.warnings.push(
                "The clocks go back over this time, so it happens twice that day; the first was taken.",
            );
        }
        self
    }
}

/// Which appointments are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Beginning at this time or later: RFC 3339, or a day in the organization's zone.
    from: Option<String>,
    /// Beginning before this time; a day is included.
    to: Option<String>,
    /// One of the states.
    status: Option<String>,
    /// Of this contact.
    contact_id: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Lists appointments, the latest start first.
#[utoipa::path(get, path = "/api/appointments", tag = "appointments", params(ListQuery),
    responses((status = 200, body = PageBody<AppointmentBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<PageBody<AppointmentBody>>, Problem> {
    let page = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let status = query.status.as_deref().map(|text| parse_status("status", text)).transpose()?;
    let contact =
        query.contact_id.as_deref().map(|text| uuid("contact_id", text)).transpose()?.map(ContactId);
    let zone = zone(&app, &caller.scope).await?;
    let filter = AppointmentFilter {
        from: query.from.as_deref().map(|text| moment("from", text, &zone, Edge::Start)).transpose()?,
        to: query.to.as_deref().map(|text| moment("to", text, &zone, Edge::End)).transpose()?,
        status,
        contact,
    };
    let page = app.scheduling.find.list(&caller.scope, &filter, &page).await?;
    Ok(Json(PageBody::of(page, AppointmentBody::from)))
}

/// A new appointment: for a contact, or for whoever has the phone number.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAppointmentBody {
    contact_id: Option<Uuid>,
    /// With `phone_number`, instead of `contact_id`.
    contact_name: Option<String>,
    /// E.164.
    phone_number: Option<String>,
    email: Option<String>,
    service_id: Option<Uuid>,
    /// RFC 3339 with an offset, or a local time in `timezone`.
    #[schema(example = "2026-12-01T14:00:00")]
    scheduled_at: String,
    /// The IANA time zone of a local `scheduled_at`; the organization's unless given.
    timezone: Option<String>,
    /// 5 to 720; the service's own unless given.
    duration_minutes: Option<u16>,
    resource_id: Option<Uuid>,
    notes: Option<String>,
}

impl NewAppointmentBody {
    fn into_request(self, via: Via) -> Result<BookingRequest, Problem> {
        let patient = match (self.contact_id, self.contact_name, self.phone_number) {
            (Some(_), Some(_), _) => {
                return Err(Problem::invalid("contact_name", "must not come with contact_id"));
            }
            (Some(_), _, Some(_)) => {
                return Err(Problem::invalid("phone_number", "must not come with contact_id"));
            }
            (Some(id), None, None) => Patient::Known(ContactId(id)),
            (None, name, phone) => {
                let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
                let name =
                    name.ok_or_else(|| Problem::invalid("contact_name", "is required without contact_id"))?;
                at_most("contact_name", &name, LONGEST_NAME)?;
                let phone = phone
                    .ok_or_else(|| Problem::invalid("phone_number", "is required without contact_id"))?;
                let phone =
                    E164::new(&phone).map_err(|rule| Problem::invalid("phone_number", rule.to_string()))?;
                let email = self.email.as_deref().map(EmailAddress::new).transpose();
                let email = email.map_err(|rule| Problem::invalid("email", rule.to_string()))?;
                Patient::Person { name: Some(name), phone, email }
            }
        };
        if let Some(notes) = &self.notes {
            at_most("notes", notes, LONGEST_NOTES)?;
        }
        Ok(BookingRequest {
            when: when(&self.scheduled_at, self.timezone.as_deref())?,
            service: self.service_id.map(|id| ServiceChoice::Id(ServiceId(id))),
            minutes: self.duration_minutes,
            resource: self.resource_id.map(ResourceId),
            patient,
            notes: self.notes.filter(|notes| !notes.trim().is_empty()),
            via,
        })
    }
}

/// Books an appointment. A taken time answers 409 `slot_taken` with `details.alternatives`.
#[utoipa::path(post, path = "/api/appointments", tag = "appointments", request_body = NewAppointmentBody,
    responses((status = 201, body = AppointmentBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn create(
    State(app): State<App>,
    caller: Caller,
    Body(body): Body<NewAppointmentBody>,
) -> Result<(StatusCode, Json<AppointmentBody>), Problem> {
    let request = body.into_request(via(&caller.scope))?;
    let booked = app.scheduling.book.run(&caller.scope, &request).await?;
    let details =
        app.scheduling.find.one(&caller.scope, booked.appointment).await?.ok_or_else(Problem::not_found)?;
    Ok((StatusCode::CREATED, Json(AppointmentBody::from(details).with_warnings(&booked.zone))))
}

/// One appointment.
#[utoipa::path(get, path = "/api/appointments/{id}", tag = "appointments", params(("id" = Uuid, Path)),
    responses((status = 200, body = AppointmentBody), (status = 404, body = ProblemBody)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AppointmentId>,
) -> Result<Json<AppointmentBody>, Problem> {
    let details = app.scheduling.find.one(&caller.scope, id).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(details.into()))
}

/// What shall be different.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct AppointmentChangeBody {
    /// RFC 3339 with an offset, or a local time in `timezone`.
    scheduled_at: Option<String>,
    /// The IANA time zone of a local `scheduled_at`; the organization's unless given.
    timezone: Option<String>,
    /// 5 to 720.
    duration_minutes: Option<u16>,
    service_id: Option<Uuid>,
    resource_id: Option<Uuid>,
    /// `confirmed`, `cancelled`, `completed` or `no_show`.
    status: Option<String>,
    /// Empty removes them.
    notes: Option<String>,
}

impl AppointmentChangeBody {
    fn into_update(self) -> Result<AppointmentUpdate, Problem> {
        if let Some(notes) = &self.notes {
            at_most("notes", notes, LONGEST_NOTES)?;
        }
        let zone = self.timezone.as_deref();
        Ok(AppointmentUpdate {
            starts: self.scheduled_at.as_deref().map(|text| when(text, zone)).transpose()?,
            minutes: self.duration_minutes,
            service: self.service_id.map(ServiceId),
            resource: self.resource_id.map(ResourceId),
            status: self.status.as_deref().map(|text| parse_status("status", text)).transpose()?,
            notes: self.notes,
        })
    }
}

/// Changes an appointment, as a whole or not at all. Its old time is given up only when the new one is held.
#[utoipa::path(patch, path = "/api/appointments/{id}", tag = "appointments", params(("id" = Uuid, Path)),
    request_body = AppointmentChangeBody,
    responses((status = 200, body = AppointmentBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AppointmentId>,
    Body(body): Body<AppointmentChangeBody>,
) -> Result<Json<AppointmentBody>, Problem> {
    let changed = app.scheduling.update.run(&caller.scope, id, &body.into_update()?).await?;
    let zone = zone(&app, &caller.scope).await?;
    Ok(Json(AppointmentBody::from(changed).with_warnings(&zone)))
}

/// Why an appointment is cancelled.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CancelBody {
    /// Added to the notes.
    reason: Option<String>,
}

/// Cancels an appointment, which frees its time. Cancelling it again changes nothing.
#[utoipa::path(post, path = "/api/appointments/{id}/cancel", tag = "appointments", params(("id" = Uuid, Path)),
    request_body = Option<CancelBody>,
    responses((status = 200, body = AppointmentBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AppointmentId>,
    MaybeBody(body): MaybeBody<CancelBody>,
) -> Result<Json<AppointmentBody>, Problem> {
    let reason = body.and_then(|body| body.reason);
    if let Some(reason) = &reason {
        at_most("reason", reason, LONGEST_NOTES)?;
    }
    let request = CancelRequest { which: Which::Id(id), reason, via: via(&caller.scope) };
    app.scheduling.cancel.run(&caller.scope, &request).await?;
    one(State(app), caller, Id(id)).await
}

/// Approves an appointment that waits for it.
#[utoipa::path(post, path = "/api/appointments/{id}/approve", tag = "appointments", params(("id" = Uuid, Path)),
    responses((status = 200, body = AppointmentBody), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AppointmentId>,
) -> Result<Json<AppointmentBody>, Problem> {
    Ok(Json(app.scheduling.approve.run(&caller.scope, id).await?.into()))
}

/// The appointment as an iCalendar file.
#[utoipa::path(get, path = "/api/appointments/{id}/ics", tag = "appointments", params(("id" = Uuid, Path)),
    responses((status = 200, body = String, content_type = "text/calendar"), (status = 404, body = ProblemBody)))]
async fn calendar_file(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<AppointmentId>,
) -> Result<Response, Problem> {
    let details = app.scheduling.find.one(&caller.scope, id).await?.ok_or_else(Problem::not_found)?;
    let calendar = app.scheduling.settings.get(&caller.scope).await?.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"appointment-{id}.ics\"")),
    ];
    Ok((headers, ics::render(&details, &calendar.organization)).into_response())
}

fn via(scope: &OrgScope) -> Via {
    match scope.actor() {
        Actor::Machine | Actor::CommandLine | Actor::System | Actor::Provider(_) => Via::Api,
        Actor::User(_) | Actor::Operator(_) => Via::Dashboard,
    }
}

fn at_most(field: &'static str, text: &str, most: usize) -> Result<(), Problem> {
    if text.chars().count() <= most {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("must be at most {most} characters")))
}

fn parse_status(field: &'static str, text: &str) -> Result<AppointmentStatus, Problem> {
    text.parse().map_err(|rule: voxanne_scheduling::appointment::UnknownStatus| {
        Problem::invalid(field, rule.to_string())
    })
}

fn uuid(field: &'static str, text: &str) -> Result<Uuid, Problem> {
    Uuid::parse_str(text).map_err(|_| Problem::invalid(field, "must be a UUID"))
}

fn when(text: &str, zone: Option<&str>) -> Result<When, Problem> {
    let zone =
        zone.map(Zone::new).transpose().map_err(|rule| Problem::invalid("timezone", rule.to_string()))?;
    When::parse(text, zone).map_err(|rule| Problem::invalid("scheduled_at", rule.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused_field(body: Value) -> String {
        let body: NewAppointmentBody = serde_json::from_value(body).unwrap();
        let problem = body.into_request(Via::Api).unwrap_err();
        problem.body("r").details.keys().next().unwrap().clone()
    }

    #[test]
    fn what_is_wrong_with_a_new_appointment_is_named() {
        let at = "2026-12-01T14:00:00";
        let id = "01990000-0000-7000-8000-000000000000";
        for (body, field) in [
            (json!({"scheduled_at": at}), "contact_name"),
            (json!({"scheduled_at": at, "contact_name": " "}), "contact_name"),
            (json!({"scheduled_at": at, "contact_name": "Ann"}), "phone_number"),
            (json!({"scheduled_at": at, "contact_name": "Ann", "phone_number": "555"}), "phone_number"),
            (json!({"scheduled_at": at, "contact_id": id, "phone_number": "+15005550006"}), "phone_number"),
            (
                json!({"scheduled_at": at, "contact_name": "A", "phone_number": "+15005550006", "email": "x"}),
                "email",
            ),
            (json!({"scheduled_at": "tomorrow", "contact_id": id}), "scheduled_at"),
            (json!({"scheduled_at": at, "contact_id": id, "timezone": "Mars/Olympus"}), "timezone"),
            (json!({"scheduled_at": at, "contact_id": id, "notes": "x".repeat(4_001)}), "notes"),
        ] {
            assert_eq!(refused_field(body.clone()), field, "{body}");
        }
    }
}
