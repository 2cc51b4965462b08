-- What an organization may send, to whom, when, and for how much (spec/09-messaging.md, Limits and consent, Credits).

-- One row for an organization that has chosen something; without one the defaults of the columns hold.
create table messaging_settings (
    org_id                 uuid primary key references organizations (id),
    mode                   text not null default 'platform_managed'
        check (mode in ('customer_managed', 'platform_managed')),
    fallback_to_platform   boolean not null default true,
    -- By the clocks of the recipient, or of the organization; both null for none.
    quiet_from             time default '21:00',
    quiet_until            time default '08:00',
    contact_pause_minutes  integer not null default 60 check (contact_pause_minutes between 0 and 10080),
    rate_per_minute        integer not null default 6000 check (rate_per_minute between 1 and 60000),
    daily_cap              integer check (daily_cap between 0 and 10000000),
    monthly_cap            integer check (monthly_cap between 0 and 10000000),
    monthly_budget_minor   bigint check (monthly_budget_minor > 0),
    updated_at             timestamptz not null default now(),
    check (num_nulls(quiet_from, quiet_until) in (0, 2)),
    check (quiet_from <> quiet_until)
);
select make_tenant_table('messaging_settings');
grant select, insert, update on messaging_settings to voxanne_app;

-- The state of a rate is one time: when its bucket will be full again.
create table messaging_rates (
    org_id  uuid not null references organizations (id),
    -- 'organization', or 'contact:' and an id.
    bucket  text not null check (length(bucket) between 1 and 100),
    due_at  timestamptz not null,
    primary key (org_id, bucket)
);
select make_tenant_table('messaging_rates');
grant select, insert, update, delete on messaging_rates to voxanne_app;

-- How many messages a day ('2026-11-21') or a month ('2026-11') had, by the organization's clocks.
create table messaging_counts (
    org_id    uuid not null references organizations (id),
    period    text not null check (period ~ '^[0-9]{4}-[0-9]{2}(-[0-9]{2})?$'),
    messages  bigint not null check (messages >= 0),
    primary key (org_id, period)
);
select make_tenant_table('messaging_counts');
grant select, insert, update, delete on messaging_counts to voxanne_app;

create table message_suppressions (
    id          uuid not null,
    org_id      uuid not null references organizations (id),
    channel     text not null check (channel in ('sms', 'email', 'whatsapp')),
    -- E.164, or an address in lower case.
    recipient   text not null check (length(recipient) between 1 and 254 and recipient = lower(recipient)),
    reason      text not null check (reason in ('stop', 'complaint', 'hard_bounce', 'manual')),
    created_at  timestamptz not null,
    primary key (org_id, id),
    constraint message_suppressions_recipient unique (org_id, channel, recipient)
);
create index message_suppressions_newest on message_suppressions (org_id, created_at desc, id desc);
select make_tenant_table('message_suppressions');
grant select, insert, delete on message_suppressions to voxanne_app;

create table message_templates (
    id          uuid not null,
    org_id      uuid not null references organizations (id),
    name        text not null check (length(name) between 1 and 120),
    channel     text not null check (channel in ('sms', 'email', 'whatsapp')),
    subject     text check ((channel = 'email') = (subject is not null)),
    body        text not null check (length(body) > 0),
    version     integer not null check (version > 0),
    created_at  timestamptz not null,
    updated_at  timestamptz not null,
    primary key (org_id, id)
);
create unique index message_templates_by_name on message_templates (org_id, lower(name));
create index message_templates_newest on message_templates (org_id, created_at desc, id desc);
select make_tenant_table('message_templates');
grant select, insert, update, delete on message_templates to voxanne_app;

-- What a template said; the newest version is what it says.
create table message_template_versions (
    org_id       uuid not null,
    template_id  uuid not null,
    version      integer not null check (version > 0),
    name         text not null,
    subject      text,
    body         text not null,
    created_at   timestamptz not null,
    primary key (org_id, template_id, version),
    foreign key (org_id, template_id) references message_templates (org_id, id) on delete cascade
);
select make_tenant_table('message_template_versions');
grant select, insert on message_template_versions to voxanne_app;

