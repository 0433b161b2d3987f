//! What happens in a year of a province: drawn from a seed, the same each time.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use crate::document::ConsignmentId;
use crate::dossier::Step;
use crate::log::Status;

/// Dossiers for each thousand documents: 210,000 with 2 million (issue 6).
const DOSSIERS_PER_MILLE: u64 = 105;
/// Procedures that are asked for.
const PROCEDURES: u64 = 60;
/// Working days that a procedure may take.
const LEGAL_DAYS: NonZeroU32 = NonZeroU32::new(10).expect("not 0");

/// What is to be done.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// A letter of one commune to others.
    Letter { number: u64, from: usize, to: Vec<usize> },
    /// A recipient answers.
    Answer { consignment: ConsignmentId, by: usize, status: Status },
    /// The next steps of a dossier.
    Dossier(File),
}

/// What was done.
pub(super) enum Done {
    Sent { consignment: ConsignmentId, to: Vec<usize> },
    Answered { consignment: ConsignmentId, by: usize, status: Status },
    Worked { file: File, deeds: Vec<Deed> },
}

/// A step of a dossier.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    pub(super) step: Step,
    pub(super) by: usize,
    pub(super) to: Option<usize>,
}

/// A dossier on its way.
#[derive(Debug, Clone)]
pub(super) struct File {
    number: u64,
    reception: usize,
    procedure: u64,
    /// Steps of one day, and how many working days after the ones before they come.
    plan: Vec<(usize, Vec<Deed>)>,
}

/// What was done in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) documents: u64,
    pub(super) deliveries: u64,
    pub(super) acknowledged: u64,
    pub(super) dossiers: u64,
    pub(super) ended: u64,
    pub(super) steps: u64,
}

/// The province, day by day.
pub(super) struct Province {
    drawn: u64,
    communes: usize,
    /// Letters of the year, and its working days.
    letters: u64,
    days: usize,
    planned: BTreeMap<usize, Vec<Job>>,
    totals: Totals,
    opened: u64,
}

impl File {
    /// What is to be done today.
    pub(super) fn today(&mut self) -> Vec<Deed> {
        if self.plan.is_empty() { Vec::new() } else { self.plan.remove(0).1 }
    }

    /// Its code.
    pub(super) fn code(&self) -> String {
        format!("{}-250701-{:07}", super::nation::commune(self.reception), self.number)
    }

    /// The code of its procedure, for the steps that name it.
    pub(super) fn procedure(&self, step: Step) -> String {
        match step {
            Step::Registration | Step::Reception => format!("1.{:06}", self.procedure),
            _ => String::new(),
        }
    }

    /// Words, for the steps that need them.
    pub(super) fn note(&self, step: Step) -> String {
        match step {
            Step::SupplementRequest | Step::Stop => "thiếu giấy tờ".to_owned(),
            _ => String::new(),
        }
    }
}

impl Job {
    /// The time that the law gives, for a dossier.
    pub(super) fn legal_days(&self) -> Option<NonZeroU32> {
        matches!(self, Self::Dossier(_)).then_some(LEGAL_DAYS)
    }
}

impl Province {
    /// A year of so many working days.
    pub(super) fn new(seed: u64, communes: usize, letters: u64, days: usize) -> Self {
        let (planned, totals) = (BTreeMap::new(), Totals::default());
        Self { drawn: seed, communes, letters, days, planned, totals, opened: 0 }
    }

    /// What is to be done on a day: what was planned for it, its letters and its new dossiers, mixed.
    pub(super) fn jobs(&mut self, day: usize) -> Vec<Job> {
        let mut jobs = self.planned.remove(&day).unwrap_or_default();
        for _ in 0..share(self.letters, day, self.days) {
            let from = self.commune();
            let count = if self.percent() < 80 { 1 } else { 2 + self.below(3) };
            let mut to: Vec<usize> = (0..count).map(|_| self.commune()).collect();
            to.retain(|commune| *commune != from);
            to.sort_unstable();
            to.dedup();
            if to.is_empty() {
                to.push((from + 1) % self.communes);
            }
            self.totals.documents += 1;
            jobs.push(Job::Letter { number: self.totals.documents, from, to });
        }
        let dossiers = self.letters * DOSSIERS_PER_MILLE / 1_000;
        for _ in 0..share(dossiers, day, self.days) {
            let file = self.file();
            jobs.push(Job::Dossier(file));
        }
        for place in (1..jobs.len()).rev() {
            jobs.swap(place, usize::try_from(self.below(place as u64 + 1)).unwrap_or(0));
        }
        jobs
    }

