//! From an entry to what it changes in the projections. The live path and `store rebuild` both
//! come through here, so that what is rebuilt is what was.

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use super::deadline::Failure;
use super::keeping::Keeping;
use super::state::{Consignment, Delivery, Transport, neighbour_mailbox};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::dossier::Dossier;
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
    /// The keeping of a consignment's bodies stands so now.
    Keeping(ConsignmentId, Keeping),
    /// Bodies are to be erased because this entry says so.
    Erasing(EntryId),
    /// The sender, or the neighbour that brought the document, is to be told of this entry.
    Notice {
        /// The sender, or the mailbox of the neighbour.
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
    /// All that a neighbour told up to this entry of its log was looked at.
    Told {
        /// The neighbour gateway.
        by: Service,
        /// The last entry that it told.
        last: EntryId,
    },
    /// A dossier stands so now.
    Dossier(Box<Dossier>),
    /// An agency has had a dossier, or was asked about it.
    Party {
        /// Which agency.
        agency: Code,
        /// Which dossier.
        dossier: DossierCode,
    },
    /// After this moment the gateway writes something about a dossier by itself, or does not.
    Alarm {
        /// The moment.
        at: Time,
        /// The dossier.
        dossier: DossierCode,
        /// Whether it does.
        set: bool,
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
    /// Acceptances of a number and notation in any spelling, folded by [`fold_spelling`].
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
    /// The steps of a dossier.
    DossierSteps(DossierCode),
    /// Acceptances and rejections of these envelope bytes.
    Envelope(Sha256),
    /// What was taken under an idempotency key, the SHA-256 of sender and request id: for ever.
    Request(Sha256),
    /// Acceptances and rejections of what an agency sent. The log is in the order of time, so a
    /// period of it is a range of these.
    Sender(Code),
    /// What was consigned to an agency, in the same order.
    Recipient(Code),
    /// The changes of the directory.
    Directory,
}

impl Term {
    /// Every term under which the entry is indexed.
    pub fn all_of(entry: &Entry) -> Vec<Self> {
        let mut terms = Vec::new();
        match entry.event {
            Event::SubmissionAcceptance => {
                terms.extend(entry.request.map(Self::Request));
                terms.extend(
                    entry.number.as_deref().map(|number| Self::Number(fold_spelling(number))),
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
            | Event::Release
            | Event::RelayAcceptance
            | Event::RelayRejection
            | Event::RelayFailure
            | Event::Redirection
            | Event::Order
            | Event::OrderAnswer => {
                terms.extend(entry.consignment.map(Self::Consignment));
            }
            Event::ContentConsignment | Event::Relay => {
                terms.extend(entry.to.clone().map(Self::Recipient));
                // What a neighbour tells does not stand with the acceptance.
                let told = entry.event == Event::ContentConsignment && entry.service.is_some();
                terms.extend(entry.consignment.filter(|_| told).map(Self::Consignment));
            }
            Event::SubmissionRejection
            | Event::EpochOpening
            | Event::TimeStamp
            | Event::Outage
            | Event::Repair
            | Event::ClockCheck
            | Event::AuditorsRead => {}
            Event::DirectoryChange => terms.push(Self::Directory),
            Event::DossierStep => {
                terms.extend(entry.request.map(Self::Request));
                terms.extend(entry.dossier.clone().map(Self::DossierSteps));
            }
        }
        if matches!(entry.event, Event::SubmissionAcceptance | Event::SubmissionRejection) {
            terms.extend(entry.document.clone().map(Self::Document));
            terms.extend(entry.envelope.map(Self::Envelope));
            terms.extend(entry.from.clone().map(Self::Sender));
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
            Self::Number(text) => entry.number.as_deref().map(fold_spelling).as_ref() == Some(text),
            Self::Issued { .. } => Self::issued(entry).as_ref() == Some(self),
            Self::Dossier(code) => {
                entry.event == Event::SubmissionAcceptance && entry.dossier.as_ref() == Some(code)
            }
            Self::DossierSteps(code) => {
                entry.event == Event::DossierStep && entry.dossier.as_ref() == Some(code)
            }
            Self::Envelope(digest) => entry.envelope == Some(*digest),
            Self::Request(key) => entry.used_for().is_some() && entry.request == Some(*key),
            Self::Sender(code) => {
                use Event::{SubmissionAcceptance, SubmissionRejection};
                let sent = matches!(entry.event, SubmissionAcceptance | SubmissionRejection);
                sent && entry.from.as_ref() == Some(code)
            }
            Self::Directory => entry.event == Event::DirectoryChange,
            Self::Recipient(code) => {
                entry.event == Event::ContentConsignment && entry.to.as_ref() == Some(code)
            }
        }
    }
}

/// A number and notation as two of them are compared: composed letters in upper case, without
/// spaces, with one kind of dash, and without the zero before numbers below ten (NĐ 30/2020
/// Annex I: `05/QĐ-UBND`).
pub fn fold_number(number: &str) -> String {
    let folded: String = if number.is_ascii() {
        // The writer folds every number; most need no tables.
        number.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_uppercase()).collect()
    } else {
        let composed = number.nfkc().filter(|c| !c.is_whitespace()).map(dash);
        composed.flat_map(char::to_uppercase).collect()
    };
    let bare = folded.trim_start_matches('0');
    if bare.starts_with(|first: char| first.is_ascii_digit()) { bare.to_owned() } else { folded }
}

/// A number and notation as it is looked for: as [`fold_number`], and without diacritics, because
/// people leave them out. `ĐA` (đề án) and `DA` (dự án) become the same, so it never decides whether
/// two documents are one.
pub fn fold_spelling(number: &str) -> String {
    let bare = |c: char| match c {
        'Đ' => Some('D'),
        c => (!is_combining_mark(c)).then_some(c),
    };
    let folded = fold_number(number);
    if folded.is_ascii() { folded } else { folded.nfd().filter_map(bare).collect() }
}

/// Hyphens and dashes as typewriters, word processors and telephones make them.
fn dash(c: char) -> char {
    match c {
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        c => c,
    }
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

    /// A consignment that was accepted before.
    ///
    /// # Errors
    /// Whatever the medium says.
    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, Self::Error>;

    /// The keeping of a consignment's bodies as it stands.
    ///
    /// # Errors
    /// Whatever the medium says.
    fn keeping(&self, consignment: ConsignmentId) -> Result<Keeping, Self::Error>;

    /// A dossier as it stands.
    ///
    /// # Errors
    /// Whatever the medium says.
    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, Self::Error>;
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
        Event::ContentConsignment if entry.service.is_none() => {
            consigned(id, entry, prior, &mut changes)?;
        }
        Event::Relay => consigned(id, entry, prior, &mut changes)?,
        Event::Redirection => redirected(id, entry, prior, &mut changes)?,
        Event::ContentConsignment
        | Event::ContentHandover
        | Event::ConsignmentRejection
        | Event::StatusReport
        | Event::ConsignmentNotification
        | Event::ConsignmentNotificationFailure
        | Event::ContentAccessTracking
        | Event::ContentHandoverFailure
        | Event::RelayAcceptance
        | Event::RelayRejection
        | Event::RelayFailure
        | Event::Order
        | Event::OrderAnswer => {
            let Some((consignment, to)) = entry.consignment.zip(entry.to.as_ref()) else {
                return Ok(changes);
            };
            if let Some(delivery) = prior.delivery(consignment, to)? {
                happened(id, entry, &delivery, &mut changes);
            }
        }
        Event::TimeStamp => {
            changes.extend(entry.covers.map(|covers| Change::Stamped { covers, entry: id }));
        }
        Event::Outage | Event::Repair => {
            let since = entry.since.filter(|_| entry.event == Event::Outage);
            changes.extend(entry.service.clone().map(|service| Change::Outage { service, since }));
        }
        Event::DossierStep => filed(id, entry, prior, &mut changes)?,
        Event::SubmissionRejection
        | Event::EpochOpening
        | Event::ClockCheck
        | Event::DirectoryChange
        | Event::AuditorsRead => {}
        Event::Erasure | Event::Hold | Event::Release => {
            let Some(consignment) = entry.consignment else { return Ok(changes) };
            let keeping = prior.keeping(consignment)?.after(id, entry);
            if entry.event == Event::Erasure {
                changes.push(Change::Erasing(id));
            }
            changes.push(Change::Keeping(consignment, keeping));
        }
    }
    Ok(changes)
}

fn consigned<P: Prior + ?Sized>(
    id: EntryId,
    entry: &Entry,
    prior: &P,
    changes: &mut Vec<Change>,
) -> Result<(), P::Error> {
    let consignment = match entry.consignment {
        Some(consignment) => prior.consignment(consignment)?,
        None => None,
    };
    let brought_by = consignment.and_then(|consignment| consignment.brought_by);
    let Some(delivery) = Delivery::begin(id, entry, brought_by) else { return Ok(()) };
    // What a neighbour redirected waits there.
    if delivery.waits() {
        changes.push(Change::Waiting {
            agency: delivery.mailbox(),
            urgency: delivery.urgency,
            position: id,
            consignment: delivery.consignment,
        });
    }
    changes.push(Change::Delivery(delivery));
    Ok(())
}

/// What waited for one recipient waits for another, unless that one has it already.
fn redirected<P: Prior + ?Sized>(
    id: EntryId,
    entry: &Entry,
    prior: &P,
    changes: &mut Vec<Change>,
) -> Result<(), P::Error> {
    let named = entry.consignment.zip(entry.to.as_ref()).zip(entry.addressed.as_ref());
    let Some(((consignment, to), closed)) = named else { return Ok(()) };
    if let Some(delivery) = prior.delivery(consignment, closed)? {
        happened(id, entry, &delivery, changes);
    }
    if prior.delivery(consignment, to)?.is_none() {
        consigned(id, entry, prior, changes)?;
    }
    Ok(())
}

/// A step of a dossier. Who began it, who received it, who has it and who is named are told, but not who
/// acts.
fn filed<P: Prior + ?Sized>(
    id: EntryId,
    entry: &Entry,
    prior: &P,
    changes: &mut Vec<Change>,
) -> Result<(), P::Error> {
    let Some(code) = &entry.dossier else { return Ok(()) };
    let before = prior.dossier(code)?;
    let next = match &before {
        Some(before) => Some(before.after(id, entry)),
        None => Dossier::begin(id, entry),
    };
    let Some(next) = next else { return Ok(()) };
    let known = before.as_ref().map_or(&[][..], |before| &before.parties);
    let new = next.parties.iter().filter(|agency| !known.contains(agency));
    changes
        .extend(new.map(|agency| Change::Party { agency: agency.clone(), dossier: code.clone() }));
    let alarms = (before.and_then(|before| before.alarm_at()), next.alarm_at());
    if alarms.0 != alarms.1 {
        let alarm = |at, set| Change::Alarm { at, dossier: code.clone(), set };
        changes.extend(alarms.0.map(|at| alarm(at, false)));
        changes.extend(alarms.1.map(|at| alarm(at, true)));
    }
    let mut told = vec![&next.origin, &next.reception, &next.holder];
    told.extend(&entry.to);
    told.sort();
    told.dedup();
    let acts = entry.from.as_ref().filter(|_| !entry.actor.is_gateway());
    let told = told.into_iter().filter(|agency| Some(*agency) != acts);
    changes.extend(told.map(|agency| Change::Notice { agency: agency.clone(), entry: id }));
    changes.push(Change::Dossier(Box::new(next)));
    Ok(())
}

fn happened(id: EntryId, entry: &Entry, delivery: &Delivery, changes: &mut Vec<Change>) {
    let next = delivery.after(id, entry);
    if delivery.waits() && !next.waits() {
        changes.push(Change::Answered {
            agency: delivery.mailbox(),
            urgency: delivery.urgency,
            position: delivery.consigned,
        });
    }
    let notice = |agency| Change::Notice { agency, entry: id };
    let asks = |next: &Delivery| next.order.is_some_and(|order| order.answer.is_none());
    // The recipient is told what the sender asks, or the neighbour behind which it is: once that has the
    // document.
    let now_or_then = match entry.event {
        Event::Order => delivery.transport != Transport::Relaying,
        Event::RelayAcceptance => asks(&next),
        _ => false,
    };
    if now_or_then {
        changes.push(notice(delivery.mailbox()));
    }
    // The sender is told everything else, or the neighbour behind which it is.
    if entry.event != Event::Order {
        let brought_by = delivery.brought_by.as_ref();
        changes.push(notice(brought_by.map_or(delivery.sender.clone(), neighbour_mailbox)));
    }
    changes.push(Change::Delivery(next));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::SystemId;
    use crate::log::Actor;

    #[test]
    fn a_number_is_found_in_any_spelling_and_kept_apart_from_another() {
        let written = "05/QĐ-UBND";
        let decomposed: String = "05/Qđ-UBNDVPTƯ".nfd().collect();
        assert_eq!(fold_spelling(&decomposed), fold_spelling("5/qd–ubnd vptu"));
        for spelling in ["05/QĐ-UBND", "5/qđ-ubnd", " 5 / QD - UBND ", "005/QD‑UBND", "5/Qđ—UBND"]
        {
            assert_eq!(fold_spelling(spelling), fold_spelling(written), "{spelling}");
        }
        for other in ["50/QĐ-UBND", "5/QĐ-UBNDH", "QĐ-UBND", "5/QĐUBND", ""] {
            assert_ne!(fold_spelling(other), fold_spelling(written), "{other}");
        }
        assert_ne!(fold_number("12/ĐA-UBND"), fold_number("12/DA-UBND"), "đề án is not dự án");
        assert_eq!(fold_spelling("12/ĐA-UBND"), fold_spelling("12/DA-UBND"));
        assert_eq!(
            (fold_number("0"), fold_number("00/X"), fold_number("07")),
            ("0".into(), "00/X".into(), "7".into(),)
        );
    }

    #[test]
    fn an_agency_is_found_by_what_it_sent_and_by_what_reached_it() {
        let system = SystemId::parse("gateway").expect("an id");
        let actor = Actor { system, certificate: Sha256::of(b"certificate") };
        let code = |text| Code::parse(text).expect("a code");
        let entry = |event| Entry {
            from: Some(code("H49.1")),
            to: (event == Event::ContentConsignment).then(|| code("H49")),
            ..Entry::new(event, Time::from_millis(0), actor.clone())
        };
        for (event, expected) in [
            (Event::SubmissionAcceptance, Some(Term::Sender(code("H49.1")))),
            (Event::SubmissionRejection, Some(Term::Sender(code("H49.1")))),
            (Event::ContentConsignment, Some(Term::Recipient(code("H49")))),
            (Event::ContentHandover, None),
        ] {
            let entry = entry(event);
            let found: Vec<_> = Term::all_of(&entry)
                .into_iter()
                .filter(|term| matches!(term, Term::Sender(_) | Term::Recipient(_)))
                .collect();
            assert_eq!(found, Vec::from_iter(expected), "{event:?}");
            assert!(found.iter().all(|term| term.is_of(&entry)));
            assert!(!Term::Sender(code("H49")).is_of(&entry));
            assert!(!Term::Recipient(code("H49.1")).is_of(&entry));
        }
    }

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
            Term::Number(fold_spelling("12 /UBND")),
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
        assert!(all.len() == 7 && all.iter().all(|term| term.is_of(&whole)), "{all:?}");
        let issued = |year| Term::Issued {
            sender: Code::parse("H49.1").expect("a code"),
            year,
            number: "12/UBND".into(),
        };
        assert!(issued(2027).is_of(&whole) && !issued(2026).is_of(&whole), "midnight is at 17:00Z");
        assert!(!others.iter().any(|term| term.is_of(&entry)));
    }
}
