//! The two old formats of ISO 32000-1 §12.8.3 that bind the document by SHA-1: a digest inside of the
//! CMS (`adbe.pkcs7.sha1`), and an RSA value without any CMS (`adbe.x509.rsa_sha1`).

use super::super::algorithm::Hash;
use super::super::asn1::{Reader, tag};
use super::super::bare_rsa;
use super::super::cms;
use super::super::evidence::Proofs;
use super::super::report::{Findings, SubIndication as Sub};
use super::super::signer::Judged;
use super::judgement::Judge;
use super::range::SignatureValue;

impl Judge<'_> {
    /// What the CMS of `adbe.pkcs7.sha1` signs must be the SHA-1 digest of the signed ranges.
    pub fn check_inner(&self, value: &SignatureValue, inner: &[u8], findings: &mut Findings) {
        match self.content(value).digest(&Hash::Sha1) {
            Ok(Some(actual)) if actual == inner => {}
            Ok(_) => findings.failed_at(
                Sub::HashFailure,
                "INNER_DIGEST_DIFFERS",
                "The document was changed after signing: its digest differs from the one inside of \
                 the signature.",
                Some(value.gap_start),
            ),
            Err(_) => findings.doubt(
                Sub::SignedDataNotFound,
                "CONTENT_UNREADABLE",
                "The signed content could not be read.",
            ),
        }
    }

    /// A value in an OCTET STRING, and certificates in `/Cert`.
    pub fn bare_rsa(
        &self,
        value: &SignatureValue,
        proofs: &Proofs,
        findings: &mut Findings,
        quirks: &mut Vec<String>,
    ) -> Judged {
        let mut reader = Reader::new(&value.cms);
        let Ok(octets) = reader.octets(tag::OCTET_STRING) else {
            findings.failed_at(
                Sub::FormatFailure,
                "VALUE_UNREADABLE",
                "The signature value is not an octet string, as its format demands.",
                Some(value.gap_start),
            );
            return Judged::default();
        };
        cms::note_rest(reader.rest(), "signature value", quirks);
        let mut certificates = Vec::new();
        for der in &value.certificates {
            match self.trust.certificate(der) {
                Ok(certificate) => certificates.push(certificate),
                Err(_) if certificates.is_empty() => {
                    findings.doubt(
                        Sub::NoSigningCertificateFound,
                        "SIGNER_CERTIFICATE_UNREADABLE",
                        "The certificate of the signer cannot be read.",
                    );
                    return Judged::default();
                }
                Err(_) => quirks.push("a certificate in the signature cannot be read".to_owned()),
            }
        }
        let occasion = self.occasion(proofs);
        bare_rsa::judge(occasion, value.place(), &certificates, &octets, &mut self.content(value))
    }
}
