//! Z1: evidence records over other files, with links left out, and renewals of something else.

use vanthu::digest::Sha256;
use vanthu::workshop::sign;

use crate::der::{Node, integer, octets, sequence, sha2};
use crate::package::{EXTENDED, FILES, SIMPLE, manifest, reference};
use crate::people::People;
use crate::xml_properties::day;
use crate::zip::{Entry, place, zip};
use crate::{Case, PASSED, doubted, failed};

pub const RECORD: &str = "META-INF/evidencerecord.ers";
pub const MANIFEST: &str = "META-INF/ASiCEvidenceRecordManifest.xml";

/// ArchiveTimeStamp over `stamped`, whose tree has these lists.
fn stamp(people: &People, stamped: &[u8], lists: &[Vec<Vec<u8>>], days: i64) -> Node {
    let imprint = Sha256::of(stamped);
    let token = sign::timestamp(imprint, &[], &people.tsa, day(people, days)).unwrap();
    let mut fields = vec![Node::Constructed(0xa0, vec![sha2(1)])];
    if !lists.is_empty() {
        let list = |list: &Vec<Vec<u8>>| sequence(list.iter().map(|hash| octets(hash)).collect());
        fields.push(Node::Constructed(0xa2, lists.iter().map(list).collect()));
    }
    fields.push(Node::parse(&token));
    sequence(fields)
}

/// EvidenceRecord of these chains.
fn record(chains: Vec<Vec<Node>>) -> Vec<u8> {
    let algorithms = sequence(vec![sequence(vec![sha2(1)])]);
    let chains = chains.into_iter().map(sequence).collect();
    sequence(vec![integer(&[1]), algorithms, sequence(chains)]).encode()
}

fn hash(bytes: &[u8]) -> Vec<u8> {
    Sha256::of(bytes).0.to_vec()
}

/// The hashes one after the other, in order.
fn joined(list: &[Vec<u8>]) -> Vec<u8> {
    let mut list = list.to_vec();
    list.sort();
    list.concat()
}

/// A record over a group of documents.
pub fn of_group(people: &People, documents: &[&[u8]], days: i64) -> Vec<u8> {
    let list: Vec<_> = documents.iter().map(|document| hash(document)).collect();
    record(vec![vec![stamp(people, &joined(&list), std::slice::from_ref(&list), days)]])
}

/// ASiC-S with a record.
fn simple(record: &[u8]) -> Vec<Entry> {
    let (name, content) = FILES[0];
    vec![
        Entry::stored("mimetype", SIMPLE.as_bytes()),
        Entry::deflated(name, content),
        Entry::stored(RECORD, record),
    ]
}

/// ASiC-E with a record and a manifest of both files.
fn extended(record: &[u8]) -> Vec<Entry> {
    let manifest = manifest(RECORD, &FILES.map(|(name, content)| reference(name, content)));
    let mut entries = vec![Entry::stored("mimetype", EXTENDED.as_bytes())];
    entries.extend(FILES.map(|(name, content)| Entry::deflated(name, content)));
    entries.push(Entry::deflated(MANIFEST, manifest.as_bytes()));
    entries.push(Entry::stored(RECORD, record));
    entries
}

