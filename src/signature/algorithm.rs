//! Hashes, keys and signature algorithms: what is verified, what is unknown.
//!
//! ring does the arithmetic where it can; the rest is done by crates that only verify here. What
//! neither can do is named and left undecided, never guessed. Whether what was used is strong enough
//! is for [`super::crypto_policy`] to say.

use std::fmt;

use ring::{digest, signature as ring_signature};

use super::algorithm_name::name;
use super::asn1::{self, Malformed, Reader, tag};
use super::crypto_policy::Used;
use super::dsa_key::DsaKey;
use super::ecdsa_value::{self, Curve};
use super::rsa_value::{self, Spelling};
use super::weak_key;
use crate::limits::{RSA_BITS_MAX, RSA_BITS_MIN, RSA_BITS_READABLE_MIN};

/// A digest algorithm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Hash {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
    Other(String),
}

const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const DSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x01];
const DSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03];
const DSA_SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x02];
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08];

impl Hash {
    pub fn from_oid(oid: &[u8]) -> Self {
        match oid {
            SHA1 => Self::Sha1,
            _ => match oid.strip_prefix(SHA2) {
                Some([1]) => Self::Sha256,
                Some([2]) => Self::Sha384,
                Some([3]) => Self::Sha512,
                _ => Self::Other(name(oid)),
            },
        }
    }

    /// Its object identifier; `None` for what is not computed.
    pub fn oid(&self) -> Option<Vec<u8>> {
        let sha2 = |last| Some([SHA2, &[last]].concat());
        match self {
            Self::Sha1 => Some(SHA1.to_vec()),
            Self::Sha256 => sha2(1),
            Self::Sha384 => sha2(2),
            Self::Sha512 => sha2(3),
            Self::Other(_) => None,
        }
    }

    /// ring's name for it; `None` for what is not computed.
    pub fn ring(&self) -> Option<&'static digest::Algorithm> {
        match self {
            Self::Sha1 => Some(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            Self::Sha256 => Some(&digest::SHA256),
            Self::Sha384 => Some(&digest::SHA384),
            Self::Sha512 => Some(&digest::SHA512),
            Self::Other(_) => None,
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
            Self::Other(name) => name,
        }
    }
}

/// A signature algorithm as an AlgorithmIdentifier names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSA PKCS#1 v1.5; CMS may name the hash elsewhere.
    RsaPkcs1(Option<Hash>),
    RsaPss(Pss),
    /// ECDSA; CMS may name the hash elsewhere.
    Ecdsa(Option<Hash>),
    Ed25519,
    Dsa(Hash),
    Other(String),
}

impl Algorithm {
    /// Reads an AlgorithmIdentifier.
    pub fn from_identifier(raw: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Reader::new(raw).expect(tag::SEQUENCE)?.children();
        let oid = fields.expect(tag::OBJECT_IDENTIFIER)?.content;
        if let Some(rest) = oid.strip_prefix(PKCS1) {
            return Ok(match rest {
                [1] => Self::RsaPkcs1(None),
                [5] => Self::RsaPkcs1(Some(Hash::Sha1)),
                [11] => Self::RsaPkcs1(Some(Hash::Sha256)),
                [12] => Self::RsaPkcs1(Some(Hash::Sha384)),
                [13] => Self::RsaPkcs1(Some(Hash::Sha512)),
                [10] => pss(fields).unwrap_or_else(|_| {
                    Self::Other("RSA-PSS with unreadable parameters".to_owned())
                }),
                _ => Self::Other(name(oid)),
            });
        }
        Ok(match oid {
            ECDSA_SHA1 => Self::Ecdsa(Some(Hash::Sha1)),
            EC_KEY => Self::Ecdsa(None),
            ED25519 => Self::Ed25519,
            DSA_SHA1 => Self::Dsa(Hash::Sha1),
            DSA_SHA256 => Self::Dsa(Hash::Sha256),
            _ => match oid.strip_prefix(ECDSA_SHA2) {
                Some([2]) => Self::Ecdsa(Some(Hash::Sha256)),
                Some([3]) => Self::Ecdsa(Some(Hash::Sha384)),
                Some([4]) => Self::Ecdsa(Some(Hash::Sha512)),
                _ => Self::Other(name(oid)),
            },
        })
    }

