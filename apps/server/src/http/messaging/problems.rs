//! Why a message is not recorded, as problems.

use axum::http::StatusCode;
use voxanne_messaging::{
    send::QueueError,
    templates::{RenderError, TemplateError},
};

use crate::http::problem::Problem;

/// A message that was not recorded.
pub(in crate::http) fn queue_problem(error: QueueError) -> Problem {
    match error {
        QueueError::Invalid { field, rule } => Problem::invalid(field, rule),
        QueueError::TooLate => {
            Problem::unprocessable("too_late", "The message would be sent after it is of any use.")
        }
        QueueError::OptedOut => Problem::conflict(
            "recipient_opted_out",
            "The recipient does not want messages. They can opt in again by answering START.",
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
        QueueError::Limited { after } => Problem::too_many_requests(
            "rate_limited",
            "Too many messages in a short time. Please wait.",
            whole_seconds(after),
        ),
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

/// A template that cannot become this message.
pub(super) fn template_problem(error: TemplateError) -> Problem {
    match error {
        TemplateError::NotFound => Problem::unprocessable("template_not_found", "There is no such template.")
            .detail("templateId", "must be one of the organization's templates"),
        TemplateError::Render(RenderError::Missing(missing)) => {
            let names = missing.0.join(", ");
            Problem::unprocessable("missing_variables", format!("These variables have no value: {names}."))
                .detail("variables", format!("must have: {names}"))
        }
        TemplateError::Render(RenderError::Content(error)) => {
            Problem::unprocessable("content_invalid", "With these variables the template cannot be sent.")
                .detail("variables", error.to_string())
        }
        TemplateError::NameTaken | TemplateError::Bad(_) => Problem::internal(error),
        TemplateError::Store(error) => error.into(),
    }
}

/// `Retry-After` counts whole seconds; sooner would be too soon.
fn whole_seconds(wait: std::time::Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
