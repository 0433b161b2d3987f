//! An ASiC container (EN 319 162-1): which entry is what, and what each signature leaves open.

use std::collections::BTreeSet;

use super::super::algorithm::Hash;
use super::super::message::bare;
use super::super::report::{Coverage, Findings, Format, Signature, SubIndication as Sub};
use super::super::trust::Trust;
use super::anomaly::{Anomalies, Anomaly};
use super::archive::Archive;
use super::layout::{Entry, Method};
use super::manifest::{self, Manifest};
use super::names::shown;
use crate::clock::Time;
use crate::limits::{PACKAGE_ANOMALIES_MAX, SIGNATURES_MAX};

const FOLDER: &str = "META-INF/";
const MIMETYPE: &str = "mimetype";
const SIMPLE: &str = "application/vnd.etsi.asic-s+zip";
const EXTENDED: &str = "application/vnd.etsi.asic-e+zip";
/// Longer ones are no media type (RFC 6838 §4.2).
const MIMETYPE_SIZE_MAX: usize = 256;

/// What an entry is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Mimetype,
    Folder,
    /// CAdES signature.
    Cades,
    /// XAdES signatures.
    Xades,
    /// Time-stamp token.
    Token,
    /// What a signature or token is over.
    Manifest,
    /// Evidence record.
    EvidenceRecord,
    /// Table of contents that no signature needs to cover.
    Index,
    /// A file that somebody reads.
    Data,
}

/// What has a verdict of its own.
static SIGNED: [Role; 4] = [Role::Cades, Role::Xades, Role::Token, Role::EvidenceRecord];

/// The names that EN 319 162-1 §4.3.3 and §4.4.3 give.
fn role(entry: &Entry) -> Role {
    if entry.is_folder() {
        return Role::Folder;
    }
    if entry.name == MIMETYPE {
        return Role::Mimetype;
    }
    let Some(name) = entry.name.strip_prefix(FOLDER) else { return Role::Data };
    let is = |part: &str, ending: &str| name.contains(part) && name.ends_with(ending);
    if is("signature", ".p7s") {
        Role::Cades
    } else if is("signatures", ".xml") {
        Role::Xades
    } else if is("timestamp", ".tst") {
        Role::Token
    } else if is("evidencerecord", "") {
        Role::EvidenceRecord
    } else if name.starts_with("ASiC") && name.contains("Manifest") && name.ends_with(".xml") {
        Role::Manifest
    } else if matches!(name, "manifest.xml" | "container.xml") {
        Role::Index
    } else {
        Role::Data
    }
}

/// A manifest and the entry in which it stands.
pub(super) struct Placed {
    pub entry: usize,
    pub manifest: Manifest,
}

/// The entries that a manifest names, and those of them that are as it says.
#[derive(Debug, Default)]
pub(super) struct Referenced {
    pub named: BTreeSet<usize>,
    pub holding: BTreeSet<usize>,
    /// What they are hashed with, each once.
    pub hashes: Vec<Hash>,
}

/// An archive looked at as a container.
pub(super) struct Container<'a> {
    pub archive: &'a Archive<'a>,
    pub trust: &'a Trust,
    pub now: Time,
    pub roles: Vec<Role>,
    pub manifests: Vec<Placed>,
    mimetype: Option<String>,
    has_unread_manifest: bool,
    /// Oddities that do not change any verdict.
    pub remarks: Vec<String>,
    /// What is wrong with the container for all signatures in it.
    anomalies: Anomalies,
}

impl<'a> Container<'a> {
    pub fn new(archive: &'a Archive<'a>, trust: &'a Trust, now: Time) -> Self {
        let roles = archive.entries.iter().map(role).collect();
        let mut container = Self {
            archive,
            trust,
            now,
            roles,
            manifests: Vec::new(),
            mimetype: None,
            has_unread_manifest: false,
            remarks: Vec::new(),
            anomalies: Anomalies::default(),
        };
        if container.is_signed() {
            container.read_mimetype();
            container.read_manifests();
        }
        container
    }

    /// The entries with one of these roles.
    pub fn with(&self, wanted: &'static [Role]) -> impl Iterator<Item = usize> {
        let roles = self.roles.iter().enumerate();
        roles.filter(|(_, role)| wanted.contains(role)).map(|(index, _)| index)
    }

    pub fn name(&self, index: usize) -> String {
        self.archive.entries.get(index).map_or(String::new(), |entry| entry.name.clone())
    }

