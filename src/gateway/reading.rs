//! Reading the log: entries, receipts and proofs.

use std::sync::Arc;

use super::ports::{LogReader, LogStore, Store, StoreError};
use super::{Error, Fault};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::evidence::Receipt;
use crate::log::{
    Checkpoint, Entry, EntryId, LogPublicKey, Rows, SignedCheckpoint, Stored, TILE_WIDTH, TileKind,
    TileName, consistency, inclusion, write_bundle,
};
use crate::refusal::{Reason, Refusal};

/// A reader of the whole log, open and closed epochs alike.
#[derive(Clone)]
pub struct Reading {
    store: Arc<dyn Store>,
    public: LogPublicKey,
}

impl Reading {
    /// A reader of `store`, whose checkpoints are signed with `public`.
    pub fn new(store: Arc<dyn Store>, public: LogPublicKey) -> Self {
        Self { store, public }
    }

    /// The key that signs the checkpoints.
    pub fn public_key(&self) -> &LogPublicKey {
        &self.public
    }

    /// The latest signed checkpoint; `None` while the log is empty.
    ///
    /// # Errors
    /// The store's.
    pub fn latest(&self) -> Result<Option<Vec<u8>>, Fault> {
        let head = self.store.head()?;
        Ok(Some(head.checkpoint).filter(|note| !note.is_empty()))
    }

    /// The last checkpoint of an epoch.
    ///
    /// # Errors
    /// [`Reason::EntryUnknown`] if there is no such epoch or it is empty, or the store's.
    pub fn last_of(&self, epoch: u32) -> Result<Vec<u8>, Error> {
        let head = self.store.head()?;
        if epoch == 0 || epoch == head.epoch {
            return self.latest()?.ok_or_else(|| Refusal::new(Reason::EntryUnknown).into());
        }
        let unknown = || Refusal::of_field(Reason::EntryUnknown, "epoch").with("epoch", epoch);
        if epoch > head.epoch {
            return Err(unknown().into());
        }
        Ok(self.store.checkpoint(epoch, self.size_of(epoch)?)?.ok_or_else(unknown)?)
    }

    /// Whether it is the epoch that grows; a store that cannot be read has none.
    pub fn is_open(&self, epoch: u32) -> bool {
        self.store.head().is_ok_and(|head| head.epoch == epoch)
    }

    /// Up to `max` leaves from `from` on.
    ///
    /// # Errors
    /// The store's.
    pub fn leaves(&self, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.store.leaves(from, max)
    }

    /// Up to `max` entries behind `last`, across the end of an epoch; none at the end of the log.
    ///
    /// # Errors
    /// The store's.
    pub fn behind(&self, last: EntryId, max: usize) -> Result<Vec<(EntryId, Vec<u8>)>, StoreError> {
        let mut from = last.next();
        if last.epoch == 0 {
            from = EntryId { epoch: 1, index: 0 };
        }
        let mut leaves = self.store.leaves(from, max)?;
        if leaves.is_empty() && from.epoch < self.store.head()?.epoch {
            from = EntryId { epoch: from.epoch + 1, index: 0 };
            leaves = self.store.leaves(from, max)?;
        }
        // Leaves first: the place behind the last one that there can be has no successor.
        let numbered = leaves.into_iter().zip(0..);
        Ok(numbered.map(|(leaf, n)| (EntryId { index: from.index + n, ..from }, leaf)).collect())
    }

    /// The first checkpoint of an epoch that covers `size` entries.
    ///
    /// # Errors
    /// The store's.
    pub fn checkpoint_at(&self, epoch: u32, size: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.checkpoint(epoch, size)
    }

