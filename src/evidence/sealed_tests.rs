//! Time-stamps, sealed XML and the page in an evidence file, and ways to bend them.

use std::sync::OnceLock;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::archive::{self, Files};
use super::manifest::{self, Manifest};
use super::stamped::paths;
use super::story::*;
use super::*;
use crate::audit::book::key;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::document::ConsignmentId;
use crate::log::{Checkpoint, Entry, NoteError, Origin, Tree, consistency, leaf_hash};
use crate::signature::{Indication, Trust, judge, judge_token};
use crate::workshop::identity::Identity;
use crate::workshop::pki::DevPki;
use crate::workshop::profile::Profile;
use crate::workshop::sign;

fn now() -> Time {
    "2026-11-22T03:45:18.000Z".parse().expect("a time")
}

fn pki() -> &'static DevPki {
    static PKI: OnceLock<DevPki> = OnceLock::new();
    let profile = Profile::built_in().with_p256_keys();
    PKI.get_or_init(|| DevPki::generate(&profile, now()).expect("a PKI"))
}

fn trust() -> Trust {
    let trust = pki().trust("gov").expect("a trust domain");
    Trust::new(trust.anchors, trust.intermediates, trust.crls).expect("certificates")
}

struct DevSeal(Identity);

impl Seal for DevSeal {
    fn chain(&self) -> &[Vec<u8>] {
        &self.0.chain_der
    }

    fn method(&self) -> &'static str {
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let key = EcdsaKeyPair::from_pkcs8(scheme, &self.0.key_pkcs8, &random).ok()?;
        Some(key.sign(&random, message).ok()?.as_ref().to_vec())
    }
}

/// A time-stamp over the first `size` entries of epoch 1 of the story.
fn stamp(size: usize, over: Option<&[u8]>) -> EvidenceStamp {
    let (entries, _) = story();
    let leaves: Vec<Sha256> = entries.iter().map(|entry| leaf_hash(&entry.to_leaf())).collect();
    let (mut part, mut whole) = (Tree::default(), Tree::default());
    part.append(leaves[..size].to_vec());
    let grown = whole.append(leaves);
    let origin = Origin { gateway: "gate.example".into(), epoch: 1 };
    let checkpoint = Checkpoint { origin, size: part.size(), root: part.root() };
    let text = checkpoint.text();
    let imprint = Sha256::of(over.unwrap_or(text.as_bytes()));
    let tsa = pki().signer("tsa").expect("a TSA");
    EvidenceStamp {
        checkpoint: key("gate.example", 7).sign(&checkpoint),
        token: sign::timestamp(imprint, &[], &tsa, now()).expect("a token"),
        consistency: consistency(&grown, part.size(), whole.size()).expect("nodes in memory"),
    }
}

/// With everything that a file can hold.
fn whole() -> Evidence {
    let mut evidence = evidence(None);
    evidence.stamps = vec![stamp(6, None), stamp(8, None)];
    let bytes = evidence.to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[ours()]).expect("holds");
    let seal = DevSeal(pki().signer("gateway-seal").expect("a seal"));
    evidence.seal(&verified, &seal, now());
    evidence.page = Some(verified.page());
    evidence
}

/// Bends the packed files; a forger also writes a fitting manifest.
fn check(what: &str, bend: impl FnOnce(&mut Files), piece: &str, fault: Fault) {
    check_bytes(what, &repacked(bend), piece, fault);
}

fn repacked(bend: impl FnOnce(&mut Files)) -> Vec<u8> {
    let mut files = archive::unpack(&whole().to_bytes().expect("packed")).expect("files");
    files.remove(manifest::PATH);
    bend(&mut files);
    let consignment = ConsignmentId(uuid::Uuid::from_u128(1));
    let manifest = Manifest::of(consignment, None, &files).render().into_bytes();
    files.insert(manifest::PATH.into(), manifest);
    archive::pack(&files).expect("packed")
}

