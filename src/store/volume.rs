//! Volume files: small bodies one after the other, each in a frame that says what it is.
//!
//! ```text
//! frame = "vanthuV1" (8) ‖ SHA-256 of the body (32) ‖ size of the body, big-endian (8) ‖ body
//! ```
//! A power cut may leave anything behind the last synced frame. Nothing refers to it, so it stays:
//! the next frame begins behind it, and a scan, which believes a frame only if its body has the
//! digest, finds that one by its magic. No byte of a volume is ever written twice, but to erase a
//! body: its frame then begins with `"vanthuX1"`, and the body is a hole, all zeros, whose blocks the
//! file system has back. In a backup, a body that is needed after all is put back where it was.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk;
use crate::digest::Sha256;
use crate::gateway::ports::{Place, Retired};
use crate::limits::{
    CHUNK_SIZE, VOLUME_BLOB_SIZE_MAX, VOLUME_CACHED, VOLUME_HANDLES_MAX, VOLUME_STEP,
};

const MAGIC: [u8; 8] = *b"vanthuV1";
/// Of a body that was erased.
const ERASED: [u8; 8] = *b"vanthuX1";
const HEADER_SIZE: u64 = 48;

fn header(digest: &Sha256, size: u64) -> [u8; HEADER_SIZE as usize] {
    let mut bytes = [0; HEADER_SIZE as usize];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..40].copy_from_slice(&digest.0);
    bytes[40..].copy_from_slice(&size.to_be_bytes());
    bytes
}

fn read_header(bytes: &[u8; HEADER_SIZE as usize]) -> Option<(Sha256, u64)> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let (digest, size) = rest.split_first_chunk::<32>()?;
    let size = u64::from_be_bytes(*size.first_chunk::<8>()?);
    (*magic == MAGIC).then_some((Sha256(*digest), size))
}

fn path_of(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("{number:06}.vol"))
}

/// Numbers of the volumes in a folder, ascending.
fn numbers(folder: &Path) -> io::Result<Vec<u32>> {
    let names = disk::names_in(folder)?;
    let mut numbers: Vec<u32> =
        names.iter().filter_map(|name| name.strip_suffix(".vol")?.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The volume that grows. Held by one thread; others sync it.
pub struct Appender {
    folder: PathBuf,
    size_max: u64,
    number: u32,
    file: Arc<File>,
    end: u64,
    lately: Lately,
}

/// What was written lately, in steps: recipients fetch most documents soon.
#[derive(Debug, Default)]
struct Lately {
    steps: VecDeque<(Arc<File>, u64)>,
    /// Where the next step begins in the volume that grows.
    next: u64,
}

impl Lately {
    /// A volume has grown to `end`; the kernel may forget what is no longer lately.
    fn grew(&mut self, file: &Arc<File>, end: u64) {
        while end - self.next >= VOLUME_STEP {
            self.step(file);
        }
    }

    /// The volume grows no more; another begins at `start`.
    fn ended(&mut self, file: &Arc<File>, start: u64) {
        self.step(file);
        self.next = start;
    }

    fn step(&mut self, file: &Arc<File>) {
        self.steps.push_back((Arc::clone(file), self.next));
        self.next += VOLUME_STEP;
        if self.steps.len() as u64 > VOLUME_CACHED / VOLUME_STEP
            && let Some((file, offset)) = self.steps.pop_front()
        {
            disk::forget(&file, offset, VOLUME_STEP);
        }
    }
}

impl Appender {
    /// Goes on behind whatever the last volume holds.
    pub fn open(folder: &Path, size_max: u64) -> io::Result<Self> {
        let number = numbers(folder)?.last().copied().unwrap_or(1);
        let (file, end) = create(folder, number)?;
        let lately = Lately { next: end, ..Lately::default() };
        Ok(Self { folder: folder.to_owned(), size_max, number, file, end, lately })
    }

    /// Appends a body; durable once [`Appender::file`] has been synced.
    pub fn append(&mut self, digest: &Sha256, body: &[u8]) -> io::Result<Place> {
        let size = body.len() as u64;
        assert!(size <= VOLUME_BLOB_SIZE_MAX, "a body of {size} bytes gets a file of its own");
        if self.end > 0 && self.end + HEADER_SIZE + size > self.size_max {
            self.number += 1;
            let (file, end) = create(&self.folder, self.number)?;
            self.lately.ended(&self.file, end);
            (self.file, self.end) = (file, end);
        }
        disk::write_both_at(&self.file, &header(digest, size), body, self.end)?;
        let offset = self.end + HEADER_SIZE;
        self.end = offset + size;
        self.lately.grew(&self.file, self.end);
        Ok(Place::Volume { volume: self.number, offset, size })
    }

    /// Where the next body will begin, or a later volume.
    pub fn end(&self) -> Retired {
        Retired { volume: self.number, end: self.end }
    }

    /// The volume that holds what was appended last.
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }
}

fn create(folder: &Path, number: u32) -> io::Result<(Arc<File>, u64)> {
    let path = path_of(folder, number);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    let end = file.metadata()?.len();
    disk::sync_folder(folder)?;
    Ok((Arc::new(file), end))
}

/// Volumes for reading.
#[derive(Debug)]
pub struct Volumes {
    folder: PathBuf,
    handles: Mutex<HashMap<u32, Arc<File>>>,
}

impl Volumes {
    /// The volumes in a folder.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), handles: Mutex::default() }
    }

    /// The file in which a body lies, if its frame says so.
    pub fn find(
        &self,
        digest: &Sha256,
        volume: u32,
        offset: u64,
        size: u64,
    ) -> io::Result<Option<Arc<File>>> {
        let file = self.handle(volume)?;
        let Some(start) = offset.checked_sub(HEADER_SIZE) else { return Ok(None) };
        let mut bytes = [0; HEADER_SIZE as usize];
        file.read_exact_at(&mut bytes, start)?;
        Ok((read_header(&bytes) == Some((*digest, size))).then_some(file))
    }

    fn handle(&self, volume: u32) -> io::Result<Arc<File>> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = handles.get(&volume) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(path_of(&self.folder, volume))?);
        if handles.len() >= VOLUME_HANDLES_MAX
            && let Some(any) = handles.keys().next().copied()
        {
            handles.remove(&any);
        }
        handles.insert(volume, Arc::clone(&file));
        Ok(file)
    }
}

