//! What may happen to one consignment at one recipient, and how often (`log/FORMAT.md` §7, rules 6, 9
//! and 13–15).

use super::history::Number;
use super::leaf::{Kind, Leaf};
use super::report::{Findings, Rule};
use crate::log::EntryId;

/// Later than any time in a [`Course`].
pub(super) const UNKNOWN: u32 = u32::MAX;
/// The number of no neighbour.
pub(super) const NOBODY: Number = Number::MAX;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    HandedOver,
    Refused,
    Redirected,
    Withdrawn,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    None,
    Recall,
    Update,
    Replace,
}

impl Order {
    fn of(reason: &str) -> Self {
        match reason {
            "RECALL" => Self::Recall,
            "UPDATE" => Self::Update,
            "REPLACE" => Self::Replace,
            _ => Self::None,
        }
    }
}

/// One consignment at one recipient. Times are milliseconds since the acceptance: [`UNKNOWN`] if
/// there is none yet, or if they are too long for the field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course {
    /// The neighbour behind which the recipient is.
    via: Number,
    /// The first sign that the recipient knew of it.
    noticed: u32,
    answered: u32,
    /// When the neighbour took it or did not.
    relayed: u32,
    answer: Answer,
    /// The order that waits for its answer.
    order: Order,
    /// Which of [`ONCE`] stood there.
    seen: u8,
}

/// Events that a recipient has at most once; each excludes those beside it.
const ONCE: [(Kind, &[Kind]); 8] = [
    (Kind::Notification, &[]),
    (Kind::NotificationFailure, &[]),
    (Kind::Access, &[]),
    (Kind::HandoverFailure, &[]),
    (Kind::RelayFailure, &[]),
    (Kind::RelayAcceptance, &[]),
    // What a neighbour took may be rejected by one behind it.
    (Kind::RelayRejection, &[Kind::RelayAcceptance, Kind::Consignment]),
    (Kind::Consignment, &[Kind::RelayRejection]),
];

impl Course {
    /// What begins, behind a neighbour or [`NOBODY`].
    pub(super) fn begin(via: Number) -> Self {
        Self {
            via,
            noticed: UNKNOWN,
            answered: UNKNOWN,
            relayed: UNKNOWN,
            answer: Answer::None,
            order: Order::None,
            seen: 0,
        }
    }

    /// Ends it in favour of a successor, as somebody tells; says why it cannot be.
    pub(super) fn redirect(&mut self, told_by: Number) -> Option<&'static str> {
        if self.via != told_by {
            return Some("is behind another gateway than the one that tells it");
        }
        let before = self.answer;
        self.answer = Answer::Redirected;
        Self::ended(before)
    }

    fn ended(answer: Answer) -> Option<&'static str> {
        match answer {
            Answer::None => None,
            Answer::HandedOver => Some("had acknowledged already"),
            Answer::Refused => Some("had refused already"),
            Answer::Redirected => Some("had been redirected already"),
            Answer::Withdrawn => Some("had it no more"),
        }
    }

    /// Holds who tells the entry against who may (rule 13).
    pub(super) fn hear(
        &self,
        id: EntryId,
        leaf: &Leaf<'_>,
        told_by: Number,
        brought_by: Number,
        findings: &mut Findings,
    ) {
        let expected = match leaf.kind {
            Kind::Order => brought_by,
            Kind::OrderAnswer if leaf.actor().0 == "gateway" => NOBODY,
            _ => self.via,
        };
        if told_by != expected {
            let message = match (expected, told_by) {
                (NOBODY, _) => "no neighbour can say this of a recipient of ours",
                (_, NOBODY) => "only the neighbour behind which the recipient is can say this",
                _ => "another neighbour says this",
            };
            findings.add(Some(id), Rule::NeighbourWrong, message);
        }
    }

    /// Takes the next entry about it, which stands `now`. `since` is that of the entry, if it has one:
    /// `None` inside if that lies before the acceptance, or too far behind it.
    pub(super) fn take(
        &mut self,
        id: EntryId,
        leaf: &Leaf<'_>,
        to: &str,
        now: u32,
        since: Option<Option<u32>>,
        findings: &mut Findings,
    ) {
        let bit = |kind| ONCE.iter().position(|(once, _)| *once == kind).map(|place| 1 << place);
        if let Some(own) = bit(leaf.kind) {
            let ended = ONCE.iter().filter(|(_, excluded)| excluded.contains(&leaf.kind));
            let against = ended.filter_map(|(kind, _)| bit(*kind)).fold(own, |all, one| all | one);
            if self.seen & against != 0 {
                findings.add(Some(id), Rule::EventTwice, format!("{to} had one already"));
            }
            self.seen |= own;
        }
        match leaf.kind {
            Kind::Handover => self.answer(id, to, Answer::HandedOver, now, findings),
            Kind::Refusal => self.answer(id, to, Answer::Refused, now, findings),
            Kind::Notification | Kind::Access => self.noticed = self.noticed.min(now),
            Kind::RelayAcceptance | Kind::RelayRejection => self.relayed = self.relayed.min(now),
            Kind::NotificationFailure | Kind::HandoverFailure | Kind::RelayFailure => {
                let own = !leaf.is_a_neighbours_word();
                if let Some(message) = self.untrue(leaf, since).filter(|_| own) {
                    findings.add(Some(id), Rule::FailureUntrue, message);
                }
            }
            Kind::Order => self.order(id, leaf, findings),
            Kind::OrderAnswer => self.order_answer(id, leaf, to, now, findings),
            _ => {}
        }
    }

    fn answer(&mut self, id: EntryId, to: &str, answer: Answer, now: u32, findings: &mut Findings) {
        if let Some(before) = Self::ended(self.answer) {
            findings.add(Some(id), Rule::AnswerTwice, format!("{to} {before}"));
            return;
        }
        (self.answer, self.answered) = (answer, now);
        self.noticed = self.noticed.min(now);
    }

    /// What denies a failure.
    fn untrue(&self, leaf: &Leaf<'_>, since: Option<Option<u32>>) -> Option<&'static str> {
        if leaf.since() == Some(leaf.moment) {
            return Some("its time had not ended");
        }
        let Some(since) = since? else {
            return Some("its time ended before the acceptance");
        };
        match leaf.kind {
            Kind::RelayFailure => {
                (self.relayed <= since).then_some("the neighbour had answered in time")
            }
            _ if self.answered <= since => Some("the recipient had answered in time"),
            Kind::NotificationFailure if self.noticed <= since => {
                Some("the recipient had its notice in time")
            }
            _ => None,
        }
    }

    fn order(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let order = Order::of(leaf.reason());
        let broken = match (self.order, order, leaf.by().is_some()) {
            (Order::None, Order::Recall, true) => Some("a recall names no other consignment"),
            (Order::None, Order::Update | Order::Replace, false) => {
                Some("it does not say what updates or replaces it")
            }
            (Order::None, ..) => None,
            _ => Some("an order before it is not answered"),
        };
        self.order = order;
        if let Some(message) = broken {
            findings.add(Some(id), Rule::OrderSequence, message);
        }
    }

    fn order_answer(
        &mut self,
        id: EntryId,
        leaf: &Leaf<'_>,
        to: &str,
        now: u32,
        findings: &mut Findings,
    ) {
        if self.order == Order::None || self.order != Order::of(leaf.reason()) {
            let message = "it answers no order that waits for an answer";
            findings.add(Some(id), Rule::OrderSequence, message);
        }
        self.order = Order::None;
        if leaf.actor().0 == "gateway" {
            self.answer(id, to, Answer::Withdrawn, now, findings);
        }
    }
}
