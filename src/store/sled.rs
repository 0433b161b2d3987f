//! The embedded medium. The only file that names sled.
//!
//! sled 0.34.7 is safe under rules that its documentation does not give (design D9, measured):
//! 1. The version is pinned.
//! 2. Durable means `apply_batch`, `flush`, then `fdatasync` on a handle of our own to its `db`
//!    file: `flush` alone uses `sync_file_range`, which does not record the file's new length, and
//!    lost everything in 36 of 36 simulated power cuts. Directories are synced after creation.
//! 3. No value above 4 KiB, and `blobs/` is empty at opening: larger pages spill into files there
//!    that nothing syncs.
//! 4. One writer, one tree, no merge operators, no generated ids, no background flusher.
//! 5. Any error while writing is final; the table above sees to that, also for panics.
//! 6. A start that is cut short, or finds the disk full, may leave `snap.….generating`. sled takes
//!    it for its newest snapshot and never opens again; it is removed, and the one before counts.
//!
//! sled locks its `db` file, so no two processes open the same map.
//!
//! ```text
//! <dir>/CURRENT            name of the map that counts
//! <dir>/epoch-00002/       the map of the open epoch
//! <dir>/epochs/00001/      files of a closed epoch
//! <dir>/index/0000000001/  a run of the index
//! ```

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::disk::{self, DiskFiles, medium};
use super::kv::{Files, Kv, Medium, Pair, Write};
use super::table::{Table, parse_name};
use crate::gateway::ports::StoreError;
use crate::limits::{LOCK_ATTEMPTS_MAX, STORED_VALUE_SIZE_MAX};

/// A store on disk.
pub type SledStore = Table<SledMedium>;

const CURRENT: &str = "CURRENT";

/// How a batch becomes durable.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// With rule 2.
    Synced,
    /// Without it: only to show that the power-cut test would notice.
    FlushOnly,
}

/// Maps and files below a directory.
#[derive(Debug)]
pub struct SledMedium {
    root: PathBuf,
    files: DiskFiles,
    cache_bytes: u64,
    durability: Durability,
}

/// Opens the store in `root`, which is created if it does not exist. `cache_bytes` bounds sled's
/// page cache; take a third of the memory that the process may use.
///
/// # Errors
/// Medium and damage, and another process that has it open.
pub fn open(root: &Path, cache_bytes: u64) -> Result<SledStore, StoreError> {
    Table::open(SledMedium::new(root, cache_bytes)?)
}

impl SledMedium {
    /// The medium in `root`, which is created if it does not exist.
    ///
    /// # Errors
    /// Medium.
    pub fn new(root: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        disk::create_folder(root).map_err(medium(root))?;
        let (root, files) = (root.to_owned(), DiskFiles(root.to_owned()));
        Ok(Self { root, files, cache_bytes, durability: Durability::Synced })
    }

    /// The same medium with another durability.
    #[doc(hidden)]
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }
}

impl Medium for SledMedium {
    fn current(&self) -> Result<Option<String>, StoreError> {
        let path = self.root.join(CURRENT);
        let Some(bytes) = disk::read_if_there(&path).map_err(medium(&path))? else {
            return Ok(None);
        };
        let name = String::from_utf8(bytes).ok().and_then(|text| {
            text.strip_suffix('\n').filter(|name| parse_name(name).is_some()).map(str::to_owned)
        });
        name.map(Some)
            .ok_or_else(|| StoreError::Damaged(format!("{} is unreadable", path.display())))
    }

    fn switch(&self, name: &str) -> Result<(), StoreError> {
        let path = self.root.join(CURRENT);
        disk::replace(&path, format!("{name}\n").as_bytes()).map_err(medium(&path))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = disk::names_in(&self.root).map_err(medium(&self.root))?;
        names.retain(|name| parse_name(name).is_some());
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Kv>, StoreError> {
        Ok(Arc::new(SledKv::open(&self.root.join(name), self.cache_bytes, self.durability)?))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.root.join(name);
        disk::remove_folder(&path).map_err(medium(&path))
    }

    fn files(&self) -> &dyn Files {
        &self.files
    }
}

struct SledKv {
    tree: sled::Db,
    /// Our own handle of sled's file, for rule 2.
    file: File,
    durability: Durability,
}

impl SledKv {
    fn open(path: &Path, cache_bytes: u64, durability: Durability) -> Result<Self, StoreError> {
        // Before sled sees them: its recovery may remove what it thinks nobody refers to.
        no_blobs(path)?;
        let opened = match open_tree(path, cache_bytes) {
            // It had the lock: whoever holds it may be writing the draft.
            Err(sled::Error::Corruption { .. }) if remove_drafts(path).map_err(medium(path))? => {
                open_tree(path, cache_bytes)
            }
            opened => opened,
        };
        let tree = opened.map_err(failed)?;
        let db = path.join("db");
        let file = OpenOptions::new().read(true).write(true).open(&db).map_err(medium(&db))?;
        let kv = Self { tree, file, durability };
        kv.sync_creation(path)?;
        Ok(kv)
    }

