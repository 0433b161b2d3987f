//! C1–C6: what stands inside of a CMS signature.

use vanthu::digest::Sha256;
use vanthu::workshop::identity::Identity;
use vanthu::workshop::sign;

use crate::der::{Node, integer, null, octets, oid, pkcs, sequence, set, sha2};
use crate::paper::{Custom, blank, contents, seal, signed, signed_twice};
use crate::people::{People, sign_p256};
use crate::{Case, Expected, PASSED, doubted, failed, revisions};

const CONTENT: &[u8] = b"Quy\xe1\xba\xbft \xc4\x91\xe1\xbb\x8bnh";

/// `1.2.840.113549.1.9.n`, and `.16.2.n` below it.
pub const CONTENT_TYPE: &[u8] = &[9, 3];
pub const MESSAGE_DIGEST: &[u8] = &[9, 4];
const SIGNING_TIME: &[u8] = &[9, 5];
const SIGNING_CERTIFICATE: &[u8] = &[9, 16, 2, 47];
const TIMESTAMP: &[u8] = &[9, 16, 2, 14];

/// A signature of the workshop, taken apart.
pub struct Message(Node);

impl Message {
    pub fn new(content: &[u8], signer: &Identity, people: &People) -> Self {
        Self(Node::parse(&sign::detached(content, signer, people.now).unwrap()))
    }

    pub fn encode(&self) -> Vec<u8> {
        self.0.encode()
    }

    /// SignedData: version, digests, encapsulated content, certificates, signers.
    pub fn data(&mut self) -> &mut Vec<Node> {
        self.0.at(&[1, 0]).children()
    }

    /// SignerInfo: version, identifier, digest, attributes, algorithm, value.
    pub fn signer(&mut self) -> &mut Vec<Node> {
        self.0.at(&[1, 0, 4, 0]).children()
    }

    pub fn attributes(&mut self) -> &mut Vec<Node> {
        self.signer()[3].children()
    }

    /// The values of an attribute.
    pub fn attribute(&mut self, kind: &[u8]) -> &mut Vec<Node> {
        let kind = Some(pkcs(kind));
        let mut attributes = self.attributes().iter_mut();
        let found = attributes.find(|attribute| attribute.kind() == kind);
        found.expect("it is there").at(&[1]).children()
    }

    pub fn remove(&mut self, kind: &[u8]) {
        let kind = Some(pkcs(kind));
        self.attributes().retain(|attribute| attribute.kind() != kind);
    }

    /// The bytes that are signed.
    pub fn signed_bytes(&mut self) -> Vec<u8> {
        set(self.attributes().clone()).encode()
    }

    /// Signs the attributes as they are now.
    pub fn sign_again(&mut self, signer: &Identity) {
        self.attributes().sort_by_key(Node::encode);
        let value = sign_p256(&signer.key_pkcs8, &self.signed_bytes());
        self.signer()[5] = octets(&value);
    }

    /// Adds an unsigned attribute.
    pub fn add_unsigned(&mut self, kind: &[u8], value: Node) {
        let attribute = sequence(vec![pkcs(kind), set(vec![value])]);
        self.signer().truncate(6);
        self.signer().push(Node::Constructed(0xa1, vec![attribute]));
    }
}

/// A detached signature over `document` that carries other content.
pub fn with_content(people: &People, content: &[u8], document: &[u8]) -> Vec<u8> {
    let mut message = Message::new(document, &people.officer, people);
    message.data()[2].children().push(Node::Constructed(0xa0, vec![octets(content)]));
    message.encode()
}

/// One message, signed twice.
pub fn with_two_signers(people: &People, document: &[u8]) -> Vec<u8> {
    let mut message = Message::new(document, &people.officer, people);
    let second = Message::new(document, &people.seal, people).data()[4].at(&[0]).clone();
    message.data()[4].children().push(second);
    message.encode()
}

pub fn cases(people: &People) -> Vec<Case> {
    let mut cases = confusion(people);
    cases.extend(attributes(people));
    cases.extend(certificates(people));
    cases.extend(algorithms(people));
    cases.extend(time_stamps(people));
    cases.extend(injections(people));
    cases
}

