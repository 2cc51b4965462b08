//! Business hours, booking rules and resources.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::ids::ResourceId;
use voxanne_scheduling::{
    CalendarSnapshot, Schedule,
    hours::{DAYS, DaySpan, WeekHours},
    settings::{ResourcePlan, SettingsError},
};

use crate::{
    app::App,
    http::{
        extract::{Admin, Caller},
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, replace))
}

/// A span of a day, in the organization's zone.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SpanBody {
    /// `HH:MM`.
    #[schema(example = "09:00")]
    from: String,
    /// `HH:MM`, at most `24:00`.
    #[schema(example = "17:00")]
    to: String,
}

/// Spans by day, `mon` to `sun`; a day without spans is closed.
type HoursBody = BTreeMap<String, Vec<SpanBody>>;

/// When and how appointments can be made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ScheduleBody {
    /// The organization's IANA time zone.
    timezone: String,
    slot_minutes: u16,
    buffer_before_minutes: u16,
    buffer_after_minutes: u16,
    min_notice_minutes: u32,
    horizon_days: u16,
    #[schema(value_type = BTreeMap<String, Vec<SpanBody>>)]
    hours: DaysBody,
    /// Days that are closed all day.
    holidays: Vec<String>,
    resources: Vec<ResourceBody>,
}

/// Opening hours in the order of the week.
#[derive(Debug)]
struct DaysBody(WeekHours);

impl Serialize for DaysBody {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let span = |span: &DaySpan| SpanBody { from: span.from(), to: span.to() };
        serializer
            .collect_map(self.0.days().map(|(day, spans)| (day, spans.iter().map(span).collect::<Vec<_>>())))
    }
}

/// A practitioner or a room.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ResourceBody {
    id: Uuid,
    name: String,
    /// Its own hours within the organization's; null: the organization's.
    #[schema(value_type = Option<BTreeMap<String, Vec<SpanBody>>>)]
    hours: Option<DaysBody>,
}

impl From<&CalendarSnapshot> for ScheduleBody {
    fn from(calendar: &CalendarSnapshot) -> Self {
        let schedule = &calendar.schedule;
        let resource = |it: &voxanne_scheduling::Resource| ResourceBody {
            id: it.id.0,
            name: it.name.clone(),
            hours: it.hours.clone().map(DaysBody),
        };
        Self {
            timezone: calendar.zone.name().to_owned(),
            slot_minutes: schedule.slot_minutes,
            buffer_before_minutes: schedule.buffer_before_minutes,
            buffer_after_minutes: schedule.buffer_after_minutes,
            min_notice_minutes: schedule.min_notice_minutes,
            horizon_days: schedule.horizon_days,
            hours: DaysBody(schedule.hours.clone()),
            holidays: schedule.holidays.iter().map(ToString::to_string).collect(),
            resources: calendar.resources.iter().map(resource).collect(),
        }
    }
}

/// The schedule as it shall be. What is left out stays as it is; what is given replaces.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplaceBody {
    /// 5 to 480.
    slot_minutes: Option<u16>,
    /// 0 to 240.
    buffer_before_minutes: Option<u16>,
    /// 0 to 240.
    buffer_after_minutes: Option<u16>,
    /// 0 to 43200.
    min_notice_minutes: Option<u32>,
    /// 1 to 730.
    horizon_days: Option<u16>,
    #[schema(value_type = Option<BTreeMap<String, Vec<SpanBody>>>)]
    hours: Option<HoursBody>,
    /// `YYYY-MM-DD`.
    holidays: Option<Vec<String>>,
    /// Resources that are not named are retired; the appointments they hold stay.
    resources: Option<Vec<ResourcePlanBody>>,
}

/// A resource as it shall be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ResourcePlanBody {
    /// Without it, the resource of the same name or a new one.
    id: Option<Uuid>,
    name: String,
    #[schema(value_type = Option<BTreeMap<String, Vec<SpanBody>>>)]
    hours: Option<HoursBody>,
}

impl ReplaceBody {
    fn onto(self, current: &Schedule) -> Result<(Schedule, Option<Vec<ResourcePlan>>), Problem> {
        let hours = self.hours.map(|hours| week("hours", &hours)).transpose()?;
        let resources = self.resources.map(|plans| {
            let plan = |(at, plan): (usize, ResourcePlanBody)| {
                let hours =
                    plan.hours.map(|hours| week(&format!("resources.{at}.hours"), &hours)).transpose()?;
                Ok(ResourcePlan { id: plan.id.map(ResourceId), name: plan.name, hours })
            };
            plans.into_iter().enumerate().map(plan).collect::<Result<Vec<_>, Problem>>()
        });
        let schedule = Schedule {
            slot_minutes: self.slot_minutes.unwrap_or(current.slot_minutes),
            buffer_before_minutes: self.buffer_before_minutes.unwrap_or(current.buffer_before_minutes),
            buffer_after_minutes: self.buffer_after_minutes.unwrap_or(current.buffer_after_minutes),
            min_notice_minutes: self.min_notice_minutes.unwrap_or(current.min_notice_minutes),
            horizon_days: self.horizon_days.unwrap_or(current.horizon_days),
            hours: hours.unwrap_or_else(|| current.hours.clone()),
            holidays: match self.holidays {
                Some(days) => {
                    days.iter().enumerate().map(holiday).collect::<Result<BTreeSet<_>, Problem>>()?
                }
                None => current.holidays.clone(),
            },
        };
        Ok((schedule, resources.transpose()?))
    }
}