pub fn cases(people: &People) -> Vec<Case> {
    let case = |name, entries: &[Entry], expected| Case::new("Z1", name, zip(entries), expected);
    let [(_, first), (_, second)] = FILES;
    let bare = |over: &[u8]| stamp(people, over, &[], -9);
    let alone = record(vec![vec![bare(first)]]);
    // A tree of three documents, then one list more above it.
    let leaves = vec![hash(first), hash(b"of somebody"), hash(b"of somebody else")];
    let above = vec![hash(b"another branch")];
    let root = joined(&[above.clone(), vec![hash(&joined(&leaves))]].concat());
    let tree = |over: &[u8], leaves: &Vec<Vec<u8>>| {
        record(vec![vec![stamp(people, over, &[leaves.clone(), above.clone()], -9)]])
    };
    let without = vec![leaves[1].clone(), leaves[2].clone()];
    let without_root = joined(&[above.clone(), vec![hash(&joined(&without))]].concat());
    // Renewed: the next time-stamp is over the one before.
    let old = bare(first);
    let token = |stamp: &Node| match stamp {
        Node::Constructed(_, fields) => fields.last().unwrap().encode(),
        Node::Primitive(..) => panic!("a sequence"),
    };
    let renewed = record(vec![vec![old.clone(), stamp(people, &token(&old), &[], -5)]]);
    let renews_another =
        record(vec![vec![old.clone(), stamp(people, &token(&bare(second)), &[], -5)]]);
    let too_early = record(vec![vec![old.clone(), stamp(people, &token(&old), &[], -12)]]);
    // A new tree is over the object and all chains before it.
    let chains = sequence(vec![sequence(vec![old.clone()])]).encode();
    let second_chain = |object: &[u8], chains: &[u8]| {
        let over = [hash(object), hash(chains)].concat();
        record(vec![vec![old.clone()], vec![stamp(people, &over, &[], -5)]])
    };
    let stranger = {
        let imprint = Sha256::of(first);
        let token = sign::timestamp(imprint, &[], &people.officer, day(people, -9)).unwrap();
        let named = Node::Constructed(0xa0, vec![sha2(1)]);
        record(vec![vec![sequence(vec![named, Node::parse(&token)])]])
    };
    let mut unknown = record(vec![vec![old.clone()]]);
    let named = Node::Constructed(0xa0, vec![sha2(1)]).encode();
    let other = Node::Constructed(0xa0, vec![sha2(9)]).encode();
    let at = unknown.windows(named.len()).position(|window| window == named).unwrap();
    unknown.splice(at..at + named.len(), other);
    let mut changed = simple(&alone);
    changed[1] = Entry::deflated(FILES[0].0, b"1000 trieu");
    let mut xml = simple(b"<EvidenceRecord xmlns=\"urn:ietf:params:xml:ns:ers\"/>");
    xml[2] = Entry::stored("META-INF/evidencerecord.xml", &xml[2].data.clone());
    let garbage = simple(b"0");
    let start = place(&zip(&garbage), RECORD) + 30 + RECORD.len();
    let differs = || failed("EVIDENCE_RECORD_DIFFERS", None);
    let imprint = || failed("IMPRINT_DIFFERS", None);
    vec![
        case("record.asics", &simple(&alone), PASSED),
        case("record-of-a-tree.asics", &simple(&tree(&root, &leaves)), PASSED),
        case("record-of-a-group.asice", &extended(&of_group(people, &[first, second], -9)), PASSED),
        case("record-renewed.asics", &simple(&renewed), PASSED),
        case("record-of-a-new-tree.asics", &simple(&second_chain(first, &chains)), PASSED),
        case("record-of-another.asics", &simple(&record(vec![vec![bare(b"1000")]])), imprint()),
        case("record-of-a-changed-file.asics", &changed, imprint()),
        case("record-without-the-file.asics", &simple(&tree(&without_root, &without)), differs()),
        case("record-of-another-root.asics", &simple(&tree(b"other", &leaves)), imprint()),
        case("record-of-half-a-group.asice", &extended(&of_group(people, &[first], -9)), differs()),
        case("record-of-two-without-a-tree.asice", &extended(&alone), differs()),
        case("record-renews-another.asics", &simple(&renews_another), imprint()),
        case(
            "record-renewed-before-it-was-made.asics",
            &simple(&too_early),
            doubted("TIMESTAMP_ORDER", None),
        ),
        case("record-of-other-chains.asics", &simple(&second_chain(first, b"other")), imprint()),
        case("record-of-a-new-other.asics", &simple(&second_chain(second, &chains)), imprint()),
        case("record-of-an-officer.asics", &simple(&stranger), doubted("TSA_PURPOSE", None)),
        case("record-of-sha-3.asics", &simple(&unknown), doubted("DIGEST_NOT_JUDGED", None)),
        case("record-in-xml.asics", &xml, doubted("EVIDENCE_RECORD_NOT_JUDGED", None)),
        case("record-of-nothing.asics", &garbage, failed("EVIDENCE_RECORD_UNREADABLE", start)),
    ]
}