/// Every body in the volumes of a folder, in the order in which they were written.
pub fn scan(folder: &Path, mut take: impl FnMut(Sha256, Place)) -> io::Result<()> {
    for volume in numbers(folder)? {
        let file = File::open(path_of(folder, volume))?;
        let mut position = 0;
        while let Some(start) = next_magic(&file, position)? {
            position = match body_at(&file, start)? {
                Some((digest, size)) => {
                    let offset = start + HEADER_SIZE;
                    take(digest, Place::Volume { volume, offset, size });
                    offset + size
                }
                // An erased body is passed over, whatever stands behind it.
                None => match frame_at(&file, start, file.metadata()?.len())? {
                    Some((_, offset, size)) if is_erased(&file, start)? => offset + size,
                    _ => start + 1,
                },
            };
        }
    }
    Ok(())
}

/// Writes the frame of a body again, where it once was in a volume of a folder; durable on return. Gives
/// whether the volume reaches so far.
pub fn put_back(
    folder: &Path,
    (volume, offset): (u32, u64),
    digest: &Sha256,
    body: &[u8],
) -> io::Result<bool> {
    let file = match OpenOptions::new().write(true).open(path_of(folder, volume)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let size = body.len() as u64;
    let Some(start) = offset.checked_sub(HEADER_SIZE) else { return Ok(false) };
    if offset + size > file.metadata()?.len() {
        return Ok(false);
    }
    // The mark last: it is believed only with the body behind it.
    file.write_all_at(body, offset)?;
    file.write_all_at(&header(digest, size), start)?;
    file.sync_data()?;
    Ok(true)
}

fn is_erased(file: &File, start: u64) -> io::Result<bool> {
    Ok(disk::read_at(file, start, ERASED.len())? == ERASED)
}

/// Digest and size of the body in the frame at `start`, if all of it is there.
fn body_at(file: &File, start: u64) -> io::Result<Option<(Sha256, u64)>> {
    let bytes = disk::read_at(file, start, HEADER_SIZE as usize)?;
    let header = bytes.first_chunk().and_then(read_header);
    let Some((digest, size)) = header.filter(|(_, size)| *size <= VOLUME_BLOB_SIZE_MAX) else {
        return Ok(None);
    };
    let size_max = usize::try_from(size).expect("at most 4 MiB");
    let body = disk::read_at(file, start + HEADER_SIZE, size_max)?;
    Ok((body.len() as u64 == size && Sha256::of(&body) == digest).then_some((digest, size)))
}

/// Erases every body with one of these digests that lies before `until` in the volumes of a folder;
/// durable on return. Gives how many bytes those had that were not erased before. Only headers are read, unless they do not lead
/// from one frame to the next, as behind a torn one.
pub fn erase(folder: &Path, digests: &HashSet<Sha256>, until: Retired) -> io::Result<u64> {
    let mut erased = 0;
    for number in numbers(folder)?.into_iter().filter(|number| *number <= until.volume) {
        let file = OpenOptions::new().read(true).write(true).open(path_of(folder, number))?;
        let length = file.metadata()?.len();
        let end = if number == until.volume { until.end.min(length) } else { length };
        let mut bodies = Vec::new();
        let mut position = 0;
        while position < end {
            position = match frame_at(&file, position, end)? {
                Some((digest, offset, size)) => {
                    // One that is marked already may not be a hole yet.
                    if digests.contains(&digest) {
                        let new = !is_erased(&file, position)?;
                        erased += if new { size } else { 0 };
                        bodies.push((offset, size));
                    }
                    offset + size
                }
                None => next_magic(&file, position + 1)?.unwrap_or(end),
            };
        }
        if bodies.is_empty() {
            continue;
        }
        // The mark first: a reader is told, and a scan does not take zeros for a torn frame.
        for (offset, _) in &bodies {
            file.write_all_at(&ERASED, offset - HEADER_SIZE)?;
        }
        for (offset, size) in bodies {
            disk::punch(&file, offset, size)?;
        }
        file.sync_data()?;
    }
    Ok(erased)
}

/// Digest, offset and size of the body in the frame at `start`, erased or not, if it is followed by
/// another frame or by the end, or if the body has the digest.
fn frame_at(file: &File, start: u64, end: u64) -> io::Result<Option<(Sha256, u64, u64)>> {
    let bytes = disk::read_at(file, start, HEADER_SIZE as usize)?;
    let Some(bytes) = bytes.first_chunk::<{ HEADER_SIZE as usize }>() else { return Ok(None) };
    let mut living = *bytes;
    if living.starts_with(&ERASED) {
        living[..8].copy_from_slice(&MAGIC);
    }
    let Some((digest, size)) =
        read_header(&living).filter(|(_, size)| *size <= VOLUME_BLOB_SIZE_MAX)
    else {
        return Ok(None);
    };
    let offset = start + HEADER_SIZE;
    let next = disk::read_at(file, offset + size, MAGIC.len())?;
    let leads_on = offset + size == end || next == MAGIC || next == ERASED;
    let whole = offset + size <= end && (leads_on || body_at(file, start)?.is_some());
    Ok(whole.then_some((digest, offset, size)))
}

/// Where the next frame may begin, at `from` or later.
fn next_magic(file: &File, mut from: u64) -> io::Result<Option<u64>> {
    let mut window = 64; // Frames usually follow each other directly.
    loop {
        let bytes = disk::read_at(file, from, window)?;
        if bytes.len() < MAGIC.len() {
            return Ok(None);
        }
        if let Some(found) =
            bytes.windows(MAGIC.len()).position(|bytes| *bytes == MAGIC || *bytes == ERASED)
        {
            return Ok(Some(from + found as u64));
        }
        from += (bytes.len() - MAGIC.len() + 1) as u64;
        window = CHUNK_SIZE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(folder: &Path) -> Vec<(Sha256, Place)> {
        let mut found = Vec::new();
        scan(folder, |digest, place| found.push((digest, place))).expect("reads");
        found
    }

    #[test]
    fn a_torn_tail_hides_neither_what_was_before_nor_what_comes_after() {
        let body = |seed: u8| vec![seed; 1000 + usize::from(seed)];
        let torn = [
            b"van".to_vec(),
            header(&Sha256::of(b"lost"), 4).to_vec(),
            [header(&Sha256::of(b"lost"), 1 << 20).as_slice(), &[7; 500]].concat(),
            vec![0; 5000],
            [header(&Sha256::of(b"lost"), u64::MAX).as_slice(), b"vanthuV1vanthuV"].concat(),
        ];
        for tail in torn {
            let folder = tempfile::tempdir().expect("a folder");
            let mut kept = Vec::new();
            for round in 0..3u8 {
                let mut appender = Appender::open(folder.path(), 1 << 30).expect("opens");
                let digest = Sha256::of(&body(round));
                kept.push((digest, appender.append(&digest, &body(round)).expect("appends")));
                appender.file().sync_data().expect("syncs");
                appender.file.write_all_at(&tail, appender.end).expect("tears");
            }
            assert_eq!(scanned(folder.path()), kept);
        }
    }

    #[test]
    fn all_copies_are_erased_and_nothing_else_whatever_was_torn() {
        let body = |seed: u8| vec![seed; 1000 + usize::from(seed)];
        let lost = Sha256::of(b"lost");
        let torn = [
            Vec::new(),
            vec![0; 700],
            header(&lost, 4).to_vec(),
            // It claims the bodies that follow.
            [header(&lost, 2_000).as_slice(), &[7; 500]].concat(),
            [header(&lost, VOLUME_BLOB_SIZE_MAX).as_slice(), b"vanthuV1vanthuV"].concat(),
        ];
        for tail in torn {
            let folder = tempfile::tempdir().expect("a folder");
            let seeds = [1, 2, 1, 3, 1, 2];
            let mut kept = Vec::new();
            for seed in seeds {
                let mut appender = Appender::open(folder.path(), 4_000).expect("opens");
                let digest = Sha256::of(&body(seed));
                kept.push((digest, appender.append(&digest, &body(seed)).expect("appends")));
                appender.file.write_all_at(&tail, appender.end).expect("tears");
            }
            let appender = Appender::open(folder.path(), 4_000).expect("opens");
            let digests = HashSet::from([Sha256::of(&body(1)), Sha256::of(b"another")]);
            for bytes in [3 * 1001, 0] {
                let erased = erase(folder.path(), &digests, appender.end()).expect("erases");
                assert_eq!(erased, bytes, "{} torn bytes", tail.len());
                let left: Vec<_> =
                    kept.iter().filter(|(digest, _)| !digests.contains(digest)).copied().collect();
                assert_eq!(scanned(folder.path()), left, "{} torn bytes", tail.len());
            }
            let volumes = Volumes::new(folder.path());
            let Place::Volume { volume, offset, size } = kept[0].1 else { panic!("in a volume") };
            assert!(volumes.find(&kept[0].0, volume, offset, size).expect("reads").is_none());
            let file = volumes.handle(volume).expect("opens");
            let bytes = disk::read_at(&file, offset, body(1).len()).expect("reads");
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn what_was_kept_anew_behind_the_end_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut appender = Appender::open(folder.path(), 1 << 30).expect("opens");
        let digest = Sha256::of(b"body");
        appender.append(&digest, b"body").expect("appends");
        let end = appender.end();
        let anew = appender.append(&digest, b"body").expect("appends");
        let erased = erase(folder.path(), &HashSet::from([digest]), end).expect("erases");
        assert_eq!((erased, scanned(folder.path())), (4, vec![(digest, anew)]));
    }

    #[test]
    fn a_full_volume_is_followed_by_the_next_and_frames_are_checked_on_reading() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut appender = Appender::open(folder.path(), 2_000).expect("opens");
        let mut kept = Vec::new();
        for seed in 0..5u8 {
            let digest = Sha256::of(&[seed; 900]);
            kept.push((digest, appender.append(&digest, &[seed; 900]).expect("appends")));
        }
        appender.file().sync_data().expect("syncs");
        assert_eq!(scanned(folder.path()), kept);
        assert_eq!(numbers(folder.path()).expect("reads"), vec![1, 2, 3]);
        let volumes = Volumes::new(folder.path());
        let Place::Volume { volume, offset, size } = kept[3].1 else { panic!("in a volume") };
        assert!(volumes.find(&kept[3].0, volume, offset, size).expect("reads").is_some());
        assert!(volumes.find(&kept[2].0, volume, offset, size).expect("reads").is_none());
        assert!(volumes.find(&kept[3].0, volume, offset - 1, size).expect("reads").is_none());
        assert!(volumes.find(&kept[3].0, volume, 3, size).expect("reads").is_none());
    }
}
