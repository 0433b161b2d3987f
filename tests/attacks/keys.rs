//! K1 and K2: forged RSA values, weak algorithms and keys.

use rsa::BigUint;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;
use zeroize::Zeroizing;

use crate::der::{Node, integer, null, octets, oid, pkcs, sequence, sha2};
use crate::message::{MESSAGE_DIGEST, Message};
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};

const CONTENT: &[u8] = b"Cong van";

/// A signer whose certificate holds an RSA key of our choice.
pub struct Rsa {
    key: rsa::RsaPrivateKey,
    pub identity: Identity,
}

impl Rsa {
    pub fn new(people: &People, bits: usize, exponent: u8) -> Self {
        let random = &mut rand_core::OsRng;
        let exponent = BigUint::from(exponent);
        let key = rsa::RsaPrivateKey::new_with_exp(random, bits, &exponent).unwrap();
        let identity = certified(people, &key.n().to_bytes_be(), &key.e().to_bytes_be());
        Self { key, identity }
    }

    /// The same key with another certificate.
    pub fn with_certificate(&self, certificate: Vec<u8>) -> Self {
        let key_pkcs8 = Zeroizing::new(self.identity.key_pkcs8.to_vec());
        let identity = Identity { chain_der: vec![certificate], key_pkcs8 };
        Self { key: self.key.clone(), identity }
    }

    pub fn modulus(&self) -> Vec<u8> {
        self.key.n().to_bytes_be()
    }

    /// The power of an encoded message: any padding, right or wrong.
    pub fn raise(&self, encoded: &[u8]) -> Vec<u8> {
        let number = BigUint::from_bytes_be(encoded).modpow(self.key.d(), self.key.n());
        padded(&number, encoded.len())
    }
}

/// A certificate of the laboratory for an RSA key; the identity has another key of its own, which
/// only serves to draw up the message.
fn certified(people: &People, modulus: &[u8], exponent: &[u8]) -> Identity {
    let positive = |bytes: &[u8]| integer(&[&[0][..], bytes].concat());
    let key = sequence(vec![positive(modulus), integer(exponent)]).encode();
    let info = sequence(vec![
        sequence(vec![pkcs(&[1, 1]), null()]),
        Node::Primitive(3, [&[0][..], &key].concat()),
    ]);
    let certificate = people.laboratory.certify_key("RSA", info);
    let drawing = people.laboratory.issue("Drawing");
    Identity { chain_der: vec![certificate], key_pkcs8: Zeroizing::new(drawing.key_pkcs8.to_vec()) }
}

fn padded(number: &BigUint, size: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; size - bytes.len()], bytes].concat()
}

/// DigestInfo of SHA-256, with or without the NULL of RFC 8017.
fn digest_info(message: &[u8], with_null: bool) -> Vec<u8> {
    let mut algorithm = vec![sha2(1)];
    algorithm.extend(with_null.then(null));
    sequence(vec![sequence(algorithm), octets(&Sha256::of(message).0)]).encode()
}

/// `00 01 FF … 00` and what follows, in `size` bytes.
pub fn encoded(kind: u8, filling: usize, info: &[u8], size: usize) -> Vec<u8> {
    let mut out = vec![0, kind];
    out.extend(vec![0xff; filling]);
    out.push(0);
    out.extend(info);
    out.resize(size, 0);
    out
}

/// An RSA signature with the value that `make` gives for the signed bytes.
fn message(people: &People, identity: &Identity, make: impl FnOnce(&[u8]) -> Vec<u8>) -> Message {
    let mut message = Message::new(CONTENT, identity, people);
    message.signer()[4] = sequence(vec![pkcs(&[1, 11]), null()]);
    let value = make(&message.signed_bytes());
    message.signer()[5] = octets(&value);
    message
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = forged_paddings(people);
    cases.extend(weak(people));
    cases
}

fn over(row: &'static str, name: &'static str, message: &Message, expected: Expected) -> Case {
    Case::over(row, name, message.encode(), CONTENT, expected)
}

