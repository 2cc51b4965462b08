-- The two roles that programs work under, the one the job queue works under, and how a transaction says which
-- organization it is for (spec/01-platform.md, Roles). Roles belong to the whole cluster, so they may exist already.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['voxanne_app', 'voxanne_service', 'voxanne_queue'] loop
        begin
            execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
        exception
            when duplicate_object or unique_violation then null;  -- another database of this cluster made it, perhaps just now
        end;
    end loop;
end $$;

-- A login is granted voxanne_app and voxanne_service; through the latter it may also become the queue's role,
-- which it never is by inheritance.
do $$
begin
    if not pg_has_role('voxanne_service', 'voxanne_queue', 'member') then
        grant voxanne_queue to voxanne_service with inherit false, set true;
    end if;
exception
    when unique_violation or sqlstate 'XX000' then null;  -- granted by a neighbour in the same instant
end $$;

grant usage on schema public to voxanne_app, voxanne_service, voxanne_queue;

-- The organization of this transaction. After a transaction the setting reads '' rather than null, hence the nullif;
-- policies call it as (select current_org()), which is evaluated once per statement.
create function current_org() returns uuid
    language sql stable parallel safe
    return nullif(current_setting('app.org_id', true), '')::uuid;

-- Enters an organization from inside a function that is a whole unit of work in one round trip.
create function enter_org(org uuid) returns void
    language plpgsql as $$
begin
    perform set_config('role', 'voxanne_app', true), set_config('app.org_id', org::text, true);
end $$;

-- Gives a table of tenants what every such table has: forced row level security and the tenant's policy.
create function make_tenant_table(target regclass, tenant_column name default 'org_id') returns void
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s to voxanne_app using (%I = (select current_org())) with check (%I = (select current_org()))',
        target, tenant_column, tenant_column);
end $$;
revoke execute on function make_tenant_table from public;
