//! The state of one delivery: transport, as the gateway saw it, and business, as the recipient
//! reported it. The technical layer, the verdict on the signatures, stands in the consignment.

use super::order::{Order, OrderKind};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::log::{Entry, EntryId, Event, RecipientSet, Service, Status, VerdictMark};
use crate::refusal::{Reason, Refusal};

/// How far the content came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// At the recipient's disposal (ContentConsignment).
    Consigned,
    /// In the recipient's hands (ContentHandover).
    HandedOver,
    /// Refused by the recipient (ConsignmentRejection).
    Rejected,
    /// Waits for the neighbour gateway behind which the recipient is.
    Relaying,
    /// In the neighbour's charge (RelayAcceptance).
    Relayed,
    /// Refused by the neighbour, or by one behind it (RelayRejection).
    RelayRejected,
    /// Waits for the successor of this recipient, which is closed.
    Redirected,
    /// Taken out of the mailbox by the sender before the recipient took it.
    Withdrawn,
}

impl Transport {
    /// Every state with its ETSI event name.
    pub const WORDS: &'static [(&'static str, Transport)] = &[
        ("ContentConsignment", Transport::Consigned),
        ("ContentHandover", Transport::HandedOver),
        ("ConsignmentRejection", Transport::Rejected),
        ("relay", Transport::Relaying),
        ("RelayAcceptance", Transport::Relayed),
        ("RelayRejection", Transport::RelayRejected),
        ("redirection", Transport::Redirected),
        ("order-answer", Transport::Withdrawn),
    ];
}

/// One accepted submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consignment {
    /// Its name.
    pub id: ConsignmentId,
    /// The entry that accepted it.
    pub accepted: EntryId,
    /// When it was accepted.
    pub accepted_at: Time,
    /// The sending agency.
    pub sender: Code,
    /// SHA-256 of the envelope's bytes.
    pub envelope: Sha256,
    /// Identifier of the document.
    pub document: String,
    /// Number and notation.
    pub number: Option<String>,
    /// Dossier code.
    pub dossier: Option<DossierCode>,
    /// Urgency.
    pub urgency: Urgency,
    /// To whom delivery was promised.
    pub recipients: RecipientSet,
    /// The verdict on the signatures.
    pub verdict: VerdictMark,
    /// The neighbour gateway that brought it.
    pub brought_by: Option<Service>,
}

impl Consignment {
    /// The consignment that a `SubmissionAcceptance` entry begins.
    pub(super) fn begin(id: EntryId, entry: &Entry) -> Option<Self> {
        Some(Self {
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
            brought_by: entry.service.clone(),
        })
    }

    /// The entries of its acceptance: one for the sender, and one for each recipient behind it.
    pub fn entries(&self) -> impl Iterator<Item = EntryId> {
        let EntryId { epoch, index } = self.accepted;
        (index..=index + u64::from(self.recipients.count))
            .map(move |index| EntryId { epoch, index })
    }

    /// Whether the acceptance itself promised this delivery; others are redirected ones.
    pub fn promised(&self, delivery: &Delivery) -> bool {
        let EntryId { epoch, index } = delivery.consigned;
        let behind = index.saturating_sub(self.accepted.index);
        epoch == self.accepted.epoch && (1..=u64::from(self.recipients.count)).contains(&behind)
    }
}

/// One consignment at one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which consignment.
    pub consignment: ConsignmentId,
    /// At which recipient.
    pub recipient: Code,
    /// Who sent it.
    pub sender: Code,
    /// SHA-256 of the envelope's bytes.
    pub envelope: Sha256,
    /// Its lane.
    pub urgency: Urgency,
    /// How far the content came.
    pub transport: Transport,
    /// The recipient's business status, computed from all reports: it never goes back, whatever
    /// the order in which reports arrive.
    pub business: Status,
    /// The entry that put it into the mailbox, or among what waits for the neighbour; its place in the
    /// lane.
    pub consigned: EntryId,
    /// The neighbour gateway behind which the recipient is.
    pub via: Option<Service>,
    /// The neighbour gateway that brought it, and is told what happens to it.
    pub brought_by: Option<Service>,
    /// The code that the sender wrote, if it is not the recipient's.
    pub addressed: Option<Code>,
    /// The latest order of the sender.
    pub order: Option<Order>,
    /// The entry with which the recipient acknowledged or refused.
    pub answered: Option<EntryId>,
    /// What else happened on its way.
    pub milestones: Milestones,
    /// The latest entry about it; notices, accesses and failures do not count.
    pub latest: EntryId,
    /// When that was.
    pub changed_at: Time,
}

/// An entry and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which.
    pub entry: EntryId,
    /// When.
    pub time: Time,
}

/// What happens at most once on the way of a consignment to a recipient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Milestones {
    /// When the recipient acknowledged or refused.
    pub answered_at: Option<Time>,
    /// A notice was handed to the recipient's system (ConsignmentNotification).
    pub notified: Option<Mark>,
    /// The recipient's system read content (ContentAccessTracking).
    pub accessed: Option<Mark>,
    /// Nobody took a notice in time (ConsignmentNotificationFailure).
    pub notification_failed: Option<Mark>,
    /// No answer came in time (ContentHandoverFailure).
    pub handover_failed: Option<Mark>,
    /// The neighbour neither took nor refused it in time (RelayFailure).
    pub relay_failed: Option<Mark>,
}

