//! What Twilio's codes mean for a message. Twilio splits its codes into finer ones over time, so those of a kind that
//! are new count as that kind (`providers/twilio.md` §3).

use std::time::Duration;

use voxanne_http::Answer;
use voxanne_messaging::providers::{Blame, Fate, SENDER_NOT_REGISTERED, SendFailure};

/// The recipient has opted out.
pub(super) const OPTED_OUT: u32 = 21_610;

/// How a message cannot be sent.
enum Meaning {
    Later,
    Account(&'static str),
    Credential(&'static str),
    Message(&'static str),
    Recipient(&'static str),
    OptedOut,
}

/// The credentials are not accepted.
pub(super) fn credentials(said: String) -> SendFailure {
    SendFailure::Account { code: "credentials_rejected", credential_failed: true, source: said.into() }
}

/// What a refusal means: by its status, then by its code. `said` is for the log.
pub(super) fn refusal(answer: &Answer, code: Option<u32>, said: String) -> SendFailure {
    match (answer.status().as_u16(), code) {
        // Not processed, as Twilio documents.
        (429, _) => SendFailure::Later { after: answer.retry_after(), source: said.into() },
        (408 | 500.., _) => SendFailure::Unknown(said.into()),
        (_, Some(code)) if meaning(code).is_some() => failure(code, answer.retry_after(), said),
        // Wrong, suspended or closed, or not allowed to; an account that is not there is somebody else's.
        (401 | 403 | 404, _) => credentials(said),
        (402, _) => SendFailure::Account {
            code: "insufficient_balance",
            credential_failed: false,
            source: said.into(),
        },
        (400..=499, _) => failure(code.unwrap_or_default(), None, said),
        _ => answer.refusal(&said).into_error().into(),
    }
}

/// What a message's code means when it was not taken.
pub(super) fn failure(code: u32, after: Option<Duration>, said: String) -> SendFailure {
    let source = said.into();
    match meaning(code).unwrap_or(Meaning::Message("message_rejected")) {
        Meaning::Later => SendFailure::Later { after, source },
        Meaning::Account(code) => SendFailure::Account { code, credential_failed: false, source },
        Meaning::Credential(code) => SendFailure::Account { code, credential_failed: true, source },
        Meaning::Message(code) => SendFailure::GiveUp { code, blame: Blame::Message, source },
        Meaning::Recipient(code) => SendFailure::GiveUp { code, blame: Blame::Recipient, source },
        Meaning::OptedOut => {
            SendFailure::GiveUp { code: "recipient_opted_out", blame: Blame::OptedOut, source }
        }
    }
}

fn meaning(code: u32) -> Option<Meaning> {
    Some(match code {
        // Too many at once, a full queue, something that is not ready; WhatsApp's rate.
        20_429 | 21_501 | 21_611 | 30_001 | 63_018 => Meaning::Later,
        20_003 | 20_005 | 20_006 | 20_008 | 20_403 | 20_404 => Meaning::Credential("credentials_rejected"),
        30_002 | 63_020 | 63_051 => Meaning::Credential("account_suspended"),
        30_032 | 30_034 => Meaning::Account(SENDER_NOT_REGISTERED),
        // No sender, somebody else's, one that cannot text, one of a service that has none.
        21_212 | 21_267 | 21_601 | 21_603 | 21_606 | 21_659..=21_669 | 21_703..=21_705 | 63_007 => {
            Meaning::Account("sender_not_verified")
        }
        21_608 => Meaning::Account("trial_account"),
        21_408 => Meaning::Account("region_not_allowed"),
        21_609 => Meaning::Account("callback_rejected"),
        63_038 => Meaning::Account("quota_exceeded"),
        OPTED_OUT => Meaning::OptedOut,
        21_211 | 21_217 | 21_263..=21_266 | 21_604 | 21_612 | 21_614 | 63_003 | 63_024 => {
            Meaning::Recipient("invalid_recipient")
        }
        30_003 | 30_005 | 30_006 | 63_032 | 63_033 => Meaning::Recipient("recipient_unreachable"),
        21_605 | 21_617 => Meaning::Message("message_too_long"),
        63_016 => Meaning::Message("template_required"),
        21_654..=21_656 | 63_027 | 63_028 | 63_040..=63_042 => Meaning::Message("template_rejected"),
        _ => return None,
    })
}

/// What became of a message that was taken and did not arrive. `is_final_refusal` tells Twilio's `failed`, which never
/// left it, from `undelivered`.
pub(super) fn fate(code: Option<u32>, is_final_refusal: bool) -> Fate {
    let (code, failed) = match code.unwrap_or_default() {
        // The sender may not text yet: the networks turn it away, and nobody's phone is at fault.
        30_032 | 30_034 => (SENDER_NOT_REGISTERED, false),
        OPTED_OUT => ("recipient_opted_out", true),
        63_016 => ("template_required", true),
        63_027 | 63_028 | 63_040..=63_042 => ("template_rejected", true),
        30_002 | 63_020 | 63_051 => ("account_suspended", true),
        30_001 => ("queue_full", true),
        63_018 | 63_038 => ("quota_exceeded", true),
        30_003 | 30_005 | 30_006 | 63_003 | 63_024 | 63_032 | 63_033 => ("recipient_unreachable", false),
        30_004 | 30_450 => ("message_blocked", false),
        30_007 => ("message_filtered", false),
        30_036 => ("expired", false),
        21_211 | 21_612 | 21_614 => ("invalid_recipient", is_final_refusal),
        _ if is_final_refusal => ("message_rejected", true),
        _ => ("not_delivered", false),
    };
    if failed || is_final_refusal { Fate::Failed { code } } else { Fate::Undelivered { code } }
}
