//! One signer of a CMS: who, what exactly was signed, and does the value fit.

use std::sync::Arc;

use ring::digest;

use super::algorithm::{Algorithm, Hash, Key, Outcome};
use super::archive::{Archive, Archived};
use super::asn1::{self, Malformed, Reader, Value, tag};
use super::certificate::Certificate;
use super::cms::{self, Attributes, SignedData, SignerIdentifier, SignerInfo, oid};
use super::content::Content;
use super::crypto_policy::{Strength, Use, Used, Weakness};
use super::evidence::Extent;
use super::past::{self, Made, Occasion};
use super::path::{self, Path, Purpose};
use super::report::{Findings, Signer, SubIndication as Sub, Timestamp, Verdict};
use super::stamps::{self, Inside};
use super::timestamp;
use super::trust::Trust;
use super::value::{self, Fit, Forms};
use crate::clock::Time;
use crate::limits::{CLAIMED_TIME_AHEAD_MAX, CLOCK_SKEW_MAX, LOCAL_TIME_SLACK};

/// Proof that the signature value fits the content and the key, and was made strongly enough.
#[derive(Debug)]
pub(super) struct ValueHolds(());

/// Which rules apply beyond CMS itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Profile {
    /// The signing certificate must be protected (`ETSI.CAdES.detached`).
    Cades,
    /// It may be, and its absence is reported.
    Plain,
    /// It confirms the value of another signature: it must not name a type of content (RFC 5652 §11.4).
    Counter,
    /// A time-stamp token: protected, too (RFC 3161 §2.4.2), and no time-stamps on it are looked at.
    Timestamp,
}

impl Profile {
    /// Whether the signature must say which certificate is its own.
    fn must_protect(self) -> bool {
        matches!(self, Self::Cades | Self::Timestamp)
    }
}

/// Where a CMS stands in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The file is signed from its begin to here.
    pub covered: u64,
    /// Where the CMS ends.
    pub end: u64,
}

/// Everything known about one signer.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub findings: Findings,
    pub value: Option<ValueHolds>,
    /// What a value that fits was made with.
    pub fitting: Option<Used>,
    /// When the signature was made, as far as it is proven.
    pub made: Made,
    pub purpose: Use,
    pub path: Path,
    pub signer: Option<Signer>,
    pub signing_time: Option<Time>,
    pub timestamps: Vec<Timestamp>,
    pub best_time: Option<Time>,
    /// Name of the trust domain at the end of the path.
    pub domain: Option<String>,
    pub quirks: Vec<String>,
}

/// What a hash is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hashed {
    Content,
    /// What a time-stamp is over.
    Imprint,
    /// The reference to the signing certificate.
    Certificate,
}

impl Judged {
    fn strength<'a>(&self, occasion: Occasion<'a>) -> Strength<'a> {
        let policy = occasion.trust.algorithms(&self.path.chain);
        Strength { policy, now: occasion.now, made: self.made }
    }

    /// Holds a hash against the policy, once the path and the time are known. What cannot be computed
    /// here was named already.
    pub fn weigh_hash(&mut self, occasion: Occasion<'_>, what: Hashed, hash: &Hash) {
        if matches!(hash, Hash::Other(_)) {
            return;
        }
        let purpose = if what == Hashed::Certificate { Use::Reference } else { self.purpose };
        let weakness = self.strength(occasion).weakness(&Used::hash(hash), purpose);
        let Some(Weakness { sub, what: weakness }) = weakness else { return };
        let code = if *hash == Hash::Sha1 { "SHA1" } else { "DIGEST_ALGORITHM" };
        let message = match what {
            Hashed::Content => format!("The content is too weakly hashed: {weakness}."),
            Hashed::Imprint => format!("The time-stamp is over too weak a digest: {weakness}."),
            Hashed::Certificate => {
                format!("The signing certificate is named by too weak a digest: {weakness}.")
            }
        };
        self.findings.doubt(sub, code, message);
    }

    /// Asks what depends on the time at which the signature was made, once the path is judged: of the
    /// path, of the hashes of the content, and of the value.
    pub fn settle(
        &mut self,
        occasion: Occasion<'_>,
        purpose: Purpose,
        made: Made,
        hashes: &[Hash],
    ) {
        past::settle(occasion, purpose, made, &mut self.path);
        let domain = occasion.trust.domain(&self.path.chain, purpose.domain_use());
        self.domain = domain.map(|domain| domain.name.clone()).filter(|name| !name.is_empty());
        self.quirks.append(&mut self.path.quirks);
        (self.made, self.purpose) = (made, purpose.made_by());
        for hash in hashes {
            self.weigh_hash(occasion, Hashed::Content, hash);
        }
        self.weigh_value(occasion);
    }

    /// Holds what a fitting value was made with against the policy: this alone proves that the value
    /// holds.
    fn weigh_value(&mut self, occasion: Occasion<'_>) {
        let Some(used) = self.fitting.take() else { return };
        match self.strength(occasion).weakness(&used, self.purpose) {
            None => self.value = Some(ValueHolds(())),
            Some(Weakness { sub, what }) => {
                let message = format!("The signature fits, but {what}.");
                self.findings.doubt(sub, "SIGNATURE_ALGORITHM", message);
            }
        }
    }

    /// The verdict; `document` is what was found about the file around the CMS.
    pub fn conclude(&mut self, document: Findings) -> Verdict {
        let mut findings = std::mem::take(&mut self.findings);
        findings.append(document);
        findings.append(std::mem::take(&mut self.path.findings));
        findings.conclude(self.value.as_ref().zip(self.path.holds.as_ref()))
    }
}