/// K1: values whose padding only a careless reader accepts.
fn forged_paddings(people: &People) -> Vec<Case> {
    const SIZE: usize = 256;
    let cubes = Rsa::new(people, 8 * SIZE, 3);
    let with = |kind: u8, filling: usize, with_null: bool| {
        message(people, &cubes.identity, |signed| {
            cubes.raise(&encoded(kind, filling, &digest_info(signed, with_null), SIZE))
        })
    };
    let full = |info: usize| SIZE - 3 - info;
    let (usual, short) = (digest_info(b"", true).len(), digest_info(b"", false).len());
    // No key is needed: the cube root of a message whose end nobody looks at.
    let root = message(people, &cubes.identity, |signed| {
        let target = encoded(1, 8, &digest_info(signed, true), SIZE);
        let mut high = target.clone();
        high[3 + 8 + usual..].fill(0xff);
        let root = cube_root(&BigUint::from_bytes_be(&high));
        let cube = padded(&(&root * &root * &root), SIZE);
        assert_eq!(cube[..3 + 8 + usual], target[..3 + 8 + usual], "the forgery is a good one");
        padded(&root, SIZE)
    });
    let failed = || failed("SIGNATURE_VALUE", None);
    let case = |name, message: &Message, expected| over("K1", name, message, expected);
    vec![
        case("exponent-three.p7s", &with(1, full(usual), true), PASSED),
        case("cube-root-with-garbage.p7s", &root, failed()),
        case("short-padding-then-garbage.p7s", &with(1, 8, true), failed()),
        case("padding-of-encryption.p7s", &with(2, full(usual), true), failed()),
        case("no-null.p7s", &with(1, full(short), false), Expected::Passed("without the NULL")),
        // The tolerance opens nothing: the rest of the block must be as it was.
        case("no-null-short-padding.p7s", &with(1, 8, false), failed()),
        case("no-null-padding-of-encryption.p7s", &with(2, full(short), false), failed()),
        case("no-null-garbage-behind.p7s", &with(1, full(usual), false), failed()),
        case("other-null.p7s", &other_parameters(people, &cubes, SIZE), failed()),
        case("long-lengths.p7s", &long_lengths(people, &cubes, SIZE), failed()),
    ]
}

/// DigestInfo whose hash has parameters of four bytes, where a forger would put garbage.
fn other_parameters(people: &People, key: &Rsa, size: usize) -> Message {
    message(people, &key.identity, |signed| {
        let algorithm = sequence(vec![sha2(1), octets(b"junk")]);
        let info = sequence(vec![algorithm, octets(&Sha256::of(signed).0)]).encode();
        key.raise(&encoded(1, size - 3 - info.len(), &info, size))
    })
}

/// DigestInfo with lengths in a long form (BERserk).
fn long_lengths(people: &People, key: &Rsa, size: usize) -> Message {
    message(people, &key.identity, |signed| {
        let info = digest_info(signed, true);
        let info = [&[0x30, 0x83, 0, 0, info[1]][..], &info[2..]].concat();
        key.raise(&encoded(1, size - 3 - info.len(), &info, size))
    })
}

/// The largest number whose cube is not above `number`.
fn cube_root(number: &BigUint) -> BigUint {
    let mut root = BigUint::from(0_u8);
    for bit in (0..number.bits().div_ceil(3) + 1).rev() {
        let next = &root + (BigUint::from(1_u8) << bit);
        if &next * &next * &next <= *number {
            root = next;
        }
    }
    root
}