fn over(row: &'static str, name: &'static str, message: &Message, expected: Expected) -> Case {
    Case::over(row, name, message.encode(), CONTENT, expected)
}

/// C1: signed attributes presented as content, or left out.
fn confusion(people: &People) -> Vec<Case> {
    let mut message = Message::new(CONTENT, &people.officer, people);
    let control = Case::over("C1", "signed.p7s", message.encode(), CONTENT, PASSED);
    let signed = message.signed_bytes();
    message.signer().remove(3);
    let as_content = Case::over(
        "C1",
        "attributes-as-content.p7s",
        message.encode(),
        &signed,
        failed("CONTENT_IS_ATTRIBUTES", None),
    );
    let mut attached = Node::parse(&message.encode());
    attached.at(&[1, 0, 2]).children().push(Node::Constructed(0xa0, vec![octets(&signed)]));
    let attached = Case::new(
        "C1",
        "attributes-as-attached-content.p7m",
        attached.encode(),
        failed("CONTENT_IS_ATTRIBUTES", None),
    );
    let mut plain = Message::new(CONTENT, &people.officer, people);
    plain.signer().remove(3);
    plain.signer()[4] = octets(&sign_p256(&people.officer.key_pkcs8, CONTENT));
    *plain.data()[2].at(&[0]) = pkcs(&[9, 16, 1, 4]);
    let untyped =
        over("C1", "type-without-attributes.p7s", &plain, failed("ATTRIBUTES_MISSING", None));
    // Programs find the header of a PDF within the first kilobyte of such a message.
    let pdf = blank();
    let around = with_content(people, &pdf, &pdf);
    let around = Case::new("C1", "around-pdf.p7m", around, Expected::Passed("holds a PDF"));
    let exchanged = with_content(people, &pdf, b"another document");
    let exchanged =
        Case::new("C1", "around-other-pdf.p7m", exchanged, failed("DIGEST_DIFFERS", None));
    vec![control, as_content, attached, untyped, around, exchanged]
}

/// C2: the attributes that bind the content.
fn attributes(people: &People) -> Vec<Case> {
    let changed = |change: &dyn Fn(&mut Message)| {
        let mut message = Message::new(CONTENT, &people.officer, people);
        change(&mut message);
        message.sign_again(&people.officer);
        message
    };
    let doubled = |kind: &'static [u8]| {
        changed(&|message| {
            let kind = Some(pkcs(kind));
            let again = message.attributes().iter().find(|attribute| attribute.kind() == kind);
            let again = again.unwrap().clone();
            message.attributes().push(again);
        })
    };
    let twice_inside = |kind: &'static [u8]| {
        changed(&|message| {
            let value = message.attribute(kind)[0].clone();
            message.attribute(kind).push(value);
        })
    };
    let other_type = changed(&|message| message.attribute(CONTENT_TYPE)[0] = pkcs(&[7, 2]));
    let other_digest = changed(&|message| {
        message.attribute(MESSAGE_DIGEST)[0] = octets(&Sha256::of(b"other").0);
    });
    let text_digest = changed(&|message| {
        message.attribute(MESSAGE_DIGEST)[0] =
            Node::Primitive(0x0c, Sha256::of(CONTENT).0.to_vec());
    });
    let case = |name, message: &Message, expected| over("C2", name, message, expected);
    let (kind, digest) = (|| failed("CONTENT_TYPE", None), || failed("MESSAGE_DIGEST", None));
    let mut forged = Message::new(CONTENT, &people.officer, people);
    forged.attribute(MESSAGE_DIGEST)[0] = octets(&Sha256::of(b"other").0);
    vec![
        case("signed-again.p7s", &changed(&|_| {}), PASSED),
        case("signing-time-twice.p7s", &doubled(SIGNING_TIME), Expected::Passed("more than once")),
        case("type-absent.p7s", &changed(&|m| m.remove(CONTENT_TYPE)), kind()),
        case("type-twice.p7s", &doubled(CONTENT_TYPE), kind()),
        case("type-with-two-values.p7s", &twice_inside(CONTENT_TYPE), kind()),
        case("type-other.p7s", &other_type, kind()),
        case("digest-absent.p7s", &changed(&|m| m.remove(MESSAGE_DIGEST)), digest()),
        case("digest-twice.p7s", &doubled(MESSAGE_DIGEST), digest()),
        case("digest-with-two-values.p7s", &twice_inside(MESSAGE_DIGEST), digest()),
        case("digest-of-other-kind.p7s", &text_digest, digest()),
        case("digest-other.p7s", &other_digest, failed("DIGEST_DIFFERS", None)),
        Case::over(
            "C2",
            "content-exchanged.p7s",
            forged.encode(),
            b"other",
            failed("SIGNATURE_VALUE", None),
        ),
        case(
            "certificate-reference-twice.p7s",
            &doubled(SIGNING_CERTIFICATE),
            doubted("SIGNING_CERTIFICATE_UNREADABLE", None),
        ),
    ]
}

