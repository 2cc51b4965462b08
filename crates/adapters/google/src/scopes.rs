//! What we ask Google for, and whether it was granted.

use voxanne_credentials::oauth::Permission;

/// The prefix of most scopes' names.
const PREFIX: &str = "https://www.googleapis.com/auth/";

/// What we ask for.
pub(crate) const ASKED: &str = "openid https://www.googleapis.com/auth/userinfo.email \
    https://www.googleapis.com/auth/calendar.events https://www.googleapis.com/auth/calendar.freebusy \
    https://www.googleapis.com/auth/calendar.calendarlist.readonly";

/// Any one of these lets us write appointments.
const EVENTS: [&str; 2] = ["calendar", "calendar.events"];
/// Any one of these lets us ask when the calendar is free; `calendar.events` does not.
const FREE_BUSY: [&str; 4] =
    ["calendar", "calendar.readonly", "calendar.freebusy", "calendar.events.freebusy"];

/// A scope's short name. UNCONFIRMED: that `email` and `profile` always come back by their long names; both forms are
/// taken for the same.
fn normalized(scope: &str) -> &str {
    match scope.strip_prefix(PREFIX).unwrap_or(scope) {
        "email" => "userinfo.email",
        "profile" => "userinfo.profile",
        short => short,
    }
}

/// What we need and `granted` does not give. People may leave single boxes empty.
pub(crate) fn missing(granted: &[String]) -> Vec<Permission> {
    let lacks = |any: &[&str]| !granted.iter().any(|scope| any.contains(&normalized(scope)));
    [(Permission::Events, &EVENTS[..]), (Permission::FreeBusy, &FREE_BUSY[..])]
        .into_iter()
        .filter(|(_, any)| lacks(any))
        .map(|(permission, _)| permission)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_ask_for_is_enough_and_each_box_counts() {
        let check = |granted: &str, expected: &[Permission]| {
            assert_eq!(missing(&voxanne_oauth::scopes(granted)), expected, "{granted}");
        };
        let long = |short: &str| format!("{PREFIX}{short}");
        check(ASKED, &[]);
        check(&long("calendar"), &[]);
        check(&long("calendar.events"), &[Permission::FreeBusy]);
        check(&format!("{} {}", long("calendar.events"), long("calendar.readonly")), &[]);
        check(&long("calendar.freebusy"), &[Permission::Events]);
        check(&long("calendar.events.readonly"), &[Permission::Events, Permission::FreeBusy]);
        check("openid email", &[Permission::Events, Permission::FreeBusy]);
        check("", &[Permission::Events, Permission::FreeBusy]);
    }
}
