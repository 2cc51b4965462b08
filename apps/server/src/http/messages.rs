//! The audit of everything that was sent, and of what came in; and what a person says of a message of which nobody
//! could find out.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_calls::Period;
use voxanne_kernel::{
    Timestamp,
    ids::{CallId, ContactId, MessageId},
};
use voxanne_messaging::{
    channel::Channel,
    message::MessageStatus,
    send::{Resolution, ResolveError},
    stats::{MessageFilter, MessageView},
};

use super::calls::period;
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id},
        json::{Body, Query},
        page::{PageBody, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(resolve))
}

/// What a message cost.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MessageCostBody {
    /// In minor units.
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}

/// A message.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct MessageRowBody {
    id: Uuid,
    contact_id: Option<Uuid>,
    call_id: Option<Uuid>,
    /// `outbound` or `inbound`.
    direction: &'static str,
    /// `sms`, `email` or `whatsapp`.
    method: &'static str,
    /// To whom; of one that came in, from whom.
    recipient: String,
    /// Of an e-mail.
    subject: Option<String>,
    content: String,
    /// Such as `direct`, `follow_up`, `reminder` or `recording_share`.
    purpose: String,
    /// `queued`, `sent`, `delivered`, `failed`, `undelivered`, `bounced`, `complained` or `unknown`.
    status: &'static str,
    /// Why it was not sent or did not arrive.
    error_code: Option<String>,
    provider: &'static str,
    /// `customer_managed` or `platform_managed`.
    mode: &'static str,
    /// The provider's id of it.
    external_id: Option<String>,
    /// How many parts an SMS has.
    segments: Option<u32>,
    cost: Option<MessageCostBody>,
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<MessageView> for MessageRowBody {
    fn from(view: MessageView) -> Self {
        let cost = view.cost.map(|cost| MessageCostBody {
            amount: cost.amount.minor(),
            currency: cost.currency.as_str().to_owned(),
        });
        Self {
            id: view.id.0,
            contact_id: view.contact.map(|id| id.0),
            call_id: view.call.map(|id| id.0),
            direction: view.direction.as_str(),
            method: view.channel.as_str(),
            recipient: view.recipient,
            subject: view.subject,
            content: view.content,
            purpose: view.purpose,
            status: view.status.as_str(),
            error_code: view.error_code,
            provider: view.provider.as_str(),
            mode: view.mode.as_str(),
            external_id: view.external_id,
            segments: view.segments,
            cost,
            sent_at: view.sent_at,
            delivered_at: view.delivered_at,
            created_at: view.created_at,
        }
    }
}

/// Which messages are listed.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessagesQuery {
    /// `sms`, `email` or `whatsapp`.
    method: Option<String>,
    /// `queued`, `sent`, `delivered`, `failed`, `undelivered`, `bounced`, `complained` or `unknown`.
    status: Option<String>,
    /// Of this call.
    call_id: Option<String>,
    /// To or from this contact.
    contact_id: Option<String>,
    /// Recorded at this time or later: RFC 3339, or a day in the organization's zone.
    from: Option<String>,
    /// Recorded before this time; a day is included.
    to: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

fn id(field: &'static str, text: &str) -> Result<Uuid, Problem> {
    text.parse().map_err(|_| Problem::invalid(field, "must be a UUID"))
}

fn status(text: &str) -> Result<MessageStatus, Problem> {
    MessageStatus::read(text).ok_or_else(|| {
        let names: Vec<_> = MessageStatus::ALL.into_iter().map(MessageStatus::as_str).collect();
        Problem::invalid("status", format!("must be one of: {}", names.join(", ")))
    })
}

fn method(text: &str) -> Result<Channel, Problem> {
    text.parse()
        .map_err(|rule: voxanne_messaging::channel::UnknownName| Problem::invalid("method", rule.to_string()))
}

/// Lists what was sent, and what came in, the latest first.
#[utoipa::path(get, path = "/api/messages", tag = "messaging", params(MessagesQuery),
    responses((status = 200, body = PageBody<MessageRowBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<MessagesQuery>,
) -> Result<Json<PageBody<MessageRowBody>>, Problem> {
    let request = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let Period { from, to } = period(&app, &caller.scope, query.from.as_deref(), query.to.as_deref()).await?;
    let filter = MessageFilter {
        method: query.method.as_deref().map(method).transpose()?,
        status: query.status.as_deref().map(status).transpose()?,
        call: query.call_id.as_deref().map(|text| id("call_id", text)).transpose()?.map(CallId),
        contact: query.contact_id.as_deref().map(|text| id("contact_id", text)).transpose()?.map(ContactId),
        from,
        to,
        ..MessageFilter::default()
    };
    let page = app.calls.messages.list(&caller.scope, &filter, &request).await?;
    Ok(Json(PageBody::of(page, Into::into)))
}

/// What became of a message.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct ResolveMessageBody {
    /// `sent`: the provider has sent it; `failed`: it never did.
    #[schema(example = "sent")]
    outcome: String,
}

/// Decides about a message that stays `unknown`, for admins: nobody could find out whether its provider sent it. `sent`
/// takes the credit that is set aside for it, `failed` gives it back.
#[utoipa::path(post, path = "/api/messages/{id}/resolve", tag = "messaging", params(("id" = Uuid, Path)),
    request_body = ResolveMessageBody,
    responses(
        (status = 200, description = "The message as it is now.", body = MessageRowBody),
        (status = 400, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, description = "`message_not_unknown`: what became of it is known.", body = ProblemBody),
    ))]
async fn resolve(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<MessageId>,
    Body(body): Body<ResolveMessageBody>,
) -> Result<Json<MessageRowBody>, Problem> {
    let outcome = Resolution::read(&body.outcome);
    let outcome = outcome.ok_or_else(|| Problem::invalid("outcome", "must be sent or failed"))?;
    app.messaging.resolve.run(&caller.scope, id, outcome).await?;
    let resolved = app.messaging.show.get(&caller.scope, id).await?;
    Ok(Json(resolved.ok_or_else(Problem::not_found)?.into()))
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::not_found(),
            ResolveError::NotUnknown(status) => {
                let status = status.as_str();
                let message =
                    format!("The message is {status}; only one that is unknown can be decided about.");
                Self::conflict("message_not_unknown", message)
            }
            ResolveError::Store(error) => error.into(),
        }
    }
}
