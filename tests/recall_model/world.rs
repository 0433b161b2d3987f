//! A sender, a recipient, its successor, a gateway and what they did so far.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::time::Duration;

use uuid::Uuid;
use vanthu::clock::Time;
use vanthu::delivery::{
    Change, Consignment, Delivery, Failure, Keeping, OrderKind, Ordered, Prior, Replied, project,
};
use vanthu::digest::Sha256;
use vanthu::directory::{Code, SystemId};
use vanthu::document::{ConsignmentId, DossierCode, Urgency};
use vanthu::dossier::Dossier;
use vanthu::log::{Actor, Entry, EntryId, Event, RecipientSet, Status, VerdictMark};
use vanthu::refusal::{Reason, Refusal};

/// One step. Those of a recipient are done by the agency itself and, after it was closed, by its successor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The sender sends what will update or replace the document.
    SendOther,
    Recall,
    Update,
    Replace,
    Take(Who),
    Refuse(Who),
    Report(Who),
    Read(Who),
    Agree(Who),
    Decline(Who),
    /// The agency is closed; its successor gets what waits.
    Close,
    /// The time for an answer ends.
    TimeEnds(Who),
}

/// Who has the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    Agency,
    Successor,
}

impl Action {
    pub const ALL: [Self; 19] = [
        Self::SendOther,
        Self::Recall,
        Self::Update,
        Self::Replace,
        Self::Close,
        Self::Take(Who::Agency),
        Self::Refuse(Who::Agency),
        Self::Report(Who::Agency),
        Self::Read(Who::Agency),
        Self::Agree(Who::Agency),
        Self::Decline(Who::Agency),
        Self::TimeEnds(Who::Agency),
        Self::Take(Who::Successor),
        Self::Refuse(Who::Successor),
        Self::Report(Who::Successor),
        Self::Read(Who::Successor),
        Self::Agree(Who::Successor),
        Self::Decline(Who::Successor),
        Self::TimeEnds(Who::Successor),
    ];
}

/// A rule that a search may do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// What was withdrawn or redirected is not taken any more.
    EndedOnce,
    /// One order at a time.
    OneOrder,
    /// An answer needs an order.
    AnswerNeedsOrder,
    /// What was taken only the recipient gives back.
    TakenIsTheRecipients,
    /// What was given back is not read.
    NotReadAfter,
}

impl Rule {
    pub const ALL: [Self; 5] = [
        Self::EndedOnce,
        Self::OneOrder,
        Self::AnswerNeedsOrder,
        Self::TakenIsTheRecipients,
        Self::NotReadAfter,
    ];
}

/// What came of a step.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Entries were written.
    Written,
    /// It had been done before.
    Before,
    Refused,
}

#[derive(Clone, Default)]
pub struct Ledger(
    pub HashMap<(ConsignmentId, Code), Delivery>,
    pub HashMap<ConsignmentId, Consignment>,
);

impl Prior for Ledger {
    type Error = Infallible;

    fn delivery(&self, id: ConsignmentId, at: &Code) -> Result<Option<Delivery>, Infallible> {
        Ok(self.0.get(&(id, at.clone())).cloned())
    }

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, Infallible> {
        Ok(self.1.get(&id).cloned())
    }

    fn keeping(&self, _: ConsignmentId) -> Result<Keeping, Infallible> {
        Ok(Keeping::default())
    }

    fn dossier(&self, _: &DossierCode) -> Result<Option<Dossier>, Infallible> {
        Ok(None)
    }
}

#[derive(Clone)]
pub struct World {
    without: Option<Rule>,
    ledger: Ledger,
    /// What waits in mailboxes, as the changes say.
    pub waiting: BTreeSet<(Code, EntryId)>,
    /// Who was told of which entry.
    pub told: Vec<(Code, EntryId)>,
    pub entries: Vec<Entry>,
    closed: bool,
    sent_other: bool,
}

pub const DOCUMENT: ConsignmentId = ConsignmentId(Uuid::from_u128(1));
pub const OTHER: ConsignmentId = ConsignmentId(Uuid::from_u128(2));
/// Between two steps.
const PAUSE: Duration = Duration::from_secs(60);

pub fn code(text: &str) -> Code {
    Code::parse(text).expect("a code")
}

impl Who {
    pub fn code(self) -> Code {
        match self {
            Self::Agency => code("H49.61"),
            Self::Successor => code("H49.62"),
        }
    }
}

/// The worthless key of the log: 32 bytes of 7.
pub fn key() -> vanthu::log::LogKey {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[7; 32]);
    vanthu::log::LogKey::from_pkcs8("gate.example", &der).expect("a key")
}

pub fn actor(system: &str) -> Actor {
    let certificate = match system {
        "gateway" => key().public().fingerprint(),
        other => Sha256::of(other.as_bytes()),
    };
    Actor { system: SystemId::parse(system).expect("an id"), certificate }
}

