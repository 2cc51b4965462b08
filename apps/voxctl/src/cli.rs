//! What can be typed.

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use uuid::Uuid;
use voxanne_boot::variables::{self, Program};
use voxanne_kernel::{AreaCode, Country, E164, EmailAddress};
use voxanne_messaging::mail::Template;
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
    /// The keys that seal stored secrets.
    ///
    /// To replace one: give every program the new key at the end of ENCRYPTION_KEYS and restart them; then put it first
    /// and restart them; then `keys rotate`; and once `keys status` counts nothing under the old one, take it out.
    #[command(subcommand)]
    Keys(Keys),
    /// The mails that the platform sends.
    #[command(subcommand)]
    Email(Email),
    /// The tools that organizations' assistants carry.
    #[command(subcommand)]
    Tools(Tools),
    /// What Vapi holds in our name.
    #[command(subcommand)]
    Vapi(Vapi),
    /// The phone numbers that we buy for organizations.
    #[command(subcommand)]
    Numbers(Numbers),
    /// Whether an organization can be reached.
    #[command(subcommand)]
    Access(Access),
    /// The setup of an organization's line.
    #[command(subcommand)]
    Setup(Setup),
    /// What organizations have left to spend on messages through our accounts.
    #[command(subcommand)]
    Credits(Credits),
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
    /// Deletes one for good: stops it, has Vapi, Twilio and the calendars give up what they hold for it, then removes its
    /// data and its members' accounts. The audit trail stays. Ends with exit code 1 while somebody still holds something;
    /// run it again then.
    Delete {
        /// Its id.
        org: Uuid,
        /// Say that it is meant.
        #[arg(long, required = true)]
        yes: bool,
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
pub(crate) enum Keys {
    /// Re-encrypts every stored secret with the first key of ENCRYPTION_KEYS, while everything runs. Safe to stop and
    /// start again at any point.
    Rotate,
    /// Counts stored secrets by the key that sealed them.
    Status,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// Links assistants to the present tools, now; with --all, tools that nothing needs any more are then deleted.
    Sync(SyncArgs),
    /// Shows the present tools and how many organizations carry them, or those of one organization.
    Status {
        /// Its id.
        org: Option<Uuid>,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("whose").required(true).args(["org", "all"])))]
