//! Numbers that the organization proves to be its own.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;
use voxanne_credentials::{ExposeSecret, SecretString};
use voxanne_kernel::{Timestamp, ids::CallerIdId};
use voxanne_telephony::hybrid::{CallerId, CallerIdName, Code, State as Proof, Status};

use super::{
    phone_number,
    problems::{confirm_code_problem, initiate_problem, look_problem, remove_problem},
    with_phone_number,
};
use crate::{
    app::App,
    http::{
        extract::{Admin, Caller, Id},
        json::Body,
        problem::{Problem, ProblemBody},
    },
};

/// The longest thing that is looked at as a code.
const LONGEST_CODE: usize = 32;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(initiate))
        .routes(routes!(confirm))
        .routes(routes!(progress))
        .routes(routes!(list))
        .routes(routes!(remove))
}

/// A number to prove.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InitiateBody {
    /// E.164.
    #[schema(example = "+15005550100")]
    phone_number: String,
    /// What the organization calls it, at most 64 characters.
    #[schema(example = "Front desk")]
    friendly_name: Option<String>,
}

/// A call is under way.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct InitiatedBody {
    success: bool,
    /// Our id of the number and its verification.
    verification_id: Uuid,
    /// The provider's id of the call.
    #[schema(example = "CA0123456789abcdef0123456789abcdef")]
    validation_id: String,
    /// What to type on the phone that rings.
    #[schema(example = "417302")]
    validation_code: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    message: &'static str,
}

/// How far a verification is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProgressBody {
    /// `pending`, `verified`, `failed` or `expired`.
    #[schema(example = "pending")]
    status: &'static str,
    /// Whether the provider says that the code was typed on the phone.
    phone_confirmed: bool,
    attempts_remaining: u8,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// The code, once more.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ConfirmBody {
    verification_id: Uuid,
    #[schema(value_type = String, example = "417302")]
    verification_code: SecretString,
}

/// The number is verified.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ConfirmedBody {
    success: bool,
    message: &'static str,
    /// The provider's id of the verified number.
    #[schema(example = "PN0123456789abcdef0123456789abcdef")]
    caller_id_sid: String,
}

/// A number.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct VerifiedNumberBody {
    id: Uuid,
    #[schema(example = "+15005550100")]
    phone_number: String,
    friendly_name: Option<String>,
    /// `pending`, `verified`, `failed` or `expired`.
    #[schema(example = "verified")]
    status: &'static str,
    #[schema(value_type = Option<String>, format = DateTime)]
    verified_at: Option<Timestamp>,
    /// Whether its calls are, or are about to be, forwarded.
    has_forwarding_config: bool,
}

impl VerifiedNumberBody {
    fn of((caller_id, has_forwarding_config): (CallerId, bool), now: Timestamp) -> Self {
        Self {
            id: caller_id.id.0,
            status: caller_id.status(now).as_str(),
            verified_at: match caller_id.state {
                Proof::Verified { at, .. } => Some(at),
                Proof::Pending | Proof::Failed | Proof::Expired => None,
            },
            phone_number: caller_id.number.into(),
            friendly_name: caller_id.name.map(|name| name.as_str().to_owned()),
            has_forwarding_config,
        }
    }
}

/// The organization's numbers, newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct NumbersBody {
    success: bool,
    numbers: Vec<VerifiedNumberBody>,
}

/// It is done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct DoneBody {
    pub(super) success: bool,
    pub(super) message: String,
}

