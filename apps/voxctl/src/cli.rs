//! What can be typed.

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use uuid::Uuid;
use voxanne_boot::variables::{self, Program};
use voxanne_kernel::EmailAddress;
use voxanne_tenancy::OrganizationStatus;

/// The platform operator's command line.
#[derive(Debug, Parser)]
#[command(version, after_long_help = variables::help(Program::Voxctl))]
pub(crate) struct Cli {
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The database's schema.
    #[command(subcommand)]
    Db(Db),
    /// Operators of the platform.
    #[command(subcommand)]
    Admin(Admin),
    /// Prints an access token for scripts. Needs JWT_SECRET and nothing else.
    Token(TokenArgs),
    /// Organizations.
    #[command(subcommand)]
    Org(Org),
    /// Checks the configuration, the database, the providers' credentials and whether we can be reached.
    Doctor,
    /// Background jobs.
    #[command(subcommand)]
    Jobs(Jobs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Db {
    /// Brings the database up to date; safe to run from several places at once.
    Migrate {
        /// A database login that the programs will use: grants it their roles.
        #[arg(long, value_name = "LOGIN")]
        grant_to: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Makes an operator and prints {userId, email}.
    Create {
        /// Their e-mail address.
        #[arg(long)]
        email: EmailAddress,
        /// Read the password from standard input; the only way, since arguments show in the list of processes.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct TokenArgs {
    /// Whose token: the user's id.
    #[arg(long)]
    pub(crate) user: Uuid,
    /// The organization it is for.
    #[arg(long)]
    pub(crate) org: Option<Uuid>,
    /// What it allows; with --org, owner unless given.
    #[arg(long, value_enum)]
    pub(crate) role: Option<TokenRole>,
    /// Seconds it lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 900, value_parser = clap::value_parser!(i64).range(1..=31_536_000))]
    pub(crate) ttl: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum TokenRole {
    Owner,
    Admin,
    Member,
    PlatformAdmin,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Org {
    /// Lists organizations, newest first.
    List {
        /// pending, verified, rejected or suspended.
        #[arg(long)]
        status: Option<OrganizationStatus>,
    },
    /// Shows one.
    Show {
        /// Its id.
        org: Uuid,
    },
    /// Lets one in and has its line set up.
    Approve {
        /// Its id.
        org: Uuid,
    },
    /// Turns a new one down.
    Reject {
        /// Its id.
        org: Uuid,
    },
    /// Stops one; its data is kept.
    Suspend {
        /// Its id.
        org: Uuid,
    },
    /// Finds organizations without an owner and users without an organization, and says what would mend it.
    FixMembership {
        /// Mend it.
        #[arg(long)]
        apply: bool,
    },
    /// Replaces the secret that an organization's webhooks are signed with; the old one is accepted for a day.
    RotateWebhookSecret {
        /// Its id.
        org: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// Shows what is waiting, running and given up.
    List,
    /// Starts one of the platform's jobs now and waits until a worker has run it.
    Run {
        /// Which one.
        #[arg(value_enum)]
        name: JobName,
        /// Do not wait.
        #[arg(long)]
        no_wait: bool,
        /// The most seconds to wait.
        #[arg(long, value_name = "SECONDS", default_value_t = 60, conflicts_with = "no_wait")]
        timeout: u32,
        /// Run it as if it were that time; only where VOXANNE_ALLOW_TEST_CLOCK is set.
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobName {
    /// Asks the provider for call reports that never came.
    HealCalls,
    /// Forgets what was only kept for a while.
    Retention,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn passwords_and_tests_of_time_are_not_given_by_accident() {
        let check = |line: &str, expected: Result<(), ErrorKind>| {
            let outcome =
                Cli::try_parse_from(line.split_whitespace()).map(|_| ()).map_err(|error| error.kind());
            assert_eq!(outcome, expected, "{line}");
        };
        check("voxctl admin create --email a@b.cd --password-stdin", Ok(()));
        check("voxctl admin create --email a@b.cd --password-stdin --json", Ok(()));
        check("voxctl admin create --email a@b.cd", Err(ErrorKind::MissingRequiredArgument));
        check("voxctl admin create --email a@b.cd --password x", Err(ErrorKind::UnknownArgument));
        check("voxctl admin create --email nonsense --password-stdin", Err(ErrorKind::ValueValidation));
        check("voxctl org suspend not-a-uuid", Err(ErrorKind::ValueValidation));
        check("voxctl org list --status nope", Err(ErrorKind::ValueValidation));
        check("voxctl jobs run retention --now 2026-03-01T00:00:00Z", Ok(()));
        check("voxctl jobs run retention --now yesterday", Err(ErrorKind::ValueValidation));
        check("voxctl jobs run retention --timeout 5", Ok(()));
        check("voxctl jobs run retention --no-wait", Ok(()));
        check("voxctl jobs run retention --no-wait --timeout 5", Err(ErrorKind::ArgumentConflict));
        check(
            "voxctl token --user 018f0000-0000-7000-8000-000000000000 --ttl 0",
            Err(ErrorKind::ValueValidation),
        );
    }
}
