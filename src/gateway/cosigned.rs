//! Our own checkpoints as others have seen them: for each epoch the newest one with a quorum of
//! cosignatures, and the one that is published to readers.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use super::ports::{Notebook, StoreError};
use crate::log::{Checkpoint, EntryId, LogPublicKey, SignedCheckpoint};

/// The cosigned checkpoints of this gateway's log.
#[derive(Default)]
pub struct Cosigned {
    book: Option<Arc<dyn Notebook>>,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    /// By epoch: size and note.
    witnessed: BTreeMap<u32, (u64, Vec<u8>)>,
    published: Option<(u32, Vec<u8>)>,
}

impl Cosigned {
    /// What `book` holds of the log that signs with `key`. A note that is none of ours is passed
    /// over: another one will be cosigned.
    ///
    /// # Errors
    /// The medium's.
    pub fn open(book: Arc<dyn Notebook>, key: &LogPublicKey) -> Result<Self, StoreError> {
        let mut state = State::default();
        for (_, note) in book.load()? {
            if let Ok(checkpoint) = key.open(&note) {
                state.witnessed.insert(checkpoint.origin.epoch, (checkpoint.size, note));
            }
        }
        Ok(Self { book: Some(book), state: RwLock::new(state) })
    }

    /// The newest checkpoint of an epoch with a quorum of cosignatures.
    pub fn of(&self, epoch: u32) -> Option<Vec<u8>> {
        let state = self.state.read().expect("no panic while replacing");
        state.witnessed.get(&epoch).map(|(_, note)| note.clone())
    }

    /// The same, if it covers the entry.
    pub fn covering(&self, id: EntryId) -> Option<Vec<u8>> {
        self.covers(id.epoch, id.index.saturating_add(1)).then(|| self.of(id.epoch)).flatten()
    }

    /// Whether a quorum has seen so much of the epoch.
    pub fn covers(&self, epoch: u32, size: u64) -> bool {
        let state = self.state.read().expect("no panic while replacing");
        state.witnessed.get(&epoch).is_some_and(|(seen, _)| *seen >= size)
    }

    /// Keeps a checkpoint that a quorum has cosigned, durably. One that is older than what is kept
    /// changes nothing. Blocks.
    ///
    /// # Errors
    /// The medium's.
    pub fn keep(&self, checkpoint: &SignedCheckpoint, note: Vec<u8>) -> Result<(), StoreError> {
        let (epoch, size) = (checkpoint.origin.epoch, checkpoint.size);
        if self.covers(epoch, size.saturating_add(1)) {
            return Ok(());
        }
        if let Some(book) = &self.book {
            book.keep(&format!("{epoch:05}"), &note)?;
        }
        let mut state = self.state.write().expect("no panic while replacing");
        state.witnessed.insert(epoch, (size, note));
        Ok(())
    }

    /// What readers get from now on: a checkpoint with the cosignatures that came in time.
    pub fn publish(&self, note: Vec<u8>) {
        let Some(Checkpoint { origin, .. }) = Checkpoint::claimed(&note) else { return };
        let mut state = self.state.write().expect("no panic while replacing");
        state.published = Some((origin.epoch, note));
    }

    /// What readers get of an epoch: what was published, or for another epoch what a quorum has
    /// seen. `None`: ask the log itself.
    pub fn published(&self, epoch: u32) -> Option<Vec<u8>> {
        let state = self.state.read().expect("no panic while replacing");
        let published = state.published.as_ref().filter(|(of, _)| *of == epoch);
        published.map(|(_, note)| note.clone())
    }
}
