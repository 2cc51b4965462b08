//! Reading what a client posts.

use axum::http::{HeaderMap, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A form or a query, its fields in order.
#[derive(Debug)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A query string.
    pub(crate) fn of_query(query: Option<&str>) -> Self {
        Self::of(query.unwrap_or_default().as_bytes())
    }

    /// A posted form; nothing when it is not declared to be one, which providers do not accept.
    pub(crate) fn posted(headers: &HeaderMap, body: &[u8]) -> Option<Self> {
        let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        kind.starts_with("application/x-www-form-urlencoded").then(|| Self::of(body))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// A field; an empty one counts as missing, as OAuth has it.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.0.iter().filter(|(field, _)| field == name);
        values.next().map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A field that is given more than once, which OAuth forbids.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        names
            .clone()
            .enumerate()
            .find(|(at, name)| names.clone().skip(at + 1).any(|other| other == *name))
            .map(|(_, name)| name)
    }
}

/// The client and its secret, from the form or the `Authorization` header.
pub(crate) fn client_of(headers: &HeaderMap, form: &Form) -> Option<(String, String)> {
    if let (Some(id), Some(secret)) = (form.get("client_id"), form.get("client_secret")) {
        return Some((id.to_owned(), secret.to_owned()));
    }
    let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(BASE64_STANDARD.decode(header.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let plain = |text: &str| {
        let pair = format!("x={text}");
        url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    Some((plain(id)?, plain(secret)?))
}
