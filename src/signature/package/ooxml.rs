//! Signatures of Office Open XML packages (ECMA-376-2 §12): which parts and relationships they
//! cover, and which they leave to whoever comes after.
//!
//! Such a signature lists parts one by one, and a part or relationship that it does not list can
//! change what everybody sees (Rohlmann, Mladenov, Mainka, Schwenk: Every Signature is Broken, 2023).
//! So nothing may be left open but the properties of the document, as Office itself leaves them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::evidence::{Material, Proofs};
use super::super::message::bare;
use super::super::past::Occasion;
use super::super::report::{Coverage, Findings, Format, Signature, SubIndication as Sub};
use super::super::trust::Trust;
use super::super::xml::{self, Covered, Judged, Target};
use super::anomaly::Anomalies;
use super::archive::Archive;
use super::layout::Entry;
use super::manifest::decoded;
use super::names::shown;
use super::parts::{ContentTypes, Relationships, TYPES, is_relationships, relationships_of};
use super::search::mentions;
use super::xades::{Members, within_package, without_signature};
use crate::clock::Time;
use crate::limits::SIGNATURES_MAX;

const ORIGIN: &str =
    "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/origin";
const SIGNATURE: &str =
    "http://schemas.openxmlformats.org/package/2006/relationships/digital-signature/signature";
const SIGNATURE_TYPE: &str =
    "application/vnd.openxmlformats-package.digital-signature-xmlsignature+xml";
/// How the types of relationships to the properties of a document end, in both editions.
const PROPERTIES: [&str; 6] = [
    "/metadata/core-properties",
    "/metadata/thumbnail",
    "/extended-properties",
    "/custom-properties",
    "/extendedProperties",
    "/customProperties",
];

/// How a content control names the properties of its document as what it shows: the stores of
/// core and of extended properties (`w:dataBinding/@w:storeItemID`).
const SHOWN: [&[u8]; 4] = [
    b"6C3C8BC8-F283-45AE-878A-BAB7291924A1",
    b"6c3c8bc8-f283-45ae-878a-bab7291924a1",
    b"6668398D-A668-4E3E-A5EB-62B293D839F1",
    b"6668398d-a668-4e3e-a5eb-62b293d839f1",
];

/// An archive looked at as a package of parts.
pub(super) struct Package<'a> {
    archive: &'a Archive<'a>,
    trust: &'a Trust,
    now: Time,
    types: ContentTypes,
    /// By the entry that holds them.
    relationships: BTreeMap<usize, Relationships>,
    /// Entries that hold signatures, and whether relationships lead there.
    signatures: Vec<(usize, bool)>,
    /// What belongs to the signatures and is not signed itself.
    service: BTreeSet<usize>,
    /// The properties of the document, which need not be signed.
    properties: BTreeSet<usize>,
    anomalies: Anomalies,
}

/// The name of the part that a reference means; its type stands behind it.
fn part_name(uri: &str) -> Option<String> {
    let (path, _) = uri.split_once('?').unwrap_or((uri, ""));
    path.starts_with('/').then(|| decoded(path)).flatten()
}

/// The type that a reference names for its part.
fn part_type(uri: &str) -> Option<String> {
    let (_, query) = uri.split_once('?')?;
    decoded(&format!("./{}", query.strip_prefix("ContentType=")?))
        .map(|text| text.trim_start_matches("./").to_owned())
}

impl<'a> Package<'a> {
    /// `None` if the archive is no such package, or one without signatures.
    pub fn new(archive: &'a Archive<'a>, trust: &'a Trust, now: Time) -> Option<Self> {
        archive.find(TYPES)?;
        let mut package = Self {
            archive,
            trust,
            now,
            types: ContentTypes::default(),
            relationships: BTreeMap::new(),
            signatures: Vec::new(),
            service: BTreeSet::new(),
            properties: BTreeSet::new(),
            anomalies: Anomalies::default(),
        };
        match ContentTypes::read(archive) {
            Ok(types) => package.types = types,
            Err(anomaly) => package.anomalies.push(anomaly),
        }
        let mut seeming = Vec::new();
        for (index, entry) in archive.entries.iter().enumerate() {
            let is_in_usual_place =
                entry.name.starts_with("_xmlsignatures/") && entry.name.ends_with(".xml");
            if is_in_usual_place || package.types.of(&entry.name) == Some(SIGNATURE_TYPE) {
                seeming.push(index);
            }
            if is_relationships(&entry.name) {
                match Relationships::read(archive, index) {
                    Ok(read) => {
                        package.relationships.insert(index, read);
                    }
                    Err(anomaly) => package.anomalies.push(anomaly),
                }
            }
        }
        package.find_signatures(&seeming);
        (!package.signatures.is_empty()).then_some(package)
    }

