//! The verification steps of `FORMAT.md` §4, in order. Each takes what the one before proved.

use std::collections::{BTreeMap, BTreeSet};

use super::archive::{self, Files};
use super::bundle::{
    PAGE, certificate_path, checkpoint_path, crl_path, entry_path, erds_path, note_path, part_path,
    proof_path, report_path,
};
use super::course::{denied, misfit, of_a_delivery, redirection_denied};
use super::erds;
use super::manifest::{self, Manifest};
use super::neighbour;
use super::receipt::{ProvenEntry, Receipt};
use super::stamped::{self, CoveringStamp};
use super::statement::{absences, statements};
use super::verify::{Attachment, Binding, Broken, Fault, Findings, PartInfo, SealedEvent};
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::Code;
use crate::limits::NOTE_SIZE_MAX;
use crate::log::{EntryId, Event, LogPublicKey, NoteError, SignedCheckpoint};
use crate::signature::{Indication, judge};

pub(super) fn examine(
    bytes: &[u8],
    keys: &[LogPublicKey],
    parts_of: &dyn Fn(&[u8]) -> Option<Vec<PartInfo>>,
) -> Result<Findings, Broken> {
    let mut files = archive::unpack(bytes)?;
    let manifest = unlist(&mut files)?;
    let mut checks = vec![format!("the archive is whole: all {} files are listed", files.len())];
    take(&mut files, "README.txt")?;

    let ids = entry_ids(&files)?;
    let (key, checkpoints) = open_checkpoints(&mut files, &ids, keys)?;
    let signed = with_notes(&files, &checkpoints);
    for (epoch, checkpoint) in &checkpoints {
        let (gateway, size) = (&key.gateway, checkpoint.size);
        checks.push(format!("{gateway} signed epoch {epoch} of its log with {size} entries"));
    }
    let (entries, receipts) = prove_all(&mut files, ids, &checkpoints)?;
    checks.push(format!("all {} entries stand in that log", entries.len()));
    follow(&manifest, &key, &entries)?;
    checks.push(match &manifest.recipient {
        None => "every promised recipient is there, and no entry contradicts another".to_owned(),
        Some(code) => format!("{code} is one of the recipients, and no entry contradicts another"),
    });

    let Bodies { envelope, report, parts, notes } =
        bodies(&mut files, &entries, parts_of, &mut checks)?;
    let stamps = stamped::take(&mut files, &key, &checkpoints)?;
    for CoveringStamp { epoch, size, .. } in &stamps {
        checks.push(format!("a time-stamp covers the first {size} entries of epoch {epoch}"));
    }
    let sealed = sealed(&mut files, &key.gateway, &entries, &parts, &receipts)?;
    if !sealed.is_empty() {
        checks.push(format!("{} events are sealed as XML that says the same", sealed.len()));
    }
    let words = neighbour::take(&mut files, keys, &entries)?;
    if words.verified > 0 {
        checks.push(format!("{} receipts of other gateways hold and say the same", words.verified));
    }
    let page = files.remove(PAGE);
    let attachments = attachments(&mut files, &entries, &report)?;
    if let Some(path) = files.keys().next() {
        return Err(Broken::new(path, Fault::Foreign));
    }
    let mut absent = absences(&entries, &parts, &notes);
    absent.extend(unstamped(&entries, &stamps));
    let mut findings = Findings {
        consignment: manifest.consignment,
        recipient: manifest.recipient,
        statements: statements(&entries, &parts, &notes),
        absent,
        key,
        checkpoints: signed,
        entries,
        checks,
        attachments,
        stamps,
        sealed,
        envelope,
        parts,
        report,
    };
    // A page that says something else misleads; one of another version may only look different.
    if page.is_some_and(|page| page != super::page::render(&findings).as_bytes()) {
        findings.absent.push("the page is not the one that follows from the entries".to_owned());
    }
    // Which keys the reader has is not what the page tells.
    findings.absent.extend(words.absent);
    Ok(findings)
}

