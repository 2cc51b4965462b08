//! Parameters of a request, from a query or a form; JSON bodies are not accepted.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use url::form_urlencoded;

use super::refusal::Refusal;
use crate::world::Shared;

/// The longest friendly name.
const LONGEST_NAME: usize = 64;

/// Names and values in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// A value; the last one of a name that is there more than once.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// A value that says something.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.filled(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::invalid(name, "true or false")),
        }
    }

    /// `FriendlyName`, which has to be short.
    pub(crate) fn friendly_name(&self) -> Result<Option<&str>, Refusal> {
        match self.filled("FriendlyName") {
            Some(name) if name.chars().count() > LONGEST_NAME => {
                Err(Refusal::invalid("FriendlyName", "at most 64 characters"))
            }
            name => Ok(name),
        }
    }

    /// All but the named ones, encoded.
    pub(crate) fn without(&self, names: &[&str]) -> form_urlencoded::Serializer<'static, String> {
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        encoded.extend_pairs(self.0.iter().filter(|(name, _)| !names.contains(&name.as_str())));
        encoded
    }
}

/// The query of a request.
#[derive(Debug)]
pub(crate) struct Query(pub(crate) Parameters);

impl FromRequestParts<Shared> for Query {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Refusal> {
        Ok(Self(Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())))
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Form(pub(crate) Parameters);

impl FromRequest<Shared> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, world: &Shared) -> Result<Self, Refusal> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let is_form = kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        let bytes = Bytes::from_request(request, world)
            .await
            .map_err(|rejection| Refusal::with(rejection.status(), 20001, rejection.body_text()))?;
        if !bytes.is_empty() && !is_form {
            let only = "The body must be application/x-www-form-urlencoded";
            return Err(Refusal::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, 20415, only));
        }
        Ok(Self(Parameters::parse(&bytes)))
    }
}
