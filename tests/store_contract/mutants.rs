//! Stores with one seeded bug each. The contract must notice every one of them.

use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;
use vanthu::clock::Time;
use vanthu::delivery::{
    Change, Consignment, Delivery, Failure, Holder, Keeping, LeaseRequest, Term, Token,
};
use vanthu::digest::Sha256;
use vanthu::directory::Code;
use vanthu::document::{ConsignmentId, DossierCode, Urgency};
use vanthu::dossier::Dossier;
use vanthu::gateway::ports::{
    Backlog, Backlogs, Batch, Filing, Head, Item, Keepings, LeaderTerm, Leased, LogReader,
    LogStore, Mailboxes, Place, Registry, Settled, Store, StoreError, Which,
};
use vanthu::log::{EntryId, Service};
use vanthu::store::memory::MemoryMedium;
use vanthu::store::{Files, Kv, Medium, Pair, Table, Write};

use crate::contract::Site;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    IgnoresTheFence,
    StealsTheLeadership,
    IgnoresTheSize,
    AnswersWithoutToken,
    HandsOutLeasedItems,
    ForgetsToFreeReleasedItems,
    ReversesLanes,
    KeepsRefusedBatches,
    WritesHalfOfABatch,
    LosesCheckpoints,
    LosesTheLastBatchAtRestart,
    NeverRemoves,
    ForgetsRequests,
    LosesProjectionsWithTheEpoch,
    SkipsTheCursorEntry,
}

/// Every bug, and the case that is there to notice it.
pub const BUGS: &[(Bug, &str)] = &[
    (Bug::IgnoresTheFence, "a takeover raises the term and the old leader writes nothing"),
    (Bug::StealsTheLeadership, "there is one leader until its time is over"),
    (Bug::IgnoresTheSize, "a batch that does not begin at the end is refused"),
    (Bug::AnswersWithoutToken, "a dead token is refused"),
    (Bug::HandsOutLeasedItems, "a leased item is not handed out twice and blocks no other"),
    (Bug::ForgetsToFreeReleasedItems, "a released item is free at once"),
    (Bug::ReversesLanes, "lanes are served by urgency, then in order"),
    (Bug::KeepsRefusedBatches, "a refused commit leaves nothing"),
    (Bug::WritesHalfOfABatch, "what is appended is read back, across batches and bundles"),
    (Bug::LosesCheckpoints, "the first checkpoint that covers an entry is found"),
    (Bug::LosesTheLastBatchAtRestart, "content has one place, the last committed"),
    (Bug::NeverRemoves, "an item is answered in the commit of its entry"),
    (Bug::ForgetsRequests, "an item is not doubled by a retry, nor a request accepted twice"),
    (Bug::LosesProjectionsWithTheEpoch, "a closed epoch stays readable and projections go along"),
    (Bug::SkipsTheCursorEntry, "entries are found in order, after a cursor"),
];

/// A store in memory with a bug.
pub struct Mutated {
    medium: Arc<MemoryMedium>,
    bug: Bug,
    lie: Lie,
}

/// A value that the map pretends to hold.
type Lie = Arc<Mutex<Option<Pair>>>;

impl Mutated {
    pub fn new(bug: Bug) -> Self {
        Self { medium: Arc::default(), bug, lie: Arc::default() }
    }
}

impl Site for Mutated {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        let (medium, lie) = (Arc::clone(&self.medium), Arc::clone(&self.lie));
        let inner = Table::open(MutantMedium { medium, bug: self.bug, lie })?;
        Ok(Box::new(Mutant { inner, bug: self.bug, lie: Arc::clone(&self.lie) }))
    }
}

struct MutantMedium {
    medium: Arc<MemoryMedium>,
    bug: Bug,
    lie: Lie,
}

struct MutantKv {
    kv: Arc<dyn Kv>,
    bug: Bug,
    lie: Lie,
    late: Mutex<Vec<Write>>,
}

