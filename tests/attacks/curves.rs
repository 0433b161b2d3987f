//! C4 and K2 on curves that the workshop does not sign with: P-521, Ed25519, P-256 with SHA-512.

use p256::ecdsa::signature::hazmat::{PrehashSigner, RandomizedPrehashSigner};
use rand_core::OsRng;
use ring::digest::{Algorithm, SHA256, SHA512, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use vanthu::workshop::identity::Identity;

use crate::der::{Node, integer, octets, oid, sequence, sha2};
use crate::message::{MESSAGE_DIGEST, Message};
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};

const CONTENT: &[u8] = b"To trinh";
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P521: &[u8] = &[0x2b, 0x81, 4, 0, 0x23];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_SHA_512: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
const ED448: &[u8] = &[0x2b, 0x65, 0x71];

fn hash(algorithm: &'static Algorithm, bytes: &[u8]) -> Vec<u8> {
    digest(algorithm, bytes).as_ref().to_vec()
}

/// A certificate of the laboratory for a key; the identity only serves to draw up the message.
fn certified(people: &People, algorithm: Vec<Node>, key: &[u8]) -> Identity {
    let bits = Node::Primitive(3, [&[0][..], key].concat());
    let certificate =
        people.laboratory.certify_key("Curve", sequence(vec![sequence(algorithm), bits]));
    Identity {
        chain_der: vec![certificate],
        key_pkcs8: people.laboratory.issue("Drawing").key_pkcs8,
    }
}

/// A message hashed with SHA-512 (`3`) or SHA-256 (`1`) and signed by `make`.
fn message(
    people: &People,
    identity: &Identity,
    (number, algorithm): (u8, &[u8]),
    make: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Message {
    let mut message = Message::new(CONTENT, identity, people);
    message.signer()[2] = sequence(vec![sha2(number)]);
    let digest = hash(if number == 3 { &SHA512 } else { &SHA256 }, CONTENT);
    message.attribute(MESSAGE_DIGEST)[0] = octets(&digest);
    message.signer()[4] = sequence(vec![oid(algorithm)]);
    // The digest has another length: the attributes stand in another order.
    message.attributes().sort_by_key(Node::encode);
    let value = make(&message.signed_bytes());
    message.signer()[5] = octets(&value);
    message
}

pub fn cases(people: &People) -> Vec<Case> {
    let case = |row, name, message: &Message, expected: Expected| {
        Case::over(row, name, message.encode(), CONTENT, expected)
    };
    let long = p521::ecdsa::SigningKey::random(&mut OsRng);
    let point = p521::ecdsa::VerifyingKey::from(&long).to_encoded_point(false);
    let p521 = certified(people, vec![oid(EC_KEY), oid(P521)], point.as_bytes());
    let sign = |bytes: &[u8]| {
        let digest = hash(&SHA512, bytes);
        let value: p521::ecdsa::Signature =
            long.sign_prehash_with_rng(&mut OsRng, &digest).unwrap();
        value.to_der().as_bytes().to_vec()
    };
    let ecdsa = (3, ECDSA_SHA_512);
    let zeros = sequence(vec![integer(&[0]), integer(&[0])]).encode();
    let off_curve = certified(people, vec![oid(EC_KEY), oid(P521)], &[4; 133]);
    let short = p256::ecdsa::SigningKey::random(&mut OsRng);
    let point = p256::ecdsa::VerifyingKey::from(&short).to_encoded_point(false);
    let p256 = certified(people, vec![oid(EC_KEY), oid(P256)], point.as_bytes());
    let sign_short = |bytes: &[u8]| {
        let value: p256::ecdsa::Signature = short.sign_prehash(&hash(&SHA512, bytes)).unwrap();
        value.to_der().as_bytes().to_vec()
    };
    let value = || failed("SIGNATURE_VALUE", None);
    let mut cases = vec![
        case("C4", "p-521.p7s", &message(people, &p521, ecdsa, sign), PASSED),
        case("K2", "p-521-zeros.p7s", &message(people, &p521, ecdsa, |_| zeros), value()),
        case(
            "K2",
            "p-521-other-bytes.p7s",
            &message(people, &p521, ecdsa, |_| sign(b"x")),
            value(),
        ),
        case("K2", "p-521-point-off-curve.p7s", &message(people, &off_curve, ecdsa, sign), value()),
        case("C4", "p-256-with-sha-512.p7s", &message(people, &p256, ecdsa, sign_short), PASSED),
    ];
    cases.extend(edwards(people));
    cases
}

/// Ed25519 asks for SHA-512 beside it (RFC 8419 §2.3); Ed448 is not judged.
fn edwards(people: &People) -> Vec<Case> {
    let key = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let identity = certified(people, vec![oid(ED25519)], key.public_key().as_ref());
    let sign = |bytes: &[u8]| key.sign(bytes).as_ref().to_vec();
    let with = |algorithm, value: &dyn Fn(&[u8]) -> Vec<u8>| {
        message(people, &identity, algorithm, value).encode()
    };
    let other = certified(people, vec![oid(ED448)], &[1; 57]);
    let other = message(people, &other, (3, ED448), |_| vec![1; 114]).encode();
    let case = |name, cms, expected| Case::over("C4", name, cms, CONTENT, expected);
    vec![
        case("ed25519.p7s", with((3, ED25519), &sign), PASSED),
        case(
            "ed25519-with-sha-256.p7s",
            with((1, ED25519), &sign),
            doubted("DIGEST_OF_ED25519", None),
        ),
        case(
            "ed25519-other-bytes.p7s",
            with((3, ED25519), &|_| sign(b"x")),
            failed("SIGNATURE_VALUE", None),
        ),
        case("ed448.p7s", other, doubted("ALGORITHM_NOT_JUDGED", None)),
    ]
}
