-- Organizations, people, membership, sessions and the audit trail (spec/02-tenancy.md).

create table organizations (
    id                    uuid primary key,
    name                  text not null check (length(name) between 1 and 200),
    status                text not null default 'pending' check (status in ('pending', 'verified', 'rejected', 'suspended')),
    timezone              text not null,
    currency              text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    approval_mode         text not null default 'auto' check (approval_mode in ('auto', 'manual')),
    answer_mode           text not null default 'bound' check (answer_mode in ('bound', 'dynamic')),
    alert_phone           text check (alert_phone ~ '^\+[1-9][0-9]{6,14}$'),
    call_routing          jsonb not null default '{}',
    profile               jsonb not null default '{}',
    -- Whether webhooks may still be authenticated by the plain shared secret instead of a signature.
    allow_shared_secret   boolean not null default true,
    -- Counts every change to what a booking depends on; a cached calendar of an older version is refused.
    settings_version      bigint not null default 1,
    created_at            timestamptz not null default now(),
    updated_at            timestamptz not null default now()
);
create index organizations_by_status on organizations (status, created_at desc, id desc);
select make_tenant_table('organizations', 'id');
create policy service_reads on organizations for select to voxanne_service using (true);
grant select, insert, update on organizations to voxanne_app;
grant select on organizations to voxanne_service;

create function bump_own_settings_version() returns trigger language plpgsql as $$
begin
    if (new.status, new.timezone, new.approval_mode, new.currency)
       is distinct from (old.status, old.timezone, old.approval_mode, old.currency) then
        new.settings_version := old.settings_version + 1;
    end if;
    return new;
end $$;
create trigger settings_version before update on organizations
    for each row execute function bump_own_settings_version();

-- For tables whose rows are part of an organization's calendar.
create function bump_settings_version() returns trigger language plpgsql as $$
begin
    update organizations set settings_version = settings_version + 1
     where id = case when tg_op = 'DELETE' then old.org_id else new.org_id end;
    return null;
end $$;

-- People exist beside organizations; only the service role sees them all, a tenant sees its own members.
create table users (
    id             uuid primary key,
    email          text not null unique check (email = lower(email)),
    -- Null until an invited person has chosen one.
    password_hash  text,
    is_operator    boolean not null default false,
    created_at     timestamptz not null default now()
);
alter table users enable row level security;
alter table users force row level security;
create policy service on users to voxanne_service using (true) with check (true);
grant select, insert, update on users to voxanne_service;

create table profiles (
    org_id      uuid not null references organizations (id),
    user_id     uuid not null references users (id),
    role        text not null check (role in ('owner', 'admin', 'member')),
    created_at  timestamptz not null default now(),
    primary key (org_id, user_id)
);
-- A person belongs to one organization. The key starts with the user because the rule spans organizations; memberships
-- are added with "on conflict do nothing", which tells a tenant only that it cannot add the person.
create unique index profiles_one_per_user on profiles (user_id);
select make_tenant_table('profiles');
create policy service on profiles to voxanne_service using (true) with check (true);
grant select, insert, update, delete on profiles to voxanne_app, voxanne_service;

create policy tenant_members on users for select to voxanne_app
    using (id in (select p.user_id from profiles p where p.org_id = (select current_org())));
-- Everything but the password: a tenant's transaction never needs it.
grant select (id, email, created_at) on users to voxanne_app;

-- One sign-in on one device, and the chain of refresh tokens that keeps it alive.
create table sessions (
    id          uuid primary key,
    user_id     uuid not null references users (id),
    created_at  timestamptz not null default now(),
    ends_at     timestamptz not null,
    revoked_at  timestamptz,
    revoked_for text
);
create index sessions_by_user on sessions (user_id);
create table refresh_tokens (
    id          uuid primary key,
    session_id  uuid not null references sessions (id) on delete cascade,
    parent_id   uuid references refresh_tokens (id) on delete cascade,
    token_hash  bytea not null unique check (length(token_hash) = 32),
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    -- A token is used once, for the one token that succeeds it, kept here encrypted under this token itself.
    used_at     timestamptz,
    successor   bytea check (length(successor) = 32),
    check ((used_at is null) = (successor is null))
);
create index refresh_tokens_by_session on refresh_tokens (session_id, created_at desc);
create unique index refresh_tokens_one_successor on refresh_tokens (parent_id);
-- Failed sign-ins by account and by address; the subject is a hash.
create table login_throttle (
    subject     text primary key,
    failures    integer not null,
    blocked_until timestamptz,
    window_started_at timestamptz not null
);
do $$
declare
    owned text;
begin
    foreach owned in array array['sessions', 'refresh_tokens', 'login_throttle'] loop
        execute format('alter table %I enable row level security', owned);
        execute format('alter table %I force row level security', owned);
        execute format('create policy service on %I to voxanne_service using (true) with check (true)', owned);
        execute format('grant select, insert, update, delete on %I to voxanne_service', owned);
    end loop;
end $$;

create table audit_events (
    id           uuid not null,
    org_id       uuid not null,
    at           timestamptz not null default now(),
    actor_kind   text not null,
    actor_id     uuid,
    action       text not null,
    target_kind  text not null,
    target_id    text not null,
    before       jsonb,
    after        jsonb,
    request_id   text,
    primary key (org_id, id)
);
create index audit_events_newest on audit_events (org_id, at desc, id desc);
select make_tenant_table('audit_events');
grant select, insert on audit_events to voxanne_app;

-- Append-only for everybody, the owner included: a rewrite would have to drop this trigger first.
create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception 'audit_events is append-only' using errcode = 'insufficient_privilege';
end $$;
create trigger append_only before update or delete on audit_events
    for each row execute function refuse_rewriting_history();
create trigger append_only_truncate before truncate on audit_events
    for each statement execute function refuse_rewriting_history();
