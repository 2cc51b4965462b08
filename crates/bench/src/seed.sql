-- A database as it is after a year: $ORGS clinics, $CALLS calls spread over them and over the year. Set by set, as the
-- superuser, before the programs start. Run as one batch.

set synchronous_commit = off;
set client_min_messages = warning;

create function pg_temp.bench_id(kind text, number bigint) returns uuid language sql immutable
    return (kind || '000000-0000-7000-8000-' || lpad(number::text, 12, '0'))::uuid;

insert into organizations (id, name, status, timezone, alert_phone, created_at)
select pg_temp.bench_id('0b', n), 'Clinic ' || n, 'verified', '$ZONE', '+1646' || lpad(n::text, 7, '0'),
       now() - interval '1 year'
  from generate_series(0, $ORGS - 1) n;

insert into assistants (id, org_id, kind, vapi_assistant_id, name, system_prompt, first_message, voice_id)
select pg_temp.bench_id('0f', n), pg_temp.bench_id('0b', n), 'inbound', pg_temp.bench_id('0f', n)::text, 'Front desk',
       repeat('You answer the phone of a clinic: be brief, be kind, and never guess. ', 30), 'Hello, how can I help?',
       'Elliot'
  from generate_series(0, $ORGS - 1) n;

insert into phone_number_mapping (org_id, phone_number, vapi_phone_id)
select pg_temp.bench_id('0b', n), '+1917' || lpad(n::text, 7, '0'), pg_temp.bench_id('10', n)::text
  from generate_series(0, $ORGS - 1) n;

insert into services (id, org_id, name, price_minor, currency, duration_minutes, keywords)
select pg_temp.bench_id('0d', n * 10 + s.rank), pg_temp.bench_id('0b', n), s.name, s.price, 'USD', s.minutes, s.keywords
  from generate_series(0, $ORGS - 1) n,
       (values (0, '$SERVICE', 40000, 30, '{botox,wrinkles,injection}'::text[]),
               (1, 'Dermal filler', 65000, 45, '{filler,lips,volume}'),
               (2, 'Laser hair removal', 25000, 60, '{laser,hair}'),
               (3, 'Facial', 15000, 60, '{facial,cleansing,peel}'),
               (4, 'Consultation', 5000, 30, '{consultation,advice,question}')) s (rank, name, price, minutes, keywords);

insert into resources (id, org_id, name)
select pg_temp.bench_id('0c', n * 10 + r), pg_temp.bench_id('0b', n), 'Room ' || r + 1
  from generate_series(0, $ORGS - 1) n, generate_series(0, $RESOURCES - 1) r;

insert into schedules (org_id, slot_minutes, buffer_before_minutes, buffer_after_minutes, min_notice_minutes,
                       horizon_days, hours, holidays)
select pg_temp.bench_id('0b', n), 30, 0, 0, 0, $HORIZON,
       jsonb_object_agg(day, '[{"from": "09:00", "to": "17:00"}]'::jsonb), '{}'
  from generate_series(0, $ORGS - 1) n, unnest('{mon,tue,wed,thu,fri}'::text[]) day
 group by n;

insert into contacts (id, org_id, name, phone, email, lead_status, lead_score, services_interested, last_contacted_at,
                      created_at)
select pg_temp.bench_id('0e', n * 1000 + c), pg_temp.bench_id('0b', n),
       (array ['Maria','James','Linda','Robert','Ana','David','Susan','Wei','Fatima','John'])[1 + c % 10] || ' '
           || (array ['Smith','Garcia','Johnson','Nguyen','Brown','Okafor','Davis','Kim','Lopez'])[1 + (n + c) % 9],
       '+1212' || lpad(c::text, 7, '0'), case when c % 2 = 0 then 'patient' || c || '@example.com' end,
       (array ['new','contacted','booked','lost'])[1 + c % 4], c % 80,
       case when c % 3 = 0 then array ['$SERVICE'] else '{}' end, now() - c * interval '3 days',
       now() - (c + 1) * interval '6 days'
  from generate_series(0, $ORGS - 1) n, generate_series(0, $CONTACTS - 1) c;

