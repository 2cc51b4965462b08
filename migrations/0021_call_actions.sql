-- What is done with calls: recordings in our storage, links to them, calls that we place, and the lines that all
-- organizations share (spec/05-calls.md, decision D21).

-- A call that we place exists before the provider has a name for it.
alter table calls alter column vapi_call_id drop not null;

create table call_recordings (
    id            uuid not null,
    org_id        uuid not null references organizations (id),
    call_id       uuid not null,
    status        text not null default 'pending' check (status in ('pending', 'processing', 'completed', 'failed')),
    -- Where the provider says it is, until it is settled; some of these addresses open it for whoever has them.
    sources       text[] not null default '{}',
    attempts      integer not null default 0,
    media_type    text,
    size_bytes    bigint check (size_bytes >= 0),
    error_code    text,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    completed_at  timestamptz,
    primary key (org_id, id),
    unique (org_id, call_id),
    foreign key (org_id, call_id) references calls (org_id, id),
    check ((status = 'completed') = (completed_at is not null)),
    check ((status = 'completed') = (media_type is not null and size_bytes is not null)),
    check ((status = 'failed') = (error_code is not null)),
    check (status in ('pending', 'processing') or sources = '{}')
);
create index call_recordings_oldest on call_recordings (org_id, created_at);
select make_tenant_table('call_recordings');
create policy service_opens on call_recordings for select to voxanne_service using (true);
grant select, insert, update, delete on call_recordings to voxanne_app;
grant select on call_recordings to voxanne_service;

create table recording_shares (
    id            uuid not null,
    org_id        uuid not null references organizations (id),
    call_id       uuid not null,
    recording_id  uuid not null,
    -- The e-mail it was sent in; nothing else is given the secret.
    message_id    uuid not null,
    token_hash    bytea not null check (length(token_hash) = 32),
    -- The secret, sealed under the platform's key for exactly this share.
    sealed_token  bytea not null,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    revoked_at    timestamptz,
    primary key (org_id, id),
    foreign key (org_id, call_id) references calls (org_id, id)
);
-- Opens a link. A hash of 256 random bits gives nothing away across organizations. A recording that was deleted leaves
-- its links, so that they say what became of it.
create unique index recording_shares_by_token on recording_shares (token_hash) include (org_id);
create index recording_shares_oldest on recording_shares (expires_at);
create index recording_shares_by_call on recording_shares (org_id, call_id, created_at desc);
select make_tenant_table('recording_shares');
create policy service_opens on recording_shares for select to voxanne_service using (true);
create policy service_expires_delete on recording_shares for delete to voxanne_service using (true);
grant select, insert, update on recording_shares to voxanne_app;
grant select, delete on recording_shares to voxanne_service;

-- Calls that we place.
create table call_backs (
    org_id             uuid not null references organizations (id),
    call_id            uuid not null,
    contact_id         uuid not null,
    phone_number       text not null check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    vapi_assistant_id  text not null,
    vapi_phone_id      text not null,
    -- asked: the provider is being asked, or whoever asked is gone.
    placement          text not null check (placement in ('asked', 'placed', 'not_placed')),
    requested_at       timestamptz not null,
    settled_at         timestamptz,
    primary key (org_id, call_id),
    foreign key (org_id, call_id) references calls (org_id, id),
    foreign key (org_id, contact_id) references contacts (org_id, id),
    check ((placement = 'asked') = (settled_at is null))
);
create index call_backs_by_contact on call_backs (org_id, contact_id, requested_at desc);
create index call_backs_asked on call_backs (org_id, phone_number) where placement = 'asked';
select make_tenant_table('call_backs');
grant select, insert, update on call_backs to voxanne_app;

-- Who holds or waits for one of the provider's lines. A held line is one of a call that is about to be placed; once it
-- is under way the call itself counts.
create table vapi_line_claims (
    org_id   uuid not null references organizations (id),
    call_id  uuid not null,
    state    text not null check (state in ('waiting', 'held')),
    until    timestamptz not null,
    primary key (org_id, call_id)
);
create index vapi_line_claims_until on vapi_line_claims (until);
select make_tenant_table('vapi_line_claims');
create policy service_shares on vapi_line_claims to voxanne_service using (true) with check (true);
grant select, insert, update, delete on vapi_line_claims to voxanne_service;

-- Lines in use are counted over all organizations.
create index calls_under_way on calls (started_at) include (org_id, call_type) where ended_at is null and reported_at is null;
