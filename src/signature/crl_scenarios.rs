//! Revocation lists of every kind that RFC 5280 §6.3 knows, for and against a path.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CustomExtension, IsCa, SigningKey};

use super::asn1::{encode, tag};
use super::certificate::Certificate;
use super::crl::Crl;
use super::path::{Path, Purpose, judge};
use super::report::SubIndication as Sub;
use super::testing::{Authority, NOW, time};
use super::trust::Trust;

const DAY: i64 = 86_400;
const HOLD: u8 = 6;
const REMOVED: u8 = 8;

/// A list before it is signed.
#[derive(Clone, Default)]
struct List {
    entries: Vec<u8>,
    extensions: Vec<u8>,
    /// Days from now to nextUpdate.
    due: i64,
}

fn extension(last_arc: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    let oid = encode(tag::OBJECT_IDENTIFIER, &[&[0x55, 0x1d, last_arc]]);
    let critical = encode(tag::BOOLEAN, &[&[if critical { 0xff } else { 0 }]]);
    encode(tag::SEQUENCE, &[&oid, &critical, &encode(tag::OCTET_STRING, &[value])])
}

fn utc(days: i64) -> Vec<u8> {
    let text = time(NOW + days * DAY).to_string();
    let digits: String = text.chars().take(19).skip(2).filter(char::is_ascii_digit).collect();
    encode(tag::UTC_TIME, &[digits.as_bytes(), b"Z"])
}

fn subject(authority: &Authority) -> Vec<u8> {
    let (_, parsed) = x509_parser::parse_x509_certificate(authority.certificate.der()).unwrap();
    parsed.subject().as_raw().to_vec()
}

/// GeneralNames or a part of it: the authority's directoryName.
fn directory(authority: &Authority) -> Vec<u8> {
    encode(0xa4, &[&subject(authority)])
}

impl List {
    fn new() -> Self {
        Self { due: 1, ..Self::default() }
    }

    fn revokes(mut self, serial: u64, extensions: &[Vec<u8>]) -> Self {
        let serial = encode(tag::INTEGER, &[&[0], &serial.to_be_bytes()]);
        let extensions = encode(tag::SEQUENCE, &[&extensions.concat()]);
        self.entries.extend(encode(tag::SEQUENCE, &[&serial, &utc(-1), &extensions]));
        self
    }

    fn with(mut self, last_arc: u8, critical: bool, value: &[u8]) -> Self {
        self.extensions.extend(extension(last_arc, critical, value));
        self
    }

    fn number(self, number: u8) -> Self {
        self.with(20, false, &[tag::INTEGER, 1, number])
    }

    fn delta_of(self, number: u8) -> Self {
        self.with(27, true, &[tag::INTEGER, 1, number])
    }

    /// IssuingDistributionPoint with this content.
    fn scope(self, content: &[u8]) -> Self {
        self.with(28, true, &encode(tag::SEQUENCE, &[content]))
    }

    fn signed_by(&self, authority: &Authority) -> Vec<u8> {
        self.signed(authority, -1)
    }

    fn signed(&self, authority: &Authority, this_update: i64) -> Vec<u8> {
        let oid = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
        let algorithm = encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[&oid])]);
        let entries = encode(tag::SEQUENCE, &[&self.entries]);
        let extensions = encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[&self.extensions])]);
        let tbs = encode(
            tag::SEQUENCE,
            &[
                &[tag::INTEGER, 1, 1],
                &algorithm,
                &subject(authority),
                &utc(this_update),
                &utc(self.due),
                &entries,
                &extensions,
            ],
        );
        let value = authority.key.sign(&tbs).unwrap();
        let value = encode(tag::BIT_STRING, &[&[0], &value]);
        encode(tag::SEQUENCE, &[&tbs, &algorithm, &value])
    }
}

fn reason(code: u8) -> Vec<u8> {
    extension(21, false, &[tag::ENUMERATED, 1, code])
}

fn certificate_issuer(authority: &Authority) -> Vec<u8> {
    extension(29, true, &encode(tag::SEQUENCE, &[&directory(authority)]))
}

