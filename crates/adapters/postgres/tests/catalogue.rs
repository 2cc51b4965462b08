//! Reads the catalogue: what protects one tenant from another must be there for every table, today's and tomorrow's
//! (spec/01-platform.md, Roles).
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use voxanne_testkit::TestDb;

/// Everything in the catalogue that would let a row be seen or pointed to across organizations.
async fn violations(connection: &mut PgConnection) -> Vec<String> {
    let checks = [
        (
            "a table with org_id lacks forced row level security",
            "select c.relname::text from tenant_tables c where not (c.relrowsecurity and c.relforcerowsecurity)",
        ),
        (
            "a table with org_id lacks the tenant policy for all commands, wrapped so that it runs once per statement",
            "select c.relname::text from tenant_tables c where not exists (
                 select from pg_policies p
                  where p.tablename = c.relname and p.policyname = 'tenant' and p.permissive = 'PERMISSIVE'
                    and p.cmd = 'ALL' and p.roles = '{voxanne_app}'
                    and p.qual ~ '^\\(org_id = \\( SELECT current_org\\(\\)' and p.with_check = p.qual)",
        ),
        (
            "a table with org_id has no index that starts with it",
            "select c.relname::text from tenant_tables c where not exists (
                 select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
                  where i.indrelid = c.oid and a.attname = 'org_id' and i.indpred is null and i.indisvalid)",
        ),
        (
            "a foreign key between tenant tables does not carry org_id",
            "select con.conrelid::regclass || '.' || con.conname
               from pg_constraint con
               join tenant_tables child on child.oid = con.conrelid
               join tenant_tables parent on parent.oid = con.confrelid
              where con.contype = 'f' and not exists (
                    select from unnest(con.conkey, con.confkey) as k(child_no, parent_no)
                      join pg_attribute ca on ca.attrelid = con.conrelid and ca.attnum = k.child_no
                      join pg_attribute pa on pa.attrelid = con.confrelid and pa.attnum = k.parent_no
                     where ca.attname = 'org_id' and pa.attname = 'org_id')",
        ),
        (
            "a table without org_id lacks forced row level security",
            "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
                and c.relname <> '_sqlx_migrations' and not (c.relrowsecurity and c.relforcerowsecurity)",
        ),
        (
            "a policy for the application lets it see beyond its organization",
            "select p.tablename || '.' || p.policyname from pg_policies p
              where p.schemaname = 'public' and 'voxanne_app' = any (p.roles)
                and coalesce(p.qual, p.with_check) !~ 'current_org'",
        ),
        (
            "a policy applies to everybody",
            "select p.tablename || '.' || p.policyname from pg_policies p
              where p.schemaname = 'public' and 'public' = any (p.roles)",
        ),
        (
            "a role that programs work under may truncate, or owns something",
            "select g.table_name || ' to ' || g.grantee from information_schema.role_table_grants g
              where g.table_schema = 'public' and g.grantee like 'voxanne%' and g.privilege_type in ('TRUNCATE', 'TRIGGER', 'REFERENCES')
             union all
             select c.relname || ' owned by ' || r.rolname from pg_class c join pg_roles r on r.oid = c.relowner
              where r.rolname in ('voxanne_app', 'voxanne_service', 'voxanne_queue')",
        ),
        (
            "a role that programs work under can log in or bypass policies",
            "select rolname::text from pg_roles
              where rolname in ('voxanne_app', 'voxanne_service', 'voxanne_queue')
                and (rolcanlogin or rolbypassrls or rolsuper or rolcreaterole or rolcreatedb)",
        ),
        (
            "a view runs with its owner's rights",
            "select c.relname::text from pg_class c
              where c.relnamespace = 'public'::regnamespace and c.relkind in ('v', 'm')
                and not coalesce(c.reloptions @> '{security_invoker=true}', false)",
        ),
        (
            "a function runs with its owner's rights",
            "select p.proname::text from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prosecdef",
        ),
        (
            "the audit trail can be rewritten",
            "select g.privilege_type || ' to ' || g.grantee from information_schema.role_table_grants g
              where g.table_name = 'audit_events' and g.grantee like 'voxanne%'
                and g.privilege_type not in ('SELECT', 'INSERT')",
        ),
    ];
    let tenant_tables = "with tenant_tables as (
        select c.* from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'org_id' and not a.attisdropped)) ";
    let mut found = Vec::new();
    for (rule, query) in checks {
        let query = AssertSqlSafe(format!("{tenant_tables}{query}"));
        let offenders: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *connection).await.unwrap();
        found.extend(offenders.into_iter().map(|offender| format!("{rule}: {offender}")));
    }
    found
}

/// Every policy as it should be. A policy that is dropped, added or altered changes this list.
async fn policies(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select format('%s.%s for %s to %s using %s check %s', p.tablename, p.policyname, lower(p.cmd),
                       array_to_string(p.roles, ','), coalesce(p.qual, '-'), coalesce(p.with_check, '-'))
           from pg_policies p where p.schemaname = 'public' order by p.tablename, p.policyname",
    )
    .fetch_all(connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn nothing_in_the_catalogue_lets_one_organization_reach_another() {
    let db = TestDb::new().await;
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    assert_eq!(violations(&mut owner).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_policies_are_the_reviewed_ones() {
    let db = TestDb::new().await;
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    insta::assert_snapshot!(policies(&mut owner).await.join("\n"));
}

#[tokio::test]
async fn dropping_any_one_policy_is_noticed() {
    let db = TestDb::new().await;
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    let reviewed = policies(&mut owner).await;
    let all: Vec<(String, String, bool)> = sqlx::query_as(
        "select p.tablename::text, p.policyname::text,
                p.policyname = 'tenant' and exists (select from information_schema.columns c
                    where c.table_name = p.tablename and c.column_name = 'org_id')
           from pg_policies p where p.schemaname = 'public'",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(all.len() > 20, "the catalogue was read");
    for (table, policy, is_tenants) in all {
        let mut tx = owner.begin().await.unwrap();
        tx.execute(AssertSqlSafe(format!("drop policy {policy} on {table}"))).await.unwrap();
        assert_ne!(policies(&mut tx).await, reviewed, "{policy} on {table}");
        if is_tenants {
            assert!(!violations(&mut tx).await.is_empty(), "{policy} on {table}");
        }
        tx.rollback().await.unwrap();
    }
}

#[tokio::test]
async fn audit_rows_cannot_be_changed_even_by_the_owner() {
    let db = TestDb::new().await;
    let mut owner = PgConnection::connect(&db.owner_url()).await.unwrap();
    owner
        .execute(
            "insert into audit_events (id, org_id, actor_kind, action, target_kind, target_id)
             values (gen_random_uuid(), gen_random_uuid(), 'system', 'a.b', 'c', 'd')",
        )
        .await
        .unwrap();
    for statement in
        ["update audit_events set action = 'x'", "delete from audit_events", "truncate audit_events"]
    {
        let refused = owner.execute(statement).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
}
