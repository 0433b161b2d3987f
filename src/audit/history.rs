//! What the entries say together: who was promised what, and who answered (`log/FORMAT.md` §7,
//! rules 2–6, 9 and 12–17).
//!
//! Agencies and consignments are numbered as they appear, so that a delivery costs 20 bytes and no
//! identifier has to be shortened to a hash.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};

use super::course::{Course, NOBODY, UNKNOWN};
use super::dossier::Dossiers;
use super::keeping::Keeping;
use super::leaf::{Field, Kind, Leaf};
use super::report::{Findings, Rule};
use crate::digest::Hasher;
use crate::log::EntryId;

/// A number given to an agency, a neighbour or a consignment.
pub(super) type Number = u32;

/// What an acceptance fixed for all entries of its consignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parties {
    from: Number,
    envelope: [u8; 32],
    /// When, in milliseconds.
    accepted: u64,
    /// The first letter of the urgency, which tells it.
    urgency: u8,
    /// The neighbour that brought it.
    brought_by: Number,
}

/// An acceptance whose consignments are still coming.
struct Promise {
    acceptance: EntryId,
    consignment: Number,
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
    deliveries: HashMap<(Number, Number), Course>,
    requests: HashSet<[u8; 32]>,
    promise: Option<Promise>,
    /// Entries about consignments before the beginning; `None` if it began with the log.
    earlier: Option<u64>,
    keeping: Keeping,
    dossiers: Dossiers,
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
        let promised =
            matches!(leaf.kind, Kind::Consignment | Kind::Relay) && !leaf.is_a_neighbours_word();
        if !promised {
            self.settle(findings);
        }
        match leaf.kind {
            Kind::Acceptance => self.acceptance(id, leaf, findings),
            Kind::Consignment | Kind::Relay if promised => self.consignment(id, leaf, findings),
            Kind::Redirection => self.redirection(id, leaf, findings),
            Kind::Consignment
            | Kind::Relay
            | Kind::Handover
            | Kind::Refusal
            | Kind::Report
            | Kind::Notification
            | Kind::NotificationFailure
            | Kind::Access
            | Kind::HandoverFailure
            | Kind::RelayAcceptance
            | Kind::RelayRejection
            | Kind::RelayFailure
            | Kind::Order
            | Kind::OrderAnswer => self.later(id, leaf, findings),
            Kind::Erasure | Kind::Hold | Kind::Release => self.keeping(id, leaf, findings),
            Kind::Dossier => self.dossier(id, leaf, findings),
            Kind::Rejection
            | Kind::Opening
            | Kind::Stamp
            | Kind::Outage
            | Kind::Repair
            | Kind::Clock
            | Kind::Directory
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
        self.request(id, leaf, findings);
        let (Some(consignment), Some(from), Some(envelope), Some((promised, digest))) = (
            leaf.consignment(),
            leaf.value(Field::From),
            leaf.digest(Field::Envelope),
            leaf.recipients(),
        ) else {
            return;
        };
        let accepted = millis(leaf.moment);
        let urgency = leaf.initial_of_urgency();
        let brought_by = self.neighbour(leaf);
        let parties = Parties { from: self.number(from), envelope, accepted, urgency, brought_by };
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
            promised,
            digest,
            followed: 0,
            codes: Hasher::default(),
            last: Box::default(),
        });
    }

    fn request(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        if let Some(request) = leaf.digest(Field::Request)
            && !self.requests.insert(request)
        {
            findings.add(Some(id), Rule::RequestTwice, "its request key was accepted before");
        }
    }

    /// A step of a dossier.
    fn dossier(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        self.request(id, leaf, findings);
        if let Some(consignment) = leaf.consignment() {
            let known = self.consignments.get(&consignment);
            let place = known.and_then(|number| usize::try_from(*number).ok());
            let sender = place.and_then(|place| self.parties.get(place)).map(|one| one.from);
            let from = leaf.value(Field::From).and_then(|from| self.agencies.get(from).copied());
            if sender != from && (sender.is_some() || self.earlier.is_none())
                || sender.is_none() && self.earlier.is_none()
            {
                let message = "its result was not accepted from its agency before";
                findings.add(Some(id), Rule::DossierStep, message);
            }
        }
        let judged = self.dossiers.take(id, leaf, self.earlier.is_none(), findings);
        if let (false, Some(earlier)) = (judged, &mut self.earlier) {
            *earlier += 1;
        }
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
        let done = promise.followed == promise.promised;
        if let Some(consignment) = known {
            self.hold_parties(id, consignment, leaf, findings);
        }
        self.deliver(known, leaf);
        if done {
            self.settle(findings);
        }
    }

    fn deliver(&mut self, consignment: Option<Number>, leaf: &Leaf<'_>) {
        if let (Some(consignment), Some(to)) = (consignment, leaf.value(Field::To)) {
            let (to, via) = (self.number(to), self.neighbour(leaf));
            self.deliveries.entry((consignment, to)).or_insert(Course::begin(via));
        }
    }

    /// The number of the neighbour that the entry names; [`NOBODY`] if it names none.
    fn teller(&self, leaf: &Leaf<'_>) -> Number {
        let known = |name| self.agencies.get(name).copied();
        leaf.value(Field::Service).map_or(NOBODY, |name| known(name).unwrap_or(NOBODY - 1))
    }

    /// What waited for a closed agency waits for its successor.
    fn redirection(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let Some(consignment) = leaf.consignment() else { return };
        let Some(consignment) = self.consignments.get(&consignment).copied() else {
            self.orphan(id, "its consignment was not accepted before", findings);
            return;
        };
        let addressed = leaf.value(Field::Addressed).unwrap_or_default();
        let told_by = self.teller(leaf);
        let closed = self.agencies.get(addressed).copied();
        let course = closed.and_then(|code| self.deliveries.get_mut(&(consignment, code)));
        let broken = match course {
            None => Some(format!("nothing was consigned to {addressed} under this consignment")),
            Some(_) if leaf.value(Field::To) == Some(addressed) => {
                Some(format!("{addressed} is its own successor"))
            }
            Some(course) => course.redirect(told_by).map(|why| format!("{addressed} {why}")),
        };
        if let Some(message) = broken {
            findings.add(Some(id), Rule::RedirectionWrong, message);
        }
        self.hold_parties(id, consignment, leaf, findings);
        self.deliver(Some(consignment), leaf);
    }

    /// An entry about a consignment of which nothing is known.
    fn orphan(&mut self, id: EntryId, message: &str, findings: &mut Findings) {
        match &mut self.earlier {
            Some(earlier) => *earlier += 1,
            None => findings.add(Some(id), Rule::AnswerOrphaned, message),
        }
    }

    /// An entry about a delivery after its consignment.
    fn later(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        if !leaf.names_a_delivery() {
            return; // Its missing fields were named already.
        }
        let to = leaf.value(Field::To).unwrap_or_default();
        let told_by = self.teller(leaf);
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
        let (accepted, brought_by) =
            parties.map_or((0, NOBODY), |parties| (parties.accepted, parties.brought_by));
        let after = |moment: u64| u32::try_from(millis(moment).saturating_sub(accepted)).ok();
        let now = after(leaf.moment).unwrap_or(UNKNOWN);
        state.hear(id, leaf, told_by, brought_by, findings);
        let early = leaf.since().is_some_and(|since| millis(since) < accepted);
        let since = leaf.since().map(|since| match early {
            true => None,
            false => after(since),
        });
        state.take(id, leaf, to, now, since, findings);
        if leaf.kind == Kind::Order
            && let Some(by) = leaf.by()
            && !self.consignments.contains_key(&by)
            && self.earlier.is_none()
        {
            let message = "what updates or replaces it was not accepted before";
            findings.add(Some(id), Rule::OrderSequence, message);
        }
        self.hold_parties(id, consignment, leaf, findings);
    }

    /// An erasure, a hold or a release.
    fn keeping(&mut self, id: EntryId, leaf: &Leaf<'_>, findings: &mut Findings) {
        let Some(consignment) = leaf.consignment() else { return };
        match self.consignments.get(&consignment).copied() {
            Some(consignment) => {
                self.keeping.take(id, consignment, leaf, findings);
                self.hold_parties(id, consignment, leaf, findings);
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
            () if leaf.has_urgency() && leaf.initial_of_urgency() != parties.urgency => "urgency",
            () => return,
        };
        let message = format!("its {differs} is not that of the acceptance");
        findings.add(Some(id), Rule::PartiesDiffer, message);
    }

    fn number(&mut self, name: &str) -> Number {
        if let Some(number) = self.agencies.get(name) {
            return *number;
        }
        let number = Number::try_from(self.agencies.len()).unwrap_or(Number::MAX);
        self.agencies.insert(name.into(), number);
        number
    }

    /// The neighbour that the entry names. Its text has a space, so that it is no agency's code.
    fn neighbour(&mut self, leaf: &Leaf<'_>) -> Number {
        leaf.value(Field::Service).map_or(NOBODY, |service| self.number(service))
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
