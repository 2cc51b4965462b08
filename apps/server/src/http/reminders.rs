//! Reminders of appointments: those that staff send, and when they are sent by themselves (`spec/06-scheduling.md`).

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{NotSent, ids::AppointmentId};
use voxanne_scheduling::remind::{BadReminderRules, Method, RemindError, Reminded, ReminderRules};

use super::call_actions::not_sent;
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id, Member},
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(send_reminder)).routes(routes!(rules, put_rules))
}

/// How to remind.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct SendReminderBody {
    /// `sms` or `email`.
    #[schema(example = "sms")]
    method: String,
}

/// A reminder is on its way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ReminderSentBody {
    success: bool,
    /// The number or address.
    #[schema(example = "+15005550006")]
    recipient: String,
    /// `sms` or `email`.
    method: &'static str,
    /// The message, as in `/api/messages`.
    #[serde(rename = "messageId")]
    message_id: Uuid,
}

/// Reminds the patient of a coming appointment, at once.
#[utoipa::path(post, path = "/api/appointments/{id}/send-reminder", tag = "appointments",
    params(("id" = Uuid, Path)), request_body = SendReminderBody,
    responses((status = 200, body = ReminderSentBody),
        (status = 400, description = "The method is not valid, or `Twilio not configured`.", body = ProblemBody),
        (status = 402, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, description = "The appointment is not coming, or the recipient has opted out.", body = ProblemBody),
        (status = 422, description = "The contact has no e-mail address, or nobody can carry it.", body = ProblemBody),
        (status = 429, description = "One text message an hour for each contact.", body = ProblemBody)))]
async fn send_reminder(
    State(app): State<App>,
    caller: Member,
    Id(id): Id<AppointmentId>,
    Body(body): Body<SendReminderBody>,
) -> Result<Json<ReminderSentBody>, Problem> {
    let method = method(&body.method)?;
    let reminded = app.reminders.now.run(&caller.scope, id, method).await;
    let Reminded { recipient, method, message } = reminded.map_err(|error| match error {
        RemindError::NotFound => Problem::not_found(),
        RemindError::NotComing => Problem::conflict(
            "appointment_not_active",
            "Only coming, confirmed appointments are reminded of.",
        ),
        RemindError::NoAddress => Problem::unprocessable("no_email", "The contact has no e-mail address."),
        RemindError::NotSent(NotSent::NotConfigured) if method == Method::Sms => {
            Problem::bad_request("twilio_not_configured", "Twilio not configured")
        }
        RemindError::NotSent(why) => not_sent(why),
        RemindError::Store(error) => error.into(),
    })?;
    let method = method.as_str();
    Ok(Json(ReminderSentBody { success: true, recipient, method, message_id: message.0 }))
}

/// When patients are reminded.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ReminderRulesBody {
    /// Whether anybody is reminded without being asked to.
    enabled: bool,
    /// `sms` or `email`; by text message where the contact has no address.
    method: &'static str,
    /// How many minutes before the appointment, longest first.
    #[schema(example = json!([1440, 120]))]
    lead_minutes: Vec<u32>,
}

impl From<&ReminderRules> for ReminderRulesBody {
    fn from(rules: &ReminderRules) -> Self {
        Self {
            enabled: rules.enabled(),
            method: rules.method().as_str(),
            lead_minutes: rules.leads().to_vec(),
        }
    }
}

/// When patients are to be reminded.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct PutReminderRulesBody {
    enabled: bool,
    /// `sms` or `email`.
    #[schema(example = "sms")]
    method: String,
    /// One to five times, 30 minutes to a week before.
    #[schema(example = json!([1440, 120]))]
    lead_minutes: Vec<u32>,
}

/// Shows when patients are reminded without anybody asking for it.
#[utoipa::path(get, path = "/api/reminders/settings", tag = "appointments",
    responses((status = 200, body = ReminderRulesBody)))]
async fn rules(State(app): State<App>, caller: Caller) -> Result<Json<ReminderRulesBody>, Problem> {
    let rules = app.reminders.rules.show(&caller.scope).await?;
    Ok(Json((&rules).into()))
}

/// Changes when patients are reminded without anybody asking for it. For owners and admins.
#[utoipa::path(put, path = "/api/reminders/settings", tag = "appointments",
    request_body = PutReminderRulesBody,
    responses((status = 200, body = ReminderRulesBody), (status = 400, body = ProblemBody)))]
async fn put_rules(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<PutReminderRulesBody>,
) -> Result<Json<ReminderRulesBody>, Problem> {
    let method = method(&body.method)?;
    let rules = ReminderRules::new(body.enabled, method, body.lead_minutes);
    let rules = rules.map_err(|rule: BadReminderRules| Problem::invalid("lead_minutes", rule.to_string()))?;
    app.reminders.rules.put(&caller.scope, &rules).await?;
    Ok(Json((&rules).into()))
}

fn method(text: &str) -> Result<Method, Problem> {
    text.parse().map_err(|rule| Problem::invalid("method", format!("{rule}")))
}
