//! PDF signatures: an own reader, because what a reader repairs silently is what an attacker uses.
//!
//! The file is never rebuilt and never repaired. Where its structure is broken, a signed file is
//! TOTAL-FAILED, not unsigned.

mod cipher;
mod diff;
mod document;
mod encryption;
mod entries;
mod fields;
mod file;
mod inflate;
mod judgement;
mod linear;
mod object;
pub(crate) mod outline;
mod password;
mod range;
mod rules;
mod store;
mod subfilter;
mod table;
mod updates;
mod views;
mod written;
mod xref;

use std::collections::BTreeSet;
use std::rc::Rc;

use self::document::{Document, Loaded, View};
use self::encryption::{Closed, Encryption};
use self::fields::{SignedField, form};
use self::file::{Fault, File};
use self::judgement::{Judge, Permission};
use self::range::{Lock, SignatureValue};
use self::views::Survey;
use super::content::Beginning;
use super::evidence::Proofs;
use super::message::bare;
use super::report::{Findings, Format, Kind, Report, Signature, SubIndication as Sub};
use super::trust::Trust;
use crate::clock::Time;
use crate::limits::{PDF_SIGNATURES_SIZE_MAX, SIGNATURES_MAX};
use crate::source::Source;

/// `%PDF-` stands within this many bytes (ISO 32000-1 annex H.3.4.1).
pub(super) const HEADER_WITHIN: u64 = 1024;

/// Judges every signature of a PDF.
pub(super) fn judge(source: &dyn Source, trust: &Trust, now: Time) -> Report {
    let file = match File::open(source) {
        Ok(file) => file,
        Err(fault) => return one(fault_findings(fault)),
    };
    let mut document = match Document::open(file) {
        Ok(document) => document,
        Err((file, fault)) => return broken(&file, fault),
    };
    match Encryption::of(&document) {
        Ok(None) => {}
        Ok(Some(encryption)) => document.decrypt_with(encryption),
        Err(closed) => return encrypted(&document.file, closed),
    }
    match judge_document(&document, trust, now) {
        Ok(report) => report,
        Err(fault) => broken(&document.file, fault),
    }
}

fn judge_document(document: &Document<'_>, trust: &Trust, now: Time) -> Result<Report, Fault> {
    let last = document.view(0, document.file.size)?;
    let form = form(document, &last)?;
    if form.signed.is_empty() {
        return without_fields(document, &last);
    }
    let mut report = Report::unsigned(Kind::Pdf);
    if form.signed.len() > SIGNATURES_MAX {
        let mut findings = Findings::default();
        findings.unjudged("TOO_MANY_SIGNATURES", "The document has too many signatures to judge.");
        report.signatures = one(findings).signatures;
    }
    let mut candidates = Vec::new();
    let mut size = 0_usize;
    for field in form.signed.into_iter().take(SIGNATURES_MAX) {
        let candidate = candidate(document, &last, field)?;
        size = size.saturating_add(candidate.value.as_ref().map_or(0, |value| value.cms.len()));
        if size > PDF_SIGNATURES_SIZE_MAX {
            return Err(Fault::OverBudget);
        }
        candidates.push(candidate);
    }
    refuse_shared(&mut candidates);
    // In the order of signing: each later signature covers more of the file.
    candidates.sort_by_key(|c| c.value.as_ref().map_or(u64::MAX, |value| value.end));
    let values = candidates.iter().filter_map(|candidate| candidate.value.as_ref());
    let permissions: Vec<Permission> = values.map(Permission::of).collect();
    let values = candidates.iter().filter_map(|candidate| candidate.value.as_ref());
    let beginning = Beginning::new(values.map(|value| value.gap_start).collect());
    let survey = views::survey(document, &last, &signature_places(&candidates))?;
    let material = store::material(document, &last, trust)?;
    let judge = Judge {
        document,
        last: &last,
        members: &form.members,
        trust,
        now,
        permissions: &permissions,
        differing: &survey.differing,
        material,
        beginning,
    };
    report.signatures.extend(in_turn(&judge, candidates));
    for (index, signature) in report.signatures.iter_mut().enumerate() {
        signature.index = index;
    }
    report.signatures.extend(unreachable(&survey, report.signatures.len()));
    report.quirks.extend(survey.quirks.into_iter().map(str::to_owned));
    Ok(report)
}

