-- Reminders of coming appointments (spec/06-scheduling.md).

-- When an organization reminds; without a row by text message, a day and two hours before.
create table reminder_rules (
    org_id      uuid primary key references organizations (id),
    enabled     boolean not null,
    method      text not null check (method in ('sms', 'email')),
    -- Minutes before the appointment, the longest first.
    leads       integer[] not null check (array_length(leads, 1) is null or array_length(leads, 1) <= 5),
    updated_at  timestamptz not null default now()
);
select make_tenant_table('reminder_rules');
create policy service_reminds on reminder_rules for select to voxanne_service using (true);
grant select, insert, update on reminder_rules to voxanne_app;
grant select on reminder_rules to voxanne_service;

-- What was decided about each reminder that was due. One of an appointment that was moved is another one.
create table appointment_reminders (
    org_id          uuid not null,
    appointment_id  uuid not null,
    starts_at       timestamptz not null,
    lead_minutes    integer not null check (lead_minutes > 0),
    message_id      uuid,
    skipped         text check (length(skipped) between 1 and 64),
    decided_at      timestamptz not null,
    primary key (org_id, appointment_id, starts_at, lead_minutes),
    foreign key (org_id, appointment_id) references appointments (org_id, id),
    foreign key (org_id, message_id) references messages (org_id, id),
    check (num_nonnulls(message_id, skipped) = 1)
);
create index appointment_reminders_by_message on appointment_reminders (org_id, message_id) where message_id is not null;
select make_tenant_table('appointment_reminders');
create policy service_reminds on appointment_reminders for select to voxanne_service using (true);
grant select, insert on appointment_reminders to voxanne_app;
grant select (org_id, appointment_id, starts_at, lead_minutes) on appointment_reminders to voxanne_service;

-- What is coming, whoever's it is: the only thing that is looked for across organizations, a minute's worth at a time.
create index appointments_coming on appointments (starts_at, org_id, id) where status in ('confirmed', 'rescheduled');
create policy service_reminds on appointments for select to voxanne_service using (true);
grant select (org_id, id, status, starts_at) on appointments to voxanne_service;
