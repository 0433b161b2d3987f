//! Backups: a folder from which a store is made again, whatever becomes of the first one.
//!
//! ```text
//! <dir>/backup.json          what it is and where its log ends; written last
//! <dir>/epochs/00001/…       every epoch as files (archive.rs), the open one as far as it had come
//! <dir>/content/…            bodies, as the content store keeps them
//! ```
//! It holds the sources and nothing that follows from them: mailboxes, states and the index are
//! derived again at a restore. Unfinished uploads, keys and configuration are not in it.
//!
//! Making one again in the same folder adds what is new. The log is copied first and the bodies
//! after it, because bodies are durable before the entries that refer to them.

mod bodies;
mod epoch;
mod restore;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use bodies::{copy as copy_bodies, mend as mend_bodies};
pub use restore::{Restored, restore};

use super::disk::{self, DiskFiles, medium};
use super::{archive, table::damaged};
use crate::clock::Time;
use crate::gateway::Page;
use crate::gateway::ports::{Head, StoreError};
use crate::log::{Checkpoint, EntryId};
use epoch::EpochFiles;

/// Version of the layout of a backup.
pub const FORMAT: u32 = 1;
const MANIFEST: &str = "backup.json";

/// A folder with a backup, or one that becomes it.
#[derive(Debug)]
pub struct Backup {
    root: PathBuf,
    files: DiskFiles,
    manifest: Option<Manifest>,
}

/// What the folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    format: u32,
    epoch: u32,
    size: u64,
    time: String,
}

impl Backup {
    /// The backup in `root`; an empty or absent folder becomes one.
    ///
    /// # Errors
    /// Medium, and a folder that holds something else.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(MANIFEST);
        let bytes = disk::read_if_there(&path).map_err(medium(&path))?;
        let manifest = bytes.map(|bytes| read(&path, &bytes)).transpose()?;
        if manifest.is_none() {
            let foreign = |name: &String| !["epochs", "content"].contains(&name.as_str());
            if let Some(name) =
                disk::names_in(root).map_err(medium(root))?.into_iter().find(foreign)
            {
                return Err(damaged(format!("{} holds {name} and no backup", root.display())));
            }
            disk::create_folder(root).map_err(medium(root))?;
        }
        Ok(Self { root: root.to_owned(), files: DiskFiles(root.to_owned()), manifest })
    }

    /// Whether `root` holds a whole backup.
    pub fn is_in(root: &Path) -> bool {
        root.join(MANIFEST).is_file()
    }

    /// Where its log ends; `None` before the first one is whole.
    pub fn end(&self) -> Option<EntryId> {
        self.manifest
            .as_ref()
            .map(|manifest| EntryId { epoch: manifest.epoch, index: manifest.size })
    }

    /// When it was made.
    pub fn made_at(&self) -> Option<&str> {
        self.manifest.as_ref().map(|manifest| manifest.time.as_str())
    }

    /// The folder of its bodies.
    pub fn content(&self) -> PathBuf {
        self.root.join("content")
    }

    /// Copies what is new in the log up to where it ends now, and says where that is. `read` gives
    /// entries from a place on.
    ///
    /// # Errors
    /// Those of `read`, medium, an empty log, and a log that does not extend the one in the folder.
    pub fn copy_log<E: From<StoreError>>(
        &self,
        mut read: impl FnMut(EntryId) -> Result<Page, E>,
    ) -> Result<EntryId, E> {
        let first = self.end().map_or(1, |end| end.epoch);
        let head = read(EntryId { epoch: first, index: 0 })?.head;
        if head.index == 0 {
            return Err(damaged("the log has no entry yet").into());
        }
        for epoch in first..=head.epoch {
            let mut files = EpochFiles::open(&self.files, epoch)?;
            let end = if epoch == head.epoch { head.index } else { u64::MAX };
            while files.size() < end {
                let page = read(EntryId { epoch, index: files.size() })?;
                if page.leaves.is_empty() {
                    break;
                }
                files.append(page, end)?;
            }
            files.finish()?;
        }
        Ok(head)
    }

    /// Says that the folder is whole, with a log up to `end`.
    ///
    /// # Errors
    /// Medium.
    pub fn complete(&mut self, end: EntryId, now: Time) -> Result<(), StoreError> {
        let manifest =
            Manifest { format: FORMAT, epoch: end.epoch, size: end.index, time: now.to_string() };
        let path = self.root.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest).expect("numbers and texts");
        disk::replace(&path, format!("{text}\n").as_bytes()).map_err(medium(&path))?;
        self.manifest = Some(manifest);
        Ok(())
    }

    /// The end of an epoch with the checkpoint over it, as its files say.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn head(&self, epoch: u32) -> Result<Head, StoreError> {
        let checkpoint =
            archive::read(&self.files, &archive::note_path(epoch), 0, archive::BUNDLE_SIZE_MAX)?;
        let claimed = Checkpoint::claimed(&checkpoint)
            .filter(|claimed| claimed.origin.epoch == epoch)
            .ok_or_else(|| damaged(format!("the checkpoint of epoch {epoch} cannot be read")))?;
        Ok(Head { epoch, size: claimed.size, checkpoint })
    }

    /// Reads an epoch back: its leaves give its hashes, and these the root in its checkpoint.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn verify(&self, epoch: u32) -> Result<Head, StoreError> {
        let head = self.head(epoch)?;
        archive::verify(&self.files, &head)?;
        Ok(head)
    }

    /// Up to `max` leaves from `from` on.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn leaves(&self, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        archive::leaves_of(&self.files, from, self.head(from.epoch)?.size, max)
    }
}

fn read(path: &Path, bytes: &[u8]) -> Result<Manifest, StoreError> {
    let manifest: Manifest = serde_json::from_slice(bytes)
        .map_err(|error| damaged(format!("{}: {error}", path.display())))?;
    if manifest.format != FORMAT || manifest.epoch == 0 {
        let format = manifest.format;
        return Err(damaged(format!("{}: format {format}, not {FORMAT}", path.display())));
    }
    Ok(manifest)
}
