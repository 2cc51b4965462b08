//! Answers as one line that sounds natural when it is spoken. Times are in the zone they carry.

use jiff::{
    Zoned,
    civil::{Date, Time, Weekday},
};
use voxanne_kernel::{Currency, Money, text::one_line};

use crate::{
    args::Lacking,
    desk::{Declined, Openings, Price, Refusal, Transferred, Visit},
};

/// How many times are read out before a listener loses track.
const READ_OUT: usize = 6;

/// `Tuesday, December 1`.
pub fn day(at: Date) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let weekday = weekday(at.weekday());
    let month = usize::try_from(at.month() - 1).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
    format!("{weekday}, {month} {}", at.day())
}

/// `Monday`.
pub fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// `2 PM`, `9:30 AM`.
pub fn time(at: &Zoned) -> String {
    clock(at.time())
}

/// The same of a time of day.
pub fn clock(at: Time) -> String {
    let (hour, minute) = (at.hour(), at.minute());
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = match hour % 12 {
        0 => 12,
        other => other,
    };
    if minute == 0 { format!("{hour} {half}") } else { format!("{hour}:{minute:02} {half}") }
}

/// `Tuesday, December 1 at 2 PM`.
pub fn moment(at: &Zoned) -> String {
    format!("{} at {}", day(at.date()), time(at))
}

/// Several times, grouped by day: `Tuesday, December 1 at 1:30 PM or 3 PM, or Wednesday, December 2 at 9 AM`.
pub fn moments(times: &[Zoned]) -> String {
    let mut days: Vec<(String, Vec<String>)> = Vec::new();
    for at in times.iter().take(READ_OUT) {
        let today = day(at.date());
        match days.last_mut() {
            Some((last, times)) if *last == today => times.push(time(at)),
            _ => days.push((today, vec![time(at)])),
        }
    }
    let days: Vec<String> =
        days.into_iter().map(|(day, times)| format!("{day} at {}", list(&times, "or"))).collect();
    match days.as_slice() {
        [] | [_] => days.concat(),
        [rest @ .., last] => format!("{}, or {last}", rest.join(", ")),
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn list<S: AsRef<str>>(items: &[S], joined_by: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.as_ref().to_owned(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} {joined_by} {}", rest.join(", "), last.as_ref())
        }
    }
}

/// `400 dollars`, `129 dollars and 50 cents`, `80 CHF`.
pub fn money(amount: Money, currency: Currency) -> String {
    let (whole, cents) = (amount.minor() / 100, (amount.minor() % 100).abs());
    let unit = match (currency.as_str(), whole) {
        ("USD" | "CAD" | "AUD" | "NZD", 1) => "dollar",
        ("USD" | "CAD" | "AUD" | "NZD", _) => "dollars",
        ("EUR", 1) => "euro",
        ("EUR", _) => "euros",
        ("GBP", 1) => "pound",
        ("GBP", _) => "pounds",
        _ if cents == 0 => return format!("{whole} {currency}"),
        _ => return format!("{whole}.{cents:02} {currency}"),
    };
    match (cents, currency.as_str()) {
        (0, _) => format!("{whole} {unit}"),
        (1, "GBP") => format!("{whole} {unit} and 1 penny"),
        (_, "GBP") => format!("{whole} {unit} and {cents} pence"),
        (1, _) => format!("{whole} {unit} and 1 cent"),
        _ => format!("{whole} {unit} and {cents} cents"),
    }
}

/// A new appointment.
pub fn booked(visit: &Visit) -> String {
    let when = moment(&visit.at);
    let mut said = match (visit.awaits_approval, &visit.service) {
        (false, Some(service)) => format!("You're booked for {service} on {when}."),
        (false, None) => format!("You're booked for {when}."),
        (true, Some(service)) => {
            format!("I've requested {service} on {when}. The clinic will confirm it with you.")
        }
        (true, None) => format!("I've requested {when}. The clinic will confirm it with you."),
    };
    said.push_str(clock_note(visit));
    one_line(&said)
}

