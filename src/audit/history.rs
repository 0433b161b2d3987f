//! What the entries say together: who was promised what, and who answered (`log/FORMAT.md` §7,
//! rules 2–6, 9 and 12).
//!
//! Agencies and consignments are numbered as they appear, so that a delivery costs 20 bytes and no
//! identifier has to be shortened to a hash.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use super::keeping::Keeping;
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

/// One consignment at one recipient. Times are milliseconds since the acceptance: [`UNKNOWN`] if
/// there is none yet, or if they are too long for the field.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    /// The first sign that the recipient knew of it.
    noticed: u32,
    answered: u32,
    answer: Answer,
    /// Which of [`ONCE`] stood there.
    seen: u8,
}

/// Later than any time in a [`Delivery`].
const UNKNOWN: u32 = u32::MAX;

impl Default for Delivery {
    fn default() -> Self {
        Self { noticed: UNKNOWN, answered: UNKNOWN, answer: Answer::None, seen: 0 }
    }
}

/// Events that a recipient has at most once.
const ONCE: [Kind; 4] =
    [Kind::Notification, Kind::NotificationFailure, Kind::Access, Kind::HandoverFailure];

impl Delivery {
    fn answer(&mut self, id: EntryId, to: &str, answer: Answer, now: u32, findings: &mut Findings) {
        let message = match self.answer {
            Answer::None => {
                self.answer = answer;
                self.answered = now;
                self.noticed = self.noticed.min(now);
                return;
            }
            Answer::HandedOver => format!("{to} had acknowledged already"),
            Answer::Refused => format!("{to} had refused already"),
        };
        findings.add(Some(id), Rule::AnswerTwice, message);
    }

    /// What before a failure denies that nothing had come until `since`.
    fn denies(&self, failure: Kind, since: u32) -> Option<&'static str> {
        let (answered, noticed) = (self.answered <= since, self.noticed <= since);
        match failure {
            _ if answered => Some("the recipient had answered in time"),
            Kind::NotificationFailure if noticed => Some("the recipient had its notice in time"),
            _ => None,
        }
    }
}

/// A number given to an agency or a consignment.
type Number = u32;

/// What an acceptance fixed for all entries of its consignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parties {
    from: Number,
    envelope: [u8; 32],
    /// When, in milliseconds.
    accepted: u64,
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
    deliveries: HashMap<(Number, Number), Delivery>,
    requests: HashSet<[u8; 32]>,
    promise: Option<Promise>,
    /// Entries about consignments before the beginning; `None` if it began with the log.
    earlier: Option<u64>,
    keeping: Keeping,
}

impl History {
    /// What follows an audit whose last entry was of this moment.
    pub(super) fn after(latest: u64) -> Self {
        Self { latest, earlier: Some(0), ..Self::default() }
    }

