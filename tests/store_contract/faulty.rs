//! Media that fail or crash at a chosen write, and write nothing after it.

use std::sync::{Arc, Mutex, PoisonError};

use vanthu::gateway::ports::StoreError;
use vanthu::store::{Files, Kv, Medium, Pair, Write};

/// What happens at the chosen write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Fails,
    FailsButPersists,
    CrashesBefore,
    CrashesAfter,
    /// It says that it did, and did not: what no store can repair, and every audit must see.
    Forgets,
}

pub const FAULTS: [Fault; 4] =
    [Fault::Fails, Fault::FailsButPersists, Fault::CrashesBefore, Fault::CrashesAfter];

/// First byte of the keys of entries (src/store/keyspace.rs).
const ENTRIES: u8 = b'l';

/// Counts writes down to the one at which the fault happens. After it, nothing is written.
pub struct Fuse(Mutex<Burning>);

struct Burning {
    fault: Fault,
    left: usize,
    /// The kind of write at which the fault happened.
    burnt: Option<&'static str>,
}

impl Fuse {
    /// A fuse that burns at write `left`, counted from 1.
    pub fn new(fault: Fault, left: usize) -> Arc<Self> {
        let fuse = Self::unburnt();
        fuse.arm(fault, left);
        fuse
    }

    /// One that no test burns down.
    pub fn unburnt() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Burning { fault: Fault::Fails, left: usize::MAX, burnt: None })))
    }

    /// Writes that are left before the one at which the fault happens.
    pub fn left(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).left
    }

    /// At which kind of write the fault happened; `None` if it did not.
    pub fn burnt(&self) -> Option<&'static str> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).burnt
    }

    /// Makes the fault happen at write `left` from now on.
    pub fn arm(&self, fault: Fault, left: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Burning { fault, left, burnt: None };
    }

    /// Whether this batch is the one that is forgotten: only those with entries count.
    fn forgets(&self, batch: &[Write]) -> bool {
        let mut burning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = batch.iter().any(|write| write.key.first() == Some(&ENTRIES));
        if burning.fault != Fault::Forgets || !counts {
            return false;
        }
        burning.left = burning.left.saturating_sub(1);
        burning.left == 0
    }

    /// Does a write of this kind, or what the fuse is for.
    ///
    /// # Errors
    /// The writer's own, or the injected one.
    pub fn burn<T>(
        &self,
        kind: &'static str,
        write: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let (left, fault) = {
            let mut burning = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let left = burning.left;
            if burning.fault != Fault::Forgets {
                burning.left = left.saturating_sub(1);
                burning.burnt = burning.burnt.or((left == 1).then_some(kind));
            }
            (left, burning.fault)
        };
        match (left, fault) {
            (2.., _) | (_, Fault::Forgets) => write(),
            (0, _) | (_, Fault::Fails) => Err(StoreError::Medium("injected".into())),
            (_, Fault::FailsButPersists) => {
                write()?;
                Err(StoreError::Medium("injected".into()))
            }
            (_, Fault::CrashesBefore) => panic!("injected"),
            (_, Fault::CrashesAfter) => {
                write()?;
                panic!("injected")
            }
        }
    }
}

/// A medium behind a fuse.
pub struct FaultyMedium<M> {
    inner: Arc<M>,
    files: FaultyFiles<M>,
    fuse: Arc<Fuse>,
}

struct FaultyFiles<M> {
    inner: Arc<M>,
    fuse: Arc<Fuse>,
}

struct FaultyKv {
    inner: Arc<dyn Kv>,
    fuse: Arc<Fuse>,
}

impl<M: Medium> FaultyMedium<M> {
    /// `inner` behind `fuse`.
    pub fn new(inner: &Arc<M>, fuse: &Arc<Fuse>) -> Self {
        let files = FaultyFiles { inner: Arc::clone(inner), fuse: Arc::clone(fuse) };
        Self { inner: Arc::clone(inner), files, fuse: Arc::clone(fuse) }
    }
}

impl Kv for FaultyKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        self.inner.scan(from, to, max)
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        if self.fuse.forgets(&batch) {
            return Ok(());
        }
        self.fuse.burn("batch", || self.inner.apply(batch))
    }
}

impl<M: Medium> Files for FaultyFiles<M> {
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        // A torn write: half of the bytes arrive even if the write fails.
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        self.inner.files().append(path, half)?;
        self.fuse.burn("file", || self.inner.files().append(path, rest))
    }

    fn read(&self, path: &str, offset: u64, max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.files().read(path, offset, max)
    }

    fn sync(&self, folder: &str) -> Result<(), StoreError> {
        self.fuse.burn("sync", || self.inner.files().sync(folder))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        self.inner.files().list(folder)
    }

    fn remove(&self, folder: &str) -> Result<(), StoreError> {
        self.fuse.burn("removal", || self.inner.files().remove(folder))
    }
}

impl<M: Medium> Medium for FaultyMedium<M> {
    fn current(&self) -> Result<Option<String>, StoreError> {
        self.inner.current()
    }

    fn switch(&self, name: &str) -> Result<(), StoreError> {
        self.fuse.burn("switch", || self.inner.switch(name))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        self.inner.names()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Kv>, StoreError> {
        let inner = self.fuse.burn("new map", || self.inner.open(name))?;
        Ok(Arc::new(FaultyKv { inner, fuse: Arc::clone(&self.fuse) }))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.fuse.burn("removal", || self.inner.remove(name))
    }

    fn files(&self) -> &dyn Files {
        &self.files
    }
}