/// The certificates of a CMS that can be read.
pub(super) fn certificates(
    trust: &Trust,
    data: &SignedData<'_>,
    quirks: &mut Vec<String>,
) -> Vec<Arc<Certificate>> {
    let mut certificates = Vec::new();
    for der in &data.certificates {
        match trust.certificate(der) {
            Ok(certificate) => certificates.push(certificate),
            Err(_) => quirks.push("a certificate in the CMS cannot be read".to_owned()),
        }
    }
    certificates
}

/// What judging a signer needs beside the signer itself.
pub(super) struct Context<'a> {
    pub occasion: Occasion<'a>,
    pub data: &'a SignedData<'a>,
    pub certificates: &'a [Arc<Certificate>],
    pub profile: Profile,
    pub place: Option<Place>,
}

/// Judges one signer over `content`.
pub(super) fn judge(
    context: &Context<'_>,
    info: &SignerInfo<'_>,
    content: &mut Content<'_>,
) -> Judged {
    let mut judged = Judged::default();
    let Some(signer) = find(context, info) else {
        judged.findings.doubt(
            Sub::NoSigningCertificateFound,
            "SIGNER_CERTIFICATE_MISSING",
            "The certificate of the signer is neither in the signature nor known here.",
        );
        // Without the key the value cannot be judged, but a wrong digest is wrong in any case.
        check_content(context, info, content, &mut judged);
        if info.signed_attributes.is_some() {
            let hash = Hash::from_oid(info.digest_algorithm);
            judged.weigh_hash(context.occasion, Hashed::Content, &hash);
        }
        return judged;
    };
    let message = check_content(context, info, content, &mut judged);
    check_signing_certificate(context, info, &signer, &mut judged);
    if let Some(message) = message {
        check_value(info, &signer, &message, &mut judged);
    }
    // A signature inside of a PDF is archived by time-stamps over the file.
    let archive = Archive::of(info).filter(|_| context.place.is_none());
    let extent = match &archive {
        Some(archive) => Extent::Archived(archive),
        None => Extent::File(context.place.map(|place| place.end)),
    };
    let occasion = context.occasion;
    let material = occasion.material.with_cms(occasion.trust, context.data, info, extent);
    let mut occasion = Occasion { material: &material, ..occasion };
    let mut archived = Archived::default();
    if let Some(archive) = &archive {
        archived = archive.judge(occasion, context.data, info, content);
        occasion.proofs = &archived.proofs;
    }
    let made = made(context, occasion, info, content, (archive.as_ref(), &mut judged));
    judged.findings.append(archived.findings);
    judged.quirks.append(&mut archived.quirks);
    judged.timestamps.append(&mut archived.timestamps);
    check_claims(context, info, &mut judged);
    judged.signer = Some(signer.to_signer());
    let purpose = match context.profile {
        Profile::Timestamp => Purpose::Timestamp,
        Profile::Cades | Profile::Plain | Profile::Counter => Purpose::Document,
    };
    let candidates = [context.certificates, &material.certificates].concat();
    judged.path = path::judge(occasion.trust, occasion.now, purpose, &signer, &candidates);
    let hash = info.signed_attributes.is_some().then(|| Hash::from_oid(info.digest_algorithm));
    judged.settle(occasion, purpose, made, hash.as_slice());
    if let Some(Ok(Some(named))) = info.signed_attributes.as_ref().map(reference) {
        judged.weigh_hash(occasion, Hashed::Certificate, &named.hash);
    }
    judged
}

