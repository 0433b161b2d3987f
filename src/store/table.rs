//! The store over any [`Medium`]: opening, checking what is found, and failing for good.
//!
//! One writer at a time; readers wait while a batch is being made durable, so that nobody ever
//! sees what a power cut could take back. After an error or a panic in the middle of a write the
//! table refuses every call until it is opened again: what is on the medium is then looked at by
//! the same code that looks at it after any restart.

use std::sync::{
    Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};

use super::archive;
use super::index::Index;
use super::keyspace as key;
use super::kv::{Kv, Medium, Pair, Write};
use super::leaf;
use super::rebuild;
use super::record;
use crate::delivery::Leases;
use crate::gateway::ports::{Head, StoreError};
use crate::limits::INDEX_RUN_RECORDS;
use crate::log::{self, Checkpoint, EntryId, ROW_NODES, Rows, Stored, Tree};

/// The map of the open epoch, and the index of all of them.
pub(super) struct Open {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) name: String,
    pub(super) epoch: u32,
    pub(super) index: Index,
}

/// A store on a medium: implements every face of `Store`.
pub struct Table<M: Medium> {
    pub(super) medium: M,
    open: RwLock<Open>,
    writer: Mutex<()>,
    leases: Mutex<Leases>,
    failed: OnceLock<String>,
}

/// Name of the map of an epoch. `generation` counts how often it was rebuilt.
pub(super) fn name_of(epoch: u32, generation: u32) -> String {
    match generation {
        0 => format!("epoch-{epoch:05}"),
        _ => format!("epoch-{epoch:05}.{generation}"),
    }
}

/// Epoch and generation of a map's name.
pub(super) fn parse_name(name: &str) -> Option<(u32, u32)> {
    let numbers = name.strip_prefix("epoch-")?;
    let (epoch, generation) = numbers.split_once('.').unwrap_or((numbers, "0"));
    let parsed = (epoch.parse().ok()?, generation.parse().ok()?);
    (name_of(parsed.0, parsed.1) == name).then_some(parsed)
}

pub(super) fn damaged(what: impl Into<String>) -> StoreError {
    StoreError::Damaged(what.into())
}

impl<M: Medium> Table<M> {
    /// Opens what the medium holds, or begins epoch 1 on a new one. Removes what interrupted
    /// calls left behind and checks that head, leaves, rows and checkpoints fit together.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn open(medium: M) -> Result<Self, StoreError> {
        Self::open_with_runs_of(medium, INDEX_RUN_RECORDS)
    }

    /// The same with smaller runs of the index: for tests.
    #[doc(hidden)]
    pub fn open_with_runs_of(medium: M, records: usize) -> Result<Self, StoreError> {
        let table = Self::open_without_index(medium)?;
        {
            let mut open = table.changing();
            let files = table.medium.files();
            open.index = Index::open(files, open.kv.get(key::INDEX)?, records)?;
            rebuild::catch_up(&mut open, files)?;
        }
        Ok(table)
    }

    /// The same without looking at the index, which finds nothing then: to make it anew.
    ///
    /// # Errors
    /// Medium and damage.
    pub(super) fn open_without_index(medium: M) -> Result<Self, StoreError> {
        let name = match medium.current()? {
            Some(name) => name,
            None => begin(&medium)?,
        };
        let kv = medium.open(&name)?;
        // Another process may have moved on between reading the name and locking the map.
        if medium.current()?.as_ref() != Some(&name) {
            return Err(StoreError::Medium("the store is being changed by another process".into()));
        }
        let Some((epoch, _)) = parse_name(&name) else {
            return Err(damaged(format!("{name:?} is not the name of an epoch")));
        };
        tidy(&medium, &name, epoch)?;
        verify(kv.as_ref(), &medium, epoch)?;
        let index = Index::empty(medium.files(), INDEX_RUN_RECORDS)?;
        Ok(Self {
            medium,
            open: RwLock::new(Open { kv, name, epoch, index }),
            writer: Mutex::default(),
            leases: Mutex::default(),
            failed: OnceLock::new(),
        })
    }

    /// The open epoch for reading; holds back writers until dropped.
    pub(super) fn reading(&self) -> Result<RwLockReadGuard<'_, Open>, StoreError> {
        self.alive()?;
        Ok(self.open.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The open epoch while it changes; holds back readers until dropped.
    pub(super) fn changing(&self) -> RwLockWriteGuard<'_, Open> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to write.
    pub(super) fn writing(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let guard = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.alive()?;
        Ok(guard)
    }

    /// Leases are taken before the open epoch, never after.
    pub(super) fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), StoreError> {
        match self.failed.get() {
            Some(why) => Err(StoreError::Medium(format!("a write failed before: {why}"))),
            None => Ok(()),
        }
    }

    /// Does what may leave the medium in an unknown state; if it fails or panics, the table stays
    /// closed.
    pub(super) fn decisive<T>(
        &self,
        step: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        struct Armed<'a>(&'a OnceLock<String>);
        impl Drop for Armed<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    let _ = self.0.set("it panicked".into());
                }
            }
        }
        let _armed = Armed(&self.failed);
        step().inspect_err(|error| {
            let _ = self.failed.set(error.to_string());
        })
    }

    /// Writes to the open epoch; durable before any reader sees it.
    pub(super) fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        self.decisive(|| self.changing().kv.apply(batch))
    }
}