/// Each checkpoint with the note that it stands in.
fn with_notes(
    files: &Files,
    checkpoints: &BTreeMap<u32, SignedCheckpoint>,
) -> Vec<(SignedCheckpoint, Vec<u8>)> {
    let note = |epoch| files.get(&checkpoint_path(epoch)).cloned().unwrap_or_default();
    checkpoints.iter().map(|(epoch, one)| (one.clone(), note(*epoch))).collect()
}

/// What the entries commit to.
struct Bodies {
    envelope: Vec<u8>,
    report: Vec<u8>,
    parts: Vec<(PartInfo, bool)>,
    notes: BTreeMap<EntryId, String>,
}

/// Steps 7 to 9.
fn bodies(
    files: &mut Files,
    entries: &[ProvenEntry],
    parts_of: &dyn Fn(&[u8]) -> Option<Vec<PartInfo>>,
    checks: &mut Vec<String>,
) -> Result<Bodies, Broken> {
    let accepted = entries.first().ok_or(Broken::new("entries", Fault::Missing))?;
    let envelope = take(files, "envelope.bin")?;
    if Some(Sha256::of(&envelope)) != accepted.envelope {
        return Err(Broken::new("envelope.bin", Fault::NotCommitted));
    }
    checks.push("the envelope is the one that was accepted".to_owned());
    let report = report(files, accepted)?;
    checks.push("the verdict report is the one that was accepted".to_owned());
    let parts = parts(files, &envelope, parts_of)?;
    let enclosed = parts.iter().filter(|(_, enclosed)| *enclosed).count();
    checks.push(format!("{enclosed} of {} parts are enclosed and unchanged", parts.len()));
    let notes = notes(files, entries)?;
    Ok(Bodies { envelope, report, parts, notes })
}

/// Step 12: each XML says what its entry says, and its seal holds.
fn sealed(
    files: &mut Files,
    issuer: &str,
    entries: &[ProvenEntry],
    parts: &[(PartInfo, bool)],
    receipts: &BTreeMap<EntryId, Receipt>,
) -> Result<Vec<SealedEvent>, Broken> {
    let mut sealed = Vec::new();
    for entry in entries {
        let path = erds_path(entry.id());
        let (Some(xml), Some(receipt)) = (files.remove(&path), receipts.get(&entry.id())) else {
            continue;
        };
        let told = erds::told(issuer, entries, parts, entry);
        let expected = erds::render(&told, receipt.to_file().as_bytes());
        let found = std::str::from_utf8(&xml).ok().and_then(erds::unsealed);
        if found.is_none() || found != expected {
            return Err(Broken::new(&path, Fault::NotCommitted));
        }
        let report = judge(&xml, &stamped::nobody(), Time::from_millis(i64::MAX));
        let [signature] = &report.signatures[..] else {
            return Err(Broken::new(&path, Fault::Seal));
        };
        if signature.verdict.indication() == Indication::TotalFailed {
            return Err(Broken::new(&path, Fault::Seal));
        }
        sealed.push(SealedEvent { entry: entry.id(), xml });
    }
    Ok(sealed)
}

/// Entries that no time-stamp in the file covers.
fn unstamped(entries: &[ProvenEntry], stamps: &[CoveringStamp]) -> Option<String> {
    let covered =
        |id: EntryId| stamps.iter().any(|one| one.epoch == id.epoch && id.index < one.size);
    let bare: Vec<String> = entries
        .iter()
        .map(ProvenEntry::id)
        .filter(|id| !covered(*id))
        .map(|id| id.to_string())
        .collect();
    (!bare.is_empty()).then(|| format!("no time-stamp in the file covers {}", bare.join(", ")))
}

fn take(files: &mut Files, path: &str) -> Result<Vec<u8>, Broken> {
    files.remove(path).ok_or(Broken::new(path, Fault::Missing))
}

/// Step 2: everything listed is there, unchanged, and nothing else.
fn unlist(files: &mut Files) -> Result<Manifest, Broken> {
    let bytes = take(files, manifest::PATH)?;
    let manifest = Manifest::parse(&bytes).ok_or(Broken::new(manifest::PATH, Fault::Malformed))?;
    for (path, digest) in &manifest.files {
        let bytes = files.get(path).ok_or(Broken::new(path, Fault::Missing))?;
        if Sha256::of(bytes) != *digest {
            return Err(Broken::new(path, Fault::Altered));
        }
    }
    let listed: BTreeSet<&String> = manifest.files.iter().map(|(path, _)| path).collect();
    match files.keys().find(|path| !listed.contains(path)) {
        Some(path) => Err(Broken::new(path, Fault::Unlisted)),
        None => Ok(manifest),
    }
}

