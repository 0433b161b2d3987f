//! The index: which entries are to be found under a term.
//!
//! Terms are hashes, so neighbours in the index have nothing to do with each other, and in one large
//! ordered map each of them costs more the larger the map is. So the index is not in the map: the
//! records of the latest entries are in memory, all others in sorted [`run`]s, files that are never
//! changed. Runs of a level are merged into one of the next, a few records with every commit, so
//! that a commit costs the same in a short log and in a long one and nobody waits for a large merge
//! (O'Neil et al., The Log-Structured Merge-Tree; without its journal, because the log is one).
//!
//! Nothing here is ever the only copy: what is in no run yet is derived from the entries at every
//! start, and all of it by `store rebuild`. The map says which runs count ([`Index::record`]), in the
//! same batch as everything else.

mod filter;
mod merge;
mod run;

use std::collections::BTreeSet;
use std::sync::Arc;

use merge::{Merge, Sorted, Source};
use run::{Record, Run};

use super::keyspace as key;
use super::kv::{Files, Pair, Write};
use super::record;
use crate::delivery::Term;
use crate::digest::Sha256;
use crate::gateway::ports::StoreError;
use crate::limits::{EPOCH_ENTRIES_MAX, INDEX_LEVELS_MAX, INDEX_RUNS_PER_LEVEL, SCAN_PAGE};
use crate::log::EntryId;
use crate::proto::storage::IndexRun;

/// Bits of an entry's index in a record; the rest is for the epoch.
const INDEX_BITS: u32 = 40;
const _: () = assert!(EPOCH_ENTRIES_MAX < 1 << INDEX_BITS);
/// Records that a level goes on for each record that comes: more than one, so that it is done before
/// the next one is due.
const PACE: usize = 2;

/// The index of one log.
#[derive(Debug)]
pub(super) struct Index {
    /// Records after which those in memory become a run.
    run_records: usize,
    recent: BTreeSet<Record>,
    /// Records on their way into a run, and the first entry that is in neither.
    frozen: Arc<Vec<Record>>,
    frozen_to: EntryId,
    /// Runs by level, the older first.
    levels: Vec<Vec<Arc<Run>>>,
    /// At most one for each level.
    merges: Vec<Merge>,
    /// The first entry that is in no run.
    covered: EntryId,
    next_number: u64,
    /// Whether the map has another list of runs.
    changed: bool,
    /// Runs that the map still names and that nobody needs.
    replaced: Vec<u64>,
}

impl Index {
    /// An empty index, whose runs will lie beside all that there are.
    pub fn empty(files: &dyn Files, run_records: usize) -> Result<Self, StoreError> {
        let numbers = files.list(run::ROOT)?;
        let last = numbers.iter().filter_map(|name| name.parse::<u64>().ok()).max();
        Ok(Self {
            run_records,
            recent: BTreeSet::new(),
            frozen: Arc::default(),
            frozen_to: EntryId::ZERO,
            levels: Vec::new(),
            merges: Vec::new(),
            covered: EntryId::ZERO,
            next_number: last.unwrap_or(0) + 1,
            changed: false,
            replaced: Vec::new(),
        })
    }

    /// The index as its record in the map says, and nothing beside it.
    pub fn open(
        files: &dyn Files,
        stored: Option<Vec<u8>>,
        run_records: usize,
    ) -> Result<Self, StoreError> {
        let mut index = Self::empty(files, run_records)?;
        if let Some(bytes) = stored {
            let (covered, runs) = record::read_index(&bytes)?;
            index.covered = covered;
            for IndexRun { number, level, count } in runs {
                let run = Arc::new(Run::open(files, number, count)?);
                if level > INDEX_LEVELS_MAX {
                    return Err(record::unreadable("index"));
                }
                index.level(level as usize).push(run);
            }
        }
        index.tidy(files)?;
        Ok(index)
    }

    /// The first entry that must be added again after opening.
    pub fn covered(&self) -> EntryId {
        self.covered
    }

    /// Removes the files of runs that do not count.
    pub fn tidy(&self, files: &dyn Files) -> Result<(), StoreError> {
        let runs = self.levels.iter().flatten().map(|run| run.number);
        let known: BTreeSet<_> =
            runs.chain(self.merges.iter().map(Merge::number)).map(run::folder).collect();
        for name in files.list(run::ROOT)? {
            let folder = format!("{}/{name}", run::ROOT);
            if !known.contains(&folder) {
                files.remove(&folder)?;
            }
        }
        Ok(())
    }

