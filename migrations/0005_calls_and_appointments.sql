-- Contacts, calls, appointments, and what is kept so that every message counts once (spec/04, 05, 06).

create table contacts (
    id                   uuid not null,
    org_id               uuid not null references organizations (id),
    name                 text,
    phone                text not null check (phone ~ '^\+[1-9][0-9]{6,14}$'),
    email                text,
    lead_status          text not null default 'new' check (lead_status in ('new', 'contacted', 'booked', 'lost')),
    -- Without recency, which is added when it is read: a lead cools down without anybody touching it.
    lead_score           smallint not null default 0 check (lead_score between 0 and 100),
    services_interested  text[] not null default '{}',
    notes                text,
    last_contacted_at    timestamptz,
    created_at           timestamptz not null default now(),
    updated_at           timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, phone)
);
create index contacts_newest on contacts (org_id, created_at desc, id desc);
-- Answers the statistics from the index alone.
create index contacts_stats on contacts (org_id) include (lead_score, last_contacted_at);
select make_tenant_table('contacts');
grant select, insert, update, delete on contacts to voxanne_app;

create table calls (
    id                    uuid not null,
    org_id                uuid not null references organizations (id),
    vapi_call_id          text not null,
    call_type             text not null check (call_type in ('inbound', 'outbound', 'web')),
    status                text not null check (status in
                              ('pending', 'ringing', 'in_progress', 'completed', 'failed', 'no_answer', 'busy')),
    vapi_assistant_id     text,
    phone_number          text,
    contact_id            uuid,
    started_at            timestamptz not null,
    ended_at              timestamptz,
    duration_seconds      integer check (duration_seconds >= 0),
    ended_reason          text,
    -- Millionths of a US dollar, as Vapi bills.
    cost_micros           bigint,
    sentiment_score       real check (sentiment_score between -1 and 1),
    sentiment_label       text,
    urgency               text,
    outcome               text,
    summary               text,
    -- Redacted turns [{"speaker", "text", "at_ms"}]; null until the report came, and when nothing was said.
    transcript            jsonb,
    -- How many identifiers of each kind were removed; never their values.
    redactions            jsonb,
    services_mentioned    uuid[] not null default '{}',
    booking_confirmed     boolean not null default false,
    financial_value_minor bigint,
    recording_status      text not null default 'none' check (recording_status in
                              ('none', 'pending', 'processing', 'completed', 'failed')),
    transfer_to           text,
    transfer_time         timestamptz,
    transfer_reason       text,
    -- As this call alone gives it, at its end; null until the report came.
    lead_score            smallint,
    -- When the provider sent the end-of-call report that was applied; a call without it is healed.
    reported_at           timestamptz,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, vapi_call_id),
    foreign key (org_id, contact_id) references contacts (org_id, id)
);
create index calls_newest on calls (org_id, started_at desc, id desc);
create index calls_by_contact on calls (org_id, contact_id, started_at desc);
-- Answers the statistics from the index alone.
create index calls_stats on calls (org_id, started_at)
    include (call_type, status, booking_confirmed, financial_value_minor, duration_seconds);
-- The healer looks for calls that never got their report, across organizations.
create index calls_unreported on calls (started_at) include (org_id) where reported_at is null;
select make_tenant_table('calls');
create policy service_heals on calls for select to voxanne_service using (true);
grant select, insert, update on calls to voxanne_app;
grant select on calls to voxanne_service;

create view call_logs with (security_invoker = true) as select * from calls;
grant select on call_logs to voxanne_app;

