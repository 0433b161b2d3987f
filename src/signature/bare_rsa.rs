//! Signatures without CMS: an RSA value over a digest, and certificates beside it
//! (`adbe.x509.rsa_sha1`, ISO 32000-1 §12.8.3.2).
//!
//! Nothing in such a signature protects its certificate, and its time is nobody's word.

use std::sync::Arc;

use super::algorithm::{Hash, Outcome, verify_digest};
use super::certificate::Certificate;
use super::content::Content;
use super::crypto_policy::Used;
use super::past::{Made, Occasion};
use super::path::{self, Purpose};
use super::report::{Findings, SubIndication as Sub};
use super::signer::{self, Judged, Place};

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
    let Some(maker) = certificates.first() else {
        judged.findings.doubt(
            Sub::NoSigningCertificateFound,
            "SIGNER_CERTIFICATE_MISSING",
            "The certificate of the signer is not in the signature.",
        );
        return judged;
    };
    judged.quirks.push("the signing certificate is not protected by the signature".to_owned());
    judged.fitting = check_value(maker, value, content, &mut judged.findings);
    let made = Made {
        by: occasion.proofs.of(place.end).map(|existed| existed.at()),
        after: occasion.proofs.inside(place.covered).map(|existed| existed.at()),
        stated: None,
    };
    judged.best_time = made.by;
    judged.signer = Some(maker.to_signer());
    let candidates = [certificates, &occasion.material.certificates].concat();
    judged.path = path::judge(occasion.trust, occasion.now, Purpose::Document, maker, &candidates);
    judged.settle(occasion, Purpose::Document, made, &[]);
    judged
}

fn check_value(
    maker: &Certificate,
    value: &[u8],
    content: &mut Content<'_>,
    findings: &mut Findings,
) -> Option<Used> {
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
        match verify_digest(&maker.key, &hash, &digest, value) {
            Outcome::Invalid => {}
            outcome => {
                worst = outcome;
                break;
            }
        }
    }
    signer::fitting(worst, findings)
}
