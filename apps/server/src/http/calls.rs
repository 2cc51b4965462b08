//! Calls: the list, one call, and sums over them.

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_calls::{
    ActivityEntry, AppointmentBrief, CallExtras, CallFilter, CallStats, Direction, Period, Status, Turn,
    UnknownWord,
};
use voxanne_kernel::{OrgScope, PageRequest, Timestamp, ids::CallId};
use voxanne_messaging::stats::{MessageFilter, MessageView};

use super::{
    call_rows::{CallBody, RowWriter, major},
    messages::MessageRowBody,
    moments::{Edge, moment, zone},
};
use crate::{
    app::App,
    http::{
        extract::{Caller, Id},
        json::Query,
        page::{PageBody, encode, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The longest text that is searched for, in characters.
const LONGEST_SEARCH: usize = 200;

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(stats)).routes(routes!(one))
}

/// Which calls are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// `pending`, `ringing`, `in_progress`, `completed`, `failed`, `no_answer` or `busy`.
    status: Option<String>,
    /// `inbound`, `outbound` or `web`.
    #[serde(rename = "type")]
    #[param(rename = "type")]
    kind: Option<String>,
    /// Begun at this time or later: RFC 3339, or a day in the organization's zone.
    from: Option<String>,
    /// Begun before this time; a day is included.
    to: Option<String>,
    /// Digits that the number contains.
    phone: Option<String>,
    /// Whether an appointment was made: `true` or `false`.
    booked: Option<String>,
    /// Text that the contact's name or the summary contains.
    q: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

impl ListQuery {
    async fn filter(&self, app: &App, scope: &OrgScope) -> Result<CallFilter, Problem> {
        Ok(CallFilter {
            status: self.status.as_deref().map(|text| one_of::<Status>("status", text)).transpose()?,
            direction: self.kind.as_deref().map(|text| one_of::<Direction>("type", text)).transpose()?,
            booked: self.booked.as_deref().map(|text| flag("booked", text)).transpose()?,
            phone_digits: self.phone.as_deref().map(digits).transpose()?,
            text: self.q.as_deref().map(|text| search("q", text)).transpose()?.flatten(),
            period: period(app, scope, self.from.as_deref(), self.to.as_deref()).await?,
        })
    }
}

/// Reads one of a closed list of words.
pub(super) fn one_of<T: std::str::FromStr<Err = UnknownWord>>(
    field: &'static str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|rule: UnknownWord| Problem::invalid(field, rule.to_string()))
}

fn flag(field: &'static str, text: &str) -> Result<bool, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, "must be true or false"))
}

/// The digits of a number or a part of one; in a query string its plus arrives as a space.
fn digits(text: &str) -> Result<String, Problem> {
    let plain = text.chars().all(|c| c.is_ascii_digit() || " +-().".contains(c));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if plain && (1..=15).contains(&digits.len()) {
        Ok(digits)
    } else {
        Err(Problem::invalid("phone", "must be a phone number or a part of one, 1 to 15 digits"))
    }
}

/// A text to search for; `None` when it is blank.
pub(super) fn search(field: &'static str, text: &str) -> Result<Option<String>, Problem> {
    let text = text.trim();
    if text.chars().count() > LONGEST_SEARCH {
        return Err(Problem::invalid(field, format!("must be at most {LONGEST_SEARCH} characters")));
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

pub(super) async fn period(
    app: &App,
    scope: &OrgScope,
    from: Option<&str>,
    to: Option<&str>,
) -> Result<Period, Problem> {
    if from.is_none() && to.is_none() {
        return Ok(Period::default());
    }
    let zone = zone(app, scope).await?;
    let from = from.map(|text| moment("from", text, &zone, Edge::Start)).transpose()?;
    let to = to.map(|text| moment("to", text, &zone, Edge::End)).transpose()?;
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(Problem::invalid("to", "must not be before from"));
    }
    Ok(Period { from, to })
}

fn json_bytes(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// Lists calls, the latest first.
#[utoipa::path(get, path = "/api/calls-dashboard", tag = "calls", params(ListQuery),
    responses((status = 200, body = PageBody<CallBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    let request = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let filter = query.filter(&app, &caller.scope).await?;
    let mut rows = RowWriter::for_page(request.limit());
    let next = app.calls.log.list(&caller.scope, &filter, &request, &mut rows).await?;
    Ok(json_bytes(rows.into_page(next.map(encode).as_deref())))
}

/// Over which calls to sum.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatsQuery {
    /// Begun at this time or later: RFC 3339, or a day in the organization's zone.
    from: Option<String>,
    /// Begun before this time; a day is included.
    to: Option<String>,
}

/// Sums over calls.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CallStatsBody {
    /// What all conversations together are worth, in major units of the organization's currency.
    #[schema(value_type = f64)]
    pipeline_value: serde_json::Number,
    /// Booked inbound calls per hundred inbound ones.
    success_rate: f64,
    total_calls: u64,
    inbound_calls: u64,
    outbound_calls: u64,
    /// Calls in which an appointment was made.
    bookings: u64,
    avg_duration_seconds: u64,
}

impl From<CallStats> for CallStatsBody {
    fn from(stats: CallStats) -> Self {
        Self {
            pipeline_value: major(stats.pipeline),
            success_rate: stats.success_rate(),
            total_calls: stats.total,
            inbound_calls: stats.inbound,
            outbound_calls: stats.outbound,
            bookings: stats.bookings,
            avg_duration_seconds: stats.avg_duration_seconds,
        }
    }
}

/// Sums over the calls of a period.
#[utoipa::path(get, path = "/api/calls-dashboard/stats", tag = "calls", params(StatsQuery),
    responses((status = 200, body = CallStatsBody)))]
