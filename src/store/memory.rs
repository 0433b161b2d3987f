//! A medium in memory, with the semantics of the one on disk: for tests and simulations.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::kv::{Files, Kv, Medium, Pair, Write};
use super::table::Table;
use crate::gateway::ports::StoreError;

/// A store in memory.
pub type MemoryStore = Table<Arc<MemoryMedium>>;

/// Opens a store in memory. Opening the same medium again is a restart.
///
/// # Errors
/// Damage.
pub fn open(medium: &Arc<MemoryMedium>) -> Result<MemoryStore, StoreError> {
    Table::open(Arc::clone(medium))
}

/// Maps and files in memory.
#[derive(Debug, Default)]
pub struct MemoryMedium {
    current: Mutex<Option<String>>,
    maps: Mutex<BTreeMap<String, Arc<MemoryKv>>>,
    files: MemoryFiles,
}

/// A map in memory.
#[derive(Debug, Default)]
pub struct MemoryKv(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

/// Files in memory.
#[derive(Debug, Default)]
struct MemoryFiles(Mutex<BTreeMap<String, Vec<u8>>>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kv for MemoryKv {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(locked(&self.0).get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let range = (Bound::Included(from), Bound::Excluded(to));
        let map = locked(&self.0);
        let pairs = map.range::<[u8], _>(range).take(max);
        Ok(pairs.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut map = locked(&self.0);
        for Write { key, value } in batch {
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(())
    }
}

impl Files for MemoryFiles {
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        locked(&self.0).entry(path.to_owned()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn read(&self, path: &str, offset: u64, max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let files = locked(&self.0);
        let Some(bytes) = files.get(path) else { return Ok(None) };
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(max).min(bytes.len());
        Ok(Some(bytes[start..end].to_vec()))
    }

    fn sync(&self, _folder: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let prefix = format!("{folder}/");
        let files = locked(&self.0);
        let names = files.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next());
        let mut names: Vec<String> = names.map(str::to_owned).collect();
        names.dedup();
        Ok(names)
    }

    fn remove(&self, folder: &str) -> Result<(), StoreError> {
        let prefix = format!("{folder}/");
        locked(&self.0).retain(|path, _| !path.starts_with(&prefix));
        Ok(())
    }
}

impl Medium for Arc<MemoryMedium> {
    fn current(&self) -> Result<Option<String>, StoreError> {
        Ok(locked(&self.current).clone())
    }

    fn switch(&self, name: &str) -> Result<(), StoreError> {
        *locked(&self.current) = Some(name.to_owned());
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        Ok(locked(&self.maps).keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Kv>, StoreError> {
        let kv: Arc<MemoryKv> = Arc::clone(locked(&self.maps).entry(name.to_owned()).or_default());
        Ok(kv)
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        locked(&self.maps).remove(name);
        Ok(())
    }

    fn files(&self) -> &dyn Files {
        &self.files
    }
}
