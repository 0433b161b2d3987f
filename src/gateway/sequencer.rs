//! The one writer. It takes what waits, decides, signs one checkpoint for all of it, writes one
//! durable batch, checks the proofs it made, and only then lets the answers go.
//!
//! Order, fixed: stage → settle content (durable) → grow the tree → sign → commit (durable) → check →
//! keep the head guard → answer. Any error in the store ends the writer: a restart, which runs the same checks as every
//! start, is the only repair.

use std::sync::Arc;
use std::sync::mpsc as sync_mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::command::{Command, Context, Decided, Referred};
use super::cosigned::Cosigned;
use super::dispatcher::Dispatcher;
use super::ports::{
    Batch, Contents, Eraser, Head, HeadGuard, LeaderTerm, Settled, Space, Store, StoreError,
};
use super::reading::Reading;
use super::stage::Stage;
use super::{Error, Fault};
use crate::clock::{Clock, Time};
use crate::delivery::Change;
use crate::evidence::Receipt;
use crate::limits::{BATCH_ENTRIES_MAX, SEQUENCER_QUEUE_MAX};
use crate::log::{
    Actor, Checkpoint, Entry, EntryId, Event, Grown, LogKey, LogPublicKey, Origin, SignedHead,
    Stored, Tree, leaf_hash, root, verify_inclusion,
};

/// How long a leadership lasts without renewal. Two takeovers within a minute are possible, a split
/// of the log is not: the term in the store fences the older leader.
const LEADERSHIP: Duration = Duration::from_secs(30);
/// When it is renewed.
const LEADERSHIP_RENEWAL: Duration = Duration::from_secs(10);
/// Under load the writer waits this long for more to come. Of the order of one sync of the disk, and
/// small against the latency under load (p50 about 30 ms with 64 clients in `vanthu bench`).
const GATHERING: Duration = Duration::from_millis(2);
/// A batch of so many commands is a sign of load; below it, nobody waits.
const GATHERING_FROM: usize = 4;
/// How long answers may come after the writer has ended: the publisher has at most
/// [`PUBLISHING_QUEUE`] batches to go, each with one sync of the head guard.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Batches that are durable and wait for the head guard; more only hides that the disk is slow.
const PUBLISHING_QUEUE: usize = 4;

/// What the hall needs to write.
pub struct Setup {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The bodies.
    pub contents: Arc<dyn Contents>,
    /// What erases them.
    pub eraser: Arc<dyn Eraser>,
    /// Where the head is kept apart.
    pub guard: Arc<dyn HeadGuard>,
    /// The room that is left.
    pub space: Arc<dyn Space>,
    /// Bytes below which nothing new is taken.
    pub reserve: u64,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The log's private key.
    pub key: Arc<LogKey>,
    /// What witnesses have said of the log.
    pub cosigned: Arc<Cosigned>,
    /// The gateway's name.
    pub name: String,
    /// Entries after which an epoch is closed; at most [`crate::limits::EPOCH_ENTRIES_MAX`].
    pub epoch_entries: u64,
    /// Whether to go on with a store that ends before the head that was signed last, in its epoch, or
    /// that may, because the guard is lost. The entries between are lost. The next epoch begins at
    /// once and commits to the end of what is there: no size is ever signed twice, and whoever holds
    /// a receipt of a lost entry can prove it.
    pub accept_loss: bool,
}

/// An answer after the commit: a receipt made in this batch, or the entry that stood there before.
#[derive(Debug, Clone)]
pub(super) enum Answered {
    New(Receipt),
    Before(EntryId),
    Recorded,
}

type Reply = oneshot::Sender<Result<Answered, Error>>;

struct Job {
    command: Command,
    reply: Reply,
}

/// The way to the writer. Cheap to clone.
#[derive(Clone)]
pub(super) struct Sequencer {
    jobs: mpsc::Sender<Job>,
    broken: watch::Receiver<Option<String>>,
}

