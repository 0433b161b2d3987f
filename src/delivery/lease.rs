//! Leases: who works on which waiting item, and until when. Kept in memory by the store.
//!
//! Every item of a mailbox that was ever handed out and still waits has a lease here; behind the last
//! of them, lane by lane, the store says what is fresh. So nothing is looked at twice that somebody
//! holds, however much waits.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::cursor::Cursor;
use super::lane::{ASIDE, LANES, Window};
use crate::clock::Time;
use crate::directory::Code;
use crate::document::{ConsignmentId, Urgency};
use crate::limits::POISON_ATTEMPTS;
use crate::log::EntryId;

/// One watcher: a stream or a single call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Holder(pub Uuid);

/// Proof of a lease; a new one each time an item is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token(pub Uuid);

/// The token is not the one under which the item is held now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lease has expired or belongs to another")]
pub struct LeaseLost;

/// Who wants items.
#[derive(Debug, Clone)]
pub struct LeaseRequest<'a> {
    /// Whose mailbox.
    pub agency: &'a Code,
    /// For whom.
    pub holder: Holder,
    /// What it has seen.
    pub cursor: Cursor,
    /// The time.
    pub now: Time,
    /// Until when it may hold them.
    pub until: Time,
    /// How many it may hold at once, those it holds already included.
    pub max: usize,
    /// How many it wants now.
    pub at_once: usize,
}

/// An item that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOut {
    /// Its lane.
    pub urgency: Urgency,
    /// Its place in the lane.
    pub position: EntryId,
    /// What it is.
    pub consignment: ConsignmentId,
    /// Proof of the lease.
    pub token: Token,
    /// How many times it has been handed out, this one included.
    pub attempt: u32,
}

/// The first item that waits in a lane at a place or behind it, as the store has it.
pub type Fresh<'a, E> = &'a dyn Fn(Urgency, EntryId) -> Result<Option<(EntryId, ConsignmentId)>, E>;

#[derive(Debug)]
struct Lease {
    urgency: Urgency,
    consignment: ConsignmentId,
    holder: Option<Holder>,
    /// The lane in whose place of the holder's window it is.
    lane: usize,
    token: Token,
    until: Time,
    attempt: u32,
}

/// The leases of one agency.
#[derive(Debug)]
struct Mailbox {
    leases: BTreeMap<EntryId, Lease>,
    /// Nothing waits before it in its lane that has no lease.
    fresh_from: [EntryId; ASIDE],
    /// What nobody holds, by lane.
    returned: [BTreeSet<EntryId>; ASIDE],
    /// What nobody holds and nobody answered so often that it is set aside; comes after its time.
    aside: BTreeSet<(Time, EntryId)>,
    /// When the leases end that somebody holds.
    ends: BTreeSet<(Time, EntryId)>,
}

/// What one watcher holds.
#[derive(Debug, Default)]
struct Desk {
    items: HashSet<(Code, EntryId)>,
    window: Window,
}

/// All leases.
#[derive(Debug, Default)]
pub struct Leases {
    mailboxes: HashMap<Code, Mailbox>,
    desks: HashMap<Holder, Desk>,
}

impl Leases {
    /// Hands waiting items to a watcher: by the turns of the lanes, in a lane in order.
    /// `token` makes a new token for each.
    ///
    /// A watcher whose cursor has passed an item said that it has seen it: it gets it again only when
    /// the lease under which it was seen has run out.
    ///
    /// # Errors
    /// Those of `fresh`; what it was given before comes again after its time.
    pub fn hand_out<E>(
        &mut self,
        request: &LeaseRequest<'_>,
        fresh: Fresh<'_, E>,
        token: impl FnMut() -> Token,
    ) -> Result<Vec<HandedOut>, E> {
        let agency = request.agency;
        self.expire(agency, request.now);
        let mut mailbox = self.mailboxes.remove(agency).unwrap_or_default();
        let mut desk = self.desks.remove(&request.holder).unwrap_or_default();
        let outcome = mailbox.hand_out(request, &mut desk, fresh, token);
        if let Ok(handed_out) = &outcome {
            let keys = handed_out.iter().map(|one| (agency.clone(), one.position));
            desk.items.extend(keys);
        }
        if !mailbox.leases.is_empty() {
            self.mailboxes.insert(agency.clone(), mailbox);
        }
        self.desks.insert(request.holder, desk);
        outcome
    }

