//! X.509 certificates, read once into owned values: everything the path needs.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::algorithm::{Algorithm, Key, Outcome, verify};
use super::asn1::{self, Malformed, Reader, tag};
use super::der::Der;
use super::extension::Constraints;
use super::name::Name;
use super::report::Signer;
use crate::clock::Time;
use crate::digest::{Sha256, hex};
use crate::limits::CERTIFICATE_SIZE_MAX;

/// A certificate; everything the path needs without parsing again.
#[derive(Debug)]
pub(super) struct Certificate {
    pub der: Der,
    pub subject: Name,
    pub issuer: Name,
    /// Content octets without leading zeros.
    pub serial: Vec<u8>,
    /// The same number with its sign, as revocation lists name it.
    pub signed_serial: Vec<u8>,
    pub not_before: Time,
    pub not_after: Time,
    pub key: Key,
    pub constraints: Constraints,
    tbs: Vec<u8>,
    algorithm: Algorithm,
    value: Vec<u8>,
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
        let issuer = Name::from_der(fields.issuer.as_raw())?;
        Ok(Self {
            subject: Name::from_der(fields.subject.as_raw())?,
            constraints: Constraints::read(&parsed, &issuer.canonical)?,
            issuer,
            serial: asn1::trimmed(parsed.raw_serial()).to_vec(),
            signed_serial: asn1::minimal(parsed.raw_serial()).to_vec(),
            not_before: Time::from_seconds(fields.validity.not_before.timestamp()),
            not_after: Time::from_seconds(fields.validity.not_after.timestamp()),
            key: Key::from_info(fields.subject_pki.raw)?,
            tbs: signed.tbs.to_vec(),
            algorithm: Algorithm::from_identifier(signed.algorithm_raw)?,
            value: signed.value.to_vec(),
            der: Der::new(der),
        })
    }

    /// SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Sha256 {
        self.der.digest()
    }

    /// Whether `issuer`'s key made this certificate.
    pub fn verified_by(&self, issuer: &Self) -> Outcome {
        self.verified_with(&issuer.key)
    }

    /// Whether `key` made this certificate.
    pub fn verified_with(&self, key: &Key) -> Outcome {
        verify(key, &self.algorithm, None, &self.tbs, &self.value)
    }

    /// RFC 5280 §3.2: issuer and subject are the same entity.
    pub fn is_self_issued(&self) -> bool {
        self.subject.canonical == self.issuer.canonical
    }

    /// RFC 5280 §4.1.2.5: both ends belong to it, and it counts whole seconds.
    pub fn is_valid_at(&self, now: Time) -> bool {
        let now = Time::from_seconds(now.seconds());
        self.not_before <= now && now <= self.not_after
    }

    pub fn to_signer(&self) -> Signer {
        Signer {
            subject: self.subject.text.clone(),
            issuer: self.issuer.text.clone(),
            serial: hex(&self.serial),
            common_name: self.subject.common_name.clone(),
            organization: self.subject.organization.clone(),
            organization_identifier: self.subject.organization_identifier.clone(),
            der: self.der.clone(),
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
            // No algorithm makes values of odd bits; such a one fits nothing (PKITS 4.1.2).
            Some((1..8, _)) if parts.is_empty() => Ok(Self { tbs, algorithm_raw, value: &[] }),
            _ => Err(Malformed),
        }
    }
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
        assert!(matches!(certificate.verified_by(&issuer), Outcome::Valid { .. }));
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
