//! XAdES (EN 319 132-1, TS 101 903): the qualifying properties of a signature.
//!
//! Signed properties count only if a reference of this very signature covers them.

use roxmltree::Node;

use super::element::{self, algorithm, elements, offset, only};
use super::key_info::CertificateDigest;
use super::names;
use super::parts::Parts;
use super::reference::Referred;
use super::stamp;
use crate::clock::Time;
use crate::limits::CERTIFICATES_MAX;
use crate::signature::evidence::{Material, Packing};
use crate::signature::report::{Findings, SubIndication as Sub};
use crate::signature::trust::Trust;

/// What the properties of a signature say.
#[derive(Default)]
pub struct Properties<'a, 't> {
    /// Whether there are any.
    pub is_present: bool,
    pub signing_certificates: Option<Vec<CertificateDigest>>,
    pub signing_time: Option<Time>,
    /// SignedSignatureProperties and SignedDataObjectProperties, where they are covered.
    pub signed: Vec<Node<'a, 't>>,
    /// UnsignedSignatureProperties.
    pub unsigned: Option<Node<'a, 't>>,
    pub quirks: Vec<String>,
}

/// A child by its name in any edition of XAdES.
pub fn child<'a, 't>(node: Node<'a, 't>, name: &str) -> Option<Node<'a, 't>> {
    elements(node).find(|child| is_named(child, name))
}

/// Whether an element has this name in any edition of XAdES.
pub fn is_named(node: &Node<'_, '_>, name: &str) -> bool {
    let tag = node.tag_name();
    tag.name() == name
        && tag
            .namespace()
            .is_some_and(|space| names::XADES_ALL.contains(&space) || space == names::XADES141)
}

impl<'a, 't> Properties<'a, 't> {
    pub fn read(
        parts: &Parts<'a, 't>,
        references: &[Referred<'a, 't>],
        findings: &mut Findings,
    ) -> Self {
        let mut properties = Self::default();
        let inside = parts.objects.iter().flat_map(|object| elements(*object));
        let qualifying: Vec<_> =
            inside.filter(|node| is_named(node, "QualifyingProperties")).collect();
        let (&[first], false) = (&qualifying[..], qualifying.is_empty()) else {
            if qualifying.len() > 1 {
                properties.is_present = true;
                findings.failed_at(
                    Sub::FormatFailure,
                    "PROPERTIES_DOUBLED",
                    "The signature has several sets of properties.",
                    qualifying.get(1).copied().and_then(offset),
                );
            }
            return properties;
        };
        properties.is_present = true;
        let target = first.attribute("Target").and_then(|target| target.strip_prefix('#'));
        if target.is_none() || target != parts.id() {
            findings.doubt_at(
                Sub::SigConstraintsFailure,
                "PROPERTIES_TARGET",
                "The properties of the signature say that they belong to another one.",
                offset(first),
            );
        }
        let unsigned = child(first, "UnsignedProperties");
        properties.unsigned = unsigned.and_then(|node| child(node, "UnsignedSignatureProperties"));
        let signed = child(first, "SignedProperties");
        match signed.filter(|signed| is_covered(*signed, references)) {
            Some(signed) => properties.read_signed(signed, findings),
            None => findings.doubt_at(
                Sub::SigConstraintsFailure,
                "PROPERTIES_NOT_SIGNED",
                "The properties of the signature are not signed, as its format demands.",
                offset(first),
            ),
        }
        properties
    }