/// When the signature was made, as far as time-stamps prove it.
fn made(
    context: &Context<'_>,
    occasion: Occasion<'_>,
    info: &SignerInfo<'_>,
    content: &mut Content<'_>,
    (archive, judged): (Option<&Archive<'_>>, &mut Judged),
) -> Made {
    if context.profile == Profile::Timestamp {
        return timestamp::made(occasion, context.place, context.data);
    }
    let place = archive.map(Archive::place).or(context.place);
    let by = place.and_then(|place| occasion.proofs.of(place.end));
    let after = place.and_then(|place| occasion.proofs.inside(place.covered));
    let place_of = |value: &Value<'_>| match archive {
        Some(archive) => {
            let end = archive.end_of_attribute(info, oid::TIMESTAMP_TOKEN, value.raw);
            Some(Place { covered: 0, end })
        }
        None => context.place,
    };
    let inside = Inside { info, place, place_of: &place_of };
    let made = stamps::judge(occasion, inside, content, judged, (after, by));
    judged.best_time = made.by;
    made
}

fn find(context: &Context<'_>, info: &SignerInfo<'_>) -> Option<Arc<Certificate>> {
    let fits = |certificate: &&Arc<Certificate>| match &info.identifier {
        SignerIdentifier::IssuerAndSerial(issuer, serial) => {
            certificate.issuer.canonical == *issuer && certificate.serial == *serial
        }
        SignerIdentifier::KeyIdentifier(key) => {
            certificate.constraints.subject_key.as_deref() == Some(key.as_ref())
        }
    };
    // Two certificates may share a name and a number; the protected reference decides.
    let protected = info.signed_attributes.as_ref().and_then(|a| reference(a).ok().flatten());
    let brought = context.certificates.iter().chain(&context.occasion.material.certificates);
    let mut candidates: Vec<_> = brought.filter(fits).collect();
    if candidates.is_empty() {
        candidates = context.occasion.trust.all().filter(fits).collect();
    }
    let matching = candidates
        .iter()
        .find(|certificate| protected.as_ref().is_some_and(|r| r.fits(certificate) == Some(true)));
    matching.or(candidates.first()).map(|certificate| Arc::clone(certificate))
}

/// The signed bytes in the one or two forms in which they may have been signed.
enum Message {
    Attributes { stored: Vec<u8>, sorted: Option<Vec<u8>> },
    Content(Vec<u8>),
}

/// Compares the content with what the attributes say about it (C1, C2).
fn check_content(
    context: &Context<'_>,
    info: &SignerInfo<'_>,
    content: &mut Content<'_>,
    judged: &mut Judged,
) -> Option<Message> {
    let hash = Hash::from_oid(info.digest_algorithm);
    let Some(attributes) = &info.signed_attributes else {
        return plain_message(context, content, judged);
    };
    let findings = &mut judged.findings;
    match attributes.single(oid::CONTENT_TYPE) {
        _ if context.profile == Profile::Counter => {
            if attributes.count(oid::CONTENT_TYPE) > 0 {
                judged.quirks.push("the counter-signature names a type of content".to_owned());
            }
        }
        Ok(value) if value.content == context.data.content_type => {}
        _ => findings.failed(
            Sub::FormatFailure,
            "CONTENT_TYPE",
            "The signed content type is missing, doubled or names another type.",
        ),
    }
    let claimed =
        attributes.single(oid::MESSAGE_DIGEST).and_then(|value| value.octets(tag::OCTET_STRING));
    match (claimed, content.digest(&hash)) {
        (Err(_), _) => findings.failed(
            Sub::FormatFailure,
            "MESSAGE_DIGEST",
            "The signed digest of the content is missing or doubled.",
        ),
        (_, Err(_)) => findings.doubt(
            Sub::SignedDataNotFound,
            "CONTENT_UNREADABLE",
            "The signed content could not be read.",
        ),
        (Ok(_), Ok(None)) => findings.doubt(
            Sub::CryptoConstraintsFailure,
            "DIGEST_NOT_JUDGED",
            format!(
                "The content is hashed with {}, which this version does not judge.",
                hash.name()
            ),
        ),
        (Ok(claimed), Ok(Some(actual))) if claimed.as_ref() != actual => findings.failed(
            Sub::HashFailure,
            "DIGEST_DIFFERS",
            "The content was changed after signing: its digest differs from the signed one.",
        ),
        (Ok(_), Ok(Some(_))) => {}
    }
    let sorted = attributes.der_sorted();
    Some(Message::Attributes { stored: attributes.as_stored(), sorted })
}

