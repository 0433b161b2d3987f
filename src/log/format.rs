//! The examples of `FORMAT.md`, made anew from code and held against the page: a vector that lies
//! breaks the build.

use super::*;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
use crate::document::{ConsignmentId, DossierCode, Urgency};

const PAGE: &str = include_str!("FORMAT.md");

/// The body of the fenced block with this info string.
fn block(info: &str) -> &'static str {
    let (_, rest) = PAGE
        .split_once(&format!("\n```{info}\n"))
        .unwrap_or_else(|| panic!("FORMAT.md has no block `{info}`"));
    let end = rest.find("\n```\n").expect("a block ends");
    &rest[..=end]
}

fn check(info: &str, made: &str) {
    assert_eq!(block(info), made, "the block `{info}` of FORMAT.md");
}

fn key() -> LogKey {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[7; 32]);
    LogKey::from_pkcs8("gate.example", &der).expect("a key")
}

fn actor(system: &str) -> Actor {
    let certificate = match system {
        "gateway" => key().public().fingerprint(),
        other => Sha256::of(other.as_bytes()),
    };
    Actor { system: SystemId::parse(system).expect("an id"), certificate }
}

fn entry(event: Event, system: &str, second: i64) -> Entry {
    let noon: Time = "2026-11-22T03:45:18.123Z".parse().expect("a time");
    let time = Time::from_millis(noon.millis() + second * 1000);
    let mut entry = Entry::new(event, time, actor(system));
    entry.consignment = ConsignmentId::parse("019ab2c3-7d2b-7000-8000-000000000001");
    entry.from = Code::parse("H49.151");
    entry.envelope = Some(Sha256::of(b"envelope"));
    entry
}

fn at(mut entry: Entry, recipient: &str) -> Entry {
    entry.to = Code::parse(recipient);
    entry
}

/// Epoch 1 of the example log, and the opening of epoch 2.
fn example() -> (Vec<Entry>, Entry) {
    let mut acceptance = entry(Event::SubmissionAcceptance, "commune", 0);
    acceptance.document = Some("H49.151,2026/11/22,12/UBND-VP".into());
    acceptance.number = Some("12/UBND-VP".into());
    acceptance.dossier = DossierCode::parse("H49.151-20261122-0001");
    acceptance.urgency = Some(Urgency::Urgent);
    acceptance.request = Some(Sha256::of(b"H49.151\n0d9a3a4e-52b5-4f61-8f0a-3c1c2f6f2a10"));
    acceptance.recipients = Some(RecipientSet { count: 2, digest: Sha256::of(b"H49\nH49.11\n") });
    acceptance.verdict = Some(VerdictMark {
        indication: "TOTAL-PASSED".into(),
        legal_value: "ORIGINAL".into(),
        report: Sha256::of(b"report"),
    });
    let consigned = |recipient| {
        let mut entry = at(entry(Event::ContentConsignment, "gateway", 0), recipient);
        entry.urgency = Some(Urgency::Urgent);
        entry
    };
    let mut handover = at(entry(Event::ContentHandover, "province", 61), "H49");
    handover.status = Some(Status::Accepted);
    let mut refusal = at(entry(Event::ConsignmentRejection, "province", 62), "H49.11");
    refusal.status = Some(Status::Refused);
    refusal.reason = Some("RECIPIENT".into());
    refusal.note = Some(Sha256::of(b"000102030405060708090a0b0c0d0e0f\nwrong address"));
    let mut report = at(entry(Event::StatusReport, "province", 3600), "H49");
    report.status = Some(Status::InProgress);
    let entries =
        vec![acceptance, consigned("H49"), consigned("H49.11"), handover, refusal, report];

    let mut opening = entry(Event::EpochOpening, "gateway", 86_400);
    (opening.consignment, opening.from, opening.envelope) = (None, None, None);
    let root = tree_of(&entries).root();
    opening.previous_epoch = Some(PreviousEpoch { epoch: 1, size: 6, root });
    (entries, opening)
}

fn tree_of(entries: &[Entry]) -> Tree {
    let mut tree = Tree::default();
    tree.append(entries.iter().map(|entry| leaf_hash(&entry.to_leaf())).collect());
    tree
}

fn note(epoch: u32, entries: &[Entry]) -> String {
    let origin = Origin { gateway: "gate.example".into(), epoch };
    let root = tree_of(entries).root();
    let checkpoint = Checkpoint { origin, size: entries.len() as u64, root };
    String::from_utf8(key().sign(&checkpoint)).expect("a note is text")
}

#[test]
fn every_entry_on_the_page_is_the_entry_it_claims_to_be() {
    let (entries, opening) = example();
    for (index, entry) in entries.iter().enumerate() {
        let leaf = String::from_utf8(entry.to_leaf()).expect("an entry is text");
        check(&format!("entry 1/{index}"), &leaf);
        assert_eq!(
            Entry::from_leaf(block(&format!("entry 1/{index}")).as_bytes()).as_ref(),
            Ok(entry)
        );
    }
    check("entry 2/0", &String::from_utf8(opening.to_leaf()).expect("an entry is text"));
    let written = PAGE.matches("\n```entry ").count();
    assert_eq!(written, entries.len() + 1, "an entry on the page is not checked");
}

#[test]
fn the_hashes_on_the_page_are_right() {
    let (entries, opening) = example();
    let hash = |entry: &Entry| leaf_hash(&entry.to_leaf());
    let mut lines: Vec<String> = entries
        .iter()
        .enumerate()
        .map(|(index, entry)| format!("leaf 1/{index} {}", hash(entry)))
        .collect();
    let leaf = |index: usize| hash(&entries[index]);
    let node = |left: usize| node_hash(&leaf(left), &leaf(left + 1));
    lines.push(format!("node 0..2 {}", node(0)));
    lines.push(format!("node 2..4 {}", node(2)));
    lines.push(format!("node 4..6 {}", node(4)));
    lines.push(format!("node 0..4 {}", node_hash(&node(0), &node(2))));
    lines.push(format!("root 1 6 {}", tree_of(&entries).root()));
    lines.push(format!("root 2 1 {}", hash(&opening)));
    check("hashes", &(lines.join("\n") + "\n"));
}

#[test]
fn the_key_the_checkpoints_and_the_texts_on_the_page_are_right() {
    let (entries, opening) = example();
    check("vkey", &format!("{}\n", key().public()));
    check("checkpoint 1", &note(1, &entries));
    check("checkpoint 2", &note(2, &[opening]));
    for epoch in 1..=2 {
        let note = block(&format!("checkpoint {epoch}"));
        let opened = key().public().open(note.as_bytes()).expect("signed");
        assert_eq!(opened.origin.epoch, epoch);
    }
    let request = entries[0].request.expect("an acceptance has one");
    check("request", &format!("H49.151\n0d9a3a4e-52b5-4f61-8f0a-3c1c2f6f2a10\n{request}\n"));
    let note = entries[4].note.expect("a rejection has one");
    check("note", &format!("000102030405060708090a0b0c0d0e0f\nwrong address\n{note}\n"));
    let recipients = entries[0].recipients.expect("an acceptance has them").digest;
    check("recipients", &format!("H49\nH49.11\n{recipients}\n"));
}