fn edit(files: &mut Files, path: &str, from: &str, to: &str) {
    let text = String::from_utf8(files[path].clone()).expect("text");
    assert!(text.contains(from), "{path} does not contain {from}");
    files.insert(path.into(), text.replacen(from, to, 1).into_bytes());
}

#[test]
fn a_file_with_everything_holds_and_is_judged_with_anchors() {
    let bytes = whole().to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[ours()]).expect("holds");
    let sizes: Vec<u64> = verified.stamps.iter().map(|stamp| stamp.size).collect();
    assert_eq!(sizes, [6, 8]);
    for stamp in &verified.stamps {
        let judged = judge_token(&stamp.token, &stamp.text, &trust(), now());
        assert_eq!(judged.verdict.indication(), Indication::TotalPassed, "{:?}", judged.verdict);
        assert_eq!(stamp.time, Some(now()));
    }
    let sealed: Vec<String> = verified.sealed.iter().map(|one| one.entry.to_string()).collect();
    // 2/1 is a business status, which the standard does not know.
    assert_eq!(sealed, ["1/2", "1/3", "1/4", "1/5", "1/6", "1/7", "2/2"]);
    for one in &verified.sealed {
        let report = judge(&one.xml, &trust(), now());
        let verdict = &report.signatures[0].verdict;
        assert_eq!(verdict.indication(), Indication::TotalPassed, "{verdict:?}");
    }
    assert_eq!(
        verified.absent[1..],
        ["no time-stamp in the file covers 2/1, 2/2".to_owned()],
        "{:?}",
        verified.absent
    );
}

#[test]
fn the_xml_holds_a_receipt_that_stands_alone() {
    use base64::Engine as _;
    let bytes = whole().to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[ours()]).expect("holds");
    for one in &verified.sealed {
        let text = std::str::from_utf8(&one.xml).expect("text");
        let document = roxmltree::Document::parse(text).expect("XML");
        let names: Vec<&str> = document
            .root_element()
            .children()
            .map(|child| child.tag_name().name())
            .filter(|name| *name != "RecipientDetails")
            .collect();
        let order = [
            "EvidenceIdentifier",
            "ERDSEventId",
            "EventReasons",
            "EventTime",
            "EvidenceIssuerDetails",
            "SenderDetails",
            "SubmissionTime",
            "EvidenceRefersToRecipient",
            "MessageIdentifier",
            "UserContentInfo",
            "TransactionLogInformation",
            "Signature",
        ];
        let places: Vec<_> = names.iter().map(|n| order.iter().position(|o| o == n)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{names:?}");
        let receipt = document.descendants().find(|node| node.tag_name().name() == "Receipt");
        let receipt = receipt.and_then(|node| node.text()).expect("a receipt");
        let receipt = base64::prelude::BASE64_STANDARD.decode(receipt).expect("base64");
        let receipt = Receipt::read(&receipt).expect("a receipt");
        let proven: Entry = (*receipt.verify(&ours()).expect("proven")).clone();
        assert!(text.contains(&format!("/Event/{}</", proven.event.word())));
        assert_eq!(receipt.id, one.entry);
    }
}

#[test]
fn bent_time_stamps_are_named() {
    let [note, proof, token] = paths(1, 6);
    let other = stamp(6, Some(b"another text"));
    check(
        "another text was stamped",
        |f| drop(f.insert(token.clone(), other.token)),
        &token,
        Fault::NotAStamp,
    );
    check("it is no token", |f| flip(f, &token), &token, Fault::NotAStamp);
    check("the token is missing", |f| drop(f.remove(&token)), &note, Fault::Foreign);
    check("its checkpoint is missing", |f| drop(f.remove(&note)), &note, Fault::Missing);
    check("its proof is missing", |f| drop(f.remove(&proof)), &proof, Fault::Missing);
    check(
        "the proof is empty",
        |f| f.get_mut(&proof).expect("it").clear(),
        &proof,
        Fault::NotConsistent,
    );
    check("the proof is no list of hashes", |f| flip(f, &proof), &proof, Fault::NotConsistent);
    check(
        "the proof has a line too many",
        |f| f.get_mut(&proof).expect("it").push(b'\n'),
        &proof,
        Fault::Malformed,
    );
    check(
        "the checkpoint is another one of ours",
        |f| drop(f.insert(note.clone(), stamp(7, None).checkpoint)),
        &note,
        Fault::OtherCheckpoint,
    );
    check(
        "the checkpoint was not signed",
        |f| edit(f, &note, "\n6\n", "\n5\n"),
        &note,
        Fault::Checkpoint(NoteError::Signature),
    );
    let far = paths(3, 6);
    check(
        "it is of an epoch without entries here",
        |f| {
            for (from, to) in paths(1, 6).iter().zip(&far) {
                rename(f, from, to);
            }
        },
        &far[0],
        Fault::OtherCheckpoint,
    );
}

