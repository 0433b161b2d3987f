//! What a medium must be able to do. Everything else the store does is written once, above this.
//!
//! A [`Kv`] is an ordered map with atomic, durable batches. A [`Medium`] holds one `Kv` for the
//! open epoch and the files of the closed ones. Tests inject faults by wrapping either.

use std::sync::Arc;

use crate::gateway::ports::StoreError;

/// One change of an ordered map: a value to put, or a key to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The key.
    pub key: Vec<u8>,
    /// The value; `None` removes the key.
    pub value: Option<Vec<u8>>,
}

impl Write {
    /// Puts a value.
    pub fn put(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self { key, value: Some(value) }
    }

    /// Removes a key.
    pub fn remove(key: Vec<u8>) -> Self {
        Self { key, value: None }
    }
}

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// An ordered map from bytes to bytes.
pub trait Kv: Send + Sync {
    /// The value of a key.
    ///
    /// # Errors
    /// Medium.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `max` pairs with `from <= key < to`, in ascending order.
    ///
    /// # Errors
    /// Medium.
    fn scan(&self, from: &[u8], to: &[u8], max: usize) -> Result<Vec<Pair>, StoreError>;

    /// Applies all of a batch, durable on return, or none of it. No key occurs twice. After an
    /// error it is unknown which of the two it was, until the map is opened again.
    ///
    /// # Errors
    /// Medium.
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError>;

    /// The same for a map that does not count yet: durable with the next [`Kv::apply`], and until then a
    /// crash may leave any part of it.
    ///
    /// # Errors
    /// Medium.
    fn fill(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        self.apply(batch)
    }
}

/// Immutable files by path, with `/` between names.
pub trait Files: Send + Sync {
    /// Appends to a file, which is created if it does not exist. Not durable until
    /// [`Files::sync`].
    ///
    /// # Errors
    /// Medium.
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Up to `max` bytes from `offset` on; `None` if there is no such file.
    ///
    /// # Errors
    /// Medium.
    fn read(&self, path: &str, offset: u64, max: usize) -> Result<Option<Vec<u8>>, StoreError>;

    /// Makes every file below `folder` durable.
    ///
    /// # Errors
    /// Medium.
    fn sync(&self, folder: &str) -> Result<(), StoreError>;

    /// Names below `folder`, in ascending order; none if it does not exist.
    ///
    /// # Errors
    /// Medium.
    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError>;

    /// Removes `folder` with all that is in it; nothing happens if it does not exist.
    ///
    /// # Errors
    /// Medium.
    fn remove(&self, folder: &str) -> Result<(), StoreError>;
}

/// Where the maps of the epochs and the files of closed ones are.
pub trait Medium: Send + Sync {
    /// The name of the map that counts; `None` on a new medium.
    ///
    /// # Errors
    /// Medium.
    fn current(&self) -> Result<Option<String>, StoreError>;

    /// From now on the map `name` counts; durable on return, and either the old or the new one
    /// counts if interrupted.
    ///
    /// # Errors
    /// Medium.
    fn switch(&self, name: &str) -> Result<(), StoreError>;

    /// All maps that exist.
    ///
    /// # Errors
    /// Medium.
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// Opens a map for this process alone; creates it durably if it does not exist.
    ///
    /// # Errors
    /// Medium, also when another process has it open.
    fn open(&self, name: &str) -> Result<Arc<dyn Kv>, StoreError>;

    /// Removes a map that is not open; nothing happens if it does not exist.
    ///
    /// # Errors
    /// Medium.
    fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Files of closed epochs.
    fn files(&self) -> &dyn Files;
}
