//! What the entries say together: who was promised what, and who answered (`log/FORMAT.md` §7,
//! rules 2–6).
//!
//! Agencies and consignments are numbered as they appear, so that a delivery costs 9 bytes and no
//! identifier has to be shortened to a hash.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use super::leaf::{Field, Kind, Leaf};
use super::report::{Findings, Rule};
use crate::digest::Hasher;
use crate::log::EntryId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    None,
    HandedOver,
    Refused,
}

/// A number given to an agency or a consignment.
type Number = u32;

/// What an acceptance fixed for all entries of its consignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parties {
    from: Number,
    envelope: [u8; 32],
}

/// An acceptance whose consignments are still coming.
struct Promise {
    acceptance: EntryId,
    consignment: Number,
    urgency: Box<str>,
    promised: u64,
    digest: [u8; 32],
    followed: u64,
    codes: Hasher,
    last: Box<str>,
}

/// Everything that must be remembered of the entries so far.
#[derive(Default)]
pub(super) struct History {
    latest: u64,
    agencies: HashMap<Box<str>, Number>,
    consignments: HashMap<[u8; 16], Number>,
    parties: Vec<Parties>,
    deliveries: HashMap<(Number, Number), Answer>,
    requests: HashSet<[u8; 32]>,
    promise: Option<Promise>,
}

impl History {
    /// Takes the next entry.
    pub(super) fn take(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        if leaf.moment < self.latest {
            findings.add(
                Some(id),
                Rule::TimeBackwards,
                "its time lies before that of an earlier one",
            );
        }
        self.latest = self.latest.max(leaf.moment);
        if leaf.kind != Kind::Consignment {
            self.settle(findings);
        }
        match leaf.kind {
            Kind::Acceptance => self.acceptance(id, leaf, findings),
            Kind::Consignment => self.consignment(id, leaf, findings),
            Kind::Handover => self.answer(id, leaf, Answer::HandedOver, findings),
            Kind::Refusal => self.answer(id, leaf, Answer::Refused, findings),
            Kind::Report => self.answer(id, leaf, Answer::None, findings),
            Kind::Rejection | Kind::Opening => {}
        }
    }

    /// The acceptance whose consignments are still coming.
    pub(super) fn promising(&self) -> Option<EntryId> {
        self.promise.as_ref().map(|promise| promise.acceptance)
    }

    /// No more consignments of the last acceptance come: names it if its promise was not kept.
    pub(super) fn settle(&mut self, findings: &mut Findings) {
        let Some(promise) = self.promise.take() else { return };
        let Promise { acceptance, promised, followed, .. } = promise;
        if followed != promised {
            let message = format!("it promises {promised} recipients and {followed} follow");
            findings.add(Some(acceptance), Rule::PromiseBroken, message);
        } else if promise.codes.finish().0 != promise.digest {
            let message = "the recipients that follow are not those it promises";
            findings.add(Some(acceptance), Rule::PromiseBroken, message);
        }
    }

    fn acceptance(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        if let Some(request) = leaf.digest(Field::Request)
            && !self.requests.insert(request)
        {
            findings.add(Some(id), Rule::RequestTwice, "its request key was accepted before");
        }
        let (Some(consignment), Some(from), Some(envelope), Some((promised, digest))) = (
            leaf.consignment(),
            leaf.value(Field::From),
            leaf.digest(Field::Envelope),
            leaf.recipients(),
        ) else {
            return;
        };
        let parties = Parties { from: self.agency(from), envelope };
        let next = Number::try_from(self.parties.len()).unwrap_or(Number::MAX);
        let consignment = match self.consignments.entry(consignment) {
            Slot::Vacant(slot) => {
                self.parties.push(parties);
                *slot.insert(next)
            }
            Slot::Occupied(slot) => {
                let message = "its consignment was accepted before";
                findings.add(Some(id), Rule::ConsignmentTwice, message);
                *slot.get()
            }
        };
        self.promise = Some(Promise {
            acceptance: id,
            consignment,
            urgency: leaf.value(Field::Urgency).unwrap_or_default().into(),
            promised,
            digest,
            followed: 0,
            codes: Hasher::default(),
            last: Box::default(),
        });
    }