    /// The write that tells the map of the runs, if it has another list.
    pub fn record(&self) -> Option<Write> {
        self.changed.then(|| {
            let of_level = |(level, runs): (usize, &Vec<Arc<Run>>)| {
                let level = u32::try_from(level).expect("few levels");
                let run = |run: &Arc<Run>| IndexRun { number: run.number, level, count: run.count };
                runs.iter().map(run).collect::<Vec<_>>()
            };
            let runs = self.levels.iter().enumerate().flat_map(of_level).collect();
            Write::put(key::INDEX.to_vec(), record::index(self.covered, runs))
        })
    }

    /// The map has what [`Index::record`] said.
    pub fn recorded(&mut self, files: &dyn Files) -> Result<(), StoreError> {
        self.changed = false;
        let replaced = std::mem::take(&mut self.replaced);
        replaced.into_iter().try_for_each(|number| files.remove(&run::folder(number)))
    }

    /// Takes the terms of durable entries up to `end`, and goes on merging.
    pub fn take<'a>(
        &mut self,
        files: &dyn Files,
        terms: impl IntoIterator<Item = (&'a Term, EntryId)>,
        end: EntryId,
    ) -> Result<(), StoreError> {
        let before = self.recent.len();
        self.recent.extend(terms.into_iter().map(|(term, entry)| record_of(term, entry)));
        let added = self.recent.len() - before;
        self.go_on(files, added * PACE)?;
        if self.recent.len() >= self.run_records {
            self.freeze(files, end)?;
        }
        Ok(())
    }

    /// The records in memory become a run. The one before is done: it went on faster than these came.
    fn freeze(&mut self, files: &dyn Files, end: EntryId) -> Result<(), StoreError> {
        while self.merges.iter().any(|merge| merge.level == 0) {
            self.go_on(files, self.run_records)?;
        }
        self.frozen = Arc::new(std::mem::take(&mut self.recent).into_iter().collect());
        self.frozen_to = end;
        self.begin(files, 0, vec![Source::Memory(Arc::clone(&self.frozen))])
    }

    fn begin(
        &mut self,
        files: &dyn Files,
        level: usize,
        sources: Vec<Source>,
    ) -> Result<(), StoreError> {
        self.merges.push(Merge::begin(files, self.next_number, level, sources)?);
        self.next_number += 1;
        Ok(())
    }

    /// Goes on with every merge for so many records.
    fn go_on(&mut self, files: &dyn Files, records: usize) -> Result<(), StoreError> {
        let mut at = 0;
        while let Some(merge) = self.merges.get_mut(at) {
            if merge.go_on(files, records)? {
                let merge = self.merges.swap_remove(at);
                self.complete(files, merge)?;
            } else {
                at += 1;
            }
        }
        Ok(())
    }

    fn complete(&mut self, files: &dyn Files, merge: Merge) -> Result<(), StoreError> {
        let (level, replaces) = (merge.level, merge.replaces);
        let run = Arc::new(merge.finish(files)?);
        if level == 0 {
            self.frozen = Arc::default();
            self.covered = self.frozen_to;
        } else {
            let old = self.level(level - 1).drain(..replaces).map(|run| run.number);
            let old: Vec<_> = old.collect();
            self.replaced.extend(old);
        }
        self.level(level).push(run);
        self.changed = true;
        for level in level.saturating_sub(1)..=level {
            self.merge_if_full(files, level)?;
        }
        Ok(())
    }

    fn merge_if_full(&mut self, files: &dyn Files, level: usize) -> Result<(), StoreError> {
        let busy = self.merges.iter().any(|merge| merge.level == level + 1);
        let runs = self.level(level);
        if busy || runs.len() < INDEX_RUNS_PER_LEVEL {
            return Ok(());
        }
        let sources = runs.iter().take(INDEX_RUNS_PER_LEVEL).cloned().map(Source::Run).collect();
        self.begin(files, level + 1, sources)
    }

    fn level(&mut self, level: usize) -> &mut Vec<Arc<Run>> {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        &mut self.levels[level]
    }

