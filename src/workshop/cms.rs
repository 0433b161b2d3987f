//! CMS `SignedData` (RFC 5652) with the signed attributes of CAdES-BES, and RFC 3161 tokens.
//!
//! One signer; the key decides the algorithms. Everything is DER.

use x509_parser::prelude::{FromDer, X509Certificate};

use super::identity::Identity;
use super::key::{Hash, Signer, SoftwareKey};
use super::{Error, der};
use crate::clock::Time;
use crate::digest::Sha256;

pub const DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 1];
const SIGNED_DATA: &[u32] = &[1, 2, 840, 113_549, 1, 7, 2];
const TST_INFO: &[u32] = &[1, 2, 840, 113_549, 1, 9, 16, 1, 4];
const CONTENT_TYPE: &[u32] = &[1, 2, 840, 113_549, 1, 9, 3];
const MESSAGE_DIGEST: &[u32] = &[1, 2, 840, 113_549, 1, 9, 4];
const SIGNING_TIME: &[u32] = &[1, 2, 840, 113_549, 1, 9, 5];
const SIGNING_CERTIFICATE_V2: &[u32] = &[1, 2, 840, 113_549, 1, 9, 16, 2, 47];
const TIME_STAMP_TOKEN: &[u32] = &[1, 2, 840, 113_549, 1, 9, 16, 2, 14];
/// A time-stamping policy under 2.999, the arc for examples (ITU-T X.660).
const TIMESTAMP_POLICY: &[u32] = &[2, 999, 1];

/// What is signed.
pub struct Statement<'a> {
    pub content_type: &'a [u32],
    /// The content itself; none if it travels apart.
    pub content: Option<&'a [u8]>,
    /// By the hash of the signer's key.
    pub digest: &'a [u8],
    /// The claimed time; none where the format carries it elsewhere.
    pub signing_time: Option<Time>,
    /// Who stamps the signature.
    pub stamp: Option<&'a dyn Stamp>,
}

/// Who makes time-stamps.
pub trait Stamp {
    /// An RFC 3161 time-stamp token over `imprint`.
    ///
    /// # Errors
    /// [`Error::Key`] or [`Error::Stamp`].
    fn stamp(&self, imprint: Sha256) -> Result<Vec<u8>, Error>;

    /// Bytes that a token surely fits in.
    fn room(&self) -> usize;
}

/// Signs; all certificates of the identity are put in.
pub fn signed_data(statement: &Statement<'_>, by: Signer<'_>) -> Result<Vec<u8>, Error> {
    let unreadable = |_| Error::Unreadable("the signer's certificate".into());
    let (_, leaf) = X509Certificate::from_der(by.leaf()).map_err(unreadable)?;
    let issuer = leaf.issuer().as_raw();
    let serial = der::value(der::INTEGER, &[leaf.raw_serial()]);
    let attributes = attributes(statement, by.leaf(), issuer, &serial);
    let scheme = by.key.scheme();
    let hash = scheme.hash().identifier();
    // What is signed is the SET; what is stored is the same bytes under [0] (RFC 5652 §5.4).
    let signature = by.key.sign(&der::set_of(der::SET, attributes.clone()))?;
    let mut signer = vec![
        der::small(1),
        der::sequence(&[issuer, &serial]),
        hash.clone(),
        der::set_of(der::context(0), attributes),
        scheme.identifier(),
        der::value(der::OCTET_STRING, &[&signature]),
    ];
    if let Some(stamp) = statement.stamp {
        let token = stamp.stamp(Sha256::of(&signature))?;
        let attribute = attribute(TIME_STAMP_TOKEN, &token);
        signer.push(der::set_of(der::context(1), vec![attribute]));
    }
    let content = statement.content.map(|content| {
        let octets = der::value(der::OCTET_STRING, &[content]);
        der::value(der::context(0), &[&octets])
    });
    let content_type = der::oid(statement.content_type);
    let encapsulated = der::sequence(&[&content_type, content.as_deref().unwrap_or_default()]);
    let version = if statement.content_type == DATA { 1 } else { 3 };
    let data = der::sequence(&[
        &der::small(version),
        &der::set_of(der::SET, vec![hash]),
        &encapsulated,
        &der::set_of(der::context(0), by.chain_der.to_vec()),
        &der::set_of(der::SET, vec![der::sequence(&slices(&signer))]),
    ]);
    let data = der::value(der::context(0), &[&data]);
    Ok(der::sequence(&[&der::oid(SIGNED_DATA), &data]))
}

