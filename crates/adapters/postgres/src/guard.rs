//! Refusing a login that could see every organization (spec/01-platform.md, Roles).

use voxanne_kernel::StoreError;

use crate::{PgStore, constraint::store_error};

/// Why a database login must not be used.
#[derive(Debug, thiserror::Error)]
pub enum UnsafeLogin {
    /// Row level security does not hold for it.
    #[error(
        "the database login \"{login}\" {why}, so row level security would not hold for it; use a login that is only a \
         member of voxanne_app and voxanne_service (`voxctl db migrate --grant-to LOGIN` grants them)"
    )]
    Bypasses {
        /// The login.
        login: String,
        /// What it is.
        why: &'static str,
    },
    /// It cannot take the roles the programs work under.
    #[error(
        "the database login \"{login}\" is not a member of {role}; `voxctl db migrate --grant-to {login}` grants it"
    )]
    NotAMember {
        /// The login.
        login: String,
        /// The missing role.
        role: &'static str,
    },
    /// The schema is missing or older than this program.
    #[error("the database is not migrated; run `voxctl db migrate`")]
    NotMigrated,
    /// The catalogue could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(sqlx::FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact of the catalogue, read once")]
struct CatalogueEntry {
    name: String,
    superuser: bool,
    bypasses: bool,
    owns: bool,
    is_app: bool,
    is_service: bool,
    migrated: bool,
}

/// Checks the login of the pool's URL itself, not the role it takes.
///
/// # Errors
/// [`UnsafeLogin`] names the login and what to do; a program must not start then.
pub async fn check_login(store: &PgStore) -> Result<(), UnsafeLogin> {
    let entry = sqlx::query_as(
        "select session_user::text as name, r.rolsuper as superuser, r.rolbypassrls as bypasses,
                exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace
                         where n.nspname = 'public' and c.relkind in ('r', 'p') and not r.rolsuper
                           and pg_has_role(session_user, c.relowner, 'member')) as owns,
                coalesce((select pg_has_role(session_user, a.oid, 'member') from pg_roles a
                           where a.rolname = 'voxanne_app'), false) as is_app,
                coalesce((select pg_has_role(session_user, s.oid, 'member') from pg_roles s
                           where s.rolname = 'voxanne_service'), false) as is_service,
                to_regclass('public.organizations') is not null as migrated
           from pg_roles r where r.rolname = session_user",
    );
    let found: CatalogueEntry = store.hot().ask(entry).await.map_err(store_error)?;

    let bypasses = |why| UnsafeLogin::Bypasses { login: found.name.clone(), why };
    if found.superuser {
        return Err(bypasses("is a superuser"));
    }
    if found.bypasses {
        return Err(bypasses("has BYPASSRLS"));
    }
    if found.owns {
        return Err(bypasses("owns the tables"));
    }
    if !found.migrated {
        return Err(UnsafeLogin::NotMigrated);
    }
    for (member, role) in [(found.is_app, "voxanne_app"), (found.is_service, "voxanne_service")] {
        if !member {
            return Err(UnsafeLogin::NotAMember { login: found.name, role });
        }
    }
    if store.is_ready().await? { Ok(()) } else { Err(UnsafeLogin::NotMigrated) }
}
