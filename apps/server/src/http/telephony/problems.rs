//! Why something about a phone is not done, as problems.

use axum::http::StatusCode;
use serde_json::{Value, json};
use voxanne_kernel::{ProviderError, Timestamp};
use voxanne_telephony::{
    AccountError,
    hybrid::{
        Code, ConfirmCodeError, ConfirmError, Forwarded, InitiateError, LookError, RemoveError, SetUpError,
        TestError,
        ports::{CodeHashingFailed, Standing},
    },
};

use crate::http::problem::Problem;

/// How long until `then`, in whole seconds.
fn seconds_until(then: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(then.duration_since(now).as_secs()).unwrap_or(0).saturating_add(1)
}

pub(super) fn initiate_problem(error: InitiateError, now: Timestamp) -> Problem {
    match error {
        InitiateError::AlreadyVerified => {
            Problem::conflict("already_verified", "Phone number already verified for this organization")
        }
        InitiateError::Locked { until } => locked(until, now),
        InitiateError::TooManyCalls { until } => Problem::too_many_requests(
            "too_many_verification_calls",
            "This number was called three times within an hour. Please try again later.",
            seconds_until(until, now),
        ),
        InitiateError::InTheMaking => Problem::conflict(
            "verification_in_progress",
            "A verification call to this number is just being made. Try again in a moment.",
        )
        .retry_after(5),
        InitiateError::InUse => Problem::conflict(
            "number_in_use",
            "Another customer has verified this number. Connect a Twilio account of your own to verify it for you, or \
             contact support.",
        ),
        InitiateError::NotCallable(error) => {
            Problem::unprocessable("number_not_callable", "This number cannot be called for a verification.")
                .detail("phoneNumber", "cannot be called")
                .because(error)
        }
        InitiateError::NotConfigured => not_configured(),
        InitiateError::Account(error) => account_problem(error),
        InitiateError::Provider(error) => unavailable(error),
        InitiateError::Hashing(error) => hashing(error),
        InitiateError::Store(error) => error.into(),
    }
}

pub(super) fn look_problem(error: LookError) -> Problem {
    match error {
        LookError::NotFound => Problem::not_found(),
        LookError::Store(error) => error.into(),
    }
}

pub(super) fn confirm_code_problem(error: ConfirmCodeError, now: Timestamp) -> Problem {
    match error {
        ConfirmCodeError::NotFound => Problem::not_found(),
        ConfirmCodeError::Wrong { remaining } => {
            let attempts = if remaining == 1 { "attempt" } else { "attempts" };
            let message = format!("Invalid verification code. {remaining} {attempts} remaining.");
            Problem::bad_request("invalid_verification_code", message).detail("attemptsRemaining", remaining)
        }
        ConfirmCodeError::CallPending => Problem::conflict(
            "verification_call_pending",
            "Answer the call to this number and type the code on the phone. Nobody has done so yet.",
        ),
        ConfirmCodeError::Expired => Problem::new(
            StatusCode::GONE,
            "verification_code_expired",
            "Verification code expired. Please request a new one.",
        ),
        ConfirmCodeError::Locked { until } => locked(until, now),
        ConfirmCodeError::Hashing(error) => hashing(error),
        ConfirmCodeError::Store(error) => error.into(),
    }
}

pub(super) fn remove_problem(error: RemoveError, now: Timestamp) -> Problem {
    match error {
        RemoveError::NotFound => Problem::not_found(),
        RemoveError::Locked { until } => locked(until, now),
        RemoveError::Account(error) => account_problem(error),
        RemoveError::Provider(error) => unavailable(error),
        RemoveError::Store(error) => error.into(),
    }
}