    /// The hash that the algorithm itself names.
    pub fn hash(&self) -> Option<&Hash> {
        match self {
            Self::RsaPkcs1(hash) | Self::Ecdsa(hash) => hash.as_ref(),
            Self::RsaPss(Pss { hash, .. }) | Self::Dsa(hash) => Some(hash),
            Self::Ed25519 | Self::Other(_) => None,
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pss {
    pub hash: Hash,
    /// The hash of the mask generation function.
    pub mask: Hash,
    /// Bytes of salt.
    pub salt: usize,
}

impl Pss {
    fn read(parameters: Option<asn1::Value<'_>>) -> Result<Self, Malformed> {
        let mut scheme = Self { hash: Hash::Sha1, mask: Hash::Sha1, salt: 20 };
        let Some(parameters) = parameters else { return Ok(scheme) };
        let mut parameters = parameters.children();
        // Each at most once and in this order: a doubled one would be read differently elsewhere.
        if let Some(field) = parameters.optional(tag::CONTEXT_0)? {
            scheme.hash = identified_hash(field.children().read()?)?;
        }
        if let Some(field) = parameters.optional(tag::CONTEXT_1)? {
            let mut mgf = field.children().expect(tag::SEQUENCE)?.children();
            if mgf.expect(tag::OBJECT_IDENTIFIER)?.content != MGF1 {
                return Err(Malformed);
            }
            scheme.mask = identified_hash(mgf.read()?)?;
        }
        if let Some(field) = parameters.optional(tag::CONTEXT_2)? {
            scheme.salt = small(field.children().expect(tag::INTEGER)?.content)?;
        }
        if let Some(field) = parameters.optional(tag::CONTEXT_3)?
            && small(field.children().expect(tag::INTEGER)?.content)? != 1
        {
            return Err(Malformed);
        }
        if parameters.is_empty() { Ok(scheme) } else { Err(Malformed) }
    }

    fn describe(&self) -> String {
        let Self { hash, mask, salt } = self;
        format!("RSA-PSS with {}, MGF1 {} and a salt of {salt} bytes", hash.name(), mask.name())
    }

    /// C4: hashes that disagree and salts of other lengths are games, not choices.
    fn flaw(&self) -> Option<String> {
        if self.mask != self.hash {
            return Some(format!(
                "{} and {} are mixed in RSA-PSS",
                self.hash.name(),
                self.mask.name()
            ));
        }
        let size = self.hash.ring().map(|hash| hash.output_len());
        let is_other = size != Some(self.salt);
        is_other.then(|| format!("RSA-PSS with a salt of {} bytes is not accepted", self.salt))
    }
}

fn pss(mut fields: Reader<'_>) -> Result<Algorithm, Malformed> {
    Pss::read(fields.optional(tag::SEQUENCE)?).map(Algorithm::RsaPss)
}

fn identified_hash(identifier: asn1::Value<'_>) -> Result<Hash, Malformed> {
    Ok(Hash::from_oid(identifier.children().expect(tag::OBJECT_IDENTIFIER)?.content))
}

fn small(integer: &[u8]) -> Result<usize, Malformed> {
    if integer.len() > 4 {
        return Err(Malformed);
    }
    usize::try_from(asn1::count(integer)?).map_err(|_| Malformed)
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// RSAPublicKey in DER, with the modulus repaired if it was written as a negative number.
    Rsa {
        der: Vec<u8>,
        bits: usize,
        repaired: bool,
        /// Anyone can compute its private half.
        is_roca: bool,
        scheme: RsaScheme,
    },
    /// A point of the curve (SEC 1 §2.3.3).
    Elliptic(Curve, Vec<u8>),
    Ed25519(Vec<u8>),
    Dsa(DsaKey),
    Other(String),
}

/// What an RSA key is for (RFC 4055 §1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RsaScheme {
    Any,
    Pss,
    /// With these parameters, and no shorter salt.
    PssWith(Pss),
}

impl Key {
    /// Reads a SubjectPublicKeyInfo.
    pub fn from_info(raw: &[u8]) -> Result<Self, Malformed> {
        let mut info = Reader::new(raw).expect(tag::SEQUENCE)?.children();
        let mut identifier = info.expect(tag::SEQUENCE)?.children();
        let bits = info.expect(tag::BIT_STRING)?.content;
        let (0, bytes) =
            bits.split_first().map(|(unused, rest)| (*unused, rest)).ok_or(Malformed)?
        else {
            return Err(Malformed);
        };
        let oid = identifier.expect(tag::OBJECT_IDENTIFIER)?.content;
        if oid == EC_KEY {
            let curve = identifier.read()?;
            return Ok(match (curve.tag, curve.content) {
                (tag::OBJECT_IDENTIFIER, P256) => Self::Elliptic(Curve::P256, bytes.to_vec()),
                (tag::OBJECT_IDENTIFIER, P384) => Self::Elliptic(Curve::P384, bytes.to_vec()),
                (tag::OBJECT_IDENTIFIER, P521) => Self::Elliptic(Curve::P521, bytes.to_vec()),
                (tag::OBJECT_IDENTIFIER, other) => Self::Other(name(other)),
                _ => Self::Other("elliptic curve with explicit parameters".to_owned()),
            });
        }
        match oid.strip_prefix(PKCS1) {
            Some([1]) => rsa_key(bytes, RsaScheme::Any),
            Some([10]) => {
                let parameters = identifier.optional(tag::SEQUENCE)?;
                let scheme = match parameters {
                    Some(parameters) => RsaScheme::PssWith(Pss::read(Some(parameters))?),
                    None => RsaScheme::Pss,
                };
                rsa_key(bytes, scheme)
            }
            _ if oid == ED25519 => Ok(Self::Ed25519(bytes.to_vec())),
            _ if oid == DSA_KEY => {
                let parameters =
                    if identifier.is_empty() { None } else { Some(identifier.read()?) };
                let unreadable = || Self::Other("a DSA key that cannot be read".to_owned());
                Ok(DsaKey::read(parameters, bytes).map_or_else(|_| unreadable(), Self::Dsa))
            }
            _ => Ok(Self::Other(format!("a key for {}", name(oid)))),
        }
    }

    /// Whether the key is complete only with the parameters of its issuer's.
    pub fn inherits(&self) -> bool {
        matches!(self, Self::Dsa(key) if key.inherits())
    }

    /// This key with the parameters of `donor`.
    pub fn completed_by(&self, donor: &Self) -> Self {
        match (self, donor) {
            (Self::Dsa(key), Self::Dsa(donor)) => Self::Dsa(key.completed_by(donor)),
            _ => Self::Other("a DSA key without parameters".to_owned()),
        }
    }

    /// Kind and size, by which a policy accepts it or not.
    fn kind(&self) -> KeyKind {
        let (name, bits) = match self {
            Self::Rsa { bits, .. } => ("RSA", *bits),
            Self::Elliptic(Curve::P256, _) => ("ECDSA", 256),
            Self::Elliptic(Curve::P384, _) => ("ECDSA", 384),
            Self::Elliptic(Curve::P521, _) => ("ECDSA", 521),
            Self::Ed25519(_) => ("Ed25519", 255),
            Self::Dsa(key) => ("DSA", key.bits()),
            Self::Other(_) => ("unknown", 0),
        };
        KeyKind { name, bits }
    }

    /// What a policy is asked about the key alone.
    pub fn used(&self) -> Used {
        let flaw = matches!(self, Self::Rsa { is_roca: true, .. }).then(|| {
            "its RSA key is of the kind that anyone can compute (ROCA, CVE-2017-15361)".to_owned()
        });
        Used { hash: None, key: Some(self.kind()), flaw }
    }
}

/// What a policy asks about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyKind {
    pub name: &'static str,
    pub bits: usize,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bits", self.name, self.bits)
    }
}