    /// Up to `max` entries under a term, after `after`, in order; and perhaps strangers.
    pub fn find(
        &self,
        files: &dyn Files,
        term: &Term,
        after: EntryId,
        max: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        let Some(place) = place_of(after).checked_add(1) else { return Ok(Vec::new()) };
        let first = Record { hash: hash_of(term), place };
        let last = Record { place: u64::MAX, ..first };
        let mut found: Vec<_> = self.recent.range(first..=last).take(max).copied().collect();
        let frozen = self.frozen.iter().skip(self.frozen.partition_point(|record| *record < first));
        found.extend(frozen.take_while(|record| **record <= last).take(max));
        for run in self.levels.iter().flatten() {
            run.find(files, first, max, &mut found)?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found.into_iter().take(max).map(entry_of).collect())
    }

    /// Every record, in order.
    pub fn each(
        &self,
        files: &dyn Files,
        mut take: impl FnMut(Vec<Pair>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let runs = self.levels.iter().flatten().cloned().map(Source::Run);
        let recent = Arc::new(self.recent.iter().copied().collect());
        let memory = [Source::Memory(recent), Source::Memory(Arc::clone(&self.frozen))];
        let mut sorted = Sorted::new(runs.chain(memory).collect());
        let mut page = Vec::new();
        while let Some(record) = sorted.next(files)? {
            page.push(([&b"i"[..], &record.to_bytes()].concat(), Vec::new()));
            if page.len() == SCAN_PAGE {
                take(std::mem::take(&mut page))?;
            }
        }
        take(page)
    }
}

fn record_of(term: &Term, entry: EntryId) -> Record {
    let record = Record { hash: hash_of(term), place: place_of(entry) };
    assert_eq!(entry_of(record), entry, "an entry that the log can have");
    record
}

/// Epoch and index in the order of the log. Whoever asks may name an entry that no log can have: it
/// counts as the last of its epoch, or of all.
fn place_of(entry: EntryId) -> u64 {
    let epoch = u64::from(entry.epoch);
    if epoch >> (u64::BITS - INDEX_BITS) > 0 {
        return u64::MAX;
    }
    (epoch << INDEX_BITS) | entry.index.min((1 << INDEX_BITS) - 1)
}

fn hash_of(term: &Term) -> u64 {
    let digest = match term {
        Term::Consignment(id) => Sha256::of_parts(&[b"consignment", id.0.as_bytes()]),
        Term::Document(text) => Sha256::of_parts(&[b"document", text.as_bytes()]),
        Term::Number(text) => Sha256::of_parts(&[b"number", text.as_bytes()]),
        Term::Issued { sender, year, number } => {
            let (sender, year) = (sender.as_str().as_bytes(), year.to_be_bytes());
            Sha256::of_parts(&[b"issued", sender, b"\0", &year, number.as_bytes()])
        }
        Term::Dossier(code) => Sha256::of_parts(&[b"dossier", code.as_str().as_bytes()]),
        Term::DossierSteps(code) => Sha256::of_parts(&[b"dossier steps", code.as_str().as_bytes()]),
        Term::Envelope(digest) => Sha256::of_parts(&[b"envelope", &digest.0]),
        Term::Request(key) => Sha256::of_parts(&[b"request", &key.0]),
        Term::Sender(code) => Sha256::of_parts(&[b"sender", code.as_str().as_bytes()]),
        Term::Directory => Sha256::of_parts(&[b"directory"]),
        Term::Recipient(code) => Sha256::of_parts(&[b"recipient", code.as_str().as_bytes()]),
    };
    let [h0, h1, h2, h3, h4, h5, h6, h7, ..] = digest.0;
    u64::from_be_bytes([h0, h1, h2, h3, h4, h5, h6, h7])
}

fn entry_of(record: Record) -> EntryId {
    let epoch = u32::try_from(record.place >> INDEX_BITS).expect("24 bits");
    EntryId { epoch, index: record.place & ((1 << INDEX_BITS) - 1) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::kv::Medium as _;
    use crate::store::memory::MemoryMedium;

    fn term(number: u8) -> Term {
        Term::Number(number.to_string())
    }

    /// The index after a crash: what its last record says, and the entries since.
    fn reopened(
        files: &dyn Files,
        stored: Option<&Vec<u8>>,
        run_records: usize,
        log: &[u8],
    ) -> Index {
        let mut index = Index::open(files, stored.cloned(), run_records).expect("opens");
        let from = usize::try_from(index.covered().index).expect("small");
        for (at, number) in log.iter().enumerate().skip(from) {
            add(files, &mut index, at, *number);
        }
        index
    }

    fn add(files: &dyn Files, index: &mut Index, at: usize, number: u8) {
        let entry = |at: usize| EntryId { epoch: 1, index: at as u64 };
        index.take(files, [(&term(number), entry(at))], entry(at + 1)).expect("takes");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is added, recorded and lost in whatever order, every entry is found.
        #[test]
        fn it_finds_what_was_added(
            steps in prop::collection::vec((0u8..12, 0u8..8), 1..400),
            run_records in 1usize..9,
        ) {
            let medium = std::sync::Arc::new(MemoryMedium::default());
            let files = medium.files();
            let mut index = Index::empty(files, run_records).expect("begins");
            let (mut log, mut stored) = (Vec::new(), None);
            for (number, step) in steps {
                match step {
                    0 => index = reopened(files, stored.as_ref(), run_records, &log),
                    1 | 2 => {
                        if let Some(Write { value, .. }) = index.record() {
                            stored = value;
                        }
                        index.recorded(files).expect("removes");
                    }
                    _ => {
                        add(files, &mut index, log.len(), number);
                        log.push(number);
                    }
                }
            }
            let mut expected: BTreeMap<u8, Vec<EntryId>> = BTreeMap::new();
            for (at, number) in (0u64..).zip(&log) {
                expected.entry(*number).or_default().push(EntryId { epoch: 1, index: at });
            }
            for number in 0..13 {
                let found = index.find(files, &term(number), EntryId::ZERO, 1_000).expect("reads");
                let all = expected.remove(&number).unwrap_or_default();
                prop_assert_eq!(&found, &all);
                if let Some((middle, rest)) = all.get(all.len() / 2..).and_then(<[_]>::split_first) {
                    let found = index.find(files, &term(number), *middle, 2).expect("reads");
                    prop_assert_eq!(&found, &rest[..rest.len().min(2)]);
                }
            }
            let mut records = 0;
            let counted = index.each(files, |page| {
                records += page.len();
                Ok(())
            });
            prop_assert_eq!((counted, records), (Ok(()), log.len()));
        }
    }

    #[test]
    fn behind_an_entry_that_no_log_can_have_stands_what_stands_behind_its_place() {
        let medium = std::sync::Arc::new(MemoryMedium::default());
        let files = medium.files();
        let mut index = Index::empty(files, 2).expect("begins");
        let entries = [(1, 0), (1, 7), (2, 3)].map(|(epoch, index)| EntryId { epoch, index });
        for entry in entries {
            index.take(files, [(&term(1), entry)], entry).expect("takes");
        }
        for (epoch, at, behind) in [(1, u64::MAX, 1), (2, u64::MAX, 0), (u32::MAX, u64::MAX, 0)] {
            let after = EntryId { epoch, index: at };
            let found = index.find(files, &term(1), after, 9).expect("reads");
            assert_eq!(found, entries[entries.len() - behind..], "after {after}");
        }
    }

    #[test]
    fn the_number_of_runs_grows_with_the_logarithm_and_memory_stays_small() {
        let medium = std::sync::Arc::new(MemoryMedium::default());
        let files = medium.files();
        let mut index = Index::empty(files, 64).expect("begins");
        for at in 0..100_000u64 {
            let (term, entry) = (Term::Number(at.to_string()), EntryId { epoch: 1, index: at });
            let end = EntryId { epoch: 1, index: at + 1 };
            index.take(files, [(&term, entry)], end).expect("takes");
            index.recorded(files).expect("removes");
            assert!(index.recent.len() <= 64 && index.frozen.len() <= 64);
            let runs: Vec<_> = index.levels.iter().map(Vec::len).collect();
            let most = 2 * INDEX_RUNS_PER_LEVEL;
            assert!(runs.len() <= 7 && runs.iter().all(|runs| *runs <= most), "{runs:?}");
        }
    }
}
