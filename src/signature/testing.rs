//! A small certification authority for the tests of this room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

use crate::clock::Time;
use crate::workshop::identity::Identity;

/// 2026-11-22T04:00:00Z.
pub(crate) const NOW: i64 = 1_795_320_000;
pub(crate) const DAY: i64 = 86_400;
static SERIAL: AtomicU64 = AtomicU64::new(1_000);

pub(crate) fn time(seconds: i64) -> Time {
    Time::from_seconds(seconds)
}

/// The type behind a date belongs to a crate we do not name.
macro_rules! date {
    ($seconds:expr) => {
        date_time_ymd(1970, 1, 1) + Duration::from_secs(i64::unsigned_abs($seconds))
    };
}

/// A key, its certificate, and what it needs to issue others.
pub(crate) struct Authority {
    pub certificate: Certificate,
    pub key: KeyPair,
    pub params: CertificateParams,
    pub serial: u64,
}

fn params(name: &str) -> (CertificateParams, u64) {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date!(NOW - 300 * DAY);
    params.not_after = date!(NOW + 300 * DAY);
    params.serial_number = Some(SerialNumber::from(serial));
    (params, serial)
}

/// The days, counted from [`NOW`], on which a certificate is valid.
pub(crate) fn valid(params: &mut CertificateParams, from: i64, to: i64) {
    params.not_before = date!(NOW + from * DAY);
    params.not_after = date!(NOW + to * DAY);
}

/// id-kp-timeStamping as the only purpose; rcgen's own is never critical.
pub(crate) fn timestamping(params: &mut CertificateParams, critical: bool) {
    use super::asn1::{encode, tag};
    let oid = encode(tag::OBJECT_IDENTIFIER, &[&[0x2b, 6, 1, 5, 5, 7, 3, 8]]);
    let purposes = encode(tag::SEQUENCE, &[&oid]);
    let mut usage = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 37], purposes);
    usage.set_criticality(critical);
    params.custom_extensions.push(usage);
}

impl Authority {
    pub fn root(name: &str) -> Self {
        let (mut params, serial) = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, key, params, serial }
    }

    pub fn issue(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, serial) = params(name);
        params.use_authority_key_identifier_extension = true;
        change(&mut params);
        if params.key_usages.is_empty() {
            params.key_usages = if matches!(params.is_ca, IsCa::Ca(_)) {
                vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]
            } else {
                vec![KeyUsagePurpose::DigitalSignature]
            };
        }
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self { certificate, key, params, serial }
    }

    pub fn crl(&self, revoked: &[u64]) -> Vec<u8> {
        let revoked: Vec<_> = revoked.iter().map(|&serial| (serial, NOW - DAY)).collect();
        self.crl_for(NOW - DAY, NOW + DAY, &revoked)
    }

    /// A list for a time span, with serial numbers and when they were revoked.
    pub fn crl_for(&self, this_update: i64, next_update: i64, revoked: &[(u64, i64)]) -> Vec<u8> {
        let revoked_certs = revoked.iter().map(|&(serial, at)| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date!(at),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date!(this_update),
            next_update: date!(next_update),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }

    /// What the workshop signs with; nothing but the own certificate is embedded.
    pub fn identity(&self) -> Identity {
        let key_pkcs8 = self.key.serialize_der().into();
        Identity { chain_der: vec![self.certificate.der().to_vec()], key_pkcs8 }
    }
}

/// The CMS with these unsigned attributes (kind and value) of its only signer.
pub(crate) fn with_unsigned(cms: &[u8], attributes: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    use super::asn1::{Reader, encode, tag};
    let mut info = Reader::new(cms).expect(tag::SEQUENCE).unwrap().children();
    let kind = info.read().unwrap().raw;
    let data = info.read().unwrap().children().read().unwrap();
    let mut fields = Vec::new();
    let mut reader = data.children();
    while !reader.is_empty() {
        fields.push(reader.read().unwrap());
    }
    let signers = fields.pop().unwrap();
    let signer = signers.children().read().unwrap();
    let attribute = |(kind, value): &(&[u8], Vec<u8>)| {
        let kind = encode(tag::OBJECT_IDENTIFIER, &[kind]);
        encode(tag::SEQUENCE, &[&kind, &encode(tag::SET, &[value])])
    };
    let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
    let unsigned = encode(tag::CONTEXT_1, &[&attributes]);
    let signer = encode(tag::SEQUENCE, &[signer.content, &unsigned]);
    let before: Vec<u8> = fields.iter().flat_map(|field| field.raw.to_vec()).collect();
    let data = encode(tag::SEQUENCE, &[&before, &encode(tag::SET, &[&signer])]);
    encode(tag::SEQUENCE, &[kind, &encode(tag::CONTEXT_0, &[&data])])
}