/// A signature without signed attributes is over the content itself.
fn plain_message(
    context: &Context<'_>,
    content: &Content<'_>,
    judged: &mut Judged,
) -> Option<Message> {
    judged.quirks.push("the signature has no signed attributes".to_owned());
    let findings = &mut judged.findings;
    if context.data.content_type != oid::DATA && context.profile != Profile::Counter {
        findings.failed(
            Sub::FormatFailure,
            "ATTRIBUTES_MISSING",
            "Signed attributes are required for this type of content.",
        );
    }
    match content.bytes() {
        Ok(Some(bytes)) => {
            if looks_like_attributes(&bytes) {
                findings.failed(
                    Sub::FormatFailure,
                    "CONTENT_IS_ATTRIBUTES",
                    "The content is itself a set of signed attributes of another signature.",
                );
            }
            Some(Message::Content(bytes.into_owned()))
        }
        Ok(None) => {
            findings.unjudged(
                "CONTENT_TOO_LARGE",
                "The content is too large for a signature without signed attributes.",
            );
            None
        }
        Err(_) => {
            findings.doubt(
                Sub::SignedDataNotFound,
                "CONTENT_UNREADABLE",
                "The signed content could not be read.",
            );
            None
        }
    }
}

fn looks_like_attributes(bytes: &[u8]) -> bool {
    let Ok(set) = asn1::only(bytes, tag::SET) else { return false };
    let first = set.children().expect(tag::SEQUENCE);
    first.is_ok_and(|attribute| attribute.children().expect(tag::OBJECT_IDENTIFIER).is_ok())
}

fn check_value(
    info: &SignerInfo<'_>,
    signer: &Certificate,
    message: &Message,
    judged: &mut Judged,
) {
    let hash = Hash::from_oid(info.digest_algorithm);
    let Ok(algorithm) = Algorithm::from_identifier(info.algorithm_raw) else {
        return judged.findings.failed(
            Sub::FormatFailure,
            "ALGORITHM_UNREADABLE",
            "The signature algorithm cannot be read.",
        );
    };
    if matches!(signer.key, Key::Rsa { repaired: true, .. }) {
        judged.quirks.push("the RSA modulus is written as a negative number".to_owned());
    }
    let forms = match message {
        Message::Content(bytes) => Forms { stored: bytes, sorted: None },
        Message::Attributes { stored, sorted } => Forms { stored, sorted: sorted.as_deref() },
    };
    let Fit { outcome, names_digest_algorithm, quirks } =
        value::judge(&signer.key, &algorithm, &hash, &forms, &info.value);
    judged.quirks.extend(quirks);
    let names_differ = algorithm.hash().is_some_and(|named| *named != hash);
    let findings = &mut judged.findings;
    if names_differ && !names_digest_algorithm {
        findings.doubt(
            Sub::SigConstraintsFailure,
            "HASH_NAMES_DIFFER",
            "The signature names two different hash algorithms.",
        );
    }
    // RFC 8419 §2.3 leaves no choice beside signed attributes.
    let is_attributes = matches!(message, Message::Attributes { .. });
    if algorithm == Algorithm::Ed25519 && is_attributes && hash != Hash::Sha512 {
        findings.doubt(
            Sub::SigConstraintsFailure,
            "DIGEST_OF_ED25519",
            format!("Ed25519 asks for SHA-512, but the content is hashed with {}.", hash.name()),
        );
    }
    judged.fitting = fitting(outcome, findings);
}

/// What a value that fits was made with, or what speaks against it.
pub(super) fn fitting(outcome: Outcome, findings: &mut Findings) -> Option<Used> {
    match outcome {
        Outcome::Valid { used } => return Some(used),
        Outcome::Invalid => findings.failed(
            Sub::SigCryptoFailure,
            "SIGNATURE_VALUE",
            "The signature was not made with the signer's key, or what it signs was changed.",
        ),
        Outcome::Unsupported(name) => findings.doubt(
            Sub::CryptoConstraintsFailure,
            "ALGORITHM_NOT_JUDGED",
            format!("The signature uses {name}, which this version does not judge."),
        ),
    }
    None
}

/// The first reference of an ESS signing-certificate attribute (RFC 5035).
struct Reference<'a> {
    hash: Hash,
    digest: &'a [u8],
}

impl Reference<'_> {
    /// `None` if the hash is not computed here.
    fn fits(&self, certificate: &Certificate) -> Option<bool> {
        let algorithm = self.hash.ring()?;
        Some(digest::digest(algorithm, &certificate.der).as_ref() == self.digest)
    }
}

