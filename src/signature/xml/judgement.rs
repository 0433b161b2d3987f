//! One XML signature: its references, its value, its signer, its times and what it leaves out.

use std::sync::Arc;

use roxmltree::Node;

use super::Judged;
use super::algorithm::{self, Method};
use super::c14n::{self, NodeSet};
use super::coverage;
use super::element::{self, elements};
use super::key_info::{CertificateDigest, KeyInfo};
use super::names;
use super::parts::Parts;
use super::reference::{self, List, Referred, Scene};
use super::stamp;
use super::transform::Refusal;
use super::xades::Properties;
use crate::limits::CERTIFICATES_MAX;
use crate::signature::algorithm::{Key, Outcome, verify};
use crate::signature::certificate::Certificate;
use crate::signature::message;
use crate::signature::past::{self, Occasion};
use crate::signature::path::{self, Purpose};
use crate::signature::report::{Coverage, Findings, Format, SubIndication as Sub};
use crate::signature::signer::{self, ValueHolds, claimed_time_quirk};

/// Judges the signature of `scene`, the `index`th of its document.
pub fn judge(scene: Scene<'_, '_>, occasion: Occasion<'_>, index: usize) -> Judged {
    let mut document = Findings::default();
    let Some(parts) = Parts::read(scene.signature, &mut document) else {
        let verdict = document.conclude(None);
        let signature = message::bare(index, Format::XmlDsig, verdict);
        return Judged { signature, references: Vec::new() };
    };
    let references =
        reference::check_all(scene, parts.signed_info, List::SignedInfo, &mut document);
    let listed = manifests(scene, &references, &mut document);
    let properties = Properties::read(&parts, &references, &mut document);
    let every: Vec<_> = references.iter().chain(&listed).collect();
    let coverage = coverage::check(scene.tree, &parts, &every, &mut document);
    let mut judged = signer(scene, occasion, &parts, &properties, &references);
    let verdict = judged.conclude(document);
    let is_xades = properties.is_present;
    let format = if is_xades { Format::Xades } else { Format::XmlDsig };
    let mut signature = message::bare(index, format, verdict);
    signature.coverage = coverage;
    message::fill(&mut signature, judged);
    let covered = references.into_iter().chain(listed).map(|one| one.covered);
    Judged { signature, references: covered.collect() }
}