#[test]
fn bent_xml_is_named() {
    let path = "erds/1-6.xml";
    check(
        "another event",
        |f| edit(f, path, "Event/ContentHandover<", "Event/RelayAcceptance<"),
        path,
        Fault::NotCommitted,
    );
    check(
        "another time",
        |f| edit(f, path, "<EventTime>2026", "<EventTime>2025"),
        path,
        Fault::NotCommitted,
    );
    check(
        "another recipient",
        |f| edit(f, path, "<Identifier>H49<", "<Identifier>H50<"),
        path,
        Fault::NotCommitted,
    );
    check(
        "of another entry",
        |f| {
            let other = f["erds/1-7.xml"].clone();
            f.insert(path.into(), other);
        },
        path,
        Fault::NotCommitted,
    );
}

#[test]
fn broken_and_missing_seals_are_named() {
    let path = "erds/1-6.xml";
    check(
        "the signed properties are changed",
        |f| edit(f, path, "SigningTime>2026", "SigningTime>2025"),
        path,
        Fault::Seal,
    );
    check(
        "the signature value is changed",
        |f| {
            let text = String::from_utf8(f[path].clone()).expect("text");
            let (before, after) = text.split_once("<ds:SignatureValue>").expect("a value");
            let bent = if after.starts_with('A') { "B" } else { "A" };
            let text = format!("{before}<ds:SignatureValue>{bent}{}", &after[1..]);
            f.insert(path.into(), text.into_bytes());
        },
        path,
        Fault::Seal,
    );
    check(
        "there is no signature",
        |f| {
            let text = String::from_utf8(f[path].clone()).expect("text");
            let (before, _) = text.split_once("<ds:Signature ").expect("a signature");
            f.insert(path.into(), format!("{before}</erds:Evidence>").into_bytes());
        },
        path,
        Fault::NotCommitted,
    );
    check(
        "it is of a status, which has none",
        |f| {
            let other = f[path].clone();
            f.insert("erds/2-1.xml".into(), other);
        },
        "erds/2-1.xml",
        Fault::NotCommitted,
    );
    check(
        "it is of no entry here",
        |f| rename(f, path, "erds/1-9.xml"),
        "erds/1-9.xml",
        Fault::Foreign,
    );
}

#[test]
fn the_page_says_what_is_proven_and_a_lying_page_is_named() {
    let bytes = whole().to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[ours()]).expect("holds");
    let page = verified.page();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for loads in ["<script", "<link", "src=", "url(", "http:", "https:"] {
        assert!(!page.contains(loads), "nothing is loaded or run: {loads}");
    }
    for statement in &verified.statements {
        assert!(page.contains(&statement.vietnamese.replace('\'', "&#39;")), "{statement:?}");
    }
    let mut evil = whole();
    evil.page = Some(page.replace("H49.11", "H49.12"));
    let lying = verify_with(&evil.to_bytes().expect("packed"), &[ours()]).expect("the rest holds");
    let told = "the page is not the one that follows from the entries";
    assert!(lying.absent.iter().any(|absent| absent == told), "{:?}", lying.absent);
    assert!(!verified.absent.iter().any(|absent| absent == told));
}
