//! What an organization has told us about itself, as sentences, and which of them answer a question.
//!
//! Nothing is inferred: a fact is the organization's own setting put into a sentence, and a question that shares no
//! telling word with any of them has no answer. Documents that an organization uploads are none of this module's
//! business.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time, Weekday};
use serde_json::{Map, Value};
use voxanne_kernel::{Currency, Money, text::one_line};

use crate::{
    say,
    words::{self, telling},
};

/// How many facts are said at once before a listener loses track.
const SAID: usize = 3;
/// How many services are read out.
const SERVICES: usize = 10;
/// How many closed days are read out.
const CLOSED_DAYS: usize = 6;
/// A value of so many words is a sentence of its own.
const SENTENCE: usize = 5;

/// A service on the price list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its proper name.
    pub name: String,
    /// Further words that mean it.
    pub keywords: Vec<String>,
    /// What it costs.
    pub price: Money,
    /// In which currency.
    pub currency: Currency,
    /// How long it takes.
    pub minutes: u16,
}

/// What is known of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Business {
    /// What it sells.
    pub offers: Vec<Offer>,
    /// When it is open in a usual week, Monday first; a day without spans is closed.
    pub week: [Vec<(Time, Time)>; 7],
    /// Coming days on which it is closed all day, ascending.
    pub closed: Vec<Date>,
    /// The number that people call.
    pub phone: Option<String>,
    /// What it wrote about itself, in its own shape.
    pub profile: Map<String, Value>,
}

/// A sentence, and what it answers.
struct Fact {
    said: String,
    /// Words that alone make it an answer.
    topic: BTreeSet<String>,
    /// Words that make it a better answer than another, and no answer by themselves.
    hints: BTreeSet<String>,
}

impl Fact {
    fn new(said: String, topic: &str, hints: &str) -> Self {
        Self { said, topic: telling(topic), hints: words::listed(hints).into_iter().collect() }
    }

    fn score(&self, telling: &BTreeSet<String>, all: &BTreeSet<String>) -> usize {
        let topic = self.topic.intersection(telling).count();
        if topic == 0 { 0 } else { topic * 3 + self.hints.intersection(all).count() }
    }
}

impl Business {
    /// The sentences that answer `question`, best first; none when nothing fits.
    pub fn answer(&self, question: &str) -> Vec<String> {
        let (telling, all) = (telling(question), words::listed(question).into_iter().collect());
        let mut found: Vec<(usize, String)> =
            self.facts().into_iter().map(|fact| (fact.score(&telling, &all), fact.said)).collect();
        // Stable: among equals the order of the facts stands.
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        let best = found.first().map_or(0, |(score, _)| *score);
        let fits = |score: usize| score > 0 && score * 3 >= best * 2;
        found.into_iter().take_while(|(score, _)| fits(*score)).take(SAID).map(|(_, said)| said).collect()
    }

    fn facts(&self) -> Vec<Fact> {
        let mut facts: Vec<Fact> = self.offers.iter().map(offer).collect();
        facts.extend(self.catalogue());
        facts.push(self.hours());
        facts.extend(self.phone.as_ref().map(|phone| {
            Fact::new(
                format!("Our phone number is {phone}."),
                "phone telephone number call contact reach",
                "",
            )
        }));
        for (name, value) in &self.profile {
            // When it is open is the calendar's word: whoever comes by another would stand before a closed door.
            let about = words::listed(&spaced(name));
            if !about.iter().any(|word| word == "hour") {
                profile_facts(&spaced(name), value, &mut facts);
            }
        }
        facts
    }

    fn catalogue(&self) -> Option<Fact> {
        let named: Vec<String> = self.offers.iter().take(SERVICES).map(|offer| offer.name.clone()).collect();
        let more = self.offers.len().saturating_sub(SERVICES);
        let tail = if more > 0 { format!(", and {more} more services") } else { String::new() };
        (!named.is_empty()).then(|| {
            Fact::new(
                format!("We offer {}{tail}.", say::list(&named, "and")),
                "services treatments procedures menu price prices cost costs speciality specialize",
                "offer provide do",
            )
        })
    }

    fn hours(&self) -> Fact {
        const TOPIC: &str = "open opening hours close closed closing schedule weekend weekday holiday holidays vacation \
                             today tomorrow tonight morning evening night \
                             monday tuesday wednesday thursday friday saturday sunday";
        let week = week(&self.week);
        let days: Vec<String> = self.closed.iter().take(CLOSED_DAYS).map(|date| say::day(*date)).collect();
        let said = match (week, days.is_empty()) {
            (None, _) => "We have no regular opening hours.".to_owned(),
            (Some(week), true) => format!("We're open {week}."),
            (Some(week), false) => {
                format!("We're open {week}, but closed on {}.", say::list(&days, "and"))
            }
        };
        let topic = format!("{TOPIC} {}", days.join(" "));
        Fact::new(said, &topic, "when time")
    }
}

