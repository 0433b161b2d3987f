//! The state of one delivery: transport, as the gateway saw it, and business, as the recipient
//! reported it. The technical layer, the verdict on the signatures, stands in the consignment.

use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::{ConsignmentId, DossierCode, Urgency};
use crate::log::{Entry, EntryId, Event, RecipientSet, Status, VerdictMark};
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
}

impl Transport {
    /// Every state with its ETSI event name.
    pub const WORDS: &'static [(&'static str, Transport)] = &[
        ("ContentConsignment", Transport::Consigned),
        ("ContentHandover", Transport::HandedOver),
        ("ConsignmentRejection", Transport::Rejected),
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
        })
    }

    /// The entries of its acceptance: one for the sender, and one for each recipient behind it.
    pub fn entries(&self) -> impl Iterator<Item = EntryId> {
        let EntryId { epoch, index } = self.accepted;
        (index..=index + u64::from(self.recipients.count))
            .map(move |index| EntryId { epoch, index })
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
    /// The entry that put it into the mailbox; its place in the lane.
    pub consigned: EntryId,
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
}

impl Milestones {
    /// Where the event is noted; `None` if it is no milestone.
    fn of(&mut self, event: Event) -> Option<&mut Option<Mark>> {
        match event {
            Event::ConsignmentNotification => Some(&mut self.notified),
            Event::ContentAccessTracking => Some(&mut self.accessed),
            Event::ConsignmentNotificationFailure => Some(&mut self.notification_failed),
            Event::ContentHandoverFailure => Some(&mut self.handover_failed),
            _ => None,
        }
    }
}

impl Delivery {
    /// The delivery that a `ContentConsignment` entry begins.
    pub(super) fn begin(id: EntryId, entry: &Entry) -> Option<Self> {
        Some(Self {
            consignment: entry.consignment?,
            recipient: entry.to.clone()?,
            sender: entry.from.clone()?,
            envelope: entry.envelope?,
            urgency: entry.urgency?,
            transport: Transport::Consigned,
            business: Status::Arrived,
            consigned: id,
            answered: None,
            milestones: Milestones::default(),
            latest: id,
            changed_at: entry.time,
        })
    }

    /// Whether the recipient may still answer.
    ///
    /// # Errors
    /// [`Reason::AlreadyAnswered`] once it acknowledged or refused.
    pub fn may_answer(&self) -> Result<(), Refusal> {
        match self.transport {
            Transport::Consigned => Ok(()),
            Transport::HandedOver | Transport::Rejected => {
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
            _ => {}
        }
        next
    }
}