/// K2: algorithms and keys that are not accepted.
fn weak(people: &People) -> Vec<Case> {
    let case = |name, message: &Message, expected| over("K2", name, message, expected);
    let small = Rsa::new(people, 1_024, 1 + 2);
    let small = message(people, &small.identity, |signed| {
        let info = digest_info(signed, true);
        small.raise(&encoded(1, 128 - 3 - info.len(), &info, 128))
    });
    // With the exponent 1 a value is the padded message itself.
    let one = certified(people, &[0xd5; 256], &[1]);
    let one = message(people, &one, |signed| {
        let info = digest_info(signed, true);
        encoded(1, 256 - 3 - info.len(), &info, 256)
    });
    let large = Rsa::new(people, 2_048, 3);
    let md5 = hashed(people, &large, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5], |_| vec![0; 16]);
    let sha1 = hashed(people, &large, &[0x2b, 0x0e, 0x03, 0x02, 0x1a], |bytes| {
        let algorithm = &ring::digest::SHA1_FOR_LEGACY_USE_ONLY;
        ring::digest::digest(algorithm, bytes).as_ref().to_vec()
    });
    let point = |r: &[u8], s: &[u8]| {
        let mut message = Message::new(CONTENT, &people.officer, people);
        message.signer()[5] = octets(&sequence(vec![integer(r), integer(s)]).encode());
        message
    };
    let failed = || failed("SIGNATURE_VALUE", None);
    vec![
        case("rsa-1024.p7s", &small, doubted("SIGNATURE_ALGORITHM", None)),
        case("exponent-one.p7s", &one, doubted("ALGORITHM_NOT_JUDGED", None)),
        case("roca.p7s", &roca(people), doubted("SIGNATURE_ALGORITHM", None)),
        case("md5.p7s", &md5, doubted("DIGEST_NOT_JUDGED", None)),
        case("sha-1.p7s", &sha1, doubted("SHA1", None)),
        case("ecdsa-zeros.p7s", &point(&[0], &[0]), failed()),
        case("ecdsa-r-zero.p7s", &point(&[0], &[1]), failed()),
        case("ecdsa-one.p7s", &point(&[1], &[1]), failed()),
        case("explicit-curve.p7s", &explicit_curve(people), doubted("ALGORITHM_NOT_JUDGED", None)),
    ]
}

/// A modulus with the fingerprint of CVE-2017-15361; its factors need not be primes to sign once.
fn roca(people: &People) -> Message {
    const PRIMES: [u32; 39] = [
        2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89,
        97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
    ];
    let product = PRIMES.iter().fold(BigUint::from(1_u8), |product, &prime| product * prime);
    let one = BigUint::from(1_u8);
    // Primes that are 65537 to some power modulo the product, 1,024 bits long.
    let prime = |power: u32| {
        let rest = BigUint::from(65_537_u32).modpow(&BigUint::from(power), &product);
        let begin = (&one << 1_023) + (&one << 1_022) + BigUint::from(power);
        let mut factor = begin / &product;
        loop {
            factor += 1_u8;
            let candidate = &factor * &product + &rest;
            if BigUint::from(2_u8).modpow(&(&candidate - 1_u8), &candidate) == one {
                return candidate;
            }
        }
    };
    // Odd powers are 2 modulo 3, so that the exponent 3 has an inverse.
    let key = rsa::RsaPrivateKey::from_p_q(prime(71), prime(97), BigUint::from(3_u8)).unwrap();
    let identity = certified(people, &key.n().to_bytes_be(), &[3]);
    let key = Rsa { key, identity };
    message(people, &key.identity, |signed| {
        let info = digest_info(signed, true);
        key.raise(&encoded(1, 256 - 3 - info.len(), &info, 256))
    })
}

/// A message hashed with another algorithm; the value fits.
fn hashed(
    people: &People,
    key: &Rsa,
    algorithm: &[u8],
    hash: impl Fn(&[u8]) -> Vec<u8>,
) -> Message {
    let mut message = Message::new(CONTENT, &key.identity, people);
    message.signer()[2] = sequence(vec![oid(algorithm)]);
    message.attribute(MESSAGE_DIGEST)[0] = octets(&hash(CONTENT));
    message.signer()[4] = sequence(vec![pkcs(&[1, 1]), null()]);
    let digest = octets(&hash(&message.signed_bytes()));
    let info = sequence(vec![sequence(vec![oid(algorithm), null()]), digest]).encode();
    message.signer()[5] = octets(&key.raise(&encoded(1, 256 - 3 - info.len(), &info, 256)));
    message
}

/// The signer's own point on a curve that is written out, not named (CVE-2020-0601).
fn explicit_curve(people: &People) -> Message {
    let mut known = Node::parse(people.laboratory.issue("Named").leaf());
    let mut info = known.at(&[0, 6]).clone();
    // ECParameters with version and prime field; nothing reads further.
    let field = sequence(vec![oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 1, 1]), integer(&[7])]);
    *info.at(&[0, 1]) = sequence(vec![integer(&[1]), field]);
    let certificate = people.laboratory.certify_key("Explicit", info);
    let drawing = people.laboratory.issue("Drawing");
    let identity = Identity { chain_der: vec![certificate], key_pkcs8: drawing.key_pkcs8 };
    Message::new(CONTENT, &identity, people)
}
