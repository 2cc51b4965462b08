//! Forwardings as requests and answers hold them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use voxanne_kernel::{Timestamp, ids::CallerIdId};
use voxanne_telephony::hybrid::{
    CarrierCountry, Code, ConfigState, Covers, Destination, ForwardingConfig, Plan, Removal, RingTime, Setup,
    Step,
};

use crate::http::{auth::Checks, problem::Problem};

/// Which calls of which phone to forward.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SetUpBody {
    /// A verified number.
    verified_caller_id: Uuid,
    /// `total_ai`: all calls; `safety_net`: missed, busy and unreachable ones.
    #[schema(example = "safety_net")]
    forwarding_type: String,
    /// `att`, `tmobile`, `verizon`, `sprint`, `other_gsm`, `other_cdma` or `international`.
    #[schema(example = "tmobile")]
    carrier: String,
    /// How long the phone rings first, 5 to 60; 25 unless given.
    #[schema(minimum = 5, maximum = 60, example = 25)]
    ring_time_seconds: Option<i64>,
    /// ISO 3166, two letters; `US` unless given.
    #[schema(example = "US")]
    carrier_country_code: Option<String>,
}

impl SetUpBody {
    pub(super) fn into_setup(self) -> Result<Setup, Problem> {
        let mut checks = Checks::default();
        let kind = checks.field("forwardingType", self.forwarding_type.parse());
        let carrier = checks.field("carrier", self.carrier.parse());
        let ring = self.ring_time_seconds.map_or(Ok(RingTime::DEFAULT), RingTime::new);
        let ring = checks.field("ringTimeSeconds", ring);
        let country = self.carrier_country_code.map_or(Ok(CarrierCountry::US), |code| code.parse());
        let country = checks.field("carrierCountryCode", country);
        let caller_id = CallerIdId(self.verified_caller_id);
        checks.finish((|| {
            Some(Setup { caller_id, kind: kind?, carrier: carrier?, country: country?, ring: ring? })
        })())
    }
}

/// Something to dial.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StepBody {
    #[schema(example = "**61*+15550109999*11*25#")]
    code: String,
    /// The calls it is about: `all`, `no_answer`, `busy`, `unreachable`.
    covers: Vec<&'static str>,
    /// Whether it belongs to the setup; otherwise it is for networks that refuse the one before.
    required: bool,
}

impl From<&Step> for StepBody {
    fn from(step: &Step) -> Self {
        Self {
            code: step.code.to_string(),
            covers: step.covers.iter().copied().map(Covers::as_str).collect(),
            required: step.is_required,
        }
    }
}

/// Something to dial that takes a forwarding back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RemovalBody {
    #[schema(example = "##61#")]
    code: String,
    /// The calls it is about.
    covers: Vec<&'static str>,
    /// Whether it belongs to the removal.
    required: bool,
    /// Whether the network forgets the number as well.
    erases: bool,
}

impl From<&Removal> for RemovalBody {
    fn from(removal: &Removal) -> Self {
        let StepBody { code, covers, required } = (&removal.step).into();
        Self { code, covers, required, erases: removal.erases }
    }
}

/// What to dial, and what to know about it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct PlanBody {
    /// The first of `activationSteps`.
    #[schema(example = "**61*+15550109999*11*25#")]
    generated_activation_code: String,
    /// The first of `deactivationSteps`.
    #[schema(example = "##61#")]
    generated_deactivation_code: String,
    activation_steps: Vec<StepBody>,
    deactivation_steps: Vec<RemovalBody>,
    /// What shows, on the phone, what the network has; empty where nothing does.
    status_check_codes: Vec<String>,
    /// How long the phone rings first; null where the code does not say.
    effective_ring_time_seconds: Option<u8>,
    /// Where the codes come from: `STD` the standard, `CAR` the carrier's own text, `3RD` third parties' guides.
    #[schema(example = "STD")]
    basis: &'static str,
    warnings: Vec<String>,
    instructions: Vec<String>,
    /// Where calls go.
    #[schema(example = "+15550109999")]
    destination_phone_number: String,
}

impl PlanBody {
    pub(super) fn new(plan: Plan, to: &Destination) -> Self {
        let first = |code: Option<&Code>| code.map(ToString::to_string).unwrap_or_default();
        Self {
            generated_activation_code: first(plan.activation_code()),
            generated_deactivation_code: first(plan.deactivation_code()),
            activation_steps: plan.activation.iter().map(StepBody::from).collect(),
            deactivation_steps: plan.removal.iter().map(RemovalBody::from).collect(),
            status_check_codes: plan.status.iter().map(ToString::to_string).collect(),
            effective_ring_time_seconds: plan.ring_seconds,
            basis: plan.basis.as_str(),
            warnings: plan.warnings,
            instructions: plan.instructions,
            destination_phone_number: to.number().to_string(),
        }
    }
}

/// A forwarding.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigBody {
    id: Uuid,
    verified_caller_id: Uuid,
    /// The phone.
    sim_phone_number: String,
    forwarding_type: &'static str,
    carrier: &'static str,
    carrier_country_code: String,
    /// What was asked for; `effectiveRingTimeSeconds` is what the code says.
    ring_time_seconds: u8,
    #[serde(flatten)]
    plan: PlanBody,
    /// `pending_setup`, `active` (somebody says that it is dialled) or `disabled`.
    #[schema(example = "pending_setup")]
    status: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    confirmed_at: Option<Timestamp>,
    /// Whether a test call has arrived, which is the proof.
    verified_by_test_call: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl ConfigBody {
    pub(super) fn new(config: &ForwardingConfig, plan: Plan) -> Self {
        Self {
            id: config.id.0,
            verified_caller_id: config.setup.caller_id.0,
            sim_phone_number: config.sim.to_string(),
            forwarding_type: config.setup.kind.as_str(),
            carrier: config.setup.carrier.as_str(),
            carrier_country_code: config.setup.country.to_string(),
            ring_time_seconds: config.setup.ring.seconds(),
            plan: PlanBody::new(plan, &config.to),
            status: config.state.as_str(),
            confirmed_at: match config.state {
                ConfigState::Active { confirmed_at } => Some(confirmed_at),
                ConfigState::PendingSetup | ConfigState::Disabled => None,
            },
            verified_by_test_call: config.proved_at.is_some(),
            created_at: config.created_at,
            updated_at: config.updated_at,
        }
    }
}
