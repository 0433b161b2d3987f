//! What the hall asks of the plant. Every call is synchronous and states what is durable when it
//! returns; time is always a parameter.

use std::collections::HashSet;

use bytes::Bytes;

use tokio::sync::oneshot;

pub use super::filing::Filing;
use crate::clock::Time;
use crate::delivery::{
    Change, Consignment, Delivery, Failure, Holder, Keeping, LeaseLost, LeaseRequest, Term, Token,
};
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
use crate::document::{ConsignmentId, Urgency};
use crate::log::{EntryId, Row, Service};
use crate::source::Source;

/// Why the store did not do it. After any of these except [`StoreError::Lease`] the head must be
/// loaded again before anything else is written: a restart is the only repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has taken the leadership since.
    #[error("leadership term {held} is over, term {current} has begun")]
    StaleTerm {
        /// The term of the caller.
        held: u64,
        /// The term of the present leader.
        current: u64,
    },
    /// Another leader holds the store until then.
    #[error("the store is led by {owner} until {until}")]
    HeldByOther {
        /// Who.
        owner: String,
        /// Until when its leadership lasts without renewal.
        until: Time,
    },
    /// The batch does not begin where the log ends.
    #[error("the log has {actual} entries, the batch begins at {expected}")]
    SizeMismatch {
        /// Where the batch begins.
        expected: u64,
        /// Where the log ends.
        actual: u64,
    },
    /// An answered item is not held under this token.
    #[error(transparent)]
    Lease(#[from] LeaseLost),
    /// What is stored contradicts itself or cannot be read.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The medium failed.
    #[error("the store failed: {0}")]
    Medium(String),
}

/// Leadership: a number that grows with every takeover and fences the leaders before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeaderTerm(pub u64);

/// Where the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The open epoch, counted from 1.
    pub epoch: u32,
    /// Entries in it.
    pub size: u64,
    /// The signed checkpoint over them; empty while the epoch has no entry.
    pub checkpoint: Vec<u8>,
}

/// Where a piece of content lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a volume file.
    Volume {
        /// Number of the file.
        volume: u32,
        /// Where its bytes begin.
        offset: u64,
        /// How many they are.
        size: u64,
    },
    /// In a file of its own.
    File {
        /// How many bytes.
        size: u64,
    },
}

impl Place {
    /// Size of the content in bytes.
    pub fn size(self) -> u64 {
        match self {
            Self::Volume { size, .. } | Self::File { size } => size,
        }
    }
}

/// An item that its recipient answered, with the lease under which it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Whose mailbox.
    pub agency: Code,
    /// The item's place.
    pub position: EntryId,
    /// The lease, if it was held.
    pub token: Option<Token>,
}

/// One atomic step of the log.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The writer's leadership.
    pub term: LeaderTerm,
    /// The writer's time, for leases.
    pub now: Time,
    /// The epoch it extends.
    pub epoch: u32,
    /// Entries in that epoch before it.
    pub size_before: u64,
    /// Leaf bytes, in order.
    pub leaves: Vec<Vec<u8>>,
    /// Rows of the tree that changed.
    pub rows: Vec<Row>,
    /// The signed checkpoint over the epoch with these leaves.
    pub checkpoint: Vec<u8>,
    /// Changes of projections.
    pub changes: Vec<Change>,
    /// Content that is durable already and that the entries refer to.
    pub contents: Vec<(Sha256, Place)>,
    /// The same for content of one consignment: kept with it as far as it fits, because what is
    /// found together is cheaper to keep together.
    pub bodies: Vec<(ConsignmentId, Vec<(Sha256, Place)>)>,
    /// Items whose leases must still hold.
    pub settled: Vec<Settled>,
}

/// The log and its head: one writer at a time.
pub trait LogStore: Send + Sync {
    /// Takes the leadership for `owner` until `until`; the same owner renews its own.
    /// Durable on return.
    ///
    /// # Errors
    /// [`StoreError::HeldByOther`] while another's leadership lasts.
    fn lead(&self, owner: &str, now: Time, until: Time) -> Result<LeaderTerm, StoreError>;

    /// Where the log ends.
    ///
    /// # Errors
    /// Medium and damage.
    fn head(&self) -> Result<Head, StoreError>;

    /// Writes one batch: all of it durable on return, or none of it ever visible.
    ///
    /// # Errors
    /// [`StoreError::StaleTerm`], [`StoreError::SizeMismatch`], [`StoreError::Lease`] (nothing
    /// written), or medium and damage (unknown until the head is loaded again).
    fn commit(&self, batch: Batch) -> Result<(), StoreError>;

