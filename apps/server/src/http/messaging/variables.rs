//! What is put into the places of a template, as clients write it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type},
    },
};
use voxanne_messaging::templates::Variables;

/// By the names of the places: texts, numbers, true or false.
#[derive(Debug, Default)]
pub(in crate::http) struct VariablesBody(pub(in crate::http) Variables);

/// Something that can be put in; lists and objects are nothing that could be.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Value::deserialize(from)? {
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(is) => Ok(Self(is.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(D::Error::custom("must be a text, a number, true or false"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for VariablesBody {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let texts = BTreeMap::<String, Text>::deserialize(from)?;
        Ok(Self(texts.into_iter().map(|(name, Text(text))| (name, text)).collect()))
    }
}

impl PartialSchema for VariablesBody {
    fn schema() -> RefOr<Schema> {
        let kinds = [Type::String, Type::Number, Type::Boolean];
        let value = ObjectBuilder::new().schema_type(SchemaType::from_iter(kinds));
        let values = AdditionalProperties::RefOr(RefOr::T(value.into()));
        ObjectBuilder::new()
            .description(Some("By the names of the places: texts, numbers, true or false."))
            .additional_properties(Some(values))
            .examples([json!({"first_name": "Ann"})])
            .into()
    }
}

impl ToSchema for VariablesBody {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::json::from_value;

    #[derive(Deserialize)]
    struct Holder {
        variables: VariablesBody,
    }

    fn read(variables: &Value) -> Result<Vec<String>, Value> {
        let body = json!({ "variables": variables });
        let read = from_value::<Holder>(&body).map(|holder| holder.variables.0.into_values().collect());
        read.map_err(|problem| problem.body("r").details.into())
    }

    #[test]
    fn what_is_put_in_is_text() {
        let found = read(&json!({"a": "x", "b": 3, "c": 1.5, "d": true, "e": ""})).unwrap();
        assert_eq!(found, ["x", "3", "1.5", "true", ""]);
        assert!(read(&json!({})).unwrap().is_empty());
        for bad in [json!(null), json!([]), json!({})] {
            let rule = "must be a text, a number, true or false";
            assert_eq!(read(&json!({ "a": bad })), Err(json!({ "variables.a": rule })));
        }
        assert!(read(&json!(["x"])).is_err());
    }
}