fn reference<'a>(attributes: &Attributes<'a>) -> Result<Option<Reference<'a>>, Malformed> {
    let second = attributes.count(oid::SIGNING_CERTIFICATE_V2) > 0;
    if !second && attributes.count(oid::SIGNING_CERTIFICATE) == 0 {
        return Ok(None);
    }
    let kind = if second { oid::SIGNING_CERTIFICATE_V2 } else { oid::SIGNING_CERTIFICATE };
    let mut list = attributes.single(kind)?.children().expect(tag::SEQUENCE)?.children();
    let mut first = list.expect(tag::SEQUENCE)?.children();
    let hash = match (second, first.optional(tag::SEQUENCE)?) {
        (true, Some(identifier)) => identifier_hash(identifier)?,
        (true, None) => Hash::Sha256,
        (false, _) => Hash::Sha1,
    };
    Ok(Some(Reference { hash, digest: first.expect(tag::OCTET_STRING)?.content }))
}

fn identifier_hash(identifier: Value<'_>) -> Result<Hash, Malformed> {
    Ok(Hash::from_oid(Reader::new(identifier.content).expect(tag::OBJECT_IDENTIFIER)?.content))
}

/// C3: a certificate with the same key must not be put in the place of the signer's.
fn check_signing_certificate(
    context: &Context<'_>,
    info: &SignerInfo<'_>,
    signer: &Certificate,
    judged: &mut Judged,
) {
    let reference = info.signed_attributes.as_ref().map_or(Ok(None), reference);
    let findings = &mut judged.findings;
    match reference {
        Ok(Some(reference)) => match reference.fits(signer) {
            Some(true) => {}
            Some(false) => findings.doubt(
                Sub::NoSigningCertificateFound,
                "SIGNING_CERTIFICATE_DIFFERS",
                "The signed reference names another certificate than the one in the signature.",
            ),
            None => findings.doubt(
                Sub::CryptoConstraintsFailure,
                "DIGEST_NOT_JUDGED",
                format!(
                    "The signing certificate is named with {}, which this version does not judge.",
                    reference.hash.name()
                ),
            ),
        },
        Ok(None) if context.profile.must_protect() => findings.doubt(
            Sub::SigConstraintsFailure,
            "SIGNING_CERTIFICATE_UNPROTECTED",
            "The signature does not protect its signing certificate, as its format demands: the \
             attribute signing-certificate is missing.",
        ),
        Ok(None) => {
            judged.quirks.push("the signing certificate is not protected by the signature".into());
        }
        Err(_) => findings.doubt(
            Sub::SigConstraintsFailure,
            "SIGNING_CERTIFICATE_UNREADABLE",
            "The signed reference to the signing certificate is doubled or cannot be read.",
        ),
    }
}

/// The signing time, which is claimed and decides nothing.
fn check_claims(context: &Context<'_>, info: &SignerInfo<'_>, judged: &mut Judged) {
    if let Some(attributes) = &info.signed_attributes {
        judged.signing_time = attributes.single(oid::SIGNING_TIME).ok().and_then(cms::time);
        if attributes.count(oid::SIGNING_TIME) > 1 {
            judged.quirks.push("the signing time is stated more than once".to_owned());
        }
    }
    if let Some(claimed) = judged.signing_time.filter(|_| context.profile != Profile::Timestamp) {
        let now = context.occasion.now;
        judged.quirks.extend(claimed_time_quirk(now, judged.best_time, claimed));
    }
}

/// A claimed time that cannot be: later than now, or than a time-stamp on the signature. Clocks that
/// run seven hours ahead write local time as UTC; that is odd, and no more.
pub(super) fn claimed_time_quirk(
    now: Time,
    best_time: Option<Time>,
    claimed: Time,
) -> Option<String> {
    let known = best_time.unwrap_or(now);
    let ahead = claimed.since(known);
    if claimed > now && ahead <= CLAIMED_TIME_AHEAD_MAX {
        return Some(
            "the claimed signing time lies in the future, perhaps local time written as UTC".into(),
        );
    }
    if claimed > now && best_time.is_none() {
        return Some("the claimed signing time lies in the future".into());
    }
    if ahead.abs_diff(CLAIMED_TIME_AHEAD_MAX) <= LOCAL_TIME_SLACK {
        return Some(
            "the claimed signing time is seven hours later than the time-stamp, probably local \
             time written as UTC"
                .into(),
        );
    }
    let is_later = best_time.is_some() && ahead > CLOCK_SKEW_MAX;
    is_later.then(|| "the claimed signing time is later than the time-stamp".into())
}
