//! Who is not written to.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{Timestamp, ids::SuppressionId};
use voxanne_messaging::{
    channel::Channel,
    consent::{Suppression, SuppressionsError},
};

use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id},
        json::Query,
        page::{PageBody, page_request},
        problem::{Problem, ProblemBody},
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one, lift))
}

/// Somebody to whom the organization does not send on a channel.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SuppressionBody {
    id: Uuid,
    /// `sms`, `email` or `whatsapp`.
    #[schema(value_type = String, example = "sms")]
    channel: Channel,
    /// A number in E.164 or an address in lower case.
    #[schema(example = "+15005550006")]
    recipient: String,
    /// `stop`, `complaint`, `hard_bounce` or `manual`.
    #[schema(example = "stop")]
    reason: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<Suppression> for SuppressionBody {
    fn from(suppression: Suppression) -> Self {
        let Suppression { id, channel, recipient, reason, created_at } = suppression;
        Self { id: id.0, channel, recipient, reason: reason.as_str(), created_at }
    }
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SuppressionsQuery {
    /// `sms`, `email` or `whatsapp`; all unless given.
    channel: Option<String>,
    /// Rows wanted, 1 to 100; 50 unless given.
    limit: Option<String>,
    /// `nextCursor` of the page before.
    cursor: Option<String>,
}

/// Reads the name of a channel.
pub(super) fn channel(text: &str) -> Result<Channel, Problem> {
    text.parse().map_err(|_| Problem::invalid("channel", "must be sms, email or whatsapp"))
}

/// Lists who is not written to, newest first: they answered STOP, complained, cannot be reached, or were added by hand.
#[utoipa::path(get, path = "/api/messaging/suppressions", tag = "messaging", params(SuppressionsQuery),
    responses((status = 200, body = PageBody<SuppressionBody>)))]
async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<SuppressionsQuery>,
) -> Result<Json<PageBody<SuppressionBody>>, Problem> {
    let request = page_request(query.limit.as_deref(), query.cursor.as_deref())?;
    let channel = query.channel.as_deref().map(channel).transpose()?;
    let page = app.policy.suppressions.list(&caller.scope, channel, &request).await?;
    Ok(Json(PageBody::of(page, SuppressionBody::from)))
}

/// One of them.
#[utoipa::path(get, path = "/api/messaging/suppressions/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    responses((status = 200, body = SuppressionBody), (status = 404, body = ProblemBody)))]
async fn one(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<SuppressionId>,
) -> Result<Json<SuppressionBody>, Problem> {
    Ok(Json(app.policy.suppressions.get(&caller.scope, id).await?.into()))
}

/// Lets somebody be written to again, who must have said so; for admins.
#[utoipa::path(delete, path = "/api/messaging/suppressions/{id}", tag = "messaging", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404, body = ProblemBody)))]
async fn lift(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<SuppressionId>,
) -> Result<StatusCode, Problem> {
    app.policy.suppressions.lift(&caller.scope, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<SuppressionsError> for Problem {
    fn from(error: SuppressionsError) -> Self {
        match error {
            SuppressionsError::NotFound => Self::not_found(),
            SuppressionsError::Store(error) => error.into(),
        }
    }
}