/// Step 3: the entries that the file holds, in the order of the log.
fn entry_ids(files: &Files) -> Result<Vec<EntryId>, Broken> {
    let mut ids = Vec::new();
    for path in files.keys().filter(|path| path.starts_with("entries/")) {
        let stem = path.strip_prefix("entries/").and_then(|path| path.strip_suffix(".entry"));
        let id = stem.and_then(|stem| EntryId::parse(&stem.replacen('-', "/", 1)));
        ids.push(id.filter(|id| entry_path(*id) == *path).ok_or(Broken::new(path, Fault::Path))?);
    }
    ids.sort_unstable();
    Ok(ids)
}

/// Step 4: one checkpoint for each epoch, all signed by one log with a key that the caller trusts.
fn open_checkpoints(
    files: &mut Files,
    ids: &[EntryId],
    keys: &[LogPublicKey],
) -> Result<(LogPublicKey, BTreeMap<u32, SignedCheckpoint>), Broken> {
    let mut opened: Option<LogPublicKey> = None;
    let mut checkpoints = BTreeMap::new();
    for epoch in ids.iter().map(|id| id.epoch) {
        if checkpoints.contains_key(&epoch) {
            continue;
        }
        let path = checkpoint_path(epoch);
        let note = files.get(&path).ok_or(Broken::new(&path, Fault::Missing))?;
        let candidates = opened.as_ref().map_or(keys, std::slice::from_ref);
        let (key, checkpoint) =
            open(note, candidates).map_err(|fault| Broken::new(&path, fault))?;
        if checkpoint.origin.epoch != epoch {
            return Err(Broken::new(&path, Fault::OtherCheckpoint));
        }
        opened = Some(key);
        checkpoints.insert(epoch, checkpoint);
    }
    let key = opened.ok_or(Broken::new("entries", Fault::Missing))?;
    let vkey = take(files, "log.vkey")?;
    if vkey != format!("{key}\n").as_bytes() {
        return Err(Broken::new("log.vkey", Fault::OtherKey));
    }
    Ok((key, checkpoints))
}

fn open(note: &[u8], keys: &[LogPublicKey]) -> Result<(LogPublicKey, SignedCheckpoint), Fault> {
    let mut fault = Fault::UnknownLog;
    for key in keys {
        match key.open(note) {
            Ok(checkpoint) => return Ok((key.clone(), checkpoint)),
            Err(NoteError::OtherLog) => {}
            Err(error) => fault = Fault::Checkpoint(error),
        }
    }
    Err(fault)
}

/// Step 5, for all entries.
fn prove_all(
    files: &mut Files,
    ids: Vec<EntryId>,
    checkpoints: &BTreeMap<u32, SignedCheckpoint>,
) -> Result<(Vec<ProvenEntry>, BTreeMap<EntryId, Receipt>), Broken> {
    let mut entries = Vec::with_capacity(ids.len());
    let mut receipts = BTreeMap::new();
    for id in ids {
        let (entry, receipt) = prove(files, id, checkpoints)?;
        entries.push(entry);
        receipts.insert(id, receipt);
    }
    Ok((entries, receipts))
}

/// Step 5: the entry stands in the log.
fn prove(
    files: &mut Files,
    id: EntryId,
    checkpoints: &BTreeMap<u32, SignedCheckpoint>,
) -> Result<(ProvenEntry, Receipt), Broken> {
    let (entry, proof) = (entry_path(id), proof_path(id));
    let leaf = take(files, &entry)?;
    let file = take(files, &proof)?;
    let receipt = Receipt::read_proof(&file, &leaf)
        .map_err(|error| Broken::new(&proof, Fault::Receipt(error)))?;
    let note = checkpoint_path(id.epoch);
    if receipt.id != id || files.get(&note) != Some(&receipt.checkpoint) {
        return Err(Broken::new(&proof, Fault::OtherCheckpoint));
    }
    let checkpoint = checkpoints.get(&id.epoch).ok_or(Broken::new(&note, Fault::Missing))?;
    let proven = receipt.verify_against(checkpoint);
    let proven = proven.map_err(|error| Broken::new(&entry, Fault::Receipt(error)))?;
    Ok((proven, receipt))
}