/// RSAPublicKey, re-encoded. Some cards of 2014 wrote the modulus without the leading zero.
fn rsa_key(bytes: &[u8], scheme: RsaScheme) -> Result<Key, Malformed> {
    let mut fields = Reader::new(bytes).expect(tag::SEQUENCE)?.children();
    let modulus = fields.expect(tag::INTEGER)?.content;
    let exponent = fields.expect(tag::INTEGER)?;
    if weak_key::is_exponent_one(exponent.content) {
        let name = "RSA with the exponent 1, with which anyone can sign";
        return Ok(Key::Other(name.to_owned()));
    }
    let repaired = modulus.first().is_some_and(|&byte| byte >= 0x80);
    let digits = asn1::trimmed(modulus);
    let leading = digits.first().map_or(0, |byte| byte.leading_zeros());
    let bits = (digits.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0));
    let sign: &[u8] = if leading == 0 { &[0] } else { &[] };
    let modulus = asn1::encode(tag::INTEGER, &[sign, digits]);
    let der = asn1::encode(tag::SEQUENCE, &[&modulus, exponent.raw]);
    let is_roca = weak_key::has_roca_fingerprint(digits);
    Ok(Key::Rsa { der, bits, repaired, is_roca, scheme })
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The value fits; a policy says whether what was used for it is strong enough.
    Valid { used: Used },
    /// The value does not fit.
    Invalid,
    /// This version cannot compute it.
    Unsupported(String),
}

