//! What recipients say about a document: taken over, returned, being handled.

use super::command::{self, Command};
use super::peer::Peer;
use super::ports::Piece;
use super::sequencer::Answered;
use super::{Error, Fault, Gateway};
use crate::delivery::Token;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::evidence::Receipt;
use crate::limits::NOTE_SIZE_MAX;
use crate::log::Status;
use crate::refusal::{Reason, Refusal};

/// Before a note: sixteen random bytes in hexadecimal and a line feed (log/FORMAT.md §3). The log's
/// digest of it cannot be guessed, and says nothing once the note is erased.
const SALT_SIZE: usize = 33;

/// A recipient's answer.
#[derive(Debug)]
pub struct Answer {
    /// The recipient, as the caller wrote it.
    pub agency: Code,
    /// Which consignment.
    pub consignment: ConsignmentId,
    /// The lease, if the caller holds one.
    pub token: Option<Token>,
    /// 03 acknowledges, 02 refuses, others report.
    pub status: Status,
    /// Words for the sender; empty if none.
    pub note: String,
}

/// Proof that an answer stands in the log.
#[derive(Debug)]
pub struct AnswerReceipt {
    /// The proof.
    pub receipt: Receipt,
    /// Whether the same answer had been given before.
    pub repeated: bool,
}

impl Gateway {
    /// Records a recipient's answer; returns when it is durable and proven.
    ///
    /// # Errors
    /// A refusal (not a recipient, answered otherwise before, lease lost), or a fault.
    pub async fn answer(&self, peer: &Peer, answer: Answer) -> Result<AnswerReceipt, Error> {
        let surroundings = self.surroundings();
        let agency = peer.speak_for(&surroundings.directory, &answer.agency, "agency")?;
        let agency = agency.code.clone();
        let field = if answer.status == Status::Refused { "reason" } else { "note" };
        let note = salted(&answer.note, field)?;
        self.room()?;
        let digest = note.as_deref().map(Sha256::of);
        let noted = digest.zip(note).map(|(digest, note)| Piece::Bytes(digest, note.into()));
        let certificate = self.shared(peer.certificate, &peer.der)?;
        let pieces: Vec<Piece> = noted.into_iter().chain(certificate).collect();
        let contents =
            if pieces.is_empty() { Vec::new() } else { self.keep_pieces(pieces).await? };
        let command = Command::Answer(command::Answer {
            actor: peer.actor(),
            agency,
            consignment: answer.consignment,
            token: answer.token,
            status: answer.status,
            note: digest,
            contents,
        });
        match self.sequencer.write(command).await? {
            Answered::New(receipt) => Ok(AnswerReceipt { receipt, repeated: false }),
            Answered::Before(first) => {
                Ok(AnswerReceipt { receipt: self.reading.receipt(first)?, repeated: true })
            }
            // Only recordings are answered so.
            Answered::Recorded => Err(Fault::Stopped.into()),
        }
    }
}

/// The salted text; `None` for no text.
pub(super) fn salted(note: &str, field: &str) -> Result<Option<Vec<u8>>, Refusal> {
    if note.is_empty() {
        return Ok(None);
    }
    if note.len() > NOTE_SIZE_MAX {
        let refusal = Refusal::of_field(Reason::FieldTooLong, field);
        return Err(refusal.with("size", note.len()).with("limit", NOTE_SIZE_MAX));
    }
    let mut salt = [0; 16];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut salt)
        .expect("the system has randomness");
    Ok(Some(format!("{}\n{note}", crate::digest::hex(&salt)).into_bytes()))
}

/// The text of a kept note.
pub fn note_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.get(SALT_SIZE..)?).ok()
}