    /// Closes the present epoch and opens the next with `opening` as its first batch
    /// (`opening.epoch` is the new one, `opening.size_before` is 0). Entries, rows and checkpoints
    /// of the closed epoch are exported as immutable files and stay readable; projections go along.
    /// Durable on return; an interrupted call leaves the old epoch open.
    ///
    /// # Errors
    /// As [`LogStore::commit`].
    fn open_epoch(&self, opening: Batch) -> Result<(), StoreError>;
}

/// Reading the log, open and closed epochs alike.
pub trait LogReader: Send + Sync {
    /// Up to `max` leaves from `from` on, in order; fewer at the end of the epoch.
    ///
    /// # Errors
    /// Medium and damage.
    fn leaves(&self, from: EntryId, max: usize) -> Result<Vec<Vec<u8>>, StoreError>;

    /// The hashes of a row, or `None` if the tree has not reached it.
    ///
    /// # Errors
    /// Medium and damage.
    fn row(&self, epoch: u32, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first signed checkpoint of `epoch` whose size is at least `size`.
    ///
    /// # Errors
    /// Medium and damage.
    fn checkpoint(&self, epoch: u32, size: u64) -> Result<Option<Vec<u8>>, StoreError>;
}

/// Looking things up in the projections.
pub trait Registry: Send + Sync {
    /// What an idempotency key was used for: the envelope's digest and the acceptance.
    ///
    /// # Errors
    /// Medium and damage.
    fn request(&self, key: &Sha256) -> Result<Option<(Sha256, EntryId)>, StoreError>;

    /// A consignment.
    ///
    /// # Errors
    /// Medium and damage.
    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError>;

    /// The deliveries of a consignment after `after` in the order of codes, or the one at
    /// exactly `only`.
    ///
    /// # Errors
    /// Medium and damage.
    fn deliveries(&self, id: ConsignmentId, which: Which<'_>) -> Result<Vec<Delivery>, StoreError>;

    /// The first entry that was not looked at for this failure; the first of all if none was.
    ///
    /// # Errors
    /// Medium and damage.
    fn swept(&self, failure: Failure, urgency: Urgency) -> Result<EntryId, StoreError>;

    /// Since when a service is out; `None` if it is not.
    ///
    /// # Errors
    /// Medium and damage.
    fn outage(&self, service: &Service) -> Result<Option<Time>, StoreError>;

    /// The last entry of a neighbour's log that it told and that was looked at; zero before.
    ///
    /// # Errors
    /// Medium and damage.
    fn told(&self, by: &Service) -> Result<EntryId, StoreError>;

    /// The `timestamp` entry whose token covers this entry within its epoch: the first over so many
    /// entries; `None` if there is none.
    ///
    /// # Errors
    /// Medium and damage.
    fn stamp_over(&self, id: EntryId) -> Result<Option<EntryId>, StoreError>;

    /// Entries under a term, after `after`, in order; [`Term::is_of`] tells whether they bear it.
    ///
    /// # Errors
    /// Medium and damage.
    fn find(&self, term: &Term, after: EntryId, max: usize) -> Result<Vec<EntryId>, StoreError>;

    /// Where content lies: that of consignment `of`, or what many share.
    ///
    /// # Errors
    /// Medium and damage.
    fn place(
        &self,
        digest: &Sha256,
        of: Option<ConsignmentId>,
    ) -> Result<Option<Place>, StoreError>;
}

/// Which deliveries of a consignment.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one at this recipient.
    At(&'a Code),
    /// Up to `max` after this code in ascending order; from the first if `None`.
    After(Option<&'a Code>, usize),
}

/// An item in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its lane.
    pub urgency: Urgency,
    /// Its place in the lane.
    pub position: EntryId,
    /// What it is.
    pub consignment: ConsignmentId,
}

/// An item handed to a watcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// The item.
    pub item: Item,
    /// Proof of the lease.
    pub token: Token,
    /// Until when it lasts.
    pub until: Time,
    /// How many times it has been handed out, this one included.
    pub attempt: u32,
}

/// The mailboxes.
pub trait Mailboxes: Send + Sync {
    /// Items waiting at an agency, urgency first, then in order, after the given place.
    ///
    /// # Errors
    /// Medium and damage.
    fn waiting(
        &self,
        agency: &Code,
        after: Option<(Urgency, EntryId)>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError>;

    /// Hands out waiting items that nobody else holds, as their lanes have their turns.
    ///
    /// # Errors
    /// Medium and damage.
    fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError>;

    /// Checks a lease.
    ///
    /// # Errors
    /// [`StoreError::Lease`] if the item is not held under this token.
    fn check_lease(&self, settled: &Settled, now: Time) -> Result<(), StoreError>;

    /// The holder is gone; what it held is free.
    fn release(&self, holder: Holder);

    /// Entries that the agency, as a sender, is to be told of, after `after`, in order.
    ///
    /// # Errors
    /// Medium and damage.
    fn notices(
        &self,
        agency: &Code,
        after: EntryId,
        max: usize,
    ) -> Result<Vec<EntryId>, StoreError>;
}

/// A mailbox in which something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Whose.
    pub agency: Code,
    /// The first item of each lane that has one, urgency first.
    pub oldest: Vec<Item>,
}

/// What waits for too long, and what nobody answers.
pub trait Backlogs: Send + Sync {
    /// Up to `max` mailboxes in which something waits, after `after`, in the order of their codes.
    ///
    /// # Errors
    /// Medium and damage.
    fn backlogs(&self, after: Option<&Code>, max: usize) -> Result<Vec<Backlog>, StoreError>;

