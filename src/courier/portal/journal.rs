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
    /// And these steps behind it, as they stand in the log.
    done: Vec<String>,
}

/// Steps of one answer of the gateway that are not handed over yet.
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
    done: BTreeSet<EntryId>,
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
        let done = file.done.iter().filter_map(|text| EntryId::parse(text)).collect();
        Ok(Self { path, cursor: file.cursor, done, pages: VecDeque::new() })
    }

    /// From where the gateway is to tell.
    pub(super) fn cursor(&self) -> &str {
        &self.cursor
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
        let left: BTreeSet<_> = steps.difference(&self.done).copied().collect();
        self.pages.push_back(Page { cursor, left: left.clone(), last });
        self.settle();
        left
    }

    /// A step is dealt with.
    pub(super) fn deal(&mut self, step: EntryId) {
        if self.pages.iter_mut().any(|page| page.left.remove(&step)) {
            self.done.insert(step);
            self.settle();
        }
    }

    /// Moves the cursor behind the answers of which nothing is left.
    fn settle(&mut self) {
        while self.pages.front().is_some_and(|page| page.left.is_empty())
            && let Some(page) = self.pages.pop_front()
        {
            self.cursor = page.cursor;
            self.done = self.done.split_off(&page.last.next());
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
        let done = self.done.iter().map(EntryId::to_string).collect();
        Ok(serde_json::to_vec(&File { cursor: self.cursor.clone(), done })?)
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
        assert!(again.done.is_empty(), "what the cursor covers need not be listed");
        again.keep().await.expect("keeps");
        assert_eq!(Journal::open(path.clone()).expect("opens").cursor(), "d");

        std::fs::write(&path, b"{\"cursor\": 1}").expect("writes");
        assert!(Journal::open(path).is_err(), "it is another file");
    }
}
