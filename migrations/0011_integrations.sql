-- What the voice service holds of the carrier account that an organization brought (spec/03-credentials.md, Twilio
-- dual-sync). A row is written before anything is made there and goes when everything there is gone, so that what an
-- interrupted attempt left is found.
create table twilio_lines (
    org_id              uuid primary key references organizations (id),
    -- Vapi's id of the account; null until it is known, and where Vapi does not take it.
    vapi_credential_id  text check (length(vapi_credential_id) > 0),
    -- The credential that everything here follows from; null while a step is still to come.
    in_step_with        uuid,
    created_at          timestamptz not null default now(),
    updated_at          timestamptz not null default now()
);
select make_tenant_table('twilio_lines');
grant select, insert, update, delete on twilio_lines to voxanne_app;

-- Every number that was, or was about to be, imported and has not been seen to go.
create table twilio_line_numbers (
    org_id         uuid not null references twilio_lines (org_id) on delete cascade,
    phone_number   text not null check (phone_number ~ '^\+[1-9][0-9]{6,14}$'),
    -- Null until Vapi has said it.
    vapi_phone_id  text check (length(vapi_phone_id) > 0),
    created_at     timestamptz not null default now(),
    primary key (org_id, phone_number)
);
select make_tenant_table('twilio_line_numbers');
grant select, insert, update, delete on twilio_line_numbers to voxanne_app;
