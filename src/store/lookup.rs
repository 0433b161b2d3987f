//! Reading: the log, open and closed epochs alike, and the projections.

use super::archive;
use super::keyspace as key;
use super::kv::{Files, Kv, Medium, Write};
use super::leaf;
use super::rebuild::read_leaf;
use super::record;
use super::table::{Open, Table, damaged};
use crate::clock::Time;
use crate::delivery::{Consignment, Delivery, Failure, Keeping, Term};
use crate::digest::Sha256;
use crate::document::{ConsignmentId, Urgency};
use crate::gateway::ports::{Keepings, LogReader, Place, Registry, StoreError, Which};
use crate::limits::SCAN_PAGE;
use crate::log::{EntryId, Service};

impl<M: Medium> LogReader for Table<M> {
    fn leaves(&self, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        leaves(&*self.reading()?, self.medium.files(), from, max)
    }

    fn row(&self, epoch: u32, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let open = self.reading()?;
        if epoch < open.epoch {
            return archive::row(open.kv.as_ref(), self.medium.files(), epoch, level, index);
        }
        open.kv.get(&key::row(epoch, level, index))
    }

    fn checkpoint(&self, epoch: u32, size: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let open = self.reading()?;
        if epoch < open.epoch {
            return archive::checkpoint(open.kv.as_ref(), self.medium.files(), epoch, size);
        }
        let end = key::end_of(&key::of_epoch(b'c', epoch));
        let found = open.kv.scan(&key::checkpoint(epoch, size), &end, 1)?;
        Ok(found.into_iter().next().map(|(_, note)| note))
    }
}

/// Leaves of an open or closed epoch, as [`LogReader::leaves`] gives them.
pub(super) fn leaves(
    open: &Open,
    files: &dyn Files,
    from: EntryId,
    max: usize,
) -> Result<Vec<Vec<u8>>, StoreError> {
    if from.epoch < open.epoch {
        return archive::leaves(open.kv.as_ref(), files, from, max);
    }
    leaf::read(open.kv.as_ref(), from, max)
}

impl<M: Medium> Registry for Table<M> {
    fn request(&self, key: &Sha256) -> Result<Option<(Sha256, EntryId)>, StoreError> {
        let (term, mut after) = (Term::Request(*key), EntryId::ZERO);
        // More than one only by somebody's effort.
        while let Some(id) = self.find(&term, after, 1)?.pop() {
            let leaf = self.leaves(id, 1)?.pop();
            let leaf = leaf.ok_or_else(|| damaged(format!("the index knows {id}, the log not")))?;
            let entry = read_leaf(id, &leaf)?;
            if term.is_of(&entry) {
                return Ok(entry.used_for().map(|used| (used, id)));
            }
            after = id;
        }
        Ok(None)
    }

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        let found = self.reading()?.kv.get(&key::consignment(id))?;
        found.map(|bytes| record::read_consignment(&bytes)).transpose()
    }

    fn deliveries(&self, id: ConsignmentId, which: Which<'_>) -> Result<Vec<Delivery>, StoreError> {
        let open = self.reading()?;
        let found = match which {
            Which::At(code) => open.kv.get(&key::delivery(id, code))?.into_iter().collect(),
            Which::After(after, max) => {
                let prefix = key::deliveries(id);
                let from = after.map(|code| key::next(key::delivery(id, code)));
                let from = from.unwrap_or_else(|| prefix.clone());
                let pairs = open.kv.scan(&from, &key::end_of(&prefix), max)?;
                pairs.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
            }
        };
        found.iter().map(|bytes| record::read_delivery(bytes)).collect()
    }

    fn swept(&self, failure: Failure, urgency: Urgency) -> Result<EntryId, StoreError> {
        match self.reading()?.kv.get(&key::swept(failure, urgency))? {
            Some(bytes) => record::read_swept(&bytes),
            None => Ok(EntryId { epoch: 1, index: 0 }),
        }
    }

    fn told(&self, by: &Service) -> Result<EntryId, StoreError> {
        match self.reading()?.kv.get(&key::told(by))? {
            Some(bytes) => record::read_swept(&bytes),
            None => Ok(EntryId::ZERO),
        }
    }

    fn outage(&self, service: &Service) -> Result<Option<Time>, StoreError> {
        let Some(bytes) = self.reading()?.kv.get(&key::outage(service))? else { return Ok(None) };
        let millis = bytes.try_into().map_err(|_| record::unreadable("outage"))?;
        Ok(Some(Time::from_millis(i64::from_be_bytes(millis))))
    }

    fn stamp_over(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        let end = key::end_of(&key::of_epoch(b'q', id.epoch));
        let from = key::stamp(id.epoch, id.index.saturating_add(1));
        let found = self.reading()?.kv.scan(&from, &end, 1)?.pop();
        let read = |(_, value): (Vec<u8>, Vec<u8>)| {
            key::entry_at_end(&value).ok_or_else(|| record::unreadable("time-stamp"))
        };
        found.map(read).transpose()
    }

    fn find(&self, term: &Term, after: EntryId, max: usize) -> Result<Vec<EntryId>, StoreError> {
        let mut found = match term {
            Term::Consignment(id) => {
                let consignment = self.consignment(*id)?;
                consignment.iter().flat_map(Consignment::entries).collect()
            }
            _ => Vec::new(),
        };
        found.retain(|id| *id > after);
        found.truncate(max);
        let max = max - found.len();
        let indexed = self.reading()?.index.find(self.medium.files(), term, after, max)?;
        found.extend(indexed);
        Ok(found)
    }

    fn place(
        &self,
        digest: &Sha256,
        of: Option<ConsignmentId>,
    ) -> Result<Option<Place>, StoreError> {
        let open = self.reading()?;
        if let Some(id) = of
            && let Some((_, place)) =
                bodies(open.kv.as_ref(), id)?.into_iter().find(|(body, _)| body == digest)
        {
            return Ok(Some(place));
        }
        let found = open.kv.get(&key::place(digest))?;
        found.map(|bytes| record::read_place(&bytes)).transpose()
    }
}

