//! Numbers that we buy for an organization: what is for sale, buying, what it has, releasing
//! (`spec/07-provisioning.md`, Managed numbers). Everybody may look; owners and admins buy and release.

use axum::{
    Extension, Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;
use utoipa_axum::{router::OpenApiRouter, routes};
use voxanne_kernel::{E164, ProviderError, Timestamp};
use voxanne_messaging::numbering::may_be_of;
use voxanne_telephony::{
    hybrid::{Code, Forwarded},
    numbers::{
        AreaCode, CarrierError, Country, ManagedNumber, NumberState, Offer, Price, ProvisionError,
        Provisioned, ReleaseError, Results, Search, SearchError, Wish,
    },
};
use voxanne_twilio::ManagedNumbers;

use super::telephony::{phone_number, with_phone_number};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller},
        json::{Body, Query},
        layers::{RequestId, within_request},
        problem::{Problem, ProblemBody},
    },
};

/// How many offers are shown unless asked otherwise, and at most.
const OFFERS: (u16, u16) = (20, 100);

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(available))
        .routes(routes!(provision))
        .routes(routes!(status))
        .routes(routes!(release))
}

/// What is looked for.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AvailableQuery {
    /// Two capital letters; US unless given.
    #[param(example = "US")]
    country_code: Option<String>,
    /// Three digits; in the US and Canada.
    #[param(example = "510")]
    area_code: Option<String>,
    /// Digits and letters that the number contains; `*` stands for any one and `%` for any run of them. A leading `+`
    /// means its beginning, a trailing `$` its end.
    contains: Option<String>,
    /// 1 to 100; 20 unless given.
    limit: Option<u16>,
}

/// A number that can be bought now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct OfferBody {
    #[schema(example = "+15105550100")]
    phone_number: String,
    country_code: String,
    /// `local`, `mobile` or `toll_free`.
    #[serde(rename = "type")]
    kind: &'static str,
    locality: Option<String>,
    region: Option<String>,
    capabilities: CapabilitiesBody,
    /// What it costs a month, where the provider tells; null where it does not.
    monthly_price: Option<PriceBody>,
}

/// What a number can do. Only numbers that can do both are shown.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CapabilitiesBody {
    voice: bool,
    sms: bool,
}

/// An amount in minor units.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct PriceBody {
    amount: i64,
    #[schema(example = "USD")]
    currency: String,
}

impl From<Price> for PriceBody {
    fn from(price: Price) -> Self {
        Self { amount: price.amount.minor(), currency: price.currency.as_str().to_owned() }
    }
}

/// What can be bought now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct OffersBody {
    data: Vec<OfferBody>,
    /// Always null: a search has one page.
    next_cursor: Option<String>,
}

/// Which number is wanted.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ProvisionBody {
    /// Two capital letters.
    #[schema(example = "US")]
    country_code: String,
    /// Three digits; in the US and Canada.
    #[schema(example = "510")]
    area_code: Option<String>,
    /// Exactly this one.
    #[schema(example = "+15105550100")]
    phone_number: Option<String>,
    /// Whether another area will do when this one has nothing; false unless given.
    #[serde(default)]
    allow_fallback: bool,
}

/// A number of the organization.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct NumberBody {
    #[schema(example = "+15105550100")]
    phone_number: String,
    /// `buying`, `active`, `releasing` or `released`.
    status: &'static str,
    /// Vapi's id of it, while there is one.
    vapi_phone_id: Option<String>,
}

/// A number that was bought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ProvisionedBody {
    success: bool,
    number: NumberBody,
}

/// A number with its dates.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct DatedNumberBody {
    #[serde(flatten)]
    number: NumberBody,
    /// Null until the provider has sold it.
    #[schema(value_type = Option<String>, format = DateTime)]
    purchased_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    released_at: Option<Timestamp>,
}

/// How the organization comes by its numbers, and those that we bought.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct StatusBody {
    /// `managed`: we buy them; `byoc`: it brought a Twilio account of its own; `none`.
    #[schema(example = "managed")]
    mode: &'static str,
    numbers: Vec<DatedNumberBody>,
}

/// Whether phones that forward their calls to the number stand in the way.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReleaseQuery {
    /// Releases it even if they do; false unless given.
    force: Option<bool>,
}

