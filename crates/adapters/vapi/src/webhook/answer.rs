//! The bodies of our answers. They are always sent with status 200: Vapi drops anything else.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use voxanne_kernel::{E164, text::one_line};
use voxanne_tooling::{ToolAnswer, ToolOutcome};

/// Answers to tool calls: one entry per call, in order, each on one line.
///
/// A tool that does not exist is answered as an error too, so that the provider's log shows it as one.
pub fn tool_results(answers: &[ToolAnswer]) -> Value {
    let results: Vec<Value> = answers
        .iter()
        .map(|answer| {
            let said = one_line(&answer.said);
            let mut entry = json!({ "name": answer.name, "toolCallId": answer.id, "result": said });
            if answer.outcome == ToolOutcome::UnknownTool {
                entry["error"] = json!(said);
            }
            entry
        })
        .collect();
    json!({ "results": results })
}

/// The answer to the older message with a single function.
pub fn function_result(answer: Option<&ToolAnswer>) -> Value {
    json!({ "result": answer.map(|answer| one_line(&answer.said)).unwrap_or_default() })
}

/// Which assistant answers a call, with values for its prompt's variables.
pub fn assistant(id: &str, variables: &BTreeMap<&'static str, String>) -> Value {
    json!({ "assistantId": id, "assistantOverrides": { "variableValues": variables } })
}

/// Where a call is transferred to.
pub fn transfer(number: &E164) -> Value {
    json!({ "destination": { "type": "number", "number": number.as_str() } })
}

/// A refusal that is spoken to the caller.
pub fn refusal(spoken: &str) -> Value {
    json!({ "error": one_line(spoken) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_one_line_each_in_order_with_their_ids() {
        let answer = |id: &str, said: &str, outcome| ToolAnswer {
            id: id.to_owned(),
            name: "x".to_owned(),
            said: said.to_owned(),
            outcome,
        };
        let answers =
            [answer("b", "one\ntwo", ToolOutcome::Done), answer("a", "No tool x.", ToolOutcome::UnknownTool)];
        assert_eq!(
            tool_results(&answers),
            json!({"results": [
                {"name": "x", "toolCallId": "b", "result": "one two"},
                {"name": "x", "toolCallId": "a", "result": "No tool x.", "error": "No tool x."},
            ]})
        );
        assert_eq!(function_result(answers.first()), json!({"result": "one two"}));
    }
}
