//! An organization's own limits for its messages.

use axum::{Json, extract::State};
use jiff::civil::Time;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::{Currency, Money};
use voxanne_messaging::{
    consent::QuietHours,
    credits::CREDIT_CURRENCY,
    limits::{Rules, RulesPatch, SetRulesError},
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
    OpenApiRouter::new().routes(routes!(read, change))
}

/// A span of the day, over midnight as a rule.
#[derive(Debug, Clone, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct QuietHoursBody {
    /// `HH:MM`.
    #[schema(example = "21:00")]
    from: String,
    /// `HH:MM`; not quiet any more.
    #[schema(example = "08:00")]
    until: String,
}

/// An organization's limits.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct RulesBody {
    /// When automated messages wait, by the recipient's clocks or, where their number does not tell the zone, by
    /// `timezone`'s. Null: never.
    quiet_hours: Option<QuietHoursBody>,
    /// Minutes between two follow-ups or reminders by SMS to the same contact; 0 for none.
    contact_pause_minutes: u32,
    /// Messages that leave in a minute.
    rate_per_minute: u32,
    /// The most messages of a day in `timezone`; null: no limit.
    daily_cap: Option<u32>,
    /// The most messages of a month in `timezone`; null: no limit.
    monthly_cap: Option<u32>,
    /// Credits, in minor units, that a month (in UTC) should not use more of; owners are told at 50, 80 and 100 %.
    monthly_budget: Option<i64>,
    /// Of the budget.
    #[schema(value_type = String, example = "USD")]
    currency: Currency,
    /// The organization's.
    timezone: String,
}

impl From<Rules> for RulesBody {
    fn from(rules: Rules) -> Self {
        let clock = |time: Time| time.strftime("%H:%M").to_string();
        let quiet =
            |hours: QuietHours| QuietHoursBody { from: clock(hours.from()), until: clock(hours.until()) };
        Self {
            quiet_hours: rules.quiet_hours.map(quiet),
            contact_pause_minutes: rules.contact_pause_minutes,
            rate_per_minute: rules.rate_per_minute,
            daily_cap: rules.daily_cap,
            monthly_cap: rules.monthly_cap,
            monthly_budget: rules.monthly_budget.map(Money::minor),
            currency: CREDIT_CURRENCY,
            timezone: rules.zone.name().to_owned(),
        }
    }
}

/// What shall be different: what is left out stays, null takes a limit away.
#[expect(clippy::option_option, reason = "null is something else than nothing given")]
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RulesChangeBody {
    /// Null for none.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<QuietHoursBody>)]
    quiet_hours: Option<Option<QuietHoursBody>>,
    /// 0 to 10,080.
    contact_pause_minutes: Option<u32>,
    /// 1 to 60,000.
    rate_per_minute: Option<u32>,
    /// Null, or up to 10,000,000.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    daily_cap: Option<Option<u32>>,
    /// Null, or up to 10,000,000.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    monthly_cap: Option<Option<u32>>,
    /// Null, or minor units.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<i64>)]
    monthly_budget: Option<Option<i64>>,
}

/// A null that was given is something else than nothing given.
#[expect(clippy::option_option, reason = "it tells null from absent")]
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(from).map(Some)
}

fn time(field: &str, text: &str) -> Result<Time, Problem> {
    let invalid = || Problem::invalid(format!("quietHours.{field}"), "must be a time of day such as 21:00");
    let is_shaped = text.len() == 5 && text.as_bytes()[2] == b':' && text.is_ascii();
    if is_shaped { text.parse().map_err(|_| invalid()) } else { Err(invalid()) }
}

impl RulesChangeBody {
    fn into_patch(self) -> Result<RulesPatch, Problem> {
        let quiet = |body: QuietHoursBody| {
            QuietHours::new(time("from", &body.from)?, time("until", &body.until)?)
                .map_err(|rule| Problem::invalid("quietHours", rule.to_string()))
        };
        Ok(RulesPatch {
            quiet_hours: self.quiet_hours.map(|hours| hours.map(quiet).transpose()).transpose()?,
            contact_pause_minutes: self.contact_pause_minutes,
            rate_per_minute: self.rate_per_minute,
            daily_cap: self.daily_cap,
            monthly_cap: self.monthly_cap,
            monthly_budget: self.monthly_budget.map(|budget| budget.map(Money::from_minor)),
        })
    }
}

/// The limits of the caller's organization.
#[utoipa::path(get, path = "/api/messaging/settings", tag = "messaging", responses((status = 200, body = RulesBody)))]
async fn read(State(app): State<App>, caller: Caller) -> Result<Json<RulesBody>, Problem> {
    Ok(Json(app.policy.rules.show(&caller.scope).await?.into()))
}

/// Changes them, all or none; for admins.
#[utoipa::path(put, path = "/api/messaging/settings", tag = "messaging", request_body = RulesChangeBody,
    responses((status = 200, body = RulesBody), (status = 400, body = ProblemBody)))]
async fn change(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<RulesChangeBody>,
) -> Result<Json<RulesBody>, Problem> {
    let changed = app.policy.rules.change(&caller.scope, body.into_patch()?).await;
    match changed {
        Ok(rules) => Ok(Json(rules.into())),
        Err(SetRulesError::Bad(bad)) => Err(Problem::invalid(bad.field, bad.rule)),
        Err(SetRulesError::Store(error)) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_takes_away_and_absence_leaves() {
        let read = |body| serde_json::from_value::<RulesChangeBody>(body).unwrap().into_patch();
        assert_eq!(read(json!({})).unwrap(), RulesPatch::default());
        let none = read(json!({"quietHours": null, "dailyCap": null})).unwrap();
        assert_eq!((none.quiet_hours, none.daily_cap, none.monthly_cap), (Some(None), Some(None), None));
        let some = read(json!({"quietHours": {"from": "22:30", "until": "07:00"}})).unwrap();
        assert_eq!(some.quiet_hours.unwrap().unwrap().until(), jiff::civil::time(7, 0, 0, 0));
    }

    #[test]
    fn a_time_of_day_is_written_in_one_way() {
        for bad in ["7:00", "24:00", "07:60", "07:00:00", "7pm", "", "٠٧:٠٠", "07.00"] {
            assert!(time("from", bad).is_err(), "{bad:?}");
        }
    }
}