impl Sequencer {
    /// Takes the lead, checks the log against its guard, and starts the writer.
    pub(super) fn start(setup: Setup, dispatcher: Arc<Dispatcher>) -> Result<Self, StartError> {
        let (jobs, queue) = mpsc::channel(SEQUENCER_QUEUE_MAX);
        let (broken_sender, broken) = watch::channel(None);
        let writer = Writer::recover(&setup)?;
        let (publish, published) = sync_mpsc::sync_channel(PUBLISHING_QUEUE);
        let publisher =
            Publisher { guard: setup.guard.clone(), dispatcher, broken: broken_sender.clone() };
        thread::Builder::new()
            .name("publisher".into())
            .spawn(move || publisher.run(&published))
            .map_err(|error| StartError::Store(StoreError::Medium(error.to_string())))?;
        thread::Builder::new()
            .name("sequencer".into())
            .spawn(move || writer.run(queue, &publish, &broken_sender))
            .map_err(|error| StartError::Store(StoreError::Medium(error.to_string())))?;
        Ok(Self { jobs, broken })
    }

    /// Has a command decided and written; returns when it is durable.
    pub(super) async fn write(&self, command: Command) -> Result<Answered, Error> {
        let (reply, mut answer) = oneshot::channel();
        self.jobs.try_send(Job { command, reply }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Fault::Busy,
            mpsc::error::TrySendError::Closed(_) => Fault::Stopped,
        })?;
        tokio::select! {
            biased;
            answered = &mut answer => answered.map_err(|_| Fault::Stopped)?,
            // The writer has ended. What it took is answered or dropped by the publisher; a job that
            // slipped into the queue while it was being closed lies there and is never looked at.
            () = self.jobs.closed() => match tokio::time::timeout(LAST_ANSWERS, answer).await {
                Ok(Ok(answered)) => answered,
                Ok(Err(_)) | Err(_) => Err(Fault::Stopped.into()),
            },
        }
    }

    /// Becomes the reason once the writer has stopped for good.
    pub(super) fn broken(&self) -> watch::Receiver<Option<String>> {
        self.broken.clone()
    }
}

/// The gateway must not write to this log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed or is led by another.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored log is not the one that was signed.
    #[error(
        "the log does not match its signed head: {0}; restore the newest copy of the data, never an older one"
    )]
    Forked(String),
    /// Nothing tells which head was signed last.
    #[error(
        "the log does not match its signed head: the head guard is missing; restore the newest copy of the data, never an older one"
    )]
    Unguarded,
    /// The stored log ends before the head that was signed last.
    #[error(
        "the log does not match its signed head: it was signed at {signed}, but the store ends at {stored}; restore the newest copy of the data, never an older one"
    )]
    Behind {
        /// Where the signed log ended.
        signed: EntryId,
        /// Where the stored one ends.
        stored: EntryId,
    },
}

struct Writer {
    store: Arc<dyn Store>,
    contents: Arc<dyn Contents>,
    clock: Arc<dyn Clock>,
    key: Arc<LogKey>,
    public: LogPublicKey,
    name: String,
    actor: Actor,
    epoch: u32,
    tree: Tree,
    epoch_entries: u64,
    term: LeaderTerm,
    led_at: Time,
    last_time: Time,
    /// Places of deadlines that were moved without an entry; they go with the next one.
    carried: Vec<Change>,
}

struct Published {
    note: Vec<u8>,
    replies: Vec<(Reply, Result<Answered, Error>)>,
    touched: Vec<crate::directory::Code>,
}

impl Writer {
    fn recover(setup: &Setup) -> Result<Self, StartError> {
        let now = setup.clock.now();
        let term = setup.store.lead(&setup.name, now, now.after(LEADERSHIP))?;
        let head = setup.store.head()?;
        let public = setup.key.public();
        let reading = Reading::new(setup.store.clone(), public.clone());
        let tree = Tree::load(&reading.rows(head.epoch), head.size)?;
        check_head(&head, &tree, &public)?;
        let kept = setup.guard.load()?;
        let lost = match check_guard(kept.as_deref(), &head, &reading, &public) {
            // A larger epoch was begun already if the last start ended before it kept the guard.
            Err(StartError::Behind { signed, stored })
                if setup.accept_loss && signed.epoch <= stored.epoch && stored.index > 0 =>
            {
                tracing::warn!(%stored, %signed, "entries are lost; a new epoch begins");
                Some(signed.epoch)
            }
            Err(StartError::Unguarded) if setup.accept_loss => Some(head.epoch),
            checked => checked.map(|()| None)?,
        };
        let last_time = match head.size.checked_sub(1) {
            Some(index) => reading.entry(EntryId { epoch: head.epoch, index })?.time,
            None => now,
        };
        let gateway = crate::directory::SystemId::parse("gateway").expect("a well-formed name");
        let mut writer = Self {
            store: setup.store.clone(),
            contents: setup.contents.clone(),
            clock: setup.clock.clone(),
            key: setup.key.clone(),
            actor: Actor { system: gateway, certificate: public.fingerprint() },
            public,
            name: setup.name.clone(),
            epoch: head.epoch,
            tree,
            epoch_entries: setup.epoch_entries.clamp(1, crate::limits::EPOCH_ENTRIES_MAX),
            term,
            led_at: now,
            last_time,
            carried: Vec::new(),
        };
        if lost == Some(writer.epoch) {
            writer.open_epoch(now.max(writer.last_time))?;
        }
        // A new log is guarded before its first entry: what a crash leaves between that and its guard
        // must not look like a guard that was lost.
        if lost.is_some() || kept.is_none() {
            setup.guard.keep(&writer.sign())?;
        }
        Ok(writer)
    }

