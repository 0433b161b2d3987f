//! What waits for too long, and what nobody answers: told to the operator before anyone asks.

use super::Gateway;
use super::ports::{Item, StoreError};
use crate::clock::Time;
use crate::directory::Code;
use crate::document::Urgency;
use crate::limits::{POISON_ATTEMPTS, SCAN_PAGE};

/// A mailbox in which something waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Whose.
    pub agency: Code,
    /// What has waited longest.
    pub oldest: Item,
    /// Since when.
    pub since: Time,
    /// How often it was handed out without an answer since the start of the gateway.
    pub attempts: u32,
    /// How many watch the mailbox now.
    pub watchers: usize,
    /// When somebody looked into it last; `None` if nobody has since the start.
    pub last_look: Option<Time>,
}

/// All mailboxes together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// Since when something has waited in each lane, most urgent first.
    pub oldest: [Option<Time>; 4],
    /// Items that are set aside, because they were handed out [`POISON_ATTEMPTS`] times without an answer.
    pub set_aside: usize,
}

impl Gateway {
    /// Up to `max` mailboxes in which something waits, after `after`, in the order of their codes.
    ///
    /// # Errors
    /// The store's.
    pub fn stuck(&self, after: Option<&Code>, max: usize) -> Result<Vec<Stuck>, StoreError> {
        let mut all = Vec::new();
        for backlog in self.store.backlogs(after, max)? {
            let agency = backlog.agency;
            // Positions are in the order of time, whatever the lane.
            let oldest = backlog.oldest.into_iter().min_by_key(|item| item.position);
            let Some(oldest) = oldest else { continue };
            all.push(Stuck {
                since: self.reading.entry(oldest.position)?.time,
                attempts: self.store.attempts(&agency, oldest.position),
                watchers: self.dispatcher.watchers(&agency),
                last_look: self.dispatcher.last_look(&agency),
                agency,
                oldest,
            });
        }
        Ok(all)
    }

    /// What waits in all mailboxes. Reads four keys for each.
    ///
    /// # Errors
    /// The store's.
    pub fn overview(&self) -> Result<Overview, StoreError> {
        let mut oldest = [None; 4];
        let mut after: Option<Code> = None;
        loop {
            let page = self.store.backlogs(after.as_ref(), SCAN_PAGE)?;
            for item in page.iter().flat_map(|backlog| &backlog.oldest) {
                let first = &mut oldest[usize::from(item.urgency.lane())];
                *first = Some(first.map_or(item.position, |first| item.position.min(first)));
            }
            match page.last() {
                Some(last) => after = Some(last.agency.clone()),
                None => break,
            }
        }
        let mut overview =
            Overview { set_aside: self.store.unanswered(POISON_ATTEMPTS), ..Overview::default() };
        for (_, urgency) in Urgency::WORDS {
            let lane = usize::from(urgency.lane());
            let entry = oldest[lane].map(|id| self.reading.entry(id)).transpose()?;
            overview.oldest[lane] = entry.map(|entry| entry.time);
        }
        Ok(overview)
    }
}
