//! The one thread that writes bodies. The sequencer syncs them, once for a whole batch, while it
//! writes on.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::content::Folders;
use super::disk;
use super::volume::Appender;
use crate::digest::Sha256;
use crate::gateway::ports::{Piece, Place, Retired};
use crate::limits::{RECENT_CONTENTS_MAX, VOLUME_BLOB_SIZE_MAX};

type Kept = Vec<(Sha256, Place)>;

/// What the thread is asked for, and who waits for it.
#[derive(Debug)]
pub enum Request {
    /// Pieces to be written.
    Keep {
        /// The pieces.
        pieces: Vec<Piece>,
        /// Where their places go.
        answer: oneshot::Sender<Result<Kept, String>>,
    },
    /// Bodies that are kept anew from now on.
    Retire {
        /// Which.
        digests: Vec<Sha256>,
        /// Where goes where the volumes end.
        answer: oneshot::Sender<Retired>,
    },
    /// Retired bodies whose files go, unless they were kept anew.
    Unlink {
        /// Which.
        digests: Vec<Sha256>,
        /// Where goes how many bytes they had.
        answer: oneshot::Sender<Result<u64, String>>,
    },
}

/// What was written and is not durable yet. The writer adds to it after each write; whoever settles
/// takes it, so that writing goes on during a sync.
#[derive(Debug, Default)]
pub struct Unsettled {
    /// Held for as long as a sync lasts: nobody may believe that another's sync is over.
    settling: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    volumes: Vec<Arc<File>>,
    /// Directories with new names.
    folders: BTreeSet<PathBuf>,
    /// Why nothing can be promised any more: after a failure it is unknown what the kernel holds.
    broken: Option<String>,
}

impl Unsettled {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// # Errors
    /// Why nothing can be promised any more.
    fn check(&self) -> Result<(), String> {
        self.state().broken.clone().map_or(Ok(()), Err)
    }

    fn fail(&self, what: &str, error: &io::Error) -> String {
        let why = format!("{what} content failed: {error}");
        self.state().broken.get_or_insert(why).clone()
    }

    fn wrote(&self, volume: &Arc<File>) {
        let volumes = &mut self.state().volumes;
        if !volumes.iter().any(|known| Arc::ptr_eq(known, volume)) {
            volumes.push(Arc::clone(volume));
        }
    }

    fn named(&self, folder: PathBuf) {
        self.state().folders.insert(folder);
    }

    /// Makes everything durable that was written before.
    ///
    /// # Errors
    /// Why it is not, now and ever after.
    pub fn settle(&self) -> Result<(), String> {
        let _settling = self.settling.lock().unwrap_or_else(PoisonError::into_inner);
        self.check()?;
        let (volumes, folders) = {
            let mut state = self.state();
            (std::mem::take(&mut state.volumes), std::mem::take(&mut state.folders))
        };
        let synced = volumes
            .iter()
            .try_for_each(|volume| volume.sync_data())
            .and_then(|()| folders.iter().try_for_each(|folder| disk::sync_folder(folder)));
        synced.map_err(|error| self.fail("syncing", &error))
    }
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
    while let Ok(request) = requests.recv() {
        match request {
            Request::Keep { pieces, answer } => {
                let unsettled = Arc::clone(&writer.unsettled);
                let kept = unsettled.check().and_then(|()| {
                    let kept = writer.keep_all(&pieces);
                    kept.unwrap_or_else(|error| Err(unsettled.fail("keeping", &error)))
                });
                let _ = answer.send(kept);
            }
            Request::Retire { digests, answer } => {
                writer.recent.forget(&digests);
                writer.retired = digests.into_iter().collect();
                let _ = answer.send(writer.appender.end());
            }
            Request::Unlink { digests, answer } => {
                let unlinked = writer.unlink(&digests).map_err(|error| error.to_string());
                let _ = answer.send(unlinked);
            }
        }
    }
}

/// What the thread owns.
pub struct Writer {
    folders: Arc<Folders>,
    appender: Appender,
    recent: Recent,
    /// Bodies that are about to be erased, as far as they were not kept anew.
    retired: HashSet<Sha256>,
    unsettled: Arc<Unsettled>,
}

impl Writer {
    /// A writer that goes on where `appender` stands.
    pub fn new(folders: Arc<Folders>, appender: Appender, unsettled: Arc<Unsettled>) -> Self {
        let (recent, retired) = (Recent::default(), HashSet::new());
        Self { folders, appender, recent, retired, unsettled }
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

    fn append(&mut self, digest: &Sha256, bytes: &[u8]) -> io::Result<Place> {
        let place = self.appender.append(digest, bytes)?;
        // Only now: a sync that began before the write does not count.
        self.unsettled.wrote(self.appender.file());
        Ok(place)
    }

    fn keep(&mut self, piece: &Piece) -> Result<(Sha256, Place), Failure> {
        let (Piece::Bytes(digest, _) | Piece::Staged(_, digest)) = piece;
        if let Some(place) = self.recent.place(digest) {
            return Ok((*digest, place));
        }
        self.retired.remove(digest);
        let place = match piece {
            Piece::Bytes(digest, bytes) if bytes.len() as u64 <= VOLUME_BLOB_SIZE_MAX => {
                self.append(digest, bytes)?
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

    /// Removes the files of large bodies that are still retired.
    fn unlink(&mut self, digests: &[Sha256]) -> io::Result<u64> {
        let mut bytes = 0;
        for digest in digests {
            if self.retired.contains(digest) {
                bytes += disk::remove_file(&self.folders.file(digest))?;
            }
        }
        self.retired.clear();
        Ok(bytes)
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
            return Ok(self.append(digest, &bytes)?);
        }
        let (target, folder) = self.target(digest)?;
        // A second name, not another: until the commit the upload must stand, too.
        match fs::hard_link(path, &target) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
        File::open(&target)?.sync_all()?;
        self.unsettled.named(folder);
        Ok(Place::File { size })
    }

    /// The same upload was kept, committed and discarded a moment ago, for another submission.
    fn kept_before(&mut self, digest: &Sha256) -> Result<Place, Failure> {
        let (target, folder) = self.target(digest)?;
        match target.metadata() {
            Ok(metadata) => {
                self.unsettled.named(folder);
                Ok(Place::File { size: metadata.len() })
            }
            Err(_) => Err(Failure::Absent(format!("the upload {digest} is not complete"))),
        }
    }

    fn write_file(&mut self, digest: &Sha256, bytes: &[u8]) -> io::Result<Place> {
        let (target, folder) = self.target(digest)?;
        let draft = target.with_extension("tmp");
        let mut file = File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, &target)?;
        self.unsettled.named(folder);
        Ok(Place::File { size: bytes.len() as u64 })
    }

    /// Where a large body goes, and the directory whose sync makes its name durable.
    fn target(&self, digest: &Sha256) -> io::Result<(PathBuf, PathBuf)> {
        let target = self.folders.file(digest);
        let folder = target.parent().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
        disk::create_folder(&folder)?;
        Ok((target, folder))
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

    fn forget(&mut self, digests: &[Sha256]) {
        for digest in digests {
            self.places.remove(digest);
        }
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