/// A moved appointment.
pub fn moved(visit: &Visit) -> String {
    let when = moment(&visit.at);
    let note = clock_note(visit);
    one_line(&match &visit.service {
        Some(service) => format!("Your {service} appointment is now on {when}.{note}"),
        None => format!("Your appointment is now on {when}.{note}"),
    })
}

/// A cancelled appointment.
pub fn cancelled(visit: &Visit) -> String {
    let when = moment(&visit.at);
    one_line(&match &visit.service {
        Some(service) => format!("Your {service} appointment on {when} is cancelled."),
        None => format!("Your appointment on {when} is cancelled."),
    })
}

fn clock_note(visit: &Visit) -> &'static str {
    if visit.first_of_two {
        " The clocks go back that night, so that time comes twice: it is the first of the two."
    } else {
        ""
    }
}

/// What is free.
pub fn openings(openings: &Openings) -> String {
    let Some(first) = openings.times.first() else {
        return "I don't see an opening that day. Would another day work?".to_owned();
    };
    let read_out: Vec<String> = openings.times.iter().take(READ_OUT).map(time).collect();
    let more = openings.times.len().saturating_sub(READ_OUT);
    let tail = match (more, openings.times.last()) {
        (1.., Some(last)) => format!(", and {more} more until {}", time(last)),
        _ => String::new(),
    };
    one_line(&format!(
        "On {} we have {}{tail}. Which time suits you?",
        day(first.date()),
        list(&read_out, "or")
    ))
}

/// Somebody's appointments; where there are several, each with its id for the model to tell them apart.
pub fn appointments(visits: &[Visit]) -> String {
    if visits.is_empty() {
        return "I don't see any upcoming appointments under that number.".to_owned();
    }
    let several = visits.len() > 1;
    let described = |visit: &Visit| {
        let service = visit.service.as_deref().unwrap_or("an appointment");
        let pending = if visit.awaits_approval { ", not confirmed yet" } else { "" };
        let id = if several { format!(" (appointment id {})", visit.id) } else { String::new() };
        format!("{service} on {}{pending}{id}", moment(&visit.at))
    };
    let each: Vec<String> = visits.iter().take(READ_OUT).map(described).collect();
    one_line(&format!("I see {}.", list(&each, "and")))
}

/// A price.
pub fn price(price: &Price) -> String {
    one_line(&format!("{} costs {}.", price.service, money(price.amount, price.currency)))
}

/// What the clinic has said that answers a question, or that it has not.
pub fn known(facts: &[String]) -> String {
    if facts.is_empty() {
        return "I don't have that information. Would you like somebody to call you back about it?"
            .to_owned();
    }
    one_line(&facts.join(" "))
}

/// A call that is being put through.
pub fn transferred(to: &Transferred) -> String {
    one_line(&match &to.department {
        Some(department) => format!("I'm putting you through to {department} now."),
        None => "I'm putting you through to somebody now.".to_owned(),
    })
}

/// A question for what is missing; `purpose` completes "to …".
pub fn lacking(lacking: &Lacking, purpose: &str) -> String {
    match lacking {
        Lacking::Missing(what) => {
            let question = if what.len() == 1 { "What is it?" } else { "What are they?" };
            format!("I still need {} to {purpose}. {question}", list(what, "and"))
        }
        Lacking::Phone => {
            "I didn't get that phone number. Could you say it again, with the country code?".to_owned()
        }
        Lacking::Email => "I didn't get that e-mail address. Could you spell it for me?".to_owned(),
    }
}

