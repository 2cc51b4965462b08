//! Where things are, and what the environment says.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use voxanne_embedded_postgres::Search;

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where Cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    let root = root();
    environment("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target))
}

/// Where to look for PostgreSQL.
pub(crate) fn postgres() -> Search {
    let path = |name| environment(name).map(PathBuf::from);
    Search { bin: path("VOXANNE_PG_BIN"), cache_home: path("XDG_CACHE_HOME"), home: path("HOME") }
}

/// A variable that is set to something.
#[expect(
    clippy::disallowed_methods,
    reason = "a developer's command is configured by nothing but the environment"
)]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Every file under the directories that ends in `ending`, in a stable order.
pub(crate) fn files(directories: &[&str], ending: &str) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in directories {
        collect(&root().join(directory), ending, &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn collect(directory: &Path, ending: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            // What tools put there is not ours: dependencies of the dashboard, build outputs, snapshots.
            if !["node_modules", "target", "dist", "snapshots"].contains(&name.as_str()) {
                collect(&path, ending, found)?;
            }
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    Ok(())
}
