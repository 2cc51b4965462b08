//! Which country and which zones a number tells.

use voxanne_kernel::{E164, Zone};
use voxanne_messaging::numbering::{country_of, may_be_of, zones_for, zones_of};

fn number(text: &str) -> E164 {
    E164::new(text).unwrap()
}

#[test]
fn a_number_tells_its_country() {
    let check = |text: &str, country: Option<&str>| {
        assert_eq!(
            country_of(&number(text)).as_ref().map(voxanne_kernel::place::Country::as_str),
            country,
            "{text}"
        );
    };
    check("+12125550100", Some("US"));
    check("+15005550006", Some("US"));
    check("+14165550100", Some("CA"));
    check("+17875550100", Some("PR"));
    check("+447700900123", Some("GB"));
    check("+4915112345678", Some("DE"));
    check("+2348012345678", Some("NG"));
    check("+254700000000", Some("KE"));
    check("+77012345678", Some("KZ"));
    check("+79012345678", Some("RU"));
    check("+5511912345678", Some("BR"));
    check("+8801712345678", Some("BD"));
    check("+881612345678", None);
    check("+97412345678", Some("QA"));
}

#[test]
fn a_number_is_another_countrys_only_where_its_digits_say_so() {
    let check = |text: &str, country: &str, expected: bool| {
        let country = country.parse().unwrap();
        assert_eq!(may_be_of(&number(text), &country), expected, "{text} {country}");
    };
    check("+12125550999", "US", true);
    check("+12125550999", "CA", false);
    check("+14165550100", "CA", true);
    check("+14165550100", "US", false);
    check("+17875550100", "PR", true);
    check("+442079460009", "US", false);
    check("+442079460009", "GB", true);
    check("+12125550999", "GB", false);
    check("+4915112345678", "FR", false);
    // Services of the whole plan, and areas that nobody here has heard of.
    for country in ["US", "CA"] {
        check("+18335550100", country, true);
        check("+15005550006", country, true);
    }
    check("+18335550100", "GB", false);
    // Guernsey's numbers begin as Britain's do.
    check("+441481555010", "GG", true);
    check("+881612345678", "US", false);
}

#[test]
fn a_number_tells_its_zone_where_it_can() {
    let check = |text: &str, expected: &[&str]| {
        let zones = zones_of(&number(text));
        assert_eq!(zones.iter().map(Zone::name).collect::<Vec<_>>(), expected, "{text}");
    };
    check("+12125550100", &["America/New_York"]);
    check("+13105550100", &["America/Los_Angeles"]);
    check("+16025550100", &["America/Phoenix"]);
    check("+18505550100", &["America/New_York", "America/Chicago"]);
    check("+12345678901", &["America/New_York"]);
    check("+18005550100", &[]);
    check("+33612345678", &["Europe/Paris"]);
    check("+5511912345678", &[]);
    check("+881612345678", &[]);
}

#[test]
fn where_the_number_does_not_tell_the_organization_does() {
    let lagos = Zone::new("Africa/Lagos").unwrap();
    let names = |zones: Vec<Zone>| zones.iter().map(|zone| zone.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(zones_for(None, &lagos)), ["Africa/Lagos"]);
    assert_eq!(names(zones_for(Some(&number("+5511912345678")), &lagos)), ["Africa/Lagos"]);
    assert_eq!(names(zones_for(Some(&number("+33612345678")), &lagos)), ["Europe/Paris"]);
}
