//! Small files that are replaced as a whole: what a witness has seen, and what witnesses have said
//! of our log. Evidence lies in the signatures within, not in the folder; who removes a file of a
//! witness makes it forget, which no other party can notice: back them up.

use std::path::{Path, PathBuf};

use super::disk::{self, medium};
use crate::gateway::ports::{Notebook, StoreError};

/// Replaces a file as a whole: after a power cut it has the old bytes or the new ones.
///
/// # Errors
/// The medium's.
pub fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    disk::replace(path, bytes)
}

/// Files below a folder.
#[derive(Debug)]
pub struct FileNotebook(PathBuf);

impl FileNotebook {
    /// The notebook in `folder`, which is created if it does not exist.
    ///
    /// # Errors
    /// Medium.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        disk::create_folder(folder).map_err(medium(folder))?;
        Ok(Self(folder.to_owned()))
    }
}

impl Notebook for FileNotebook {
    fn load(&self) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut all = Vec::new();
        for name in disk::names_in(&self.0).map_err(medium(&self.0))? {
            // A draft that was cut short was never kept.
            if name.ends_with(disk::DRAFT) {
                continue;
            }
            let path = self.0.join(&name);
            let bytes = disk::read_if_there(&path).map_err(medium(&path))?;
            all.extend(bytes.map(|bytes| (name, bytes)));
        }
        Ok(all)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.0.join(name);
        disk::replace(&path, bytes).map_err(medium(&path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_there_and_a_draft_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("witness");
        let book = FileNotebook::open(&root).expect("opens");
        assert_eq!(book.load(), Ok(Vec::new()));
        book.keep("b", b"first").expect("keeps");
        book.keep("a", b"other").expect("keeps");
        book.keep("b", b"second").expect("keeps");
        std::fs::write(root.join("b.tmp"), b"cut").expect("writes");
        let again = FileNotebook::open(&root).expect("opens");
        let kept = [("a".to_owned(), b"other".to_vec()), ("b".to_owned(), b"second".to_vec())];
        assert_eq!(again.load(), Ok(kept.to_vec()));
    }
}
