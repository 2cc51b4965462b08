//! Tool calls out of a message, whichever of the documented forms they have.

use serde_json::{Map, Value};
use voxanne_tooling::{Arguments, ToolCall};

use super::{
    facts::{Facts, WireFunction, WireToolCall, WithToolCall},
    loose::{List, Object},
};

/// An id longer than this is nobody's.
const LONGEST_ID: usize = 200;

/// The calls of a `tool-calls` message: the first of the three lists that has any.
pub(super) fn listed(message: Facts) -> Vec<ToolCall> {
    let plain = |list: List<Object<WireToolCall>>| {
        list.0.into_iter().filter_map(|call| call.0).map(tool_call).collect()
    };
    let mut calls: Vec<ToolCall> = plain(message.tool_call_list);
    if calls.is_empty() {
        calls = plain(message.tool_calls);
    }
    if calls.is_empty() {
        let entries = message.tool_with_tool_call_list.0.into_iter();
        calls = entries.filter_map(|entry| with_tool(entry.0?)).collect();
    }
    calls
}

/// A call beside its tool, which may be the only one of the two that says the name.
fn with_tool(entry: WithToolCall) -> Option<ToolCall> {
    let mut call = tool_call(entry.tool_call.0?);
    if call.name.is_empty() {
        call.name =
            entry.function.0.and_then(|function| function.name.0).or(entry.name.0).unwrap_or_default();
    }
    Some(call)
}

/// The call of the older message with a single function, which has no id.
pub(super) fn single(message: Facts) -> Option<ToolCall> {
    message.function_call.0.map(tool_call)
}

fn tool_call(call: WireToolCall) -> ToolCall {
    let function = call.function.0.unwrap_or_default();
    let WireFunction { name, arguments, parameters } = function;
    let name = name.0.or(call.name.0).unwrap_or_default();
    let given = [arguments, parameters, call.arguments, call.parameters];
    let arguments = Arguments::new(given.into_iter().find_map(object).unwrap_or_default());
    match call.id.0.filter(|id| id.len() <= LONGEST_ID) {
        Some(id) => ToolCall { id, name, arguments },
        None => ToolCall::without_id(name, arguments),
    }
}

/// Arguments come as an object or as JSON text of one; anything else is no arguments.
fn object(arguments: Value) -> Option<Map<String, Value>> {
    match arguments {
        Value::Object(object) => Some(object),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(Value::Object(object)) => Some(object),
            _ => None,
        },
        _ => None,
    }
}
