//! `vanthu log mirror`: an auditor's own copy of a log, verified while it is made, as C2SP tlog-tiles
//! in files. Any web server can hand it on, and it can be audited without the gateway.
//!
//! ```text
//! DIR/state                                  where it goes on; everything before is verified
//! DIR/log/<epoch>/checkpoint                 the newest checkpoint that the copy covers
//! DIR/log/<epoch>/tile/<level>/x001/234      hashes
//! DIR/log/<epoch>/tile/entries/x001/234      entries
//! ```
//! Files are written before the state that counts on them. What lies beyond the state is written anew.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Output;
use super::audit::{Follower, Walk, keep, print, remembered, walk_gateway};
use super::evidence::public_key;
use super::exit::{Exit, Failure};
use crate::audit::Auditor;
use crate::client;
use crate::digest::Sha256;
use crate::limits::MIRROR_STEP;
use crate::log::{
    EntryId, TILE_WIDTH, TileKind, TileName, Tree, leaf_hash, read_bundle, write_bundle,
};

/// Copies what is new from a running gateway, and verifies it; can be broken off at any time.
///
/// Example: vanthu log mirror copy --key log.vkey --cert auditor.pem
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Folder of the copy
    folder: PathBuf,
    /// Public key of the log (C2SP vkey), or a file that holds it
    #[arg(long)]
    key: String,
    /// The gateway, as https://HOST:PORT
    #[arg(long, env = "VANTHU_SERVER", default_value = "https://localhost:7443")]
    server: String,
    /// CA of the gateway's certificate, PEM
    #[arg(long, env = "VANTHU_CA", default_value = "certs/dev/tls/ca.pem")]
    ca: PathBuf,
    /// Certificate of an auditor, PEM
    #[arg(long, env = "VANTHU_CERT")]
    cert: PathBuf,
}

pub(super) async fn run(options: Options, output: Output) -> Result<Exit, Failure> {
    let key = public_key(&options.key)?;
    let began = Instant::now();
    let state = options.folder.join("state");
    let from = remembered(&state, &key)?;
    let since = from.as_ref().map(|from| from.checkpoint().clone());
    let mut walk = Walk::new(key, from);
    let mut shelf = Shelf::open(&options.folder, walk.next())?;
    let Options { server, ca, cert, .. } = options;
    let client = client::Options { server, ca, cert, key: None };
    walk_gateway(&mut walk, &client, &mut shelf).await?;
    let next = walk.remember();
    let report = walk.finish();
    if let Some(next) = next.filter(|_| report.findings.is_empty()) {
        shelf.settle()?;
        keep(&state, &next)?;
    }
    let since = since.map(|from| EntryId { epoch: from.origin.epoch, index: from.size });
    print(&report, since, began.elapsed().as_secs_f64(), output);
    Ok(if report.findings.is_empty() { Exit::Ok } else { Exit::LogBroken })
}

/// The files of the copy, of which one epoch grows.
struct Shelf {
    folder: PathBuf,
    epoch: u32,
    /// By level: the hashes of the last tile, if it is not full.
    levels: Vec<Level>,
    /// The entries of the last bundle, if it is not full.
    entries: Vec<Vec<u8>>,
    note: Vec<u8>,
    settled: EntryId,
    next: EntryId,
}

#[derive(Default)]
struct Level {
    /// The tile that grows.
    index: u64,
    hashes: Vec<Sha256>,
}

impl Shelf {
    /// The copy as far as it is verified: before `next`.
    fn open(folder: &Path, next: EntryId) -> Result<Self, Failure> {
        let mut shelf = Self {
            folder: folder.to_owned(),
            epoch: next.epoch,
            levels: Vec::new(),
            entries: Vec::new(),
            note: Vec::new(),
            settled: next,
            next,
        };
        let mut count = next.index;
        for level in 0_u8.. {
            if count == 0 {
                break;
            }
            let (index, width) = (count / TILE_WIDTH, count % TILE_WIDTH);
            let mut hashes = Vec::new();
            if width > 0 {
                let bytes = shelf.read(TileName { kind: TileKind::Hashes(level), index, width })?;
                hashes.extend(bytes.chunks_exact(32).filter_map(Sha256::from_slice));
            }
            shelf.levels.push(Level { index, hashes });
            count = index;
        }
        let (index, width) = (next.index / TILE_WIDTH, next.index % TILE_WIDTH);
        if width > 0 {
            let name = TileName { kind: TileKind::Entries, index, width };
            let bytes = shelf.read(name)?;
            let path = shelf.path(name);
            shelf.entries = read_bundle(&bytes)
                .filter(|entries| entries.len() as u64 == width)
                .ok_or_else(|| Failure::file(&path, "not a bundle of this width"))?;
        }
        Ok(shelf)
    }