fn offer(offer: &Offer) -> Fact {
    let price = say::money(offer.price, offer.currency);
    let said = format!("{} costs {price} and takes {} minutes.", offer.name, offer.minutes);
    let topic = format!("{} {}", offer.name, offer.keywords.join(" "));
    Fact::new(one_line(&said), &topic, "much price prices cost costs long take minutes duration")
}

/// `Monday to Friday from 9 AM to 5 PM, and Saturday from 9 AM to noon`; `None` when it is never open.
fn week(days: &[Vec<(Time, Time)>; 7]) -> Option<String> {
    const NAMES: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for day in (0..days.len()).filter(|day| !days[*day].is_empty()) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == day && days[*last] == days[day] => *last = day,
            _ => runs.push((day, day)),
        }
    }
    let described = |(first, last): (usize, usize)| {
        let spans: Vec<String> = days[first]
            .iter()
            .map(|(from, to)| format!("from {} to {}", say::clock(*from), say::clock(*to)))
            .collect();
        let names = match last - first {
            0 => say::weekday(NAMES[first]).to_owned(),
            1 => format!("{} and {}", say::weekday(NAMES[first]), say::weekday(NAMES[last])),
            _ => format!("{} to {}", say::weekday(NAMES[first]), say::weekday(NAMES[last])),
        };
        format!("{names} {}", say::list(&spans, "and"))
    };
    let runs: Vec<String> = runs.into_iter().map(described).collect();
    match runs.as_slice() {
        [] => None,
        [only] => Some(only.clone()),
        [rest @ .., last] => Some(format!("{}, and {last}", rest.join(", "))),
    }
}

/// Other words for what profiles usually name.
fn synonyms(label: &str) -> &'static str {
    const GROUPS: [(&str, &str); 7] = [
        ("address location directions", "address location located directions street where find map"),
        ("parking", "parking park car garage"),
        ("phone telephone", "phone telephone number call"),
        ("email mail", "email mail e-mail write contact"),
        ("website web url", "website web site internet online url"),
        ("payment payments", "payment pay card cash credit"),
        ("insurance insurances", "insurance insured coverage cover plan"),
    ];
    let label = telling(label);
    let found = GROUPS.iter().find(|(names, _)| !telling(names).is_disjoint(&label));
    found.map_or("", |(_, words)| words)
}

/// One fact for each thing in a profile. An address is one thing however it is split up, and so is a list of words.
fn profile_facts(label: &str, value: &Value, facts: &mut Vec<Fact>) {
    let topic = |said: &str| format!("{label} {} {said}", synonyms(label));
    let is_address = telling("address location").iter().any(|word| telling(label).contains(word));
    match value {
        Value::Object(parts) if is_address => {
            // The store keeps names in an order of its own.
            let mut parts: Vec<_> = parts.iter().collect();
            parts.sort_by_key(|(name, _)| place_in_address(name));
            let parts: Vec<String> = parts.into_iter().filter_map(|(_, part)| plain(part)).collect();
            if !parts.is_empty() {
                let said = format!("We're at {}.", parts.join(", "));
                facts.push(Fact::new(said.clone(), &topic(&said), "where"));
            }
        }
        Value::Object(entry) => {
            if let (Some(question), Some(answer)) = (text(entry, "question"), text(entry, "answer")) {
                facts.push(Fact::new(sentence(&answer), &format!("{question} {answer}"), &question));
                return;
            }
            let named: BTreeMap<_, _> = entry.iter().collect();
            for (name, value) in named {
                profile_facts(&format!("{label} {}", spaced(name)), value, facts);
            }
        }
        Value::Array(items) if items.iter().all(|item| plain(item).is_some()) => {
            let items: Vec<String> = items.iter().filter_map(plain).collect();
            if !items.is_empty() {
                let said = format!("{}: {}.", capitalized(label), say::list(&items, "and"));
                facts.push(Fact::new(said.clone(), &topic(&said), ""));
            }
        }
        Value::Array(items) => items.iter().for_each(|item| profile_facts(label, item, facts)),
        single => {
            let Some(value) = plain(single) else { return };
            let said = if is_address {
                format!("We're at {}.", value.trim_end_matches('.'))
            } else if value.split(' ').count() >= SENTENCE {
                sentence(&value)
            } else {
                format!("{}: {}.", capitalized(label), value.trim_end_matches('.'))
            };
            facts.push(Fact::new(said.clone(), &topic(&said), if is_address { "where" } else { "" }));
        }
    }
}

/// Where a part of an address is said, from the door to the country.
fn place_in_address(name: &str) -> usize {
    const PARTS: [&[&str]; 6] = [
        &["line1", "street", "address", "address1"],
        &["line2", "suite", "unit", "floor", "address2"],
        &["city", "town", "locality"],
        &["state", "region", "province", "county"],
        &["zip", "postal", "postcode", "zipcode"],
        &["country"],
    ];
    let name = spaced(name);
    PARTS.iter().position(|names| name.split(' ').any(|word| names.contains(&word))).unwrap_or(PARTS.len())
}

