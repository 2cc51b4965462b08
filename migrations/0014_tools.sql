-- Generations of tools and the audit look across organizations (spec/04-assistants-and-tools.md, Tools): which tools
-- each one's assistants carry, and which credential should sign their messages. Never a secret.

create policy service_reads on org_tools for select to voxanne_service using (true);
grant select on org_tools to voxanne_service;
create index org_tools_by_tool on org_tools (vapi_tool_id);

grant select (metadata) on org_credentials to voxanne_service;
