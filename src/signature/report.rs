//! What the verifier says: ETSI EN 319 102-1 indications with reasons a clerk understands.
//!
//! A verdict of TOTAL-PASSED is a proof: only the verifier can make one.
//!
//! ```compile_fail
//! // There is no way to say "passed" from outside the room.
//! let verdict = vanthu::signature::Verdict::passed();
//! ```
//!
//! ```compile_fail
//! # fn f(signature: &vanthu::signature::Signature) {
//! let proof = vanthu::signature::Passed(signature);
//! # }
//! ```

use std::fmt;

use super::der::Der;
use crate::clock::Time;
use crate::digest::Sha256;

/// The main result of EN 319 102-1 §5; the order is from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Indication {
    /// Every check passed.
    TotalPassed,
    /// What is known neither proves nor disproves the signature.
    Indeterminate,
    /// The signature is technically wrong.
    TotalFailed,
}

impl fmt::Display for Indication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TotalPassed => "TOTAL-PASSED",
            Self::Indeterminate => "INDETERMINATE",
            Self::TotalFailed => "TOTAL-FAILED",
        })
    }
}

macro_rules! sub_indications {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The sub-indications of EN 319 102-1, from the one that explains most to the one that
        /// explains least: when several causes compete, the first here is reported.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SubIndication { $($(#[$doc])* $name,)* }

        impl SubIndication {
            /// Every sub-indication.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name in the standard, such as `HASH_FAILURE`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

sub_indications! {
    /// The structure cannot be processed or was forged.
    FormatFailure = "FORMAT_FAILURE",
    /// The digest of the signed bytes differs.
    HashFailure = "HASH_FAILURE",
    /// The signature value does not verify with the signer's key.
    SigCryptoFailure = "SIG_CRYPTO_FAILURE",
    /// Signer revoked, and the signature is proven later.
    Revoked = "REVOKED",
    /// The signature is proven later than the certificate's end.
    Expired = "EXPIRED",
    /// The signature is proven earlier than the certificate's begin.
    NotYetValid = "NOT_YET_VALID",
    /// The detached content is missing.
    SignedDataNotFound = "SIGNED_DATA_NOT_FOUND",
    /// The signing certificate cannot be identified.
    NoSigningCertificateFound = "NO_SIGNING_CERTIFICATE_FOUND",
    /// The signer is revoked; no proof that the signature is older.
    RevokedNoPoe = "REVOKED_NO_POE",
    /// An intermediate authority is revoked; no proof that the signature is older.
    RevokedCaNoPoe = "REVOKED_CA_NO_POE",
    /// No path to a trust anchor.
    NoCertificateChainFound = "NO_CERTIFICATE_CHAIN_FOUND",
    /// No path to an anchor that is trusted now, and no proof that the signature is older.
    NoCertificateChainFoundNoPoe = "NO_CERTIFICATE_CHAIN_FOUND_NO_POE",
    /// The path exists but breaks a constraint.
    ChainConstraintsFailure = "CHAIN_CONSTRAINTS_FAILURE",
    /// The path could not be judged for another reason.
    CertificateChainGeneralFailure = "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    /// An attribute or a change after signing breaks a constraint.
    SigConstraintsFailure = "SIG_CONSTRAINTS_FAILURE",
    /// An algorithm or key size is not accepted.
    CryptoConstraintsFailure = "CRYPTO_CONSTRAINTS_FAILURE",
    /// An algorithm is not accepted any more, and no proof that the signature is older.
    CryptoConstraintsFailureNoPoe = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
    /// Outside the validity period, known not to be revoked.
    OutOfBoundsNotRevoked = "OUT_OF_BOUNDS_NOT_REVOKED",
    /// Outside the validity period, and no proof that the signature lies inside.
    OutOfBoundsNoPoe = "OUT_OF_BOUNDS_NO_POE",
    /// The signer of revocation data is outside its validity period.
    RevocationOutOfBoundsNoPoe = "REVOCATION_OUT_OF_BOUNDS_NO_POE",
    /// Time-stamps contradict each other.
    TimestampOrderFailure = "TIMESTAMP_ORDER_FAILURE",
    /// The signature policy cannot be processed.
    PolicyProcessingError = "POLICY_PROCESSING_ERROR",
    /// The signature policy is not at hand.
    SignaturePolicyNotAvailable = "SIGNATURE_POLICY_NOT_AVAILABLE",
    /// A proof of existence is missing.
    NoPoe = "NO_POE",
    /// Fresher revocation data will decide.
    TryLater = "TRY_LATER",
}

impl fmt::Display for SubIndication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a verdict is not TOTAL-PASSED.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Stable and short, for machines: `BYTE_RANGE_GAP`.
    pub code: &'static str,
    /// One plain sentence.
    pub message: String,
    /// Where in the file.
    pub offset: Option<u64>,
}

/// The judgement on one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    indication: Indication,
    sub_indication: Option<SubIndication>,
    reasons: Vec<Reason>,
}

