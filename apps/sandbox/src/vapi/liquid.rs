//! The few template variables that Vapi fills in everywhere: `{{ call.id }}`, `{{customer.number}}`, ….
//!
//! Filters and control tags of the Liquid language are left as they stand.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fills in what is known; an unknown variable becomes nothing, as Liquid has it.
pub(crate) fn fill(template: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            filled.push_str("{{");
            rest = after;
            break;
        };
        if name.contains('|') {
            filled.extend(["{{", name, "}}"]);
        } else {
            filled.push_str(variables.get(name.trim()).map_or("", String::as_str));
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// [`fill`] on every string of a value.
pub(crate) fn fill_all(value: &Value, variables: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => Value::String(fill(text, variables)),
        Value::Array(items) => items.iter().map(|item| fill_all(item, variables)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), fill_all(value, variables))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_variables_are_filled_in_and_the_rest_vanishes() {
        let variables = BTreeMap::from([("call.id".to_owned(), "c1".to_owned())]);
        let check = |template, expected| assert_eq!(fill(template, &variables), expected);
        check("{{ call.id }}/{{call.id}}", "c1/c1");
        check("hello {{nobody}}!", "hello !");
        check("{{ call.id | upcase }}", "{{ call.id | upcase }}");
        check("open {{ end", "open {{ end");
    }
}