    fn path(&self, name: TileName) -> PathBuf {
        self.folder.join(format!("log/{}/tile/{name}", self.epoch))
    }

    fn read(&self, name: TileName) -> Result<Vec<u8>, Failure> {
        let path = self.path(name);
        std::fs::read(&path).map_err(|error| {
            Failure::file(&path, error).with_hint("the copy is damaged; begin a new one")
        })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let folder = path.parent().unwrap_or(&self.folder);
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| crate::store::notebook::replace(path, bytes));
        written.map_err(|error| Failure::file(path, error))
    }

    fn write_tile(&self, level: u8, index: u64, hashes: &[Sha256]) -> Result<(), Failure> {
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
        let width = hashes.len() as u64;
        self.write(&self.path(TileName { kind: TileKind::Hashes(level), index, width }), &bytes)
    }

    fn write_entries(&self, index: u64) -> Result<(), Failure> {
        let width = self.entries.len() as u64;
        let path = self.path(TileName { kind: TileKind::Entries, index, width });
        let bundle = write_bundle(&self.entries);
        self.write(&path, &bundle.ok_or_else(|| Failure::file(&path, "an entry is too long"))?)
    }

    /// Adds a hash to a level; a tile that it fills is written, and its root goes up.
    fn push(&mut self, level: u8, hash: Sha256) -> Result<(), Failure> {
        let place = usize::from(level);
        if self.levels.len() <= place {
            self.levels.push(Level::default());
        }
        self.levels[place].hashes.push(hash);
        if (self.levels[place].hashes.len() as u64) < TILE_WIDTH {
            return Ok(());
        }
        let hashes = std::mem::take(&mut self.levels[place].hashes);
        self.write_tile(level, self.levels[place].index, &hashes)?;
        self.levels[place].index += 1;
        let mut tree = Tree::default();
        tree.append(hashes);
        self.push(level + 1, tree.root())
    }

    /// Writes what is not full yet, and the checkpoint.
    fn settle(&mut self) -> Result<(), Failure> {
        for (level, Level { index, hashes }) in (0..).zip(&self.levels) {
            if !hashes.is_empty() {
                self.write_tile(level, *index, hashes)?;
            }
        }
        if !self.entries.is_empty() {
            self.write_entries(self.next.index / TILE_WIDTH)?;
        }
        if !self.note.is_empty() {
            let path = self.folder.join(format!("log/{}/checkpoint", self.epoch));
            self.write(&path, &self.note)?;
        }
        self.settled = self.next;
        Ok(())
    }
}

impl Follower for Shelf {
    fn leaf(&mut self, id: EntryId, leaf: &[u8]) -> Result<(), Failure> {
        if id.epoch != self.epoch {
            self.settle()?;
            let folder = std::mem::take(&mut self.folder);
            *self = Self::open(&folder, id)?;
        }
        self.push(0, leaf_hash(leaf))?;
        self.entries.push(leaf.to_vec());
        self.next = EntryId { index: id.index + 1, ..id };
        if self.entries.len() as u64 == TILE_WIDTH {
            self.write_entries(id.index / TILE_WIDTH)?;
            self.entries.clear();
        }
        Ok(())
    }

    fn checkpoint(&mut self, auditor: &Auditor, note: &[u8]) -> Result<(), Failure> {
        self.note = note.to_vec();
        let far = self.next.index.saturating_sub(self.settled.index) >= MIRROR_STEP;
        if far && let Some(remembered) = auditor.remember(note) {
            self.settle()?;
            keep(&self.folder.join("state"), &remembered)?;
        }
        Ok(())
    }
}