    fn run(
        mut self,
        mut queue: mpsc::Receiver<Job>,
        publish: &sync_mpsc::SyncSender<Published>,
        broken: &watch::Sender<Option<String>>,
    ) {
        let mut busy = false;
        while let Some(first) = queue.blocking_recv() {
            if busy {
                // Others are on their way: one sync for all of them costs less than one for each.
                thread::sleep(GATHERING);
            }
            let mut weight = first.command.weight();
            let mut jobs = vec![first];
            while weight < BATCH_ENTRIES_MAX {
                let Ok(job) = queue.try_recv() else { break };
                weight += job.command.weight();
                jobs.push(job);
            }
            busy = jobs.len() >= GATHERING_FROM;
            let written = self.write(jobs);
            let (published, failure) = match written {
                Ok(published) => (published, None),
                Err(failure) => (failure.published, Some(failure.cause)),
            };
            let stopped = publish.send(published).is_err();
            if let Some(cause) = failure {
                broken.send_replace(Some(cause.to_string()));
                return;
            }
            if stopped {
                return;
            }
        }
    }

    fn write(&mut self, jobs: Vec<Job>) -> Result<Published, WriteFailure> {
        let now = self.clock.now().max(self.last_time);
        if let Err(cause) = self.keep_leading(now).and_then(|()| self.turn_epoch(now)) {
            let replies = jobs.into_iter().map(|job| (job.reply, Err(Fault::Stopped.into())));
            return Err(WriteFailure::new(replies.collect(), cause));
        }
        let store = self.store.clone();
        let next = EntryId { epoch: self.epoch, index: self.tree.size() };
        let mut stage = Stage::new(&*store, next);
        let check_lease = |settled: &Settled| store.check_lease(settled, now);
        let context = Context { now, gateway: &self.actor, check_lease: &check_lease };
        let mut referred = Referred::default();
        let mut decided = Vec::with_capacity(jobs.len());
        for mut job in jobs {
            let refers_to = job.command.take_referred();
            let decision = job.command.decide(&mut stage, &context);
            if decision.is_ok() {
                referred.extend(refers_to);
            }
            decided.push((job.reply, decision));
        }
        let Stage { leaves, changes, settled, touched, .. } = stage;
        if leaves.is_empty() {
            self.carry(changes);
            let replies = decided.into_iter().map(|(reply, decision)| {
                (reply, decision.map(|decided| decided.without_entries()))
            });
            return Ok(Published { note: Vec::new(), replies: replies.collect(), touched });
        }
        let mut carried = std::mem::take(&mut self.carried);
        carried.extend(changes);
        match self.commit(now, leaves, carried, referred, settled) {
            Ok(committed) => {
                let replies = decided.into_iter().map(|(reply, decision)| {
                    (reply, decision.map(|decided| committed.answer(decided)))
                });
                let replies = replies.collect();
                Ok(Published { note: committed.note, replies, touched })
            }
            Err(cause) => {
                let replies =
                    decided.into_iter().map(|(reply, _)| (reply, Err(Fault::Stopped.into())));
                Err(WriteFailure::new(replies.collect(), cause))
            }
        }
    }

