//! The same where the recipient is behind another gateway: two logs, and words between them that arrive
//! late, each in the order of the log that says it.

use std::collections::{HashMap, VecDeque};

use vanthu::audit::{Auditor, Rule as AuditRule};
use vanthu::clock::Time;
use vanthu::delivery::{
    Change, Delivery, OrderKind, Ordered, Replied, Transport, neighbour_mailbox, project,
};
use vanthu::digest::Sha256;
use vanthu::directory::Code;
use vanthu::document::{ConsignmentId, Urgency};
use vanthu::log::{
    Actor, Entry, EntryId, Event, RecipientSet, Service, ServiceKind, Status, VerdictMark,
};

use super::world::{DOCUMENT, Ledger, OTHER, Who, actor, code, key};

/// One step. `Hear` takes one word of the other gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Recall,
    Update,
    /// The recipient's gateway takes the document in charge.
    Carry,
    /// The sender's gateway learns that.
    Learn,
    SenderHears,
    RecipientHears,
    Take(Who),
    Refuse(Who),
    Agree(Who),
    Decline(Who),
    Close,
}

impl Step {
    const ALL: [Self; 15] = [
        Self::Recall,
        Self::Update,
        Self::Carry,
        Self::Learn,
        Self::SenderHears,
        Self::RecipientHears,
        Self::Take(Who::Agency),
        Self::Refuse(Who::Agency),
        Self::Agree(Who::Agency),
        Self::Decline(Who::Agency),
        Self::Close,
        Self::Take(Who::Successor),
        Self::Refuse(Who::Successor),
        Self::Agree(Who::Successor),
        Self::Decline(Who::Successor),
    ];
}

/// A rule that a search may do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// What was asked before the neighbour had the document is told once it has it.
    OrdersFollow,
    /// The gateway that has the mailbox decides whether something was taken.
    MailboxDecides,
    /// What is closed is told with the code of its successor.
    RedirectionsAreTold,
}

pub const INVARIANTS: [&str; 5] = [
    "once everything is heard, both gateways say the same of the document at each recipient",
    "an order waits at the sender's gateway only while the recipient can answer it, or has lapsed",
    "nothing is withdrawn at the sender's gateway that is not at the recipient's",
    "no gateway says that a recipient agreed who did not",
    "the independent audit finds nothing in either log",
];

/// One gateway.
#[derive(Clone, Default)]
struct Gate {
    ledger: Ledger,
    entries: Vec<Entry>,
    /// What is told to the other gateway, in order.
    words: Vec<EntryId>,
    /// How many words of the other it has heard.
    heard: usize,
}

#[derive(Clone)]
struct Pair {
    without: Option<Rule>,
    sender: Gate,
    recipient: Gate,
    closed: bool,
}

fn gate(name: &str) -> Service {
    Service::new(ServiceKind::Gateway, name).expect("a service")
}

fn there() -> Service {
    gate("there.example")
}

fn here() -> Service {
    gate("here.example")
}

impl Gate {
    fn now(&self) -> Time {
        let beginning: Time = "2026-11-27T01:00:00.000Z".parse().expect("a time");
        beginning.after(std::time::Duration::from_secs(60 * self.entries.len() as u64))
    }

    fn delivery(&self, id: ConsignmentId, at: &Code) -> Option<&Delivery> {
        self.ledger.0.get(&(id, at.clone()))
    }

    fn of(&self, who: Who) -> Option<&Delivery> {
        self.delivery(DOCUMENT, &who.code())
    }

    fn write(&mut self, entry: Entry, other: &Service) {
        let id = EntryId { epoch: 1, index: self.entries.len() as u64 };
        let Ok(changes) = project(id, &entry, &self.ledger);
        for change in changes {
            match change {
                Change::Consignment(one) => drop(self.ledger.1.insert(one.id, one)),
                Change::Delivery(one) => {
                    self.ledger.0.insert((one.consignment, one.recipient.clone()), one);
                }
                Change::Notice { agency, entry } if agency == neighbour_mailbox(other) => {
                    self.words.push(entry);
                }
                _ => {}
            }
        }
        self.entries.push(entry);
    }

    fn about(&self, delivery: &Delivery, event: Event, actor: Actor) -> Entry {
        Entry {
            consignment: Some(delivery.consignment),
            from: Some(delivery.sender.clone()),
            to: Some(delivery.recipient.clone()),
            envelope: Some(delivery.envelope),
            ..Entry::new(event, self.now(), actor)
        }
    }

