//! A forger with full access to a copy of the data: one byte of one entry is changed in the
//! database itself, whose own checks therefore hold. Only the audit can notice.

use std::path::Path;

use super::super::audit::audit_folder;
use super::say;
use crate::cli::Failure;
use crate::log::LogPublicKey;
use crate::store::sled::SledMedium;
use crate::store::{Medium as _, Write};

/// Cache while forging, in bytes.
const CACHE: u64 = 16 * 1024 * 1024;

/// Audits the data, forges a copy, audits again.
pub(super) fn show(data: &Path, key: &LogPublicKey) -> Result<(), Failure> {
    let clean = audit_folder(data, key.clone())?;
    say(&format!("audit of the log: {} entries, {} findings", clean.entries, clean.findings.len()));
    if let Some(finding) = clean.findings.first() {
        return Err(Failure::other(format!("the log does not hold: {}", finding.message)));
    }
    let copy = data.with_extension("forged");
    copy_folder(data, &copy).map_err(|error| Failure::file(&copy, error))?;
    let changed = forge(&copy)?;
    say(&format!("in a copy, one byte of an entry is changed: {changed}"));
    let forged = audit_folder(&copy, key.clone())?;
    let Some(finding) = forged.findings.first() else {
        return Err(Failure::other("the audit did not notice the forgery"));
    };
    let at = finding.entry.map(|id| format!("entry {id}: ")).unwrap_or_default();
    say(&format!("audit of the copy: {at}{}: {}", finding.rule.code(), finding.message));
    Ok(())
}

/// Changes the recipient in the first entry that has one.
fn forge(data: &Path) -> Result<String, Failure> {
    let medium = SledMedium::new(data, CACHE).map_err(Failure::other)?;
    let name = medium.current().map_err(Failure::other)?;
    let name = name.ok_or_else(|| Failure::other("the copy has no log"))?;
    let log = medium.open(&name).map_err(Failure::other)?;
    // Leaves stand under the tag `l`.
    for (key, mut leaf) in log.scan(b"l", b"m", 64).map_err(Failure::other)? {
        let Some(at) = leaf.windows(8).position(|window| window == b"\nto H49.") else { continue };
        let digit = at + 8;
        leaf[digit] = if leaf[digit] == b'1' { b'2' } else { b'1' };
        let line = String::from_utf8_lossy(&leaf[at + 1..digit + 1]).into_owned();
        log.apply(vec![Write::put(key, leaf)]).map_err(Failure::other)?;
        return Ok(format!("“{line}…”"));
    }
    Err(Failure::other("the log has no entry to forge"))
}

pub(super) fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
