-- Connections to calendars (spec/03-credentials.md, Google forever link and Outlook).

-- Who was sent to a provider's consent page, until they come back. The browser comes back without its session, so the
-- row is found by the SHA-256 of what was sent along, and is gone once it was found. It goes with the membership.
create table oauth_states (
    -- What the state and the verifier are sealed for, besides the organization and the provider.
    id           uuid not null,
    org_id       uuid not null,
    user_id      uuid not null,
    provider     text not null check (provider in ('google_calendar', 'outlook_calendar')),
    digest       bytea not null check (length(digest) = 32),
    -- The PKCE verifier, sealed.
    verifier     bytea not null,
    return_path  text not null check (return_path ~ '^/([^/]|$)'),
    expires_at   timestamptz not null,
    created_at   timestamptz not null default now(),
    primary key (org_id, id),
    foreign key (org_id, user_id) references profiles (org_id, user_id) on delete cascade
);
-- Over digests of 256 random bits that we chose: the key tells a tenant nothing.
create unique index oauth_states_by_digest on oauth_states (digest);
create index oauth_states_by_user on oauth_states (org_id, user_id);
create index oauth_states_oldest on oauth_states (expires_at);
select make_tenant_table('oauth_states');
create policy service_finds on oauth_states for select to voxanne_service using (true);
create policy service_takes on oauth_states for delete to voxanne_service using (true);
grant insert on oauth_states to voxanne_app;
grant select, delete on oauth_states to voxanne_service;

-- What has to be known of a connection across organizations: when it is to be refreshed, and whether another one lives
-- by the same account's grant. It goes with the credential that holds its tokens.
create table oauth_connections (
    org_id             uuid not null,
    provider           text not null check (provider in ('google_calendar', 'outlook_calendar')),
    -- The provider's id of the account.
    subject            text not null check (length(subject) > 0),
    access_expires_at  timestamptz not null,
    refreshed_at       timestamptz not null,
    -- When the grant as a whole ends, where the provider says so.
    grant_expires_at   timestamptz,
    -- Since when the grant is gone.
    ended_at           timestamptz,
    primary key (org_id, provider),
    foreign key (org_id, provider) references org_credentials (org_id, provider) on delete cascade
);
create index oauth_connections_due on oauth_connections (access_expires_at) where ended_at is null;
create index oauth_connections_idle on oauth_connections (refreshed_at) where ended_at is null;
create index oauth_connections_by_subject on oauth_connections (provider, subject) where ended_at is null;
select make_tenant_table('oauth_connections');
create policy service_refreshes on oauth_connections for select to voxanne_service using (true);
grant select, insert, update, delete on oauth_connections to voxanne_app;
grant select on oauth_connections to voxanne_service;
