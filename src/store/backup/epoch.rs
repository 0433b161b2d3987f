//! The files of one epoch, grown from what they hold to what the log has now. Full bundles and tiles
//! are written once; the checkpoint is replaced last, and what it says is there before.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::gateway::Page;
use crate::gateway::ports::StoreError;
use crate::log::{Checkpoint, Rows, TILE_WIDTH, TileKind, Tree, leaf_hash};
use crate::store::archive::{self, INDEX_RECORD_SIZE};
use crate::store::disk::{self, DiskFiles, medium};
use crate::store::kv::Files as _;
use crate::store::table::damaged;

const HASH_SIZE: usize = 32;

pub struct EpochFiles<'a> {
    files: &'a DiskFiles,
    epoch: u32,
    /// What the files held.
    before: Option<Checkpoint>,
    tree: Tree,
    /// Leaves of the unfinished bundle, as its file has them.
    bundle: Vec<u8>,
    /// Unfinished tiles by level and number.
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
    /// The last checkpoint taken, and where `checkpoints` ends.
    last: Option<Vec<u8>>,
    notes_end: u64,
}

impl<'a> EpochFiles<'a> {
    /// Goes on at the last full bundle; what an interrupted call left behind it is written again.
    pub fn open(files: &'a DiskFiles, epoch: u32) -> Result<Self, StoreError> {
        let note = files.read(&archive::note_path(epoch), 0, archive::BUNDLE_SIZE_MAX)?;
        let before = note.as_deref().and_then(Checkpoint::claimed);
        let mut grown = Self {
            files,
            epoch,
            before,
            tree: Tree::default(),
            bundle: Vec::new(),
            tiles: BTreeMap::new(),
            last: None,
            notes_end: 0,
        };
        match grown.size_before() {
            0 => files.remove(&archive::folder(epoch))?,
            size => grown.resume(size)?,
        }
        Ok(grown)
    }

    fn size_before(&self) -> u64 {
        self.before.as_ref().map_or(0, |before| before.size)
    }

    fn resume(&mut self, size: u64) -> Result<(), StoreError> {
        let whole = size - size % TILE_WIDTH;
        let rows = FileRows { files: self.files, epoch: self.epoch, size };
        self.tree = Tree::load(&rows, whole)?;
        for level in (0u8..).take_while(|level| archive::nodes(whole, *level) > 0) {
            let count = archive::nodes(whole, level);
            let (tile, held) = (count / TILE_WIDTH, count % TILE_WIDTH);
            if held == 0 {
                continue;
            }
            let width = archive::width(archive::nodes(size, level), tile);
            let path = archive::tile_path(self.epoch, TileKind::Hashes(level), tile, width);
            let length = usize::try_from(held).expect("below 256") * HASH_SIZE;
            let hashes = archive::read(self.files, &path, 0, length)?;
            if hashes.len() != length {
                return Err(damaged(format!("{path} is cut off")));
            }
            self.tiles.insert((level, tile), hashes);
        }
        self.cut_checkpoints(size)
    }

    /// Cuts the checkpoints off behind the one over `size`.
    fn cut_checkpoints(&mut self, size: u64) -> Result<(), StoreError> {
        let path = self.path("checkpoints.index");
        let length = path.metadata().map_err(medium(&path))?.len();
        let mut count = length / INDEX_RECORD_SIZE;
        while let Some(last) = count.checked_sub(1) {
            match archive::index_record(self.files, self.epoch, last)? {
                Some((covered, end)) if covered <= size => {
                    self.notes_end = end;
                    break;
                }
                _ => count = last,
            }
        }
        cut(&path, count * INDEX_RECORD_SIZE)?;
        cut(&self.path("checkpoints"), self.notes_end)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.files.0.join(archive::folder(self.epoch)).join(name)
    }

    /// Entries taken so far; the next one has this index.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// Takes what follows, up to `end`.
    pub fn append(&mut self, page: Page, end: u64) -> Result<(), StoreError> {
        let mut leaves = page.leaves;
        let room = usize::try_from(end - self.size()).unwrap_or(usize::MAX);
        leaves.truncate(room);
        let until_before = self.size_before().saturating_sub(self.size());
        let tail =
            leaves.split_off(leaves.len().min(usize::try_from(until_before).unwrap_or(usize::MAX)));
        self.grow(&leaves)?;
        if let Some(before) = &self.before
            && self.size() == before.size
            && self.tree.root() != before.root
        {
            let (epoch, size) = (self.epoch, before.size);
            return Err(damaged(format!("another log is in the backup: {epoch}/{size} differs")));
        }
        self.grow(&tail)?;
        self.take_checkpoints(page.checkpoints)
    }

