//! What every store must do, on every backend; that the suite notices when one does not; and what
//! is left after any write has failed.

mod contract;
mod ledger;

use std::path::PathBuf;
use std::sync::Arc;

use contract::{Site, failures};
use vanthu::gateway::ports::{Store, StoreError};
use vanthu::store::memory::{self, MemoryMedium};
use vanthu::store::sled;

/// Small: eviction shall happen in tests.
const CACHE_BYTES: u64 = 1 << 20;

struct Memory(Arc<MemoryMedium>);

impl Site for Memory {
    fn open(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(memory::open(&self.0)?))
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
fn the_store_on_sled_keeps_the_contract() {
    let failed = failures(&disk);
    assert!(failed.is_empty(), "{failed:#?}");
}
