//! XML signatures about the entries of a package.

use std::collections::BTreeSet;

use super::super::evidence::Material;
use super::super::message::bare;
use super::super::past::Occasion;
use super::super::report::{
    Coverage, Findings, Format, Indication, Reason, Signature, SubIndication as Sub, Verdict,
};
use super::super::xml::{self, Covered, Files, Judged, Target};
use super::archive::Archive;
use super::asic::Container;
use super::layout::Entry;
use super::manifest::decoded;
use super::names::shown;
use super::stamped::{PLACE, Tokens};
use crate::source::Source;

/// The entries of a package, by the URIs of its format.
pub(super) struct Members<'a> {
    pub archive: &'a Archive<'a>,
    /// The name of the entry behind a URI.
    pub name: fn(&str) -> Option<String>,
}

impl Members<'_> {
    /// The entry behind a reference.
    pub fn find(&self, uri: Option<&str>) -> Option<usize> {
        let uri = uri.filter(|uri| !uri.is_empty() && !uri.starts_with('#'))?;
        self.archive.find_by_uri(uri, (self.name)(uri).as_deref())
    }

    /// The entry behind a reference, which must be whole.
    pub fn checked(&self, one: &Covered, findings: &mut Findings) -> Option<usize> {
        let index = self.find(one.uri.as_deref()).filter(|_| one.target == Target::File)?;
        if let Err(anomaly) = self.archive.check(index) {
            anomaly.tell(findings);
        }
        Some(index)
    }
}

impl Files for Members<'_> {
    fn open<'a>(&'a self, uri: Option<&str>) -> Option<Box<dyn Source + 'a>> {
        let opened = self.archive.bytes_of(self.find(uri)?)?;
        Some(Box::new(opened))
    }
}

/// The signature that was judged, with what the package around it says.
pub(super) fn within_package(
    judged: Judged,
    format: Format,
    entry: &Entry,
    mut findings: Findings,
) -> Signature {
    let mut signature = judged.signature;
    signature.format = format;
    signature.field = Some(entry.name.clone());
    signature.signed = judged.references.iter().map(Covered::describe).collect();
    signature.verdict = moved(&signature.verdict, entry.header);
    if !findings.is_empty() {
        findings.append(Findings::from(&signature.verdict));
        signature.verdict = findings.conclude(None);
    }
    signature
}

/// The same verdict with places in the package: where the entry begins. Its bytes may be packed.
fn moved(verdict: &Verdict, header: u64) -> Verdict {
    let told = |reason: &Reason| Reason { offset: reason.offset.map(|_| header), ..reason.clone() };
    let reasons = verdict.reasons().iter().map(told).collect();
    match (verdict.indication(), verdict.sub_indication()) {
        (Indication::TotalPassed, _) => verdict.clone(),
        (Indication::TotalFailed, Some(sub)) => Verdict::failed(sub, reasons),
        (_, sub) => Verdict::indeterminate(sub, reasons),
    }
}

/// What stands for an entry that should hold a signature and does not.
pub(super) fn without_signature(
    format: Format,
    entry: &Entry,
    mut findings: Findings,
) -> Signature {
    let message = format!("“{}” should hold a signature, and it holds none.", shown(&entry.name));
    let place = Some(entry.header);
    findings.failed_at(Sub::FormatFailure, "SIGNATURE_MISSING", message, place);
    let mut signature = bare(0, format, findings.conclude(None));
    signature.field = Some(entry.name.clone());
    signature
}

impl Container<'_> {
    /// The XAdES signatures in one entry.
    pub(super) fn xades(&self, index: usize, tokens: &Tokens) -> Vec<Signature> {
        let Some(entry) = self.archive.entries.get(index) else { return Vec::new() };
        let members = Members { archive: self.archive, name: decoded };
        // A token or record over the entry covers all that is in it.
        let (material, proofs) = (Material::default(), tokens.proofs(index).within(PLACE.end));
        let occasion =
            Occasion { trust: self.trust, now: self.now, material: &material, proofs: &proofs };
        let judged = self.archive.bytes_of(index);
        let judged = judged.map(|opened| xml::judge(&opened, &members, occasion).0);
        let judged = judged.unwrap_or_default();
        let around = || {
            let mut findings = self.findings();
            if let Err(anomaly) = self.archive.check(index) {
                anomaly.tell(&mut findings);
            }
            findings
        };
        if judged.is_empty() {
            return vec![without_signature(Format::AsicXades, entry, around())];
        }
        let signatures = judged.into_iter().map(|one| {
            let mut findings = around();
            if one.signature.counter_signs.is_some() {
                return within_package(one, Format::AsicXades, entry, findings);
            }
            let references = one.references.iter();
            let named: BTreeSet<usize> =
                references.filter_map(|one| members.checked(one, &mut findings)).collect();
            if named.is_empty() {
                let message = "The signature is about no file of the container.";
                findings.doubt(Sub::SignedDataNotFound, "NO_FILE_SIGNED", message);
            }
            let is_whole = one.references.iter().all(|one| one.holds);
            let coverage = self.coverage(&named, &mut findings);
            let coverage = if is_whole { coverage } else { Coverage::Partial };
            let mut signature = within_package(one, Format::AsicXades, entry, findings);
            signature.coverage = coverage;
            signature
        });
        signatures.collect()
    }
}
