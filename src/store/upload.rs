//! Uploads: bodies on their way in, one file each, resumable where they stand.
//!
//! ```text
//! uploads/<system>/<digest>.part    arriving
//! uploads/<system>/<digest>.full    complete, of the right digest, and durable
//! ```
//! What has arrived of a `.part` is believed for nothing: it is hashed again when it is resumed.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::UNIX_EPOCH;

use super::disk;
use crate::clock::Time;
use crate::digest::{Hasher, Sha256};
use crate::directory::SystemId;
use crate::gateway::ports::{Upload, UploadError};
use crate::limits::{CHUNK_SIZE, PART_SIZE_MAX, STAGED_MAX, UPLOAD_AGE_MAX};

/// Counts who has opened an upload; only the last one may append. A client that comes back before
/// its lost connection is noticed takes its upload over.
type Turn = Arc<Mutex<u64>>;
/// The turns of uploads that are open.
type Turns = HashMap<(SystemId, Sha256), Weak<Mutex<u64>>>;

/// How far an upload has come.
#[derive(Debug)]
pub enum State {
    /// So many bytes have arrived.
    Arriving(u64),
    /// It is complete, of the right digest, and durable.
    Complete(File),
}

/// All uploads.
#[derive(Debug)]
pub struct Uploads {
    root: PathBuf,
    turns: Mutex<Turns>,
}

pub fn failed(error: io::Error) -> UploadError {
    UploadError::Medium(error.to_string())
}

