//! KeyInfo: certificates and keys that the signer suggests. Nothing in it is trusted.

use std::sync::Arc;

use roxmltree::Node;

use super::algorithm::{self, positive};
use super::element::{self, elements, only};
use super::names;
use super::reference::Scene;
use super::stamp;
use crate::limits::CERTIFICATES_MAX;
use crate::signature::algorithm::Key;
use crate::signature::asn1::{encode, tag, trimmed};
use crate::signature::certificate::Certificate;
use crate::signature::content::Content;
use crate::signature::evidence::{Material, Packing};
use crate::signature::report::{Findings, SubIndication as Sub};
use crate::signature::trust::Trust;

/// A coordinate on P-521 has 157; 72 bytes hold 173.
const DECIMAL_DIGITS_MAX: usize = 160;

/// What a KeyInfo says.
#[derive(Default)]
pub struct KeyInfo {
    /// Certificates in the order in which they stand there.
    pub certificates: Vec<Arc<Certificate>>,
    hints: Vec<Hint>,
    pub key: Option<Key>,
    pub quirks: Vec<String>,
}

/// How a certificate is named beside being there.
enum Hint {
    Serial(Vec<u8>),
    KeyIdentifier(Vec<u8>),
    Digest(String, Vec<u8>),
    Subject(String),
}

/// A digest of a certificate, from XAdES or KeyInfo.
pub struct CertificateDigest {
    pub algorithm: String,
    pub value: Vec<u8>,
}

impl CertificateDigest {
    /// `None` if the hash is not computed here.
    pub fn fits(&self, certificate: &Certificate) -> Option<bool> {
        let hash = algorithm::hash(&self.algorithm);
        let digest = Content::whole_of(&certificate.der).digest(&hash).ok().flatten()?;
        Some(digest == self.value)
    }
}

impl KeyInfo {
    /// Reads it; revocation data goes into `material`.
    pub fn read(
        scene: Scene<'_, '_>,
        trust: &Trust,
        node: Option<Node<'_, '_>>,
        material: &mut Material,
        findings: &mut Findings,
    ) -> Self {
        let mut info = Self::default();
        for child in node.into_iter().flat_map(elements).take(CERTIFICATES_MAX) {
            let name = child.tag_name();
            match (name.namespace(), name.name()) {
                (Some(names::DSIG), "X509Data") => info.x509(trust, child, material, findings),
                (Some(names::DSIG), "KeyValue") => info.key_value(child),
                (Some(names::DSIG11), "DEREncodedKeyValue") => {
                    info.key = element::bytes(child).and_then(|der| Key::from_info(&der).ok());
                }
                (Some(names::DSIG), "RetrievalMethod")
                | (Some(names::DSIG11), "KeyInfoReference") => {
                    info.retrieve(scene, trust, child, material, findings);
                }
                (Some(names::DSIG), "KeyName") => {
                    let name = element::text(child).map(|text| text.trim().to_owned());
                    info.hints.extend(name.map(Hint::Subject));
                }
                (Some(names::DSIG), "MgmtData") => {}
                (_, other) => {
                    info.quirks.push(format!("“{other}” in KeyInfo was not looked at"));
                }
            }
        }
        info
    }

    fn x509(
        &mut self,
        trust: &Trust,
        data: Node<'_, '_>,
        material: &mut Material,
        findings: &mut Findings,
    ) {
        for child in elements(data).take(CERTIFICATES_MAX) {
            if child.children().any(|inner| inner.is_comment() || inner.is_pi()) {
                findings.failed_at(
                    Sub::FormatFailure,
                    "VALUE_NOT_TEXT",
                    "Something stands within the description of the key that is not text.",
                    element::offset(child),
                );
                continue;
            }
            match child.tag_name().name() {
                "X509Certificate" => self.certificate(trust, child),
                "X509CRL" => {
                    if let Some(der) = element::bytes(child) {
                        material.add(Packing::List, &der, Some(stamp::KEY_INFO));
                    }
                }
                "X509IssuerSerial" => {
                    let serial = only(child, names::DSIG, "X509SerialNumber");
                    let digits = serial.and_then(element::text).and_then(decimal);
                    self.hints.extend(digits.map(Hint::Serial));
                }
                "X509SKI" => self.hints.extend(element::bytes(child).map(Hint::KeyIdentifier)),
                "X509Digest" => {
                    let uri = element::algorithm(child).to_owned();
                    self.hints.extend(element::bytes(child).map(|value| Hint::Digest(uri, value)));
                }
                "X509SubjectName" => {
                    let subject = element::text(child).map(|text| text.trim().to_owned());
                    self.hints.extend(subject.map(Hint::Subject));
                }
                _ => {}
            }
        }
    }

