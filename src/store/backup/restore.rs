//! A store made again from a backup: the open epoch goes into a new map, entry by entry, and
//! everything else is derived from it by the code of `store rebuild`.

use std::fs;
use std::path::Path;

use super::Backup;
use crate::gateway::ports::{Head, HeadGuard as _, StoreError};
use crate::limits::SCAN_PAGE;
use crate::log::{Checkpoint, EntryId, Tree, leaf_hash};
use crate::store::disk::{self, DiskFiles, medium};
use crate::store::guard::FileGuard;
use crate::store::keyspace as key;
use crate::store::kv::{Kv, Medium as _, Write};
use crate::store::sled::{SledMedium, rebuild};
use crate::store::table::{damaged, first_records, name_of};
use crate::store::{archive, leaf, record};

/// What a restore made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where its log ends.
    pub end: EntryId,
    /// Where the log ended that was signed last, as the head guard of the folder says; `None` if the
    /// guard was lost, too. Unless that is where this log ends, no gateway goes on by itself.
    pub signed: Option<EntryId>,
}

/// Restores a backup into the data folder `data`, which holds nothing but, perhaps, the head guard
/// of the store that was lost. No guard is made: a backup does not know what was signed after it. An
/// interrupted restore is simply begun again.
///
/// # Errors
/// Medium, damage, and a folder that already has a store.
pub fn restore(backup: &Backup, data: &Path, cache_bytes: u64) -> Result<Restored, StoreError> {
    let end = backup.end().ok_or_else(|| damaged("the backup is not whole"))?;
    let store = SledMedium::new(data, cache_bytes)?;
    if store.current()?.is_some() {
        return Err(damaged(format!("{} already holds a store", data.display())));
    }
    store.files().remove(archive::ROOT)?;
    let content = data.join("content");
    disk::remove_folder(&content).map_err(medium(&content))?;
    super::copy_bodies(&backup.content(), &content)?;
    let name = name_of(end.epoch, 0);
    store.remove(&name)?;
    {
        let map = store.open(&name)?;
        map.apply(first_records(end.epoch))?;
        for epoch in 1..end.epoch {
            let head = backup.verify(epoch)?;
            copy_epoch(backup, data, epoch)?;
            store.files().sync(&archive::folder(epoch))?;
            let closed = record::closed(head.size, &head.checkpoint);
            map.apply(vec![Write::put(key::closed(epoch), closed)])?;
        }
        let head = backup.verify(end.epoch)?;
        if head.size != end.index {
            return Err(damaged(format!("the backup ends at {}, not at {end}", head.size)));
        }
        load(backup, map.as_ref(), &head)?;
    }
    store.switch(&name)?;
    rebuild(data, cache_bytes, &content)?;
    Ok(Restored { end, signed: signed(data)? })
}

fn copy_epoch(backup: &Backup, data: &Path, epoch: u32) -> Result<(), StoreError> {
    let folder = archive::folder(epoch);
    let (from, to) = (backup.root.join(&folder), data.join(&folder));
    copy_folder(&from, &to).map_err(medium(&from))
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy_folder(&entry.path(), &target)?,
            false => drop(fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}

/// Writes the entries, rows and checkpoints of the open epoch.
fn load(backup: &Backup, map: &dyn Kv, head: &Head) -> Result<(), StoreError> {
    let mut tree = Tree::default();
    while tree.size() < head.size {
        let first = EntryId { epoch: head.epoch, index: tree.size() };
        let leaves = backup.leaves(first, SCAN_PAGE)?;
        if leaves.is_empty() {
            return Err(damaged(format!("entry {first} is not in the backup")));
        }
        let grown = tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let mut writes = leaf::writes(first, &leaves);
        for row in tree.rows_of(&grown) {
            writes.push(Write::put(key::row(head.epoch, row.level, row.index), row.hashes));
        }
        map.fill(writes)?;
    }
    load_checkpoints(&backup.files, map, head)?;
    map.apply(vec![Write::put(key::HEAD.to_vec(), record::head(head.epoch, head.size))])
}

fn load_checkpoints(files: &DiskFiles, map: &dyn Kv, head: &Head) -> Result<(), StoreError> {
    let mut size = 1;
    let mut writes = Vec::new();
    while size <= head.size {
        let note = archive::checkpoint_of(files, head.epoch, size)?;
        let note = note.ok_or_else(|| damaged(format!("no checkpoint covers {size} entries")))?;
        let claimed = Checkpoint::claimed(&note).filter(|claimed| claimed.size >= size);
        let claimed = claimed.ok_or_else(|| record::unreadable("checkpoint"))?;
        writes.push(Write::put(key::checkpoint(head.epoch, claimed.size), note));
        size = claimed.size + 1;
        if writes.len() == SCAN_PAGE {
            map.fill(std::mem::take(&mut writes))?;
        }
    }
    map.apply(writes)
}

/// What the guard of the lost store says.
fn signed(data: &Path) -> Result<Option<EntryId>, StoreError> {
    if !FileGuard::is_in(data) {
        return Ok(None);
    }
    let Some(note) = FileGuard::open(data)?.load()? else { return Ok(None) };
    let signed = Checkpoint::claimed(&note).ok_or_else(|| record::unreadable("head guard"))?;
    Ok(Some(EntryId { epoch: signed.origin.epoch, index: signed.size }))
}
