//! Calls on the wire, written straight from the driver's row into the answer's bytes: no struct and no string per cell.

use jiff::fmt::temporal::DateTimePrinter;
use serde::Serialize;
use uuid::{Uuid, fmt::Hyphenated};
use voxanne_calls::{CallRow, CallSink};
use voxanne_kernel::{Money, Timestamp};

/// A call as the list shows it. Only the document is made from it, and a test that holds the writer to it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[cfg_attr(test, derive(serde::Deserialize), serde(deny_unknown_fields))]
pub(super) struct CallBody {
    id: Uuid,
    /// The provider's id; null of a call that it does not have yet.
    vapi_call_id: Option<String>,
    /// `inbound`, `outbound` or `web`.
    call_type: String,
    /// `pending`, `ringing`, `in_progress`, `completed`, `failed`, `no_answer` or `busy`.
    status: String,
    /// The other side's number.
    phone_number: Option<String>,
    contact_id: Option<Uuid>,
    contact_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    started_at: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<String>,
    duration_seconds: Option<i32>,
    /// `positive`, `neutral` or `negative`.
    sentiment_label: Option<String>,
    /// −1 to 1.
    sentiment_score: Option<f32>,
    /// `low`, `medium` or `high`.
    urgency: Option<String>,
    summary: Option<String>,
    /// Whether an appointment was made in it.
    booking_confirmed: bool,
    /// What the conversation is worth, in major units of the organization's currency.
    financial_value: Option<f64>,
    /// Whether it was recorded; `recording_status` says how far our copy is.
    has_recording: bool,
    /// `none`, `pending`, `processing`, `completed` or `failed`.
    recording_status: String,
    has_transcript: bool,
    transfer_to: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    transfer_time: Option<String>,
    transfer_reason: Option<String>,
    /// 0 to 100.
    lead_score: Option<i16>,
    /// In US dollars.
    cost: Option<f64>,
}

/// What a page begins with.
const PAGE: &[u8] = b"{\"data\":[";

/// Collects rows as a page, or one as an object that can be added to.
#[derive(Debug)]
pub(super) struct RowWriter {
    bytes: Vec<u8>,
}

impl CallSink for RowWriter {
    fn row(&mut self, row: &CallRow<'_>) {
        if self.bytes.last() == Some(&b'}') {
            self.bytes.push(b',');
        }
        object(&mut self.bytes, row);
    }
}

impl RowWriter {
    /// What a row takes as a rule.
    const ROW: usize = 900;

    /// For a page, with room for its rows, so that it is not copied while it grows.
    pub(super) fn for_page(rows: u16) -> Self {
        let mut bytes = Vec::with_capacity(usize::from(rows) * Self::ROW + 128);
        bytes.extend_from_slice(PAGE);
        Self { bytes }
    }

    /// For a single row.
    pub(super) fn for_one() -> Self {
        Self { bytes: Vec::with_capacity(Self::ROW) }
    }

    /// `{"data": […], "nextCursor": …}`, of a writer made for a page.
    pub(super) fn into_page(mut self, next_cursor: Option<&str>) -> Vec<u8> {
        self.bytes.extend_from_slice(b"],\"nextCursor\":");
        json(&mut self.bytes, &next_cursor);
        self.bytes.push(b'}');
        self.bytes
    }

    /// The row, with all members of `more`, of a writer made for one.
    pub(super) fn into_object<T: Serialize>(mut self, more: &T) -> Vec<u8> {
        let mut members = Vec::new();
        json(&mut members, more);
        self.bytes.pop();
        self.bytes.push(b',');
        self.bytes.extend_from_slice(members.get(1..).unwrap_or(b"}"));
        self.bytes
    }
}

fn object(out: &mut Vec<u8>, row: &CallRow<'_>) {
    key(out, "{\"id\":");
    id(out, row.id);
    key(out, ",\"vapi_call_id\":");
    json(out, &row.provider_id);
    key(out, ",\"call_type\":");
    json(out, row.direction);
    key(out, ",\"status\":");
    json(out, row.status);
    key(out, ",\"phone_number\":");
    json(out, &row.phone);
    key(out, ",\"contact_id\":");
    optional(out, row.contact_id, id);
    key(out, ",\"contact_name\":");
    json(out, &row.contact_name);
    key(out, ",\"started_at\":");
    time(out, row.started_at);
    key(out, ",\"ended_at\":");
    optional(out, row.ended_at, time);
    key(out, ",\"duration_seconds\":");
    json(out, &row.duration_seconds);
    key(out, ",\"sentiment_label\":");
    json(out, &row.sentiment_label);
    key(out, ",\"sentiment_score\":");
    json(out, &row.sentiment_score);
    key(out, ",\"urgency\":");
    json(out, &row.urgency);
    key(out, ",\"summary\":");
    json(out, &row.summary);
    key(out, ",\"booking_confirmed\":");
    json(out, &row.booked);
    key(out, ",\"financial_value\":");
    optional(out, row.value, |out, value| json(out, &value.to_major_number()));
    key(out, ",\"has_recording\":");
    json(out, &(row.recording_status != "none"));
    key(out, ",\"recording_status\":");
    json(out, row.recording_status);
    key(out, ",\"has_transcript\":");
    json(out, &row.has_transcript);
    key(out, ",\"transfer_to\":");
    json(out, &row.transfer_to);
    key(out, ",\"transfer_time\":");
    optional(out, row.transfer_time, time);
    key(out, ",\"transfer_reason\":");
    json(out, &row.transfer_reason);
    key(out, ",\"lead_score\":");
    json(out, &row.lead_score);
    key(out, ",\"cost\":");
    optional(out, row.cost_micros, micros);
    out.push(b'}');
}

