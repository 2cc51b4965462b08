//! A text with places in it.

use std::collections::{BTreeMap, BTreeSet};

use super::html::escaped;

/// What is put into the places, by their names.
pub type Variables = BTreeMap<String, String>;

/// A text with places such as `{{name}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Words(String),
    Place(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPattern {
    /// A place is opened and not closed.
    #[error("has a {{{{ without a }}}} after it")]
    Open,
    /// What stands in a place is not a name.
    #[error(
        "may have only names of letters, digits and underscores between {{{{ and }}}}, such as {{{{first_name}}}}"
    )]
    Name,
    /// There are too many places.
    #[error("may have at most 50 different variables")]
    TooMany,
}

/// Nothing was given for some places.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no value was given for {}", .0.join(", "))]
pub struct MissingVariables(pub Vec<String>);

/// What the text becomes part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// Text: values stay as they are.
    Text,
    /// HTML: values are escaped, so that none is more than text.
    Html,
    /// A header: values are made one line.
    Line,
}

impl Pattern {
    /// Reads a text.
    ///
    /// # Errors
    /// [`NotAPattern`].
    pub fn new(text: &str) -> Result<Self, NotAPattern> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((words, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").ok_or(NotAPattern::Open)?;
            let name = name.trim();
            if !is_name(name) {
                return Err(NotAPattern::Name);
            }
            if !words.is_empty() {
                parts.push(Part::Words(words.to_owned()));
            }
            parts.push(Part::Place(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Words(rest.to_owned()));
        }
        let pattern = Self { parts };
        if pattern.variables().len() > 50 { Err(NotAPattern::TooMany) } else { Ok(pattern) }
    }

    /// The names of its places.
    pub fn variables(&self) -> BTreeSet<&str> {
        fn place(part: &Part) -> Option<&str> {
            match part {
                Part::Place(name) => Some(name.as_str()),
                Part::Words(_) => None,
            }
        }
        self.parts.iter().filter_map(place).collect()
    }

    /// Puts `values` in, once: what looks like a place in a value stays as it is.
    pub(super) fn fill(&self, values: &Variables, into: Target) -> Result<String, MissingVariables> {
        let missing: Vec<_> = self
            .variables()
            .into_iter()
            .filter(|name| !values.contains_key(*name))
            .map(str::to_owned)
            .collect();
        if !missing.is_empty() {
            return Err(MissingVariables(missing));
        }
        let mut filled = String::new();
        for part in &self.parts {
            match part {
                Part::Words(words) => filled.push_str(words),
                Part::Place(name) => {
                    let value = values.get(name).map(String::as_str).unwrap_or_default();
                    match into {
                        Target::Text => filled.push_str(value),
                        Target::Html => filled.push_str(&escaped(value)),
                        Target::Line => filled.push_str(&voxanne_kernel::text::one_line(value)),
                    }
                }
            }
        }
        Ok(filled)
    }
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
