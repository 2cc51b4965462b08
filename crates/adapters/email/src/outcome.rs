//! What an answer to a message means, as far as it means the same everywhere (`providers/messaging.md` §2).
//!
//! Names of errors go into logs, what providers say beside them does not: it may repeat addresses.

use std::{error::Error, time::Duration};

use voxanne_http::{Answer, StatusCode};
use voxanne_kernel::ProviderError;
use voxanne_messaging::providers::{Blame, SendFailure};

/// A refusal, for the log.
#[derive(Debug, thiserror::Error)]
#[error("{status}: {name}")]
struct Named {
    status: StatusCode,
    name: String,
}

/// What becomes of the log's copy.
pub(crate) type Source = Box<dyn Error + Send + Sync>;

/// A refusal by its status and the provider's name for it, which is dropped if it is no name.
pub(crate) fn named(answer: &Answer, name: &str) -> Source {
    let name = Some(name.to_owned()).filter(|name| {
        name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b' ')
    });
    Box::new(Named { status: answer.status(), name: name.unwrap_or_default() })
}

/// The account cannot send it, though its credential may be good.
pub(crate) fn account(code: &'static str, source: Source) -> SendFailure {
    SendFailure::Account { code, credential_failed: false, source }
}

/// The provider does not accept the credential.
pub(crate) fn credential(source: Source) -> SendFailure {
    SendFailure::Account { code: "credentials_rejected", credential_failed: true, source }
}

/// The message is wrong everywhere.
pub(crate) fn message(code: &'static str, source: Source) -> SendFailure {
    SendFailure::GiveUp { code, blame: Blame::Message, source }
}

/// The recipient's address is none, or nothing is there.
pub(crate) fn recipient(code: &'static str, source: Source) -> SendFailure {
    SendFailure::GiveUp { code, blame: Blame::Recipient, source }
}

/// The provider takes nothing now.
pub(crate) fn later(after: Option<Duration>, source: Source) -> SendFailure {
    SendFailure::Later { after, source }
}

/// A request without an answer.
pub(crate) fn unanswered(error: ProviderError) -> SendFailure {
    match error {
        ProviderError::RetryLater { after, source } => later(after, source),
        ProviderError::Unclear(source) => SendFailure::Unknown(source),
        ProviderError::Refused(source) => {
            SendFailure::Account { code: "host_not_allowed", credential_failed: true, source }
        }
        ProviderError::OurFault(source) => message("message_rejected", source),
    }
}

/// A success that says nothing of what was asked for.
pub(crate) fn senseless(answer: &Answer) -> SendFailure {
    SendFailure::Unknown(named(answer, "the answer makes no sense"))
}

/// An answer that the provider's own words say nothing more of.
pub(crate) fn by_status(answer: &Answer, name: &str) -> SendFailure {
    let source = named(answer, name);
    match answer.status().as_u16() {
        429 => later(answer.retry_after(), source),
        401 => credential(source),
        402 => account("quota_exceeded", source),
        400 | 409 | 410 | 412 | 415 | 422 => message("message_rejected", source),
        413 => message("message_too_large", source),
        // Among others what stands in front of a provider, and says nothing about a key.
        403 => account("provider_refused", source),
        // Nothing is sent there.
        300..400 | 404 | 405 => account("misconfigured", source),
        _ => SendFailure::Unknown(source),
    }
}
