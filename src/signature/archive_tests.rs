//! Archive time-stamps, honest and not, and what they prove.

use ring::digest;

use super::typed;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::signature::asn1::{encode, tag};
use crate::signature::cms::{SignedData, oid};
use crate::signature::testing::{Authority, DAY, NOW, time, timestamping, valid, with_unsigned};
use crate::signature::{Signature, TimestampKind, Trust, judge_detached};
use crate::workshop::sign;

const CONTENT: &[u8] = b"Van ban";
const SHA_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const SHA_1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];

type Attribute = (&'static [u8], Vec<u8>);

fn day(days: i64) -> Time {
    time(NOW + days * DAY)
}

/// A signer and the authority that stamped the signature, whose certificates both ran out a few days
/// ago; neither was revoked. Archive time-stamps come from another authority.
struct Archivist {
    root: Authority,
    signer: Authority,
    old_tsa: Authority,
    tsa: Authority,
}

impl Archivist {
    fn new() -> Self {
        let root = Authority::root("Root");
        let signer = root.issue("Signer", |params| valid(params, -300, -5));
        let old_tsa = root.issue("Old TSA", |params| {
            timestamping(params, true);
            valid(params, -300, -6);
        });
        let tsa = root.issue("TSA", |params| timestamping(params, true));
        Self { root, signer, old_tsa, tsa }
    }

    fn signature(&self) -> Vec<u8> {
        sign::detached(CONTENT, &self.signer.identity(), day(-20)).unwrap()
    }

    /// A signature-time-stamp, and the list that was current then.
    fn attributes(&self, cms: &[u8]) -> Vec<Attribute> {
        let value = Sha256::of(&SignedData::parse(cms).unwrap().signers[0].value);
        let token = sign::timestamp(value, &[], &self.old_tsa.identity(), day(-19)).unwrap();
        let list = self.root.crl_for(NOW - 18 * DAY, NOW - 8 * DAY, &[]);
        let lists = encode(tag::CONTEXT_0, &[&encode(tag::SEQUENCE, &[&list])]);
        let values = encode(tag::SEQUENCE, &[&lists]);
        vec![(oid::TIMESTAMP_TOKEN, token), (oid::REVOCATION_VALUES, values)]
    }

    /// An archive time-stamp of this index at `at`.
    fn stamp(&self, cms: &[u8], content: &[u8], index: &[u8], at: Time) -> Attribute {
        let data = SignedData::parse(cms).unwrap();
        let kind = encode(tag::OBJECT_IDENTIFIER, &[data.content_type]);
        let digest = Sha256::of(content).0;
        let stamped = [&kind[..], &digest, data.signers[0].stamped, index].concat();
        let token = sign::timestamp(Sha256::of(&stamped), &[], &self.tsa.identity(), at).unwrap();
        let token = with_unsigned(&token, &[(oid::ATS_HASH_INDEX_V3, index.to_vec())]);
        (oid::ARCHIVE_TIMESTAMP_V3, token)
    }

    /// An archive time-stamp of version 2 over these attributes.
    fn old_stamp(&self, cms: &[u8], attributes: &[Attribute], at: Time) -> Attribute {
        let data = SignedData::parse(cms).unwrap();
        let attribute = |(kind, value): &Attribute| {
            let kind = encode(tag::OBJECT_IDENTIFIER, &[kind]);
            encode(tag::SEQUENCE, &[&kind, &encode(tag::SET, &[value])])
        };
        let attributes: Vec<u8> = attributes.iter().flat_map(attribute).collect();
        let attributes = encode(tag::CONTEXT_1, &[&attributes]);
        let [inside, certificates, lists] = data.raw;
        let stamped =
            [inside, CONTENT, certificates, lists, data.signers[0].stamped, &attributes].concat();
        let imprint = Sha256::of(&stamped);
        let token = sign::timestamp(imprint, &[], &self.tsa.identity(), at).unwrap();
        (oid::ARCHIVE_TIMESTAMP_V2, token)
    }

    fn judge(&self, cms: &[u8]) -> Signature {
        let root = self.root.certificate.der().to_vec();
        let trust = Trust::new(vec![root], vec![], vec![self.root.crl(&[])]).unwrap();
        let report = judge_detached(cms, &CONTENT, &trust, time(NOW));
        report.signatures.into_iter().next().unwrap()
    }
}

/// ATSHashIndexV3 over the certificates of `cms` and these attributes.
fn index(cms: &[u8], attributes: &[Attribute]) -> Vec<u8> {
    let data = SignedData::parse(cms).unwrap();
    let hash = |der: &&[u8]| Sha256::of(der).0.to_vec();
    let certificates: Vec<_> = data.all_certificates.iter().map(hash).collect();
    let attributes: Vec<_> =
        attributes.iter().map(|(kind, value)| Sha256::of(&typed(kind, value)).0.to_vec()).collect();
    index_of(SHA_256, &[certificates, vec![], attributes])
}

fn index_of(hash: &[u8], lists: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let algorithm = encode(tag::SEQUENCE, &[&encode(tag::OBJECT_IDENTIFIER, &[hash])]);
    let mut content = algorithm;
    for list in lists {
        let hashes: Vec<u8> =
            list.iter().flat_map(|hash| encode(tag::OCTET_STRING, &[hash])).collect();
        content.extend(encode(tag::SEQUENCE, &[&hashes]));
    }
    encode(tag::SEQUENCE, &[&content])
}

fn code(signature: &Signature, kind: TimestampKind) -> &'static str {
    let stamps = signature.timestamps.iter().filter(|stamp| stamp.kind == kind);
    let reasons = stamps.flat_map(|stamp| stamp.verdict.reasons());
    reasons.map(|reason| reason.code).next().unwrap_or("")
}