impl Uploads {
    /// The uploads below a folder; those that nobody touched for [`UPLOAD_AGE_MAX`] are removed.
    pub fn open(root: &Path, now: Time) -> io::Result<Self> {
        disk::create_folder(root)?;
        for system in disk::names_in(root)? {
            let folder = root.join(system);
            for name in disk::names_in(&folder)? {
                let path = folder.join(name);
                let touched = path.metadata()?.modified()?.duration_since(UNIX_EPOCH);
                let touched = touched.unwrap_or_default().as_millis();
                let touched = Time::from_millis(i64::try_from(touched).unwrap_or(i64::MAX));
                if now.since(touched) > UPLOAD_AGE_MAX {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(Self { root: root.to_owned(), turns: Mutex::default() })
    }

    /// Where a complete upload lies.
    pub fn full(&self, system: &SystemId, digest: &Sha256) -> PathBuf {
        self.root.join(system.as_str()).join(format!("{digest}.full"))
    }

    fn part(&self, system: &SystemId, digest: &Sha256) -> PathBuf {
        self.root.join(system.as_str()).join(format!("{digest}.part"))
    }

    /// How far an upload has come. A `.part` may have its whole length, if the process ended before
    /// it was checked: then it is not complete, and resuming it at its end completes it.
    pub fn state(
        &self,
        system: &SystemId,
        digest: &Sha256,
        size: u64,
    ) -> Result<State, UploadError> {
        match File::open(self.full(system, digest)) {
            Ok(file) if file.metadata().map_err(failed)?.len() == size => Ok(State::Complete(file)),
            // The digest was checked, so it is the size that is wrong.
            Ok(_) => Err(UploadError::TooLong(size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let arrived = length(&self.part(system, digest))?.unwrap_or(0);
                if arrived > size {
                    return Err(UploadError::TooLong(size));
                }
                Ok(State::Arriving(arrived))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// Bytes of all uploads of a system.
    pub fn size(&self, system: &SystemId) -> Result<u64, UploadError> {
        let folder = self.root.join(system.as_str());
        let mut sum = 0;
        for name in disk::names_in(&folder).map_err(failed)? {
            // One that was completed or used up a moment ago has another name or none.
            sum += length(&folder.join(name))?.unwrap_or(0);
        }
        Ok(sum)
    }

    /// Opens an upload for appending from `offset` on.
    pub fn append(
        &self,
        system: &SystemId,
        digest: &Sha256,
        size: u64,
        offset: u64,
    ) -> Result<Box<dyn Upload>, UploadError> {
        if size > PART_SIZE_MAX {
            return Err(UploadError::TooLong(PART_SIZE_MAX));
        }
        let turn = self.turn(system, digest);
        let mut current = turn.lock().unwrap_or_else(PoisonError::into_inner);
        *current += 1;
        let number = *current;
        let (arrived, complete) = match self.state(system, digest, size)? {
            State::Arriving(arrived) => (arrived, false),
            State::Complete(_) => (size, true),
        };
        if arrived != offset {
            return Err(UploadError::Offset(arrived));
        }
        let (part, full) = (self.part(system, digest), self.full(system, digest));
        let (file, hasher) = if complete {
            (None, Hasher::default())
        } else {
            self.make_room(system, &part)?;
            let (file, hasher) = resume(&part).map_err(failed)?;
            (Some(file), hasher)
        };
        drop(current);
        let digest = *digest;
        Ok(Box::new(Arriving { turn, number, part, full, file, hasher, digest, size, arrived }))
    }

    fn turn(&self, system: &SystemId, digest: &Sha256) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (system.clone(), *digest);
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Turn::default();
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }

    fn make_room(&self, system: &SystemId, part: &Path) -> Result<(), UploadError> {
        let folder = self.root.join(system.as_str());
        disk::create_folder(&folder).map_err(failed)?;
        let staged = disk::names_in(&folder).map_err(failed)?.len();
        if staged >= STAGED_MAX && length(part)?.is_none() {
            return Err(UploadError::TooMany(staged));
        }
        Ok(())
    }
}

fn length(path: &Path) -> Result<Option<u64>, UploadError> {
    match path.metadata() {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Opens a file for appending, with the digest of what it holds.
fn resume(path: &Path) -> io::Result<(File, Hasher)> {
    let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK_SIZE];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((file, hasher)),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// One upload, open for appending.
struct Arriving {
    turn: Turn,
    number: u64,
    part: PathBuf,
    full: PathBuf,
    /// `None` if the upload is complete already, or after a failed write: what then stands in the
    /// file is unknown and must be hashed again.
    file: Option<File>,
    hasher: Hasher,
    digest: Sha256,
    size: u64,
    arrived: u64,
}

impl Arriving {
    fn check_turn(current: u64, number: u64) -> Result<(), UploadError> {
        if current == number {
            return Ok(());
        }
        Err(UploadError::Medium("the upload was resumed by another call".into()))
    }
}

impl Upload for Arriving {
    fn append(&mut self, chunk: &[u8]) -> Result<(), UploadError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Self::check_turn(*turn, self.number)?;
        let arrived = self.arrived + chunk.len() as u64;
        if arrived > self.size {
            return Err(UploadError::TooLong(self.size));
        }
        if chunk.is_empty() {
            return Ok(());
        }
        let mut file = self.file.take().ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()))?;
        file.write_all(chunk).map_err(failed)?;
        self.file = Some(file);
        self.hasher.update(chunk);
        self.arrived = arrived;
        Ok(())
    }

    fn arrived(&self) -> u64 {
        self.arrived
    }

    fn finish(self: Box<Self>) -> Result<(), UploadError> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        Self::check_turn(*turn, self.number)?;
        if self.arrived < self.size {
            return Err(UploadError::Offset(self.arrived));
        }
        let Some(file) = &self.file else {
            // Complete before it was opened, or failed while it was written.
            return length(&self.full)?
                .map(|_| ())
                .ok_or_else(|| failed(io::ErrorKind::BrokenPipe.into()));
        };
        let digest = self.hasher.clone().finish();
        if digest != self.digest {
            fs::remove_file(&self.part).map_err(failed)?;
            return Err(UploadError::Digest(digest));
        }
        file.sync_all().map_err(failed)?;
        fs::rename(&self.part, &self.full).map_err(failed)
    }
}