fn key(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Writing to memory does not fail, and neither does a plain value.
fn json<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    let start = out.len();
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"null");
    }
}

fn optional<T>(out: &mut Vec<u8>, value: Option<T>, write: impl Fn(&mut Vec<u8>, T)) {
    match value {
        Some(value) => write(out, value),
        None => out.extend_from_slice(b"null"),
    }
}

fn id(out: &mut Vec<u8>, id: Uuid) {
    let mut text = [0; Hyphenated::LENGTH];
    out.push(b'"');
    out.extend_from_slice(id.as_hyphenated().encode_lower(&mut text).as_bytes());
    out.push(b'"');
}

fn time(out: &mut Vec<u8>, at: Timestamp) {
    const PRINTER: DateTimePrinter = DateTimePrinter::new();
    out.push(b'"');
    // Writing to memory does not fail.
    let _ = PRINTER.print_timestamp(&at, &mut *out);
    out.push(b'"');
}

/// Millionths as an exact decimal.
fn micros(out: &mut Vec<u8>, micros: i64) {
    let (whole, mut part) = (micros / 1_000_000, (micros % 1_000_000).unsigned_abs());
    if micros < 0 && whole == 0 {
        out.push(b'-');
    }
    json(out, &whole);
    if part == 0 {
        return;
    }
    out.push(b'.');
    let mut place = 100_000;
    while part > 0 {
        // One digit at a time, from the left, until only zeros are left.
        json(out, &(part / place));
        (part, place) = (part % place, place / 10);
    }
}

/// An amount in major units.
pub(super) fn major(amount: Money) -> serde_json::Number {
    amount.to_major_number()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> CallRow<'static> {
        CallRow {
            id: Uuid::from_u128(7),
            provider_id: Some("019c\"\n\u{1f}é"),
            direction: "inbound",
            status: "completed",
            phone: Some("+15005550009"),
            contact_id: Some(Uuid::from_u128(8)),
            contact_name: Some("Ann \\ Smith"),
            started_at: "2026-01-25T10:00:02.1Z".parse().unwrap(),
            ended_at: Some("2026-01-25T10:01:37.4Z".parse().unwrap()),
            duration_seconds: Some(95),
            sentiment_label: Some("positive"),
            sentiment_score: Some(0.35),
            urgency: Some("high"),
            summary: Some("…"),
            booked: true,
            value: Some(Money::from_minor(40_050)),
            recording_status: "pending",
            has_transcript: true,
            transfer_to: Some("+15005550010"),
            transfer_time: Some("2026-01-25T10:01:00Z".parse().unwrap()),
            transfer_reason: Some("asked"),
            lead_score: Some(90),
            cost_micros: Some(142_000),
        }
    }

    fn empty() -> CallRow<'static> {
        CallRow {
            phone: None,
            contact_id: None,
            contact_name: None,
            ended_at: None,
            duration_seconds: None,
            sentiment_label: None,
            sentiment_score: None,
            urgency: None,
            summary: None,
            value: None,
            transfer_to: None,
            transfer_time: None,
            transfer_reason: None,
            lead_score: None,
            cost_micros: None,
            ..full()
        }
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct PageOfCalls {
        data: Vec<CallBody>,
        next_cursor: Option<String>,
    }

    #[test]
    fn what_is_written_is_what_the_document_says() {
        let mut writer = RowWriter::for_page(2);
        for row in [full(), empty()] {
            writer.row(&row);
        }
        let page: PageOfCalls = serde_json::from_slice(&writer.into_page(Some("c"))).unwrap();
        assert_eq!(page.next_cursor.as_deref(), Some("c"));
        let [full, empty] = &page.data[..] else { panic!("two rows") };
        assert_eq!(full.vapi_call_id.as_deref(), Some("019c\"\n\u{1f}é"));
        assert_eq!(
            (full.financial_value, full.cost, full.sentiment_score),
            (Some(400.5), Some(0.142), Some(0.35))
        );
        assert_eq!(full.started_at, "2026-01-25T10:00:02.1Z");
        assert_eq!((empty.financial_value, empty.contact_id, empty.lead_score), (None, None, None));
    }

    #[test]
    fn one_call_can_be_added_to_and_no_call_is_an_empty_list() {
        let mut writer = RowWriter::for_one();
        writer.row(&full());
        let object: serde_json::Value =
            serde_json::from_slice(&writer.into_object(&serde_json::json!({"events": [1]}))).unwrap();
        assert_eq!((object["events"][0].as_i64(), object["status"].as_str()), (Some(1), Some("completed")));
        assert_eq!(RowWriter::for_page(50).into_page(None), b"{\"data\":[],\"nextCursor\":null}");
    }

    #[test]
    fn millionths_are_written_exactly() {
        for (value, text) in [
            (0, "0"),
            (142_000, "0.142"),
            (1, "0.000001"),
            (-5, "-0.000005"),
            (3_000_000, "3"),
            (-1_000_500, "-1.0005"),
        ] {
            let mut out = Vec::new();
            micros(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
