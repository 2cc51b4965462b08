//! Addresses in what clients send.

use serde_json::Value;

/// One or many, as many.
pub(super) fn listed(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.clone(),
        one => vec![one.clone()],
    }
}

/// The address in `address` or `Name <address>`; none when there is none.
pub(super) fn bare(text: &str) -> Option<&str> {
    let address = match text.trim().strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<')?.1,
        None => text.trim(),
    };
    let (local, domain) = address.rsplit_once('@')?;
    let is_word = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;@\"".contains(c))
    };
    (is_word(local) && is_word(domain) && domain.contains('.') && !domain.starts_with('.')).then_some(address)
}

/// The part behind the `@`, in lower case.
pub(super) fn domain(text: &str) -> String {
    bare(text)
        .and_then(|address| address.rsplit_once('@'))
        .map_or_else(String::new, |(_, d)| d.to_lowercase())
}

/// Whether a text is one line.
pub(super) fn is_line(text: &str) -> bool {
    !text.contains(['\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_mailbox() {
        let check = |text: &str, expected: Option<&str>| assert_eq!(bare(text), expected, "{text}");
        check("a@b.cd", Some("a@b.cd"));
        check("Ann <a@b.cd>", Some("a@b.cd"));
        check("\"Ann <x>\" <a@b.cd>", Some("a@b.cd"));
        check("a@b", None);
        check("a b@c.de", None);
        check("a@b.cd, e@f.gh", None);
        check("", None);
        assert_eq!(domain("Ann <a@B.cd>"), "b.cd");
    }
}
