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
        (one.today, one.year) =
            (Handling::said(dossier, &at.today), Handling::said(dossier, &at.year));
        let Some(stand) = at.year.stand(dossier) else { return Ok(one) };
        let synchronised = stand == Stand::Received && synchronised()?;
        one.year.add(&Handling::of(dossier, stand, now, synchronised));
        if let Some(stand) = at.today.stand(dossier) {
            one.today.add(&Handling::of(dossier, stand, now, synchronised));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Code, SystemId};
    use crate::document::DossierCode;
    use crate::dossier::Step;
    use crate::log::{Actor, Entry, EntryId, Event, Grade};

    fn at(text: &str) -> Time {
        text.parse().expect("a time")
    }

    /// A dossier after these steps.
    fn dossier(steps: &[(Step, &str)]) -> Dossier {
        let system = SystemId::parse("commune").expect("an id");
        let actor = Actor { system, certificate: crate::digest::Sha256::of(b"certificate") };
        let entry = |(step, time): &(Step, &str)| Entry {
            from: Code::parse("H49.151"),
            dossier: DossierCode::parse("H49.151-20261126-0001"),
            reason: Some(step.word().into()),
            procedure: Some("1.003003".into()).filter(|_| *step == Step::Reception),
            due: Some(at("2026-12-03T16:59:59.999Z")).filter(|_| *step == Step::Reception),
            grade: Grade::new(5).filter(|_| *step == Step::Satisfaction),
            ..Entry::new(Event::DossierStep, at(time), actor.clone())
        };
        let mut steps = steps.iter().map(entry);
        let first = steps.next().and_then(|first| Dossier::begin(EntryId::ZERO, &first));
        steps.fold(first.expect("a first step"), |one, step| one.after(EntryId::ZERO, &step))
    }

    fn standing(dossier: &Dossier, now: &str) -> Standing {
        let known = || Ok::<_, std::convert::Infallible>(true);
        Standing::of(dossier, &Calendars::at(at(now)), known).expect("nothing fails")
    }

    #[test]
    fn days_and_years_are_those_of_vietnam() {
        // One minute before, and at midnight in Vietnam.
        let before = Calendars::at(at("2026-12-31T16:59:00.000Z"));
        assert_eq!(before.today.since, Some(at("2026-12-30T17:00:00.000Z")));
        assert_eq!(before.year.since, Some(at("2025-12-31T17:00:00.000Z")));
        let after = Calendars::at(at("2026-12-31T17:00:00.000Z"));
        assert_eq!(after.today, after.year);
        assert_eq!(after.year.since, Some(after.year.until));
    }

    #[test]
    fn a_dossier_stands_in_its_state_and_counts_while_it_is_open() {
        let life = [
            (Step::Reception, "2026-11-26T03:00:00.000Z"),
            (Step::Completion, "2026-12-04T03:00:00.000Z"),
            (Step::Return, "2026-12-04T04:00:00.000Z"),
            (Step::Feedback, "2026-12-04T05:00:00.000Z"),
            (Step::Satisfaction, "2026-12-05T06:00:00.000Z"),
        ];
        let open = dossier(&life[..1]);
        let first = standing(&open, "2026-11-26T04:00:00.000Z");
        assert_eq!((first.states[1], first.late), (1, 0));
        assert_eq!((first.today.received, first.today.carried, first.year.synchronised), (1, 0, 1));
        let next = standing(&open, "2026-12-04T02:00:00.000Z");
        assert_eq!((next.late, next.today.received, next.today.carried), (1, 0, 1));
        assert_eq!((next.today.open_late, next.year.received, next.today.synchronised), (1, 1, 0));
        let done = dossier(&life);
        let last = standing(&done, "2026-12-04T07:00:00.000Z");
        assert_eq!((last.states[9], last.late, last.today.done_late), (1, 0, 1));
        assert_eq!((last.today.feedback, last.year.feedback), (1, 1));
        // It is graded the next day, when it stands open no longer.
        let graded = standing(&done, "2026-12-05T07:00:00.000Z");
        let only = Handling { grades: [0, 0, 0, 0, 1], ..Handling::default() };
        assert_eq!((graded.today, graded.year.done_late), (only, 1));
        assert_eq!(graded.year.satisfied().basis_points(), Some(10_000));
        assert_eq!(standing(&done, "2026-12-06T07:00:00.000Z").today, Handling::default());
        assert_eq!(standing(&done, "2027-01-05T07:00:00.000Z").year, Handling::default());
    }

    #[test]
    fn what_no_row_is_left_for_stands_under_none() {
        let open = dossier(&[(Step::Reception, "2026-11-26T03:00:00.000Z")]);
        let one = Handling::of(&open, Stand::Received, at("2026-11-27T03:00:00.000Z"), false);
        let mut counts = Breakdown::default();
        for number in 0..DOSSIER_ROWS_MAX + 2 {
            let procedure = format!("1.{number:06}");
            counts.take(&Dossier { procedure, ..open.clone() }, &Catalogue::default(), &one);
        }
        assert_eq!(counts.procedures.len(), DOSSIER_ROWS_MAX + 1);
        assert_eq!(counts.procedures[""].received, 2);
        assert_eq!(counts.total.received, counts.fields[""].received);
        assert_eq!(counts.agencies["H49.151"], counts.total);
    }
}
