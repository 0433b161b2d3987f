//! What we hand over to a neighbour gateway, and what it tells of it.
//!
//! Everything that a neighbour says is proven by an entry of its log under its key, and recorded with
//! the digest of that proof. Repeated words are recorded once.

use std::sync::Arc;

use bytes::Bytes;

use super::ports::{Piece, StoreError, Which};
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway};
use crate::delivery::{Change, Consignment, Delivery, Transport};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::evidence::{ProvenEntry, Receipt};
use crate::limits::{RECIPIENTS_MAX, RECORDED_AT_ONCE};
use crate::log::{Actor, Entry, Event, LogPublicKey, Service};
use crate::source::Source;

/// Deliveries of a consignment: those that were promised, and as many that were redirected.
const DELIVERIES_MAX: usize = 2 * RECIPIENTS_MAX;

/// A neighbour on a connection.
#[derive(Debug, Clone)]
pub struct Teller {
    /// Who.
    pub service: Service,
    /// The key of its log.
    pub key: LogPublicKey,
    /// The certificate that it showed, DER.
    pub certificate: Arc<[u8]>,
}

/// What is to be handed over.
#[derive(Debug, Clone)]
pub struct ToRelay {
    /// Which.
    pub consignment: Consignment,
    /// Our acceptance.
    pub receipt: Receipt,
    /// The codes of all recipients that it promises, in ascending order.
    pub promised: Vec<Code>,
    /// Those behind the neighbour, each with the code that the sender wrote if it is another.
    pub recipients: Vec<(Code, Option<Code>)>,
}

/// A later word of a neighbour.
#[derive(Debug, Clone)]
pub struct Told {
    /// Its proof.
    pub receipt: Receipt,
    /// The evidence of a further gateway behind it; empty if there is none.
    pub evidence: Bytes,
    /// The salted text behind its note; empty if there is none.
    pub note: Bytes,
}

/// Why a neighbour's word was not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// It does not prove what it says.
    #[error("its word does not hold: {0}")]
    Unproven(String),
    /// The gateway could not record it.
    #[error(transparent)]
    Gateway(#[from] Error),
}

impl From<StoreError> for TellError {
    fn from(error: StoreError) -> Self {
        Self::Gateway(error.into())
    }
}

fn unproven(why: impl ToString) -> TellError {
    TellError::Unproven(why.to_string())
}

impl Gateway {
    /// The recipients of a consignment behind a neighbour, in ascending order, each with the code that
    /// the sender wrote if it is another; none if the neighbour has answered for all of them.
    ///
    /// # Errors
    /// The store's.
    pub fn behind(
        &self,
        id: ConsignmentId,
        neighbour: &Service,
    ) -> Result<Vec<(Code, Option<Code>)>, Error> {
        let mut behind = self.store.deliveries(id, Which::After(None, DELIVERIES_MAX))?;
        behind.retain(|delivery| {
            let there = delivery.via.as_ref() == Some(neighbour);
            there && delivery.transport != Transport::Withdrawn
        });
        if !behind.iter().any(Delivery::waits) {
            return Ok(Vec::new());
        }
        Ok(behind.into_iter().map(|delivery| (delivery.recipient, delivery.addressed)).collect())
    }

    /// What is to be handed over to the neighbour of a consignment; `None` if nothing waits for it.
    ///
    /// # Errors
    /// The store's.
    pub fn to_relay(
        &self,
        id: ConsignmentId,
        neighbour: &Service,
    ) -> Result<Option<ToRelay>, Error> {
        let mut recipients = self.behind(id, neighbour)?;
        let consignment = self.store.consignment(id)?.filter(|_| !recipients.is_empty());
        let Some(consignment) = consignment else { return Ok(None) };
        let mut promised = self.store.deliveries(id, Which::After(None, DELIVERIES_MAX))?;
        promised.retain(|delivery| consignment.promised(delivery));
        // Successors that the neighbour told of it found itself.
        recipients.retain(|(code, _)| promised.iter().any(|one| one.recipient == *code));
        Ok(Some(ToRelay {
            receipt: self.reading.receipt(consignment.accepted)?,
            promised: promised.into_iter().map(|delivery| delivery.recipient).collect(),
            recipients,
            consignment,
        }))
    }

