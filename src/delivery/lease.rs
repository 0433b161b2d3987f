//! Leases: who works on which waiting item, and until when. Kept in memory by the store.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::cursor::Cursor;
use crate::clock::Time;
use crate::directory::Code;
use crate::document::Urgency;
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

#[derive(Debug)]
struct Lease {
    holder: Option<Holder>,
    token: Token,
    until: Time,
    attempt: u32,
}

/// All live leases.
#[derive(Debug, Default)]
pub struct Leases {
    held: HashMap<(Code, EntryId), Lease>,
    by_holder: HashMap<Holder, HashSet<(Code, EntryId)>>,
}

impl Leases {
    /// Hands the item to `holder` until `until`, unless it is held by another. Gives the number of
    /// times it has been handed out, this one included.
    ///
    /// A watcher whose cursor has passed the item said that it has seen it: it gets it again only
    /// when the lease under which it was seen has run out.
    #[expect(clippy::too_many_arguments, reason = "one item and one watcher, both in full")]
    pub fn take(
        &mut self,
        agency: &Code,
        urgency: Urgency,
        position: EntryId,
        holder: Holder,
        cursor: &Cursor,
        now: Time,
        until: Time,
        token: Token,
    ) -> Option<u32> {
        let key = (agency.clone(), position);
        let seen = cursor.has_seen(urgency, position);
        match self.held.get(&key) {
            Some(lease) if now >= lease.until => {}
            Some(lease) if lease.holder.is_none() && !seen => {}
            Some(_) => return None,
            None if seen => {
                // Seen before a restart: the lease is forgotten, its time is granted once more.
                let lease = Lease { holder: None, token, until, attempt: 1 };
                self.held.insert(key, lease);
                return None;
            }
            None => {}
        }
        let attempt = self.held.get(&key).map_or(1, |lease| lease.attempt.saturating_add(1));
        self.by_holder.entry(holder).or_default().insert(key.clone());
        self.held.insert(key, Lease { holder: Some(holder), token, until, attempt });
        Some(attempt)
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
        let lease = self.held.get(&(agency.clone(), position));
        let live = lease.filter(|lease| now < lease.until);
        match (live, token) {
            (Some(lease), Some(token)) if lease.token == token => Ok(()),
            (Some(lease), None) if lease.holder.is_none() => Ok(()),
            (None, None) => Ok(()),
            _ => Err(LeaseLost),
        }
    }

    /// Forgets an item that waits no longer.
    pub fn forget(&mut self, agency: &Code, position: EntryId) {
        let key = (agency.clone(), position);
        if let Some(holder) = self.held.remove(&key).and_then(|lease| lease.holder)
            && let Some(keys) = self.by_holder.get_mut(&holder)
        {
            keys.remove(&key);
        }
    }

    /// The watcher is gone: what it held is free for others at once.
    pub fn release(&mut self, holder: Holder) {
        for key in self.by_holder.remove(&holder).into_iter().flatten() {
            if let Some(lease) = self.held.get_mut(&key)
                && lease.holder == Some(holder)
            {
                lease.holder = None;
            }
        }
    }

    /// How many items `holder` holds at `now`.
    pub fn count(&self, holder: Holder, now: Time) -> usize {
        let keys = self.by_holder.get(&holder).into_iter().flatten();
        let live = |lease: &Lease| lease.holder == Some(holder) && now < lease.until;
        keys.filter(|key| self.held.get(key).is_some_and(live)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Desk {
        leases: Leases,
        agency: Code,
        position: EntryId,
    }

    impl Desk {
        fn new() -> Self {
            let agency = Code::parse("H49").expect("a code");
            Self { leases: Leases::default(), agency, position: EntryId { epoch: 1, index: 4 } }
        }

        fn take(&mut self, holder: u128, token: u128, cursor: &Cursor, now: i64) -> Option<u32> {
            let now = Time::from_seconds(now);
            let until = now.after(Duration::from_secs(60));
            let (holder, token) = (Holder(Uuid::from_u128(holder)), Token(Uuid::from_u128(token)));
            let Self { leases, agency, position } = self;
            leases.take(agency, Urgency::Normal, *position, holder, cursor, now, until, token)
        }

        fn check(&self, token: Option<u128>, now: i64) -> Result<(), LeaseLost> {
            let token = token.map(|token| Token(Uuid::from_u128(token)));
            self.leases.check(&self.agency, self.position, token, Time::from_seconds(now))
        }
    }

    #[test]
    fn a_held_item_is_not_handed_out_twice_until_its_lease_ends() {
        let (mut desk, fresh) = (Desk::new(), Cursor::default());
        assert_eq!(desk.take(1, 11, &fresh, 0), Some(1));
        assert_eq!(desk.take(2, 12, &fresh, 59), None);
        assert_eq!(desk.check(Some(11), 59), Ok(()));
        assert_eq!(desk.check(None, 59), Err(LeaseLost));
        assert_eq!(desk.take(2, 13, &fresh, 60), Some(2));
        assert_eq!(desk.check(Some(11), 61), Err(LeaseLost));
        assert_eq!(desk.check(Some(13), 61), Ok(()));
        assert_eq!(desk.check(Some(13), 120), Err(LeaseLost));
    }

    #[test]
    fn a_watcher_that_leaves_frees_its_items_for_those_who_have_not_seen_them() {
        let (mut desk, fresh) = (Desk::new(), Cursor::default());
        let mut seen = fresh;
        seen.see(Urgency::Normal, desk.position);
        assert_eq!(desk.take(1, 11, &fresh, 0), Some(1));
        desk.leases.release(Holder(Uuid::from_u128(1)));
        assert_eq!(desk.take(2, 12, &seen, 1), None);
        assert_eq!(desk.take(3, 13, &fresh, 2), Some(2));
        let holder = Holder(Uuid::from_u128(3));
        assert_eq!(desk.leases.count(holder, Time::from_seconds(3)), 1);
        assert_eq!(desk.leases.count(holder, Time::from_seconds(62)), 0);
    }

    #[test]
    fn after_a_restart_an_item_already_seen_comes_back_after_one_lease() {
        let mut desk = Desk::new();
        let mut seen = Cursor::default();
        seen.see(Urgency::Normal, desk.position);
        assert_eq!(desk.take(1, 11, &seen, 0), None);
        assert_eq!(desk.take(1, 12, &seen, 59), None);
        assert_eq!(desk.take(1, 13, &seen, 60), Some(2));
    }
}