    /// After opening, because sled creates files then and recovery may write: all names durable.
    fn sync_creation(&self, path: &Path) -> Result<(), StoreError> {
        if self.durability == Durability::FlushOnly {
            return Ok(());
        }
        self.tree.flush().map_err(failed)?;
        let sync = || {
            self.file.sync_all()?;
            let settings = path.join("conf");
            if settings.exists() {
                File::open(settings)?.sync_all()?;
            }
            disk::sync_folder(path)?;
            path.parent().map_or(Ok(()), disk::sync_folder)
        };
        sync().map_err(medium(path))
    }
}

fn open_tree(path: &Path, cache_bytes: u64) -> sled::Result<sled::Db> {
    let config =
        || sled::Config::new().path(path).cache_capacity(cache_bytes).flush_every_ms(None).open();
    // Threads of a map closed a moment ago may still hold its lock; others hold it longer.
    let mut opened = config();
    for _ in 0..LOCK_ATTEMPTS_MAX {
        match &opened {
            Err(sled::Error::Io(error)) if error.to_string().contains("acquire lock") => {
                std::thread::sleep(Duration::from_millis(20));
                opened = config();
            }
            _ => break,
        }
    }
    opened
}

/// Rule 6; says whether there was any.
fn remove_drafts(path: &Path) -> std::io::Result<bool> {
    let mut names = disk::names_in(path)?;
    names.retain(|name| name.starts_with("snap.") && name.ends_with(".generating"));
    for name in &names {
        tracing::warn!(name, "removing what an interrupted start left");
        std::fs::remove_file(path.join(name))?;
    }
    Ok(!names.is_empty())
}

/// Rule 3: a spilled page was never synced.
fn no_blobs(path: &Path) -> Result<(), StoreError> {
    let blobs = path.join("blobs");
    match disk::names_in(&blobs).map_err(medium(&blobs))?.first() {
        Some(name) => {
            Err(StoreError::Damaged(format!("{} holds {name}: a page spilled", blobs.display())))
        }
        None => Ok(()),
    }
}

impl Kv for SledKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tree.get(key).map_err(failed)?.map(|value| value.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let pairs = self.tree.range(from..to).take(max);
        pairs
            .map(|pair| pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(failed))
            .collect()
    }

    fn apply(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.fill(writes)?;
        self.tree.flush().map_err(failed)?;
        match self.durability {
            Durability::Synced => {
                self.file.sync_data().map_err(|error| StoreError::Medium(error.to_string()))
            }
            Durability::FlushOnly => Ok(()),
        }
    }

    fn fill(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for Write { key, value } in writes {
            match value {
                Some(value) => {
                    assert!(value.len() <= STORED_VALUE_SIZE_MAX, "{} bytes", value.len());
                    batch.insert(key, value);
                }
                None => batch.remove(key),
            }
        }
        self.tree.apply_batch(batch).map_err(failed)
    }
}

fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::Damaged(error.to_string()),
        _ => StoreError::Medium(error.to_string()),
    }
}

/// Derives all projections of the store in `root` again, from its entries and from the bodies of
/// the content store in `contents`. No other process may have the store open.
///
/// # Errors
/// Medium and damage; the store then is as it was.
pub fn rebuild(root: &Path, cache_bytes: u64, contents: &Path) -> Result<(), StoreError> {
    let store = Table::open_without_index(SledMedium::new(root, cache_bytes)?)?;
    let mut bodies = Vec::new();
    super::content::ContentStore::scan(contents, |digest, place| bodies.push((digest, place)))?;
    store.rebuild_reading(bodies, |digest, place| {
        super::content::ContentStore::read_in(contents, digest, place).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_that_was_cut_short_does_not_lock_the_store_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("map");
        let open = || SledKv::open(&path, 1024 * 1024, Durability::Synced);
        for draft in [&b""[..], b"cut", &[7; 100]] {
            let kv = open().expect("opens");
            kv.apply(vec![Write { key: draft.to_vec(), value: Some(vec![1]) }]).expect("writes");
            drop(kv);
            let newest = path.join("snap.00000000FFFFFFFF.generating");
            std::fs::write(&newest, draft).expect("writes");
            let kv = open().expect("opens all the same");
            assert_eq!(kv.get(draft), Ok(Some(vec![1])), "{draft:?}");
            assert!(!newest.exists());
        }
    }
}