impl Verdict {
    /// Every check passed. The arguments are what only those checks can make.
    pub(super) fn passed(
        _value: &super::signer::ValueHolds,
        _path: &super::path::PathHolds,
    ) -> Self {
        Self { indication: Indication::TotalPassed, sub_indication: None, reasons: Vec::new() }
    }

    /// Technically wrong. Anyone may say so.
    pub fn failed(sub_indication: SubIndication, reasons: Vec<Reason>) -> Self {
        Self { indication: Indication::TotalFailed, sub_indication: Some(sub_indication), reasons }
    }

    /// Undecided. Anyone may say so.
    pub fn indeterminate(sub_indication: Option<SubIndication>, reasons: Vec<Reason>) -> Self {
        Self { indication: Indication::Indeterminate, sub_indication, reasons }
    }

    pub(super) fn is_passed(&self) -> bool {
        self.indication == Indication::TotalPassed
    }

    /// The main result.
    pub fn indication(&self) -> Indication {
        self.indication
    }

    /// What kind of failure or doubt.
    pub fn sub_indication(&self) -> Option<SubIndication> {
        self.sub_indication
    }

    /// Everything that was found, the decisive first; empty for TOTAL-PASSED.
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }
}

/// Findings while a signature is judged; the worst decides.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(Indication, Option<SubIndication>, Reason)>);

impl Findings {
    pub fn failed(&mut self, sub: SubIndication, code: &'static str, message: impl Into<String>) {
        self.failed_at(sub, code, message, None);
    }

    pub fn failed_at(
        &mut self,
        sub: SubIndication,
        code: &'static str,
        message: impl Into<String>,
        offset: Option<u64>,
    ) {
        let reason = Reason { code, message: message.into(), offset };
        self.0.push((Indication::TotalFailed, Some(sub), reason));
    }

    pub fn doubt(&mut self, sub: SubIndication, code: &'static str, message: impl Into<String>) {
        self.doubt_at(sub, code, message, None);
    }

    pub fn doubt_at(
        &mut self,
        sub: SubIndication,
        code: &'static str,
        message: impl Into<String>,
        offset: Option<u64>,
    ) {
        let reason = Reason { code, message: message.into(), offset };
        self.0.push((Indication::Indeterminate, Some(sub), reason));
    }

