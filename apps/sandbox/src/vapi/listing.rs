//! `limit` and the time bounds that every list of the API takes. There is no cursor and no filter by name.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value;

use super::collection::{Collection, Object, text};
use super::refusal::Refusal;

const TIMES: &[&str] = &["createdAt", "updatedAt"];
const BOUNDS: &[&str] = &["Gt", "Lt", "Ge", "Le"];
const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// What a list was asked for.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) limit: usize,
    bounds: Vec<(&'static str, &'static str, Timestamp)>,
    equal: Vec<(String, String)>,
}

impl Listing {
    /// Reads a query; `equal` are the fields this list can also be filtered by.
    pub(crate) fn read(query: &HashMap<String, String>, equal: &[&str]) -> Result<Self, Refusal> {
        let mut listing = Self { limit: DEFAULT_LIMIT, bounds: Vec::new(), equal: Vec::new() };
        let mut problems = Vec::new();
        for (name, value) in query {
            if name == "limit" {
                match value.parse::<usize>() {
                    Ok(limit) if limit <= MAX_LIMIT => listing.limit = limit,
                    Ok(_) => problems.push(format!("limit must not be greater than {MAX_LIMIT}")),
                    Err(_) => problems
                        .push("limit must be a number conforming to the specified constraints".to_owned()),
                }
            } else if equal.contains(&name.as_str()) {
                listing.equal.push((name.clone(), value.clone()));
            } else if let Some((field, bound)) = time_bound(name) {
                match value.parse() {
                    Ok(at) => listing.bounds.push((field, bound, at)),
                    Err(_) => problems.push(format!("{name} must be a valid ISO 8601 date string")),
                }
            } else {
                problems.push(format!("property {name} should not exist"));
            }
        }
        problems.sort();
        if problems.is_empty() { Ok(listing) } else { Err(Refusal::invalid(problems)) }
    }

    /// What of a collection is asked for, newest first.
    pub(crate) fn of<'a>(&self, rows: &'a Collection) -> Vec<&'a Object> {
        let mut rows: Vec<&Object> = rows.newest_first().filter(|row| self.admits(row)).collect();
        // Calls from outside were created before they came in here. ISO times sort as text.
        rows.sort_by(|one, other| text(other, "createdAt").cmp(text(one, "createdAt")));
        rows.truncate(self.limit);
        rows
    }

    /// Whether an object is within all bounds.
    pub(crate) fn admits(&self, row: &Object) -> bool {
        let within = self.bounds.iter().all(|(field, bound, at)| {
            text(row, field).parse::<Timestamp>().is_ok_and(|own| match *bound {
                "Gt" => own > *at,
                "Lt" => own < *at,
                "Ge" => own >= *at,
                _ => own <= *at,
            })
        });
        within
            && self
                .equal
                .iter()
                .all(|(field, value)| row.get(field).and_then(Value::as_str) == Some(value.as_str()))
    }
}

fn time_bound(name: &str) -> Option<(&'static str, &'static str)> {
    TIMES.iter().find_map(|field| {
        let bound = name.strip_prefix(field)?;
        BOUNDS.iter().find(|known| **known == bound).map(|bound| (*field, *bound))
    })
}
