//! Making keys, certificates and CRLs.
//!
//! `rsa` only generates; every signature is made by `ring` (through `rcgen`).

use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
    SerialNumber,
};
use ring::rand::{SecureRandom, SystemRandom};
use rsa::pkcs8::EncodePrivateKey;
use zeroize::Zeroizing;

use super::profile::{Algorithm, Reason, Validity};
use super::{Error, der};
use crate::clock::Time;

const DAY_S: i64 = 86_400;

/// `$now` plus `$days` as rcgen wants it. A macro, because the type belongs to the crate `time`, which
/// we do not depend on.
macro_rules! moment {
    ($now:expr, $days:expr) => {
        rcgen::date_time_ymd(1970, 1, 1) + seconds_after_epoch($now, $days)
    };
}

fn seconds_after_epoch(now: Time, days: i32) -> Duration {
    let moment = Time::from_seconds(now.seconds() + i64::from(days) * DAY_S);
    Duration::from_secs(moment.seconds().unsigned_abs())
}

/// A PKCS#8 key.
pub type Key = Zeroizing<Vec<u8>>;

/// Attributes of a subject; those that are `None` are left out.
#[derive(Debug, Default)]
pub struct Subject<'a> {
    pub common_name: &'a str,
    pub organization: &'a str,
    pub title: Option<&'a str>,
    pub organization_identifier: Option<&'a str>,
    pub user_id: Option<&'a str>,
}

/// What a certificate is for: it decides every extension.
#[derive(Debug, Clone, Copy)]
pub enum Role<'a> {
    /// An authority that may sign authorities below it, or not.
    Authority { root: bool },
    /// A seal, an officer or a business.
    Signer,
    /// A time-stamping authority.
    Timestamp,
    /// A TLS server with its names.
    Server(&'a [String]),
    /// A TLS client with its URI.
    Client(&'a str),
}

/// A certificate to be made.
pub struct Request<'a> {
    pub subject: Subject<'a>,
    pub role: Role<'a>,
    pub valid: Validity,
    /// Where the issuer's CRL would be; none in a root.
    pub crl_uri: Option<String>,
}

/// Keys of the wanted algorithms, in their order; RSA keys are made on all cores.
pub fn keys(algorithms: &[Algorithm], rsa_bits: usize) -> Result<Vec<Key>, Error> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(16);
    let mut made: Vec<(usize, Key)> = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers)
            .map(|worker| {
                scope.spawn(move || {
                    let mine = algorithms.iter().enumerate().skip(worker).step_by(workers);
                    mine.map(|(index, algorithm)| Ok((index, key(*algorithm, rsa_bits)?)))
                        .collect::<Result<Vec<_>, Error>>()
                })
            })
            .collect();
        let parts = handles.into_iter().map(|handle| handle.join().map_err(|_| Error::Key)?);
        Ok::<_, Error>(parts.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect())
    })?;
    made.sort_by_key(|(index, _)| *index);
    Ok(made.into_iter().map(|(_, key)| key).collect())
}

fn key(algorithm: Algorithm, rsa_bits: usize) -> Result<Key, Error> {
    match algorithm {
        Algorithm::Rsa => {
            let key =
                rsa::RsaPrivateKey::new(&mut rand_core::OsRng, rsa_bits).map_err(|_| Error::Key)?;
            let der = key.to_pkcs8_der().map_err(|_| Error::Key)?;
            Ok(Zeroizing::new(der.as_bytes().to_vec()))
        }
        Algorithm::P256 => Ok(Zeroizing::new(KeyPair::generate()?.serialize_der())),
    }
}

/// An Ed25519 key as PKCS#8 version 1, the form that OpenSSL reads; ring's own has version 2 and
/// an encoding of the public key that OpenSSL refuses.
pub fn ed25519_key() -> Result<Key, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    SystemRandom::new().fill(seed.as_mut_slice()).map_err(|_| Error::Key)?;
    let inner = Zeroizing::new(der::value(der::OCTET_STRING, &[seed.as_slice()]));
    let algorithm = der::sequence(&[&der::oid(&[1, 3, 101, 112])]);
    let private = Zeroizing::new(der::value(der::OCTET_STRING, &[&inner]));
    Ok(Zeroizing::new(der::sequence(&[&der::small(0), &algorithm, &private])))
}