    fn certificate(&mut self, trust: &Trust, node: Node<'_, '_>) {
        let read = element::bytes(node).and_then(|der| trust.certificate(&der).ok());
        match read {
            Some(certificate) if self.certificates.len() < CERTIFICATES_MAX => {
                self.certificates.push(certificate);
            }
            Some(_) => {}
            None => self.quirks.push("a certificate in KeyInfo cannot be read".to_owned()),
        }
    }

    /// What KeyInfo points at, in this document or among the files at hand: candidates like others.
    fn retrieve(
        &mut self,
        scene: Scene<'_, '_>,
        trust: &Trust,
        method: Node<'_, '_>,
        material: &mut Material,
        findings: &mut Findings,
    ) {
        let uri = method.attribute("URI").unwrap_or_default();
        let found = uri.strip_prefix('#').map(|id| scene.tree.with_id(id)).unwrap_or_default();
        match found[..] {
            [node] if node.has_tag_name((names::DSIG, "X509Data")) => {
                self.x509(trust, node, material, findings);
            }
            [node] if node.has_tag_name((names::DSIG, "KeyValue")) => self.key_value(node),
            [node] if node.has_tag_name((names::DSIG, "KeyInfo")) => {
                for data in element::all(node, names::DSIG, "X509Data") {
                    self.x509(trust, data, material, findings);
                }
            }
            _ => self.quirks.push(format!("the key at “{uri}” was not fetched")),
        }
    }

    fn key_value(&mut self, node: Node<'_, '_>) {
        let info = elements(node).next().and_then(public_key);
        match info.and_then(|info| Key::from_info(&info).ok()) {
            Some(key) => self.key = Some(key),
            None => self.quirks.push("the key in KeyInfo is of a kind that is not read".to_owned()),
        }
    }

    /// Whether a certificate is named in other ways, too; `None` if nothing is said.
    fn is_named(&self, certificate: &Certificate) -> Option<bool> {
        let fits = |hint: &Hint| match hint {
            Hint::Serial(serial) => certificate.serial == *serial,
            Hint::KeyIdentifier(id) => certificate.constraints.subject_key.as_ref() == Some(id),
            Hint::Subject(subject) => {
                let name = &certificate.subject;
                let is_text = squeezed(&name.text) == squeezed(subject);
                is_text || name.common_name.as_ref() == Some(subject)
            }
            Hint::Digest(algorithm, value) => {
                let (algorithm, value) = (algorithm.clone(), value.clone());
                CertificateDigest { algorithm, value }.fits(certificate) == Some(true)
            }
        };
        (!self.hints.is_empty()).then(|| self.hints.iter().any(fits))
    }

    /// Those that may be the signer's, the likeliest first.
    pub fn candidates(&self, trust: &Trust, material: &Material) -> Vec<Arc<Certificate>> {
        let issues = |certificate: &Certificate| {
            let mut others = self.certificates.iter();
            others.any(|other| {
                other.fingerprint() != certificate.fingerprint()
                    && other.issuer.canonical == certificate.subject.canonical
            })
        };
        let mut candidates = self.certificates.clone();
        candidates.sort_by_key(|certificate| {
            let is_key = self.key.as_ref().map(|key| *key == certificate.key);
            (self.is_named(certificate) == Some(false), is_key == Some(false), issues(certificate))
        });
        if candidates.is_empty() {
            let known = material.certificates.iter().chain(trust.all());
            let named = known.filter(|certificate| {
                self.is_named(certificate).unwrap_or(false)
                    || self.key.as_ref().is_some_and(|key| *key == certificate.key)
            });
            candidates.extend(named.take(CERTIFICATES_MAX).cloned());
        }
        candidates
    }
}