    fn commit(
        &mut self,
        now: Time,
        leaves: Vec<Vec<u8>>,
        changes: Vec<Change>,
        referred: Referred,
        settled: Vec<Settled>,
    ) -> Result<Committed, StoreError> {
        // Until the end of this function, where they are committed, erasures wait for them.
        let Referred { on_their_way: _waited_for, contents, bodies } = referred;
        if !(contents.is_empty() && bodies.is_empty()) {
            self.contents.settle()?;
        }
        let size_before = self.tree.size();
        let grown = self.tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let rows = self.tree.rows_of(&grown);
        let note = self.sign();
        let kept = leaves.clone();
        self.store.commit(Batch {
            term: self.term,
            now,
            epoch: self.epoch,
            size_before,
            leaves,
            rows,
            checkpoint: note.clone(),
            changes,
            contents,
            bodies,
            settled,
        })?;
        self.last_time = now;
        let committed = Committed { epoch: self.epoch, grown, leaves: kept, note };
        committed.check(&self.public);
        Ok(committed)
    }

    /// Keeps the newest place of each failure and urgency for the next batch.
    fn carry(&mut self, changes: Vec<Change>) {
        for change in changes {
            let Change::Swept { failure, urgency, .. } = &change else { continue };
            let (of, lane) = (*failure, *urgency);
            self.carried.retain(|before| {
                !matches!(before, Change::Swept { failure, urgency, .. } if (*failure, *urgency) == (of, lane))
            });
            self.carried.push(change);
        }
    }

    fn sign(&self) -> Vec<u8> {
        let origin = Origin { gateway: self.name.clone(), epoch: self.epoch };
        let checkpoint = Checkpoint { origin, size: self.tree.size(), root: self.tree.root() };
        self.key.sign(&checkpoint)
    }

    fn keep_leading(&mut self, now: Time) -> Result<(), StoreError> {
        if now.since(self.led_at) < LEADERSHIP_RENEWAL {
            return Ok(());
        }
        let term = self.store.lead(&self.name, now, now.after(LEADERSHIP))?;
        self.led_at = now;
        if term != self.term {
            return Err(StoreError::StaleTerm { held: self.term.0, current: term.0 });
        }
        Ok(())
    }

    /// Closes the epoch when it is full: the next one begins with the head of this one.
    fn turn_epoch(&mut self, now: Time) -> Result<(), StoreError> {
        if self.tree.size() < self.epoch_entries {
            return Ok(());
        }
        self.open_epoch(now)
    }

    fn open_epoch(&mut self, now: Time) -> Result<(), StoreError> {
        let previous =
            SignedHead { epoch: self.epoch, size: self.tree.size(), root: self.tree.root() };
        let entry = Entry {
            previous_epoch: Some(previous),
            ..Entry::new(Event::EpochOpening, now, self.actor.clone())
        };
        self.epoch += 1;
        self.tree = Tree::default();
        let leaf = entry.to_leaf();
        let grown = self.tree.append(vec![leaf_hash(&leaf)]);
        let rows = self.tree.rows_of(&grown);
        let checkpoint = self.sign();
        self.store.open_epoch(Batch {
            term: self.term,
            now,
            epoch: self.epoch,
            size_before: 0,
            leaves: vec![leaf],
            rows,
            checkpoint,
            changes: Vec::new(),
            contents: Vec::new(),
            bodies: Vec::new(),
            settled: Vec::new(),
        })
    }
}

struct WriteFailure {
    published: Published,
    cause: StoreError,
}

impl WriteFailure {
    fn new(replies: Vec<(Reply, Result<Answered, Error>)>, cause: StoreError) -> Self {
        let published = Published { note: Vec::new(), replies, touched: Vec::new() };
        Self { published, cause }
    }
}

impl Decided {
    /// The answer if the batch has no entry.
    fn without_entries(self) -> Answered {
        match self {
            Self::New(id) | Self::Before(id) => Answered::Before(id),
            Self::Recorded => Answered::Recorded,
        }
    }
}

/// A batch that is durable.
struct Committed {
    epoch: u32,
    grown: Grown,
    leaves: Vec<Vec<u8>>,
    note: Vec<u8>,
}

impl Committed {
    fn answer(&self, decided: Decided) -> Answered {
        match decided {
            Decided::Before(id) => Answered::Before(id),
            Decided::New(id) => Answered::New(self.receipt(id)),
            Decided::Recorded => Answered::Recorded,
        }
    }

