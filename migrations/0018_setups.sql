-- Setting an approved organization's line up, as a saga that survives its process (spec/07-provisioning.md, AI setup).

-- One per organization; a new attempt replaces one that ended.
create table setups (
    org_id                uuid primary key references organizations (id),
    -- Labels what the setup makes at providers.
    id                    uuid not null unique,
    status                text not null check (status in ('provisioning', 'active', 'failed', 'cleaning', 'inactive')),
    wanted_country        text not null check (wanted_country ~ '^[A-Z]{2}$'),
    wanted_area_code      text check (wanted_area_code ~ '^[2-9][0-9]{2}$'),
    allow_fallback        boolean not null,
    -- Where the number comes from, once that is decided.
    number_source         text check (number_source in ('present', 'bought', 'provided')),
    phone_number          text check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    vapi_phone_id         text check (length(vapi_phone_id) > 0),
    inbound_id            text check (length(inbound_id) > 0),
    inbound_name          text,
    outbound_id           text check (length(outbound_id) > 0),
    outbound_name         text,
    -- The assistants that were there before: a failure leaves them alone.
    kept                  text[] not null default '{}' check (kept <@ array['inbound', 'outbound']),
    failed_step           text,
    failure_code          text,
    nearby                text[] not null default '{}',
    email_queued          boolean not null,
    undo_attempts         integer not null default 0 check (undo_attempts >= 0),
    started_at            timestamptz not null,
    completed_at          timestamptz,
    updated_at            timestamptz not null default now(),
    check ((failed_step is null) = (failure_code is null)),
    check ((inbound_id is null) = (inbound_name is null)),
    check ((outbound_id is null) = (outbound_name is null)),
    -- What answers has everything that answering takes.
    check (status <> 'active' or (phone_number is not null and vapi_phone_id is not null
                                  and inbound_id is not null and outbound_id is not null and completed_at is not null)),
    check (status <> 'failed' or failed_step is not null)
);
select make_tenant_table('setups');
grant select, insert, update on setups to voxanne_app;

-- All eight steps of each, from its beginning.
create table setup_steps (
    org_id      uuid not null references setups (org_id),
    name        text not null check (name in ('organization', 'telephony_account', 'phone_number', 'inbound_assistant',
                                              'outbound_assistant', 'vapi_phone_number', 'configuration', 'email')),
    status      text not null check (status in ('pending', 'running', 'done', 'failed', 'undone')),
    attempts    integer not null check (attempts >= 0),
    at          timestamptz,
    error_code  text,
    -- While the setup is taken back: whether nothing of the step is left.
    is_cleared  boolean not null,
    primary key (org_id, name)
);
select make_tenant_table('setup_steps');
grant select, insert, update on setup_steps to voxanne_app;
