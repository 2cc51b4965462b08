//! From loose arguments to what the desk is asked, or to what is still missing.

use voxanne_kernel::{E164, EmailAddress};

use crate::{
    call::Arguments,
    desk::{AvailabilityAsk, BookingAsk, CancelAsk, LookupAsk, PartOfDay, RescheduleAsk, TransferAsk},
};

/// What the caller has to be asked before a tool can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lacking {
    /// Arguments that were not given, as a person names them: `the date`.
    Missing(Vec<&'static str>),
    /// A phone number that is none.
    Phone,
    /// An e-mail address that is none.
    Email,
}

/// Reads required arguments and remembers which were missing.
struct Reader<'a> {
    arguments: &'a Arguments,
    missing: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    fn of(arguments: &'a Arguments) -> Self {
        Self { arguments, missing: Vec::new() }
    }

    fn need(&mut self, key: &str, called: &'static str) -> String {
        self.arguments.text(key).unwrap_or_else(|| {
            self.missing.push(called);
            String::new()
        })
    }

    /// A day and a time. The day may hold the time ("tomorrow 2pm"), which only whoever keeps the calendar can tell: so a
    /// time alone is not missed here.
    fn moment(&mut self, date: (&str, &'static str), time: (&str, &'static str)) -> (String, String) {
        match self.arguments.text(date.0) {
            Some(day) => (day, self.arguments.text(time.0).unwrap_or_default()),
            None => (self.need(date.0, date.1), self.need(time.0, time.1)),
        }
    }

    fn finish<T>(self, ask: T) -> Result<T, Lacking> {
        if self.missing.is_empty() { Ok(ask) } else { Err(Lacking::Missing(self.missing)) }
    }
}

/// Reads `bookClinicAppointment {date, time, service?, patientName, patientPhone?, patientEmail?, notes?}`.
///
/// # Errors
/// [`Lacking`] names everything that is missing at once, so that the caller is asked once.
pub fn booking(arguments: &Arguments, caller: Option<&E164>) -> Result<BookingAsk, Lacking> {
    let mut read = Reader::of(arguments);
    let (date, time) = read.moment(("date", "the date"), ("time", "the time"));
    let patient_name = read.need("patientName", "the patient's name");
    let ask = BookingAsk {
        date,
        time,
        patient_name,
        service: arguments.text("service"),
        patient_phone: None,
        patient_email: None,
        notes: arguments.text("notes"),
    };
    let mut ask = read.finish(ask)?;
    ask.patient_phone = phone(arguments, caller)?;
    ask.patient_email = match arguments.text("patientEmail") {
        Some(text) => Some(EmailAddress::new(&text.replace(' ', "")).map_err(|_| Lacking::Email)?),
        None => None,
    };
    Ok(ask)
}

/// Reads `checkAvailability {date, service?, timeOfDay?}`.
///
/// # Errors
/// [`Lacking`] without a date.
pub fn availability(arguments: &Arguments) -> Result<AvailabilityAsk, Lacking> {
    let mut read = Reader::of(arguments);
    let date = read.need("date", "the date");
    let part_of_day = arguments.text("timeOfDay").as_deref().and_then(PartOfDay::heard_in);
    read.finish(AvailabilityAsk { date, service: arguments.text("service"), part_of_day })
}

/// Reads `rescheduleAppointment {appointmentId?, currentDate?, newDate, newTime}`.
///
/// # Errors
/// [`Lacking`] without the new date or time.
pub fn reschedule(arguments: &Arguments, caller: Option<&E164>) -> Result<RescheduleAsk, Lacking> {
    let mut read = Reader::of(arguments);
    let (new_date, new_time) = read.moment(("newDate", "the new date"), ("newTime", "the new time"));
    read.finish(RescheduleAsk {
        appointment: arguments.text("appointmentId").and_then(|id| id.parse().ok()),
        current_date: arguments.text("currentDate"),
        phone: caller.cloned(),
        new_date,
        new_time,
    })
}

/// Reads `cancelAppointment {appointmentId?, date?, reason?}`.
pub fn cancel(arguments: &Arguments, caller: Option<&E164>) -> CancelAsk {
    CancelAsk {
        appointment: arguments.text("appointmentId").and_then(|id| id.parse().ok()),
        date: arguments.text("date"),
        phone: caller.cloned(),
        reason: arguments.text("reason"),
    }
}

/// Reads `lookupAppointments {patientPhone?}`.
///
/// # Errors
/// [`Lacking`] when neither a number was given nor the caller's is known.
pub fn lookup(arguments: &Arguments, caller: Option<&E164>) -> Result<LookupAsk, Lacking> {
    let phone =
        phone(arguments, caller)?.ok_or_else(|| Lacking::Missing(vec!["the patient's phone number"]))?;
    Ok(LookupAsk { phone })
}

/// Reads `getServicePrice {service}`.
///
/// # Errors
/// [`Lacking`] without a service.
pub fn price(arguments: &Arguments) -> Result<String, Lacking> {
    let mut read = Reader::of(arguments);
    let service = read.need("service", "the service");
    read.finish(service)
}

