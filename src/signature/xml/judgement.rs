//! One XML signature: its references, its value, its signer, its times and what it leaves out.

use std::sync::Arc;

use super::Judged;
use super::algorithm::{self, Method};
use super::c14n::{self, NodeSet};
use super::coverage;
use super::element::{self, elements};
use super::key_info::{CertificateDigest, KeyInfo};
use super::names;
use super::parts::Parts;
use super::reference::{self, List, Referred, Scene};
use super::stamp::{self, Proven};
use super::transform::Refusal;
use super::xades::Properties;
use crate::limits::{CERTIFICATES_MAX, XML_MANIFESTS_MAX, XML_SIGNERS_MAX};
use crate::signature::algorithm::{Algorithm, Hash, Key, Outcome, verify};
use crate::signature::certificate::Certificate;
use crate::signature::evidence::Proofs;
use crate::signature::message;
use crate::signature::past::Occasion;
use crate::signature::path::{self, Purpose};
use crate::signature::report::{Coverage, Findings, Format, SubIndication as Sub};
use crate::signature::signer::{self, Hashed, claimed_time_quirk};

/// Judges the signature of `scene`, the `index`th of its document.
pub fn judge(scene: Scene<'_, '_>, occasion: Occasion<'_>, index: usize) -> Judged {
    let mut document = Findings::default();
    let Some(parts) = Parts::read(scene.signature, &mut document) else {
        let verdict = document.conclude(None);
        let signature = message::bare(index, Format::XmlDsig, verdict);
        return Judged { signature, references: Vec::new(), proofs: Proofs::default() };
    };
    let references =
        reference::check_all(scene, parts.signed_info, List::SignedInfo, &mut document);
    let listed = manifests(scene, &parts, &references, &mut document);
    let properties = Properties::read(&parts, &references, &mut document);
    let every: Vec<_> = references.iter().chain(&listed).collect();
    let coverage = coverage::check(scene, &parts, &every, &mut document);
    let (mut judged, proofs) = signer(scene, occasion, &parts, &properties, &references);
    for hash in hashes(&listed) {
        judged.weigh_hash(occasion, Hashed::Content, &hash);
    }
    let verdict = judged.conclude(document);
    let is_xades = properties.is_present;
    let format = if is_xades { Format::Xades } else { Format::XmlDsig };
    let mut signature = message::bare(index, format, verdict);
    signature.coverage = coverage;
    signature.counter_signs = scene.confirmed.map(|confirmed| confirmed.index);
    message::fill(&mut signature, judged);
    let covered = references.into_iter().chain(listed).map(|one| one.covered);
    Judged { signature, references: covered.collect(), proofs }
}

/// What references are hashed with, each once.
fn hashes(references: &[Referred<'_, '_>]) -> Vec<Hash> {
    let mut hashes = Vec::new();
    for hash in references.iter().filter_map(|one| one.hash.as_ref()) {
        if !hashes.contains(hash) {
            hashes.push(hash.clone());
        }
    }
    hashes
}

/// Manifests in what is signed: their references count like those of the signature.
fn manifests<'a, 't>(
    scene: Scene<'a, 't>,
    parts: &Parts<'a, 't>,
    references: &[Referred<'a, 't>],
    findings: &mut Findings,
) -> Vec<Referred<'a, 't>> {
    let held = references.iter().filter(|one| one.covered.holds);
    let sets: Vec<_> = held.filter_map(|one| one.nodes.as_ref()).collect();
    let inside = parts.objects.iter().flat_map(|object| elements(*object));
    let mut manifests = inside
        .filter(|node| node.has_tag_name((names::DSIG, "Manifest")))
        .filter(|node| sets.iter().any(|set| set.covers(node)));
    let mut listed = Vec::new();
    for manifest in manifests.by_ref().take(XML_MANIFESTS_MAX) {
        listed.extend(reference::check_all(scene, manifest, List::Manifest, findings));
    }
    if manifests.next().is_some() {
        findings.unjudged("MANIFESTS_TOO_MANY", "The signature has too many manifests.");
    }
    listed
}

