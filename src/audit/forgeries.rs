//! A sound log passes; every way to forge one that we could think of is named, with the entry.

use super::book::{Book, key};
use super::*;
use crate::digest::Sha256;
use crate::log::{Checkpoint, Origin};

/// A forgery that must be named by exactly these findings.
fn check(what: &str, forge: impl FnOnce(&mut Book), expected: &[&str]) {
    let mut book = Book::sound();
    forge(&mut book);
    let report = book.audit();
    let found: Vec<String> = report
        .findings
        .iter()
        .map(|finding| {
            let entry = finding.entry.map(|entry| entry.to_string()).unwrap_or_default();
            format!("{} {entry}", finding.rule)
        })
        .collect();
    assert_eq!(found, expected, "{what}: {:#?}", report.findings);
}

/// The same, done by an operator who signs the result.
fn check_signed(what: &str, forge: impl FnOnce(&mut Book), expected: &[&str]) {
    let signed = |book: &mut Book| {
        forge(book);
        book.resign();
    };
    check(what, signed, expected);
}

#[test]
fn a_sound_log_passes_and_is_counted() {
    let report = Book::sound().audit();
    assert_eq!(report.findings, []);
    assert_eq!((report.entries, report.epochs, report.findings_omitted), (18, 2, 0));
    let counts = Counts {
        acceptances: 3,
        rejections: 1,
        consignments: 6,
        handovers: 3,
        refusals: 1,
        reports: 3,
        failures: 0,
        stamps: 0,
        checkpoints: 7,
    };
    assert_eq!(report.counts, counts);
    assert_eq!(report.heads.iter().map(|head| head.size).collect::<Vec<_>>(), [11, 7]);
    check_signed("nothing is forged, one checkpoint per epoch", |_| {}, &[]);
}

#[test]
fn who_has_no_key_can_change_nothing() {
    let root = |entry: &'static str| format!("checkpoint-root {entry}");
    check(
        "a note is changed",
        |b| b.edit("1/8", "note ", "note 0"),
        &["entry-form 1/8", &root("1/10")],
    );
    check("a recipient is changed", |b| b.edit("1/9", "05", "06"), &[&root("1/10")]);
    check("the last entry is removed", |b| b.remove("2/6"), &["entries-missing 2/6"]);
    check(
        "an entry is added",
        |b| {
            let leaf = b.leaf("2/6").clone();
            b.insert("2/6", leaf);
        },
        &["entries-unsigned 2/7"],
    );
    check("an entry in the middle is removed", |b| b.remove("1/9"), &["entries-missing 1/10"]);
    check(
        "two entries change places",
        |b| b.swap("1/4", "1/5"),
        &["time-backwards 1/5", &root("1/5")],
    );
    check(
        "an entry is back-dated",
        |b| b.edit("1/5", "time 2026", "time 2025"),
        &["time-backwards 1/5", &root("1/5")],
    );
    check(
        "the log is cut in a batch",
        |b| b.0[1].leaves.truncate(3),
        &["promise-broken 2/1", "entries-missing 2/3"],
    );
    check("all entries of an epoch are gone", |b| b.0[1].leaves.clear(), &["entries-missing 2/0"]);
}

#[test]
fn checkpoints_that_are_not_ours_are_named() {
    let edit = |b: &mut Book, from: &str, to: &str| {
        let note = String::from_utf8(b.0[1].notes[1].clone()).expect("text");
        assert!(note.contains(from));
        b.0[1].notes[1] = note.replacen(from, to, 1).into_bytes();
    };
    check("a size is changed", |b| edit(b, "/2\n4\n", "/2\n5\n"), &["checkpoint-signature 2/0"]);
    check("an origin is changed", |b| edit(b, "gate.", "date."), &["checkpoint-origin 2/0"]);
    check("a line is missing", |b| edit(b, "\n4\n", "\n"), &["checkpoint-form 2/0"]);
    check(
        "no signature is left",
        |b| edit(b, " gate.example/log/2 ", " gate.example/log/3 "),
        &["checkpoint-key 2/0"],
    );
    check(
        "another key signed",
        |b| b.0[1].notes[1] = b.sign_with(&key("gate.example", 8), 1, 4),
        &["checkpoint-key 2/0"],
    );
    check(
        "another gateway signed",
        |b| b.0[1].notes[1] = b.sign_with(&key("date.example", 7), 1, 4),
        &["checkpoint-origin 2/0"],
    );
    check(
        "a checkpoint of another epoch stands in its place",
        |b| b.0[1].notes[1] = b.0[0].notes[0].clone(),
        &["checkpoint-origin 2/0"],
    );
    check("a checkpoint comes too late", |b| b.0[1].notes.swap(1, 2), &["checkpoint-late 2/3"]);
    check(
        "the last checkpoint is missing",
        |b| drop(b.0[1].notes.pop()),
        &["entries-unsigned 2/4"],
    );
    check("there is no checkpoint", |b| b.0[1].notes.clear(), &["entries-unsigned 2/0"]);
    check(
        "an empty tree is signed",
        |b| {
            let origin = Origin { gateway: "gate.example".into(), epoch: 2 };
            let root = Sha256::of(b"");
            b.0[1].notes[0] = key("gate.example", 7).sign(&Checkpoint { origin, size: 0, root });
        },
        &["checkpoint-form "],
    );
    check(
        "two histories were signed",
        |b| {
            let mut other = b.clone();
            other.edit("2/6", "status 04", "status 05");
            let note = other.sign(1, 7);
            b.0[1].notes.push(note);
        },
        &["checkpoint-fork 2/6"],
    );
    let mut other = Book::sound();
    other.edit("1/10", "status 06", "status 05");
    let kept = other.sign(0, 11);
    let report = Book::sound().audit_with(&[kept]);
    let found: Vec<String> = report.findings.iter().map(Finding::to_string).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("entry 1/10: checkpoint-fork: "), "{found:?}");
}