fn signature_places(candidates: &[Candidate]) -> BTreeSet<u64> {
    candidates.iter().filter_map(|c| c.loaded.as_ref().map(|loaded| loaded.place.0)).collect()
}

/// What stands for the signatures that the form does not show.
fn unreachable(survey: &Survey, index: usize) -> Option<Signature> {
    let mut findings = Findings::default();
    for offset in &survey.unreachable {
        findings.failed_at(
            Sub::FormatFailure,
            "SIGNATURE_UNREACHABLE",
            "The file contains a signature that its form does not show.",
            Some(*offset),
        );
    }
    (!findings.is_empty()).then(|| bare(index, Format::PdfOther, findings.conclude(None)))
}

/// Time-stamps over the file first, the newest before those it covers: each proves how old the ones
/// inside are. Then the signatures; the result is in the order of `candidates`.
fn in_turn(judge: &Judge<'_>, candidates: Vec<Candidate>) -> Vec<Signature> {
    let mut proofs = Proofs::default();
    let mut judged: Vec<Option<Signature>> = candidates.iter().map(|_| None).collect();
    let mut waiting = Vec::new();
    for (slot, candidate) in judged.iter_mut().zip(candidates).rev() {
        if candidate.format == Format::PdfTimestamp {
            *slot = Some(judge.timestamp(candidate, &mut proofs));
        } else {
            waiting.push((slot, candidate));
        }
    }
    for (slot, candidate) in waiting {
        *slot = Some(judge.signature(candidate, &proofs));
    }
    judged.into_iter().flatten().collect()
}

/// A signature field and what its value says.
struct Candidate {
    name: String,
    format: Format,
    value: Option<SignatureValue>,
    loaded: Option<Rc<Loaded>>,
    findings: Findings,
}

fn candidate(document: &Document<'_>, last: &View, field: SignedField) -> Result<Candidate, Fault> {
    let mut findings = Findings::default();
    let mut format = Format::PdfOther;
    let mut value = None;
    let loaded = match document.resolve(last, &field.value) {
        Ok(loaded) => loaded,
        Err(Fault::Broken(_)) => None,
        Err(fault) => return Err(fault),
    };
    match &loaded {
        Some(loaded) => {
            if let Some(dictionary) = loaded.dictionary() {
                format = range::format(dictionary);
            }
            value = range::read(document, last, loaded, &mut findings)?;
            if let (Some(value), Some(lock)) = (&mut value, &field.lock) {
                value.locks.push(Lock::read(document, last, lock)?);
            }
        }
        None => findings.failed(
            Sub::FormatFailure,
            "SIGNATURE_MISSING",
            "The signature field refers to a signature that is not in the file.",
        ),
    }
    Ok(Candidate { name: field.name, format, value, loaded, findings })
}

/// P8: every signature has bytes of its own.
fn refuse_shared(candidates: &mut [Candidate]) {
    let places: Vec<Option<(u64, u64)>> = candidates
        .iter()
        .map(|candidate| candidate.value.as_ref().map(|value| (value.offset, value.end)))
        .collect();
    for (index, candidate) in candidates.iter_mut().enumerate() {
        let Some((offset, end)) = places.get(index).copied().flatten() else { continue };
        let mut others = places.iter().enumerate().filter(|(other, _)| *other != index);
        let is_shared = others.any(|(_, place)| {
            place.is_some_and(|(other, other_end)| other == offset || other_end == end)
        });
        if is_shared {
            candidate.findings.failed_at(
                Sub::FormatFailure,
                "SIGNATURE_SHARED",
                "Two signature fields use the same signature or the same signed bytes.",
                Some(offset),
            );
        }
    }
}

