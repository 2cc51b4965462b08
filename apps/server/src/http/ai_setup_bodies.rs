//! What is said about an organization's AI setup (`spec/07-provisioning.md`, Endpoints).

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use voxanne_kernel::Timestamp;
use voxanne_provisioning::{
    ReadyAssistant,
    setup::{CleanupResults, Setup, SetupStatus, SetupWish, Step},
};
use voxanne_tenancy::{Organization, OrganizationStatus};

use crate::http::{
    managed_telephony::{area_code, country},
    problem::Problem,
};

/// What an operator found out about an organization, and which line it gets.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct VerifyOrganizationBody {
    /// `verified` or `rejected`.
    #[schema(example = "verified")]
    pub(super) status: String,
    /// Two capital letters; US unless given.
    #[schema(example = "US")]
    country_code: Option<String>,
    /// Three digits; in the US and Canada.
    #[schema(example = "510")]
    area_code: Option<String>,
    /// Whether another area will do when this one has no numbers; false unless given.
    allow_fallback: Option<bool>,
}

/// Which line is wanted; what is left out takes its default, in a retry that of the attempt before.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SetupWishBody {
    /// Two capital letters; US unless given.
    #[schema(example = "US")]
    pub(crate) country_code: Option<String>,
    /// Three digits; in the US and Canada.
    #[schema(example = "510")]
    pub(crate) area_code: Option<String>,
    /// Whether another area will do when this one has no numbers; false unless given.
    pub(crate) allow_fallback: Option<bool>,
}

impl VerifyOrganizationBody {
    /// What it says about the line.
    pub(super) fn wish(self) -> Result<SetupWish, Problem> {
        let Self { country_code, area_code, allow_fallback, .. } = self;
        SetupWishBody { country_code, area_code, allow_fallback }.read()
    }
}

impl SetupWishBody {
    /// Whether nothing is said.
    pub(super) fn is_empty(&self) -> bool {
        self.country_code.is_none() && self.area_code.is_none() && self.allow_fallback.is_none()
    }

    /// The wish in the domain's form.
    pub(crate) fn read(self) -> Result<SetupWish, Problem> {
        let country = country(self.country_code.as_deref().unwrap_or("US"))?;
        let area_code = area_code(&country, self.area_code.as_deref())?;
        Ok(SetupWish { country, area_code, allow_fallback: self.allow_fallback.unwrap_or(false) })
    }
}

/// What became of a decision about an organization, or of its setup.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct VerifiedBody {
    success: bool,
    /// A sentence for a person.
    message: &'static str,
    data: VerifiedData,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedData {
    organization: VerifiedOrganization,
    /// Null when the organization was rejected.
    ai_setup: Option<SetupOutcomeBody>,
}

/// The organization as it is now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedOrganization {
    id: Uuid,
    /// `pending`, `verified`, `rejected` or `suspended`.
    status: &'static str,
    is_verified: bool,
}

impl From<&Organization> for VerifiedOrganization {
    fn from(organization: &Organization) -> Self {
        Self {
            id: organization.id.0,
            status: organization.status.as_str(),
            is_verified: organization.status == OrganizationStatus::Verified,
        }
    }
}

/// A setup that is done, or one that goes on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
enum SetupOutcomeBody {
    Done(SetupDoneBody),
    Running(SetupRunningBody),
}

/// A setup that is done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SetupDoneBody {
    success: bool,
    /// What it took.
    #[schema(example = "2847ms")]
    setup_time: String,
    data: SetupDoneData,
}

/// What the organization has now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct SetupDoneData {
    #[schema(example = "+15105550100")]
    phone_number: Option<String>,
    assistants: LineAssistantsBody,
    /// Whether the owners' mail is on its way; false where the platform has no account to send mails from.
    email_sent: bool,
}

/// A setup that goes on; `GET …/ai-status` tells how far it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SetupRunningBody {
    /// `in_progress`
    #[schema(example = "in_progress")]
    status: &'static str,
}

/// The line's two assistants.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LineAssistantsBody {
    inbound: Option<LineAssistantBody>,
    outbound: Option<LineAssistantBody>,
}

/// An assistant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct LineAssistantBody {
    /// Vapi's id.
    id: String,
    name: String,
}

impl From<&ReadyAssistant> for LineAssistantBody {
    fn from(assistant: &ReadyAssistant) -> Self {
        Self { id: assistant.id.clone(), name: assistant.name.clone() }
    }
}

impl LineAssistantsBody {
    fn of(setup: Option<&Setup>) -> Self {
        let shown = |assistant: Option<&ReadyAssistant>| assistant.map(LineAssistantBody::from);
        Self {
            inbound: shown(setup.and_then(|setup| setup.inbound.as_ref())),
            outbound: shown(setup.and_then(|setup| setup.outbound.as_ref())),
        }
    }
}

impl VerifiedBody {
    fn of(message: &'static str, organization: &Organization, ai_setup: Option<SetupOutcomeBody>) -> Self {
        Self { success: true, message, data: VerifiedData { organization: organization.into(), ai_setup } }
    }

    /// The organization was turned down.
    pub(super) fn rejected(organization: &Organization) -> Self {
        Self::of("The organization is rejected.", organization, None)
    }