    /// A doubt the standard has no sub-indication for.
    pub fn unjudged(&mut self, code: &'static str, message: impl Into<String>) {
        let reason = Reason { code, message: message.into(), offset: None };
        self.0.push((Indication::Indeterminate, None, reason));
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of these sub-indications was found.
    pub fn has(&self, subs: &[SubIndication]) -> bool {
        self.0.iter().any(|(_, sub, _)| sub.is_some_and(|sub| subs.contains(&sub)))
    }

    /// Takes back findings with these sub-indications; whoever does asks their questions again.
    pub fn remove(&mut self, subs: &[SubIndication]) {
        self.0.retain(|(_, sub, _)| !sub.is_some_and(|sub| subs.contains(&sub)));
    }

    /// The first reason that was found.
    pub fn first(&self) -> Option<&Reason> {
        self.0.first().map(|(_, _, reason)| reason)
    }

    /// The sub-indication that decides so far.
    pub fn worst(&self) -> Option<SubIndication> {
        let (_, sub, _) = self.0.iter().min_by_key(|finding| rank(finding))?;
        *sub
    }

    /// The verdict of these findings; without any finding the proofs make it a pass.
    pub fn conclude(
        mut self,
        proofs: Option<(&super::signer::ValueHolds, &super::path::PathHolds)>,
    ) -> Verdict {
        self.0.sort_by_key(rank);
        let decisive = self.0.first().map(|(indication, sub, _)| (*indication, *sub));
        let reasons = self.0.into_iter().map(|(_, _, reason)| reason).collect();
        match (decisive, proofs) {
            (Some((Indication::TotalFailed, Some(sub))), _) => Verdict::failed(sub, reasons),
            (Some((_, sub)), _) => Verdict::indeterminate(sub, reasons),
            (None, Some((value, path))) => Verdict::passed(value, path),
            (None, None) => Verdict::indeterminate(None, reasons),
        }
    }
}

impl From<&Verdict> for Findings {
    /// What a verdict found, to be weighed with what else is found; a pass found nothing.
    fn from(verdict: &Verdict) -> Self {
        let found = |reason: &Reason| (verdict.indication, verdict.sub_indication, reason.clone());
        Self(verdict.reasons.iter().map(found).collect())
    }
}

/// TOTAL-FAILED before INDETERMINATE, then the order of [`SubIndication`].
fn rank(
    finding: &(Indication, Option<SubIndication>, Reason),
) -> (std::cmp::Reverse<Indication>, bool, Option<SubIndication>) {
    (std::cmp::Reverse(finding.0), finding.1.is_none(), finding.1)
}

/// How the signature is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// PDF signature with `/SubFilter /adbe.pkcs7.detached`.
    PdfCms,
    /// PDF signature with `/SubFilter /ETSI.CAdES.detached` (PAdES).
    PdfCades,
    /// PDF document time-stamp, `/SubFilter /ETSI.RFC3161`.
    PdfTimestamp,
    /// PDF signature with `/SubFilter /adbe.pkcs7.sha1`: CMS around a SHA-1 digest of the document.
    PdfSha1,
    /// PDF signature with `/SubFilter /adbe.x509.rsa_sha1`: an RSA value and certificates beside it.
    PdfRsaSha1,
    /// PDF signature with another or no `/SubFilter`.
    PdfOther,
    /// CMS beside its content.
    CmsDetached,
    /// CMS around its content.
    CmsAttached,
    /// XML-DSig.
    XmlDsig,
    /// XML-DSig with the properties of XAdES.
    Xades,
    /// CAdES in an ASiC container.
    AsicCades,
    /// XAdES in an ASiC container.
    AsicXades,
    /// Time-stamp token in an ASiC container.
    AsicTimestamp,
    /// Evidence record (RFC 4998, RFC 6283) in an ASiC container.
    AsicEvidenceRecord,
    /// XML signature in an Office Open XML package.
    Ooxml,
    /// Something in a ZIP that is signed in an unknown or unreadable way.
    PackageOther,
}

impl Format {
    /// Whether this is a time-stamp alone: nobody's signature.
    pub fn is_timestamp(self) -> bool {
        matches!(self, Self::PdfTimestamp | Self::AsicTimestamp | Self::AsicEvidenceRecord)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PdfCms => "adbe.pkcs7.detached",
            Self::PdfCades => "ETSI.CAdES.detached",
            Self::PdfTimestamp => "ETSI.RFC3161",
            Self::PdfSha1 => "adbe.pkcs7.sha1",
            Self::PdfRsaSha1 => "adbe.x509.rsa_sha1",
            Self::PdfOther => "pdf",
            Self::CmsDetached => "cms-detached",
            Self::CmsAttached => "cms-attached",
            Self::XmlDsig => "xmldsig",
            Self::Xades => "xades",
            Self::AsicCades => "asic-cades",
            Self::AsicXades => "asic-xades",
            Self::AsicTimestamp => "asic-timestamp",
            Self::AsicEvidenceRecord => "asic-evidence-record",
            Self::Ooxml => "ooxml",
            Self::PackageOther => "package",
        })
    }
}

