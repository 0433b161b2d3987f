//! The last signed head in a file of its own. It is trusted to be no newer than what was
//! acknowledged; whoever sets it back together with the store is caught by witnesses.
//!
//! The file has two slots that are overwritten in turn, so that a torn write leaves the other one.
//! A rename would do the same with two syncs and a change of the folder, which make the file system
//! write its journal; a slot needs one sync of data that is already allocated.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::disk::{self, medium};
use crate::digest::Sha256;
use crate::gateway::ports::{HeadGuard, StoreError};

/// The file in a gateway's data folder.
pub(super) const NAME: &str = "head.signed";
/// One slot: a page, which a disk writes as a whole or not at all, mostly.
const SLOT_SIZE: usize = 4096;
/// Sequence number, length, SHA-256 of both and the note.
const HEADER_SIZE: usize = 8 + 4 + 32;

/// [`HeadGuard`] in `<dir>/head.signed`.
#[derive(Debug)]
pub struct FileGuard {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    /// Number of the newest slot; 0 if none was written.
    newest: u64,
}

impl FileGuard {
    /// Whether there is a guard in `root`.
    pub fn is_in(root: &Path) -> bool {
        root.join(NAME).is_file()
    }

    /// The guard in `root`, which is created if it does not exist.
    ///
    /// # Errors
    /// Medium.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let path = root.join(NAME);
        let open = || -> io::Result<State> {
            disk::create_folder(root)?;
            if !path.exists() {
                disk::replace(&path, &[0; 2 * SLOT_SIZE])?;
            }
            let file = OpenOptions::new().read(true).write(true).open(&path)?;
            let newest = newest(&file)?.map_or(0, |(number, _)| number);
            Ok(State { file, newest })
        };
        let state = Mutex::new(open().map_err(medium(&path))?);
        Ok(Self { path, state })
    }
}

impl HeadGuard for FileGuard {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = newest(&state.file).map_err(medium(&self.path))?;
        Ok(newest.map(|(_, note)| note))
    }

    fn keep(&self, note: &[u8]) -> Result<(), StoreError> {
        assert!(note.len() <= SLOT_SIZE - HEADER_SIZE, "a note of {} bytes", note.len());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let number = state.newest + 1;
        let slot = slot(number, note);
        let write = || -> io::Result<()> {
            state.file.write_all_at(&slot, offset(number))?;
            state.file.sync_data()
        };
        write().map_err(medium(&self.path))?;
        state.newest = number;
        Ok(())
    }
}

fn offset(number: u64) -> u64 {
    number % 2 * SLOT_SIZE as u64
}

fn slot(number: u64, note: &[u8]) -> Vec<u8> {
    let length = u32::try_from(note.len()).expect("a note fits into a slot").to_be_bytes();
    let number = number.to_be_bytes();
    let digest = Sha256::of_parts(&[&number, &length, note]);
    [&number[..], &length, &digest.0, note].concat()
}

/// The newest whole slot.
fn newest(file: &File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let mut newest = None;
    for half in 0..2 {
        let mut bytes = vec![0; SLOT_SIZE];
        if file.read_exact_at(&mut bytes, half * SLOT_SIZE as u64).is_err() {
            return Err(io::Error::other("the head guard is cut off"));
        }
        newest = newest.max(read(&bytes));
    }
    Ok(newest)
}

fn read(slot: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (number, rest) = slot.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (digest, rest) = rest.split_first_chunk::<32>()?;
    let note = rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let whole = Sha256::of_parts(&[number, length, note]).0 == *digest;
    whole.then(|| (u64::from_be_bytes(*number), note.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guard_remembers_the_last_head_and_nothing_on_a_new_machine() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("state");
        let guard = FileGuard::open(&root).expect("opens");
        assert_eq!(guard.load(), Ok(None));
        for note in [b"first".as_slice(), b"second, longer", b"3"] {
            guard.keep(note).expect("keeps");
            let reopened = FileGuard::open(&root).expect("opens");
            assert_eq!(reopened.load(), Ok(Some(note.to_vec())));
        }
    }

    #[test]
    fn a_torn_write_leaves_the_head_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let guard = FileGuard::open(folder.path()).expect("opens");
        guard.keep(b"first").expect("keeps");
        guard.keep(b"second").expect("keeps");
        let path = folder.path().join("head.signed");
        let whole = std::fs::read(&path).expect("reads");
        for torn in 0..HEADER_SIZE + 6 {
            let mut bytes = whole.clone();
            bytes[torn] ^= 1;
            std::fs::write(&path, &bytes).expect("writes");
            let reopened = FileGuard::open(folder.path()).expect("opens");
            assert_eq!(reopened.load(), Ok(Some(b"first".to_vec())), "byte {torn}");
        }
    }
}
