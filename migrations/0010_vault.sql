-- The vault's memory on every replica hears of changes, and re-encryption reaches every organization
-- (spec/03-credentials.md, Cache and Keys).

-- Says which slot changed. Re-encryption (both sealed and key_id change, nothing else does) is not a change: what the
-- record says stays the same. Every other change is told, by whomever it was made, updated_at or not.
create function tell_credential_changed() returns trigger
    language plpgsql as $$
begin
    if tg_op in ('UPDATE', 'DELETE') then
        perform pg_notify('voxanne_credentials', old.org_id || ':' || old.provider);
    end if;
    if tg_op in ('UPDATE', 'INSERT') then
        perform pg_notify('voxanne_credentials', new.org_id || ':' || new.provider);
    end if;
    return null;
end $$;
revoke execute on function tell_credential_changed from public;

create trigger tell_added_or_removed after insert or delete on org_credentials
    for each row execute function tell_credential_changed();

create trigger tell_changed after update on org_credentials
    for each row when (
        (old.id, old.org_id, old.provider, old.source, old.is_active, old.metadata, old.status,
         old.last_verified_at, old.error_code, old.updated_at)
        is distinct from
        (new.id, new.org_id, new.provider, new.source, new.is_active, new.metadata, new.status,
         new.last_verified_at, new.error_code, new.updated_at)
        or (old.sealed is distinct from new.sealed and old.key_id = new.key_id))
    execute function tell_credential_changed();

-- Re-encryption: may see which key sealed a record and the ciphertext, and replace those two. What is shown of a
-- credential, and whose it is, cannot be changed this way.
create policy service_rotates_read on org_credentials for select to voxanne_service using (true);
create policy service_rotates_write on org_credentials for update to voxanne_service using (true) with check (true);
grant select (id, org_id, provider, sealed, key_id) on org_credentials to voxanne_service;
grant update (sealed, key_id) on org_credentials to voxanne_service;
