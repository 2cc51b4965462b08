//! What reminders say. No answer is asked for that a carrier would take for an opt-out (`providers/twilio.md` §11).

use jiff::Timestamp;
use voxanne_kernel::{EmailAddress, Zone};

use super::{
    Method,
    ports::{Host, Words},
};
use crate::{appointment::AppointmentDetails, ics};

/// The longest name that a text message spells out.
const LONGEST_NAME: usize = 40;

/// The words for `it`; `None` when there is nowhere to send them to.
pub(super) fn words(host: &Host, it: &AppointmentDetails, method: Method) -> Option<Words> {
    match method {
        Method::Sms => Some(Words::Sms { to: it.phone.clone(), body: sms(host, it) }),
        Method::Email => it.email.clone().map(|to| email(host, it, to)),
    }
}

fn sms(host: &Host, it: &AppointmentDetails) -> String {
    let when = spoken(&host.zone, it.appointment.slot.starts);
    format!("Reminder from {}: your appointment{} is on {when}.", short(&host.name), purpose(it))
}

fn email(host: &Host, it: &AppointmentDetails, to: EmailAddress) -> Words {
    let when = spoken(&host.zone, it.appointment.slot.starts);
    let hello = match &it.contact_name {
        Some(name) => format!("Hello {name},"),
        None => "Hello,".to_owned(),
    };
    let body = format!("this is a reminder of your appointment{} with {} on {when}.", purpose(it), host.name);
    let zone = format!("The time is that of {}. A calendar file is attached.", host.zone.name());
    let paragraphs = [&hello, &body, &zone];
    let html = paragraphs.map(|text| format!("<p>{}</p>\n", escaped(text))).concat();
    Words::Email {
        to,
        subject: one_line(&format!("Your appointment on {when}")),
        text: paragraphs.map(String::as_str).join("\n\n"),
        html,
        calendar: ics::render(it, &host.name),
    }
}

fn purpose(it: &AppointmentDetails) -> String {
    it.service_name.as_ref().map(|service| format!(" for {}", short(service))).unwrap_or_default()
}

/// `Tuesday, November 24 at 2:00 PM`.
fn spoken(zone: &Zone, at: Timestamp) -> String {
    zone.local(at).strftime("%A, %B %-d at %-I:%M %p").to_string()
}

fn short(name: &str) -> String {
    one_line(&name.chars().take(LONGEST_NAME).collect::<String>())
}

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