impl Kv for MutantKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let lie = self.lie.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = lie.as_ref().filter(|(about, _)| about == key) {
            return Ok(Some(value.clone()));
        }
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        match late.iter().find(|write| write.key == key) {
            Some(write) => Ok(write.value.clone()),
            None => self.kv.get(key),
        }
    }

    fn scan(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        self.kv.scan(from, to, max)
    }

    fn apply(&self, mut batch: Vec<Write>) -> Result<(), StoreError> {
        let commit = batch.iter().any(|write| write.key.starts_with(b"l"));
        match self.bug {
            Bug::WritesHalfOfABatch if commit => batch.truncate(batch.len() / 2),
            Bug::LosesCheckpoints => batch.retain(|write| !write.key.starts_with(b"c")),
            Bug::NeverRemoves => batch.retain(|write| write.value.is_some()),
            Bug::LosesProjectionsWithTheEpoch if !commit => {
                batch.retain(|write| !write.key.starts_with(b"w"));
            }
            Bug::LosesTheLastBatchAtRestart if commit => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                batch = std::mem::replace(&mut *late, batch);
            }
            _ => {}
        }
        self.kv.apply(batch)
    }
}

impl Medium for MutantMedium {
    fn current(&self) -> Result<Option<String>, StoreError> {
        self.medium.current()
    }

    fn switch(&self, name: &str) -> Result<(), StoreError> {
        self.medium.switch(name)
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        self.medium.names()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Kv>, StoreError> {
        let (kv, lie) = (self.medium.open(name)?, Arc::clone(&self.lie));
        Ok(Arc::new(MutantKv { kv, bug: self.bug, lie, late: Mutex::default() }))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.medium.remove(name)
    }

    fn files(&self) -> &dyn Files {
        self.medium.files()
    }
}

struct Mutant {
    inner: Table<MutantMedium>,
    bug: Bug,
    lie: Lie,
}

impl Mutant {
    /// Does something while the map lies about one record.
    fn lying<T>(&self, about: &[u8], value: Vec<u8>, act: impl FnOnce() -> T) -> T {
        let set = |lie| *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
        set(Some((about.to_vec(), value)));
        let done = act();
        set(None);
        done
    }
}

fn head_record(epoch: u32, size: u64) -> Vec<u8> {
    let record = vanthu::proto::storage::Head { version: 1, epoch, size };
    prost::Message::encode_to_vec(&record)
}

fn leader_record(term: LeaderTerm) -> Vec<u8> {
    let (term, owner) = (term.0, "anyone".into());
    let record = vanthu::proto::storage::Leadership { version: 1, term, owner, until_ms: 0 };
    prost::Message::encode_to_vec(&record)
}

impl LogStore for Mutant {
    fn lead(&self, owner: &str, now: Time, until: Time) -> Result<LeaderTerm, StoreError> {
        if self.bug == Bug::StealsTheLeadership {
            return self.inner.lead(owner, Time::from_seconds(i64::MAX / 1000), until);
        }
        self.inner.lead(owner, now, until)
    }

    fn head(&self) -> Result<Head, StoreError> {
        self.inner.head()
    }

    fn commit(&self, mut batch: Batch) -> Result<(), StoreError> {
        match self.bug {
            Bug::IgnoresTheFence => {
                let leader = leader_record(batch.term);
                self.lying(b"T", leader, || self.inner.commit(batch))
            }
            Bug::IgnoresTheSize => {
                let head = head_record(batch.epoch, batch.size_before);
                self.lying(b"H", head, || self.inner.commit(batch))
            }
            Bug::AnswersWithoutToken => {
                batch.settled.clear();
                self.inner.commit(batch)
            }
            Bug::ForgetsRequests => {
                let is_request =
                    |change: &_| matches!(change, Change::Index { term: Term::Request(_), .. });
                batch.changes.retain(|change| !is_request(change));
                self.inner.commit(batch)
            }
            Bug::KeepsRefusedBatches => {
                let refused = self.inner.commit(batch.clone());
                if matches!(refused, Err(StoreError::Lease(_))) {
                    batch.settled.clear();
                    self.inner.commit(batch)?;
                }
                refused
            }
            _ => self.inner.commit(batch),
        }
    }

    fn open_epoch(&self, opening: Batch) -> Result<(), StoreError> {
        self.inner.open_epoch(opening)
    }
}

impl LogReader for Mutant {
    fn leaves(&self, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        self.inner.leaves(from, max)
    }

    fn row(&self, epoch: u32, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.row(epoch, level, index)
    }

    fn checkpoint(&self, epoch: u32, size: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.checkpoint(epoch, size)
    }
}

impl Registry for Mutant {
    fn request(&self, key: &Sha256) -> Result<Option<(Sha256, EntryId)>, StoreError> {
        self.inner.request(key)
    }

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        self.inner.consignment(id)
    }

    fn deliveries(&self, id: ConsignmentId, which: Which<'_>) -> Result<Vec<Delivery>, StoreError> {
        self.inner.deliveries(id, which)
    }

