//! Why a message is not recorded, as problems.

use std::time::Duration;

use axum::http::StatusCode;
use voxanne_kernel::SendingLimit;
use voxanne_messaging::{channel::Channel, send::QueueError, templates::TemplateError};

use crate::http::problem::Problem;

/// A message that was not recorded, and that was to go out on `channel`.
pub(in crate::http) fn queue_problem(channel: Channel, error: QueueError) -> Problem {
    match error {
        QueueError::Invalid { field, rule } => Problem::invalid(field, rule),
        QueueError::TooLate => {
            Problem::unprocessable("too_late", "The message would be sent after it is of any use.")
        }
        QueueError::OptedOut => Problem::conflict(
            "recipient_opted_out",
            match channel {
                Channel::Sms | Channel::Whatsapp => {
                    "The recipient does not want messages. They can opt in again by answering START."
                }
                Channel::Email => {
                    "The recipient does not want e-mails, or none reaches this address. An admin can lift this under \
                     suppressions."
                }
            },
        ),
        QueueError::NoProvider => Problem::unprocessable(
            "no_provider",
            "Nobody can carry this message. Connect a provider, or let the platform send.",
        ),
        QueueError::InsufficientCredits => Problem::new(
            StatusCode::PAYMENT_REQUIRED,
            "insufficient_credits",
            "There are not enough credits left for this message.",
        ),
        QueueError::Limited { limit, after } => limit_reached(limit, after),
        QueueError::NotVerified => Problem::forbidden(
            "organization_not_verified",
            "The organization has to be approved before it can send messages.",
        ),
        QueueError::Suspended => {
            Problem::forbidden("organization_suspended", "The organization is suspended.")
        }
        QueueError::Store(error) => error.into(),
    }
}

/// A limit of what the organization sends, and when there is room again.
pub(in crate::http) fn limit_reached(limit: SendingLimit, after: Duration) -> Problem {
    let (code, message) = match limit {
        SendingLimit::Contact => ("message_limit", "Not so soon after the last message."),
        SendingLimit::Day => (
            "daily_cap_reached",
            "The organization has sent the most messages that its settings allow for one day.",
        ),
        SendingLimit::Month => (
            "monthly_cap_reached",
            "The organization has sent the most messages that its settings allow for one month.",
        ),
    };
    Problem::too_many_requests(code, message, whole_seconds(after))
}

/// A template that cannot become this message. One that is not there is told from an address that is not.
pub(super) fn template_problem(error: TemplateError) -> Problem {
    match error {
        TemplateError::NotFound => {
            Problem::new(StatusCode::NOT_FOUND, "template_not_found", "There is no such template.")
                .detail("templateId", "must be one of the organization's templates")
        }
        error => error.into(),
    }
}

/// `Retry-After` counts whole seconds; sooner would be too soon.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
