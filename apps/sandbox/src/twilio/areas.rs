//! Where numbers of the North American plan are: enough geography for a rehearsal.

/// An area code and the place its numbers are said to be in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Area {
    pub(crate) code: &'static str,
    /// State or province.
    pub(crate) region: &'static str,
    pub(crate) locality: &'static str,
    pub(crate) postal_code: &'static str,
    pub(crate) rate_center: &'static str,
    pub(crate) lata: &'static str,
    pub(crate) latitude: &'static str,
    pub(crate) longitude: &'static str,
}

macro_rules! areas {
    ($($code:literal $region:literal $locality:literal $postal:literal $center:literal $lata:literal
        $latitude:literal $longitude:literal;)*) => {
        &[$(Area {
            code: $code, region: $region, locality: $locality, postal_code: $postal,
            rate_center: $center, lata: $lata, latitude: $latitude, longitude: $longitude,
        },)*]
    };
}

/// The places that a search without an area code finds, in this order.
pub(crate) const AREAS: &[Area] = areas! {
    "510" "CA" "Oakland" "94601" "OKLD" "722" "37.780000" "-122.220000";
    "415" "CA" "San Francisco" "94102" "SNFC" "722" "37.770000" "-122.410000";
    "408" "CA" "San Jose" "95113" "SNJS" "722" "37.330000" "-121.890000";
    "650" "CA" "Palo Alto" "94301" "PALOALTO" "722" "37.440000" "-122.140000";
    "310" "CA" "Santa Monica" "90401" "SNMN" "730" "34.010000" "-118.490000";
    "212" "NY" "New York" "10001" "NWYRCYZN01" "132" "40.750000" "-73.990000";
    "718" "NY" "Brooklyn" "11201" "NWYRCYZN11" "132" "40.690000" "-73.990000";
    "305" "FL" "Miami" "33130" "MIAMI" "460" "25.760000" "-80.190000";
    "312" "IL" "Chicago" "60601" "CHCG" "358" "41.880000" "-87.620000";
    "404" "GA" "Atlanta" "30303" "ATLANTA" "438" "33.750000" "-84.390000";
    "512" "TX" "Austin" "78701" "AUSTIN" "558" "30.270000" "-97.740000";
    "617" "MA" "Boston" "02108" "BOSTON" "128" "42.360000" "-71.060000";
    "206" "WA" "Seattle" "98101" "SEATTLE" "674" "47.610000" "-122.330000";
    "303" "CO" "Denver" "80202" "DENVER" "656" "39.750000" "-104.990000";
    "416" "ON" "Toronto" "M5H" "TORONTO" "888" "43.650000" "-79.380000";
    "604" "BC" "Vancouver" "V6B" "VANCOUVER" "888" "49.280000" "-123.120000";
    "514" "QC" "Montreal" "H2Y" "MONTREAL" "888" "45.500000" "-73.560000";
    "403" "AB" "Calgary" "T2P" "CALGARY" "888" "51.050000" "-114.070000";
};

/// The other codes of Canada.
const CANADA: &[&str] = &[
    "204", "226", "236", "249", "250", "257", "263", "289", "306", "343", "354", "365", "367", "368", "382",
    "387", "403", "416", "418", "428", "431", "437", "438", "450", "460", "468", "474", "506", "514", "519",
    "537", "548", "579", "581", "584", "587", "604", "613", "639", "647", "672", "683", "705", "709", "742",
    "753", "778", "780", "782", "807", "819", "825", "867", "873", "879", "902", "905", "942",
];

/// Codes without local numbers in the US or Canada: islands with numbers of their own, services, personal numbers.
const ELSEWHERE: &[&str] = &[
    "242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758", "767", "784",
    "809", "829", "849", "868", "869", "876", "500", "521", "522", "523", "524", "525", "526", "527", "528",
    "529", "533", "544", "555", "566", "577", "588", "600", "622", "633", "644", "655", "677", "688", "700",
    "710", "900", "950", "976",
];

/// Codes that are free for the caller.
pub(crate) const TOLL_FREE: &[&str] = &["800", "833", "844", "855", "866", "877", "888"];

/// Whether this could be an area code at all.
pub(crate) fn is_area_code(text: &str) -> bool {
    let digits = text.as_bytes();
    digits.len() == 3 && digits.iter().all(u8::is_ascii_digit) && digits[0] >= b'2'
}

/// The country that has local numbers in this code, if one has.
pub(crate) fn country_of(code: &str) -> Option<&'static str> {
    let digits = code.as_bytes();
    let local = is_area_code(code)
        && digits[1] != b'9'
        && &digits[1..] != b"11"
        && !TOLL_FREE.contains(&code)
        && code != "822"
        && !ELSEWHERE.contains(&code);
    match () {
        () if !local => None,
        () if CANADA.contains(&code) => Some("CA"),
        () => Some("US"),
    }
}

/// The place of a code, where it is known.
pub(crate) fn place(code: &str) -> Option<&'static Area> {
    AREAS.iter().find(|area| area.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_belongs_to_one_country_or_has_no_local_numbers() {
        let check = |code, expected| assert_eq!(country_of(code), expected, "{code}");
        check("510", Some("US"));
        check("970", Some("US"));
        check("416", Some("CA"));
        for none in ["533", "800", "911", "195", "999", "876", "51", "5100", "abc", ""] {
            check(none, None);
        }
        for area in AREAS {
            assert!(country_of(area.code).is_some(), "{}", area.code);
        }
    }
}
