//! An evidence file that holds, and every way to bend one that we could think of: each is refused
//! with the piece that is at fault.

use super::archive;
use super::bundle::{certificate_path, entry_path, proof_path};
use super::manifest;
use super::story::*;
use super::*;
use crate::audit::book::{NOTE, key};
use crate::digest::Sha256;
use crate::directory::Code;
use crate::document::ConsignmentId;
use crate::log::{Entry, EntryId, LogPublicKey, NoteError, ProofError, Status, Tree, leaf_hash};

#[test]
fn an_evidence_file_tells_the_whole_story() {
    let bytes = evidence(None).to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[key("date.example", 7).public(), ours()]).expect("holds");
    assert_eq!(verified.key, ours());
    let ids: Vec<String> = verified.entries.iter().map(|entry| entry.id().to_string()).collect();
    assert_eq!(ids, ["1/2", "1/3", "1/4", "1/5", "1/6", "1/7", "2/1", "2/2"]);
    let said: Vec<&str> = verified.statements.iter().map(|s| s.english.as_str()).collect();
    assert_eq!(said.len(), 12);
    assert!(said[0].starts_with(
        "consignment 00000000-0000-0000-0000-000000000001 from H49.151 was accepted at 2026-11-18T"
    ));
    assert!(said[9].contains("H49.11 refused it at ") && said[9].ends_with(": wrong address"));
    assert!(said[11].contains("H50 took and acknowledged it at "));
    assert_eq!(verified.absent.len(), 2, "{:?}", verified.absent);
    assert!(verified.absent[1].starts_with("no time-stamp in the file covers 1/2, 1/3"));
    assert!(verified.absent[0].starts_with("the part annex.pdf is not enclosed"));
    let bound = |bytes: &[u8]| {
        let path = certificate_path(bytes);
        verified.attachments.iter().find(|a| a.path == path).map(|a| a.binding)
    };
    assert_eq!(bound(b"province"), Some(Binding::Actor));
    assert_eq!(bound(b"nobody"), Some(Binding::Nothing));
    assert_eq!(verified.attachments.len(), 4);
    assert_eq!(verified.checks.len(), 8, "{:#?}", verified.checks);
}

#[test]
fn a_narrowed_file_tells_one_recipients_story() {
    let bytes = evidence(Some("H50")).to_bytes().expect("packed");
    let verified = verify_with(&bytes, &[ours()]).expect("holds");
    let ids: Vec<String> = verified.entries.iter().map(|entry| entry.id().to_string()).collect();
    assert_eq!(ids, ["1/2", "1/5", "2/2"]);

    let mut unanswered = evidence(Some("H49.11"));
    unanswered.receipts.pop();
    unanswered.notes.clear();
    let verified = verify_with(&unanswered.to_bytes().expect("packed"), &[ours()]).expect("holds");
    assert!(verified.absent[0].starts_with("the file holds no answer of H49.11"));
}

#[test]
fn the_same_pieces_give_the_same_bytes() {
    let bytes = evidence(None).to_bytes().expect("packed");
    let mut shuffled = evidence(None);
    shuffled.receipts.reverse();
    shuffled.certificates.reverse();
    assert_eq!(shuffled.to_bytes().expect("packed"), bytes);
    // The digest of the whole: a new version of a dependency must not change the format.
    let files = archive::unpack(&bytes).expect("files");
    let mut fixed = files.clone();
    fixed.retain(|path, _| !matches!(path.as_str(), "README.txt" | manifest::PATH));
    let digest = Sha256::of(&archive::pack(&fixed).expect("packed"));
    assert_eq!(digest.to_hex(), "4a1101dca7225af2d0f1112e3e194090e96da7fc09a2beccd6a62343cde67a82");
}

