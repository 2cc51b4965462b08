-- The hot paths of calls, one round trip each (performance.md): a function that is called alone, as its own
-- transaction, and enters the organization itself.

-- Takes in a provider's message with the job that will apply it; false when it was there already.
create function receive_webhook_event(
    p_org uuid, p_id uuid, p_provider text, p_kind text, p_key text, p_body jsonb,
    p_task text, p_payload jsonb, p_max_attempts smallint)
    returns boolean language plpgsql as $$
begin
    perform enter_org(p_org);
    insert into webhook_events (id, org_id, provider, kind, event_key, body)
    values (p_id, p_org, p_provider, p_kind, p_key, p_body)
    on conflict (org_id, provider, event_key) do nothing;
    if not found then
        return false;
    end if;
    insert into outbox (org_id, task, payload, max_attempts) values (p_org, p_task, p_payload, p_max_attempts);
    return true;
end $$;

-- A page of calls, newest first, older than (p_before, p_before_id). What is null does not matter.
--
-- It is always read off calls_newest until it is full: the planner, who cannot know that the filters are mostly null,
-- expects few rows and would rather sort all calls of the organization. Hence no sorts here, and one plan for all.
create function list_calls(
    p_org uuid, p_status text, p_type text, p_from timestamptz, p_to timestamptz, p_phone text, p_booked boolean,
    p_text text, p_before timestamptz, p_before_id uuid, p_limit integer)
    returns table (
        id uuid, vapi_call_id text, call_type text, status text, phone_number text, contact_id uuid, contact_name text,
        started_at timestamptz, ended_at timestamptz, duration_seconds integer, sentiment_label text,
        sentiment_score real, urgency text, summary text, booking_confirmed boolean, financial_value_minor bigint,
        recording_status text, has_transcript boolean, transfer_to text, transfer_time timestamptz,
        transfer_reason text, lead_score smallint, cost_micros bigint)
    language plpgsql rows 50 as $$
begin
    perform enter_org(p_org), set_config('plan_cache_mode', 'force_generic_plan', true),
            set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true),
            set_config('enable_bitmapscan', 'off', true);
    return query
    select c.id, c.vapi_call_id, c.call_type, c.status, c.phone_number, c.contact_id, k.name,
           c.started_at, c.ended_at, c.duration_seconds, c.sentiment_label,
           c.sentiment_score, c.urgency, c.summary, c.booking_confirmed, c.financial_value_minor,
           c.recording_status, c.transcript is not null, c.transfer_to, c.transfer_time,
           c.transfer_reason, c.lead_score, c.cost_micros
      from calls c
      left join contacts k on k.org_id = p_org and k.id = c.contact_id
     where c.org_id = p_org
       and (c.started_at, c.id) < (coalesce(p_before, 'infinity'),
                                   coalesce(p_before_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
       and c.started_at >= coalesce(p_from, '-infinity') and c.started_at < coalesce(p_to, 'infinity')
       and (p_status is null or c.status = p_status)
       and (p_type is null or c.call_type = p_type)
       and (p_booked is null or c.booking_confirmed = p_booked)
       and (p_phone is null or position(p_phone in c.phone_number) > 0)
       and (p_text is null or position(lower(p_text) in lower(concat_ws(' ', k.name, c.summary))) > 0)
     order by c.started_at desc, c.id desc
     limit p_limit;
end $$;
