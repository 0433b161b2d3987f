//! Writing: leadership, batches, and the step from one epoch to the next.

use std::collections::HashMap;

use super::archive;
use super::keyspace as key;
use super::kv::{Kv, Medium, Write};
use super::record::{self, Leadership};
use super::table::{Table, damaged, each, first_records, head, load_head, name_of};
use crate::clock::Time;
use crate::delivery::{Change, Leases};
use crate::gateway::ports::{Batch, Head, LeaderTerm, LogStore, StoreError};
use crate::limits::{ENTRY_SIZE_MAX, STORED_VALUE_SIZE_MAX};
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
            unused(open.kv.as_ref(), &batch.changes)?;
        }
        self.apply(self.decisive(|| Ok(writes_of(&batch)))?)?;
        forget(&mut leases, &batch);
        Ok(())
    }

    fn open_epoch(&self, opening: Batch) -> Result<(), StoreError> {
        let _writing = self.writing()?;
        let mut leases = self.leases();
        let closing = {
            let open = self.reading()?;
            fence(open.kv.as_ref(), opening.term)?;
            held(&leases, &opening)?;
            unused(open.kv.as_ref(), &opening.changes)?;
            head(open.kv.as_ref())?
        };
        if closing.size == 0 || opening.epoch != closing.epoch + 1 || opening.size_before != 0 {
            let (expected, actual) = (opening.size_before, closing.size);
            return Err(StoreError::SizeMismatch { expected, actual });
        }
        self.decisive(|| self.turn(&closing, &opening))?;
        forget(&mut leases, &opening);
        Ok(())
    }
}

impl<M: Medium> Table<M> {
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
            let mut writes = writes_of(opening);
            writes.push(Write::put(key::closed(closing.epoch), closed));
            next.apply(writes)?;
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
    key::PROJECTIONS.iter().try_for_each(|tag| copy(from, to, &[*tag]))
}

/// Copies all pairs under a prefix.
pub(super) fn copy(from: &dyn Kv, to: &dyn Kv, prefix: &[u8]) -> Result<(), StoreError> {
    each(from, prefix, |page| {
        to.apply(page.into_iter().map(|(key, value)| Write::put(key, value)).collect())
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

/// An idempotency key is used once, for ever. The hall asks before; two acceptances under one key
/// would be a document delivered twice.
fn unused(kv: &dyn Kv, changes: &[Change]) -> Result<(), StoreError> {
    for change in changes {
        let Change::Request { key: used, accepted, .. } = change else { continue };
        let Some(bytes) = kv.get(&key::request(used))? else { continue };
        let (_, before) = record::read_request(&bytes)?;
        if before != *accepted {
            return Err(damaged(format!("{accepted} repeats the request accepted in {before}")));
        }
    }
    Ok(())
}

/// What is answered is nobody's work any more.
fn forget(leases: &mut Leases, batch: &Batch) {
    for settled in &batch.settled {
        leases.forget(&settled.agency, settled.position);
    }
    for change in &batch.changes {
        if let Change::Answered { agency, position, .. } = change {
            leases.forget(agency, *position);
        }
    }
}

/// Everything that a batch writes. A later write to the same key replaces an earlier one: a
/// delivery may change twice in one batch.
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
    for (index, leaf) in (batch.size_before..).zip(&batch.leaves) {
        assert!(leaf.len() <= ENTRY_SIZE_MAX, "leaf {index} has {} bytes", leaf.len());
        writes.push(Write::put(key::leaf(EntryId { epoch: batch.epoch, index }), leaf.clone()));
    }
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
            _ => writes.push(record::write_of(change)),
        }
    }
    writes.extend(batch.contents.iter().map(record::content_write));
    last_of_each(writes)
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
