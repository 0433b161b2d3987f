//! A sequencer for tests: real entries, a real tree, real signatures, and the projections that the
//! live path makes. Everything is fixed, so that two runs give the same bytes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;
use vanthu::clock::Time;
use vanthu::delivery::{Change, Consignment, Delivery, Keeping, Prior, Token, project};
use vanthu::digest::Sha256;
use vanthu::directory::{Code, SystemId};
use vanthu::document::{ConsignmentId, DossierCode, Urgency};
use vanthu::dossier::Dossier;
use vanthu::gateway::ports::{
    Batch, LeaderTerm, LogReader, Place, Registry, Settled, Store, StoreError, Which,
};
use vanthu::log::{
    Actor, Checkpoint, Entry, EntryId, Event, LogKey, Origin, RecipientSet, Rows, SignedHead,
    Status, Tree, VerdictMark, leaf_hash,
};

pub const GATEWAY: &str = "gate.example";

/// The log's key: a fixed seed in PKCS #8, worthless outside tests.
pub fn key() -> LogKey {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[7; 32]);
    LogKey::from_pkcs8(GATEWAY, &der).expect("a key")
}

pub fn code(text: &str) -> Code {
    Code::parse(text).expect("a code")
}

pub fn at(epoch: u32, index: u64) -> EntryId {
    EntryId { epoch, index }
}

pub fn start() -> Time {
    "2026-11-22T03:45:18.123Z".parse().expect("a time")
}

pub fn later(seconds: u64) -> Time {
    start().after(Duration::from_secs(seconds))
}

pub fn consignment(number: u128) -> ConsignmentId {
    ConsignmentId(Uuid::from_u128(number))
}

/// The idempotency key of the submission `number`.
pub fn request(number: u128) -> Sha256 {
    Sha256::of_parts(&[b"request", &number.to_be_bytes()])
}

/// The envelope of the submission `number`.
pub fn envelope(number: u128) -> Sha256 {
    Sha256::of_parts(&[b"envelope", &number.to_be_bytes()])
}

fn entry(event: Event, number: u128) -> Entry {
    let (system, certificate) = match event {
        Event::ContentConsignment | Event::EpochOpening => {
            ("gateway", key().public().fingerprint())
        }
        _ => ("province", Sha256::of(b"certificate")),
    };
    let actor = Actor { system: SystemId::parse(system).expect("an id"), certificate };
    let consignment = Some(consignment(number));
    Entry { consignment, from: Some(code("H49")), ..Entry::new(event, start(), actor) }
}

/// The acceptance of the submission `number`.
pub fn accepted(number: u128, urgency: Urgency) -> Entry {
    Entry {
        envelope: Some(envelope(number)),
        document: Some(format!("H49,2026/11/22,{number}/UBND")),
        number: Some(format!("{number}/UBND")),
        urgency: Some(urgency),
        request: Some(request(number)),
        recipients: Some(RecipientSet { count: 1, digest: Sha256::of(b"H49.11\n") }),
        verdict: Some(VerdictMark {
            indication: "TOTAL-PASSED".into(),
            legal_value: "ORIGINAL".into(),
            report: Sha256::of(b"report"),
        }),
        ..entry(Event::SubmissionAcceptance, number)
    }
}

/// Its arrival in the mailbox of `to`.
pub fn consigned(number: u128, to: &str, urgency: Urgency) -> Entry {
    let (to, urgency) = (Some(code(to)), Some(urgency));
    let envelope = Some(envelope(number));
    Entry { to, envelope, urgency, ..entry(Event::ContentConsignment, number) }
}

/// Its acknowledgement by `to`.
pub fn handed_over(number: u128, to: &str) -> Entry {
    let (to, envelope) = (Some(code(to)), Some(envelope(number)));
    let status = Some(Status::Accepted);
    Entry { to, envelope, status, ..entry(Event::ContentHandover, number) }
}

