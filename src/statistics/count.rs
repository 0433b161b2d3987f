//! Counting: how many, how many signed, how many in time, how many refused and why.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::calendar::Calendar;
use crate::clock::Time;
use crate::delivery::Transport;
use crate::limits::REPORT_REASONS_MAX;
use crate::log::Status;

/// Under which reasons beyond [`REPORT_REASONS_MAX`] are counted.
pub const OTHER_REASON: &str = "OTHER";

/// Until when a recipient has to acknowledge or refuse.
#[derive(Debug, Clone)]
pub enum Promptness {
    /// To the end of the day in Vietnam on which it was consigned (NĐ 30/2020 Art. 21.2c), or, if
    /// offices are closed then, of the next day on which they are not.
    SameDay(Calendar),
    /// Within a span.
    Within(Duration),
}

impl Promptness {
    /// The last moment that is in time.
    pub fn deadline(&self, consigned: Time) -> Time {
        match self {
            Self::SameDay(calendar) => calendar.confirm_by(consigned).unwrap_or(consigned),
            Self::Within(span) => consigned.after(*span),
        }
    }
}

/// How a delivery went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// When it was put at the recipient's disposal.
    pub consigned: Time,
    /// When the recipient acknowledged or refused.
    pub answered: Option<Time>,
    /// How far its content came.
    pub transport: Transport,
    /// Its business status.
    pub business: Status,
    /// Whether the document is worth an original or certified copy: signed and exchanged
    /// electronically (QĐ 28/2018 Art. 4).
    pub signed: bool,
}

/// Deliveries, seen from one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// All.
    pub deliveries: u64,
    /// Of signed documents.
    pub signed: u64,
    /// Acknowledged.
    pub handed_over: u64,
    /// Refused by the recipient.
    pub refused: u64,
    /// Acknowledged or refused in time.
    pub in_time: u64,
    /// Acknowledged or refused too late.
    pub late: u64,
    /// Not answered, and the time is over.
    pub overdue: u64,
    /// Not answered, and there is time left.
    pub pending: u64,
    /// By business status, 01 first.
    pub by_status: [u64; Status::REPORTED],
}

impl Tally {
    /// Counts one more, as it stands at `now`.
    pub fn add(&mut self, outcome: &Outcome, promptness: &Promptness, now: Time) {
        self.deliveries += 1;
        self.signed += u64::from(outcome.signed);
        match outcome.transport {
            Transport::HandedOver => self.handed_over += 1,
            Transport::Rejected => self.refused += 1,
            _ => {}
        }
        let deadline = promptness.deadline(outcome.consigned);
        match outcome.answered {
            Some(answered) if answered <= deadline => self.in_time += 1,
            Some(_) => self.late += 1,
            None if now > deadline => self.overdue += 1,
            None => self.pending += 1,
        }
        let place = Status::CODES.iter().position(|(_, status)| *status == outcome.business);
        if let Some(count) = place.and_then(|place| self.by_status.get_mut(place)) {
            *count += 1;
        }
    }

    /// In time, of those whose time is over or that were answered.
    pub fn on_time(&self) -> Share {
        Share { part: self.in_time, whole: self.in_time + self.late + self.overdue }
    }
}

/// What an agency sent and received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents of it that the gateway took in charge.
    pub accepted: u64,
    /// Those of them that are signed and exchanged electronically.
    pub accepted_signed: u64,
    /// Submissions that the gateway refused.
    pub rejected: u64,
    /// Why, by reason.
    pub rejected_by_reason: BTreeMap<String, u64>,
    /// What became of its documents at their recipients.
    pub sent: Tally,
    /// What it did with the documents that reached it.
    pub received: Tally,
}

impl Counts {
    /// A document of the agency was taken in charge.
    pub fn accept(&mut self, signed: bool) {
        self.accepted += 1;
        self.accepted_signed += u64::from(signed);
    }

    /// A submission of the agency was refused.
    pub fn reject(&mut self, reason: &str) {
        self.rejected += 1;
        let full = self.rejected_by_reason.len() >= REPORT_REASONS_MAX;
        let known = !full || self.rejected_by_reason.contains_key(reason);
        let reason = if known { reason } else { OTHER_REASON };
        *self.rejected_by_reason.entry(reason.to_owned()).or_default() += 1;
    }

    /// Signed, of all that the agency sent.
    pub fn signed(&self) -> Share {
        Share { part: self.accepted_signed, whole: self.accepted }
    }
}