    /// Follows the relationships to the signatures.
    fn find_signatures(&mut self, seeming: &[usize]) {
        self.service.extend(self.archive.find(TYPES));
        let mut linked = Vec::new();
        let root = self.relationships.values().filter(|one| one.is_root).flat_map(|one| &one.list);
        for relationship in root {
            let Some(target) = relationship.target.as_deref() else { continue };
            let Some(index) = self.archive.find(target) else { continue };
            if relationship.kind == ORIGIN {
                let own = self.archive.find(&relationships_of(target));
                self.service.insert(index);
                self.service.extend(own);
                let own = own.and_then(|own| self.relationships.get(&own));
                let found =
                    own.into_iter().flat_map(|one| &one.list).filter(|one| one.kind == SIGNATURE);
                linked.extend(found.filter_map(|one| self.archive.find(one.target.as_deref()?)));
            } else if PROPERTIES.iter().any(|ending| relationship.kind.ends_with(ending)) {
                self.properties.insert(index);
            }
        }
        let every: BTreeSet<usize> = linked.iter().chain(seeming).copied().collect();
        self.signatures = every.iter().map(|index| (*index, linked.contains(index))).collect();
        self.service.extend(every);
    }

    fn name(&self, index: usize) -> &str {
        self.archive.entries.get(index).map_or("", |entry| entry.name.as_str())
    }

    fn offset(&self, index: usize) -> Option<u64> {
        self.archive.entries.get(index).map(|entry| entry.header)
    }

    pub fn signatures(&self) -> Vec<Signature> {
        let members = Members { archive: self.archive, name: part_name };
        let mut signatures = Vec::new();
        for &(index, is_linked) in self.signatures.iter().take(SIGNATURES_MAX) {
            let Some(entry) = self.archive.entries.get(index) else { continue };
            let judged = self.archive.bytes_of(index);
            let (material, proofs) = (Material::default(), Proofs::default());
            let occasion =
                Occasion { trust: self.trust, now: self.now, material: &material, proofs: &proofs };
            let judged = judged.map(|opened| xml::judge(&opened, &members, occasion).0);
            let judged = judged.unwrap_or_default();
            if judged.is_empty() {
                let findings = self.findings(index, is_linked);
                signatures.push(without_signature(Format::Ooxml, entry, findings));
            }
            for one in judged {
                let findings = self.findings(index, is_linked);
                signatures.push(self.signature(one, entry, &members, findings));
            }
        }
        if self.signatures.len() > SIGNATURES_MAX {
            let mut findings = Findings::default();
            let message = "The package has too many signatures to judge.";
            findings.unjudged("TOO_MANY_SIGNATURES", message);
            let rest = bare(0, Format::Ooxml, findings.conclude(None));
            signatures.push(rest);
        }
        signatures
    }

    /// What is wrong with the package for the signature in this entry.
    fn findings(&self, index: usize, is_linked: bool) -> Findings {
        let mut findings = Findings::default();
        for anomaly in self.archive.anomalies.iter().chain(self.anomalies.iter()) {
            anomaly.tell(&mut findings);
        }
        if let Err(anomaly) = self.archive.check(index) {
            anomaly.tell(&mut findings);
        }
        if !is_linked {
            findings.failed_at(
                Sub::FormatFailure,
                "SIGNATURE_UNREACHABLE",
                "The package holds a signature that its relationships do not lead to.",
                self.offset(index),
            );
        }
        findings
    }

    fn signature(
        &self,
        judged: Judged,
        entry: &Entry,
        members: &Members<'_>,
        mut findings: Findings,
    ) -> Signature {
        if judged.signature.counter_signs.is_some() {
            return within_package(judged, Format::Ooxml, entry, findings);
        }
        let mut quirks = Vec::new();
        let mut named = BTreeSet::new();
        for reference in &judged.references {
            let Some(index) = members.checked(reference, &mut findings) else { continue };
            self.check_type(index, reference, &mut findings);
            if let Some(ids) = &reference.relationships {
                self.check_selected(index, ids, &mut findings);
            }
            named.insert(index);
        }
        let is_about_files =
            judged.references.iter().any(|one| one.target == Target::File && one.holds);
        if !is_about_files {
            let message = "The signature is about no part of the package.";
            findings.failed(Sub::FormatFailure, "NO_PART_SIGNED", message);
        }
        let coverage = self.coverage(&named, &mut findings, &mut quirks);
        let is_whole = judged.references.iter().all(|one| one.holds);
        let coverage = if is_whole { coverage } else { Coverage::Partial };
        let mut signature = within_package(judged, Format::Ooxml, entry, findings);
        signature.coverage = coverage;
        signature.quirks.extend(quirks);
        signature
    }

