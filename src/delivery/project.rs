//! From an entry to what it changes in the projections. The live path and `store rebuild` both
//! come through here, so that what is rebuilt is what was.

use super::deadline::Failure;
use super::state::{Consignment, Delivery, Transport};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::log::{Entry, EntryId, Event, Service, SignedHead};

/// One change of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
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
    /// A service is out since then, or, if `since` is none, no longer.
    Outage {
        /// Which.
        service: Service,
        /// Since when.
        since: Option<Time>,
    },
    /// A time-stamp covers this head.
    Stamped {
        /// What it covers.
        covers: SignedHead,
        /// The entry that says so.
        entry: EntryId,
    },
    /// All consignments of this urgency up to an entry were looked at for this failure.
    Swept {
        /// Which failure.
        failure: Failure,
        /// Of which urgency.
        urgency: Urgency,
        /// The first entry that was not looked at.
        next: EntryId,
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
    /// The acceptances of a number and notation from one sender in one year, in which it is given
    /// once (NĐ 30/2020 Art. 15).
    Issued {
        /// The sending agency.
        sender: Code,
        /// The year in Vietnam.
        year: i16,
        /// Number and notation, folded by [`fold_number`].
        number: String,
    },
    /// Acceptances that belong to a dossier.
    Dossier(DossierCode),
    /// Acceptances and rejections of these envelope bytes.
    Envelope(Sha256),
    /// The acceptance under an idempotency key, the SHA-256 of sender and request id: taken for ever.
    Request(Sha256),
}

impl Term {
    /// Every term under which the entry is indexed.
    pub fn all_of(entry: &Entry) -> Vec<Self> {
        let mut terms = Vec::new();
        match entry.event {
            Event::SubmissionAcceptance => {
                terms.extend(entry.request.map(Self::Request));
                terms.extend(
                    entry.number.as_deref().map(|number| Self::Number(fold_number(number))),
                );
                terms.extend(Self::issued(entry));
                terms.extend(entry.dossier.clone().map(Self::Dossier));
            }
            Event::ContentHandover
            | Event::ConsignmentRejection
            | Event::StatusReport
            | Event::ConsignmentNotification
            | Event::ConsignmentNotificationFailure
            | Event::ContentAccessTracking
            | Event::ContentHandoverFailure
            | Event::Erasure
            | Event::Hold
            | Event::Release => {
                terms.extend(entry.consignment.map(Self::Consignment));
            }
            Event::SubmissionRejection
            | Event::ContentConsignment
            | Event::EpochOpening
            | Event::TimeStamp
            | Event::Outage
            | Event::Repair
            | Event::ClockCheck
            | Event::AuditorsRead => {}
        }
        if matches!(entry.event, Event::SubmissionAcceptance | Event::SubmissionRejection) {
            terms.extend(entry.document.clone().map(Self::Document));
            terms.extend(entry.envelope.map(Self::Envelope));
        }
        terms
    }

    fn issued(entry: &Entry) -> Option<Self> {
        Some(Self::Issued {
            sender: entry.from.clone()?,
            year: entry.time.date_in_vietnam().year(),
            number: fold_number(entry.number.as_deref()?),
        })
    }

    /// Whether the entry bears this term; the index may offer others by a chance in 2⁶⁴, or by
    /// somebody's effort.
    pub fn is_of(&self, entry: &Entry) -> bool {
        match self {
            Self::Consignment(id) => entry.consignment == Some(*id),
            Self::Document(text) => entry.document.as_ref() == Some(text),
            Self::Number(text) => entry.number.as_deref().map(fold_number).as_ref() == Some(text),
            Self::Issued { .. } => Self::issued(entry).as_ref() == Some(self),
            Self::Dossier(code) => entry.dossier.as_ref() == Some(code),
            Self::Envelope(digest) => entry.envelope == Some(*digest),
            Self::Request(key) => {
                entry.event == Event::SubmissionAcceptance && entry.request == Some(*key)
            }
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
    let index = |term| Change::Index { term, entry: id };
    let mut changes: Vec<_> = Term::all_of(entry).into_iter().map(index).collect();
    match entry.event {
        Event::SubmissionAcceptance => {
            changes.extend(Consignment::begin(id, entry).map(Change::Consignment));
        }
        Event::ContentConsignment => consigned(id, entry, &mut changes),
        Event::ContentHandover
        | Event::ConsignmentRejection
        | Event::StatusReport
        | Event::ConsignmentNotification
        | Event::ConsignmentNotificationFailure
        | Event::ContentAccessTracking
        | Event::ContentHandoverFailure => {
            let Some((consignment, to)) = entry.consignment.zip(entry.to.as_ref()) else {
                return Ok(changes);
            };
            if let Some(delivery) = prior.delivery(consignment, to)? {
                answered(id, entry, &delivery, &mut changes);
            }
        }
        Event::TimeStamp => {
            changes.extend(entry.covers.map(|covers| Change::Stamped { covers, entry: id }));
        }
        Event::Outage | Event::Repair => {
            let since = entry.since.filter(|_| entry.event == Event::Outage);
            changes.extend(entry.service.clone().map(|service| Change::Outage { service, since }));
        }
        Event::SubmissionRejection
        | Event::EpochOpening
        | Event::ClockCheck
        | Event::Erasure
        | Event::Hold
        | Event::Release
        | Event::AuditorsRead => {}
    }
    Ok(changes)
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
            Term::Number(fold_number("12 /UBND")),
            Term::Document("H49,1".into()),
            Term::Envelope(envelope),
        ];
        assert_eq!(Term::all_of(&entry), own);
        let others = [
            Term::Document("H49,2".into()),
            Term::Number("13/UBND".into()),
            Term::Envelope(Sha256::of(b"another")),
            Term::Consignment(ConsignmentId(uuid::Uuid::nil())),
        ];
        assert!(own.iter().all(|term| term.is_of(&entry)));
        let whole = Entry {
            from: Code::parse("H49.1"),
            dossier: DossierCode::parse("H49.15-260104-0001"),
            request: Some(Sha256::of(b"request")),
            time: "2026-12-31T17:00:00.000Z".parse().expect("a time"),
            ..entry.clone()
        };
        let all = Term::all_of(&whole);
        assert!(all.len() == 6 && all.iter().all(|term| term.is_of(&whole)), "{all:?}");
        let issued = |year| Term::Issued {
            sender: Code::parse("H49.1").expect("a code"),
            year,
            number: "12/UBND".into(),
        };
        assert!(issued(2027).is_of(&whole) && !issued(2026).is_of(&whole), "midnight is at 17:00Z");
        assert!(!others.iter().any(|term| term.is_of(&entry)));
    }
}
