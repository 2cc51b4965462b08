//! One server over one data directory: made, started or adopted, stopped.

use std::{
    fs,
    os::unix::{
        fs::{DirBuilderExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use sha2::{Digest as _, Sha256};

use crate::{Binaries, Report, Search, account, account::Account, binaries, command};

/// The owner of everything in the cluster.
const SUPERUSER: &str = "postgres";

/// It only names the socket's file; nothing listens on a network port.
const PORT: u16 = 5432;

/// What a socket's path may measure on every system we run on, without its final zero.
const LONGEST_SOCKET: usize = 103;

/// How long the server may take to start, recovery after a crash included, and to stop, in seconds.
const PATIENCE: &str = "120";

/// Where root puts clusters whose own place the unprivileged account cannot enter.
const ELSEWHERE: &str = "/var/tmp/voxanne-clusters";

/// Whether the data outlives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on the disk before it is answered.
    Durable,
    /// Nothing waits for the disk: fast, and worthless after a crash of the machine.
    ThrowAway,
}

/// Which cluster to start, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster's own directory; made when it does not exist.
    pub directory: PathBuf,
    /// Whether the data matters.
    pub durability: Durability,
    /// Most connections at a time.
    pub connections: u16,
    /// Where to find PostgreSQL.
    pub search: Search,
}

/// A running PostgreSQL. Dropping it stops the server, unless [`Cluster::leave_running`] was asked for.
#[derive(Debug)]
pub struct Cluster {
    places: Places,
    account: Option<Account>,
    binaries: Binaries,
    running: bool,
}

/// The directories of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Places {
    data: PathBuf,
    socket: PathBuf,
    log: PathBuf,
}

impl Cluster {
    /// Starts the cluster, making it first when it is new. One that an earlier, killed run left running is adopted.
    ///
    /// # Errors
    /// When no PostgreSQL is found, the data belongs to another version, or the server does not come up; the message
    /// ends with the server's own words.
    pub fn start(options: &Options, report: Report<'_>) -> anyhow::Result<Self> {
        let account = Account::for_postgres()?;
        let binaries = binaries::locate(&options.search, account.as_ref(), report)?;
        let root = root(&options.directory, account.as_ref())?;
        let places = Places::prepare(&root, account.as_ref())?;
        let mut cluster = Self { places, account, binaries, running: false };

        cluster.check_version()?;
        if cluster.is_running() {
            report("adopting the PostgreSQL that an earlier run left");
        } else {
            if !cluster.places.data.exists() {
                report("making a new PostgreSQL cluster");
                cluster.init(options.durability)?;
            }
            cluster.configure(options)?;
            report("starting PostgreSQL");
            cluster.launch()?;
        }
        cluster.running = true;
        UnixStream::connect(cluster.socket_file()).with_context(|| {
            format!("PostgreSQL runs, but {} does not answer", cluster.socket_file().display())
        })?;
        Ok(cluster)
    }