    fn grow(&mut self, leaves: &[Vec<u8>]) -> Result<(), StoreError> {
        if leaves.is_empty() {
            return Ok(());
        }
        let first = self.size();
        let grown = self.tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        for (index, leaf) in (first..).zip(leaves) {
            let length = u16::try_from(leaf.len()).map_err(|_| damaged("a leaf is too long"))?;
            self.bundle.extend_from_slice(&length.to_be_bytes());
            self.bundle.extend_from_slice(leaf);
            if (index + 1) % TILE_WIDTH == 0 {
                let bundle = std::mem::take(&mut self.bundle);
                self.write(TileKind::Entries, index / TILE_WIDTH, TILE_WIDTH, &bundle)?;
            }
        }
        for row in self.tree.rows_of(&grown) {
            let tile = self.tiles.entry((row.level, row.index / 2)).or_default();
            // Two rows make a tile; a row comes with all that it holds by now.
            let half = TILE_WIDTH as usize / 2 * HASH_SIZE;
            tile.truncate(half * usize::from(row.index % 2 == 1));
            tile.extend_from_slice(&row.hashes);
        }
        let full = |tile: &Vec<u8>| tile.len() == TILE_WIDTH as usize * HASH_SIZE;
        let (done, rest) =
            std::mem::take(&mut self.tiles).into_iter().partition(|(_, tile)| full(tile));
        self.tiles = rest;
        let done: BTreeMap<(u8, u64), Vec<u8>> = done;
        done.iter().try_for_each(|((level, tile), hashes)| {
            self.write(TileKind::Hashes(*level), *tile, TILE_WIDTH, hashes)
        })
    }

    fn write(&self, kind: TileKind, tile: u64, width: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.files.0.join(archive::tile_path(self.epoch, kind, tile, width));
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&self.files.0))?;
            std::fs::write(&path, bytes)
        };
        write().map_err(medium(&path))
    }

    fn take_checkpoints(&mut self, notes: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let (mut all, mut index) = (Vec::new(), Vec::new());
        for note in notes {
            let claimed = Checkpoint::claimed(&note)
                .ok_or_else(|| damaged("a checkpoint of the log cannot be read"))?;
            if claimed.size <= self.size_before() || claimed.size > self.size() {
                continue;
            }
            self.notes_end += note.len() as u64;
            index.extend_from_slice(&claimed.size.to_be_bytes());
            index.extend_from_slice(&self.notes_end.to_be_bytes());
            all.extend_from_slice(&note);
            self.last = Some(note);
        }
        if all.is_empty() {
            return Ok(());
        }
        let folder = archive::folder(self.epoch);
        self.files.append(&format!("{folder}/checkpoints"), &all)?;
        self.files.append(&format!("{folder}/checkpoints.index"), &index)
    }

    /// Makes what was taken durable, and only then lets it count.
    pub fn finish(self) -> Result<(), StoreError> {
        let Some(note) = &self.last else { return Ok(()) };
        let size = self.size();
        let covered = Checkpoint::claimed(note).map(|claimed| (claimed.size, claimed.root));
        if covered != Some((size, self.tree.root())) {
            let epoch = self.epoch;
            return Err(damaged(format!("no checkpoint is over the entries up to {epoch}/{size}")));
        }
        if !self.bundle.is_empty() {
            self.write(TileKind::Entries, size / TILE_WIDTH, size % TILE_WIDTH, &self.bundle)?;
        }
        for ((level, tile), hashes) in &self.tiles {
            let width = (hashes.len() / HASH_SIZE) as u64;
            self.write(TileKind::Hashes(*level), *tile, width, hashes)?;
        }
        self.files.sync(&archive::folder(self.epoch))?;
        let path = self.path("checkpoint");
        disk::replace(&path, note).map_err(medium(&path))?;
        self.remove_old_ends(size)
    }

    /// Partial bundles and tiles of the smaller tree, which the larger one does not need.
    fn remove_old_ends(&self, size: u64) -> Result<(), StoreError> {
        let before = self.size_before();
        let levels = (0u8..).take_while(|level| archive::nodes(before, *level) > 0);
        let levels = levels.map(|level| {
            (TileKind::Hashes(level), archive::nodes(before, level), archive::nodes(size, level))
        });
        for (kind, old, new) in levels.chain([(TileKind::Entries, before, size)]) {
            if old == new || old % TILE_WIDTH == 0 {
                continue;
            }
            let path = archive::tile_path(self.epoch, kind, old / TILE_WIDTH, old % TILE_WIDTH);
            let path = self.files.0.join(path);
            std::fs::remove_file(&path).map_err(medium(&path))?;
            // Empty now, unless the larger tree ends in the same tile.
            let _in_use = path.parent().map(std::fs::remove_dir);
        }
        Ok(())
    }
}

fn cut(path: &std::path::Path, length: u64) -> Result<(), StoreError> {
    let cut = || OpenOptions::new().write(true).open(path)?.set_len(length);
    cut().map_err(medium(path))
}

/// Rows of the files as they stood.
struct FileRows<'a> {
    files: &'a DiskFiles,
    epoch: u32,
    size: u64,
}

impl Rows for FileRows<'_> {
    type Error = StoreError;

    fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, StoreError> {
        let row = archive::row_of(self.files, self.epoch, self.size, level, index)?;
        row.ok_or_else(|| self.short(level, index))
    }

    fn short(&self, level: u8, index: u64) -> StoreError {
        damaged(format!("row {level}/{index} of epoch {} is incomplete", self.epoch))
    }
}