    /// Plans what follows from what was done on `day`.
    pub(super) fn follow(&mut self, day: usize, done: Done) {
        match done {
            Done::Sent { consignment, to } => {
                self.totals.deliveries += to.len() as u64;
                for by in to {
                    let status = match self.percent() {
                        0 => Status::Refused,
                        1..=3 => continue,
                        _ => Status::Accepted,
                    };
                    let later = if self.percent() < 90 { 1 } else { 2 + self.below(4) };
                    self.plan(day, later, Job::Answer { consignment, by, status });
                }
            }
            Done::Answered { consignment, by, status } => {
                self.totals.acknowledged += u64::from(status == Status::Accepted);
                if status == Status::Accepted && self.percent() < 30 {
                    let later = 1 + self.below(5);
                    let status = Status::Finished;
                    self.plan(day, later, Job::Answer { consignment, by, status });
                }
            }
            Done::Worked { file, deeds } => {
                self.totals.steps += deeds.len() as u64;
                let count = |steps: &[Step]| {
                    deeds.iter().filter(|deed| steps.contains(&deed.step)).count() as u64
                };
                self.totals.dossiers += count(&[Step::Reception]);
                self.totals.ended += count(&[Step::Completion, Step::Withdrawal, Step::Stop]);
                if let Some((later, _)) = file.plan.first() {
                    self.plan(day, *later as u64, Job::Dossier(file));
                }
            }
        }
    }

    /// What was done in all.
    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    fn plan(&mut self, day: usize, later: u64, job: Job) {
        let day = day + usize::try_from(later).unwrap_or(1);
        // What would be done after the year is not.
        if day >= self.days {
            return;
        }
        self.planned.entry(day).or_default().push(job);
    }

    /// A dossier of which nothing is done yet.
    fn file(&mut self) -> File {
        self.opened += 1;
        let (reception, office) = (self.commune(), self.commune());
        let deed = |by, step| Deed { step, by, to: None };
        let mut plan = vec![(0, vec![deed(reception, Step::Reception)])];
        if office != reception {
            let to = Some(office);
            plan.push((1, vec![Deed { to, ..deed(reception, Step::Handover) }]));
        }
        if self.percent() < 10 {
            plan.push((1, vec![deed(office, Step::SupplementRequest)]));
            plan.push((3, vec![deed(office, Step::Supplement)]));
        }
        let slow = if self.percent() < 4 { 8 } else { 0 };
        let later = usize::try_from(1 + self.below(6) + slow).unwrap_or(1);
        match self.percent() {
            0..=1 => plan.push((later, vec![deed(office, Step::Withdrawal)])),
            2 => plan.push((later, vec![deed(office, Step::Stop)])),
            _ => {
                let steps = [Step::Appraisal, Step::Approval];
                plan.push((later, steps.map(|step| deed(office, step)).to_vec()));
                let steps = [Step::Sealing, Step::Completion];
                plan.push((1, steps.map(|step| deed(office, step)).to_vec()));
                plan.push((1, vec![deed(reception, Step::Return)]));
            }
        }
        let procedure = self.below(PROCEDURES);
        File { number: self.opened, reception, procedure, plan }
    }

    fn commune(&mut self) -> usize {
        usize::try_from(self.below(self.communes as u64)).unwrap_or(0)
    }

    fn percent(&mut self) -> u64 {
        self.below(100)
    }

    /// The next number of the seed (SplitMix64), below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.drawn;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }
}

/// Which part of `whole` falls on `day`: all days together have all of it.
fn share(whole: u64, day: usize, days: usize) -> u64 {
    let until = |day: usize| whole * day as u64 / days.max(1) as u64;
    until(day + 1) - until(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A year in which everything is done at once.
    fn year(seed: u64) -> (Totals, Vec<String>) {
        let days = 250;
        let mut province = Province::new(seed, 9, 2_000, days);
        let mut codes = Vec::new();
        for day in 0..days {
            for job in province.jobs(day) {
                let done = match job {
                    Job::Letter { number, to, .. } => {
                        let consignment = ConsignmentId(uuid::Uuid::from_u128(number.into()));
                        Done::Sent { consignment, to }
                    }
                    Job::Answer { consignment, by, status } => {
                        Done::Answered { consignment, by, status }
                    }
                    Job::Dossier(mut file) => {
                        let deeds = file.today();
                        codes.extend(deeds.iter().map(|deed| format!("{} {deed:?}", file.code())));
                        Done::Worked { file, deeds }
                    }
                };
                province.follow(day, done);
            }
        }
        (province.totals(), codes)
    }

    #[test]
    fn a_seed_gives_one_year_and_another_seed_another() {
        let (totals, codes) = year(7);
        assert_eq!((totals, codes.clone()), year(7));
        assert_ne!(codes, year(8).1);
        assert_eq!((totals.documents, totals.dossiers), (2_000, 210));
        assert!(totals.deliveries > 2_000 && totals.ended > 180, "{totals:?}");
        assert_eq!(totals.steps, codes.len() as u64);
    }
}