    /// How the superuser connects to a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        self.url_as(SUPERUSER, database)
    }

    /// How `user` connects to a database of this cluster. There are no passwords: the socket's directory is closed.
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let socket = self.places.socket.display().to_string().replace('%', "%25").replace(' ', "%20");
        format!("postgres://{user}@localhost:{PORT}/{database}?host={socket}&sslmode=disable")
    }

    /// The directory that holds the server's socket.
    pub fn socket_directory(&self) -> &Path {
        &self.places.socket
    }

    /// What the server wrote about itself.
    pub fn log(&self) -> &Path {
        &self.places.log
    }

    /// The programs it was started with.
    pub fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// Lets the server live on after this value, for the next process to adopt.
    pub fn leave_running(mut self) {
        self.running = false;
    }

    /// Stops the server: sessions are ended, a checkpoint is written.
    ///
    /// # Errors
    /// When it is still running after two minutes.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.halt()
    }

    fn halt(&mut self) -> anyhow::Result<()> {
        if !std::mem::take(&mut self.running) || !self.is_running() {
            return Ok(());
        }
        let mut stop = self.pg_ctl("stop");
        stop.args(["-m", "fast", "-w", "-t", PATIENCE]);
        command::run(&mut stop, "stopping PostgreSQL").map(drop)
    }

    fn check_version(&self) -> anyhow::Result<()> {
        let Ok(found) = fs::read_to_string(self.places.data.join("PG_VERSION")) else { return Ok(()) };
        let (found, ours) = (found.trim(), self.binaries.major().to_string());
        ensure!(
            found == ours,
            "{} was made by PostgreSQL {found} and this one is {ours}; start over with an empty directory (--fresh)",
            self.places.data.display()
        );
        Ok(())
    }

    /// Whether a server runs over this data. `pg_ctl` and the server itself only ask whether the process in the pid
    /// file exists, which a killed server that nobody has buried yet, or another program under a number used again,
    /// answers as well; what such a server left is removed, or it could never start again.
    fn is_running(&self) -> bool {
        let file = self.places.data.join("postmaster.pid");
        let Ok(text) = fs::read_to_string(&file) else { return false };
        let pid = text.lines().next().unwrap_or_default();
        if is_no_server(pid) {
            let socket_lock = self.socket_file().with_extension(format!("{PORT}.lock"));
            let _ = fs::remove_file(socket_lock);
            return fs::remove_file(&file).is_err();
        }
        command::succeeds(&mut self.pg_ctl("status"))
    }

    /// Makes the data directory under another name and moves it: one that is there is whole.
    fn init(&self, durability: Durability) -> anyhow::Result<()> {
        let unfinished = self.places.data.with_extension("new");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        let mut initdb = command::command(&self.binaries.program("initdb"), self.account.as_ref());
        initdb.arg("-D").arg(&unfinished);
        initdb.args(["-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-instructions"]);
        // The built-in provider knows Unicode letters and sorts alike on every machine; 16 does not have it yet.
        if self.binaries.major() >= 17 {
            initdb.args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]);
        } else {
            initdb.arg("--locale=C.UTF-8");
        }
        if durability == Durability::ThrowAway {
            initdb.arg("--no-sync");
        }
        command::run(&mut initdb, "making a PostgreSQL cluster")?;
        fs::rename(&unfinished, &self.places.data).context("moving the new cluster to its place")
    }

    /// Writes the whole configuration, each start anew: what is not in it has PostgreSQL's default.
    fn configure(&self, options: &Options) -> anyhow::Result<()> {
        let mut lines = vec![
            "# Written at every start; changes here are lost.".to_owned(),
            "listen_addresses = ''".to_owned(),
            format!("unix_socket_directories = '{}'", quoted(&self.places.socket)),
            "unix_socket_permissions = 0700".to_owned(),
            format!("port = {PORT}"),
            format!("max_connections = {}", options.connections),
            "timezone = 'UTC'".to_owned(),
            "log_timezone = 'UTC'".to_owned(),
            "shared_buffers = '256MB'".to_owned(),
            "max_wal_size = '2GB'".to_owned(),
            "jit = off".to_owned(),
            "log_line_prefix = '%m [%p] %u@%d '".to_owned(),
        ];
        if options.durability == Durability::ThrowAway {
            lines.extend(
                ["fsync = off", "full_page_writes = off", "wal_level = minimal", "max_wal_senders = 0"]
                    .map(str::to_owned),
            );
        }
        let file = self.places.data.join("postgresql.conf");
        fs::write(&file, lines.join("\n") + "\n").with_context(|| format!("writing {}", file.display()))
    }

    fn launch(&self) -> anyhow::Result<()> {
        let mut start = self.pg_ctl("start");
        start.args(["-w", "-t", PATIENCE]).arg("-l").arg(&self.places.log);
        // pg_ctl's child keeps its outputs open: only its exit can be waited for, not the end of its words.
        ensure!(
            command::succeeds(&mut start),
            "PostgreSQL does not start; the end of {}:\n{}",
            self.places.log.display(),
            tail(&self.places.log)
        );
        Ok(())
    }

    fn pg_ctl(&self, action: &str) -> std::process::Command {
        let mut command = command::command(&self.binaries.program("pg_ctl"), self.account.as_ref());
        command.arg(action).arg("-D").arg(&self.places.data);
        command
    }

    fn socket_file(&self) -> PathBuf {
        socket_file(&self.places.socket)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nobody is left to tell: the next start adopts a server that would not stop.
        let _ = self.halt();
    }
}

