//! Which files are meant: files, folders with everything below them, and patterns.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::exit::{Exit, Failure};

/// The files that the arguments name, each once: in the order of the arguments, and what a folder or
/// a pattern stands for in the order of names. Whether one can be read shows when it is.
///
/// # Errors
/// A pattern that is none or fits nothing, and a folder that cannot be listed.
pub(super) fn files(arguments: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for argument in arguments {
        let text = argument.to_string_lossy();
        if argument.is_dir() {
            below(argument, &mut files)?;
        } else if argument.exists() || !text.contains(['*', '?', '[']) {
            files.push(argument.clone());
        } else {
            fitting(&text, &mut files)?;
        }
    }
    let mut seen = BTreeSet::new();
    files.retain(|path| seen.insert(path.clone()));
    Ok(files)
}

/// Every file below `folder`. Hidden ones are left out, and links to folders are not followed: they
/// may lead back.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |error| Failure::file(folder, error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        entries.push(entry.map_err(failed)?);
    }
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        let path = entry.path();
        if entry.file_type().map_err(failed)?.is_dir() {
            below(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn fitting(pattern: &str, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let wrong = |error| Failure::other(format!("{pattern}: {error}"));
    let mut is_empty = true;
    for path in glob::glob(pattern).map_err(wrong)? {
        let path = path.map_err(Failure::other)?;
        is_empty = false;
        if path.is_dir() { below(&path, files)? } else { files.push(path) }
    }
    if is_empty {
        let failure = Failure::new(Exit::NotFound, format!("{pattern}: no such file"));
        return Err(failure.with_hint("quote a pattern that the shell must not expand"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let room = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(room.path().join("b/deep")).unwrap();
        for name in ["z.pdf", "a.pdf", "b/2.p7s", "b/deep/1.pdf", ".hidden", "b/10.pdf"] {
            std::fs::write(room.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink(room.path(), room.path().join("b/back")).unwrap();
        room
    }

    fn names(room: &Path, arguments: &[&str]) -> Result<Vec<String>, Failure> {
        let arguments: Vec<PathBuf> = arguments.iter().map(|one| room.join(one)).collect();
        let inside =
            |path: PathBuf| path.strip_prefix(room).unwrap().to_string_lossy().into_owned();
        Ok(files(&arguments)?.into_iter().map(inside).collect())
    }

    #[test]
    fn folders_are_walked_in_the_order_of_names_and_links_back_are_not() {
        let room = tree();
        let all = ["a.pdf", "b/10.pdf", "b/2.p7s", "b/deep/1.pdf", "z.pdf"];
        assert_eq!(names(room.path(), &[""]).unwrap(), all);
        assert_eq!(
            names(room.path(), &["z.pdf", "b", "z.pdf"]).unwrap(),
            ["z.pdf", "b/10.pdf", "b/2.p7s", "b/deep/1.pdf"]
        );
    }

    #[test]
    fn patterns_stand_for_what_fits() {
        let room = tree();
        assert_eq!(names(room.path(), &["*.pdf"]).unwrap(), ["a.pdf", "z.pdf"]);
        assert_eq!(names(room.path(), &["b/d*/?.pdf"]).unwrap(), ["b/deep/1.pdf"]);
        assert_eq!(names(room.path(), &["*.xml"]).unwrap_err().exit, Exit::NotFound);
        assert_eq!(names(room.path(), &["[.xml"]).unwrap_err().exit, Exit::Other);
        // What is not there is said when it is read.
        assert_eq!(names(room.path(), &["absent.pdf"]).unwrap(), ["absent.pdf"]);
    }
}
