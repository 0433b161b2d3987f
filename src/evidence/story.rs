//! An evidence file for tests, and ways to bend one before and after it is packed.

use super::archive::{self, Files};
use super::manifest::{self, Manifest};
use super::*;
use crate::audit::book::{Desk, NOTE, key};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::log::{Checkpoint, Entry, EntryId, LogPublicKey, Origin, Status, Tree, leaf_hash};

pub(super) const ENVELOPE: &[u8] = b"envelope 1";
pub(super) const REPORT: &[u8] = b"report 1";
pub(super) const BODY: &[u8] = b"%PDF-1.7";

/// Leaves of one epoch and the receipts for some of them.
pub(super) fn receipts(epoch: u32, entries: &[Entry], seed: u8, gateway: &str) -> Vec<Receipt> {
    let leaves: Vec<Vec<u8>> = entries.iter().map(Entry::to_leaf).collect();
    let mut tree = Tree::default();
    let grown = tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
    let origin = Origin { gateway: gateway.into(), epoch };
    let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
    let note = key(gateway, seed).sign(&checkpoint);
    let receipt = |(index, leaf): (u64, Vec<u8>)| Receipt {
        leaf,
        id: EntryId { epoch, index },
        path: grown.inclusion(index),
        checkpoint: note.clone(),
    };
    (0..).zip(leaves).map(receipt).collect()
}

pub(super) fn id(text: &str) -> EntryId {
    EntryId::parse(text).expect("an id")
}

/// Epoch 1: another consignment, ours with three recipients, an acknowledgement and a refusal.
/// Epoch 2: a report and a late acknowledgement.
pub(super) fn story() -> (Vec<Entry>, Vec<Entry>) {
    let mut desk = Desk { seconds: 0 };
    let mut first = desk.accept(9, &["H49"]);
    first.extend(desk.accept(1, &["H49", "H49.11", "H50"]));
    first.push(desk.answer(1, "H49", Status::Accepted));
    first.push(desk.answer(1, "H49.11", Status::Refused));
    let second = vec![
        desk.answer(9, "H49", Status::Accepted),
        desk.answer(1, "H49", Status::InProgress),
        desk.answer(1, "H50", Status::Accepted),
    ];
    (first, second)
}

pub(super) fn evidence_of(first: &[Entry], second: &[Entry], recipient: Option<&str>) -> Evidence {
    let consignment = ConsignmentId(uuid::Uuid::from_u128(1));
    let all = receipts(1, first, 7, "gate.example").into_iter();
    let all = all.chain(receipts(2, second, 7, "gate.example"));
    let ours = |receipt: &Receipt| {
        let entry = Entry::from_leaf(&receipt.leaf).expect("an entry");
        let to = entry.to.as_ref().map(Code::as_str);
        entry.consignment == Some(consignment)
            && (recipient.is_none() || to.is_none() || to == recipient)
    };
    let receipts: Vec<Receipt> = all.filter(ours).collect();
    let refusal = receipts.iter().find(|receipt| receipt.id == id("1/7"));
    Evidence {
        consignment,
        recipient: recipient.and_then(Code::parse),
        key: key("gate.example", 7).public(),
        notes: refusal.map(|receipt| (receipt.id, NOTE.as_bytes().to_vec())).into_iter().collect(),
        receipts,
        envelope: ENVELOPE.to_vec(),
        report: REPORT.to_vec(),
        certificates: vec![b"province".to_vec(), b"commune".to_vec(), b"nobody".to_vec()],
        crls: vec![b"list".to_vec()],
        stamps: Vec::new(),
        words: Vec::new(),
        erds: Vec::new(),
        page: None,
        parts: vec![EvidencePart { index: 0, name: "văn bản.pdf".into(), bytes: BODY.to_vec() }],
    }
}

pub(super) fn evidence(recipient: Option<&str>) -> Evidence {
    let (first, second) = story();
    evidence_of(&first, &second, recipient)
}

pub(super) fn parts_of(envelope: &[u8]) -> Option<Vec<PartInfo>> {
    let part = |name: &str, body: &[u8]| PartInfo {
        name: name.into(),
        size: body.len() as u64,
        digest: Sha256::of(body),
    };
    (envelope == ENVELOPE).then(|| vec![part("văn bản.pdf", BODY), part("annex.pdf", b"annex")])
}

pub(super) fn ours() -> LogPublicKey {
    key("gate.example", 7).public()
}

pub(super) fn verify_with(bytes: &[u8], keys: &[LogPublicKey]) -> Result<Verified, Broken> {
    verify(bytes, keys, &parts_of)
}

pub(super) fn check_bytes(what: &str, bytes: &[u8], piece: &str, fault: Fault) {
    let broken = verify_with(bytes, &[ours()]).expect_err(what);
    assert_eq!(broken, Broken { piece: piece.into(), fault }, "{what}: {broken}");
}

/// Bends the pieces before they are packed.
pub(super) fn check_pieces(
    what: &str,
    bend: impl FnOnce(&mut Evidence),
    piece: &str,
    fault: Fault,
) {
    let mut evidence = evidence(None);
    bend(&mut evidence);
    check_bytes(what, &evidence.to_bytes().expect("packed"), piece, fault);
}

/// Bends the packed files; a forger also writes a fitting manifest.
pub(super) fn check_files(what: &str, bend: impl FnOnce(&mut Files), piece: &str, fault: Fault) {
    let mut files = archive::unpack(&evidence(None).to_bytes().expect("packed")).expect("files");
    files.remove(manifest::PATH);
    bend(&mut files);
    let consignment = ConsignmentId(uuid::Uuid::from_u128(1));
    let manifest = Manifest::of(consignment, None, &files).render().into_bytes();
    files.entry(manifest::PATH.into()).or_insert(manifest);
    check_bytes(what, &archive::pack(&files).expect("packed"), piece, fault);
}

/// The same without touching the manifest.
pub(super) fn check_clumsy(what: &str, bend: impl FnOnce(&mut Files), piece: &str, fault: Fault) {
    let mut files = archive::unpack(&evidence(None).to_bytes().expect("packed")).expect("files");
    bend(&mut files);
    check_bytes(what, &archive::pack(&files).expect("packed"), piece, fault);
}

pub(super) fn flip(files: &mut Files, path: &str) {
    let bytes = files.get_mut(path).expect("the file is there");
    bytes[0] ^= 1;
}

pub(super) fn rename(files: &mut Files, from: &str, to: &str) {
    let bytes = files.remove(from).expect("the file is there");
    files.insert(to.into(), bytes);
}
