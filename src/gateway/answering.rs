//! What recipients say about a document: taken over, returned, being handled; and what its sender asks
//! afterwards, and they say to that.

use std::collections::BTreeSet;

use super::command::{self, Command};
use super::peer::Peer;
use super::ports::{Piece, Place, Which};
use super::sequencer::Answered;
use super::{Error, Fault, Gateway};
use crate::delivery::{OrderKind, Token};
use crate::digest::Sha256;
use crate::directory::{Code, Directory};
use crate::document::ConsignmentId;
use crate::evidence::Receipt;
use crate::limits::{NOTE_SIZE_MAX, RECIPIENTS_MAX};
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

/// What a sender asks after a document was sent.
#[derive(Debug)]
pub struct SendersOrder {
    /// The sender, as the caller wrote it.
    pub sender: Code,
    /// Which consignment.
    pub consignment: ConsignmentId,
    /// At these recipients; at all of them where it changes something, if none is named.
    pub recipients: Vec<Code>,
    /// What it asks.
    pub kind: OrderKind,
    /// The consignment that updates or replaces; none for a recall.
    pub by: Option<ConsignmentId>,
    /// Why.
    pub reason: String,
}

/// A recipient's answer to an order.
#[derive(Debug)]
pub struct Reply {
    /// The recipient, as the caller wrote it.
    pub agency: Code,
    /// Which consignment.
    pub consignment: ConsignmentId,
    /// 15, or 16.
    pub agrees: bool,
    /// Words for the sender; empty if none.
    pub note: String,
}

impl Gateway {
    /// Records what the sender asks, and withdraws it at once where the recipient has not taken it;
    /// returns when it is durable and proven. All recipients or none.
    ///
    /// # Errors
    /// A refusal (not the sender, not a recipient, nothing to have back, another order waits), or a fault.
    pub async fn order(&self, peer: &Peer, order: SendersOrder) -> Result<AnswerReceipt, Error> {
        let surroundings = self.surroundings();
        let sender = &peer.speak_for(&surroundings.directory, &order.sender, "sender")?.code;
        let unknown = |field| Refusal::of_field(Reason::ConsignmentUnknown, field);
        let consignment = self.store.consignment(order.consignment)?;
        consignment
            .filter(|consignment| consignment.sender == *sender)
            .ok_or_else(|| unknown("consignment_id"))?;
        match order.by {
            None if order.kind == OrderKind::Recall => {}
            Some(by) if order.kind != OrderKind::Recall && by != order.consignment => {
                let by = self.store.consignment(by)?;
                by.filter(|by| by.sender == *sender).ok_or_else(|| unknown("by"))?;
            }
            _ => return Err(Refusal::of_field(Reason::FieldMalformed, "by").into()),
        }
        let where_possible = order.recipients.is_empty();
        let recipients = match where_possible {
            true => {
                let all = Which::After(None, RECIPIENTS_MAX);
                let deliveries = self.store.deliveries(order.consignment, all)?;
                deliveries.into_iter().map(|delivery| delivery.recipient).collect()
            }
            false => named(&surroundings.directory, &order.recipients)?,
        };
        let (note, contents) = self.noted(peer, &order.reason, "reason").await?;
        let command = Command::Order(command::SendersOrder {
            actor: peer.actor(),
            consignment: order.consignment,
            recipients,
            where_possible,
            kind: order.kind,
            by: order.by,
            note,
            contents,
        });
        self.answered(command).await
    }

    /// Records what a recipient says to an order; returns when it is durable and proven.
    ///
    /// # Errors
    /// A refusal (not a recipient, nothing is asked), or a fault.
    pub async fn reply(&self, peer: &Peer, reply: Reply) -> Result<AnswerReceipt, Error> {
        let surroundings = self.surroundings();
        let agency = peer.speak_for(&surroundings.directory, &reply.agency, "agency")?;
        let agency = agency.code.clone();
        let (note, contents) = self.noted(peer, &reply.note, "note").await?;
        let command = Command::Reply(command::Reply {
            actor: peer.actor(),
            agency,
            consignment: reply.consignment,
            agrees: reply.agrees,
            note,
            contents,
        });
        self.answered(command).await
    }

    /// Records a recipient's answer; returns when it is durable and proven.
    ///
    /// # Errors
    /// A refusal (not a recipient, answered otherwise before, lease lost), or a fault.
    pub async fn answer(&self, peer: &Peer, answer: Answer) -> Result<AnswerReceipt, Error> {
        let surroundings = self.surroundings();
        let agency = peer.speak_for(&surroundings.directory, &answer.agency, "agency")?;
        let agency = agency.code.clone();
        let field = if answer.status == Status::Refused { "reason" } else { "note" };
        let (note, contents) = self.noted(peer, &answer.note, field).await?;
        let command = Command::Answer(command::Answer {
            actor: peer.actor(),
            agency,
            consignment: answer.consignment,
            token: answer.token,
            status: answer.status,
            note,
            contents,
        });
        self.answered(command).await
    }

    /// Keeps what the caller wrote, salted, and its certificate: the note's digest, and where they are.
    pub(super) async fn noted(
        &self,
        peer: &Peer,
        text: &str,
        field: &str,
    ) -> Result<(Option<Sha256>, Vec<(Sha256, Place)>), Error> {
        let note = salted(text, field)?;
        self.room()?;
        let digest = note.as_deref().map(Sha256::of);
        let noted = digest.zip(note).map(|(digest, note)| Piece::Bytes(digest, note.into()));
        let certificate = self.shared(peer.certificate, &peer.der)?;
        let pieces: Vec<Piece> = noted.into_iter().chain(certificate).collect();
        let contents =
            if pieces.is_empty() { Vec::new() } else { self.keep_pieces(pieces).await? };
        Ok((digest, contents))
    }

    pub(super) async fn answered(&self, command: Command) -> Result<AnswerReceipt, Error> {
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

/// The registered codes of these recipients.
fn named(directory: &Directory, codes: &[Code]) -> Result<Vec<Code>, Refusal> {
    let mut recipients = BTreeSet::new();
    if codes.len() > RECIPIENTS_MAX {
        let refusal = Refusal::of_field(Reason::RecipientsTooMany, "recipients");
        return Err(refusal.with("count", codes.len()).with("limit", RECIPIENTS_MAX));
    }
    for code in codes {
        let code = directory.agency(code).map_or(code, |agency| &agency.code);
        if !recipients.insert(code.clone()) {
            let refusal = Refusal::of_field(Reason::RecipientDuplicate, "recipients");
            return Err(refusal.with("code", code));
        }
    }
    Ok(recipients.into_iter().collect())
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
