//! The deep check of a stopped store or of a backup: everything is read, and everything that an
//! entry promises is looked for. What is wrong is named piece by piece; nothing is changed.
//!
//! The log is held against itself and its own checkpoints. Whether these were signed by the gateway
//! is for `log audit`, which needs the key.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::backup::{self, Backup};
use super::content::ContentStore;
use super::disk;
use super::keyspace as key;
use super::kv::Medium;
use super::rebuild::{part_digests, read_leaf};
use super::table::{OpenRows, Table, check_note, damaged, each};
use super::{archive, record};
use crate::delivery::Term;
use crate::digest::{Hasher, Sha256};
use crate::document::ConsignmentId;
use crate::gateway::named_in;
use crate::gateway::ports::{
    Head, Keepings as _, LogReader as _, LogStore as _, Place, Registry as _, StoreError,
};
use crate::limits::{CHUNK_SIZE, SCAN_PAGE};
use crate::log::{Entry, EntryId, Event, Rows as _, Tree, leaf_hash};

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The piece: a path below the folder, an entry, a digest.
    pub piece: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What a check saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Version of the layout of the store or of the backup.
    pub layout: u32,
    /// Where the log ends: epoch and entries in it.
    pub end: (u32, u64),
    /// Entries.
    pub entries: u64,
    /// Pieces of content.
    pub bodies: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Bodies that are erased, as an entry says, and still there.
    pub survivors: HashSet<Sha256>,
    /// Bodies that an entry needs and that are not there.
    pub missing: HashSet<Sha256>,
    /// What is wrong, in the order in which it was met.
    pub findings: Vec<Finding>,
}

impl Checked {
    fn find(&mut self, piece: impl ToString, problem: impl ToString) {
        self.findings.push(Finding { piece: piece.to_string(), problem: problem.to_string() });
    }

    /// Whatever a step says is a finding, and the check goes on.
    fn step<T>(&mut self, piece: impl ToString, step: Result<T, StoreError>) -> Option<T> {
        step.map_err(|error| self.find(piece, error)).ok()
    }
}

/// Checks a backup.
///
/// # Errors
/// None of what is found; only a folder that holds no backup.
pub fn copy(root: &Path) -> Result<Checked, StoreError> {
    let backup = Backup::open(root)?;
    let end = backup.end().ok_or_else(|| damaged(format!("{} holds no backup", root.display())))?;
    let mut checked =
        Checked { layout: backup::FORMAT, end: (end.epoch, end.index), ..Checked::default() };
    let mut bodies = Bodies::scan(&backup.content(), &mut checked);
    for epoch in 1..=end.epoch {
        // What is wrong with the entries is said when they are read again.
        let read = |from| backup.leaves(from, SCAN_PAGE);
        walk(&mut Checked::default(), epoch, read, |_, id, entry| bodies.note_erasure(id, entry));
    }
    for epoch in 1..=end.epoch {
        let piece = archive::folder(epoch);
        let Some(head) = checked.step(&piece, backup.verify(epoch)) else { continue };
        if epoch == end.epoch && head.size != end.index {
            checked.find(&piece, format!("it has {} entries, not {}", head.size, end.index));
        }
        let read = |from| backup.leaves(from, SCAN_PAGE);
        walk(&mut checked, epoch, read, |checked, id, entry| bodies.expect(checked, id, entry));
    }
    bodies.report_survivors(&mut checked);
    Ok(checked)
}

/// Checks the store that is open in `table`, whose bodies lie in `content`.
///
/// # Errors
/// None of what is found; only a store that cannot be read at all.
pub fn store<M: Medium>(table: &Table<M>, content: &Path) -> Result<Checked, StoreError> {
    let head = table.head()?;
    let mut checked =
        Checked { layout: record::LAYOUT, end: (head.epoch, head.size), ..Checked::default() };
    let mut bodies = Bodies::scan(content, &mut checked);
    for epoch in 1..=head.epoch {
        let read = |from| table.leaves(from, SCAN_PAGE);
        walk(&mut Checked::default(), epoch, read, |_, id, entry| bodies.note_erasure(id, entry));
    }
    bodies.unfinished = table.erasing(usize::MAX)?.into_iter().collect();
    for epoch in 1..=head.epoch {
        let verified = match epoch == head.epoch {
            true => table.verify_open(&head),
            false => table.verify_closed(epoch),
        };
        checked.step(archive::folder(epoch), verified);
        let read = |from| table.leaves(from, SCAN_PAGE);
        walk(&mut checked, epoch, read, |checked, id, entry| {
            bodies.expect(checked, id, entry);
            indexed(checked, table, id, entry);
        });
    }
    bodies.report_survivors(&mut checked);
    let projected = table.compare_projections();
    for piece in checked.step("projections", projected).unwrap_or_default() {
        checked.find(piece, "it is not what the entries say; store rebuild makes it anew");
    }
    Ok(checked)
}

