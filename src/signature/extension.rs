//! Certificate extensions: processed, harmless, unreadable, or unknown.
//!
//! A certificate with a critical extension that is unknown, or with one that is processed here but
//! cannot be read, is never part of a passed path.

use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{X509Certificate, X509Extension};

use super::asn1::{Malformed, Reader, boolean, dotted, only, tag};
use super::distribution::DistributionPoint;
use super::general_name::GeneralName;
use super::name::CanonicalName;
use super::name_constraints::NameConstraints;
use super::policy::Policies;

/// What the extensions of a certificate say.
#[derive(Debug, Default)]
pub(super) struct Constraints {
    pub is_authority: bool,
    pub path_length: Option<u32>,
    pub key_usage: Option<u16>,
    pub subject_key: Option<Vec<u8>>,
    pub authority_key: Option<Vec<u8>>,
    /// Extended key usage is present and names nothing a document signer needs; `critical`.
    pub foreign_purpose: Option<bool>,
    pub policies: Policies,
    pub names: Option<NameConstraints>,
    /// subjectAltName.
    pub alternative: Vec<GeneralName>,
    /// Where the revocation of this certificate is announced.
    pub points: Vec<DistributionPoint>,
    /// Critical extensions that nobody here knows.
    pub unknown_critical: Vec<String>,
    /// Extensions that are processed here but cannot be read.
    pub unreadable: Vec<&'static str>,
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

    /// Reads all extensions of a certificate that `issuer` issued.
    pub fn read(parsed: &X509Certificate<'_>, issuer: &CanonicalName) -> Result<Self, Malformed> {
        let mut constraints = Self::default();
        let mut seen = Vec::new();
        for extension in parsed.extensions() {
            // RFC 5280 §4.2: not more than one of a kind.
            if seen.contains(&&extension.oid) {
                return Err(Malformed);
            }
            seen.push(&extension.oid);
            let done = constraints.read_path_rule(extension, issuer);
            match done.unwrap_or_else(|| constraints.read_other(extension)) {
                Ok(true) => {}
                Ok(false) if extension.critical => {
                    constraints.unknown_critical.push(extension.oid.to_id_string());
                }
                Ok(false) => {}
                Err(what) => constraints.unreadable.push(what),
            }
        }
        Ok(constraints)
    }

    /// The extensions that x509-parser reads only in part. `None` if it is another.
    fn read_path_rule(
        &mut self,
        extension: &X509Extension<'_>,
        issuer: &CanonicalName,
    ) -> Option<Result<bool, &'static str>> {
        let der = extension.value;
        let [0x55, 0x1d, kind] = extension.oid.as_bytes() else { return None };
        let (read, what) = match kind {
            17 => {
                let names = alternative(der).map(|names| self.alternative = names);
                (names, "alternative names")
            }
            30 => {
                let names = NameConstraints::from_der(der).map(|names| self.names = Some(names));
                (names, "name constraints")
            }
            31 => {
                // Without readable points only a list for everything counts.
                self.points = match DistributionPoint::list(der, issuer) {
                    Err(Malformed) if extension.critical => {
                        return Some(Err("revocation list addresses"));
                    }
                    points => points.unwrap_or_default(),
                };
                return Some(Ok(true));
            }
            32 => (self.policies.read_asserted(der), "certificate policies"),
            33 => (self.policies.read_mapped(der), "policy mappings"),
            36 => (self.policies.read_constraints(der), "policy constraints"),
            54 => (self.policies.read_inhibit_any(der), "an inhibitAnyPolicy extension"),
            _ => return None,
        };
        Some(read.map(|()| true).map_err(|Malformed| what))
    }

    /// Whether the extension is known, or which known one cannot be read.
    fn read_other(&mut self, extension: &X509Extension<'_>) -> Result<bool, &'static str> {
        match extension.parsed_extension() {
            ParsedExtension::BasicConstraints(basic) => {
                self.is_authority = basic.ca;
                self.path_length = basic.path_len_constraint;
            }
            ParsedExtension::KeyUsage(usage) => self.key_usage = Some(usage.flags),
            // RFC 5280 §4.2.1.1 and §4.2.1.2: never critical; one that is means something else.
            ParsedExtension::SubjectKeyIdentifier(_)
            | ParsedExtension::AuthorityKeyIdentifier(_)
                if extension.critical =>
            {
                return Ok(false);
            }
            ParsedExtension::SubjectKeyIdentifier(key) => self.subject_key = Some(key.0.to_vec()),
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                self.authority_key = authority.key_identifier.as_ref().map(|k| k.0.to_vec());
            }
            ParsedExtension::ExtendedKeyUsage(_) if extension.value == [tag::SEQUENCE, 0] => {
                return Err("an extended key usage");
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                // A document signer's certificate is not made for these alone.
                let only_foreign = !(usage.any
                    || usage.client_auth
                    || usage.code_signing
                    || usage.email_protection
                    || !usage.other.is_empty());
                self.foreign_purpose = only_foreign.then_some(extension.critical);
            }
            ParsedExtension::IssuerAlternativeName(_) | ParsedExtension::NSCertType(_) => {}
            ParsedExtension::ParseError { .. } => {
                return match extension.oid.as_bytes() {
                    // An unreadable keyUsage must not count as an absent one.
                    [0x55, 0x1d, 15] => Err("a key usage"),
                    [0x55, 0x1d, 19] => Err("basic constraints"),
                    _ => Ok(false),
                };
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn alternative(der: &[u8]) -> Result<Vec<GeneralName>, Malformed> {
    let mut reader = only(der, tag::SEQUENCE)?.children();
    let mut names = Vec::new();
    while !reader.is_empty() {
        names.push(GeneralName::from_value(&reader.read()?)?);
    }
    Ok(names)
}

/// One element of an Extensions SEQUENCE.
pub(super) struct Extension<'a> {
    pub oid: &'a [u8],
    pub critical: bool,
    pub value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// The next one.
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut fields = reader.expect(tag::SEQUENCE)?.children();
        let oid = fields.expect(tag::OBJECT_IDENTIFIER)?.content;
        let critical = fields.optional(tag::BOOLEAN)?;
        let critical = critical.map(|value| boolean(value.content)).transpose()?.unwrap_or(false);
        let value = fields.expect(tag::OCTET_STRING)?.content;
        if fields.is_empty() { Ok(Self { oid, critical, value }) } else { Err(Malformed) }
    }

    /// The first critical one of a list of which none is known, in dots.
    pub fn first_critical(mut list: Reader<'a>) -> Result<Option<String>, Malformed> {
        while !list.is_empty() {
            let extension = Self::read(&mut list)?;
            if extension.critical {
                return Ok(Some(dotted(extension.oid)));
            }
        }
        Ok(None)
    }
}