    /// The rows of an epoch's tree.
    pub fn rows(&self, epoch: u32) -> EpochRows<'_> {
        EpochRows { store: &*self.store, epoch }
    }

    /// A tile or bundle of an epoch (C2SP tlog-tiles); `None` if its tree is not that wide.
    ///
    /// # Errors
    /// The store's.
    pub fn tile(&self, epoch: u32, name: TileName) -> Result<Option<Vec<u8>>, StoreError> {
        if epoch == 0 || epoch > self.store.head()?.epoch {
            return Ok(None);
        }
        match name.kind {
            TileKind::Hashes(level) => self.hashes(epoch, level, name),
            TileKind::Entries => self.bundle(epoch, name),
        }
    }

    /// A tile is kept as two rows.
    fn hashes(&self, epoch: u32, level: u8, name: TileName) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(first) = name.index.checked_mul(2) else { return Ok(None) };
        let size = usize::try_from(name.width).map_or(usize::MAX, |width| width * 32);
        let mut hashes = Vec::with_capacity(size);
        for row in [first, first + 1] {
            match self.store.row(epoch, level, row)? {
                Some(row) if hashes.len() < size => hashes.extend(row),
                _ => break,
            }
        }
        Ok((hashes.len() >= size).then(|| {
            hashes.truncate(size);
            hashes
        }))
    }

    fn bundle(&self, epoch: u32, name: TileName) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(index) = name.index.checked_mul(TILE_WIDTH) else { return Ok(None) };
        let width = usize::try_from(name.width).unwrap_or(usize::MAX);
        let leaves = self.store.leaves(EntryId { epoch, index }, width)?;
        if leaves.len() < width {
            return Ok(None);
        }
        let bundle = write_bundle(&leaves);
        bundle.map(Some).ok_or_else(|| StoreError::Damaged("an entry is too long".into()))
    }

    /// The exact bytes of an entry.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is missing.
    pub fn leaf(&self, id: EntryId) -> Result<Vec<u8>, StoreError> {
        let leaves = self.store.leaves(id, 1)?;
        leaves.into_iter().next().ok_or_else(|| StoreError::Damaged(format!("no entry {id}")))
    }

    /// An entry.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is missing or not an entry.
    pub fn entry(&self, id: EntryId) -> Result<Entry, StoreError> {
        Entry::from_leaf(&self.leaf(id)?)
            .map_err(|error| StoreError::Damaged(format!("entry {id}: {error}")))
    }

    /// The first entry that is not earlier than `time`, or where the next one will stand: the log is
    /// in the order of time, so some thirty entries of ten million are looked at.
    ///
    /// # Errors
    /// The store's.
    pub fn first_since(&self, time: Time) -> Result<EntryId, StoreError> {
        let head = self.store.head()?;
        let is_before = |id| Ok::<_, StoreError>(self.entry(id)?.time < time);
        // Whole epochs first: the last one that begins before the time.
        let (mut epoch, mut beyond) = (1, head.epoch + 1);
        while beyond - epoch > 1 {
            let middle = epoch + (beyond - epoch) / 2;
            let begins_before = (middle, head.size) != (head.epoch, 0)
                && is_before(EntryId { epoch: middle, index: 0 })?;
            if begins_before {
                epoch = middle;
            } else {
                beyond = middle;
            }
        }
        let size = if epoch == head.epoch { head.size } else { self.size_of(epoch)? };
        let (mut first, mut end) = (0, size);
        while first < end {
            let middle = first + (end - first) / 2;
            if is_before(EntryId { epoch, index: middle })? {
                first = middle + 1;
            } else {
                end = middle;
            }
        }
        Ok(if first == size && epoch < head.epoch {
            EntryId { epoch: epoch + 1, index: 0 }
        } else {
            EntryId { epoch, index: first }
        })
    }

    /// How many entries a closed epoch has: the one after it begins by saying so.
    fn size_of(&self, epoch: u32) -> Result<u64, StoreError> {
        let opening = self.entry(EntryId { epoch: epoch + 1, index: 0 })?;
        let unsaid = || StoreError::Damaged(format!("epoch {epoch} has no end"));
        Ok(opening.previous_epoch.ok_or_else(unsaid)?.size)
    }

    /// The receipt of an entry against the first checkpoint that covered it: the same bytes every
    /// time, also as they were answered at first.
    ///
    /// # Errors
    /// [`Reason::EntryUnknown`], or the store's.
    pub fn receipt(&self, id: EntryId) -> Result<Receipt, Error> {
        let unknown = || Refusal::of_field(Reason::EntryUnknown, "entry_id").with("entry", id);
        let size = id.index.checked_add(1).ok_or_else(unknown)?;
        let note = self.store.checkpoint(id.epoch, size)?.ok_or_else(unknown)?;
        self.receipt_under(id, note)
    }

    /// The receipt of an entry against a checkpoint of its epoch that covers it.
    ///
    /// # Errors
    /// [`Reason::EntryUnknown`], or the store's.
    pub fn receipt_under(&self, id: EntryId, note: Vec<u8>) -> Result<Receipt, Error> {
        let signed = self.open(&note)?;
        if signed.origin.epoch != id.epoch || signed.size <= id.index {
            let refusal = Refusal::of_field(Reason::EntryUnknown, "entry_id");
            return Err(refusal.with("entry", id).into());
        }
        let path = inclusion(&Stored(&self.rows(id.epoch)), id.index, signed.size)?;
        Ok(Receipt { leaf: self.leaf(id)?, id, path, checkpoint: note })
    }

    /// The proof that the epoch's tree of `old` entries is a prefix of the one of `new`.
    ///
    /// # Errors
    /// [`Reason::RangeOutside`], or the store's.
    pub fn consistency(&self, epoch: u32, old: u64, new: u64) -> Result<Vec<Sha256>, Error> {
        let size = self.open(&self.last_of(epoch)?)?.size;
        if old > new || new > size {
            let refusal = Refusal::of_field(Reason::RangeOutside, "new_size");
            return Err(refusal
                .with("old_size", old)
                .with("new_size", new)
                .with("size", size)
                .into());
        }
        Ok(consistency(&Stored(&self.rows(epoch)), old, new)?)
    }

    /// Opens one of our own checkpoints.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if it is not signed with our key.
    pub fn open(&self, note: &[u8]) -> Result<SignedCheckpoint, StoreError> {
        self.public.open(note).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}

