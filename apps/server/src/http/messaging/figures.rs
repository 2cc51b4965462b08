//! Figures of what was sent, and how those who carry messages have been doing.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::{OrgScope, Timestamp, ids::OrgId};
use voxanne_messaging::{
    channel::{Channel, Provider},
    providers::Whose,
    stats::{Breaker, Figures, ProviderHealth},
};
use voxanne_tenancy::Role;

use super::send::CostBody;
use crate::{
    app::App,
    http::{
        calls::period,
        extract::{Caller, parse_uuid},
        json::Query,
        principal::Principal,
        problem::{Problem, ProblemBody},
    },
};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(stats)).routes(routes!(health)).routes(routes!(health_of))
}

/// Of which time.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StatsQuery {
    /// Recorded at this time or later: RFC 3339, or a day in the organization's zone.
    from: Option<String>,
    /// Recorded before this time; a day is included.
    to: Option<String>,
}

/// Figures of one channel and provider.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct FiguresBody {
    channel: &'static str,
    provider: &'static str,
    /// Messages that a provider took.
    sent: u64,
    /// Of those, the ones that are known to have arrived.
    delivered: u64,
    /// Messages that were not sent, or did not arrive.
    failed: u64,
    /// What they cost, one amount for each currency.
    cost: Vec<CostBody>,
}

/// Figures by channel and provider, and of all together.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct MessagingStatsBody {
    sent: u64,
    delivered: u64,
    failed: u64,
    /// What all of them cost, one amount for each currency.
    cost: Vec<CostBody>,
    data: Vec<FiguresBody>,
}

impl From<Figures> for FiguresBody {
    fn from(figures: Figures) -> Self {
        Self {
            channel: figures.channel.as_str(),
            provider: figures.provider.as_str(),
            sent: figures.sent,
            delivered: figures.delivered,
            failed: figures.failed,
            cost: figures.costs.into_iter().map(Into::into).collect(),
        }
    }
}

/// Sums up what was sent, by channel and provider.
#[utoipa::path(get, path = "/api/messaging/stats", tag = "messaging", params(StatsQuery),
    responses((status = 200, body = MessagingStatsBody), (status = 400, body = ProblemBody)))]
async fn stats(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<StatsQuery>,
) -> Result<Json<MessagingStatsBody>, Problem> {
    let span = period(&app, &caller.scope, query.from.as_deref(), query.to.as_deref()).await?;
    let figures = app.messaging.show.stats(&caller.scope, span.from, span.to).await?;
    let sum = |part: fn(&Figures) -> u64| figures.iter().map(part).sum();
    let (sent, delivered, failed) = (sum(|f| f.sent), sum(|f| f.delivered), sum(|f| f.failed));
    let cost = Figures::total_costs(&figures).into_iter().map(Into::into).collect();
    let data = figures.into_iter().map(Into::into).collect();
    Ok(Json(MessagingStatsBody { sent, delivered, failed, cost, data }))
}

/// How an account has been doing in the last hour.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProviderHealthBody {
    channel: &'static str,
    provider: &'static str,
    /// `organization` or `platform`.
    source: &'static str,
    /// `healthy`, `degraded` (it failed lately), `down` (it is left alone for a while) or `failed` (its credential does not
    /// work).
    status: &'static str,
    /// `closed`: it is asked; `open`: it is left alone; `half_open`: the next message shows whether it works.
    breaker: &'static str,
    /// Messages it took.
    accepted: u64,
    /// Messages it did not take, for reasons of its own.
    refused: u64,
    /// Messages of which nobody knows whether it took them.
    unknown: u64,
    /// Failures in a row.
    consecutive_failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_failed_at: Option<Timestamp>,
    /// Until when it is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    open_until: Option<Timestamp>,
}

/// How every account has been doing for the organization.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ProvidersHealthBody {
    data: Vec<ProviderHealthBody>,
}

impl ProviderHealthBody {
    fn of(health: ProviderHealth, now: Timestamp) -> Self {
        let breaker = health.breaker(now);
        let status = match breaker {
            _ if health.is_shut => "failed",
            Breaker::Open => "down",
            Breaker::HalfOpen => "degraded",
            Breaker::Closed if health.failures > 0 || health.refused > 0 => "degraded",
            Breaker::Closed => "healthy",
        };
        Self {
            channel: health.channel.as_str(),
            provider: health.provider.as_str(),
            source: match health.whose {
                Whose::Organization => "organization",
                Whose::Platform => "platform",
            },
            status,
            breaker: breaker.as_str(),
            accepted: health.accepted,
            refused: health.refused,
            unknown: health.unknown,
            consecutive_failures: health.failures,
            last_error: health.last_code,
            last_failed_at: health.last_failed_at,
            open_until: health.open_until,
        }
    }
}

async fn shown(
    app: &App,
    scope: &OrgScope,
    wanted: impl Fn(&ProviderHealth) -> bool + Send,
) -> Result<Json<ProvidersHealthBody>, Problem> {
    let now = app.base.clock.now();
    let all = app.messaging.show.health(scope, &*app.messaging.accounts).await?;
    let data = all.into_iter().filter(wanted).map(|one| ProviderHealthBody::of(one, now)).collect();
    Ok(Json(ProvidersHealthBody { data }))
}

/// Shows how those who carry the organization's messages have been doing in the last hour.
#[utoipa::path(get, path = "/api/health/providers", tag = "messaging",
    responses((status = 200, body = ProvidersHealthBody)))]
async fn health(State(app): State<App>, caller: Caller) -> Result<Json<ProvidersHealthBody>, Problem> {
    shown(&app, &caller.scope, |_| true).await
}

/// Shows how one provider, or those of one channel, have been doing for the organization in the last hour. Operators see
/// every organization's.
#[utoipa::path(get, path = "/api/health/providers/{type}/{organizationId}", tag = "messaging",
    params(("type" = String, Path, example = "sms", description = "A channel or a provider."),
        ("organizationId" = uuid::Uuid, Path, description = "The caller's own organization, unless an operator calls.")),
    responses((status = 200, body = ProvidersHealthBody), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
async fn health_of(
    State(app): State<App>,
    caller: Principal,
    Path((kind, org)): Path<(String, String)>,
) -> Result<Json<ProvidersHealthBody>, Problem> {
    let org = parse_uuid(&org).ok_or_else(|| Problem::invalid("organizationId", "must be a UUID"))?;
    let scope = caller.entering(&app, OrgId(org), Role::Member).await?;
    match (kind.parse::<Channel>(), kind.parse::<Provider>()) {
        // `whatsapp` is both, and carried by two.
        (Ok(channel), _) => shown(&app, &scope, |one| one.channel == channel).await,
        (_, Ok(provider)) => shown(&app, &scope, |one| one.provider == provider).await,
        _ => Err(Problem::not_found()),
    }
}