    /// A body of a consignment.
    ///
    /// # Errors
    /// [`Fault::Content`] if it is not there any more, or the store's.
    pub fn body(
        &self,
        of: ConsignmentId,
        digest: &Sha256,
    ) -> Result<Box<dyn Source + Send + Sync>, Error> {
        let missing = || Fault::Content(format!("no content {digest}"));
        let place = self.store.place(digest, Some(of))?.ok_or_else(missing)?;
        Ok(self.contents.read(digest, place)?)
    }

    /// Records what the neighbour made of a consignment, for some of its recipients.
    ///
    /// # Errors
    /// [`TellError`].
    pub async fn record_relayed(
        &self,
        teller: &Teller,
        relayed: &ToRelay,
        results: Vec<(Code, Receipt)>,
    ) -> Result<(), TellError> {
        let ours = Entry::from_leaf(&relayed.receipt.leaf).map_err(unproven)?;
        for results in results.chunks(RECORDED_AT_ONCE / 2) {
            let mut said = Said::of(self, teller)?;
            for (recipient, receipt) in results {
                let told = verified(receipt, &teller.key)?;
                if (&told.from, told.envelope) != (&ours.from, ours.envelope) {
                    return Err(unproven("another document"));
                }
                let event =
                    outcome(&told, &ours, recipient).ok_or_else(|| unproven("no result"))?;
                said.add(event, recipient, ours.consignment, receipt, &told);
                if told.event == Event::ContentConsignment {
                    said.add(told.event, recipient, ours.consignment, receipt, &told);
                }
            }
            self.record_said(said, Vec::new()).await?;
        }
        Ok(())
    }

    /// Records later words, in their order, and that all up to the last of them was looked at. Those
    /// about nobody behind this neighbour, or of a kind that concerns only itself, are passed over.
    /// Gives how many were looked at; fewer than all if the next is about a document of which we must
    /// learn first that the neighbour has it.
    ///
    /// # Errors
    /// [`TellError`].
    pub async fn record_told(
        &self,
        teller: &Teller,
        words: &[Told],
    ) -> Result<(usize, Option<ConsignmentId>), TellError> {
        let mut said = Said::of(self, teller)?;
        let (mut looked_at, mut last, mut early) = (0, None, None);
        for told in words {
            let entry = verified(&told.receipt, &teller.key)?;
            if let Some(delivery) = self.told_of(teller, &entry)? {
                let early_word = entry.event != Event::Order;
                if early_word && delivery.transport == Transport::Relaying {
                    early = Some(delivery.consignment);
                    break;
                }
                let fits = |bytes: &Bytes, digest: Option<Sha256>| {
                    bytes.is_empty() || digest == Some(Sha256::of(bytes))
                };
                if !fits(&told.evidence, entry.content) || !fits(&told.note, entry.note) {
                    return Err(unproven("other bytes than those of the entry"));
                }
                let of = Some(delivery.consignment);
                let to = entry.to.as_ref().unwrap_or(&delivery.recipient);
                said.add(entry.event, to, of, &told.receipt, &entry);
                said.enclose(told.evidence.clone());
                said.enclose(told.note.clone());
            }
            // What it brought is asked back after we have it, whenever it was asked.
            (looked_at, last) = (looked_at + 1, last.max(Some(entry.id())));
            // What follows may be about the successor, who is known once this is recorded.
            if entry.event == Event::Redirection {
                break;
            }
        }
        let before = self.store.told(&teller.service)?;
        let swept = last
            .filter(|last| *last > before)
            .map(|last| Change::Told { by: teller.service.clone(), last });
        self.record_said(said, swept.into_iter().collect()).await?;
        Ok((looked_at, early))
    }