/// Some entries of one epoch, with the checkpoints that end among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Their exact bytes, in order; none at the end of the epoch.
    pub leaves: Vec<Vec<u8>>,
    /// The checkpoints, in order.
    pub checkpoints: Vec<Vec<u8>>,
    /// Where the log ended when they were read: the open epoch and its size.
    pub head: EntryId,
}

/// Up to `max` entries from `from` on. Whoever reads on until the head has a checkpoint over all.
///
/// # Errors
/// The store's.
pub fn page<S: LogStore + LogReader + ?Sized>(
    store: &S,
    from: EntryId,
    max: usize,
) -> Result<Page, StoreError> {
    let head = store.head()?;
    let head = EntryId { epoch: head.epoch, index: head.size };
    let leaves = if from.epoch > head.epoch { Vec::new() } else { store.leaves(from, max)? };
    let end = from.index + leaves.len() as u64;
    let mut checkpoints = Vec::new();
    let mut size = from.index.saturating_add(1);
    while size <= end {
        let Some(note) = store.checkpoint(from.epoch, size)? else { break };
        let claimed = Checkpoint::claimed(&note)
            .ok_or_else(|| StoreError::Damaged(format!("checkpoint {}/{size}", from.epoch)))?;
        if claimed.size > end {
            break;
        }
        size = claimed.size + 1;
        checkpoints.push(note);
    }
    Ok(Page { leaves, checkpoints, head })
}

/// [`Rows`] of one epoch.
pub struct EpochRows<'a> {
    store: &'a dyn Store,
    epoch: u32,
}

impl Rows for EpochRows<'_> {
    type Error = StoreError;

    fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, StoreError> {
        self.store.row(self.epoch, level, index)?.ok_or_else(|| self.short(level, index))
    }

    fn short(&self, level: u8, index: u64) -> StoreError {
        let epoch = self.epoch;
        StoreError::Damaged(format!("row {index} of level {level} in epoch {epoch} is too short"))
    }
}
