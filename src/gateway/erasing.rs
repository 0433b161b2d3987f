//! Keeping bodies, and erasing them.
//!
//! An erasure is an entry first; only then do bytes disappear, and until they have, the store
//! remembers that they must. So a crash in between is repaired at the next start, by the same code.
//!
//! A body that another consignment has too stays until the last of them is erased. Consignments that
//! are on their way count: a body is first *retired*, so that nobody is given its place any more; then
//! all that may have been given it before become durable or fail; then it is looked up who has it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::answering::salted;
use super::command::{Command, KeepingKind, KeepingOrder};
use super::ports::{Piece, StoreError};
use super::sequencer::Answered;
use super::{Error, Fault, Gateway, lock};
use crate::delivery::Term;
use crate::digest::Sha256;
use crate::document::ConsignmentId;
use crate::evidence::Receipt;
use crate::limits::{ERASURE_DRAIN_DEADLINE, ERASURES_AT_ONCE, PAGE_SIZE_MAX};
use crate::log::{BodySet, EntryId, Event};
use crate::refusal::{Reason, Refusal};

/// How often an erasure looks whether those on their way have arrived.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// Held by a submission from before its content is kept until its entries are durable.
#[derive(Debug)]
pub(super) struct OnItsWay(#[expect(dead_code, reason = "it is counted, not read")] Arc<()>);

/// Submissions on their way.
#[derive(Debug, Default)]
pub(super) struct Ways(Mutex<Arc<()>>);

impl Ways {
    pub(super) fn enter(&self) -> OnItsWay {
        OnItsWay(Arc::clone(&lock(&self.0)))
    }

    /// Waits until all that entered before have left; says whether they did in time.
    fn drain(&self) -> bool {
        let before = {
            let mut current = lock(&self.0);
            std::mem::take(&mut *current)
        };
        let mut waited = Duration::ZERO;
        while Arc::strong_count(&before) > 1 {
            if waited >= ERASURE_DRAIN_DEADLINE {
                return false;
            }
            std::thread::sleep(DRAIN_LOOK);
            waited += DRAIN_LOOK;
        }
        true
    }
}

/// Why bodies are erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// A rule of the configuration says so.
    Retention,
    /// Somebody who may has ordered it, in these words.
    Order(String),
}

/// What happens to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldChange {
    /// It begins.
    Hold,
    /// It ends.
    Release,
}

/// What a run erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Erasures done.
    pub consignments: usize,
    /// Bytes that are gone.
    pub bytes: u64,
}

impl Gateway {
    /// Records that the bodies of a consignment are erased: its parts, and what its recipients wrote
    /// about it. They are, once [`Gateway::erase_bodies`] ran.
    ///
    /// # Errors
    /// A refusal (unknown, held, erased before), or a fault.
    pub async fn order_erasure(
        &self,
        consignment: ConsignmentId,
        erasure: Erasure,
    ) -> Result<Receipt, Error> {
        let Bodies { parts, notes } = self.bodies_of(consignment, None)?;
        if parts.is_empty() {
            return Err(Refusal::of_field(Reason::ConsignmentUnknown, "consignment_id").into());
        }
        let bodies: HashSet<_> = parts.into_iter().chain(notes).collect();
        let bodies = BodySet::of(bodies.into_iter().collect());
        let (reason, text) = match erasure {
            Erasure::Retention => ("RETENTION", String::new()),
            Erasure::Order(text) => ("ORDER", text),
        };
        let kind = KeepingKind::Erase(bodies);
        self.keeping_order(consignment, kind, reason.to_owned(), &text).await
    }

    /// Begins or ends a hold; returns when it is durable. Holding twice for one reason changes
    /// nothing.
    ///
    /// # Errors
    /// A refusal (unknown, erased, no such hold, too many), or a fault.
    pub async fn change_hold(
        &self,
        consignment: ConsignmentId,
        change: HoldChange,
        reason: &str,
        note: &str,
    ) -> Result<Receipt, Error> {
        if !is_word(reason) {
            return Err(Refusal::of_field(Reason::FieldMalformed, "reason").into());
        }
        let kind = match change {
            HoldChange::Hold => KeepingKind::Hold,
            HoldChange::Release => KeepingKind::Release,
        };
        self.keeping_order(consignment, kind, reason.to_owned(), note).await
    }