impl Milestones {
    /// Where the event is noted; `None` if it is no milestone.
    fn of(&mut self, event: Event) -> Option<&mut Option<Mark>> {
        match event {
            Event::ConsignmentNotification => Some(&mut self.notified),
            Event::ContentAccessTracking => Some(&mut self.accessed),
            Event::ConsignmentNotificationFailure => Some(&mut self.notification_failed),
            Event::ContentHandoverFailure => Some(&mut self.handover_failed),
            Event::RelayFailure => Some(&mut self.relay_failed),
            _ => None,
        }
    }
}

impl Delivery {
    /// The delivery that a promised `ContentConsignment`, a `relay` or a `redirection` begins.
    pub(super) fn begin(id: EntryId, entry: &Entry, brought_by: Option<Service>) -> Option<Self> {
        Some(Self {
            consignment: entry.consignment?,
            recipient: entry.to.clone()?,
            sender: entry.from.clone()?,
            envelope: entry.envelope?,
            urgency: entry.urgency?,
            transport: match entry.event {
                Event::Relay => Transport::Relaying,
                _ => Transport::Consigned,
            },
            business: Status::Arrived,
            consigned: id,
            via: entry.service.clone(),
            brought_by,
            addressed: entry.addressed.clone(),
            order: None,
            answered: None,
            milestones: Milestones::default(),
            latest: id,
            changed_at: entry.time,
        })
    }

    /// Whether the recipient may still answer.
    ///
    /// # Errors
    /// [`Reason::DocumentWithdrawn`] once the sender took it back, [`Reason::DocumentRedirected`] once it
    /// waits for a successor, [`Reason::AlreadyAnswered`] once the recipient acknowledged or refused.
    pub fn may_answer(&self) -> Result<(), Refusal> {
        match self.transport {
            Transport::Consigned => Ok(()),
            Transport::Withdrawn => {
                Err(Refusal::new(Reason::DocumentWithdrawn).with("entry", self.latest))
            }
            Transport::Redirected => {
                Err(Refusal::new(Reason::DocumentRedirected).with("entry", self.latest))
            }
            _ => {
                let refusal = Refusal::new(Reason::AlreadyAnswered);
                Err(refusal.with("status", self.business.code()).with("entry", self.latest))
            }
        }
    }

    /// The state after one more entry.
    #[must_use]
    pub(super) fn after(&self, id: EntryId, entry: &Entry) -> Self {
        let mut next = self.clone();
        if let Some(milestone) = next.milestones.of(entry.event) {
            milestone.get_or_insert(Mark { entry: id, time: entry.time });
            return next;
        }
        next.latest = id;
        next.changed_at = entry.time;
        match entry.event {
            Event::ContentHandover => {
                next.transport = Transport::HandedOver;
                next.answered = Some(id);
                next.milestones.answered_at = Some(entry.time);
                next.business = next.business.max(Status::Accepted);
            }
            Event::ConsignmentRejection => {
                next.transport = Transport::Rejected;
                next.answered = Some(id);
                next.milestones.answered_at = Some(entry.time);
                next.business = Status::Refused;
            }
            Event::StatusReport if next.transport != Transport::Rejected => {
                next.business = next.business.max(entry.status.unwrap_or(Status::Arrived));
            }
            Event::RelayAcceptance if next.transport == Transport::Relaying => {
                next.transport = Transport::Relayed;
            }
            Event::RelayRejection
                if matches!(next.transport, Transport::Relaying | Transport::Relayed) =>
            {
                next.transport = Transport::RelayRejected;
            }
            Event::ContentConsignment
                if matches!(next.transport, Transport::Relaying | Transport::Relayed) =>
            {
                next.transport = Transport::Consigned;
            }
            Event::Redirection => next.transport = Transport::Redirected,
            Event::Order => {
                let kind = entry.reason.as_deref().and_then(OrderKind::from_word);
                next.order = kind.map(|kind| Order { kind, by: entry.by, entry: id, answer: None });
            }
            Event::OrderAnswer => {
                let agreed = entry.status == Some(Status::Agreed);
                next.order = next.order.map(|order| Order { answer: Some((agreed, id)), ..order });
                // Who has not taken it cannot agree: the gateway that has the mailbox did.
                if agreed && next.transport != Transport::HandedOver {
                    next.transport = Transport::Withdrawn;
                }
            }
            _ => {}
        }
        next
    }

    /// The mailbox in which it waits, or that of the neighbour behind which the recipient is.
    pub fn mailbox(&self) -> Code {
        match &self.via {
            None => self.recipient.clone(),
            Some(neighbour) => neighbour_mailbox(neighbour),
        }
    }

    /// Whether it waits in its mailbox.
    pub fn waits(&self) -> bool {
        match self.via {
            None => self.transport == Transport::Consigned,
            Some(_) => self.transport == Transport::Relaying,
        }
    }
}

/// What waits for a neighbour waits in a mailbox of its name.
///
/// # Panics
/// If the name is longer than a code: a neighbour with such a name is refused when the configuration
/// is read.
pub fn neighbour_mailbox(neighbour: &Service) -> Code {
    Code::parse(neighbour.name()).expect("names of neighbours are codes")
}
