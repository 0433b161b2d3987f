//! Writing: leadership, batches, and the step from one epoch to the next.

use std::collections::HashMap;

use super::archive;
use super::keyspace as key;
use super::kv::{Kv, Medium, Write};
use super::leaf;
use super::record::{self, Leadership};
use super::table::{Open, Table, damaged, each, first_records, head, load_head, name_of};
use crate::clock::Time;
use crate::delivery::{Change, Leases, Term};
use crate::gateway::ports::{Batch, Head, LeaderTerm, LogStore, Registry as _, StoreError};
use crate::limits::STORED_VALUE_SIZE_MAX;
use crate::log::{Checkpoint, EntryId, ROW_NODES};

impl<M: Medium> LogStore for Table<M> {
    fn lead(&self, owner: &str, now: Time, until: Time) -> Result<LeaderTerm, StoreError> {
        let _writing = self.writing()?;
        let before = leadership(self.reading()?.kv.as_ref())?;
        let term = match before {
            Some(leader) if leader.owner == owner => leader.term,
            Some(leader) if now < leader.until => {
                return Err(StoreError::HeldByOther { owner: leader.owner, until: leader.until });
            }
            Some(leader) => LeaderTerm(leader.term.0 + 1),
            None => LeaderTerm(1),
        };
        let record = record::leadership(&Leadership { term, owner: owner.to_owned(), until });
        self.apply(vec![Write::put(key::LEADERSHIP.to_vec(), record)])?;
        Ok(term)
    }

    fn head(&self) -> Result<Head, StoreError> {
        head(self.reading()?.kv.as_ref())
    }

    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        let mut leases = self.leases();
        {
            let open = self.reading()?;
            fence(open.kv.as_ref(), batch.term)?;
            at_end(open.kv.as_ref(), &batch)?;
            held(&leases, &batch)?;
        }
        self.unused(&batch.changes)?;
        self.decisive(|| {
            let writes = writes_of(&batch);
            self.append(&mut self.changing(), &batch, writes)
        })?;
        settle(&mut leases, &batch);
        Ok(())
    }

    fn open_epoch(&self, opening: Batch) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        let mut leases = self.leases();
        let closing = {
            let open = self.reading()?;
            fence(open.kv.as_ref(), opening.term)?;
            held(&leases, &opening)?;
            head(open.kv.as_ref())?
        };
        self.unused(&opening.changes)?;
        if closing.size == 0 || opening.epoch != closing.epoch + 1 || opening.size_before != 0 {
            let (expected, actual) = (opening.size_before, closing.size);
            return Err(StoreError::SizeMismatch { expected, actual });
        }
        self.decisive(|| self.turn(&closing, &opening))?;
        settle(&mut leases, &opening);
        Ok(())
    }
}

impl<M: Medium> Table<M> {
    /// Writes a batch and takes its terms into the index; durable before any reader sees it.
    fn append(&self, open: &mut Open, batch: &Batch, writes: Vec<Write>) -> Result<(), StoreError> {
        let writes = writes.into_iter().chain(open.index.record()).collect();
        open.kv.apply(last_of_each(writes))?;
        let files = self.medium.files();
        open.index.recorded(files)?;
        let index = batch.size_before + batch.leaves.len() as u64;
        open.index.take(files, indexed(&batch.changes), EntryId { epoch: batch.epoch, index })
    }

    /// An idempotency key is used once, for ever. The hall asks before; two acceptances under one key
    /// would be a document delivered twice.
    fn unused(&self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            let Change::Index { term: Term::Request(used), entry } = change else { continue };
            if let Some((_, before)) = self.request(used)? {
                return Err(damaged(format!("{entry} repeats the request accepted in {before}")));
            }
        }
        Ok(())
    }

    /// Exports the closing epoch, fills the next map beside the present one, and switches.
    fn turn(&self, closing: &Head, opening: &Batch) -> Result<(), StoreError> {
        let name = name_of(opening.epoch, 0);
        let next = {
            let open = self.reading()?;
            archive::export(open.kv.as_ref(), self.medium.files(), closing)?;
            self.medium.remove(&name)?;
            let next = self.medium.open(&name)?;
            next.apply(first_records(opening.epoch))?;
            carry(open.kv.as_ref(), next.as_ref())?;
            let closed = record::closed(closing.size, &closing.checkpoint);
            next.apply(vec![Write::put(key::closed(closing.epoch), closed)])?;
            next.apply(last_of_each(writes_of(opening)))?;
            next
        };
        self.medium.switch(&name)?;
        let mut open = self.changing();
        let old = std::mem::replace(&mut open.name, name);
        open.kv = next;
        open.epoch = opening.epoch;
        // The old map does not count any more; if it cannot be removed now, opening does it.
        let _ = self.medium.remove(&old);
        Ok(())
    }
}

