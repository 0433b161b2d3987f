//! Until when a recipient must have taken notice of a consignment, and until when it must have
//! answered.

use std::time::Duration;

use super::state::{Delivery, Transport};
use crate::calendar::Calendar;
use crate::clock::Time;
use crate::document::Urgency;
use crate::log::{Entry, Event};

/// What a recipient may fail to do in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// To take a notice (ConsignmentNotificationFailure).
    Notification,
    /// To take or refuse the document (ContentHandoverFailure).
    Handover,
    /// Of the neighbour gateway: to take or refuse the document (RelayFailure).
    Relay,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Notification, Self::Handover, Self::Relay];

    /// The event that records it.
    pub fn event(self) -> Event {
        match self {
            Self::Notification => Event::ConsignmentNotificationFailure,
            Self::Handover => Event::ContentHandoverFailure,
            Self::Relay => Event::RelayFailure,
        }
    }

    /// Whether the time for it begins with this entry; what a neighbour tells begins nothing here.
    pub fn begins_with(self, entry: &Entry) -> bool {
        match self {
            Self::Notification | Self::Handover => {
                let begins = matches!(entry.event, Event::ContentConsignment | Event::Redirection);
                begins && entry.service.is_none()
            }
            Self::Relay => entry.event == Event::Relay,
        }
    }
}

/// How long something may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// By the clock.
    Clock(Duration),
    /// In office hours.
    Working(Duration),
    /// To the end of the day, as receipts are confirmed (NĐ 30/2020 Art. 21.2c).
    SameDay,
    /// To the end of the next working day, as documents are registered (NĐ 30/2020 Art. 4.2c).
    NextDay,
}

/// The times of one urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the notice.
    pub notification: Span,
    /// For the answer.
    pub handover: Span,
    /// For the neighbour gateway.
    pub relay: Span,
}

impl Default for Limits {
    /// Those that the e-CODEX connector counts: 24 h, 36 h, and 12 h to the next gateway.
    fn default() -> Self {
        let hours = |count: u64| Span::Clock(Duration::from_secs(count * 3600));
        Self { notification: hours(24), handover: hours(36), relay: hours(12) }
    }
}

/// The times of every urgency.
#[derive(Debug, Clone)]
pub struct Deadlines {
    limits: [Limits; 4],
    calendar: Calendar,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new([Limits::default(); 4], Calendar::vietnam())
    }
}

impl Deadlines {
    /// The times by lane ([`Urgency::lane`]), counted in this calendar.
    pub fn new(limits: [Limits; 4], calendar: Calendar) -> Self {
        Self { limits, calendar }
    }

    /// The calendar in which office hours are counted.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// How long a recipient has.
    pub fn span(&self, failure: Failure, urgency: Urgency) -> Span {
        let limits = self.limits[usize::from(urgency.lane())];
        match failure {
            Failure::Notification => limits.notification,
            Failure::Handover => limits.handover,
            Failure::Relay => limits.relay,
        }
    }

    /// The last moment that is in time for what was consigned at `consigned`. It never lies before
    /// that of something consigned earlier with the same span.
    pub fn end(&self, failure: Failure, urgency: Urgency, consigned: Time) -> Time {
        match self.span(failure, urgency) {
            Span::Clock(span) => consigned.after(span),
            Span::Working(span) => self.calendar.after(consigned, span),
            Span::SameDay => self.calendar.confirm_by(consigned).unwrap_or(Time::LAST),
            Span::NextDay => self.calendar.register_by(consigned).unwrap_or(Time::LAST),
        }
    }
}

impl Delivery {
    /// Whether the recipient failed to do it until `end`, and that is not recorded yet. What happened
    /// exactly then was in time.
    pub fn has_failed(&self, failure: Failure, end: Time) -> bool {
        let seen = &self.milestones;
        let in_time = |moment: Option<Time>| moment.is_some_and(|moment| moment <= end);
        let noticed = [seen.notified, seen.accessed].into_iter().flatten().any(|m| m.time <= end);
        match failure {
            Failure::Notification => {
                seen.notification_failed.is_none() && !noticed && !in_time(seen.answered_at)
            }
            Failure::Handover => seen.handover_failed.is_none() && !in_time(seen.answered_at),
            Failure::Relay => seen.relay_failed.is_none() && self.transport == Transport::Relaying,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_by_the_clock_or_in_office_hours() {
        let working = Limits {
            notification: Span::Working(Duration::from_secs(3600)),
            handover: Span::Working(Duration::from_secs(8 * 3600)),
            ..Limits::default()
        };
        let mut limits = [Limits::default(); 4];
        limits[usize::from(Urgency::Flash.lane())] = working;
        limits[usize::from(Urgency::Urgent.lane())] =
            Limits { notification: Span::SameDay, handover: Span::NextDay, ..Limits::default() };
        let deadlines = Deadlines::new(limits, Calendar::vietnam());
        // Friday, 27 November 2026, 16:30 in Vietnam.
        let friday: Time = "2026-11-27T09:30:00.000Z".parse().expect("a time");
        let cases = [
            (Failure::Notification, Urgency::Normal, "2026-11-28T09:30:00.000Z"),
            (Failure::Handover, Urgency::Normal, "2026-11-28T21:30:00.000Z"),
            (Failure::Notification, Urgency::Urgent, "2026-11-27T16:59:59.999Z"),
            (Failure::Handover, Urgency::Urgent, "2026-11-30T16:59:59.999Z"),
            (Failure::Notification, Urgency::Flash, "2026-11-30T01:00:00.000Z"),
            (Failure::Handover, Urgency::Flash, "2026-11-30T09:30:00.000Z"),
        ];
        for (failure, urgency, end) in cases {
            assert_eq!(deadlines.end(failure, urgency, friday).to_string(), end, "{failure:?}");
        }
    }
}