fn walk(
    checked: &mut Checked,
    epoch: u32,
    read: impl Fn(EntryId) -> Result<Vec<Vec<u8>>, StoreError>,
    mut take: impl FnMut(&mut Checked, EntryId, &Entry),
) {
    let mut next = EntryId { epoch, index: 0 };
    loop {
        let Some(leaves) = checked.step(format!("entry {next}"), read(next)) else { return };
        if leaves.is_empty() {
            return;
        }
        for leaf in leaves {
            checked.entries += 1;
            if let Some(entry) = checked.step(format!("entry {next}"), read_leaf(next, &leaf)) {
                take(checked, next, &entry);
            }
            next.index += 1;
        }
    }
}

/// Every entry is found under each of its terms.
fn indexed<M: Medium>(checked: &mut Checked, table: &Table<M>, id: EntryId, entry: &Entry) {
    let before = match id.index.checked_sub(1) {
        Some(index) => EntryId { index, ..id },
        None => EntryId { epoch: id.epoch - 1, index: u64::MAX >> 24 },
    };
    for term in Term::all_of(entry) {
        let piece = format!("index of entry {id}");
        let found = checked.step(&piece, table.find(&term, before, 1));
        if found.is_some_and(|found| found != [id]) {
            checked.find(piece, format!("it is not found under {term:?}"));
        }
    }
}

/// What lies in a content store.
struct Bodies {
    root: PathBuf,
    places: HashMap<Sha256, Place>,
    /// Consignments whose bodies are erased, and the entry that says so.
    erased: HashMap<ConsignmentId, EntryId>,
    /// Erasures that the next start of the gateway will finish.
    unfinished: HashSet<EntryId>,
    /// What an entry needs.
    needed: HashSet<Sha256>,
    /// What an erasure is about.
    doomed: HashMap<Sha256, EntryId>,
}

impl Bodies {
    fn scan(root: &Path, checked: &mut Checked) -> Self {
        let mut places = HashMap::new();
        let mut files = Vec::new();
        let scanned = ContentStore::scan(root, |digest, place| {
            checked.bodies += 1;
            checked.bytes += place.size();
            if matches!(place, Place::File { .. }) {
                files.push(digest);
            }
            places.insert(digest, place);
        });
        checked.step("content", scanned);
        for digest in files {
            // Those in volumes were hashed while they were looked for.
            if hash(&ContentStore::file_in(root, &digest)).ok() != Some(digest) {
                checked.find(format!("content {digest}"), "the file has another digest");
                places.remove(&digest);
            }
        }
        Self {
            root: root.to_owned(),
            places,
            erased: HashMap::new(),
            unfinished: HashSet::new(),
            needed: HashSet::new(),
            doomed: HashMap::new(),
        }
    }

    fn note_erasure(&mut self, id: EntryId, entry: &Entry) {
        if let Some(consignment) = entry.consignment.filter(|_| entry.event == Event::Erasure) {
            self.erased.entry(consignment).or_insert(id);
        }
    }

    /// The erasure that is about what this entry refers to.
    fn erasure_of(&self, id: EntryId, entry: &Entry) -> Option<EntryId> {
        let erasure = self.erased.get(&entry.consignment?).copied();
        erasure.filter(|erasure| id < *erasure)
    }

    /// Names what is erased, needed by nothing, and still there.
    fn report_survivors(&self, checked: &mut Checked) {
        let mut survivors: Vec<_> = self
            .doomed
            .iter()
            .filter(|(digest, _)| self.places.contains_key(digest) && !self.needed.contains(digest))
            .collect();
        survivors.sort();
        for (digest, erasure) in survivors {
            checked.survivors.insert(*digest);
            if !self.unfinished.contains(erasure) {
                let problem = format!("it is still there after its erasure in {erasure}");
                checked.find(format!("content {digest}"), problem);
            }
        }
    }

    /// What an entry refers to is there.
    fn expect(&mut self, checked: &mut Checked, id: EntryId, entry: &Entry) {
        let certificate = entry.actor.certificate;
        if entry.actor.system.as_str() != "gateway" {
            self.need(checked, id, &certificate, "certificate of the actor");
        }
        let erasure = self.erasure_of(id, entry);
        let by_recipient = matches!(entry.event, Event::ConsignmentRejection | Event::StatusReport);
        match (&entry.note, erasure.filter(|_| by_recipient)) {
            (Some(note), Some(erasure)) => drop(self.doomed.insert(*note, erasure)),
            (Some(note), None) => drop(self.need(checked, id, note, "note")),
            (None, _) => {}
        }
        if let Some(content) = &entry.content {
            self.need(checked, id, content, "time-stamp");
        }
        if let Some(verdict) = &entry.verdict {
            self.report(checked, id, &verdict.report);
        }
        if entry.event == Event::SubmissionAcceptance
            && let Some(envelope) = &entry.envelope
        {
            self.envelope(checked, id, envelope, erasure);
        }
    }