    /// The time of the last entry, and how many entries could not be judged.
    pub(super) fn end(&self) -> (u64, u64) {
        (self.latest, self.earlier.unwrap_or(0))
    }

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
            Kind::Handover
            | Kind::Refusal
            | Kind::Report
            | Kind::Notification
            | Kind::NotificationFailure
            | Kind::Access
            | Kind::HandoverFailure => self.later(id, leaf, findings),
            Kind::Erasure | Kind::Hold | Kind::Release => self.keeping(id, leaf, findings),
            Kind::Rejection
            | Kind::Opening
            | Kind::Stamp
            | Kind::Outage
            | Kind::Repair
            | Kind::Clock
            | Kind::Read => {}
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
        let accepted = millis(leaf.moment);
        let parties = Parties { from: self.agency(from), envelope, accepted };
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
            self.deliveries.entry((consignment, to)).or_default();
        }
    }

    /// An entry about a delivery after its consignment.
    fn later(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        if !leaf.names_a_delivery() {
            return; // Its missing fields were named already.
        }
        let to = leaf.value(Field::To).unwrap_or_default();
        let consignment = leaf.consignment().and_then(|id| self.consignments.get(&id).copied());
        let delivery = consignment
            .zip(self.agencies.get(to).copied())
            .and_then(|key| self.deliveries.get_mut(&key).map(|state| (key.0, state)));
        if let (None, Some(earlier)) = (consignment, &mut self.earlier) {
            *earlier += 1;
            return;
        }
        let Some((consignment, state)) = delivery else {
            let message = format!("nothing was consigned to {to} under this consignment");
            findings.add(Some(id), Rule::AnswerOrphaned, message);
            return;
        };
        let parties = usize::try_from(consignment).ok().and_then(|place| self.parties.get(place));
        let accepted = parties.map_or(0, |parties| parties.accepted);
        let after = |moment: u64| u32::try_from(millis(moment).saturating_sub(accepted)).ok();
        let now = after(leaf.moment).unwrap_or(UNKNOWN);
        if let Some(place) = ONCE.iter().position(|kind| *kind == leaf.kind) {
            if state.seen & (1 << place) != 0 {
                let message = format!("{to} had one already");
                findings.add(Some(id), Rule::EventTwice, message);
            }
            state.seen |= 1 << place;
        }
        match leaf.kind {
            Kind::Handover => state.answer(id, to, Answer::HandedOver, now, findings),
            Kind::Refusal => state.answer(id, to, Answer::Refused, now, findings),
            Kind::Notification | Kind::Access => state.noticed = state.noticed.min(now),
            Kind::NotificationFailure | Kind::HandoverFailure => {
                let early = leaf.since().is_some_and(|since| millis(since) < accepted);
                let untrue = match leaf.since().and_then(after) {
                    _ if early => Some("its time ended before the acceptance"),
                    _ if leaf.since() == Some(leaf.moment) => Some("its time had not ended"),
                    Some(since) => state.denies(leaf.kind, since),
                    None => None,
                };
                if let Some(message) = untrue {
                    findings.add(Some(id), Rule::FailureUntrue, message);
                }
            }
            _ => {}
        }
        self.hold_parties(id, consignment, leaf, false, findings);
    }

    /// An erasure, a hold or a release.
    fn keeping(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let Some(consignment) = leaf.consignment() else { return };
        match self.consignments.get(&consignment).copied() {
            Some(consignment) => {
                self.keeping.take(id, consignment, leaf, findings);
                self.hold_parties(id, consignment, leaf, false, findings);
            }
            None if self.earlier.is_some() => {
                self.earlier = self.earlier.map(|earlier| earlier + 1);
            }
            None => {
                let message = "its consignment was not accepted before";
                findings.add(Some(id), Rule::KeepingOrphaned, message);
            }
        }
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

/// The milliseconds between a moment, as the digits of its text, and year 0 of the calendar.
fn millis(moment: u64) -> u64 {
    let (millisecond, second, minute) =
        (moment % 1_000, moment / 1_000 % 100, moment / 100_000 % 100);
    let (hour, day) = (moment / 10_000_000 % 100, moment / 1_000_000_000 % 100);
    let (month, year) = (moment / 100_000_000_000 % 100, moment / 10_000_000_000_000);
    // Years that begin in March: the leap day is their last.
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + millisecond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_between_moments_are_those_of_the_calendar() {
        let between = |from, to| millis(to) - millis(from);
        const DAY: u64 = 86_400_000;
        assert_eq!(between(20_261_122_034_518_123, 20_261_122_034_518_124), 1);
        assert_eq!(between(20_261_122_034_518_123, 20_261_123_034_518_123), DAY);
        assert_eq!(between(20_240_228_235_959_999, 20_240_301_000_000_000), DAY + 1);
        assert_eq!(between(20_260_228_000_000_000, 20_260_301_000_000_000), DAY);
        assert_eq!(between(19_700_101_000_000_000, 20_261_122_000_000_000), 20_779 * DAY);
        assert_eq!(between(21_000_228_000_000_000, 21_000_301_000_000_000), DAY);
    }
}