/// Manifests in what is signed: their references count like those of the signature.
fn manifests<'a, 't>(
    scene: Scene<'a, 't>,
    references: &[Referred<'a, 't>],
    findings: &mut Findings,
) -> Vec<Referred<'a, 't>> {
    let held = references.iter().filter(|one| one.covered.holds);
    let mut found: Vec<Node<'a, 't>> = Vec::new();
    for apex in held.filter_map(|one| one.nodes.as_ref()).map(|set| set.apex) {
        let is_own = apex.ancestors().any(|above| above.id() == scene.signature.id());
        if !is_own {
            continue;
        }
        let inside = std::iter::once(apex).chain(elements(apex));
        let manifests = inside.filter(|node| node.has_tag_name((names::DSIG, "Manifest")));
        for manifest in manifests {
            if !found.iter().any(|known| known.id() == manifest.id()) {
                found.push(manifest);
            }
        }
    }
    let mut listed = Vec::new();
    for manifest in found {
        listed.extend(reference::check_all(scene, manifest, List::Manifest, findings));
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
) -> signer::Judged {
    let mut judged = signer::Judged::default();
    let mut material = occasion.material.clone();
    let trust = occasion.trust;
    let findings = &mut judged.findings;
    let info = KeyInfo::read(scene, trust, parts.key_info, &mut material, findings);
    properties.add_to(trust, &mut material);
    judged.quirks.extend(info.quirks.iter().cloned());
    judged.quirks.extend(properties.quirks.iter().cloned());
    judged.signing_time = properties.signing_time;
    let message = signed_bytes(scene, parts, &mut judged.findings);
    let mut candidates = info.candidates(trust, &material);
    if let Some(digests) = &properties.signing_certificates {
        candidates = pinned(digests, candidates, occasion, &material.certificates, &mut judged);
    } else {
        unprotected(parts, properties, references, &mut judged);
    }
    let attempt = |key: &Key| message.as_ref().map(|message| value(parts, key, message));
    let is_maker = |certificate: &&Arc<Certificate>| {
        matches!(attempt(&certificate.key), Some(Attempt { outcome: Outcome::Valid { .. }, .. }))
    };
    let maker = candidates.iter().find(is_maker).or(candidates.first()).cloned();
    let key = maker.as_ref().map(|maker| &maker.key).or(info.key.as_ref());
    let holds = key.and_then(attempt).and_then(|tried| tried.note(parts, &mut judged));
    let Some(maker) = maker else {
        missing(info.key.is_some(), &mut judged);
        return judged;
    };
    judged.value = holds;
    if info.key.as_ref().is_some_and(|key| *key != maker.key) {
        judged.findings.doubt(
            Sub::SigConstraintsFailure,
            "KEY_VALUE_DIFFERS",
            "The key that the signature shows is not the one in its certificate.",
        );
    }
    let occasion = Occasion { material: &material, ..occasion };
    let made = stamp::judge(scene, occasion, parts, properties, references, &mut judged);
    judged.best_time = made.by;
    if let Some(claimed) = judged.signing_time {
        judged.quirks.extend(claimed_time_quirk(occasion.now, judged.best_time, claimed));
    }
    judged.signer = Some(maker.to_signer());
    let brought = [&info.certificates[..], &material.certificates].concat();
    judged.path = path::judge(trust, occasion.now, Purpose::Document, &maker, &brought);
    past::settle(occasion, made, &mut judged.path);
    judged.quirks.append(&mut judged.path.quirks);
    judged
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
    let every = candidates.iter().chain(brought).chain(occasion.trust.all());
    let fitting: Vec<_> = every.filter(fits).take(CERTIFICATES_MAX).cloned().collect();
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

/// What came of checking the value with a key.
struct Attempt {
    outcome: Outcome,
    code: Option<(&'static str, String)>,
    was_der: bool,
}

fn value(parts: &Parts<'_, '_>, key: &Key, message: &[u8]) -> Attempt {
    let refused = |code, message: String| Attempt {
        outcome: Outcome::Unsupported(parts.method.to_owned()),
        code: Some((code, message)),
        was_der: false,
    };
    match algorithm::method(parts.method) {
        Method::Hmac => refused(
            "HMAC_FORBIDDEN",
            "The signature rests on a shared secret (HMAC) and proves nothing to others.".into(),
        ),
        Method::Unknown => {
            let uri = parts.method;
            let message = format!("The signature uses “{uri}”, which this version does not judge.");
            refused("ALGORITHM_NOT_JUDGED", message)
        }
        Method::Known(method) => {
            let (value, was_der) = algorithm::value(&method, &parts.value);
            let outcome = verify(key, &method, None, message, &value);
            Attempt { outcome, code: None, was_der }
        }
    }
}

impl Attempt {
    fn note(self, parts: &Parts<'_, '_>, judged: &mut signer::Judged) -> Option<ValueHolds> {
        if self.was_der {
            judged.quirks.push("the signature value is written in ASN.1".to_owned());
        }
        match self.code {
            Some((code, message)) => {
                let at = element::offset(parts.value_element);
                judged.findings.doubt_at(Sub::CryptoConstraintsFailure, code, message, at);
                None
            }
            None => signer::value_holds(self.outcome, &mut judged.findings),
        }
    }
}

/// A document of which no signature can be told apart.
pub fn whole(findings: Findings) -> Judged {
    let mut signature = message::bare(0, Format::XmlDsig, findings.conclude(None));
    signature.coverage = Coverage::Partial;
    Judged { signature, references: Vec::new() }
}
