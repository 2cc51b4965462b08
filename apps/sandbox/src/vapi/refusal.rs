//! Errors in Vapi's envelope: `{"message": …, "error": "Bad Request", "statusCode": 400}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A request that Vapi would not do.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    message: Value,
}

impl Refusal {
    /// 400 with everything that is wrong with the request, which Vapi sends as a list.
    pub(crate) fn invalid(problems: Vec<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: problems.into() }
    }

    /// 400 with one sentence.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: Value::String(message.into()) }
    }

    /// 404 for an object that is not there.
    pub(crate) fn missing(label: &str, id: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            message: Value::String(format!("{label} with ID {id} not found.")),
        }
    }

    /// Any other status with one sentence.
    pub(crate) fn with(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: Value::String(message.into()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(envelope(self.status, &self.message))).into_response()
    }
}

/// The envelope of a status.
pub(crate) fn envelope(status: StatusCode, message: &Value) -> Value {
    json!({
        "message": message,
        "error": status.canonical_reason().unwrap_or("Error"),
        "statusCode": status.as_u16(),
    })
}
