//! Copying bodies: volumes only grow, files never change, so a copy goes on where it ended.
//!
//! What a copy erases because its log says so may have been kept anew for an entry that its log did not
//! have yet. Once it has that entry, the body is copied again.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::digest::Sha256;
use crate::gateway::ports::{Place, StoreError};
use crate::store::content::ContentStore;
use crate::store::disk::{self, medium};
use crate::store::volume;

/// Copies what is new in the content store `from` to the one in `to`; durable on return. Gives the
/// bytes copied.
///
/// # Errors
/// Medium.
pub fn copy(from: &Path, to: &Path) -> Result<u64, StoreError> {
    let copy = || -> io::Result<u64> {
        Ok(copy_volumes(&from.join("volumes"), &to.join("volumes"))?
            + copy_files(&from.join("files"), &to.join("files"))?)
    };
    copy().map_err(medium(from))
}

/// Copies bodies again that the copy in `to` has lost; durable on return. Gives how many there were in
/// `from`.
///
/// # Errors
/// Medium.
pub fn mend(from: &Path, to: &Path, missing: &HashSet<Sha256>) -> Result<usize, StoreError> {
    let mut found = Vec::new();
    ContentStore::scan(from, |digest, place| {
        if missing.contains(&digest) {
            found.push((digest, place));
        }
    })?;
    let mut mended = 0;
    for (digest, place) in found {
        let Place::Volume { volume, offset, .. } = place else {
            // What stands there under its name is another body; without it, the file is copied again.
            let file = ContentStore::file_in(to, &digest);
            mended += usize::from(disk::remove_file(&file).map_err(medium(&file))? > 0);
            continue;
        };
        // Erased since it was looked for: its frame is none any more, or the body is all zeros.
        let Ok(body) = ContentStore::read_in(from, &digest, place) else { continue };
        if Sha256::of(&body) == digest {
            let folder = to.join("volumes");
            let put = volume::put_back(&folder, (volume, offset), &digest, &body);
            mended += usize::from(put.map_err(medium(&folder))?);
        }
    }
    copy_files(&from.join("files"), &to.join("files")).map_err(medium(from))?;
    Ok(mended)
}

fn copy_volumes(from: &Path, to: &Path) -> io::Result<u64> {
    disk::create_folder(to)?;
    let mut copied = 0;
    for name in disk::names_in(from)?.iter().filter(|name| name.ends_with(".vol")) {
        let mut source = File::open(from.join(name))?;
        let mut target =
            OpenOptions::new().create(true).truncate(false).write(true).open(to.join(name))?;
        let (end, start) = (source.metadata()?.len(), target.metadata()?.len());
        if start > end {
            return Err(io::Error::other(format!("{name} is longer in the copy")));
        }
        if start == end {
            continue;
        }
        source.seek(SeekFrom::Start(start))?;
        target.seek(SeekFrom::Start(start))?;
        copied += io::copy(&mut source.take(end - start), &mut target)?;
        target.sync_all()?;
    }
    disk::sync_folder(to)?;
    Ok(copied)
}

fn copy_files(from: &Path, to: &Path) -> io::Result<u64> {
    disk::create_folder(to)?;
    let mut copied = 0;
    for shelf in disk::names_in(from)? {
        for name in disk::names_in(&from.join(&shelf))? {
            let (source, target) = (from.join(&shelf).join(&name), to.join(&shelf).join(&name));
            if name.parse::<Sha256>().is_err() || target.exists() {
                continue;
            }
            disk::create_folder(&to.join(&shelf))?;
            let draft = target.with_extension("tmp");
            // Gone since the folder was read: erased.
            match fs::copy(&source, &draft) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                size => copied += size?,
            }
            File::open(&draft)?.sync_all()?;
            fs::rename(&draft, &target)?;
            disk::sync_folder(&to.join(&shelf))?;
        }
    }
    Ok(copied)
}
