//! `/AvailablePhoneNumbers`: what could be bought. A search reserves nothing.

use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::Uri;
use regex::Regex;
use serde_json::{Map, Value, json};

use super::access::{Named, Scope};
use super::areas;
use super::inventory::{COUNTRIES, Capabilities, Country, Kind, Offer, Range, ranges};
use super::paging;
use super::parameters::{Parameters, Query};
use super::refusal::Refusal;
use crate::world::Shared;

/// Filters that this inventory has no geography for: answering as if they were not there would find the wrong numbers.
const NOT_SIMULATED: &[&str] = &["NearLatLong", "InRateCenter", "InLata", "FaxEnabled"];

pub(crate) async fn countries(scope: Scope) -> Json<Value> {
    let rows: Vec<Value> = COUNTRIES.iter().map(|country| shown(&scope, country)).collect();
    let uri = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers.json", scope.sid);
    Json(json!({ "countries": rows, "uri": uri }))
}

pub(crate) async fn country(scope: Scope, Named(code): Named, uri: Uri) -> Result<Json<Value>, Refusal> {
    let country = COUNTRIES.iter().find(|country| country.code == code);
    country.map(|country| Json(shown(&scope, country))).ok_or_else(|| Refusal::missing(uri.path()))
}

fn shown(scope: &Scope, country: &Country) -> Value {
    let at = format!("/2010-04-01/Accounts/{}/AvailablePhoneNumbers/{}", scope.sid, country.code);
    let below = country.kinds.iter().map(|kind| {
        let (name, path) = match kind {
            Kind::Local => ("local", "Local"),
            Kind::TollFree => ("toll_free", "TollFree"),
            Kind::Mobile => ("mobile", "Mobile"),
        };
        (name.to_owned(), json!(format!("{at}/{path}.json")))
    });
    json!({
        "country_code": country.code,
        "country": country.name,
        "beta": false,
        "uri": format!("{at}.json"),
        "subresource_uris": below.collect::<Map<_, _>>(),
    })
}

/// Numbers of a kind in a country, as many as a page has. There are no further pages, and none found is an empty list.
pub(crate) async fn search(
    State(world): State<Shared>,
    _scope: Scope,
    Named(kind): Named,
    parameters: RawPathParams,
    Query(query): Query,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let country = parameters.iter().find(|(name, _)| *name == "country").map_or("", |(_, code)| code);
    let kind = match kind.as_str() {
        "Local" => Some(Kind::Local),
        "TollFree" => Some(Kind::TollFree),
        "Mobile" => Some(Kind::Mobile),
        _ => None,
    };
    let sold = COUNTRIES.iter().find(|known| known.code == country);
    let kind = kind.filter(|kind| sold.is_some_and(|country| country.kinds.contains(kind)));
    let kind = kind.ok_or_else(|| Refusal::missing(uri.path()))?;
    let wanted = Wanted::read(&query)?;
    let size = paging::size(&query)?;
    let store = world.twilio.store();
    let places = ranges(country, kind, wanted.area_code.as_deref());
    let found = places.iter().filter(|range| wanted.is_there(range)).flat_map(|range| {
        range
            .free(&store)
            .filter(|offer| wanted.fits(offer))
            .map(|offer| range.shown(&offer))
            .collect::<Vec<_>>()
    });
    Ok(Json(json!({ "available_phone_numbers": found.take(size).collect::<Vec<_>>(), "uri": asked(&uri) })))
}

fn asked(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string)
}

/// What a number has to be like.
struct Wanted {
    area_code: Option<String>,
    contains: Option<Regex>,
    voice: Option<bool>,
    sms: Option<bool>,
    mms: Option<bool>,
    without_address: bool,
    region: Option<String>,
    postal_code: Option<String>,
    locality: Option<String>,
}

