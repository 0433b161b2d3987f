//! One clock over all agencies: who worked on a dossier for how long, in office hours.

use std::time::Duration;

use super::course::Dossier;
use crate::calendar::Calendar;
use crate::clock::Time;
use crate::directory::Code;
use crate::log::{Entry, EntryId};

/// Office hours at one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worked {
    /// Which.
    pub agency: Code,
    /// How long it had the dossier while the clock ran.
    pub working: Duration,
}

/// The clock of a dossier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Worktime {
    /// By agency, in the order in which they had it first.
    pub worked: Vec<Worked>,
    /// Office hours in which it waited for the citizen.
    pub suspended: Duration,
    /// Office hours that are left until the date that the citizen was told; none if it has ended or has
    /// no date. While it is suspended, those that were left when that began.
    pub remaining: Option<Duration>,
    /// Office hours since that date passed; zero if it has not.
    pub exceeded: Duration,
}

impl Worktime {
    /// The clock of the dossier with these entries, in order.
    pub fn of(entries: &[Entry], calendar: &Calendar, now: Time) -> Self {
        let mut worktime = Self::default();
        let mut state: Option<Dossier> = None;
        for entry in entries {
            let next = match &state {
                Some(before) => {
                    worktime.pass(before, calendar, entry.time);
                    Some(before.after(EntryId::ZERO, entry))
                }
                None => Dossier::begin(EntryId::ZERO, entry),
            };
            state = next;
        }
        let Some(state) = state else { return worktime };
        worktime.pass(&state, calendar, now);
        if let Some(end) = state.appointment.filter(|_| !state.state.has_ended()) {
            let since = state.suspended_at.unwrap_or(now);
            worktime.remaining = Some(calendar.between(since, end));
            worktime.exceeded = calendar.between(end, since);
        }
        worktime
    }

    /// Time passes from the last entry to `until`.
    fn pass(&mut self, state: &Dossier, calendar: &Calendar, until: Time) {
        let hours = calendar.between(state.changed_at, until);
        if state.state.is_suspended() {
            self.suspended += hours;
        }
        if !state.state.runs() {
            return;
        }
        match self.worked.iter_mut().find(|worked| worked.agency == state.holder) {
            Some(worked) => worked.working += hours,
            None => self.worked.push(Worked { agency: state.holder.clone(), working: hours }),
        }
    }
}
