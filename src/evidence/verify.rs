//! Verifying an evidence file: what goes in, what comes out, and every way in which it may fail.

use std::fmt;

use super::examine::examine;
use super::receipt::{ProvenEntry, ReceiptError};
use super::stamped::CoveringStamp;
use super::statement::{Statement, plain};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::log::{EntryId, LogPublicKey, NoteError, SignedCheckpoint};

/// A part as the envelope lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// Its file name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub digest: Sha256,
}

/// Verifies an evidence file with these keys and nothing else. `parts_of` reads the list of parts
/// out of an envelope's bytes; it is called only on bytes that the log commits to.
///
/// # Errors
/// [`Broken`] names the first piece that is altered, swapped, missing or in excess.
pub fn verify(
    bytes: &[u8],
    keys: &[LogPublicKey],
    parts_of: &dyn Fn(&[u8]) -> Option<Vec<PartInfo>>,
) -> Result<Verified, Broken> {
    examine(bytes, keys, parts_of).map(|findings| Verified { findings, _proven: () })
}

/// An evidence file that holds. Only [`verify()`] makes one.
///
/// ```compile_fail
/// use vanthu::evidence::{Findings, Verified};
/// fn forge(findings: Findings) -> Verified {
///     Verified { findings, _proven: () }
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Verified {
    findings: Findings,
    _proven: (),
}

/// What was found; readable through [`Verified`].
#[derive(Debug, Clone)]
pub struct Findings {
    /// The consignment.
    pub consignment: ConsignmentId,
    /// The only recipient it is about, if it was narrowed.
    pub recipient: Option<Code>,
    /// The key under which all entries were proven.
    pub key: LogPublicKey,
    /// The checkpoints under which they were, and their notes, on which witnesses may have cosigned.
    pub checkpoints: Vec<(SignedCheckpoint, Vec<u8>)>,
    /// The entries, in the order of the log; the acceptance first.
    pub entries: Vec<ProvenEntry>,
    /// What is proven, in the order of the log.
    pub statements: Vec<Statement>,
    /// The checks that were made and passed, in order, one sentence each.
    pub checks: Vec<String>,
    /// What the file could hold and does not, one sentence each.
    pub absent: Vec<String>,
    /// Certificates and revocation lists, and what ties them to the entries.
    pub attachments: Vec<Attachment>,
    /// Time-stamps over checkpoints, tied to those of the file.
    pub stamps: Vec<CoveringStamp>,
    /// Sealed XML for other delivery services, each of the entry that it tells of.
    pub sealed: Vec<SealedEvent>,
    /// The envelope's bytes.
    pub envelope: Vec<u8>,
    /// The parts that the envelope lists, and whether each is enclosed.
    pub parts: Vec<(PartInfo, bool)>,
    /// The verdict report's bytes.
    pub report: Vec<u8>,
}

impl Verified {
    /// The page for people, made from nothing but what was proven.
    pub fn page(&self) -> String {
        super::page::render(&self.findings)
    }
}

impl std::ops::Deref for Verified {
    type Target = Findings;

    fn deref(&self) -> &Findings {
        &self.findings
    }
}

/// A sealed XML (ETSI EN 319 522-3) that says what its entry says. Who sealed it is for the reader to
/// judge with the anchors that he trusts ([`crate::signature::judge`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEvent {
    /// The entry.
    pub entry: EntryId,
    /// The XML.
    pub xml: Vec<u8>,
}

/// A certificate or revocation list in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its path.
    pub path: String,
    /// SHA-256 of its bytes.
    pub digest: Sha256,
    /// What ties it to the log.
    pub binding: Binding,
}

/// What ties an attachment to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    /// It is the certificate that an actor used.
    Actor,
    /// The verdict report names its digest.
    Report,
    /// Nothing: it is enclosed and proves nothing.
    Nothing,
}

/// The file proves nothing, because of this piece.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{piece} {fault}")]
pub struct Broken {
    /// Its path in the archive, or `the archive`.
    pub piece: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Broken {
    pub(super) fn new(piece: &str, fault: Fault) -> Self {
        Self { piece: plain(piece), fault }
    }
}

/// What is wrong with a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not a zip archive, cut off, or with something behind its end.
    NotAnArchive,
    /// More bytes than an evidence file may have.
    TooLarge,
    /// More files than an evidence file may have.
    TooManyFiles,
    /// The path is none that a file here can have.
    Path,
    /// The file does not stand in the order of paths, or stands twice.
    Order,
    /// The file is compressed, encrypted, a folder, or carries extra fields.
    NotStored,
    /// The two headers of a file in the archive differ.
    HeadersDiffer,
    /// Bytes lie between or behind the files.
    HiddenBytes,
    /// The bytes do not have their own checksum.
    Damaged,
    /// The piece is not there.
    Missing,
    /// The piece is there and not in the manifest.
    Unlisted,
    /// The piece is not what the manifest lists.
    Altered,
    /// Two pieces have this name.
    Twice,
    /// The piece has not the form that `FORMAT.md` gives it.
    Malformed,
    /// The piece has no place in this evidence.
    Foreign,
    /// No key was given for the log that signed it.
    UnknownLog,
    /// The checkpoint does not open with the key given.
    Checkpoint(NoteError),
    /// The checkpoint is not that of the other entries of its epoch.
    OtherCheckpoint,
    /// The key is not the one that signed the checkpoints.
    OtherKey,
    /// The entry is not proven.
    Receipt(ReceiptError),
    /// The entry is of another consignment.
    OtherConsignment,
    /// The entry is about a recipient that this file is not about.
    OtherRecipient,
    /// The entry contradicts the others.
    Contradiction(&'static str),
    /// The bytes are not those that the log commits to.
    NotCommitted,
    /// The envelope cannot be read.
    Unreadable,
    /// It does not lead from the stamped checkpoint to the one of the epoch.
    NotConsistent,
    /// Its seal does not hold.
    Seal,
    /// It is no time-stamp over the checkpoint beside it.
    NotAStamp,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotAnArchive => "is not a whole zip archive",
            Self::TooLarge => "is too large for an evidence file",
            Self::TooManyFiles => "has more files than an evidence file may have",
            Self::Path => "has a path that no file here can have",
            Self::Order => "stands out of order or twice",
            Self::NotStored => "is not stored plainly",
            Self::HeadersDiffer => "says different things at its beginning and at its end",
            Self::HiddenBytes => "has bytes that belong to no file",
            Self::Damaged => "is damaged",
            Self::Missing => "is missing",
            Self::Unlisted => "is not listed in the manifest",
            Self::Altered => "is not what the manifest lists",
            Self::Twice => "would stand twice",
            Self::Malformed => "does not have the form it must have",
            Self::Foreign => "has no place in this evidence",
            Self::UnknownLog => "comes from a log whose key was not given",
            Self::Checkpoint(error) => return write!(f, "proves nothing: {error}"),
            Self::OtherCheckpoint => "does not end in the checkpoint of its epoch",
            Self::OtherKey => "is not the key that signed the checkpoints",
            Self::Receipt(error) => return write!(f, "is not proven: {error}"),
            Self::OtherConsignment => "is about another consignment",
            Self::OtherRecipient => "is about another recipient",
            Self::Contradiction(what) => return write!(f, "contradicts the other entries: {what}"),
            Self::NotCommitted => "is not what the log commits to",
            Self::Unreadable => "cannot be read",
            Self::NotConsistent => "does not lead to the checkpoint of its epoch",
            Self::Seal => "has no seal that holds",
            Self::NotAStamp => "is no time-stamp over the checkpoint beside it",
        };
        f.write_str(text)
    }
}
