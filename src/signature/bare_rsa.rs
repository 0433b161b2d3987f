//! Signatures without CMS: an RSA value over a digest, and certificates beside it
//! (`adbe.x509.rsa_sha1`, ISO 32000-1 §12.8.3.2).
//!
//! Nothing in such a signature protects its certificate, and its time is nobody's word.

use std::sync::Arc;

use super::algorithm::{Hash, Outcome, verify_digest};
use super::certificate::Certificate;
use super::content::Content;
use super::past::{self, Made, Occasion};
use super::path::{self, Purpose};
use super::report::{Findings, SubIndication as Sub};
use super::signer::{Judged, Place, ValueHolds};

/// What such a signature may be made with (ISO 32000-1 table 257); the name speaks of one only.
const HASHES: [Hash; 4] = [Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];

/// Judges the value over `content`; the first of `certificates` is the signer's.
pub(super) fn judge(
    occasion: Occasion<'_>,
    place: Place,
    certificates: &[Arc<Certificate>],
    value: &[u8],
    content: &mut Content<'_>,
) -> Judged {
    let mut judged = Judged::default();
    let Some(signer) = certificates.first() else {
        judged.findings.doubt(
            Sub::NoSigningCertificateFound,
            "SIGNER_CERTIFICATE_MISSING",
            "The certificate of the signer is not in the signature.",
        );
        return judged;
    };
    judged.quirks.push("the signing certificate is not protected by the signature".to_owned());
    judged.value = check_value(signer, value, content, &mut judged.findings);
    let made = Made {
        by: occasion.proofs.of(place.end).map(|existed| existed.at()),
        after: occasion.proofs.inside(place.covered).map(|existed| existed.at()),
    };
    judged.best_time = made.by;
    judged.signer = Some(signer.to_signer());
    let candidates = [certificates, &occasion.material.certificates].concat();
    judged.path = path::judge(occasion.trust, occasion.now, Purpose::Document, signer, &candidates);
    past::settle(occasion, made, &mut judged.path);
    judged.quirks.append(&mut judged.path.quirks);
    judged
}

fn check_value(
    signer: &Certificate,
    value: &[u8],
    content: &mut Content<'_>,
    findings: &mut Findings,
) -> Option<ValueHolds> {
    let mut worst = Outcome::Invalid;
    for hash in HASHES {
        let Ok(Some(digest)) = content.digest(&hash) else {
            findings.doubt(
                Sub::SignedDataNotFound,
                "CONTENT_UNREADABLE",
                "The signed content could not be read.",
            );
            return None;
        };
        match verify_digest(&signer.key, &hash, &digest, value) {
            Outcome::Invalid => {}
            outcome => {
                worst = outcome;
                break;
            }
        }
    }
    match &worst {
        Outcome::Valid { weakness: None } => {}
        Outcome::Valid { weakness: Some(weakness) } => findings.doubt(
            Sub::CryptoConstraintsFailure,
            "SIGNATURE_ALGORITHM",
            format!("The signature fits, but {weakness}."),
        ),
        Outcome::Invalid => findings.failed(
            Sub::SigCryptoFailure,
            "SIGNATURE_VALUE",
            "The signature was not made with the signer's key, or the document was changed.",
        ),
        Outcome::Unsupported(name) => findings.doubt(
            Sub::CryptoConstraintsFailure,
            "ALGORITHM_NOT_JUDGED",
            format!("The signature uses {name}, which this version does not judge."),
        ),
    }
    ValueHolds::of(&worst)
}