-- What is left of an organization's credit: the sum of its entries, which nothing but an entry changes. Whoever spends
-- locks this row.
create table credit_accounts (
    org_id         uuid primary key references organizations (id),
    currency       text not null default 'USD' check (currency ~ '^[A-Z]{3}$'),
    balance_minor  bigint not null default 0,
    -- What the newest month (in UTC) used, and the share of the budget that somebody was told of in it.
    month          text check (month ~ '^[0-9]{4}-[0-9]{2}$'),
    spent_minor    bigint not null default 0,
    told_percent   smallint not null default 0 check (told_percent in (0, 50, 80, 100)),
    created_at     timestamptz not null default now()
);
select make_tenant_table('credit_accounts');
grant select, insert, update on credit_accounts to voxanne_app;

-- Each movement of credit. They are only ever added; like the audit trail they outlive the organization.
create table credit_entries (
    id            uuid not null,
    org_id        uuid not null,
    kind          text not null check (kind in ('grant', 'reserve', 'settle', 'refund')),
    amount_minor  bigint not null,
    -- The message that it is for.
    message_id    uuid,
    -- The month that the message's credit was reserved in, whenever the entry is made.
    month         text check (month ~ '^[0-9]{4}-[0-9]{2}$'),
    -- What can be granted once only: 'signup'.
    grant_key     text check (length(grant_key) between 1 and 64),
    note          text check (length(note) <= 500),
    created_at    timestamptz not null,
    primary key (org_id, id),
    check ((kind = 'grant') = (message_id is null)),
    check ((kind = 'grant') = (month is null)),
    check (kind = 'grant' or grant_key is null),
    check (case kind when 'grant' then amount_minor >= 0 when 'reserve' then amount_minor <= 0
                     when 'refund' then amount_minor >= 0 else true end)
);
-- A message is reserved for once, settled once, and refunded once.
create unique index credit_entries_once on credit_entries (org_id, message_id, kind) where message_id is not null;
create unique index credit_entries_granted_once on credit_entries (org_id, grant_key) where grant_key is not null;
create index credit_entries_newest on credit_entries (org_id, created_at desc, id desc);
select make_tenant_table('credit_entries');
grant select, insert on credit_entries to voxanne_app;

create function move_credit() returns trigger language plpgsql as $$
declare
    remaining bigint;
begin
    update credit_accounts a
       set balance_minor = a.balance_minor + new.amount_minor,
           spent_minor = case when new.month is null or new.month < a.month then a.spent_minor
                              when new.month = a.month then a.spent_minor - new.amount_minor
                              else -new.amount_minor end,
           told_percent = case when new.month > coalesce(a.month, '') then 0 else a.told_percent end,
           month = greatest(a.month, new.month)
     where a.org_id = new.org_id
    returning a.balance_minor into remaining;
    if not found then
        raise exception 'organization % has no credit account', new.org_id;
    end if;
    if new.kind = 'reserve' and new.amount_minor < 0 and remaining < 0 then
        raise exception 'more credit is reserved than there is';
    end if;
    return null;
end $$;
revoke execute on function move_credit from public;
create trigger move_credit after insert on credit_entries for each row execute function move_credit();

create function refuse_rewriting_ledger() returns trigger language plpgsql as $$
begin
    raise exception 'credit_entries is append-only' using errcode = 'insufficient_privilege';
end $$;
revoke execute on function refuse_rewriting_ledger from public;
create trigger append_only before update or delete on credit_entries
    for each row execute function refuse_rewriting_ledger();
create trigger append_only_truncate before truncate on credit_entries
    for each statement execute function refuse_rewriting_ledger();