#[test]
fn an_operator_who_signs_a_broken_promise_is_named() {
    check_signed(
        "a consignment is left out",
        |b| b.remove("1/2"),
        &["promise-broken 1/0", "answer-orphaned 1/7"],
    );
    check_signed("the last consignment is left out", |b| b.remove("1/3"), &["promise-broken 1/0"]);
    check_signed(
        "every consignment is left out",
        |b| b.remove("1/7"),
        &["promise-broken 1/6", "answer-orphaned 2/4"],
    );
    check_signed(
        "a recipient is put in another's place",
        |b| b.edit("1/3", "to H50", "to H51"),
        &["promise-broken 1/0"],
    );
    check_signed(
        "a recipient is added",
        |b| {
            let text = String::from_utf8(b.leaf("1/3").clone()).expect("text");
            b.insert("1/4", text.replace("to H50", "to H51").into_bytes());
        },
        &["consignment-unpromised 1/4"],
    );
    check_signed(
        "a consignment comes later",
        |b| {
            let leaf = b.leaf("1/3").clone();
            b.remove("1/3");
            b.insert("1/4", leaf);
        },
        &["promise-broken 1/0", "time-backwards 1/4", "consignment-unpromised 1/4"],
    );
}

#[test]
fn an_operator_who_signs_other_recipients_is_named() {
    check_signed(
        "a consignment is made up",
        |b| {
            let text = String::from_utf8(b.leaf("2/3").clone()).expect("text");
            b.insert("2/4", text.replace("-000000000003", "-000000000009").into_bytes());
        },
        &["consignment-unpromised 2/4"],
    );
    check_signed(
        "recipients change places",
        |b| {
            b.edit("1/1", "to H49", "to H49.11");
            b.edit("1/2", "to H49.11", "to H49");
        },
        &["recipient-order 1/2", "promise-broken 1/0"],
    );
    check_signed(
        "a recipient stands twice",
        |b| b.edit("2/3", "to H50", "to H49"),
        &["recipient-order 2/3", "promise-broken 2/1", "answer-orphaned 2/5"],
    );
    check_signed(
        "the promised number is changed",
        |b| b.edit("2/1", "recipients 2", "recipients 3"),
        &["promise-broken 2/1"],
    );
    check_signed(
        "an acceptance is left out",
        |b| b.remove("1/6"),
        &["consignment-unpromised 1/6", "answer-orphaned 2/4"],
    );
    check(
        "a checkpoint divides a batch",
        |b| {
            let note = b.sign(1, 3);
            b.0[1].notes.insert(1, note);
        },
        &["promise-divided 2/1"],
    );
}

#[test]
fn an_operator_who_signs_an_acceptance_twice_is_named() {
    check_signed(
        "an acceptance is copied",
        |b| {
            let copies = b.0[1].leaves[1..4].to_vec();
            b.0[1].leaves.splice(4..4, copies);
        },
        &["time-backwards 2/4", "request-twice 2/4", "consignment-twice 2/4", "time-backwards 2/5"],
    );
    check_signed(
        "a request is accepted again as something else",
        |b| {
            let request = Sha256::of(b"request 3").to_hex();
            b.edit("2/1", &request, &Sha256::of(b"request 1").to_hex());
        },
        &["request-twice 2/1"],
    );
    check_signed(
        "a consignment id is used again",
        |b| {
            for id in ["2/1", "2/2", "2/3"] {
                b.edit(id, "-000000000003", "-000000000002");
            }
        },
        &[
            "consignment-twice 2/1",
            "parties-differ 2/2",
            "parties-differ 2/3",
            "answer-orphaned 2/5",
            "answer-orphaned 2/6",
        ],
    );
}

