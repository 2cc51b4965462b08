//! Messages as the voice provider sends them, in the size it sends them.

use std::io::Write as _;

use uuid::Uuid;
use voxanne_kernel::{Clock, SystemClock};

use crate::{
    token,
    world::{Clinic, Kind, id},
};
use secrecy::ExposeSecret as _;

/// The conversation so far, which comes with every tool call.
const CONVERSATION: &str = r#"{"messages":[{"role":"system","message":"You answer the phone of a clinic: be brief, be kind, and never guess. When somebody wants an appointment, ask for the day, the time and the service, check what is free, and book.","time":1795000000000,"secondsFromStart":0},{"role":"bot","message":"Hello, this is the front desk. How can I help you today?","time":1795000001200,"endTime":1795000004100,"secondsFromStart":1.2,"duration":2900},{"role":"user","message":"Hi, I would like to come in for Botox, and I have been to you before.","time":1795000005600,"endTime":1795000009400,"secondsFromStart":5.6,"duration":3800},{"role":"bot","message":"Lovely, welcome back. Which day would suit you, and do you prefer the morning or the afternoon?","time":1795000010900,"endTime":1795000015800,"secondsFromStart":10.9,"duration":4900},{"role":"user","message":"Any day really, as long as it is at the time that I told you before.","time":1795000017300,"endTime":1795000021000,"secondsFromStart":17.3,"duration":3700}],"messagesOpenAIFormatted":[{"role":"assistant","content":"Hello, this is the front desk. How can I help you today?"},{"role":"user","content":"Hi, I would like to come in for Botox, and I have been to you before."},{"role":"assistant","content":"Lovely, welcome back. Which day would suit you, and do you prefer the morning or the afternoon?"},{"role":"user","content":"Any day really, as long as it is at the time that I told you before."}]}"#;

/// What every message of a call carries, as JSON fields.
pub(super) fn call(clinic: &Clinic, call: Uuid, caller: &str) -> String {
    let (assistant, number, line) = (clinic.assistant, id(Kind::Number, clinic.number), clinic.number);
    format!(
        r#""call":{{"id":"{call}","orgId":"11111111-2222-4333-8444-555555555555","type":"inboundPhoneCall","status":"ringing","phoneCallProvider":"twilio","phoneCallTransport":"pstn","assistantId":"{assistant}","phoneNumberId":"{number}","squadId":null,"customer":{{"number":"{caller}"}},"createdAt":"2026-11-20T10:00:00.000Z","updatedAt":"2026-11-20T10:00:00.000Z"}},"customer":{{"number":"{caller}"}},"phoneNumber":{{"id":"{number}","assistantId":"{assistant}","provider":"twilio","number":"+1917{line:07}"}},"artifact":{CONVERSATION}"#
    )
}

/// Writes a signed delivery of `body`.
pub(super) fn deliver(clinic: &Clinic, body: &str, out: &mut Vec<u8>) -> anyhow::Result<()> {
    let timestamp = SystemClock.now().as_millisecond().to_string();
    let secret = clinic.secret.expose_secret().as_bytes();
    let signature = token::mac(secret, &[timestamp.as_bytes(), b".", body.as_bytes()])?;
    write!(
        out,
        "POST /api/vapi/webhook HTTP/1.1\r\nhost: api.voxanne.example\r\nuser-agent: vapi\r\naccept: */*\r\n\
         content-type: application/json\r\nx-vapi-timestamp: {timestamp}\r\nx-vapi-signature: {}\r\n\
         content-length: {}\r\n\r\n{body}",
        hex::encode(signature),
        body.len()
    )?;
    Ok(())
}
