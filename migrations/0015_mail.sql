-- The platform's own mails, one row for each person (spec/02-tenancy.md, spec/07-provisioning.md, E-mails). Written with
-- what they tell of; sent by a job.
create table platform_mails (
    -- The provider knows a mail again by it.
    id                   uuid primary key,
    -- Null for what is told to somebody as the holder of an account, which belongs to no organization.
    org_id               uuid references organizations (id),
    user_id              uuid not null references users (id),
    kind                 text not null check (length(kind) between 1 and 64),
    -- Two mails of the same topic tell the same.
    topic                text not null check (length(topic) between 1 and 200),
    -- Ids and safe facts.
    data                 jsonb not null default '{}' check (jsonb_typeof(data) = 'object'),
    -- queued: no provider has it; sending: a provider may have it; the rest are ends.
    status               text not null default 'queued'
        check (status in ('queued', 'sending', 'sent', 'failed', 'unknown', 'not_configured')),
    error_code           text check (length(error_code) between 1 and 64),
    provider_message_id  text check (length(provider_message_id) > 0),
    attempts             integer not null default 0 check (attempts >= 0),
    -- Since when a provider may have it.
    sending_since        timestamptz,
    -- The words, from the first attempt until it is settled: what is sent again must be the same.
    recipient            text,
    subject              text,
    body_text            text,
    body_html            text,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    check ((status = 'sending') = (sending_since is not null)),
    check ((status = 'sent') = (provider_message_id is not null)),
    check ((status = 'failed') = (error_code is not null)),
    check (num_nulls(recipient, subject, body_text, body_html) in (0, 4)),
    check (status not in ('sent', 'failed', 'unknown', 'not_configured') or recipient is null),
    check (status <> 'sending' or recipient is not null)
);
create index platform_mails_told on platform_mails (org_id, user_id, topic, created_at desc);
create index platform_mails_told_holder on platform_mails (user_id, topic, created_at desc) where org_id is null;
select make_tenant_table('platform_mails');
create policy service_holders on platform_mails to voxanne_service using (org_id is null) with check (org_id is null);
grant select, insert, update on platform_mails to voxanne_app, voxanne_service;