/// A "no", with what is possible instead.
pub fn declined(declined: &Declined) -> String {
    let why = match &declined.why {
        Refusal::SlotTaken => "I'm sorry, that time is already taken.".to_owned(),
        Refusal::OutsideHours => "I'm sorry, we're closed at that time.".to_owned(),
        Refusal::ClosedThatDay(date) => format!("I'm sorry, we're closed on {}.", day(*date)),
        Refusal::FullyBooked => "I'm sorry, there is nothing free then.".to_owned(),
        Refusal::InThePast => "I'm sorry, that time has already passed.".to_owned(),
        Refusal::TooSoon => "I'm sorry, that is too soon for us to arrange.".to_owned(),
        Refusal::TooFarAhead(last) => {
            format!("I'm sorry, we only take bookings up to {}.", day(*last))
        }
        Refusal::SkippedByClocks { next } => {
            format!(
                "The clocks go forward then, so that time doesn't exist. The next one is {}.",
                moment(next)
            )
        }
        Refusal::UnknownService { offered } => return unknown_service(offered),
        Refusal::DateMissing => "What day would you like?".to_owned(),
        Refusal::TimeMissing => "What time would you like?".to_owned(),
        Refusal::DateUnclear => "I didn't understand the day. Could you say the date again?".to_owned(),
        Refusal::TimeUnclear => {
            "I didn't understand the time. Could you say it again, such as 2 PM?".to_owned()
        }
        Refusal::PhoneNeeded => {
            "I can't see the number you're calling from. What is your phone number, with the country code?"
                .to_owned()
        }
        Refusal::NoAppointment => "I don't see an appointment like that. What day was it on?".to_owned(),
        Refusal::WhichOne(times) => {
            return one_line(&format!("Which appointment do you mean, the one on {}?", moments(times)));
        }
        Refusal::NotChangeable => {
            "That appointment can no longer be changed. Shall I book a new one?".to_owned()
        }
        Refusal::AskedDifferently => "I've already answered that request. Please ask again.".to_owned(),
        Refusal::NobodyToTransferTo => {
            "I'm sorry, nobody can be reached right now. May I take a message, so that somebody calls you back?"
                .to_owned()
        }
        Refusal::TransferFailed => {
            "I'm sorry, I can't put you through right now. May I take a message, so that somebody calls you back?"
                .to_owned()
        }
        Refusal::LineUnavailable => return line_unavailable(),
    };
    let offers = matches!(
        declined.why,
        Refusal::SlotTaken
            | Refusal::OutsideHours
            | Refusal::ClosedThatDay(_)
            | Refusal::FullyBooked
            | Refusal::InThePast
            | Refusal::TooSoon
            | Refusal::TooFarAhead(_)
    );
    one_line(&match (declined.alternatives.as_slice(), offers) {
        ([], true) => format!("{why} Would another day or time work?"),
        ([], false) => why,
        (times, _) => format!("{why} The closest openings are {}. Which would you like?", moments(times)),
    })
}

fn unknown_service(offered: &[String]) -> String {
    if offered.is_empty() {
        return "I'm sorry, I don't know that service.".to_owned();
    }
    one_line(&format!(
        "I'm sorry, we don't offer that. We offer {}. Which would you like?",
        list(offered, "and")
    ))
}

/// The organization is suspended.
pub fn line_unavailable() -> String {
    "I'm sorry, this line is not available right now. Please try again later.".to_owned()
}

/// Our own failure; nothing was promised.
pub fn trouble() -> String {
    "I'm sorry, I can't reach our booking system right now. Please try again in a moment.".to_owned()
}

/// A tool that does not exist.
pub fn unknown_tool(name: &str) -> String {
    one_line(&format!("There is no tool called {name}."))
}

#[cfg(test)]
mod tests {
    use voxanne_kernel::ids::AppointmentId;

    use super::*;

    fn at(text: &str) -> Zoned {
        text.parse().unwrap()
    }

    fn visit(service: Option<&str>, when: &str) -> Visit {
        let id = AppointmentId("0190a000-0000-7000-8000-000000000001".parse().unwrap());
        let service = service.map(ToOwned::to_owned);
        Visit { id, service, at: at(when), awaits_approval: false, first_of_two: false }
    }

    const TWO_PM: &str = "2026-12-01T14:00[America/New_York]";

    #[test]
    fn a_booking_is_confirmed_in_the_organizations_zone() {
        assert_eq!(
            booked(&visit(Some("Consultation"), TWO_PM)),
            "You're booked for Consultation on Tuesday, December 1 at 2 PM."
        );
        assert_eq!(booked(&visit(None, TWO_PM)), "You're booked for Tuesday, December 1 at 2 PM.");
        let twice = Visit { first_of_two: true, ..visit(None, "2026-10-25T02:30+02:00[Europe/Paris]") };
        assert_eq!(
            booked(&twice),
            "You're booked for Sunday, October 25 at 2:30 AM. The clocks go back that night, so that time comes twice: \
             it is the first of the two."
        );
        let pending = Visit { awaits_approval: true, ..visit(Some("Botox"), TWO_PM) };
        assert!(booked(&pending).starts_with("I've requested Botox on Tuesday, December 1 at 2 PM."));
        assert!(!booked(&pending).contains("booked"));
    }

