//! What a witness knows of one gateway's log, and what it says to the next checkpoint.

use std::collections::BTreeMap;

use super::fork::{Fork, Proof};
use super::request::Request;
use crate::evidence::{Receipt, ReceiptError};
use crate::log::{LogPublicKey, NoteError, SignedCheckpoint, empty_root, verify_consistency};

/// For each epoch the newest checkpoint that was cosigned, and how the epoch began.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    epochs: BTreeMap<u32, Last>,
}

#[derive(Debug, Clone)]
struct Last {
    checkpoint: SignedCheckpoint,
    note: Vec<u8>,
    /// The receipt of the epoch's first entry; `None` in the epoch in which the witness began.
    opening: Option<Receipt>,
}

/// Why a witness does not cosign (C2SP tlog-witness).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Not a request (400).
    Malformed,
    /// A log, or an epoch of it, that this witness does not know (404).
    UnknownOrigin,
    /// Not signed with the key of that log (403).
    NotSigned,
    /// The old size is larger than the new one (400).
    Backwards,
    /// The old size is not the one that the witness knows (409).
    OtherSize(u64),
    /// The checkpoint does not extend what the witness knows (422).
    Inconsistent,
}

/// A refusal, and what it shows about the log, if it shows anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The answer.
    pub why: Why,
    /// Both checkpoints, when the log has not shown that one extends the other.
    pub fork: Option<Fork>,
}

impl From<Why> for Refused {
    fn from(why: Why) -> Self {
        Self { why, fork: None }
    }
}

impl From<NoteError> for Why {
    fn from(error: NoteError) -> Self {
        match error {
            NoteError::Malformed => Self::Malformed,
            NoteError::OtherLog => Self::UnknownOrigin,
            NoteError::Unsigned | NoteError::Signature => Self::NotSigned,
        }
    }
}

impl Seen {
    /// Whether the next checkpoint may be cosigned.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn judge(
        &self,
        key: &LogPublicKey,
        request: &Request,
    ) -> Result<SignedCheckpoint, Refused> {
        let next = key.open(&request.note).map_err(Why::from)?;
        let last = self.epochs.get(&next.origin.epoch);
        // After the first contact, an epoch becomes known by its opening: `judge_opening`.
        if last.is_none() && !self.epochs.is_empty() {
            return Err(Why::UnknownOrigin.into());
        }
        if request.old > next.size {
            return Err(Why::Backwards.into());
        }
        let known = last.map_or(0, |last| last.checkpoint.size);
        if request.old != known {
            let fork = last.filter(|last| {
                last.checkpoint.size == next.size && last.checkpoint.root != next.root
            });
            let fork = fork.map(|last| last.fork(&next, request));
            return Err(Refused { why: Why::OtherSize(known), fork });
        }
        if next.size == 0 && next.root != empty_root() {
            return Err(Why::Inconsistent.into());
        }
        let Some(last) = last.filter(|_| known > 0) else {
            return match request.proof.is_empty() {
                true => Ok(next),
                false => Err(Why::Inconsistent.into()),
            };
        };
        let (size, root) = (next.size, &next.root);
        if verify_consistency(known, &last.checkpoint.root, size, root, &request.proof).is_err() {
            let fork = Some(last.fork(&next, request));
            return Err(Refused { why: Why::Inconsistent, fork });
        }
        self.judge_end(&next, request)?;
        Ok(next)
    }

    /// A closed epoch does not grow: the opening of the next one says where it ended.
    fn judge_end(&self, next: &SignedCheckpoint, request: &Request) -> Result<(), Refused> {
        let epoch = next.origin.epoch;
        let Some(opening) = epoch.checked_add(1).and_then(|after| self.opening(after)) else {
            return Ok(());
        };
        let ended = self.epochs.get(&epoch).map_or(0, |last| last.checkpoint.size);
        if next.size <= ended {
            return Ok(());
        }
        let fork = Fork {
            first: request.note.clone(),
            second: opening.checkpoint.clone(),
            proof: Proof::Opening { leaf: opening.leaf.clone(), path: opening.path.clone() },
        };
        Err(Refused { why: Why::Inconsistent, fork: Some(fork) })
    }

    /// Whether a new epoch goes on where the witness saw the epoch before end. The receipt is that
    /// of the new epoch's first entry.
    ///
    /// # Errors
    /// [`Refused`]; [`Why::OtherSize`] names the size that is known of the epoch before.
    pub fn judge_opening(
        &self,
        key: &LogPublicKey,
        receipt: &Receipt,
    ) -> Result<SignedCheckpoint, Refused> {
        let proven = receipt.verify(key).map_err(|error| match error {
            ReceiptError::Checkpoint(error) => Why::from(error),
            _ => Why::Malformed,
        })?;
        let end = proven.previous_epoch.as_ref().filter(|_| proven.id().index == 0);
        let end = end.ok_or(Why::Malformed)?;
        if end.epoch.checked_add(1) != Some(proven.id().epoch) {
            return Err(Why::Inconsistent.into());
        }
        let last = self.epochs.get(&end.epoch).ok_or(Why::UnknownOrigin)?;
        let known = &last.checkpoint;
        if end.size > known.size {
            return Err(Why::OtherSize(known.size).into());
        }
        if (end.size, end.root) != (known.size, known.root) {
            let fork = Fork {
                first: last.note.clone(),
                second: receipt.checkpoint.clone(),
                proof: Proof::Opening { leaf: receipt.leaf.clone(), path: receipt.path.clone() },
            };
            return Err(Refused { why: Why::Inconsistent, fork: Some(fork) });
        }
        if let Some(again) = self.epochs.get(&proven.id().epoch) {
            return Err(Why::OtherSize(again.checkpoint.size).into());
        }
        Ok(proven.checkpoint().clone())
    }

    /// Remembers a cosigned checkpoint, as it is kept.
    pub fn take(&mut self, checkpoint: SignedCheckpoint, note: Vec<u8>) {
        let epoch = checkpoint.origin.epoch;
        let opening = self.epochs.remove(&epoch).and_then(|last| {
            let grows = last.checkpoint.size <= checkpoint.size;
            assert!(grows, "a witness never goes back");
            last.opening
        });
        self.epochs.insert(epoch, Last { checkpoint, note, opening });
    }

    /// Remembers how an epoch began, whose first checkpoint was taken.
    pub fn take_opening(&mut self, receipt: Receipt) {
        if let Some(last) = self.epochs.get_mut(&receipt.id.epoch) {
            last.opening = Some(receipt);
        }
    }

    /// The newest cosigned checkpoint of each epoch, as it was kept.
    pub fn notes(&self) -> impl Iterator<Item = (&SignedCheckpoint, &[u8])> {
        self.epochs.values().map(|last| (&last.checkpoint, last.note.as_slice()))
    }

    fn opening(&self, epoch: u32) -> Option<&Receipt> {
        self.epochs.get(&epoch).and_then(|last| last.opening.as_ref())
    }
}

impl Last {
    fn fork(&self, next: &SignedCheckpoint, request: &Request) -> Fork {
        let known = (&self.checkpoint, self.note.as_slice());
        Fork::of(known, (next, &request.note), &request.proof)
    }
}
