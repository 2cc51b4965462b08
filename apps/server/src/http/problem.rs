//! The one shape of every error answer: `{"error", "code", "requestId", "details"?}` (spec/01-platform.md, HTTP).
//!
//! Handlers return a [`Problem`]; the outermost layer ([`crate::http::layers`]) writes it out with the request's id
//! and logs what must not be told to the client. Errors of use cases become problems beside the handlers of their
//! area, each in one exhaustive `match`.

use std::{borrow::Cow, error::Error, sync::Arc};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};
use voxanne_kernel::StoreError;

/// An error answer: a sentence for a person, a stable code for a program, and what is wrong with which field.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    failed_step: Option<&'static str>,
    details: Map<String, Value>,
    retry_after_seconds: Option<u64>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

/// The body of an error answer.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemBody {
    /// A sentence that tells a person what went wrong and what to do.
    #[schema(example = "Some fields are not valid.")]
    pub error: String,
    /// A stable name for programs.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// Quote it when asking for help.
    pub request_id: String,
    /// Which step of an AI setup failed; only there where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<&'static str>,
    /// By field: what is wrong with it, or what would do instead.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Option<Object>, example = json!({"timezone": "must be an IANA time zone such as America/New_York"}))]
    pub details: Map<String, Value>,
}

impl Problem {
    /// A problem of any status.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        let (failed_step, details, retry_after_seconds, cause) = (None, Map::new(), None, None);
        Self { status, code, message: message.into(), failed_step, details, retry_after_seconds, cause }
    }

    /// 400: the request cannot be what the client meant.
    pub fn bad_request(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 `validation_failed` about one field.
    pub fn invalid(field: impl Into<String>, rule: impl Into<String>) -> Self {
        Self::bad_request("validation_failed", "Some fields are not valid.").detail(field, rule.into())
    }

    /// 401: no caller.
    pub fn unauthenticated(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// 403: a known caller who may not.
    pub fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 404, the same whether it never existed or belongs to somebody else (decision D4).
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is no such thing here.")
    }

    /// 409: the state of things does not allow it now.
    pub fn conflict(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 422: well-formed, but a rule of the business refuses it.
    pub fn unprocessable(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
    }

    /// 429 with `Retry-After`.
    pub fn too_many_requests(
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
        seconds: u64,
    ) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_after(seconds)
    }

    /// 503: too busy to answer in time; nothing was done.
    pub fn overloaded() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "overloaded",
            "We are too busy right now. Please try again.",
        )
        .retry_after(1)
    }

    /// 500. The cause goes to the log only.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side.")
            .because(cause)
    }

    /// Adds what is wrong with `field`.
    #[must_use]
    pub fn detail(mut self, field: impl Into<String>, what: impl Into<Value>) -> Self {
        self.details.insert(field.into(), what.into());
        self
    }

    /// Calls the field `from` by the name it was given under.
    #[must_use]
    pub fn renamed(mut self, from: &str, to: &str) -> Self {
        if let Some(what) = self.details.remove(from) {
            self.details.insert(to.to_owned(), what);
        }
        self
    }

    /// Tells it in other words where it is about the field `field`.
    #[must_use]
    pub fn about(mut self, field: &str, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        if self.details.contains_key(field) {
            (self.code, self.message) = (code, message.into());
        }
        self
    }

    /// Names the step of an AI setup that failed, beside the code and among the details.
    #[must_use]
    pub fn failed_step(mut self, step: &'static str) -> Self {
        self.failed_step = Some(step);
        self.detail("failedStep", step)
    }

    /// Tells the client when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds.max(1));
        self
    }

    /// Keeps what is behind it for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is behind it, outermost first, for the log.
    pub fn cause_chain(&self) -> Option<String> {
        let mut chain = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = self.cause.as_deref().map(|e| e as _);
        while let Some(error) = next {
            chain.push(error.to_string());
            next = error.source();
        }
        (!chain.is_empty()).then(|| chain.join(": "))
    }

    /// The body, completed with the request's id.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            error: self.message.clone().into_owned(),
            code: self.code.to_owned(),
            request_id: request_id.to_owned(),
            failed_step: self.failed_step,
            details: self.details.clone(),
        }
    }

    /// The problem that a bare status of the framework stands for.
    pub fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::new(status, "not_found", "There is nothing at this address."),
            StatusCode::METHOD_NOT_ALLOWED => {
                Self::new(status, "method_not_allowed", "This address does not answer that method.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(status, "body_too_large", "The request body is too large.")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                Self::new(status, "unsupported_media_type", "Send JSON with Content-Type: application/json.")
            }
            StatusCode::REQUEST_TIMEOUT => Self::new(status, "timeout", "The request took too long."),
            StatusCode::SERVICE_UNAVAILABLE => Self::overloaded(),
            status if status.is_client_error() => {
                Self::new(status, "bad_request", "The request cannot be understood.")
            }
            status => Self::new(status, "internal", "Something went wrong on our side."),
        }
    }
}

/// Carries the problem to the outermost layer, which knows the request's id and writes the body.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Arc::new(error).into()
    }
}

/// A failure that several who waited for the same answer share.
impl From<Arc<StoreError>> for Problem {
    fn from(error: Arc<StoreError>) -> Self {
        match *error {
            StoreError::Busy => Self::overloaded(),
            StoreError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "We cannot reach our database right now. Please try again.",
            )
            .retry_after(2)
            .because(error),
            StoreError::Corrupt { .. } | StoreError::Refused(_) => Self::internal(error),
        }
    }
}
