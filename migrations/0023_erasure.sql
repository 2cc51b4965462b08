-- Erasing an organization (spec/02-tenancy.md): everything it owns goes, except what can only be appended to.

-- May do in an organization what the application may, and delete there what daily work never deletes. A program takes it
-- for one function, and is it never by inheritance.
do $$
begin
    create role voxanne_eraser nologin nosuperuser nobypassrls nocreatedb nocreaterole;
exception
    when duplicate_object or unique_violation then null;  -- another database of this cluster made it, perhaps just now
end $$;
do $$
begin
    if not pg_has_role('voxanne_eraser', 'voxanne_app', 'usage') then
        grant voxanne_app to voxanne_eraser with inherit true, set false;
    end if;
    if not pg_has_role('voxanne_service', 'voxanne_eraser', 'member') then
        grant voxanne_eraser to voxanne_service with inherit false, set true;
    end if;
exception
    when unique_violation or sqlstate 'XX000' then null;  -- granted by a neighbour in the same instant
end $$;
grant usage on schema public to voxanne_eraser;

-- Whether nobody may delete the table's rows: the audit trail, and ledgers.
create function is_append_only(target regclass) returns boolean
    language sql stable
    return exists (select from pg_trigger t where t.tgrelid = target and t.tgname = 'append_only');

-- What every tenant table has; from now on it can be erased as well.
create or replace function make_tenant_table(target regclass, tenant_column name default 'org_id') returns void
    language plpgsql as $$
begin
    execute format('alter table %s enable row level security', target);
    execute format('alter table %s force row level security', target);
    execute format(
        'create policy tenant on %s to voxanne_app using (%I = (select current_org())) with check (%I = (select current_org()))',
        target, tenant_column, tenant_column);
    execute format('grant select, delete on %s to voxanne_eraser', target);
end $$;

do $$
declare
    target regclass;
begin
    for target in
        select c.oid from pg_class c join pg_attribute a on a.attrelid = c.oid and not a.attisdropped
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and (a.attname = 'org_id' or c.relname = 'organizations' and a.attname = 'id')
           and not is_append_only(c.oid)
    loop
        execute format('grant select, delete on %s to voxanne_eraser', target);
    end loop;
end $$;

-- A person belongs to one organization, so its members' accounts go with it. A foreign key keeps whoever does not.
create policy erase on users to voxanne_eraser using (not is_operator);
grant select (id, is_operator), delete on users to voxanne_eraser;
create policy erase on sessions to voxanne_eraser using (true);
grant select (user_id), delete on sessions to voxanne_eraser;
create policy erase_holders on platform_mails to voxanne_eraser using (org_id is null);

-- Removes the organization of `org`; says how many rows of each table that were. It is one unit of work, after which
-- the transaction can do nothing else. An organization that is named by what is kept keeps its id, and nothing besides.
create function erase_organization(org uuid) returns jsonb
    language plpgsql as $$
declare
    people     uuid[];
    remaining  regclass[];
    stuck      regclass[];
    target     regclass;
    gone       bigint;
    erased     jsonb := '{}';
begin
    perform set_config('role', 'voxanne_eraser', true), set_config('app.org_id', org::text, true);
    select coalesce(array_agg(p.user_id), '{}') into people from profiles p where p.org_id = org;
    select array_agg(c.oid::regclass order by c.relname) into remaining
      from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and not is_append_only(c.oid);
    -- What others refer to goes after them.
    while cardinality(remaining) > 0 loop
        stuck := '{}';
        foreach target in array remaining loop
            begin
                execute format('delete from %s where org_id = $1', target) using org;
                get diagnostics gone = row_count;
                if gone > 0 then
                    erased := erased || jsonb_build_object(target::text, gone);
                end if;
            exception
                when foreign_key_violation then stuck := stuck || target;
            end;
        end loop;
        if cardinality(stuck) = cardinality(remaining) then
            raise exception 'rows of % are referred to by what is kept', stuck;
        end if;
        remaining := stuck;
    end loop;
    delete from platform_mails m where m.org_id is null and m.user_id = any (people);
    delete from sessions s where s.user_id = any (people);
    delete from users u where u.id = any (people);
    get diagnostics gone = row_count;
    erased := erased || jsonb_build_object('users', gone);
    begin
        delete from organizations o where o.id = org;
    exception
        when foreign_key_violation then
            update organizations o
               set name = 'Deleted organization', alert_phone = null, call_routing = '{}', profile = '{}', updated_at = now()
             where o.id = org;
    end;
    return erased;
end $$;
revoke execute on function erase_organization from public;
grant execute on function erase_organization to voxanne_app;
