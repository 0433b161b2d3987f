//! What a certificate is asked for, and the fields that only that question needs.
//!
//! Read from the raw bytes when it is asked, with the room's own reader: most certificates are
//! never asked whether they may time-stamp or answer for an authority.

use super::asn1::{Malformed, Reader, tag};
use super::certificate::Certificate;
use super::extension::Extension;

const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
const NO_CHECK: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x05];
const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// The context tag of the extensions in TBSCertificate.
const CONTEXT_3: u8 = 0xa3;

/// id-kp-timeStamping, critical and alone (RFC 3161 §2.3).
pub(super) fn is_for_timestamps_only(certificate: &Certificate) -> bool {
    let usage = extension(certificate, EXTENDED_KEY_USAGE).ok().flatten();
    usage.is_some_and(|(critical, value)| {
        critical && purposes(value).is_ok_and(|list| list == [TIME_STAMPING])
    })
}

/// id-kp-OCSPSigning is among the purposes (RFC 6960 §4.2.2.2).
pub(super) fn may_answer_for_authority(certificate: &Certificate) -> bool {
    let usage = extension(certificate, EXTENDED_KEY_USAGE).ok().flatten();
    usage.is_some_and(|(_, value)| purposes(value).is_ok_and(|list| list.contains(&OCSP_SIGNING)))
}

/// The issuer wants nobody to ask whether this responder was revoked (RFC 6960 §4.2.2.2.1).
pub(super) fn needs_no_check(certificate: &Certificate) -> bool {
    extension(certificate, NO_CHECK).is_ok_and(|found| found.is_some())
}

/// The issuer's name as it stands in the certificate.
pub(super) fn issuer_raw(certificate: &Certificate) -> Result<&[u8], Malformed> {
    let mut fields = fields(certificate)?;
    Ok(fields.expect(tag::SEQUENCE)?.raw)
}

/// The bits of the public key, without their count of unused bits: what key hashes are made of.
pub(super) fn key_bits(certificate: &Certificate) -> Result<&[u8], Malformed> {
    let mut fields = fields(certificate)?;
    // Issuer, validity, subject.
    for _ in 0..3 {
        fields.expect(tag::SEQUENCE)?;
    }
    let mut key = fields.expect(tag::SEQUENCE)?.children();
    key.expect(tag::SEQUENCE)?;
    key.expect(tag::BIT_STRING)?.content.get(1..).ok_or(Malformed)
}

/// The fields of TBSCertificate from the issuer on.
fn fields(certificate: &Certificate) -> Result<Reader<'_>, Malformed> {
    let mut parts = Reader::new(&certificate.der).expect(tag::SEQUENCE)?.children();
    let mut fields = parts.expect(tag::SEQUENCE)?.children();
    fields.optional(tag::CONTEXT_0)?;
    fields.expect(tag::INTEGER)?;
    fields.expect(tag::SEQUENCE)?;
    Ok(fields)
}

/// An extension: whether it is critical, and its value.
fn extension<'a>(
    certificate: &'a Certificate,
    wanted: &[u8],
) -> Result<Option<(bool, &'a [u8])>, Malformed> {
    let mut fields = fields(certificate)?;
    while !fields.is_empty() {
        let field = fields.read()?;
        if field.tag == CONTEXT_3 {
            return find(field.children().expect(tag::SEQUENCE)?.children(), wanted);
        }
    }
    Ok(None)
}

/// The extension `wanted` in a list of them.
fn find<'a>(mut list: Reader<'a>, wanted: &[u8]) -> Result<Option<(bool, &'a [u8])>, Malformed> {
    while !list.is_empty() {
        let Extension { oid, critical, value } = Extension::read(&mut list)?;
        if oid == wanted {
            return Ok(Some((critical, value)));
        }
    }
    Ok(None)
}

fn purposes(value: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut list = Reader::new(value).expect(tag::SEQUENCE)?.children();
    let mut purposes = Vec::new();
    while !list.is_empty() {
        purposes.push(list.expect(tag::OBJECT_IDENTIFIER)?.content);
    }
    Ok(purposes)
}

#[cfg(test)]
mod tests {
    use rcgen::ExtendedKeyUsagePurpose as Use;

    use super::*;
    use crate::signature::testing::{Authority, timestamping};

    #[test]
    fn a_purpose_counts_only_as_the_standard_writes_it() {
        let root = Authority::root("Root");
        let read = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
            let made = root.issue("Leaf", |params| change(params));
            Certificate::from_der(made.certificate.der()).unwrap()
        };
        assert!(is_for_timestamps_only(&read(&|p| timestamping(p, true))));
        assert!(!is_for_timestamps_only(&read(&|p| timestamping(p, false))));
        assert!(!is_for_timestamps_only(&read(&|_| {})));
        let uses = |list: &[Use]| {
            let list = list.to_vec();
            read(&move |p| p.extended_key_usages = list.clone())
        };
        assert!(!is_for_timestamps_only(&uses(&[Use::TimeStamping, Use::EmailProtection])));
        assert!(may_answer_for_authority(&uses(&[Use::OcspSigning])));
        assert!(!may_answer_for_authority(&uses(&[Use::TimeStamping])));
    }

    #[test]
    fn the_key_and_the_issuer_are_found_in_the_raw_bytes() {
        let root = Authority::root("Root");
        let certificate = Certificate::from_der(root.certificate.der()).unwrap();
        let (_, parsed) = x509_parser::parse_x509_certificate(root.certificate.der()).unwrap();
        assert_eq!(issuer_raw(&certificate).unwrap(), parsed.issuer().as_raw());
        let bits = &parsed.public_key().subject_public_key.data;
        assert_eq!(key_bits(&certificate).unwrap(), bits.as_ref());
    }
}
