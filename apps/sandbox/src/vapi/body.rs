//! Request bodies, read the way Vapi reads them.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde_json::Value;

use super::collection::Object;
use super::refusal::Refusal;

/// A JSON object; an empty body counts as an empty one.
#[derive(Debug)]
pub(crate) struct JsonObject(pub(crate) Object);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Refusal::with(rejection.status(), "request entity too large"))?;
        if bytes.is_empty() {
            return Ok(Self(Object::new()));
        }
        match serde_json::from_slice(&bytes) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(Refusal::bad("The request body must be a JSON object.")),
            Err(error) => Err(Refusal::bad(format!("The request body is not JSON: {error}"))),
        }
    }
}