    fn read_signed(&mut self, signed: Node<'a, 't>, findings: &mut Findings) {
        self.signed = elements(signed).collect();
        let Some(properties) = child(signed, "SignedSignatureProperties") else { return };
        let certificate =
            child(properties, "SigningCertificateV2").or(child(properties, "SigningCertificate"));
        if let Some(certificate) = certificate {
            let digests: Option<Vec<_>> = elements(certificate)
                .filter(|node| is_named(node, "Cert"))
                .take(CERTIFICATES_MAX)
                .map(certificate_digest)
                .collect();
            match digests.filter(|digests| !digests.is_empty()) {
                Some(digests) => self.signing_certificates = Some(digests),
                None => findings.doubt_at(
                    Sub::SigConstraintsFailure,
                    "SIGNING_CERTIFICATE_UNREADABLE",
                    "The signed reference to the signing certificate is doubled or cannot be read.",
                    offset(certificate),
                ),
            }
        }
        if let Some(time) = child(properties, "SigningTime") {
            self.signing_time = element::text(time).and_then(moment);
            if self.signing_time.is_none() {
                self.quirks.push("the claimed signing time cannot be read".to_owned());
            }
        }
        let policy = child(properties, "SignaturePolicyIdentifier")
            .and_then(|node| child(node, "SignaturePolicyId"));
        if let Some(policy) = policy {
            let id = child(policy, "SigPolicyId").and_then(|node| child(node, "Identifier"));
            let name = id.and_then(element::text).unwrap_or("a policy without a name").trim();
            self.quirks.push(format!(
                "the signature follows a policy of its own, which was not judged: {name}"
            ));
        }
    }

    /// Certificates and revocation data in the unsigned properties: candidates, no more.
    pub fn add_to(&self, trust: &Trust, material: &mut Material) {
        for (number, values) in self.unsigned.into_iter().flat_map(elements).enumerate() {
            let end = stamp::end_of(number);
            let tag = values.tag_name().name();
            match tag {
                "CertificateValues" | "AttrAuthoritiesCertValues" => {
                    certificates(values, trust, material)
                }
                "RevocationValues" | "AttributeRevocationValues" => {
                    revocations(values, end, material)
                }
                "TimeStampValidationData" | "AnyValidationData" => {
                    for inner in elements(values) {
                        match inner.tag_name().name() {
                            "CertificateValues" => certificates(inner, trust, material),
                            "RevocationValues" => revocations(inner, end, material),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

fn certificates(values: Node<'_, '_>, trust: &Trust, material: &mut Material) {
    for certificate in elements(values).filter(|node| is_named(node, "EncapsulatedX509Certificate"))
    {
        if let Some(der) = element::bytes(certificate) {
            material.add_certificate(trust, &der);
        }
    }
}

/// `end` is where the property stands that holds them.
fn revocations(values: Node<'_, '_>, end: u64, material: &mut Material) {
    for value in elements(values).flat_map(elements) {
        let packing = match value.tag_name().name() {
            "EncapsulatedCRLValue" => Packing::List,
            "EncapsulatedOCSPValue" => Packing::Response,
            _ => continue,
        };
        if let Some(der) = element::bytes(value) {
            material.add(packing, &der, Some(end));
        }
    }
}

/// Whether a reference that holds is to this element or to one around it, within the signature.
fn is_covered(node: Node<'_, '_>, references: &[Referred<'_, '_>]) -> bool {
    let sets = references.iter().filter(|one| one.covered.holds);
    sets.filter_map(|one| one.nodes.as_ref()).any(|set| set.covers(&node))
}

fn certificate_digest(cert: Node<'_, '_>) -> Option<CertificateDigest> {
    let digest = child(cert, "CertDigest")?;
    let method = only(digest, names::DSIG, "DigestMethod")?;
    let value = only(digest, names::DSIG, "DigestValue")?;
    Some(CertificateDigest {
        algorithm: algorithm(method).to_owned(),
        value: element::bytes(value)?,
    })
}

/// `xs:dateTime`; without a zone it is taken for UTC.
fn moment(text: &str) -> Option<Time> {
    let text = text.trim();
    let read = |text: &str| text.parse::<jiff::Timestamp>().ok();
    let moment = read(text).or_else(|| read(&format!("{text}Z")))?;
    Some(Time::from_millis(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let expected: Time = "2026-11-22T03:45:18.000Z".parse().unwrap();
        for text in ["2026-11-22T03:45:18Z", " 2026-11-22T10:45:18+07:00\n", "2026-11-22T03:45:18"]
        {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
        assert_eq!(moment("yesterday"), None);
    }
}