/// Where the log ends, as the head record says.
pub(super) fn load_head(kv: &dyn Kv) -> Result<(u32, u64), StoreError> {
    let bytes = kv.get(key::HEAD)?.ok_or_else(|| damaged("the head record is missing"))?;
    record::read_head(&bytes)
}

/// The head with its checkpoint.
pub(super) fn head(kv: &dyn Kv) -> Result<Head, StoreError> {
    let (epoch, size) = load_head(kv)?;
    if size == 0 {
        return Ok(Head { epoch, size, checkpoint: Vec::new() });
    }
    let checkpoint = kv.get(&key::checkpoint(epoch, size))?;
    let checkpoint =
        checkpoint.ok_or_else(|| damaged(format!("the checkpoint {epoch}/{size} is missing")))?;
    Ok(Head { epoch, size, checkpoint })
}

/// All pairs under a prefix, in order, page by page.
pub(super) fn each(
    kv: &dyn Kv,
    prefix: &[u8],
    mut take: impl FnMut(Vec<Pair>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut from, to) = (prefix.to_vec(), key::end_of(prefix));
    loop {
        let page = kv.scan(&from, &to, crate::limits::SCAN_PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = key::next(last.clone());
        take(page)?;
    }
}

/// Rows of the open epoch.
pub(super) struct OpenRows<'a> {
    pub(super) kv: &'a dyn Kv,
    pub(super) epoch: u32,
}

impl Rows for OpenRows<'_> {
    type Error = StoreError;

    fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, StoreError> {
        let row = self.kv.get(&key::row(self.epoch, level, index))?;
        row.ok_or_else(|| self.short(level, index))
    }

    fn short(&self, level: u8, index: u64) -> StoreError {
        damaged(format!("row {level}/{index} of epoch {} is incomplete", self.epoch))
    }
}

/// The first records of a new map.
pub(super) fn first_records(epoch: u32) -> Vec<Write> {
    vec![
        Write::put(key::FORMAT.to_vec(), record::format()),
        Write::put(key::HEAD.to_vec(), record::head(epoch, 0)),
    ]
}

/// Begins epoch 1. Without a current map nothing may be there but what an interrupted beginning
/// left: an empty epoch 1.
fn begin<M: Medium>(medium: &M) -> Result<String, StoreError> {
    let name = name_of(1, 0);
    for found in medium.names()? {
        let fresh = found == name && {
            let kv = medium.open(&found)?;
            kv.get(key::HEAD)?.is_none() || load_head(kv.as_ref())? == (1, 0)
        };
        if !fresh {
            return Err(damaged(format!("{found} is there, but nothing says that it counts")));
        }
        medium.remove(&found)?;
    }
    medium.open(&name)?.apply(first_records(1))?;
    medium.switch(&name)?;
    Ok(name)
}

