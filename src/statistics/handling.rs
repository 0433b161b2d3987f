//! How an agency handles the dossiers that it received, by the counting rules of QĐ 766/QĐ-TTg: in time
//! or late against the date that suspensions moved, late if the citizen was asked for more than once, and
//! what is not done judged at the end of the period.

use super::count::Share;
use crate::clock::Time;
use crate::dossier::{Dossier, State};

/// Counts of dossiers that were open in a period.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Handling {
    /// Received before the period, and not ended then.
    pub carried: u64,
    /// Received in the period.
    pub received: u64,
    /// Ended in time, without a result too.
    pub done_in_time: u64,
    /// Ended late.
    pub done_late: u64,
    /// Not ended, and not late at the end of the period.
    pub open_in_time: u64,
    /// Not ended, and late at the end of the period.
    pub open_late: u64,
    /// Withdrawn by the citizen.
    pub withdrawn: u64,
    /// Of those that ended: with a result.
    pub completed: u64,
    /// Of these: with a signed electronic one.
    pub electronic: u64,
}

impl Handling {
    /// Counts a dossier as it stood at `until`, the end of the period.
    pub fn take(&mut self, dossier: &Dossier, since: Option<Time>, until: Time) {
        let Some(received_at) = dossier.received_at.filter(|received| *received < until) else {
            return;
        };
        if since.is_some_and(|since| dossier.ended_at.is_some_and(|ended| ended < since)) {
            return;
        }
        match since {
            Some(since) if received_at < since => self.carried += 1,
            _ => self.received += 1,
        }
        let late = dossier.is_late(until);
        match (dossier.ended_at.is_some(), dossier.state) {
            (_, State::Withdrawn) => self.withdrawn += 1,
            (true, state) => {
                let count = if late { &mut self.done_late } else { &mut self.done_in_time };
                *count += 1;
                if matches!(state, State::Completed | State::Returned) {
                    self.completed += 1;
                    self.electronic += u64::from(dossier.result.is_some());
                }
            }
            (false, _) if late => self.open_late += 1,
            (false, _) => self.open_in_time += 1,
        }
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        let Self { carried, received, done_in_time, done_late, open_in_time, .. } = other;
        self.carried += carried;
        self.received += received;
        self.done_in_time += done_in_time;
        self.done_late += done_late;
        self.open_in_time += open_in_time;
        self.open_late += other.open_late;
        self.withdrawn += other.withdrawn;
        self.completed += other.completed;
        self.electronic += other.electronic;
    }

    /// In time, of all that were not withdrawn.
    pub fn on_time(&self) -> Share {
        let part = self.done_in_time + self.open_in_time;
        Share { part, whole: part + self.done_late + self.open_late }
    }

    /// With a signed electronic result, of all with a result.
    pub fn electronic(&self) -> Share {
        Share { part: self.electronic, whole: self.completed }
    }
}
