//! A ZIP as verification sees it: its entries, what is odd about it, and the bytes of each entry,
//! inflated in one pass through a small window and held against size and checksum on the way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::super::algorithm::Hash;
use super::super::content::Content;
use super::anomaly::{Anomalies, Anomaly};
use super::directory::{Directory, Fault};
use super::inflate::Opened;
use super::layout::{self, Entry, Method};
use super::names;
use crate::limits::{
    DOCUMENT_SIZE_MAX, PACKAGE_INFLATED_FREE, PACKAGE_PASSES_MAX, PACKAGE_RATIO_MAX,
};
use crate::source::Source;

/// An archive whose directory could be read.
pub(super) struct Archive<'a> {
    pub source: &'a dyn Source,
    /// In the order of the directory.
    pub entries: Vec<Entry>,
    pub anomalies: Anomalies,
    /// Of several entries with one name, the last.
    by_name: HashMap<String, usize>,
    digests: RefCell<HashMap<(usize, Hash), Vec<u8>>>,
    /// What was found while an entry was read to its end; `None` before that.
    read: RefCell<Vec<Option<Result<(), Anomaly>>>>,
    /// How many bytes may still be inflated, over all passes.
    budget: Cell<u64>,
}

impl<'a> Archive<'a> {
    pub fn open(source: &'a dyn Source) -> Result<Self, Fault> {
        let mut anomalies = Anomalies::default();
        let directory = Directory::read(source, &mut anomalies)?;
        let entries = layout::entries(source, &directory, &mut anomalies)?;
        names::check(&entries, &mut anomalies);
        for entry in &entries {
            anomalies.extend(unreadable(entry));
        }
        if !directory.comment.is_empty() && !directory.comment.starts_with(b"mimetype=") {
            let message = "the archive has a comment, which no signature covers";
            anomalies.push(Anomaly::remark("ZIP_COMMENT", message, directory.start));
        }
        let total = entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size));
        if total > inflated_max(source.size()) {
            anomalies.push(bomb("The archive"));
        }
        let read = RefCell::new(entries.iter().map(|_| None).collect());
        let budget = Cell::new(inflated_max(source.size()).saturating_mul(PACKAGE_PASSES_MAX));
        let by_name = entries.iter().enumerate();
        let by_name = by_name.map(|(index, entry)| (entry.name.clone(), index)).collect();
        let digests = RefCell::default();
        Ok(Self { source, entries, anomalies, by_name, digests, read, budget })
    }

    /// The entry with exactly this name; the last one where there are several.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The inflated bytes of an entry.
    pub fn bytes_of(&self, index: usize) -> Option<Opened<'_>> {
        self.entries.get(index).map(|entry| Opened::new(self, index, entry))
    }

    /// All bytes of an entry, in memory, if they are at most `size_max`.
    pub fn load(&self, index: usize, size_max: usize) -> Result<Vec<u8>, Anomaly> {
        let entry = self.entries.get(index).ok_or_else(lost)?;
        let size = usize::try_from(entry.size).ok().filter(|&size| size <= size_max);
        let Some(size) = size else {
            let message =
                format!("The entry “{}” is too large to be judged.", names::shown(&entry.name));
            return Err(Anomaly::unjudged("ENTRY_TOO_LARGE", message));
        };
        let opened = self.bytes_of(index).ok_or_else(lost)?;
        let mut bytes = vec![0; size];
        let outcome = opened.read_at(0, &mut bytes);
        self.check(index)?;
        outcome.map(|()| bytes).map_err(|_| lost())
    }

    /// The digest of an entry, computed at most once; `None` for a hash that is not computed here.
    pub fn digest(&self, index: usize, hash: &Hash) -> Result<Option<Vec<u8>>, Anomaly> {
        let key = (index, hash.clone());
        if let Some(known) = self.digests.borrow().get(&key) {
            return Ok(Some(known.clone()));
        }
        let Some(opened) = self.bytes_of(index) else { return Err(lost()) };
        let digest = Content::whole_of(&opened).digest(hash);
        self.check(index)?;
        let Some(digest) = digest.map_err(|_| lost())? else { return Ok(None) };
        self.digests.borrow_mut().insert(key, digest.clone());
        Ok(Some(digest))
    }

    /// Whether the entry is whole: everything was read, and size and checksum fit.
    pub fn check(&self, index: usize) -> Result<(), Anomaly> {
        let known = |read: &[Option<Result<(), Anomaly>>]| read.get(index).cloned().flatten();
        if let Some(known) = known(&self.read.borrow()) {
            return known;
        }
        if let Some(opened) = self.bytes_of(index) {
            opened.exhaust();
        }
        known(&self.read.borrow()).unwrap_or_else(|| Err(lost()))
    }

    /// Remembers what a pass through an entry found.
    pub(super) fn note(&self, index: usize, outcome: Result<(), Anomaly>) {
        if let Some(slot) = self.read.borrow_mut().get_mut(index) {
            slot.get_or_insert(outcome);
        }
    }

    /// Whether `size` more bytes may be inflated.
    pub(super) fn spend(&self, size: u64) -> bool {
        let left = self.budget.get().checked_sub(size);
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }
}

fn lost() -> Anomaly {
    Anomaly::unjudged("ENTRY_UNREADABLE", "An entry could not be read.")
}

/// What an archive of this size may hold.
fn inflated_max(size: u64) -> u64 {
    size.saturating_mul(PACKAGE_RATIO_MAX)
        .saturating_add(PACKAGE_INFLATED_FREE)
        .min(DOCUMENT_SIZE_MAX)
}

pub(super) fn bomb(what: &str) -> Anomaly {
    let message = format!("{what} unpacks to far more than its size: a decompression bomb.");
    Anomaly::unjudged("ZIP_BOMB", message)
}

/// Why the content of an entry cannot be read, as far as its headers say.
fn unreadable(entry: &Entry) -> Option<Anomaly> {
    let name = names::shown(&entry.name);
    if entry.is_encrypted {
        let message =
            format!("The entry “{name}” is encrypted, which a signed package must not be.");
        return Some(Anomaly::forged("ENTRY_ENCRYPTED", message, entry.header));
    }
    if let Method::Other(number) = entry.method {
        let message = format!(
            "The entry “{name}” is compressed with method {number}, which this version does not read."
        );
        return Some(Anomaly::unjudged("ENTRY_METHOD", message));
    }
    (entry.size > inflated_max(entry.packed)).then(|| bomb(&format!("The entry “{name}”")))
}