    #[test]
    fn times_are_spoken_as_people_say_them() {
        let check = |when: &str, expected: &str| {
            assert_eq!(time(&at(&format!("2026-12-01T{when}[UTC]"))), expected);
        };
        check("00:00", "12 AM");
        check("00:05", "12:05 AM");
        check("09:30", "9:30 AM");
        check("12:00", "12 PM");
        check("14:00", "2 PM");
        check("23:59", "11:59 PM");
    }

    #[test]
    fn alternatives_are_grouped_by_day() {
        let times = [at("2026-12-01T13:30[UTC]"), at("2026-12-01T15:00[UTC]"), at("2026-12-02T09:00[UTC]")];
        assert_eq!(
            declined(&Declined { why: Refusal::SlotTaken, alternatives: times.to_vec() }),
            "I'm sorry, that time is already taken. The closest openings are Tuesday, December 1 at 1:30 PM or 3 PM, or \
             Wednesday, December 2 at 9 AM. Which would you like?"
        );
        assert_eq!(
            declined(&Declined { why: Refusal::ClosedThatDay(times[0].date()), alternatives: vec![] }),
            "I'm sorry, we're closed on Tuesday, December 1. Would another day or time work?"
        );
    }

    #[test]
    fn a_long_day_is_summarized() {
        let times: Vec<Zoned> = (9..17).map(|hour| at(&format!("2026-12-01T{hour:02}:00[UTC]"))).collect();
        assert_eq!(
            openings(&Openings { times }),
            "On Tuesday, December 1 we have 9 AM, 10 AM, 11 AM, 12 PM, 1 PM or 2 PM, and 2 more until 4 PM. Which time \
             suits you?"
        );
    }

    #[test]
    fn money_is_spoken() {
        let check = |minor, currency: &str, expected: &str| {
            assert_eq!(money(Money::from_minor(minor), currency.parse().unwrap()), expected);
        };
        check(40_000, "USD", "400 dollars");
        check(100, "USD", "1 dollar");
        check(12_950, "USD", "129 dollars and 50 cents");
        check(12_901, "GBP", "129 pounds and 1 penny");
        check(8_000, "EUR", "80 euros");
        check(8_050, "CHF", "80.50 CHF");
    }

    #[test]
    fn what_is_missing_is_asked_for_in_one_sentence() {
        let missing = |what: &[&'static str]| lacking(&Lacking::Missing(what.to_vec()), "book this");
        assert_eq!(missing(&["the date"]), "I still need the date to book this. What is it?");
        assert_eq!(
            missing(&["the date", "the time", "the patient's name"]),
            "I still need the date, the time and the patient's name to book this. What are they?"
        );
    }

    #[test]
    fn what_is_not_known_is_not_made_up() {
        assert!(known(&[]).starts_with("I don't have that information."));
        assert_eq!(
            known(&["We\nopen at 9.".to_owned(), "Park here.".to_owned()]),
            "We open at 9. Park here."
        );
    }

    #[test]
    fn nobody_to_speak_to_is_an_offer_to_take_a_message() {
        for why in [Refusal::NobodyToTransferTo, Refusal::TransferFailed] {
            assert!(declined(&Declined { why, alternatives: vec![] }).contains("May I take a message"));
        }
        let billing = Transferred { department: Some("Billing".into()) };
        assert_eq!(transferred(&billing), "I'm putting you through to Billing now.");
    }

    #[test]
    fn every_answer_is_one_line_even_when_a_service_is_not() {
        let odd = Visit { service: Some("Bo\r\ntox\u{2028}".into()), ..visit(None, TWO_PM) };
        for said in [booked(&odd), moved(&odd), cancelled(&odd), appointments(&[odd]), unknown_tool("a\nb")] {
            assert!(!said.contains(['\n', '\r', '\u{2028}']), "{said:?}");
        }
    }
}
