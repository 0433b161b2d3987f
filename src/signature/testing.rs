//! A small certification authority for the tests of this room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateRevocationListParams, DnType,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

use crate::clock::Time;

/// 2026-11-22T04:00:00Z.
pub(crate) const NOW: i64 = 1_795_320_000;
const DAY: i64 = 86_400;
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
        let revoked_certs = revoked.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: date!(NOW - DAY),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: date!(NOW - DAY),
            next_update: date!(NOW + DAY),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let issuer = Issuer::from_params(&self.params, &self.key);
        params.signed_by(&issuer).unwrap().der().to_vec()
    }
}
