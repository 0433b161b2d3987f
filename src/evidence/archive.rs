//! The zip archive around an evidence file. This file alone names `zip`.
//!
//! Only the plainest form is written and read: files stored as they are, in the order of their
//! paths, one after another without a gap. Nothing is ever inflated or extracted, no byte of the
//! archive lies outside what is read, and the same files always give the same bytes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use super::verify::{Broken, Fault};
use crate::limits::{EVIDENCE_FILES_MAX, EVIDENCE_PATH_SIZE_MAX, EVIDENCE_SIZE_MAX};

/// Files by path.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Sizes of the fixed parts of zip's records (APPNOTE 4.3.7, 4.3.12, 4.3.16).
const LOCAL_SIZE: u64 = 30;
const CENTRAL_SIZE: u64 = 46;
const END_SIZE: usize = 22;

/// What a piece is called that is the archive itself.
pub(super) const ARCHIVE: &str = "the archive";

fn broken(fault: Fault) -> Broken {
    Broken::new(ARCHIVE, fault)
}

/// The files as one archive.
pub(super) fn pack(files: &Files) -> Result<Vec<u8>, Broken> {
    let size: usize = files.iter().map(|(path, bytes)| path.len() * 2 + 76 + bytes.len()).sum();
    if size + END_SIZE > EVIDENCE_SIZE_MAX {
        return Err(broken(Fault::TooLarge));
    }
    if files.len() > EVIDENCE_FILES_MAX {
        return Err(broken(Fault::TooManyFiles));
    }
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .system(System::Unix)
        .unix_permissions(0o644);
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(size + END_SIZE)));
    for (path, bytes) in files {
        let unusable = |_| Broken::new(path, Fault::Path);
        writer.start_file(path.as_str(), options).map_err(unusable)?;
        writer.write_all(bytes).map_err(|_| Broken::new(path, Fault::Path))?;
    }
    let written = writer.finish().map_err(|_| broken(Fault::NotAnArchive))?;
    Ok(written.into_inner())
}

/// The files of an archive.
pub(super) fn unpack(bytes: &[u8]) -> Result<Files, Broken> {
    let directory = end_record(bytes)?;
    let mut archive =
        ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken(Fault::NotAnArchive))?;
    archive.validate_header_consistency().map_err(|_| broken(Fault::HeadersDiffer))?;
    let mut files = Files::new();
    let mut position = 0;
    let mut directory_read = 0;
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|_| broken(Fault::NotAnArchive))?;
        let path = file.name().map_err(|_| broken(Fault::Path))?.into_owned();
        let path_size = file.name_raw().len() as u64;
        let wrong = |fault| Broken::new(&path, fault);
        if path.len() > EVIDENCE_PATH_SIZE_MAX || path.len() as u64 != path_size {
            return Err(wrong(Fault::Path));
        }
        if files.last_key_value().is_some_and(|(last, _)| *last >= path) {
            return Err(wrong(Fault::Order));
        }
        let plain = file.compression() == CompressionMethod::Stored
            && file.compressed_size() == file.size()
            && !file.encrypted()
            && file.is_file()
            && file.comment().is_empty()
            && file.extra_data().is_none_or(|extra| extra.is_empty());
        if !plain {
            return Err(wrong(Fault::NotStored));
        }
        let data = position + LOCAL_SIZE + path_size;
        if file.header_start() != position || file.data_start() != Some(data) {
            return Err(wrong(Fault::HiddenBytes));
        }
        position = data.saturating_add(file.size());
        directory_read += CENTRAL_SIZE + path_size;
        let size = usize::try_from(file.size()).map_err(|_| wrong(Fault::TooLarge))?;
        if size > bytes.len() {
            return Err(wrong(Fault::Damaged));
        }
        let mut content = Vec::with_capacity(size);
        file.read_to_end(&mut content).map_err(|_| wrong(Fault::Damaged))?;
        if content.len() != size {
            return Err(wrong(Fault::Damaged));
        }
        drop(file);
        files.insert(path, content);
    }
    // The crate and we read the same directory, and it begins where the last file ends.
    let read = Directory { start: position, size: directory_read, count: files.len() };
    if read == directory && archive.central_directory_start() == position {
        Ok(files)
    } else {
        Err(broken(Fault::HiddenBytes))
    }
}

