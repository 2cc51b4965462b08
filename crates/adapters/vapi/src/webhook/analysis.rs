//! What a model made of our analysis schema: names and types vary, so keys are compared by their letters alone.

use serde_json::Value;
use voxanne_calls::RawAnalysis;

const SENTIMENT: [&str; 5] =
    ["sentiment", "sentimentlabel", "callersentiment", "customersentiment", "overallsentiment"];
const SCORE: [&str; 2] = ["sentimentscore", "score"];
const URGENCY: [&str; 2] = ["urgency", "urgencylevel"];
const OUTCOME: [&str; 4] = ["outcome", "calloutcome", "disposition", "result"];
const SERVICES: [&str; 6] = [
    "servicesmentioned",
    "services",
    "servicesdiscussed",
    "serviceinterests",
    "servicesinterested",
    "servicementioned",
];
const BOOKED: [&str; 3] = ["booked", "appointmentbooked", "bookingconfirmed"];

/// Reads `structuredData`.
pub(super) fn analysis(data: &Value) -> RawAnalysis {
    let sentiment = find(data, &SENTIMENT);
    let inner = sentiment.filter(|value| value.is_object());
    let label = match inner {
        Some(object) => find(object, &["label", "sentiment", "value"]).and_then(text),
        None => sentiment.filter(|value| value.is_string() && number(value).is_none()).and_then(text),
    };
    let score = find(data, &SCORE[..1])
        .or_else(|| inner.and_then(|object| find(object, &SCORE)))
        .or(sentiment)
        .and_then(number);
    let booked =
        find(data, &BOOKED).and_then(Value::as_bool).filter(|booked| *booked).map(|_| "booked".to_owned());
    RawAnalysis {
        sentiment_score: score,
        sentiment_label: label,
        urgency: find(data, &URGENCY).and_then(text),
        outcome: find(data, &OUTCOME).and_then(text).or(booked),
        services: find(data, &SERVICES).map(words).unwrap_or_default(),
    }
}

fn find<'v>(object: &'v Value, names: &[&str]) -> Option<&'v Value> {
    let object = object.as_object()?;
    names.iter().find_map(|name| {
        let same = |key: &str| {
            key.chars().filter(char::is_ascii_alphanumeric).flat_map(char::to_lowercase).eq(name.chars())
        };
        object.iter().find(|(key, value)| same(key) && !value.is_null()).map(|(_, value)| value)
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.replace('\0', "")),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
    .filter(|text| !text.trim().is_empty())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// A list of texts or of objects with a name, or one text with commas.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items
            .iter()
            .filter_map(|item| match item {
                Value::Object(_) => find(item, &["name", "service"]).and_then(text),
                _ => text(item),
            })
            .collect(),
        Value::String(list) => {
            list.split(',').map(|word| word.trim().replace('\0', "")).filter(|w| !w.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn our_own_schema_and_its_neighbours_are_read() {
        let check = |data: Value, label: Option<&str>, score: Option<f64>, services: &[&str]| {
            let read = analysis(&data);
            assert_eq!(read.sentiment_label.as_deref(), label, "{data}");
            assert_eq!(read.sentiment_score, score, "{data}");
            assert_eq!(read.services, services, "{data}");
        };
        check(
            json!({"sentiment": "positive", "sentiment_score": 0.8, "services_mentioned": ["Botox"]}),
            Some("positive"),
            Some(0.8),
            &["Botox"],
        );
        check(
            json!({"sentimentLabel": "negative", "sentimentScore": "-0.4"}),
            Some("negative"),
            Some(-0.4),
            &[],
        );
        check(json!({"sentiment": {"label": "neutral", "score": 0}}), Some("neutral"), Some(0.0), &[]);
        check(
            json!({"sentiment": 0.5, "services": "Botox, Fillers"}),
            None,
            Some(0.5),
            &["Botox", "Fillers"],
        );
        check(json!({"servicesDiscussed": [{"name": "Facelift"}, 7, null]}), None, None, &["Facelift", "7"]);
        check(json!("nothing"), None, None, &[]);
        check(json!(null), None, None, &[]);
    }

    #[test]
    fn urgency_and_outcome_are_words() {
        let read = analysis(&json!({"Urgency Level": "HIGH", "callOutcome": "not interested"}));
        assert_eq!(
            (read.urgency.as_deref(), read.outcome.as_deref()),
            (Some("HIGH"), Some("not interested"))
        );
        assert_eq!(analysis(&json!({"booked": true})).outcome.as_deref(), Some("booked"));
        assert_eq!(analysis(&json!({"booked": false})).outcome, None);
    }
}