/// A step of the dossier `number`.
pub fn step(number: u128, word: &str, from: &str) -> Entry {
    let reception = word == "RECEPTION";
    Entry {
        consignment: None,
        from: Some(code(from)),
        dossier: DossierCode::parse(&format!("H49-20261126-{number:04}")),
        reason: Some(word.into()),
        procedure: reception.then(|| "1.004227".into()),
        due: reception.then(|| later(u64::try_from(number).expect("small") * 1_000_000)),
        ..entry(Event::DossierStep, number)
    }
}

/// The first entry of the epoch after one that ended with `size` and `root`.
fn opening(epoch: u32, size: u64, root: Sha256) -> Entry {
    let previous_epoch = Some(SignedHead { epoch, size, root });
    let entry = entry(Event::EpochOpening, 0);
    Entry { consignment: None, from: None, previous_epoch, ..entry }
}

/// What the leader remembers between batches.
pub struct Ledger {
    pub term: LeaderTerm,
    pub epoch: u32,
    pub tree: Tree,
}

/// What comes with the entries of a batch.
#[derive(Default)]
pub struct Extras {
    pub settled: Vec<Settled>,
    pub contents: Vec<(Sha256, Place)>,
    pub bodies: Vec<(ConsignmentId, Vec<(Sha256, Place)>)>,
}

impl Ledger {
    /// The ledger as the store has it.
    pub fn load(store: &dyn Store, term: LeaderTerm) -> Result<Self, StoreError> {
        let head = store.head()?;
        let tree = Tree::load(&EpochRows(store, head.epoch), head.size)?;
        if head.size > 0 {
            let signed = key().public().open(&head.checkpoint).expect("signed");
            assert_eq!((signed.size, signed.root), (head.size, tree.root()));
        }
        Ok(Self { term, epoch: head.epoch, tree })
    }

    /// A batch of these entries at the end of the log, and the tree after it.
    pub fn batch(&self, store: &dyn Store, entries: &[Entry], extras: Extras) -> (Batch, Tree) {
        Self::batch_on(self.tree.clone(), self.term, self.epoch, store, entries, extras)
    }

    fn batch_on(
        mut tree: Tree,
        term: LeaderTerm,
        epoch: u32,
        store: &dyn Store,
        entries: &[Entry],
        extras: Extras,
    ) -> (Batch, Tree) {
        let size_before = tree.size();
        let leaves: Vec<Vec<u8>> = entries.iter().map(Entry::to_leaf).collect();
        let grown = tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
        let rows = tree.rows_of(&grown);
        let origin = Origin { gateway: GATEWAY.into(), epoch };
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        let prior =
            Pending { store, changed: RefCell::default(), consignments: RefCell::default() };
        let mut changes = Vec::new();
        for (index, entry) in (size_before..).zip(entries) {
            let made = project(EntryId { epoch, index }, entry, &prior).expect("readable");
            prior.take(&made);
            changes.extend(made);
        }
        let Extras { settled, contents, bodies } = extras;
        let checkpoint = key().sign(&checkpoint);
        let batch = Batch {
            term,
            now: start(),
            epoch,
            size_before,
            leaves,
            rows,
            checkpoint,
            changes,
            contents,
            bodies,
            settled,
        };
        (batch, tree)
    }

    /// Commits these entries.
    pub fn commit(&mut self, store: &dyn Store, entries: &[Entry]) -> Result<(), StoreError> {
        self.commit_with(store, entries, Extras::default())
    }

    pub fn commit_with(
        &mut self,
        store: &dyn Store,
        entries: &[Entry],
        extras: Extras,
    ) -> Result<(), StoreError> {
        let (batch, tree) = self.batch(store, entries, extras);
        store.commit(batch)?;
        self.tree = tree;
        Ok(())
    }

    /// Commits acknowledgements by the holder of a lease.
    pub fn settle(
        &mut self,
        store: &dyn Store,
        number: u128,
        to: &str,
        position: EntryId,
        token: Option<Token>,
        now: Time,
    ) -> Result<(), StoreError> {
        let settled = vec![Settled { agency: code(to), position, token }];
        let extras = Extras { settled, ..Extras::default() };
        let (mut batch, tree) = self.batch(store, &[handed_over(number, to)], extras);
        batch.now = now;
        store.commit(batch)?;
        self.tree = tree;
        Ok(())
    }