    /// Its line answers.
    pub(super) fn done(organization: &Organization, setup: &Setup) -> Self {
        let took = setup.completed_at.map_or(0, |at| at.duration_since(setup.started_at).as_millis());
        let data = SetupDoneData {
            phone_number: setup.phone_number.as_ref().map(ToString::to_string),
            assistants: LineAssistantsBody::of(Some(setup)),
            email_sent: setup.email_queued,
        };
        let done = SetupDoneBody { success: true, setup_time: format!("{took}ms"), data };
        let message = "The organization is verified, and its line is set up.";
        Self::of(message, organization, Some(SetupOutcomeBody::Done(done)))
    }

    /// Its line is being set up.
    pub(super) fn running(organization: &Organization) -> Self {
        let running = SetupRunningBody { status: "in_progress" };
        let message = "The organization is verified. Its line is being set up.";
        Self::of(message, organization, Some(SetupOutcomeBody::Running(running)))
    }
}

/// How far an organization's setup is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AiStatusBody {
    organization: AiStatusOrganization,
    ai_setup: AiStatusData,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AiStatusOrganization {
    id: Uuid,
    company_name: String,
    /// `pending`, `verified`, `rejected` or `suspended`.
    status: &'static str,
    is_verified: bool,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct AiStatusData {
    /// Whether there is one that has not been taken back.
    has_setup: bool,
    setup_completed: bool,
    /// `none`, `provisioning`, `active`, `failed`, `cleaning`, `inactive` or `suspended`.
    status: &'static str,
    phone_number: Option<String>,
    assistants: LineAssistantsBody,
    /// When it was completed.
    #[schema(value_type = Option<String>, format = DateTime)]
    setup_date: Option<Timestamp>,
    /// All eight in order; none when there never was a setup.
    steps: Vec<SetupStepBody>,
}

/// A step of the setup.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct SetupStepBody {
    /// `organization`, `telephony_account`, `phone_number`, `inbound_assistant`, `outbound_assistant`,
    /// `vapi_phone_number`, `configuration` or `email`.
    name: &'static str,
    /// `pending`, `running`, `done`, `failed` or `undone`.
    status: &'static str,
    attempts: u32,
    /// When the status last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    at: Option<Timestamp>,
    /// Why it did not succeed the last time, as a stable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<&Step> for SetupStepBody {
    fn from(step: &Step) -> Self {
        Self {
            name: step.name.as_str(),
            status: step.status.as_str(),
            attempts: step.attempts,
            at: step.at,
            error: step.error.clone(),
        }
    }
}

impl AiStatusBody {
    pub(super) fn of(organization: Organization, setup: Option<&Setup>) -> Self {
        let is_complete = |setup: &Setup| {
            let stands = matches!(setup.status, SetupStatus::Active | SetupStatus::Suspended);
            stands && setup.failure.is_none() && setup.completed_at.is_some()
        };
        let completed = setup.filter(|setup| is_complete(setup));
        Self {
            organization: AiStatusOrganization {
                id: organization.id.0,
                status: organization.status.as_str(),
                is_verified: organization.status == OrganizationStatus::Verified,
                company_name: organization.name.into(),
            },
            ai_setup: AiStatusData {
                has_setup: setup.is_some_and(|setup| setup.status != SetupStatus::Inactive),
                setup_completed: completed.is_some(),
                status: setup.map_or("none", |setup| setup.status.as_str()),
                phone_number: setup.and_then(|setup| setup.phone_number.as_ref()).map(ToString::to_string),
                assistants: LineAssistantsBody::of(setup),
                setup_date: completed.and_then(|setup| setup.completed_at),
                steps: setup.map(|setup| setup.steps.iter().map(Into::into).collect()).unwrap_or_default(),
            },
        }
    }
}

/// What became of taking a setup back. A part that is not done is gone on with until it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct CleanedUpBody {
    /// Whether every part is done.
    success: bool,
    /// A sentence for a person.
    message: &'static str,
    data: CleanedUpData,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CleanedUpData {
    cleanup: CleanupBody,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CleanupBody {
    results: CleanupResultsBody,
}

/// Each part: whether nothing of ours is left of it. What was gone already counts as done.
///
/// A number that the organization brought with an account of its own was never ours to release: it is bound to nobody
/// any more, and stays known to Vapi until that account is disconnected.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the contract's five results")]
struct CleanupResultsBody {
    /// Of every number that was bought for the organization.
    phone_number_released: bool,
    inbound_assistant_deleted: bool,
    outbound_assistant_deleted: bool,
    /// Likewise.
    vapi_phone_number_deleted: bool,
    config_deleted: bool,
}

impl From<CleanupResults> for CleanedUpBody {
    fn from(results: CleanupResults) -> Self {
        let success = results.is_done();
        let results = CleanupResultsBody {
            phone_number_released: results.phone_number_released,
            inbound_assistant_deleted: results.inbound_assistant_deleted,
            outbound_assistant_deleted: results.outbound_assistant_deleted,
            vapi_phone_number_deleted: results.vapi_phone_number_deleted,
            config_deleted: results.config_deleted,
        };
        let message = if success {
            "The line is taken down."
        } else {
            "A part could not be taken down yet; it is gone on with."
        };
        Self { success, message, data: CleanedUpData { cleanup: CleanupBody { results } } }
    }
}