    /// An acceptance for the agency, and where it goes.
    fn accept(&mut self, id: ConsignmentId, brought: bool, other: &Service) {
        let bytes = id.0.to_string();
        let base = |event, system| Entry {
            consignment: Some(id),
            from: Some(code("H49")),
            envelope: Some(Sha256::of(bytes.as_bytes())),
            urgency: Some(Urgency::Normal),
            ..Entry::new(event, self.now(), actor(system))
        };
        let to = Who::Agency.code();
        let digest = Sha256::of(format!("{to}\n").as_bytes());
        let acceptance = Entry {
            document: Some(bytes.clone()),
            request: Some(Sha256::of(format!("request {bytes}").as_bytes())),
            recipients: Some(RecipientSet { count: 1, digest }),
            verdict: Some(VerdictMark {
                indication: "TOTAL-PASSED".into(),
                legal_value: "ORIGINAL".into(),
                report: Sha256::of(b"report"),
            }),
            service: brought.then(|| other.clone()),
            content: brought.then(|| Sha256::of(b"acceptance")),
            ..base(Event::SubmissionAcceptance, if brought { "neighbour" } else { "sender" })
        };
        let onward = match brought {
            true => Entry { to: Some(to), ..base(Event::ContentConsignment, "gateway") },
            false => Entry {
                to: Some(to),
                service: Some(other.clone()),
                ..base(Event::Relay, "gateway")
            },
        };
        self.write(acceptance, other);
        self.write(onward, other);
    }

    fn audit(&self) -> Result<(), String> {
        let mut auditor = Auditor::new(key().public());
        self.entries.iter().for_each(|entry| auditor.entry(&entry.to_leaf()));
        let findings = auditor.finish().findings;
        match findings.iter().find(|finding| finding.rule != AuditRule::EntriesUnsigned) {
            None => Ok(()),
            Some(finding) => Err(finding.to_string()),
        }
    }
}

/// The other's entry as ours, told by it.
fn told(theirs: &Entry, nth: usize, by: Service, now: Time) -> Entry {
    Entry {
        time: now,
        actor: actor("neighbour"),
        content: Some(Sha256::of(format!("word {nth} of {}", by.name()).as_bytes())),
        service: Some(by),
        ..theirs.clone()
    }
}

impl Pair {
    fn new(without: Option<Rule>) -> Self {
        let (sender, recipient) = (Gate::default(), Gate::default());
        let mut pair = Self { without, sender, recipient, closed: false };
        for id in [OTHER, DOCUMENT] {
            pair.sender.accept(id, false, &there());
        }
        pair.recipient.accept(OTHER, true, &here());
        pair.learn(OTHER);
        pair
    }

    fn state(&self) -> String {
        let of = |gate: &Gate, who| {
            gate.of(who).map(|one| {
                let order = one.order.map(|it| (it.kind, it.answer.map(|(agreed, _)| agreed)));
                (one.transport, one.business, order)
            })
        };
        let all = [&self.sender, &self.recipient]
            .map(|gate| [Who::Agency, Who::Successor].map(|who| of(gate, who)));
        let unheard = |from: &Gate, by: &Gate| -> Vec<_> {
            let words = from.words[by.heard..].iter();
            let entry = |id: &EntryId| &from.entries[usize::try_from(id.index).expect("few")];
            words
                .map(entry)
                .map(|it| (it.event, it.to.clone(), it.reason.clone(), it.status))
                .collect()
        };
        let (down, up) =
            (unheard(&self.sender, &self.recipient), unheard(&self.recipient, &self.sender));
        format!("{all:?} {down:?} {up:?} {}", self.closed)
    }

    /// The state after the step; `None` if it is refused, or nothing happens.
    fn after(&self, step: Step) -> Option<Self> {
        let mut next = self.clone();
        let before = (self.sender.heard, self.recipient.heard, self.state());
        next.take(step)?;
        (before != (next.sender.heard, next.recipient.heard, next.state())).then_some(next)
    }

    fn take(&mut self, step: Step) -> Option<()> {
        match step {
            Step::Recall => self.order(OrderKind::Recall, None),
            Step::Update => self.order(OrderKind::Update, Some(OTHER)),
            Step::Carry if self.recipient.of(Who::Agency).is_none() => {
                self.recipient.accept(DOCUMENT, true, &here());
                Some(())
            }
            Step::Carry => None,
            Step::Learn => {
                self.recipient.of(Who::Agency)?;
                self.learn(DOCUMENT).then_some(())
            }
            Step::SenderHears => self.sender_hears(),
            Step::RecipientHears => self.recipient_hears(),
            Step::Take(who) => self.answer(who, Event::ContentHandover, Status::Accepted),
            Step::Refuse(who) => self.answer(who, Event::ConsignmentRejection, Status::Refused),
            Step::Agree(who) => self.reply(who, true),
            Step::Decline(who) => self.reply(who, false),
            Step::Close => self.close(),
        }
    }

