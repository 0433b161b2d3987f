//! Deriving the projections again: from the entries through `delivery::project`, the code of the
//! live path, and from the content volumes. What is rebuilt goes into a new map beside the present
//! one, which counts until the new one is complete.

use std::cell::RefCell;
use std::collections::HashMap;

use super::commit::{copy, indexed, last_of_each};
use super::index::Index;
use super::keyspace as key;
use super::kv::{Files, Kv, Medium, Pair};
use super::lookup;
use super::record;
use super::table::{Open, Table, damaged, each, name_of, parse_name};
use crate::delivery::{Change, Delivery, Prior, Term, project};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::gateway::ports::{LogReader, Place, StoreError};
use crate::limits::{INDEX_RUN_RECORDS, SCAN_PAGE};
use crate::log::{Entry, EntryId};

impl<M: Medium> Table<M> {
    /// Replaces all projections by what the entries and `contents` say; durable on return, and an
    /// interrupted call changes nothing. Bodies that no document ever referred to are indexed too:
    /// the log does not name bodies one by one.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn rebuild(
        &self,
        contents: impl IntoIterator<Item = (Sha256, Place)>,
    ) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        self.decisive(|| self.derive(contents))
    }

    fn derive(
        &self,
        contents: impl IntoIterator<Item = (Sha256, Place)>,
    ) -> Result<(), StoreError> {
        let (old, epoch) = {
            let open = self.reading()?;
            (open.name.clone(), open.epoch)
        };
        let generation = parse_name(&old).map_or(0, |(_, generation)| generation) + 1;
        let name = name_of(epoch, generation);
        self.medium.remove(&name)?;
        let next = self.medium.open(&name)?;
        {
            let open = self.reading()?;
            for tag in [b'E', b'H', b'T', b'V', b'c', b'l', b'r'] {
                copy(open.kv.as_ref(), next.as_ref(), &[tag])?;
            }
        }
        let files = self.medium.files();
        let mut index = Index::empty(files, INDEX_RUN_RECORDS)?;
        for epoch in 1..=epoch {
            self.derive_epoch(next.as_ref(), epoch, |changes, end| {
                index.take(files, indexed(changes), end)
            })?;
        }
        let mut writes = Vec::new();
        for content in contents {
            writes.push(record::content_write(&content));
            if writes.len() == SCAN_PAGE {
                next.apply(last_of_each(std::mem::take(&mut writes)))?;
            }
        }
        writes.extend(index.record());
        next.apply(last_of_each(writes))?;
        self.medium.switch(&name)?;
        let mut open = self.changing();
        open.name = name;
        open.kv = next;
        open.index = index;
        open.index.recorded(self.medium.files())?;
        open.index.tidy(self.medium.files())?;
        // The old map does not count any more; if it cannot be removed now, opening does it.
        let _ = self.medium.remove(&old);
        Ok(())
    }

    /// Derives the projections into a map beside the present one, compares, and removes it again.
    /// Gives what differs: the key of a record, in hexadecimal after its tag.
    ///
    /// # Errors
    /// Medium and damage.
    pub(super) fn compare_projections(&self) -> Result<Vec<String>, StoreError> {
        let _writing = self.writing()?;
        let open = self.reading()?;
        let generation = parse_name(&open.name).map_or(0, |(_, generation)| generation) + 1;
        let name = name_of(open.epoch, generation);
        self.medium.remove(&name)?;
        let mut differing = Vec::new();
        {
            let next = self.medium.open(&name)?;
            for epoch in 1..=open.epoch {
                self.derive_epoch(next.as_ref(), epoch, |_, _| Ok(()))?;
            }
            for tag in key::DERIVED {
                differ(open.kv.as_ref(), next.as_ref(), tag, &mut differing)?;
            }
        }
        self.medium.remove(&name)?;
        Ok(differing)
    }

    fn derive_epoch(
        &self,
        next: &dyn Kv,
        epoch: u32,
        mut take: impl FnMut(&[Change], EntryId) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut from = EntryId { epoch, index: 0 };
        loop {
            let leaves = self.leaves(from, SCAN_PAGE)?;
            if leaves.is_empty() {
                return Ok(());
            }
            let prior = Pending { kv: next, changed: RefCell::default() };
            let mut changes = Vec::new();
            for leaf in &leaves {
                let entry = read_leaf(from, leaf)?;
                let made = project(from, &entry, &prior)?;
                prior.take(&made);
                changes.extend(made);
                from.index += 1;
            }
            next.apply(last_of_each(changes.iter().filter_map(record::write_of).collect()))?;
            take(&changes, from)?;
        }
    }

    /// Every record of every projection, in order: to compare stores.
    ///
    /// # Errors
    /// Medium.
    pub fn projections(
        &self,
        mut take: impl FnMut(Vec<Pair>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let open = self.reading()?;
        let mut all = key::PROJECTIONS.iter();
        all.try_for_each(|tag| each(open.kv.as_ref(), &[*tag], &mut take))?;
        open.index.each(self.medium.files(), take)
    }
}

