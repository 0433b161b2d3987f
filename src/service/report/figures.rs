//! Statistics: a walk over the entries of a period, or over those of one agency.

use std::collections::BTreeMap;

use super::{Pages, Period};
use crate::clock::Time;
use crate::delivery::{Delivery, Term};
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::gateway::Error;
use crate::gateway::ports::Which;
use crate::limits::{RECIPIENTS_MAX, SCAN_PAGE};
use crate::log::{Entry, EntryId, Event};
use crate::proto::v1;
use crate::service::Door;
use crate::statistics::{Counts, Outcome, Promptness, Tally};

/// Agencies in one message: their figures take a few hundred bytes each.
const AGENCIES_AT_ONCE: usize = 1_000;
/// What is counted; most entries tell of something else.
const COUNTED: [Event; 3] =
    [Event::SubmissionAcceptance, Event::SubmissionRejection, Event::ContentConsignment];
/// Steps of the walk between two messages, so that a caller sees that it goes on.
const STEPS_AT_ONCE: usize = 16;

/// The statistics, half made.
pub(super) struct FigurePages {
    /// The only one asked for.
    agency: Option<Code>,
    period: Period,
    promptness: Promptness,
    now: Time,
    last: EntryId,
    read: u64,
    counts: BTreeMap<Code, Counts>,
    /// The consignment of the entry before: most entries are about the same.
    latest: Option<(ConsignmentId, bool)>,
    walked: bool,
}

impl FigurePages {
    pub(super) fn begin(
        door: &Door,
        agency: Option<Code>,
        period: Period,
        promptness: Promptness,
    ) -> Result<Self, Error> {
        // Who is asked for is answered also if there is nothing.
        let counts = agency.iter().map(|code| (code.clone(), Counts::default())).collect();
        Ok(Self {
            agency,
            period,
            promptness,
            now: door.gateway.now(),
            last: door.begin_of(period)?,
            read: 0,
            counts,
            latest: None,
            walked: false,
        })
    }

    /// Entries of the walk behind the last one; none at its end.
    fn step(&self, door: &Door) -> Result<Vec<(EntryId, Vec<u8>)>, Error> {
        let reading = door.gateway.reading();
        let Some(agency) = &self.agency else { return Ok(reading.behind(self.last, SCAN_PAGE)?) };
        let terms = [Term::Sender(agency.clone()), Term::Recipient(agency.clone())];
        let ids = door.gateway.under_any(&terms, self.last)?;
        ids.into_iter().map(|id| Ok((id, reading.leaf(id)?))).collect()
    }

    fn count(&mut self, door: &Door, entry: &Entry) -> Result<(), Error> {
        let Some(from) = &entry.from else { return Ok(()) };
        let sent_by_it = self.agency.as_ref().is_none_or(|agency| agency == from);
        match entry.event {
            Event::SubmissionRejection if sent_by_it => {
                let reason = entry.reason.as_deref().unwrap_or_default();
                self.counts.entry(from.clone()).or_default().reject(reason);
            }
            Event::SubmissionAcceptance if sent_by_it => {
                let signed = entry.verdict.as_ref().is_some_and(|it| is_signed(&it.legal_value));
                self.latest = entry.consignment.map(|of| (of, signed));
                self.counts.entry(from.clone()).or_default().accept(signed);
                // Without a walk over everything, the consignments behind it are not met.
                if let Some(of) = entry.consignment.filter(|_| self.agency.is_some()) {
                    let all =
                        door.gateway.store().deliveries(of, Which::After(None, RECIPIENTS_MAX))?;
                    for delivery in &all {
                        let outcome = outcome(delivery, entry.time, signed);
                        self.tally(from, |counts| &mut counts.sent, &outcome);
                    }
                }
            }
            Event::ContentConsignment => self.delivered(door, entry, from)?,
            _ => {}
        }
        Ok(())
    }

