//! What must hold, read from the log by the independent auditor and from the projections.

use std::collections::{BTreeMap, BTreeSet};

use vanthu::audit::Auditor;
use vanthu::digest::Sha256;
use vanthu::directory::Code;
use vanthu::document::ConsignmentId;
use vanthu::gateway::Gateway;
use vanthu::log::{Entry, EntryId, Event, LogPublicKey, verify_consistency};

use crate::steps::{Answered, Document, Fate};

/// Entries read at a time.
const PAGE: usize = 100;

/// The log as it stands.
#[derive(Default)]
pub struct Found {
    pub entries: u64,
    pub epochs: u32,
    /// By request key: where it was accepted, and the leaf.
    acceptances: BTreeMap<Sha256, Vec<(EntryId, Entry)>>,
    /// By consignment and recipient: final answers.
    answers: BTreeMap<(ConsignmentId, Code), Vec<(EntryId, Event)>>,
}

/// Reads the whole log through the auditor; the log must hold.
pub fn read(gateway: &Gateway, key: &LogPublicKey) -> Found {
    let head = gateway.store().head().expect("reads");
    let mut auditor = Auditor::new(key.clone());
    let mut found = Found { epochs: head.epoch, ..Found::default() };
    for epoch in 1..=head.epoch {
        let mut next = EntryId { epoch, index: 0 };
        let mut covered = 0;
        loop {
            let leaves = gateway.reading().leaves(next, PAGE).expect("reads");
            if leaves.is_empty() {
                break;
            }
            for leaf in leaves {
                if next.index == covered {
                    let note = gateway.reading().checkpoint_at(epoch, covered + 1).expect("reads");
                    let size = auditor.checkpoint(&note.expect("every entry is covered"));
                    covered = size.expect("a checkpoint of this log");
                }
                auditor.entry(&leaf);
                found.take(next, Entry::from_leaf(&leaf).expect("an entry"));
                next.index += 1;
            }
        }
        if epoch < head.epoch {
            auditor.next_epoch();
        }
    }
    let report = auditor.finish();
    assert!(report.findings.is_empty(), "the audit found {:#?}", report.findings);
    assert_eq!(report.entries, found.entries);
    found
}

impl Found {
    fn take(&mut self, id: EntryId, entry: Entry) {
        self.entries += 1;
        match (entry.event, entry.request, entry.consignment, entry.to.clone()) {
            (Event::SubmissionAcceptance, Some(request), ..) => {
                self.acceptances.entry(request).or_default().push((id, entry));
            }
            (
                event @ (Event::ContentHandover | Event::ConsignmentRejection),
                _,
                Some(consignment),
                Some(to),
            ) => self.answers.entry((consignment, to)).or_default().push((id, event)),
            _ => {}
        }
    }

    /// Holds what was acknowledged against the log, and learns what became of what was not.
    pub fn judge(&self, documents: &mut [Document]) {
        let known: BTreeSet<Sha256> = documents.iter().map(Document::key).collect();
        let stranger = self.acceptances.keys().find(|request| !known.contains(*request));
        assert!(stranger.is_none(), "accepted without having been sent: {stranger:?}");
        for document in documents {
            let accepted = self.acceptances.get(&document.key()).map_or(&[][..], Vec::as_slice);
            assert!(accepted.len() <= 1, "doubled: {accepted:?}");
            match (&document.fate, accepted.first()) {
                (Fate::Accepted { id, leaf, .. }, Some((found, entry))) => {
                    assert_eq!((id, leaf), (found, &entry.to_leaf()), "another acceptance");
                }
                (Fate::Accepted { id, .. }, None) => panic!("lost: acceptance {id}"),
                (Fate::Unknown, Some((id, entry))) => document.accept(*id, entry),
                (Fate::Unsent, Some((id, _))) => panic!("never sent, accepted at {id}"),
                (Fate::Unknown | Fate::Unsent, None) => {}
            }
            self.judge_answers(document);
        }
    }

    fn judge_answers(&self, document: &mut Document) {
        let Fate::Accepted { consignment, .. } = document.fate else { return };
        for recipient in document.recipients.clone() {
            let key = (consignment, Code::parse(recipient).expect("a code"));
            let found = self.answers.get(&key).map_or(&[][..], Vec::as_slice);
            assert!(found.len() <= 1, "answered twice: {found:?}");
            match (document.answers.get(recipient), found.first()) {
                (Some(Answered::Known(id, event)), found) => {
                    assert_eq!(Some(&(*id, *event)), found, "a lost answer of {recipient}");
                }
                (Some(Answered::Unknown), Some((id, event))) => {
                    document.answers.insert(recipient, Answered::Known(*id, *event));
                }
                (Some(Answered::Unknown), None) => {
                    document.answers.remove(recipient);
                }
                (None, found) => assert_eq!(found, None, "an answer that {recipient} never gave"),
            }
        }
    }
}

/// The mailbox of an agency holds exactly what waits for it, urgency first, then in order.
pub fn judge_mailbox(gateway: &Gateway, agency: &'static str, documents: &[Document]) {
    let code = Code::parse(agency).expect("a code");
    let waiting = gateway.store().waiting(&code, None, usize::MAX).expect("reads");
    let order: Vec<_> = waiting.iter().map(|item| (item.urgency, item.position)).collect();
    assert!(order.is_sorted(), "the mailbox of {agency} is out of order: {order:?}");
    let found: BTreeSet<_> = waiting.iter().map(|item| item.consignment).collect();
    let mut expected = BTreeSet::new();
    for document in documents {
        match document.fate {
            // Nobody knows until the next audit.
            Fate::Unknown if document.recipients.contains(&agency) => return,
            Fate::Accepted { consignment, .. } if document.recipients.contains(&agency) => {
                match document.answers.get(agency) {
                    Some(Answered::Unknown) => return,
                    Some(Answered::Known(..)) => {}
                    None => _ = expected.insert(consignment),
                }
            }
            _ => {}
        }
    }
    assert_eq!(found.len(), waiting.len(), "something waits twice at {agency}");
    assert_eq!(found, expected, "the mailbox of {agency}");
}

/// A receipt that was handed out long ago still proves its entry, and the log extends what it saw.
pub fn judge_receipt(gateway: &Gateway, key: &LogPublicKey, document: &Document) {
    let Fate::Accepted { id, receipt: Some(receipt), .. } = &document.fate else { return };
    receipt.verify(key).expect("a receipt proves its entry for ever");
    let old = key.open(&receipt.checkpoint).expect("signed");
    let last = gateway.reading().last_of(id.epoch).expect("reads");
    let new = key.open(&last).expect("signed");
    let proof = gateway.reading().consistency(id.epoch, old.size, new.size).expect("proves");
    verify_consistency(old.size, &old.root, new.size, &new.root, &proof)
        .expect("the log extends what the receipt saw");
}