/// Adds to `differing` the keys under a tag that only one of two maps has, or with another value.
fn differ(
    one: &dyn Kv,
    other: &dyn Kv,
    tag: u8,
    differing: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut hold = |from: &dyn Kv, against: &dyn Kv, both: bool| {
        each(from, &[tag], |page| {
            for (key, value) in page {
                let found = against.get(&key)?;
                let same = match &found {
                    Some(found) => !both || record::same(tag, &value, found)?,
                    None => false,
                };
                if !same {
                    let name = crate::digest::hex(key.get(1..).unwrap_or_default());
                    differing.push(format!("record {}/{name}", char::from(tag)));
                }
            }
            Ok(())
        })
    };
    hold(one, other, true)?;
    hold(other, one, false)
}

/// Adds to a new index the terms of all entries that are in none of its runs.
pub(super) fn catch_up(open: &mut Open, files: &dyn Files) -> Result<(), StoreError> {
    let mut from = open.index.covered().max(EntryId { epoch: 1, index: 0 });
    while from.epoch <= open.epoch {
        let leaves = lookup::leaves(open, files, from, SCAN_PAGE)?;
        if leaves.is_empty() {
            from = EntryId { epoch: from.epoch + 1, index: 0 };
            continue;
        }
        let mut terms = Vec::new();
        for leaf in &leaves {
            let of = Term::all_of(&read_leaf(from, leaf)?);
            terms.extend(of.into_iter().map(|term| (term, from)));
            from.index += 1;
        }
        open.index.take(files, terms.iter().map(|(term, entry)| (term, *entry)), from)?;
    }
    Ok(())
}

/// The entry of a stored leaf.
pub(super) fn read_leaf(id: EntryId, leaf: &[u8]) -> Result<Entry, StoreError> {
    Entry::from_leaf(leaf).map_err(|error| damaged(format!("entry {id}: {error}")))
}

/// Deliveries as they stand, with the changes of the batch that is not written yet.
struct Pending<'a> {
    kv: &'a dyn Kv,
    changed: RefCell<HashMap<(ConsignmentId, Code), Delivery>>,
}

impl Pending<'_> {
    fn take(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Delivery(delivery) = change {
                let key = (delivery.consignment, delivery.recipient.clone());
                self.changed.borrow_mut().insert(key, delivery.clone());
            }
        }
    }
}

impl Prior for Pending<'_> {
    type Error = StoreError;

    fn delivery(
        &self,
        consignment: ConsignmentId,
        recipient: &Code,
    ) -> Result<Option<Delivery>, StoreError> {
        if let Some(delivery) = self.changed.borrow().get(&(consignment, recipient.clone())) {
            return Ok(Some(delivery.clone()));
        }
        let found = self.kv.get(&key::delivery(consignment, recipient))?;
        found.map(|bytes| record::read_delivery(&bytes)).transpose()
    }
}
