//! What every store must do, on every backend; that the suite notices when one does not; and what
//! is left after any write has failed.

mod contract;
mod damage;
mod faults;
mod faulty;
mod ledger;
mod mutants;

use std::path::PathBuf;
use std::sync::Arc;

use contract::{Site, failures};
use mutants::{BUGS, Mutated};
use vanthu::gateway::ports::{Store, StoreError};
use vanthu::store::Table;
use vanthu::store::memory::{self, MemoryMedium};
use vanthu::store::sled::{self, SledMedium};

/// Small: eviction shall happen in tests.
pub const CACHE_BYTES: u64 = 1 << 20;

struct Memory(Arc<MemoryMedium>);

impl Site for Memory {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(memory::open(&self.0)?))
    }
}

/// An index of many small runs, which are merged all the time.
struct Merging(Arc<MemoryMedium>);

impl Site for Merging {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(Table::open_with_runs_of(Arc::clone(&self.0), 3)?))
    }
}

struct Disk {
    root: PathBuf,
    _folder: tempfile::TempDir,
}

impl Site for Disk {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(sled::open(&self.root, CACHE_BYTES)?))
    }
}

fn disk() -> Box<dyn Site> {
    let folder = tempfile::tempdir().expect("a folder");
    Box::new(Disk { root: folder.path().join("log"), _folder: folder })
}

#[test]
fn the_store_in_memory_keeps_the_contract() {
    let failed = failures(&|| Box::new(Memory(Arc::default())));
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_store_keeps_the_contract_while_its_index_is_merged() {
    let failed = failures(&|| Box::new(Merging(Arc::default())));
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_store_on_sled_keeps_the_contract() {
    let failed = failures(&disk);
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_contract_notices_every_seeded_bug() {
    // A suite that is red by itself would notice anything.
    assert_eq!(failures(&|| Box::new(Memory(Arc::default()))), Vec::<String>::new());
    for (bug, case) in BUGS {
        let failed = failures(&|| Box::new(Mutated::new(*bug)));
        let noticed = failed.iter().any(|failure| failure.starts_with(case));
        assert!(noticed, "{bug:?} was not noticed where it should be: {failed:#?}");
    }
}

#[test]
fn after_any_failed_write_in_memory_the_log_is_whole() {
    faults::matrix("memory", || Arc::new(Arc::<MemoryMedium>::default()), 1);
}

#[test]
fn after_any_failed_write_on_sled_the_log_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = std::cell::Cell::new(0);
    let fresh = || {
        count.set(count.get() + 1);
        let root = folder.path().join(count.get().to_string());
        Arc::new(SledMedium::new(&root, CACHE_BYTES).expect("a folder"))
    };
    // Every third write: the matrix in memory takes them all.
    faults::matrix("sled", fresh, 3);
}
