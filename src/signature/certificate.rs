//! X.509 certificates, read once into owned values.
//!
//! Extensions fall in three groups: processed here, harmless, and not judged by this version. A
//! certificate with one of the last group is never part of a passed path.

use std::sync::Arc;

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::{Algorithm, Key, Outcome, verify};
use super::asn1::{self, Malformed, Reader, tag};
use super::name::Name;
use super::report::Signer;
use crate::clock::Time;
use crate::digest::{Sha256, hex};
use crate::limits::CERTIFICATE_SIZE_MAX;

/// A certificate; everything the path needs without parsing again.
#[derive(Debug)]
pub(super) struct Certificate {
    pub der: Arc<[u8]>,
    pub fingerprint: Sha256,
    pub subject: Name,
    pub issuer: Name,
    /// Content octets without leading zeros.
    pub serial: Vec<u8>,
    pub not_before: Time,
    pub not_after: Time,
    pub key: Key,
    pub constraints: Constraints,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    value: Vec<u8>,
}

/// What the extensions say.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    pub is_authority: bool,
    pub path_length: Option<u32>,
    pub key_usage: Option<u16>,
    pub subject_key: Option<Vec<u8>>,
    pub authority_key: Option<Vec<u8>>,
    /// Extended key usage is present and names nothing a document signer needs; `critical`.
    pub foreign_purpose: Option<bool>,
    /// Critical extensions that nobody here knows.
    pub unknown_critical: Vec<String>,
    /// Extensions whose effect this version does not compute.
    pub unjudged: Vec<&'static str>,
}

impl Constraints {
    /// keyUsage bits as x509-parser numbers them.
    const DIGITAL_SIGNATURE: u16 = 1;
    const NON_REPUDIATION: u16 = 1 << 1;
    const KEY_CERT_SIGN: u16 = 1 << 5;
    const CRL_SIGN: u16 = 1 << 6;

    fn allows(&self, bits: u16) -> bool {
        self.key_usage.is_none_or(|usage| usage & bits != 0)
    }

    pub fn may_sign_documents(&self) -> bool {
        self.allows(Self::DIGITAL_SIGNATURE | Self::NON_REPUDIATION)
    }

    pub fn may_sign_certificates(&self) -> bool {
        self.allows(Self::KEY_CERT_SIGN)
    }

    pub fn may_sign_crls(&self) -> bool {
        self.allows(Self::CRL_SIGN)
    }
}

impl Certificate {
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > CERTIFICATE_SIZE_MAX {
            return Err(Malformed);
        }
        let (rest, parsed) = X509Certificate::from_der(der).map_err(|_| Malformed)?;
        if !rest.is_empty() {
            return Err(Malformed);
        }
        let signed = Signed::from_der(der)?;
        // RFC 5280 §4.1.1.2: both must name the same algorithm.
        let mut tbs = Reader::new(signed.tbs).expect(tag::SEQUENCE)?.children();
        tbs.optional(tag::CONTEXT_0)?;
        tbs.expect(tag::INTEGER)?;
        if tbs.expect(tag::SEQUENCE)?.raw != signed.algorithm_raw {
            return Err(Malformed);
        }
        let fields = &parsed.tbs_certificate;
        Ok(Self {
            fingerprint: Sha256::of(der),
            subject: Name::from_der(fields.subject.as_raw())?,
            issuer: Name::from_der(fields.issuer.as_raw())?,
            serial: asn1::trimmed(parsed.raw_serial()).to_vec(),
            not_before: Time::from_seconds(fields.validity.not_before.timestamp()),
            not_after: Time::from_seconds(fields.validity.not_after.timestamp()),
            key: Key::from_info(fields.subject_pki.raw)?,
            constraints: constraints(&parsed)?,
            tbs: signed.tbs.to_vec(),
            algorithm: Algorithm::from_identifier(signed.algorithm_raw)?,
            value: signed.value.to_vec(),
            der: der.into(),
        })
    }

    /// Whether `issuer`'s key made this certificate.
    pub fn verified_by(&self, issuer: &Self) -> Outcome {
        verify(&issuer.key, &self.algorithm, None, &self.tbs, &self.value)
    }

    pub fn is_valid_at(&self, now: Time) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    pub fn to_signer(&self) -> Signer {
        Signer {
            subject: self.subject.text.clone(),
            issuer: self.issuer.text.clone(),
            serial: hex(&self.serial),
            fingerprint: self.fingerprint,
            common_name: self.subject.common_name.clone(),
            organization: self.subject.organization.clone(),
            organization_identifier: self.subject.organization_identifier.clone(),
            der: self.der.to_vec(),
        }
    }
}

