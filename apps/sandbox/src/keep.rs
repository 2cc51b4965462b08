//! The state file: what a sandbox keeps for the next one that is started with it.
//!
//! The providers' objects and how far the made-up ids have come; not the journal, faults, clock or calls under
//! way. It is replaced whole and shortly after a change: a sandbox that is killed loses no more than that moment,
//! and never leaves half a file.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::Position;
use crate::provider;
use crate::world::{Shared, World};

/// The format that is written, and the only one that is read.
const FORMAT: u64 = 1;
/// How long more changes are waited for before the file is written.
const PAUSE: Duration = Duration::from_millis(100);

/// What is in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    format: u64,
    /// Where the sandbox was reached.
    base: String,
    ids: Position,
    /// Each provider's own, by its name.
    providers: Map<String, Value>,
}

/// Where a sandbox keeps its state.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
    /// Held from the look at the world to the end of writing: an older look must not come last.
    writing: Mutex<()>,
}

impl StateFile {
    /// Puts what is in the file into `world`, which is new, and makes the file when it is not there.
    ///
    /// # Errors
    /// When the file is none of ours or cannot be read or written; the message names it.
    pub(crate) fn open(path: PathBuf, world: &World) -> io::Result<Self> {
        match fs::read(&path) {
            Ok(bytes) => restore(world, &bytes).map_err(|problem| {
                let problem = format!("{} is not a sandbox's state: {problem}", path.display());
                io::Error::new(io::ErrorKind::InvalidData, problem)
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(named(&error, "cannot read", &path)),
        }
        let file = Self { path, writing: Mutex::new(()) };
        // Whether it can be written is better known now than when there is something to lose.
        file.save(world)?;
        Ok(file)
    }

    /// Writes the file after every change, until the sandbox stops.
    pub(crate) async fn follow(self: Arc<Self>, world: Shared) {
        loop {
            tokio::select! {
                () = world.changes.notified() => {}
                () = world.stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = world.stop.cancelled() => return,
            }
            let (file, saved) = (self.clone(), world.clone());
            let saved = tokio::task::spawn_blocking(move || file.save(&saved)).await;
            if let Err(error) = saved.unwrap_or_else(|error| Err(io::Error::other(error))) {
                tracing::error!(%error, "the state is not saved; the next change tries again");
            }
        }
    }

    /// Replaces the file by what `world` holds now, readable by nobody else: there are secrets in it.
    ///
    /// # Errors
    /// When it cannot be written; the message names it, and the old file is still there.
    pub(crate) fn save(&self, world: &World) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(&kept(world)).map_err(|error| named(&error, "cannot write", &self.path))
    }

    fn replace(&self, kept: &Kept) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let unfinished = PathBuf::from(name);
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(kept)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &self.path)
    }
}

fn kept(world: &World) -> Kept {
    let providers = provider::ALL.iter();
    let providers = providers.map(|provider| (provider.name.to_owned(), (provider.keep)(world))).collect();
    // Looked at last: no id that an object has is given out again.
    Kept { format: FORMAT, base: world.base.clone(), ids: world.ids.position(), providers }
}

fn restore(world: &World, bytes: &[u8]) -> Result<(), String> {
    let file: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file["format"] != FORMAT {
        return Err(format!("its format is {}, and this sandbox reads {FORMAT}", file["format"]));
    }
    let kept: Kept = serde_json::from_value(file).map_err(|error| error.to_string())?;
    for (name, mut state) in kept.providers {
        let provider = provider::named(&name).ok_or_else(|| format!("there is no provider {name}"))?;
        relocate(&mut state, &kept.base, &world.base);
        (provider.restore)(world, state).map_err(|error| format!("{name}: {error}"))?;
    }
    world.ids.resume(kept.ids);
    Ok(())
}

/// Makes addresses of the sandbox, such as those of recordings, point to where it is now.
fn relocate(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            if let Some(path) = text.strip_prefix(from).filter(|path| path.starts_with('/')) {
                *text = format!("{to}{path}");
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| relocate(item, from, to)),
        Value::Object(fields) => fields.values_mut().for_each(|field| relocate(field, from, to)),
        _ => {}
    }
}

fn named(error: &io::Error, cannot: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{cannot} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_the_sandboxs_own_addresses_move_with_it() {
        let check = |text: &str, expected: &str| {
            let mut value = json!({ "list": [{ "url": text }] });
            relocate(&mut value, "http://127.0.0.1:90", "http://127.0.0.1:7");
            assert_eq!(value["list"][0]["url"], expected);
        };
        check("http://127.0.0.1:90/vapi/storage/x", "http://127.0.0.1:7/vapi/storage/x");
        check("http://127.0.0.1:9090/vapi/storage/x", "http://127.0.0.1:9090/vapi/storage/x");
        check("see http://127.0.0.1:90/vapi", "see http://127.0.0.1:90/vapi");
    }
}