#[test]
fn an_archive_that_is_not_plain_is_refused() {
    let bytes = evidence(None).to_bytes().expect("packed");
    check_bytes("empty", b"", "the archive", Fault::NotAnArchive);
    check_bytes("cut", &bytes[..bytes.len() - 1], "the archive", Fault::NotAnArchive);
    check_bytes("half", &bytes[..bytes.len() / 2], "the archive", Fault::NotAnArchive);
    check_bytes("longer", &[&bytes[..], b"x"].concat(), "the archive", Fault::NotAnArchive);
    check_bytes("begun", &[b"x", &bytes[..]].concat(), "the archive", Fault::NotAnArchive);
    let bend = |at: usize, change: u8| {
        let mut bent = bytes.clone();
        bent[at] ^= change;
        bent
    };
    // The first local header: method at 8, name at 30; then the bytes of README.txt.
    check_bytes("method", &bend(8, 8), "the archive", Fault::HeadersDiffer);
    check_bytes("name", &bend(30, 1), "the archive", Fault::HeadersDiffer);
    check_bytes("content", &bend(60, 1), "README.txt", Fault::Damaged);
    let end = bytes.len() - 22;
    let mut hidden = bytes.clone();
    let start = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().expect("4 bytes"));
    hidden[end + 16..end + 20].copy_from_slice(&(start + 1).to_le_bytes());
    hidden.insert(start as usize, 0);
    check_bytes("hidden", &hidden, "the archive", Fault::HiddenBytes);
    let mut counted = bytes.clone();
    counted[end + 8..end + 12].fill(0xff);
    check_bytes("counted", &counted, "the archive", Fault::TooManyFiles);
    let mut commented = bytes.clone();
    commented[end + 20] = 1;
    commented.push(0);
    check_bytes("commented", &commented, "the archive", Fault::NotAnArchive);
    let many = vec![0; crate::limits::EVIDENCE_SIZE_MAX + 1];
    check_bytes("huge", &many, "the archive", Fault::TooLarge);
}

#[test]
fn no_single_byte_of_an_evidence_file_can_be_changed() {
    // Attributes and times in the headers are the only bytes without a meaning.
    let bytes = evidence(Some("H50")).to_bytes().expect("packed");
    let mut survivors = 0;
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 0x11;
        survivors += usize::from(verify_with(&bent, &[ours()]).is_ok());
    }
    let files = archive::unpack(&bytes).expect("files").len();
    assert!(survivors <= files * 24, "{survivors} of {} in {files} files", bytes.len());
}

#[test]
fn a_clumsy_change_is_named_by_the_manifest() {
    let entry = entry_path(id("1/6"));
    check_clumsy("changed", |f| flip(f, &entry), &entry, Fault::Altered);
    check_clumsy("removed", |f| drop(f.remove(&entry)), &entry, Fault::Missing);
    check_clumsy("added", |f| drop(f.insert("z".into(), vec![])), "z", Fault::Unlisted);
    check_clumsy("no manifest", |f| drop(f.remove(manifest::PATH)), manifest::PATH, Fault::Missing);
    check_clumsy("bent manifest", |f| flip(f, manifest::PATH), manifest::PATH, Fault::Malformed);
    let envelope = "envelope.bin";
    check_clumsy("envelope", |f| flip(f, envelope), envelope, Fault::Altered);
}

#[test]
fn a_careful_change_is_named_by_the_log() {
    let (entry, proof) = (entry_path(id("1/6")), proof_path(id("1/6")));
    let root = Fault::Receipt(ReceiptError::Proof(ProofError::Root));
    check_files(
        "an entry is changed",
        |f| {
            let text = String::from_utf8(f[&entry].clone()).expect("text");
            f.insert(entry.clone(), text.replace("status 03", "status 06").into_bytes());
        },
        &entry,
        root.clone(),
    );
    check_files(
        "an entry is moved",
        |f| {
            rename(f, &entry, &entry_path(id("1/1")));
            rename(f, &proof, &proof_path(id("1/1")));
        },
        &proof_path(id("1/1")),
        Fault::OtherCheckpoint,
    );
    check_files(
        "proofs are swapped",
        |f| {
            let other = proof_path(id("1/7"));
            let (a, b) = (f[&proof].clone(), f[&other].clone());
            f.insert(proof.clone(), b);
            f.insert(other, a);
        },
        &proof,
        Fault::OtherCheckpoint,
    );
    check_files(
        "entries are swapped",
        |f| {
            let other = entry_path(id("1/7"));
            let (a, b) = (f[&entry].clone(), f[&other].clone());
            f.insert(entry.clone(), b);
            f.insert(other, a);
        },
        &entry,
        root,
    );
}

