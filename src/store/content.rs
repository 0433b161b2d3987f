//! Bodies, by their SHA-256, outside the log.
//!
//! ```text
//! <dir>/volumes/000001.vol    small bodies, framed (volume.rs)
//! <dir>/files/ab/<digest>     large bodies
//! <dir>/uploads/…             bodies on their way in (upload.rs)
//! <dir>/scratch/              empty: what is looked at once has no name
//! ```
//! One thread writes; whoever commits settles, with one sync for many bodies: 10,000 of 100 KB per
//! second where one file each gives 500 (log survey §3.5). After a failed write or sync there are
//! nothing but errors: what the kernel still holds is unknown.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::disk::{self, medium};
use super::upload::{State, Uploads};
use super::volume::{self, Appender, Volumes};
use super::writer::{self, Request, Unsettled, Writer};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::SystemId;
use crate::gateway::ports::{
    Contents, Eraser, Piece, Place, Retired, Scratch, Staged, StoreError, Upload, UploadError,
};
use crate::limits::{CONTENT_QUEUE_MAX, VOLUME_SIZE_MAX};
use crate::source::{Source, Unreadable};

/// [`Contents`] in a directory. Dropping it waits for the writer to finish what it was given.
#[derive(Debug)]
pub struct ContentStore {
    folders: Arc<Folders>,
    volumes: Volumes,
    unsettled: Arc<Unsettled>,
    queue: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// The directories of the store.
#[derive(Debug)]
pub(super) struct Folders {
    root: PathBuf,
    pub(super) uploads: Uploads,
}

impl Folders {
    /// Where a large body lies.
    pub(super) fn file(&self, digest: &Sha256) -> PathBuf {
        ContentStore::file_in(&self.root, digest)
    }
}

impl ContentStore {
    /// Opens the store in `root`, which is created if it does not exist; uploads that nobody
    /// touched for long are removed.
    ///
    /// # Errors
    /// Medium.
    pub fn open(root: &Path, now: Time) -> Result<Self, StoreError> {
        Self::open_in(root, now).map_err(medium(root))
    }

    fn open_in(root: &Path, now: Time) -> io::Result<Self> {
        let volumes = root.join("volumes");
        disk::create_folder(&volumes)?;
        disk::create_folder(&root.join("files"))?;
        let scratch = root.join("scratch");
        disk::remove_folder(&scratch)?;
        disk::create_folder(&scratch)?;
        let uploads = Uploads::open(&root.join("uploads"), now)?;
        let folders = Arc::new(Folders { root: root.to_owned(), uploads });
        let appender = Appender::open(&volumes, VOLUME_SIZE_MAX)?;
        let unsettled = Arc::new(Unsettled::default());
        let writer = Writer::new(Arc::clone(&folders), appender, Arc::clone(&unsettled));
        let (queue, requests) = sync_channel(CONTENT_QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("content".into())
            .spawn(move || writer::run(writer, &requests))?;
        let volumes = Volumes::new(&volumes);
        Ok(Self { folders, volumes, unsettled, queue: Some(queue), thread: Some(thread) })
    }

    /// Where a large body lies in the store in `root`.
    pub(super) fn file_in(root: &Path, digest: &Sha256) -> PathBuf {
        let name = digest.to_hex();
        root.join("files").join(&name[..2]).join(name)
    }

    /// The bytes of a body in the store in `root`, which need not be open.
    ///
    /// # Errors
    /// Medium and damage.
    pub(super) fn read_in(
        root: &Path,
        digest: &Sha256,
        place: Place,
    ) -> Result<Vec<u8>, StoreError> {
        let source = source_of(root, &Volumes::new(&root.join("volumes")), digest, place)?;
        let size = usize::try_from(source.size)
            .map_err(|_| StoreError::Damaged(format!("{digest} is too large")))?;
        let mut bytes = vec![0; size];
        let read = source.read_at(0, &mut bytes);
        read.map_err(|error| StoreError::Medium(format!("{digest}: {error}")))?;
        Ok(bytes)
    }

    /// Erases bodies in the store in `root`, which is not open; durable on return.
    ///
    /// # Errors
    /// Medium.
    pub fn erase_in(root: &Path, digests: &HashSet<Sha256>) -> Result<u64, StoreError> {
        let everything = Retired { volume: u32::MAX, end: u64::MAX };
        let erase = || -> io::Result<u64> {
            let mut bytes = volume::erase(&root.join("volumes"), digests, everything)?;
            for digest in digests {
                bytes += disk::remove_file(&Self::file_in(root, digest))?;
            }
            Ok(bytes)
        };
        erase().map_err(medium(root))
    }

    /// Every body in the store in `root` with its place; for rebuilding the index.
    ///
    /// # Errors
    /// Medium.
    pub fn scan(root: &Path, mut take: impl FnMut(Sha256, Place)) -> Result<(), StoreError> {
        let mut scan = || -> io::Result<()> {
            volume::scan(&root.join("volumes"), &mut take)?;
            let files = root.join("files");
            for shelf in disk::names_in(&files)? {
                for name in disk::names_in(&files.join(&shelf))? {
                    // A name that is not a digest is a draft that an interrupted write left.
                    let Ok(digest) = name.parse() else { continue };
                    // Gone since the folder was read: erased by the gateway that has the store open.
                    match files.join(&shelf).join(&name).metadata() {
                        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                        found => take(digest, Place::File { size: found?.len() }),
                    }
                }
            }
            Ok(())
        };
        scan().map_err(medium(root))
    }
}

impl Drop for ContentStore {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Contents for ContentStore {
    fn keep(&self, pieces: Vec<Piece>) -> oneshot::Receiver<Result<Vec<(Sha256, Place)>, String>> {
        let (answer, answered) = oneshot::channel();
        let Some(queue) = &self.queue else { return answered };
        if let Err(refused) = queue.try_send(Request::Keep { pieces, answer }) {
            let (why, request) = match refused {
                TrySendError::Full(request) => ("too much content waits to be kept", request),
                TrySendError::Disconnected(request) => ("the content writer has ended", request),
            };
            if let Request::Keep { answer, .. } = request {
                let _ = answer.send(Err(why.into()));
            }
        }
        answered
    }