/// Carries everything that outlives an epoch from one map to the next.
fn carry(from: &dyn Kv, to: &dyn Kv) -> Result<(), StoreError> {
    copy(from, to, b"T")?;
    copy(from, to, b"E")?;
    copy(from, to, key::INDEX)?;
    copy(from, to, key::ERASING)?;
    key::PROJECTIONS.iter().try_for_each(|tag| copy(from, to, &[*tag]))
}

/// Copies all pairs under a prefix to a map that does not count yet.
pub(super) fn copy(from: &dyn Kv, to: &dyn Kv, prefix: &[u8]) -> Result<(), StoreError> {
    each(from, prefix, |page| {
        to.fill(page.into_iter().map(|(key, value)| Write::put(key, value)).collect())
    })
}

pub(super) fn leadership(kv: &dyn Kv) -> Result<Option<Leadership>, StoreError> {
    kv.get(key::LEADERSHIP)?.map(|bytes| record::read_leadership(&bytes)).transpose()
}

/// Only the present leader writes.
fn fence(kv: &dyn Kv, term: LeaderTerm) -> Result<(), StoreError> {
    let current = leadership(kv)?.map_or(LeaderTerm(0), |leader| leader.term);
    if term == current {
        return Ok(());
    }
    Err(StoreError::StaleTerm { held: term.0, current: current.0 })
}

/// A batch begins where the log ends.
fn at_end(kv: &dyn Kv, batch: &Batch) -> Result<(), StoreError> {
    let (epoch, size) = load_head(kv)?;
    if (batch.epoch, batch.size_before) == (epoch, size) {
        return Ok(());
    }
    Err(StoreError::SizeMismatch { expected: batch.size_before, actual: size })
}

/// Whoever answers an item holds it.
fn held(leases: &Leases, batch: &Batch) -> Result<(), StoreError> {
    for settled in &batch.settled {
        leases.check(&settled.agency, settled.position, settled.token, batch.now)?;
    }
    Ok(())
}

/// What is answered is nobody's work any more, and what is new waits for somebody.
fn settle(leases: &mut Leases, batch: &Batch) {
    for settled in &batch.settled {
        leases.forget(&settled.agency, settled.position);
    }
    for change in &batch.changes {
        match change {
            Change::Answered { agency, position, .. } => leases.forget(agency, *position),
            Change::Waiting { agency, urgency, position, .. } => {
                leases.arrived(agency, *urgency, *position);
            }
            _ => {}
        }
    }
}

/// Everything that a batch writes, in order: a delivery may change twice in one batch.
///
/// # Panics
/// If the batch contradicts itself: a wrong log must not grow.
fn writes_of(batch: &Batch) -> Vec<Write> {
    let size = batch.size_before + batch.leaves.len() as u64;
    let claimed = Checkpoint::claimed(&batch.checkpoint).expect("a batch carries a checkpoint");
    assert!(!batch.leaves.is_empty(), "every change comes with the entry that explains it");
    assert_eq!((claimed.origin.epoch, claimed.size), (batch.epoch, size), "the checkpoint covers");
    let mut writes = vec![
        Write::put(key::HEAD.to_vec(), record::head(batch.epoch, size)),
        Write::put(key::checkpoint(batch.epoch, size), batch.checkpoint.clone()),
    ];
    let first = EntryId { epoch: batch.epoch, index: batch.size_before };
    writes.extend(leaf::writes(first, &batch.leaves));
    for row in &batch.rows {
        let whole = row.hashes.len() % 32 == 0 && row.hashes.len() as u64 <= ROW_NODES * 32;
        assert!(whole && !row.hashes.is_empty(), "row {}/{} is not a row", row.level, row.index);
        writes.push(Write::put(key::row(batch.epoch, row.level, row.index), row.hashes.clone()));
    }
    let bodies: HashMap<_, _> = batch.bodies.iter().map(|(id, bodies)| (*id, bodies)).collect();
    for change in &batch.changes {
        match change {
            Change::Consignment(consignment) => {
                let own = bodies.get(&consignment.id).map_or(&[][..], |own| own);
                writes.extend(record::consignment_with(consignment, own));
            }
            _ => writes.extend(record::write_of(change)),
        }
    }
    writes.extend(batch.contents.iter().map(record::content_write));
    writes
}

/// What a batch adds to the index.
pub(super) fn indexed(changes: &[Change]) -> impl Iterator<Item = (&Term, EntryId)> {
    changes.iter().filter_map(|change| match change {
        Change::Index { term, entry } => Some((term, *entry)),
        _ => None,
    })
}

/// Keeps the last write to each key.
pub(super) fn last_of_each(writes: Vec<Write>) -> Vec<Write> {
    let mut last = std::collections::BTreeMap::new();
    for Write { key, value } in writes {
        let size = value.as_ref().map_or(0, Vec::len);
        assert!(size <= STORED_VALUE_SIZE_MAX, "a value of {size} bytes under {key:02x?}");
        last.insert(key, value);
    }
    last.into_iter().map(|(key, value)| Write { key, value }).collect()
}
