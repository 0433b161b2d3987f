//! C4: RSA-PSS whose parameters disagree, and keys that are used for what they were not certified.

use crate::der::{Node, integer, null, octets, oid, pkcs, sequence, sha2};
use crate::keys::Rsa;
use crate::message::Message;
use crate::people::People;
use crate::{Case, Expected, PASSED, doubted, failed};
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

const CONTENT: &[u8] = b"Thong bao";
/// Bytes of an RSA modulus.
const SIZE: usize = 256;
const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];

fn hash(algorithm: &'static Algorithm, parts: &[&[u8]]) -> Vec<u8> {
    digest(algorithm, &parts.concat()).as_ref().to_vec()
}

/// EMSA-PSS with SHA-256 (RFC 8017 §9.1.1); `mask` is the hash of MGF1.
fn encoded(message: &[u8], mask: &'static Algorithm, salt: &[u8], trailer: u8) -> Vec<u8> {
    let inner = hash(&SHA256, &[&[0; 8], &hash(&SHA256, &[message]), salt]);
    let size = SIZE - inner.len() - 1;
    let mut block = vec![0; size - salt.len() - 1];
    block.push(1);
    block.extend(salt);
    let mut stream = Vec::new();
    for counter in 0_u32.. {
        if stream.len() >= size {
            break;
        }
        stream.extend(hash(mask, &[&inner, &counter.to_be_bytes()]));
    }
    let mut masked: Vec<u8> = block.iter().zip(stream).map(|(byte, mask)| byte ^ mask).collect();
    masked[0] &= 0x7f;
    [masked, inner, vec![trailer]].concat()
}

/// RSASSA-PSS-params.
fn parameters(hash: Node, mask: Node, salt: u8) -> Node {
    let tagged = |tag, node| Node::Constructed(tag, vec![node]);
    sequence(vec![
        tagged(0xa0, sequence(vec![hash])),
        tagged(0xa1, sequence(vec![pkcs(&[1, 8]), sequence(vec![mask])])),
        tagged(0xa2, integer(&[salt])),
    ])
}

fn signed(
    people: &People,
    key: &Rsa,
    parameters: Option<Node>,
    make: impl FnOnce(&[u8]) -> Vec<u8>,
) -> Message {
    let mut message = Message::new(CONTENT, &key.identity, people);
    message.signer()[4] = match parameters {
        Some(parameters) => sequence(vec![pkcs(&[1, 10]), parameters]),
        None => sequence(vec![pkcs(&[1, 11]), null()]),
    };
    let value = make(&message.signed_bytes());
    message.signer()[5] = octets(&value);
    message
}

pub fn cases(people: &People) -> Vec<Case> {
    let key = Rsa::new(people, 8 * SIZE, 3);
    let usual = || parameters(sha2(1), sha2(1), 32);
    let with = |parameters, mask, salt: &[u8], trailer| {
        signed(people, &key, Some(parameters), |bytes| {
            key.raise(&encoded(bytes, mask, salt, trailer))
        })
    };
    let case = |name, message: &Message, expected: Expected| {
        Case::over("C4", name, message.encode(), CONTENT, expected)
    };
    let value = || failed("SIGNATURE_VALUE", None);
    let weak = || doubted("SIGNATURE_ALGORITHM", None);
    let mut doubled = usual();
    let first = doubled.at(&[0]).clone();
    doubled.children().push(first);
    let mut cases = vec![
        case("pss.p7s", &with(usual(), &SHA256, &[7; 32], 0xbc), PASSED),
        case(
            "pss-with-short-salt.p7s",
            &with(parameters(sha2(1), sha2(1), 4), &SHA256, &[7; 4], 0xbc),
            weak(),
        ),
        case(
            "pss-without-salt.p7s",
            &with(parameters(sha2(1), sha2(1), 0), &SHA256, &[], 0xbc),
            weak(),
        ),
        case(
            "pss-with-two-hashes.p7s",
            &with(parameters(sha2(1), oid(SHA_1), 32), &SHA1_FOR_LEGACY_USE_ONLY, &[7; 32], 0xbc),
            weak(),
        ),
        // Other parameters than those that made the value.
        case(
            "pss-salt-misstated.p7s",
            &with(parameters(sha2(1), sha2(1), 20), &SHA256, &[7; 32], 0xbc),
            value(),
        ),
        case(
            "pss-mask-misstated.p7s",
            &with(usual(), &SHA1_FOR_LEGACY_USE_ONLY, &[7; 32], 0xbc),
            value(),
        ),
        case("pss-trailer-other.p7s", &with(usual(), &SHA256, &[7; 32], 0xcc), value()),
        case(
            "pss-parameter-doubled.p7s",
            &with(doubled, &SHA256, &[7; 32], 0xbc),
            doubted("ALGORITHM_NOT_JUDGED", None),
        ),
    ];
    cases.extend(restricted(people, key));
    cases
}

/// Keys whose certificates allow RSA-PSS only.
fn restricted(people: &People, key: Rsa) -> Vec<Case> {
    let certified = |parameters: Option<Node>| {
        let positive = |bytes: &[u8]| integer(&[&[0][..], bytes].concat());
        let numbers = sequence(vec![positive(&key.modulus()), integer(&[3])]).encode();
        let algorithm = [vec![pkcs(&[1, 10])], parameters.into_iter().collect()].concat();
        let info =
            sequence(vec![sequence(algorithm), Node::Primitive(3, [&[0][..], &numbers].concat())]);
        key.with_certificate(people.laboratory.certify_key("PSS", info))
    };
    let usual = || parameters(sha2(1), sha2(1), 32);
    let pss = |key: &Rsa| {
        signed(people, key, Some(usual()), |bytes| {
            key.raise(&encoded(bytes, &SHA256, &[7; 32], 0xbc))
        })
    };
    let case = |name, message: &Message, expected: Expected| {
        Case::over("C4", name, message.encode(), CONTENT, expected)
    };
    let (any, same) = (certified(None), certified(Some(usual())));
    let longer = certified(Some(parameters(sha2(1), sha2(1), 40)));
    let other = certified(Some(parameters(sha2(3), sha2(3), 32)));
    let old = signed(people, &any, None, |_| vec![1; SIZE]);
    let refused = || doubted("ALGORITHM_NOT_JUDGED", None);
    vec![
        case("pss-key.p7s", &pss(&any), PASSED),
        case("pss-key-with-parameters.p7s", &pss(&same), PASSED),
        case("pss-key-wants-longer-salt.p7s", &pss(&longer), refused()),
        case("pss-key-for-other-hash.p7s", &pss(&other), refused()),
        case("pss-key-used-for-pkcs1.p7s", &old, refused()),
    ]
}
