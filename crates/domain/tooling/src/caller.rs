//! What the assistant is told about the caller when a call begins.

use std::collections::BTreeMap;

use jiff::Zoned;
use voxanne_kernel::text::one_line;

use crate::{desk::Visit, say};

/// The names of the variables, as prompts use them.
pub const VARIABLES: [&str; 4] = ["today", "time_zone", "caller_name", "caller_context"];

/// What we know when the phone rings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerContext {
    /// Now, in the organization's zone.
    pub now: Zoned,
    /// The caller's name, if their number is known.
    pub name: Option<String>,
    /// Their next appointment.
    pub next_visit: Option<Visit>,
}

impl CallerContext {
    /// Values for the variables of a prompt; every variable has one, so that no placeholder is ever read out.
    pub fn variables(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([
            ("today", say::day(self.now.date())),
            ("time_zone", self.now.time_zone().iana_name().unwrap_or("UTC").to_owned()),
            ("caller_name", self.name.as_deref().map(one_line).unwrap_or_default()),
            ("caller_context", self.about_caller()),
        ])
    }

    /// The same as one message to the model, for a call that has already begun.
    pub fn note(&self) -> String {
        one_line(&format!("It is {} here. {}", say::moment(&self.now), self.about_caller()))
    }

    fn about_caller(&self) -> String {
        let Some(name) = &self.name else {
            return "The caller's number is new to us.".to_owned();
        };
        let visit = match &self.next_visit {
            Some(visit) => format!("Their next appointment is on {}.", say::moment(&visit.at)),
            None => "They have no upcoming appointment.".to_owned(),
        };
        one_line(&format!("The caller's number belongs to {name}. {visit}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variable_has_a_value_in_the_organizations_zone() {
        let now: Zoned = "2026-11-30T23:30[America/New_York]".parse().unwrap();
        let context = CallerContext { now, name: Some("Ann\nLee".into()), next_visit: None };
        let variables = context.variables();
        assert!(
            VARIABLES.iter().all(|name| variables.contains_key(name)) && variables.len() == VARIABLES.len()
        );
        assert_eq!(variables["today"], "Monday, November 30");
        assert_eq!(variables["time_zone"], "America/New_York");
        assert_eq!(
            variables["caller_context"],
            "The caller's number belongs to Ann Lee. They have no upcoming appointment."
        );
        assert!(context.note().starts_with("It is Monday, November 30 at 11:30 PM here. The caller's"));
    }
}
