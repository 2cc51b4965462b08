-- Numbers that we buy for organizations, each in a subaccount of its organization (spec/07-provisioning.md, Managed
-- numbers).

-- The subaccount. A row is there before it is opened; its secret lies in the organization's slot for Twilio. Whoever
-- counts numbers and buys one locks this row first.
create table managed_telephony_accounts (
    org_id              uuid primary key references organizations (id),
    twilio_account_sid  text check (length(twilio_account_sid) > 0),
    vapi_credential_id  text check (length(vapi_credential_id) > 0),
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now()
);
select make_tenant_table('managed_telephony_accounts');
create policy service_reconciles on managed_telephony_accounts for select to voxanne_service using (true);
grant select, insert, update on managed_telephony_accounts to voxanne_app;
grant select on managed_telephony_accounts to voxanne_service;

create table managed_phone_numbers (
    id                   uuid not null,
    org_id               uuid not null references organizations (id),
    phone_number         text not null check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    status               text not null check (status in ('buying', 'active', 'releasing', 'released', 'failed')),
    -- The number's friendly name at Twilio: how an interrupted purchase is found.
    tag                  text not null check (length(tag) between 1 and 64),
    -- What was asked for, so that an interrupted purchase can be gone on with.
    wanted_country       text not null check (wanted_country ~ '^[A-Z]{2}$'),
    wanted_area_code     text check (wanted_area_code ~ '^[2-9][0-9]{2}$'),
    wanted_number        text check (wanted_number ~ '^\+[1-9][0-9]{6,14}$'),
    allow_fallback       boolean not null default false,
    twilio_account_sid   text not null,
    twilio_number_sid    text check (length(twilio_number_sid) > 0),
    vapi_phone_id        text check (length(vapi_phone_id) > 0),
    vapi_released        boolean not null default false,
    twilio_released      boolean not null default false,
    error_code           text,
    asked_at             timestamptz not null,
    purchased_at         timestamptz,
    released_at          timestamptz,
    updated_at           timestamptz not null default now(),
    primary key (org_id, id),
    check (status <> 'active' or (twilio_number_sid is not null and vapi_phone_id is not null)),
    -- Released is what both have confirmed, never anything else (decision D17).
    check (status <> 'released' or (vapi_released and twilio_released and released_at is not null)),
    check ((status = 'failed') = (error_code is not null))
);
create index managed_phone_numbers_newest on managed_phone_numbers (org_id, asked_at desc, id desc);
-- Nobody begins to buy what somebody is buying or has.
create unique index managed_phone_numbers_live on managed_phone_numbers (phone_number)
    where status in ('buying', 'active', 'releasing');
select make_tenant_table('managed_phone_numbers');
create policy service_reconciles on managed_phone_numbers for select to voxanne_service using (true);
grant select, insert, update on managed_phone_numbers to voxanne_app;
grant select on managed_phone_numbers to voxanne_service;

-- Reconciliation has to know what the voice service holds for lines that organizations brought.
create policy service_reconciles on twilio_lines for select to voxanne_service using (true);
create policy service_reconciles on twilio_line_numbers for select to voxanne_service using (true);
grant select on twilio_lines, twilio_line_numbers to voxanne_service;

-- A subaccount is suspended with its organization, and used again with it, whoever decides that and how.
create function queue_managed_account_sync() returns trigger
    language plpgsql as $$
begin
    insert into outbox (org_id, task, payload, queue, key, max_attempts)
    select new.id, 'sync_managed_account', jsonb_build_object('org_id', new.id), 'managed-account:' || new.id,
           'managed-account:' || new.id, 500
      from managed_telephony_accounts a where a.org_id = new.id;
    return null;
end $$;
revoke execute on function queue_managed_account_sync from public;
create trigger managed_account_follows after update on organizations
    for each row when (old.status is distinct from new.status) execute function queue_managed_account_sync();