/// What was done. What was not is gone on with until it is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ReleasedBody {
    /// Whether everything was done.
    success: bool,
    results: ResultsBody,
}

/// Each part of a release.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "the contract's four results")]
struct ResultsBody {
    /// Vapi has let go of it, or never had it.
    vapi_released: bool,
    /// Twilio has let go of it, or never had it.
    twilio_released: bool,
    /// It is marked as being released, or as released.
    status_updated: bool,
    /// Its calls are attributed to nobody.
    routing_removed: bool,
}

impl From<&ManagedNumber> for NumberBody {
    fn from(number: &ManagedNumber) -> Self {
        Self {
            phone_number: number.number.to_string(),
            status: number.state.as_str(),
            vapi_phone_id: number.state.voice_id().map(ToOwned::to_owned),
        }
    }
}

impl From<&ManagedNumber> for DatedNumberBody {
    fn from(number: &ManagedNumber) -> Self {
        let released_at = match number.state {
            NumberState::Released { at } => Some(at),
            _ => None,
        };
        Self { number: number.into(), purchased_at: number.purchased_at, released_at }
    }
}

impl From<Results> for ReleasedBody {
    fn from(results: Results) -> Self {
        Self {
            success: results.is_done(),
            results: ResultsBody {
                vapi_released: results.voice_released,
                twilio_released: results.carrier_released,
                status_updated: results.status_updated,
                routing_removed: results.routing_removed,
            },
        }
    }
}

impl AvailableQuery {
    fn read(self) -> Result<(Country, Option<AreaCode>, Option<String>, u16), Problem> {
        let country = country(self.country_code.as_deref().unwrap_or("US"))?;
        let area_code = area_code(&country, self.area_code.as_deref())?;
        if self.contains.as_deref().is_some_and(|pattern| !is_pattern(pattern)) {
            let rule = "must be 2 to 16 digits, letters, * or %, after a + or before a $ if at all";
            return Err(Problem::invalid("contains", rule));
        }
        let limit = self.limit.unwrap_or(OFFERS.0);
        if !(1..=OFFERS.1).contains(&limit) {
            return Err(Problem::invalid("limit", format!("must be 1 to {}", OFFERS.1)));
        }
        Ok((country, area_code, self.contains, limit))
    }
}

impl ProvisionBody {
    fn read(self) -> Result<Wish, Problem> {
        let country = country(&self.country_code)?;
        let area_code = area_code(&country, self.area_code.as_deref())?;
        let number = self.phone_number.as_deref().map(|number| phone_number("phoneNumber", number));
        let number = number.transpose()?;
        if let Some(number) = &number {
            fits(number, &country, area_code.as_ref())?;
        }
        Ok(Wish { country, area_code, number, allow_fallback: self.allow_fallback })
    }
}

pub(super) fn country(text: &str) -> Result<Country, Problem> {
    text.parse().map_err(|rule| Problem::invalid("countryCode", format!("{rule}")))
}

pub(super) fn area_code(country: &Country, text: Option<&str>) -> Result<Option<AreaCode>, Problem> {
    let Some(text) = text else { return Ok(None) };
    if !country.has_area_codes() {
        return Err(Problem::invalid("areaCode", "can be given for US and CA only"));
    }
    text.parse().map(Some).map_err(|rule| Problem::invalid("areaCode", format!("{rule}")))
}

/// Refuses exactly one number that contradicts what else was asked for.
fn fits(number: &E164, country: &Country, area_code: Option<&AreaCode>) -> Result<(), Problem> {
    let refused = |rule: String| Err(Problem::invalid("phoneNumber", rule));
    if !may_be_of(number, country) {
        return refused(format!("must be a number of the countryCode {country}"));
    }
    match area_code {
        Some(code) if !number.as_str().starts_with(&format!("+1{code}")) => {
            refused(format!("must be in the areaCode {code}"))
        }
        _ => Ok(()),
    }
}

/// Whether Twilio takes it for a pattern (its `Contains`).
fn is_pattern(text: &str) -> bool {
    let inner = text.strip_prefix('+').unwrap_or(text);
    let inner = inner.strip_suffix('$').unwrap_or(inner);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'*' | b'%');
    (2..=16).contains(&text.len()) && !inner.is_empty() && inner.bytes().all(is_plain)
}