-- Forty conversations of some four minutes, in words that do not compress better than people's.
create temp table talks as
select talk, jsonb_agg(jsonb_build_object(
           'speaker', case when turn % 2 = 0 then 'assistant' else 'caller' end,
           'at_ms', turn * 6500,
           'text', (select string_agg(translate(substr(md5(talk || '.' || turn || '.' || word), 1, 2 + word % 7),
                                                '0123456789', 'stlrneiaou'), ' ')
                      from generate_series(1, 18) word)) order by turn) as transcript
  from generate_series(0, 39) talk, generate_series(0, 35) turn
 group by talk;

-- The clinics' calls lie between each other's on the disk, as they came in.
insert into calls (id, org_id, vapi_call_id, call_type, status, vapi_assistant_id, phone_number, contact_id, started_at,
                   ended_at, duration_seconds, ended_reason, cost_micros, sentiment_score, sentiment_label, urgency,
                   outcome, summary, transcript, redactions, services_mentioned, booking_confirmed,
                   financial_value_minor, recording_status, lead_score, reported_at, created_at, updated_at)
select gen_random_uuid(), pg_temp.bench_id('0b', n), gen_random_uuid()::text,
       case when i % 8 = 0 then 'outbound' else 'inbound' end,
       case when i % 23 = 0 then 'no_answer' else 'completed' end,
       pg_temp.bench_id('0f', n)::text, '+1212' || lpad(c::text, 7, '0'), pg_temp.bench_id('0e', n * 1000 + c),
       at, at + seconds * interval '1 second', seconds, 'customer-ended-call', 90000 + seconds * 1200,
       (i % 17) / 8.5 - 1, (array ['negative','neutral','positive'])[1 + i % 3], (array ['low','medium','high'])[1 + i % 3],
       case when i % 5 = 0 then 'appointment_booked' else 'information_given' end,
       'The caller asked about $SERVICE, when the clinic is open and what it costs. '
           || (array ['They booked an appointment and will bring their insurance card.',
                      'They want to think about it and call again next week.',
                      'They asked to be called back by a member of staff in the afternoon.'])[1 + i % 3],
       talks.transcript, '{"phone_number": 1}', array [pg_temp.bench_id('0d', n * 10)], i % 5 = 0,
       case when i % 5 = 0 then 40000 else 15000 end, 'none', 20 + i % 70, at + interval '5 minutes', at, at
  from (select i, i % $ORGS as n, (i / $ORGS) % $CONTACTS as c, 40 + (i * 7919) % 400 as seconds,
               now() - ($CALLS - i) * (interval '365 days' / $CALLS) as at
          from generate_series(0::bigint, $CALLS - 1) i) numbered
  join talks on talks.talk = numbered.i % 40
 order by numbered.i;

-- What came of the calls; past appointments, a day apart each, so that none overlaps another.
insert into appointments (id, org_id, contact_id, call_id, service_id, resource_id, resource_no, starts_at, ends_at,
                          blocked_from, blocked_until, status, source, created_at)
select gen_random_uuid(), b.org_id, b.contact_id, b.id, b.services_mentioned[1], r.id, r.resource_no, b.at,
       b.at + interval '30 minutes', b.at, b.at + interval '30 minutes', 'completed', 'voice', b.started_at
  from (select c.*, date_trunc('hour', now()) - row_number() over (partition by org_id order by started_at desc)
                                                * interval '1 day' as at
          from calls c where c.booking_confirmed) b
  join lateral (select id, resource_no from resources r where r.org_id = b.org_id order by resource_no limit 1) r on true;

insert into activity_events (org_id, at, kind, summary, call_id, contact_id)
select org_id, ended_at, 'call_ended', 'A call of ' || duration_seconds / 60 || ' minutes', id, contact_id from calls;
insert into activity_events (org_id, at, kind, summary, call_id, appointment_id, contact_id)
select org_id, created_at, 'appointment_booked', 'Booked $SERVICE', call_id, id, contact_id from appointments;