    /// The delivery of ours that the word is about: one behind the neighbour, or, for an order, one that
    /// it brought.
    fn told_of(&self, teller: &Teller, entry: &Entry) -> Result<Option<Delivery>, TellError> {
        let about = if entry.event == Event::Redirection { &entry.addressed } else { &entry.to };
        let Some((consignment, about)) = entry.consignment.zip(about.as_ref()) else {
            return Ok(None);
        };
        let Some(delivery) = self.store.deliveries(consignment, Which::At(about))?.pop() else {
            return Ok(None);
        };
        let (teller, ours) = match entry.event {
            Event::Order => (&teller.service, &delivery.brought_by),
            event if event.is_told_on() => (&teller.service, &delivery.via),
            _ => return Ok(None),
        };
        if ours.as_ref() != Some(teller) {
            return Ok(None);
        }
        if entry.from.as_ref() != Some(&delivery.sender)
            || entry.envelope != Some(delivery.envelope)
        {
            return Err(unproven("another document"));
        }
        Ok(Some(delivery))
    }

    async fn record_said(&self, said: Said, swept: Vec<Change>) -> Result<(), TellError> {
        let Said { facts, pieces, .. } = said;
        let contents =
            if pieces.is_empty() { Vec::new() } else { self.keep_pieces(pieces).await? };
        Ok(self.record(Recording { facts, swept, contents }).await?)
    }
}

/// What a neighbour says, proven and well-formed: whatever it signed, our log can hold it.
fn verified(receipt: &Receipt, key: &LogPublicKey) -> Result<ProvenEntry, TellError> {
    let entry = receipt.verify(key).map_err(unproven)?;
    match crate::audit::misfit(&receipt.leaf) {
        None => Ok(entry),
        Some(misfit) => Err(unproven(misfit)),
    }
}

/// What the neighbour's entry means for the recipient; `None` if it is no answer to ours.
fn outcome(told: &ProvenEntry, ours: &Entry, recipient: &Code) -> Option<Event> {
    let taken = told.to.as_ref() == Some(recipient) && told.consignment == ours.consignment;
    match told.event {
        Event::ContentConsignment | Event::Relay if taken => Some(Event::RelayAcceptance),
        Event::SubmissionRejection if told.request == ours.request => Some(Event::RelayRejection),
        _ => None,
    }
}

/// Words of one neighbour that are recorded together.
struct Said {
    actor: Actor,
    service: Service,
    facts: Vec<Fact>,
    pieces: Vec<Piece>,
}

impl Said {
    fn of(gateway: &Gateway, teller: &Teller) -> Result<Self, TellError> {
        let surroundings = gateway.surroundings();
        let system = surroundings.directory.gateway(teller.service.name());
        let system = system.ok_or_else(|| unproven("it is not in the directory"))?.id.clone();
        let certificate = Sha256::of(&teller.certificate);
        let actor = Actor { system, certificate };
        let pieces = gateway.shared(certificate, &teller.certificate)?.into_iter().collect();
        Ok(Self { actor, service: teller.service.clone(), facts: Vec::new(), pieces })
    }

    fn enclose(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pieces.push(Piece::Bytes(Sha256::of(&bytes), bytes));
        }
    }

    /// Our entry of what the neighbour's entry says. Its time is that at which we write it.
    fn add(
        &mut self,
        event: Event,
        to: &Code,
        consignment: Option<ConsignmentId>,
        receipt: &Receipt,
        told: &Entry,
    ) {
        let evidence = Bytes::from(receipt.to_file());
        let relayed = matches!(event, Event::RelayAcceptance | Event::RelayRejection);
        let refused = event == Event::RelayRejection;
        self.facts.push(Fact::Told(Box::new(Entry {
            consignment,
            to: Some(to.clone()),
            addressed: told.addressed.clone().filter(|_| event == Event::Redirection),
            by: told.by.filter(|_| event == Event::Order),
            status: told.status,
            reason: told.reason.clone().filter(|_| refused || !relayed),
            note: told.note,
            since: told.since,
            service: Some(self.service.clone()),
            content: Some(Sha256::of(&evidence)),
            ..Entry::new(event, told.time, self.actor.clone())
        })));
        self.enclose(evidence);
    }
}