    fn order(&mut self, kind: OrderKind, by: Option<ConsignmentId>) -> Option<()> {
        let who =
            if self.sender.of(Who::Successor).is_some() { Who::Successor } else { Who::Agency };
        let delivery = self.sender.of(who)?.clone();
        if matches!(delivery.ordered(kind, by).ok()?, Ordered::Before(_)) {
            return None;
        }
        if let Some(by) = by {
            delivery.replaced_by(self.sender.delivery(by, &who.code())).ok()?;
        }
        let asked = Entry {
            status: Some(Status::Withdrawal),
            reason: Some(kind.word().into()),
            by,
            ..self.sender.about(&delivery, Event::Order, actor("sender"))
        };
        self.sender.write(asked.clone(), &there());
        if self.without == Some(Rule::MailboxDecides) {
            let event = Event::OrderAnswer;
            let agreed = Entry { event, status: Some(Status::Agreed), by: None, ..asked };
            self.sender.write(Entry { actor: actor("gateway"), ..agreed }, &there());
        }
        Some(())
    }

    /// The sender's gateway gets the answer to what it handed over; whether that was news.
    fn learn(&mut self, id: ConsignmentId) -> bool {
        let at = Who::Agency.code();
        let delivery = self.sender.delivery(id, &at).expect("it was sent").clone();
        let mut news = false;
        for event in [Event::RelayAcceptance, Event::ContentConsignment] {
            let known =
                self.sender.delivery(id, &at).is_none_or(|it| it.is_news(event) != Some(true));
            if known {
                continue;
            }
            let entry = self.sender.about(&delivery, event, actor("neighbour"));
            let urgency = Some(Urgency::Normal).filter(|_| event == Event::ContentConsignment);
            let content = Some(Sha256::of(format!("acceptance of {id:?}").as_bytes()));
            self.sender
                .write(Entry { urgency, content, service: Some(there()), ..entry }, &there());
            news = true;
        }
        news
    }

    fn sender_hears(&mut self) -> Option<()> {
        let nth = self.sender.heard;
        let theirs = self.recipient.words.get(nth)?;
        let theirs = self.recipient.entries[usize::try_from(theirs.index).expect("few")].clone();
        // What is early is learnt first.
        self.learn(DOCUMENT);
        self.sender.heard += 1;
        let redirected = theirs.event == Event::Redirection;
        if redirected && self.without == Some(Rule::RedirectionsAreTold) {
            return Some(());
        }
        let about = if redirected { theirs.addressed.clone() } else { theirs.to.clone() };
        let delivery = self.sender.delivery(theirs.consignment?, &about?)?.clone();
        let news = delivery.is_news(theirs.event) == Some(true) && delivery.fits(&theirs);
        if theirs.event.is_told_on() && news {
            let entry = told(&theirs, nth, there(), self.sender.now());
            self.sender.write(entry, &there());
        }
        Some(())
    }

    fn recipient_hears(&mut self) -> Option<()> {
        let nth = self.recipient.heard;
        let id = *self.sender.words.get(nth)?;
        self.recipient.heard += 1;
        let entry = &self.sender.entries[usize::try_from(id.index).expect("few")];
        let order = match entry.event {
            Event::Order => id,
            Event::RelayAcceptance if self.without != Some(Rule::OrdersFollow) => {
                let asked = self.sender.delivery(entry.consignment?, entry.to.as_ref()?)?.order;
                match asked.filter(|order| order.answer.is_none()) {
                    Some(order) => order.entry,
                    None => return Some(()),
                }
            }
            _ => return Some(()),
        };
        let place = usize::try_from(order.index).expect("few");
        let asked = told(&self.sender.entries[place], place, here(), self.recipient.now());
        let known = self.recipient.entries.iter().any(|one| one.content == asked.content);
        let at = self.recipient.delivery(asked.consignment?, asked.to.as_ref()?);
        let Some(ordered) = at.and_then(|it| it.brought(&asked)).filter(|_| !known) else {
            return Some(());
        };
        let (status, event) = (Some(Status::Agreed), Event::OrderAnswer);
        let answer = Entry { event, status, actor: actor("gateway"), by: None, ..asked.clone() };
        self.recipient.write(asked, &here());
        if ordered == Ordered::Withdraws {
            let time = self.recipient.now();
            let answer = Entry { time, note: None, service: None, content: None, ..answer };
            self.recipient.write(answer, &here());
        }
        Some(())
    }

