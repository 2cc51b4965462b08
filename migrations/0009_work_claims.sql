-- Who is doing something for an organization that must not be done twice at the same time, and until when. The claim
-- frees itself when its holder dies.
create table work_claims (
    org_id      uuid not null references organizations (id),
    what        text not null,
    token       uuid not null,
    held_until  timestamptz not null,
    primary key (org_id, what)
);
select make_tenant_table('work_claims');
grant select, insert, update, delete on work_claims to voxanne_app;
