//! Errors in Twilio's envelope: `{"code": 20404, "message": …, "more_info": …, "status": 404}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that Twilio would not do.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: u32,
    message: String,
}

impl Refusal {
    /// 400 with one of the codes of Twilio's error dictionary.
    pub(crate) fn bad(code: u32, message: impl Into<String>) -> Self {
        Self::with(StatusCode::BAD_REQUEST, code, message)
    }

    /// 400 for a parameter without a code of its own.
    pub(crate) fn invalid(parameter: &str, rule: &str) -> Self {
        Self::bad(20001, format!("Invalid {parameter}: {rule}"))
    }

    /// 401, whatever is wrong with the credentials: Twilio does not say what it is.
    pub(crate) fn authenticate() -> Self {
        Self::with(StatusCode::UNAUTHORIZED, 20003, "Authenticate")
    }

    /// 404 for something that is not there, or not for this caller.
    pub(crate) fn missing(path: &str) -> Self {
        Self::with(StatusCode::NOT_FOUND, 20404, format!("The requested resource {path} was not found"))
    }

    /// Any other status.
    pub(crate) fn with(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = Json(envelope(self.status, Some(self.code), &self.message));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let realm = HeaderValue::from_static("Basic realm=\"Twilio API\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// The envelope of an error; one without a code has no more to say about it either.
pub(crate) fn envelope(status: StatusCode, code: Option<u32>, message: &str) -> Value {
    match code {
        Some(code) => json!({
            "code": code,
            "message": message,
            "more_info": format!("https://www.twilio.com/docs/errors/{code}"),
            "status": status.as_u16(),
        }),
        None => json!({ "message": message, "status": status.as_u16() }),
    }
}

/// The code that goes with a status when nothing more is known.
pub(crate) fn code_of(status: StatusCode) -> Option<u32> {
    match status.as_u16() {
        401 => Some(20003),
        status @ (403 | 404 | 409 | 429 | 500 | 503) => Some(20000 + u32::from(status)),
        _ => None,
    }
}
