//! How agencies handle the dossiers that they received, by the counting rules of QĐ 766/QĐ-TTg: in time
//! or late against the date that suspensions moved, late if the citizen was asked for more than once, and
//! what is not done judged at the end of the period.

use super::count::Share;
use crate::clock::Time;
use crate::dossier::{Dossier, State};
use crate::log::Grade;

/// From when to when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment; none if it has no beginning.
    pub since: Option<Time>,
    /// The first moment behind it.
    pub until: Time,
}

/// How a dossier belongs to a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// It was received before, and had not ended then.
    Carried,
    /// It was received in it.
    Received,
}

impl Period {
    /// Whether a moment is in it.
    pub fn has(&self, at: Time) -> bool {
        at < self.until && self.since.is_none_or(|since| since <= at)
    }

    /// How a dossier, as it stood at the end of the period, belongs to it; `None` if it does not.
    pub fn stand(&self, dossier: &Dossier) -> Option<Stand> {
        let received_at = dossier.received_at.filter(|received| *received < self.until)?;
        let ended_before = |since| dossier.ended_at.is_some_and(|ended| ended < since);
        match self.since {
            Some(since) if ended_before(since) => None,
            Some(since) if received_at < since => Some(Stand::Carried),
            _ => Some(Stand::Received),
        }
    }
}

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
    /// Of those received in the period: that the portal has.
    pub synchronised: u64,
    /// How often citizens said something in the period about how their dossiers are handled.
    pub feedback: u64,
    /// How many citizens gave each grade in the period, the worst first.
    pub grades: [u64; Grade::COUNT],
}

impl Handling {
    /// The counts of one dossier as it stood at the end of the period; `synchronised` if the portal has it.
    pub fn of(dossier: &Dossier, stand: Stand, until: Time, synchronised: bool) -> Self {
        let mut one = Self::default();
        match stand {
            Stand::Carried => one.carried = 1,
            Stand::Received => (one.received, one.synchronised) = (1, synchronised.into()),
        }
        let late = dossier.is_late(until);
        match (dossier.ended_at.is_some(), dossier.state) {
            (_, State::Withdrawn) => one.withdrawn = 1,
            (true, state) => {
                let count = if late { &mut one.done_late } else { &mut one.done_in_time };
                *count = 1;
                if matches!(state, State::Completed | State::Returned) {
                    one.completed = 1;
                    one.electronic = dossier.result.is_some().into();
                }
            }
            (false, _) if late => one.open_late = 1,
            (false, _) => one.open_in_time = 1,
        }
        one
    }

    /// What the citizen said in the period; it may be long after the dossier ended.
    pub fn said(dossier: &Dossier, period: &Period) -> Self {
        let mut one = Self::default();
        let feedback = dossier.feedback.iter().filter(|at| period.has(**at));
        one.feedback = feedback.count() as u64;
        if let Some((grade, _)) = dossier.grade.filter(|(_, at)| period.has(*at)) {
            one.grades[grade.place()] = 1;
        }
        one
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
        self.synchronised += other.synchronised;
        self.feedback += other.feedback;
        for (count, more) in self.grades.iter_mut().zip(other.grades) {
            *count += more;
        }
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

    /// That the portal has, of all that were received in the period.
    pub fn synchronised(&self) -> Share {
        Share { part: self.synchronised, whole: self.received }
    }

    /// The two best grades, of all that were given.
    pub fn satisfied(&self) -> Share {
        let [.., good, best] = self.grades;
        Share { part: good + best, whole: self.grades.iter().sum() }
    }
}
