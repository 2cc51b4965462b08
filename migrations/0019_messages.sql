-- Messages to and from people, who carries them, and what providers tell of them (spec/09-messaging.md, Sending).

-- The accounts that an organization sends through. What opens them lies in org_credentials, one for each provider.
create table messaging_providers (
    id            uuid not null,
    org_id        uuid not null references organizations (id),
    channel       text not null check (channel in ('sms', 'email', 'whatsapp')),
    provider      text not null check (length(provider) between 1 and 32),
    from_address  text not null check (length(from_address) <= 320),
    -- The lowest is asked first.
    priority      integer not null check (priority between 0 and 1000),
    active        boolean not null default true,
    created_at    timestamptz not null,
    updated_at    timestamptz not null,
    primary key (org_id, id),
    constraint messaging_providers_one_each unique (org_id, channel, provider)
);
select make_tenant_table('messaging_providers');
grant select, insert, update, delete on messaging_providers to voxanne_app;

-- The unguessable part of the address that an organization's account at a provider reports to. It proves nothing but
-- where a report belongs, and is shown to people, who paste it at the provider; looked up by its hash, so that comparing
-- takes as long for every guess.
create table messaging_webhooks (
    org_id      uuid not null references organizations (id),
    provider    text not null check (length(provider) between 1 and 32),
    token       text not null check (length(token) >= 32),
    token_hash  bytea not null check (length(token_hash) = 32),
    created_at  timestamptz not null default now(),
    primary key (org_id, provider)
);
create unique index messaging_webhooks_by_token on messaging_webhooks (token_hash);
select make_tenant_table('messaging_webhooks');
create policy service_resolves on messaging_webhooks for select to voxanne_service using (true);
grant select, insert, delete on messaging_webhooks to voxanne_app;
grant select (org_id, provider, token_hash) on messaging_webhooks to voxanne_service;