/// A form without signed fields may still hide a signature.
fn without_fields(document: &Document<'_>, last: &View) -> Result<Report, Fault> {
    let mut report = Report::unsigned(Kind::Pdf);
    if looks_signed(&document.file)?.is_none() {
        return Ok(report);
    }
    let survey = views::survey(document, last, &BTreeSet::new())?;
    report.signatures.extend(unreachable(&survey, 0));
    report.quirks.extend(survey.quirks.into_iter().map(str::to_owned));
    Ok(report)
}

fn looks_signed(file: &File<'_>) -> Result<Option<u64>, Fault> {
    file.find_first(b"/ByteRange", 0)
}

/// The structure cannot be followed: a signed file fails, an unsigned one is only odd.
fn broken(file: &File<'_>, fault: Fault) -> Report {
    match (looks_signed(file), fault) {
        (Err(fault), _) => one(fault_findings(fault)),
        (Ok(Some(_)), fault) => one(fault_findings(fault)),
        (Ok(None), _) => {
            let mut report = Report::unsigned(Kind::Pdf);
            report.quirks.push("the structure of the PDF is broken".to_owned());
            report
        }
    }
}

/// An encrypted file that cannot be read: its signatures are there, and nothing is known about them.
fn encrypted(file: &File<'_>, closed: Closed) -> Report {
    match looks_signed(file) {
        Ok(None) => {
            let mut report = Report::unsigned(Kind::Pdf);
            report.quirks.push("the PDF is encrypted".to_owned());
            report
        }
        Err(fault) => one(fault_findings(fault)),
        Ok(Some(_)) => one(closed_findings(closed)),
    }
}

fn closed_findings(closed: Closed) -> Findings {
    let mut findings = Findings::default();
    match closed {
        Closed::Password => findings.unjudged(
            "PASSWORD_NEEDED",
            "The document opens only with a password, so its signatures cannot be judged.",
        ),
        Closed::Recipients => findings.unjudged(
            "ENCRYPTED_FOR_RECIPIENTS",
            "The document is encrypted for the holders of certain keys, so its signatures cannot be \
             judged.",
        ),
        Closed::NotJudged(name) => findings.unjudged(
            "ENCRYPTION_NOT_JUDGED",
            format!("The document is encrypted with {name}, which this version does not read."),
        ),
        Closed::Unreadable => findings.unjudged(
            "ENCRYPTION_UNREADABLE",
            "How the document is encrypted cannot be read, so its signatures cannot be judged.",
        ),
        Closed::Differs => findings.failed(
            Sub::FormatFailure,
            "ENCRYPTION_DIFFERS",
            "The versions of the document are encrypted differently: programs may show different \
             documents.",
        ),
    }
    findings
}

fn fault_findings(fault: Fault) -> Findings {
    let mut findings = Findings::default();
    add_fault(&mut findings, fault);
    findings
}

fn add_fault(findings: &mut Findings, fault: Fault) {
    match fault {
        Fault::Broken(offset) => findings.failed_at(
            Sub::FormatFailure,
            "STRUCTURE_BROKEN",
            "The structure of the signed PDF is broken.",
            (offset > 0).then_some(offset),
        ),
        Fault::OverBudget => findings.unjudged(
            "OVER_BUDGET",
            "The PDF is larger or more complicated than this version judges.",
        ),
        Fault::Undeciphered(offset) => findings.doubt_at(
            Sub::SigConstraintsFailure,
            "UNDECIPHERED",
            "A part of the encrypted document cannot be decrypted.",
            Some(offset),
        ),
        Fault::Unreadable => findings.doubt(
            Sub::SignedDataNotFound,
            "CONTENT_UNREADABLE",
            "The content could not be read.",
        ),
    }
}

/// A report with one signature about which nothing more is known.
fn one(findings: Findings) -> Report {
    let signature = bare(0, Format::PdfOther, findings.conclude(None));
    Report { kind: Kind::Pdf, signatures: vec![signature], quirks: Vec::new() }
}