    /// The type decides how a part is read, so it is signed with the part.
    fn check_type(&self, index: usize, reference: &Covered, findings: &mut Findings) {
        let name = self.name(index);
        let signed = reference.uri.as_deref().and_then(part_type);
        let actual = self.types.of(name);
        match (signed, actual) {
            (Some(signed), Some(actual)) if signed.eq_ignore_ascii_case(actual) => {}
            (Some(signed), _) => findings.failed_at(
                Sub::FormatFailure,
                "CONTENT_TYPE_DIFFERS",
                format!(
                    "The part “{}” was signed as “{}” and has another type now.",
                    shown(name),
                    shown(&signed)
                ),
                self.offset(index),
            ),
            (None, _) => findings.doubt_at(
                Sub::SigConstraintsFailure,
                "CONTENT_TYPE_UNSIGNED",
                format!("The type of the part “{}” is not signed.", shown(name)),
                self.offset(index),
            ),
        }
    }

    /// Every relationship in a part must be signed; what is not is told.
    fn check_selected(&self, index: usize, ids: &[String], findings: &mut Findings) {
        // One that cannot be read was told.
        let Some(part) = self.relationships.get(&index) else { return };
        let open = part.list.iter().find(|one| {
            let is_free = part.is_root
                && (one.kind == ORIGIN || PROPERTIES.iter().any(|end| one.kind.ends_with(end)));
            !is_free && !ids.contains(&one.id)
        });
        let Some(open) = open else { return };
        findings.doubt_at(
            Sub::SigConstraintsFailure,
            "UNSIGNED_RELATIONSHIP",
            format!(
                "The signature does not cover the relationship “{}” in “{}”.",
                shown(&open.id),
                shown(self.name(index))
            ),
            self.offset(index),
        );
    }

    /// Properties that are not signed must not be shown as text of the document.
    fn check_shown(&self, named: &BTreeSet<usize>, findings: &mut Findings) {
        let shows = |index: &&usize| {
            let name = self.name(**index);
            let is_text = name.starts_with("word/") && name.ends_with(".xml");
            let opened = self.archive.bytes_of(**index).filter(|_| is_text);
            opened.is_some_and(|opened| mentions(&opened, &SHOWN).unwrap_or(false))
        };
        if self.properties.is_subset(named) {
            return;
        }
        let Some(&part) = named.iter().find(shows) else { return };
        findings.doubt_at(
            Sub::SigConstraintsFailure,
            "PROPERTIES_SHOWN",
            format!(
                "“{}” shows properties of the document, and these are not signed.",
                shown(self.name(part))
            ),
            self.offset(part),
        );
    }

    /// Every part must be named; what is not is told.
    fn coverage(
        &self,
        named: &BTreeSet<usize>,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Coverage {
        let mut open = Vec::new();
        let mut coverage = Coverage::WholeFile;
        for (index, entry) in self.archive.entries.iter().enumerate() {
            let is_macro = entry.name.ends_with("vbaProject.bin")
                || self.types.of(&entry.name).is_some_and(|kind| kind.ends_with(".vbaProject"));
            if is_macro && named.contains(&index) {
                quirks.push("the document has macros, which are signed".to_owned());
            }
            if named.contains(&index) || self.service.contains(&index) || entry.is_folder() {
                continue;
            }
            coverage = Coverage::Partial;
            if is_macro {
                findings.doubt_at(
                    Sub::SigConstraintsFailure,
                    "UNSIGNED_MACRO",
                    format!(
                        "The document has macros that are not signed: “{}”.",
                        shown(&entry.name)
                    ),
                    Some(entry.header),
                );
            } else if self.properties.contains(&index) {
                quirks.push(format!("the properties in “{}” are not signed", shown(&entry.name)));
            } else {
                open.push(entry);
            }
        }
        self.check_shown(named, findings);
        if let Some(first) = open.first() {
            let more = match open.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            findings.doubt_at(
                Sub::SigConstraintsFailure,
                "UNSIGNED_PART",
                format!("The signature does not cover “{}”{more}.", shown(&first.name)),
                Some(first.header),
            );
        }
        coverage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_a_part_and_its_type() {
        let uri = "/word/document.xml?ContentType=application/vnd.x.main+xml";
        assert_eq!(part_name(uri).as_deref(), Some("word/document.xml"));
        assert_eq!(part_type(uri).as_deref(), Some("application/vnd.x.main+xml"));
        assert_eq!(part_type("/a.xml?ContentType=text%2Fxml").as_deref(), Some("text/xml"));
        assert_eq!((part_name("word/document.xml"), part_type("/a.xml")), (None, None));
    }
}
