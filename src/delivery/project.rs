//! From an entry to what it changes in the projections. The live path and `store rebuild` both
//! come through here, so that what is rebuilt is what was.

use super::state::{Consignment, Delivery, Transport};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::log::{Entry, EntryId, Event};

/// One change of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An idempotency key is taken, for ever.
    Request {
        /// SHA-256 of sender and request id.
        key: Sha256,
        /// SHA-256 of the envelope it was used for.
        envelope: Sha256,
        /// The acceptance.
        accepted: EntryId,
    },
    /// A consignment exists.
    Consignment(Consignment),
    /// A delivery has this state now.
    Delivery(Delivery),
    /// An item waits in a mailbox lane.
    Waiting {
        /// Whose mailbox.
        agency: Code,
        /// Which lane.
        urgency: Urgency,
        /// Its place in the lane.
        position: EntryId,
        /// What it is.
        consignment: ConsignmentId,
    },
    /// An item waits no longer.
    Answered {
        /// Whose mailbox.
        agency: Code,
        /// Which lane.
        urgency: Urgency,
        /// Its place in the lane.
        position: EntryId,
    },
    /// The sender is to be told of this entry.
    Notice {
        /// The sender.
        agency: Code,
        /// The entry.
        entry: EntryId,
    },
    /// The entry can be found under this term.
    Index {
        /// What one may look for.
        term: Term,
        /// The entry.
        entry: EntryId,
    },
}

/// What an entry can be found by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Term {
    /// All entries of a consignment. Those of its acceptance are not indexed one by one: they stand
    /// together, where the consignment says.
    Consignment(ConsignmentId),
    /// Acceptances and rejections of a document identifier.
    Document(String),
    /// Acceptances of a number and notation, folded by [`fold_number`].
    Number(String),
    /// Acceptances that belong to a dossier.
    Dossier(DossierCode),
    /// Acceptances and rejections of these envelope bytes.
    Envelope(Sha256),
}

impl Term {
    /// Whether the entry bears this term; the index may offer others by a chance in 2⁶⁴, or by
    /// somebody's effort.
    pub fn is_of(&self, entry: &Entry) -> bool {
        match self {
            Self::Consignment(id) => entry.consignment == Some(*id),
            Self::Document(text) => entry.document.as_ref() == Some(text),
            Self::Number(text) => entry.number.as_deref().map(fold_number).as_ref() == Some(text),
            Self::Dossier(code) => entry.dossier.as_ref() == Some(code),
            Self::Envelope(digest) => entry.envelope == Some(*digest),
        }
    }
}

/// A number as it is compared: without spaces, in upper case.
pub fn fold_number(number: &str) -> String {
    number.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_uppercase).collect()
}

/// What must be known of the time before an entry.
pub trait Prior {
    /// What may go wrong while looking it up.
    type Error;

    /// The delivery as it stands.
    ///
    /// # Errors
    /// Whatever the medium says.
    fn delivery(
        &self,
        consignment: ConsignmentId,
        recipient: &Code,
    ) -> Result<Option<Delivery>, Self::Error>;
}

/// The changes that entry `id` makes. An entry that says too little for its event changes nothing:
/// the log keeps it, and the audit names it.
///
/// # Errors
/// Those of `prior`.
pub fn project<P: Prior + ?Sized>(
    id: EntryId,
    entry: &Entry,
    prior: &P,
) -> Result<Vec<Change>, P::Error> {
    let mut changes = Vec::new();
    match entry.event {
        Event::SubmissionAcceptance => accepted(id, entry, &mut changes),
        Event::SubmissionRejection => rejected(id, entry, &mut changes),
        Event::ContentConsignment => consigned(id, entry, &mut changes),
        Event::ContentHandover | Event::ConsignmentRejection | Event::StatusReport => {
            let Some(consignment) = entry.consignment else { return Ok(changes) };
            changes.push(Change::Index { term: Term::Consignment(consignment), entry: id });
            let Some(to) = &entry.to else { return Ok(changes) };
            if let Some(delivery) = prior.delivery(consignment, to)? {
                answered(id, entry, &delivery, &mut changes);
            }
        }
        Event::EpochOpening => {}
    }
    Ok(changes)
}

fn accepted(id: EntryId, entry: &Entry, changes: &mut Vec<Change>) {
    let record = || {
        Some(Consignment {
            id: entry.consignment?,
            accepted: id,
            accepted_at: entry.time,
            sender: entry.from.clone()?,
            envelope: entry.envelope?,
            document: entry.document.clone()?,
            number: entry.number.clone(),
            dossier: entry.dossier.clone(),
            urgency: entry.urgency?,
            recipients: entry.recipients?,
            verdict: entry.verdict.clone()?,
        })
    };
    let (Some(record), Some(key)) = (record(), entry.request) else { return };
    changes.push(Change::Request { key, envelope: record.envelope, accepted: id });
    let mut index = |term| changes.push(Change::Index { term, entry: id });
    index(Term::Document(record.document.clone()));
    index(Term::Envelope(record.envelope));
    if let Some(number) = &record.number {
        index(Term::Number(fold_number(number)));
    }
    if let Some(dossier) = &record.dossier {
        index(Term::Dossier(dossier.clone()));
    }
    changes.push(Change::Consignment(record));
}

fn rejected(id: EntryId, entry: &Entry, changes: &mut Vec<Change>) {
    if let Some(envelope) = entry.envelope {
        changes.push(Change::Index { term: Term::Envelope(envelope), entry: id });
    }
    if let Some(document) = &entry.document {
        changes.push(Change::Index { term: Term::Document(document.clone()), entry: id });
    }
}

fn consigned(id: EntryId, entry: &Entry, changes: &mut Vec<Change>) {
    let Some(delivery) = Delivery::begin(id, entry) else { return };
    changes.push(Change::Waiting {
        agency: delivery.recipient.clone(),
        urgency: delivery.urgency,
        position: id,
        consignment: delivery.consignment,
    });
    changes.push(Change::Delivery(delivery));
}

fn answered(id: EntryId, entry: &Entry, delivery: &Delivery, changes: &mut Vec<Change>) {
    let next = delivery.after(id, entry);
    if delivery.transport == Transport::Consigned && next.transport != Transport::Consigned {
        changes.push(Change::Answered {
            agency: delivery.recipient.clone(),
            urgency: delivery.urgency,
            position: delivery.consigned,
        });
    }
    changes.push(Change::Notice { agency: delivery.sender.clone(), entry: id });
    changes.push(Change::Delivery(next));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::directory::SystemId;
    use crate::log::Actor;

    #[test]
    fn an_entry_bears_its_own_terms_only() {
        let system = SystemId::parse("gateway").expect("an id");
        let actor = Actor { system, certificate: Sha256::of(b"certificate") };
        let envelope = Sha256::of(b"envelope");
        let entry = Entry {
            document: Some("H49,1".into()),
            number: Some("12/ubnd".into()),
            envelope: Some(envelope),
            ..Entry::new(Event::SubmissionAcceptance, Time::from_millis(0), actor)
        };
        let own = [
            Term::Document("H49,1".into()),
            Term::Number(fold_number("12 /UBND")),
            Term::Envelope(envelope),
        ];
        let others = [
            Term::Document("H49,2".into()),
            Term::Number("13/UBND".into()),
            Term::Envelope(Sha256::of(b"another")),
            Term::Consignment(ConsignmentId(uuid::Uuid::nil())),
        ];
        assert!(own.iter().all(|term| term.is_of(&entry)));
        assert!(!others.iter().any(|term| term.is_of(&entry)));
    }
}
