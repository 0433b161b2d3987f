//! A ZIP as verification sees it: its entries, what is odd about it, and the bytes of each entry,
//! inflated in one pass through a small window and held against size and checksum on the way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::super::algorithm::Hash;
use super::super::content::Content;
use super::anomaly::{Anomalies, Anomaly};
use super::directory::{Directory, Fault};
use super::inflate::Opened;
use super::layout::{self, Entry, Method};
use super::names;
use crate::limits::{
    DOCUMENT_SIZE_MAX, PACKAGE_INFLATED_FREE, PACKAGE_PASSES_MAX, PACKAGE_RATIO_MAX,
    PACKAGE_STRUCTURE_MAX, PACKAGE_XML_SIZE_MAX,
};
use crate::source::Source;

/// An archive whose directory could be read.
pub(super) struct Archive<'a> {
    pub source: &'a dyn Source,
    /// In the order of the directory.
    pub entries: Vec<Entry>,
    pub anomalies: Anomalies,
    /// Of several entries with one name, the last.
    by_name: HashMap<String, usize>,
    digests: RefCell<HashMap<(usize, Hash), Vec<u8>>>,
    /// What was found while an entry was read to its end; `None` before that.
    read: RefCell<Vec<Option<Result<(), Anomaly>>>>,
    /// How many bytes may still be inflated, over all passes.
    budget: Cell<u64>,
    /// How many bytes of manifests and the like may still be taken in.
    structure: Cell<usize>,
}

impl<'a> Archive<'a> {
    pub fn open(source: &'a dyn Source) -> Result<Self, Fault> {
        let mut anomalies = Anomalies::default();
        let directory = Directory::read(source, &mut anomalies)?;
        let entries = layout::entries(source, &directory, &mut anomalies)?;
        names::check(&entries, &mut anomalies);
        for entry in &entries {
            anomalies.extend(unreadable(entry));
        }
        if !directory.comment.is_empty() && !directory.comment.starts_with(b"mimetype=") {
            let message = "the archive has a comment, which no signature covers";
            anomalies.push(Anomaly::remark("ZIP_COMMENT", message, directory.start));
        }
        let total = entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.size));
        if total > inflated_max(source.size()) {
            anomalies.push(bomb("The archive"));
        }
        let read = RefCell::new(entries.iter().map(|_| None).collect());
        let budget = Cell::new(inflated_max(source.size()).saturating_mul(PACKAGE_PASSES_MAX));
        let by_name = entries.iter().enumerate();
        let by_name = by_name.map(|(index, entry)| (entry.name.clone(), index)).collect();
        let digests = RefCell::default();
        let structure = Cell::new(PACKAGE_STRUCTURE_MAX);
        Ok(Self { source, entries, anomalies, by_name, digests, read, budget, structure })
    }

    /// The entry with exactly this name; the last one where there are several.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The entry that a URI means, if `decoded` is its name. Some writers leave names as they are, or
    /// write blanks as forms do; only a digest that fits makes such an entry the signed one.
    pub fn find_by_uri(&self, uri: &str, decoded: Option<&str>) -> Option<usize> {
        let as_in_forms = || self.find(&decoded?.replace('+', " "));
        let exact = decoded.and_then(|name| self.find(name));
        exact.or_else(|| self.find(uri)).or_else(as_in_forms)
    }

    /// The inflated bytes of an entry.
    pub fn bytes_of(&self, index: usize) -> Option<Opened<'_>> {
        self.entries.get(index).map(|entry| Opened::new(self, index, entry))
    }

    /// All bytes of an entry, in memory, if they are at most `size_max`.
    pub fn load(&self, index: usize, size_max: usize) -> Result<Vec<u8>, Anomaly> {
        let entry = self.entries.get(index).ok_or_else(lost)?;
        let size = usize::try_from(entry.size).ok().filter(|&size| size <= size_max);
        let Some(size) = size else {
            let message =
                format!("The entry “{}” is too large to be judged.", names::shown(&entry.name));
            return Err(Anomaly::unjudged("ENTRY_TOO_LARGE", message));
        };
        let opened = self.bytes_of(index).ok_or_else(lost)?;
        let mut bytes = vec![0; size];
        let outcome = opened.read_at(0, &mut bytes);
        self.check(index)?;
        outcome.map(|()| bytes).map_err(|_| lost())
    }

    /// All bytes of an entry that says how the package is put together.
    pub fn load_structure(&self, index: usize) -> Result<Vec<u8>, Anomaly> {
        let bytes = self.load(index, PACKAGE_XML_SIZE_MAX)?;
        let left = self.structure.get().checked_sub(bytes.len());
        self.structure.set(left.ok_or_else(|| {
            let message = "The package has more and larger manifests than this version judges.";
            Anomaly::unjudged("MANIFESTS_TOO_LARGE", message)
        })?);
        Ok(bytes)
    }

    /// The digest of an entry, computed at most once; `None` for a hash that is not computed here.
    pub fn digest(&self, index: usize, hash: &Hash) -> Result<Option<Vec<u8>>, Anomaly> {
        let key = (index, hash.clone());
        if let Some(known) = self.digests.borrow().get(&key) {
            return Ok(Some(known.clone()));
        }
        let Some(opened) = self.bytes_of(index) else { return Err(lost()) };
        let digest = Content::whole_of(&opened).digest(hash);
        self.check(index)?;
        let Some(digest) = digest.map_err(|_| lost())? else { return Ok(None) };
        self.digests.borrow_mut().insert(key, digest.clone());
        Ok(Some(digest))
    }

    /// Whether the entry is whole: everything was read, and size and checksum fit.
    pub fn check(&self, index: usize) -> Result<(), Anomaly> {
        let known = |read: &[Option<Result<(), Anomaly>>]| read.get(index).cloned().flatten();
        if let Some(known) = known(&self.read.borrow()) {
            return known;
        }
        if let Some(opened) = self.bytes_of(index) {
            opened.exhaust();
        }
        known(&self.read.borrow()).unwrap_or_else(|| Err(lost()))
    }

    /// Remembers what a pass through an entry found.
    pub(super) fn note(&self, index: usize, outcome: Result<(), Anomaly>) {
        if let Some(slot) = self.read.borrow_mut().get_mut(index) {
            slot.get_or_insert(outcome);
        }
    }

    /// Whether `size` more bytes may be inflated.
    pub(super) fn spend(&self, size: u64) -> bool {
        let left = self.budget.get().checked_sub(size);
        self.budget.set(left.unwrap_or(0));
        left.is_some()
    }
}

