//! The mailboxes: what waits, and who works on it. Leases live in memory; a restart forgets them,
//! and then an item is offered again, never lost.

use uuid::Uuid;

use super::keyspace as key;
use super::kv::{Kv, Medium, Pair};
use super::record;
use super::table::Table;
use crate::clock::Time;
use crate::delivery::{Holder, Token};
use crate::directory::Code;
use crate::document::Urgency;
use crate::gateway::ports::{Item, LeaseRequest, Leased, Mailboxes, Settled, StoreError};
use crate::limits::SCAN_PAGE;
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
        let LeaseRequest { agency, holder, cursor, now, until, max } = request;
        let max = max.saturating_sub(leases.count(holder, now));
        let mut leased = Vec::new();
        let mut from = key::mailbox(agency);
        while leased.len() < max {
            let page = items(open.kv.as_ref(), agency, &from, SCAN_PAGE)?;
            let Some(last) = page.last() else { break };
            from = key::next(key::waiting(agency, last.urgency, last.position));
            for item in page {
                if leased.len() == max {
                    break;
                }
                let (urgency, position) = (item.urgency, item.position);
                let token = Token(Uuid::new_v4());
                let attempt =
                    leases.take(agency, urgency, position, holder, &cursor, now, until, token);
                leased.extend(attempt.map(|attempt| Leased { item, token, until, attempt }));
            }
        }
        Ok(leased)
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