/// Step 6: the entries tell one story, and the story is complete as far as the log promises it.
fn follow(manifest: &Manifest, key: &LogPublicKey, entries: &[ProvenEntry]) -> Result<(), Broken> {
    let broken = |entry: &ProvenEntry, fault| Err(Broken::new(&entry_path(entry.id()), fault));
    let Some((accepted, later)) = entries.split_first() else {
        return Err(Broken::new("entries", Fault::Missing));
    };
    if accepted.event != Event::SubmissionAcceptance {
        return broken(accepted, Fault::Contradiction("the first one is not the acceptance"));
    }
    for entry in entries {
        if entry.consignment != Some(manifest.consignment) {
            return broken(entry, Fault::OtherConsignment);
        }
        if entry.from != accepted.from || entry.envelope != accepted.envelope {
            return broken(entry, Fault::Contradiction("it has another sender or envelope"));
        }
        if let Some(what) = misfit(entry, key) {
            return broken(entry, Fault::Contradiction(what));
        }
    }
    let mut told: BTreeMap<&Code, Vec<&ProvenEntry>> = BTreeMap::new();
    for entry in later {
        let keeping = matches!(entry.event, Event::Erasure | Event::Hold | Event::Release);
        let Some(to) = &entry.to else {
            match keeping {
                true => continue,
                false => return broken(entry, Fault::Contradiction("it names no recipient")),
            }
        };
        if manifest.recipient.as_ref().is_some_and(|only| only != to) {
            return broken(entry, Fault::OtherRecipient);
        }
        if entry.event == Event::Redirection {
            if let Some(what) = redirection_denied(entry, manifest, &told) {
                return broken(entry, Fault::Contradiction(what));
            }
            told.entry(to).or_default().push(entry);
            if let Some(before) = entry.addressed.as_ref().and_then(|closed| told.get_mut(closed)) {
                before.push(entry);
            }
            continue;
        }
        if !of_a_delivery(entry.event) {
            return broken(entry, Fault::Foreign);
        }
        let before = told.entry(to).or_default();
        if let Some(what) = denied(entry, before) {
            return broken(entry, Fault::Contradiction(what));
        }
        before.push(entry);
    }
    let redirected =
        |told: &[&ProvenEntry]| told.first().is_some_and(|first| first.event == Event::Redirection);
    let only = manifest.recipient.as_ref().and_then(|only| told.get(only));
    if only.is_some_and(|told| redirected(told)) {
        return Ok(());
    }
    told.retain(|_, told| !redirected(told));
    let consigned = told.iter().filter_map(|(to, told)| Some((*to, told.first()?.id()))).collect();
    recipients(manifest, accepted, &consigned)
}

/// The recipients are exactly those that the acceptance promises, where it promises them.
fn recipients(
    manifest: &Manifest,
    accepted: &ProvenEntry,
    consigned: &BTreeMap<&Code, EntryId>,
) -> Result<(), Broken> {
    let broken = |id, fault| Err(Broken::new(&entry_path(id), fault));
    let first = EntryId { epoch: accepted.id().epoch, index: accepted.id().index + 1 };
    let Some(promised) = accepted.recipients else {
        return broken(accepted.id(), Fault::Malformed);
    };
    let last = first.index.saturating_add(u64::from(promised.count));
    for id in consigned.values() {
        if id.epoch != first.epoch || id.index >= last || id.index < first.index {
            let fault = Fault::Contradiction("it does not follow its acceptance");
            return broken(*id, fault);
        }
    }
    if let Some(only) = &manifest.recipient {
        return match consigned.contains_key(only) {
            true => Ok(()),
            false => Err(Broken::new(&format!("the consignment to {only}"), Fault::Missing)),
        };
    }
    let present: BTreeSet<u64> = consigned.values().map(|id| id.index).collect();
    if let Some(index) = (first.index..last).find(|index| !present.contains(index)) {
        return broken(EntryId { index, ..first }, Fault::Missing);
    }
    let codes: String = consigned.keys().map(|code| format!("{code}\n")).collect();
    if Sha256::of(codes.as_bytes()) != promised.digest {
        let fault = Fault::Contradiction("other recipients follow than it promises");
        return broken(accepted.id(), fault);
    }
    Ok(())
}

