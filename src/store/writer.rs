//! The one thread that writes bodies. It syncs when the sequencer asks: once for a whole batch.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use tokio::sync::oneshot;

use super::content::Folders;
use super::disk;
use super::volume::Appender;
use crate::digest::Sha256;
use crate::gateway::ports::{Piece, Place};
use crate::limits::{RECENT_CONTENTS_MAX, VOLUME_BLOB_SIZE_MAX};

type Kept = Vec<(Sha256, Place)>;

/// What the thread is asked, and who waits for it.
#[derive(Debug)]
pub enum Request {
    /// Write these pieces; they need not be durable yet.
    Keep {
        /// The pieces.
        pieces: Vec<Piece>,
        /// Where their places go.
        answer: oneshot::Sender<Result<Kept, String>>,
    },
    /// Make everything durable that was kept before.
    Settle {
        /// Who waits.
        answer: oneshot::Sender<Result<(), String>>,
    },
}

/// Why a piece was not kept.
enum Failure {
    /// Only this request fails: what it names is not there.
    Absent(String),
    /// The medium failed; nothing can be promised any more.
    Broken(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// Serves requests until nobody can make any. Whoever does not wait any more has given up; a body
/// that nobody commits is an orphan and harmless.
pub fn run(mut writer: Writer, requests: &Receiver<Request>) {
    let mut broken: Option<String> = None;
    while let Ok(request) = requests.recv() {
        match request {
            Request::Keep { pieces, answer } => {
                let kept = match &broken {
                    Some(why) => Err(why.clone()),
                    None => writer.keep_all(&pieces).unwrap_or_else(|error| {
                        Err(broken.insert(format!("keeping content failed: {error}")).clone())
                    }),
                };
                let _ = answer.send(kept);
            }
            Request::Settle { answer } => {
                let settled = match &broken {
                    Some(why) => Err(why.clone()),
                    None => writer.settle().map_err(|error| {
                        broken.insert(format!("syncing content failed: {error}")).clone()
                    }),
                };
                let _ = answer.send(settled);
            }
        }
    }
}

/// What the thread owns.
pub struct Writer {
    folders: Arc<Folders>,
    appender: Appender,
    recent: Recent,
    /// Directories whose names must be synced when things are settled.
    named_in: BTreeSet<PathBuf>,
}

impl Writer {
    /// A writer that goes on where `appender` stands.
    pub fn new(folders: Arc<Folders>, appender: Appender) -> Self {
        let recent = Recent::default();
        Self { folders, appender, recent, named_in: BTreeSet::new() }
    }

    /// Writes pieces. An error is the medium's; a piece that is not there is in the answer.
    fn keep_all(&mut self, pieces: &[Piece]) -> io::Result<Result<Kept, String>> {
        let mut kept = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match self.keep(piece) {
                Ok(place) => kept.push(place),
                Err(Failure::Absent(why)) => return Ok(Err(why)),
                Err(Failure::Broken(error)) => return Err(error),
            }
        }
        Ok(Ok(kept))
    }

    /// One sync for all that was kept since the last.
    fn settle(&mut self) -> io::Result<()> {
        self.appender.sync()?;
        for folder in std::mem::take(&mut self.named_in) {
            disk::sync_folder(&folder)?;
        }
        Ok(())
    }

    fn keep(&mut self, piece: &Piece) -> Result<(Sha256, Place), Failure> {
        let (Piece::Bytes(digest, _) | Piece::Staged(_, digest)) = piece;
        if let Some(place) = self.recent.place(digest) {
            return Ok((*digest, place));
        }
        let place = match piece {
            Piece::Bytes(digest, bytes) if bytes.len() as u64 <= VOLUME_BLOB_SIZE_MAX => {
                self.appender.append(digest, bytes)?
            }
            Piece::Bytes(digest, bytes) => self.write_file(digest, bytes)?,
            Piece::Staged(system, digest) => {
                let path = self.folders.uploads.full(system, digest);
                self.keep_staged(digest, &path)?
            }
        };
        self.recent.add(*digest, place);
        Ok((*digest, place))
    }

    fn keep_staged(&mut self, digest: &Sha256, path: &Path) -> Result<Place, Failure> {
        let size = match path.metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.kept_before(digest);
            }
            Err(error) => return Err(error.into()),
        };
        if size <= VOLUME_BLOB_SIZE_MAX {
            let bytes = fs::read(path)?;
            if Sha256::of(&bytes) != *digest {
                return Err(Failure::Absent(format!("the upload {digest} was damaged")));
            }
            return Ok(self.appender.append(digest, &bytes)?);
        }
        let target = self.target(digest)?;
        // A second name, not another: until the commit the upload must stand, too.
        match fs::hard_link(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
        File::open(&target)?.sync_all()?;
        Ok(Place::File { size })
    }

    /// The same upload was kept, committed and discarded a moment ago, for another submission.
    fn kept_before(&mut self, digest: &Sha256) -> Result<Place, Failure> {
        let target = self.target(digest)?;
        match target.metadata() {
            Ok(metadata) => Ok(Place::File { size: metadata.len() }),
            Err(_) => Err(Failure::Absent(format!("the upload {digest} is not complete"))),
        }
    }

    fn write_file(&mut self, digest: &Sha256, bytes: &[u8]) -> io::Result<Place> {
        let target = self.target(digest)?;
        let draft = target.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &target)?;
        Ok(Place::File { size: bytes.len() as u64 })
    }

    /// Where a large body goes; the name will be synced when things are settled.
    fn target(&mut self, digest: &Sha256) -> io::Result<PathBuf> {
        let target = self.folders.file(digest);
        let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        disk::create_folder(&folder)?;
        self.named_in.insert(folder);
        Ok(target)
    }
}

/// Bodies kept lately: the same attachment in many documents is written once.
#[derive(Default)]
struct Recent {
    places: HashMap<Sha256, Place>,
    order: VecDeque<Sha256>,
}

impl Recent {
    fn place(&self, digest: &Sha256) -> Option<Place> {
        self.places.get(digest).copied()
    }

    fn add(&mut self, digest: Sha256, place: Place) {
        if self.order.len() == RECENT_CONTENTS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.order.push_back(digest);
        self.places.insert(digest, place);
    }
}