/// An RFC 3161 token over `imprint`; `nonce` is the content of the request's INTEGER, if it had one.
pub fn timestamp(
    imprint: Sha256,
    nonce: &[u8],
    tsa: &Identity,
    now: Time,
) -> Result<Vec<u8>, Error> {
    let imprint =
        der::sequence(&[&Hash::Sha256.identifier(), &der::value(der::OCTET_STRING, &[&imprint.0])]);
    // The serial number must differ between tokens of one TSA: what and when is enough here.
    let serial = Sha256::of_parts(&[&imprint, nonce, &now.millis().to_be_bytes()]);
    let mut parts = vec![
        der::small(1),
        der::oid(TIMESTAMP_POLICY),
        imprint,
        der::value(der::INTEGER, &[&[0x40], &serial.0[..15]]),
        der::value(der::GENERALIZED_TIME, &[digits(now).as_bytes(), b"Z"]),
    ];
    if !nonce.is_empty() {
        parts.push(der::value(der::INTEGER, &[nonce]));
    }
    let info = der::sequence(&slices(&parts));
    let key = SoftwareKey::of_identity(tsa)?;
    let by = Signer { chain_der: &tsa.chain_der, key: &key };
    let statement = Statement {
        content_type: TST_INFO,
        content: Some(&info),
        digest: &by.key.scheme().hash().of(&[&info]),
        signing_time: Some(now),
        stamp: None,
    };
    signed_data(&statement, by)
}

/// `YYYYMMDDHHMMSS` in UTC.
pub fn digits(time: Time) -> String {
    time.to_string().chars().filter(char::is_ascii_digit).take(14).collect()
}

fn attributes(
    statement: &Statement<'_>,
    leaf: &[u8],
    issuer: &[u8],
    serial: &[u8],
) -> Vec<Vec<u8>> {
    // ESSCertIDv2 (RFC 5035 §4): SHA-256 is the default, so the algorithm is left out in DER.
    let hash = der::value(der::OCTET_STRING, &[&Sha256::of(leaf).0]);
    let names = der::sequence(&[&der::value(der::context(4), &[issuer])]);
    let certificate = der::sequence(&[&hash, &der::sequence(&[&names, serial])]);
    let certificates = der::sequence(&[&der::sequence(&[&certificate])]);
    let digest = der::value(der::OCTET_STRING, &[statement.digest]);
    let mut out = vec![
        attribute(CONTENT_TYPE, &der::oid(statement.content_type)),
        attribute(MESSAGE_DIGEST, &digest),
        attribute(SIGNING_CERTIFICATE_V2, &certificates),
    ];
    out.extend(statement.signing_time.map(|time| attribute(SIGNING_TIME, &signing_time(time))));
    out
}

/// `UTCTime` until 2049, `GeneralizedTime` from 2050 on (RFC 5652 §11.3).
fn signing_time(time: Time) -> Vec<u8> {
    let digits = digits(time);
    if digits.as_str() < "2050" {
        der::value(der::UTC_TIME, &[&digits.as_bytes()[2..], b"Z"])
    } else {
        der::value(der::GENERALIZED_TIME, &[digits.as_bytes(), b"Z"])
    }
}

fn attribute(kind: &[u32], value: &[u8]) -> Vec<u8> {
    der::sequence(&[&der::oid(kind), &der::value(der::SET, &[value])])
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}
