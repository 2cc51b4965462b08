-- The organization's own phones: the proof that a number is theirs, and how its calls are forwarded
-- (spec/08-hybrid-telephony.md).
create table verified_caller_ids (
    id                    uuid not null,
    org_id                uuid not null references organizations (id),
    phone_number          text not null check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    friendly_name         text check (length(friendly_name) between 1 and 64),
    twilio_caller_id_sid  text check (length(twilio_caller_id_sid) > 0),
    twilio_call_sid       text check (length(twilio_call_sid) > 0),
    -- The account in which the number is verified, whose token signs what Twilio says about it.
    twilio_account_sid    text not null check (length(twilio_account_sid) > 0),
    status                text not null check (status in ('pending', 'verified', 'failed', 'expired')),
    -- Names the latest attempt in Twilio's callback.
    callback_token        text not null check (length(callback_token) = 64),
    -- Argon2id of the code that is typed on the phone; null until Twilio has said it.
    code_hash             text,
    started_at            timestamptz not null,
    expires_at            timestamptz not null,
    attempts              smallint not null default 0 check (attempts between 0 and 5),
    locked_until          timestamptz,
    -- Twilio is not looked at for this number before.
    next_look_at          timestamptz,
    verified_at           timestamptz,
    created_at            timestamptz not null,
    updated_at            timestamptz not null,
    primary key (org_id, id),
    unique (org_id, phone_number),
    check ((status = 'verified') = (verified_at is not null and twilio_caller_id_sid is not null))
);
create unique index verified_caller_ids_by_id on verified_caller_ids (id);
create unique index verified_caller_ids_by_token on verified_caller_ids (callback_token);
create index verified_caller_ids_unfinished on verified_caller_ids (updated_at) where status <> 'verified';
select make_tenant_table('verified_caller_ids');
-- A callback names an attempt and no organization; the nightly round is for all of them.
create policy service_finds on verified_caller_ids for select to voxanne_service using (true);
create policy service_expires on verified_caller_ids for update to voxanne_service using (true) with check (true);
create policy service_forgets on verified_caller_ids for delete to voxanne_service using (true);
grant select, insert, update, delete on verified_caller_ids to voxanne_app;
grant select (org_id, id, twilio_account_sid, callback_token, status, expires_at, updated_at), delete
    on verified_caller_ids to voxanne_service;
grant update (status, updated_at) on verified_caller_ids to voxanne_service;

create table hybrid_forwarding_configs (
    id                       uuid not null,
    org_id                   uuid not null,
    verified_caller_id       uuid not null,
    sim_phone_number         text not null check (sim_phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    forwarding_type          text not null check (forwarding_type in ('total_ai', 'safety_net')),
    carrier                  text not null check (carrier in
                                 ('att', 'tmobile', 'verizon', 'sprint', 'other_gsm', 'other_cdma', 'international')),
    carrier_country_code     text not null default 'US' check (carrier_country_code ~ '^[A-Z]{2}$'),
    destination_phone_number text not null check (destination_phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    ring_time_seconds        smallint not null default 25 check (ring_time_seconds between 5 and 60),
    -- What is dialled first; the database does not believe anybody about what may be in it.
    generated_activation_code   text not null check (generated_activation_code ~ '^[0-9+*#]+$'),
    generated_deactivation_code text not null check (generated_deactivation_code ~ '^[0-9+*#]+$'),
    status                   text not null check (status in ('pending_setup', 'active', 'disabled')),
    -- Whether the person says that the codes were dialled, and since when.
    confirmed                boolean not null default false,
    confirmed_at             timestamptz,
    -- When a test call last arrived, which is the proof.
    test_call_verified_at    timestamptz,
    -- The test call whose outcome is open.
    test_call_from           text check (test_call_from ~ '^\+[1-9][0-9]{6,14}$'),
    test_call_started_at     timestamptz,
    test_call_sid            text check (length(test_call_sid) > 0),
    created_at               timestamptz not null,
    updated_at               timestamptz not null,
    primary key (org_id, id),
    unique (org_id, sim_phone_number),
    unique (org_id, verified_caller_id),
    foreign key (org_id, verified_caller_id) references verified_caller_ids (org_id, id) on delete cascade,
    check (destination_phone_number <> sim_phone_number),
    check (confirmed = (confirmed_at is not null)),
    check ((status = 'active') = confirmed),
    check ((test_call_from is null) = (test_call_started_at is null)),
    check (test_call_sid is null or test_call_from is not null)
);
create index hybrid_forwarding_configs_active on hybrid_forwarding_configs (org_id, destination_phone_number)
    where status = 'active';
select make_tenant_table('hybrid_forwarding_configs');
create policy service_spares on hybrid_forwarding_configs for select to voxanne_service using (true);
grant select, insert, update, delete on hybrid_forwarding_configs to voxanne_app;
grant select (org_id, verified_caller_id, status) on hybrid_forwarding_configs to voxanne_service;

-- Verification calls of the last hour, counted by number whoever asked for them: removing a number, or asking as another
-- organization, does not make a phone ring more often.
create table verification_calls (
    id            uuid primary key,
    phone_number  text not null,
    at            timestamptz not null
);
create index verification_calls_by_number on verification_calls (phone_number, at);
create index verification_calls_oldest on verification_calls (at);
alter table verification_calls enable row level security;
alter table verification_calls force row level security;
create policy service on verification_calls to voxanne_service using (true) with check (true);
grant select, insert, delete on verification_calls to voxanne_service;
