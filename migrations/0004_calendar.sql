-- What can be booked and when (spec/06-scheduling.md), and what it costs (spec/05-calls.md).

create table services (
    id                uuid not null,
    org_id            uuid not null references organizations (id),
    name              text not null check (length(name) between 1 and 120),
    price_minor       bigint not null check (price_minor >= 0),
    currency          text not null check (currency ~ '^[A-Z]{3}$'),
    duration_minutes  integer not null check (duration_minutes between 5 and 480),
    keywords          text[] not null default '{}',
    is_active         boolean not null default true,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    -- Taken off the catalogue, and then never active; the row stays for the appointments that point to it.
    deleted_at        timestamptz check (deleted_at is null or not is_active),
    primary key (org_id, id)
);
create unique index services_by_name on services (org_id, lower(name)) where is_active;
create index services_newest on services (org_id, created_at desc, id desc);
select make_tenant_table('services');
grant select, insert, update, delete on services to voxanne_app;

-- Practitioners and rooms.
create table resources (
    id           uuid not null,
    org_id       uuid not null references organizations (id),
    -- A number for the exclusion constraint of appointments, which can range over numbers but not over ids
    -- without an extension. Never shown: it would tell how many others exist.
    resource_no  bigint generated always as identity,
    name         text not null check (length(name) between 1 and 120),
    -- Its own hours, in the shape of schedules.hours; null: the organization's.
    hours        jsonb,
    is_active    boolean not null default true,
    created_at   timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, id, resource_no)
);
create unique index resources_no on resources (resource_no);
select make_tenant_table('resources');
grant select, insert, update, delete on resources to voxanne_app;

-- A service with rows here is done by these resources only; one without, by all.
create table service_resources (
    org_id       uuid not null,
    service_id   uuid not null,
    resource_id  uuid not null,
    primary key (org_id, service_id, resource_id),
    foreign key (org_id, service_id) references services (org_id, id) on delete cascade,
    foreign key (org_id, resource_id) references resources (org_id, id) on delete cascade
);
create index service_resources_by_resource on service_resources (org_id, resource_id);
select make_tenant_table('service_resources');
grant select, insert, delete on service_resources to voxanne_app;

create table schedules (
    org_id                 uuid primary key references organizations (id),
    slot_minutes           integer not null check (slot_minutes between 5 and 480),
    buffer_before_minutes  integer not null check (buffer_before_minutes between 0 and 240),
    buffer_after_minutes   integer not null check (buffer_after_minutes between 0 and 240),
    min_notice_minutes     integer not null check (min_notice_minutes between 0 and 43200),
    horizon_days           integer not null check (horizon_days between 1 and 730),
    -- {"mon": [{"from": "09:00", "to": "17:00"}], …} in the organization's zone.
    hours                  jsonb not null,
    holidays               date[] not null default '{}',
    updated_at             timestamptz not null default now()
);
select make_tenant_table('schedules');
grant select, insert, update on schedules to voxanne_app;

create trigger settings_version after insert or update or delete on services
    for each row execute function bump_settings_version();
create trigger settings_version after insert or update or delete on resources
    for each row execute function bump_settings_version();
create trigger settings_version after insert or update or delete on service_resources
    for each row execute function bump_settings_version();
create trigger settings_version after insert or update or delete on schedules
    for each row execute function bump_settings_version();
