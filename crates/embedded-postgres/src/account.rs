//! The account PostgreSQL runs under: ours, or an unprivileged one of the system when we are root.

use std::{fs, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::Context as _;

use crate::command;

/// System accounts that may run PostgreSQL for root, best first.
const UNPRIVILEGED: [&str; 3] = ["postgres", "nobody", "daemon"];

/// An unprivileged account of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name, for messages.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
}

impl Account {
    /// The account to switch to: `None` when we are not root and simply stay who we are.
    ///
    /// # Errors
    /// When we are root and the system has no unprivileged account.
    pub fn for_postgres() -> anyhow::Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").context("reading /etc/passwd")?;
        let account = UNPRIVILEGED.iter().find_map(|name| find(&passwd, name));
        account.map(Some).context(
            "PostgreSQL refuses to run as root and the system has none of the accounts postgres, nobody, daemon; \
             make one: useradd --system postgres",
        )
    }

    /// Makes the command run as this account, without our supplementary groups.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a directory that we made to this account.
    pub(crate) fn own(&self, path: &Path) -> anyhow::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
            .with_context(|| format!("giving {} to {}", path.display(), self.name))
    }

    /// Whether this account can enter the directory; `/root`, for one, usually keeps everybody out.
    pub(crate) fn can_enter(&self, directory: &Path) -> bool {
        let mut test = command::command(Path::new("test"), Some(self));
        command::succeeds(test.arg("-x").arg(directory))
    }
}

/// Whether `account` (or we ourselves, when there is none) can enter the directory.
pub(crate) fn can_enter(account: Option<&Account>, directory: &Path) -> bool {
    account.is_none_or(|account| account.can_enter(directory))
}

/// The line of `/etc/passwd` that is about `name`, unless it is another name for root.
fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        (found == name && uid != 0).then(|| Account { name: name.to_owned(), uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n\
                          nobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\nbroken\n";

    #[test]
    fn an_account_is_read_from_its_line() {
        let nobody = Account { name: "nobody".to_owned(), uid: 65_534, gid: 65_533 };
        assert_eq!(find(PASSWD, "nobody"), Some(nobody));
    }

    #[test]
    fn unknown_broken_and_privileged_accounts_are_not_taken() {
        for name in ["postgres", "broken", "toor"] {
            assert_eq!(find(PASSWD, name), None, "{name}");
        }
    }
}