    /// How often an item was handed out without an answer since the store was opened.
    fn attempts(&self, agency: &Code, position: EntryId) -> u32;

    /// How many items were handed out so often, or more often, without an answer.
    fn unanswered(&self, attempts: u32) -> usize;
}

/// The keeping of bodies, as the entries say.
pub trait Keepings: Send + Sync {
    /// The keeping of a consignment's bodies.
    ///
    /// # Errors
    /// Medium and damage.
    fn keeping(&self, id: ConsignmentId) -> Result<Keeping, StoreError>;

    /// Up to `max` consignments after `after`, in the order of their ids, which is that of their
    /// acceptance, each with the digests of its parts.
    ///
    /// # Errors
    /// Medium and damage.
    fn kept(
        &self,
        after: Option<ConsignmentId>,
        max: usize,
    ) -> Result<Vec<(Consignment, Vec<Sha256>)>, StoreError>;

    /// The digests of a consignment's parts.
    ///
    /// # Errors
    /// Medium and damage.
    fn parts(&self, id: ConsignmentId) -> Result<Vec<Sha256>, StoreError>;

    /// Up to `max` entries whose bodies are still to be erased, in order.
    ///
    /// # Errors
    /// Medium and damage.
    fn erasing(&self, max: usize) -> Result<Vec<EntryId>, StoreError>;

    /// The bodies of these entries are gone; durable on return.
    ///
    /// # Errors
    /// Medium.
    fn erased(&self, entries: &[EntryId]) -> Result<(), StoreError>;
}

/// All seven faces of one store.
pub trait Store:
    LogStore + LogReader + Registry + Mailboxes + Backlogs + Keepings + Filing
{
}

impl<T: LogStore + LogReader + Registry + Mailboxes + Backlogs + Keepings + Filing> Store for T {}

/// A piece of content to be kept.
#[derive(Debug, Clone)]
pub enum Piece {
    /// In memory.
    Bytes(Sha256, Bytes),
    /// Uploaded in full by this system and checked.
    Staged(SystemId, Sha256),
}

/// What was wrong with a chunk or an upload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The chunk does not begin where the upload ends.
    #[error("the upload stands at {0} bytes")]
    Offset(u64),
    /// More bytes than announced.
    #[error("the upload exceeds its announced {0} bytes")]
    TooLong(u64),
    /// The bytes have another digest; the upload was thrown away.
    #[error("the bytes have the digest {0}")]
    Digest(Sha256),
    /// The system has too many unfinished uploads.
    #[error("{0} uploads are unfinished")]
    TooMany(usize),
    /// The medium failed.
    #[error("{0}")]
    Medium(String),
}

/// How far an upload has come.
pub enum Staged {
    /// So many bytes have arrived; it goes on there. If they are all, they are not checked yet.
    Arriving(u64),
    /// All of it, checked and durable.
    Complete(Box<dyn Source + Send + Sync>),
}

/// Where bodies live: content-addressed, outside the log.
pub trait Contents: Send + Sync {
    /// Writes pieces and answers with their places, in their order. They are durable after the next
    /// [`Contents::settle`]; whoever commits an entry that refers to them calls it before.
    fn keep(&self, pieces: Vec<Piece>) -> oneshot::Receiver<Result<Vec<(Sha256, Place)>, String>>;