/// How much of the file the signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coverage {
    /// All of it.
    WholeFile,
    /// Everything up to `end`; later updates follow and were judged.
    Revision {
        /// Offset of the first byte that is not covered.
        end: u64,
    },
    /// Less than a whole revision, or unknown.
    Partial,
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WholeFile => f.write_str("whole file"),
            Self::Revision { end } => write!(f, "revision up to byte {end}"),
            Self::Partial => f.write_str("partial"),
        }
    }
}

/// Who signed, from the signing certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Subject, RFC 4514 style.
    pub subject: String,
    /// Issuer, RFC 4514 style.
    pub issuer: String,
    /// Serial number in hexadecimal.
    pub serial: String,
    /// `CN` of the subject.
    pub common_name: Option<String>,
    /// `O` of the subject.
    pub organization: Option<String>,
    /// `organizationIdentifier` (2.5.4.97) of the subject.
    pub organization_identifier: Option<String>,
    /// The certificate.
    pub der: Der,
}

impl Signer {
    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Sha256 {
        self.der.digest()
    }
}

/// What a time-stamp is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimestampKind {
    /// The content, before it was signed (content-time-stamp).
    Content,
    /// The signature value (signature-time-stamp).
    Signature,
    /// Everything in the file before it (PDF document time-stamp).
    Document,
    /// The signature with everything that is kept for later (archive-time-stamp of CAdES and XAdES).
    Archive,
    /// The signature with its time-stamps and the references to certificates and revocation data
    /// (XAdES SigAndRefsTimeStamp).
    SignatureAndReferences,
    /// These references alone (XAdES RefsOnlyTimeStamp): nothing about the signature.
    References,
}

impl fmt::Display for TimestampKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "content",
            Self::Signature => "signature",
            Self::Document => "document",
            Self::Archive => "archive",
            Self::SignatureAndReferences => "signature-and-references",
            Self::References => "references",
        })
    }
}

/// A time-stamp (RFC 3161) and what is known about it. One that does not hold proves nothing and
/// speaks for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp {
    /// What it is over.
    pub kind: TimestampKind,
    /// The judgement on the time-stamp alone.
    pub verdict: Verdict,
    /// The time it states; `None` if it cannot be read.
    pub time: Option<Time>,
    /// How exact it says its time is, in milliseconds.
    pub accuracy_ms: Option<u64>,
    /// The policy of the authority, in dots.
    pub policy: Option<String>,
    /// Serial number of the token in hexadecimal.
    pub serial: Option<String>,
    /// The time-stamping authority; `None` if its certificate was not found.
    pub authority: Option<Signer>,
    /// Name of the trust domain of the anchor; `None` if it has none or no anchor was reached.
    pub domain: Option<String>,
    /// The path used, authority first and anchor last.
    pub chain: Vec<Der>,
    /// CRLs that were used, as indices into those given to [`super::Trust::new`].
    pub crls: Vec<usize>,
    /// Oddities that do not change the verdict.
    pub quirks: Vec<String>,
}