#[test]
fn a_piece_put_in_anothers_place_is_named() {
    let (entry, proof) = (entry_path(id("1/6")), proof_path(id("1/6")));
    check_files(
        "a proof is bent",
        |f| flip(f, &proof),
        &proof,
        Fault::Receipt(ReceiptError::Malformed { line: 1 }),
    );
    check_files("a proof is missing", |f| drop(f.remove(&proof)), &proof, Fault::Missing);
    check_files("an entry is missing", |f| drop(f.remove(&entry)), &proof, Fault::Foreign);
    check_files(
        "a path has two spellings",
        |f| rename(f, &entry, "entries/1-06.entry"),
        "entries/1-06.entry",
        Fault::Path,
    );
    check_files(
        "a path climbs",
        |f| drop(f.insert("../evil".into(), vec![])),
        "../evil",
        Fault::Foreign,
    );
    check_files(
        "the README is missing",
        |f| drop(f.remove("README.txt")),
        "README.txt",
        Fault::Missing,
    );
    check_files(
        "the checkpoint is missing",
        |f| drop(f.remove("checkpoint-2")),
        "checkpoint-2",
        Fault::Missing,
    );
    check_files(
        "a checkpoint is too many",
        |f| {
            let note = f["checkpoint-2"].clone();
            f.insert("checkpoint-3".into(), note);
        },
        "checkpoint-3",
        Fault::Foreign,
    );
    check_files(
        "checkpoints are swapped",
        |f| {
            let (a, b) = (f["checkpoint-1"].clone(), f["checkpoint-2"].clone());
            f.insert("checkpoint-1".into(), b);
            f.insert("checkpoint-2".into(), a);
        },
        "checkpoint-1",
        Fault::OtherCheckpoint,
    );
    check_files(
        "the vkey is another",
        |f| {
            let other = format!("{}\n", key("gate.example", 8).public());
            f.insert("log.vkey".into(), other.into_bytes());
        },
        "log.vkey",
        Fault::OtherKey,
    );
}

#[test]
fn bodies_that_are_not_the_proven_ones_are_refused() {
    let digest = Sha256::of(REPORT);
    let report = format!("reports/{digest}.json");
    check_files(
        "the envelope is another",
        |f| flip(f, "envelope.bin"),
        "envelope.bin",
        Fault::NotCommitted,
    );
    check_files(
        "the envelope is missing",
        |f| drop(f.remove("envelope.bin")),
        "envelope.bin",
        Fault::Missing,
    );
    check_files("the report is changed", |f| flip(f, &report), &report, Fault::NotCommitted);
    check_pieces(
        "the report is another",
        |e| e.report = b"TOTAL-PASSED".to_vec(),
        &report,
        Fault::Missing,
    );
    check_pieces(
        "a part is changed",
        |e| e.parts[0].bytes[0] ^= 1,
        "parts/001-văn bản.pdf",
        Fault::NotCommitted,
    );
    check_pieces(
        "a part is longer",
        |e| e.parts[0].bytes.push(0),
        "parts/001-văn bản.pdf",
        Fault::NotCommitted,
    );
    check_pieces(
        "a part is at another place",
        |e| e.parts[0].index = 1,
        "parts/002-văn bản.pdf",
        Fault::Foreign,
    );
    check_pieces(
        "a note is another",
        |e| e.notes[0].1[40] ^= 1,
        "notes/1-7.txt",
        Fault::NotCommitted,
    );
    check_pieces(
        "a note has no entry",
        |e| e.notes[0].0 = id("1/6"),
        "notes/1-6.txt",
        Fault::Foreign,
    );
    let certificate = certificate_path(b"province");
    check_files("a certificate is changed", |f| flip(f, &certificate), &certificate, Fault::Path);
    let broken = verify(&evidence(None).to_bytes().expect("packed"), &[ours()], &|_| None);
    assert_eq!(broken.expect_err("unreadable").to_string(), "envelope.bin cannot be read");
}

#[test]
fn who_signed_matters() {
    let bytes = evidence(None).to_bytes().expect("packed");
    let with = |keys: &[LogPublicKey]| verify_with(&bytes, keys).expect_err("another key");
    let first = |fault| Broken { piece: "checkpoint-1".into(), fault };
    assert_eq!(with(&[]), first(Fault::UnknownLog));
    assert_eq!(with(&[key("date.example", 7).public()]), first(Fault::UnknownLog));
    let unsigned = Fault::Checkpoint(NoteError::Unsigned);
    assert_eq!(with(&[key("gate.example", 8).public()]), first(unsigned.clone()));
    // A forger who makes a log of its own, under the same name.
    check_pieces(
        "a made-up log",
        |e| {
            let (entries, _) = story();
            e.key = key("gate.example", 8).public();
            e.receipts = receipts(1, &entries, 8, "gate.example");
        },
        "checkpoint-1",
        unsigned.clone(),
    );
    // One epoch of one gateway, one of another, both with keys that the caller trusts.
    let (first, second) = story();
    let mut mixed = evidence_of(&first, &second, None);
    let other = receipts(2, &second, 7, "date.example");
    mixed.receipts.retain(|receipt| receipt.id.epoch == 1);
    mixed.receipts.extend(other.into_iter().skip(1));
    let keys = [ours(), key("date.example", 7).public()];
    let broken = verify_with(&mixed.to_bytes().expect("packed"), &keys).expect_err("mixed");
    assert_eq!(broken, Broken { piece: "checkpoint-2".into(), fault: Fault::UnknownLog });
}

