-- Secrets at rest (spec/03-credentials.md), assistants, tools, and which organization a call belongs to
-- (spec/04-assistants-and-tools.md).

create table org_credentials (
    id                uuid not null,
    org_id            uuid not null references organizations (id),
    provider          text not null,
    source            text not null check (source in ('byoc', 'managed', 'system')),
    is_active         boolean not null default true,
    -- Sealed with additional data bound to organization, provider and id; see the credentials crate for the layout.
    sealed            bytea not null,
    key_id            text not null,
    -- What may be shown: never a secret.
    metadata          jsonb not null default '{}',
    status            text not null default 'unverified',
    last_verified_at  timestamptz,
    error_code        text,
    created_at        timestamptz not null default now(),
    updated_at        timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, provider)
);
create index org_credentials_by_key on org_credentials (key_id);
select make_tenant_table('org_credentials');
grant select, insert, update, delete on org_credentials to voxanne_app;

create table assistants (
    id                    uuid not null,
    org_id                uuid not null references organizations (id),
    kind                  text not null check (kind in ('inbound', 'outbound')),
    -- Vapi's id; null until Vapi has made the assistant.
    vapi_assistant_id     text,
    name                  text not null check (length(name) <= 40),
    system_prompt         text not null,
    first_message         text,
    voice_id              text not null,
    language              text not null default 'en',
    max_duration_seconds  integer not null default 600 check (max_duration_seconds between 10 and 43200),
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now(),
    primary key (org_id, id),
    unique (org_id, kind)
);
-- Resolves a webhook. Ids come from Vapi, never from a tenant, so the global key gives nothing away.
create unique index assistants_by_vapi_id on assistants (vapi_assistant_id) include (org_id);
select make_tenant_table('assistants');
create policy service_resolves on assistants for select to voxanne_service using (true);
grant select, insert, update, delete on assistants to voxanne_app;
grant select on assistants to voxanne_service;

-- The tools registered once for everybody at Vapi. One row per definition ever registered.
create table vapi_tools (
    tool_name        text not null,
    definition_hash  text not null,
    -- Null while somebody registers it: whoever holds the claim, until it runs out.
    vapi_tool_id     text unique,
    claim            uuid,
    claimed_until    timestamptz,
    registered_at    timestamptz,
    primary key (tool_name, definition_hash),
    check ((vapi_tool_id is null) = (registered_at is null)),
    check (vapi_tool_id is not null or (claim is not null and claimed_until is not null))
);
alter table vapi_tools enable row level security;
alter table vapi_tools force row level security;
create policy service on vapi_tools to voxanne_service using (true) with check (true);
grant select, insert, update, delete on vapi_tools to voxanne_service;

-- Which registration each organization's assistants are linked to.
create table org_tools (
    org_id           uuid not null references organizations (id),
    tool_name        text not null,
    vapi_tool_id     text not null,
    definition_hash  text not null,
    state            text not null check (state in ('registered', 'linked', 'pending', 'failed')),
    last_error       text,
    updated_at       timestamptz not null default now(),
    primary key (org_id, tool_name)
);
select make_tenant_table('org_tools');
grant select, insert, update, delete on org_tools to voxanne_app;

-- Which organization a dialled number belongs to.
create table phone_number_mapping (
    org_id         uuid not null references organizations (id),
    phone_number   text not null check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    vapi_phone_id  text,
    created_at     timestamptz not null default now(),
    primary key (org_id, phone_number)
);
-- A number rings at one organization. Rows are written for numbers that a provider confirmed, not for typed ones.
create unique index phone_number_mapping_by_number on phone_number_mapping (phone_number) include (org_id);
create unique index phone_number_mapping_by_vapi_id on phone_number_mapping (vapi_phone_id) include (org_id);
select make_tenant_table('phone_number_mapping');
create policy service_resolves on phone_number_mapping for select to voxanne_service using (true);
grant select, insert, update, delete on phone_number_mapping to voxanne_app;
grant select on phone_number_mapping to voxanne_service;