    fn swept(&self, failure: Failure, urgency: Urgency) -> Result<EntryId, StoreError> {
        self.inner.swept(failure, urgency)
    }

    fn told(&self, by: &Service) -> Result<EntryId, StoreError> {
        self.inner.told(by)
    }

    fn outage(&self, service: &Service) -> Result<Option<Time>, StoreError> {
        self.inner.outage(service)
    }

    fn stamp_over(&self, id: EntryId) -> Result<Option<EntryId>, StoreError> {
        self.inner.stamp_over(id)
    }

    fn find(&self, term: &Term, after: EntryId, max: usize) -> Result<Vec<EntryId>, StoreError> {
        let mut found = self.inner.find(term, after, max + 1)?;
        if self.bug == Bug::SkipsTheCursorEntry && after != EntryId::ZERO && !found.is_empty() {
            found.remove(0);
        }
        found.truncate(max);
        Ok(found)
    }

    fn place(
        &self,
        digest: &Sha256,
        of: Option<ConsignmentId>,
    ) -> Result<Option<Place>, StoreError> {
        self.inner.place(digest, of)
    }
}

impl Filing for Mutant {
    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError> {
        self.inner.dossier(code)
    }

    fn dossiers(
        &self,
        after: Option<&DossierCode>,
        max: usize,
    ) -> Result<Vec<Dossier>, StoreError> {
        self.inner.dossiers(after, max)
    }

    fn dossiers_of(
        &self,
        agency: &Code,
        after: Option<&DossierCode>,
        max: usize,
    ) -> Result<Vec<DossierCode>, StoreError> {
        self.inner.dossiers_of(agency, after, max)
    }

    fn alarms(&self, until: Time, max: usize) -> Result<Vec<DossierCode>, StoreError> {
        self.inner.alarms(until, max)
    }
}

impl Keepings for Mutant {
    fn keeping(&self, id: ConsignmentId) -> Result<Keeping, StoreError> {
        self.inner.keeping(id)
    }

    fn kept(
        &self,
        after: Option<ConsignmentId>,
        max: usize,
    ) -> Result<Vec<(Consignment, Vec<Sha256>)>, StoreError> {
        self.inner.kept(after, max)
    }

    fn parts(&self, id: ConsignmentId) -> Result<Vec<Sha256>, StoreError> {
        self.inner.parts(id)
    }

    fn erasing(&self, max: usize) -> Result<Vec<EntryId>, StoreError> {
        self.inner.erasing(max)
    }

    fn erased(&self, entries: &[EntryId]) -> Result<(), StoreError> {
        self.inner.erased(entries)
    }
}

impl Backlogs for Mutant {
    fn backlogs(&self, after: Option<&Code>, max: usize) -> Result<Vec<Backlog>, StoreError> {
        let mut backlogs = self.inner.backlogs(after, max)?;
        if self.bug == Bug::ReversesLanes {
            backlogs.iter_mut().for_each(|backlog| backlog.oldest.reverse());
        }
        Ok(backlogs)
    }

    fn attempts(&self, agency: &Code, position: EntryId) -> u32 {
        self.inner.attempts(agency, position)
    }

    fn unanswered(&self, attempts: u32) -> usize {
        self.inner.unanswered(attempts)
    }
}

impl Mailboxes for Mutant {
    fn waiting(
        &self,
        agency: &Code,
        after: Option<(Urgency, EntryId)>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = self.inner.waiting(agency, after, max)?;
        if self.bug == Bug::ReversesLanes {
            items.reverse();
        }
        Ok(items)
    }

    fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        if self.bug != Bug::HandsOutLeasedItems {
            return self.inner.lease(request);
        }
        let items = self.inner.waiting(request.agency, None, request.max)?;
        let lease = |item| {
            let token = Token(Uuid::new_v4());
            Leased { item, token, until: request.until, attempt: 1 }
        };
        Ok(items.into_iter().map(lease).collect())
    }

    fn check_lease(&self, settled: &Settled, now: Time) -> Result<(), StoreError> {
        self.inner.check_lease(settled, now)
    }

    fn release(&self, holder: Holder) {
        if self.bug != Bug::ForgetsToFreeReleasedItems {
            self.inner.release(holder);
        }
    }

    fn notices(
        &self,
        agency: &Code,
        after: EntryId,
        max: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        self.inner.notices(agency, after, max)
    }
}
