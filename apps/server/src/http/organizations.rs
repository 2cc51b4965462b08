//! An organization's own settings.

use axum::{Json, extract::State};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_kernel::{E164, Timestamp, Zone, ids::OrgId, phone::NotE164};
use voxanne_tenancy::{Document, Organization, OrganizationChange, OrganizationName, SettingsError};

use crate::{
    app::App,
    http::{
        auth::Checks,
        extract::{Admin, Caller, Id},
        json::Body,
        problem::Problem,
    },
};

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// An organization in a word.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct OrganizationSummary {
    id: Uuid,
    name: String,
    /// `pending`, `verified`, `rejected` or `suspended`.
    status: &'static str,
    /// An IANA time zone.
    timezone: String,
}

impl OrganizationSummary {
    pub(super) fn of(organization: &Organization) -> Self {
        Self {
            id: organization.id.0,
            name: organization.name.as_str().to_owned(),
            status: organization.status.as_str(),
            timezone: organization.zone.name().to_owned(),
        }
    }
}

/// An organization.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrganizationBody {
    id: Uuid,
    name: String,
    /// `pending`, `verified`, `rejected` or `suspended`.
    status: &'static str,
    /// An IANA time zone: that of its opening hours.
    timezone: String,
    /// What its prices are in.
    currency: String,
    /// `auto`, or `manual` where bookings wait for approval.
    approval_mode: &'static str,
    /// `bound`, or `dynamic` where we are asked before each call.
    answer_mode: &'static str,
    /// Who is told about hot leads.
    alert_phone: Option<String>,
    /// Where calls are transferred to.
    #[schema(value_type = Object)]
    call_routing: Value,
    /// What the assistant may say about the business.
    #[schema(value_type = Object)]
    profile: Value,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Organization> for OrganizationBody {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id.0,
            name: organization.name.into(),
            status: organization.status.as_str(),
            timezone: organization.zone.name().to_owned(),
            currency: organization.currency.to_string(),
            approval_mode: organization.approval_mode.as_str(),
            answer_mode: organization.answer_mode.as_str(),
            alert_phone: organization.alert_phone.map(Into::into),
            call_routing: organization.call_routing.into(),
            profile: organization.profile.into(),
            created_at: organization.created_at,
            updated_at: organization.updated_at,
        }
    }
}

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OrganizationChangeBody {
    name: Option<String>,
    /// An IANA time zone.
    timezone: Option<String>,
    /// E.164, or null for none.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "+15005550006")]
    alert_phone: PhoneChange,
    /// `auto` or `manual`.
    approval_mode: Option<String>,
    /// `bound` or `dynamic`.
    answer_mode: Option<String>,
    /// Replaces the whole object.
    #[schema(value_type = Option<Object>)]
    call_routing: Option<Value>,
    /// Replaces the whole object.
    #[schema(value_type = Option<Object>)]
    profile: Option<Value>,
}

/// What a field that may be null asks for: null is not the same as left out.
#[derive(Debug, Default)]
enum PhoneChange {
    #[default]
    Keep,
    Remove,
    Set(String),
}

impl<'de> Deserialize<'de> for PhoneChange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Remove, Self::Set))
    }
}

impl PhoneChange {
    /// The change in the domain's form.
    #[expect(clippy::option_option, reason = "left alone, removed or replaced")]
    fn read(&self) -> Result<Option<Option<E164>>, NotE164> {
        Ok(match self {
            Self::Keep => None,
            Self::Remove => Some(None),
            Self::Set(number) => Some(Some(E164::new(number)?)),
        })
    }
}

impl TryFrom<OrganizationChangeBody> for OrganizationChange {
    type Error = Problem;

    /// Names every field that is wrong at once.
    fn try_from(body: OrganizationChangeBody) -> Result<Self, Problem> {
        let mut checks = Checks::default();
        let name = checks.field("name", body.name.as_deref().map(OrganizationName::new).transpose());
        let zone = checks.field("timezone", body.timezone.as_deref().map(Zone::new).transpose());
        let alert_phone = checks.field("alertPhone", body.alert_phone.read());
        let approval_mode =
            checks.field("approvalMode", body.approval_mode.map(|mode| mode.parse()).transpose());
        let answer_mode = checks.field("answerMode", body.answer_mode.map(|mode| mode.parse()).transpose());
        let call_routing = checks.field("callRouting", body.call_routing.map(Document::new).transpose());
        let profile = checks.field("profile", body.profile.map(Document::new).transpose());
        let whole = || {
            Some(Self {
                name: name?,
                zone: zone?,
                alert_phone: alert_phone?,
                approval_mode: approval_mode?,
                answer_mode: answer_mode?,
                call_routing: call_routing?,
                profile: profile?,
            })
        };
        checks.finish(whole())
    }
}

/// The caller's organization.
#[utoipa::path(get, path = "/api/organizations/{id}", tag = "organizations", params(("id" = Uuid, Path)),
    responses((status = 200, body = OrganizationBody)))]
async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(org): Id<OrgId>,
) -> Result<Json<OrganizationBody>, Problem> {
    caller.names(org)?;
    let organization = app.tenancy.settings.show(&caller.scope).await.map_err(settings_problem)?;
    Ok(Json(organization.into()))
}

/// Changes settings of the caller's organization; for admins.
#[utoipa::path(patch, path = "/api/organizations/{id}", tag = "organizations", params(("id" = Uuid, Path)),
    request_body = OrganizationChangeBody, responses((status = 200, body = OrganizationBody)))]
async fn change(
    State(app): State<App>,
    caller: Admin,
    Id(org): Id<OrgId>,
    Body(body): Body<OrganizationChangeBody>,
) -> Result<Json<OrganizationBody>, Problem> {
    caller.names(org)?;
    let changed = app.tenancy.settings.change(&caller.scope, body.try_into()?).await;
    Ok(Json(changed.map_err(settings_problem)?.into()))
}

pub(super) fn settings_problem(error: SettingsError) -> Problem {
    match error {
        SettingsError::NotFound => Problem::not_found(),
        SettingsError::NotAllowed => {
            Problem::forbidden("role_required", "Your role in the organization does not allow this.")
        }
        SettingsError::Store(error) => error.into(),
    }
}