/// A CRLDistributionPoints extension whose only point names this cRLIssuer.
fn points_to(authority: &Authority) -> CustomExtension {
    let point = encode(tag::SEQUENCE, &[&encode(0xa2, &[&directory(authority)])]);
    CustomExtension::from_oid_content(&[2, 5, 29, 31], encode(tag::SEQUENCE, &[&point]))
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

/// Judges `leaf` with these anchors, further certificates and lists.
fn run(root: &Authority, others: &[&Authority], crls: Vec<Vec<u8>>, leaf: &Authority) -> Path {
    let others = others.iter().map(|other| other.certificate.der().to_vec()).collect();
    let trust = Trust::new(vec![root.certificate.der().to_vec()], others, crls).unwrap();
    let signer = Arc::new(Certificate::from_der(leaf.certificate.der()).unwrap());
    judge(&trust, time(NOW), Purpose::Document, &signer, &[])
}

fn worst(root: &Authority, crls: Vec<Vec<u8>>, leaf: &Authority) -> Option<Sub> {
    let path = run(root, &[], crls, leaf);
    assert_eq!(path.holds.is_some(), path.findings.is_empty());
    path.findings.worst()
}

#[test]
fn a_list_speaks_only_for_its_scope() {
    let root = Authority::root("Root");
    let leaf = root.issue("Leaf", |_| {});
    let check = |scope: &[u8]| worst(&root, vec![List::new().scope(scope).signed_by(&root)], &leaf);
    assert_eq!(check(&[]), None);
    assert_eq!(check(&[0x81, 1, 0xff]), None, "only users");
    assert_eq!(check(&[0x82, 1, 0xff]), Some(Sub::TryLater), "only authorities");
    assert_eq!(check(&[0x85, 1, 0xff]), Some(Sub::TryLater), "only attribute certificates");
    assert_eq!(check(&[0x84, 1, 0xff]), None, "may speak about others too");
    let name = |authority| encode(0xa0, &[&encode(0xa0, &[&directory(authority)])]);
    assert_eq!(check(&name(&root)), None, "the point that every certificate implies");
    assert_eq!(check(&name(&leaf)), Some(Sub::TryLater), "another point");
}

#[test]
fn partial_lists_must_cover_every_reason() {
    let root = Authority::root("Root");
    let leaf = root.issue("Leaf", |_| {});
    let some = |bits: [u8; 2]| List::new().scope(&[0x83, 3, 7, bits[0], bits[1]]);
    let keys = some([0b0110_0000, 0]);
    let rest = some([0b0001_1111, 0b1000_0000]);
    let check = |lists: &[&List]| {
        worst(&root, lists.iter().map(|list| list.signed_by(&root)).collect(), &leaf)
    };
    assert_eq!(check(&[&keys]), Some(Sub::TryLater));
    assert_eq!(check(&[&keys, &keys]), Some(Sub::TryLater));
    assert_eq!(check(&[&keys, &rest]), None);
    let revoking = keys.clone().revokes(leaf.serial, &[reason(1)]);
    assert_eq!(check(&[&rest, &revoking]), Some(Sub::RevokedNoPoe));
    assert_eq!(check(&[&revoking]), Some(Sub::RevokedNoPoe));
}

#[test]
fn a_delta_list_continues_the_list_it_names() {
    let root = Authority::root("Root");
    let leaf = root.issue("Leaf", |_| {});
    let base = List::new().number(5);
    let held = base.clone().revokes(leaf.serial, &[reason(HOLD)]);
    let delta = List::new().delta_of(5).number(6);
    let freed = delta.clone().revokes(leaf.serial, &[reason(REMOVED)]);
    let revoking = delta.clone().revokes(leaf.serial, &[reason(1)]);
    let stale = |list: &List| List { due: 0, ..list.clone() }.signed(&root, -3);
    let check = |lists: &[Vec<u8>]| worst(&root, lists.to_vec(), &leaf);
    let now = |list: &List| list.signed_by(&root);
    assert_eq!(check(&[now(&delta)]), Some(Sub::TryLater), "no list to continue");
    assert_eq!(check(&[now(&held)]), Some(Sub::TryLater));
    assert_eq!(check(&[now(&held), now(&freed)]), None);
    assert_eq!(check(&[now(&base), now(&revoking)]), Some(Sub::RevokedNoPoe));
    let later = List::new().delta_of(6).number(7).revokes(leaf.serial, &[reason(REMOVED)]);
    assert_eq!(check(&[now(&held), now(&later)]), Some(Sub::TryLater), "a gap between them");
    let other = List::new().scope(&[0x81, 1, 0xff]).delta_of(5).number(6);
    let other = other.revokes(leaf.serial, &[reason(REMOVED)]);
    assert_eq!(check(&[now(&held), now(&other)]), Some(Sub::TryLater), "another scope");
    let expired = List { due: -2, ..base.clone() }.signed(&root, -3);
    assert_eq!(check(std::slice::from_ref(&expired)), Some(Sub::TryLater));
    assert_eq!(check(&[expired, now(&delta)]), None, "the delta makes the old list new");
    assert_eq!(check(&[stale(&base), now(&revoking)]), Some(Sub::RevokedNoPoe));
}

#[test]
fn a_newer_list_lifts_a_suspension_but_no_revocation() {
    let root = Authority::root("Root");
    let leaf = root.issue("Leaf", |_| {});
    let old = |code| List::new().revokes(leaf.serial, &[reason(code)]).signed(&root, -2);
    let new = List::new().signed_by(&root);
    assert_eq!(worst(&root, vec![old(HOLD), new.clone()], &leaf), None);
    assert_eq!(worst(&root, vec![old(1), new.clone()], &leaf), Some(Sub::RevokedNoPoe));
    let held = List::new().revokes(leaf.serial, &[reason(HOLD)]).signed_by(&root);
    let older = List::new().signed(&root, -2);
    assert_eq!(worst(&root, vec![older, held], &leaf), Some(Sub::TryLater));
}

#[test]
fn an_indirect_list_speaks_where_the_certificate_says_so() {
    let root = Authority::root("Root");
    let publisher = root.issue("Publisher", authority);
    let leaf = root.issue("Leaf", |p| p.custom_extensions.push(points_to(&publisher)));
    let plain = root.issue("Plain", |_| {});
    let list = List::new().scope(&[0x84, 1, 0xff]);
    // The entry after another one of the same authority need not name it again.
    let revoking = list.clone().revokes(7, &[certificate_issuer(&root)]).revokes(leaf.serial, &[]);
    let of_publisher = list.clone().revokes(leaf.serial, &[]);
    // Speaks about the publisher, not about those it speaks for.
    let root_list = List::new().scope(&[0x82, 1, 0xff]).signed_by(&root);
    let check = |list: &List, leaf: &Authority, known: bool| {
        let others: &[&Authority] = if known { &[&publisher] } else { &[] };
        let lists = vec![list.signed_by(&publisher)];
        run(&root, others, lists, leaf).findings.worst()
    };
    assert_eq!(check(&list, &plain, true), Some(Sub::TryLater), "no point names the publisher");
    assert_eq!(check(&revoking, &leaf, false), Some(Sub::TryLater), "the publisher is unknown");
    // The publisher's own status is unknown until the root's list is at hand.
    assert_eq!(check(&revoking, &leaf, true), Some(Sub::TryLater));
    let both = |list: &List| {
        let lists = vec![root_list.clone(), list.signed_by(&publisher)];
        run(&root, &[&publisher], lists, &leaf)
    };
    let good = both(&list);
    assert!(good.holds.is_some());
    assert_eq!(both(&revoking).findings.worst(), Some(Sub::RevokedNoPoe));
    assert!(both(&of_publisher).holds.is_some(), "the number is of another authority");
    let direct = both(&List::new()).findings.worst();
    assert_eq!(direct, Some(Sub::TryLater), "a list that does not call itself indirect");
}

#[test]
fn a_list_that_revokes_its_own_signer_decides_nothing_else() {
    let root = Authority::root("Root");
    let publisher = root.issue("Publisher", authority);
    let named = |p: &mut CertificateParams| p.custom_extensions.push(points_to(&publisher));
    // The same key again, with a certificate whose status only its own list tells.
    let mut params = publisher.params.clone();
    named(&mut params);
    let serial = 4_711_u64;
    params.serial_number = Some(rcgen::SerialNumber::from(serial));
    let issuer = rcgen::Issuer::from_params(&root.params, &root.key);
    let certificate = params.signed_by(&publisher.key, &issuer).unwrap();
    let leaf = root.issue("Leaf", named);
    let check = |list: List| {
        let anchors = vec![root.certificate.der().to_vec()];
        let others = vec![certificate.der().to_vec()];
        let trust = Trust::new(anchors, others, vec![list.signed_by(&publisher)]).unwrap();
        let signer = Arc::new(Certificate::from_der(leaf.certificate.der()).unwrap());
        judge(&trust, time(NOW), Purpose::Document, &signer, &[]).findings.worst()
    };
    let list = List::new().scope(&[0x84, 1, 0xff]);
    assert_eq!(check(list.clone()), None);
    let revoking = list.revokes(serial, &[certificate_issuer(&root)]);
    assert_eq!(check(revoking), Some(Sub::TryLater));
}

#[test]
fn a_namesake_does_not_speak_for_an_authority() {
    let root = Authority::root("Root");
    let city = root.issue("City", authority);
    let other = root.issue("Other", authority);
    let leaf = city.issue("Leaf", |_| {});
    let own_key = root.issue("City", authority);
    let namesake = other.issue("City", authority);
    let root_list = List::new().signed_by(&root);
    let check = |signer: &Authority| {
        let lists =
            vec![root_list.clone(), List::new().signed_by(&other), List::new().signed_by(signer)];
        run(&root, &[&city, &other, &own_key, &namesake], lists, &leaf)
    };
    assert!(check(&own_key).holds.is_some(), "another key of the same authority");
    let path = check(&namesake);
    assert_eq!(path.findings.worst(), Some(Sub::TryLater));
    let said = &path.findings.first().unwrap().message;
    assert!(said.contains("only has the same name"), "{said}");
}

#[test]
fn many_lists_that_need_each_other_end_soon() {
    let root = Authority::root("Root");
    let mut publishers = vec![root.issue("Publisher", authority)];
    for _ in 0..12 {
        let last = publishers.last().unwrap();
        let points = points_to(last);
        publishers.push(root.issue("Publisher of one", |p| {
            authority(p);
            p.distinguished_name.push(rcgen::DnType::OrganizationName, last.serial.to_string());
            p.custom_extensions.push(points);
        }));
    }
    let list = List::new().scope(&[0x84, 1, 0xff]);
    let lists = publishers.iter().map(|publisher| list.signed_by(publisher)).collect();
    let leaf = root.issue("Leaf", |p| {
        p.custom_extensions.push(points_to(publishers.last().unwrap()));
    });
    let others: Vec<_> = publishers.iter().collect();
    let start = std::time::Instant::now();
    let path = run(&root, &others, lists, &leaf);
    assert_eq!(path.findings.worst(), Some(Sub::TryLater));
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// A certificate with every extension that is read here, and a list with every extension of its
/// own: whatever single byte is changed, they are read or refused.
#[test]
fn every_changed_byte_is_read_or_refused() {
    let root = Authority::root("Root");
    let oid = encode(tag::OBJECT_IDENTIFIER, &[&[0x2a, 3, 4]]);
    let pair = encode(tag::SEQUENCE, &[&oid, &oid]);
    let rules: [(u64, Vec<u8>); 5] = [
        (32, encode(tag::SEQUENCE, &[&encode(tag::SEQUENCE, &[&oid])])),
        (33, encode(tag::SEQUENCE, &[&pair])),
        (36, encode(tag::SEQUENCE, &[&[0x80, 1, 0, 0x81, 1, 1]])),
        (54, vec![tag::INTEGER, 1, 1]),
        (30, {
            let dns = encode(tag::SEQUENCE, &[&encode(0x82, &[b"vn"])]);
            let net = encode(tag::SEQUENCE, &[&encode(0x87, &[&[10, 0, 0, 0, 255, 0, 0, 0]])]);
            let name = encode(tag::SEQUENCE, &[&directory(&root)]);
            encode(tag::SEQUENCE, &[&encode(0xa0, &[&dns, &net]), &encode(0xa1, &[&name])])
        }),
    ];
    let city = root.issue("City", |p| {
        authority(p);
        p.custom_extensions.push(points_to(&root));
        for (arc, content) in rules {
            p.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, arc], content));
        }
    });
    let name = encode(0xa0, &[&encode(0xa0, &[&directory(&root)])]);
    let scope = [&name[..], &[0x83, 2, 7, 0x80, 0x84, 1, 0xff]].concat();
    let list = List::new().number(2).delta_of(1).scope(&scope);
    let list = list.revokes(1, &[certificate_issuer(&root), reason(HOLD)]).signed_by(&root);
    let (mut read, mut refused) = (0, 0);
    let mut count = |is_read: bool| *(if is_read { &mut read } else { &mut refused }) += 1;
    for mask in [0x01, 0x80, 0xff] {
        let der = city.certificate.der();
        for at in 0..der.len() {
            let mut changed = der.to_vec();
            changed[at] ^= mask;
            count(Certificate::from_der(&changed).is_ok());
        }
        for at in 0..list.len() {
            let mut changed = list.clone();
            changed[at] ^= mask;
            count(Crl::from_der(&changed).is_ok());
        }
    }
    assert!(read > 100 && refused > 100, "{read} read, {refused} refused");
    let whole = Certificate::from_der(city.certificate.der()).unwrap().constraints;
    assert!(whole.unreadable.is_empty() && whole.names.is_some() && !whole.points.is_empty());
    assert!(Crl::from_der(&list).unwrap().unusable.is_none());
}
