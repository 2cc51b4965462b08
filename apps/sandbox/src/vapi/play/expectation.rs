//! Whether a tool's result is what the script expects.

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use super::placeholders::Placeholders;
use super::script::ToolStep;
use super::tool_calls::Outcome;

/// One expectation and whether it was met.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Checked {
    pub(super) expected: String,
    pub(super) met: bool,
}

/// Checks a result, and saves from it what later steps need.
pub(super) fn check(step: &ToolStep, outcome: &mut Outcome, values: &mut Placeholders) {
    let said = outcome.result.clone().or_else(|| outcome.error.clone()).unwrap_or_default();
    let folded = said.to_lowercase();
    let mut checked = Vec::new();
    let mut note = |expected: String, met: bool| checked.push(Checked { expected, met });
    let fill = |text: &str| values.fill(text).unwrap_or_else(|problem| problem);
    for text in step.expect.contains.iter() {
        let text = fill(text);
        note(format!("contains {text:?}"), folded.contains(&text.to_lowercase()));
    }
    for text in step.expect.not_contains.iter() {
        let text = fill(text);
        note(format!("does not contain {text:?}"), !folded.contains(&text.to_lowercase()));
    }
    if let Some(pattern) = &step.expect.matches {
        note(
            format!("matches /{pattern}/"),
            Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&said)),
        );
    }
    if let Some(error) = step.expect.error {
        let expected = if error { "an error" } else { "a result, not an error" };
        note(expected.to_owned(), outcome.error.is_some() == error);
    }
    if let Some(limit) = step.expect.within_ms {
        let within = outcome.latency_ms.is_some_and(|took| {
            std::time::Duration::from_secs_f64(took / 1000.0).as_millis() <= u128::from(limit)
        });
        note(format!("within {limit} ms"), within);
    }
    for (name, pattern) in &step.save {
        let found = Regex::new(pattern).ok().and_then(|pattern| {
            let groups = pattern.captures(&said)?;
            Some(groups.get(1).or_else(|| groups.get(0))?.as_str().to_owned())
        });
        match found {
            Some(found) => {
                values.set(name, &found);
                outcome.saved.insert(name.clone(), Value::String(found));
            }
            None => checked.push(Checked { expected: format!("{name} from /{pattern}/"), met: false }),
        }
    }
    let answered = outcome.result.is_some() || outcome.error.is_some();
    if !answered && outcome.problems.is_empty() {
        outcome.problems.push("no result".to_owned());
    }
    outcome.ok = outcome.problems.is_empty() && checked.iter().all(|checked| checked.met);
    outcome.expectations = checked;
}