    fn is_signed(&self) -> bool {
        self.with(&SIGNED).next().is_some()
    }

    /// Every signature and time-stamp of the container.
    pub fn signatures(&self) -> Vec<Signature> {
        let tokens = self.tokens();
        let mut signatures = Vec::new();
        for index in self.with(&SIGNED) {
            let role = self.roles.get(index);
            if signatures.len() >= SIGNATURES_MAX {
                let mut findings = Findings::default();
                let message = "The package has too many signatures to judge.";
                findings.unjudged("TOO_MANY_SIGNATURES", message);
                signatures.push(bare(0, Format::PackageOther, findings.conclude(None)));
                break;
            }
            match role {
                Some(Role::Cades) => signatures.extend(self.cades(index, &tokens)),
                Some(Role::Xades) => signatures.extend(self.xades(index, &tokens)),
                _ => signatures.extend(tokens.report(index)),
            }
        }
        signatures
    }

    /// A signature of which nothing but findings is known.
    pub fn told(&self, index: usize, format: Format, findings: Findings) -> Signature {
        let mut signature = bare(0, format, findings.conclude(None));
        signature.field = Some(self.name(index));
        signature
    }

    /// What is wrong with the archive and the container, for each signature anew.
    pub fn findings(&self) -> Findings {
        let mut findings = Findings::default();
        for anomaly in self.archive.anomalies.iter().chain(self.anomalies.iter()) {
            anomaly.tell(&mut findings);
        }
        findings
    }

    /// The manifest over which the signature or token in this entry is.
    pub fn manifest_of(&self, index: usize) -> Option<&Placed> {
        let name = &self.archive.entries.get(index)?.name;
        self.manifests.iter().find(|placed| placed.manifest.signature == *name)
    }

    /// What a signature without a manifest is over: the only data object.
    pub fn only_object(&self, findings: &mut Findings) -> Option<usize> {
        let mut objects = self.with(&[Role::Data]);
        match (objects.next(), objects.next()) {
            // That one may say what is signed.
            _ if self.has_unread_manifest => None,
            (Some(object), None) => {
                if self.mimetype.as_deref() == Some(EXTENDED) {
                    findings.doubt(
                        Sub::SigConstraintsFailure,
                        "MANIFEST_MISSING",
                        "A container of this type must have a manifest, and it has none for this \
                         signature.",
                    );
                }
                Some(object)
            }
            (None, _) => {
                findings.doubt(
                    Sub::SignedDataNotFound,
                    "DATA_OBJECT_MISSING",
                    "The file that was signed is not in the container.",
                );
                None
            }
            (Some(_), Some(second)) => {
                findings.failed_at(
                    Sub::FormatFailure,
                    "DATA_OBJECTS",
                    "The container has several files and no manifest that says which of them were \
                     signed.",
                    self.archive.entries.get(second).map(|entry| entry.header),
                );
                None
            }
        }
    }

    /// Holds the entries that a manifest names against it.
    pub fn referenced(&self, manifest: &Manifest, findings: &mut Findings) -> Referenced {
        let mut referenced = Referenced::default();
        if manifest.references.is_empty() {
            let message = "The manifest of the signature names no file.";
            findings.failed(Sub::FormatFailure, "MANIFEST_EMPTY", message);
        }
        if manifest.has_critical_extension {
            let message = "The manifest has an extension that this version does not know.";
            findings.doubt(Sub::SigConstraintsFailure, "MANIFEST_EXTENSION", message);
        }
        let (mut missing, mut wrong) = (0, 0);
        for reference in &manifest.references {
            let name = reference.name.as_deref();
            let Some(index) = self.archive.find_by_uri(&reference.uri, name) else {
                missing += 1;
                if missing <= PACKAGE_ANOMALIES_MAX {
                    let name = shown(name.unwrap_or(&reference.uri));
                    let message = format!("The signed file “{name}” is not in the package.");
                    findings.doubt(Sub::SignedDataNotFound, "SIGNED_ENTRY_MISSING", message);
                }
                continue;
            };
            let mut told = Findings::default();
            referenced.named.insert(index);
            if !referenced.hashes.contains(&reference.hash) {
                referenced.hashes.push(reference.hash.clone());
            }
            if self.holds(index, &reference.hash, &reference.digest, &mut told) {
                referenced.holding.insert(index);
            } else {
                wrong += 1;
            }
            if wrong <= PACKAGE_ANOMALIES_MAX {
                findings.append(told);
            }
        }
        referenced
    }

