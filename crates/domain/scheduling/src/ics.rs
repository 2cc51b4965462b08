//! An appointment as an iCalendar file (RFC 5545), for download and for confirmation e-mails.

use jiff::Timestamp;

use crate::appointment::{AppointmentDetails, AppointmentStatus};

/// Renders `it` as a calendar with one event. `organization` is whom the appointment is with.
///
/// The event's uid is the appointment's id, so a later file replaces an earlier one instead of adding an event.
pub fn render(it: &AppointmentDetails, organization: &str) -> String {
    let appointment = &it.appointment;
    let status = match appointment.status {
        AppointmentStatus::PendingApproval => "TENTATIVE",
        AppointmentStatus::Cancelled => "CANCELLED",
        _ => "CONFIRMED",
    };
    let summary = match &it.service_name {
        Some(service) => format!("{service} – {organization}"),
        None => format!("Appointment – {organization}"),
    };
    // Seconds since the appointment was made grow with every change, which is all that a sequence has to do.
    let changed = i64::from(it.updated_at > it.created_at);
    let sequence = it.updated_at.duration_since(it.created_at).as_secs().max(0) + changed;
    let lines = [
        "BEGIN:VCALENDAR".to_owned(),
        "VERSION:2.0".to_owned(),
        "PRODID:-//Voxanne//Appointments//EN".to_owned(),
        "CALSCALE:GREGORIAN".to_owned(),
        "METHOD:PUBLISH".to_owned(),
        "BEGIN:VEVENT".to_owned(),
        format!("UID:{}@voxanne", appointment.id),
        format!("SEQUENCE:{sequence}"),
        format!("DTSTAMP:{}", utc(it.updated_at)),
        format!("DTSTART:{}", utc(appointment.slot.starts)),
        format!("DTEND:{}", utc(appointment.slot.ends)),
        format!("SUMMARY:{}", escaped(&summary)),
        format!("STATUS:{status}"),
        "END:VEVENT".to_owned(),
        "END:VCALENDAR".to_owned(),
    ];
    lines.iter().map(|line| folded(line)).collect()
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// Breaks a line after 75 octets, never inside a character.
fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut octets = 0;
    for c in line.chars() {
        if octets + c.len_utf8() > 75 {
            out.push_str("\r\n ");
            octets = 1;
        }
        out.push(c);
        octets += c.len_utf8();
    }
    out.push_str("\r\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_at_75_octets_and_unfold_to_themselves() {
        let line = format!("SUMMARY:{}", "é".repeat(100));
        let file = folded(&line);
        assert!(file.split("\r\n").all(|part| part.len() <= 75));
        assert_eq!(file.replace("\r\n ", "").trim_end(), line);
    }

    #[test]
    fn text_cannot_break_out_of_its_line() {
        assert_eq!(escaped("a,b;c\\d\r\nEND:VEVENT"), "a\\,b\\;c\\\\d\\nEND:VEVENT");
    }
}
