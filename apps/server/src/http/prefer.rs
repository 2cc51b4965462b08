//! `Prefer: respond-async` (RFC 7240): whether a client would rather come back than wait.

use axum::http::{HeaderMap, HeaderName};

/// The answer's header that says which preference was followed.
pub const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
/// The preference not to wait.
pub const RESPOND_ASYNC: &str = "respond-async";

/// Whether one of the preferences in `headers` is not to wait. There may be several of them, in several headers.
pub fn responds_async(headers: &HeaderMap) -> bool {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(preferences).any(|name| name.eq_ignore_ascii_case(RESPOND_ASYNC))
}

/// The names of the preferences in a header's value, without what they are set to.
fn preferences(value: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let items = value.split(move |c| {
        is_quoted ^= c == '"';
        c == ',' && !is_quoted
    });
    items.map(|item| item.split([';', '=']).next().unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preference_is_found_among_others_in_any_case() {
        let check = |values: &[&'static str], expected: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", value.parse().unwrap());
            }
            assert_eq!(responds_async(&headers), expected, "{values:?}");
        };
        check(&["respond-async"], true);
        check(&["Respond-Async"], true);
        check(&["return=minimal, RESPOND-ASYNC; foo=\"a\", wait=10"], true);
        check(&["return=minimal", "respond-async"], true);
        check(&["respond-async , wait=5"], true);
        check(&[], false);
        check(&["wait=10"], false);
        check(&["respond-asynchronously"], false);
        check(&["note=\"a, respond-async, b\""], false);
    }
}