/// Reads `queryKnowledgeBase {question}`.
///
/// # Errors
/// [`Lacking`] without a question.
pub fn question(arguments: &Arguments) -> Result<String, Lacking> {
    let mut read = Reader::of(arguments);
    let question = read.need("question", "the question");
    read.finish(question)
}

/// Reads `transferCall {reason?, department?}` for the call that takes commands at `control`. Nothing else that the
/// model wrote is looked at: above all no number.
pub fn transfer(arguments: &Arguments, control: Option<&str>) -> TransferAsk {
    TransferAsk {
        department: arguments.text("department"),
        reason: arguments.text("reason"),
        control: control.map(ToOwned::to_owned),
    }
}

fn phone(arguments: &Arguments, caller: Option<&E164>) -> Result<Option<E164>, Lacking> {
    match arguments.text("patientPhone") {
        Some(text) => spoken_phone(&text, caller).map(Some).ok_or(Lacking::Phone),
        None => Ok(caller.cloned()),
    }
}

/// Reads a number as people write it. Without a country code it is taken for a neighbour of the caller's only where
/// that is certain: ten digits beside a North American number.
fn spoken_phone(text: &str, caller: Option<&E164>) -> Option<E164> {
    let kept: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    let unusual = text.chars().any(|c| !(c.is_ascii_digit() || c.is_whitespace() || "+-.()/".contains(c)));
    if unusual {
        return None;
    }
    let near_america = caller.is_some_and(|number| number.as_str().starts_with("+1"));
    let number = match kept.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None if near_america && kept.len() == 10 && !kept.starts_with('+') => format!("+1{kept}"),
        None if kept.len() == 11 && kept.starts_with('1') => format!("+{kept}"),
        None => kept,
    };
    E164::new(&number).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn arguments(value: Value) -> Arguments {
        let Value::Object(object) = value else { panic!("an object") };
        Arguments::new(object)
    }

    #[test]
    fn everything_missing_is_asked_for_at_once() {
        let lacking = booking(&arguments(json!({"time": "2pm", "patientName": null})), None).unwrap_err();
        assert_eq!(lacking, Lacking::Missing(vec!["the date", "the patient's name"]));
        assert_eq!(price(&arguments(json!({}))).unwrap_err(), Lacking::Missing(vec!["the service"]));
    }

    #[test]
    fn a_day_may_hold_the_time() {
        let ask = booking(&arguments(json!({"date": "tomorrow 2pm", "patientName": "c"})), None).unwrap();
        assert_eq!((ask.date.as_str(), ask.time.as_str()), ("tomorrow 2pm", ""));
        let lacking = booking(&arguments(json!({"patientName": "c"})), None).unwrap_err();
        assert_eq!(lacking, Lacking::Missing(vec!["the date", "the time"]));
    }

    #[test]
    fn a_missing_phone_is_the_callers() {
        let caller = E164::new("+15005550009").unwrap();
        let ask =
            booking(&arguments(json!({"date":"a","time":"b","patientName":"c"})), Some(&caller)).unwrap();
        assert_eq!(ask.patient_phone, Some(caller));
    }

    #[test]
    fn an_organization_in_the_arguments_reaches_nobody() {
        let given =
            arguments(json!({"date":"a","time":"b","patientName":"c","orgId":"other","organization":"x"}));
        let plain = arguments(json!({"date":"a","time":"b","patientName":"c"}));
        assert_eq!(booking(&given, None), booking(&plain, None));
    }

    #[test]
    fn a_number_that_the_model_wrote_is_no_destination() {
        let given = arguments(json!({"department": "billing", "number": "+15005550009", "destination": "x"}));
        let plain = arguments(json!({"department": "billing"}));
        assert_eq!(transfer(&given, Some("https://c")), transfer(&plain, Some("https://c")));
    }

    #[test]
    fn phone_numbers_are_read_as_people_write_them() {
        let check = |text: &str, caller: Option<&str>, expected: Option<&str>| {
            let caller = caller.map(|number| E164::new(number).unwrap());
            let read = spoken_phone(text, caller.as_ref());
            assert_eq!(read.as_ref().map(E164::as_str), expected, "{text}");
        };
        check("+1 (500) 555-0009", None, Some("+15005550009"));
        check("0033 1 42 68 53 00", None, Some("+33142685300"));
        check("500.555.0009", Some("+15005550001"), Some("+15005550009"));
        check("500.555.0009", Some("+33142685300"), None);
        check("500.555.0009", None, None);
        check("1 500 555 0009", None, Some("+15005550009"));
        check("five five five", None, None);
        check("12", None, None);
    }

    #[test]
    fn a_bad_contact_detail_is_asked_for_again() {
        let with =
            |key: &str, value: &str| arguments(json!({"date":"a","time":"b","patientName":"c", key: value}));
        assert_eq!(booking(&with("patientPhone", "call me"), None).unwrap_err(), Lacking::Phone);
        assert_eq!(booking(&with("patientEmail", "ann at home"), None).unwrap_err(), Lacking::Email);
        let spaced = booking(&with("patientEmail", "ann @ example.com"), None).unwrap();
        assert_eq!(spaced.patient_email.unwrap().as_str(), "ann@example.com");
    }
}
