//! Deadlines: what a recipient did not do in time is recorded by the gateway itself.
//!
//! Consignments stand in the log in the order of time, so those of one urgency end in the order in
//! which they stand: a place in the log for each failure and urgency says which are still to be looked
//! at. It is kept with the entries that it explains. After a crash, or a rebuild that begins anew,
//! some are looked at again and none is recorded twice, because the delivery says so.

use std::sync::Arc;

use super::ports::{StoreError, Which};
use super::recording::{Fact, Recording};
use super::{Error, Fault, Gateway};
use crate::clock::Time;
use crate::delivery::{Change, Deadlines, Failure, Transport};
use crate::document::Urgency;
use crate::limits::{DEADLINES_LOOK, RECORDED_AT_ONCE, SCAN_PAGE};
use crate::log::{Entry, EntryId};

/// Pages that are looked at before the place is kept, if nothing is to be recorded.
const PAGES_UNKEPT_MAX: usize = 64;

/// What is looked at together: the urgencies whose time is the same.
#[derive(Debug, Clone)]
struct Sweep {
    failure: Failure,
    urgencies: Vec<Urgency>,
    next: EntryId,
    kept: EntryId,
    /// The end of the first that is still in time: nothing is due until then.
    waits_until: Option<Time>,
}

/// What a look at the log found.
struct Found {
    sweep: Sweep,
    facts: Vec<Fact>,
    /// Whether there is nothing more to look at now.
    done: bool,
}

impl Gateway {
    /// Records what was not done in time, for as long as the gateway runs.
    ///
    /// # Errors
    /// The writer's, once it has stopped, and the store's.
    pub async fn keep_deadlines(self: Arc<Self>, deadlines: Arc<Deadlines>) -> Result<(), Error> {
        let mut sweeps = self.sweeps(&deadlines)?;
        loop {
            for sweep in &mut sweeps {
                self.sweep(&deadlines, sweep).await?;
            }
            tokio::time::sleep(DEADLINES_LOOK).await;
        }
    }

    fn sweeps(&self, deadlines: &Deadlines) -> Result<Vec<Sweep>, StoreError> {
        let mut sweeps: Vec<Sweep> = Vec::new();
        for failure in Failure::ALL {
            for (_, urgency) in Urgency::WORDS {
                let next = self.store.swept(failure, *urgency)?;
                let span = deadlines.span(failure, *urgency);
                let alike = sweeps.iter_mut().find(|sweep| {
                    sweep.failure == failure
                        && sweep.urgencies.iter().all(|one| deadlines.span(failure, *one) == span)
                });
                match alike {
                    Some(sweep) => {
                        sweep.urgencies.push(*urgency);
                        sweep.next = sweep.next.min(next);
                    }
                    None => sweeps.push(Sweep {
                        failure,
                        urgencies: vec![*urgency],
                        next,
                        kept: next,
                        waits_until: None,
                    }),
                }
            }
        }
        Ok(sweeps)
    }

    /// Looks at what is due now and records it.
    async fn sweep(
        self: &Arc<Self>,
        deadlines: &Arc<Deadlines>,
        sweep: &mut Sweep,
    ) -> Result<(), Error> {
        loop {
            let now = self.now();
            if sweep.waits_until.is_some_and(|end| now <= end) {
                return Ok(());
            }
            let (gateway, deadlines) = (self.clone(), deadlines.clone());
            let from = sweep.clone();
            let found = tokio::task::spawn_blocking(move || gateway.look(&deadlines, from, now));
            let found = found.await.map_err(|_| Fault::Stopped)??;
            *sweep = found.sweep;
            if !found.facts.is_empty() || sweep.next != sweep.kept {
                let swept = |urgency: &Urgency| Change::Swept {
                    failure: sweep.failure,
                    urgency: *urgency,
                    next: sweep.next,
                };
                let swept = sweep.urgencies.iter().map(swept).collect();
                let recording = Recording { facts: found.facts, swept, contents: Vec::new() };
                self.record(recording).await?;
                sweep.kept = sweep.next;
            }
            if found.done {
                return Ok(());
            }
        }
    }

    /// Follows the log until something is still in time, the log ends, or enough is found.
    fn look(
        &self,
        deadlines: &Deadlines,
        mut sweep: Sweep,
        now: Time,
    ) -> Result<Found, StoreError> {
        let mut facts = Vec::new();
        let open = self.store.head()?.epoch;
        for _ in 0..PAGES_UNKEPT_MAX {
            let leaves = self.store.leaves(sweep.next, SCAN_PAGE)?;
            if leaves.is_empty() {
                if sweep.next.epoch >= open {
                    return Ok(Found { sweep, facts, done: true });
                }
                sweep.next = EntryId { epoch: sweep.next.epoch + 1, index: 0 };
            }
            for leaf in leaves {
                // What is no entry is named by the audit, and nobody waits for it here.
                let entry = Entry::from_leaf(&leaf).ok();
                if let Some(entry) = entry.filter(|entry| sweep.failure.begins_with(entry)) {
                    let Some(end) = sweep.end(deadlines, &entry) else {
                        sweep.next.index += 1;
                        continue;
                    };
                    if now <= end {
                        sweep.waits_until = Some(end);
                        return Ok(Found { sweep, facts, done: true });
                    }
                    facts.extend(self.failed(sweep.failure, &entry, end)?);
                }
                sweep.next.index += 1;
                if facts.len() == RECORDED_AT_ONCE {
                    return Ok(Found { sweep, facts, done: false });
                }
            }
        }
        Ok(Found { sweep, facts, done: false })
    }

    fn failed(
        &self,
        failure: Failure,
        entry: &Entry,
        end: Time,
    ) -> Result<Option<Fact>, StoreError> {
        let Some((consignment, to)) = entry.consignment.zip(entry.to.as_ref()) else {
            return Ok(None);
        };
        let delivery = self.store.deliveries(consignment, Which::At(to))?.pop();
        // What was redirected is looked at where it went.
        let failed = delivery.is_some_and(|delivery| {
            delivery.transport != Transport::Redirected && delivery.has_failed(failure, end)
        });
        Ok(failed.then(|| Fact::Failed(failure, consignment, to.clone(), end)))
    }
}

impl Sweep {
    /// Until when the recipient of this consignment has time; `None` if it is looked at elsewhere.
    fn end(&self, deadlines: &Deadlines, entry: &Entry) -> Option<Time> {
        let urgency = entry.urgency.filter(|urgency| self.urgencies.contains(urgency))?;
        Some(deadlines.end(self.failure, urgency, entry.time))
    }
}