/// Shows numbers that can be bought now; being shown reserves nothing.
#[utoipa::path(get, path = "/api/managed-telephony/available", tag = "managed telephony", params(AvailableQuery),
    responses((status = 200, body = OffersBody), (status = 400, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
async fn available(
    State(app): State<App>,
    _caller: Caller,
    Query(query): Query<AvailableQuery>,
) -> Result<Json<OffersBody>, Problem> {
    let (country, area_code, contains, limit) = query.read()?;
    let search =
        Search { country: &country, area_code: area_code.as_ref(), contains: contains.as_deref(), limit };
    let offers = app.numbers.find.offers(&search).await.map_err(|error| match error {
        SearchError::NotConfigured => not_configured(),
        SearchError::Carrier(CarrierError::Provider(error)) => unavailable(error, NOT_NOW),
        SearchError::Carrier(error) => unavailable(ProviderError::Refused(Box::new(error)), NOT_NOW),
    })?;
    let shown = |offer: Offer| OfferBody {
        phone_number: offer.number.to_string(),
        country_code: country.as_str().to_owned(),
        kind: offer.kind.as_str(),
        locality: offer.locality,
        region: offer.region,
        capabilities: CapabilitiesBody { voice: true, sms: true },
        monthly_price: offer.monthly_price.map(Into::into),
    };
    Ok(Json(OffersBody { data: offers.into_iter().map(shown).collect(), next_cursor: None }))
}

/// Buys a number for the organization and makes it ring at its inbound assistant. 202 when a provider's answer was lost:
/// the purchase goes on by itself, and asking again goes on with it.
#[utoipa::path(post, path = "/api/managed-telephony/provision", tag = "managed telephony",
    request_body = ProvisionBody,
    responses((status = 201, body = ProvisionedBody), (status = 202, body = ProvisionedBody),
        (status = 400, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
async fn provision(
    State(app): State<App>,
    caller: Admin,
    Extension(RequestId(request)): Extension<RequestId>,
    body: Result<Body<ProvisionBody>, Problem>,
) -> Result<(StatusCode, Json<ProvisionedBody>), Problem> {
    let wish = with_phone_number(body)?.read()?;
    let managed = managed(&app)?;
    let scope = caller.scope;
    // It goes on even if this client hangs up.
    let work = async move { managed.provision.run(&scope, wish).await };
    let outcome = tokio::spawn(within_request(request, work).in_current_span()).await;
    let (status, number) = match outcome.map_err(Problem::internal)?.map_err(provision_problem)? {
        Provisioned::Active(number) => (StatusCode::CREATED, number),
        Provisioned::UnderWay(number) => (StatusCode::ACCEPTED, number),
        Provisioned::GivenUp(_) => {
            return Err(Problem::conflict("number_released", "The number was released meanwhile."));
        }
    };
    Ok((status, Json(ProvisionedBody { success: true, number: (&number).into() })))
}

/// Shows how the organization comes by its numbers, and those that we bought for it.
#[utoipa::path(get, path = "/api/managed-telephony/status", tag = "managed telephony",
    responses((status = 200, body = StatusBody)))]
async fn status(State(app): State<App>, caller: Caller) -> Result<Json<StatusBody>, Problem> {
    let found = app.numbers.find.status(&caller.scope).await?;
    let numbers = found.numbers.iter().map(DatedNumberBody::from).collect();
    Ok(Json(StatusBody { mode: found.mode.as_str(), numbers }))
}

/// Releases a number: its calls stop at once, and it is `released` when Vapi and Twilio have both let go of it. What a
/// provider does not do now is tried until it is done.
#[utoipa::path(delete, path = "/api/managed-telephony/numbers/{phoneNumber}", tag = "managed telephony",
    params(("phoneNumber" = String, Path, description = "E.164, with the plus as %2B."), ReleaseQuery),
    responses((status = 200, body = ReleasedBody), (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
async fn release(
    State(app): State<App>,
    caller: Admin,
    Path(number): Path<String>,
    Extension(RequestId(request)): Extension<RequestId>,
    Query(query): Query<ReleaseQuery>,
) -> Result<Json<ReleasedBody>, Problem> {
    let number = phone_number("phoneNumber", &number)?;
    let managed = managed(&app)?;
    let (scope, force) = (caller.scope, query.force.unwrap_or(false));
    let work = async move { managed.release.run(&scope, &number, force).await };
    let outcome = tokio::spawn(within_request(request, work).in_current_span()).await;
    let results = outcome.map_err(Problem::internal)?.map_err(release_problem)?;
    Ok(Json(results.into()))
}

fn managed(app: &App) -> Result<ManagedNumbers, Problem> {
    app.numbers.managed.clone().ok_or_else(not_configured)
}

fn not_configured() -> Problem {
    let message = "Managed numbers are not configured on this platform. Ask its operator to set Twilio up.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_configured", message)
}

/// Nothing was asked of the provider but what it has.
const NOT_NOW: &str = "The telephony provider cannot do this right now. Try again later.";
/// What was bought before a provider failed is given back.
const NOT_BOUGHT: &str = "A telephony provider cannot do this right now, so there is no new number: if one was bought already, it \
                          is being given back. Try again later.";

fn unavailable(error: ProviderError, message: &'static str) -> Problem {
    let wait = match &error {
        ProviderError::RetryLater { after: Some(after), .. } => after.as_secs().clamp(1, 3_600),
        _ => 10,
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message)
        .retry_after(wait)
        .because(error)
}

fn provision_problem(error: ProvisionError) -> Problem {
    match error {
        ProvisionError::NotVerified => Problem::forbidden(
            "organization_not_verified",
            "The organization has to be verified before a number can be bought for it.",
        ),
        ProvisionError::Suspended => {
            Problem::forbidden("organization_suspended", "The organization is suspended.")
        }
        ProvisionError::SlotTaken => Problem::conflict(
            "twilio_slot_taken",
            "The organization brought a Twilio account of its own. Remove it before having numbers bought.",
        ),
        ProvisionError::TooManyNumbers { limit } => {
            let message =
                format!("The organization may have {limit} numbers. Release one before buying another.");
            Problem::conflict("number_limit", message).detail("limit", limit)
        }
        ProvisionError::TooManyPurchases { after } => {
            let message = "No more numbers can be bought for this organization today.";
            let seconds = u64::try_from(after.as_secs()).unwrap_or(1);
            Problem::too_many_requests("purchase_limit", message, seconds)
        }
        ProvisionError::NoneForSale { country, area_code, nearby } => {
            let message = match &area_code {
                Some(code) => format!("No available phone numbers in area code {code}"),
                None => format!("No available phone numbers in {}", country.as_str()),
            };
            Problem::unprocessable("no_numbers_available", message).detail("nearbyAreaCodes", json!(nearby))
        }
        ProvisionError::NumberGone => Problem::unprocessable(
            "number_not_available",
            "This number is not for sale any more. Choose another one.",
        ),
        ProvisionError::DocumentsNeeded => Problem::unprocessable(
            "number_needs_documents",
            "Numbers of this country need a registered address or documents. Ask us to set that up.",
        ),
        error @ ProvisionError::PlatformLimit => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "platform_limit",
            "The platform cannot buy more numbers right now. Its operator has to raise a limit.",
        )
        .because(error),
        ProvisionError::Busy => Problem::overloaded(),
        error @ ProvisionError::Unreadable(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "credential_unreadable",
            "A stored secret of this organization cannot be read.",
        )
        .because(error),
        ProvisionError::Provider(error) => unavailable(error, NOT_BOUGHT),
        ProvisionError::Store(error) => error.into(),
    }
}

fn release_problem(error: ReleaseError) -> Problem {
    match error {
        ReleaseError::NotFound => Problem::not_found(),
        ReleaseError::InUse(forwarded) => {
            let message = "Calls of your phone are still forwarded to this number and would reach a stranger. \
                           Dial the codes that end the forwarding, or release it with ?force=true.";
            let codes: Vec<&str> = forwarded.iter().flat_map(|one| &one.erase).map(Code::as_str).collect();
            let codes = json!(codes);
            Problem::conflict("number_in_use_by_forwarding", message)
                .detail("eraseCodes", codes)
                .detail("forwardings", forwarded.iter().map(shown_forwarding).collect::<Vec<_>>())
        }
        ReleaseError::Store(error) => error.into(),
    }
}

fn shown_forwarding(forwarded: &Forwarded) -> Value {
    let codes: Vec<&str> = forwarded.erase.iter().map(Code::as_str).collect();
    json!({ "id": forwarded.id, "simPhoneNumber": forwarded.sim.as_str(), "eraseCodes": codes })
}
