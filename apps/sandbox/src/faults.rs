//! Faults on demand: the next matching requests go wrong in the way a test asks for.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::provider;

/// In which way a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Answers with `status` and does nothing.
    Status,
    /// Never answers, or only after `delayMs`, and does nothing.
    Timeout,
    /// Does it, `delayMs` late.
    Slow,
    /// Resets the connection and does nothing.
    Reset,
    /// Answers 200 with half a JSON document and does nothing.
    Malformed,
    /// Does it and resets the connection before the answer.
    CommitThenDrop,
}

/// What should go wrong, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Rule {
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Below the provider's prefix; `*` stands for any text, `{…}` for one segment.
    #[serde(default)]
    pub(crate) path: Option<String>,
    /// The first matching request that goes wrong, counted from 1.
    #[serde(default = "one")]
    pub(crate) nth: u32,
    /// How many in a row go wrong.
    #[serde(default = "one")]
    pub(crate) times: u32,
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) status: Option<u16>,
    #[serde(default, alias = "delay_ms")]
    pub(crate) delay_ms: Option<u64>,
    /// Sent as `Retry-After` with a `status` fault.
    #[serde(default, alias = "retry_after", alias = "retryAfterSeconds")]
    pub(crate) retry_after: Option<u64>,
    #[serde(default)]
    pub(crate) message: Option<String>,
}

const fn one() -> u32 {
    1
}

impl Rule {
    /// What is wrong with the rule itself, naming the field.
    pub(crate) fn problem(&self) -> Option<String> {
        if provider::named(&self.provider).is_none() {
            return Some(format!("provider: there is no provider `{}` here", self.provider));
        }
        if self.nth == 0 || self.times == 0 {
            return Some("nth and times: count from 1".to_owned());
        }
        if self.status.is_some_and(|status| !(200..=599).contains(&status)) {
            return Some("status: an HTTP status from 200 to 599".to_owned());
        }
        if self.kind == Kind::Slow && self.delay_ms.is_none() {
            return Some("delayMs: a `slow` fault needs it".to_owned());
        }
        None
    }

    /// The status of a `status` fault: what was asked for, else 429 with a wait, else 500.
    pub(crate) fn status(&self) -> u16 {
        self.status.unwrap_or_else(|| if self.retry_after.is_some() { 429 } else { 500 })
    }

    fn matches(&self, provider: &str, method: &str, path: &str) -> bool {
        self.provider == provider
            && self.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|wanted| {
                // Both `/assistant` and `/vapi/assistant` name the same request.
                let prefix = format!("/{provider}/");
                let wanted = wanted.strip_prefix(&prefix).map_or(wanted, |_| &wanted[prefix.len() - 1..]);
                fits(wanted, path)
            })
    }
}

/// A rule with what became of it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Fault {
    pub(crate) id: u64,
    #[serde(flatten)]
    pub(crate) rule: Rule,
    /// Matching requests so far.
    pub(crate) seen: u32,
    /// How many of them went wrong.
    pub(crate) fired: u32,
}

/// The faults that wait for their requests.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<(u64, Vec<Fault>)>);

impl Faults {
    /// Adds a rule.
    pub(crate) fn add(&self, rule: Rule) -> Fault {
        let mut guard = self.lock();
        guard.0 += 1;
        let fault = Fault { id: guard.0, rule, seen: 0, fired: 0 };
        guard.1.push(fault.clone());
        fault
    }

    /// Whether this request goes wrong, and how. Every matching rule counts it; the oldest due one wins.
    pub(crate) fn strike(&self, provider: &str, method: &str, path: &str) -> Option<Fault> {
        let mut struck = None;
        for fault in &mut self.lock().1 {
            if !fault.rule.matches(provider, method, path) {
                continue;
            }
            fault.seen += 1;
            if struck.is_none() && fault.seen >= fault.rule.nth && fault.fired < fault.rule.times {
                fault.fired += 1;
                struck = Some(fault.clone());
            }
        }
        struck
    }

    /// All of them, the spent ones too.
    pub(crate) fn all(&self) -> Vec<Fault> {
        self.lock().1.clone()
    }

    /// Takes one back.
    pub(crate) fn remove(&self, id: u64) -> bool {
        let faults = &mut self.lock().1;
        let before = faults.len();
        faults.retain(|fault| fault.id != id);
        faults.len() < before
    }

    /// Takes all back.
    pub(crate) fn reset(&self) {
        *self.lock() = (0, Vec::new());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (u64, Vec<Fault>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a path is what a pattern asks for.
fn fits(pattern: &str, path: &str) -> bool {
    let segments = |text: &str| text.trim_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
    let (wanted, given) = (segments(pattern), segments(path));
    if pattern.ends_with("**") || pattern.ends_with("/*") && wanted.len() < given.len() {
        let fixed = &wanted[..wanted.len() - 1];
        return given.len() >= fixed.len()
            && fixed.iter().zip(&given).all(|(want, got)| segment_fits(want, got));
    }
    wanted.len() == given.len() && wanted.iter().zip(&given).all(|(want, got)| segment_fits(want, got))
}

fn segment_fits(pattern: &str, segment: &str) -> bool {
    if pattern.starts_with('{') && pattern.ends_with('}') {
        return !segment.is_empty();
    }
    match pattern.split_once('*') {
        None => pattern == segment,
        Some((head, tail)) => {
            segment.len() >= head.len() + tail.len() && segment.starts_with(head) && segment.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn paths_match_by_segment() {
        let check =
            |pattern, path, expected| assert_eq!(fits(pattern, path), expected, "{pattern} on {path}");
        check("/assistant", "/assistant", true);
        check("/assistant", "/assistant/1", false);
        check("/assistant/*", "/assistant/1", true);
        check("/assistant/*", "/assistant", false);
        check("/call/*", "/call/1/mono-recording", true);
        check("/call/{id}/mono-recording", "/call/1/mono-recording", true);
        check("/call/{id}", "/call/1/mono-recording", false);
        check("/*", "/tool", true);
        check("/phone-*", "/phone-number", true);
    }

    #[test]
    fn a_fault_strikes_from_the_nth_request_on_and_only_so_many_times() {
        let faults = Faults::default();
        faults.add(rule(
            r#"{"provider":"vapi","method":"post","path":"/vapi/tool","nth":2,"times":2,"kind":"reset"}"#,
        ));
        let struck: Vec<_> = (0..5).map(|_| faults.strike("vapi", "POST", "/tool").is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert!(faults.strike("vapi", "GET", "/tool").is_none());
    }

    #[test]
    fn a_rule_that_could_never_strike_is_refused() {
        let check = |json, field: &str| {
            let problem = rule(json).problem().unwrap();
            assert!(problem.starts_with(field), "{problem}");
        };
        check(r#"{"provider":"nobody","kind":"reset"}"#, "provider");
        check(r#"{"provider":"vapi","kind":"reset","nth":0}"#, "nth");
        check(r#"{"provider":"vapi","kind":"status","status":42}"#, "status");
        check(r#"{"provider":"vapi","kind":"slow"}"#, "delayMs");
        assert_eq!(rule(r#"{"provider":"vapi","kind":"status","retryAfter":3}"#).status(), 429);
    }
}
