//! How far the notices of the portal's agency are dealt with, in a file that is replaced as a whole.
//!
//! The file may be lost: then every step that the mailbox still has is handed over once more, with the
//! same words and the same moment. It proves nothing, and says nothing of a citizen's.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log::EntryId;
use crate::store::notebook;

/// The file as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Everything up to here is dealt with.
    cursor: String,
    /// The last entry behind it that was told; empty if there was none.
    #[serde(default)]
    until: String,
    /// The steps up to there that are not dealt with, as they stand in the log.
    #[serde(default)]
    left: Vec<String>,
}

/// Steps of one answer of the gateway that are not handed over yet, and answers behind it of which
/// nothing is left.
#[derive(Debug)]
struct Page {
    /// Covers all of them.
    cursor: String,
    left: BTreeSet<EntryId>,
    last: EntryId,
}

/// The file, and what it will say.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    cursor: String,
    until: EntryId,
    left: BTreeSet<EntryId>,
    pages: VecDeque<Page>,
}

impl Journal {
    /// What the file says; without it, the beginning.
    ///
    /// # Errors
    /// It cannot be read, or is another file.
    pub(super) fn open(path: PathBuf) -> std::io::Result<Self> {
        let file = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => File::default(),
            read => serde_json::from_slice(&read?)?,
        };
        let until = EntryId::parse(&file.until).unwrap_or(EntryId::ZERO);
        let left = file.left.iter().filter_map(|text| EntryId::parse(text)).collect();
        Ok(Self { path, cursor: file.cursor, until, left, pages: VecDeque::new() })
    }

    /// From where the gateway is to tell.
    pub(super) fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The last entry that was told.
    pub(super) fn until(&self) -> EntryId {
        self.until
    }

    /// How many steps were told and are not dealt with.
    pub(super) fn left(&self) -> usize {
        self.pages.iter().map(|page| page.left.len()).sum()
    }

    /// The gateway told these steps, up to `cursor` and to the entry `last`; gives those that are still
    /// to be handed over.
    pub(super) fn told(
        &mut self,
        steps: BTreeSet<EntryId>,
        last: EntryId,
        cursor: String,
    ) -> BTreeSet<EntryId> {
        let is_left = |step: &EntryId| *step > self.until || self.left.contains(step);
        let left: BTreeSet<_> = steps.into_iter().filter(is_left).collect();
        self.left.extend(&left);
        self.until = self.until.max(last);
        self.pages.push_back(Page { cursor, left: left.clone(), last });
        self.settle();
        left
    }

    /// A step is dealt with.
    pub(super) fn deal(&mut self, step: EntryId) {
        if self.pages.iter_mut().any(|page| page.left.remove(&step)) {
            self.left.remove(&step);
            self.settle();
        }
    }

    /// Moves the cursor behind the answers of which nothing is left. Those behind one of which something
    /// is left become part of it, so that there are never more of them than steps.
    fn settle(&mut self) {
        for page in std::mem::take(&mut self.pages) {
            match self.pages.back_mut() {
                Some(before) if page.left.is_empty() => {
                    (before.cursor, before.last) = (page.cursor, page.last);
                }
                None if page.left.is_empty() => {
                    self.cursor = page.cursor;
                    self.left = self.left.split_off(&page.last.next());
                }
                _ => self.pages.push_back(page),
            }
        }
    }

    /// Makes it durable.
    ///
    /// # Errors
    /// The medium's.
    pub(super) async fn keep(&self) -> std::io::Result<()> {
        let (path, bytes) = (self.path.clone(), self.written()?);
        let kept = tokio::task::spawn_blocking(move || notebook::replace(&path, &bytes)).await;
        kept.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    }

    fn written(&self) -> std::io::Result<Vec<u8>> {
        let left = self.left.iter().map(EntryId::to_string).collect();
        let until = Some(self.until).filter(|until| *until > EntryId::ZERO);
        let until = until.map(|until| until.to_string()).unwrap_or_default();
        Ok(serde_json::to_vec(&File { cursor: self.cursor.clone(), until, left })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(index: u64) -> EntryId {
        EntryId { epoch: 1, index }
    }

    fn places(indexes: &[u64]) -> BTreeSet<EntryId> {
        indexes.iter().map(|index| place(*index)).collect()
    }

    #[tokio::test]
    async fn what_is_not_dealt_with_comes_again_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let mut journal = Journal::open(path.clone()).expect("opens");
        assert_eq!(journal.cursor(), "");
        assert_eq!(journal.told(places(&[]), place(3), "a".into()), places(&[]));
        assert_eq!(journal.told(places(&[4, 6]), place(8), "b".into()), places(&[4, 6]));
        assert_eq!(journal.told(places(&[9]), place(9), "c".into()), places(&[9]));
        journal.deal(place(9));
        journal.deal(place(6));
        journal.deal(place(7));
        assert_eq!((journal.cursor(), journal.left()), ("a", 1));
        journal.keep().await.expect("keeps");

        let mut again = Journal::open(path.clone()).expect("opens");
        assert_eq!(again.cursor(), "a");
        assert_eq!(again.told(places(&[4, 6, 9, 12]), place(12), "d".into()), places(&[4, 12]));
        again.deal(place(4));
        again.deal(place(12));
        assert_eq!((again.cursor(), again.left()), ("d", 0));
        assert!(again.left.is_empty());
        again.keep().await.expect("keeps");
        assert_eq!(Journal::open(path.clone()).expect("opens").cursor(), "d");

        std::fs::write(&path, b"{\"cursor\": 1}").expect("writes");
        assert!(Journal::open(path).is_err(), "it is another file");
    }
    #[tokio::test]
    async fn one_step_that_stays_makes_neither_the_file_nor_its_pages_grow() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state.json");
        let mut journal = Journal::open(path.clone()).expect("opens");
        journal.told(places(&[1]), place(1), "1".into());
        for index in 2..1_000 {
            journal.told(places(&[index]), place(index), index.to_string());
            journal.deal(place(index));
        }
        assert_eq!((journal.cursor(), journal.left(), journal.pages.len()), ("", 1, 1));
        journal.keep().await.expect("keeps");
        assert!(std::fs::metadata(&path).expect("it is there").len() < 100);

        let mut again = Journal::open(path).expect("opens");
        assert_eq!(again.until(), place(999));
        assert_eq!(again.told(places(&[1, 2, 3]), place(3), "3".into()), places(&[1]));
        // Another kill before the rest was told again.
        again.keep().await.expect("keeps");
        assert_eq!(again.told(places(&[999, 1_000]), place(1_000), "x".into()), places(&[1_000]));
        again.deal(place(1));
        assert_eq!((again.cursor(), again.left()), ("3", 1));
        again.deal(place(1_000));
        assert_eq!((again.cursor(), again.left()), ("x", 0));
    }
}