/// C3: another certificate in the place of the signer's.
fn certificates(people: &People) -> Vec<Case> {
    let laboratory = &people.laboratory;
    let signer = laboratory.issue("Signer");
    let double = laboratory.certify_again("Somebody else", &signer);
    let identifier =
        |identity: &Identity| Message::new(CONTENT, identity, people).signer()[1].clone();
    let mut substituted = Message::new(CONTENT, &signer, people);
    substituted.signer()[1] = identifier(&double);
    substituted.data()[3] = Node::Constructed(0xa0, vec![Node::parse(double.leaf())]);
    let mut accused = Message::new(CONTENT, &people.officer, people);
    accused.signer()[1] = identifier(&people.seal);
    let seal = people.seal.chain_der.iter().map(|der| Node::parse(der)).collect();
    accused.data()[3] = Node::Constructed(0xa0, seal);
    let mut absent = Message::new(CONTENT, &signer, people);
    absent.data()[3] = Node::Constructed(0xa0, Vec::new());
    let unprotected = |content: &[u8]| {
        let mut message = Message::new(content, &people.officer, people);
        message.remove(SIGNING_CERTIFICATE);
        message.sign_again(&people.officer);
        message.encode()
    };
    let bare = Case::over(
        "C3",
        "without-reference.p7s",
        unprotected(CONTENT),
        CONTENT,
        Expected::Passed("the signing certificate is not protected"),
    );
    let custom = Custom { number: 20, ..Custom::default() };
    let pades = seal_with(&custom, |content| unprotected(content));
    vec![
        over("C3", "laboratory.p7s", &Message::new(CONTENT, &signer, people), PASSED),
        bare,
        over(
            "C3",
            "same-key-other-name.p7s",
            &substituted,
            doubted("SIGNING_CERTIFICATE_DIFFERS", None),
        ),
        over("C3", "somebody-accused.p7s", &accused, failed("SIGNATURE_VALUE", None)),
        over("C3", "certificate-absent.p7s", &absent, doubted("SIGNER_CERTIFICATE_MISSING", None)),
        Case::new(
            "C3",
            "without-reference.pdf",
            pades,
            doubted("SIGNING_CERTIFICATE_UNPROTECTED", None),
        ),
    ]
}

fn seal_with(custom: &Custom<'_>, make: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
    seal(custom.prepare(&blank()), make)
}