pub(crate) struct SyncArgs {
    /// One organization's id.
    pub(crate) org: Option<Uuid>,
    /// All organizations that have an assistant, in the order of their ids.
    #[arg(long)]
    pub(crate) all: bool,
    /// Go on after this organization.
    #[arg(long, value_name = "ORG", requires = "all")]
    pub(crate) after: Option<Uuid>,
    /// Only those that are not known to carry the present tools.
    #[arg(long, requires = "all")]
    pub(crate) pending: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Vapi {
    /// Holds every assistant of ours against what it should be. Ends with `SYSTEM IS CLEAN`, or with the number of
    /// findings and exit code 1.
    Audit {
        /// Repair what can be repaired, and look again.
        #[arg(long)]
        fix: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Numbers {
    /// Lists numbers, those that were released too.
    List {
        /// Of one organization: its id.
        org: Option<Uuid>,
    },
    /// Releases one: its calls stop at once, and both Vapi and Twilio let go of it.
    Release {
        /// The organization's id.
        org: Uuid,
        /// The number, such as +15105550100.
        number: E164,
        /// Even if a phone still forwards its calls to it.
        #[arg(long)]
        force: bool,
    },
    /// Compares what Twilio and Vapi hold with the database, both ways. Touches nothing; ends with exit code 1 if
    /// anything does not agree.
    Reconcile {
        /// Release what Twilio and Vapi hold and the database does not know.
        #[arg(long)]
        release: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Checks everything that a call to an organization needs, one line each; exit code 1 if anything is missing.
    Verify {
        /// Its id.
        #[arg(long)]
        org: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Credits {
    /// Gives an organization credit.
    Grant {
        /// The organization's id.
        org: Uuid,
        /// How much, in minor units (cents).
        #[arg(long, value_name = "MINOR_UNITS", value_parser = clap::value_parser!(i64).range(1..=100_000_000_000))]
        amount: i64,
    },
    /// Shows what an organization has left, and that its ledger adds up to it; exit code 1 if it does not.
    Show {
        /// The organization's id.
        org: Uuid,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Setup {
    /// Shows how far it is, step by step.
    Show {
        /// The organization's id.
        org: Uuid,
    },
    /// Tries one again that failed, or that is waiting for its next attempt; a worker does the work.
    Retry(RetryArgs),
    /// Takes the line down: its number, both assistants, and what is kept of them. Ends with exit code 1 while a provider
    /// still holds a part; the worker goes on.
    Cleanup {
        /// The organization's id.
        org: Uuid,
        /// Even if a phone still forwards its calls to the number.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The organization's id.
    pub(crate) org: Uuid,
    /// Its number's country, such as US; as before unless anything about the number is given.
    #[arg(long, value_name = "COUNTRY")]
    pub(crate) country: Option<Country>,
    /// Its number's area code, in the US and Canada.
    #[arg(long, value_name = "CODE")]
    pub(crate) area_code: Option<AreaCode>,
    /// Another area will do when this one has no numbers.
    #[arg(long)]
    pub(crate) allow_fallback: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Email {
    /// Shows one with made-up facts.
    Preview {
        /// Which: address-taken, calendar-disconnected, setup-succeeded, setup-failed, messaging-model-switched or
        /// messaging-budget-used.
        #[arg(value_parser = template)]
        template: Template,
        #[command(flatten)]
        parts: EmailParts,
    },
}

/// Which part of a mail; subject and text unless given.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct EmailParts {
    /// Only the HTML part.
    #[arg(long)]
    pub(crate) html: bool,
    /// Only the plain part.
    #[arg(long)]
    pub(crate) text: bool,
}

fn template(text: &str) -> Result<Template, String> {
    let known = || Template::ALL.map(Template::as_str).join(", ");
    text.parse().map_err(|_| format!("must be one of {}", known()))
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
    /// Compares what Twilio and Vapi hold with the database.
    ReconcileNumbers,
    /// Asks the provider for call reports that never came.
    HealCalls,
    /// Refreshes the tokens of connected calendars that end soon.
    RefreshTokens,
    /// Brings every organization to the present tools and deletes those they replaced.
    RetireTools,
    /// Reminds patients of coming appointments.
    SendReminders,
    /// Forgets what was only kept for a while.
    Retention,
    /// Forgets verifications of phone numbers that nobody finished.
    TelephonyCleanup,
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
        check("voxctl jobs run refresh-tokens --now 2026-03-01T00:00:00Z", Ok(()));
        check("voxctl jobs run retention --timeout 5", Ok(()));
        check("voxctl jobs run retention --no-wait", Ok(()));
        check("voxctl jobs run retention --no-wait --timeout 5", Err(ErrorKind::ArgumentConflict));
        check("voxctl keys rotate --json", Ok(()));
        check("voxctl email preview setup-failed --html", Ok(()));
        check("voxctl email preview setup-failed --html --text", Err(ErrorKind::ArgumentConflict));
        check("voxctl email preview nothing", Err(ErrorKind::ValueValidation));
        let org = "018f0000-0000-7000-8000-000000000000";
        check(&format!("voxctl tools sync {org}"), Ok(()));
        check(&format!("voxctl tools sync --all --after {org} --pending"), Ok(()));
        check("voxctl tools sync", Err(ErrorKind::MissingRequiredArgument));
        check(&format!("voxctl tools sync {org} --all"), Err(ErrorKind::ArgumentConflict));
        check("voxctl vapi audit --fix", Ok(()));
        check("voxctl numbers list", Ok(()));
        check(&format!("voxctl numbers release {org} +15105550100 --force"), Ok(()));
        check(&format!("voxctl numbers release {org} 5105550100"), Err(ErrorKind::ValueValidation));
        check("voxctl numbers reconcile --release --json", Ok(()));
        check(&format!("voxctl access verify --org {org}"), Ok(()));
        check("voxctl access verify", Err(ErrorKind::MissingRequiredArgument));
        check(&format!("voxctl credits grant {org} --amount 500"), Ok(()));
        check(&format!("voxctl credits grant {org}"), Err(ErrorKind::MissingRequiredArgument));
        check(&format!("voxctl credits grant {org} --amount 0"), Err(ErrorKind::ValueValidation));
        check(&format!("voxctl credits grant {org} --amount 5.50"), Err(ErrorKind::ValueValidation));
        check(&format!("voxctl credits show {org} --json"), Ok(()));
        check("voxctl jobs run reconcile-numbers", Ok(()));
        check(&format!("voxctl setup show {org}"), Ok(()));
        check(&format!("voxctl setup retry {org} --country US --area-code 510 --allow-fallback"), Ok(()));
        check(&format!("voxctl setup retry {org} --area-code 051"), Err(ErrorKind::ValueValidation));
        check(&format!("voxctl setup cleanup {org} --force"), Ok(()));
        check(&format!("voxctl org delete {org} --yes"), Ok(()));
        check(&format!("voxctl org delete {org}"), Err(ErrorKind::MissingRequiredArgument));
        check(
            "voxctl token --user 018f0000-0000-7000-8000-000000000000 --ttl 0",
            Err(ErrorKind::ValueValidation),
        );
    }
}