-- What a segment of a text message, or one e-mail or WhatsApp message, costs an organization through our account: in
-- millionths of a US dollar. An operator changes rows of it; '*' is everywhere that has no row of its own.
create table message_prices (
    channel      text not null check (channel in ('sms', 'email', 'whatsapp')),
    provider     text not null check (length(provider) > 0),
    country      text not null check (country ~ '^([A-Z]{2}|\*)$'),
    unit_micros  bigint not null check (unit_micros between 0 and 100000000),
    primary key (channel, provider, country)
);
insert into message_prices (channel, provider, country, unit_micros) values
    ('sms', 'twilio', '*', 120000), ('sms', 'twilio', 'US', 8300), ('sms', 'twilio', 'CA', 8300),
    ('sms', 'twilio', 'PR', 46000), ('sms', 'twilio', 'GB', 46000), ('sms', 'twilio', 'IE', 70000),
    ('sms', 'twilio', 'FR', 76000), ('sms', 'twilio', 'DE', 98000), ('sms', 'twilio', 'ES', 75000),
    ('sms', 'twilio', 'IT', 88000), ('sms', 'twilio', 'PT', 49000), ('sms', 'twilio', 'NL', 98000),
    ('sms', 'twilio', 'BE', 92000), ('sms', 'twilio', 'CH', 74000), ('sms', 'twilio', 'AT', 96000),
    ('sms', 'twilio', 'AU', 52000), ('sms', 'twilio', 'NZ', 95000), ('sms', 'twilio', 'IN', 84000),
    ('sms', 'twilio', 'ZA', 28000), ('sms', 'twilio', 'NG', 290000), ('sms', 'twilio', 'KE', 250000),
    ('sms', 'twilio', 'GH', 290000), ('sms', 'twilio', 'MX', 36000), ('sms', 'twilio', 'BR', 60000),
    ('sms', 'africastalking', '*', 150000), ('sms', 'africastalking', 'KE', 8000),
    ('sms', 'africastalking', 'UG', 10000), ('sms', 'africastalking', 'TZ', 13000),
    ('sms', 'africastalking', 'RW', 12000), ('sms', 'africastalking', 'NG', 5000),
    ('sms', 'africastalking', 'GH', 27000), ('sms', 'africastalking', 'ZA', 19000),
    ('sms', 'africastalking', 'MW', 30000), ('sms', 'africastalking', 'ZM', 25000),
    ('sms', 'africastalking', 'ET', 60000), ('sms', 'africastalking', 'CI', 45000),
    ('sms', 'termii', '*', 160000), ('sms', 'termii', 'NG', 4000), ('sms', 'termii', 'GH', 30000),
    ('sms', 'termii', 'KE', 15000), ('sms', 'termii', 'ZA', 30000), ('sms', 'termii', 'CI', 50000),
    ('email', 'resend', '*', 400), ('email', 'sendgrid', '*', 900), ('email', 'mailgun', '*', 800),
    ('email', 'smtp', '*', 100),
    ('whatsapp', 'whatsapp', '*', 20000), ('whatsapp', 'whatsapp', 'US', 4000), ('whatsapp', 'whatsapp', 'CA', 4000),
    ('whatsapp', 'whatsapp', 'IN', 1400), ('whatsapp', 'whatsapp', 'GB', 22000), ('whatsapp', 'whatsapp', 'DE', 55000),
    ('whatsapp', 'whatsapp', 'FR', 30000), ('whatsapp', 'whatsapp', 'BR', 6800), ('whatsapp', 'whatsapp', 'MX', 8500),
    ('whatsapp', 'whatsapp', 'NG', 6700),
    ('whatsapp', 'twilio', '*', 25000), ('whatsapp', 'twilio', 'US', 9000), ('whatsapp', 'twilio', 'CA', 9000),
    ('whatsapp', 'twilio', 'IN', 6400), ('whatsapp', 'twilio', 'GB', 27000), ('whatsapp', 'twilio', 'DE', 60000);
alter table message_prices enable row level security;
alter table message_prices force row level security;
create policy in_an_organization on message_prices for select to voxanne_app
    using ((select current_org()) is not null);
grant select on message_prices to voxanne_app;