    /// Opens the next epoch.
    pub fn open_epoch(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        let first = opening(self.epoch, self.tree.size(), self.tree.root());
        let (tree, extras) = (Tree::default(), Extras::default());
        let (batch, tree) =
            Self::batch_on(tree, self.term, self.epoch + 1, store, &[first], extras);
        store.open_epoch(batch)?;
        (self.epoch, self.tree) = (self.epoch + 1, tree);
        Ok(())
    }
}

/// Recomputes every epoch from its leaves and compares with what was signed; gives all leaves.
pub fn audit(store: &dyn Store) -> Result<Vec<Vec<u8>>, StoreError> {
    let head = store.head()?;
    let mut all = Vec::new();
    for epoch in 1..=head.epoch {
        let mut tree = Tree::default();
        loop {
            let leaves = store.leaves(at(epoch, tree.size()), 100)?;
            if leaves.is_empty() {
                break;
            }
            tree.append(leaves.iter().map(|leaf| leaf_hash(leaf)).collect());
            all.extend(leaves);
        }
        if tree.size() == 0 {
            assert_eq!((epoch, head.size), (head.epoch, 0), "only the open epoch may be empty");
            continue;
        }
        let note = store.checkpoint(epoch, tree.size())?.expect("a checkpoint over all leaves");
        let signed = key().public().open(&note).expect("signed");
        assert_eq!((signed.size, signed.root), (tree.size(), tree.root()), "epoch {epoch}");
        let stored = Tree::load(&EpochRows(store, epoch), tree.size())?;
        assert_eq!(stored.root(), tree.root(), "rows of epoch {epoch}");
        if epoch == head.epoch {
            assert_eq!((head.size, &head.checkpoint), (tree.size(), &note));
        }
    }
    Ok(all)
}

/// Rows of one epoch, read through the port.
pub struct EpochRows<'a>(pub &'a dyn Store, pub u32);

impl Rows for EpochRows<'_> {
    type Error = StoreError;

    fn row(&self, level: u8, index: u64) -> Result<Vec<u8>, StoreError> {
        LogReader::row(self.0, self.1, level, index)?.ok_or_else(|| self.short(level, index))
    }

    fn short(&self, level: u8, index: u64) -> StoreError {
        StoreError::Damaged(format!("row {level}/{index}"))
    }
}

struct Pending<'a> {
    store: &'a dyn Store,
    changed: RefCell<HashMap<(ConsignmentId, Code), Delivery>>,
    consignments: RefCell<HashMap<ConsignmentId, Consignment>>,
}

impl Pending<'_> {
    fn take(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Delivery(delivery) = change {
                let key = (delivery.consignment, delivery.recipient.clone());
                self.changed.borrow_mut().insert(key, delivery.clone());
            }
            if let Change::Consignment(consignment) = change {
                self.consignments.borrow_mut().insert(consignment.id, consignment.clone());
            }
        }
    }
}

impl Prior for Pending<'_> {
    type Error = StoreError;

    fn delivery(&self, id: ConsignmentId, to: &Code) -> Result<Option<Delivery>, StoreError> {
        if let Some(delivery) = self.changed.borrow().get(&(id, to.clone())) {
            return Ok(Some(delivery.clone()));
        }
        Ok(Registry::deliveries(self.store, id, Which::At(to))?.pop())
    }

    fn consignment(&self, id: ConsignmentId) -> Result<Option<Consignment>, StoreError> {
        if let Some(consignment) = self.consignments.borrow().get(&id) {
            return Ok(Some(consignment.clone()));
        }
        Registry::consignment(self.store, id)
    }

    fn keeping(&self, id: ConsignmentId) -> Result<Keeping, StoreError> {
        self.store.keeping(id)
    }

    fn dossier(&self, code: &DossierCode) -> Result<Option<Dossier>, StoreError> {
        self.store.dossier(code)
    }
}