/// Where the bodies of a consignment lie.
fn bodies(kv: &dyn Kv, id: ConsignmentId) -> Result<Vec<(Sha256, Place)>, StoreError> {
    let Some(bytes) = kv.get(&key::consignment(id))? else { return Ok(Vec::new()) };
    let found = record::read_bodies(&bytes)?;
    if !found.is_empty() {
        return Ok(found);
    }
    let prefix = key::many_bodies(id);
    let mut many = Vec::new();
    for (_, bytes) in kv.scan(&prefix, &key::end_of(&prefix), SCAN_PAGE)? {
        many.extend(record::read_many_bodies(&bytes)?);
    }
    Ok(many)
}

/// The parts among the bodies of a consignment.
fn parts_of(consignment: &Consignment, bodies: Vec<(Sha256, Place)>) -> Vec<Sha256> {
    let digests = bodies.into_iter().map(|(digest, _)| digest);
    let others = [consignment.envelope, consignment.verdict.report];
    digests.filter(|digest| !others.contains(digest)).collect()
}

impl<M: Medium> Keepings for Table<M> {
    fn keeping(&self, id: ConsignmentId) -> Result<Keeping, StoreError> {
        let found = self.reading()?.kv.get(&key::keeping(id))?;
        Ok(found.map(|bytes| record::read_keeping(&bytes)).transpose()?.unwrap_or_default())
    }

    fn kept(
        &self,
        after: Option<ConsignmentId>,
        max: usize,
    ) -> Result<Vec<(Consignment, Vec<Sha256>)>, StoreError> {
        let open = self.reading()?;
        let from = after.map_or_else(|| b"s".to_vec(), |id| key::next(key::consignment(id)));
        let pairs = open.kv.scan(&from, &key::end_of(b"s"), max)?;
        let read = |(_, bytes): &(Vec<u8>, Vec<u8>)| {
            let consignment = record::read_consignment(bytes)?;
            let parts = parts_of(&consignment, bodies(open.kv.as_ref(), consignment.id)?);
            Ok((consignment, parts))
        };
        pairs.iter().map(read).collect()
    }

    fn parts(&self, id: ConsignmentId) -> Result<Vec<Sha256>, StoreError> {
        let open = self.reading()?;
        let Some(bytes) = open.kv.get(&key::consignment(id))? else { return Ok(Vec::new()) };
        Ok(parts_of(&record::read_consignment(&bytes)?, bodies(open.kv.as_ref(), id)?))
    }

    fn erasing(&self, max: usize) -> Result<Vec<EntryId>, StoreError> {
        self.entries(key::ERASING, &key::end_of(key::ERASING), max)
    }

    fn erased(&self, entries: &[EntryId]) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        self.apply(entries.iter().map(|id| Write::remove(key::erasing(*id))).collect())
    }
}

impl<M: Medium> Table<M> {
    /// The entries at the ends of keys.
    pub(super) fn entries(
        &self,
        from: &[u8],
        to: &[u8],
        max: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        let pairs = self.reading()?.kv.scan(from, to, max)?;
        let entry = |(key, _): &(Vec<u8>, Vec<u8>)| {
            key::entry_at_end(key).ok_or_else(|| record::unreadable("entry list"))
        };
        pairs.iter().map(entry).collect()
    }
}
