//! Deriving the projections again: from the entries through `delivery::project`, the code of the
//! live path, and from the content volumes. What is rebuilt goes into a new map beside the present
//! one, which counts until the new one is complete.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use prost::Message as _;

use super::commit::{copy, indexed, last_of_each};
use super::index::Index;
use super::keyspace as key;
use super::kv::{Files, Kv, Medium, Pair};
use super::lookup;
use super::record;
use super::table::{Open, Table, damaged, each, name_of, parse_name};
use crate::delivery::{Change, Consignment, Delivery, Keeping, Prior, Term, project};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode};
use crate::dossier::Dossier;
use crate::gateway::named_in;
use crate::gateway::ports::{LogReader, Place, StoreError};
use crate::limits::{INDEX_RUN_RECORDS, SCAN_PAGE};
use crate::log::{Entry, EntryId};
use crate::proto::v1;

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
        self.rebuild_reading(contents, |_, _| None)
    }

    /// The same with what reads content, so that it is known again which consignment has which parts.
    ///
    /// # Errors
    /// Medium and damage.
    pub fn rebuild_reading(
        &self,
        contents: impl IntoIterator<Item = (Sha256, Place)>,
        read: impl Fn(&Sha256, Place) -> Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        let contents = Contents { places: contents.into_iter().collect(), read: &read };
        self.decisive(|| self.derive(&contents))
    }

    fn derive(&self, contents: &Contents<'_>) -> Result<(), StoreError> {
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
        let mut shared = HashSet::new();
        for epoch in 1..=epoch {
            self.derive_epoch(next.as_ref(), epoch, |entries, changes, end| {
                shared.extend(entries.iter().map(|entry| entry.actor.certificate));
                index.take(files, indexed(changes), end)
            })?;
        }
        contents.place(next.as_ref(), shared)?;
        next.apply(index.record().into_iter().collect())?;
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
                self.derive_epoch(next.as_ref(), epoch, |_, _, _| Ok(()))?;
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
        mut take: impl FnMut(&[Entry], &[Change], EntryId) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut from = EntryId { epoch, index: 0 };
        loop {
            let leaves = self.leaves(from, SCAN_PAGE)?;
            if leaves.is_empty() {
                return Ok(());
            }
            let prior = Pending {
                kv: next,
                changed: RefCell::default(),
                consignments: RefCell::default(),
                keepings: RefCell::default(),
                dossiers: RefCell::default(),
            };
            let (mut entries, mut changes) = (Vec::new(), Vec::new());
            for leaf in &leaves {
                let entry = read_leaf(from, leaf)?;
                let made = project(from, &entry, &prior)?;
                prior.take(&made);
                changes.extend(made);
                entries.push(entry);
                from.index += 1;
            }
            next.fill(last_of_each(changes.iter().filter_map(record::write_of).collect()))?;
            take(&entries, &changes, from)?;
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

/// What lies in the content store, and how to read it.
struct Contents<'a> {
    places: HashMap<Sha256, Place>,
    read: &'a dyn Fn(&Sha256, Place) -> Option<Vec<u8>>,
}

impl Contents<'_> {
    /// Writes where everything lies: envelope, report and parts with their consignments, the rest and
    /// what is `shared` by itself.
    fn place(&self, next: &dyn Kv, mut shared: HashSet<Sha256>) -> Result<(), StoreError> {
        let mut owned = HashSet::new();
        each(next, b"s", |page| {
            let mut writes = Vec::new();
            for (_, bytes) in page {
                let consignment = record::read_consignment(&bytes)?;
                let Some(own) = self.own(&consignment, &mut shared) else { continue };
                owned.extend(own.iter().map(|(digest, _)| *digest));
                writes.extend(record::consignment_with(&consignment, &own));
            }
            next.fill(last_of_each(writes))
        })?;
        let alone = |digest: &Sha256| shared.contains(digest) || !owned.contains(digest);
        let mut writes = Vec::new();
        for (digest, place) in self.places.iter().filter(|(digest, _)| alone(digest)) {
            writes.push(record::content_write(&(*digest, *place)));
            if writes.len() == SCAN_PAGE {
                next.fill(last_of_each(std::mem::take(&mut writes)))?;
            }
        }
        next.apply(last_of_each(writes))
    }

    /// Envelope, report and parts of a consignment, if the envelope is there to tell.
    fn own(
        &self,
        consignment: &Consignment,
        shared: &mut HashSet<Sha256>,
    ) -> Option<Vec<(Sha256, Place)>> {
        let parts = part_digests(&self.read(&consignment.envelope)?)?;
        if let Some(report) = self.read(&consignment.verdict.report) {
            let (certificates, lists) = named_in(&report);
            shared.extend(certificates.into_iter().chain(lists));
        }
        let own = [consignment.envelope, consignment.verdict.report].into_iter().chain(parts);
        Some(own.filter_map(|digest| Some((digest, *self.places.get(&digest)?))).collect())
    }

    fn read(&self, digest: &Sha256) -> Option<Vec<u8>> {
        (self.read)(digest, *self.places.get(digest)?)
    }
}

/// The digests of the parts that an envelope lists.
pub(super) fn part_digests(envelope: &[u8]) -> Option<Vec<Sha256>> {
    let envelope = v1::Envelope::decode(envelope).ok()?;
    envelope.parts.iter().map(|part| Sha256::from_slice(&part.sha256)).collect()
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
    consignments: RefCell<HashMap<ConsignmentId, Consignment>>,
    keepings: RefCell<HashMap<ConsignmentId, Keeping>>,
    dossiers: RefCell<HashMap<DossierCode, Dossier>>,
}

impl Pending<'_> {
    fn take(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Delivery(delivery) = change {
                let key = (delivery.consignment, delivery.recipient.clone());
                self.changed.borrow_mut().insert(key, delivery.clone());
            }
            if let Change::Consignment(consignment) = change {
                self.consignments.borrow_mut().insert(consignment.id, consignment.clone());
            }
            if let Change::Keeping(consignment, keeping) = change {
                self.keepings.borrow_mut().insert(*consignment, keeping.clone());
            }
            if let Change::Dossier(dossier) = change {
                self.dossiers.borrow_mut().insert(dossier.code.clone(), (**dossier).clone());
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

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        if let Some(consignment) = self.consignments.borrow().get(&id) {
            return Ok(Some(consignment.clone()));
        }
        let found = self.kv.get(&key::consignment(id))?;
        found.map(|bytes| record::read_consignment(&bytes)).transpose()
    }

    fn keeping(&self, consignment: ConsignmentId) -> Result<Keeping, StoreError> {
        if let Some(keeping) = self.keepings.borrow().get(&consignment) {
            return Ok(keeping.clone());
        }
        let found = self.kv.get(&key::keeping(consignment))?;
        Ok(found.map(|bytes| record::read_keeping(&bytes)).transpose()?.unwrap_or_default())
    }

    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError> {
        if let Some(dossier) = self.dossiers.borrow().get(code) {
            return Ok(Some(dossier.clone()));
        }
        let found = self.kv.get(&key::dossier(code))?;
        found.map(|bytes| super::dossier::read(&bytes)).transpose()
    }
}
