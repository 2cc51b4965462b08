//! Settings whose inner shape belongs to the organization: a JSON object of bounded size.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A JSON object of at most [`Document::MAX_BYTES`], nested at most [`Document::MAX_DEPTH`] deep, that can be stored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Document(Map<String, Value>);

/// The value cannot be kept as a settings document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADocument {
    /// It is not an object.
    #[error("must be a JSON object")]
    NotAnObject,
    /// It is too large.
    #[error("must be at most 16 KiB of JSON")]
    TooLarge,
    /// It is nested too deep.
    #[error("must be nested at most 8 levels deep")]
    TooDeep,
    /// A name or a string in it holds a NUL character, which cannot be stored.
    #[error("must not contain NUL characters")]
    Nul,
}

impl Document {
    /// The largest size, as compact JSON.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// How deep objects and arrays may be nested, the outermost included.
    pub const MAX_DEPTH: usize = 8;

    /// Takes `value` if it is such an object.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn new(value: Value) -> Result<Self, NotADocument> {
        check(&value, Self::MAX_DEPTH)?;
        let Value::Object(object) = value else { return Err(NotADocument::NotAnObject) };
        let document = Self(object);
        if document.to_value().to_string().len() > Self::MAX_BYTES {
            return Err(NotADocument::TooLarge);
        }
        Ok(document)
    }

    /// The object.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    /// The object as a JSON value.
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

fn check(value: &Value, levels: usize) -> Result<(), NotADocument> {
    let storable = |text: &str| if text.contains('\0') { Err(NotADocument::Nul) } else { Ok(()) };
    let inner = || levels.checked_sub(1).ok_or(NotADocument::TooDeep);
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
        Value::String(text) => storable(text),
        Value::Array(items) => {
            let levels = inner()?;
            items.iter().try_for_each(|item| check(item, levels))
        }
        Value::Object(fields) => {
            let levels = inner()?;
            fields.iter().try_for_each(|(name, field)| storable(name).and_then(|()| check(field, levels)))
        }
    }
}

impl TryFrom<Value> for Document {
    type Error = NotADocument;
    fn try_from(value: Value) -> Result<Self, NotADocument> {
        Self::new(value)
    }
}

impl From<Document> for Value {
    fn from(document: Document) -> Self {
        Self::Object(document.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(value: Value, expected: Result<(), NotADocument>) {
        assert_eq!(Document::new(value).map(|_| ()), expected);
    }

    #[test]
    fn only_a_storable_object_of_bounded_size_and_depth_is_kept() {
        check(json!({}), Ok(()));
        check(json!({"departments": [{"name": "Sales", "phone": "+15005550006"}]}), Ok(()));
        check(json!([]), Err(NotADocument::NotAnObject));
        check(json!("text"), Err(NotADocument::NotAnObject));
        check(json!({"a": ["b\0"]}), Err(NotADocument::Nul));
        check(json!({"a\0": 1}), Err(NotADocument::Nul));
        check(json!({"a": "x".repeat(Document::MAX_BYTES)}), Err(NotADocument::TooLarge));
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!({"a": inner}));
        check(nested(8), Ok(()));
        check(nested(9), Err(NotADocument::TooDeep));
        check(nested(100), Err(NotADocument::TooDeep));
    }
}