create table appointments (
    id                 uuid not null,
    org_id             uuid not null,
    contact_id         uuid not null,
    call_id            uuid,
    service_id         uuid,
    resource_id        uuid not null,
    resource_no        bigint not null,
    starts_at          timestamptz not null,
    ends_at            timestamptz not null,
    -- The time with its buffers, which is what must not overlap.
    blocked_from       timestamptz not null,
    blocked_until      timestamptz not null,
    status             text not null check (status in
                           ('pending_approval', 'confirmed', 'rescheduled', 'cancelled', 'completed', 'no_show')),
    source             text not null check (source in ('voice', 'dashboard', 'api')),
    notes              text,
    confirmation_sent  boolean not null default false,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, contact_id) references contacts (org_id, id),
    foreign key (org_id, call_id) references calls (org_id, id),
    foreign key (org_id, service_id) references services (org_id, id),
    foreign key (org_id, resource_id, resource_no) references resources (org_id, id, resource_no),
    check (starts_at < ends_at and blocked_from <= starts_at and blocked_until >= ends_at),
    -- Lets the overlap check stop looking one day back.
    check (blocked_until - blocked_from <= interval '1 day'),
    -- The last word on double booking, whatever the code above it believes.
    constraint appointments_no_overlap exclude using gist (
        int8range(resource_no, resource_no, '[]') with &&,
        tstzrange(blocked_from, blocked_until, '[)') with &&
    ) where (status in ('pending_approval', 'confirmed', 'rescheduled'))
);
create index appointments_by_time on appointments (org_id, starts_at desc, id desc);
create index appointments_overlap on appointments (org_id, resource_id, blocked_from)
    include (blocked_until) where status in ('pending_approval', 'confirmed', 'rescheduled');
create index appointments_by_contact on appointments (org_id, contact_id, starts_at desc);
create index appointments_by_call on appointments (org_id, call_id) where call_id is not null;
select make_tenant_table('appointments');
grant select, insert, update on appointments to voxanne_app;

create table activity_events (
    id              uuid not null default gen_random_uuid(),
    org_id          uuid not null,
    -- Not the transaction's time: entries of one transaction have an order too.
    at              timestamptz not null default clock_timestamp(),
    kind            text not null,
    summary         text not null,
    call_id         uuid,
    appointment_id  uuid,
    contact_id      uuid,
    primary key (org_id, id),
    foreign key (org_id, call_id) references calls (org_id, id),
    foreign key (org_id, appointment_id) references appointments (org_id, id),
    foreign key (org_id, contact_id) references contacts (org_id, id)
);
create index activity_events_newest on activity_events (org_id, at desc, id desc);
create index activity_events_by_call on activity_events (org_id, call_id, at) where call_id is not null;
create index activity_events_live on activity_events (at);
select make_tenant_table('activity_events');
create policy service_streams on activity_events for select to voxanne_service using (true);
grant select, insert on activity_events to voxanne_app;
grant select on activity_events to voxanne_service;

-- What each tool call led to, so that the same call delivered twice has one effect and one answer.
create table tool_invocations (
    org_id        uuid not null references organizations (id),
    vapi_call_id  text not null,
    tool_call_id  text not null,
    outcome       jsonb not null,
    at            timestamptz not null default now(),
    primary key (org_id, vapi_call_id, tool_call_id)
);
create index tool_invocations_oldest on tool_invocations (at);
select make_tenant_table('tool_invocations');
create policy service_expires on tool_invocations for select to voxanne_service using (true);
create policy service_expires_delete on tool_invocations for delete to voxanne_service using (true);
grant select, insert on tool_invocations to voxanne_app;
grant select, delete on tool_invocations to voxanne_service;

-- Provider messages as typed, redacted events; the body a provider sent is never kept.
create table webhook_events (
    id            uuid not null,
    org_id        uuid not null references organizations (id),
    provider      text not null,
    kind          text not null,
    -- What makes two deliveries the same message.
    event_key     text not null,
    body          jsonb not null,
    received_at   timestamptz not null default now(),
    processed_at  timestamptz,
    primary key (org_id, id),
    unique (org_id, provider, event_key)
);
create index webhook_events_oldest on webhook_events (received_at);
select make_tenant_table('webhook_events');
create policy service_expires on webhook_events for select to voxanne_service using (true);
create policy service_expires_delete on webhook_events for delete to voxanne_service using (true);
grant select, insert, update on webhook_events to voxanne_app;
grant select, delete on webhook_events to voxanne_service;