/// A single value, as it is said.
fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => one_line(text),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn text(entry: &Map<String, Value>, key: &str) -> Option<String> {
    entry.get(key).and_then(plain)
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

/// `cancellationPolicy` and `cancellation_policy` as `cancellation policy`.
fn spaced(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 4);
    let mut before = ' ';
    for c in name.chars() {
        if c.is_uppercase() && before.is_lowercase() {
            words.push(' ');
        }
        words.extend(c.to_lowercase());
        before = c;
    }
    one_line(&words.replace(['_', '-'], " "))
}

fn capitalized(label: &str) -> String {
    let mut letters = label.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, time};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn clinic() -> Business {
        let offer = |name: &str, keywords: &[&str], price| Offer {
            name: name.to_owned(),
            keywords: keywords.iter().map(|word| (*word).to_owned()).collect(),
            price: Money::from_minor(price),
            currency: Currency::USD,
            minutes: 30,
        };
        let (open, saturday) =
            (vec![(time(9, 0, 0, 0), time(17, 0, 0, 0))], vec![(time(9, 30, 0, 0), time(12, 0, 0, 0))]);
        let week = [open.clone(), open.clone(), open.clone(), open.clone(), open, saturday, Vec::new()];
        let Value::Object(profile) = json!({
            "address": {"street": "1 Main Street", "city": "Austin"},
            "parking": "There is free parking behind the building.",
            "insurance": ["Aetna", "Cigna"],
            "cancellationPolicy": "24 hours' notice",
            "wheelchairAccess": true,
            "openingHours": "always",
            "faq": [{"question": "Do I need a referral?", "answer": "No referral is needed"}],
            "nothing": null,
        }) else {
            panic!("an object")
        };
        Business {
            offers: vec![
                offer("Botox", &["wrinkle", "injection"], 40_000),
                offer("Chemical peel", &[], 20_000),
            ],
            week,
            closed: vec![date(2026, 12, 25)],
            phone: Some("+15005550006".to_owned()),
            profile,
        }
    }

    #[test]
    fn questions_are_answered_from_what_the_organization_said() {
        let clinic = clinic();
        let check = |question: &str, expected: &[&str]| {
            assert_eq!(clinic.answer(question), expected, "{question}");
        };
        check("How much is Botox?", &["Botox costs 400 dollars and takes 30 minutes."]);
        check(
            "how long does a chemical peel take",
            &["Chemical peel costs 200 dollars and takes 30 minutes."],
        );
        check("do you treat wrinkles", &["Botox costs 400 dollars and takes 30 minutes."]);
        check("What services do you offer?", &["We offer Botox and Chemical peel."]);
        let hours = "We're open Monday to Friday from 9 AM to 5 PM, and Saturday from 9:30 AM to 12 PM, but closed on \
                     Friday, December 25.";
        check("What are your opening hours?", &[hours]);
        check("Are you open on Sundays?", &[hours]);
        check("When do you close?", &[hours]);
        check("Where are you located?", &["We're at 1 Main Street, Austin."]);
        check("Where are you?", &["We're at 1 Main Street, Austin."]);
        check("Is there parking?", &["There is free parking behind the building."]);
        check("Do you take Aetna insurance?", &["Insurance: Aetna and Cigna."]);
        check("do I need a referral from my doctor", &["No referral is needed."]);
        check("is there wheelchair access?", &["Wheelchair access: yes."]);
        check("What's your cancellation policy?", &["Cancellation policy: 24 hours' notice."]);
        check("What's your phone number?", &["Our phone number is +15005550006."]);
    }

    #[test]
    fn what_nobody_said_is_not_answered() {
        let clinic = clinic();
        for question in
            ["Do you do liver transplants?", "Who is the president?", "How much is it?", "", "???"]
        {
            assert_eq!(clinic.answer(question), Vec::<String>::new(), "{question}");
        }
        assert_eq!(Business::default().answer("Where are you?"), Vec::<String>::new());
        let never = Business::default().answer("are you open?");
        assert_eq!(never, ["We have no regular opening hours."]);
    }

    #[test]
    fn a_document_of_any_shape_is_read_without_being_believed_to_have_one() {
        let Value::Object(profile) = json!({
            "a": [[["deep"]]], "b": {"c": {"d": [1, true, {"e": "f\ng"}]}}, "": "x", "address": [],
        }) else {
            panic!("an object")
        };
        let odd = Business { profile, ..Business::default() };
        assert_eq!(odd.answer("what is deep"), ["A: deep."]);
        assert_eq!(odd.answer("e"), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn an_answer_is_always_few_facts_of_one_line(question in "\\PC{0,80}") {
            let said = clinic().answer(&question);
            prop_assert!(said.len() <= SAID);
            prop_assert!(said.iter().all(|fact| !fact.contains(['\n', '\r'])));
        }
    }
}