/// Step 7: the verdict report.
fn report(files: &mut Files, accepted: &ProvenEntry) -> Result<Vec<u8>, Broken> {
    let Some(verdict) = &accepted.verdict else {
        return Err(Broken::new(&entry_path(accepted.id()), Fault::Malformed));
    };
    let path = format!("reports/{}.json", verdict.report);
    let bytes = take(files, &path)?;
    match report_path(&bytes) == path {
        true => Ok(bytes),
        false => Err(Broken::new(&path, Fault::NotCommitted)),
    }
}

/// Step 8: the bodies that are enclosed, against the list in the proven envelope.
fn parts(
    files: &mut Files,
    envelope: &[u8],
    parts_of: &dyn Fn(&[u8]) -> Option<Vec<PartInfo>>,
) -> Result<Vec<(PartInfo, bool)>, Broken> {
    let list = parts_of(envelope).ok_or(Broken::new("envelope.bin", Fault::Unreadable))?;
    let mut parts = Vec::with_capacity(list.len());
    for (index, part) in list.into_iter().enumerate() {
        let path = part_path(index, &part.name);
        let body = files.remove(&path);
        if let Some(body) = &body
            && (body.len() as u64 != part.size || Sha256::of(body) != part.digest)
        {
            return Err(Broken::new(&path, Fault::NotCommitted));
        }
        parts.push((part, body.is_some()));
    }
    Ok(parts)
}

/// Step 9: the texts behind notes, by entry.
fn notes(files: &mut Files, entries: &[ProvenEntry]) -> Result<BTreeMap<EntryId, String>, Broken> {
    let mut notes = BTreeMap::new();
    for entry in entries {
        let path = note_path(entry.id());
        let (Some(digest), Some(bytes)) = (entry.note, files.get(&path)) else { continue };
        if Sha256::of(bytes) != digest {
            return Err(Broken::new(&path, Fault::NotCommitted));
        }
        let text = salted(bytes).ok_or(Broken::new(&path, Fault::Malformed))?;
        notes.insert(entry.id(), text);
        files.remove(&path);
    }
    Ok(notes)
}

/// The text after its salt (`log/FORMAT.md` §3).
fn salted(bytes: &[u8]) -> Option<String> {
    let (salt, text) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    let hexadecimal = salt.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let fits = salt.len() == 32 && hexadecimal && text.len() <= NOTE_SIZE_MAX;
    fits.then(|| text.to_owned())
}

/// Step 10: certificates and revocation lists bear the digest of their bytes as a name.
fn attachments(
    files: &mut Files,
    entries: &[ProvenEntry],
    report: &[u8],
) -> Result<Vec<Attachment>, Broken> {
    let actors: BTreeSet<Sha256> = entries.iter().map(|entry| entry.actor.certificate).collect();
    let report = String::from_utf8_lossy(report);
    let attached = |path: &String| path.starts_with("certificates/") || path.starts_with("crls/");
    let paths: Vec<String> = files.keys().filter(|path| attached(path)).cloned().collect();
    let mut attachments = Vec::new();
    for path in paths {
        let bytes = take(files, &path)?;
        if path != certificate_path(&bytes) && path != crl_path(&bytes) {
            return Err(Broken::new(&path, Fault::Path));
        }
        let digest = Sha256::of(&bytes);
        let binding = match () {
            () if path.starts_with("certificates/") && actors.contains(&digest) => Binding::Actor,
            () if report.contains(&digest.to_hex()) => Binding::Report,
            () => Binding::Nothing,
        };
        attachments.push(Attachment { path, digest, binding });
    }
    let epochs: BTreeSet<u32> = entries.iter().map(|entry| entry.id().epoch).collect();
    for epoch in epochs {
        files.remove(&checkpoint_path(epoch));
    }
    Ok(attachments)
}