    fn settle(&self) -> Result<(), StoreError> {
        self.unsettled.settle().map_err(StoreError::Medium)
    }

    fn staged(&self, system: &SystemId, digest: &Sha256, size: u64) -> Result<Staged, UploadError> {
        match self.folders.uploads.state(system, digest, size)? {
            State::Arriving(arrived) => Ok(Staged::Arriving(arrived)),
            State::Complete(file) => {
                Ok(Staged::Complete(Box::new(FileSource { file: Arc::new(file), start: 0, size })))
            }
        }
    }

    fn staged_size(&self, system: &SystemId) -> Result<u64, UploadError> {
        self.folders.uploads.size(system)
    }

    fn upload(
        &self,
        system: &SystemId,
        digest: &Sha256,
        size: u64,
        offset: u64,
    ) -> Result<Box<dyn Upload>, UploadError> {
        self.folders.uploads.append(system, digest, size, offset)
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>, StoreError> {
        let path = self.folders.root.join("scratch").join(uuid::Uuid::new_v4().to_string());
        let create = || {
            let file = File::options().read(true).write(true).create_new(true).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        };
        let file = create().map_err(medium(&path))?;
        Ok(Box::new(ScratchFile { file, size: 0 }))
    }

    fn discard(&self, system: &SystemId, digests: &[Sha256]) {
        for digest in digests {
            // If it stays, it is removed with the stale uploads.
            let _ = fs::remove_file(self.folders.uploads.full(system, digest));
        }
    }

    fn read(
        &self,
        digest: &Sha256,
        place: Place,
    ) -> Result<Box<dyn Source + Send + Sync>, StoreError> {
        Ok(Box::new(source_of(&self.folders.root, &self.volumes, digest, place)?))
    }
}

fn source_of(
    root: &Path,
    volumes: &Volumes,
    digest: &Sha256,
    place: Place,
) -> Result<FileSource, StoreError> {
    let other = || StoreError::Damaged(format!("{digest} is not where it should be"));
    match place {
        Place::Volume { volume, offset, size } => {
            let file = volumes.find(digest, volume, offset, size);
            let file = file.map_err(medium(root))?.ok_or_else(other)?;
            Ok(FileSource { file, start: offset, size })
        }
        Place::File { size } => {
            let path = ContentStore::file_in(root, digest);
            let file = File::open(&path).map_err(medium(&path))?;
            if file.metadata().map_err(medium(&path))?.len() != size {
                return Err(other());
            }
            Ok(FileSource { file: Arc::new(file), start: 0, size })
        }
    }
}

impl ContentStore {
    /// Asks the writer and waits.
    fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, StoreError> {
        let ended = || StoreError::Medium("the content writer has ended".into());
        let (answer, answered) = oneshot::channel();
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.send(request(answer)).map_err(|_| ended())?;
        answered.blocking_recv().map_err(|_| ended())
    }
}

impl Eraser for ContentStore {
    fn retire(&self, digests: &HashSet<Sha256>) -> Result<Retired, StoreError> {
        let digests = digests.iter().copied().collect();
        self.ask(|answer| Request::Retire { digests, answer })
    }

    fn erase(&self, digests: &HashSet<Sha256>, retired: Retired) -> Result<u64, StoreError> {
        let folder = self.folders.root.join("volumes");
        let in_volumes = volume::erase(&folder, digests, retired).map_err(medium(&folder))?;
        let digests = digests.iter().copied().collect();
        let in_files = self.ask(|answer| Request::Unlink { digests, answer })?;
        Ok(in_volumes + in_files.map_err(StoreError::Medium)?)
    }
}

/// A file without a name.
struct ScratchFile {
    file: File,
    size: u64,
}

impl Scratch for ScratchFile {
    fn append(&mut self, chunk: &[u8]) -> Result<(), StoreError> {
        let written = self.file.write_all_at(chunk, self.size);
        written.map_err(|error| StoreError::Medium(error.to_string()))?;
        self.size += chunk.len() as u64;
        Ok(())
    }

    fn finish(self: Box<Self>) -> Box<dyn Source + Send + Sync> {
        Box::new(FileSource { file: Arc::new(self.file), start: 0, size: self.size })
    }
}

/// A range of a file.
#[derive(Debug)]
struct FileSource {
    file: Arc<File>,
    start: u64,
    size: u64,
}

impl Source for FileSource {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let end = offset.checked_add(into.len() as u64).filter(|end| *end <= self.size);
        end.ok_or(Unreadable)?;
        self.file.read_exact_at(into, self.start + offset).map_err(|_| Unreadable)
    }
}