/// Verifies `value` over `message`. `fallback` is the hash named beside the algorithm, for the
/// identifiers (rsaEncryption, id-ecPublicKey) that name none.
pub(super) fn verify(
    key: &Key,
    algorithm: &Algorithm,
    fallback: Option<&Hash>,
    message: &[u8],
    value: &[u8],
) -> Outcome {
    let hash = algorithm.hash().or(fallback);
    let fits = match (key, algorithm) {
        (_, Algorithm::Other(name)) => return Outcome::Unsupported(name.clone()),
        (Key::Other(name), _) => return Outcome::Unsupported(name.clone()),
        (Key::Rsa { .. }, Algorithm::RsaPkcs1(_) | Algorithm::RsaPss(_)) => {
            verify_rsa(key, algorithm, hash, message, value)
        }
        (Key::Elliptic(curve, point), Algorithm::Ecdsa(_)) => {
            verify_ecdsa(*curve, point, hash, message, value)
        }
        (Key::Ed25519(point), Algorithm::Ed25519) => {
            Ok(fits(&ring_signature::ED25519, point, message, value))
        }
        (Key::Dsa(key), Algorithm::Dsa(hash)) => verify_dsa(key, hash, message, value),
        _ => Err("a signature algorithm that does not fit the key".to_owned()),
    };
    match fits {
        Err(name) => Outcome::Unsupported(name),
        Ok(false) => Outcome::Invalid,
        Ok(true) => Outcome::Valid { used: used(key, algorithm, hash) },
    }
}

/// The same for an RSA signature whose DigestInfo lacks the NULL of RFC 8017: some signers leave it
/// out, and nothing else may differ.
pub(super) fn verify_without_null(key: &Key, hash: &Hash, message: &[u8], value: &[u8]) -> Outcome {
    let Key::Rsa { der, scheme: RsaScheme::Any, .. } = key else { return Outcome::Invalid };
    let Some(algorithm) = hash.ring() else { return Outcome::Invalid };
    let digest = digest::digest(algorithm, message);
    match rsa_value::fits_pkcs1(der, hash, Spelling::Absent, digest.as_ref(), value) {
        Some(true) => Outcome::Valid { used: used(key, &Algorithm::RsaPkcs1(None), Some(hash)) },
        _ => Outcome::Invalid,
    }
}

/// Verifies an RSA PKCS#1 v1.5 value over a message with this digest.
pub(super) fn verify_digest(key: &Key, hash: &Hash, digest: &[u8], value: &[u8]) -> Outcome {
    let name = match key {
        Key::Rsa { der, scheme: RsaScheme::Any, .. } => {
            match rsa_value::fits_pkcs1(der, hash, Spelling::Null, digest, value) {
                Some(true) => {
                    let used = used(key, &Algorithm::RsaPkcs1(None), Some(hash));
                    return Outcome::Valid { used };
                }
                Some(false) => return Outcome::Invalid,
                None => hash.name(),
            }
        }
        Key::Other(name) => name,
        _ => "a signature algorithm that does not fit the key",
    };
    Outcome::Unsupported(name.to_owned())
}

/// What a value that fits was made with.
fn used(key: &Key, algorithm: &Algorithm, hash: Option<&Hash>) -> Used {
    let used = key.used();
    let of_scheme = || match algorithm {
        Algorithm::RsaPss(scheme) => scheme.flaw(),
        _ => None,
    };
    Used { hash: hash.cloned(), flaw: used.flaw.clone().or_else(of_scheme), ..used }
}

/// Whether a value fits; otherwise the name of what is not judged.
type Fits = Result<bool, String>;
type Primitive = &'static dyn ring_signature::VerificationAlgorithm;

fn fits(primitive: Primitive, key: &[u8], message: &[u8], value: &[u8]) -> bool {
    ring_signature::UnparsedPublicKey::new(primitive, key).verify(message, value).is_ok()
}

fn verify_dsa(key: &DsaKey, hash: &Hash, message: &[u8], value: &[u8]) -> Fits {
    let algorithm = hash.ring().ok_or_else(|| format!("DSA with {}", hash.name()))?;
    key.verifies(digest::digest(algorithm, message).as_ref(), value)
        .ok_or_else(|| "a DSA key without usable parameters".to_owned())
}