    fn need(&mut self, checked: &mut Checked, id: EntryId, digest: &Sha256, what: &str) -> bool {
        self.needed.insert(*digest);
        let there = self.places.contains_key(digest);
        if !there {
            checked.missing.insert(*digest);
            checked.find(format!("content {digest}"), format!("{what} in {id} is missing"));
        }
        there
    }

    fn report(&mut self, checked: &mut Checked, id: EntryId, digest: &Sha256) {
        if !self.need(checked, id, digest, "verdict report") {
            return;
        }
        let Some(report) = checked.step(format!("content {digest}"), self.read(digest)) else {
            return;
        };
        let (certificates, lists) = named_in(&report);
        for digest in certificates.iter().chain(&lists) {
            self.need(checked, id, digest, "certificate or list behind the verdict");
        }
    }

    fn envelope(
        &mut self,
        checked: &mut Checked,
        id: EntryId,
        digest: &Sha256,
        erasure: Option<EntryId>,
    ) {
        if !self.need(checked, id, digest, "envelope") {
            return;
        }
        let Some(bytes) = checked.step(format!("content {digest}"), self.read(digest)) else {
            return;
        };
        let Some(parts) = part_digests(&bytes) else {
            return checked.find(format!("content {digest}"), format!("envelope in {id} is none"));
        };
        for part in parts {
            match erasure {
                Some(erasure) => drop(self.doomed.insert(part, erasure)),
                None => drop(self.need(checked, id, &part, "part")),
            }
        }
    }

    fn read(&self, digest: &Sha256) -> Result<Vec<u8>, StoreError> {
        let place = self.places.get(digest).copied();
        let place = place.ok_or_else(|| damaged(format!("{digest} is missing")))?;
        ContentStore::read_in(&self.root, digest, place)
    }
}

fn hash(path: &Path) -> std::io::Result<Sha256> {
    let file = std::fs::File::open(path)?;
    let mut hasher = Hasher::default();
    let mut offset = 0;
    loop {
        let bytes = disk::read_at(&file, offset, CHUNK_SIZE)?;
        if bytes.is_empty() {
            return Ok(hasher.finish());
        }
        hasher.update(&bytes);
        offset += bytes.len() as u64;
    }
}

impl<M: Medium> Table<M> {
    /// Holds the open epoch against its rows and every checkpoint.
    fn verify_open(&self, head: &Head) -> Result<(), StoreError> {
        let open = self.reading()?;
        let mut tree = Tree::default();
        let rows = OpenRows { kv: open.kv.as_ref(), epoch: head.epoch };
        each(open.kv.as_ref(), &key::of_epoch(b'c', head.epoch), |page| {
            for (at, note) in page {
                let size =
                    key::number_at_end(&at).ok_or_else(|| record::unreadable("checkpoint"))?;
                while tree.size() < size {
                    let from = EntryId { epoch: head.epoch, index: tree.size() };
                    let count = usize::try_from(size - tree.size()).unwrap_or(usize::MAX);
                    let leaves = super::leaf::read(open.kv.as_ref(), from, count.min(SCAN_PAGE))?;
                    if leaves.is_empty() {
                        return Err(damaged(format!("entry {from} is missing")));
                    }
                    let hashes = leaves.iter().map(|leaf| leaf_hash(leaf)).collect();
                    let grown = tree.append(hashes);
                    for row in tree.rows_of(&grown) {
                        if !rows.row(row.level, row.index)?.starts_with(&row.hashes) {
                            let (level, index) = (row.level, row.index);
                            return Err(damaged(format!("row {level}/{index} is wrong")));
                        }
                    }
                }
                check_note(&note, head.epoch, size, &tree)?;
            }
            Ok(())
        })?;
        match tree.size() == head.size {
            true => Ok(()),
            false => Err(damaged(format!("the checkpoints end at {}", tree.size()))),
        }
    }

    fn verify_closed(&self, epoch: u32) -> Result<(), StoreError> {
        let open = self.reading()?;
        let (size, checkpoint) = archive::closed(open.kv.as_ref(), epoch)?;
        archive::verify(self.medium.files(), &Head { epoch, size, checkpoint })
    }
}
