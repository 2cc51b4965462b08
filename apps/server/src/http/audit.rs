//! The organization's audit trail, for its admins.

use axum::{Json, extract::State};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::Timestamp;
use voxanne_tenancy::AuditEvent;

use crate::{
    app::App,
    http::{
        extract::Admin,
        json::Query,
        members::member_problem,
        page::{PageBody, PageQuery},
        problem::Problem,
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Something that was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditBody {
    id: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Who.
    actor: ActorBody,
    /// What, as `noun.verb`.
    #[schema(example = "organization.updated")]
    action: String,
    /// To what.
    target: TargetBody,
    /// What it was, without secrets.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// What it became, without secrets.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// The request it was done in.
    request_id: Option<String>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ActorBody {
    /// `user`, `operator`, `command_line`, `machine`, a provider's name, or `system`.
    kind: String,
    id: Option<Uuid>,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TargetBody {
    kind: String,
    id: String,
}

impl From<AuditEvent> for AuditBody {
    fn from(event: AuditEvent) -> Self {
        Self {
            id: event.id.0,
            at: event.at,
            actor: ActorBody { kind: event.actor_kind, id: event.actor_id },
            action: event.action,
            target: TargetBody { kind: event.target_kind, id: event.target_id },
            before: event.before,
            after: event.after,
            request_id: event.request_id,
        }
    }
}

/// What was done in the caller's organization, newest first; for admins.
#[utoipa::path(get, path = "/api/audit", tag = "organizations", params(PageQuery),
    responses((status = 200, body = PageBody<AuditBody>)))]
async fn list(
    State(app): State<App>,
    caller: Admin,
    Query(query): Query<PageQuery>,
) -> Result<Json<PageBody<AuditBody>>, Problem> {
    let events = app.tenancy.audit.run(&caller.scope, &query.request()?).await.map_err(member_problem)?;
    Ok(Json(PageBody::of(events, AuditBody::from)))
}