#[test]
fn an_operator_who_signs_an_answer_of_nobody_is_named() {
    check_signed(
        "somebody answers who was sent nothing",
        |b| b.edit("1/4", "to H49", "to H51"),
        &["answer-orphaned 1/4"],
    );
    check_signed(
        "an answer names another consignment",
        |b| b.edit("1/9", "-000000000001", "-000000000002"),
        &["parties-differ 1/9"],
    );
    check_signed(
        "an answer names no consignment there is",
        |b| b.edit("1/9", "-000000000001", "-000000000008"),
        &["answer-orphaned 1/9"],
    );
    check_signed(
        "a report comes from one who was sent nothing",
        |b| b.edit("1/9", "to H49", "to H51"),
        &["answer-orphaned 1/9"],
    );
    check_signed(
        "a handover is copied",
        |b| {
            let leaf = b.leaf("2/5").clone();
            b.insert("2/6", leaf);
        },
        &["answer-twice 2/6"],
    );
    check_signed(
        "a refusal follows a handover",
        |b| b.edit("1/8", "to H49.11", "to H49"),
        &["answer-twice 1/8"],
    );
    check_signed(
        "a handover follows a refusal",
        |b| {
            b.edit("2/4", "-000000000002", "-000000000001");
            b.edit("2/4", "to H49", "to H49.11");
            b.edit("2/4", &Sha256::of(b"envelope 2").to_hex(), &Sha256::of(b"envelope 1").to_hex());
        },
        &["answer-twice 2/4"],
    );
}

#[test]
fn an_operator_who_signs_for_others_is_named() {
    check_signed(
        "an answer names another sender",
        |b| b.edit("1/4", "from H49.151", "from H49"),
        &["parties-differ 1/4"],
    );
    check_signed(
        "an answer names another envelope",
        |b| {
            b.edit("1/4", &Sha256::of(b"envelope 1").to_hex(), &Sha256::of(b"envelope 2").to_hex());
        },
        &["parties-differ 1/4"],
    );
    check_signed(
        "a consignment has another urgency",
        |b| b.edit("1/2", "urgency normal", "urgency flash"),
        &["parties-differ 1/2"],
    );
    check_signed(
        "the gateway acknowledges for a recipient",
        |b| b.edit("1/4", "actor province", "actor gateway"),
        &["entry-actor 1/4"],
    );
    check_signed(
        "a system consigns",
        |b| b.edit("1/3", "actor gateway", "actor province"),
        &["entry-actor 1/3"],
    );
    check_signed(
        "an entry is back-dated",
        |b| b.edit("1/8", "time 2026", "time 2025"),
        &["time-backwards 1/8"],
    );
    check_signed(
        "the second epoch begins before the first ends",
        |b| b.edit("2/0", "time 2026", "time 2025"),
        &["time-backwards 2/0"],
    );
}

#[test]
fn an_operator_who_signs_a_malformed_entry_is_named() {
    check_signed(
        "a handover has the status of a refusal",
        |b| b.edit("1/4", "status 03", "status 02"),
        &["entry-fields 1/4"],
    );
    check_signed(
        "a report has the status of a handover",
        |b| b.edit("1/9", "status 05", "status 03"),
        &["entry-fields 1/9"],
    );
    check_signed("a refusal has no note", |b| b.drop_line("1/8", "note"), &["entry-fields 1/8"]);
    check_signed(
        "a refusal has another reason",
        |b| b.edit("1/8", "RECIPIENT", "SENDER_UNKNOWN"),
        &["entry-fields 1/8"],
    );
    check_signed(
        "a rejection gives the recipient's reason",
        |b| b.edit("1/5", "RECIPIENT_UNKNOWN", "RECIPIENT"),
        &["entry-fields 1/5"],
    );
    check_signed(
        "an acceptance has no verdict",
        |b| b.drop_line("1/6", "verdict"),
        &["entry-fields 1/6"],
    );
    check_signed(
        "an answer names no recipient",
        |b| b.drop_line("1/9", "to"),
        &["entry-fields 1/9"],
    );
    check_signed(
        "a handover has a note",
        |b| {
            let note = format!("status 03\nnote {}\n", Sha256::of(b"note"));
            b.edit("1/4", "status 03\n", &note);
        },
        &["entry-fields 1/4"],
    );
    check_signed(
        "a consignment has a status",
        |b| b.edit("1/7", "urgency normal\n", "urgency normal\nstatus 01\n"),
        &["entry-fields 1/7"],
    );
}

