//! Logs for tests: entries as the gateway writes them, and a whole log as an auditor finds it.

use super::*;
use crate::clock::Time;
use crate::digest::Sha256;
use crate::directory::{Code, SystemId};
use crate::document::{ConsignmentId, Urgency};
use crate::log::{
    Actor, Checkpoint, Entry, EntryId, Event, LogKey, Origin, RecipientSet, SignedHead, Status,
    Tree, VerdictMark, leaf_hash,
};

/// A key from a seed: worthless, for tests.
pub(crate) fn key(gateway: &str, seed: u8) -> LogKey {
    LogKey::from_pkcs8(gateway, &crate::log::format::key_of(seed)).expect("a key")
}

/// Entries of consignment `number`, written as the gateway writes them.
pub(crate) struct Desk {
    pub(crate) seconds: i64,
}

impl Desk {
    pub(crate) fn entry(&mut self, event: Event, system: &str, number: u128) -> Entry {
        self.seconds += 1;
        let certificate = match system {
            "gateway" => key("gate.example", 7).public().fingerprint(),
            other => Sha256::of(other.as_bytes()),
        };
        let actor = Actor { system: SystemId::parse(system).expect("an id"), certificate };
        let time = Time::from_seconds(1_795_000_000 + self.seconds);
        let mut entry = Entry::new(event, time, actor);
        entry.consignment = Some(ConsignmentId(uuid::Uuid::from_u128(number)));
        entry.from = Code::parse("H49.151");
        entry.envelope = Some(Sha256::of(format!("envelope {number}").as_bytes()));
        entry
    }

    /// An acceptance and its consignments.
    pub(crate) fn accept(&mut self, number: u128, recipients: &[&str]) -> Vec<Entry> {
        let codes: String = recipients.iter().map(|code| format!("{code}\n")).collect();
        let mut acceptance = self.entry(Event::SubmissionAcceptance, "commune", number);
        acceptance.document = Some(format!("document {number}"));
        acceptance.urgency = Some(Urgency::Normal);
        acceptance.request = Some(Sha256::of(format!("request {number}").as_bytes()));
        let count = u32::try_from(recipients.len()).expect("few");
        let digest = Sha256::of(codes.as_bytes());
        acceptance.recipients = Some(RecipientSet { count, digest });
        acceptance.verdict = Some(VerdictMark {
            indication: "TOTAL-PASSED".into(),
            legal_value: "ORIGINAL".into(),
            report: Sha256::of(format!("report {number}").as_bytes()),
        });
        let mut entries = vec![acceptance];
        for recipient in recipients {
            let mut entry = self.entry(Event::ContentConsignment, "gateway", number);
            entry.to = Code::parse(recipient);
            entry.urgency = Some(Urgency::Normal);
            entries.push(entry);
        }
        entries
    }

    /// What a recipient says: 02 refuses, 03 acknowledges, the others report.
    pub(crate) fn answer(&mut self, number: u128, recipient: &str, status: Status) -> Entry {
        let event = match status {
            Status::Refused => Event::ConsignmentRejection,
            Status::Accepted => Event::ContentHandover,
            _ => Event::StatusReport,
        };
        let mut entry = self.entry(event, "province", number);
        entry.to = Code::parse(recipient);
        entry.status = Some(status);
        if status == Status::Refused {
            entry.reason = Some("RECIPIENT".into());
            entry.note = Some(Sha256::of(NOTE.as_bytes()));
        }
        entry
    }

    fn reject(&mut self) -> Entry {
        let mut entry = self.entry(Event::SubmissionRejection, "commune", 99);
        entry.consignment = None;
        entry.document = Some("document 99".into());
        entry.request = Some(Sha256::of(b"request 99"));
        entry.reason = Some("RECIPIENT_UNKNOWN".into());
        entry
    }

    fn open(&mut self) -> Entry {
        let mut entry = self.entry(Event::EpochOpening, "gateway", 0);
        (entry.consignment, entry.from, entry.envelope) = (None, None, None);
        entry.previous_epoch =
            Some(SignedHead { epoch: 1, size: 1, root: Sha256::of(b"chained later") });
        entry
    }
}

/// The salted text behind the note of every refusal.
pub(crate) const NOTE: &str = "000102030405060708090a0b0c0d0e0f\nwrong address";

#[derive(Clone, Default)]
pub(super) struct Epoch {
    pub(super) leaves: Vec<Vec<u8>>,
    pub(super) notes: Vec<Vec<u8>>,
}

/// A log as an auditor finds it.
#[derive(Clone)]
pub(super) struct Book(pub(super) Vec<Epoch>);

fn place(id: &str) -> (usize, usize) {
    let id = EntryId::parse(id).expect("an entry id");
    (id.epoch as usize - 1, usize::try_from(id.index).expect("small"))
}