fn verify_ecdsa(
    curve: Curve,
    point: &[u8],
    hash: Option<&Hash>,
    message: &[u8],
    value: &[u8],
) -> Fits {
    use ring_signature as r;
    let hash = hash.ok_or_else(|| "ECDSA with an unnamed hash".to_owned())?;
    let primitive: Primitive = match (curve, hash) {
        (Curve::P256, Hash::Sha256) => &r::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, Hash::Sha384) => &r::ECDSA_P256_SHA384_ASN1,
        (Curve::P384, Hash::Sha256) => &r::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, Hash::Sha384) => &r::ECDSA_P384_SHA384_ASN1,
        _ => {
            return ecdsa_value::fits(curve, point, hash, message, value)
                .ok_or_else(|| format!("ECDSA with {}", hash.name()));
        }
    };
    Ok(fits(primitive, point, message, value))
}

fn verify_rsa(
    key: &Key,
    algorithm: &Algorithm,
    hash: Option<&Hash>,
    message: &[u8],
    value: &[u8],
) -> Fits {
    let (Key::Rsa { der, bits, scheme, .. }, Some(hash)) = (key, hash) else {
        return Err("RSA with an unnamed hash".to_owned());
    };
    if *bits > RSA_BITS_MAX || *bits < RSA_BITS_READABLE_MIN {
        return Err(format!("RSA with {bits} bits"));
    }
    if let Some(primitive) = ring_rsa(algorithm, hash, *bits >= RSA_BITS_MIN)
        && *scheme == RsaScheme::Any
    {
        return Ok(fits(primitive, der, message, value));
    }
    let digest = hash.ring().map(|algorithm| digest::digest(algorithm, message));
    let digest = digest.ok_or_else(|| format!("RSA with {}", hash.name()))?;
    let digest = digest.as_ref();
    match (algorithm, scheme) {
        (Algorithm::RsaPss(asked), RsaScheme::PssWith(allowed))
            if (&asked.hash, &asked.mask) != (&allowed.hash, &allowed.mask)
                || asked.salt < allowed.salt =>
        {
            Err(format!("{}, for which its key was not certified", asked.describe()))
        }
        (Algorithm::RsaPss(scheme), _) => {
            rsa_value::fits_pss(der, scheme, digest, value).ok_or_else(|| scheme.describe())
        }
        (_, RsaScheme::Any) => rsa_value::fits_pkcs1(der, hash, Spelling::Null, digest, value)
            .ok_or_else(|| format!("RSA with {}", hash.name())),
        _ => Err("RSA PKCS#1 v1.5, for which its key was not certified".to_owned()),
    }
}

/// What ring calls it, if ring has it.
fn ring_rsa(algorithm: &Algorithm, hash: &Hash, is_long: bool) -> Option<Primitive> {
    use ring_signature as r;
    let primitive: Primitive = match (algorithm, hash, is_long) {
        (Algorithm::RsaPkcs1(_), Hash::Sha1, true) => {
            &r::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (Algorithm::RsaPkcs1(_), Hash::Sha256, true) => &r::RSA_PKCS1_2048_8192_SHA256,
        (Algorithm::RsaPkcs1(_), Hash::Sha384, true) => &r::RSA_PKCS1_2048_8192_SHA384,
        (Algorithm::RsaPkcs1(_), Hash::Sha512, true) => &r::RSA_PKCS1_2048_8192_SHA512,
        (Algorithm::RsaPkcs1(_), Hash::Sha1, false) => {
            &r::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY
        }
        (Algorithm::RsaPkcs1(_), Hash::Sha256, false) => {
            &r::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY
        }
        (Algorithm::RsaPkcs1(_), Hash::Sha512, false) => {
            &r::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY
        }
        (Algorithm::RsaPss(scheme), _, true)
            if scheme.mask == scheme.hash
                && hash.ring().is_some_and(|hash| hash.output_len() == scheme.salt) =>
        {
            match hash {
                Hash::Sha256 => &r::RSA_PSS_2048_8192_SHA256,
                Hash::Sha384 => &r::RSA_PSS_2048_8192_SHA384,
                Hash::Sha512 => &r::RSA_PSS_2048_8192_SHA512,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(primitive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_negative_modulus_is_repaired() {
        let mut modulus = vec![0x97];
        modulus.resize(256, 1);
        let negative = asn1::encode(tag::INTEGER, &[&modulus]);
        let exponent = asn1::encode(tag::INTEGER, &[&[1, 0, 1]]);
        let der = asn1::encode(tag::SEQUENCE, &[&negative, &exponent]);
        let key = rsa_key(&der, RsaScheme::Any).unwrap();
        assert!(matches!(key, Key::Rsa { bits: 2048, repaired: true, .. }));
    }
}