#[test]
fn an_operator_who_signs_what_is_no_entry_is_named() {
    check_signed("a field is unknown", |b| b.edit("1/9", "status", "states"), &["entry-form 1/9"]);
    check_signed(
        "an event is unknown",
        |b| b.edit("1/9", "event status", "event Status"),
        &["entry-form 1/9"],
    );
    check_signed("a line is not ended", |b| b.leaf("1/9").truncate(100), &["entry-form 1/9"]);
    check_signed(
        "a field stands twice",
        |b| b.edit("1/9", "status 05\n", "status 05\nstatus 05\n"),
        &["entry-form 1/9"],
    );
    check_signed(
        "fields stand out of order",
        |b| {
            b.edit("1/9", "to H49\n", "");
            b.edit("1/9", "from ", "to H49\nfrom ");
        },
        &["entry-form 1/9"],
    );
    check_signed(
        "a digest is in capitals",
        |b| {
            let digest = Sha256::of(b"envelope 1").to_hex();
            b.edit("1/9", &digest, &digest.to_uppercase());
        },
        &["entry-form 1/9"],
    );
    check_signed(
        "an entry is too long",
        |b| b.edit("1/5", "document 99", &"9".repeat(4096)),
        &["entry-form 1/5"],
    );
    check_signed(
        "an entry is not text",
        |b| *b.leaf("1/5") = b"vanthu.entry.v1\n\xff".to_vec(),
        &["entry-form 1/5"],
    );
    check_signed("an entry is empty", |b| b.leaf("1/5").clear(), &["entry-form 1/5"]);
}

#[test]
fn an_epoch_that_hides_the_one_before_is_named() {
    check(
        "the end of the first epoch is cut off with its checkpoint",
        |b| {
            b.0[0].leaves.truncate(8);
            b.0[0].notes.truncate(3);
        },
        &["epoch-chain 2/0"],
    );
    check(
        "the opening commits to another root",
        |b| {
            let root = b.root(0, 11).to_hex();
            b.edit("2/0", &root, &Sha256::of(b"another").to_hex());
            b.sign_ends();
        },
        &["epoch-chain 2/0"],
    );
    check(
        "the opening commits to another epoch",
        |b| {
            b.edit("2/0", "previous 1", "previous 2");
            b.sign_ends();
        },
        &["epoch-chain 2/0"],
    );
    check(
        "the first epoch has no checkpoint",
        |b| b.0[0].notes.clear(),
        &["entries-unsigned 1/0", "epoch-chain 2/0"],
    );
    check(
        "the opening is left out",
        |b| {
            b.remove("2/0");
            b.sign_ends();
        },
        &["epoch-opening 2/0"],
    );
    check(
        "the opening is unreadable",
        |b| {
            b.edit("2/0", "previous", "precious");
            b.sign_ends();
        },
        &["entry-form 2/0", "epoch-opening 2/0"],
    );
    check(
        "an opening stands in the middle",
        |b| {
            let mut opening = b.leaf("2/0").clone();
            opening.splice(..0, []);
            b.0[1].leaves.push(opening);
            b.sign_ends();
        },
        &["epoch-opening 2/7", "time-backwards 2/7"],
    );
}

#[test]
fn a_checkpoint_may_be_handed_in_again() {
    let again = |book: &mut Book| {
        let first = book.0[0].notes[0].clone();
        let last = book.0[1].notes[2].clone();
        book.0[0].notes.insert(0, first);
        book.0[1].notes.push(last);
    };
    check("twice", again, &[]);
}

#[test]
fn findings_are_capped_and_counted() {
    let mut auditor = Auditor::new(key("gate.example", 7).public());
    for _ in 0..crate::limits::AUDIT_FINDINGS_MAX + 5 {
        auditor.entry(b"nonsense");
    }
    let report = auditor.finish();
    assert_eq!(report.findings.len(), crate::limits::AUDIT_FINDINGS_MAX);
    assert_eq!(report.findings_omitted, 6);
}

#[test]
fn every_rule_has_a_forgery() {
    let source = concat!(
        include_str!("forgeries.rs"),
        include_str!("incidents.rs"),
        include_str!("dossier.rs")
    );
    for rule in Rule::ALL {
        assert!(source.contains(&format!("{} ", rule.code())), "nothing breaks {rule}");
    }
}
