//! A development PKI on disk. It only ever replaces a directory that says WORTHLESS.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Error;

const MARK: &str = "WORTHLESS.txt";

type Files = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Reads every file below `dir`; sockets, such as that of a gateway whose data lie there, are none.
pub fn read(dir: &Path) -> Result<Files, Error> {
    if !dir.join(MARK).is_file() {
        return Err(Error::NotOurs(dir.to_owned()));
    }
    let mut files = Files::new();
    read_folder(dir, "", &mut files)?;
    Ok(files)
}

fn read_folder(dir: &Path, prefix: &str, files: &mut Files) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            read_folder(&path, &format!("{name}/"), files)?;
        } else if path.is_file() {
            files.insert(name, Zeroizing::new(fs::read(&path).map_err(at(&path))?));
        }
    }
    Ok(())
}

/// Writes `files` beside `dir`, then puts them in its place.
pub fn replace(dir: &Path, files: &Files) -> Result<(), Error> {
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return write_all(dir, files);
        }
        Err(error) => return Err(at(dir)(error)),
    };
    // An empty directory may be a mount point, which cannot be renamed.
    if entries.next().is_none() {
        return write_all(dir, files);
    }
    if !dir.join(MARK).is_file() {
        return Err(Error::NotOurs(dir.to_owned()));
    }
    let dir = &fs::canonicalize(dir).map_err(at(dir))?;
    let old = beside(dir, "old");
    let new = beside(dir, "new");
    write_all(&new, files)?;
    fs::rename(dir, &old).map_err(at(dir))?;
    fs::rename(&new, dir).map_err(at(&new))?;
    fs::remove_dir_all(&old).map_err(at(&old))
}

fn write_all(dir: &Path, files: &Files) -> Result<(), Error> {
    for (name, bytes) in files {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(dir);
        fs::create_dir_all(parent).map_err(at(parent))?;
        write_file(&path, bytes)?;
    }
    Ok(())
}

/// Writes one file as a whole; a file named `.key` is for its owner only.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = beside(path, "new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    if path.extension().is_some_and(|extension| extension == "key") {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let mut file = options.open(&new).map_err(at(&new))?;
    file.write_all(bytes).map_err(at(&new))?;
    fs::rename(&new, path).map_err(at(path))
}

/// A name next to `path` that no other process uses.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}-{}", std::process::id()));
    path.with_file_name(name)
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |cause| Error::File { path: path.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::pki::{self, DevPki};
    use crate::workshop::shared;

    #[test]
    fn a_written_pki_is_the_one_that_is_loaded() {
        let room = tempfile::tempdir().unwrap();
        let dir = room.path().join("pki");
        shared::pki().write(&dir).unwrap();
        assert_eq!(DevPki::load(&dir).unwrap().files, shared::pki().files);
        shared::pki().write(&dir).unwrap();
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn keys_are_readable_by_their_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let room = tempfile::tempdir().unwrap();
        shared::pki().write(&room.path().join("pki")).unwrap();
        for name in shared::pki().files.keys().filter(|name| name.ends_with(".key")) {
            let mode =
                fs::metadata(room.path().join("pki").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_directory_of_someone_else_is_left_alone() {
        let room = tempfile::tempdir().unwrap();
        fs::write(room.path().join("thesis.txt"), "years of work").unwrap();
        assert!(matches!(shared::pki().write(room.path()), Err(Error::NotOurs(_))));
        assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
        assert!(matches!(DevPki::load(room.path()), Err(Error::NotOurs(_))));
    }

    #[test]
    fn revoking_on_disk_rewrites_the_list_only() {
        let room = tempfile::tempdir().unwrap();
        shared::pki().write(&room.path().join("pki")).unwrap();
        pki::revoke(&room.path().join("pki"), "commune", shared::now()).unwrap();
        let after = DevPki::load(&room.path().join("pki")).unwrap();
        for (name, bytes) in &shared::pki().files {
            assert_eq!(*bytes == after.files[name], name != "tls/ca.crl", "{name}");
        }
    }
}