#[test]
fn an_incomplete_or_contradictory_story_is_refused() {
    let drop_entry = |text: &'static str| {
        move |e: &mut Evidence| e.receipts.retain(|receipt| receipt.id != id(text))
    };
    let entry = |text: &str| entry_path(id(text));
    let says = Fault::Contradiction;
    check_pieces(
        "a recipient is left out",
        |e| {
            drop_entry("1/5")(e);
            drop_entry("2/2")(e);
        },
        &entry("1/5"),
        Fault::Missing,
    );
    check_pieces(
        "the acceptance is left out",
        drop_entry("1/2"),
        &entry("1/3"),
        says("the first one is not the acceptance"),
    );
    check_pieces("nothing is left", |e| e.receipts.clear(), "entries", Fault::Missing);
    check_pieces(
        "a consignment is left out",
        drop_entry("1/3"),
        &entry("1/6"),
        says("its recipient was sent nothing"),
    );
    check_pieces(
        "another's entry is added",
        |e| {
            let (first, _) = story();
            e.receipts.push(receipts(1, &first, 7, "gate.example").remove(1));
        },
        &entry("1/1"),
        says("the first one is not the acceptance"),
    );
    check_pieces(
        "another's answer is added",
        |e| {
            let (_, second) = story();
            e.receipts.push(receipts(2, &second, 7, "gate.example").remove(0));
        },
        &entry("2/0"),
        Fault::OtherConsignment,
    );
    check_pieces(
        "it is narrowed to another",
        |e| e.recipient = Code::parse("H50"),
        &entry("1/3"),
        Fault::OtherRecipient,
    );
    check_pieces(
        "it is narrowed to nobody",
        |e| {
            e.recipient = Code::parse("H51");
            e.receipts.truncate(1);
            e.notes.clear();
        },
        "the consignment to H51",
        Fault::Missing,
    );
    check_pieces(
        "it is said to be about another",
        |e| e.consignment = ConsignmentId(uuid::Uuid::from_u128(9)),
        &entry("1/2"),
        Fault::OtherConsignment,
    );
}

#[test]
fn a_story_that_the_operator_bent_is_refused() {
    let bent =
        |what: &str, bend: fn(&mut Vec<Entry>, &mut Vec<Entry>), at: &str, fault: &'static str| {
            let (mut first, mut second) = story();
            bend(&mut first, &mut second);
            let bytes = evidence_of(&first, &second, None).to_bytes().expect("packed");
            check_bytes(what, &bytes, &entry_path(id(at)), Fault::Contradiction(fault));
        };
    bent("a second answer", |_, b| b[2].to = Code::parse("H49"), "2/2", "it is a second answer");
    bent(
        "another recipient",
        |a, b| {
            a[5].to = Code::parse("H51");
            b.truncate(2);
        },
        "1/2",
        "other recipients follow than it promises",
    );
    bent("a recipient twice", |a, _| a[5].to = Code::parse("H49"), "1/5", "it stands twice");
    bent(
        "more recipients than promised",
        |a, _| {
            if let Some(set) = &mut a[2].recipients {
                set.count = 2;
            }
        },
        "1/5",
        "it does not follow its acceptance",
    );
    bent(
        "another envelope",
        |a, _| a[6].envelope = Some(Sha256::of(b"x")),
        "1/6",
        "it has another sender or envelope",
    );
    bent(
        "another sender",
        |a, _| a[6].from = Code::parse("H1"),
        "1/6",
        "it has another sender or envelope",
    );
    bent(
        "a false status",
        |a, _| a[6].status = Some(Status::Refused),
        "1/6",
        "its status is not one of its event",
    );
    bent(
        "a gateway that answers",
        |a, _| a[6].actor = a[3].actor.clone(),
        "1/6",
        "the gateway acted for somebody else",
    );
    bent(
        "a system that consigns",
        |a, _| a[3].actor = a[2].actor.clone(),
        "1/3",
        "somebody else acted for the gateway",
    );
}

#[test]
fn a_note_without_a_salt_or_without_a_measure_is_refused() {
    let salt = &NOTE[..33];
    for note in
        ["wrong address".to_owned(), NOTE.replace('a', "A"), salt.to_owned() + &"a".repeat(2001)]
    {
        let (mut first, second) = story();
        first[7].note = Some(Sha256::of(note.as_bytes()));
        let mut evidence = evidence_of(&first, &second, None);
        evidence.notes[0].1 = note.into_bytes();
        let bytes = evidence.to_bytes().expect("packed");
        check_bytes("note", &bytes, "notes/1-7.txt", Fault::Malformed);
    }
}