/// The signer, the value and the times.
fn signer<'a, 't>(
    scene: Scene<'a, 't>,
    occasion: Occasion<'_>,
    parts: &Parts<'a, 't>,
    properties: &Properties<'a, 't>,
    references: &[Referred<'a, 't>],
) -> (signer::Judged, Proofs) {
    let mut judged = signer::Judged::default();
    let mut material = occasion.material.clone();
    let trust = occasion.trust;
    let findings = &mut judged.findings;
    let info = KeyInfo::read(scene, trust, parts.key_info, &mut material, findings);
    properties.add_to(trust, &mut material);
    judged.quirks.extend(info.quirks.iter().chain(&properties.quirks).cloned());
    judged.signing_time = properties.signing_time;
    let mut candidates = info.candidates(trust, &material);
    if let Some(digests) = &properties.signing_certificates {
        candidates = pinned(digests, candidates, occasion, &material.certificates, &mut judged);
    } else {
        unprotected(parts, properties, references, &mut judged);
    }
    let Some(maker) = maker(scene, parts, &info, candidates, &mut judged) else {
        // A shared secret has no certificate.
        if algorithm::method(parts.method) != Method::Hmac {
            missing(info.key.is_some(), &mut judged);
        }
        for hash in hashes(references) {
            judged.weigh_hash(occasion, Hashed::Content, &hash);
        }
        return (judged, Proofs::default());
    };
    let occasion = Occasion { material: &material, ..occasion };
    let Proven { made, proofs } =
        stamp::judge(scene, occasion, parts, properties, references, &mut judged);
    judged.best_time = made.by;
    if let Some(claimed) = judged.signing_time {
        judged.quirks.extend(claimed_time_quirk(occasion.now, judged.best_time, claimed));
    }
    judged.signer = Some(maker.to_signer());
    let brought = [&info.certificates[..], &material.certificates].concat();
    judged.path = path::judge(trust, occasion.now, Purpose::Document, &maker, &brought);
    let occasion = Occasion { proofs: &proofs, ..occasion };
    judged.settle(occasion, Purpose::Document, made, &hashes(references));
    let named = properties.signing_certificates.iter().flatten();
    for digest in named.filter(|digest| digest.fits(&maker) == Some(true)).take(1) {
        let hash = algorithm::hash(&digest.algorithm);
        judged.weigh_hash(occasion, Hashed::Certificate, &hash);
    }
    (judged, proofs)
}

/// The certificate whose key made the value, or the likeliest if none did.
fn maker(
    scene: Scene<'_, '_>,
    parts: &Parts<'_, '_>,
    info: &KeyInfo,
    candidates: Vec<Arc<Certificate>>,
    judged: &mut signer::Judged,
) -> Option<Arc<Certificate>> {
    let message = signed_bytes(scene, parts, &mut judged.findings);
    let method = method(parts, &mut judged.findings);
    let attempt = |key: &Key| Some(value(parts, method.as_ref()?, key, message.as_ref()?));
    let is_maker = |certificate: &&Arc<Certificate>| {
        matches!(attempt(&certificate.key), Some((Outcome::Valid { .. }, _)))
    };
    let mut tried = candidates.iter().take(XML_SIGNERS_MAX);
    let maker = tried.find(is_maker).or(candidates.first()).cloned();
    let key = maker.as_ref().map(|maker| &maker.key).or(info.key.as_ref())?;
    let fitting = attempt(key).and_then(|(outcome, was_der)| {
        if was_der {
            judged.quirks.push("the signature value is written in ASN.1".to_owned());
        }
        signer::fitting(outcome, &mut judged.findings)
    });
    let maker = maker?;
    judged.fitting = fitting;
    if info.key.as_ref().is_some_and(|key| *key != maker.key) {
        judged.findings.doubt(
            Sub::SigConstraintsFailure,
            "KEY_VALUE_DIFFERS",
            "The key that the signature shows is not the one in its certificate.",
        );
    }
    Some(maker)
}

/// The canonical form of what is signed: SignedInfo.
fn signed_bytes(
    scene: Scene<'_, '_>,
    parts: &Parts<'_, '_>,
    findings: &mut Findings,
) -> Option<Vec<u8>> {
    let Some(method) = &parts.canonicalization else {
        findings.doubt(
            Sub::SigConstraintsFailure,
            "CANONICALIZATION_UNKNOWN",
            "The signature is over a form of XML that is not judged.",
        );
        return None;
    };
    let apex = parts.signed_info;
    let set = NodeSet { apex, excluded: Vec::new(), with_comments: true };
    match c14n::canonicalize(scene.tree, &set, method) {
        Ok(bytes) => Some(bytes),
        Err(exhausted) => {
            Refusal::from(exhausted).note(findings, None);
            None
        }
    }
}