/// The three parts that every X.509 structure is signed as.
pub(super) struct Signed<'a> {
    pub tbs: &'a [u8],
    pub algorithm_raw: &'a [u8],
    pub value: &'a [u8],
}

impl<'a> Signed<'a> {
    pub fn from_der(der: &'a [u8]) -> Result<Self, Malformed> {
        let mut parts = asn1::only(der, tag::SEQUENCE)?.children();
        let tbs = parts.expect(tag::SEQUENCE)?.raw;
        let algorithm_raw = parts.expect(tag::SEQUENCE)?.raw;
        let bits = parts.expect(tag::BIT_STRING)?.content;
        match bits.split_first() {
            Some((0, value)) if parts.is_empty() => Ok(Self { tbs, algorithm_raw, value }),
            _ => Err(Malformed),
        }
    }
}

fn constraints(parsed: &X509Certificate<'_>) -> Result<Constraints, Malformed> {
    let mut constraints = Constraints::default();
    let mut seen = Vec::new();
    for extension in parsed.extensions() {
        // RFC 5280 §4.2: not more than one of a kind.
        if seen.contains(&&extension.oid) {
            return Err(Malformed);
        }
        seen.push(&extension.oid);
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                constraints.is_authority = basic.ca;
                constraints.path_length = basic.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => constraints.key_usage = Some(usage.flags),
            ParsedExtension::SubjectKeyIdentifier(key) => {
                constraints.subject_key = Some(key.0.to_vec());
            }
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                constraints.authority_key = authority.key_identifier.as_ref().map(|k| k.0.to_vec());
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                // A document signer's certificate is not made for these alone.
                let only_foreign = !(usage.any
                    || usage.client_auth
                    || usage.code_signing
                    || usage.email_protection
                    || !usage.other.is_empty());
                constraints.foreign_purpose = only_foreign.then_some(extension.critical);
            }
            ParsedExtension::NameConstraints(_) => constraints.unjudged.push("name constraints"),
            ParsedExtension::PolicyConstraints(policy)
                if policy.require_explicit_policy.is_some() =>
            {
                constraints.unjudged.push("a required explicit policy");
            }
            ParsedExtension::PolicyMappings(_) if extension.critical => {
                constraints.unjudged.push("policy mappings");
            }
            // Without an explicit policy required these change nothing (RFC 5280 §6.1).
            ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::PolicyMappings(_)
            | ParsedExtension::InhibitAnyPolicy(_)
            | ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::SubjectAlternativeName(_)
            | ParsedExtension::IssuerAlternativeName(_)
            | ParsedExtension::CRLDistributionPoints(_)
            | ParsedExtension::NSCertType(_) => {}
            ParsedExtension::ParseError { .. }
                if !extension.critical
                // An unreadable keyUsage must not count as an absent one.
                && ["2.5.29.15", "2.5.29.19", "2.5.29.30", "2.5.29.36"]
                    .contains(&extension.oid.to_id_string().as_str()) =>
            {
                constraints.unjudged.push("an unreadable extension");
            }
            _ if extension.critical => {
                constraints.unknown_critical.push(extension.oid.to_id_string());
            }
            _ => {}
        }
    }
    Ok(constraints)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::testing::Authority;

    #[test]
    fn a_certificate_is_read_and_verified_by_its_issuer_only() {
        let root = Authority::root("Root");
        let other = Authority::root("Other");
        let leaf = root.issue("Văn phòng", |_| {});
        let certificate = Certificate::from_der(leaf.certificate.der()).unwrap();
        let issuer = Certificate::from_der(root.certificate.der()).unwrap();
        let stranger = Certificate::from_der(other.certificate.der()).unwrap();
        assert_eq!(certificate.subject.short(), "Văn phòng");
        assert_eq!(certificate.issuer.canonical, issuer.subject.canonical);
        assert_eq!(certificate.verified_by(&issuer), Outcome::Valid { weakness: None });
        assert_eq!(certificate.verified_by(&stranger), Outcome::Invalid);
        assert!(issuer.constraints.is_authority && !certificate.constraints.is_authority);
    }

    #[test]
    fn trailing_bytes_and_nonsense_are_refused() {
        let root = Authority::root("Root");
        let mut der = root.certificate.der().to_vec();
        der.push(0);
        assert!(Certificate::from_der(&der).is_err());
        assert!(Certificate::from_der(b"").is_err());
    }
}