fn holiday((at, text): (usize, &String)) -> Result<jiff::civil::Date, Problem> {
    let day = text.parse().ok().filter(|_| text.len() == 10);
    day.ok_or_else(|| Problem::invalid(format!("holidays.{at}"), "must be a day such as 2026-12-25"))
}

fn week(field: &str, hours: &HoursBody) -> Result<WeekHours, Problem> {
    let mut days: [Vec<DaySpan>; 7] = Default::default();
    for (name, spans) in hours {
        let Some(at) = DAYS.iter().position(|day| day == name) else {
            return Err(Problem::invalid(
                format!("{field}.{name}"),
                "is not one of mon, tue, wed, thu, fri, sat, sun",
            ));
        };
        for (n, span) in spans.iter().enumerate() {
            let parsed = DaySpan::parse(&span.from, &span.to);
            days[at].push(
                parsed.map_err(|rule| Problem::invalid(format!("{field}.{name}.{n}"), rule.to_string()))?,
            );
        }
    }
    WeekHours::new(days).map_err(|problem| {
        Problem::invalid(format!("{field}.{}.{}", problem.day, problem.span), problem.problem.to_string())
    })
}

/// The schedule and the resources.
#[utoipa::path(get, path = "/api/schedule", tag = "appointments", responses((status = 200, body = ScheduleBody)))]
async fn read(State(app): State<App>, caller: Caller) -> Result<Json<ScheduleBody>, Problem> {
    let calendar = app.scheduling.settings.get(&caller.scope).await?.ok_or_else(Problem::not_found)?;
    Ok(Json(ScheduleBody::from(&*calendar)))
}

/// Replaces the schedule. Appointments that were made stay, also outside the new hours. For admins.
#[utoipa::path(put, path = "/api/schedule", tag = "appointments", request_body = ReplaceBody,
    responses((status = 200, body = ScheduleBody), (status = 404, body = ProblemBody)))]
async fn replace(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<ReplaceBody>,
) -> Result<Json<ScheduleBody>, Problem> {
    let current = app.scheduling.settings.get(&caller.scope).await?.ok_or_else(Problem::not_found)?;
    let (schedule, resources) = body.onto(&current.schedule)?;
    let calendar = app.scheduling.settings.put(&caller.scope, &schedule, resources).await?;
    Ok(Json(ScheduleBody::from(&*calendar)))
}

impl From<SettingsError> for Problem {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Invalid(problems) => {
                let all = Self::bad_request("validation_failed", "Some fields are not valid.");
                problems.into_iter().fold(all, |all, problem| all.detail(problem.field, problem.rule))
            }
            SettingsError::UnknownResource => {
                Self::not_found().detail("resources", "an id names no resource")
            }
            SettingsError::NotFound => Self::not_found(),
            SettingsError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn refused_field(body: Value) -> String {
        let body: ReplaceBody = serde_json::from_value(body).unwrap();
        let problem = body.onto(&Schedule::default()).unwrap_err();
        problem.body("r").details.keys().next().unwrap().clone()
    }

    #[test]
    fn what_is_wrong_with_a_schedule_is_named_where_it_is() {
        for (body, field) in [
            (json!({"hours": {"monday": []}}), "hours.monday"),
            (json!({"hours": {"mon": [{"from": "9", "to": "17:00"}]}}), "hours.mon.0"),
            (json!({"hours": {"tue": [{"from": "17:00", "to": "09:00"}]}}), "hours.tue.0"),
            (
                json!({"hours": {"wed": [{"from": "09:00", "to": "12:00"}, {"from": "11:00", "to": "13:00"}]}}),
                "hours.wed.1",
            ),
            (json!({"holidays": ["2026-12-25", "2026-02-30"]}), "holidays.1"),
            (json!({"resources": [{"name": "A", "hours": {"x": []}}]}), "resources.0.hours.x"),
        ] {
            assert_eq!(refused_field(body.clone()), field, "{body}");
        }
    }

    #[test]
    fn what_is_left_out_stays() {
        let body: ReplaceBody = serde_json::from_value(json!({"slot_minutes": 20})).unwrap();
        let (schedule, resources) = body.onto(&Schedule::default()).unwrap();
        assert_eq!(schedule, Schedule { slot_minutes: 20, ..Schedule::default() });
        assert!(resources.is_none());
    }
}