async fn stats(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<StatsQuery>,
) -> Result<Json<CallStatsBody>, Problem> {
    let period = period(&app, &caller.scope, query.from.as_deref(), query.to.as_deref()).await?;
    Ok(Json(app.calls.log.stats(&caller.scope, &period).await?.into()))
}

/// One thing that was said.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TurnBody {
    /// `caller` or `assistant`.
    #[schema(value_type = String)]
    speaker: voxanne_calls::Speaker,
    /// Without direct identifiers, as far as patterns find them. This is not HIPAA de-identification.
    text: String,
    /// From the call's start.
    seconds: Option<f64>,
}

impl From<Turn> for TurnBody {
    fn from(turn: Turn) -> Self {
        let seconds = turn.at_ms.map(|ms| f64::from(ms) / 1_000.0);
        Self { speaker: turn.speaker, text: turn.text.as_str().to_owned(), seconds }
    }
}

/// An entry of the activity stream.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct ActivityBody {
    pub(super) id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Such as `call_ended` or `appointment_booked`.
    pub(super) kind: String,
    summary: String,
    call_id: Option<Uuid>,
    appointment_id: Option<Uuid>,
    contact_id: Option<Uuid>,
}

impl From<ActivityEntry> for ActivityBody {
    fn from(entry: ActivityEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            kind: entry.kind,
            summary: entry.summary,
            call_id: entry.call.map(|id| id.0),
            appointment_id: entry.appointment.map(|id| id.0),
            contact_id: entry.contact.map(|id| id.0),
        }
    }
}

/// The appointment that was made in a call.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AppointmentBriefBody {
    id: Uuid,
    #[schema(value_type = String, format = DateTime)]
    scheduled_at: Timestamp,
    duration_minutes: i64,
    status: String,
    /// The service's name.
    service: Option<String>,
}

impl From<AppointmentBrief> for AppointmentBriefBody {
    fn from(it: AppointmentBrief) -> Self {
        Self {
            id: it.id.0,
            scheduled_at: it.starts_at,
            duration_minutes: it.ends_at.duration_since(it.starts_at).as_mins(),
            status: it.status,
            service: it.service,
        }
    }
}

/// What one call shows besides its row.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ExtrasBody {
    /// What was said; null before the report came, or when nothing was said.
    transcript: Option<Vec<TurnBody>>,
    /// What happened, oldest first.
    events: Vec<ActivityBody>,
    /// What was sent in connection with it, the newest hundred first.
    messages: Vec<MessageRowBody>,
    /// The appointment that was made in it.
    appointment: Option<AppointmentBriefBody>,
}

impl ExtrasBody {
    fn of(extras: CallExtras, messages: Vec<MessageView>) -> Self {
        Self {
            transcript: extras.transcript.map(|turns| turns.into_iter().map(Into::into).collect()),
            events: extras.events.into_iter().map(Into::into).collect(),
            messages: messages.into_iter().map(Into::into).collect(),
            appointment: extras.appointment.map(Into::into),
        }
    }
}

/// One call with everything that is known of it. Only the document is made from it: the writer joins the two.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CallDetailBody {
    #[serde(flatten)]
    call: CallBody,
    #[serde(flatten)]
    extras: ExtrasBody,
}

/// One call with its transcript, events, messages and appointment.
#[utoipa::path(get, path = "/api/calls-dashboard/{callId}", tag = "calls", params(("callId" = Uuid, Path)),
    responses((status = 200, body = CallDetailBody), (status = 404, body = ProblemBody)))]
async fn one(State(app): State<App>, caller: Caller, Id(id): Id<CallId>) -> Result<Response, Problem> {
    let mut row = RowWriter::for_one();
    let extras = app.calls.log.detail(&caller.scope, id, &mut row).await?.ok_or_else(Problem::not_found)?;
    let filter = MessageFilter { call: Some(id), ..MessageFilter::default() };
    let newest = PageRequest::new(PageRequest::MAX, None).ok_or_else(Problem::not_found)?;
    let messages = app.calls.messages.list(&caller.scope, &filter, &newest).await?;
    Ok(json_bytes(row.into_object(&ExtrasBody::of(extras, messages.rows))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_phone_numbers_are_found_by_their_digits() {
        assert_eq!(digits(" 1 (500) 555-0009").unwrap(), "15005550009");
        for bad in ["", "abc", "+", "1234567890123456", "12%"] {
            assert!(digits(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wrong_word_names_the_field_and_the_choices() {
        let problem = one_of::<Status>("status", "done").unwrap_err();
        let details = problem.body("r").details;
        assert!(details["status"].as_str().unwrap().contains("no_answer"));
    }
}
