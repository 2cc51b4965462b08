//! A real cluster, started, killed, adopted and stopped. Where no PostgreSQL is found these download it.
#![expect(clippy::disallowed_methods, reason = "a test stands in for the caller that reads the environment")]
#![expect(clippy::unwrap_used, reason = "a helper that fails fails the test")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use voxanne_embedded_postgres::{Cluster, Durability, Options, Search, account::Account, wipe};

fn search() -> Search {
    let path = |name: &str| std::env::var(name).ok().map(PathBuf::from);
    Search { bin: path("VOXANNE_PG_BIN"), cache_home: path("XDG_CACHE_HOME"), home: path("HOME") }
}

fn options(directory: &Path) -> Options {
    Options {
        directory: directory.to_owned(),
        durability: Durability::ThrowAway,
        connections: 20,
        search: search(),
    }
}

fn start(directory: &Path) -> Cluster {
    Cluster::start(&options(directory), &|_| ()).unwrap()
}

/// Asks the cluster something through `psql`, over the URL that we hand out.
fn ask(cluster: &Cluster, sql: &str) -> String {
    let psql = cluster.binaries().program("psql");
    let output = Command::new(psql).args(["-XAtc", sql, &cluster.url("postgres")]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The process id of the server itself, from the first line of its own file.
fn postmaster(cluster: &Cluster) -> String {
    let data = PathBuf::from(ask(cluster, "show data_directory"));
    let file = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    file.lines().next().unwrap().to_owned()
}

#[test]
fn a_cluster_keeps_its_data_from_one_start_to_the_next() {
    let home = tempfile::tempdir().unwrap();
    let first = start(home.path());
    assert_eq!(
        ask(
            &first,
            "create extension vector; create table kept (note text); insert into kept values ('Zoë')"
        )
        .lines()
        .last(),
        Some("INSERT 0 1")
    );
    first.stop().unwrap();

    let second = start(home.path());
    assert_eq!(
        ask(&second, "select upper(note) from kept"),
        "ZOË",
        "letters beyond ASCII have an upper case"
    );
    second.stop().unwrap();
    wipe(home.path(), &search(), &|_| ()).unwrap();
}

#[test]
fn it_listens_on_no_network_address() {
    let home = tempfile::tempdir().unwrap();
    let cluster = start(home.path());
    assert_eq!(ask(&cluster, "show listen_addresses"), "");
    assert_eq!(ask(&cluster, "select inet_server_addr() is null"), "t");
}

#[test]
fn what_a_killed_process_left_running_is_adopted_and_stopped() {
    let home = tempfile::tempdir().unwrap();
    let first = start(home.path());
    let pid = postmaster(&first);
    first.leave_running();

    let second = start(home.path());
    assert_eq!(postmaster(&second), pid, "the same server");
    let data = PathBuf::from(ask(&second, "show data_directory"));
    second.stop().unwrap();
    assert!(!data.join("postmaster.pid").exists(), "the server is gone");
}

#[test]
fn a_server_killed_outright_recovers_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let first = start(home.path());
    ask(&first, "create table kept (n int)");
    let pid = postmaster(&first);
    first.leave_running();
    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());

    let second = start(home.path());
    assert_eq!(ask(&second, "select count(*) from kept"), "0");
}

#[test]
fn dropping_a_cluster_stops_its_server() {
    let home = tempfile::tempdir().unwrap();
    let cluster = start(home.path());
    let data = PathBuf::from(ask(&cluster, "show data_directory"));
    drop(cluster);
    assert!(!data.join("postmaster.pid").exists());
}

#[test]
fn a_deep_directory_still_gets_a_socket_that_fits() {
    let home = tempfile::tempdir().unwrap();
    let deep = home.path().join("a-rather-long-name-for-a-directory".repeat(4));
    let cluster = start(&deep);
    assert!(!cluster.socket_directory().starts_with(&deep));
    assert_eq!(ask(&cluster, "select 1"), "1");
    let socket = cluster.socket_directory().to_owned();
    drop(cluster);
    wipe(&deep, &search(), &|_| ()).unwrap();
    assert!(!socket.exists() && !deep.exists(), "wiping leaves nothing");
}

#[test]
fn a_place_closed_to_the_unprivileged_account_is_replaced_by_another() {
    // Only root has to switch accounts.
    if Account::for_postgres().unwrap().is_none() {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let inside = closed.path().join("cluster");
    let cluster = start(&inside);
    let data = PathBuf::from(ask(&cluster, "show data_directory"));
    assert!(!data.starts_with(closed.path()));
    drop(cluster);
    wipe(&inside, &search(), &|_| ()).unwrap();
    assert!(!data.exists(), "wiping finds the other place");
}

#[test]
fn data_of_another_version_is_refused_by_name() {
    let home = tempfile::tempdir().unwrap();
    let cluster = start(home.path());
    let data = PathBuf::from(ask(&cluster, "show data_directory"));
    cluster.stop().unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let error = Cluster::start(&options(home.path()), &|_| ()).unwrap_err().to_string();
    assert!(error.contains("was made by PostgreSQL 9"), "{error}");
}
