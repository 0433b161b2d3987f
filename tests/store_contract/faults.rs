//! Every write of a short history × {fails, fails but persists, crashes before, crashes after},
//! then a restart: what is there is what was before or what was being done, the log verifies, and
//! the history can be finished with the same end.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use vanthu::audit::Auditor;
use vanthu::document::Urgency;
use vanthu::gateway::ports::{LogStore, Place, Store, StoreError};
use vanthu::log::Checkpoint;
use vanthu::store::{Medium, Pair, Table};

use crate::faulty::{FAULTS, FaultyMedium, Fuse};
use crate::ledger::{
    Extras, Ledger, accepted, at, audit, consigned, handed_over, key, later, start,
};

/// The bodies that the history refers to.
fn contents() -> Vec<(vanthu::digest::Sha256, Place)> {
    let digest = |text: &str| vanthu::digest::Sha256::of(text.as_bytes());
    let place = Place::Volume { volume: 1, offset: 48, size: 3 };
    vec![(digest("one"), place), (digest("two"), Place::File { size: 9 })]
}

/// So few that the index writes runs, and merges them, within the history.
const RUN_RECORDS: usize = 2;

/// The history, step by step; every step but the last leaves one more entry or epoch.
const STEPS: usize = 6;

fn step<M: Medium>(number: usize, store: &Table<M>, ledger: &mut Ledger) -> Result<(), StoreError> {
    let submission = |n| [accepted(n, Urgency::Flash), consigned(n, "H49.11", Urgency::Flash)];
    match number {
        0 => ledger.commit(store, &submission(1)),
        1 => {
            let extras = Extras { contents: contents(), ..Extras::default() };
            ledger.commit_with(store, &submission(2), extras)
        }
        2 => ledger.commit(store, &[handed_over(1, "H49.11")]),
        3 => ledger.open_epoch(store),
        4 => {
            let [first, second] = submission(3);
            ledger.commit(store, &[handed_over(2, "H49.11"), first, second])
        }
        _ => store.rebuild(contents()),
    }
}

/// How many steps a head shows as done; the rebuild shows nothing.
fn done(store: &dyn Store) -> usize {
    let head = store.head().expect("reads");
    match (head.epoch, head.size) {
        (1, 0) => 0,
        (1, 2) => 1,
        (1, 4) => 2,
        (1, 5) => 3,
        (2, 1) => 4,
        (2, 4) => 5,
        other => panic!("no step leaves {other:?}"),
    }
}

fn lead<M: Medium>(store: &Table<M>) -> Result<Ledger, StoreError> {
    let term = store.lead("leader", start(), later(60))?;
    Ledger::load(store, term)
}

/// Opens the store and does all steps from the first that is not done. Gives how many it did.
fn run<M: Medium>(
    medium: FaultyMedium<M>,
    acknowledged: &mut usize,
    after_failure: &mut Option<Table<FaultyMedium<M>>>,
) -> Result<(), StoreError> {
    let store = Table::open_with_runs_of(medium, RUN_RECORDS)?;
    let history = |store: &Table<_>, acknowledged: &mut usize| {
        let mut ledger = lead(store)?;
        for number in done(store)..STEPS {
            step(number, store, &mut ledger)?;
            *acknowledged = number + 1;
        }
        Ok(())
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| history(&store, acknowledged)));
    let outcome = outcome.unwrap_or_else(|_| Err(StoreError::Medium("crashed".into())));
    if outcome.is_err() {
        *after_failure = Some(store);
    }
    outcome
}

fn dump<M: Medium>(store: &Table<M>) -> Vec<Pair> {
    let mut all = Vec::new();
    let taken = store.projections(|page| {
        all.extend(page);
        Ok(())
    });
    taken.expect("reads");
    all
}