    /// Makes everything durable that was kept before the call: many pieces share one sync. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Medium`]; nothing kept since the last success can be promised then.
    fn settle(&self) -> Result<(), StoreError>;

    /// How far an upload has come.
    ///
    /// # Errors
    /// [`UploadError::TooLong`] if the upload has another size, [`UploadError::Medium`].
    fn staged(&self, system: &SystemId, digest: &Sha256, size: u64) -> Result<Staged, UploadError>;

    /// Bytes of a system's uploads that have arrived and are not used up.
    ///
    /// # Errors
    /// [`UploadError::Medium`].
    fn staged_size(&self, system: &SystemId) -> Result<u64, UploadError>;

    /// Opens an upload to append to it from `offset` on.
    ///
    /// # Errors
    /// [`UploadError`].
    fn upload(
        &self,
        system: &SystemId,
        digest: &Sha256,
        size: u64,
        offset: u64,
    ) -> Result<Box<dyn Upload>, UploadError>;

    /// A place for bytes that are looked at once and never kept.
    ///
    /// # Errors
    /// [`StoreError::Medium`].
    fn scratch(&self) -> Result<Box<dyn Scratch>, StoreError>;

    /// The entries that refer to these kept uploads are durable: the uploads are used up. Until
    /// then they stay, so that a submission which failed or was cut short can be sent again.
    fn discard(&self, system: &SystemId, digests: &[Sha256]);

    /// The bytes of kept content.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    fn read(
        &self,
        digest: &Sha256,
        place: Place,
    ) -> Result<Box<dyn Source + Send + Sync>, StoreError>;
}

/// Erasing bodies, all copies of each.
pub trait Eraser: Send + Sync {
    /// From now on these bodies are kept anew: no [`Contents::keep`] answers with a place where one
    /// of them lies already. Gives where the new ones begin. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Medium`].
    fn retire(&self, digests: &HashSet<Sha256>) -> Result<Retired, StoreError>;

    /// Erases every copy of these bodies that lay there when they were retired; durable on return.
    /// Gives how many bytes they had. Blocks. It may be done again.
    ///
    /// # Errors
    /// [`StoreError::Medium`].
    fn erase(&self, digests: &HashSet<Sha256>, retired: Retired) -> Result<u64, StoreError>;
}

/// Where the content store ended when bodies were retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// The volume that grew.
    pub volume: u32,
    /// Its size.
    pub end: u64,
}

/// Bytes without a name: gone when dropped, and after any crash.
pub trait Scratch: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`StoreError::Medium`].
    fn append(&mut self, chunk: &[u8]) -> Result<(), StoreError>;

    /// All of them.
    fn finish(self: Box<Self>) -> Box<dyn Source + Send + Sync>;
}

/// An upload in progress. Dropping it keeps what has arrived; it can be resumed.
pub trait Upload: Send {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`UploadError`].
    fn append(&mut self, chunk: &[u8]) -> Result<(), UploadError>;

    /// Bytes arrived so far.
    fn arrived(&self) -> u64;

    /// Ends the upload: complete and of the right digest, or an error that says where it stands.
    ///
    /// # Errors
    /// [`UploadError::Offset`] if bytes are missing, [`UploadError::Digest`] if they are others.
    fn finish(self: Box<Self>) -> Result<(), UploadError>;
}

/// Whether the medium has room for what is new.
pub trait Space: Send + Sync {
    /// How many bytes may still be written; `None` if it takes no writes at all.
    ///
    /// # Errors
    /// Medium.
    fn free(&self) -> Result<Option<u64>, StoreError>;
}

/// The last signed head, kept apart from the store: a store that was put back in time is noticed.
pub trait HeadGuard: Send + Sync {
    /// The note kept last; `None` on a new machine.
    ///
    /// # Errors
    /// Medium.
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces it; durable on return.
    ///
    /// # Errors
    /// Medium.
    fn keep(&self, note: &[u8]) -> Result<(), StoreError>;
}

/// Small named files: what a witness has seen, and what witnesses have said.
pub trait Notebook: Send + Sync {
    /// All of them, with their names.
    ///
    /// # Errors
    /// Medium.
    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError>;

    /// Writes one anew; durable on return. After a crash it has the old bytes or the new ones.
    ///
    /// # Errors
    /// Medium.
    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;
}
