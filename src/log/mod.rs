//! The tamper-evident log: entries, the Merkle tree over them, and signed checkpoints.
//!
//! What is hashed and signed is defined byte by byte in `FORMAT.md`; nothing here is ever hashed
//! through protobuf or JSON.

mod checkpoint;
mod cosignature;
mod entry;
mod field;
#[cfg(test)]
pub(crate) mod format;
mod growth;
mod note;
mod policy;
mod tile;
mod tree;

pub use checkpoint::{
    Checkpoint, LogKey, LogPublicKey, NotAKey, NoteError, Origin, SignedCheckpoint,
};
pub use cosignature::{
    Cosigned, WitnessKey, WitnessPublicKey, WrongCosignature, with_cosignatures,
};
pub use entry::{Entry, Event, HEADER, NotAnEntry};
pub use field::{
    Actor, BodySet, Grade, RecipientSet, Service, ServiceKind, SignedHead, Status, VerdictMark,
};
pub use growth::{Grown, LEVEL_HEIGHT, ROW_NODES, Row, Rows, Stored, Tree};
pub use note::is_key_name;
pub use policy::{Policy, PolicyError, QuorumError, Witnessed};
pub use tile::{TILE_WIDTH, TileKind, TileName, read_bundle, write_bundle};
pub use tree::{
    Nodes, ProofError, consistency, consistency_roots, empty_root, inclusion, leaf_hash, node_hash,
    root, verify_consistency, verify_inclusion,
};

use std::fmt;

/// Where an entry stands: epochs follow each other, indexes count from 0 in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId {
    /// The epoch, counted from 1.
    pub epoch: u32,
    /// Position in the epoch, counted from 0.
    pub index: u64,
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self { epoch: 0, index: 0 };

    /// The id in `text`, written `epoch/index`.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, index) = text.split_once('/')?;
        let id = Self { epoch: epoch.parse().ok()?, index: index.parse().ok()? };
        (id.to_string() == text).then_some(id)
    }

    /// The place behind this one in its epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self { index: self.index.saturating_add(1), ..self }
    }

    /// A place behind every entry before this one: what begins here is behind it.
    #[must_use]
    pub fn before(self) -> Self {
        match self.index.checked_sub(1) {
            Some(index) => Self { index, ..self },
            None => Self { epoch: self.epoch.saturating_sub(1), index: u64::MAX },
        }
    }
}

/// A number as `FORMAT.md` writes it: decimal, without sign and leading zeros.
pub fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.epoch, self.index)
    }
}