fn lost() -> Anomaly {
    Anomaly::unjudged("ENTRY_UNREADABLE", "An entry could not be read.")
}

/// What an archive of this size may hold.
fn inflated_max(size: u64) -> u64 {
    size.saturating_mul(PACKAGE_RATIO_MAX)
        .saturating_add(PACKAGE_INFLATED_FREE)
        .min(DOCUMENT_SIZE_MAX)
}

pub(super) fn bomb(what: &str) -> Anomaly {
    let message = format!("{what} unpacks to far more than its size: a decompression bomb.");
    Anomaly::unjudged("ZIP_BOMB", message)
}

/// Why the content of an entry cannot be read, as far as its headers say.
fn unreadable(entry: &Entry) -> Option<Anomaly> {
    let name = names::shown(&entry.name);
    if entry.is_encrypted {
        let message =
            format!("The entry “{name}” is encrypted, which a signed package must not be.");
        return Some(Anomaly::forged("ENTRY_ENCRYPTED", message, entry.header));
    }
    if let Method::Other(number) = entry.method {
        let message = format!(
            "The entry “{name}” is compressed with method {number}, which this version does not read."
        );
        return Some(Anomaly::unjudged("ENTRY_METHOD", message));
    }
    (entry.size > inflated_max(entry.packed)).then(|| bomb(&format!("The entry “{name}”")))
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;
    use crate::source::OnDisk;

    /// An archive of an independent writer.
    fn written(files: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.add_directory("folder/", SimpleFileOptions::default()).unwrap();
        for (name, content) in files {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn options(method: CompressionMethod) -> SimpleFileOptions {
        SimpleFileOptions::default().compression_method(method)
    }

    fn numbers(count: u32) -> Vec<u8> {
        (0..count).flat_map(|number| (number * 7919 % 251).to_le_bytes()).collect()
    }

    #[test]
    fn archives_of_another_writer_are_read_and_not_odd() {
        let large = numbers(300_000);
        let files = [("a.txt", &b"a"[..]), ("công văn.txt", &large), ("empty", b"")];
        let every = [
            options(CompressionMethod::Stored),
            options(CompressionMethod::Deflated),
            options(CompressionMethod::Deflated).large_file(true),
        ];
        for options in every {
            let bytes = written(&files, options);
            for source in [&bytes as &dyn Source, &OnDisk(&bytes)] {
                let archive = Archive::open(source).unwrap();
                assert_eq!(archive.anomalies.iter().collect::<Vec<_>>(), Vec::<&Anomaly>::new());
                for (name, content) in files {
                    let index = archive.find(name).unwrap();
                    assert_eq!(archive.load(index, usize::MAX).unwrap(), content, "{name}");
                    assert_eq!(archive.check(index), Ok(()));
                }
            }
        }
    }

    #[test]
    fn any_part_of_an_entry_can_be_read_in_any_order() {
        let content = numbers(200_000);
        let bytes = written(&[("a", &content)], options(CompressionMethod::Deflated));
        let archive = Archive::open(&bytes).unwrap();
        let opened = archive.bytes_of(archive.find("a").unwrap()).unwrap();
        for (start, size) in [(700_000, 1_000), (5, 10), (15, 300_000), (0, 1), (799_999, 1)] {
            let mut piece = vec![0; size];
            opened.read_at(u64::try_from(start).unwrap(), &mut piece).unwrap();
            assert_eq!(piece, content[start..start + size], "{start}");
        }
        assert!(opened.read_at(800_000, &mut [0]).is_err());
        assert!(opened.read_at(u64::MAX, &mut [0]).is_err());
    }

    #[test]
    fn reading_again_and_again_ends_with_the_budget() {
        let content = vec![0; 15 << 20];
        let bytes = written(&[("a", &content)], options(CompressionMethod::Deflated));
        let archive = Archive::open(&bytes).unwrap();
        let index = archive.find("a").unwrap();
        let passes = (0..100).take_while(|_| {
            archive.bytes_of(index).unwrap().read_at(content.size() - 1, &mut [0]).is_ok()
        });
        assert!((2..8).contains(&passes.count()));
    }
}