#[test]
fn what_people_wrote_cannot_steer_a_terminal() {
    let (mut first, second) = story();
    first[2].document = Some("\u{1b}[2Jdocument\u{202e}".into());
    let note = "000102030405060708090a0b0c0d0e0f\nno\n\u{1b}[31mred";
    first[7].note = Some(Sha256::of(note.as_bytes()));
    let mut evidence = evidence_of(&first, &second, None);
    evidence.notes[0].1 = note.as_bytes().to_vec();
    let verified = verify_with(&evidence.to_bytes().expect("packed"), &[ours()]).expect("holds");
    let said: Vec<&str> = verified.statements.iter().map(|s| s.english.as_str()).collect();
    assert!(said[1].starts_with("its document is \u{FFFD}[2Jdocument\u{FFFD}, "), "{}", said[1]);
    assert!(said[9].ends_with(": no\u{FFFD}\u{FFFD}[31mred"), "{}", said[9]);
    check_clumsy(
        "a path",
        |f| drop(f.insert("z\u{1b}[2J".into(), vec![])),
        "z\u{FFFD}[2J",
        Fault::Unlisted,
    );
}

#[test]
fn what_cannot_be_packed_is_not() {
    let packed = |bend: fn(&mut Evidence)| {
        let mut evidence = evidence(None);
        bend(&mut evidence);
        evidence.to_bytes().expect_err("not packed").to_string()
    };
    assert_eq!(
        packed(|e| e.receipts.push(e.receipts[0].clone())),
        "no evidence file can be made: entries/1-2.entry would stand twice"
    );
    assert_eq!(
        packed(|e| e.receipts[1].checkpoint.push(b'x')),
        "no evidence file can be made: checkpoint-1 does not end in the checkpoint of its epoch"
    );
    assert_eq!(
        packed(|e| e.parts[0].bytes = vec![0; crate::limits::EVIDENCE_SIZE_MAX]),
        "no evidence file can be made: the archive is too large for an evidence file"
    );
}

/// The body of a fenced block of a page.
fn block<'a>(page: &'a str, info: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n```{info}\n")).expect("the block is there");
    &rest[..=rest.find("\n```\n").expect("an end")]
}

#[test]
fn the_examples_on_the_page_are_right() {
    let (page, log) = (include_str!("FORMAT.md"), include_str!("../log/FORMAT.md"));
    let leaf = |index: usize| block(log, &format!("entry 1/{index}")).as_bytes();
    let mut tree = Tree::default();
    let grown = tree.append((0..6).map(|index| leaf_hash(leaf(index))).collect());
    let receipt = |index: usize| Receipt {
        leaf: leaf(index).to_vec(),
        id: EntryId { epoch: 1, index: index as u64 },
        path: grown.inclusion(index as u64),
        checkpoint: block(log, "checkpoint 1").as_bytes().to_vec(),
    };
    let check = |info: &str, made: &str| {
        assert_eq!(block(page, info), made, "the block `{info}` of FORMAT.md");
    };
    check("receipt 1/3", &receipt(3).to_file());
    let public = LogPublicKey::parse(block(log, "vkey")).expect("a vkey");
    let proven = Receipt::read(block(page, "receipt 1/3").as_bytes()).expect("a receipt");
    assert_eq!(proven.verify(&public).expect("proven").id(), id("1/3"));

    let evidence = Evidence {
        consignment: ConsignmentId::parse("019ab2c3-7d2b-7000-8000-000000000001").expect("an id"),
        recipient: Code::parse("H49"),
        key: public.clone(),
        receipts: [0, 1, 3, 5].map(receipt).to_vec(),
        envelope: b"envelope".to_vec(),
        report: b"report".to_vec(),
        certificates: vec![b"commune".to_vec()],
        stamps: Vec::new(),
        erds: Vec::new(),
        page: None,
        crls: Vec::new(),
        parts: Vec::new(),
        words: Vec::new(),
        notes: Vec::new(),
    };
    let bytes = evidence.to_bytes().expect("packed");
    verify(&bytes, &[public], &|_| Some(Vec::new())).expect("holds");
    let files = archive::unpack(&bytes).expect("files");
    let text = String::from_utf8(files[manifest::PATH].clone()).expect("text");
    check("manifest", &text);
}