/// C3: only the certificates that the signed properties name may be the signer's.
fn pinned(
    digests: &[CertificateDigest],
    candidates: Vec<Arc<Certificate>>,
    occasion: Occasion<'_>,
    brought: &[Arc<Certificate>],
    judged: &mut signer::Judged,
) -> Vec<Arc<Certificate>> {
    let fits = |certificate: &&Arc<Certificate>| {
        digests.iter().any(|digest| digest.fits(certificate) == Some(true))
    };
    let mut fitting: Vec<_> = candidates.iter().chain(brought).filter(fits).cloned().collect();
    if fitting.is_empty() {
        fitting.extend(occasion.trust.all().filter(fits).take(CERTIFICATES_MAX).cloned());
    }
    if !fitting.is_empty() {
        return fitting;
    }
    let is_computed = candidates
        .iter()
        .any(|candidate| digests.iter().any(|digest| digest.fits(candidate).is_some()));
    if is_computed {
        judged.findings.doubt(
            Sub::NoSigningCertificateFound,
            "SIGNING_CERTIFICATE_DIFFERS",
            "The signed reference names another certificate than the one in the signature.",
        );
    } else if !candidates.is_empty() {
        judged.findings.doubt(
            Sub::CryptoConstraintsFailure,
            "DIGEST_NOT_JUDGED",
            "The signing certificate is named with a hash that this version does not judge.",
        );
    }
    candidates
}

/// Nothing in the properties names the certificate; a reference to KeyInfo protects it as well.
fn unprotected(
    parts: &Parts<'_, '_>,
    properties: &Properties<'_, '_>,
    references: &[Referred<'_, '_>],
    judged: &mut signer::Judged,
) {
    let held = references.iter().filter(|one| one.covered.holds);
    let mut sets = held.filter_map(|one| one.nodes.as_ref());
    if parts.key_info.is_some_and(|info| sets.any(|set| set.covers(&info))) {
        return;
    }
    if properties.is_present {
        judged.findings.doubt(
            Sub::SigConstraintsFailure,
            "SIGNING_CERTIFICATE_UNPROTECTED",
            "The signature does not protect its signing certificate, as its format demands.",
        );
    } else {
        judged.quirks.push("the signing certificate is not protected by the signature".into());
    }
}

fn missing(has_key: bool, judged: &mut signer::Judged) {
    let (code, message) = if has_key {
        (
            "KEY_WITHOUT_CERTIFICATE",
            "The signature shows a key, but no certificate says whose it is.",
        )
    } else {
        (
            "SIGNER_CERTIFICATE_MISSING",
            "The certificate of the signer is neither in the signature nor known here.",
        )
    };
    judged.findings.doubt(Sub::NoSigningCertificateFound, code, message);
}

/// The signature method, if it is one that can be judged.
fn method(parts: &Parts<'_, '_>, findings: &mut Findings) -> Option<Algorithm> {
    let at = element::offset(parts.signed_info);
    let (code, message) = match algorithm::method(parts.method) {
        Method::Known(Algorithm::Other(name)) => (
            "ALGORITHM_NOT_JUDGED",
            format!("The signature uses {name}, which this version does not judge."),
        ),
        Method::Known(algorithm) => return Some(algorithm),
        Method::Hmac => (
            "HMAC_FORBIDDEN",
            "The signature rests on a shared secret (HMAC) and proves nothing to others.".into(),
        ),
        Method::Unknown => (
            "ALGORITHM_NOT_JUDGED",
            format!("The signature uses “{}”, which this version does not judge.", parts.method),
        ),
    };
    findings.doubt_at(Sub::CryptoConstraintsFailure, code, message, at);
    None
}

/// Checks the value with a key; and whether it was written in ASN.1.
fn value(parts: &Parts<'_, '_>, method: &Algorithm, key: &Key, message: &[u8]) -> (Outcome, bool) {
    let (value, was_der) = algorithm::value(method, &parts.value);
    (verify(key, method, None, message, &value), was_der)
}

/// A document of which no signature can be told apart.
pub fn whole(findings: Findings) -> Judged {
    let mut signature = message::bare(0, Format::XmlDsig, findings.conclude(None));
    signature.coverage = Coverage::Partial;
    Judged { signature, references: Vec::new(), proofs: Proofs::default() }
}
