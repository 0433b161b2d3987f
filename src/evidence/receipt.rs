//! Receipts: one entry, the path from it to a root, and the checkpoint that signs the root.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::digest::Sha256;
use crate::limits::RECEIPT_SIZE_MAX;
use crate::log::{
    Entry, EntryId, LogPublicKey, NotAnEntry, NoteError, ProofError, SignedCheckpoint, leaf_hash,
    number, verify_inclusion,
};

/// First line of a proof (C2SP tlog-proof).
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Hashes on a path: one for each bit of a size.
const PATH_LENGTH_MAX: usize = 64;

/// A receipt as it was received: nothing about it is known to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The bytes of the entry.
    pub leaf: Vec<u8>,
    /// Where the entry is said to stand.
    pub id: EntryId,
    /// The inclusion proof, leaf side first.
    pub path: Vec<Sha256>,
    /// The signed checkpoint note.
    pub checkpoint: Vec<u8>,
}

/// A receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The file is larger than a receipt can be.
    #[error("the receipt is too large")]
    TooLarge,
    /// A line of the file is not what it must be.
    #[error("line {line} of the proof is not what it must be")]
    Malformed {
        /// Counted from 1.
        line: usize,
    },
    /// The proof is one without its entry.
    #[error("the proof does not hold the entry itself")]
    EntryMissing,
    /// The bytes are no entry.
    #[error(transparent)]
    Entry(#[from] NotAnEntry),
    /// The checkpoint is not one that the key signed.
    #[error(transparent)]
    Checkpoint(#[from] NoteError),
    /// The checkpoint is one of another epoch.
    #[error("the checkpoint is one of another epoch")]
    OtherEpoch,
    /// The path does not lead from the entry to the signed root.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl Receipt {
    /// Checks that the log that signs with `key` holds this entry at this place.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(&self, key: &LogPublicKey) -> Result<ProvenEntry, ReceiptError> {
        self.verify_against(&key.open(&self.checkpoint)?)
    }

    /// The same, under a checkpoint that was opened already.
    pub(super) fn verify_against(
        &self,
        checkpoint: &SignedCheckpoint,
    ) -> Result<ProvenEntry, ReceiptError> {
        if checkpoint.origin.epoch != self.id.epoch {
            return Err(ReceiptError::OtherEpoch);
        }
        let (size, root) = (checkpoint.size, &checkpoint.root);
        verify_inclusion(&leaf_hash(&self.leaf), self.id.index, size, &self.path, root)?;
        let entry = Entry::from_leaf(&self.leaf)?;
        Ok(ProvenEntry { entry, id: self.id, checkpoint: checkpoint.clone(), _proven: () })
    }

    /// The receipt as a file: a tlog-proof whose extra data is the entry (`FORMAT.md` §1).
    pub fn to_file(&self) -> String {
        self.render(Some(&self.leaf))
    }

    /// The proof without the entry, for those who hold the entry apart.
    pub fn to_proof(&self) -> String {
        self.render(None)
    }

    /// Reads a receipt file. It is not verified by that.
    ///
    /// # Errors
    /// [`ReceiptError::TooLarge`], [`ReceiptError::Malformed`], [`ReceiptError::EntryMissing`].
    pub fn read(file: &[u8]) -> Result<Self, ReceiptError> {
        let (leaf, receipt) = parse(file)?;
        let leaf = leaf.ok_or(ReceiptError::EntryMissing)?;
        Ok(Self { leaf, ..receipt })
    }

    /// Reads a proof whose entry is held apart.
    pub(super) fn read_proof(file: &[u8], leaf: &[u8]) -> Result<Self, ReceiptError> {
        match parse(file)? {
            (None, receipt) => Ok(Self { leaf: leaf.to_vec(), ..receipt }),
            (Some(_), _) => Err(ReceiptError::Malformed { line: 2 }),
        }
    }

    fn render(&self, extra: Option<&[u8]>) -> String {
        let mut text = format!("{HEADER}\n");
        if let Some(extra) = extra {
            text.push_str(&format!("extra {}\n", BASE64.encode(extra)));
        }
        text.push_str(&format!("index {}\n", self.id.index));
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.checkpoint));
        text
    }
}

/// The extra data, and a receipt without its entry.
fn parse(file: &[u8]) -> Result<(Option<Vec<u8>>, Receipt), ReceiptError> {
    if file.len() > RECEIPT_SIZE_MAX {
        return Err(ReceiptError::TooLarge);
    }
    let malformed = |line| ReceiptError::Malformed { line };
    let text = std::str::from_utf8(file).map_err(|_| malformed(1))?;
    let (proof, checkpoint) = text.split_once("\n\n").ok_or(malformed(1))?;
    let mut lines = (1..).zip(proof.split('\n')).peekable();
    lines.next_if(|(_, text)| *text == HEADER).ok_or(malformed(1))?;
    let extra = lines.next_if(|(_, text)| text.starts_with("extra "));
    let leaf = extra
        .map(|(line, text)| text.strip_prefix("extra ").and_then(decode).ok_or(malformed(line)))
        .transpose()?;
    let index_line = 2 + usize::from(leaf.is_some());
    let index = lines.next().and_then(|(_, text)| number(text.strip_prefix("index ")?));
    let index = index.ok_or(malformed(index_line))?;
    let mut path = Vec::new();
    for (line, text) in lines {
        let hash = decode(text).and_then(|bytes| Sha256::from_slice(&bytes));
        path.push(hash.filter(|_| path.len() < PATH_LENGTH_MAX).ok_or(malformed(line))?);
    }
    let note_line = index_line + path.len() + 2;
    let origin = checkpoint.split('\n').next().and_then(|origin| origin.rsplit_once("/log/"));
    let epoch = origin.and_then(|(_, epoch)| number(epoch)).ok_or(malformed(note_line))?;
    let id = EntryId { epoch, index };
    let checkpoint = checkpoint.as_bytes().to_vec();
    Ok((leaf, Receipt { leaf: Vec::new(), id, path, checkpoint }))
}