    fn answer(&mut self, who: Who, event: Event, status: Status) -> Option<()> {
        let delivery = self.recipient.of(who)?.clone();
        delivery.may_answer().ok()?;
        let refuses = event == Event::ConsignmentRejection;
        let entry = Entry {
            status: Some(status),
            reason: refuses.then(|| "RECIPIENT".into()),
            note: refuses.then(|| Sha256::of(b"note")),
            ..self.recipient.about(&delivery, event, actor("agency"))
        };
        self.recipient.write(entry, &here());
        Some(())
    }

    fn reply(&mut self, who: Who, agrees: bool) -> Option<()> {
        let delivery = self.recipient.of(who)?.clone();
        let Replied::To(kind) = delivery.replied(agrees).ok()? else { return None };
        let entry = Entry {
            status: Some(if agrees { Status::Agreed } else { Status::Declined }),
            reason: Some(kind.word().into()),
            ..self.recipient.about(&delivery, Event::OrderAnswer, actor("agency"))
        };
        self.recipient.write(entry, &here());
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        let waits = self.recipient.of(Who::Agency).filter(|one| one.waits() && !self.closed);
        let delivery = waits?.clone();
        self.closed = true;
        let entry = Entry {
            to: Some(Who::Successor.code()),
            addressed: Some(delivery.recipient.clone()),
            urgency: Some(Urgency::Normal),
            ..self.recipient.about(&delivery, Event::Redirection, actor("gateway"))
        };
        self.recipient.write(entry, &here());
        Some(())
    }

    fn is_quiet(&self) -> bool {
        let all_heard = self.sender.heard == self.recipient.words.len()
            && self.recipient.heard == self.sender.words.len();
        let known =
            self.sender.of(Who::Agency).is_some_and(|it| it.transport != Transport::Relaying);
        all_heard && known
    }

    fn judge(&self) -> Result<(), String> {
        let fail = |number: usize, why: String| Err(format!("{}: {why}", INVARIANTS[number]));
        for who in [Who::Agency, Who::Successor] {
            let (ours, theirs) = (self.sender.of(who), self.recipient.of(who));
            let agreed = |it: Option<&Delivery>| {
                it.and_then(|it| it.order)
                    .is_some_and(|it| it.answer.is_some_and(|(agreed, _)| agreed))
            };
            let withdrawn =
                |it: Option<&Delivery>| it.is_some_and(|it| it.transport == Transport::Withdrawn);
            if withdrawn(ours) && !withdrawn(theirs) {
                return fail(2, format!("{who:?}"));
            }
            if agreed(ours) && !agreed(theirs) {
                return fail(3, format!("{who:?}"));
            }
            if !self.is_quiet() {
                continue;
            }
            if ours.map(|it| it.transport) != theirs.map(|it| it.transport) {
                return fail(
                    0,
                    format!(
                        "{who:?} {:?} {:?}",
                        ours.map(|it| it.transport),
                        theirs.map(|it| it.transport)
                    ),
                );
            }
            let waits = |it: Option<&Delivery>| {
                it.and_then(|it| it.order).is_some_and(|it| it.answer.is_none())
            };
            let ended = ours.is_some_and(|it| {
                matches!(it.transport, Transport::Rejected | Transport::Redirected)
            });
            if waits(ours) && !waits(theirs) && !ended {
                return fail(1, format!("{who:?}"));
            }
        }
        for gate in [&self.sender, &self.recipient] {
            gate.audit().or_else(|why| fail(4, why))?;
        }
        Ok(())
    }
}

/// States and steps of a search, and the shortest way to a broken invariant.
pub struct Explored {
    pub states: usize,
    pub steps: usize,
    pub quiet: usize,
    pub broken: Option<(Vec<Step>, String)>,
}

pub fn explore(without: Option<Rule>) -> Explored {
    let start = Pair::new(without);
    let mut seen = HashMap::from([(start.state(), ())]);
    let mut queue = VecDeque::from([(start, Vec::new())]);
    let mut explored = Explored { states: 1, steps: 0, quiet: 0, broken: None };
    while let Some((pair, way)) = queue.pop_front() {
        for step in Step::ALL {
            explored.steps += 1;
            let Some(next) = pair.after(step) else { continue };
            let way: Vec<Step> = way.iter().copied().chain([step]).collect();
            if let Err(message) = next.judge() {
                explored.broken = Some((way, message));
                return explored;
            }
            if seen.insert(next.state(), ()).is_none() {
                explored.states += 1;
                explored.quiet += usize::from(next.is_quiet());
                queue.push_back((next, way));
            }
        }
    }
    explored
}