impl Book {
    /// | 1/0–3 | 1/4–5 | 1/6–7 | 1/8–10 | 2/0 | 2/1–3 | 2/4–6 |
    pub(super) fn sound() -> Self {
        let mut desk = Desk { seconds: 0 };
        let mut book = Self(vec![Epoch::default(), Epoch::default()]);
        let entries = desk.accept(1, &["H49", "H49.11", "H50"]);
        book.batch(0, entries);
        let entries = vec![desk.answer(1, "H49", Status::Accepted), desk.reject()];
        book.batch(0, entries);
        let entries = desk.accept(2, &["H49"]);
        book.batch(0, entries);
        let entries = vec![
            desk.answer(1, "H49.11", Status::Refused),
            desk.answer(1, "H49", Status::InProgress),
            desk.answer(1, "H49", Status::Finished),
        ];
        book.batch(0, entries);
        let opening = vec![desk.open()];
        book.batch(1, opening);
        let entries = desk.accept(3, &["H49", "H50"]);
        book.batch(1, entries);
        let entries = vec![
            desk.answer(2, "H49", Status::Accepted),
            desk.answer(3, "H50", Status::Accepted),
            desk.answer(3, "H49", Status::Assigned),
        ];
        book.batch(1, entries);
        book.chain(1);
        let sizes = [vec![4, 6, 8, 11], vec![1, 4, 7]];
        for (epoch, sizes) in sizes.into_iter().enumerate() {
            book.0[epoch].notes.clear();
            for size in sizes {
                let note = book.sign(epoch, size);
                book.0[epoch].notes.push(note);
            }
        }
        book
    }

    pub(super) fn batch(&mut self, epoch: usize, entries: Vec<Entry>) {
        self.0[epoch].leaves.extend(entries.iter().map(Entry::to_leaf));
    }

    pub(super) fn root(&self, epoch: usize, size: usize) -> Sha256 {
        let mut tree = Tree::default();
        tree.append(self.0[epoch].leaves[..size].iter().map(|leaf| leaf_hash(leaf)).collect());
        tree.root()
    }

    pub(super) fn sign(&self, epoch: usize, size: usize) -> Vec<u8> {
        self.sign_with(&key("gate.example", 7), epoch, size)
    }

    pub(super) fn sign_with(&self, key: &LogKey, epoch: usize, size: usize) -> Vec<u8> {
        let gateway = key.public().gateway;
        let origin = Origin { gateway, epoch: u32::try_from(epoch + 1).expect("small") };
        key.sign(&Checkpoint { origin, size: size as u64, root: self.root(epoch, size) })
    }

    /// Makes an epoch commit to the one before as it is now.
    pub(super) fn chain(&mut self, epoch: usize) {
        let size = self.0[epoch - 1].leaves.len();
        let mut opening = Entry::from_leaf(&self.0[epoch].leaves[0]).expect("an opening");
        let root = self.root(epoch - 1, size);
        let number = u32::try_from(epoch).expect("small");
        opening.previous_epoch = Some(SignedHead { epoch: number, size: size as u64, root });
        self.0[epoch].leaves[0] = opening.to_leaf();
    }

    /// What an operator with the key can do: sign whatever the log has become.
    pub(super) fn resign(&mut self) {
        self.chain(1);
        self.sign_ends();
    }

    pub(super) fn sign_ends(&mut self) {
        for epoch in 0..self.0.len() {
            let note = self.sign(epoch, self.0[epoch].leaves.len());
            self.0[epoch].notes = vec![note];
        }
    }

    pub(super) fn leaf(&mut self, id: &str) -> &mut Vec<u8> {
        let (epoch, index) = place(id);
        &mut self.0[epoch].leaves[index]
    }

    pub(super) fn remove(&mut self, id: &str) {
        let (epoch, index) = place(id);
        self.0[epoch].leaves.remove(index);
    }

    pub(super) fn insert(&mut self, id: &str, leaf: Vec<u8>) {
        let (epoch, index) = place(id);
        self.0[epoch].leaves.insert(index, leaf);
    }

    pub(super) fn swap(&mut self, id: &str, other: &str) {
        let ((epoch, left), (_, right)) = (place(id), place(other));
        self.0[epoch].leaves.swap(left, right);
    }

    /// Replaces text in an entry; the text must be there.
    pub(super) fn edit(&mut self, id: &str, from: &str, to: &str) {
        let text = String::from_utf8(self.leaf(id).clone()).expect("text");
        assert!(text.contains(from), "{id} does not contain {from}");
        *self.leaf(id) = text.replacen(from, to, 1).into_bytes();
    }

    /// Drops a whole line.
    pub(super) fn drop_line(&mut self, id: &str, name: &str) {
        let text = String::from_utf8(self.leaf(id).clone()).expect("text");
        let kept = |line: &&str| !line.starts_with(&format!("{name} "));
        let lines: String = text.split_inclusive('\n').filter(kept).collect();
        assert_ne!(lines, text, "{id} has no {name}");
        *self.leaf(id) = lines.into_bytes();
    }

    pub(super) fn audit(&self) -> Report {
        self.audit_with(&[])
    }

    /// With checkpoints of the first epoch that somebody kept.
    pub(super) fn audit_with(&self, kept: &[Vec<u8>]) -> Report {
        let mut auditor = Auditor::new(key("gate.example", 7).public());
        for note in kept {
            auditor.checkpoint(note);
        }
        for (number, epoch) in self.0.iter().enumerate() {
            if number > 0 {
                auditor.next_epoch();
            }
            let mut notes = epoch.notes.iter();
            let mut until = 0;
            for (index, leaf) in (0u64..).zip(&epoch.leaves) {
                while index >= until {
                    let Some(note) = notes.next() else { break };
                    until = auditor.checkpoint(note).unwrap_or(until);
                }
                auditor.entry(leaf);
            }
            for note in notes {
                auditor.checkpoint(note);
            }
        }
        auditor.finish()
    }
}
