//! The mailboxes: what waits, and who works on it. Leases live in memory; a restart forgets them,
//! and then an item is offered again, never lost.

use uuid::Uuid;

use super::keyspace as key;
use super::kv::{Kv, Medium, Pair};
use super::record;
use super::table::Table;
use crate::clock::Time;
use crate::delivery::{HandedOut, Holder, LeaseRequest, Token};
use crate::directory::Code;
use crate::document::Urgency;
use crate::gateway::ports::{Backlog, Backlogs, Item, Leased, Mailboxes, Settled, StoreError};
use crate::log::EntryId;

impl<M: Medium> Mailboxes for Table<M> {
    fn waiting(
        &self,
        agency: &Code,
        after: Option<(Urgency, EntryId)>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let from = match after {
            Some((urgency, position)) => key::next(key::waiting(agency, urgency, position)),
            None => key::mailbox(agency),
        };
        items(self.reading()?.kv.as_ref(), agency, &from, max)
    }

    fn lease(&self, request: LeaseRequest<'_>) -> Result<Vec<Leased>, StoreError> {
        let mut leases = self.leases();
        let open = self.reading()?;
        let (agency, until) = (request.agency, request.until);
        let fresh = |urgency, from| {
            let (from, end) =
                (key::waiting(agency, urgency, from), key::end_of(&key::lane(agency, urgency)));
            let found = open.kv.scan(&from, &end, 1)?;
            let item = found.first().map(item).transpose()?;
            Ok::<_, StoreError>(item.map(|item| (item.position, item.consignment)))
        };
        let handed_out = leases.hand_out(&request, &fresh, || Token(Uuid::new_v4()))?;
        let leased = |one: HandedOut| {
            let HandedOut { urgency, position, consignment, token, attempt } = one;
            Leased { item: Item { urgency, position, consignment }, token, until, attempt }
        };
        Ok(handed_out.into_iter().map(leased).collect())
    }

    fn check_lease(&self, settled: &Settled, now: Time) -> Result<(), StoreError> {
        Ok(self.leases().check(&settled.agency, settled.position, settled.token, now)?)
    }

    fn release(&self, holder: Holder) {
        self.leases().release(holder);
    }

    fn notices(
        &self,
        agency: &Code,
        after: EntryId,
        max: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        let from = key::next(key::notice(agency, after));
        self.entries(&from, &key::end_of(&key::notices(agency)), max)
    }
}

impl<M: Medium> Backlogs for Table<M> {
    fn backlogs(&self, after: Option<&Code>, max: usize) -> Result<Vec<Backlog>, StoreError> {
        let open = self.reading()?;
        let kv = open.kv.as_ref();
        let (mut from, end) = match after {
            Some(agency) => (key::end_of(&key::mailbox(agency)), key::end_of(b"w")),
            None => (b"w".to_vec(), key::end_of(b"w")),
        };
        let mut backlogs = Vec::new();
        while backlogs.len() < max {
            let Some(first) = kv.scan(&from, &end, 1)?.pop() else { break };
            let agency =
                key::agency_of(&first.0).ok_or_else(|| record::unreadable("waiting item"))?;
            let mut oldest = vec![item(&first)?];
            let behind = Urgency::WORDS.iter().map(|(_, urgency)| *urgency);
            for urgency in behind.filter(|urgency| *urgency > oldest[0].urgency).collect::<Vec<_>>()
            {
                let lane = key::lane(&agency, urgency);
                oldest.extend(
                    kv.scan(&lane, &key::end_of(&lane), 1)?.iter().map(item).next().transpose()?,
                );
            }
            from = key::end_of(&key::mailbox(&agency));
            backlogs.push(Backlog { agency, oldest });
        }
        Ok(backlogs)
    }

    fn attempts(&self, agency: &Code, position: EntryId) -> u32 {
        self.leases().attempts(agency, position)
    }

    fn unanswered(&self, attempts: u32) -> usize {
        self.leases().unanswered(attempts)
    }
}

/// Up to `max` items of a mailbox from a key on.
fn items(kv: &dyn Kv, agency: &Code, from: &[u8], max: usize) -> Result<Vec<Item>, StoreError> {
    let pairs = kv.scan(from, &key::end_of(&key::mailbox(agency)), max)?;
    pairs.iter().map(item).collect()
}

fn item((key, value): &Pair) -> Result<Item, StoreError> {
    let consignment = record::read_waiting(value)?;
    let place = || Some((key::lane_of(key)?, key::entry_at_end(key)?));
    let (urgency, position) = place().ok_or_else(|| record::unreadable("waiting item"))?;
    Ok(Item { urgency, position, consignment })
}