/// A name as it is compared for a hint: blanks and case set aside.
fn squeezed(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// The bytes of a decimal number, as serial numbers are written.
pub fn decimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes();
    if digits.is_empty() || digits.len() > DECIMAL_DIGITS_MAX {
        return None;
    }
    let mut number = vec![0_u8; 72];
    for digit in digits {
        let mut carry = u16::from(digit.checked_sub(b'0').filter(|&digit| digit < 10)?);
        for byte in number.iter_mut().rev() {
            let value = u16::from(*byte) * 10 + carry;
            let [high, low] = value.to_be_bytes();
            (*byte, carry) = (low, u16::from(high));
        }
    }
    Some(trimmed(&number).to_vec())
}

/// SubjectPublicKeyInfo of a KeyValue.
fn public_key(value: Node<'_, '_>) -> Option<Vec<u8>> {
    let number = |name| only(value, names::DSIG, name).and_then(element::bytes);
    let name = value.tag_name();
    match (name.namespace(), name.name()) {
        (Some(names::DSIG), "RSAKeyValue") => {
            let (modulus, exponent) = (number("Modulus")?, number("Exponent")?);
            let key = encode(tag::SEQUENCE, &[&positive(&modulus), &positive(&exponent)]);
            let oid = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
            Some(info(&oid, &[0x05, 0x00], &key))
        }
        (Some(names::DSIG), "DSAKeyValue") => {
            let [p, q, g] = [number("P")?, number("Q")?, number("G")?];
            let parameters = encode(tag::SEQUENCE, &[&positive(&p), &positive(&q), &positive(&g)]);
            let oid = [0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
            Some(info(&oid, &parameters, &positive(&number("Y")?)))
        }
        (Some(names::DSIG11), "ECKeyValue") => {
            let curve = only(value, names::DSIG11, "NamedCurve")?.attribute("URI")?;
            let point = element::bytes(only(value, names::DSIG11, "PublicKey")?)?;
            curve_key(curve, &point)
        }
        // RFC 4050, which came before XML-DSig 1.1 and writes numbers in decimal.
        (Some(names::MORE), "ECDSAKeyValue") => {
            let domain = only(value, names::MORE, "DomainParameters")?;
            let curve = only(domain, names::MORE, "NamedCurve")?.attribute("URN")?;
            let key = only(value, names::MORE, "PublicKey")?;
            let number = |name| only(key, names::MORE, name)?.attribute("Value").and_then(decimal);
            let (_, size) = curve_of(curve)?;
            let mut point = vec![4];
            for number in [number("X")?, number("Y")?] {
                point.extend(std::iter::repeat_n(0, size.checked_sub(number.len())?));
                point.extend(number);
            }
            curve_key(curve, &point)
        }
        _ => None,
    }
}

/// The object identifier of a curve, and the size of a coordinate on it.
fn curve_of(urn: &str) -> Option<(&'static [u8], usize)> {
    match urn.strip_prefix("urn:oid:")? {
        "1.2.840.10045.3.1.7" => Some((&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], 32)),
        "1.3.132.0.34" => Some((&[0x2b, 0x81, 0x04, 0x00, 0x22], 48)),
        "1.3.132.0.35" => Some((&[0x2b, 0x81, 0x04, 0x00, 0x23], 66)),
        _ => None,
    }
}

fn curve_key(urn: &str, point: &[u8]) -> Option<Vec<u8>> {
    let (curve, _) = curve_of(urn)?;
    let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    Some(info(&oid, &encode(tag::OBJECT_IDENTIFIER, &[curve]), point))
}

fn info(oid: &[u8], parameters: &[u8], key: &[u8]) -> Vec<u8> {
    let oid = encode(tag::OBJECT_IDENTIFIER, &[oid]);
    let algorithm = encode(tag::SEQUENCE, &[&oid, parameters]);
    encode(tag::SEQUENCE, &[&algorithm, &encode(tag::BIT_STRING, &[&[0], key])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_serial_numbers_become_bytes() {
        assert_eq!(decimal("0"), Some(vec![]));
        assert_eq!(decimal(" 256 "), Some(vec![1, 0]));
        assert_eq!(decimal("340282366920938463463374607431768211455"), Some(vec![0xff; 16]));
        for wrong in ["", "-1", "1e3", &"9".repeat(161)] {
            assert_eq!(decimal(wrong), None, "{wrong}");
        }
    }
}