/// Base64 in its only spelling.
fn decode(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64.decode(text).ok()?;
    (BASE64.encode(&bytes) == text).then_some(bytes)
}

/// An entry that is known to stand in the log. Only [`Receipt::verify`] and [`super::verify()`] make
/// one.
///
/// ```compile_fail
/// use vanthu::{evidence::ProvenEntry, log};
/// fn forge(entry: log::Entry, id: log::EntryId, checkpoint: log::SignedCheckpoint) -> ProvenEntry {
///     ProvenEntry { entry, id, checkpoint, _proven: () }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEntry {
    entry: Entry,
    id: EntryId,
    checkpoint: SignedCheckpoint,
    _proven: (),
}

impl ProvenEntry {
    /// Where it stands.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// The checkpoint that covers it.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}

impl std::ops::Deref for ProvenEntry {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::book::{Desk, key};
    use crate::log::{Checkpoint, Origin, Tree};

    fn receipt() -> Receipt {
        let entries = Desk { seconds: 0 }.accept(1, &["H49", "H49.11", "H50"]);
        let leaves: Vec<Vec<u8>> = entries.iter().map(Entry::to_leaf).collect();
        let mut tree = Tree::default();
        let grown = tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        Receipt {
            leaf: leaves[2].clone(),
            id: EntryId { epoch: 1, index: 2 },
            path: grown.inclusion(2),
            checkpoint: key("gate.example", 7).sign(&checkpoint),
        }
    }

    #[test]
    fn a_receipt_proves_its_entry_also_through_a_file() {
        let receipt = receipt();
        let proven = receipt.verify(&key("gate.example", 7).public()).expect("proven");
        assert_eq!(proven.id().to_string(), "1/2");
        assert_eq!(proven.checkpoint().size, 4);
        assert_eq!(proven.to.as_ref().map(|to| to.as_str()), Some("H49.11"));
        assert_eq!(Receipt::read(receipt.to_file().as_bytes()), Ok(receipt.clone()));
        let proof = receipt.to_proof();
        assert_eq!(Receipt::read_proof(proof.as_bytes(), &receipt.leaf), Ok(receipt));
        assert_eq!(Receipt::read(proof.as_bytes()), Err(ReceiptError::EntryMissing));
    }

    #[test]
    fn a_bent_receipt_proves_nothing() {
        let public = key("gate.example", 7).public();
        let bent = |bend: fn(&mut Receipt)| {
            let mut receipt = receipt();
            bend(&mut receipt);
            receipt.verify(&public).expect_err("bent")
        };
        assert_eq!(bent(|r| r.leaf[20] ^= 1), ReceiptError::Proof(ProofError::Root));
        assert_eq!(bent(|r| r.id.index = 1), ReceiptError::Proof(ProofError::Root));
        assert_eq!(bent(|r| r.id.index = 4), ReceiptError::Proof(ProofError::Range));
        assert_eq!(bent(|r| r.id.epoch = 2), ReceiptError::OtherEpoch);
        assert_eq!(bent(|r| r.path.truncate(1)), ReceiptError::Proof(ProofError::Length));
        assert_eq!(bent(|r| r.path.swap(0, 1)), ReceiptError::Proof(ProofError::Root));
        assert_eq!(
            bent(|r| r.checkpoint.truncate(9)),
            ReceiptError::Checkpoint(NoteError::Malformed)
        );
        assert_eq!(
            bent(|r| r.checkpoint[20] = b'5'),
            ReceiptError::Checkpoint(NoteError::Malformed)
        );
        let other = receipt().verify(&key("gate.example", 8).public());
        assert_eq!(other, Err(ReceiptError::Checkpoint(NoteError::Unsigned)));
        let other = receipt().verify(&key("date.example", 7).public());
        assert_eq!(other, Err(ReceiptError::Checkpoint(NoteError::OtherLog)));
    }

    #[test]
    fn no_single_byte_of_a_receipt_file_can_be_changed() {
        let (file, public) = (receipt().to_file(), key("gate.example", 7).public());
        for at in 0..file.len() {
            for change in [1, 0x20] {
                let mut bent = file.clone().into_bytes();
                bent[at] ^= change;
                let read = Receipt::read(&bent).and_then(|receipt| receipt.verify(&public));
                assert!(read.is_err(), "byte {at}: {}", bent.escape_ascii());
            }
        }
    }

    #[test]
    fn a_receipt_file_has_one_spelling() {
        let text = receipt().to_file();
        let cases = [
            (text.replace("@v1", "@v2"), 1),
            (text.replace("extra ", "extra  "), 2),
            (text.replace("index 2", "index 02"), 3),
            (text.replace("index 2", "index -2"), 3),
            (text.replace("index 2\n", "index 2\nAAAA\n"), 4),
            (text.replace("\n\n", "\n"), 1),
            (text.replacen("\n\n", "\n", 1), 6),
            (text.replace("/log/1", "/lag/1"), 7),
            (text.replace("extra ", "ex ra "), 2),
        ];
        for (wrong, line) in cases {
            assert_ne!(wrong, text);
            let read = Receipt::read(wrong.as_bytes());
            assert_eq!(read, Err(ReceiptError::Malformed { line }), "{wrong}");
        }
        let long = "A".repeat(RECEIPT_SIZE_MAX + 1);
        assert_eq!(Receipt::read(long.as_bytes()), Err(ReceiptError::TooLarge));
    }
}
