//! The booking tool call: every request a free slot, a new call and a new tool call.

use anyhow::ensure;
use jiff::{Timestamp, ToSpan as _};
use serde_json::json;
use sqlx::{PgConnection, Row as _, types::Json};
use time::{Date, Month, OffsetDateTime};
use uuid::Uuid;

use super::{Scenario, says, vapi};
use crate::{
    pgbench::Script,
    world::{Kind, RESOURCES, SERVICE, Slot, World, ZONE, id},
};

/// The statement of the server's booking desk.
const STATEMENT: &str =
    "select result, contact, resource, call, remembered, busy_resources, busy_from, busy_until
       from book_appointment($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                             $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)";

const SUMMARY: &str = "Booked Botox for Tue 1 Dec, 14:00";

/// `bookClinicAppointment`.
pub(crate) struct Booking;

impl Scenario for Booking {
    const NAME: &'static str = "booking tool call";
    const GOAL: f64 = 0.85;
    const APPOINTMENTS: i64 = 1;

    fn request(&self, world: &World, out: &mut Vec<u8>) -> anyhow::Result<()> {
        let slot = world.take_slot()?;
        let tool_call = tool_call_id();
        let (hour, minute) = (slot.minute / 60, slot.minute % 60);
        let one = format!(
            r#"{{"id":"{tool_call}","type":"function","function":{{"name":"bookClinicAppointment","arguments":{{"date":"{}","time":"{hour:02}:{minute:02}","service":"{SERVICE}","patientName":"Maria Smith","notes":"Prefers the quiet room."}}}}}}"#,
            slot.date
        );
        let call = vapi::call(slot.clinic, Uuid::now_v7(), &slot.phone());
        let body = format!(
            r#"{{"message":{{"timestamp":1795000021900,"type":"tool-calls","toolCalls":[{one}],"toolCallList":[{one}],"toolWithToolCallList":[{{"type":"function","name":"bookClinicAppointment","toolCall":{one}}}],{call}}}}}"#
        );
        vapi::deliver(slot.clinic, &body, out)
    }

    fn is_right(&self, body: &[u8]) -> bool {
        says(body, "You're booked for Botox on ")
    }

    async fn statement(&self, world: &World, connection: &mut PgConnection) -> anyhow::Result<()> {
        let slot = world.take_slot()?;
        let (org, ends) = (slot.clinic.number, slot.starts + 30.minutes());
        let candidates: Vec<Uuid> = (0..RESOURCES).map(|r| id(Kind::Resource, org * 10 + r)).collect();
        let (appointment, contact) = (Uuid::now_v7(), Uuid::now_v7());
        let phone = slot.phone();
        let row = sqlx::query(STATEMENT)
            .bind(slot.clinic.id)
            .bind(world.version())
            .bind(appointment)
            .bind(vec![day(&slot)?])
            .bind(&candidates)
            .bind(instant(slot.starts)?)
            .bind(instant(ends)?)
            .bind(instant(slot.starts)?)
            .bind(instant(ends)?)
            .bind(instant(slot.starts - (8 * 24).hours())?)
            .bind(instant(slot.starts + (8 * 24).hours())?)
            .bind(id(Kind::Service, org * 10))
            .bind(SERVICE)
            .bind("confirmed")
            .bind("voice")
            .bind("Prefers the quiet room.")
            .bind(SUMMARY)
            .bind(None::<Uuid>)
            .bind(contact)
            .bind("Maria Smith")
            .bind(&phone)
            .bind(None::<&str>)
            .bind(Uuid::now_v7().to_string())
            .bind(tool_call_id())
            .bind(Uuid::now_v7())
            .bind("inbound")
            .bind(slot.clinic.assistant.to_string())
            .bind(&phone)
            .bind(Json(outcome(&slot, appointment, contact)))
            .fetch_one(connection)
            .await?;
        let result: &str = row.try_get(0)?;
        ensure!(result == "booked", "it was answered {result}");
        Ok(())
    }

    fn script(&self, world: &World) -> Script {
        let bench_id = |kind: &str, number: &str| {
            format!("('{kind}000000-0000-7000-8000-' || lpad(({number})::text, 12, '0'))::uuid")
        };
        let text = format!(
            "\\set n :n + 1\n\\set slot :base + :n * :clients + :client_id\n\\set org :slot % :orgs\n\
             \\set turn :slot / :orgs\n\\set day :turn % 120\n\\set ahead 7 * (:day / 5) + :day % 5\n\
             \\set minute 540 + 30 * (:turn / 120)\n\
             \\set patient case when :turn % 2 = 0 then :turn / 2 % 60 else 1000000 + :turn end\n\
             select b.* from (select (date :first + :ahead::int) as day,
                    (date :first + :ahead::int + make_interval(mins => :minute::int)) at time zone '{ZONE}' as t,
                    '+1212' || lpad(:patient::text, 7, '0') as phone) s,
             lateral book_appointment({org}, {version}, gen_random_uuid(), array[s.day], array[{first}, {second}], s.t,
             s.t + interval '30 minutes', s.t, s.t + interval '30 minutes', s.t - interval '8 days',
             s.t + interval '8 days', {service}, '{SERVICE}', 'confirmed', 'voice', 'Prefers the quiet room.',
             :summary::text, null, gen_random_uuid(), 'Maria Smith', s.phone, null, gen_random_uuid()::text,
             'call_' || gen_random_uuid(), gen_random_uuid(), 'inbound', {assistant}::text, s.phone, :outcome::jsonb) b;\n",
            org = bench_id("0b", ":org"),
            version = world.version(),
            first = bench_id("0c", ":org * 10"),
            second = bench_id("0c", ":org * 10 + 1"),
            service = bench_id("0d", ":org * 10"),
            assistant = bench_id("0f", ":org"),
        )
        .replace(":first", &format!("'{}'", world.first_monday()));
        let slot =
            json!({"id": Uuid::now_v7(), "starts": "2026-12-01T14:00:00Z", "ends": "2026-12-01T14:30:00Z"});
        Script {
            text,
            variables: vec![
                ("n", "0".into()),
                ("summary", SUMMARY.into()),
                ("outcome", slot_outcome(&slot).to_string()),
            ],
        }
    }
}

fn tool_call_id() -> String {
    format!("call_{}", Uuid::now_v7().simple())
}

/// What the server has remembered for the tool call's next delivery.
fn outcome(slot: &Slot<'_>, appointment: Uuid, contact: Uuid) -> serde_json::Value {
    json!({
        "result": "booked", "appointment": appointment, "contact": contact,
        "resource": id(Kind::Resource, slot.clinic.number * 10), "service": SERVICE, "starts": slot.starts,
        "ends": slot.starts + 30.minutes(), "zone": ZONE, "status": "confirmed", "first_of_two": false,
    })
}

/// The same for `pgbench`, which cannot write it anew each time.
fn slot_outcome(slot: &serde_json::Value) -> serde_json::Value {
    json!({
        "result": "booked", "appointment": slot["id"], "contact": slot["id"], "resource": slot["id"],
        "service": SERVICE, "starts": slot["starts"], "ends": slot["ends"], "zone": ZONE, "status": "confirmed",
        "first_of_two": false,
    })
}

fn instant(at: Timestamp) -> anyhow::Result<OffsetDateTime> {
    Ok(OffsetDateTime::from_unix_timestamp(at.as_second())?)
}

fn day(slot: &Slot<'_>) -> anyhow::Result<Date> {
    let date = slot.date;
    let month = Month::try_from(u8::try_from(date.month())?)?;
    Ok(Date::from_calendar_date(i32::from(date.year()), month, u8::try_from(date.day())?)?)
}
