//! Counts of dossiers by what they belong to, and how they stand at a moment.

use std::collections::BTreeMap;

use super::handling::{Handling, Period, Stand};
use crate::clock::{Date, Time};
use crate::dossier::{Catalogue, Dossier, State};
use crate::limits::DOSSIER_ROWS_MAX;

/// By code or word; what is beyond [`DOSSIER_ROWS_MAX`], or belongs to nothing that is known, stands under
/// none.
pub type Rows = BTreeMap<String, Handling>;

/// Counts by procedure, field, level and agency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Of all.
    pub total: Handling,
    /// By code of the procedure.
    pub procedures: Rows,
    /// By code of the field.
    pub fields: Rows,
    /// By word of the level that decides.
    pub levels: Rows,
    /// By code of the agency that received them.
    pub agencies: Rows,
}

impl Breakdown {
    /// Adds the counts of a dossier.
    pub fn take(&mut self, dossier: &Dossier, procedures: &Catalogue, one: &Handling) {
        let known = procedures.procedure(&dossier.procedure);
        let field = known.map_or("", |known| known.field.as_str());
        let level = known.map_or("", |known| known.level.word());
        self.total.add(one);
        for (rows, name) in [
            (&mut self.procedures, dossier.procedure.as_str()),
            (&mut self.fields, field),
            (&mut self.levels, level),
            (&mut self.agencies, dossier.reception.as_str()),
        ] {
            row(rows, name).add(one);
        }
    }
}

fn row<'a>(rows: &'a mut Rows, name: &str) -> &'a mut Handling {
    let fits = rows.contains_key(name) || rows.len() < DOSSIER_ROWS_MAX;
    rows.entry(if fits { name } else { "" }.to_owned()).or_default()
}

/// Today and this year in Vietnam, until a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendars {
    /// Since midnight.
    pub today: Period,
    /// Since the first of January.
    pub year: Period,
}

impl Calendars {
    /// Those of this moment.
    pub fn at(now: Time) -> Self {
        let today = now.date_in_vietnam();
        let since =
            |day: Option<Date>| Period { since: day.and_then(Time::begin_in_vietnam), until: now };
        Self { today: since(Some(today)), year: since(Date::new(today.year(), 1, 1).ok()) }
    }
}

/// How dossiers stand at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many are in each state of the portal, 1 first.
    pub states: [u64; State::NUMBERS.len()],
    /// How many have not ended, and are late.
    pub late: u64,
    /// Today.
    pub today: Handling,
    /// This year.
    pub year: Handling,
}

impl Standing {
    /// That of one dossier; `synchronised` is asked only if it was received this year.
    ///
    /// # Errors
    /// Those of `synchronised`.
    pub fn of<E>(
        dossier: &Dossier,
        at: &Calendars,
        synchronised: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Self, E> {
        let now = at.today.until;
        let mut one = Self::default();
        let place = State::NUMBERS.iter().position(|(_, state)| *state == dossier.state);
        if let Some(count) = place.and_then(|place| one.states.get_mut(place)) {
            *count = 1;
        }
        one.late = u64::from(!dossier.state.has_ended() && dossier.is_late(now));
        let Some(stand) = at.year.stand(dossier) else { return Ok(one) };
        let synchronised = stand == Stand::Received && synchronised()?;
        one.year = Handling::of(dossier, stand, now, synchronised);
        if let Some(stand) = at.today.stand(dossier) {
            one.today = Handling::of(dossier, stand, now, synchronised);
        }
        Ok(one)
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.states.iter_mut().zip(other.states) {
            *count += more;
        }
        self.late += other.late;
        self.today.add(&other.today);
        self.year.add(&other.year);
    }
}