/// Makes a certificate; `issuer` is the issuer's certificate and key, none for a root.
pub fn certificate(
    now: Time,
    request: &Request<'_>,
    key: &[u8],
    issuer: Option<(&[u8], &[u8])>,
) -> Result<Vec<u8>, Error> {
    let key = KeyPair::try_from(key)?;
    let mut params = CertificateParams::default();
    params.not_before = moment!(now, request.valid.0);
    params.not_after = moment!(now, request.valid.1);
    params.serial_number = Some(serial()?);
    params.distinguished_name = name(&request.subject)?;
    params.use_authority_key_identifier_extension = true;
    let points = request.crl_uri.iter().map(|uri| CrlDistributionPoint { uris: vec![uri.clone()] });
    params.crl_distribution_points = points.collect();
    dress(&mut params, request.role)?;
    let made = match issuer {
        None => params.self_signed(&key)?,
        Some((certificate, issuer_key)) => {
            params.signed_by(&key, &issuer_of(certificate, issuer_key)?)?
        }
    };
    Ok(made.der().to_vec())
}

/// One line of a CRL.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// When it was revoked.
    pub at: Time,
    /// Why; the reasons of a read CRL are kept as they are.
    pub reason: Option<RevocationReason>,
}

/// Makes a CRL.
pub fn crl(
    now: Time,
    days: u32,
    number: u64,
    revoked: &[Revoked],
    issuer: (&[u8], &[u8]),
) -> Result<Vec<u8>, Error> {
    let lines = revoked.iter().map(|line| RevokedCertParams {
        serial_number: SerialNumber::from_slice(&line.serial),
        revocation_time: moment!(line.at, 0),
        reason_code: line.reason,
        invalidity_date: None,
    });
    let params = CertificateRevocationListParams {
        this_update: moment!(now, 0),
        next_update: moment!(now, i32::try_from(days).unwrap_or(i32::MAX)),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: lines.collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(&issuer_of(issuer.0, issuer.1)?)?.der().to_vec())
}

/// The reason code of a profile.
pub fn reason(reason: Reason) -> RevocationReason {
    match reason {
        Reason::KeyCompromise => RevocationReason::KeyCompromise,
        Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
        Reason::Superseded => RevocationReason::Superseded,
    }
}

/// The reason of a CRL that was read, so that issuing it anew keeps it.
pub fn reason_of_code(code: u8) -> Option<RevocationReason> {
    use RevocationReason as R;
    [
        R::KeyCompromise,
        R::CaCompromise,
        R::AffiliationChanged,
        R::Superseded,
        R::CessationOfOperation,
        R::CertificateHold,
        R::PrivilegeWithdrawn,
        R::AaCompromise,
    ]
    .into_iter()
    .find(|reason| *reason as u8 == code)
}

fn issuer_of(certificate: &[u8], key: &[u8]) -> Result<Issuer<'static, KeyPair>, Error> {
    Ok(Issuer::from_ca_cert_der(&certificate.into(), KeyPair::try_from(key)?)?)
}

/// Key usage and the other extensions that the role asks for.
fn dress(params: &mut CertificateParams, role: Role<'_>) -> Result<(), Error> {
    use KeyUsagePurpose::{ContentCommitment, CrlSign, DigitalSignature, KeyCertSign};
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![DigitalSignature];
    match role {
        Role::Authority { root } => {
            let below = if root {
                BasicConstraints::Unconstrained
            } else {
                BasicConstraints::Constrained(0)
            };
            params.is_ca = IsCa::Ca(below);
            params.key_usages = vec![KeyCertSign, CrlSign];
        }
        Role::Signer => params.key_usages = vec![DigitalSignature, ContentCommitment],
        Role::Timestamp => {
            // RFC 3161 §2.3 wants it critical and alone; rcgen's own is never critical.
            let purpose = der::sequence(&[&der::oid(&[1, 3, 6, 1, 5, 5, 7, 3, 8])]);
            let mut usage = CustomExtension::from_oid_content(&[2, 5, 29, 37], purpose);
            usage.set_criticality(true);
            params.custom_extensions = vec![usage];
        }
        Role::Server(names) => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            let alone = CertificateParams::new(names)?;
            params.subject_alt_names = alone.subject_alt_names;
        }
        Role::Client(uri) => {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        }
    }
    Ok(())
}

fn name(subject: &Subject<'_>) -> Result<DistinguishedName, Error> {
    let mut name = DistinguishedName::new();
    name.push(DnType::CountryName, DnValue::PrintableString("VN".try_into()?));
    let attributes = [
        (DnType::OrganizationName, Some(subject.organization)),
        (DnType::CustomDnType(vec![2, 5, 4, 97]), subject.organization_identifier),
        (DnType::CustomDnType(vec![2, 5, 4, 12]), subject.title),
        (DnType::CommonName, Some(subject.common_name)),
        (DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]), subject.user_id),
    ];
    for (kind, text) in attributes {
        if let Some(text) = text {
            name.push(kind, text);
        }
    }
    Ok(name)
}

/// 127 random bits: positive, never zero, shorter than the 20 octets of RFC 5280 §4.1.2.2.
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::Key)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
