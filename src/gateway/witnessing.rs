//! This gateway as a witness of others: judged in `crate::witness`, kept here before anything is
//! signed. One lock holds check and keeping together, so that no request can roll another one back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::ports::{Notebook, StoreError};
use super::{Fault, lock};
use crate::clock::Clock;
use crate::digest::Sha256;
use crate::evidence::Receipt;
use crate::limits::FORK_FILES_MAX;
use crate::log::{
    Checkpoint, LogPublicKey, Origin, SignedCheckpoint, WitnessKey, WitnessPublicKey,
    with_cosignatures,
};
use crate::witness::{Fork, Refused, Request, Seen, Why};

/// Kept with the note of an epoch: the receipt of its first entry.
const OPENING: &str = ".opening";
/// Kept proofs of forks begin with this.
const FORK: &str = "fork-";

/// No cosignature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCosigned {
    /// The log's to mend.
    #[error("{0:?}")]
    Refused(Why),
    /// Ours to mend.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<Why> for NotCosigned {
    fn from(why: Why) -> Self {
        Self::Refused(why)
    }
}

/// The witness of some neighbours' logs.
pub struct Witness {
    key: WitnessKey,
    logs: Vec<LogPublicKey>,
    book: Arc<dyn Notebook>,
    clock: Arc<dyn Clock>,
    seen: Mutex<HashMap<String, Seen>>,
    forks: AtomicU64,
}

impl Witness {
    /// The witness of `logs` with what it remembers of them.
    ///
    /// # Errors
    /// The medium's, and [`StoreError::Damaged`]: a witness never begins anew by itself.
    pub fn open(
        key: WitnessKey,
        logs: Vec<LogPublicKey>,
        book: Arc<dyn Notebook>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let kept = book.load()?;
        let forks = kept.iter().filter(|(name, _)| name.starts_with(FORK)).count() as u64;
        let mut seen: HashMap<String, Seen> = HashMap::new();
        let damaged = |name: &str| StoreError::Damaged(format!("witness/{name} cannot be read"));
        let (openings, notes): (Vec<_>, Vec<_>) = kept
            .into_iter()
            .filter(|(name, _)| !name.starts_with(FORK))
            .partition(|(name, _)| name.ends_with(OPENING));
        for (name, note) in notes {
            let claimed = Checkpoint::claimed(&note).ok_or_else(|| damaged(&name))?;
            // A log that is no longer watched is remembered, in case it comes back.
            let Some(log) = log_of(&logs, &claimed.origin) else { continue };
            let checkpoint = log.open(&note).map_err(|_| damaged(&name))?;
            seen.entry(log.gateway.clone()).or_default().take(checkpoint, note);
        }
        for (name, file) in openings {
            let receipt = Receipt::read(&file).map_err(|_| damaged(&name))?;
            let claimed = Checkpoint::claimed(&receipt.checkpoint).ok_or_else(|| damaged(&name))?;
            let Some(log) = log_of(&logs, &claimed.origin) else { continue };
            receipt.verify(log).map_err(|_| damaged(&name))?;
            seen.entry(log.gateway.clone()).or_default().take_opening(receipt);
        }
        let (seen, forks) = (Mutex::new(seen), AtomicU64::new(forks));
        Ok(Self { key, logs, book, clock, seen, forks })
    }

    /// The key that others rely on.
    pub fn public_key(&self) -> WitnessPublicKey {
        self.key.public()
    }

    /// Proofs of forks, and suspicions, that it keeps.
    pub fn forks(&self) -> u64 {
        self.forks.load(Ordering::Relaxed)
    }

    /// Answers `add-checkpoint`: the line of the cosignature. It is kept before it is returned.
    /// Blocks.
    ///
    /// # Errors
    /// [`NotCosigned`].
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, NotCosigned> {
        let request = Request::read(body).ok_or(Why::Malformed)?;
        let log = self.log_of_note(&request.note)?;
        let mut all = lock(&self.seen);
        let seen = all.entry(log.gateway.clone()).or_default();
        let next = seen.judge(log, &request).map_err(|refused| self.shout(log, refused))?;
        self.cosign(log, seen, next, &request.note)
    }