    fn delivered(&mut self, door: &Door, entry: &Entry, from: &Code) -> Result<(), Error> {
        let Some((of, to)) = entry.consignment.zip(entry.to.as_ref()) else { return Ok(()) };
        if self.agency.as_ref().is_some_and(|agency| agency != to) {
            return Ok(());
        }
        let store = door.gateway.store();
        let signed = match self.latest {
            Some((latest, signed)) if latest == of => signed,
            _ => {
                let consignment = store.consignment(of)?;
                consignment.is_some_and(|it| is_signed(&it.verdict.legal_value))
            }
        };
        self.latest = Some((of, signed));
        let Some(delivery) = store.deliveries(of, Which::At(to))?.pop() else { return Ok(()) };
        let outcome = outcome(&delivery, entry.time, signed);
        self.tally(to, |counts| &mut counts.received, &outcome);
        if self.agency.is_none() {
            self.tally(from, |counts| &mut counts.sent, &outcome);
        }
        Ok(())
    }

    fn tally(&mut self, code: &Code, side: fn(&mut Counts) -> &mut Tally, outcome: &Outcome) {
        let counts = self.counts.entry(code.clone()).or_default();
        side(counts).add(outcome, &self.promptness, self.now);
    }
}

impl Pages for FigurePages {
    type Message = v1::GetStatisticsResponse;

    fn next(&mut self, door: &Door) -> Result<Option<v1::GetStatisticsResponse>, Error> {
        for _ in 0..STEPS_AT_ONCE {
            if self.walked {
                break;
            }
            let entries = self.step(door)?;
            self.walked = entries.is_empty();
            for (id, leaf) in entries {
                (self.last, self.read) = (id, self.read + 1);
                if !Event::of_leaf(&leaf).is_some_and(|event| COUNTED.contains(&event)) {
                    continue;
                }
                let Ok(entry) = Entry::from_leaf(&leaf) else { continue };
                if self.period.is_behind(entry.time) {
                    self.walked = true;
                    break;
                }
                self.count(door, &entry)?;
            }
        }
        let mut message =
            v1::GetStatisticsResponse { entries_read: self.read, agencies: Vec::new() };
        if !self.walked {
            return Ok(Some(message));
        }
        let directory = &door.gateway.surroundings().directory;
        while let Some((code, counts)) = self.counts.pop_first() {
            let name = directory.agency(&code).map(|agency| agency.name.clone());
            message.agencies.push(to_wire(&code, name.unwrap_or_default(), &counts));
            if message.agencies.len() == AGENCIES_AT_ONCE {
                break;
            }
        }
        Ok((!message.agencies.is_empty()).then_some(message))
    }
}

/// Worth an original or a certified copy: signed and exchanged electronically (QĐ 28/2018 Art. 4).
fn is_signed(legal_value: &str) -> bool {
    matches!(legal_value, "ORIGINAL" | "COPY")
}

fn outcome(delivery: &Delivery, consigned: Time, signed: bool) -> Outcome {
    Outcome {
        consigned,
        answered: delivery.milestones.answered_at,
        transport: delivery.transport,
        business: delivery.business,
        signed,
    }
}

fn to_wire(code: &Code, name: String, counts: &Counts) -> v1::AgencyStatistics {
    let reasons = counts.rejected_by_reason.iter();
    let reason = |(reason, count): (&String, &u64)| v1::ReasonCount {
        reason: reason.clone(),
        count: *count,
    };
    let mut rejected_by_reason: Vec<_> = reasons.map(reason).collect();
    rejected_by_reason.sort_by_key(|it| std::cmp::Reverse(it.count));
    v1::AgencyStatistics {
        agency: code.to_string(),
        name,
        accepted: counts.accepted,
        accepted_signed: counts.accepted_signed,
        rejected: counts.rejected,
        rejected_by_reason,
        sent: Some(tally(&counts.sent)),
        received: Some(tally(&counts.received)),
    }
}

fn tally(tally: &Tally) -> v1::DeliveryTally {
    v1::DeliveryTally {
        deliveries: tally.deliveries,
        signed: tally.signed,
        handed_over: tally.handed_over,
        refused: tally.refused,
        in_time: tally.in_time,
        late: tally.late,
        overdue: tally.overdue,
        pending: tally.pending,
        by_status: tally.by_status.to_vec(),
    }
}
