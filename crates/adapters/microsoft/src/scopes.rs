//! What we ask Microsoft for, and whether it was granted.

use voxanne_credentials::oauth::Permission;

/// What we ask for, separated by spaces: commas work for personal accounts only. `offline_access` is what the refresh
/// token comes of, and is never named among what was granted.
pub(crate) const ASKED: &str = "openid profile email offline_access User.Read Calendars.ReadWrite";

/// UNCONFIRMED: whether scopes of Graph come back with its address in front; both forms are taken for the same, in
/// whatever case.
fn is(scope: &str, name: &str) -> bool {
    scope.strip_prefix("https://graph.microsoft.com/").unwrap_or(scope).eq_ignore_ascii_case(name)
}

/// What we need and `granted` does not give. One scope lets us write appointments and see when the calendar is free.
pub(crate) fn missing(granted: &[String]) -> Vec<Permission> {
    let has = |names: &[&str]| granted.iter().any(|scope| names.iter().any(|name| is(scope, name)));
    let mut missing = Vec::new();
    if !has(&["Calendars.ReadWrite", "Calendars.ReadWrite.Shared"]) {
        missing.push(Permission::Events);
        if !has(&["Calendars.Read", "Calendars.Read.Shared", "Calendars.ReadBasic"]) {
            missing.push(Permission::FreeBusy);
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_ask_for_is_enough_in_any_spelling() {
        let check = |granted: &str, expected: &[Permission]| {
            assert_eq!(missing(&voxanne_oauth::scopes(granted)), expected, "{granted}");
        };
        check(ASKED, &[]);
        check("https://graph.microsoft.com/Calendars.ReadWrite", &[]);
        check("calendars.readwrite", &[]);
        check("Calendars.Read", &[Permission::Events]);
        check("openid User.Read", &[Permission::Events, Permission::FreeBusy]);
    }
}