    /// Answers `add-opening`: as [`Witness::add_checkpoint`], for the first checkpoint of an epoch.
    /// `file` is the receipt of the epoch's first entry. Blocks.
    ///
    /// # Errors
    /// [`NotCosigned`].
    pub fn add_opening(&self, file: &[u8]) -> Result<String, NotCosigned> {
        let receipt = Receipt::read(file).map_err(|_| Why::Malformed)?;
        let log = self.log_of_note(&receipt.checkpoint)?;
        let mut all = lock(&self.seen);
        let seen = all.entry(log.gateway.clone()).or_default();
        let next = seen.judge_opening(log, &receipt).map_err(|refused| self.shout(log, refused))?;
        // First what the epoch rests on: a note without it would be taken for a first contact.
        self.keep(&format!("{}{OPENING}", name_of(&next.origin)), file)?;
        let note = receipt.checkpoint.clone();
        let line = self.cosign(log, seen, next, &note)?;
        seen.take_opening(receipt);
        Ok(line)
    }

    /// The newest cosigned checkpoint of the log with this origin hash, in hexadecimal.
    pub fn checkpoint(&self, origin: &Sha256) -> Option<Vec<u8>> {
        let all = lock(&self.seen);
        let mut notes = all.values().flat_map(Seen::notes);
        let found = notes.find(|(checkpoint, _)| hash_of(&checkpoint.origin) == *origin);
        found.map(|(_, note)| note.to_vec())
    }

    fn cosign(
        &self,
        log: &LogPublicKey,
        seen: &mut Seen,
        next: SignedCheckpoint,
        note: &[u8],
    ) -> Result<String, NotCosigned> {
        let line = self.key.cosign(&next, self.clock.now());
        let bare = log.bare(note).map_err(Why::from)?;
        let cosigned = with_cosignatures(&bare, std::slice::from_ref(&line));
        self.keep(&name_of(&next.origin), &cosigned)?;
        tracing::debug!(origin = %next.origin, size = next.size, "cosigned");
        seen.take(next, cosigned);
        Ok(line)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), NotCosigned> {
        self.book.keep(name, bytes).map_err(|error| NotCosigned::Fault(error.into()))
    }

    fn log_of_note(&self, note: &[u8]) -> Result<&LogPublicKey, Why> {
        let claimed = Checkpoint::claimed(note).ok_or(Why::Malformed)?;
        log_of(&self.logs, &claimed.origin).ok_or(Why::UnknownOrigin)
    }

    /// A log that does not extend itself is told to everybody who listens, every time; the proof is
    /// kept once.
    fn shout(&self, log: &LogPublicKey, refused: Refused) -> NotCosigned {
        let Refused { why, fork } = refused;
        let Some(fork) = fork else { return why.into() };
        let (name, proven) = (format!("{FORK}{}", fork.name()), fork.verify(log).is_ok());
        tracing::error!(log = log.gateway, file = name, proven, "THE LOG OF A NEIGHBOUR IS FORKED");
        if let Err(error) = self.keep_fork(&name, &fork) {
            tracing::error!(%error, "the proof of a fork could not be kept");
        }
        why.into()
    }

    fn keep_fork(&self, name: &str, fork: &Fork) -> Result<(), StoreError> {
        let known = self.book.load()?;
        let count = known.iter().filter(|(name, _)| name.starts_with(FORK)).count();
        if count < FORK_FILES_MAX && !known.iter().any(|(other, _)| other == name) {
            self.book.keep(name, &fork.to_file())?;
            self.forks.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn log_of<'a>(logs: &'a [LogPublicKey], origin: &Origin) -> Option<&'a LogPublicKey> {
    logs.iter().find(|log| log.gateway == origin.gateway)
}

fn hash_of(origin: &Origin) -> Sha256 {
    Sha256::of(origin.to_string().as_bytes())
}

fn name_of(origin: &Origin) -> String {
    hash_of(origin).to_string()
}
