//! Proof of a fork: two checkpoints that one log key signed and that cannot belong to one log.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::request::hash;
use crate::digest::Sha256;
use crate::limits::{CONSISTENCY_PROOF_MAX, FORK_FILE_SIZE_MAX};
use crate::log::{
    Entry, LogPublicKey, NoteError, SignedCheckpoint, consistency_roots, leaf_hash,
    verify_consistency, verify_inclusion,
};

/// First line of the file.
const HEADER: &str = "vanthu.fork.v1";

/// Two notes and what shows that they contradict each other; nothing about it is known to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The note of the smaller tree or the earlier epoch.
    pub first: Vec<u8>,
    /// The other one.
    pub second: Vec<u8>,
    /// Why they do not go together.
    pub proof: Proof,
}

/// Why two checkpoints do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// They have one size and two roots.
    Size,
    /// The larger tree begins with another tree than the smaller one.
    Tree {
        /// The root over the first entries of the larger tree, as many as the smaller tree has.
        root: Sha256,
        /// The consistency proof from that root to the larger tree.
        path: Vec<Sha256>,
    },
    /// The later epoch begins by naming another end of the earlier one.
    Opening {
        /// The first entry of the later epoch.
        leaf: Vec<u8>,
        /// Its inclusion proof.
        path: Vec<Sha256>,
    },
    /// The log did not show that one extends the other. A log that has not forked can still do so.
    Unproven,
}

/// The file proves no fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// It is not such a file.
    #[error("this is not a proof of a fork")]
    Malformed,
    /// A note is not one of this log.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The notes go together, or the proof does not show otherwise.
    #[error("the two checkpoints do not contradict each other")]
    NoContradiction,
    /// Nothing shows that the notes contradict each other, and nothing that they do not.
    #[error(
        "ask the log for a consistency proof between the two checkpoints: a forked log has none"
    )]
    Unproven,
}

/// A log that forked. Only [`Fork::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forked {
    first: SignedCheckpoint,
    second: SignedCheckpoint,
}

impl Forked {
    /// The smaller or earlier checkpoint.
    pub fn first(&self) -> &SignedCheckpoint {
        &self.first
    }

    /// The other one.
    pub fn second(&self) -> &SignedCheckpoint {
        &self.second
    }
}

impl Fork {
    /// What two checkpoints of one epoch and a failed proof of consistency show. `first` is not
    /// larger than `second`.
    pub fn of(
        first: (&SignedCheckpoint, &[u8]),
        second: (&SignedCheckpoint, &[u8]),
        path: &[Sha256],
    ) -> Self {
        let (smaller, larger) = (first.0, second.0);
        let roots = consistency_roots(smaller.size, &smaller.root, larger.size, path);
        let proof = match roots {
            _ if smaller.size == larger.size => Proof::Size,
            Ok((root, end)) if end == larger.root && root != smaller.root => {
                Proof::Tree { root, path: path.to_vec() }
            }
            _ => Proof::Unproven,
        };
        Self { first: first.1.to_vec(), second: second.1.to_vec(), proof }
    }

    /// Checks that the log that signs with `key` has forked.
    ///
    /// # Errors
    /// [`ForkError`].
    pub fn verify(&self, key: &LogPublicKey) -> Result<Forked, ForkError> {
        let (first, second) = (key.open(&self.first)?, key.open(&self.second)?);
        let contradicts = match &self.proof {
            Proof::Opening { leaf, path } => contradicts_opening(&first, &second, leaf, path),
            _ if first.origin != second.origin => false,
            Proof::Size => first.size == second.size && first.root != second.root,
            Proof::Tree { root, path } => {
                *root != first.root
                    && (1..second.size).contains(&first.size)
                    && verify_consistency(first.size, root, second.size, &second.root, path).is_ok()
            }
            Proof::Unproven => return Err(ForkError::Unproven),
        };
        match contradicts {
            true => Ok(Forked { first, second }),
            false => Err(ForkError::NoContradiction),
        }
    }

    /// A name for it: the same two checkpoints have the same one, whoever signed them besides.
    pub fn name(&self) -> String {
        let text = |note: &[u8]| {
            let end = note.windows(2).position(|pair| pair == b"\n\n");
            note[..end.unwrap_or(note.len())].to_vec()
        };
        Sha256::of_parts(&[&text(&self.first), b"\n\n", &text(&self.second)]).to_string()
    }

    /// The file (`FORMAT.md` §3).
    pub fn to_file(&self) -> Vec<u8> {
        let none = Vec::new();
        let (kind, path) = match &self.proof {
            Proof::Size => ("size".to_owned(), &none),
            Proof::Tree { root, path } => (format!("tree {}", BASE64.encode(root.0)), path),
            Proof::Opening { leaf, path } => (format!("opening {}", BASE64.encode(leaf)), path),
            Proof::Unproven => ("unproven".to_owned(), &none),
        };
        let mut head = format!("{HEADER}\n{kind}\n");
        for hash in path {
            head.push_str(&BASE64.encode(hash.0));
            head.push('\n');
        }
        [head.as_bytes(), b"\n", &self.first, b"\n", &self.second].concat()
    }

    /// Reads a file. It is not verified by that.
    ///
    /// # Errors
    /// [`ForkError::Malformed`].
    pub fn read(file: &[u8]) -> Result<Self, ForkError> {
        parse(file).ok_or(ForkError::Malformed)
    }
}

/// The entry that opens the later epoch commits to an end of the earlier one that cannot be, where
/// the first checkpoint was signed: it lies before it, or is another one of the same size.
fn contradicts_opening(
    first: &SignedCheckpoint,
    second: &SignedCheckpoint,
    leaf: &[u8],
    path: &[Sha256],
) -> bool {
    let included = verify_inclusion(&leaf_hash(leaf), 0, second.size, path, &second.root);
    let Ok(Some(end)) = Entry::from_leaf(leaf).map(|entry| entry.previous_epoch) else {
        return false;
    };
    included.is_ok()
        && end.epoch == first.origin.epoch
        && end.epoch.checked_add(1) == Some(second.origin.epoch)
        && (end.size < first.size || (end.size == first.size && end.root != first.root))
}

fn parse(file: &[u8]) -> Option<Fork> {
    if file.len() > FORK_FILE_SIZE_MAX {
        return None;
    }
    let mut blocks = std::str::from_utf8(file).ok()?.split("\n\n");
    let mut lines = blocks.next()?.split('\n');
    let (header, kind) = (lines.next()?, lines.next()?);
    let path: Vec<Sha256> = lines.map(hash).collect::<Option<_>>()?;
    if header != HEADER || path.len() > CONSISTENCY_PROOF_MAX {
        return None;
    }
    let proof = match kind.split_once(' ') {
        None if kind == "size" && path.is_empty() => Proof::Size,
        None if kind == "unproven" && path.is_empty() => Proof::Unproven,
        Some(("tree", root)) => Proof::Tree { root: hash(root)?, path },
        Some(("opening", leaf)) => Proof::Opening { leaf: BASE64.decode(leaf).ok()?, path },
        _ => return None,
    };
    let first = format!("{}\n\n{}\n", blocks.next()?, blocks.next()?);
    let second = format!("{}\n\n{}", blocks.next()?, blocks.next()?);
    blocks.next().is_none().then(|| Fork {
        first: first.into_bytes(),
        second: second.into_bytes(),
        proof,
    })
}