    fn receipt(&self, id: EntryId) -> Receipt {
        let at = usize::try_from(id.index - self.grown.first()).expect("an index of this batch");
        Receipt {
            leaf: self.leaves[at].clone(),
            id,
            path: self.grown.inclusion(id.index),
            checkpoint: self.note.clone(),
        }
    }

    /// Checks what was signed and proven before anyone sees it (rekor-tiles #62): a wrong log must
    /// not be handed out.
    fn check(&self, public: &LogPublicKey) {
        let signed = public.open(&self.note).expect("the note that was just signed opens");
        assert_eq!((signed.origin.epoch, signed.size), (self.epoch, self.grown.size()));
        for (index, leaf) in (self.grown.first()..).zip(&self.leaves) {
            let path = self.grown.inclusion(index);
            verify_inclusion(&leaf_hash(leaf), index, signed.size, &path, &signed.root)
                .expect("the proof of a new entry leads to the signed root");
        }
    }
}

/// Keeps the head guard and lets the answers go, while the writer is at the next batch.
struct Publisher {
    guard: Arc<dyn HeadGuard>,
    dispatcher: Arc<Dispatcher>,
    broken: watch::Sender<Option<String>>,
}

impl Publisher {
    fn run(self, published: &sync_mpsc::Receiver<Published>) {
        while let Ok(first) = published.recv() {
            let mut batches = vec![first];
            batches.extend(published.try_iter());
            let newest = batches.iter().rev().find(|batch| !batch.note.is_empty());
            if let Some(Err(error)) = newest.map(|batch| self.guard.keep(&batch.note)) {
                // Durable but unguarded: nobody is told, and nothing more is accepted.
                self.broken.send_replace(Some(error.to_string()));
                return;
            }
            for batch in batches {
                for (reply, answer) in batch.replies {
                    // The caller may have gone; the entry stands all the same.
                    let _gone = reply.send(answer);
                }
                self.dispatcher.ring(&batch.touched);
            }
        }
    }
}

fn check_head(head: &Head, tree: &Tree, public: &LogPublicKey) -> Result<(), StartError> {
    if head.size == 0 && head.checkpoint.is_empty() {
        return Ok(());
    }
    let signed =
        public.open(&head.checkpoint).map_err(|error| StartError::Forked(error.to_string()))?;
    if (signed.origin.epoch, signed.size, signed.root) == (head.epoch, head.size, tree.root()) {
        return Ok(());
    }
    Err(StartError::Forked("the stored tree has another root than its checkpoint".into()))
}

/// The guard's head must be a prefix of the stored log.
fn check_guard(
    note: Option<&[u8]>,
    head: &Head,
    reading: &Reading,
    public: &LogPublicKey,
) -> Result<(), StartError> {
    let Some(note) = note else {
        return match head.size {
            0 => Ok(()),
            _ => Err(StartError::Unguarded),
        };
    };
    let kept = public.open(note).map_err(|error| StartError::Forked(error.to_string()))?;
    let (epoch, size) = (kept.origin.epoch, kept.size);
    let end = match epoch < head.epoch {
        true => reading.entry(EntryId { epoch: epoch + 1, index: 0 })?.previous_epoch,
        false => None,
    };
    let end = end.map_or((head.epoch, head.size), |end| (end.epoch, end.size));
    if (epoch, size) > end {
        return Err(StartError::Behind {
            signed: EntryId { epoch, index: size },
            stored: EntryId { epoch: head.epoch, index: head.size },
        });
    }
    let stored = root(&Stored(&reading.rows(epoch)), size)?;
    if stored == kept.root {
        return Ok(());
    }
    Err(StartError::Forked(format!("another log was signed at {epoch}/{size}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::recording::Recording;

    /// A queue that is closed while a job is being put into it keeps the job and its answer for as long
    /// as somebody can put more into it (tokio's `mpsc`; found by the simulation).
    #[tokio::test]
    async fn a_job_that_nobody_will_ever_look_at_is_answered() {
        let (jobs, mut queue) = mpsc::channel(1);
        let (_sender, broken) = watch::channel(None);
        let sequencer = Sequencer { jobs, broken };
        let call = tokio::spawn(async move {
            sequencer.write(Command::Record(Recording::default())).await.map(|_| ())
        });
        while queue.is_empty() {
            tokio::task::yield_now().await;
        }
        queue.close();
        assert_eq!(call.await.expect("no panic"), Err(Fault::Stopped.into()));
    }
}
