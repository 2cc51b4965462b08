//! `voxctl token`.

use std::sync::Arc;

use clap::{CommandFactory as _, error::ErrorKind};
use jiff::SignedDuration;
use secrecy::ExposeSecret;
use voxanne_boot::{Reader, TokenSettings};
use voxanne_identity::{SigningSecret, Tokens};
use voxanne_kernel::{
    SystemClock,
    ids::{OrgId, UserId},
};
use voxanne_tenancy::{Access, Claims, Role, TokenIssuer as _};

use crate::{
    cli::{Cli, TokenArgs, TokenRole},
    output::Output,
};

pub(super) fn run(arguments: &TokenArgs, output: &Output) -> anyhow::Result<()> {
    let access = access(arguments)?;
    let settings = TokenSettings::read(Reader::from_environment())?;
    let tokens = Tokens::new(Some(&SigningSecret::new(settings.secret)?), None, Arc::new(SystemClock));
    let claims = Claims { user: UserId(arguments.user), access };
    let issued = tokens.issue(&claims, SignedDuration::from_secs(arguments.ttl))?;
    output.bare(issued.token.expose_secret())?;
    Ok(())
}

/// What the token allows; a combination that no token can have ends the program as other wrong arguments do.
fn access(arguments: &TokenArgs) -> Result<Access, clap::Error> {
    let wrong = |message| Err(Cli::command().error(ErrorKind::ArgumentConflict, message));
    match (arguments.org.map(OrgId), arguments.role) {
        (None, Some(TokenRole::PlatformAdmin)) => Ok(Access::Operator),
        (Some(_), Some(TokenRole::PlatformAdmin)) => {
            wrong("an operator belongs to no organization: leave out --org or --role platform_admin")
        }
        (Some(org), role) => Ok(Access::Organization { org, role: organization_role(role) }),
        (None, None) => Ok(Access::Nothing),
        (None, Some(_)) => wrong("this role is one in an organization: add --org"),
    }
}

fn organization_role(role: Option<TokenRole>) -> Role {
    match role {
        Some(TokenRole::Member) => Role::Member,
        Some(TokenRole::Admin) => Role::Admin,
        Some(TokenRole::Owner | TokenRole::PlatformAdmin) | None => Role::Owner,
    }
}
