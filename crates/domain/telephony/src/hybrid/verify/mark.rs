//! The mark that a number carries in a shared account: for which row it was proved.

use voxanne_kernel::ids::CallerIdId;

use crate::hybrid::{
    caller_id::{CallerId, CallerIdName},
    ports::{KnownNumber, LineAccount},
};

/// How much of a person's name for a number fits beside our mark.
const NAME_BESIDE_MARK: usize = 28;
/// What our mark begins with; a row's id follows.
const MARK: &str = "vx-";

/// The name a number gets at the carrier: the person's, and in a shared account our mark.
pub(super) fn name_at_carrier(account: &LineAccount, caller_id: &CallerId) -> String {
    let name = caller_id.name.as_ref().map_or(caller_id.number.as_str(), CallerIdName::as_str);
    if !account.is_shared {
        return name.to_owned();
    }
    let short: String = name.chars().take(NAME_BESIDE_MARK).collect();
    format!("{} {MARK}{}", short.trim_end(), caller_id.id.0.simple())
}

/// The row that a number was verified for, going by our mark in its name.
pub(super) fn marked(known: &KnownNumber) -> Option<CallerIdId> {
    let (_, last) = known.name.rsplit_once(' ').unwrap_or(("", &known.name));
    last.strip_prefix(MARK)?.parse().ok()
}

/// Whether what the carrier knows was proved for this row. In an account of the organization's own everything was.
pub(super) fn proves(account: &LineAccount, known: &KnownNumber, id: CallerIdId) -> bool {
    !account.is_shared || marked(known) == Some(id)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use voxanne_kernel::E164;

    use super::*;
    use crate::hybrid::caller_id::Attempt;

    #[test]
    fn the_mark_in_a_shared_account_is_read_back_and_fits() {
        let account =
            |is_shared| LineAccount { sid: "AC1".to_owned(), token: "t".into(), is_shared, from: None };
        let number = E164::new("+15005550006").unwrap();
        let longest = "n".repeat(64);
        for name in [None, Some("Front desk"), Some(longest.as_str())] {
            let name = name.map(|name| CallerIdName::new(name).unwrap());
            let row =
                CallerId::new(number.clone(), name.clone(), Attempt::begin("AC1", Timestamp::UNIX_EPOCH));
            let given = name_at_carrier(&account(true), &row);
            assert!(given.chars().count() <= 64, "{given}");
            let known = KnownNumber { sid: "PN1".to_owned(), name: given };
            assert_eq!(marked(&known), Some(row.id));
            assert!(proves(&account(true), &known, row.id));
            assert!(!proves(&account(true), &known, CallerIdId::generate()));
            let plain = name_at_carrier(&account(false), &row);
            assert_eq!(plain, name.map_or_else(|| number.to_string(), |name| name.as_str().to_owned()));
        }
        let foreign = KnownNumber { sid: "PN1".to_owned(), name: "Front desk".to_owned() };
        assert_eq!(marked(&foreign), None);
        assert!(!proves(&account(true), &foreign, CallerIdId::generate()));
        assert!(proves(&account(false), &foreign, CallerIdId::generate()));
    }
}
