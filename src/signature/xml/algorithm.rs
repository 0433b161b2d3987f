//! The algorithms that XML signatures name by URI (RFC 9231), as the room's own.
//!
//! Each is turned into the AlgorithmIdentifier that CMS would carry, so one table decides what is
//! verified, what is weak and what is unknown.

use crate::signature::algorithm::{Algorithm, Hash};
use crate::signature::asn1::{self, Reader, encode, tag};

const PKCS1: [u8; 8] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const SHA2: [u8; 8] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const ECDSA_SHA1: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
const ECDSA_SHA2: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// A signature method.
#[derive(Debug, PartialEq, Eq)]
pub enum Method {
    Known(Algorithm),
    /// A shared secret proves nothing to a third party.
    Hmac,
    Unknown,
}

/// The digest algorithm behind a URI; an unknown one is named by it.
pub fn hash(uri: &str) -> Hash {
    let known = hash_oid(uri).map(|oid| Hash::from_oid(&oid));
    known.unwrap_or_else(|| Hash::Other(uri.to_owned()))
}

fn hash_oid(uri: &str) -> Option<Vec<u8>> {
    let sha2 = |last: u8| Some([&SHA2[..], &[last]].concat());
    match uri {
        "http://www.w3.org/2000/09/xmldsig#sha1" => Some(vec![0x2b, 0x0e, 0x03, 0x02, 0x1a]),
        "http://www.w3.org/2001/04/xmlenc#sha256" => sha2(1),
        "http://www.w3.org/2001/04/xmlenc#sha512" => sha2(3),
        _ => {
            let (space, name) = uri.rsplit_once('#')?;
            match (space, name) {
                ("http://www.w3.org/2001/04/xmldsig-more", "sha384") => sha2(2),
                ("http://www.w3.org/2001/04/xmldsig-more", "sha224") => sha2(4),
                ("http://www.w3.org/2001/04/xmldsig-more", "md5") => {
                    Some(vec![0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05])
                }
                ("http://www.w3.org/2007/05/xmldsig-more", "sha3-224") => sha2(7),
                ("http://www.w3.org/2007/05/xmldsig-more", "sha3-256") => sha2(8),
                ("http://www.w3.org/2007/05/xmldsig-more", "sha3-384") => sha2(9),
                ("http://www.w3.org/2007/05/xmldsig-more", "sha3-512") => sha2(10),
                _ => None,
            }
        }
    }
}

/// The signature algorithm behind a URI.
pub fn method(uri: &str) -> Method {
    if uri.rsplit_once('#').is_some_and(|(_, name)| name.starts_with("hmac-")) {
        return Method::Hmac;
    }
    let algorithm = identifier(uri).map(|der| Algorithm::from_identifier(&der));
    match algorithm {
        Some(Ok(algorithm)) => Method::Known(algorithm),
        _ => Method::Unknown,
    }
}

/// The AlgorithmIdentifier that stands for a URI.
fn identifier(uri: &str) -> Option<Vec<u8>> {
    let oid = |oid: &[u8]| Some(sequence(&[&encode(tag::OBJECT_IDENTIFIER, &[oid])]));
    let (space, name) = uri.rsplit_once('#')?;
    let (family, hash) = name.split_once('-').unwrap_or((name, ""));
    match (space, family) {
        ("http://www.w3.org/2000/09/xmldsig", "rsa") if hash == "sha1" => pkcs1(5),
        ("http://www.w3.org/2000/09/xmldsig", "dsa") if hash == "sha1" => {
            oid(&[0x2a, 0x86, 0x48, 0xce, 0x38, 0x04, 0x03])
        }
        ("http://www.w3.org/2009/xmldsig11", "dsa") if hash == "sha256" => {
            oid(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x02])
        }
        ("http://www.w3.org/2001/04/xmldsig-more", "rsa") => match hash {
            "md5" => pkcs1(4),
            "sha224" => pkcs1(14),
            "sha256" => pkcs1(11),
            "sha384" => pkcs1(12),
            "sha512" => pkcs1(13),
            _ => None,
        },
        ("http://www.w3.org/2001/04/xmldsig-more", "ecdsa") => match hash {
            "sha1" => oid(&ECDSA_SHA1),
            "sha224" => oid(&[&ECDSA_SHA2[..], &[1]].concat()),
            "sha256" => oid(&[&ECDSA_SHA2[..], &[2]].concat()),
            "sha384" => oid(&[&ECDSA_SHA2[..], &[3]].concat()),
            "sha512" => oid(&[&ECDSA_SHA2[..], &[4]].concat()),
            _ => None,
        },
        ("http://www.w3.org/2021/04/xmldsig-more", "eddsa") if hash == "ed25519" => {
            oid(&[0x2b, 0x65, 0x70])
        }
        ("http://www.w3.org/2007/05/xmldsig-more", _) => match name.strip_suffix("-rsa-MGF1")? {
            "sha1" => pss(&[0x2b, 0x0e, 0x03, 0x02, 0x1a], 20),
            "sha224" => pss(&[&SHA2[..], &[4]].concat(), 28),
            "sha256" => pss(&[&SHA2[..], &[1]].concat(), 32),
            "sha384" => pss(&[&SHA2[..], &[2]].concat(), 48),
            "sha512" => pss(&[&SHA2[..], &[3]].concat(), 64),
            _ => None,
        },
        _ => None,
    }
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    encode(tag::SEQUENCE, parts)
}

