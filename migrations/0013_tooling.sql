-- What saving assistants and linking tools has to remember between two requests to the provider
-- (spec/04-assistants-and-tools.md).

alter table assistants
    -- Since when a creation at Vapi is under way whose end nobody wrote down: only then may Vapi hold an assistant that
    -- this row does not know of.
    add column create_attempted_at timestamptz,
    -- Vapi's ids of those of our tools that the assistant carries, as far as we know.
    add column tool_ids text[] not null default '{}',
    -- Why it does not carry all of them, in words for the organization.
    add column link_error text;
-- The owner of a table is not exempt from its policies while they are forced.
alter table assistants no force row level security;
alter table org_tools no force row level security;
-- Rows from before this column may stand for such a creation.
update assistants set create_attempted_at = created_at where vapi_assistant_id is null;
update assistants a
   set tool_ids = coalesce(
       (select array_agg(t.vapi_tool_id order by t.vapi_tool_id) from org_tools t
         where t.org_id = a.org_id and t.state = 'linked'), '{}')
 where vapi_assistant_id is not null;
alter table assistants force row level security;
alter table org_tools force row level security;

-- A tool that is yet to be registered has no id.
alter table org_tools alter column vapi_tool_id drop not null;
alter table org_tools add check (vapi_tool_id is not null or state in ('pending', 'failed'));