/// Runs the history undisturbed; gives its end and how many writes it took.
fn undisturbed<M: Medium>(medium: &Arc<M>) -> (Vec<Vec<u8>>, Vec<Pair>, usize) {
    let fuse = Fuse::unburnt();
    run(FaultyMedium::new(medium, &fuse), &mut 0, &mut None).expect("runs");
    let writes = usize::MAX - fuse.left();
    let fine = FaultyMedium::new(medium, &Fuse::unburnt());
    let store = Table::open_with_runs_of(fine, RUN_RECORDS).expect("opens");
    (audit(&store).expect("reads"), dump(&store), writes)
}

/// The independent auditor reads all of it and finds nothing.
fn audited(store: &dyn Store) {
    let head = store.head().expect("reads");
    let mut auditor = Auditor::new(key().public());
    for epoch in 1..=head.epoch {
        let mut size = 0;
        for leaf in store.leaves(at(epoch, 0), usize::MAX).expect("reads") {
            size += 1;
            auditor.entry(&leaf);
            let note = store.checkpoint(epoch, size).expect("reads").expect("it is covered");
            let claimed = Checkpoint::claimed(&note).expect("a checkpoint");
            if claimed.size == size {
                auditor.checkpoint(&note);
            }
        }
        if epoch < head.epoch {
            auditor.next_epoch();
        }
    }
    let findings = auditor.finish().findings;
    assert!(findings.is_empty(), "{findings:#?}");
}

/// How many cases of each kind of write were clean, by fault.
type Clean = BTreeMap<&'static str, [usize; FAULTS.len()]>;

fn print(medium: &str, clean: &Clean) {
    let faults = FAULTS.map(|fault| format!("{fault:?}"));
    println!("{medium:<10} {:>9} {:>17} {:>14} {:>13}", faults[0], faults[1], faults[2], faults[3]);
    for (kind, [fails, persists, before, after]) in clean {
        println!("{kind:<10} {fails:>9} {persists:>17} {before:>14} {after:>13}");
    }
}

/// Runs the matrix on fresh media and prints how many cases were clean: every one that there is.
pub fn matrix<M: Medium>(medium: &str, fresh: impl Fn() -> Arc<M>, stride: usize) {
    let name = medium;
    let mut clean = Clean::new();
    let (leaves, projections, writes) = undisturbed(&fresh());
    let tags: std::collections::BTreeSet<u8> = projections.iter().map(|(key, _)| key[0]).collect();
    assert_eq!(tags, b"dinpsw".iter().copied().collect(), "the history touches every projection");
    assert!(writes > 30, "the history has only {writes} writes");
    for (place, fault) in FAULTS.into_iter().enumerate() {
        for at in (1..=writes).step_by(stride) {
            let medium = fresh();
            let context = format!("{fault:?} at write {at} of {writes}");
            let (mut acknowledged, mut failed) = (0, None);
            let fuse = Fuse::new(fault, at);
            let faulty = FaultyMedium::new(&medium, &fuse);
            let outcome =
                catch_unwind(AssertUnwindSafe(|| run(faulty, &mut acknowledged, &mut failed)));
            if let Some(store) = failed.take() {
                assert!(store.head().is_err(), "{context}: the store goes on after a failure");
                assert!(lead(&store).is_err(), "{context}: the store goes on after a failure");
            } else if matches!(outcome, Ok(Ok(()))) {
                assert_eq!(acknowledged, STEPS, "{context}");
            }
            let fine = FaultyMedium::new(&medium, &Fuse::unburnt());
            let store = Table::open_with_runs_of(fine, RUN_RECORDS)
                .unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = done(&store);
            let attempted = (acknowledged + 1).min(STEPS - 1);
            let shown = acknowledged.min(STEPS - 1);
            assert!((shown..=attempted).contains(&found), "{context}: {shown} {found}");
            let part = audit(&store).expect("reads");
            assert_eq!(part, leaves[..part.len()], "{context}");
            audited(&store);
            drop(store);
            let end = undisturbed(&medium);
            assert_eq!((&end.0, &end.1), (&leaves, &projections), "{context}");
            let kind = fuse.burnt().expect("the fault happened");
            clean.entry(kind).or_default()[place] += 1;
        }
    }
    print(name, &clean);
}
