//! What Meta's codes mean for a message. The code decides, not the HTTP status and never the words
//! (`providers/messaging.md` §11).

use std::time::Duration;

use voxanne_http::Answer;
use voxanne_messaging::providers::{Blame, Fate, SendFailure};

use crate::graph::Envelope;

/// Meta's code for a recipient who wants no more of this kind.
pub(crate) const STOPPED: i64 = 131_050;
/// How far two messages to one recipient have to be apart.
const PAIR_PAUSE: Duration = Duration::from_secs(6);

/// How a message cannot be sent.
enum Meaning {
    Later(Option<Duration>),
    Unknown,
    Account(&'static str),
    Credential(&'static str),
    Message(&'static str),
    Recipient(&'static str),
    OptedOut,
}

/// What an answer that is no success means.
pub(crate) fn refusal(answer: &Answer) -> SendFailure {
    let error = answer.secret_object().ok().map(|Envelope { error }| error);
    let status = answer.status().as_u16();
    let code = error.as_ref().map(|error| error.code);
    let said = match code {
        Some(code) => format!("status {status}, code {code}"),
        None => format!("status {status} without a code"),
    };
    let meaning = match (code, error.and_then(|error| error.error_subcode), status) {
        // The number's own id is no parameter of the message.
        (Some(100), Some(33), _) | (Some(803), _, _) => Meaning::Credential("number_not_in_account"),
        (Some(code), _, _) => match meaning(code) {
            Some(meaning) => meaning,
            None if status == 429 => Meaning::Later(None),
            None if status == 408 || status >= 500 => Meaning::Unknown,
            None => Meaning::Message("message_rejected"),
        },
        (None, _, 401) => Meaning::Credential("credentials_rejected"),
        (None, ..) => return answer.refusal("").into_error().into(),
    };
    let source = said.into();
    match meaning {
        Meaning::Later(pause) => SendFailure::Later { after: answer.retry_after().max(pause), source },
        Meaning::Unknown => SendFailure::Unknown(source),
        Meaning::Account(code) => SendFailure::Account { code, credential_failed: false, source },
        Meaning::Credential(code) => SendFailure::Account { code, credential_failed: true, source },
        Meaning::Message(code) => SendFailure::GiveUp { code, blame: Blame::Message, source },
        Meaning::Recipient(code) => SendFailure::GiveUp { code, blame: Blame::Recipient, source },
        Meaning::OptedOut => {
            SendFailure::GiveUp { code: "recipient_opted_out", blame: Blame::OptedOut, source }
        }
    }
}

fn meaning(code: i64) -> Option<Meaning> {
    Some(match code {
        0 | 104 | 190 => Meaning::Credential("credentials_rejected"),
        3 | 10 | 200..=299 => Meaning::Credential("permission_missing"),
        368 | 131_031 => Meaning::Credential("account_suspended"),
        131_042 => Meaning::Credential("payment_required"),
        133_010 => Meaning::Credential("sender_not_registered"),
        4 | 80_007 | 130_429 => Meaning::Later(None),
        131_056 => Meaning::Later(Some(PAIR_PAUSE)),
        // The number has to rest, which another account's does not.
        131_048 => Meaning::Account("sender_restricted"),
        131_030 => Meaning::Account("recipient_not_allowed"),
        130_497 => Meaning::Account("region_not_allowed"),
        1 | 2 | 131_000 | 131_016 => Meaning::Unknown,
        131_021 | 131_026 => Meaning::Recipient("invalid_recipient"),
        STOPPED => Meaning::OptedOut,
        131_047 => Meaning::Message("template_required"),
        131_049 => Meaning::Message("marketing_limit"),
        132_000..=132_999 => Meaning::Message("template_rejected"),
        100 | 131_008 | 131_009 | 131_051 => Meaning::Message("message_rejected"),
        _ => return None,
    })
}

/// What became of a message that was taken and then `failed`.
pub(crate) fn fate(code: Option<i64>) -> Fate {
    match code {
        Some(131_026) => Fate::Undelivered { code: "recipient_unreachable" },
        Some(131_049) => Fate::Undelivered { code: "marketing_limit" },
        Some(131_000 | 131_016) | None => Fate::Failed { code: "provider_failed" },
        Some(code) => match meaning(code) {
            Some(Meaning::OptedOut) => Fate::Failed { code: "recipient_opted_out" },
            Some(Meaning::Later(_)) => Fate::Failed { code: "quota_exceeded" },
            Some(
                Meaning::Account(code)
                | Meaning::Credential(code)
                | Meaning::Message(code)
                | Meaning::Recipient(code),
            ) => Fate::Failed { code },
            Some(Meaning::Unknown) => Fate::Failed { code: "provider_failed" },
            None => Fate::Failed { code: "message_rejected" },
        },
    }
}