    /// Checks a token. Without one, the item must not be held by anyone.
    ///
    /// # Errors
    /// [`LeaseLost`].
    pub fn check(
        &self,
        agency: &Code,
        position: EntryId,
        token: Option<Token>,
        now: Time,
    ) -> Result<(), LeaseLost> {
        let live = self.lease(agency, position).filter(|lease| now < lease.until);
        match (live, token) {
            (Some(lease), Some(token)) if lease.token == token => Ok(()),
            (Some(lease), None) if lease.holder.is_none() => Ok(()),
            (None, None) => Ok(()),
            _ => Err(LeaseLost),
        }
    }

    /// How often an item was handed out without an answer.
    pub fn attempts(&self, agency: &Code, position: EntryId) -> u32 {
        self.lease(agency, position).map_or(0, |lease| lease.attempt)
    }

    /// How many items were handed out so often, or more often, without an answer.
    pub fn unanswered(&self, attempts: u32) -> usize {
        let leases = self.mailboxes.values().flat_map(|mailbox| mailbox.leases.values());
        leases.filter(|lease| lease.attempt >= attempts).count()
    }

    /// Notes that an item waits, wherever in its lane.
    pub fn arrived(&mut self, agency: &Code, urgency: Urgency, position: EntryId) {
        if let Some(mailbox) = self.mailboxes.get_mut(agency) {
            let from = &mut mailbox.fresh_from[usize::from(urgency.lane())];
            *from = position.min(*from);
        }
    }

    /// Forgets an item that waits no longer.
    pub fn forget(&mut self, agency: &Code, position: EntryId) {
        let Some(mailbox) = self.mailboxes.get_mut(agency) else { return };
        let Some(lease) = mailbox.leases.remove(&position) else { return };
        match lease.holder {
            Some(holder) => {
                mailbox.ends.remove(&(lease.until, position));
                free(&mut self.desks, holder, agency, position, lease.lane);
            }
            None => {
                mailbox.returned[usize::from(lease.urgency.lane())].remove(&position);
                mailbox.aside.remove(&(lease.until, position));
            }
        }
        if mailbox.leases.is_empty() {
            self.mailboxes.remove(agency);
        }
    }

    /// The watcher is gone: what it held is free for others at once, unless it is set aside.
    pub fn release(&mut self, holder: Holder) {
        let Some(desk) = self.desks.remove(&holder) else { return };
        for (agency, position) in desk.items {
            let Some(mailbox) = self.mailboxes.get_mut(&agency) else { continue };
            if let Some(lease) = mailbox.leases.get(&position) {
                mailbox.ends.remove(&(lease.until, position));
                mailbox.put_back(position);
            }
        }
    }

    fn lease(&self, agency: &Code, position: EntryId) -> Option<&Lease> {
        self.mailboxes.get(agency)?.leases.get(&position)
    }

    /// Takes back what was held for too long.
    fn expire(&mut self, agency: &Code, now: Time) {
        let Some(mailbox) = self.mailboxes.get_mut(agency) else { return };
        while let Some((until, position)) = mailbox.ends.first().copied() {
            if now < until {
                return;
            }
            mailbox.ends.pop_first();
            let held = mailbox.leases.get(&position).map(|lease| (lease.holder, lease.lane));
            if let Some((Some(holder), lane)) = held {
                free(&mut self.desks, holder, agency, position, lane);
            }
            mailbox.put_back(position);
        }
    }
}