/// Removes what interrupted calls left: maps that do not count, files of epochs not closed.
fn tidy<M: Medium>(medium: &M, current: &str, epoch: u32) -> Result<(), StoreError> {
    for name in medium.names()?.iter().filter(|name| *name != current) {
        medium.remove(name)?;
    }
    for folder in medium.files().list(archive::ROOT)? {
        if folder.parse().is_ok_and(|number: u32| number < epoch) {
            continue;
        }
        medium.files().remove(&format!("{}/{folder}", archive::ROOT))?;
    }
    Ok(())
}

/// Checks that everything that a commit writes together is there together.
fn verify<M: Medium>(kv: &dyn Kv, medium: &M, epoch: u32) -> Result<(), StoreError> {
    let format = kv.get(key::FORMAT)?.ok_or_else(|| damaged("the format record is missing"))?;
    let version = record::read_format(&format)?;
    if version != record::LAYOUT {
        return Err(damaged(format!("the store has format {version}, not {}", record::LAYOUT)));
    }
    let head = head(kv)?;
    if head.epoch != epoch {
        return Err(damaged(format!("epoch {epoch} has the head of epoch {}", head.epoch)));
    }
    for closed in 1..epoch {
        archive::check(kv, medium.files(), closed)?;
    }
    verify_end(kv, &head)?;
    verify_tree(kv, &head)
}

/// The last leaf and the last checkpoint are the last.
fn verify_end(kv: &dyn Kv, head: &Head) -> Result<(), StoreError> {
    let first_missing = key::leaf(EntryId { epoch: head.epoch, index: head.size });
    let first_past = key::next(key::checkpoint(head.epoch, head.size));
    for (from, tag) in [(first_missing, b'l'), (first_past, b'c')] {
        let beyond = kv.scan(&from, &key::end_of(&[tag]), 1)?;
        if !beyond.is_empty() {
            return Err(damaged(format!("there is more than the head {} knows", head.size)));
        }
    }
    Ok(())
}

/// The rows give the root that was signed, and the last leaf is in them.
fn verify_tree(kv: &dyn Kv, head: &Head) -> Result<(), StoreError> {
    let Some(last) = head.size.checked_sub(1) else { return Ok(()) };
    let rows = OpenRows { kv, epoch: head.epoch };
    let tree = Tree::load(&rows, head.size)?;
    check_note(&head.checkpoint, head.epoch, head.size, &tree)?;
    let id = EntryId { epoch: head.epoch, index: last };
    let leaf = leaf::read(kv, id, 1)?.pop();
    let leaf = leaf.ok_or_else(|| damaged(format!("leaf {id} is missing")))?;
    let node = log::Nodes::node(&Stored(&rows), 0, last)?;
    if log::leaf_hash(&leaf) != node {
        return Err(damaged(format!("leaf {id} is not the one in row {}", last / ROW_NODES)));
    }
    Ok(())
}

/// Checks that a note claims this tree.
pub(super) fn check_note(
    note: &[u8],
    epoch: u32,
    size: u64,
    tree: &Tree,
) -> Result<(), StoreError> {
    let claimed = Checkpoint::claimed(note).filter(|claimed| {
        claimed.origin.epoch == epoch && claimed.size == size && claimed.root == tree.root()
    });
    match claimed {
        Some(_) => Ok(()),
        None => Err(damaged(format!("the checkpoint {epoch}/{size} is not of the tree beside it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_maps_have_one_spelling() {
        for (epoch, generation) in [(1, 0), (99_999, 0), (100_000, 2)] {
            assert_eq!(parse_name(&name_of(epoch, generation)), Some((epoch, generation)));
        }
        for wrong in ["epoch-1", "epoch-00001.0", "epoch-00001.x", "00001", ""] {
            assert_eq!(parse_name(wrong), None, "{wrong}");
        }
    }
}