impl World {
    /// The document waits in the agency's mailbox.
    pub fn new(without: Option<Rule>) -> Self {
        let mut world = Self {
            without,
            ledger: Ledger::default(),
            waiting: BTreeSet::new(),
            told: Vec::new(),
            entries: Vec::new(),
            closed: false,
            sent_other: false,
        };
        world.accept(DOCUMENT);
        world
    }

    pub fn delivery(&self, id: ConsignmentId, who: Who) -> Option<&Delivery> {
        self.ledger.0.get(&(id, who.code()))
    }

    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.ledger.0.values()
    }

    /// All that what may follow depends on: places and times are left out.
    pub fn state(&self) -> String {
        let of = |id, who| {
            self.delivery(id, who).map(|one| {
                let order = one.order.map(|it| (it.kind, it.answer.map(|(agreed, _)| agreed)));
                let seen = &one.milestones;
                let marks = [seen.accessed, seen.handover_failed].map(|mark| mark.is_some());
                (one.transport, one.business, order, marks)
            })
        };
        let deliveries =
            [of(DOCUMENT, Who::Agency), of(DOCUMENT, Who::Successor), of(OTHER, Who::Agency)];
        format!("{deliveries:?} {} {}", self.closed, self.sent_other)
    }

    pub fn after(&self, action: Action) -> (Self, Outcome) {
        let mut next = self.clone();
        match next.act(action) {
            Ok(0) => (next, Outcome::Before),
            Ok(_) => (next, Outcome::Written),
            Err(_) => (self.clone(), Outcome::Refused),
        }
    }

    fn now(&self) -> Time {
        let beginning: Time = "2026-11-27T01:00:00.000Z".parse().expect("a time");
        beginning.after(PAUSE * u32::try_from(self.entries.len()).expect("few entries"))
    }

    fn lacks(&self, rule: Rule) -> bool {
        self.without == Some(rule)
    }

    /// Does it; gives how many entries it wrote.
    fn act(&mut self, action: Action) -> Result<usize, Refusal> {
        let before = self.entries.len();
        let none = || Refusal::new(Reason::ConsignmentUnknown);
        let at = |world: &Self, who| world.delivery(DOCUMENT, who).cloned().ok_or_else(none);
        match action {
            Action::SendOther if self.sent_other || self.closed => return Err(none()),
            Action::SendOther => {
                self.sent_other = true;
                self.accept(OTHER);
            }
            Action::Recall => self.order(OrderKind::Recall)?,
            Action::Update => self.order(OrderKind::Update)?,
            Action::Replace => self.order(OrderKind::Replace)?,
            Action::Take(who) | Action::Refuse(who) => {
                let delivery = at(self, who)?;
                let (event, status) = match action {
                    Action::Take(_) => (Event::ContentHandover, Status::Accepted),
                    _ => (Event::ConsignmentRejection, Status::Refused),
                };
                match delivery.may_answer() {
                    Ok(()) => {}
                    Err(_) if self.lacks(Rule::EndedOnce) => {}
                    Err(refusal) => return Err(refusal),
                }
                let mut entry = self.about(&delivery, event, "agency");
                entry.status = Some(status);
                if event == Event::ConsignmentRejection {
                    entry.reason = Some("RECIPIENT".into());
                    entry.note = Some(Sha256::of(b"note"));
                }
                self.write(entry);
            }
            Action::Report(who) => {
                let mut entry = self.about(&at(self, who)?, Event::StatusReport, "agency");
                entry.status = Some(Status::InProgress);
                self.write(entry);
            }
            Action::Read(who) => {
                let delivery = at(self, who)?;
                match delivery.may_read() {
                    Err(refusal) if !self.lacks(Rule::NotReadAfter) => return Err(refusal),
                    _ => {}
                }
                if delivery.milestones.accessed.is_none() {
                    let entry = self.about(&delivery, Event::ContentAccessTracking, "agency");
                    self.write(entry);
                }
            }
            Action::Agree(who) | Action::Decline(who) => {
                let delivery = at(self, who)?;
                let agrees = matches!(action, Action::Agree(_));
                let kind = match delivery.replied(agrees) {
                    Ok(Replied::To(kind)) => kind,
                    Ok(Replied::Before(_)) => return Ok(0),
                    Err(_) if self.lacks(Rule::AnswerNeedsOrder) => OrderKind::Recall,
                    Err(refusal) => return Err(refusal),
                };
                let mut entry = self.about(&delivery, Event::OrderAnswer, "agency");
                entry.status = Some(if agrees { Status::Agreed } else { Status::Declined });
                entry.reason = Some(kind.word().into());
                self.write(entry);
            }
            Action::Close => {
                if self.closed {
                    return Err(none());
                }
                self.closed = true;
                for id in [DOCUMENT, OTHER] {
                    let waits = self.delivery(id, Who::Agency).filter(|one| one.waits()).cloned();
                    if let Some(delivery) = waits {
                        let mut entry = self.about(&delivery, Event::Redirection, "gateway");
                        entry.to = Some(Who::Successor.code());
                        entry.addressed = Some(delivery.recipient);
                        entry.urgency = Some(Urgency::Normal);
                        self.write(entry);
                    }
                }
            }
            Action::TimeEnds(who) => {
                let delivery = at(self, who)?;
                // Behind everything that was done, and before the entry that says so.
                let end = Time::from_millis(self.now().millis() - 1);
                if !delivery.waits() || !delivery.has_failed(Failure::Handover, end) {
                    return Err(none());
                }
                let mut entry = self.about(&delivery, Event::ContentHandoverFailure, "gateway");
                (entry.reason, entry.since) = (Some("EXPIRED".into()), Some(end));
                self.write(entry);
            }
        }
        Ok(self.entries.len() - before)
    }

    /// At whichever of the two has it.
    fn order(&mut self, kind: OrderKind) -> Result<(), Refusal> {
        let by = (kind != OrderKind::Recall).then_some(OTHER);
        let who = match self.delivery(DOCUMENT, Who::Successor) {
            Some(_) => Who::Successor,
            None => Who::Agency,
        };
        let delivery = self.delivery(DOCUMENT, who).expect("it was sent").clone();
        let replacement = by.and_then(|by| self.delivery(by, who).cloned());
        let ordered = match delivery.ordered(kind, by) {
            Err(refusal) if refusal.reason == Reason::OrderWaits && self.lacks(Rule::OneOrder) => {
                Ordered::Waits
            }
            Ok(Ordered::Waits) if self.lacks(Rule::TakenIsTheRecipients) => Ordered::Withdraws,
            other => other?,
        };
        if matches!(ordered, Ordered::Before(_)) {
            return Ok(());
        }
        if by.is_some() {
            delivery.replaced_by(replacement.as_ref())?;
        }
        let mut asked = self.about(&delivery, Event::Order, "sender");
        asked.status = Some(Status::Withdrawal);
        asked.reason = Some(kind.word().into());
        asked.by = by;
        self.write(asked);
        if ordered == Ordered::Withdraws {
            let mut answer = self.about(&delivery, Event::OrderAnswer, "gateway");
            answer.status = Some(Status::Agreed);
            answer.reason = Some(kind.word().into());
            self.write(answer);
        }
        Ok(())
    }

    fn accept(&mut self, id: ConsignmentId) {
        let bytes = id.0.to_string();
        let envelope = Some(Sha256::of(bytes.as_bytes()));
        let base = |event, system, now| Entry {
            consignment: Some(id),
            from: Some(code("H49")),
            envelope,
            urgency: Some(Urgency::Normal),
            ..Entry::new(event, now, actor(system))
        };
        let mut acceptance = base(Event::SubmissionAcceptance, "sender", self.now());
        acceptance.document = Some(bytes.clone());
        acceptance.request = Some(Sha256::of(format!("request {bytes}").as_bytes()));
        let recipient = Who::Agency.code();
        let digest = Sha256::of(format!("{recipient}\n").as_bytes());
        acceptance.recipients = Some(RecipientSet { count: 1, digest });
        acceptance.verdict = Some(VerdictMark {
            indication: "TOTAL-PASSED".into(),
            legal_value: "ORIGINAL".into(),
            report: Sha256::of(b"report"),
        });
        self.write(acceptance);
        let mut consigned = base(Event::ContentConsignment, "gateway", self.now());
        consigned.to = Some(recipient);
        self.write(consigned);
    }

    fn about(&self, delivery: &Delivery, event: Event, system: &str) -> Entry {
        Entry {
            consignment: Some(delivery.consignment),
            from: Some(delivery.sender.clone()),
            to: Some(delivery.recipient.clone()),
            envelope: Some(delivery.envelope),
            ..Entry::new(event, self.now(), actor(system))
        }
    }

    fn write(&mut self, entry: Entry) {
        let id = EntryId { epoch: 1, index: self.entries.len() as u64 };
        let Ok(changes) = project(id, &entry, &self.ledger);
        for change in changes {
            match change {
                Change::Consignment(consignment) => {
                    self.ledger.1.insert(consignment.id, consignment);
                }
                Change::Delivery(delivery) => {
                    let key = (delivery.consignment, delivery.recipient.clone());
                    self.ledger.0.insert(key, delivery);
                }
                Change::Waiting { agency, position, .. } => {
                    self.waiting.insert((agency, position));
                }
                Change::Answered { agency, position, .. } => {
                    self.waiting.remove(&(agency, position));
                }
                Change::Notice { agency, entry } => self.told.push((agency, entry)),
                _ => {}
            }
        }
        self.entries.push(entry);
    }
}
