//! Signed ZIP packages: ASiC-S and ASiC-E (ETSI EN 319 162-1) and Office Open XML (ECMA-376-2).
//!
//! The archive is read strictly and never repaired: every byte belongs to one entry, every name
//! stands once, directory and entries agree. What is odd about it is held against each signature in
//! it; a package without signatures is unsigned, whatever its shape. Entries are read through a
//! window; manifests and signatures alone are held in memory.

mod anomaly;
mod archive;
mod asic;
mod cades;
mod directory;
mod fields;
mod inflate;
mod layout;
mod manifest;
mod names;
mod ooxml;
mod parts;
mod records;
mod search;
mod stamped;
mod xades;

use self::anomaly::{Anomaly, Grade};
use self::archive::Archive;
use self::asic::Container;
use self::directory::{END, Fault};
use self::ooxml::Package;
use self::search::mentions;
use super::message::bare;
use super::report::{Findings, Format, Kind, Report, SubIndication as Sub};
use super::trust::Trust;
use crate::clock::Time;
use crate::source::{Source, Unreadable};

/// Whether the first bytes are those of a ZIP with at least one entry.
pub(super) fn begins(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
}

/// Whether a ZIP ends here that did not begin at the first byte.
pub(super) fn ends(source: &dyn Source) -> bool {
    let within = source.size().min(22);
    let mut tail = vec![0; usize::try_from(within).unwrap_or(0)];
    source.read_at(source.size() - within, &mut tail).is_ok() && tail.starts_with(END)
}

/// Judges every signature of a package.
pub(super) fn judge(source: &dyn Source, trust: &Trust, now: Time) -> Report {
    let archive = match Archive::open(source) {
        Ok(archive) => archive,
        Err(Fault::Broken(anomaly)) => return broken(source, &anomaly),
        Err(Fault::Unreadable) => return one(unreadable()),
    };
    let container = Container::new(&archive, trust, now);
    let mut report = Report::unsigned(Kind::Package);
    report.signatures = container.signatures();
    if let Some(package) = Package::new(&archive, trust, now) {
        report.signatures.extend(package.signatures());
    }
    for (index, signature) in report.signatures.iter_mut().enumerate() {
        let moved = index.saturating_sub(signature.index);
        signature.index = index;
        signature.counter_signs = signature.counter_signs.map(|within| within + moved);
    }
    let is_signed = !report.signatures.is_empty();
    for anomaly in archive.anomalies.iter() {
        if !is_signed || anomaly.grade == Grade::Remark {
            report.quirks.push(format!("{}: {}", anomaly.code, anomaly.message));
        }
    }
    report.quirks.extend(container.remarks);
    report
}

/// The archive cannot be read: a signed one fails, an unsigned one is only odd.
fn broken(source: &dyn Source, anomaly: &Anomaly) -> Report {
    match mentions(source, &SIGNED) {
        Err(Unreadable) => one(unreadable()),
        Ok(true) => {
            let mut findings = Findings::default();
            anomaly.tell(&mut findings);
            one(findings)
        }
        Ok(false) => {
            let mut report = Report::unsigned(Kind::Package);
            report.quirks.push(format!("{}: {}", anomaly.code, anomaly.message));
            report
        }
    }
}

/// Names that stand in a signed package in plain bytes.
const SIGNED: [&[u8]; 4] =
    [b"META-INF/signature", b"META-INF/timestamp", b"_xmlsignatures/", b"vnd.etsi.asic"];

fn unreadable() -> Findings {
    let mut findings = Findings::default();
    let message = "The content could not be read.";
    findings.doubt(Sub::SignedDataNotFound, "CONTENT_UNREADABLE", message);
    findings
}

/// A report with one signature about which nothing more is known.
fn one(findings: Findings) -> Report {
    let signature = bare(0, Format::PackageOther, findings.conclude(None));
    Report { kind: Kind::Package, signatures: vec![signature], quirks: Vec::new() }
}