    async fn keeping_order(
        &self,
        consignment: ConsignmentId,
        kind: KeepingKind,
        reason: String,
        text: &str,
    ) -> Result<Receipt, Error> {
        let note = salted(text, "note")?;
        let digest = note.as_deref().map(Sha256::of);
        let pieces: Vec<_> = digest
            .zip(note)
            .map(|(digest, note)| Piece::Bytes(digest, note.into()))
            .into_iter()
            .collect();
        let contents =
            if pieces.is_empty() { Vec::new() } else { self.keep_pieces(pieces).await? };
        let order = KeepingOrder { consignment, kind, reason, note: digest, contents };
        match self.sequencer.write(Command::Keep(order)).await? {
            Answered::New(receipt) => Ok(receipt),
            Answered::Before(first) => self.reading.receipt(first),
            // Only what nobody waits for is.
            Answered::Recorded => Err(Fault::Stopped.into()),
        }
    }

    /// The bodies that an erasure of this consignment is about: every part, and the notes of its
    /// recipients, as of the entry `until`.
    fn bodies_of(
        &self,
        consignment: ConsignmentId,
        until: Option<EntryId>,
    ) -> Result<Bodies, StoreError> {
        let parts = self.store.parts(consignment)?.into_iter().collect();
        let mut bodies = Bodies { parts, notes: HashSet::new() };
        let mut after = EntryId::ZERO;
        loop {
            let page = self.store.find(&Term::Consignment(consignment), after, PAGE_SIZE_MAX)?;
            let Some(last) = page.last() else { return Ok(bodies) };
            after = *last;
            for id in page.into_iter().filter(|id| until.is_none_or(|until| *id < until)) {
                let entry = self.reading.entry(id)?;
                if matches!(entry.event, Event::ConsignmentRejection | Event::StatusReport) {
                    bodies.notes.extend(entry.note);
                }
            }
        }
    }

    /// Erases the bodies that entries say are erased and that nothing else needs; some at a time,
    /// until none is left. Blocks for as long as it takes to look through the volumes. One call at a
    /// time; others wait.
    ///
    /// # Errors
    /// The store's; what is not done is done by the next call, also after a restart.
    pub fn erase_bodies(&self) -> Result<Erased, Fault> {
        let _one = lock(&self.erasing);
        let mut all = Erased::default();
        loop {
            let entries = self.store.erasing(ERASURES_AT_ONCE)?;
            if entries.is_empty() {
                return Ok(all);
            }
            let mut bodies = Bodies::default();
            for id in &entries {
                let consignment = self.reading.entry(*id)?.consignment;
                if let Some(consignment) = consignment {
                    let own = self.bodies_of(consignment, Some(*id))?;
                    bodies.parts.extend(own.parts);
                    bodies.notes.extend(own.notes);
                }
            }
            let retired = self.eraser.retire(&bodies.parts)?;
            if !self.ways.drain() {
                return Err(Fault::Busy);
            }
            self.drop_needed(&mut bodies.parts)?;
            let bodies = bodies.parts.into_iter().chain(bodies.notes).collect::<HashSet<_>>();
            let bytes = self.eraser.erase(&bodies, retired)?;
            self.store.erased(&entries)?;
            tracing::info!(erasures = entries.len(), bodies = bodies.len(), bytes, "erased bodies");
            all.consignments += entries.len();
            all.bytes += bytes;
        }
    }

    /// Takes out what a consignment has whose bodies are kept, and what proofs share.
    fn drop_needed(&self, bodies: &mut HashSet<Sha256>) -> Result<(), StoreError> {
        // A part may be a certificate with which others were judged.
        for body in bodies.clone() {
            if self.store.place(&body, None)?.is_some() {
                bodies.remove(&body);
            }
        }
        let mut after = None;
        loop {
            let page = self.store.kept(after, PAGE_SIZE_MAX)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(last.id);
            for (consignment, parts) in &page {
                let shared = parts.iter().any(|part| bodies.contains(part));
                if shared && self.store.keeping(consignment.id)?.erased.is_none() {
                    bodies.retain(|body| !parts.contains(body));
                }
            }
        }
        Ok(())
    }
}

/// What an erasure is about.
#[derive(Debug, Default)]
struct Bodies {
    parts: HashSet<Sha256>,
    /// Nobody else has them: each has a salt of its own.
    notes: HashSet<Sha256>,
}

/// A word of the log (log/FORMAT.md §1).
fn is_word(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=63).contains(&text.len())
        && text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(fits)
}