impl Places {
    /// Makes the directories, private to the account, and chooses where the socket goes.
    fn prepare(root: &Path, account: Option<&Account>) -> anyhow::Result<Self> {
        let inside = root.join("socket");
        let socket = if socket_file(&inside).as_os_str().len() <= LONGEST_SOCKET {
            inside
        } else {
            short_socket(root)
        };
        let places = Self { data: root.join("data"), socket, log: root.join("postgres.log") };
        for directory in [root, &places.socket] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| format!("making {}", directory.display()))?;
            if let Some(account) = account {
                account.own(directory)?;
            }
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("closing {} to others", directory.display()))?;
        }
        Ok(places)
    }
}

/// Removes a cluster and everything in it, stopping it first when it runs.
///
/// # Errors
/// When a server still runs there and will not stop, or files cannot be removed.
pub fn wipe(directory: &Path, search: &Search, report: Report<'_>) -> anyhow::Result<()> {
    let account = Account::for_postgres()?;
    let root = if directory.exists() { root(directory, account.as_ref())? } else { return Ok(()) };
    if root.join("data/postmaster.pid").exists() {
        let binaries = binaries::locate(search, account.as_ref(), report)?;
        let places = Places::prepare(&root, account.as_ref())?;
        Cluster { places, account, binaries, running: true }.stop()?;
    }
    for directory in [root.as_path(), directory, &short_socket(&root)] {
        if directory.exists() {
            fs::remove_dir_all(directory).with_context(|| format!("removing {}", directory.display()))?;
        }
    }
    Ok(())
}

/// The directory the cluster really lives in: the one that was asked for, or for root one that the unprivileged
/// account can enter, always the same for the same wish.
fn root(wished: &Path, account: Option<&Account>) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(wished).with_context(|| format!("making {}", wished.display()))?;
    let wished = wished.canonicalize()?;
    let parent = wished.parent().unwrap_or(&wished);
    if account::can_enter(account, parent) {
        return Ok(wished);
    }
    fs::create_dir_all(ELSEWHERE)?;
    fs::set_permissions(ELSEWHERE, fs::Permissions::from_mode(0o755))?;
    Ok(Path::new(ELSEWHERE).join(fingerprint(&wished)))
}

/// A socket directory with a short path, for a cluster with a long one.
fn short_socket(root: &Path) -> PathBuf {
    Path::new("/tmp").join(format!("voxanne-pg-{}", fingerprint(root)))
}

fn fingerprint(path: &Path) -> String {
    hex::encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..8])
}

fn socket_file(directory: &Path) -> PathBuf {
    directory.join(format!(".s.PGSQL.{PORT}"))
}

/// A path as PostgreSQL's configuration file wants it between quotes.
fn quoted(path: &Path) -> String {
    path.display().to_string().replace('\'', "''")
}

/// Whether the system shows that this process is dead or not PostgreSQL. Without `/proc` it shows nothing.
fn is_no_server(pid: &str) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // `123 (postgres) S 1 …`: the name may hold anything, so the state is what follows the last parenthesis.
    let name = stat.split_once('(').map_or("", |(_, rest)| rest);
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !name.starts_with("postgres") || matches!(state, Some('Z' | 'X'))
}

/// The last lines of a file, for an error message.
fn tail(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