    /// Whether an entry has the digest that was signed.
    pub fn holds(&self, index: usize, hash: &Hash, digest: &[u8], findings: &mut Findings) -> bool {
        let name = shown(&self.name(index));
        match self.archive.digest(index, hash) {
            Ok(Some(actual)) if actual == digest => return true,
            Ok(Some(_)) => findings.failed_at(
                Sub::HashFailure,
                "ENTRY_DIGEST_DIFFERS",
                format!("The file “{name}” was changed after signing."),
                self.archive.entries.get(index).map(|entry| entry.header),
            ),
            Ok(None) => findings.doubt(
                Sub::CryptoConstraintsFailure,
                "DIGEST_NOT_JUDGED",
                format!(
                    "The file “{name}” is hashed with {}, which this version does not judge.",
                    hash.name()
                ),
            ),
            Err(anomaly) => anomaly.tell(findings),
        }
        false
    }

    /// Every data object must be named; what is not is told.
    pub fn coverage(&self, named: &BTreeSet<usize>, findings: &mut Findings) -> Coverage {
        let open: Vec<usize> =
            self.with(&[Role::Data]).filter(|index| !named.contains(index)).collect();
        let Some(first) = open.first().and_then(|&index| self.archive.entries.get(index)) else {
            return Coverage::WholeFile;
        };
        let more = match open.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        findings.doubt_at(
            Sub::SigConstraintsFailure,
            "UNSIGNED_ENTRY",
            format!("The signature does not cover “{}”{more}.", shown(&first.name)),
            Some(first.header),
        );
        Coverage::Partial
    }

    /// EN 319 162-1 annex A.1: first, as it is, and nothing beside it. Many writers do otherwise, and
    /// what is signed does not depend on it.
    fn read_mimetype(&mut self) {
        let Some(index) = self.archive.find(MIMETYPE) else {
            return self.remarks.push("the container does not state its type".to_owned());
        };
        let Some(entry) = self.archive.entries.get(index) else { return };
        let mut remark = |code, what| {
            self.remarks.push(format!("{code}: the type of the container {what}"));
        };
        if entry.header != 0 {
            remark("MIMETYPE_NOT_FIRST", "does not stand at its begin");
        }
        if entry.method != Method::Stored {
            remark("MIMETYPE_COMPRESSED", "is compressed");
        }
        if entry.has_extra {
            remark("MIMETYPE_EXTRA", "has an extra field");
        }
        let bytes = match self.archive.load(index, MIMETYPE_SIZE_MAX) {
            Ok(bytes) => bytes,
            Err(anomaly) => return self.anomalies.push(anomaly),
        };
        let text = String::from_utf8_lossy(&bytes).trim().to_owned();
        let has_manifest = self.with(&[Role::Manifest]).next().is_some();
        let is_simple = self.with(&[Role::Data]).count() == 1;
        // A container may keep the type of what is in it; one that says ASiC must be of that kind.
        let is_wrong = match text.as_str() {
            SIMPLE => !is_simple,
            EXTENDED => false,
            _ => has_manifest || !text.contains('/'),
        };
        if is_wrong {
            let message =
                format!("The container says that it is “{}”, and it is not.", shown(&text));
            self.anomalies.push(Anomaly::odd("MIMETYPE_DIFFERS", message, entry.data));
        }
        self.mimetype = Some(text);
    }

    fn read_manifests(&mut self) {
        for index in self.with(&[Role::Manifest]).collect::<Vec<_>>() {
            match self.read_manifest(index) {
                Ok(manifest) => self.manifests.push(Placed { entry: index, manifest }),
                Err(anomaly) => {
                    self.has_unread_manifest = true;
                    self.anomalies.push(anomaly);
                }
            }
        }
    }

    fn read_manifest(&self, index: usize) -> Result<Manifest, Anomaly> {
        let name = shown(&self.name(index));
        let header = self.archive.entries.get(index).map_or(0, |entry| entry.header);
        let unreadable = || {
            let message = format!("The manifest “{name}” cannot be read.");
            Anomaly::forged("MANIFEST_UNREADABLE", message, header)
        };
        let bytes = self.archive.load_structure(index)?;
        let document = manifest::parse(&bytes).map_err(|unread| unread.or(unreadable()))?;
        Manifest::read(&document).ok_or_else(unreadable)
    }
}