#[test]
fn an_archive_time_stamp_carries_a_signature_beyond_its_certificate() {
    let archivist = Archivist::new();
    let own = archivist.signature();
    let mut attributes = archivist.attributes(&own);
    let bare = archivist.judge(&with_unsigned(&own, &attributes));
    assert!(bare.passed().is_none(), "nothing proves how old its time-stamp is");
    attributes.push(archivist.stamp(&own, CONTENT, &index(&own, &attributes), day(-10)));
    let archived = archivist.judge(&with_unsigned(&own, &attributes));
    assert!(archived.passed().is_some(), "{archived:#?}");
    assert_eq!(archived.best_time, Some(day(-19)));
    let kinds: Vec<_> = archived.timestamps.iter().map(|stamp| stamp.kind).collect();
    assert_eq!(kinds, [TimestampKind::Signature, TimestampKind::Archive]);
    // A second one over all of it changes nothing.
    attributes.push(archivist.stamp(&own, CONTENT, &index(&own, &attributes), day(-2)));
    let renewed = archivist.judge(&with_unsigned(&own, &attributes));
    assert!(renewed.passed().is_some(), "{renewed:#?}");
    assert_eq!(renewed.timestamps.len(), 3);
}

/// Of version 2, alone and below one of version 3.
#[test]
fn an_archive_time_stamp_of_the_second_version_covers_all_that_is_older() {
    let archivist = Archivist::new();
    let own = archivist.signature();
    let mut attributes = archivist.attributes(&own);
    attributes.push(archivist.old_stamp(&own, &attributes, day(-10)));
    let archived = archivist.judge(&with_unsigned(&own, &attributes));
    assert!(archived.passed().is_some(), "{archived:#?}");
    attributes.push(archivist.stamp(&own, CONTENT, &index(&own, &attributes), day(-2)));
    let renewed = archivist.judge(&with_unsigned(&own, &attributes));
    assert!(renewed.passed().is_some(), "{renewed:#?}");
    // One that leaves an older attribute out is over something else.
    let mut attributes = archivist.attributes(&own);
    attributes.push(archivist.old_stamp(&own, &attributes[..1], day(-10)));
    let forged = archivist.judge(&with_unsigned(&own, &attributes));
    assert_eq!(code(&forged, TimestampKind::Archive), "IMPRINT_DIFFERS");
    assert!(forged.passed().is_none());
}