/// Where the last record says that the central directory is.
#[derive(Debug, PartialEq, Eq)]
struct Directory {
    start: u64,
    size: u64,
    count: usize,
}

/// Checks the last record before anything is allocated.
fn end_record(bytes: &[u8]) -> Result<Directory, Broken> {
    if bytes.len() > EVIDENCE_SIZE_MAX {
        return Err(broken(Fault::TooLarge));
    }
    let not_an_archive = || broken(Fault::NotAnArchive);
    let (before, end) =
        bytes.split_at_checked(bytes.len().wrapping_sub(END_SIZE)).ok_or_else(not_an_archive)?;
    let end: &[u8; END_SIZE] = end.try_into().map_err(|_| not_an_archive())?;
    let short = |at: usize| u16::from_le_bytes([end[at], end[at + 1]]);
    let long = |at: usize| u32::from_le_bytes([end[at], end[at + 1], end[at + 2], end[at + 3]]);
    let (size, start) = (u64::from(long(12)), u64::from(long(16)));
    let fits = end.starts_with(b"PK\x05\x06")
        && (short(4), short(6), short(20)) == (0, 0, 0)
        && short(8) == short(10)
        && start + size == before.len() as u64;
    if !fits {
        return Err(not_an_archive());
    }
    let count = usize::from(short(10));
    if count > EVIDENCE_FILES_MAX {
        return Err(broken(Fault::TooManyFiles));
    }
    Ok(Directory { start, size, count })
}

#[cfg(test)]
mod tests {
    use super::super::story::check_bytes;
    use super::*;

    #[test]
    fn other_archives_than_ours_are_refused() {
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let made = |names: &[&str], options: SimpleFileOptions| {
            let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
            for name in names {
                writer.start_file(*name, options).expect("a file");
                writer.write_all(&[b'a'; 100]).expect("bytes");
            }
            writer.finish().expect("an archive").into_inner()
        };
        let deflated = stored.compression_method(CompressionMethod::Deflated);
        check_bytes("deflated", &made(&["a"], deflated), "a", Fault::NotStored);
        check_bytes("order", &made(&["b", "a"], stored), "a", Fault::Order);
        check_bytes("folder", &made(&["a/"], stored), "a/", Fault::NotStored);
        check_bytes("bare", &made(&["a"], stored), "manifest.txt", Fault::Missing);
        let long = "a".repeat(2000);
        check_bytes("long path", &made(&[&long], stored), &long, Fault::Path);
        let mut twice = made(&["aa", "ab"], stored);
        for at in 0..twice.len() - 1 {
            if &twice[at..at + 2] == b"ab" {
                twice[at + 1] = b'a';
            }
        }
        check_bytes("twice", &twice, "the archive", Fault::HeadersDiffer);
    }

    #[test]
    fn bytes_between_two_files_are_named() {
        let files = Files::from([("a".into(), b"1".to_vec()), ("b".into(), b"2".to_vec())]);
        let mut bytes = pack(&files).expect("packed");
        assert_eq!(unpack(&bytes), Ok(files));
        // A byte before the second header; every offset behind it is set right.
        let second = 30 + 1 + 1;
        bytes.insert(second, 0);
        let end = bytes.len() - END_SIZE;
        bytes[end + 16] += 1;
        let second_central = end - 47;
        assert!(bytes[second_central..].starts_with(b"PK\x01\x02"));
        bytes[second_central + 42] += 1;
        check_bytes("a gap", &bytes, "b", Fault::HiddenBytes);
    }
}