fn pkcs1(last: u8) -> Option<Vec<u8>> {
    Some(sequence(&[&encode(tag::OBJECT_IDENTIFIER, &[&PKCS1, &[last]])]))
}

/// RSASSA-PSS-params (RFC 4055 §3.1) with one hash throughout and its length as salt, as RFC 9231
/// §2.3.10 fixes them.
fn pss(hash: &[u8], salt_size: u8) -> Option<Vec<u8>> {
    let hash = sequence(&[&encode(tag::OBJECT_IDENTIFIER, &[hash])]);
    let mask = encode(tag::OBJECT_IDENTIFIER, &[&PKCS1, &[8]]);
    let parameters = sequence(&[
        &encode(tag::CONTEXT_0, &[&hash]),
        &encode(tag::CONTEXT_1, &[&sequence(&[&mask, &hash])]),
        &encode(0xa2, &[&encode(tag::INTEGER, &[&[salt_size]])]),
    ]);
    let oid = encode(tag::OBJECT_IDENTIFIER, &[&PKCS1, &[10]]);
    Some(sequence(&[&oid, &parameters]))
}

/// The two numbers of an ECDSA or DSA value, which XML-DSig writes one after the other, in the form
/// of every other format; and whether they were written in that form already.
pub fn value(method: &Algorithm, raw: &[u8]) -> (Vec<u8>, bool) {
    if !matches!(method, Algorithm::Ecdsa(_) | Algorithm::Dsa(_)) {
        return (raw.to_vec(), false);
    }
    // No pair of halves of the usual curves is as long as its ASN.1 form.
    let is_der = !matches!(raw.len(), 40 | 64 | 96 | 132) && is_pair(raw);
    if is_der || !raw.len().is_multiple_of(2) {
        return (raw.to_vec(), is_der);
    }
    let (first, second) = raw.split_at(raw.len() / 2);
    (sequence(&[&positive(first), &positive(second)]), false)
}

fn is_pair(raw: &[u8]) -> bool {
    let Ok(pair) = asn1::only(raw, tag::SEQUENCE) else { return false };
    let mut numbers = Reader::new(pair.content);
    numbers.expect(tag::INTEGER).is_ok()
        && numbers.expect(tag::INTEGER).is_ok()
        && numbers.is_empty()
}

/// An INTEGER that is not negative.
pub fn positive(digits: &[u8]) -> Vec<u8> {
    let digits = asn1::trimmed(digits);
    let needs_sign = digits.first().is_none_or(|&byte| byte >= 0x80);
    encode(tag::INTEGER, &[if needs_sign { &[0] } else { &[] }, digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_name_the_algorithms_of_the_room() {
        for (uri, expected) in [
            (
                "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                Algorithm::RsaPkcs1(Some(Hash::Sha256)),
            ),
            (
                "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
                Algorithm::RsaPss(Hash::Sha384),
            ),
            (
                "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
                Algorithm::Ecdsa(Some(Hash::Sha512)),
            ),
            ("http://www.w3.org/2000/09/xmldsig#dsa-sha1", Algorithm::Dsa(Hash::Sha1)),
            ("http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519", Algorithm::Ed25519),
        ] {
            assert_eq!(method(uri), Method::Known(expected), "{uri}");
        }
        assert_eq!(method("http://www.w3.org/2000/09/xmldsig#hmac-sha1"), Method::Hmac);
        for uri in
            ["", "rsa-sha256", "http://www.w3.org/2000/09/xmldsig#rsa-sha256", "x#sha256-rsa-MGF1"]
        {
            assert_eq!(method(uri), Method::Unknown, "{uri}");
        }
    }

    #[test]
    fn halves_become_a_pair_of_numbers() {
        let ecdsa = Algorithm::Ecdsa(Some(Hash::Sha256));
        let mut raw = vec![0x7f; 64];
        (raw[0], raw[32]) = (0, 0x80);
        let (der, was_der) = value(&ecdsa, &raw);
        assert!(!was_der && is_pair(&der));
        assert_eq!(&der[..4], [0x30, 68, 2, 31]);
        assert_eq!(&der[35..39], [2, 33, 0, 0x80]);
        assert_eq!(value(&ecdsa, &der), (der.clone(), true));
        assert_eq!(value(&Algorithm::Ed25519, &[1, 2]), (vec![1, 2], false));
    }
}
