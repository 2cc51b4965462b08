-- Booking in one round trip (spec/06-scheduling.md, performance.md).

-- The name given for this appointment: one number may book for a whole family.
alter table appointments add column patient_name text check (length(patient_name) <= 200);

-- Books the first free candidate, or says why not; all of it or nothing. Called alone, as its own transaction.
--
-- Rules were checked by the caller against the calendar of p_version. What is left are the questions that only the
-- database can answer: was this tool call answered before, is the calendar still that one, is the time free.
-- Locks are taken in the order day, contact, call. An exclusion violation (23P01) or a second delivery of the tool
-- call committed in this instant (23505 on tool_invocations) undoes everything; calling again gives the answer.
create function book_appointment(
    p_org uuid, p_version bigint, p_id uuid, p_days date[], p_candidates uuid[],
    p_starts timestamptz, p_ends timestamptz, p_from timestamptz, p_until timestamptz,
    p_near_from timestamptz, p_near_until timestamptz,
    p_service uuid, p_service_name text, p_status text, p_source text, p_notes text, p_summary text,
    p_contact uuid, p_new_contact uuid, p_name text, p_phone text, p_email text,
    p_vapi_call text, p_tool_call text, p_new_call uuid, p_call_type text, p_assistant text, p_number text,
    p_outcome jsonb,
    out result text, out contact uuid, out resource uuid, out call uuid, out remembered jsonb,
    out busy_resources uuid[], out busy_from timestamptz[], out busy_until timestamptz[])
    language plpgsql as $$
declare
    day date;
    number bigint;
begin
    perform enter_org(p_org), set_config('lock_timeout', '300ms', true);

    -- Statements of their own: what follows must see what the previous holder committed.
    foreach day in array p_days loop
        perform pg_advisory_xact_lock(hashtextextended(p_org::text || day::text, 0));
    end loop;

    if p_tool_call is not null then
        select t.outcome into remembered from tool_invocations t
         where t.org_id = p_org and t.vapi_call_id = p_vapi_call and t.tool_call_id = p_tool_call;
        if found then
            result := 'repeated';
            return;
        end if;
    end if;

    if p_version is distinct from (select o.settings_version from organizations o where o.id = p_org) then
        result := 'stale';
        return;
    end if;

    -- No appointment blocks more than a day, so none that began blocking earlier can reach into this one.
    select r.id, r.resource_no into resource, number
      from unnest(p_candidates) with ordinality as wanted(id, rank)
      join resources r on r.org_id = p_org and r.id = wanted.id
     where not exists (
               select from appointments a
                where a.org_id = p_org and a.resource_id = wanted.id
                  and a.status in ('pending_approval', 'confirmed', 'rescheduled')
                  and a.blocked_from < p_until and a.blocked_from > p_from - interval '1 day'
                  and a.blocked_until > p_from)
     order by wanted.rank
     limit 1;
    if not found then
        result := 'taken';
        select coalesce(array_agg(a.resource_id), '{}'), coalesce(array_agg(a.blocked_from), '{}'),
               coalesce(array_agg(a.blocked_until), '{}')
          into busy_resources, busy_from, busy_until
          from appointments a
         where a.org_id = p_org and a.status in ('pending_approval', 'confirmed', 'rescheduled')
           and a.starts_at > p_near_from - interval '1 day' and a.starts_at < p_near_until + interval '1 day'
           and a.blocked_from < p_near_until and a.blocked_until > p_near_from;
        return;
    end if;

    if p_contact is not null then
        update contacts c
           set lead_status = 'booked', updated_at = now(),
               services_interested = with_service(c.services_interested, p_service_name)
         where c.org_id = p_org and c.id = p_contact
        returning c.id into contact;
        if not found then
            result := 'unknown_contact';
            return;
        end if;
    else
        insert into contacts as c (id, org_id, name, phone, email, lead_status, services_interested, last_contacted_at)
        values (p_new_contact, p_org, p_name, p_phone, p_email, 'booked', with_service('{}', p_service_name),
                case when p_tool_call is not null then now() end)
        on conflict (org_id, phone) do update
           set name = coalesce(nullif(c.name, ''), excluded.name),
               email = coalesce(c.email, excluded.email),
               lead_status = 'booked',
               services_interested = with_service(c.services_interested, p_service_name),
               last_contacted_at = coalesce(excluded.last_contacted_at, c.last_contacted_at),
               updated_at = now()
        returning c.id into contact;
    end if;

    if p_tool_call is not null then
        -- The call belongs to whoever speaks, who may book for somebody else.
        insert into calls as k (id, org_id, vapi_call_id, call_type, status, vapi_assistant_id, phone_number, contact_id,
                                started_at, booking_confirmed)
        values (p_new_call, p_org, p_vapi_call, p_call_type, 'in_progress', p_assistant, p_number,
                case when p_number = p_phone then contact end, now(), true)
        on conflict (org_id, vapi_call_id) do update
           set booking_confirmed = true, contact_id = coalesce(k.contact_id, excluded.contact_id), updated_at = now()
        returning k.id into call;
    end if;

    insert into appointments (id, org_id, contact_id, call_id, service_id, resource_id, resource_no, starts_at, ends_at,
                              blocked_from, blocked_until, status, source, notes, patient_name)
    values (p_id, p_org, contact, call, p_service, resource, number, p_starts, p_ends, p_from, p_until, p_status,
            p_source, p_notes, p_name);

    insert into activity_events (org_id, kind, summary, call_id, appointment_id, contact_id)
    values (p_org, 'appointment_booked', p_summary, call, p_id, contact);

    if p_tool_call is not null then
        insert into tool_invocations (org_id, vapi_call_id, tool_call_id, outcome)
        values (p_org, p_vapi_call, p_tool_call,
                p_outcome || jsonb_build_object('contact', contact, 'resource', resource));
    end if;
    result := 'booked';
end $$;

-- The list with the service in it.
create function with_service(services text[], service text) returns text[]
    language sql immutable parallel safe
    return case when service is null or service = any (services) then services else services || service end;

-- Remembers what a tool call led to, unless an earlier delivery of it was answered; gives the answer that stands.
create function remember_tool_outcome(p_org uuid, p_vapi_call text, p_tool_call text, p_outcome jsonb) returns jsonb
    language plpgsql as $$
declare
    standing jsonb;
begin
    perform enter_org(p_org);
    insert into tool_invocations (org_id, vapi_call_id, tool_call_id, outcome)
    values (p_org, p_vapi_call, p_tool_call, p_outcome)
    on conflict do nothing;
    if found then
        return p_outcome;
    end if;
    select t.outcome into strict standing from tool_invocations t
     where t.org_id = p_org and t.vapi_call_id = p_vapi_call and t.tool_call_id = p_tool_call;
    return standing;
end $$;