    fn consignment(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let known = leaf.consignment().and_then(|id| self.consignments.get(&id).copied());
        let promise = self.promise.as_mut().filter(|promise| Some(promise.consignment) == known);
        let Some(promise) = promise else {
            self.settle(findings);
            let message = "no acceptance directly before it promises this recipient";
            findings.add(Some(id), Rule::ConsignmentUnpromised, message);
            self.deliver(known, leaf);
            return;
        };
        let to = leaf.value(Field::To).unwrap_or_default();
        if to <= &*promise.last {
            let message = format!("recipient {to} stands after {}", promise.last);
            findings.add(Some(id), Rule::RecipientOrder, message);
        }
        promise.last = to.into();
        promise.codes.update(to.as_bytes());
        promise.codes.update(b"\n");
        promise.followed += 1;
        let urgency_differs = leaf.value(Field::Urgency).unwrap_or_default() != &*promise.urgency;
        let done = promise.followed == promise.promised;
        if let Some(consignment) = known {
            self.hold_parties(id, consignment, leaf, urgency_differs, findings);
        }
        self.deliver(known, leaf);
        if done {
            self.settle(findings);
        }
    }

    fn deliver(&mut self, consignment: Option<Number>, leaf: &Leaf<'_>) {
        if let (Some(consignment), Some(to)) = (consignment, leaf.value(Field::To)) {
            let to = self.agency(to);
            self.deliveries.entry((consignment, to)).or_insert(Answer::None);
        }
    }

    /// A handover, a refusal, or ([`Answer::None`]) a report.
    fn answer(&mut self, id: EntryId, leaf: &Leaf<'_>, answer: Answer, findings: &mut Findings) {
        if !leaf.names_a_delivery() {
            return; // Its missing fields were named already.
        }
        let to = leaf.value(Field::To).unwrap_or_default();
        let consignment = leaf.consignment().and_then(|id| self.consignments.get(&id).copied());
        let delivery = consignment
            .zip(self.agencies.get(to).copied())
            .and_then(|key| self.deliveries.get_mut(&key).map(|state| (key.0, state)));
        let Some((consignment, state)) = delivery else {
            let message = format!("nothing was consigned to {to} under this consignment");
            findings.add(Some(id), Rule::AnswerOrphaned, message);
            return;
        };
        match (*state, answer) {
            (_, Answer::None) => {}
            (Answer::None, _) => *state = answer,
            (Answer::HandedOver, _) => {
                let message = format!("{to} had acknowledged already");
                findings.add(Some(id), Rule::AnswerTwice, message);
            }
            (Answer::Refused, _) => {
                let message = format!("{to} had refused already");
                findings.add(Some(id), Rule::AnswerTwice, message);
            }
        }
        self.hold_parties(id, consignment, leaf, false, findings);
    }

    /// Holds sender and envelope against the acceptance.
    fn hold_parties(
        &self,
        id: EntryId,
        consignment: Number,
        leaf: &Leaf<'_>,
        urgency_differs: bool,
        findings: &mut Findings,
    ) {
        let Some(parties) =
            usize::try_from(consignment).ok().and_then(|place| self.parties.get(place))
        else {
            return;
        };
        let from = leaf.value(Field::From).and_then(|from| self.agencies.get(from).copied());
        let differs = match () {
            () if from != Some(parties.from) => "sender",
            () if leaf.digest(Field::Envelope) != Some(parties.envelope) => "envelope",
            () if urgency_differs => "urgency",
            () => return,
        };
        let message = format!("its {differs} is not that of the acceptance");
        findings.add(Some(id), Rule::PartiesDiffer, message);
    }

    fn agency(&mut self, code: &str) -> Number {
        if let Some(number) = self.agencies.get(code) {
            return *number;
        }
        let number = Number::try_from(self.agencies.len()).unwrap_or(Number::MAX);
        self.agencies.insert(code.into(), number);
        number
    }
}