/// One signature and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Position in the document, from 0.
    pub index: usize,
    /// How it is packed.
    pub format: Format,
    /// The judgement.
    pub verdict: Verdict,
    /// Who signed; `None` if the certificate was not found.
    pub signer: Option<Signer>,
    /// Name of the trust domain of the anchor; `None` if it has none or no anchor was reached.
    pub domain: Option<String>,
    /// The path used, signer first and anchor last; empty if none was found.
    pub chain: Vec<Der>,
    /// CRLs that were used, as indices into those given to [`super::Trust::new`].
    pub crls: Vec<usize>,
    /// The signing time that the signer claims; nobody vouches for it.
    pub signing_time: Option<Time>,
    /// Time-stamps on it, each judged on its own; of a document time-stamp, itself.
    pub timestamps: Vec<Timestamp>,
    /// The earliest time at which the signature is proven to exist (best-signature-time of
    /// EN 319 102-1 §5.5.4); `None` if only the present proves it.
    pub best_time: Option<Time>,
    /// How much of the file is covered.
    pub coverage: Coverage,
    /// What exactly is signed, where a format names its parts: elements of XML, files of a package.
    pub signed: Vec<String>,
    /// Oddities that do not change the verdict.
    pub quirks: Vec<String>,
    /// Full name of the PDF signature field, or of the entry of a package that holds the signature.
    pub field: Option<String>,
    /// Position of the signature that this one confirms, if it is a counter-signature: it is about
    /// that signature's value, and nobody's signature on the document itself.
    pub counter_signs: Option<usize>,
}

impl Signature {
    /// The proof that this signature is TOTAL-PASSED.
    pub fn passed(&self) -> Option<Passed<'_>> {
        self.verdict.is_passed().then_some(Passed(self))
    }
}

/// A signature that the verifier found TOTAL-PASSED.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a>(&'a Signature);

impl<'a> Passed<'a> {
    /// The signature.
    pub fn signature(self) -> &'a Signature {
        self.0
    }
}

/// What kind of content was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A PDF.
    Pdf,
    /// A CMS SignedData.
    Cms,
    /// An XML document.
    Xml,
    /// A ZIP: an ASiC container, an Office Open XML document or any other.
    Package,
    /// Anything else: not a signed format that this version knows.
    Other,
}

/// Everything found in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What was sniffed.
    pub kind: Kind,
    /// The signatures in the order in which they stand in the file.
    pub signatures: Vec<Signature>,
    /// Oddities of the document itself.
    pub quirks: Vec<String>,
}

impl Report {
    pub(super) fn unsigned(kind: Kind) -> Self {
        Self { kind, signatures: Vec::new(), quirks: Vec::new() }
    }

    /// The main result in a word; `UNSIGNED` if there is no signature.
    pub fn word(&self) -> String {
        word(self.indication())
    }

    /// The worst of the signatures; `None` if there is none.
    pub fn indication(&self) -> Option<Indication> {
        self.signatures.iter().map(|signature| signature.verdict.indication).max()
    }
}

/// An indication in a word; `UNSIGNED` if there is none.
pub fn word(indication: Option<Indication>) -> String {
    indication.map_or_else(|| "UNSIGNED".to_owned(), |indication| indication.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_decides_and_stands_first() {
        let mut findings = Findings::default();
        findings.unjudged("NOT_JUDGED", "Not judged.");
        findings.doubt(SubIndication::TryLater, "NO_CRL", "No CRL.");
        findings.failed(SubIndication::HashFailure, "DIGEST", "The digest differs.");
        findings.doubt(SubIndication::RevokedNoPoe, "REVOKED", "Revoked.");
        assert_eq!(findings.worst(), Some(SubIndication::HashFailure));
        let verdict = findings.conclude(None);
        assert_eq!(verdict.indication().to_string(), "TOTAL-FAILED");
        assert_eq!(verdict.sub_indication().unwrap().to_string(), "HASH_FAILURE");
        let codes: Vec<_> = verdict.reasons().iter().map(|reason| reason.code).collect();
        assert_eq!(codes, ["DIGEST", "REVOKED", "NO_CRL", "NOT_JUDGED"]);
    }

    #[test]
    fn no_findings_without_proofs_is_no_pass() {
        let verdict = Findings::default().conclude(None);
        assert_eq!(verdict.indication(), Indication::Indeterminate);
    }
}