/// A watcher holds an item no longer.
fn free(
    desks: &mut HashMap<Holder, Desk>,
    holder: Holder,
    agency: &Code,
    position: EntryId,
    lane: usize,
) {
    if let Some(desk) = desks.get_mut(&holder)
        && desk.items.remove(&(agency.clone(), position))
    {
        desk.window.free(lane);
    }
}

impl Default for Mailbox {
    fn default() -> Self {
        Self {
            leases: BTreeMap::new(),
            fresh_from: [EntryId::ZERO; ASIDE],
            returned: Default::default(),
            aside: BTreeSet::new(),
            ends: BTreeSet::new(),
        }
    }
}

impl Mailbox {
    fn hand_out<E>(
        &mut self,
        request: &LeaseRequest<'_>,
        desk: &mut Desk,
        fresh: Fresh<'_, E>,
        mut token: impl FnMut() -> Token,
    ) -> Result<Vec<HandedOut>, E> {
        let mut handed_out = Vec::new();
        let mut heads = [None; LANES];
        let mut looked = [false; LANES];
        while handed_out.len() < request.at_once {
            for lane in 0..LANES {
                if !std::mem::replace(&mut looked[lane], true) {
                    heads[lane] = self.head(lane, request, fresh, &mut token)?;
                }
            }
            let ready = heads.map(|head| head.is_some());
            let Some(lane) = desk.window.take(ready, request.max) else { break };
            let Some(position) = heads[lane] else { break };
            looked[lane] = false;
            handed_out.extend(self.give(position, lane, request, token()));
        }
        Ok(handed_out)
    }

    /// The first item of a lane that this watcher may have. A fresh one gets its lease here.
    fn head<E>(
        &mut self,
        lane: usize,
        request: &LeaseRequest<'_>,
        fresh: Fresh<'_, E>,
        token: &mut impl FnMut() -> Token,
    ) -> Result<Option<EntryId>, E> {
        let now = request.now;
        let Some(urgency) = u8::try_from(lane).ok().and_then(Urgency::of_lane) else {
            let first = self.aside.first().filter(|(until, _)| *until <= now);
            return Ok(first.map(|(_, position)| *position));
        };
        let seen = |position: EntryId| request.cursor.has_seen(urgency, position);
        let over = |position: &EntryId| self.leases.get(position).is_some_and(|it| it.until <= now);
        let returned = self.returned[lane].iter();
        let returned = returned.copied().find(|position| !seen(*position) || over(position));
        if returned.is_some() {
            return Ok(returned);
        }
        while let Some((position, consignment)) = fresh(urgency, self.fresh_from[lane])? {
            self.fresh_from[lane] = position.next();
            if self.leases.contains_key(&position) {
                continue;
            }
            let seen = seen(position);
            let lease = Lease {
                urgency,
                consignment,
                holder: None,
                lane,
                token: token(),
                // Seen before a restart: the lease is forgotten, its time is granted once more.
                until: if seen { request.until } else { now },
                attempt: u32::from(seen),
            };
            self.leases.insert(position, lease);
            self.returned[lane].insert(position);
            if !seen {
                return Ok(Some(position));
            }
        }
        Ok(None)
    }

    fn give(
        &mut self,
        position: EntryId,
        lane: usize,
        request: &LeaseRequest<'_>,
        token: Token,
    ) -> Option<HandedOut> {
        let lease = self.leases.get_mut(&position)?;
        self.returned[usize::from(lease.urgency.lane())].remove(&position);
        self.aside.remove(&(lease.until, position));
        *lease = Lease {
            holder: Some(request.holder),
            lane,
            token,
            until: request.until,
            attempt: lease.attempt.saturating_add(1),
            ..*lease
        };
        self.ends.insert((request.until, position));
        let Lease { urgency, consignment, attempt, .. } = *lease;
        Some(HandedOut { urgency, position, consignment, token, attempt })
    }