/// A part of a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// How many.
    pub part: u64,
    /// Of how many.
    pub whole: u64,
}

impl Share {
    /// Hundredths of a percent, rounded to the nearest; `None` of nothing.
    pub fn basis_points(self) -> Option<u64> {
        let (part, whole) = (u128::from(self.part), u128::from(self.whole));
        let twice = whole.checked_mul(2).filter(|twice| *twice > 0)?;
        u64::try_from((part * 20_000 + whole) / twice).ok()
    }

    /// `98,50 %` as Vietnam writes it; `–` of nothing.
    pub fn percent(self) -> String {
        match self.basis_points() {
            Some(points) => format!("{},{:02} %", points / 100, points % 100),
            None => "–".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().expect("a time")
    }

    fn outcome(answered: Option<&str>, transport: Transport) -> Outcome {
        let consigned = at("2026-11-20T16:59:59.000Z");
        let business = Status::Arrived;
        Outcome { consigned, answered: answered.map(at), transport, business, signed: true }
    }

    /// 22 November 2026 is a Sunday.
    #[test]
    fn the_day_ends_at_midnight_in_vietnam_and_waits_for_offices_to_open() {
        let same_day = Promptness::SameDay(Calendar::vietnam());
        for (consigned, deadline) in [
            ("2026-11-20T16:59:59.000Z", "2026-11-20T16:59:59.999Z"),
            ("2026-11-20T17:00:00.000Z", "2026-11-23T16:59:59.999Z"),
            ("2026-11-22T03:45:18.123Z", "2026-11-23T16:59:59.999Z"),
            ("2026-11-22T17:00:00.000Z", "2026-11-23T16:59:59.999Z"),
        ] {
            assert_eq!(same_day.deadline(at(consigned)), at(deadline), "{consigned}");
        }
        let within = Promptness::Within(Duration::from_secs(3600));
        assert_eq!(within.deadline(at("2026-11-22T16:59:59.000Z")), at("2026-11-22T17:59:59.000Z"));
    }

    #[test]
    fn every_delivery_is_in_time_late_overdue_or_pending() {
        let same_day = Promptness::SameDay(Calendar::vietnam());
        let now = at("2026-11-20T16:59:59.999Z");
        for (outcome, expected) in [
            (outcome(Some("2026-11-20T16:59:59.999Z"), Transport::HandedOver), [1, 0, 0, 0]),
            (outcome(Some("2026-11-20T17:00:00.000Z"), Transport::Rejected), [0, 1, 0, 0]),
            (outcome(None, Transport::Consigned), [0, 0, 0, 1]),
        ] {
            let mut tally = Tally::default();
            tally.add(&outcome, &same_day, now);
            assert_eq!([tally.in_time, tally.late, tally.overdue, tally.pending], expected);
            assert_eq!((tally.deliveries, tally.signed, tally.by_status[0]), (1, 1, 1));
        }
        let mut tally = Tally::default();
        let later = at("2026-11-20T17:00:00.000Z");
        tally.add(&outcome(None, Transport::Consigned), &same_day, later);
        assert_eq!((tally.overdue, tally.on_time()), (1, Share { part: 0, whole: 1 }));
    }

    #[test]
    fn shares_are_rounded_to_hundredths_of_a_percent() {
        for (part, whole, points, text) in [
            (1, 3, Some(3333), "33,33 %"),
            (2, 3, Some(6667), "66,67 %"),
            (1, 1, Some(10_000), "100,00 %"),
            (0, 7, Some(0), "0,00 %"),
            (0, 0, None, "–"),
            (u64::MAX, u64::MAX, Some(10_000), "100,00 %"),
        ] {
            let share = Share { part, whole };
            assert_eq!((share.basis_points(), share.percent()), (points, text.to_owned()));
        }
    }

    #[test]
    fn reasons_are_counted_and_bounded() {
        let mut counts = Counts::default();
        for number in 0..=REPORT_REASONS_MAX {
            counts.reject(&format!("R{number}"));
        }
        counts.reject("R0");
        assert_eq!(counts.rejected, REPORT_REASONS_MAX as u64 + 2);
        assert_eq!(counts.rejected_by_reason.len(), REPORT_REASONS_MAX + 1);
        assert_eq!(counts.rejected_by_reason["R0"], 2);
        assert_eq!(counts.rejected_by_reason[OTHER_REASON], 1);
    }
}