/// Rings a number. The person who answers types the code from the answer **on the phone**; the provider then says that
/// the number is theirs. At most three calls an hour to a number, whoever asks.
#[utoipa::path(post, path = "/api/telephony/verify-caller-id/initiate", tag = "telephony",
    request_body = InitiateBody,
    responses((status = 200, body = InitiatedBody), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
async fn initiate(
    State(app): State<App>,
    caller: Admin,
    body: Result<Body<InitiateBody>, Problem>,
) -> Result<Json<InitiatedBody>, Problem> {
    let body = with_phone_number(body)?;
    let number = phone_number("phoneNumber", &body.phone_number)?;
    let name = body.friendly_name.as_deref().map(CallerIdName::new).transpose();
    let name = name.map_err(|error| Problem::invalid("friendlyName", error.to_string()))?;
    let begun = app.hybrid.verify.initiate(&caller.scope, number, name).await;
    let begun = begun.map_err(|error| initiate_problem(error, app.base.clock.now()))?;
    Ok(Json(InitiatedBody {
        success: true,
        verification_id: begun.id.0,
        validation_id: begun.call,
        validation_code: begun.code.expose_secret().to_owned(),
        expires_at: begun.expires_at,
        message: "We are calling this number now. Answer, and type the code on the phone's keypad.",
    }))
}

/// How far a verification is. While it is pending the provider is asked as well, in case its word was lost.
#[utoipa::path(get, path = "/api/telephony/verify-caller-id/{verificationId}", tag = "telephony",
    params(("verificationId" = Uuid, Path)), responses((status = 200, body = ProgressBody)))]
async fn progress(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id<CallerIdId>,
) -> Result<Json<ProgressBody>, Problem> {
    let progress = app.hybrid.verify.progress(&caller.scope, id).await.map_err(look_problem)?;
    Ok(Json(ProgressBody {
        status: progress.status.as_str(),
        phone_confirmed: progress.status == Status::Verified,
        attempts_remaining: progress.attempts_remaining,
        expires_at: progress.expires_at,
    }))
}

/// Checks the code and that it was typed on the phone. Three wrong codes lock the number for an hour; a right one that
/// comes before the provider's word is 409 `verification_call_pending` and costs nothing.
#[utoipa::path(post, path = "/api/telephony/verify-caller-id/confirm", tag = "telephony",
    request_body = ConfirmBody,
    responses((status = 200, body = ConfirmedBody), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 409, body = ProblemBody), (status = 410, body = ProblemBody),
        (status = 429, body = ProblemBody)))]
async fn confirm(
    State(app): State<App>,
    caller: Admin,
    Body(body): Body<ConfirmBody>,
) -> Result<Json<ConfirmedBody>, Problem> {
    let length = body.verification_code.expose_secret().len();
    if !(1..=LONGEST_CODE).contains(&length) {
        return Err(Problem::invalid("verificationCode", "must be the six digits that were shown"));
    }
    let id = CallerIdId(body.verification_id);
    let confirmed = app.hybrid.verify.confirm(&caller.scope, id, &body.verification_code).await;
    let caller_id_sid = confirmed.map_err(|error| confirm_code_problem(error, app.base.clock.now()))?;
    Ok(Json(ConfirmedBody { success: true, message: "The number is verified.", caller_id_sid }))
}

/// The organization's numbers, whatever came of their verification.
#[utoipa::path(get, path = "/api/telephony/verified-numbers", tag = "telephony",
    responses((status = 200, body = NumbersBody)))]
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<NumbersBody>, Problem> {
    let (all, now) = (app.hybrid.verify.list(&caller.scope).await?, app.base.clock.now());
    let numbers = all.into_iter().map(|listed| VerifiedNumberBody::of(listed, now)).collect();
    Ok(Json(NumbersBody { success: true, numbers }))
}

/// Gives a number up, with its forwardings and what the provider knows of it. The message says what to dial if its calls
/// were forwarded.
#[utoipa::path(delete, path = "/api/telephony/verified-numbers/{id}", tag = "telephony",
    params(("id" = Uuid, Path)),
    responses((status = 200, body = DoneBody), (status = 429, body = ProblemBody)))]
async fn remove(
    State(app): State<App>,
    caller: Admin,
    Id(id): Id<CallerIdId>,
) -> Result<Json<DoneBody>, Problem> {
    let removed = app.hybrid.remove.run(&caller.scope, id).await;
    let removed = removed.map_err(|error| remove_problem(error, app.base.clock.now()))?;
    let message = if removed.erase.is_empty() {
        "The number is removed.".to_owned()
    } else {
        format!("The number is removed. Its calls are still forwarded: {}", to_dial(&removed.erase))
    };
    Ok(Json(DoneBody { success: true, message }))
}

/// What to dial, as a sentence.
pub(super) fn to_dial(codes: &[Code]) -> String {
    let codes: Vec<_> = codes.iter().map(Code::as_str).collect();
    format!("dial {} on the phone to end that.", codes.join(", then "))
}