    /// Nobody holds the item any more, and nobody has answered it.
    fn put_back(&mut self, position: EntryId) {
        let Some(lease) = self.leases.get_mut(&position) else { return };
        lease.holder = None;
        if lease.attempt >= POISON_ATTEMPTS {
            self.aside.insert((lease.until, position));
        } else {
            self.returned[usize::from(lease.urgency.lane())].insert(position);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{LANE_PLACES, LEASED_ITEMS_MAX};
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::time::Duration;

    const LEASE: Duration = Duration::from_secs(60);

    /// A mailbox with what waits in it, and a watcher's call.
    struct Room {
        leases: Leases,
        agency: Code,
        waiting: BTreeSet<(Urgency, EntryId)>,
        tokens: u128,
        looks: Cell<usize>,
    }

    fn at(index: u64) -> EntryId {
        EntryId { epoch: 1, index }
    }

    fn holder(number: u128) -> Holder {
        Holder(Uuid::from_u128(number))
    }

    impl Room {
        fn with(waiting: &[(Urgency, u64)]) -> Self {
            let waiting = waiting.iter().map(|(urgency, index)| (*urgency, at(*index))).collect();
            let agency = Code::parse("H49").expect("a code");
            let looks = Cell::new(0);
            Self { leases: Leases::default(), agency, waiting, tokens: 0, looks }
        }

        fn take(&mut self, by: u128, max: usize, cursor: &Cursor, now: i64) -> Vec<HandedOut> {
            let now = Time::from_seconds(now);
            let request = LeaseRequest {
                agency: &self.agency,
                holder: holder(by),
                cursor: *cursor,
                now,
                until: now.after(LEASE),
                max,
                at_once: max,
            };
            let (waiting, looks) = (&self.waiting, &self.looks);
            let fresh = |urgency: Urgency, from: EntryId| {
                looks.set(looks.get() + 1);
                let next = waiting.range((urgency, from)..).next();
                let next = next.filter(|(lane, _)| *lane == urgency);
                let consignment = ConsignmentId(Uuid::nil());
                Ok::<_, Infallible>(next.map(|(_, position)| (*position, consignment)))
            };
            let tokens = &mut self.tokens;
            let token = || {
                *tokens += 1;
                Token(Uuid::from_u128(*tokens))
            };
            self.leases.hand_out(&request, &fresh, token).unwrap_or_default()
        }

        /// Position and attempt of the only item that is handed out.
        fn one(&mut self, by: u128, cursor: &Cursor, now: i64) -> Option<(u64, u32)> {
            let taken = self.take(by, 1, cursor, now);
            taken.first().map(|one| (one.position.index, one.attempt))
        }

        fn check(&self, token: Option<Token>, now: i64) -> Result<(), LeaseLost> {
            self.leases.check(&self.agency, at(4), token, Time::from_seconds(now))
        }

        fn answer(&mut self, index: u64) {
            self.waiting.retain(|(_, position)| *position != at(index));
            self.leases.forget(&self.agency, at(index));
        }
    }

    fn seen(index: u64) -> Cursor {
        let mut cursor = Cursor::default();
        cursor.see(Urgency::Normal, at(index));
        cursor
    }

    #[test]
    fn a_held_item_is_not_handed_out_twice_until_its_lease_ends() {
        let (mut room, new) = (Room::with(&[(Urgency::Normal, 4)]), Cursor::default());
        let first = room.take(1, 9, &new, 0)[0];
        assert_eq!(room.take(2, 9, &new, 59), vec![]);
        assert_eq!(room.check(Some(first.token), 59), Ok(()));
        assert_eq!(room.check(None, 59), Err(LeaseLost));
        let second = room.take(2, 9, &new, 60)[0];
        assert_eq!((first.attempt, second.attempt), (1, 2));
        assert_eq!(room.check(Some(first.token), 61), Err(LeaseLost));
        assert_eq!(room.check(Some(second.token), 61), Ok(()));
        assert_eq!(room.check(Some(second.token), 120), Err(LeaseLost));
    }

    #[test]
    fn a_watcher_that_leaves_frees_its_items_for_those_who_have_not_seen_them() {
        let (mut room, new) = (Room::with(&[(Urgency::Normal, 4)]), Cursor::default());
        assert_eq!(room.one(1, &new, 0), Some((4, 1)));
        room.leases.release(holder(1));
        assert_eq!(room.one(2, &seen(4), 1), None);
        assert_eq!(room.one(3, &new, 2), Some((4, 2)));
        assert_eq!(room.one(4, &new, 61), None);
        assert_eq!(room.one(4, &new, 62), Some((4, 3)));
    }

    #[test]
    fn after_a_restart_an_item_already_seen_comes_back_after_one_lease() {
        let mut room = Room::with(&[(Urgency::Normal, 4)]);
        assert_eq!(room.one(1, &seen(4), 0), None);
        assert_eq!(room.one(1, &seen(4), 59), None);
        assert_eq!(room.one(1, &seen(4), 60), Some((4, 2)));
    }

    #[test]
    fn a_window_is_filled_once_and_an_answer_makes_room_for_one() {
        let many: Vec<_> = (0..600).map(|index| (Urgency::Normal, index)).collect();
        let (mut room, new) = (Room::with(&many), Cursor::default());
        let taken = room.take(1, LEASED_ITEMS_MAX, &new, 0);
        // The places of the other lanes stay free for them.
        let others: usize = LANE_PLACES[..3].iter().sum();
        assert_eq!(taken.len(), LEASED_ITEMS_MAX - others);
        assert!(taken.iter().map(|one| one.position.index).eq(0..taken.len() as u64));
        room.answer(3);
        let looks = room.looks.get();
        let next = room.take(1, LEASED_ITEMS_MAX, &new, 1);
        assert_eq!(next.iter().map(|one| one.position.index).collect::<Vec<_>>(), vec![128]);
        assert!(room.looks.get() - looks <= 10, "what is held is not looked at again");
        room.waiting.insert((Urgency::Flash, at(700)));
        assert_eq!(room.take(1, LEASED_ITEMS_MAX, &new, 1)[0].position, at(700));
    }

    #[test]
    fn an_item_that_nobody_answers_is_set_behind_all_others_and_not_lost() {
        let (mut room, new) = (Room::with(&[(Urgency::Flash, 4)]), Cursor::default());
        for attempt in 1..=POISON_ATTEMPTS {
            // A system that takes it, falls over, and comes again at once.
            assert_eq!(room.one(attempt.into(), &new, 0), Some((4, attempt)));
            room.leases.release(holder(attempt.into()));
        }
        assert_eq!(room.leases.unanswered(POISON_ATTEMPTS), 1);
        assert_eq!(room.leases.attempts(&room.agency, at(4)), POISON_ATTEMPTS);
        assert_eq!(room.one(20, &new, 59), None, "not before its time");
        for index in 5..8 {
            room.waiting.insert((Urgency::Normal, at(index)));
        }
        for index in 5..8 {
            assert_eq!(room.one(20, &new, 60), Some((index, 1)), "before it");
            room.answer(index);
        }
        assert_eq!(room.one(20, &new, 60), Some((4, POISON_ATTEMPTS + 1)));
        room.answer(4);
        assert_eq!(room.leases.unanswered(1), 0);
        assert!(room.leases.mailboxes.is_empty(), "nothing is remembered of what is answered");
    }

    #[test]
    fn what_comes_before_the_last_item_handed_out_is_found() {
        let (mut room, new) = (Room::with(&[(Urgency::Normal, 9)]), Cursor::default());
        assert_eq!(room.one(1, &new, 0), Some((9, 1)));
        room.waiting.insert((Urgency::Normal, at(5)));
        room.leases.arrived(&room.agency, Urgency::Normal, at(5));
        assert_eq!(room.one(2, &new, 0), Some((5, 1)));
        assert_eq!(room.one(3, &new, 0), None);
    }
}
