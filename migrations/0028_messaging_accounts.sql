-- Which accounts an organization sends through, and which message is what an account knows (spec/09-messaging.md).

-- Since when an account that was entered is none any more, although what opens it may stay: Twilio's credential opens the
-- organization's line as well. It counts as long as the credential is of the same connection.
alter table messaging_providers add column removed_at timestamptz;

-- Whether a credential is known to open nothing. A line that could not be set up at the voice service says nothing of
-- the account behind it.
create function opens_nothing(status text, error_code text) returns boolean
    language sql immutable
    return status = 'reconnect_required'
        or status = 'failed'
           and coalesce(error_code, '') not in ('vapi_credential', 'vapi_phone_number', 'routing');

-- The accounts that organizations send through: those that somebody entered as such, and those that a credential makes
-- which was connected as an integration. The latter have an id that stays, however often the credential changes; Twilio's
-- comes before all others, because contacts know the number.
create view messaging_accounts with (security_invoker = true) as
select p.org_id, p.channel, p.provider, p.id, p.from_address, p.priority, p.priority as place, p.active,
       p.created_at, p.updated_at, true as is_entered, c.source = 'managed' as is_managed, c.status, c.error_code,
       c.last_verified_at
  from messaging_providers p
  left join org_credentials c on c.org_id = p.org_id and c.provider = p.provider and c.is_active
 where p.removed_at is null
union all
select c.org_id, k.channel, c.provider,
       encode(substring(sha256(convert_to(c.org_id || ' ' || c.provider, 'UTF8')) for 16), 'hex')::uuid,
       coalesce(n.phone_number, c.metadata ->> 'phoneNumber', c.metadata ->> 'fromEmail', c.metadata ->> 'fromNumber',
                c.metadata ->> 'phoneNumberId', ''),
       case when c.provider = 'twilio' then 0 else 100 end, case when c.provider = 'twilio' then -1 else 100 end,
       c.status <> 'unverified', c.created_at, c.updated_at, false, c.source = 'managed', c.status, c.error_code,
       c.last_verified_at
  from org_credentials c
  join (values ('twilio', 'sms'), ('africastalking', 'sms'), ('termii', 'sms'), ('resend', 'email'),
               ('sendgrid', 'email'), ('mailgun', 'email'), ('smtp', 'email'), ('postmark', 'email'), ('ses', 'email'),
               ('whatsapp', 'whatsapp')) k (provider, channel) on k.provider = c.provider
  left join lateral (select m.phone_number from managed_phone_numbers m
                      where c.provider = 'twilio' and c.source = 'managed' and m.org_id = c.org_id
                        and m.status = 'active'
                      order by m.asked_at, m.id limit 1) n on true
 where c.is_active
   and not exists (select from messaging_providers p
                    where p.org_id = c.org_id and p.channel = k.channel and p.provider = c.provider
                      and (p.removed_at is null or p.removed_at >= c.created_at))
   and (c.provider <> 'twilio' or n.phone_number is not null
        or c.source <> 'managed' and c.metadata ->> 'phoneNumber' is not null);
grant select on messaging_accounts to voxanne_app;

-- Messages that a look-up found at their provider, by the words they say. What one was found to be, no other one is.
create table messages_found (
    org_id       uuid not null,
    message_id   uuid not null,
    provider     text not null check (length(provider) between 1 and 32),
    is_platform  boolean not null,
    external_id  text not null check (length(external_id) between 1 and 1000),
    found_at     timestamptz not null,
    primary key (org_id, message_id),
    foreign key (org_id, message_id) references messages (org_id, id) on delete cascade
);
create unique index messages_found_once on messages_found (org_id, provider, external_id) where not is_platform;
-- Our own accounts carry the messages of everybody.
create unique index messages_found_once_of_platform on messages_found (provider, external_id) where is_platform;
select make_tenant_table('messages_found');
grant select, insert on messages_found to voxanne_app;

-- Those that a provider is asked to take at this moment.
create index messages_on_their_way on messages (provider, recipient) where sending_since is not null;
grant select (sending_since, sent_at) on messages to voxanne_service;