impl Wanted {
    fn read(query: &Parameters) -> Result<Self, Refusal> {
        if let Some(name) = NOT_SIMULATED.iter().find(|name| query.filled(name).is_some()) {
            return Err(Refusal::invalid(name, "not simulated"));
        }
        let text = |name| query.filled(name).map(ToOwned::to_owned);
        let area_code = text("AreaCode");
        if area_code.as_deref().is_some_and(|code| !areas::is_area_code(code)) {
            return Err(Refusal::bad(21451, "Invalid area code"));
        }
        // Near a number is in its state: the map here is no finer.
        let near = query.filled("NearNumber").map(region_of).transpose()?;
        let without_address = ["ExcludeAllAddressRequired", "ExcludeLocalAddressRequired"]
            .into_iter()
            .map(|name| query.flag(name))
            .collect::<Result<Vec<_>, _>>()?;
        query.flag("Beta")?;
        Ok(Self {
            area_code,
            contains: query.filled("Contains").map(pattern).transpose()?,
            voice: query.flag("VoiceEnabled")?,
            sms: query.flag("SmsEnabled")?,
            mms: query.flag("MmsEnabled")?,
            without_address: without_address.contains(&Some(true)),
            region: text("InRegion").or(near),
            postal_code: text("InPostalCode"),
            locality: text("InLocality"),
        })
    }

    fn is_there(&self, range: &Range) -> bool {
        let place = range.place();
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is.is_some_and(|is| is.eq_ignore_ascii_case(wanted)))
        };
        same(&self.region, place.map(|place| place.region))
            && same(&self.postal_code, place.map(|place| place.postal_code))
            && same(&self.locality, place.map(|place| place.locality))
    }

    fn fits(&self, offer: &Offer) -> bool {
        let Capabilities { voice, sms, mms } = offer.traits.capabilities;
        let same = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        same(self.voice, voice)
            && same(self.sms, sms)
            && same(self.mms, mms)
            && (!self.without_address || offer.traits.address_requirements == "none")
            && self.contains.as_ref().is_none_or(|pattern| pattern.is_match(&offer.phone_number))
    }
}

fn region_of(number: &str) -> Result<String, Refusal> {
    let code = number.trim_start_matches('+').strip_prefix('1').and_then(|rest| rest.get(..3));
    let place = code.and_then(areas::place);
    place
        .map(|place| place.region.to_owned())
        .ok_or_else(|| Refusal::invalid("NearNumber", "a number whose place is known here"))
}

/// `Contains`: digits and letters as on a telephone's keys, `*` for one character, `%` for any run of them, a leading
/// `+` for the start, a trailing `$` for the end.
fn pattern(text: &str) -> Result<Regex, Refusal> {
    let refused =
        || Refusal::invalid("Contains", "2 to 16 of 0-9, a-z, * and %, with + before or $ after them");
    if !(2..=16).contains(&text.chars().count()) {
        return Err(refused());
    }
    let (starts, rest) = match text.strip_prefix('+') {
        Some(rest) => (r"^\+", rest),
        None => ("", text),
    };
    let (ends, rest) = match rest.strip_suffix('$') {
        Some(rest) => ("$", rest),
        None => ("", rest),
    };
    let mut expression = starts.to_owned();
    for character in rest.chars() {
        match character {
            '*' => expression.push_str(r"\d"),
            '%' => expression.push_str(r"\d*"),
            _ => expression.push(key_of(character).ok_or_else(refused)?),
        }
    }
    expression.push_str(ends);
    Regex::new(&expression).map_err(|_| refused())
}

/// The key of a telephone that has this character.
fn key_of(character: char) -> Option<char> {
    match character.to_ascii_lowercase() {
        digit @ '0'..='9' => Some(digit),
        'a'..='c' => Some('2'),
        'd'..='f' => Some('3'),
        'g'..='i' => Some('4'),
        'j'..='l' => Some('5'),
        'm'..='o' => Some('6'),
        'p'..='s' => Some('7'),
        't'..='v' => Some('8'),
        'w'..='z' => Some('9'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contains_finds_what_its_pattern_says() {
        let check = |text, number, expected| {
            assert_eq!(pattern(text).unwrap().is_match(number), expected, "{text} in {number}");
        };
        check("555", "+15105550123", true);
        check("556", "+15105550123", false);
        check("+1510", "+15105550123", true);
        check("+510", "+15105550123", false);
        check("0123$", "+15105550123", true);
        check("012$", "+15105550123", false);
        check("510*55", "+15105550123", true);
        check("510%23$", "+15105550123", true);
        check("KJJ", "+15105550123", true);
        for wrong in ["5", "12345678901234567", "5-5", "5.5", "é1"] {
            assert!(pattern(wrong).is_err(), "{wrong}");
        }
    }
}
