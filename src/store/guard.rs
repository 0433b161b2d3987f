//! The last signed head in a file of its own, replaced as a whole. It is trusted to be no newer
//! than what was acknowledged; whoever sets it back together with the store is caught by witnesses.

use std::path::{Path, PathBuf};

use super::disk::{self, medium};
use crate::gateway::ports::{HeadGuard, StoreError};

/// [`HeadGuard`] in `<dir>/head.signed`.
#[derive(Debug)]
pub struct FileGuard(PathBuf);

impl FileGuard {
    /// The guard in `root`, which is created if it does not exist.
    ///
    /// # Errors
    /// Medium.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        disk::create_folder(root).map_err(medium(root))?;
        Ok(Self(root.join("head.signed")))
    }
}

impl HeadGuard for FileGuard {
    fn load(&self) -> Result<Option<Vec<u8>>, StoreError> {
        disk::read_if_there(&self.0).map_err(medium(&self.0))
    }

    fn keep(&self, note: &[u8]) -> Result<(), StoreError> {
        disk::replace(&self.0, note).map_err(medium(&self.0))
    }
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
}