create table messages (
    id                  uuid not null,
    org_id              uuid not null references organizations (id),
    contact_id          uuid,
    call_id             uuid,
    appointment_id      uuid,
    direction           text not null check (direction in ('inbound', 'outbound')),
    method              text not null check (method in ('sms', 'email', 'whatsapp')),
    purpose             text not null check (length(purpose) between 1 and 32),
    -- To whom; of an inbound one, from whom.
    recipient           text not null check (length(recipient) between 1 and 320),
    subject             text,
    content             text not null,
    -- What else is sent (HTML, files, a template's values); forgotten once the message is not sent any more.
    extra               jsonb check (jsonb_typeof(extra) = 'object'),
    status              text not null check (status in
                            ('queued', 'sent', 'delivered', 'failed', 'undelivered', 'bounced', 'complained', 'unknown')),
    -- Who carries it, or is to; whose account that is, and whether credit is charged.
    provider            text not null check (length(provider) between 1 and 32),
    is_platform         boolean not null,
    is_charged          boolean not null,
    external_id         text check (length(external_id) between 1 and 1000),
    error_code          text check (length(error_code) between 1 and 64),
    segments            integer check (segments > 0),
    cost_minor          bigint,
    cost_currency       text,
    -- Whether credit is set aside for it.
    is_reserved         boolean not null default false,
    -- Only through the organization's own account at this provider.
    through             text,
    not_before          timestamptz,
    not_after           timestamptz,
    attempts            integer not null default 0 check (attempts >= 0),
    rounds              integer not null default 0 check (rounds >= 0),
    -- The accounts that did not take it [{"provider", "platform", "code", "for_good", "until"}].
    tried               jsonb not null default '[]' check (jsonb_typeof(tried) = 'array'),
    -- When the attempt began that is under way, or whose outcome is unknown.
    attempt_started_at  timestamptz,
    -- Since when a provider may have it: before the attempt where that repeats one.
    sending_since       timestamptz,
    look_ups            integer not null default 0 check (look_ups >= 0),
    is_for_a_person     boolean not null default false,
    -- When something should happen with it next.
    due_at              timestamptz,
    sent_at             timestamptz,
    delivered_at        timestamptz,
    created_at          timestamptz not null,
    updated_at          timestamptz not null,
    primary key (org_id, id),
    foreign key (org_id, contact_id) references contacts (org_id, id),
    foreign key (org_id, call_id) references calls (org_id, id),
    foreign key (org_id, appointment_id) references appointments (org_id, id),
    check ((cost_minor is null) = (cost_currency is null)),
    check ((status = 'queued' and attempt_started_at is not null) = (sending_since is not null)),
    check (status <> 'unknown' or attempt_started_at is not null),
    check (status not in ('queued', 'unknown') or sent_at is null),
    check (status in ('queued', 'unknown', 'failed') or sent_at is not null),
    check (status in ('queued', 'unknown') or due_at is null),
    check (not is_reserved or status in ('queued', 'unknown'))
);
create index messages_newest on messages (org_id, created_at desc, id desc);
create index messages_by_status on messages (org_id, status, created_at desc, id desc);
create index messages_by_call on messages (org_id, call_id, created_at desc, id desc) where call_id is not null;
create index messages_by_contact on messages (org_id, contact_id, created_at desc, id desc) where contact_id is not null;
create index messages_by_external_id on messages (org_id, provider, external_id) where external_id is not null;
create index messages_due on messages (due_at) where due_at is not null;
-- Our own accounts are told of messages whoever's they are.
create index messages_of_platform on messages (id) where is_platform;
create index messages_of_platform_by_external_id on messages (provider, external_id)
    where is_platform and external_id is not null;
create index messages_of_platform_to on messages (provider, recipient, created_at desc)
    where is_platform and direction = 'outbound';
select make_tenant_table('messages');
create policy service_finds on messages for select to voxanne_service using (true);
grant select, insert, update on messages to voxanne_app;
grant select (id, org_id, direction, recipient, provider, is_platform, external_id, created_at, due_at)
    on messages to voxanne_service;

-- Every time that a message was, or was about to be, given to a provider; for the figures of providers.
create table message_attempts (
    org_id       uuid not null,
    message_id   uuid not null,
    number       integer not null check (number > 0),
    method       text not null,
    provider     text not null,
    is_platform  boolean not null,
    started_at   timestamptz not null,
    ended_at     timestamptz,
    outcome      text check (outcome in ('accepted', 'refused', 'given_up', 'unknown', 'not_taken')),
    error_code   text check (length(error_code) between 1 and 64),
    primary key (org_id, message_id, number),
    foreign key (org_id, message_id) references messages (org_id, id) on delete cascade,
    check ((ended_at is null) = (outcome is null))
);
create index message_attempts_recent on message_attempts (org_id, started_at desc);
create index message_attempts_oldest on message_attempts (started_at);
select make_tenant_table('message_attempts');
create policy service_expires on message_attempts for select to voxanne_service using (true);
create policy service_expires_delete on message_attempts for delete to voxanne_service using (true);
grant select, insert, update on message_attempts to voxanne_app;
grant select, delete on message_attempts to voxanne_service;

-- Accounts that have failed: how often in a row, and until when they are left alone. All who send heed it.
create table messaging_account_health (
    org_id          uuid not null references organizations (id),
    method          text not null,
    provider        text not null,
    is_platform     boolean not null,
    failures        integer not null default 0 check (failures >= 0),
    open_until      timestamptz,
    last_code       text,
    last_failed_at  timestamptz,
    -- Whether the organization was told since it last worked, and when it was last told.
    is_told         boolean not null default false,
    told_at         timestamptz,
    primary key (org_id, method, provider, is_platform)
);
select make_tenant_table('messaging_account_health');
grant select, insert, update, delete on messaging_account_health to voxanne_app;

-- What providers told, once each. One without a message waits for it to be known.
create table messaging_events (
    org_id         uuid not null references organizations (id),
    provider       text not null,
    is_platform    boolean not null,
    -- SHA-256 of the event's id, which may be long.
    event_key      bytea not null check (length(event_key) = 32),
    event_id       text not null,
    message_id     uuid,
    external_id    text,
    -- Null of what concerns no message of ours.
    status         text,
    error_code     text,
    at             timestamptz,
    cost_minor     bigint,
    cost_currency  text,
    received_at    timestamptz not null,
    primary key (org_id, provider, event_key),
    foreign key (org_id, message_id) references messages (org_id, id) on delete cascade
);
create index messaging_events_waiting on messaging_events (org_id, provider, external_id, received_at)
    where message_id is null and external_id is not null;
create index messaging_events_by_message on messaging_events (org_id, message_id) where message_id is not null;
create index messaging_events_oldest on messaging_events (received_at);
select make_tenant_table('messaging_events');
create policy service_expires on messaging_events for select to voxanne_service using (true);
create policy service_expires_delete on messaging_events for delete to voxanne_service using (true);
grant select, insert, update on messaging_events to voxanne_app;
grant select, delete on messaging_events to voxanne_service;

-- The same from our own accounts, as long as nobody knows whose message it is.
create table messaging_orphans (
    provider       text not null,
    event_key      bytea not null check (length(event_key) = 32),
    event_id       text not null,
    message_id     uuid,
    external_id    text,
    status         text not null,
    error_code     text,
    at             timestamptz,
    cost_minor     bigint,
    cost_currency  text,
    received_at    timestamptz not null,
    primary key (provider, event_key)
);
create index messaging_orphans_oldest on messaging_orphans (received_at);
alter table messaging_orphans enable row level security;
alter table messaging_orphans force row level security;
create policy service on messaging_orphans to voxanne_service using (true) with check (true);
grant select, insert, delete on messaging_orphans to voxanne_service;