/// C4: the algorithms contradict each other.
fn algorithms(people: &People) -> Vec<Case> {
    let with_digest = |number: u8, value: &[u8]| {
        let mut message = Message::new(CONTENT, &people.officer, people);
        message.signer()[2] = sequence(vec![sha2(number)]);
        message.attribute(MESSAGE_DIGEST)[0] = octets(value);
        message.sign_again(&people.officer);
        message
    };
    let sha512 = ring::digest::digest(&ring::digest::SHA512, CONTENT);
    let mut unknown = Message::new(CONTENT, &people.officer, people);
    unknown.signer()[4] = sequence(vec![oid(&[0x2a, 0x03, 0x04]), null()]);
    let mut empty = Message::new(CONTENT, &people.officer, people);
    empty.signer()[4] = sequence(vec![]);
    let mut rsa = Message::new(CONTENT, &people.officer, people);
    rsa.signer()[4] = sequence(vec![pkcs(&[1, 11]), null()]);
    let case = |name, message: &Message, expected| over("C4", name, message, expected);
    vec![
        case(
            "two-hashes.p7s",
            &with_digest(3, sha512.as_ref()),
            doubted("HASH_NAMES_DIFFER", None),
        ),
        case(
            "digest-of-other-hash.p7s",
            &with_digest(3, &Sha256::of(CONTENT).0),
            failed("DIGEST_DIFFERS", None),
        ),
        case("algorithm-unknown.p7s", &unknown, doubted("ALGORITHM_NOT_JUDGED", None)),
        case("algorithm-empty.p7s", &empty, failed("ALGORITHM_UNREADABLE", None)),
        case("algorithm-of-other-key.p7s", &rsa, doubted("ALGORITHM_NOT_JUDGED", None)),
    ]
}

/// C5: time-stamps over other bytes, or by somebody who is no authority for them. One inside of a
/// signature proves nothing then, and the signature is as good as without it.
fn time_stamps(people: &People) -> Vec<Case> {
    let pdf = signed(people);
    let stamp = |make: &dyn Fn(&[u8]) -> Vec<u8>| seal(revisions::stamp_field(&pdf), make);
    let elsewhere = revisions::time_stamped(people, &signed_twice(people), people.now);
    let gap = contents(&elsewhere);
    let digits = std::str::from_utf8(&elsewhere[gap.start + 1..gap.end - 1]).unwrap();
    let pairs = (0..digits.len()).step_by(2);
    let copied: Vec<u8> =
        pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let token =
        |imprint: Sha256, tsa: &Identity| sign::timestamp(imprint, &[], tsa, people.now).unwrap();
    let wrong = token(Sha256::of(b"other"), &people.tsa);
    let inside = |token: &[u8]| {
        let mut stamped = Message::new(CONTENT, &people.officer, people);
        stamped.add_unsigned(TIMESTAMP, Node::parse(token));
        stamped
    };
    let case = |name, bytes, expected| Case::new("C5", name, bytes, expected);
    vec![
        case("wrong-imprint.pdf", stamp(&|_| wrong.clone()), failed("IMPRINT_DIFFERS", None)),
        case("copied-stamp.pdf", stamp(&|_| copied.clone()), failed("IMPRINT_DIFFERS", None)),
        case(
            "stamp-by-no-authority.pdf",
            stamp(&|content| token(Sha256::of(content), &people.officer)),
            doubted("TSA_PURPOSE", None),
        ),
        over("C5", "wrong-imprint-proves-nothing.p7s", &inside(&wrong), Expected::Passed("")),
    ]
}

/// C6: what stands in unsigned places is never trusted.
fn injections(people: &People) -> Vec<Case> {
    let mut stranger = Message::new(CONTENT, &people.stranger, people);
    let root = people.stranger.chain_der.last().unwrap();
    // id-aa-ets-certValues with the stranger's own root.
    stranger.add_unsigned(&[9, 16, 2, 23], sequence(vec![Node::parse(root)]));
    let mut revoked = Message::new(CONTENT, &people.revoked, people);
    // A list of the laboratory, which does not speak of this signer, among the CRLs.
    let crl = Node::parse(people.crls.last().unwrap());
    revoked.data().insert(4, Node::Constructed(0xa1, vec![crl]));
    let mut garbled = Message::new(CONTENT, &people.officer, people);
    garbled.add_unsigned(&[9, 16, 2, 24], integer(&[1]));
    vec![
        over("C6", "unreadable-unsigned-attribute.p7s", &garbled, PASSED),
        over("C6", "own-root-inside.p7s", &stranger, doubted("ROOT_NOT_TRUSTED", None)),
        over("C6", "foreign-revocation-list-inside.p7s", &revoked, doubted("REVOKED", None)),
    ]
}