/// Each proves nothing: the signature is as undecided as without it.
#[test]
fn an_archive_time_stamp_that_does_not_hold_proves_nothing() {
    let archivist = Archivist::new();
    let own = archivist.signature();
    let attributes = archivist.attributes(&own);
    let honest = index(&own, &attributes);
    let absent = vec![vec![7; 32]];
    let stamp = |index: &[u8]| archivist.stamp(&own, CONTENT, index, day(-10));
    let named = |lists: &[Vec<Vec<u8>>]| stamp(&index_of(SHA_256, lists));
    let mut doubled = stamp(&honest);
    let again = [(oid::ATS_HASH_INDEX_V3, honest.clone()), (oid::ATS_HASH_INDEX, honest.clone())];
    doubled.1 = with_unsigned(
        &sign::timestamp(Sha256::of(b"x"), &[], &archivist.tsa.identity(), day(-10)).unwrap(),
        &again,
    );
    let value = Sha256::of(&SignedData::parse(&own).unwrap().signers[0].value);
    let bare = sign::timestamp(value, &[], &archivist.tsa.identity(), day(-10)).unwrap();
    let sha_1 =
        |bytes: &[u8]| digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref().to_vec();
    let old: Vec<_> = attributes.iter().map(|(kind, value)| sha_1(&typed(kind, value))).collect();
    for (name, stamp, expected) in [
        ("other content", archivist.stamp(&own, b"other", &honest, day(-10)), "IMPRINT_DIFFERS"),
        ("absent certificate", named(&[absent.clone(), vec![], vec![]]), "ARCHIVE_INDEX_DIFFERS"),
        ("absent list", named(&[vec![], absent.clone(), vec![]]), "ARCHIVE_INDEX_DIFFERS"),
        ("absent attribute", named(&[vec![], vec![], absent]), "ARCHIVE_INDEX_DIFFERS"),
        ("no index", (oid::ARCHIVE_TIMESTAMP_V3, bare), "ARCHIVE_INDEX_UNREADABLE"),
        ("two indexes", doubled, "ARCHIVE_INDEX_UNREADABLE"),
        ("short index", named(&[vec![], vec![]]), "ARCHIVE_INDEX_UNREADABLE"),
        ("SHA-1", stamp(&index_of(SHA_1, &[vec![], vec![], old])), "SHA1"),
        ("nothing covered", named(&[vec![], vec![], vec![]]), ""),
    ] {
        let mut attributes = attributes.clone();
        attributes.push(stamp);
        let signature = archivist.judge(&with_unsigned(&own, &attributes));
        // One that holds and covers nothing else proves how old the signature itself is.
        let proven = expected.is_empty().then_some(day(-10));
        assert_eq!(signature.best_time, proven, "{name}");
        assert!(signature.passed().is_none() || proven.is_some(), "{name}");
        let found = signature.timestamps.iter().filter(|s| s.kind == TimestampKind::Archive);
        let codes: Vec<_> =
            found.flat_map(|stamp| stamp.verdict.reasons()).map(|reason| reason.code).collect();
        assert!(
            codes.contains(&expected) || expected.is_empty() && codes.is_empty(),
            "{name}: {codes:?}"
        );
    }
}

/// What was removed after archiving is noticed.
#[test]
fn a_removed_attribute_is_noticed() {
    let archivist = Archivist::new();
    let own = archivist.signature();
    let mut attributes = archivist.attributes(&own);
    attributes.push(archivist.stamp(&own, CONTENT, &index(&own, &attributes), day(-10)));
    attributes.remove(0);
    let signature = archivist.judge(&with_unsigned(&own, &attributes));
    assert_eq!(code(&signature, TimestampKind::Archive), "ARCHIVE_INDEX_DIFFERS");
    assert!(signature.passed().is_none());
}