pub(super) fn set_up_problem(error: SetUpError) -> Problem {
    match error {
        SetUpError::NotFound => Problem::not_found(),
        SetUpError::NotVerified => Problem::conflict(
            "number_not_verified",
            "Verify this number first: nobody has proved that it belongs to the organization.",
        ),
        SetUpError::AlreadyActive { id } => Problem::conflict(
            "forwarding_already_active",
            "The calls of this number are forwarded already. Remove that forwarding first.",
        )
        .detail("forwardingConfigId", id.to_string()),
        SetUpError::NoDestination => no_destination(),
        SetUpError::SimItself(_) => Problem::unprocessable(
            "destination_is_sim",
            "The organization's only number is this phone's own. A phone cannot forward its calls to itself.",
        )
        .detail("verifiedCallerId", "is the number that calls would be forwarded to"),
        SetUpError::Ineligible(error) => Problem::unprocessable(
            "destination_not_supported",
            "This carrier's codes forward to numbers of North America (+1) only.",
        )
        .detail("carrier", error.to_string()),
        SetUpError::Store(error) => error.into(),
    }
}

pub(super) fn confirm_problem(error: ConfirmError) -> Problem {
    match error {
        ConfirmError::NotFound => Problem::not_found(),
        ConfirmError::Disabled => disabled(),
        ConfirmError::NoDestination => no_destination(),
        ConfirmError::Store(error) => error.into(),
    }
}

pub(super) fn test_problem(error: TestError) -> Problem {
    match error {
        TestError::NotFound => Problem::not_found(),
        TestError::Disabled => disabled(),
        TestError::AnotherRuns => Problem::conflict(
            "test_call_running",
            "Another phone of the organization is being tested. Try again in a minute.",
        )
        .retry_after(60),
        TestError::NotAllowed(Standing::Suspended) => {
            Problem::forbidden("organization_suspended", "This organization is suspended.")
        }
        TestError::NotAllowed(_) => Problem::forbidden(
            "organization_not_verified",
            "Calls can be placed once the organization has been approved.",
        ),
        TestError::NotConfigured => not_configured(),
        TestError::Provider(error @ ProviderError::Refused(_)) => {
            Problem::unprocessable("number_not_callable", "The test call was refused.").because(error)
        }
        TestError::Provider(error) => unavailable(error),
        TestError::Store(error) => error.into(),
    }
}

/// 409: the number cannot be given up while calls are still forwarded to it; with the codes to dial first.
pub fn number_in_use_by_forwarding(forwarded: &[Forwarded]) -> Problem {
    let all: Vec<Value> = forwarded
        .iter()
        .map(|one| {
            let codes: Vec<_> = one.erase.iter().map(Code::as_str).collect();
            json!({
                "forwardingConfigId": one.id,
                "simPhoneNumber": one.sim,
                "forwardingType": one.kind.as_str(),
                "eraseCodes": codes,
            })
        })
        .collect();
    Problem::conflict(
        "number_in_use_by_forwarding",
        "Calls are still forwarded to this number: released, it would send them to a stranger. Dial the erase codes on \
         each phone, remove its forwarding, and try again.",
    )
    .detail("forwardings", all)
}

fn locked(until: Timestamp, now: Timestamp) -> Problem {
    Problem::too_many_requests(
        "verification_locked",
        "Too many wrong codes. This number is locked for 1 hour.",
        seconds_until(until, now),
    )
}

fn disabled() -> Problem {
    Problem::conflict("forwarding_disabled", "This forwarding was removed. Set it up again.")
}

fn no_destination() -> Problem {
    Problem::conflict(
        "no_destination_number",
        "The organization has no active number that calls could be forwarded to.",
    )
}

fn not_configured() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "not_configured",
        "Twilio is not configured: connect a Twilio account under Integrations, or ask support.",
    )
}

fn account_problem(error: AccountError) -> Problem {
    match error {
        AccountError::Store(error) => error.into(),
        error @ AccountError::Unreadable(_) => Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "credential_unreadable",
            "A stored secret of this organization cannot be read.",
        )
        .because(error),
    }
}

fn unavailable(error: ProviderError) -> Problem {
    let wait = match &error {
        ProviderError::RetryLater { after: Some(after), .. } => after.as_secs().clamp(1, 3_600),
        _ => 10,
    };
    let message = "Twilio cannot do this right now. Please try again.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "provider_unavailable", message)
        .retry_after(wait)
        .because(error)
}

fn hashing(error: CodeHashingFailed) -> Problem {
    Problem::overloaded().because(error)
}
