//! Free times.

use axum::{Json, extract::State};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Timestamp, ids::ServiceId};
use voxanne_scheduling::{
    FreeSlot, Refusal,
    availability::{AvailabilityError, Question},
    calendar::ServiceChoice,
};

use crate::{
    app::App,
    http::{
        extract::Caller,
        json::Query,
        moments::{Edge, moment, zone},
        problem::{Problem, ProblemBody},
    },
};

/// How far a question reaches unless it says, and how far it may reach.
const USUAL: SignedDuration = SignedDuration::from_hours(7 * 24);
const FURTHEST: SignedDuration = SignedDuration::from_hours(62 * 24);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(availability))
}

/// What shall be free, and when.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AvailabilityQuery {
    /// A service's id, or a name callers use for it.
    service: Option<String>,
    /// From this time: RFC 3339, or a day in the organization's zone; now unless given.
    from: Option<String>,
    /// Until this time; a day is included. A week after `from` unless given, at most 62 days after it.
    to: Option<String>,
}

/// Free times, earliest first; a time that is free on two resources is listed for each.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AvailabilityBody {
    /// The organization's IANA time zone.
    timezone: String,
    slots: Vec<SlotBody>,
}

/// A free time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SlotBody {
    #[schema(value_type = String, format = DateTime)]
    start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    end: Timestamp,
    resource_id: Uuid,
}

impl From<FreeSlot> for SlotBody {
    fn from(slot: FreeSlot) -> Self {
        Self { start: slot.start, end: slot.end, resource_id: slot.resource.0 }
    }
}

/// Free times within opening hours, with buffers, notice and horizon kept.
#[utoipa::path(get, path = "/api/availability", tag = "appointments", params(AvailabilityQuery),
    responses((status = 200, body = AvailabilityBody), (status = 404, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
async fn availability(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<AvailabilityQuery>,
) -> Result<Json<AvailabilityBody>, Problem> {
    let zone = zone(&app, &caller.scope).await?;
    let from = match query.from.as_deref() {
        Some(text) => moment("from", text, &zone, Edge::Start)?,
        None => app.base.clock.now(),
    };
    let to = match query.to.as_deref() {
        Some(text) => moment("to", text, &zone, Edge::End)?,
        None => from.checked_add(USUAL).unwrap_or(Timestamp::MAX),
    };
    if to <= from {
        return Err(Problem::invalid("to", "must be later than from"));
    }
    if to.duration_since(from) > FURTHEST {
        return Err(Problem::invalid("to", "must be at most 62 days after from"));
    }
    let service =
        query.service.filter(|text| !text.trim().is_empty()).map(|text| match Uuid::parse_str(&text) {
            Ok(id) => ServiceChoice::Id(ServiceId(id)),
            Err(_) => ServiceChoice::Named(text),
        });
    let by_name = matches!(service, Some(ServiceChoice::Named(_)));
    let question = Question { service, from, to };
    let (zone, slots) = match app.scheduling.availability.between(&caller.scope, &question).await {
        Ok(found) => found,
        Err(AvailabilityError::Store(error)) => return Err(error.into()),
        Err(AvailabilityError::Refused(refused)) => {
            return Err(match refused.why {
                Refusal::UnknownService { known } if by_name => {
                    Problem::unprocessable("unknown_service", "There is no service of that name.")
                        .detail("service", "is not a service that is offered")
                        .detail("known", known)
                }
                _ => refused.into(),
            });
        }
    };
    Ok(Json(AvailabilityBody {
        timezone: zone.name().to_owned(),
        slots: slots.into_iter().map(SlotBody::from).collect(),
    }))
}
