//! Files that survive a power cut: what is written, renamed or created is synced together with the
//! directory that names it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::guard;
use super::kv::Files;
use crate::gateway::ports::{Space, StoreError};
use crate::limits::CHUNK_SIZE;

/// How the name of a file ends that [`replace`] has not finished.
pub const DRAFT: &str = ".tmp";

/// The error of an operation on a path.
pub fn medium(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |error| StoreError::Medium(format!("{path}: {error}"))
}

/// Makes the names in a directory durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a directory and those above it, all durable.
pub fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    create_folder(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder(parent),
    }
}

/// Replaces a file as a whole: after a power cut it has the old bytes or the new ones.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(DRAFT);
    let draft = PathBuf::from(draft);
    let mut file = File::create(&draft)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&draft, path)?;
    sync_folder(folder)
}

/// Lets the kernel forget synced bytes of a file that nobody is likely to read soon, so that a flood
/// of bodies does not push everything else out of its cache. Advice: it may do otherwise.
pub fn forget(file: &File, offset: u64, size: u64) {
    let _advice =
        rustix::fs::fadvise(file, offset, NonZeroU64::new(size), rustix::fs::Advice::DontNeed);
}

/// Writes two pieces one behind the other, with one call to the kernel unless it takes less than all.
pub fn write_both_at(file: &File, first: &[u8], second: &[u8], offset: u64) -> io::Result<()> {
    let written = rustix::io::pwritev(file, &[IoSlice::new(first), IoSlice::new(second)], offset);
    let written = match written {
        Err(rustix::io::Errno::INTR) => 0,
        written => written?,
    };
    let behind_first = written.saturating_sub(first.len());
    let rest = first.get(written..).unwrap_or_default();
    file.write_all_at(rest, offset + written as u64)?;
    let offset = offset + (first.len() + behind_first) as u64;
    file.write_all_at(second.get(behind_first..).unwrap_or_default(), offset)
}

/// Removes a file durably; gives the bytes it had, 0 if it does not exist.
pub fn remove_file(path: &Path) -> io::Result<u64> {
    let size = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata?.len(),
    };
    fs::remove_file(path)?;
    sync_folder(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?;
    Ok(size)
}

/// Makes a range of a file zeros, and gives its blocks back where the file system can do that.
pub fn punch(file: &File, offset: u64, size: u64) -> io::Result<()> {
    use rustix::fs::FallocateFlags as Flags;
    if size == 0 {
        return Ok(());
    }
    let hole = Flags::PUNCH_HOLE | Flags::KEEP_SIZE;
    match rustix::fs::fallocate(file, hole, offset, size) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => {
            let zeros = vec![0; CHUNK_SIZE];
            let mut at = offset;
            while at < offset + size {
                let step = (offset + size - at).min(CHUNK_SIZE as u64);
                file.write_all_at(zeros.get(..step as usize).unwrap_or(&zeros), at)?;
                at += step;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// The bytes of a file; `None` if it does not exist.
pub fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Names in a directory, sorted; none if it does not exist. Names that are not UTF-8 are not ours.
pub fn names_in(path: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Removes a directory with all that is in it; nothing happens if it does not exist.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads up to `max` bytes at an offset; fewer at the end of the file.
pub fn read_at(file: &File, offset: u64, max: usize) -> io::Result<Vec<u8>> {
    let left = file.metadata()?.len().saturating_sub(offset);
    let size = usize::try_from(left).unwrap_or(usize::MAX).min(max);
    let mut bytes = vec![0; size];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// [`Space`] of the file system of a gateway's data folder.
#[derive(Debug)]
pub struct DiskSpace(pub PathBuf);

impl Space for DiskSpace {
    fn free(&self) -> Result<Option<u64>, StoreError> {
        let found = rustix::fs::statvfs(&self.0).map_err(io::Error::from);
        let found = found.map_err(medium(&self.0))?;
        let read_only = found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
        let takes_writes = !read_only && self.takes_writes()?;
        Ok(takes_writes.then(|| found.f_bavail.saturating_mul(found.f_frsize)))
    }
}

impl DiskSpace {
    /// ext4 after an error does not call itself read-only (Linux 6.15 and later, `emergency_ro`); it
    /// says so to whoever opens a file for writing. Nothing is written.
    fn takes_writes(&self) -> Result<bool, StoreError> {
        let path = self.0.join(guard::NAME);
        match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(false),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(medium(&path)(error)),
            _ => Ok(true),
        }
    }
}

/// [`Files`] below a directory.
#[derive(Debug)]
pub struct DiskFiles(pub PathBuf);

impl Files for DiskFiles {
    fn append(&self, path: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.0.join(path);
        let append = || {
            fs::create_dir_all(path.parent().unwrap_or(&self.0))?;
            OpenOptions::new().create(true).append(true).open(&path)?.write_all(bytes)
        };
        append().map_err(medium(&path))
    }

    fn read(&self, path: &str, offset: u64, max: usize) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.0.join(path);
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => {
                let bytes = opened.and_then(|file| read_at(&file, offset, max));
                bytes.map(Some).map_err(medium(&path))
            }
        }
    }

    fn sync(&self, folder: &str) -> Result<(), StoreError> {
        let path = self.0.join(folder);
        let sync = || {
            sync_below(&path)?;
            // The folder's own name and those of the folders above it, up to the root.
            let mut above = path.ancestors().skip(1).take_while(|above| above.starts_with(&self.0));
            above.try_for_each(sync_folder)
        };
        sync().map_err(medium(&path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.0.join(folder);
        names_in(&path).map_err(medium(&path))
    }

    fn remove(&self, folder: &str) -> Result<(), StoreError> {
        let path = self.0.join(folder);
        remove_folder(&path).map_err(medium(&path))
    }
}

fn sync_below(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync_below(&entry.path())?,
            false => File::open(entry.path())?.sync_all()?,
        }
    }
    sync_folder(folder)
}
